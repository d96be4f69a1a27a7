"""A dense connection that learns, neuron by neuron and synapse by synapse, to compare models with."""

from __future__ import annotations

import copy
import math
import types

import numpy as np

from lahar.processes import GradedSpikeCfg, Loihi3FLearningRule, SignMode

from .learning_cases import naive_epoch
from .plain_connections import held, shifted, wrap

POST = ("y1", "y2", "y3")


class Draws:
    """The numbers of one random stream, drawn one at a time."""

    def __init__(self, seed, uniform):
        generator = np.random.default_rng(seed)
        self.values = []
        if uniform:
            self.draw = lambda: float(generator.random(1)[0])
        else:
            self.draw = lambda: int(generator.integers(0, 128, size=1, dtype=int)[0])

    def __getitem__(self, index):
        while len(self.values) <= index:
            self.values.append(self.draw())
        return self.values[index]


def add_impulse(value, impulse, random):
    whole = math.floor(impulse)
    return min(max(value + whole + (random < round((impulse - whole) * 256)), 0), 127)


class PlainLearning:
    """What LearningDense computes, one time step at a time.

    Parameters
    ----------
    learning_rule : LoihiLearningRule
    weights, tag_1, tag_2 : ndarray, shape (post, pre)
    tag : str
    sign_mode, num_message_bits, graded_spike_cfg, weight_exp, num_weight_bits
        Options of the connection.
    """

    def __init__(
        self,
        learning_rule,
        weights,
        tag_1,
        tag_2,
        tag,
        *,
        sign_mode=SignMode.MIXED,
        num_message_bits=0,
        graded_spike_cfg=GradedSpikeCfg.USE_REGULAR_IMPULSE,
        weight_exp=0,
        num_weight_bits=8,
    ):
        self.fixed, self.rule = tag == "fixed_pt", copy.copy(learning_rule)
        self.mode, self.graded, self.cfg = sign_mode, num_message_bits > 0, graded_spike_cfg
        self.exponent, self.three_factors = weight_exp, isinstance(learning_rule, Loihi3FLearningRule)
        if graded_spike_cfg is not GradedSpikeCfg.USE_REGULAR_IMPULSE:
            self.rule.x1_impulse = 0
        if self.fixed:
            weights = [[held(w, sign_mode, num_weight_bits, False) for w in row] for row in weights.tolist()]
            tag_1, tag_2 = np.trunc(tag_1).astype(int), np.trunc(tag_2).astype(int)
        kind = int if self.fixed else float
        self.matrices = {
            "weights": np.array(weights, kind),
            "tag_1": tag_1.astype(kind),
            "tag_2": tag_2.astype(kind),
        }
        num_post, num_pre = self.matrices["weights"].shape
        self.traces = {name: [kind(0)] * num_pre for name in ("x1", "x2")}
        self.traces.update({name: [kind(0)] * num_post for name in POST})
        self.tx, self.ty, self.time, self.buffer = [0] * num_pre, [0] * num_post, 0, [0] * num_post
        seed = learning_rule.rng_seed
        self.decay = {"x": Draws(seed, True), "y": Draws(seed + 2, True)}
        self.impulse = {"x": Draws(seed + 1, False), "y": Draws(seed + 3, False)}
        self.rounding = Draws(2, True)

    def step(self, spikes, bap, third=None):
        """Return what is sent; `third` are the lists that arrive as y1, y2 and y3."""
        self.time += 1
        place = (self.time - 1) % self.rule.t_epoch + 1
        sent, self.buffer = (
            self.buffer,
            [self.total(row, spikes) for row in self.matrices["weights"].tolist()],
        )
        for i, spike in enumerate(spikes):
            self.before(i, spike, place)
        for j, spike in enumerate(bap):
            if spike:
                self.after(j, place)
        if self.three_factors:
            self.traces.update(zip(POST, ([*values] for values in third), strict=True))
        if self.time % self.rule.t_epoch == 0:
            self.learn()
        return [wrap(value) for value in sent] if self.fixed else sent

    def total(self, row, spikes):
        if not self.fixed:
            return sum(w * (s if self.graded else s != 0) for w, s in zip(row, spikes, strict=True))
        word = 32 if self.graded else 64
        total = 0
        for w, s in zip(row, spikes, strict=True):
            total = wrap(total + wrap(w * (s if self.graded else s != 0), word), word)
        return shifted(total, self.exponent, word)

    def before(self, i, spike, place):
        """Take note of what arrives at input i, a spike or none."""
        fired = spike != 0
        first = fired and self.tx[i] > 0  # x1 and x2 grow at once only at a second spike
        noted, x1 = fired, self.traces["x1"]
        half = (spike if self.graded else fired) / 2
        if self.fixed:
            half = round(half) % 256
        if self.cfg is GradedSpikeCfg.USE_REGULAR_IMPULSE:
            if first:
                x1[i] = self.grown(x1[i], self.rule.x1_impulse, 0)
        elif self.cfg is GradedSpikeCfg.OVERWRITE:
            if fired:
                x1[i] = half
        elif not self.fixed:
            x1[i] += half
        elif self.cfg is GradedSpikeCfg.ADD_WITH_SATURATION:
            x1[i] = min((x1[i] + half) % 256, 127)
        else:
            x1[i] = (x1[i] + half) % 256
            overflow = x1[i] > 127
            x1[i] -= 127 * overflow
            noted, first = noted and overflow, first and overflow
        if first:
            self.traces["x2"][i] = self.grown(self.traces["x2"][i], self.rule.x2_impulse, 0)
        if noted:
            self.tx[i] = place

    def after(self, j, place):
        """Take note of a spike of the postsynaptic neuron j."""
        if self.ty[j] > 0:
            for name in POST:
                random = self.impulse["y"][2 * self.time - 1] if self.fixed else None
                impulse = getattr(self.rule, f"{name}_impulse")
                self.traces[name][j] = self.grown(self.traces[name][j], impulse, random)
        self.ty[j] = place

    def grown(self, value, impulse, random):
        return add_impulse(value, impulse, random) if self.fixed else value + impulse

    def learn(self):
        """Bring traces to the end of the epoch, and apply the rule."""
        at = 2 * self.time
        case = types.SimpleNamespace(
            tx=np.array(self.tx),
            ty=np.array(self.ty),
            epoch=self.time // self.rule.t_epoch,
            random={side: (self.decay[side][at], self.impulse[side][at]) for side in "xy"},
            traces={name: np.array(values) for name, values in self.traces.items()},
            matrices=self.matrices,
        )
        case.random["c"] = self.rounding[case.epoch]
        self.matrices, histories = naive_epoch(self.rule, case, self.mode, self.fixed)
        for name in ("x1", "x2") if self.three_factors else self.traces:
            self.traces[name] = [history[-1] for history in histories[name]]
        self.tx, self.ty = [0] * len(self.tx), [0] * len(self.ty)

    def state(self):
        """Return all Vars that change, by name."""
        state = {name: np.array(value) for name, value in {**self.matrices, **self.traces}.items()}
        return {**state, "tx": np.array(self.tx), "ty": np.array(self.ty)}
