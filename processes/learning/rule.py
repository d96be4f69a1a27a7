"""Learning rules: what changes a connection, given as strings and trace parameters."""

from __future__ import annotations

import math
import numbers
import warnings
from typing import Any

import numpy as np

from ..errors import ArgumentTypeError, LaharWarning, ValidationError
from .constants import EPOCH_MAX, LEARNING_RULE_TARGETS, TRACE_MAX, TRACES
from .products import ProductSeries
from .rule_string import common_decimate_exponent, parse_rule

INFINITE_TAU = 65535
"""Time constant that stands for "does not decay" in three-factor rules."""


class _NonNegative:
    """A number >= 0, checked on every assignment."""

    def __init__(self, infinite: bool) -> None:
        self.infinite = infinite

    def __set_name__(self, owner: type, name: str) -> None:
        self.name, self.slot = name, f"_{name}"

    def __get__(self, rule: Any, owner: type | None = None) -> Any:
        return self if rule is None else getattr(rule, self.slot)

    def __set__(self, rule: Any, value: Any) -> None:
        where = f"{type(rule).__name__}.{self.name}"
        if not isinstance(value, numbers.Real):
            raise ArgumentTypeError(f"{where}: expected a number, got {type(value).__name__}.")
        if math.isnan(value) or value < 0 or (math.isinf(value) and not self.infinite):
            raise ValidationError(f"must be a number >= 0, got {value}.", where)
        setattr(rule, self.slot, value)


class LoihiLearningRule:
    """Learning rule of the Loihi learning engine (Davies et al. 2018).

    At the end of every epoch of `t_epoch` time steps, each synapse is changed by a sum of products of spikes,
    traces and synaptic variables, given as strings such as ``"2^-1*x0*y1 - y0*x1"``. In time step t a trace is::

        x1 = x1 * exp(-1 / x1_tau);  x1 = x1 + x1_impulse where a presynaptic spike arrives

    Parameters
    ----------
    dw, dd, dt : str, optional
        Increment per epoch of the weight, of `tag_2` and of `tag_1`; at least one.
    x1_impulse, x2_impulse, y1_impulse, y2_impulse, y3_impulse : float
        Added to the trace at each presynaptic (x) or postsynaptic (y) spike; >= 0.
    x1_tau, x2_tau, y1_tau, y2_tau, y3_tau : float
        Time constants in time steps; 0 is full decay, ``inf`` none.
    t_epoch : int
        Length of an epoch in time steps, >= 1.
    rng_seed : int, optional
        Base seed of the fixed-point engine, >= 0. None: drawn from numpy's global state, so that
        ``np.random.seed`` makes runs repeatable.

    Attributes
    ----------
    dw, dd, dt : ProductSeries or None
        The parsed rules.
    active_product_series : dict of str to ProductSeries
        The rules that are given, in the order dw, dd, dt.
    decimate_exponent : int or None
        k of the ``uk`` in the rules.

    Raises
    ------
    ValidationError
        No rule at all, or a parameter outside its range.
    RuleError
        A string is no rule, or two different ``uk`` are used.
    ArgumentTypeError
        A rule is not a string or a parameter is not a number.

    Warns
    -----
    LaharWarning
        `t_epoch` or an impulse exceed what the chip can hold (63 and 127); simulation goes on.

    Examples
    --------
    >>> from lahar.processes import LoihiLearningRule
    >>> rule = LoihiLearningRule(dw="2^-1*x0*y1 - y0*x1", dt="u2*x1", x1_impulse=16, x1_tau=10, rng_seed=0)
    >>> print(rule.dw)
    dw = 1 * 2^-1 * x0 * y1 + -1 * 2^0 * y0 * x1
    >>> rule.decimate_exponent
    2
    """

    x1_impulse = _NonNegative(infinite=False)
    x1_tau = _NonNegative(infinite=True)
    x2_impulse = _NonNegative(infinite=False)
    x2_tau = _NonNegative(infinite=True)
    y1_impulse = _NonNegative(infinite=False)
    y1_tau = _NonNegative(infinite=True)
    y2_impulse = _NonNegative(infinite=False)
    y2_tau = _NonNegative(infinite=True)
    y3_impulse = _NonNegative(infinite=False)
    y3_tau = _NonNegative(infinite=True)

    def __init__(
        self,
        dw: str | None = None,
        dd: str | None = None,
        dt: str | None = None,
        x1_impulse: float = 0.0,
        x1_tau: float = 0.0,
        x2_impulse: float = 0.0,
        x2_tau: float = 0.0,
        y1_impulse: float = 0.0,
        y1_tau: float = 0.0,
        y2_impulse: float = 0.0,
        y2_tau: float = 0.0,
        y3_impulse: float = 0.0,
        y3_tau: float = 0.0,
        t_epoch: int = 1,
        rng_seed: int | None = None,
    ) -> None:
        strings = {"dw": dw, "dd": dd, "dt": dt}
        _check_strings(strings)
        self.x1_impulse, self.x1_tau = x1_impulse, x1_tau
        self.x2_impulse, self.x2_tau = x2_impulse, x2_tau
        self.y1_impulse, self.y1_tau = y1_impulse, y1_tau
        self.y2_impulse, self.y2_tau = y2_impulse, y2_tau
        self.y3_impulse, self.y3_tau = y3_impulse, y3_tau
        self.t_epoch = t_epoch
        # upper bound excluded, and drawn for every rule, whether its numerics need it or not
        self.rng_seed = int(np.random.randint(1, 2**31 - 1)) if rng_seed is None else rng_seed  # noqa: NPY002
        self.set_rules(**strings)
        self._warn_beyond_hardware()

    # --- rules ------------------------------------------------------------------------------

    def set_rules(self, dw: str | None = None, dd: str | None = None, dt: str | None = None) -> None:
        """Replace all three rule strings at once; on an error nothing changes.

        Parameters
        ----------
        dw, dd, dt : str, optional
            At least one.

        Raises
        ------
        ValidationError, RuleError, ArgumentTypeError
            As for the constructor.
        """
        strings = {"dw": dw, "dd": dd, "dt": dt}
        _check_strings(strings)
        decimate_exponent = common_decimate_exponent(strings)
        series = {target: parse_rule(target, text) for target, text in strings.items() if text is not None}
        self._strings, self._series, self._decimate_exponent = strings, series, decimate_exponent

    dw_str = property(
        lambda self: self._strings["dw"],
        lambda self, text: self.set_rules(**{**self._strings, "dw": text}),
        doc="Rule of the weight as a string, or None; settable.",
    )
    dd_str = property(
        lambda self: self._strings["dd"],
        lambda self, text: self.set_rules(**{**self._strings, "dd": text}),
        doc="Rule of `tag_2` as a string, or None; settable.",
    )
    dt_str = property(
        lambda self: self._strings["dt"],
        lambda self, text: self.set_rules(**{**self._strings, "dt": text}),
        doc="Rule of `tag_1` as a string, or None; settable.",
    )

    @property
    def dw(self) -> ProductSeries | None:
        return self._series.get("dw")

    @property
    def dd(self) -> ProductSeries | None:
        return self._series.get("dd")

    @property
    def dt(self) -> ProductSeries | None:
        return self._series.get("dt")

    @property
    def decimate_exponent(self) -> int | None:
        return self._decimate_exponent

    @property
    def active_product_series(self) -> dict[str, ProductSeries]:
        return {target: self._series[target] for target in LEARNING_RULE_TARGETS if target in self._series}

    @property
    def active_traces_per_dependency(self) -> dict[str, set[str]]:
        """Traces read under each dependency in use, over all rules."""
        active: dict[str, set[str]] = {}
        for series in self.active_product_series.values():
            for dependency, traces in series.active_traces_per_dependency.items():
                active.setdefault(dependency, set()).update(traces)
        return active

    @property
    def active_traces(self) -> set[str]:
        """Traces read by any rule."""
        return set().union(*self.active_traces_per_dependency.values())

    # --- parameters -------------------------------------------------------------------------

    @property
    def t_epoch(self) -> int:
        return self._t_epoch

    @t_epoch.setter
    def t_epoch(self, value: int) -> None:
        self._t_epoch = _whole(value, 1, f"{type(self).__name__}.t_epoch", "time steps")

    @property
    def rng_seed(self) -> int:
        return self._rng_seed

    @rng_seed.setter
    def rng_seed(self, value: int) -> None:
        self._rng_seed = _whole(value, 0, f"{type(self).__name__}.rng_seed", "a seed")

    def _warn_beyond_hardware(self) -> None:
        large = [f"{t}_impulse = {v:g}" for t in TRACES if (v := getattr(self, f"{t}_impulse")) > TRACE_MAX]
        if large:
            warnings.warn(
                f"{', '.join(large)}: traces end at {TRACE_MAX} on the chip and in fixed point.",
                LaharWarning,
                stacklevel=3,
            )
        if self.t_epoch > EPOCH_MAX:
            warnings.warn(
                f"t_epoch = {self.t_epoch}: the chip has epochs of at most {EPOCH_MAX} time steps; "
                "simulation has no limit.",
                LaharWarning,
                stacklevel=3,
            )

    def __repr__(self) -> str:
        rules = ", ".join(f"{target}={text!r}" for target, text in self._strings.items() if text is not None)
        return f"{type(self).__name__}({rules}, t_epoch={self.t_epoch}, rng_seed={self.rng_seed})"


class Loihi2FLearningRule(LoihiLearningRule):
    """Two-factor rule: the connection computes the postsynaptic traces from postsynaptic spikes.

    Traces decay as ``x1 = x1 * exp(-1 / x1_tau)`` and grow by their impulse at each spike (Morrison, Diesmann,
    Gerstner 2008; Davies et al. 2018).

    Parameters
    ----------
    dw, dd, dt : str, optional
        Rule strings, at least one.
    x1_impulse, x1_tau, x2_impulse, x2_tau : float
        Presynaptic traces.
    y1_impulse, y1_tau, y2_impulse, y2_tau, y3_impulse, y3_tau : float
        Postsynaptic traces.
    t_epoch, rng_seed : int
        See `LoihiLearningRule`, also for attributes and warnings.

    Raises
    ------
    ValidationError, RuleError, ArgumentTypeError
        As for `LoihiLearningRule`.

    Examples
    --------
    Oja's rule: the weight grows with the product of both traces, and decays.

    >>> from lahar.processes import LearningDense, Loihi2FLearningRule, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> rule = Loihi2FLearningRule(dw="y0*x1 - y0*w*2^-3", x1_impulse=16, x1_tau=5, rng_seed=0)
    >>> pre, post = SourceRingBuffer(data=[[1]]), SourceRingBuffer(data=[[1]])
    >>> synapses = LearningDense(weights=[[8]], learning_rule=rule)
    >>> pre.s_out.connect(synapses.s_in)
    >>> post.s_out.connect(synapses.s_in_bap)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(synapses.weights.get())
    [[23.]]
    """


class Loihi3FLearningRule(LoihiLearningRule):
    """Three-factor rule: the postsynaptic traces y1, y2, y3 arrive from the postsynaptic neuron.

    The connection takes ``y1 = s_in_y1``, ``y2 = s_in_y2`` and ``y3 = s_in_y3`` in every time step; presynaptic
    traces are computed as for `LoihiLearningRule`. Fremaux & Gerstner 2016.

    Parameters
    ----------
    dw, dd, dt : str, optional
        Rule strings, at least one.
    x1_impulse, x1_tau, x2_impulse, x2_tau : float
        Presynaptic traces, as for `LoihiLearningRule`.
    t_epoch : int
        Length of an epoch in time steps.
    rng_seed : int, optional
        Base seed of the fixed-point engine.

    Raises
    ------
    ValidationError, RuleError, ArgumentTypeError
        As for `LoihiLearningRule`.

    Examples
    --------
    >>> from lahar.processes import LearningDense, Loihi3FLearningRule, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> rule = Loihi3FLearningRule(dw="u0*y2", rng_seed=0)
    >>> reward, synapses = SourceRingBuffer(data=[[3, -1]]), LearningDense(weights=[[8]], learning_rule=rule)
    >>> reward.s_out.connect(synapses.s_in_y2)
    >>> with synapses:
    ...     synapses.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(synapses.weights.get().round(2))
    [[10.]]
    """

    def __init__(
        self,
        dw: str | None = None,
        dd: str | None = None,
        dt: str | None = None,
        x1_impulse: float = 0.0,
        x1_tau: float = 0.0,
        x2_impulse: float = 0.0,
        x2_tau: float = 0.0,
        t_epoch: int = 1,
        rng_seed: int | None = None,
    ) -> None:
        super().__init__(
            dw=dw,
            dd=dd,
            dt=dt,
            x1_impulse=x1_impulse,
            x1_tau=x1_tau,
            x2_impulse=x2_impulse,
            x2_tau=x2_tau,
            y1_tau=INFINITE_TAU,
            y2_tau=INFINITE_TAU,
            y3_tau=INFINITE_TAU,
            t_epoch=t_epoch,
            rng_seed=rng_seed,
        )


def _check_strings(strings: dict[str, str | None]) -> None:
    for target, text in strings.items():
        if text is not None and not isinstance(text, str):
            raise ArgumentTypeError(f"{target}: a rule is a string or None, not {type(text).__name__}.")
    if all(text is None for text in strings.values()):
        raise ValidationError("A learning rule needs at least one of dw, dd and dt.")
    common_decimate_exponent(strings)


def _whole(value: Any, smallest: int, where: str, what: str) -> int:
    if not isinstance(value, numbers.Real):
        raise ArgumentTypeError(f"{where}: expected a whole number, got {type(value).__name__}.")
    if not math.isfinite(value) or value != int(value) or value < smallest:
        raise ValidationError(f"must be {what} as a whole number >= {smallest}, got {value}.", where)
    return int(value)
