"""LearningDense: all-to-all synapses with a delay of one time step that learn."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dense import as_weight_matrix
from .learning.plastic import PlasticModel, PlasticModelBitApproximate, PlasticModelFloat, PlasticSynapses
from .model import CPU, LavaPyType, LoihiProtocol, implements, requires, tag
from .synapses import weighted_sum


class LearningDense(PlasticSynapses):
    """Dense connection whose weights change by a learning rule.

    As with `Dense`, ``a_out[t + 1] = weights @ s_in[t]``. At the end of every epoch of the rule's `t_epoch`
    time steps the rule changes them; changed weights count from the next time step on::

        weights[j, i] = limit(weights[j, i] + dw(x_i, y_j, weights[j, i], tag_1[j, i], tag_2[j, i]))

    and likewise `tag_2` by dd and `tag_1` by dt. Floating point limits only signs; fixed point computes and
    rounds as the learning engine of Loihi does (Davies et al. 2018).

    Parameters
    ----------
    weights : array_like, shape (post, pre)
        Initial weights. Fixed point drops low bits in the first time step but does not clip.
    tag_1, tag_2 : array_like, shape (post, pre), optional
        Initial synaptic variables ``t`` and ``d``; 0 by default. `tag_2` does not delay spikes.
    name : str, optional
    num_message_bits : int
        0 (or less): every non-zero input is one spike. Above 0: inputs are graded and multiply the weights.
    log_config : LogConfig, optional
    learning_rule : LoihiLearningRule
        Two- or three-factor rule; copied.
    graded_spike_cfg : GradedSpikeCfg
        What payloads do to the trace ``x1``. In all modes but USE_REGULAR_IMPULSE the connection's copy of
        the rule has no `x1_impulse`, and fixed-point payloads are limited to 0..255.
    weight_exp : int
        Fixed point only: the weighted sum is shifted left by this many bits (right if negative).
    num_weight_bits : int
        Fixed point only: 0 to 8, or 9 with mixed signs.
    sign_mode : SignMode
        Signs the weights may have: MIXED (default, whatever the initial weights), EXCITATORY or INHIBITORY.
    rounding_seed : int
        Fixed point only: seed for rounding weights and tags. All connections share the same numbers unless
        they are given different seeds. Default 2.

    Attributes
    ----------
    s_in : InPort, shape (pre,)
        Presynaptic spikes.
    a_out : OutPort, shape (post,)
        Activation, one time step after the spikes.
    weights : Var, shape (post, pre)
    a_buff : Var, shape (post,)
        What is sent in the next time step.
    num_message_bits : Var, shape (1,)
    tag_1, tag_2 : Var, shape (post, pre)
        Synaptic variables ``t`` and ``d``.
    s_in_bap, s_in_y1, ..., x0, tx, x1, ..., dw, dd, dt, x1_tau, x1_impulse, ...
        Ports, traces and parameters of the rule: see `LearningConnectionProcess`.

    Raises
    ------
    ShapeError
        `weights` is not two-dimensional, or a tag has another shape.
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
    >>> from lahar.processes import LearningDense, SourceRingBuffer, STDPLoihi
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> rule = STDPLoihi(learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, rng_seed=0)
    >>> synapses = LearningDense(weights=[[50, 50]], learning_rule=rule)
    >>> pre, post = SourceRingBuffer(data=[[1, 0, 0], [0, 0, 1]]), SourceRingBuffer(data=[[0, 1, 0]])
    >>> pre.s_out.connect(synapses.s_in)
    >>> post.s_out.connect(synapses.s_in_bap)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(synapses.weights.get().round(2))
    [[64.48 35.52]]
    """

    def as_weights(self, weights: Any) -> np.ndarray:
        return as_weight_matrix(weights, type(self).__name__)

    def weight_params(self, weights: np.ndarray) -> dict[str, Any]:
        return {"weights": weights}


class _DenseSynapses(PlasticModel):
    """Weights in Fortran order, so that those of one input lie together."""

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        epoch = process.proc_params["learning_rule"].t_epoch
        return 10.0 + 2e-5 * process.weights.size + (60.0 + 4e-4 * process.weights.size) / epoch

    def weighted_sum(self, spikes: np.ndarray, dtype: Any) -> np.ndarray:
        return weighted_sum(self.weights.T, spikes, self._graded, dtype)


@implements(proc=LearningDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLearningDenseModelFloat(_DenseSynapses, PlasticModelFloat):
    """Floating-point LearningDense."""

    weights: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=LearningDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_approximate_loihi", "fixed_pt")
class PyLearningDenseModelBitApproximate(_DenseSynapses, PlasticModelBitApproximate):
    """Fixed-point LearningDense."""

    weights: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
