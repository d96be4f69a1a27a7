"""Connections that learn: the Process and the model bases that hold traces and apply the rule.

A time step has two parts. In the spike phase, `update_traces` takes note of pre- and postsynaptic spikes; in
the learning phase, at the end of every epoch, traces are brought up to date and the rule changes weights and
tags. How spikes become activation is left to the subclasses.
"""

from __future__ import annotations

import copy
from typing import Any

import numpy as np

from ..errors import ArgumentTypeError, DtypeError, ShapeError, ValidationError
from ..model import LavaPyType, PyInPort, PyLoihiProcessModel
from ..ports import InPort
from ..process import AbstractProcess
from ..var import Var
from ..weights import SignMode, in_blocks
from .constants import PRE_TRACES, TRACE_MAX, TRACES, GradedSpikeCfg
from .random import ConnVarRandom, TraceRandom
from .rule import Loihi3FLearningRule, LoihiLearningRule
from .rule_fixed import FRACTION_BITS, FixedRuleUpdate
from .rule_float import FloatRuleUpdate
from .rule_update import Matrices, RuleUpdate
from .traces import (
    History,
    TraceDynamics,
    TraceLayout,
    evolve_fixed,
    evolve_float,
    split_impulse,
    whole_impulse,
)

_SIGN_MODES = (SignMode.MIXED, SignMode.EXCITATORY, SignMode.INHIBITORY)
_RULE_VARS = tuple(f"{trace}_{what}" for trace in TRACES for what in ("tau", "impulse"))
_PAYLOAD_MAX = 255
_NO_IMPULSES = np.zeros(len(TRACES))


class LearningConnectionProcess(AbstractProcess):
    """Base of Processes whose synapses learn.

    Davies et al., "Loihi: a neuromorphic manycore processor with on-chip learning" (2018).

    Parameters
    ----------
    shape : tuple of int
        (post, pre)
    learning_rule : LoihiLearningRule
        Copied by the model: changing the object after the network has been started has no effect. A
        `Loihi3FLearningRule` takes its postsynaptic traces from `s_in_y1`, `s_in_y2`, `s_in_y3`; with any
        other rule the connection computes them from the spikes at `s_in_bap`.
    tag_1, tag_2 : array_like, shape (post, pre), optional
        Initial tags, 0 by default.
    **kwargs
        Further `proc_params`.

    Attributes
    ----------
    s_in_bap : InPort, shape (post,)
        Back-propagating action potentials: spikes of the postsynaptic neurons.
    s_in_y1, s_in_y2, s_in_y3 : InPort, shape (post,)
        Postsynaptic traces of a three-factor rule.
    x0, tx, x1, x2 : Var, shape (pre,)
        Flags, times of the last spike in the epoch, and traces of the presynaptic neurons.
    y0, ty, y1, y2, y3 : Var, shape (post,)
        The same of the postsynaptic neurons.
    tag_1, tag_2 : Var, shape (post, pre)
        Synaptic variables ``t`` and ``d`` of the rule strings.
    dw, dd, dt : Var
        The rule strings, or None. Setting one activates it.
    x1_tau, x1_impulse, x2_tau, x2_impulse : Var, shape (1,)
    y1_tau, y1_impulse, y2_tau, y2_impulse, y3_tau, y3_impulse : Var, shape (1,)
        Parameters of the rule.

    Raises
    ------
    ValidationError
        `learning_rule` is None, or an option cannot work.
    ArgumentTypeError
        `learning_rule` is not a learning rule.
    ShapeError
        A tag does not have the shape of the connection.
    """

    def __init__(self, shape: tuple[int, ...], learning_rule: LoihiLearningRule, **kwargs: Any) -> None:
        owner = type(self).__name__
        check_rule(learning_rule, owner)
        check_learning_options(kwargs, owner)
        super().__init__(shape=shape, learning_rule=learning_rule, **kwargs)
        self._learning_rule = learning_rule
        num_post, num_pre = shape[0], shape[-1]
        self.s_in_bap = InPort(shape=(num_post,))
        self.s_in_y1 = InPort(shape=(num_post,))
        self.s_in_y2 = InPort(shape=(num_post,))
        self.s_in_y3 = InPort(shape=(num_post,))
        self.x0 = Var(shape=(num_pre,), init=0)
        self.tx = Var(shape=(num_pre,), init=0)
        self.x1 = Var(shape=(num_pre,), init=0)
        self.x2 = Var(shape=(num_pre,), init=0)
        self.y0 = Var(shape=(num_post,), init=0)
        self.ty = Var(shape=(num_post,), init=0)
        self.y1 = Var(shape=(num_post,), init=0)
        self.y2 = Var(shape=(num_post,), init=0)
        self.y3 = Var(shape=(num_post,), init=0)
        self.tag_1 = Var(shape=shape, init=_initial_tag(kwargs.get("tag_1"), shape, f"{owner}.tag_1"))
        self.tag_2 = Var(shape=shape, init=_initial_tag(kwargs.get("tag_2"), shape, f"{owner}.tag_2"))
        # the shape of a string Var is a formality; strings may be of any length
        self.dw = Var(shape=(256,), init=learning_rule.dw_str)
        self.dd = Var(shape=(256,), init=learning_rule.dd_str)
        self.dt = Var(shape=(256,), init=learning_rule.dt_str)
        for name in _RULE_VARS:
            setattr(self, name, Var(shape=(1,), init=getattr(learning_rule, name)))


def check_rule(rule: Any, owner: str) -> None:
    """Refuse anything but a learning rule.

    Raises
    ------
    ValidationError, ArgumentTypeError
        `rule` is None, or something else that is no rule.
    """
    if rule is None:
        raise ValidationError("is None: pass a rule such as STDPLoihi(...).", f"{owner}.learning_rule")
    if not isinstance(rule, LoihiLearningRule):
        raise ArgumentTypeError(
            f"{owner}.learning_rule: expected a learning rule such as STDPLoihi, not {type(rule).__name__}."
        )


def check_learning_options(options: Any, owner: str) -> None:
    """Refuse values of `sign_mode`, `graded_spike_cfg` and `rounding_seed` that no model could use.

    Raises
    ------
    ValidationError, ArgumentTypeError
        The first option that cannot work.
    """
    sign_mode = options.get("sign_mode", SignMode.MIXED)
    if sign_mode not in _SIGN_MODES:
        expected = ", ".join(map(str, _SIGN_MODES))
        raise ValidationError(f"must be one of {expected}, not {sign_mode!r}.", f"{owner}.sign_mode")
    cfg = options.get("graded_spike_cfg", GradedSpikeCfg.USE_REGULAR_IMPULSE)
    if not isinstance(cfg, GradedSpikeCfg):
        raise ArgumentTypeError(f"{owner}.graded_spike_cfg must be a GradedSpikeCfg, not {cfg!r}.")
    seed = options.get("rounding_seed", 2)
    if isinstance(seed, bool) or not isinstance(seed, (int, np.integer)):
        raise ArgumentTypeError(f"{owner}.rounding_seed must be an integer, not {seed!r}.")
    if seed < 0:
        raise ValidationError(f"must not be negative, got {seed}.", f"{owner}.rounding_seed")


def _initial_tag(tag: Any, shape: tuple[int, ...], where: str) -> Any:
    if tag is None:
        return 0
    found = tag.shape if hasattr(tag, "shape") else np.shape(tag)
    if found not in ((), shape):
        raise ShapeError(f"{where} must have the shape {shape} of the connection, not {found}.")
    if hasattr(tag, "tocsr"):  # made by the connection
        return tag
    return tag.copy() if hasattr(tag, "copy") else tag


class PyLearningConnection(PyLoihiProcessModel):
    """What all models of learning connections share, whatever their numerics.

    Subclasses hold ``weights`` and call `update_traces` in every `run_spk`, after sending and receiving.

    Attributes
    ----------
    sign_mode : SignMode
    graded_spike_cfg : GradedSpikeCfg
    """

    s_in_bap: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)
    x0: np.ndarray = LavaPyType(np.ndarray, bool)
    tx: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=6)
    y0: np.ndarray = LavaPyType(np.ndarray, bool)
    ty: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=6)
    dw: str | None = LavaPyType(str, str)
    dd: str | None = LavaPyType(str, str)
    dt: str | None = LavaPyType(str, str)
    x1_tau: np.ndarray = LavaPyType(np.ndarray, float)
    x1_impulse: np.ndarray = LavaPyType(np.ndarray, float)
    x2_tau: np.ndarray = LavaPyType(np.ndarray, float)
    x2_impulse: np.ndarray = LavaPyType(np.ndarray, float)
    y1_tau: np.ndarray = LavaPyType(np.ndarray, float)
    y1_impulse: np.ndarray = LavaPyType(np.ndarray, float)
    y2_tau: np.ndarray = LavaPyType(np.ndarray, float)
    y2_impulse: np.ndarray = LavaPyType(np.ndarray, float)
    y3_tau: np.ndarray = LavaPyType(np.ndarray, float)
    y3_impulse: np.ndarray = LavaPyType(np.ndarray, float)

    weights: Any

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        rule = self.proc_params["learning_rule"]
        check_rule(rule, type(self).__name__)
        check_learning_options(self.proc_params, type(self).__name__)
        self._learning_rule = copy.copy(rule)
        self._three_factor = isinstance(rule, Loihi3FLearningRule)
        self.sign_mode: SignMode = self.proc_params.get("sign_mode", SignMode.MIXED)
        self.graded_spike_cfg: GradedSpikeCfg = self.proc_params.get(
            "graded_spike_cfg", GradedSpikeCfg.USE_REGULAR_IMPULSE
        )
        self._regular = self.graded_spike_cfg is GradedSpikeCfg.USE_REGULAR_IMPULSE

    # --- set-up -----------------------------------------------------------------------------

    def on_build(self) -> None:
        super().on_build()
        if not self._three_factor:
            for port in (self.s_in_y1, self.s_in_y2, self.s_in_y3):
                if port.csp_ports:
                    raise ValidationError(
                        f"is connected, but {type(self._learning_rule).__name__} computes its postsynaptic "
                        "traces itself: use a Loihi3FLearningRule, or remove the connection.",
                        port.name,
                    )
        self.layout_matrices()
        self._layout = TraceLayout(len(self.tx), len(self.ty))
        self._adopt(self._rule_of_vars())

    def on_var_update(self) -> None:
        """Rebuild everything that is derived from Vars; if a value is illegal, nothing changes."""
        super().on_var_update()
        rule = self._rule_of_vars()
        self.layout_matrices()
        self._adopt(rule)

    def _rule_of_vars(self) -> LoihiLearningRule:
        """Return a rule with what the Vars say, which is how it was given unless they were set."""
        rule = copy.copy(self._learning_rule)
        strings = {name: _text(getattr(self, name)) for name in ("dw", "dd", "dt")}
        if strings != {name: getattr(rule, f"{name}_str") for name in strings}:
            rule.set_rules(**strings)
        for name in _RULE_VARS:
            setattr(rule, name, getattr(self, name).item())
        for name in ("tx", "ty"):
            times = getattr(self, name)
            if times.size and not (times.min() >= 0 and times.max() <= rule.t_epoch):
                raise ValidationError(
                    f"holds time steps within the epoch, 0 to {rule.t_epoch}.", f"{self.process_name}.{name}"
                )
        return rule

    def layout_matrices(self) -> None:
        """Keep the synapses of one presynaptic neuron together in memory."""
        for name in ("weights", "tag_1", "tag_2"):
            setattr(self, name, _by_pre(getattr(self, name)))

    def _adopt(self, rule: LoihiLearningRule) -> None:
        update = self.compile_rule(rule)
        impulses = [getattr(rule, f"{trace}_impulse") for trace in TRACES]
        taus = [getattr(rule, f"{trace}_tau") for trace in TRACES]
        self._learning_rule, self._update, self._impulses = rule, update, impulses
        self._dynamics = TraceDynamics(self._layout, rule.t_epoch, taus, rule.active_traces)
        self._t_epoch = rule.t_epoch
        # values that came from outside may lie beyond the limits of their Var
        self._settled = False

    def compile_rule(self, rule: LoihiLearningRule) -> RuleUpdate:
        """Return the rule in the numerics of this model."""
        raise NotImplementedError

    # --- spike phase ------------------------------------------------------------------------

    def update_traces(self, spikes: np.ndarray, graded: bool) -> None:
        """Take note of presynaptic spikes, then receive the postsynaptic side.

        Parameters
        ----------
        spikes : ndarray, shape (pre,)
            What was received; an element that is not zero is a spike.
        graded : bool
            Whether the elements are payloads; else every spike has the payload 1.
        """
        position = (self.time_step - 1) % self._t_epoch + 1
        if self._regular:
            active = spikes.nonzero()[0]
            if len(active):
                again = active[self.tx[active] > 0]
                if len(again):
                    self.x1[again] = self.plus_impulse(self.x1[again], 0)
                    self.x2[again] = self.plus_impulse(self.x2[again], 1)
                self.tx[active] = position
        else:
            self._graded_pre_spikes(spikes, graded, position)
        active = self.s_in_bap.recv().nonzero()[0]
        if self._three_factor:
            y1, y2, y3 = self.s_in_y1.recv(), self.s_in_y2.recv(), self.s_in_y3.recv()
        if len(active):
            again = active[self.ty[active] > 0]
            if len(again) and not self._three_factor:
                random = self.post_impulse_random()
                for number, trace in enumerate((self.y1, self.y2, self.y3), len(PRE_TRACES)):
                    trace[again] = self.plus_impulse(trace[again], number, random)
            self.y0[active] = True
            self.ty[active] = position
        if self._three_factor:
            self.y1[...] = y1
            self.y2[...] = y2
            self.y3[...] = y3

    def _graded_pre_spikes(self, spikes: np.ndarray, graded: bool, position: int) -> None:
        spiked = spikes != 0
        again = spiked & (self.tx > 0)
        late = self.plus_payload(spikes if graded else spiked, spiked)
        if late is not None:
            spiked = spiked & late
            again = again & late
        if again.any():
            self.x2[again] = self.plus_impulse(self.x2[again], 1)
        self.tx[spiked] = position

    def plus_impulse(self, values: np.ndarray, trace: int, random: int = 0) -> np.ndarray:
        """Return trace values plus the impulse of trace number 0 (x1) to 4 (y3)."""
        raise NotImplementedError

    def plus_payload(self, payload: np.ndarray, spiked: np.ndarray) -> np.ndarray | None:
        """Change x1 by half the payload; return where a spike counts as such, None for everywhere."""
        raise NotImplementedError

    def post_impulse_random(self) -> int:
        """Return the random number for impulses of postsynaptic spikes in the spike phase."""
        return 0

    # --- learning phase ---------------------------------------------------------------------

    def lrn_guard(self) -> bool:
        return self.time_step % self._t_epoch == 0

    def run_lrn(self) -> None:
        history = History(self._layout, self.tx, self.ty)
        traces = self._layout.gather([self.x1, self.x2, self.y1, self.y2, self.y3])
        self.evolve_traces(history, traces)
        place = self._layout.place
        for name in PRE_TRACES if self._three_factor else TRACES:
            getattr(self, name)[...] = traces[place[name]]
        self.apply_rule(history, self.time_step // self._t_epoch)
        if len(history.pre):
            self.tx[...] = 0
        if len(history.post):
            self.ty[...] = 0
            self.y0[...] = False

    def evolve_traces(self, history: History, traces: np.ndarray) -> None:
        """Bring `traces` to the end of the epoch and fill `history`."""
        raise NotImplementedError

    def apply_rule(self, history: History, epoch: int) -> None:
        """Change weights and tags at the end of epoch 1, 2, ..."""
        with_u = self._update.u_is_on(epoch)
        everything = not self._settled and not self._update.settled(self.synaptic_values())
        self._settled = True
        if everything or with_u or len(history.pre) or len(history.post):
            self.update_synapses(history, with_u, everything)

    def synaptic_values(self) -> Matrices:
        """Return weights and tags, transposed to (pre, post)."""
        return {"weights": self.weights.T, "tag_1": self.tag_1.T, "tag_2": self.tag_2.T}

    def update_synapses(self, history: History, with_u: bool, everything: bool) -> None:
        """Let the rule change weights and tags; see `RuleUpdate.apply`."""
        self._update.apply(self.synaptic_values(), history, with_u, everything)


class LearningConnectionModelFloat(PyLearningConnection):
    """Base of floating-point models of learning connections."""

    s_in_y1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in_y2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_in_y3: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    x1: np.ndarray = LavaPyType(np.ndarray, float)
    x2: np.ndarray = LavaPyType(np.ndarray, float)
    y1: np.ndarray = LavaPyType(np.ndarray, float)
    y2: np.ndarray = LavaPyType(np.ndarray, float)
    y3: np.ndarray = LavaPyType(np.ndarray, float)
    tag_1: np.ndarray = LavaPyType(np.ndarray, float)
    tag_2: np.ndarray = LavaPyType(np.ndarray, float)

    def on_build(self) -> None:
        super().on_build()
        if self.graded_spike_cfg >= GradedSpikeCfg.ADD_WITH_SATURATION:
            self.log.warning(
                "%s: %s in floating point: x1 does not saturate, x2 is not affected, and every spike counts "
                "as x0.",
                self.process_name,
                self.graded_spike_cfg.name,
            )

    def _adopt(self, rule: LoihiLearningRule) -> None:
        super()._adopt(rule)
        self._impulse_vector = np.array(self._impulses, dtype=float)

    def compile_rule(self, rule: LoihiLearningRule) -> FloatRuleUpdate:
        return FloatRuleUpdate(rule, self.sign_mode)

    def plus_impulse(self, values: np.ndarray, trace: int, random: int = 0) -> np.ndarray:  # noqa: ARG002
        return values + self._impulses[trace]

    def plus_payload(self, payload: np.ndarray, spiked: np.ndarray) -> None:
        half = payload / 2
        if self.graded_spike_cfg is GradedSpikeCfg.OVERWRITE:
            self.x1[spiked] = half[spiked]
        else:
            self.x1 += half

    def evolve_traces(self, history: History, traces: np.ndarray) -> None:
        evolve_float(history, traces, self._dynamics, self._impulse_vector)


class LearningConnectionModelBitApproximate(PyLearningConnection):
    """Base of fixed-point models of learning connections.

    The random numbers of a time step depend on the seeds and the time step only.
    """

    s_in_y1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=7)
    s_in_y2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=7)
    s_in_y3: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=7)
    x1: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=7)
    x2: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=7)
    y1: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=7)
    y2: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=7)
    y3: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=7)
    tag_1: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=8)
    tag_2: np.ndarray = LavaPyType(np.ndarray, np.int64, precision=6)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        seed = self._learning_rule.rng_seed
        self._x_random = TraceRandom(seed, seed + 1)
        self._y_random = TraceRandom(seed + 2, seed + 3)
        self._conn_var_random = ConnVarRandom(self.proc_params.get("rounding_seed", 2))

    def _adopt(self, rule: LoihiLearningRule) -> None:
        super()._adopt(rule)
        self._split_impulses = [split_impulse(impulse) for impulse in self._impulses]

    def compile_rule(self, rule: LoihiLearningRule) -> FixedRuleUpdate:
        return FixedRuleUpdate(rule, self.sign_mode)

    def plus_impulse(self, values: np.ndarray, trace: int, random: int = 0) -> np.ndarray:
        whole, fraction = self._split_impulses[trace]
        return np.minimum(np.maximum(values + (whole + (random < fraction)), 0), TRACE_MAX)

    def plus_payload(self, payload: np.ndarray, spiked: np.ndarray) -> np.ndarray | None:
        if payload.dtype.kind != "b" and spiked.any():
            self._check_payload(payload)
        half = np.rint(payload / 2).astype(np.int64)
        if self.graded_spike_cfg is GradedSpikeCfg.OVERWRITE:
            self.x1[spiked] = half[spiked]
            return None
        total = (self.x1 + half) % 256
        if self.graded_spike_cfg is GradedSpikeCfg.ADD_WITH_SATURATION:
            self.x1[...] = np.minimum(total, TRACE_MAX)
            return None
        overflow = total > TRACE_MAX
        self.x1[...] = total - TRACE_MAX * overflow
        return overflow

    def _check_payload(self, payload: np.ndarray) -> None:
        if payload.dtype.kind == "f" and not np.isfinite(payload).all():
            raise DtypeError(f"'{self.process_name}.s_in': a payload is not a finite number.")
        if payload.min() < 0 or payload.max() > _PAYLOAD_MAX:
            worst = payload.min() if payload.min() < 0 else payload.max()
            raise ValidationError(
                f"received the payload {worst} in time step {self.time_step}; with "
                f"{self.graded_spike_cfg.name} payloads are 0 to {_PAYLOAD_MAX}.",
                f"{self.process_name}.s_in",
            )

    def post_impulse_random(self) -> int:
        return self._y_random.impulse[2 * self.time_step - 1]

    def evolve_traces(self, history: History, traces: np.ndarray) -> None:
        index = 2 * self.time_step
        random = self._x_random.decay[index], self._y_random.decay[index]
        impulses = _NO_IMPULSES
        if len(history.pre) or len(history.post):
            x_random, y_random = self._x_random.impulse[index], self._y_random.impulse[index]
            at_x, at_y = self._impulses[: len(PRE_TRACES)], self._impulses[len(PRE_TRACES) :]
            impulses = np.array(
                [*(whole_impulse(i, x_random) for i in at_x), *(whole_impulse(i, y_random) for i in at_y)],
                dtype=float,
            )
        evolve_fixed(history, traces, self._dynamics, impulses, random)

    def apply_rule(self, history: History, epoch: int) -> None:
        random = self._conn_var_random.rounding[epoch]
        self._update.random = random
        super().apply_rule(history, epoch)
        if random >= 1 - 2.0**-FRACTION_BITS:
            # only now may tag_1 have become -257, which the next epoch changes even without spikes
            self._settled = False


def _by_pre(matrix: np.ndarray) -> np.ndarray:
    """Return a matrix in Fortran order, and without negative zeros."""
    if not matrix.flags.f_contiguous:
        if not matrix.any():  # tags that a rule does not use take no memory as long as nobody writes to them
            return np.zeros(matrix.shape, matrix.dtype, order="F")
        matrix = np.asfortranarray(matrix)
    without_negative_zeros(matrix)
    return matrix


def without_negative_zeros(values: np.ndarray) -> None:
    """Make zeros positive, in place.

    -0.0 plus nothing is -0.0, plus 0.0 is 0.0: without it there is no difference between synapses that a rule
    touches and adds nothing to, and those that it does not touch.
    """
    if values.dtype.kind == "f":
        for part in in_blocks(values):
            if np.signbit(part).any():
                np.add(part, 0.0, out=part)


def _text(value: Any) -> str | None:
    return None if value is None else str(value)
