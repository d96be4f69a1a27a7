"""What holds for every neuron: independence of neighbours, typed Vars that can be set, names, errors."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.comparison import assert_same_bits
from support.populations import Trial

from lahar.processes import (
    ATRLIF,
    LIF,
    RF,
    RF_IZ,
    Delta,
    GradedReluVec,
    GradedVec,
    IdBroadcast,
    InvSqrt,
    LIFRefractory,
    LIFReset,
    NormVecDelay,
    ProdNeuron,
    RFZero,
    S4d,
    Sigma,
    SigmaDelta,
    SigmaS4dDelta,
    Spiker,
    TernaryLIF,
    lif,
)
from lahar.processes.errors import ArgumentTypeError, CompileError, LaharWarning, ShapeError
from lahar.runtime import Loihi2SimCfg, RunSteps

STEPS = 12


def fractions(rng, n):
    return rng.random(n)


def decays(rng, n):
    return rng.integers(0, 4096, n)


def small(rng, n):
    return rng.integers(-30, 30, n)


def positive(rng, n):
    return rng.integers(1, 30, n)


def reals(rng, n):
    return rng.normal(size=n)


FLOAT_LIF = {"du": fractions, "dv": fractions, "bias_mant": reals, "u": reals, "v": reals}
FIXED_LIF = {"du": decays, "dv": decays, "bias_mant": small, "bias_exp": small, "u": small, "v": small}
ATRLIF_PARAMETERS = dict.fromkeys(("delta_i", "delta_v", "delta_theta", "delta_r"), fractions)

# class, tag, arguments that are the same for all neurons, and arguments that are drawn for each
POPULATIONS = [
    (LIF, "floating_pt", {}, {**FLOAT_LIF, "vth": reals}),
    (LIF, "fixed_pt", {}, {**FIXED_LIF, "vth": small}),
    (LIFReset, "floating_pt", {"reset_interval": 5}, {**FLOAT_LIF, "vth": reals}),
    (LIFReset, "fixed_pt", {"reset_interval": 5, "reset_offset": 2}, {**FIXED_LIF, "vth": small}),
    (LIFRefractory, "floating_pt", {"refractory_period": 2}, {**FLOAT_LIF, "vth": reals}),
    (TernaryLIF, "floating_pt", {}, {**FLOAT_LIF, "vth_hi": fractions}),
    (TernaryLIF, "fixed_pt", {"vth_lo": -40}, {**FIXED_LIF, "vth_hi": positive}),
    (Sigma, "floating_pt", {}, {}),
    (Sigma, "fixed_pt", {}, {}),
    (Delta, "floating_pt", {"cum_error": True}, {"vth": fractions}),
    (Delta, "fixed_pt", {"spike_exp": 2, "state_exp": 1}, {"vth": positive}),
    (SigmaDelta, "floating_pt", {}, {"vth": fractions, "bias": reals}),
    (SigmaDelta, "fixed_pt", {"state_exp": 3, "cum_error": True}, {"vth": positive, "bias": small}),
    (RF, "floating_pt", {}, {"period": positive, "alpha": fractions, "vth": fractions}),
    (RF, "fixed_pt", {"decay_bits": 12, "state_exp": 2}, {"period": positive, "alpha": fractions}),
    (RF_IZ, "floating_pt", {}, {"period": positive, "alpha": fractions, "vth": fractions}),
    (RF_IZ, "fixed_pt", {"decay_bits": 10}, {"period": positive, "alpha": fractions, "vth": positive}),
    (RFZero, "fixed_pt", {"dt": 0.01}, {"freqs": positive, "decay_tau": positive, "uth": positive}),
    (ATRLIF, "floating_pt", {}, {**ATRLIF_PARAMETERS, "theta": positive, "theta_0": positive, "r": reals}),
    (ATRLIF, "fixed_pt", {}, {**ATRLIF_PARAMETERS, "theta_0": positive, "i": small, "bias_mant": small}),
    (ProdNeuron, "fixed_pt", {"exp": 1}, {"vth": positive}),
    (GradedVec, "fixed_pt", {}, {"vth": positive}),
    (GradedReluVec, "fixed_pt", {}, {"vth": small}),
    (NormVecDelay, "fixed_pt", {}, {"vth": positive}),
    (InvSqrt, "floating_pt", {}, {}),
    (InvSqrt, "fixed_pt", {}, {}),
    (S4d, "floating_pt", {}, {"a": fractions, "b": reals, "c": reals}),
    (SigmaS4dDelta, "floating_pt", {}, {"vth": fractions, "a": fractions, "b": reals, "c": reals}),
    (Spiker, "floating_pt", {}, {"period": positive, "payload": small}),
    (IdBroadcast, "fixed_pt", {}, {}),
]
IDS = [f"{cls.__name__}-{tag}" for cls, tag, *_ in POPULATIONS]
seeds = st.integers(0, 2**32 - 1)


@pytest.fixture(autouse=True)
def _no_warnings_of_lost_digits():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LaharWarning)
        yield


def drawn(per_neuron, rng, n):
    return {name: draw(rng, n) for name, draw in per_neuron.items()}


def inputs_of(cls, tag, rng, n):
    process = cls(shape=(1,), **example(cls))
    low = 0 if cls is InvSqrt else -100
    draw = (lambda: rng.normal(size=(n, STEPS))) if tag == "floating_pt" else None
    return {port.name: draw() if draw else rng.integers(low, 100, (n, STEPS)) for port in process.in_ports}


def example(cls):
    """Arguments that have no default."""
    required = {
        Delta: {"vth": 1},
        SigmaDelta: {"vth": 1},
        RF: {"period": 5, "alpha": 0.1, "decay_bits": 12},
        RF_IZ: {"period": 5, "alpha": 0.1, "decay_bits": 12},
        RFZero: {"freqs": 5, "decay_tau": 1},
        S4d: {"a": 0.5, "b": 1, "c": 1},
        SigmaS4dDelta: {"vth": 1, "a": 0.5, "b": 1, "c": 1},
    }
    return required.get(cls, {})


@pytest.mark.parametrize(("cls", "tag", "common", "per_neuron"), POPULATIONS, ids=IDS)
@settings(max_examples=4, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=seeds)
def test_a_population_is_as_many_single_neurons(cls, tag, common, per_neuron, seed):
    rng, n = np.random.default_rng(seed), 3
    own, data = drawn(per_neuron, rng, n), inputs_of(cls, tag, rng, n)
    with Trial(cls(shape=(n,), **common, **own), data, tag).run(STEPS) as whole:
        together = {**whole.state(), **{f"sent {port}": whole.sent(port) for port in whole.sinks}}
    for k in range(n):
        part = {name: values[[k]] for name, values in own.items()}
        single = cls(shape=(1,), **common, **part)
        with Trial(single, {port: rows[[k]] for port, rows in data.items()}, tag).run(STEPS) as trial:
            alone = {**trial.state(), **{f"sent {port}": trial.sent(port) for port in trial.sinks}}
        of_neuron = {name: value[[k]] if len(value) == n else value for name, value in together.items()}
        assert_same_bits(alone, of_neuron, f"neuron {k}")


def outcome(process, data, tag):
    with Trial(process, data, tag).run(STEPS) as trial:
        state = {
            name: np.broadcast_to(value, process.out_ports[0].shape) for name, value in full(trial).items()
        }
        return {**state, **{f"sent {port}": trial.sent(port) for port in trial.sinks}}


def full(trial):
    """Return the Vars that have one value per neuron, or one for all."""
    return {
        name: v
        for name, v in trial.state().items()
        if v.shape == (1,) or v.size == trial.process.out_ports[0].size
    }


@pytest.mark.parametrize(("cls", "tag", "common", "per_neuron"), POPULATIONS, ids=IDS)
@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=seeds)
def test_the_form_in_which_numbers_are_given_does_not_matter(cls, tag, common, per_neuron, seed):
    rng, shape = np.random.default_rng(seed), (2, 3)
    n = 6
    own = {name: values.reshape(shape) for name, values in drawn(per_neuron, rng, n).items()}
    data = {port: rows.reshape(*shape, STEPS) for port, rows in inputs_of(cls, tag, rng, n).items()}
    expected = outcome(cls(shape=shape, **common, **own), data, tag)
    as_float = (lambda v: v.astype(float)) if cls is not Spiker else np.ndarray.copy
    for form in (
        np.ndarray.tolist,
        lambda v: tuple(map(tuple, v.tolist())),
        as_float,
        lambda v: v[np.newaxis],
    ):
        given = {name: form(values) for name, values in own.items()}
        assert_same_bits(outcome(cls(shape=shape, **common, **given), data, tag), expected)
    # one number for all
    one = {name: values[0, 0] for name, values in own.items()}
    everywhere = {name: np.full(shape, value) for name, value in one.items()}
    expected = outcome(cls(shape=shape, **common, **everywhere), data, tag)
    for form in (
        lambda x: x,
        lambda x: x.item(),
        lambda x: [x],
        lambda x: np.array([[x]]),
        np.array,
    ):
        given = {name: form(value) for name, value in one.items()}
        assert_same_bits(outcome(cls(shape=shape, **common, **given), data, tag), expected)


@pytest.mark.parametrize(("cls", "tag", "common", "per_neuron"), POPULATIONS, ids=IDS)
def test_every_var_can_be_set_and_read_back(cls, tag, common, per_neuron):
    rng = np.random.default_rng(0)
    process = cls(shape=(2, 3), **{**example(cls), **common})
    process.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(select_tag=tag, launcher="inline"))
    assert len(process.vars) > 0
    for var in process.vars:
        before = var.get()
        assert isinstance(before, np.ndarray)
        assert before.shape == var.shape
        value = rng.integers(0, 2, var.shape) if before.dtype == bool else rng.integers(0, 100, var.shape)
        var.set(value)
        assert var.get().dtype == before.dtype
        np.testing.assert_array_equal(var.get(), value)
    process.stop()


def settable(rng, name, present):
    """Return a value that a Var may be set to between two runs."""
    if name in ("spike_exp", "state_exp", "exp", "bias_exp"):
        return rng.integers(0, 4, present.shape)
    if name == "decay_bits":
        return np.full(present.shape, 12)
    if name == "refractory_period_end":
        return rng.integers(0, 2 * STEPS, present.shape)
    if present.dtype == bool:
        return rng.random(present.shape) < 0.5
    if present.dtype.kind in "fc":
        return rng.normal(size=present.shape)
    high = 2**12 if name in ("sin_decay", "cos_decay", "du", "dv", "lct", "lst") else 60
    return rng.integers(0, high, present.shape)


@pytest.mark.parametrize(("cls", "tag", "common", "per_neuron"), POPULATIONS, ids=IDS)
@settings(max_examples=5, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=seeds)
def test_what_is_set_replaces_all_that_was(cls, tag, common, per_neuron, seed):
    """Two populations with other parameters and another past are the same once all their Vars are."""
    rng, n = np.random.default_rng(seed), 3
    after = inputs_of(cls, tag, rng, n)
    values, results = {}, []
    for _ in range(2):
        before = inputs_of(cls, tag, rng, n)
        data = {port: np.hstack([rows, after[port]]) for port, rows in before.items()}
        process = cls(shape=(n,), **{**example(cls), **common, **drawn(per_neuron, rng, n)})
        with Trial(process, data, tag) as trial:
            trial.run(STEPS)
            for var in process.vars:
                if var.name not in values:
                    values[var.name] = settable(rng, var.name, var.get())
                var.set(values[var.name])
            trial.run(STEPS)
            sent = {f"sent {port}": trial.sent(port)[..., STEPS:] for port in trial.sinks}
            results.append({**trial.state(), **sent})
    assert_same_bits(results[1], results[0])


@pytest.mark.parametrize(("cls", "tag", "common", "per_neuron"), POPULATIONS, ids=IDS)
def test_values_that_do_not_broadcast_are_named(cls, tag, common, per_neuron):
    for name in per_neuron:
        with pytest.raises(ShapeError, match=rf"'cell': {name} has shape \(4,\).*\(3,\)"):
            cls(shape=(3,), name="cell", **{**example(cls), **common, name: [1, 2, 3, 4]})
        with pytest.raises(ArgumentTypeError, match=rf"'cell': {name} must hold"):
            cls(shape=(3,), name="cell", **{**example(cls), **common, name: "much"})


@pytest.mark.parametrize("cls", dict.fromkeys(cls for cls, *_ in POPULATIONS))
def test_shape_must_be_a_tuple(cls):
    with pytest.raises(AssertionError, match="tuple"):
        cls(shape=3, **example(cls))


@pytest.mark.parametrize("cls", [cls for cls, *_ in POPULATIONS if hasattr(cls, "shape")])
def test_shape_can_be_read(cls):
    assert cls(shape=(2, 3), **example(cls)).shape == (2, 3)


def test_processes_with_a_shape_property():
    have = {cls.__name__ for cls, *_ in POPULATIONS if hasattr(cls, "shape")}
    assert have == {
        *("Sigma", "Delta", "SigmaDelta", "RF", "RF_IZ", "RFZero", "ProdNeuron", "GradedVec"),
        *("GradedReluVec", "NormVecDelay", "InvSqrt", "S4d", "SigmaS4dDelta"),
    }


@pytest.mark.parametrize("cls", [RFZero, ProdNeuron, GradedVec, GradedReluVec, NormVecDelay, LIFRefractory])
def test_a_tag_without_a_model_is_refused_and_the_others_are_listed(cls):
    tag, present = ("fixed_pt", "floating_pt") if cls is LIFRefractory else ("floating_pt", "fixed_pt")
    process = cls(shape=(1,), name="cell", **example(cls))
    with pytest.raises(CompileError, match=rf"'cell'.*no model with tag '{tag}'.*tags: {present}"):
        process.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(select_tag=tag, launcher="inline"))


def bounded_vars(cls):
    """Names of the states that are wrapped or limited at 24 bits."""
    if issubclass(cls, lif.AbstractLIF):
        return ("u", "v")
    return {ATRLIF: ("i", "v"), RF: ("real", "imag"), RF_IZ: ("real", "imag"), RFZero: ("u", "v")}.get(cls)


BOUNDED = [entry for entry in POPULATIONS if entry[1] == "fixed_pt" and bounded_vars(entry[0])]


@pytest.mark.parametrize(
    ("cls", "tag", "common", "per_neuron"), BOUNDED, ids=[e[0].__name__ for e in BOUNDED]
)
@settings(max_examples=3, suppress_health_check=[HealthCheck.too_slow, HealthCheck.function_scoped_fixture])
@given(seed=seeds)
def test_bounded_states_stay_in_24_bits(cls, tag, common, per_neuron, seed):
    rng = np.random.default_rng(seed)
    process = cls(shape=(3,), **{**example(cls), **common, **drawn(per_neuron, rng, 3)})
    data = {port.name: rng.integers(-(2**16), 2**16, (3, STEPS)) for port in process.in_ports}
    largest = 0
    with Trial(process, data, tag) as trial:
        for _ in range(STEPS):
            state = trial.run(1).state()
            sizes = [np.abs(state[name].astype(np.int64)).max() for name in bounded_vars(cls)]
            largest = max(largest, *sizes)
    assert 2**14 < largest <= 2**23


def test_an_infinite_initial_state_is_outside_the_useful_range():
    lif = LIF(shape=(1,), u=np.inf, name="lif")
    with lif, pytest.warns(LaharWarning, match="'lif': u = inf is outside"):
        lif.run(RunSteps(1), Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))
