"""LearningDense: all-to-all synapses with a delay of one time step that learn."""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from .dense import as_weight_matrix
from .errors import DtypeError, LaharWarning
from .learning.connection import (
    LearningConnectionModelBitApproximate,
    LearningConnectionModelFloat,
    LearningConnectionProcess,
    check_learning_options,
    check_rule,
)
from .learning.constants import GradedSpikeCfg
from .learning.rule import LoihiLearningRule
from .model import CPU, LavaPyType, LoihiProtocol, PyInPort, PyOutPort, implements, requires, tag
from .parameters import as_integer, refuse_unknown_keywords
from .ports import InPort, OutPort
from .synapses import weighted_sum
from .var import Var
from .weights import WEIGHT_BITS, SignMode, check_weight_options, truncate_weights

_OPTIONS = ("weight_exp", "num_weight_bits", "sign_mode", "rounding_seed")
_KEYWORDS = (
    "weights",
    "tag_1",
    "tag_2",
    "name",
    "num_message_bits",
    "log_config",
    "learning_rule",
    "graded_spike_cfg",
    *_OPTIONS,
)


class LearningDense(LearningConnectionProcess):
    """Dense connection whose weights change by a learning rule.

    As with `Dense`, ``a_out[t + 1] = weights @ s_in[t]``. At the end of every epoch of the rule's `t_epoch`
    time steps the rule changes `weights`, `tag_1` and `tag_2`; changed weights count from the next time step
    on.

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
    """

    def __init__(
        self,
        *,
        weights: Any,
        tag_2: Any = None,
        tag_1: Any = None,
        name: str | None = None,
        num_message_bits: int = 0,
        log_config: Any = None,
        learning_rule: LoihiLearningRule | None = None,
        graded_spike_cfg: GradedSpikeCfg = GradedSpikeCfg.USE_REGULAR_IMPULSE,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        refuse_unknown_keywords(self, kwargs, _OPTIONS, _KEYWORDS)
        weights = as_weight_matrix(weights, owner)
        check_rule(learning_rule, owner)
        check_learning_options({"graded_spike_cfg": graded_spike_cfg, **kwargs}, owner)
        exponent, bits = check_weight_options(
            owner,
            kwargs.get("weight_exp", 0),
            kwargs.get("num_weight_bits", WEIGHT_BITS),
            kwargs.get("sign_mode", SignMode.MIXED),
        )
        kwargs.update(weight_exp=exponent, num_weight_bits=bits)
        num_message_bits = as_integer(num_message_bits, f"{owner}.num_message_bits")
        if graded_spike_cfg is not GradedSpikeCfg.USE_REGULAR_IMPULSE:
            learning_rule = copy.copy(learning_rule)
            learning_rule.x1_impulse = 0.0
            if num_message_bits <= 0:
                warnings.warn(
                    f"{owner}: {graded_spike_cfg.name} needs payloads, but num_message_bits = "
                    f"{num_message_bits} makes spikes binary: x1 gets 0.5 per spike in floating point and 0 "
                    "in fixed point. Pass num_message_bits=8.",
                    LaharWarning,
                    stacklevel=3,  # past the metaclass
                )
        super().__init__(
            weights.shape,
            learning_rule,
            weights=weights,
            tag_2=tag_2,
            tag_1=tag_1,
            name=name,
            num_message_bits=num_message_bits,
            log_config=log_config,
            graded_spike_cfg=graded_spike_cfg,
            **kwargs,
        )
        num_post, num_pre = weights.shape
        self.s_in = InPort(shape=(num_pre,))
        self.a_out = OutPort(shape=(num_post,))
        self.weights = Var(shape=weights.shape, init=weights)
        self.a_buff = Var(shape=(num_post,), init=0)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)


class _LearningDenseStep:
    """The spike phase, the same for both numerics."""

    min_delay = 1

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        epoch = process.proc_params["learning_rule"].t_epoch
        return 10.0 + 2e-5 * process.weights.size + (60.0 + 4e-4 * process.weights.size) / epoch

    def on_build(self) -> None:
        super().on_build()
        self._note_buffer()

    def on_var_update(self) -> None:
        super().on_var_update()
        self._note_buffer()

    def _note_buffer(self) -> None:
        """Remember whether spikes are graded and the buffer is zero, so that silent steps cost little."""
        self._graded = self.num_message_bits.item() > 0
        self._silent = not self.a_buff.any()

    def run_spk(self) -> None:
        self.a_out.send(self.a_buff)
        spikes = self.s_in.recv()
        if np.count_nonzero(spikes):
            self.a_buff = self.activation(spikes)
            self._silent = False
        elif not self._silent:
            self.a_buff = np.zeros_like(self.a_buff)
            self._silent = True
        self.update_traces(spikes, self._graded)


@implements(proc=LearningDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLearningDenseModelFloat(_LearningDenseStep, LearningConnectionModelFloat):
    """Floating-point LearningDense: sums in float64, in ascending input index."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    weights: np.ndarray = LavaPyType(np.ndarray, float)
    a_buff: np.ndarray = LavaPyType(np.ndarray, float)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def activation(self, spikes: np.ndarray) -> np.ndarray:
        """Return the weighted sum of what was received."""
        return weighted_sum(self.weights.T, spikes, self._graded, np.float64)


@implements(proc=LearningDense, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_approximate_loihi", "fixed_pt")
class PyLearningDenseModelBitApproximate(_LearningDenseStep, LearningConnectionModelBitApproximate):
    """Fixed-point LearningDense.

    Spikes are summed in int64 and wrap when they are sent; graded inputs of int32 are multiplied, summed and
    shifted in int32.
    """

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)
    weights: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=16)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=5)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.weight_exp: int = self.proc_params.get("weight_exp", 0)
        self.num_weight_bits: int = self.proc_params.get("num_weight_bits", WEIGHT_BITS)

    def run_spk(self) -> None:
        if self.time_step == 1:
            self.weights[...] = truncate_weights(self.weights, self.sign_mode, self.num_weight_bits)
        super().run_spk()

    def activation(self, spikes: np.ndarray) -> np.ndarray:
        """Return the weighted sum of what was received, shifted by `weight_exp`."""
        dtype: Any = np.int64
        if self._graded:
            if spikes.dtype.kind not in "biu":
                raise DtypeError(
                    f"LearningDense '{self.process_name}' is fixed point and graded, but receives "
                    f"{spikes.dtype}: connect a sender with integer output, or run with floating_pt models."
                )
            if spikes.dtype.itemsize < 8 and spikes.dtype != np.uint32:
                dtype = np.int32
        total = weighted_sum(self.weights.T, spikes, self._graded, dtype)
        if self.weight_exp > 0:
            np.left_shift(total, self.weight_exp, out=total)
        elif self.weight_exp < 0:
            np.right_shift(total, -self.weight_exp, out=total)
        return total.astype(np.int64, copy=False)
