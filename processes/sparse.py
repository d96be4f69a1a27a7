"""Sparse: static synapses between some of the neurons, with a delay of one time step."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ShapeError
from .fan_out import FanOut, add_pairwise
from .fixed_connection import AbstractFixedConnectionModel, check_options
from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    SparseMatrix,
    implements,
    requires,
    tag,
)
from .parameters import as_integer, warn_of_infinite
from .ports import InPort, OutPort
from .process import AbstractProcess
from .sparse_matrix import canonical_csr
from .var import Var
from .weights import determine_sign_mode, is_sparse, to_int32


class Sparse(AbstractProcess):
    """Connects some inputs to some outputs: ``a_out[t + 1] = weights @ s_in[t]``.

    Computes what `Dense` computes from ``weights.toarray()``, in time in proportion to the synapses of the
    active inputs and in memory in proportion to all synapses: with ``x = s_in[t]`` if inputs are graded, else
    ``x = (s_in[t] != 0)``, in fixed point times ``2**weight_exp``, rounding down::

        a_out[i, t + 1] = sum over the synapses j of output i, ascending: weights[i, j] * x_j

    Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning" (2018).

    Parameters
    ----------
    weights : sparse matrix or array_like, shape (m, n)
        Weight from input j to output i at ``[i, j]``; copied as a CSR matrix. Entries that are stored stay
        synapses even if they are zero. One row may be given as a vector.
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
        Fixed point only: signs the weights may have; by default determined from `weights` before they are
        made integers, so that a weight of -0.4 makes the signs mixed.

    Attributes
    ----------
    s_in : InPort, shape (n,)
    a_out : OutPort, shape (m,)
    weights : Var, shape (m, n)
        A CSR matrix. Floating point keeps the type that the weights were given in, and computes in it; fixed
        point casts to int32, and clips and truncates the initial weights in the first time step. `get` returns
        the entries that were stored at first, whatever became of their values; `set` takes a sparse matrix
        with just these entries and only casts.
    a_buff : Var, shape (m,)
        What is sent in the next time step.
    num_message_bits : Var, shape (1,)
        Read in every time step.

    Raises
    ------
    ArgumentTypeError
        `weights` has more than two dimensions or holds no real numbers, an argument has the wrong type, or
        a keyword is unknown.
    ShapeError
        `weights` is a number or not rectangular.
    ValidationError
        `num_weight_bits` is out of range.

    Examples
    --------
    >>> from scipy.sparse import csr_matrix
    >>> from lahar.processes import SinkRingBuffer, SourceRingBuffer, Sparse
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[1, 0], [1, 7]]), SinkRingBuffer(shape=(2,), buffer=3)
    >>> synapses = Sparse(weights=csr_matrix([[0, 2], [3, 0]]), num_message_bits=8)
    >>> source.s_out.connect(synapses.s_in)
    >>> synapses.a_out.connect(sink.a_in)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[ 0.  2. 14.]
     [ 0.  3.  0.]]
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
        weights = as_sparse_weights(weights, owner)
        warn_of_infinite(f"{owner}.weights", weights.data)
        check_options(self, kwargs, self._keywords, weights, determine_sign_mode(weights))
        num_message_bits = as_integer(num_message_bits, f"{owner}.num_message_bits")
        super().__init__(num_message_bits=num_message_bits, name=name, log_config=log_config, **kwargs)
        self.s_in = InPort(shape=(weights.shape[1],))
        self.a_out = OutPort(shape=(weights.shape[0],))
        self.weights = Var(shape=weights.shape, init=weights)
        self.a_buff = Var(shape=(weights.shape[0],), init=0)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)


def as_sparse_weights(weights: Any, owner: str, name: str = "weights") -> Any:
    """Return `weights` as a CSR matrix of real numbers of its own; `owner` and `name` are used in errors."""
    where = f"{owner}.{name}"
    if not is_sparse(weights):
        try:
            weights = np.asarray(weights)
        except ValueError as error:
            raise ShapeError(f"{where}: not a matrix ({error}).") from None
        if weights.ndim == 0:
            raise ShapeError(f"{where} must have two dimensions (outputs, inputs), not be a number.")
    if weights.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"{where} must hold real numbers, not {weights.dtype}.")
    if weights.ndim > 2:
        raise ArgumentTypeError(
            f"{where} must have two dimensions (outputs, inputs), not shape {weights.shape}."
        )
    return canonical_csr(weights.reshape(1, -1) if weights.ndim == 1 else weights)


def _is_static(model: Any) -> bool:
    """Whether weights change by Vars only; what a subclass does to them is its own affair."""
    return type(model) in (PySparseModelFloat, PySparseModelBitAcc)


def _step_cost(process: Any) -> float:
    """Estimate in microseconds, with one input in twenty active."""
    return 14.0 + 2e-4 * process.weights.init.nnz + 1e-3 * process.weights.shape[0]


class AbstractPySparseModelFloat(PyLoihiProcessModel):
    """Floating-point Sparse, to be subclassed; has neither a Process nor tags.

    Attributes
    ----------
    weights : csr_matrix, shape (m, n)
        Of the type that they were given in; sums of float32 weights are float32 (those of integers int64)
        unless graded inputs are wider.
    """

    min_delay = 1

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    weights: Any = LavaPyType(SparseMatrix, float)
    a_buff: np.ndarray = LavaPyType(np.ndarray, float)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return _step_cost(process)

    def on_build(self) -> None:
        super().on_build()
        self.fan_out = FanOut(self.weights)

    def on_var_update(self) -> None:
        super().on_var_update()
        self.fan_out.forget()

    def run_spk(self) -> None:
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv()
        if _is_static(self):
            self.fan_out.keep(self.weights.data)
        graded = self.num_message_bits.item() > 0
        total = float_sum(self.fan_out, self.weights.data, spikes, graded)
        self.a_buff = total.astype(np.float64, copy=False)


def float_dtype(values: np.ndarray, spikes: np.ndarray, graded: bool) -> Any:
    """Return the type in which floating-point models add weights: their own (and that of graded inputs)."""
    if graded:
        return np.result_type(values, spikes)
    return np.dtype(np.int64) if values.dtype.kind in "biu" else values.dtype


def float_sum(fan_out: FanOut, values: np.ndarray, spikes: np.ndarray, graded: bool) -> np.ndarray:
    """Return the weighted sum in the type that weights (and graded inputs) have."""
    dtype = float_dtype(values, spikes, graded)
    if dtype == np.float32 and not graded:
        # single precision shows in which order it was added: that of the reference
        synapses, values = fan_out.contributions(values, spikes, spikes.nonzero()[0], False, dtype)
        return add_pairwise(fan_out.rows[synapses], values, fan_out.num_post)
    return fan_out.weighted_sum(values, spikes, graded, dtype)


class AbstractPySparseModelBitAcc(AbstractFixedConnectionModel):
    """Fixed-point Sparse, to be subclassed; has neither a Process nor tags.

    Attributes
    ----------
    weights : csr_matrix of int32, shape (m, n)
        Entries that become zero in the first time step stay stored.
    """

    kind = "Sparse"

    weights: Any = LavaPyType(SparseMatrix, np.int32, precision=8)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return _step_cost(process)

    def on_build(self) -> None:
        super().on_build()
        if self.sign_mode is None:
            self.sign_mode = determine_sign_mode(self.weights)
        self._given: np.ndarray | None = self.weights.data
        self.weights.data = to_int32(self.weights.data)
        self.fan_out = FanOut(self.weights)

    def initial_weights(self) -> np.ndarray | None:
        """Return the entries as the user gave them, until they have been prepared."""
        return self._given

    def weight_values(self) -> np.ndarray:
        """Return the entries of `weights` as an array of int32 that may be written to."""
        return self.weights.data

    def prepare_weights(self) -> None:
        super().prepare_weights()
        self.fan_out.forget()
        self._given = None

    def on_var_update(self) -> None:
        super().on_var_update()
        self.fan_out.forget()

    def weighted_sum(self, spikes: np.ndarray, graded: bool, dtype: Any) -> np.ndarray:
        """Return the sum of weights times spikes in `dtype`, in ascending input index."""
        if _is_static(self):
            self.fan_out.keep(self.weights.data)
        return self.fan_out.weighted_sum(self.weights.data, spikes, graded, dtype)


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySparseModelFloat(AbstractPySparseModelFloat):
    """Floating-point Sparse: sums in ascending input index."""


@implements(proc=Sparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PySparseModelBitAcc(AbstractPySparseModelBitAcc):
    """Fixed-point Sparse: integer weights of at most 8 bits and a sign, exact sums, wrapping messages."""
