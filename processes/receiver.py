"""Receiver: holds the last message that arrived."""

from __future__ import annotations

from typing import Any

import numpy as np

from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    implements,
    requires,
)
from .ports import InPort
from .process import AbstractProcess
from .var import Var


class Receiver(AbstractProcess):
    """Holds what arrived in the last time step.

    Parameters
    ----------
    shape : tuple of int
        Shape of the messages.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort
    payload : Var
        int64 (fractions are cut); zeros at first.

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import Receiver, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, receiver = SourceRingBuffer(data=[[3, 4, 5]]), Receiver()
    >>> source.s_out.connect(receiver.a_in)
    >>> with source:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     source.run(condition=RunSteps(num_steps=2), run_cfg=run_cfg)
    ...     print(receiver.payload.get())
    [4]
    """

    def __init__(
        self, *, shape: tuple[int, ...] = (1,), name: str | None = None, log_config: Any = None
    ) -> None:
        a_in = InPort(shape=shape)
        super().__init__(shape=shape, name=name, log_config=log_config)
        self.a_in = a_in
        self.payload = Var(shape=shape, init=0)


class Receiver32Bit(AbstractProcess):
    """Receiver of messages of 32 bits on hardware; there is no model that simulates it.

    Parameters
    ----------
    shape : tuple of int
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort
    payload_last_bytes, payload_first_byte : Var

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.
    CompileError
        A network that contains it is compiled.
    """

    def __init__(
        self, *, shape: tuple[int, ...] = (1,), name: str | None = None, log_config: Any = None
    ) -> None:
        a_in = InPort(shape=shape)
        super().__init__(shape=shape, name=name, log_config=log_config)
        self.a_in = a_in
        self.payload_last_bytes = Var(shape=shape, init=0)
        self.payload_first_byte = Var(shape=shape, init=0)


@implements(proc=Receiver, protocol=LoihiProtocol)
@requires(CPU)
class PyReceiverModel(PyLoihiProcessModel):
    """Receives whatever the numerics."""

    casts_inputs = True

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    payload: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self) -> None:
        self.payload[...] = self.a_in.recv()
