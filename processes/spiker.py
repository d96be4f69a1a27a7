"""Spiker: sends a number at regular intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ValidationError
from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
)
from .parameters import state_var
from .ports import OutPort
from .process import AbstractProcess
from .var import Var


class Spiker(AbstractProcess):
    """Sends `payload` every `period` time steps; the same for every tag::

        hit = counter == rate
        s = payload where hit, else 0
        counter = 1 where hit, else counter + 1

    The first spike is in step ``period + 1``. A period of 0 spikes in the first step only.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    period : array_like of int
        Time steps from spike to spike, broadcast to S.
    payload : array_like of int
        What is sent, broadcast to S.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    s_out : OutPort, shape S, int64
    rate : Var, shape S, int64
        The period.
    counter : Var, shape S, int64
        Time steps since the last spike.
    payload : Var, shape S, int64

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers, or a parameter does not hold real numbers.
    ShapeError
        A parameter does not broadcast to S.

    Examples
    --------
    >>> from lahar.processes import SinkRingBuffer, Spiker
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> spiker, sink = Spiker(period=2, payload=7), SinkRingBuffer(shape=(1,), buffer=6)
    >>> spiker.s_out.connect(sink.a_in)
    >>> with spiker:
    ...     spiker.run(condition=RunSteps(num_steps=6), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[0. 0. 7. 0. 7. 0.]]
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...] = (1,),
        period: Any = 10,
        payload: Any = 1,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(shape=shape, name=name, log_config=log_config)
        self.s_out = OutPort(shape=shape)
        self.rate = state_var(self, shape, "period", period)
        self.counter = Var(shape=shape, init=0)
        self.payload = state_var(self, shape, "payload", payload)


class Spiker32bit(AbstractProcess):
    """Spiker for payloads of 32 bits, made for hardware; has no ProcessModel here.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    period : int or array_like of int
        Time steps from spike to spike.
    payload : int or array_like of int
        Signed numbers of 32 bits if one is negative, else unsigned ones.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    s_out : OutPort, shape S
    counter : Var, shape S

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers, or a parameter holds no numbers.
    ValidationError
        A payload does not fit into 32 bits.

    Examples
    --------
    >>> from lahar.processes import Spiker32bit
    >>> Spiker32bit(payload=[-1, 5], shape=(2,)).proc_params["signed"]
    True
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...] = (1,),
        period: Any = 1,
        payload: Any = 1,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        payload = _as_integers(payload, "Spiker32bit.payload")
        period = _as_integers(period, "Spiker32bit.period")
        signed = bool(payload.min(initial=0) < 0)
        highest = 2**31 - 1 if signed else 2**32 - 1
        if payload.min(initial=0) < -(2**31) or payload.max(initial=0) > highest:
            raise ValidationError(
                f"must lie in [-2**31, {highest}] ({'signed' if signed else 'unsigned'} numbers of 32 bits).",
                "Spiker32bit.payload",
            )
        super().__init__(
            shape=shape, period=period, payload=payload, signed=signed, name=name, log_config=log_config
        )
        self.s_out = OutPort(shape=shape)
        self.counter = Var(shape=shape, init=1)


def _as_integers(value: Any, where: str) -> np.ndarray:
    """Return at least one integer as an array; fractions are cut."""
    array = np.atleast_1d(np.asarray(value))
    if array.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{where} must hold integers, not {value!r}.")
    return array.astype(int)


@implements(proc=Spiker, protocol=LoihiProtocol)
@requires(CPU)
class SpikerModel(PyLoihiProcessModel):
    """Spiker, whatever the tag."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)
    rate: np.ndarray = LavaPyType(np.ndarray, int)
    counter: np.ndarray = LavaPyType(np.ndarray, int)
    payload: np.ndarray = LavaPyType(np.ndarray, int)

    def run_spk(self) -> None:
        hit = self.counter == self.rate
        self.s_out.send(np.where(hit, self.payload, 0))
        self.counter += 1
        self.counter[hit] = 1
