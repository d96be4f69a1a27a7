"""LearningSparse: synapses between some of the neurons that learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from .learning.connection import without_negative_zeros
from .learning.plastic import PlasticModel, PlasticModelBitApproximate, PlasticModelFloat, PlasticSynapses
from .learning.rule_update import Matrices
from .learning.sparse_update import Synapses, apply_to_synapses
from .learning.traces import History
from .model import CPU, LavaPyType, LoihiProtocol, SparseMatrix, implements, requires, tag
from .sparse import as_sparse_weights
from .sparse_matrix import filled
from .weights import to_int32


class LearningSparse(PlasticSynapses):
    """Sparse connection whose weights change by a learning rule.

    Computes what `LearningDense` computes, ``weights = limit(weights + dw)`` at the end of every epoch, at its
    synapses only: entries that are stored learn even if their weight is zero, all others stay zero. Time and
    memory are in proportion to the synapses, and a learning epoch touches only those whose neurons spiked.

    Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning" (2018).

    Parameters
    ----------
    weights : sparse matrix or array_like, shape (post, pre)
        Initial weights; of a dense matrix the non-zeros become synapses. Floating point computes in float64.
        Fixed point casts to int32 (toward zero) and drops low bits in the first time step but does not clip; a
        weight that becomes zero by this stops learning until it is set.
    tag_1, tag_2 : sparse matrix or array_like, shape (post, pre), optional
        Initial synaptic variables ``t`` and ``d``, each with its own entries. By default zero at the entries
        of the weights. Where a variable has no entry, it is zero for the rules of the others.
    name, num_message_bits, log_config, learning_rule, graded_spike_cfg
        As for `LearningDense`.
    weight_exp, num_weight_bits, sign_mode, rounding_seed
        As for `LearningDense`.

    Attributes
    ----------
    s_in : InPort, shape (pre,)
        Presynaptic spikes.
    a_out : OutPort, shape (post,)
        Activation, one time step after the spikes.
    weights, tag_1, tag_2 : Var, shape (post, pre)
        CSR matrices. `set` takes a sparse matrix with the same entries; Monitors record dense arrays.
    a_buff : Var, shape (post,)
        What is sent in the next time step.
    num_message_bits : Var, shape (1,)
    s_in_bap, s_in_y1, ..., x0, tx, x1, ..., dw, dd, dt, x1_tau, x1_impulse, ...
        Ports, traces and parameters of the rule: see `LearningConnectionProcess`.

    Raises
    ------
    ShapeError
        `weights` is not a matrix, or a tag has another shape.
    ValidationError
        There is no rule, or an option is out of range.
    ArgumentTypeError
        An argument has the wrong type, or a keyword is unknown.

    Warns
    -----
    LaharWarning
        A `graded_spike_cfg` other than the default is combined with binary spikes.

    Examples
    --------
    >>> from lahar.processes import LearningSparse, Loihi2FLearningRule, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> rule = Loihi2FLearningRule(dw="x0*2", rng_seed=0)
    >>> source = SourceRingBuffer(data=[[1, 1, 0], [0, 1, 0]])
    >>> synapses = LearningSparse(weights=[[4, 0], [6, 8]], learning_rule=rule)
    >>> source.s_out.connect(synapses.s_in)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(synapses.weights.get().toarray())
    [[ 8.  0.]
     [10. 10.]]
    """

    def as_weights(self, weights: Any) -> Any:
        return as_sparse_weights(weights, type(self).__name__)

    def as_tag(self, tag: Any, name: str, weights: Any) -> Any:
        if tag is None or (np.ndim(tag) == 0 and not hasattr(tag, "tocsr")):
            return filled(weights, 0 if tag is None else tag, np.float64)
        return as_sparse_weights(tag, type(self).__name__, name)


class _SparseSynapses(PlasticModel):
    """Weights and tags as CSR matrices."""

    weights: Any
    tag_1: Any
    tag_2: Any

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        entries, epoch = process.weights.init.nnz, process.proc_params["learning_rule"].t_epoch
        return 22.0 + 5e-4 * entries + 1e-3 * process.weights.shape[0] + (90.0 + 4e-3 * entries) / epoch

    def layout_matrices(self) -> None:
        """Index the entries; they stay the same as long as the model lives."""
        if not hasattr(self, "_variables"):
            for name, dtype in (("weights", self.weights_dtype), *((t, self.tag_dtype) for t in _TAGS)):
                matrix = getattr(self, name)
                matrix.data = _cast(matrix.data, dtype)
            weights = Synapses(self.weights)
            tags = {name: Synapses(getattr(self, name), like=weights) for name in _TAGS}
            self._variables = {"weights": weights, **tags}
        for variable in self._variables.values():
            without_negative_zeros(variable.values)
        lost = self._variables["weights"].lost
        if lost is not None:
            lost &= self.weights.data == 0

    def synaptic_values(self) -> Matrices:
        return {name: synapses.values for name, synapses in self._variables.items()}

    def update_synapses(self, history: History, with_u: bool, everything: bool) -> None:
        apply_to_synapses(self._update, self._variables, history, with_u, everything)

    def weighted_sum(self, spikes: np.ndarray, dtype: Any) -> np.ndarray:
        return self._variables["weights"].fan_out.weighted_sum(self.weights.data, spikes, self._graded, dtype)


def _cast(values: np.ndarray, dtype: Any) -> np.ndarray:
    """Return values in another type; zeros take no memory as long as nobody writes to them."""
    if values.dtype == dtype:
        return values
    if not values.any():
        return np.zeros(values.shape, dtype)
    return to_int32(values) if dtype is np.int32 else values.astype(dtype)


_TAGS = ("tag_1", "tag_2")


@implements(proc=LearningSparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLearningSparseModelFloat(_SparseSynapses, PlasticModelFloat):
    """Floating-point LearningSparse."""

    weights: Any = LavaPyType(SparseMatrix, float)
    tag_1: Any = LavaPyType(SparseMatrix, float)
    tag_2: Any = LavaPyType(SparseMatrix, float)

    weights_dtype = tag_dtype = np.float64


@implements(proc=LearningSparse, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_approximate_loihi", "fixed_pt")
class PyLearningSparseModelBitApproximate(_SparseSynapses, PlasticModelBitApproximate):
    """Fixed-point LearningSparse."""

    weights: Any = LavaPyType(SparseMatrix, np.int32, precision=8)
    tag_1: Any = LavaPyType(SparseMatrix, np.int64, precision=8)
    tag_2: Any = LavaPyType(SparseMatrix, np.int64, precision=6)

    weights_dtype, tag_dtype = np.int32, np.int64

    def weight_values(self) -> np.ndarray:
        return self.weights.data

    def truncate_weights(self) -> None:
        before = self.weights.data != 0
        super().truncate_weights()
        lost = before & (self.weights.data == 0)
        if lost.any():
            self._variables["weights"].lost = lost
