"""Dense: all-to-all static synapses with a delay of one time step."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ShapeError, ValidationError
from .fixed_connection import AbstractFixedConnectionModel, check_options
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
from .parameters import as_integer, warn_of_infinite
from .ports import InPort, OutPort
from .process import AbstractProcess
from .synapses import weighted_sum
from .var import Var
from .weights import is_sparse


class Dense(AbstractProcess):
    """Connects every input to every output: ``a_out[t + 1] = weights @ s_in[t]``.

    In floating point, and in fixed point with the integer weights of Loihi (Davies et al. 2018)::

        a_out[i, t + 1] = sum_j weights[i, j] * x_j
        a_out[i, t + 1] = (sum_j weights[i, j] * x_j) * 2**weight_exp          # fixed point, rounding down

    over ascending j, where ``x = s_in[t]`` if inputs are graded, else ``x = (s_in[t] != 0)``.

    Parameters
    ----------
    weights : array_like, shape (m, n)
        Weight from input j to output i at ``[i, j]``.
    name : str, optional
    num_message_bits : int
        0 (or less): every non-zero input is one spike. Above 0: inputs are graded and multiply the
        weights; the number of bits itself has no effect.
    log_config : LogConfig, optional
    weight_exp : int
        Fixed point only: the sum is shifted left by this many bits (right if negative, rounding down).
    num_weight_bits : int
        Fixed point only: 0 to 8, or 9 with mixed signs; weights lose their low bits in the first step.
    sign_mode : SignMode, optional
        Fixed point only: signs the weights may have; determined from the weights by default.

    Attributes
    ----------
    s_in : InPort, shape (n,)
    a_out : OutPort, shape (m,)
    weights : Var, shape (m, n)
        float64 or int32. Fixed point clips and truncates the initial weights in the first time step;
        weights that are set later are only cast.
    a_buff : Var, shape (m,)
        What is sent in the next time step.
    num_message_bits : Var, shape (1,)
        Read in every time step.

    Raises
    ------
    ShapeError
        `weights` is not two-dimensional.
    ValidationError
        `weights` is sparse, or `num_weight_bits` is out of range.
    ArgumentTypeError
        An argument has the wrong type, or a keyword is unknown.

    Examples
    --------
    >>> from lahar.processes import Dense, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[1, 0, 0], [1, 5, 0]]), SinkRingBuffer(shape=(3,), buffer=3)
    >>> synapses = Dense(weights=[[1, 2], [3, 4], [5, 6]])
    >>> source.s_out.connect(synapses.s_in)
    >>> synapses.a_out.connect(sink.a_in)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[ 0.  3.  2.]
     [ 0.  7.  4.]
     [ 0. 11.  6.]]
    """

    _keywords: tuple[str, ...] = ("weights", "name", "num_message_bits", "log_config")

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
        weights = as_weight_matrix(weights, owner)
        warn_of_infinite(f"{owner}.weights", weights)
        check_options(self, kwargs, self._keywords, weights)
        num_message_bits = as_integer(num_message_bits, f"{owner}.num_message_bits")
        super().__init__(
            weights=weights, num_message_bits=num_message_bits, name=name, log_config=log_config, **kwargs
        )
        self.s_in = InPort(shape=(weights.shape[1],))
        self.a_out = OutPort(shape=(weights.shape[0],))
        self.weights = Var(shape=weights.shape, init=weights)
        self.a_buff = Var(shape=(weights.shape[0],), init=0)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)


def as_weight_matrix(weights: Any, owner: str) -> np.ndarray:
    """Return `weights` as a two-dimensional array of real numbers; `owner` is named in errors."""
    if is_sparse(weights):
        raise ValidationError(
            "is a sparse matrix; use the Process Sparse for it, or pass weights.toarray().",
            f"{owner}.weights",
        )
    try:
        matrix = np.asarray(weights)
    except ValueError as error:
        raise ShapeError(f"{owner}.weights: not a matrix ({error}).") from None
    if matrix.ndim != 2:
        raise ShapeError(
            f"{owner}.weights must have two dimensions (outputs, inputs), not shape {matrix.shape}."
        )
    if matrix.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{owner}.weights must hold real numbers, not {matrix.dtype}.")
    return matrix


class AbstractPyDenseModelFloat(PyLoihiProcessModel):
    """Floating-point Dense, to be subclassed; has neither a Process nor tags.

    Attributes
    ----------
    weights : ndarray of float64, shape (m, n)
        In Fortran order, so that the weights of one input lie together.
    """

    min_delay = 1

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    weights: np.ndarray = LavaPyType(np.ndarray, float)
    a_buff: np.ndarray = LavaPyType(np.ndarray, float)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return 4.0 + 2e-5 * process.weights.size

    def on_build(self) -> None:
        super().on_build()
        self.weights = np.asfortranarray(self.weights)

    def run_spk(self) -> None:
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv()
        self.a_buff = weighted_sum(self.weights.T, spikes, self.num_message_bits.item() > 0, np.float64)


class AbstractPyDenseModelBitAcc(AbstractFixedConnectionModel):
    """Fixed-point Dense, to be subclassed; has neither a Process nor tags.

    Attributes
    ----------
    weights : ndarray of int32, shape (m, n)
        In Fortran order.
    """

    weights: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return 4.0 + 2e-5 * process.weights.size

    def on_build(self) -> None:
        super().on_build()
        self.weights = np.asfortranarray(self.weights)

    def weighted_sum(self, spikes: np.ndarray, graded: bool, dtype: Any) -> np.ndarray:
        """Return the sum of weights times spikes in `dtype`, in ascending input index."""
        return weighted_sum(self.weights.T, spikes, graded, dtype)


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDenseModelFloat(AbstractPyDenseModelFloat):
    """Floating-point Dense: sums in float64, in ascending input index."""


@implements(proc=Dense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyDenseModelBitAcc(AbstractPyDenseModelBitAcc):
    """Fixed-point Dense: integer weights of at most 8 bits and a sign, exact sums, wrapping messages."""
