"""LIFReset, LIFRefractory and TernaryLIF: what they add to LIF."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.integers import clip24, toward_zero, wrap24
from support.populations import Trial

from lahar.processes import LIF, LIFRefractory, LIFReset, TernaryLIF, lif
from lahar.processes.errors import ArgumentTypeError, ValidationError
from lahar.processes.lif_reset import PyLifResetModelBitAcc, PyLifResetModelFloat

TAGS = ["floating_pt", "fixed_pt", "bit_accurate_loihi"]


def data_for(tag, steps, seed=0, scale=1):
    rng = np.random.default_rng(seed)
    if tag == "floating_pt":
        return scale * rng.normal(size=(4, steps))
    return rng.integers(-40 * scale, 40 * scale, (4, steps))


# --- LIFReset ------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", TAGS)
@settings(max_examples=6)
@given(interval=st.integers(1, 7), offset=st.integers(0, 20))
def test_between_resets_it_is_a_lif(tag, interval, offset):
    steps, parameters = 15, {"shape": (4,), "bias_mant": 2, "vth": 30}
    data = data_for(tag, steps)
    with Trial(
        LIFReset(**parameters, reset_interval=interval, reset_offset=offset), {"a_in": data}, tag
    ) as t:
        spikes = t.run(steps).sent()
        state = t.state()
    # an equal network of LIF, whose state is cleared in the pause before each reset
    with Trial(LIF(**parameters), {"a_in": data}, tag) as plain:
        for step in range(1, steps + 1):
            if step % interval == offset % interval and step > 1:
                plain.process.u.set(0)
                plain.process.v.set(0)
            plain.run(1)
        np.testing.assert_array_equal(plain.sent(), spikes)
        for name in ("u", "v"):
            np.testing.assert_array_equal(plain.state()[name], state[name])


@pytest.mark.parametrize("tag", TAGS)
def test_resets_in_multiples_of_the_interval(tag):
    with Trial(LIFReset(shape=(1,), bias_mant=1, reset_interval=3, vth=1000), {}, tag) as trial:
        voltages = [trial.run(1).state()["v"].item() for _ in range(7)]
    assert voltages == [1, 2, 1, 2, 3, 1, 2]


def test_reset_attributes_of_the_models():
    params = LIFReset(shape=(1,), reset_interval=7, reset_offset=9).proc_params
    assert (params["reset_interval"], params["reset_offset"]) == (7, 9)
    for cls in (PyLifResetModelFloat, PyLifResetModelBitAcc):
        model = cls(params)
        assert (model.reset_interval, model.reset_offset) == (7, 2)
    assert PyLifResetModelFloat.tags == ["floating_pt"]
    assert PyLifResetModelBitAcc.tags == ["bit_accurate_loihi", "fixed_pt"]


@pytest.mark.parametrize(
    ("argument", "value", "error", "message"),
    [
        ("reset_interval", 0, ValidationError, "LIFReset.reset_interval: must be at least 1, not 0"),
        ("reset_offset", -1, ValidationError, "LIFReset.reset_offset: must be at least 0, not -1"),
        ("reset_interval", 1.5, ArgumentTypeError, "LIFReset.reset_interval must be an integer, not 1.5"),
    ],
)
def test_reset_arguments_are_checked(argument, value, error, message):
    with pytest.raises(error, match=message):
        LIFReset(shape=(1,), **{argument: value})


# --- LIFRefractory -------------------------------------------------------------------------


def refractory_reference(data, du, dv, bias, vth, period):
    """One neuron in Python floats."""
    u = v = 0.0
    end = 0
    rows = []
    for t, a in enumerate(data, start=1):
        u = u * (1 - du) + a
        if end < t:
            v = v * (1 - dv) + (u + bias)
        spike = v > vth
        if spike:
            v, end = 0.0, t + period
        rows.append((spike, u, v, end))
    return rows


@settings(max_examples=15)
@given(
    st.integers(0, 2**32 - 1),
    st.floats(0, 1),
    st.floats(0, 1),
    st.floats(-1, 1),
    st.floats(-1, 2),
    st.integers(1, 5),
)
def test_refractory_recurrence(seed, du, dv, bias, vth, period):
    data = data_for("floating_pt", 12, seed)
    neurons = LIFRefractory(shape=(4,), du=du, dv=dv, bias_mant=bias, vth=vth, refractory_period=period)
    rows = []
    with Trial(neurons, {"a_in": data}) as trial:
        for step in range(1, 13):
            state = trial.run(1).state()
            rows.append((trial.sent()[:, step - 1], state["u"], state["v"], state["refractory_period_end"]))
    for k in range(4):
        expected = refractory_reference(data[k].tolist(), du, dv, bias, vth, period)
        assert [tuple(value[k] for value in row) for row in rows] == expected


def test_a_spike_is_followed_by_as_many_idle_steps_as_the_period():
    with Trial(LIFRefractory(shape=(1,), bias_mant=1.0, vth=0.5, refractory_period=3), {}) as trial:
        assert trial.run(10).sent().tolist() == [[1, 0, 0, 0, 1, 0, 0, 0, 1, 0]]


def test_resting_neurons_spike_below_a_negative_threshold():
    with Trial(LIFRefractory(shape=(1,), vth=-1, refractory_period=5), {}) as trial:
        assert trial.run(4).sent().tolist() == [[1, 1, 1, 1]]


@pytest.mark.parametrize(("period", "error"), [(0, ValidationError), ("2", ArgumentTypeError)])
def test_refractory_period_is_checked(period, error):
    with pytest.raises(error, match=r"LIFRefractory\.refractory_period"):
        LIFRefractory(shape=(1,), refractory_period=period)


# --- TernaryLIF ----------------------------------------------------------------------------


def ternary_step(u, v, a, tag, du, dv, high, low):
    if tag == "floating_pt":
        u = u * (1 - du) + a
        v = v * (1 - dv) + u + 0.0
    else:
        u = wrap24(toward_zero(u * (4096 - (du + 1)), 12) + (a << 6))
        v = clip24(toward_zero(v * (4096 - dv), 12) + u)
        high, low = high << 6, low << 6
    spike = (v > high) - (v < low)
    return u, 0 if spike else v, spike


@pytest.mark.parametrize("tag", TAGS)
@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(-30, 60), st.integers(0, 40))
def test_ternary_recurrence(tag, seed, high, distance):
    scale, unit = (20, 4096) if tag == "floating_pt" else (1, 1)
    du, dv, low = 700 / unit, 300 / unit, high - distance
    data = data_for(tag, 12, seed, scale)
    neurons = TernaryLIF(shape=(4,), du=du, dv=dv, vth_hi=high, vth_lo=low)
    with Trial(neurons, {"a_in": data}, tag) as trial:
        spikes, state = trial.run(12).sent(), trial.state()
    for k in range(4):
        u = v = 0
        for step, a in enumerate(data[k].tolist()):
            u, v, spike = ternary_step(u, v, a, tag, du, dv, high, low)
            assert spikes[k, step] == spike
        assert (state["u"][k], state["v"][k]) == (u, v)


@pytest.mark.parametrize("tag", TAGS)
def test_thresholds_can_differ_between_neurons_and_be_set(tag):
    exponent = 0 if tag == "floating_pt" else 6  # fixed point shifts thresholds by 6 bits
    neurons = TernaryLIF(
        shape=(2,), bias_mant=[50, -50], bias_exp=exponent, vth_hi=[100, 70], vth_lo=[-100, -70]
    )
    assert neurons.vth_hi.shape == neurons.vth_lo.shape == (2,)
    with Trial(neurons, {}, tag) as trial:
        assert trial.run(4).sent().tolist() == [[0, 0, 1, 0], [0, -1, 0, -1]]
        trial.process.vth_hi.set(np.array([30, 30]))
        trial.process.vth_lo.set(np.array([-1000, -1000]))
        assert trial.run(3).sent()[:, 4:].tolist() == [[1, 1, 1], [0, 0, 0]]


def test_equal_thresholds_are_allowed_but_not_crossed_ones():
    TernaryLIF(shape=(1,), vth_hi=3, vth_lo=3)
    with pytest.raises(ValidationError, match=r"TernaryLIF\.vth_lo: 4 is above vth_hi = 3"):
        TernaryLIF(shape=(1,), vth_hi=3, vth_lo=4)


# --- family --------------------------------------------------------------------------------


VARIANTS = [
    *("LearningLIF", "PyLearningLIFModelFixed", "PyLearningLifModelFloat"),
    *("LIFReset", "PyLifResetModelFloat", "PyLifResetModelBitAcc"),
    *("LIFRefractory", "PyLifRefractoryModelFloat"),
    *("TernaryLIF", "PyTernLifModelFloat", "PyTernLifModelFixed"),
]


@pytest.mark.parametrize("name", VARIANTS)
def test_variants_can_be_imported_from_the_family(name):
    assert getattr(lif, name).__name__ == name


def test_unknown_names_of_the_family_are_refused():
    with pytest.raises(AttributeError, match="no attribute 'LIFfy'"):
        _ = lif.LIFfy
