"""DelaySparse: static synapses between some of the neurons, each with a delay of its own."""

from __future__ import annotations

from typing import Any

import numpy as np

from .delays import DelayLineModel, FixedDelayLineModel, check_delays, check_max_delay
from .errors import ShapeError
from .fan_out import FanOut
from .model import CPU, LavaPyType, LoihiProtocol, SparseMatrix, implements, requires, tag
from .sparse import AbstractPySparseModelBitAcc, AbstractPySparseModelFloat, Sparse, float_dtype
from .sparse_matrix import canonical_csr, find_entries
from .var import Var
from .weights import is_sparse


class DelaySparse(Sparse):
    """Connects some inputs to some outputs, later by the delay of the synapse.

    ``a_out[i, t + 1] = sum_j weights[i, j] * s_in[j, t - delays[i, j]]``

    Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning" (2018).

    Parameters
    ----------
    weights : sparse matrix or array_like, shape (m, n)
        Weight from input j to output i at ``[i, j]``; copied as a CSR matrix.
    delays : int, sparse matrix or array_like of int, shape (m, n)
        Time steps by which the synapse is later than one of a `Sparse`; fixed point allows 63. A synapse for
        which no delay is stored has delay 0; delays without a synapse have no effect.
    max_delay : int
        Longest delay that `delays` may be set to later. 0: the longest in `delays`. Synapses with a longer
        delay transmit nothing.
    name, num_message_bits, log_config, weight_exp, num_weight_bits, sign_mode
        See `Sparse`.

    Attributes
    ----------
    s_in : InPort, shape (n,)
    a_out : OutPort, shape (m,)
    weights : Var, shape (m, n)
    delays : Var, shape (m, n)
        A CSR matrix of int64; of one number, with the entries of `weights`. May be set at a pause to a matrix
        with the same entries; what is buffered already is not moved.
    a_buff : Var, shape (m, max_delay + 1)
        Column k is what will be sent after k more time steps, as far as it is known.
    num_message_bits : Var, shape (1,)

    Raises
    ------
    ShapeError, DtypeError, ValidationError
        `delays` has another shape than `weights`, are no integers, or negative; `max_delay` is negative.

    Examples
    --------
    >>> from lahar.processes import DelaySparse, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[1, 0, 0, 0, 0]]), SinkRingBuffer(shape=(2,), buffer=5)
    >>> synapses = DelaySparse(weights=[[5], [6]], delays=[[0], [2]])
    >>> source.s_out.connect(synapses.s_in)
    >>> synapses.a_out.connect(sink.a_in)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[0. 5. 0. 0. 0.]
     [0. 0. 0. 6. 0.]]
    """

    _keywords = (*Sparse._keywords, "delays", "max_delay")

    def __init__(
        self,
        *,
        weights: Any,
        delays: Any,
        max_delay: int = 0,
        name: str | None = None,
        num_message_bits: int = 0,
        log_config: Any = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            weights=weights, name=name, num_message_bits=num_message_bits, log_config=log_config, **kwargs
        )
        matrix = _as_sparse_delays(delays, self.weights.init, type(self).__name__)
        max_delay = check_max_delay(max_delay, matrix.data, self)
        self.proc_params["max_delay"] = max_delay
        self.delays = Var(shape=matrix.shape, init=matrix)
        self.a_buff = Var(shape=(matrix.shape[0], max_delay + 1), init=0)


def _as_sparse_delays(delays: Any, weights: Any, owner: str) -> Any:
    """Return `delays` as a CSR matrix of int64 in the shape of `weights`, a CSR matrix."""
    if is_sparse(delays):
        delays = canonical_csr(delays)
        if delays.shape != weights.shape:
            raise ShapeError(
                f"{owner}.delays must have the shape {weights.shape} of the weights, not {delays.shape}."
            )
        delays.data = check_delays(delays.data, delays.data.shape, owner)
        return delays
    try:
        delays = np.asarray(delays)
    except ValueError as error:
        raise ShapeError(f"{owner}.delays: not an array ({error}).") from None
    if delays.ndim == 1 and weights.shape[0] == 1:
        delays = delays.reshape(1, -1)
    delays = check_delays(delays, weights.shape, owner)
    if delays.ndim:
        return canonical_csr(delays)
    matrix = weights.copy()
    matrix.data = np.full(matrix.nnz, delays)
    return matrix


class AbstractPyDelaySparseModel(DelayLineModel):
    """DelaySparse in any numerics; to be combined with a model of Sparse.

    Attributes
    ----------
    delays : csr_matrix of int64, shape (m, n)
    """

    weights: Any
    fan_out: FanOut
    delays: Any = LavaPyType(SparseMatrix, np.int64, precision=6)

    def synapses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return outputs and delays of all synapses, input after input."""
        positions = find_entries(self.delays, self.weights)
        delays = np.append(self.delays.data, 0)[positions]  # the last one where none is stored
        return self.fan_out.rows, delays[self.fan_out.positions]

    def contributions(
        self, spikes: np.ndarray, active: np.ndarray, graded: bool, dtype: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return places and contributions of the active inputs, in ascending input index."""
        synapses, values = self.fan_out.contributions(self.weights.data, spikes, active, graded, dtype)
        return self.places[synapses], values


@implements(proc=DelaySparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDelaySparseModelFloat(AbstractPyDelaySparseModel, AbstractPySparseModelFloat):
    """Floating-point DelaySparse: sums in ascending input index, then adds them to the buffer."""

    a_buff: np.ndarray = LavaPyType(np.ndarray, float)

    def sum_types(self, spikes: np.ndarray, graded: bool) -> tuple[Any, Any]:
        """Return the type of the weights (and graded inputs) for both."""
        dtype = float_dtype(self.weights.data, spikes, graded)
        return dtype, dtype


@implements(proc=DelaySparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyDelaySparseModelBitAcc(FixedDelayLineModel, AbstractPyDelaySparseModel, AbstractPySparseModelBitAcc):
    """Fixed-point DelaySparse: everything is int32 and wraps, unless graded inputs are wider."""

    kind = "DelaySparse"

    def sum_types(self, spikes: np.ndarray, graded: bool) -> tuple[Any, Any]:
        """Return the type of weights and payloads for both."""
        dtype = self.sum_dtype(spikes) if graded else np.int32
        return dtype, dtype
