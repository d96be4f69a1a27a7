"""Sinks: RingBuffer records messages, one frame per time step; Read records a Var every few time steps."""

from __future__ import annotations

import operator
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ValidationError
from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyRefPort,
    implements,
    requires,
    tag,
)
from .ports import InPort
from .process import AbstractProcess
from .var import Var
from .var_access import PeriodicModel, VarAccessModel, VarAccessProcess, check_period


class RingBuffer(AbstractProcess):
    """Stores the message of time step t in ``data[..., (t - 1) % buffer]``.

    Parameters
    ----------
    shape : tuple of int
        Shape of the messages.
    buffer : int
        Number of frames kept; of a longer run the last `buffer` steps remain.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape `shape`
    data : Var, shape ``shape + (buffer,)``
        float64, or int32 in fixed point (fractions are cut); zeros at first.
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple or `buffer` not an integer.
    ValidationError
        `buffer` is not positive.

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
        self, *, shape: tuple[int, ...], buffer: int, name: str | None = None, log_config: Any = None
    ) -> None:
        buffer = _number_of_frames(buffer, "sink.RingBuffer.buffer")
        a_in = InPort(shape=shape)
        super().__init__(shape=shape, buffer=buffer, name=name, log_config=log_config)
        self.shape = shape
        self.a_in = a_in
        self.data = Var(shape=(*shape, buffer), init=0)


def _number_of_frames(buffer: Any, where: str) -> int:
    try:
        buffer = operator.index(buffer)
    except TypeError:
        raise ArgumentTypeError(f"{where} must be an integer, not {buffer!r}.") from None
    if buffer < 1:
        raise ValidationError(f"must be the number of time steps to keep, at least 1, not {buffer}.", where)
    return buffer


class _FramesModel(PyLoihiProcessModel):
    """Keeps frames in `data`, the last axis being time."""

    data: np.ndarray

    def on_build(self) -> None:
        super().on_build()
        # Same values and axes, but frame after frame in memory: each step writes one contiguous block.
        self.data = np.moveaxis(np.ascontiguousarray(np.moveaxis(self.data, -1, 0)), 0, -1)


class AbstractPyReceiveModel(_FramesModel):
    """Writes what it receives into `data` in turn; subclasses give the types."""

    casts_inputs = True

    a_in: PyInPort

    def run_spk(self) -> None:
        data = self.data
        data[..., (self.time_step - 1) % data.shape[-1]] = self.a_in.recv()


@implements(proc=RingBuffer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyReceiveModelFloat(AbstractPyReceiveModel):
    """Records float64."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    data: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=RingBuffer, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyReceiveModelFixed(AbstractPyReceiveModel):
    """Records int32."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    data: np.ndarray = LavaPyType(np.ndarray, np.int32)


class Read(VarAccessProcess):
    """Records a Var at the end of the time steps t with ``(t - 1) % interval == offset``.

    Say which Var with ``connect_var(var)``. Of the values read, the k-th (from 0) is stored in
    ``data[..., k % buffer]``.

    Parameters
    ----------
    buffer : int
        Number of values kept.
    interval : int
        Number of time steps from one value to the next.
    offset : int
        Taken modulo `interval`.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    state : RefPort
        In the shape of the Var.
    data : Var, shape ``var.shape + (buffer,)``
        float64, or int32 in fixed point (fractions are cut); zeros at first.
    interval, offset : Var, shape (1,)

    Raises
    ------
    ArgumentTypeError
        An argument is not an integer.
    ValidationError
        `buffer` or `interval` is not positive.

    Examples
    --------
    >>> from lahar.processes import LIF, Read
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> lif, read = LIF(shape=(2,), bias_mant=[1, 2]), Read(buffer=3, interval=2)
    >>> read.connect_var(lif.v)
    >>> with lif:
    ...     lif.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(read.data.get())
    [[ 1.  3.  5.]
     [ 2.  6. 10.]]
    """

    def __init__(
        self,
        *,
        buffer: int,
        interval: int = 1,
        offset: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        buffer = _number_of_frames(buffer, "Read.buffer")
        interval, offset = check_period(interval, offset, "Read")
        super().__init__(buffer=buffer, interval=interval, offset=offset, name=name, log_config=log_config)
        self.buffer = buffer
        self.data = Var(shape=(1, buffer), init=0)
        self.interval = Var(shape=(1,), init=interval)
        self.offset = Var(shape=(1,), init=offset)

    def _fit(self, shape: tuple[int, ...]) -> None:
        self.data = Var(shape=(*shape, self.buffer), init=0)


class AbstractPyRead(PeriodicModel, VarAccessModel, _FramesModel):
    """Writes what it reads into `data` in turn; subclasses give the types."""

    interval: np.ndarray = LavaPyType(np.ndarray, np.int64)
    offset: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def on_build(self) -> None:
        super().on_build()
        self._reads = 0

    def run_post_mgmt(self) -> None:
        self.data[..., self._reads % self.data.shape[-1]] = self.state.read()
        self._reads += 1


@implements(proc=Read, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyReadFloat(AbstractPyRead):
    """Records float64."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    data: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=Read, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyReadFixed(AbstractPyRead):
    """Records int32."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    data: np.ndarray = LavaPyType(np.ndarray, np.int32)


@implements(proc=Read, protocol=LoihiProtocol)
@requires(CPU)
class PyReadAnyTag(AbstractPyRead):
    """Records float64, whatever tag the other models are selected by."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    data: np.ndarray = LavaPyType(np.ndarray, float)
