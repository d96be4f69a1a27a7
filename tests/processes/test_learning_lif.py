"""LearningLIF: the dynamics of LIF, and what it exchanges with a learning connection."""

import numpy as np
import pytest
from support.three_factor import RewardLIF

from lahar.processes import (
    LIF,
    LearningDense,
    LearningLIF,
    Loihi3FLearningRule,
    Monitor,
    RewardModulatedSTDP,
    SinkRingBuffer,
    SourceRingBuffer,
)
from lahar.processes import lif as lif_module
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError
from lahar.processes.learning.neuron import LearningNeuronModelFixed, LearningNeuronModelFloat
from lahar.processes.learning_lif import PyLearningLifModelFloat
from lahar.runtime import Loihi2SimCfg, RunSteps

TAGS = {"floating_pt": {"du": 0.3, "dv": 0.1, "vth": 4}, "fixed_pt": {"du": 1200, "dv": 400, "vth": 4}}
RULE = RewardModulatedSTDP(1, 2, -2, 10, 10, 16, 16, 0.5, t_epoch=1, rng_seed=1)


def config(tag):
    return Loihi2SimCfg(select_tag=tag, launcher="inline")


def inputs(shape, steps, seed=0):
    return SourceRingBuffer(data=np.random.default_rng(seed).integers(-2, 4, (*shape, steps)))


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("shape", [(5,), (2, 3)])
def test_it_computes_what_lif_computes(tag, shape):
    found = []
    for neuron in (LIF, LearningLIF):
        lif = neuron(shape=shape, bias_mant=1, name="n", **TAGS[tag])
        sink = SinkRingBuffer(shape=shape, buffer=60)
        inputs(shape, 60).s_out.connect(lif.a_in)
        lif.s_out.connect(sink.a_in)
        monitor = Monitor()
        monitor.probe(lif.v, 60)
        with lif:
            lif.run(RunSteps(60), config(tag))
        found.append((sink.data.get(), monitor.get_data()["n"]["v"]))
    assert found[0][0].any()
    for a, b in zip(*found, strict=True):
        np.testing.assert_array_equal(a, b)


@pytest.mark.parametrize("tag", TAGS)
def test_it_sends_spikes_and_traces_and_takes_the_third_factor(tag):
    steps = 150  # more than a channel holds
    lif = LearningLIF(shape=(4,), bias_mant=1, learning_rule=RULE, **TAGS[tag])
    inputs((4,), steps).s_out.connect(lif.a_in)
    inputs((4,), steps, seed=1).s_out.connect(lif.a_third_factor_in)
    sinks = {}
    for port in ("s_out", "s_out_bap", "s_out_y1", "s_out_y2", "s_out_y3"):
        sinks[port] = SinkRingBuffer(shape=(4,), buffer=steps)
        getattr(lif, port).connect(sinks[port].a_in)
    with lif:
        lif.run(RunSteps(50), config(tag))
        lif.y2.set(np.array([1, -2, 3, 200]))
        lif.run(RunSteps(steps - 50))
        assert lif.y1.get().tolist() == [0] * 4
    sent = {port: sink.data.get() for port, sink in sinks.items()}
    assert sent["s_out"].any()
    np.testing.assert_array_equal(sent["s_out_bap"], sent["s_out"])
    np.testing.assert_array_equal(sent["s_out_y2"][:, [49, 50, 149]].T, [[0] * 4, *[[1, -2, 3, 200]] * 2])
    assert not sent["s_out_y1"].any()
    assert not sent["s_out_y3"].any()


@pytest.mark.parametrize("tag", TAGS)
def test_a_threshold_that_is_set_acts(tag):
    lif = LearningLIF(shape=(1,), bias_mant=1, vth=100)
    sink = SinkRingBuffer(shape=(1,), buffer=8)
    lif.s_out.connect(sink.a_in)
    with lif:
        lif.run(RunSteps(4), config(tag))
        lif.vth.set(np.array([0]))
        lif.run(RunSteps(4))
        assert sink.data.get().tolist() == [[0] * 4 + [1] * 4]


@pytest.mark.parametrize("port", ["a_third_factor_in", "s_out_bap", "s_out_y3"])
def test_learning_ports_cannot_serve_a_population_with_several_axes(port):
    lif = LearningLIF(shape=(2, 3), name="grid")
    if port == "a_third_factor_in":
        SourceRingBuffer(data=np.ones((2, 4))).s_out.connect(lif.a_third_factor_in)
    else:
        getattr(lif, port).connect(SinkRingBuffer(shape=(2,), buffer=1).a_in)
    with pytest.raises(ModelError, match=rf"grid\.{port}: is connected, but neurons of shape \(2, 3\)"):
        lif.run(RunSteps(1), config("fixed_pt"))


def test_the_rule_must_be_one():
    with pytest.raises(ArgumentTypeError, match=r"LearningLIF\.learning_rule.*not str"):
        LearningLIF(shape=(1,), learning_rule="x0*y1")


def test_arguments_are_checked_as_those_of_lif():
    with pytest.raises(ArgumentTypeError, match="shape"):
        LearningLIF(shape=3)
    with pytest.warns(LaharWarning, match="bias_mant"):
        LearningLIF(shape=(3,), bias_mnt=3)
    with pytest.warns(LaharWarning), pytest.raises(ModelError, match="vth is an integer"):
        LearningLIF(shape=(3,), vth=0.5).run(RunSteps(1), config("fixed_pt"))


def test_it_is_found_in_the_module_of_the_family():
    assert lif_module.LearningLIF is LearningLIF
    assert lif_module.PyLearningLifModelFloat is PyLearningLifModelFloat


def test_ports_vars_and_parameters():
    lif = LearningLIF(shape=(2, 3), learning_rule=RULE, extra=7)
    ports = ("a_third_factor_in", "s_out_bap", "s_out_y1", "s_out_y2", "s_out_y3")
    assert {getattr(lif, port).shape for port in ports} == {(2,)}
    assert {lif.y1.shape, lif.y2.shape, lif.y3.shape} == {(2, 3)}
    params = lif.proc_params
    assert (params["shape"], params["learning_rule"], params["extra"]) == ((2, 3), RULE, 7)


def test_models_know_shape_and_rule():
    for base in (LearningNeuronModelFloat, LearningNeuronModelFixed):
        model = base({"shape": (3,), "learning_rule": RULE})
        assert (model._shape, model._learning_rule) == ((3,), RULE)


@pytest.mark.parametrize("tag", ["floating_pt", "bit_accurate_loihi", "bit_approximate_loihi", None])
def test_tags(tag):
    lif = LearningLIF(shape=(1,))
    with lif:
        lif.run(RunSteps(1), config(tag))
        name = lif.model_class.__name__
    floating = tag in ("floating_pt", None)
    assert name == (PyLearningLifModelFloat.__name__ if floating else "PyLearningLIFModelFixed")


@pytest.mark.parametrize("tag", TAGS)
def test_a_reward_turns_eligibility_into_weight(tag):
    """Pre before post makes the synapse eligible; only the rewarded neuron's weight changes."""
    steps, reward = 12, np.zeros((2, 12), int)
    reward[0, 6] = 100
    spike = np.zeros((1, steps), int)
    spike[0, 1] = 1
    drive = np.zeros((2, steps), int)
    drive[:, 4] = 20
    decay = 1 if tag == "floating_pt" else 4095
    plastic = LearningDense(weights=np.zeros((2, 1)), learning_rule=RULE)
    post = RewardLIF(shape=(2,), learning_rule=RULE, du=decay, dv=decay, vth=10)
    SourceRingBuffer(data=spike).s_out.connect(plastic.s_in)
    SourceRingBuffer(data=drive).s_out.connect(post.a_in)
    SourceRingBuffer(data=reward).s_out.connect(post.a_third_factor_in)
    for y in ("y1", "y2", "y3"):
        getattr(post, f"s_out_{y}").connect(getattr(plastic, f"s_in_{y}"))
    post.s_out_bap.connect(plastic.s_in_bap)
    plastic.a_out.connect(post.a_in)
    with plastic:
        plastic.run(RunSteps(6), config(tag))
        assert plastic.weights.get().ravel().tolist() == [0, 0]
        assert (plastic.tag_1.get() > 0).all()
        plastic.run(RunSteps(steps - 6))
        rewarded, other = plastic.weights.get().ravel()
        assert rewarded > 0
        assert other == 0


def test_third_factors_beyond_the_range_are_limited_in_a_product():
    rule = Loihi3FLearningRule(dw="u0*y2*2^-2", rng_seed=0)
    plastic = LearningDense(weights=np.zeros((3, 1)), learning_rule=rule)
    data = np.array([[1000], [-1000], [100]])
    SourceRingBuffer(data=data).s_out.connect(plastic.s_in_y2)
    with plastic:
        plastic.run(RunSteps(1), config("fixed_pt"))
        drawn = np.random.default_rng(2).random(2)[1]
        exact = np.array([127, -128, 99 + (100 * np.exp(-1 / 65535) % 1 > 0)]) / 4
        found = plastic.weights.get().ravel()
        assert (np.abs(found - exact) < 1).all()
        assert found[1] == -32
        assert found[0] == np.floor(exact[0]) + (drawn < exact[0] % 1)
