"""Sigma-delta neurons against plain Python, their exponents, and the surface for model authors."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.populations import Trial

from lahar.processes import ActivationMode, Delta, Sigma, SigmaDelta, sdn
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError, ShapeError, ValidationError
from lahar.processes.model import LoihiProtocol, implements
from lahar.runtime import Loihi2SimCfg

seeds = st.integers(0, 2**32 - 1)
exponents = st.integers(0, 4)
CORRECTED = Loihi2SimCfg(
    select_tag="fixed_pt",
    exception_proc_model_map={SigmaDelta: sdn.PySigmaDeltaModelFixedCorrected},
    launcher="inline",
)


class Stage:
    """The delta stage of one neuron."""

    def __init__(self, vth, cum_error):
        self.vth, self.cum_error = vth, cum_error
        self.act = self.residue = self.error = 0

    def send(self, x):
        d = x - self.act + self.residue
        if self.cum_error:
            self.error += d
            out = d if abs(self.error) >= self.vth else 0
            self.error = 0 if out else self.error
        else:
            out = d if abs(d) >= self.vth else 0
        self.residue, self.act = d - out, x
        return out


def data_for(tag, seed):
    rng = np.random.default_rng(seed)
    return rng.normal(size=(3, 12)) if tag == "floating_pt" else rng.integers(-30, 30, (3, 12))


def outcome(process, data, tag):
    with Trial(process, {"a_in": data}, tag) as trial:
        sent = trial.run(data.shape[1]).sent()
        return sent, trial.state()


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
@settings(max_examples=10)
@given(seeds, st.integers(0, 40), st.booleans(), exponents, exponents)
def test_delta_recurrence(tag, seed, vth, cum_error, spike_exp, state_exp):
    data, shift = data_for(tag, seed), spike_exp + state_exp
    vth = vth / 20 if tag == "floating_pt" else vth
    process = Delta(shape=(3,), vth=vth, cum_error=cum_error, spike_exp=spike_exp, state_exp=state_exp)
    sent, state = outcome(process, data, tag)
    for k in range(3):
        stage = Stage(vth * 2**shift, cum_error)
        for x, out in zip(data[k].tolist(), sent[k].tolist(), strict=True):
            expected = stage.send(x) if tag == "floating_pt" else stage.send(x << shift) >> state_exp
            assert out == expected
        assert [state[name][k] for name in ("act", "residue", "error")] == [
            stage.act,
            stage.residue,
            stage.error,
        ]


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
@pytest.mark.parametrize("mode", ActivationMode)
@settings(max_examples=8)
@given(seeds, st.integers(0, 40), st.booleans(), exponents, exponents, st.integers(-9, 9))
def test_sigma_delta_recurrence(tag, mode, seed, vth, cum_error, spike_exp, state_exp, bias):
    data, scale = data_for(tag, seed), 2 ** (spike_exp + state_exp)
    process = SigmaDelta(
        shape=(3,),
        vth=vth,
        bias=bias,
        act_mode=mode,
        cum_error=cum_error,
        spike_exp=spike_exp,
        state_exp=state_exp,
    )
    sent, state = outcome(process, data, tag)
    for k in range(3):
        stage, sigma = Stage(vth * scale, cum_error), 0
        for a, out in zip(data[k].tolist(), sent[k].tolist(), strict=True):
            sigma = a + sigma
            x = sigma + bias * scale
            x = max(x, 0) if mode is ActivationMode.RELU else x
            expected = stage.send(x)
            assert out == (expected if tag == "floating_pt" else expected >> state_exp)
        assert [state[name][k] for name in ("sigma", "act", "residue", "error")] == [
            sigma,
            stage.act,
            stage.residue,
            stage.error,
        ]


@settings(max_examples=8)
@given(seeds, st.integers(0, 40), exponents)
def test_corrected_model_sends_all_but_the_last_threshold(seed, vth, state_exp):
    data = data_for("fixed_pt", seed)
    process = SigmaDelta(shape=(3,), vth=vth, act_mode=ActivationMode.UNIT, state_exp=state_exp)
    with Trial(process, {"a_in": data}, "fixed_pt") as trial:
        trial.config = CORRECTED
        sent, state = trial.run(12).sent(), trial.state()
    received = sent.sum(axis=1) << state_exp
    assert received.tolist() == state["act"].tolist()
    # what is missing is below the threshold, or below what the shift keeps
    missing = np.abs(state["sigma"] - received)
    assert (missing < max(vth * 2**state_exp, 2**state_exp)).all()


def test_corrected_model_sends_at_the_threshold():
    process = SigmaDelta(shape=(1,), vth=4)
    with Trial(process, {"a_in": [[3, 1, 3]]}, "fixed_pt") as trial:
        trial.config = CORRECTED
        assert trial.run().sent().tolist() == [[0, 4, 0]]


def test_corrected_model_says_that_it_ignores_cum_error():
    process = SigmaDelta(shape=(1,), vth=1, cum_error=True, name="cell")
    with Trial(process, {}, "fixed_pt") as trial:
        trial.config = CORRECTED
        with pytest.warns(
            LaharWarning, match="'cell': cum_error has no effect in PySigmaDeltaModelFixedCorr"
        ):
            trial.run(1)


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_sigma_sums_up(tag):
    data = data_for(tag, 1)
    sent, state = outcome(Sigma(shape=(3,)), data, tag)
    np.testing.assert_array_equal(sent, np.add.accumulate(data, axis=1))
    np.testing.assert_array_equal(state["sigma"], sent[:, -1])


def test_sigma_wraps_at_32_bits():
    _, state = outcome(Sigma(shape=(1,)), np.full((1, 3), 2**30), "fixed_pt")
    assert state["sigma"].tolist() == [3 * 2**30 - 2**32]


@pytest.mark.parametrize("given", [[1, 2], (1, 2), np.array([1, 2], np.int8), np.array([1.0, 2.0])])
def test_lists_of_biases_and_thresholds_are_scaled_by_element(given):
    process = SigmaDelta(shape=(2,), vth=given, bias=given, spike_exp=3, state_exp=6)
    assert process.bias.init.tolist() == process.vth.init.tolist() == [512, 1024]
    assert process.proc_params["bias"] is given


def test_fractions_of_a_threshold_are_cut_with_a_warning():
    with (
        pytest.warns(LaharWarning, match=r"'cell\.vth'.*lose digits"),
        Trial(Delta(shape=(1,), vth=1.3, spike_exp=1, name="cell"), {}, "fixed_pt") as trial,
    ):
        assert trial.run(1).state()["vth"].tolist() == [2]


@pytest.mark.parametrize("cls", [Delta, SigmaDelta])
@pytest.mark.parametrize("name", ["spike_exp", "state_exp"])
def test_exponents_are_checked(cls, name):
    with pytest.raises(ValidationError, match=rf"{cls.__name__}\.{name}: must be at least 0, not -1"):
        cls(shape=(1,), vth=1, **{name: -1})
    with pytest.raises(ArgumentTypeError, match=rf"{cls.__name__}\.{name} must be an integer, not 0.5"):
        cls(shape=(1,), vth=1, **{name: 0.5})


def test_thresholds_are_checked_before_they_are_scaled():
    with pytest.raises(ArgumentTypeError, match="'cell': vth must hold real numbers"):
        SigmaDelta(shape=(1,), vth="1", name="cell")
    with pytest.raises(ShapeError, match="vth has shape"):
        Delta(shape=(2,), vth=[1, 2, 3])


def test_unknown_activation_is_named_in_the_first_step():
    process = SigmaDelta(shape=(1,), vth=1, act_mode=7, name="cell")
    with Trial(process, {}) as trial, pytest.raises(ModelError, match="'cell': act_mode 7 is not") as caught:
        trial.run(1)
    assert "NotImplementedError" in str(caught.value) + caught.value.remote_traceback


def test_misspelt_keyword_is_pointed_out():
    with pytest.warns(LaharWarning, match="'act_mod'.*'act_mode'"):
        SigmaDelta(shape=(1,), vth=1, act_mod=0)


class Squaring(SigmaDelta):
    """A user's neuron."""


@implements(proc=Squaring, protocol=LoihiProtocol)
class SquaringModel(sdn.PySigmaDeltaModelFloat):
    """Overrides two hooks, one of which returns a new array."""

    implements_process = None

    def sigma_dynamics(self, a_in_data):
        return self.sigma + 2 * a_in_data

    def activation_dynamics(self, sigma_data):
        return sigma_data**2


def test_hooks_of_a_derived_model_are_used():
    sent, state = outcome(Squaring(shape=(1,), vth=0, name="it"), np.array([[1.0, 0.5]]), "floating_pt")
    assert state["sigma"].tolist() == [3.0]
    assert sent.tolist() == [[4.0, 5.0]]


def test_relu():
    assert sdn.ReLU(np.array([-1, 2])).tolist() == [0, 2]
