"""A source that sends recorded data, one frame per time step."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ShapeError, ValidationError
from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
    tag,
)
from .ports import OutPort
from .process import AbstractProcess
from .var import Var


class RingBuffer(AbstractProcess):
    """Sends ``data[..., (t - 1) % T]`` in time step t.

    Parameters
    ----------
    data : array_like, shape (..., T)
        Frames to be sent; the last axis is time, so that at least two axes are needed.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    s_out : OutPort, shape ``data.shape[:-1]``
    data : Var, shape ``data.shape``
        float64, or int32 in fixed point (fractions are cut). May be set while the network is paused.

    Raises
    ------
    ShapeError
        `data` has only one axis.
    ValidationError
        `data` holds no frame.
    ArgumentTypeError
        `data` does not hold real numbers.

    Examples
    --------
    >>> from lahar.processes import SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[1, 2, 3]]), SinkRingBuffer(shape=(1,), buffer=5)
    >>> source.s_out.connect(sink.a_in)
    >>> with source:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     source.run(condition=RunSteps(num_steps=5), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[1 2 3 1 2]]
    """

    def __init__(self, *, data: Any, name: str | None = None, log_config: Any = None) -> None:
        try:
            data = np.asarray(data)
        except ValueError as error:
            raise ShapeError(f"source.RingBuffer.data: not an array ({error}).") from None
        if data.ndim < 2:
            raise ShapeError(
                f"source.RingBuffer.data has shape {data.shape}, but needs a leading axis for the neurons "
                "and time as its last axis: pass data[np.newaxis, :] for one neuron."
            )
        if data.dtype.kind not in "biuf":
            raise ArgumentTypeError(f"source.RingBuffer.data must hold real numbers, not {data.dtype}.")
        if data.shape[-1] == 0:
            raise ValidationError("the time axis (the last one) is empty.", "source.RingBuffer.data")
        super().__init__(data=data, name=name, log_config=log_config)
        self.data = Var(shape=data.shape, init=data)
        self.s_out = OutPort(shape=data.shape[:-1])


class AbstractPyRingBuffer(PyLoihiProcessModel):
    """Sends frames of `data` in turn; subclasses give the types."""

    s_out: PyOutPort
    data: np.ndarray

    def on_build(self) -> None:
        super().on_build()
        # Same values and axes, but frame after frame in memory: each step reads one contiguous block.
        self.data = np.moveaxis(np.ascontiguousarray(np.moveaxis(self.data, -1, 0)), 0, -1)

    def run_spk(self) -> None:
        data = self.data
        self.s_out.send(data[..., (self.time_step - 1) % data.shape[-1]])


@implements(proc=RingBuffer, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySendModelFloat(AbstractPyRingBuffer):
    """Sends float64."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    data: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=RingBuffer, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PySendModelFixed(AbstractPyRingBuffer):
    """Sends int32."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    data: np.ndarray = LavaPyType(np.ndarray, np.int32)
