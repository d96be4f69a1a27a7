"""A sink that records what it receives, one frame per time step."""

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
    implements,
    requires,
    tag,
)
from .ports import InPort
from .process import AbstractProcess
from .var import Var


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
    """

    def __init__(
        self, *, shape: tuple[int, ...], buffer: int, name: str | None = None, log_config: Any = None
    ) -> None:
        try:
            buffer = operator.index(buffer)
        except TypeError:
            raise ArgumentTypeError(f"sink.RingBuffer.buffer must be an integer, not {buffer!r}.") from None
        if buffer < 1:
            raise ValidationError(
                f"must be the number of time steps to keep, at least 1, not {buffer}.",
                "sink.RingBuffer.buffer",
            )
        a_in = InPort(shape=shape)
        super().__init__(shape=shape, buffer=buffer, name=name, log_config=log_config)
        self.shape = shape
        self.a_in = a_in
        self.data = Var(shape=(*shape, buffer), init=0)


class AbstractPyReceiveModel(PyLoihiProcessModel):
    """Writes what it receives into `data` in turn; subclasses give the types."""

    a_in: PyInPort
    data: np.ndarray

    def on_build(self) -> None:
        super().on_build()
        # Same values and axes, but frame after frame in memory: each step writes one contiguous block.
        self.data = np.moveaxis(np.ascontiguousarray(np.moveaxis(self.data, -1, 0)), 0, -1)

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
