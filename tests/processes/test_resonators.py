"""RF, RF_IZ and RFZero against plain Python, and their parameters."""

import math
import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.integers import LIMIT, clip24, toward_zero
from support.populations import Trial

from lahar.processes import RF, RF_IZ, RFZero
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError, ShapeError, ValidationError
from lahar.processes.rf import AbstractPyRFModelFixed

STEPS = 20
seeds = st.integers(0, 2**32 - 1)


def resonate(state, a, constants, tag, bits=0, exponent=0):
    """Return the next real and imaginary part."""
    (re, im), (sin, cos) = state, constants
    if tag == "floating_pt":
        return cos * re - sin * im + a[0], sin * re + cos * im + a[1]
    return (
        clip24(toward_zero(cos * re, bits) - toward_zero(sin * im, bits) + (a[0] << exponent)),
        clip24(toward_zero(sin * re, bits) + toward_zero(cos * im, bits) + (a[1] << exponent)),
    )


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
@pytest.mark.parametrize("cls", [RF, RF_IZ])
@settings(max_examples=10)
@given(seeds, st.floats(2, 30), st.floats(0, 0.5), st.integers(1, 60), st.integers(4, 12), st.integers(0, 16))
def test_resonator_recurrence(cls, tag, seed, period, alpha, vth, bits, exponent):
    rng = np.random.default_rng(seed)
    if tag == "floating_pt":
        bits = exponent = 0
        data = 20 * rng.normal(size=(2, 3, STEPS))
    else:
        data = rng.integers(-100, 100, (2, 3, STEPS))
    neurons = cls((3,), period, alpha, state_exp=exponent, decay_bits=bits, vth=vth)
    with Trial(neurons, {"a_real_in": data[0], "a_imag_in": data[1]}, tag) as trial:
        sent, state = trial.run().sent(), trial.state()
    angle = 2 * math.pi / period
    constants = [(1 - alpha) * np.sin(angle), (1 - alpha) * np.cos(angle)]
    if bits:
        constants = [int(c * 2**bits) for c in constants]
    vth *= 2**exponent
    epsilon = 1e-5 if tag == "floating_pt" else 1
    for k in range(3):
        re, im = 0, 0
        for step in range(STEPS):
            old = im
            re, im = resonate((re, im), data[:, k, step].tolist(), constants, tag, bits, exponent)
            if cls is RF:
                spike = re >= vth and im >= 0 and old < 0
            else:
                spike = im >= vth
                re, im = (0, vth - epsilon) if spike else (re, im)
            assert sent[k, step] == spike
        np.testing.assert_allclose([state["real"][k], state["imag"][k]], [re, im], rtol=1e-12)


@pytest.mark.parametrize(("tag", "bits"), [("floating_pt", 0), ("fixed_pt", 8)])
def test_a_resonator_spikes_at_the_threshold_and_at_phase_zero(tag, bits):
    memoryless = RF((1,), 10, 1, decay_bits=bits, vth=5)
    inputs = {"a_real_in": [[0, 5, 0, 4, 5]], "a_imag_in": [[-1, 0, -1, 0, 0]]}
    with Trial(memoryless, inputs, tag) as trial:
        assert trial.run().sent().tolist() == [[0, 1, 0, 0, 0]]


@pytest.mark.parametrize(("tag", "bits"), [("floating_pt", 0), ("fixed_pt", 8)])
def test_a_resetting_resonator_spikes_at_the_threshold(tag, bits):
    memoryless = RF_IZ((1,), 10, 1, decay_bits=bits, vth=5)
    with Trial(memoryless, {"a_imag_in": [[4, 5, 6]]}, tag) as trial:
        assert trial.run().sent().tolist() == [[0, 1, 1]]


def test_state_is_limited_to_24_bits():
    neurons = RF((1,), 1e9, 0, state_exp=16, decay_bits=12)
    inputs = {"a_real_in": np.full((1, 3), 2**15 - 1), "a_imag_in": np.full((1, 3), -(2**15))}
    with Trial(neurons, inputs, "fixed_pt") as trial:
        state = trial.run().state()
    assert (state["real"].item(), state["imag"].item()) == (LIMIT - 1, 1 - LIMIT)
    model = AbstractPyRFModelFixed({})
    assert (model.ri_bitwidth, model.neg_voltage_limit, model.pos_voltage_limit) == (24, 1 - LIMIT, LIMIT - 1)


def test_constants_are_scaled_and_cut_but_proc_params_are_not():
    neurons = RF((2,), [2.5, 7.0], 0.25, state_exp=3, decay_bits=5, vth=2.6)
    exact = 0.75 * np.sin(2 * np.pi / np.array([2.5, 7.0]))
    np.testing.assert_allclose(neurons.proc_params["sin_decay"], exact)
    assert neurons.sin_decay.init.tolist() == (exact * 32).astype(int).tolist()
    assert neurons.cos_decay.init.tolist() == [-19, 14]  # toward zero
    assert neurons.vth.init == 20
    assert neurons.proc_params["vth"] == 2.6
    assert "period" not in neurons.proc_params


@pytest.mark.parametrize("cls", [RF, RF_IZ])
def test_types_of_spikes_and_constants(cls):
    for tag, bits, kind in (("floating_pt", 0, np.float64), ("fixed_pt", 8, np.int32)):
        with Trial(cls((1,), 10, 0.1, decay_bits=bits), {}, tag) as trial:
            assert {trial.run(1).state()[name].dtype.type for name in ("real", "sin_decay", "vth")} == {kind}


def test_fixed_point_needs_decay_bits():
    with (
        Trial(RF((1,), 10, 0.1, name="cell"), {}, "fixed_pt") as trial,
        pytest.warns(LaharWarning, match="lose digits"),
        pytest.raises(ModelError, match=r"'cell' runs in fixed point and needs.*decay_bits=12"),
    ):
        trial.run(1)


def test_floating_point_warns_of_decay_bits():
    with (
        Trial(RF((1,), 10, 0.1, decay_bits=12, name="cell"), {}) as trial,
        pytest.warns(LaharWarning, match=r"'cell' runs in floating point.*2\*\*12.*Leave decay_bits at 0"),
    ):
        trial.run(1)


@pytest.mark.parametrize("cls", [RF, RF_IZ])
def test_resonator_arguments_are_checked(cls):
    name = cls.__name__
    with pytest.raises(ValidationError, match=rf"{name}\.state_exp: must be at least 0, not -1"):
        cls((1,), 10, 0.1, state_exp=-1)
    with pytest.raises(ArgumentTypeError, match=rf"{name}\.decay_bits must be an integer"):
        cls((1,), 10, 0.1, decay_bits=[1, 2])
    with pytest.raises(ValidationError, match=rf"{name}\.period: a rotation of 0 time steps"):
        cls((2,), [10, 0], 0.1)


# --- RFZero --------------------------------------------------------------------------------


@settings(max_examples=15)
@given(seeds, st.floats(1, 400), st.floats(0.01, 2), st.sampled_from([0.001, 0.002]), st.integers(0, 500))
def test_rfzero_recurrence(seed, freq, tau, dt, uth):
    data = np.random.default_rng(seed).integers(-(2**18), 2**18, (2, 3, STEPS))
    neurons = RFZero((3,), freq, tau, dt=dt, uth=uth)
    with Trial(neurons, {"u_in": data[0], "v_in": data[1]}, "fixed_pt") as trial:
        sent, state = trial.run().sent(), trial.state()
    decay, angle = np.exp(dt * (-1 / tau)), dt * freq * np.pi * 2
    lct, lst = int(decay * np.cos(angle) * 2**15), int(decay * np.sin(angle) * 2**15)
    assert (state["lct"].tolist(), state["lst"].tolist()) == ([lct] * 3, [lst] * 3)
    for k in range(3):
        u = v = 0
        for step in range(STEPS):
            new_u = clip24((u * lct) // 2**15 - (v * lst) // 2**15 + int(data[0, k, step]))
            new_v = clip24((v * lct) // 2**15 + (u * lst) // 2**15 + int(data[1, k, step]))
            assert sent[k, step] == (new_u if new_u > uth and new_v >= 0 and v < 0 else 0)
            u, v = new_u, new_v
        assert (state["u"][k], state["v"][k]) == (u, v)


def test_rfzero_spikes_above_the_threshold_and_at_phase_zero():
    inputs = {"u_in": [[0, 6, 0, 5, 6]], "v_in": [[-1, 0, -1, 0, 0]]}
    with Trial(RFZero((1,), 10, 1e-6, uth=5), inputs, "fixed_pt") as memoryless:
        assert memoryless.run().sent().tolist() == [[0, 6, 0, 0, 0]]


def test_rfzero_does_not_overflow():
    with (
        Trial(RFZero((1,), 0.0, 1e9), {"u_in": [[2**22] * 4]}, "fixed_pt") as trial,
        warnings.catch_warnings(),
    ):
        warnings.simplefilter("error")
        assert trial.run().state()["u"].item() in range(LIMIT - 2**10, LIMIT)


def test_rfzero_arguments_are_checked():
    with pytest.raises(ValidationError, match=r"RFZero\.decay_tau: must not be 0"):
        RFZero((1,), 10, 0)
    with pytest.raises(ShapeError, match="'cell': freqs has shape"):
        RFZero((2,), [1, 2, 3], 1, name="cell")
    assert RFZero((2,), [10, 20], [1.0]).proc_params.keys() == {"shape"}
