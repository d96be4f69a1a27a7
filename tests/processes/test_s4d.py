"""S4D neurons against plain Python, complex coefficients, and the layer."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.populations import Trial

from lahar.processes import Monitor, S4d, SigmaS4dDelta, SigmaS4dDeltaLayer
from lahar.processes.errors import ArgumentTypeError, ShapeError, StateError, ValidationError

STEPS = 10


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.booleans())
def test_s4d_recurrence(seed, is_complex):
    rng = np.random.default_rng(seed)
    a, b, c, state = rng.normal(size=(4, 3)) + 1j * is_complex * rng.normal(size=(4, 3))
    data = rng.normal(size=(3, STEPS))
    with Trial(S4d((3,), a / 2, b, c, s4_state=state), {"a_in": data}) as trial:
        sent, final = trial.run().sent(), trial.state()["s4_state"]
    for step in range(STEPS):
        state = state * (a / 2) + data[:, step] * b
        np.testing.assert_allclose(sent[:, step], np.real((c * state) * 2), rtol=1e-12, atol=1e-14)
    np.testing.assert_allclose(final, state, rtol=1e-12)


def test_complex_state_can_be_read_set_and_monitored():
    process, monitor = S4d((1,), 1j, 1, 1), Monitor()
    monitor.probe(process.s4_state, STEPS)
    with Trial(process, {"a_in": [[1.0] + [0.0] * 9]}) as trial:
        assert trial.run(2).state()["s4_state"].tolist() == [1j]
        process.s4_state.set(np.array([2 - 1j]))
        assert trial.run(1).state()["s4_state"].tolist() == [1 + 2j]
        assert monitor.get_data()[process.name]["s4_state"][:3, 0].tolist() == [1, 1j, 1 + 2j]


@settings(max_examples=10)
@given(st.integers(0, 2**32 - 1), st.integers(0, 3))
def test_sigma_s4d_delta_recurrence(seed, state_exp):
    rng = np.random.default_rng(seed)
    a, b, c = rng.normal(size=(3, 3))
    data = rng.normal(size=(3, STEPS))
    process = SigmaS4dDelta((3,), 0.5, a / 2, b, c, state_exp=state_exp)
    with Trial(process, {"a_in": data}) as trial:
        sent = trial.run().sent()
    sigma, state, act, residue = np.zeros((4, 3))
    for step in range(STEPS):
        sigma = data[:, step] + sigma
        state = state * (a / 2) + sigma * b
        x = (c * state) * 2
        change = x - act + residue
        expected = np.where(np.abs(change) >= 0.5 * 2**state_exp, change, 0)
        np.testing.assert_allclose(sent[:, step], expected, rtol=1e-12, atol=1e-14)
        residue, act = change - expected, x


@pytest.mark.parametrize("name", ["a", "b", "c"])
def test_complex_coefficients_are_refused_where_they_would_be_cut(name):
    coefficients = {"a": 0.5, "b": 1, "c": 1, name: 1j}
    with pytest.raises(ArgumentTypeError, match=rf"{name} must hold real numbers, not 1j"):
        SigmaS4dDelta((1,), 1, **coefficients)
    with pytest.raises(ArgumentTypeError, match=rf"{name} must hold real numbers, not 1j"):
        SigmaS4dDeltaLayer((1,), 1, **coefficients)
    S4d((1,), **coefficients)


def test_exponents_must_be_integers():
    for cls, arguments in ((S4d, ()), (SigmaS4dDelta, (1,)), (SigmaS4dDeltaLayer, (1,))):
        with pytest.raises(ArgumentTypeError, match=rf"{cls.__name__}\.s4_exp must be an integer"):
            cls((1,), *arguments, 0.5, 1, 1, s4_exp=0.5)


# --- layer ---------------------------------------------------------------------------------


@pytest.mark.parametrize("d_states", [1, 3])
def test_a_layer_sums_the_states_of_each_neuron_with_two_steps_of_delay(d_states):
    rng, n = np.random.default_rng(4), 2
    a, b, c = rng.random((3, n * d_states))
    data = rng.normal(size=(n, STEPS))
    with Trial(SigmaS4dDeltaLayer((n,), 0.1, a, b, c, d_states=d_states), {"s_in": data}) as trial:
        sent, state = trial.run().sent("a_out"), trial.process.s4_state.get()
    spread = np.repeat(data, d_states, axis=0)
    with Trial(SigmaS4dDelta((n * d_states,), 0.1, a, b, c), {"a_in": spread}) as flat:
        inner = flat.run(STEPS - 1).sent()
        np.testing.assert_array_equal(state, flat.state()["s4_state"])
    expected = inner.reshape(n, d_states, -1).sum(axis=1)[:, : STEPS - 2]
    assert sent[:, :2].tolist() == [[0, 0], [0, 0]]
    np.testing.assert_allclose(sent[:, 2:], expected, rtol=1e-12)


def test_vars_of_a_layer():
    process = SigmaS4dDeltaLayer((2,), 1, 0.5, 1, [1, 2, 3, 4], d_states=2, s4_exp=3)
    assert process.shape == (2,)
    assert process.conn_weights.get().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
    with Trial(process, {"s_in": [[1.0], [0.0]]}) as trial:
        trial.run(3)
        assert process.c.get().tolist() == [1, 2, 3, 4]
        assert process.a.get().tolist() == [0.5] * 4
        process.s4_state.set(np.arange(4))
        assert process.s4_state.get().tolist() == [0, 1, 2, 3]
        # these stand for none of the inner processes
        assert process.conn_weights.get().tolist() == [[1, 1, 0, 0], [0, 0, 1, 1]]
        assert [process.S4_exp.get(), process.state_exp.get(), process.num_message_bits.get()] == [3, 0, 24]
        with pytest.raises(
            StateError, match=r"Cannot set Var '.*\.state_exp': no model of this network holds it"
        ):
            process.state_exp.set(2)


def test_arguments_of_a_layer_are_checked():
    with pytest.raises(ShapeError, match=r"SigmaS4dDeltaLayer\.shape must have one axis"):
        SigmaS4dDeltaLayer((2, 2), 1, 0, 0, 0)
    with pytest.raises(ValidationError, match=r"SigmaS4dDeltaLayer\.d_states: must be at least 1, not 0"):
        SigmaS4dDeltaLayer((2,), 1, 0, 0, 0, d_states=0)
    with pytest.raises(ShapeError, match=r"a has shape \(3,\).*\(4,\)"):
        SigmaS4dDeltaLayer((2,), 1, [1, 2, 3], 0, 0, d_states=2)
