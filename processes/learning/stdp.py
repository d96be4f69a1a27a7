"""Ready-made learning rules: spike-timing-dependent plasticity and its reward-modulated form."""

from __future__ import annotations

import warnings
from typing import Any

from ..errors import LaharWarning, ValidationError
from .literals import float_to_literal
from .rule import Loihi2FLearningRule, Loihi3FLearningRule

CONVENTIONS = ("standard", "lava-0.5")
_DEFAULT_IMPULSE = 16


class STDPLoihi(Loihi2FLearningRule):
    """Pair-based spike-timing-dependent plasticity.

    ``dw = learning_rate * A_minus * x0 * y1 + learning_rate * A_plus * y0 * x1``: a presynaptic spike changes
    the weight by `A_minus` times the postsynaptic trace, a postsynaptic spike by `A_plus` times the
    presynaptic trace (Morrison, Diesmann, Gerstner 2008). Coefficients are written as literals of the chip
    (`float_to_literal`).

    Parameters
    ----------
    learning_rate, A_plus, A_minus : float
        Coefficients; usually ``A_minus < 0 < A_plus``.
    tau_plus, tau_minus : float
        Time constants of the pre- and the postsynaptic trace, in time steps.
    convention : {"standard", "lava-0.5"}
        ``"lava-0.5"`` swaps the roles of `A_plus` and `A_minus`, as release 0.5 of Lava had them: `A_plus`
        then belongs to presynaptic spikes.
    x1_impulse, y1_impulse : float
        Trace impulses, 16 by default.
    **kwargs
        Any other argument of `Loihi2FLearningRule` but `dw`, such as `t_epoch` and `rng_seed`.

    Attributes
    ----------
    learning_rate, A_plus, A_minus : str
        The literals used in the rule.
    tau_plus, tau_minus : float

    Raises
    ------
    ValidationError
        Unknown `convention`, or as for `LoihiLearningRule`.

    Warns
    -----
    LaharWarning
        ``A_plus < 0 < A_minus`` in the standard convention, which is what a script for Lava 0.5 looks like.

    Examples
    --------
    >>> from lahar.processes import STDPLoihi
    >>> rule = STDPLoihi(learning_rate=1, A_plus=1, A_minus=-2, tau_plus=10, tau_minus=20, t_epoch=4, rng_seed=0)
    >>> print(rule.dw_str)
    (1) * (-2) * x0 * y1 +(1) * (1) * y0 * x1
    >>> rule.x1_tau, rule.y1_tau, rule.x1_impulse
    (10, 20, 16)
    """

    def __init__(
        self,
        learning_rate: float,
        A_plus: float,
        A_minus: float,
        tau_plus: float,
        tau_minus: float,
        *,
        convention: str = "standard",
        **kwargs: Any,
    ) -> None:
        if convention not in CONVENTIONS:
            raise ValidationError(
                f"must be 'standard' or 'lava-0.5', got {convention!r}.", "STDPLoihi.convention"
            )
        self.learning_rate = float_to_literal(learning_rate, "STDPLoihi.learning_rate")
        self.A_plus = float_to_literal(A_plus, "STDPLoihi.A_plus")
        self.A_minus = float_to_literal(A_minus, "STDPLoihi.A_minus")
        if convention == "standard" and A_plus < 0 < A_minus:
            warnings.warn(
                f"A_plus = {A_plus:g} and A_minus = {A_minus:g} weaken synapses when the presynaptic neuron "
                "fires first (anti-Hebbian). If the script was written for Lava 0.5, where A_plus scaled the "
                'change at presynaptic spikes, pass convention="lava-0.5".',
                LaharWarning,
                stacklevel=2,
            )
        self.tau_plus = tau_plus
        self.tau_minus = tau_minus
        at_pre, at_post = self.A_minus, self.A_plus
        if convention == "lava-0.5":
            at_pre, at_post = at_post, at_pre
        rate = self.learning_rate
        super().__init__(
            dw=f"{rate} * {at_pre} * x0 * y1 +{rate} * {at_post} * y0 * x1",
            x1_impulse=kwargs.pop("x1_impulse", _DEFAULT_IMPULSE),
            x1_tau=tau_plus,
            y1_impulse=kwargs.pop("y1_impulse", _DEFAULT_IMPULSE),
            y1_tau=tau_minus,
            **kwargs,
        )


class RewardModulatedSTDP(Loihi3FLearningRule):
    """Reward-modulated STDP with an eligibility trace in `tag_1` (Fremaux & Gerstner 2016).

    ``dt = lr * A_minus * x0 * y1 + lr * A_plus * y0 * x1 - u0 * t * decay`` and ``dw = u0 * t * y2``: STDP
    fills the eligibility trace, and the reward that arrives as `y2` turns it into weight.

    Parameters
    ----------
    learning_rate, A_plus, A_minus : float
        STDP coefficients.
    pre_trace_decay_tau : float
        Time constant of x1 in time steps.
    post_trace_decay_tau, post_trace_kernel_magnitude : float
        Stored for the postsynaptic neuron, which computes y1.
    pre_trace_kernel_magnitude : float
        Impulse of x1.
    eligibility_trace_decay_tau : float
        Fraction of the eligibility trace lost per epoch (not a time constant).
    **kwargs
        `t_epoch`, `rng_seed`, `dd`, `x2_impulse`, `x2_tau` of `Loihi3FLearningRule`.

    Attributes
    ----------
    learning_rate, A_plus, A_minus, eligibility_trace_decay_tau : str
        The literals used in the rule.

    Raises
    ------
    ValidationError, RuleError, ArgumentTypeError
        As for `LoihiLearningRule`.

    Examples
    --------
    >>> from lahar.processes import RewardModulatedSTDP
    >>> rule = RewardModulatedSTDP(1, 2, -2, 10, 10, 16, 16, 0.5, rng_seed=0)
    >>> print(rule.dt_str)
    (1) * (-2) * x0 * y1 + (1) * (2) * y0 * x1 - u0 * t * (1) * 2 ^ -1
    >>> print(rule.dw_str.strip())
    u0 * t * y2
    """

    def __init__(
        self,
        learning_rate: float,
        A_plus: float,
        A_minus: float,
        pre_trace_decay_tau: float,
        post_trace_decay_tau: float,
        pre_trace_kernel_magnitude: float,
        post_trace_kernel_magnitude: float,
        eligibility_trace_decay_tau: float,
        **kwargs: Any,
    ) -> None:
        self.learning_rate = float_to_literal(learning_rate, "RewardModulatedSTDP.learning_rate")
        self.A_plus = float_to_literal(A_plus, "RewardModulatedSTDP.A_plus")
        self.A_minus = float_to_literal(A_minus, "RewardModulatedSTDP.A_minus")
        self.pre_trace_decay_tau = pre_trace_decay_tau
        self.post_trace_decay_tau = post_trace_decay_tau
        self.pre_trace_kernel_magnitude = pre_trace_kernel_magnitude
        self.post_trace_kernel_magnitude = post_trace_kernel_magnitude
        self.eligibility_trace_decay_tau = float_to_literal(
            eligibility_trace_decay_tau, "RewardModulatedSTDP.eligibility_trace_decay_tau"
        )
        rate = self.learning_rate
        super().__init__(
            dw=" u0 * t * y2 ",
            dt=f"{rate} * {self.A_minus} * x0 * y1 + {rate} * {self.A_plus} * y0 * x1 "
            f"- u0 * t * {self.eligibility_trace_decay_tau}",
            x1_impulse=pre_trace_kernel_magnitude,
            x1_tau=pre_trace_decay_tau,
            **kwargs,
        )
