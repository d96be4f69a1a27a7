"""ATRLIF against plain Python, and its parameters."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.integers import clip24, toward_zero, wrap24
from support.populations import Trial

from lahar.processes import ATRLIF
from lahar.processes.atrlif import AbstractPyATRLIFModel, PyATRLIFModelFixed
from lahar.processes.errors import LaharWarning

STEPS = 15
unit = st.floats(0, 1)
PARAMETERS = {
    "delta_i": unit,
    "delta_v": unit,
    "delta_theta": unit,
    "delta_r": unit,
    "theta_0": st.floats(1, 20),
    "theta_step": st.floats(0, 8),
    "bias_mant": st.integers(-3, 9),
}


class FloatNeuron:
    def __init__(self, theta, **p):
        self.p, self.theta = p, theta
        self.i = self.v = self.r = 0.0

    def step(self, a):
        p = self.p
        self.i = (1 - p["delta_i"]) * self.i + a
        self.v = (1 - p["delta_v"]) * self.v + self.i + p["bias_mant"]
        self.theta = (1 - p["delta_theta"]) * (self.theta - p["theta_0"]) + p["theta_0"]
        self.r = (1 - p["delta_r"]) * self.r
        return self.spike(p["theta_step"])

    def spike(self, step):
        spike = (self.v - self.r) >= self.theta
        if spike:
            self.r = self.r + 2 * self.theta
            self.theta = self.theta + step
        return spike


class FixedNeuron(FloatNeuron):
    def __init__(self, theta, bias_exp=0, **p):
        super().__init__(int(p["theta_0"] * 64), **p)
        self.i = self.v = self.r = 0
        self.rest = self.theta
        self.bias = p["bias_mant"] << bias_exp

    def factor(self, name):
        return int(4096 - self.p[name] * 4096)

    def step(self, a):
        decayed = int(self.i * (4096 - (self.p["delta_i"] * 4096 + 1)))
        self.i = wrap24(toward_zero(decayed, 12) + a * 64)
        self.v = clip24(toward_zero(self.v * self.factor("delta_v"), 12) + self.i + self.bias)
        self.theta = toward_zero((self.theta - self.rest) * self.factor("delta_theta"), 12) + self.rest
        self.r = toward_zero(self.r * self.factor("delta_r"), 12)
        return self.spike(int(self.p["theta_step"] * 64))


def compare(neuron, process, data, tag):
    with Trial(process, {"a_in": data[np.newaxis]}, tag) as trial:
        sent, state = trial.run().sent(), trial.state()
    assert sent[0].tolist() == [neuron.step(a) for a in data.tolist()]
    assert [state[name].item() for name in "ivr"] == [neuron.i, neuron.v, neuron.r]
    assert state["theta"].item() == neuron.theta
    assert state["s"].dtype == bool
    assert state["s"].item() == sent[0, -1]


@settings(max_examples=20)
@given(st.integers(0, 2**32 - 1), st.floats(1, 20), st.fixed_dictionaries(PARAMETERS))
def test_float_recurrence(seed, theta, parameters):
    data = 5 * np.random.default_rng(seed).normal(size=STEPS)
    compare(
        FloatNeuron(theta, **parameters),
        ATRLIF(shape=(1,), theta=theta, bias_exp=3, **parameters),
        data,
        "floating_pt",
    )


@pytest.mark.parametrize("tag", ["fixed_pt", "bit_accurate_loihi"])
@settings(max_examples=20)
@given(
    st.integers(0, 2**32 - 1), st.fixed_dictionaries(PARAMETERS), st.integers(0, 6), st.sampled_from([4, 17])
)
def test_fixed_recurrence(tag, seed, parameters, bias_exp, bits):
    data = np.random.default_rng(seed).integers(-(2 ** (bits - 1)), 2**bits, STEPS)
    compare(
        FixedNeuron(None, bias_exp=bias_exp, **parameters),
        ATRLIF(shape=(1,), bias_exp=bias_exp, **parameters),
        data,
        tag,
    )


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_it_spikes_at_the_threshold(tag):
    exponent = 0 if tag == "floating_pt" else 6
    with Trial(ATRLIF(shape=(2,), bias_mant=[4, 5], bias_exp=exponent), {}, tag) as trial:
        assert trial.run(1).sent().tolist() == [[0], [1]]


def test_large_currents_do_not_overflow_with_an_integer_decay():
    with Trial(ATRLIF(shape=(1,), i=10**6, delta_i=0), {}, "fixed_pt") as trial:
        assert trial.run(1).state()["i"].tolist() == [10**6 * 4095 // 4096]


def test_threshold_parameters_act_when_set_and_stay_in_their_unit():
    with Trial(ATRLIF(shape=(1,), theta_0=20, delta_theta=1, theta_step=3.75), {}, "fixed_pt") as trial:
        assert trial.run(1).state()["theta"].tolist() == [20 * 64]
        assert trial.state()["theta_0"].tolist() == [20.0]
        trial.process.theta_0.set(30)
        trial.process.theta.set(5)
        assert trial.run(1).state()["theta"].tolist() == [30 * 64]


def test_setting_a_parameter_leaves_the_threshold_where_it_is():
    with Trial(ATRLIF(shape=(1,), theta_0=20, delta_theta=0), {}, "fixed_pt") as trial:
        trial.run(1).process.theta.set(77)
        trial.process.theta_step.set(1)
        assert trial.run(1).state()["theta"].tolist() == [77]


def test_initial_theta_is_dropped_with_a_warning():
    with (
        Trial(ATRLIF(shape=(1,), theta=9, theta_0=30, name="cell"), {}, "fixed_pt") as trial,
        pytest.warns(
            LaharWarning, match="'cell': in fixed point theta starts at theta_0; the initial value 9"
        ),
    ):
        assert trial.run(1).state()["theta"].tolist() == [30 * 64]


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_decays_outside_of_zero_to_one_are_pointed_out(tag):
    with (
        Trial(ATRLIF(shape=(2,), delta_v=[0.5, 2048], name="cell"), {}, tag) as trial,
        pytest.warns(LaharWarning, match=r"'cell': delta_v = 2048\.0 is outside \[0, 1\]"),
    ):
        trial.run(1)


def test_initial_states_beyond_24_bits_are_pointed_out():
    with (
        Trial(ATRLIF(shape=(2,), i=[0, -(2**24)], name="cell"), {}, "fixed_pt") as trial,
        pytest.warns(LaharWarning, match=r"'cell': i = -16777216 is outside \[-8388608, 8388608\]"),
    ):
        trial.run(1)


def test_bias_that_wraps_is_pointed_out():
    with (
        Trial(ATRLIF(shape=(1,), bias_mant=40000, name="cell"), {}, "fixed_pt") as trial,
        pytest.warns(LaharWarning, match=r"'cell\.bias_mant'.*wrap around in int16"),
    ):
        trial.run(1)


def test_bases_name_the_hook_that_is_missing():
    model = AbstractPyATRLIFModel({})
    for hook in ("subthr_dynamics", "post_spike"):
        with pytest.raises(NotImplementedError, match=hook):
            getattr(model, hook)(None)


def test_attributes_of_the_fixed_model():
    model = PyATRLIFModelFixed({})
    assert (model.ds_offset, model.isthrscaled, model.iv_bitwidth) == (1, False, 24)
    assert (model.max_iv_val, model.decay_shift, model.decay_unity) == (2**23, 12, 4096)
    assert (model.theta_unity, model.act_unity) == (64, 64)
