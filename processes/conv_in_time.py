"""ConvInTime: all-to-all synapses, each with a kernel over time."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, DtypeError, LaharWarning, ShapeError
from .fixed_connection import OPTIONS
from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
    tag,
)
from .parameters import as_integer, refuse_unknown_keywords
from .ports import InPort, OutPort
from .process import AbstractProcess
from .synapses import weighted_sum
from .var import Var

_KEYWORDS = ("weights", "name", "num_message_bits", "log_config", *OPTIONS)


class ConvInTime(AbstractProcess):
    """Convolves inputs over time: ``a_out[t + 1] = sum_{i=0}^{K-1} weights[K-1-i] @ s_in[t - i]``.

    A finite impulse response filter: Oppenheim & Schafer, "Discrete-Time Signal Processing" (1989).

    Parameters
    ----------
    weights : array_like, shape (K, m, n)
        One matrix per time step of the kernel; the last one meets the newest input.
    name : str, optional
    num_message_bits : int
        0 (or less): every non-zero input is one spike. Above 0: inputs multiply the weights; the number of
        bits itself has no effect.
    log_config : LogConfig, optional
    weight_exp, num_weight_bits, sign_mode
        Accepted, without effect.

    Attributes
    ----------
    s_in : InPort, shape (n,)
    a_out : OutPort, shape (m,)
        float64; in fixed point and with integer weights int32, to which sums wrap.
    weights : Var, shape (K, m, n)
        float64; in fixed point int32 if all are integers. They are never clipped, truncated or shifted.
    a_buff : Var, shape (m, K)
        Column k is what will be sent after k more time steps, as far as it is known.
    num_message_bits : Var, shape (1,)
        Read in every time step.

    Raises
    ------
    ShapeError
        `weights` does not have three axes.
    ArgumentTypeError
        An argument has the wrong type, or a keyword is unknown.

    Warns
    -----
    LaharWarning
        An argument without effect is given.

    Examples
    --------
    >>> from lahar.processes import ConvInTime, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[1, 0, 0, 0, 0]]), SinkRingBuffer(shape=(1,), buffer=5)
    >>> synapses = ConvInTime(weights=[[[3]], [[5]], [[7]]])
    >>> source.s_out.connect(synapses.s_in)
    >>> synapses.a_out.connect(sink.a_in)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[0. 7. 5. 3. 0.]]
    """

    def __init__(
        self,
        *,
        weights: Any,
        name: str | None = None,
        num_message_bits: int = 0,
        log_config: Any = None,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        refuse_unknown_keywords(self, kwargs, OPTIONS, _KEYWORDS)
        try:
            weights = np.asarray(weights)
        except ValueError as error:
            raise ShapeError(f"{owner}.weights: not an array ({error}).") from None
        if weights.ndim != 3 or weights.shape[0] == 0:
            raise ShapeError(
                f"{owner}.weights must have three axes (time, outputs, inputs), not shape {weights.shape}."
            )
        if weights.dtype.kind not in "biuf":
            raise ArgumentTypeError(f"{owner}.weights must hold real numbers, not {weights.dtype}.")
        num_message_bits = as_integer(num_message_bits, f"{owner}.num_message_bits")
        super().__init__(
            weights=weights, num_message_bits=num_message_bits, name=name, log_config=log_config, **kwargs
        )
        for keyword in set(kwargs) & set(OPTIONS):
            warnings.warn(
                f"{owner} '{self.name}': {keyword} has no effect; scale the weights.",
                LaharWarning,
                stacklevel=3,  # past the metaclass
            )
        length, num_post, num_pre = weights.shape
        self.s_in = InPort(shape=(num_pre,))
        self.a_out = OutPort(shape=(num_post,))
        self.weights = Var(shape=weights.shape, init=weights)
        self.a_buff = Var(shape=(num_post, length), init=0)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)


class AbstractPyConvInTimeModel(PyLoihiProcessModel):
    """ConvInTime in any numerics; subclasses give the types."""

    min_delay = 1

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    weights: np.ndarray = LavaPyType(np.ndarray, float)
    a_buff: np.ndarray = LavaPyType(np.ndarray, float)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return 10.0 + 5e-5 * process.weights.size

    def on_build(self) -> None:
        super().on_build()
        # Same values and axes, but input after input in memory: a step reads the rows of active inputs.
        by_input = np.ascontiguousarray(self.weights.transpose(2, 0, 1))
        self.weights = by_input.transpose(1, 2, 0)

    def run_spk(self) -> None:
        buffer = self.a_buff
        self.a_out.send(buffer[:, 0])
        spikes = self.s_in.recv()
        buffer[:, :-1] = buffer[:, 1:]
        buffer[:, -1] = 0
        if spikes.any():
            length, num_post, num_pre = self.weights.shape
            rows = self.weights.transpose(2, 0, 1).reshape(num_pre, length * num_post)
            graded = self.num_message_bits.item() > 0
            total = weighted_sum(rows, self.checked(spikes), graded, buffer.dtype)
            buffer += total.reshape(length, num_post)[::-1].T

    def checked(self, spikes: np.ndarray) -> np.ndarray:
        """Return what was received, if the model can compute with it."""
        return spikes


@implements(proc=ConvInTime, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConvInTimeFloat(AbstractPyConvInTimeModel):
    """Floating-point ConvInTime: sums in float64, in ascending input index."""


@implements(proc=ConvInTime, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyConvInTimeFixed(AbstractPyConvInTimeModel):
    """ConvInTime with integer weights: exact sums, wrapping messages."""

    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    weights: np.ndarray = LavaPyType(np.ndarray, np.int32)
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int64)

    @classmethod
    def suits(cls, process: Any) -> bool:
        """Whether all weights are integers of 32 bits."""
        weights = process.weights.init
        return bool(np.all((weights == np.trunc(weights)) & (np.abs(weights.astype(float)) < 2.0**31)))

    def checked(self, spikes: np.ndarray) -> np.ndarray:
        """Return what was received.

        Raises
        ------
        DtypeError
            It is graded and not an integer.
        """
        if spikes.dtype.kind == "f" and self.num_message_bits.item() > 0:
            raise DtypeError(
                f"ConvInTime '{self.process_name}' is fixed point and graded, but receives {spikes.dtype}: "
                "connect a sender with integer output, or run with floating_pt models."
            )
        return spikes


@implements(proc=ConvInTime, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyConvInTimeFractional(AbstractPyConvInTimeModel):
    """ConvInTime with fractional weights in a fixed-point network: computes in and sends float64."""
