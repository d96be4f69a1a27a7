"""Names and bit widths of the Loihi learning engine (Davies et al. 2018).

The names of a rule string: dependencies ``x0`` (presynaptic spike), ``y0`` (postsynaptic spike) and ``u``
(every 2^k-th epoch), traces ``x1 x2 y1 y2 y3``, synaptic variables ``w`` (weight), ``d`` (`tag_2`, the
delay variable of the chip) and ``t`` (`tag_1`).
"""

from __future__ import annotations

from enum import IntEnum

PRE_TRACES = ("x1", "x2")
POST_TRACES = ("y1", "y2", "y3")
TRACES = PRE_TRACES + POST_TRACES
SPIKE_DEPENDENCIES = ("x0", "y0")
DEPENDENCIES = ("x0", "y0", "u")
SYNAPTIC_VARIABLES = ("w", "d", "t")
FACTOR_STATE_VARS = (*SPIKE_DEPENDENCIES, *TRACES, *SYNAPTIC_VARIABLES, "C")
LEARNING_RULE_TARGETS = ("dw", "dd", "dt")

SYNAPTIC_VARIABLE_VAR_MAPPING = {"w": "weights", "d": "tag_2", "t": "tag_1"}
"""Name in a rule string -> name of the Var."""

W_EPOCH_TIME = 6
W_WEIGHTS_U = W_TAG_1_U = W_TAG_2_U = 8
W_WEIGHTS_S = W_TAG_1_S = W_TAG_2_S = 9
W_SYN_VAR_U = {"weights": W_WEIGHTS_U, "tag_2": W_TAG_2_U, "tag_1": W_TAG_1_U}
W_SYN_VAR_S = {"weights": W_WEIGHTS_S, "tag_2": W_TAG_2_S, "tag_1": W_TAG_1_S}
W_TRACE = 7
W_TRACE_FRACTIONAL_PART = 8
W_CONST = 8
W_S_MANT = 4
W_ACCUMULATOR_U = 15
W_ACCUMULATOR_S = 16

FACTOR_TO_WIDTH_DICT = {
    **dict.fromkeys(SPIKE_DEPENDENCIES, 1),
    **dict.fromkeys(TRACES, W_TRACE),
    **dict.fromkeys(SYNAPTIC_VARIABLES, 9),
    "C": W_CONST,
}
"""Bits that each factor occupies in the fixed-point multiplier (signs come on top)."""

DEP_TO_IDX_DICT = {"x0": 0, "y0": 1, "u": 2}
TRACE_TO_IDX_DICT = {"x1": 0, "x2": 1, "y1": 0, "y2": 1, "y3": 2}

TRACE_MAX = 2**W_TRACE - 1
EPOCH_MAX = 2**W_EPOCH_TIME - 1


class GradedSpikeCfg(IntEnum):
    """What the payload of a graded presynaptic spike does to the trace ``x1``.

    In all modes but the first, half the payload takes the place of `x1_impulse`.

    Attributes
    ----------
    USE_REGULAR_IMPULSE
        Nothing: every spike adds `x1_impulse`.
    OVERWRITE
        ``x1`` becomes half the payload.
    ADD_WITH_SATURATION
        Half the payload is added; fixed point saturates at 127.
    ADD_WITHOUT_SATURATION
        Half the payload is added; in fixed point the trace wraps around, and only a wrap counts as a spike.
    """

    USE_REGULAR_IMPULSE = 0
    OVERWRITE = 1
    ADD_WITH_SATURATION = 2
    ADD_WITHOUT_SATURATION = 3
