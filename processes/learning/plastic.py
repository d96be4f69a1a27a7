"""Synapses that carry spikes and learn: what LearningDense and LearningSparse have in common.

How weights are stored and added up is left to the two; the order of a time step, the arguments and the
numerics of the activation are here.
"""

from __future__ import annotations

import copy
import warnings
from typing import Any

import numpy as np

from ..errors import DtypeError, LaharWarning
from ..model import LavaPyType, PyInPort, PyOutPort
from ..overflow import OverflowWatch
from ..parameters import as_integer, refuse_unknown_keywords
from ..ports import InPort, OutPort
from ..var import Var
from ..weights import WEIGHT_BITS, SignMode, check_weight_options, in_blocks, truncate_weights
from .connection import (
    LearningConnectionModelBitApproximate,
    LearningConnectionModelFloat,
    LearningConnectionProcess,
    PyLearningConnection,
    check_learning_options,
    check_rule,
)
from .constants import GradedSpikeCfg
from .rule import LoihiLearningRule

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


class PlasticSynapses(LearningConnectionProcess):
    """Base of LearningDense and LearningSparse; see there for parameters, attributes and errors."""

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
        weights = self.as_weights(weights)
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
            tag_2=self.as_tag(tag_2, "tag_2", weights),
            tag_1=self.as_tag(tag_1, "tag_1", weights),
            name=name,
            num_message_bits=num_message_bits,
            log_config=log_config,
            graded_spike_cfg=graded_spike_cfg,
            **self.weight_params(weights),
            **kwargs,
        )
        num_post, num_pre = weights.shape
        self.s_in = InPort(shape=(num_pre,))
        self.a_out = OutPort(shape=(num_post,))
        self.weights = Var(shape=weights.shape, init=weights)
        self.a_buff = Var(shape=(num_post,), init=0)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)

    def as_weights(self, weights: Any) -> Any:
        """Return the weights as they are stored, or refuse them."""
        raise NotImplementedError

    def as_tag(self, tag: Any, name: str, weights: Any) -> Any:  # noqa: ARG002
        """Return the initial value of a tag as it is stored."""
        return tag

    def weight_params(self, weights: Any) -> dict[str, Any]:  # noqa: ARG002
        """Return what of the weights becomes `proc_params`."""
        return {}


class PlasticModel(PyLearningConnection):
    """The spike phase, the same for both numerics."""

    min_delay = 1

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=5)

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

    def activation(self, spikes: np.ndarray) -> np.ndarray:
        """Return the weighted sum of what was received."""
        raise NotImplementedError

    def weighted_sum(self, spikes: np.ndarray, dtype: Any) -> np.ndarray:
        """Return a new array with the sum of weights times spikes in `dtype`."""
        raise NotImplementedError


class PlasticModelFloat(PlasticModel, LearningConnectionModelFloat):
    """Floating point: sums in float64, in ascending input index."""

    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    a_buff: np.ndarray = LavaPyType(np.ndarray, float)

    def activation(self, spikes: np.ndarray) -> np.ndarray:
        return self.weighted_sum(spikes, np.float64)


class PlasticModelBitApproximate(PlasticModel, LearningConnectionModelBitApproximate):
    """Fixed point.

    Spikes are summed in int64 and wrap when they are sent; graded inputs of int32 are multiplied, summed and
    shifted in int32.
    """

    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=16)
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=16)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.weight_exp: int = self.proc_params.get("weight_exp", 0)
        self.num_weight_bits: int = self.proc_params.get("num_weight_bits", WEIGHT_BITS)
        self._watch = OverflowWatch(self._where, self.weight_exp)

    def _where(self) -> str:
        process_class = self.implements_process.__name__ if self.implements_process else "Connection"
        return f"{process_class} '{self.process_name}'"

    def on_var_update(self) -> None:
        super().on_var_update()
        self._watch.forget()

    def row_sum(self) -> int:
        """Return what the absolute weights of an output will not exceed together, whatever they learn."""
        values = self.weight_values()
        largest = max(1 << WEIGHT_BITS, int(values.max(initial=0)), -int(values.min(initial=0)))
        return largest * self.weights.shape[1]

    def run_spk(self) -> None:
        if self.time_step == 1:
            self.truncate_weights()
        super().run_spk()

    def truncate_weights(self) -> None:
        """Drop the bits of the initial weights that the hardware would not store; nothing is clipped."""
        for part in in_blocks(self.weight_values()):
            part[...] = truncate_weights(part, self.sign_mode, self.num_weight_bits)

    def weight_values(self) -> np.ndarray:
        """Return the weights as an array that may be written to; of a sparse matrix the entries."""
        return self.weights

    def activation(self, spikes: np.ndarray) -> np.ndarray:
        dtype: Any = np.int64
        if self._graded:
            if spikes.dtype.kind not in "biu":
                raise DtypeError(
                    f"{self._where()} is fixed point and graded, but receives "
                    f"{spikes.dtype}: connect a sender with integer output, or run with floating_pt models."
                )
            if spikes.dtype.itemsize < 8 and spikes.dtype != np.uint32:
                dtype = np.int32
        self._watch.look(spikes, self._graded, self.row_sum, lambda dtype: self.weighted_sum(spikes, dtype))
        total = self.weighted_sum(spikes, dtype)
        if self.weight_exp > 0:
            np.left_shift(total, self.weight_exp, out=total)
        elif self.weight_exp < 0:
            np.right_shift(total, -self.weight_exp, out=total)
        return total.astype(np.int64, copy=False)
