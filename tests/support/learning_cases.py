"""The learning engine's formulas written out synapse by synapse, and random epochs to compare it on."""

from __future__ import annotations

import math
import types
import warnings

import numpy as np
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lahar.processes.errors import LaharWarning
from lahar.processes.learning.constants import FACTOR_TO_WIDTH_DICT, TRACES
from lahar.processes.learning.rule import LoihiLearningRule
from lahar.processes.learning.rule_fixed import FixedRuleUpdate
from lahar.processes.learning.rule_float import FloatRuleUpdate
from lahar.processes.learning.sparse_update import Synapses, apply_to_synapses
from lahar.processes.learning.traces import (
    History,
    TraceDynamics,
    TraceLayout,
    evolve_fixed,
    evolve_float,
    whole_impulse,
)
from lahar.processes.weights import SignMode

VARS = {"w": "weights", "d": "tag_2", "t": "tag_1"}
LIMITS = {
    "weights": {
        SignMode.MIXED: (-256, 255),
        SignMode.EXCITATORY: (0, 255),
        SignMode.INHIBITORY: (-255, 0),
    },
    "tag_2": (0, 255),
    "tag_1": (-257, 255),
}


# --- the formulas, one synapse at a time ------------------------------------------------------


def naive_history(value, tau, impulse, spike, t_epoch, fixed=None):
    """Values of one trace of one neuron at time steps 0..t_epoch; `fixed` = (decay, impulse) random."""
    values = [value]
    for k in range(1, t_epoch + 1):
        decayed = (math.exp(-1 / tau) if tau else 0.0) * values[-1]
        if fixed is None:
            now = decayed + (impulse if k == spike else 0.0)
        else:
            now = math.floor(decayed) + (fixed[0] < decayed % 1)
            if k == spike:
                whole = math.floor(impulse)
                fraction = round((impulse - whole) * 256)
                now = min(max(now + whole + (fixed[1] < fraction), 0), 127)
        values.append(now)
    return values


def wrap(number):
    return (number + 2**31) % 2**32 - 2**31


def naive_product(product, lookup, fixed):
    """Value of one product at one synapse; `lookup` gives spikes, traces and variables there."""
    dependency = lookup(product.dependency)
    if not fixed:
        result = product.s_mantissa * 2.0 ** (product.s_exp - 7) * dependency
        for factor in product.factors:
            value = lookup(factor.state_var)
            value = value if factor.const is None else value + factor.const
            result = result * (np.sign(value) if factor.is_sgn else value)
        return result
    result, bits = int(dependency), 0
    for factor in product.factors:
        width = FACTOR_TO_WIDTH_DICT[factor.state_var]
        value = lookup(factor.state_var) + (factor.const or 0)
        value = int(np.sign(value)) if factor.is_sgn else value
        result = wrap(result * math.trunc(min(max(value, -(2**width)), 2**width - 1)))
        bits += width
    result = wrap(result * product.s_mantissa) >> max(0, bits + 4 - 15)
    return min(max(wrap(result << product.s_exp), -32769), 32767)


def naive_epoch(rule, case, sign_mode, fixed):
    """New weights and tags, computed densely."""
    old = case.matrices
    new = {name: matrix.copy() for name, matrix in old.items()}
    k = rule.decimate_exponent
    u = k is not None and case.epoch % 2**k == 0
    num_post, num_pre = old["weights"].shape

    def history(trace, neuron):
        times = case.tx if trace[0] == "x" else case.ty
        random = case.random[trace[0]] if fixed else None
        start = case.traces[trace][neuron].item()
        tau, impulse = getattr(rule, f"{trace}_tau"), getattr(rule, f"{trace}_impulse")
        return naive_history(start, tau, impulse, times[neuron], rule.t_epoch, random)

    histories = {
        trace: [history(trace, n) for n in range(num_pre if trace[0] == "x" else num_post)]
        for trace in TRACES
    }
    for target, series in rule.active_product_series.items():
        var = VARS[target[1]]
        for j in range(num_post):
            for i in range(num_pre):
                when = {"x0": case.tx[i], "y0": case.ty[j], "u": rule.t_epoch}

                def lookup(name, dependency="", i=i, j=j, when=when):
                    if name == "u":
                        return u
                    if name in ("x0", "y0"):
                        return bool(when[name] > 0)
                    if name in VARS:
                        return old[VARS[name]][j, i].item()
                    return histories[name][i if name[0] == "x" else j][when[dependency]]

                before = old[var][j, i].item()
                value = before << 7 if fixed else 0.0
                for product in series.products:
                    at = lambda name, p=product: lookup(name, p.dependency)  # noqa: E731
                    amount = naive_product(product, at, fixed)
                    value = min(max(value + amount, -32769), 32767) if fixed else value + amount
                if not fixed:
                    value = before + value
                limits = LIMITS[var][sign_mode] if var == "weights" else LIMITS[var]
                if limits[0] == 0:
                    value = max(0, value)
                elif limits[1] == 0:
                    value = min(0, value)
                if fixed:
                    value = math.floor(value / 128) + (case.random["c"] < (value / 128) % 1)
                    value = min(max(value, limits[0]), limits[1])
                new[var][j, i] = value
    return new, histories


# --- the engine on the same data ----------------------------------------------------------------


def engine_epoch(rule, case, sign_mode, fixed, rows=slice(None), entries=None, lost=None):
    """New weights and tags of the postsynaptic neurons `rows`, and the traces at the end of the epoch.

    With `entries`, a dict of boolean matrices, the matrices are sparse and have these entries, of which `lost`
    ones of the weights do not learn.
    """
    ty = case.ty[rows]
    layout = TraceLayout(len(case.tx), len(ty))
    history = History(layout, case.tx, ty)
    traces = layout.gather([case.traces[t] if t[0] == "x" else case.traces[t][rows] for t in TRACES])
    taus = [getattr(rule, f"{t}_tau") for t in TRACES]
    dynamics = TraceDynamics(layout, rule.t_epoch, taus, rule.active_traces)
    impulses = [getattr(rule, f"{t}_impulse") for t in TRACES]
    matrices = {name: np.array(matrix[rows].T, order="C") for name, matrix in case.matrices.items()}
    if fixed:
        whole = [whole_impulse(i, case.random[t[0]][1]) for i, t in zip(impulses, TRACES, strict=True)]
        random = tuple(case.random[side][0] for side in "xy")
        evolve_fixed(history, traces, dynamics, np.array(whole, float), random)
        update = FixedRuleUpdate(rule, sign_mode)
        update.random = case.random["c"]
    else:
        evolve_float(history, traces, dynamics, np.array(impulses, float))
        update = FloatRuleUpdate(rule, sign_mode)
    with_u = update.u_is_on(case.epoch)
    if entries is not None:
        variables = {}
        for name in ("weights", "tag_1", "tag_2"):
            matrix = sparse(case.matrices[name], entries[name])
            variables[name] = Synapses(matrix, like=variables.get("weights"))
            variables[name].lost = lost if name == "weights" else None
        settled = update.settled({n: synapses.values for n, synapses in variables.items()})
        apply_to_synapses(update, variables, history, with_u, everything=not settled)
        return {n: synapses.matrix for n, synapses in variables.items()}, traces, layout
    update.apply(matrices, history, with_u, everything=not update.settled(matrices))
    return {name: matrix.T for name, matrix in matrices.items()}, traces, layout


def sparse(matrix, stored):
    """Return the stored elements of a matrix as CSR, zeros among them."""
    rows, cols = stored.nonzero()
    return csr_matrix((matrix[rows, cols], (rows, cols)), shape=matrix.shape)


# --- random rules and states ----------------------------------------------------------------------


@st.composite
def rule_strings(draw):
    text = ""
    for _ in range(draw(st.integers(1, 4))):
        pieces = [draw(st.sampled_from(["x0", "y0", "u1"])), f"({draw(st.integers(-8, 7))})"]
        pieces.append(f"2^{draw(st.integers(-7, 7))}")
        for _ in range(draw(st.integers(0, 4))):
            name = draw(st.sampled_from([*TRACES, "x0", "y0", "w", "d", "t"]))
            const = draw(st.sampled_from(["", "", "+1", "-3", "+2^-1", "-3*2^-2", "+200"]))
            if name in "wdt" and draw(st.booleans()):
                pieces.append(f"sgn({name}{const})")
            else:
                pieces.append(f"({name}{const})")
        text += draw(st.sampled_from("+-")) + "*".join(pieces)
    return text


@st.composite
def epochs(draw, fixed):
    """A rule and the state of a small connection at the end of an epoch."""
    num_post, num_pre = draw(st.integers(1, 4)), draw(st.integers(1, 5))
    t_epoch = draw(st.sampled_from([1, 2, 5]))
    names = draw(st.sets(st.sampled_from(["dw", "dd", "dt"]), min_size=1))
    taus = st.sampled_from([0, 0.4, 3, 10.5, 65535, math.inf])
    impulses = st.sampled_from([0, 0.2, 5, 13.3, 60, 127.9])
    numbers = {f"{t}_tau": draw(taus) for t in TRACES} | {f"{t}_impulse": draw(impulses) for t in TRACES}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LaharWarning)  # of an impulse beyond 127
        rule = LoihiLearningRule(
            **{name: draw(rule_strings()) for name in sorted(names)}, **numbers, t_epoch=t_epoch, rng_seed=0
        )
    seed, sparse, wild = draw(st.integers(0, 2**32 - 1)), draw(st.booleans()), draw(st.booleans())
    rng = np.random.default_rng(seed)

    def times(count):
        return rng.integers(0, t_epoch + 1, count) * (rng.random(count) < (0.3 if sparse else 0.9))

    case = types.SimpleNamespace(tx=times(num_pre), ty=times(num_post), epoch=draw(st.integers(1, 4)))
    case.legal = draw(st.booleans())
    case.random = {
        "x": (rng.random(), int(rng.integers(128))),
        "y": (rng.random(), int(rng.integers(128))),
        "c": draw(st.sampled_from([rng.random(), 0.0, 0.995])),
    }
    sizes = {t: num_pre if t[0] == "x" else num_post for t in TRACES}
    shape = (num_post, num_pre)
    if fixed:
        low = -100 if draw(st.booleans()) else 0  # third factors may be negative
        case.traces = {t: rng.integers(low if t[0] == "y" else 0, 128, n) for t, n in sizes.items()}
        high = 100000 if wild and not case.legal else 256
        case.matrices = {
            "weights": rng.integers(-high, high, shape).astype(np.int32),
            "tag_1": rng.integers(-high - 1, high, shape),
            "tag_2": rng.integers(-high if wild else 0, high, shape),
        }
    else:
        case.traces = {t: rng.random(n) * 50 for t, n in sizes.items()}
        case.matrices = {name: rng.normal(0, 100, shape) for name in ("weights", "tag_1", "tag_2")}
        if case.legal:
            np.abs(case.matrices["tag_2"], out=case.matrices["tag_2"])
    return rule, case


def legal_weights(weights, sign_mode):
    """Return weights within the limits of the sign mode."""
    if sign_mode is SignMode.MIXED:
        return weights
    return np.minimum(abs(weights), 255) * (1 if sign_mode is SignMode.EXCITATORY else -1)


def large_epoch(shape, rate, fixed):
    """A legal state of a large connection at the end of an epoch of 3 time steps."""
    rng = np.random.default_rng(0)
    num_post, num_pre = shape
    case = types.SimpleNamespace(epoch=1, random={"x": (0.3, 17), "y": (0.6, 99), "c": 0.41})
    case.tx, case.ty = (rng.integers(1, 4, n) * (rng.random(n) < rate) for n in (num_pre, num_post))
    case.traces = {t: rng.integers(0, 100, num_pre if t[0] == "x" else num_post) for t in TRACES}
    case.matrices = {name: rng.integers(0, 256, shape) for name in ("weights", "tag_1", "tag_2")}
    if fixed:
        case.matrices["weights"] = case.matrices["weights"].astype(np.int32)
    else:
        case.matrices = {name: matrix + rng.random(shape) for name, matrix in case.matrices.items()}
    return case


sign_modes = st.sampled_from([SignMode.MIXED, SignMode.EXCITATORY, SignMode.INHIBITORY])
