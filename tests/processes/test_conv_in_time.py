"""ConvInTime: which slice meets which input, and the types of both numerics."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.connections import Experiment, outputs

from lahar.processes import LIF, ConvInTime, SinkRingBuffer, SourceRingBuffer
from lahar.processes.conv_in_time import PyConvInTimeFixed, PyConvInTimeFloat
from lahar.processes.errors import ArgumentTypeError, DtypeError, LaharWarning, ShapeError
from lahar.runtime import Loihi2SimCfg, RunSteps


def expected(weights, data, bits):
    length, num_post, _ = weights.shape
    x = data if bits > 0 else data != 0
    result = np.zeros((data.shape[1], num_post))
    for t in range(data.shape[1]):
        for i in range(min(length, t + 1)):
            result[t] += weights[length - 1 - i] @ x[:, t - i]
    return result


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([(1, 1, 1), (3, 4, 5), (5, 1, 3), (2, 6, 1)]),
    st.sampled_from([0, 8]),
    st.sampled_from(["floating_pt", "fixed_pt"]),
)
@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
def test_the_last_slice_meets_the_newest_input(seed, shape, bits, tag):
    rng = np.random.default_rng(seed)
    data = rng.integers(-9, 9, (shape[2], 8)) * (rng.random((shape[2], 8)) < 0.5)
    weights = rng.integers(-900, 900, shape)
    got = outputs(ConvInTime(weights=weights, num_message_bits=bits), data, tag)
    np.testing.assert_array_equal(got, expected(weights, data, bits))
    if tag == "floating_pt":
        weights = rng.normal(size=shape)
        got = outputs(ConvInTime(weights=weights, num_message_bits=bits), data, tag)
        np.testing.assert_allclose(got, expected(weights, data, bits), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    ("weight", "dtype"), [(2, np.int64), (2.0, np.int64), (2.5, np.float64), (2.0**40, np.float64)]
)
def test_the_type_in_fixed_point_is_that_of_the_weights(weight, dtype):
    synapses = ConvInTime(weights=np.full((1, 1, 1), weight))
    source = SourceRingBuffer(data=np.ones((1, 1), int))
    source.s_out.connect(synapses.s_in)
    with source:
        source.run(RunSteps(1), Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))
        got = synapses.a_buff.get()
    assert got.dtype == dtype
    assert got.item() == weight


def test_a_fixed_neuron_understands_integer_weights():
    synapses = ConvInTime(weights=np.full((2, 1, 1), 100))
    source, neuron = SourceRingBuffer(data=np.ones((1, 1), int)), LIF(shape=(1,), du=4095, dv=4095, vth=9)
    sink = SinkRingBuffer(shape=(1,), buffer=4)
    source.s_out.connect(synapses.s_in)
    synapses.a_out.connect(neuron.a_in)
    neuron.s_out.connect(sink.a_in)
    with source:
        source.run(RunSteps(4), Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))
        assert sink.data.get().ravel().tolist() == [0, 1, 1, 1]
        assert neuron.u.get().tolist() == [200 << 6]


def test_integer_sums_wrap_when_they_are_sent():
    synapses = ConvInTime(weights=np.full((1, 1, 1), 2**30), num_message_bits=8)
    assert outputs(synapses, [[4, 3, -5]], "fixed_pt").ravel().tolist() == [0, -(2**30), -(2**30)]


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_vars_can_be_set(tag):
    synapses = ConvInTime(weights=np.array([[[2]], [[3]]]))
    with Experiment(synapses, [[1]], tag) as experiment:
        assert experiment.run(3).ravel().tolist() == [0, 3, 5]
        synapses.weights.set(np.array([[[20]], [[30]]]))
        assert experiment.run(2).ravel().tolist() == [5, 32]
        assert synapses.weights.get().ravel().tolist() == [20, 30]
        synapses.a_buff.set(np.array([[7, 8]]))
        assert experiment.run(2).ravel().tolist() == [7, 38]


def test_graded_fractions_are_refused_by_integer_weights():
    model = PyConvInTimeFixed({})
    model.process_name, model.num_message_bits = "syn", np.array([8])
    with pytest.raises(DtypeError, match="ConvInTime 'syn' is fixed point and graded, but receives float64"):
        model.checked(np.ones(1))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"weights": np.ones((2, 2))}, ShapeError, r"ConvInTime\.weights must have three axes"),
        ({"weights": np.ones((0, 2, 2))}, ShapeError, r"ConvInTime\.weights must have three axes"),
        ({"weights": [[[1]], [[1, 2]]]}, ShapeError, r"ConvInTime\.weights: not an array"),
        ({"weights": np.ones((1, 1, 1)) * 1j}, ArgumentTypeError, "real numbers"),
        ({"num_message_bits": 0.5}, ArgumentTypeError, r"ConvInTime\.num_message_bits"),
        ({"weight_expo": 2}, ArgumentTypeError, r"'weight_expo'.*weight_exp"),
    ],
)
def test_arguments_are_validated_on_construction(arguments, error, match):
    with pytest.raises(error, match=match):
        ConvInTime(**{"weights": np.ones((1, 1, 1)), **arguments})


def test_arguments_without_effect_are_reported():
    with pytest.warns(LaharWarning, match="ConvInTime 'syn': weight_exp has no effect"):
        ConvInTime(weights=np.ones((1, 1, 1)), weight_exp=2, name="syn")


def test_models_send_before_they_receive():
    assert PyConvInTimeFloat.min_delay == PyConvInTimeFixed.min_delay == 1
