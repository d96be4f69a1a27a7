"""Conv: the convolution one step later, wrapping, Vars, validation."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lahar.processes import Conv, SinkRingBuffer, SourceRingBuffer, Sparse
from lahar.processes.conv import AbstractPyConvModel, PyConvModelFixed, PyConvModelFloat
from lahar.processes.conv_matrix import conv_to_sparse
from lahar.processes.convolution import conv
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ShapeError, ValidationError
from lahar.runtime import Loihi2SimCfg, RunSteps


def outputs(connection, data, tag):
    """Return what leaves in the step after each input, time first."""
    steps = data.shape[-1]
    source = SourceRingBuffer(data=data)
    sink = SinkRingBuffer(shape=connection.a_out.shape, buffer=steps + 1)
    source.s_out.connect(connection.s_in)
    connection.a_out.connect(sink.a_in)
    with source:
        source.run(RunSteps(steps + 1), Loihi2SimCfg(select_tag=tag, launcher="inline"))
        received = np.moveaxis(sink.data.get(), -1, 0)
    assert not received[0].any()
    return received[1:]


OPTIONS = {"padding": (1, 2), "stride": (2, 1), "dilation": (1, 2), "groups": 2}


def problem(seed, tag, density):
    rng = np.random.default_rng(seed)
    weight = rng.normal(size=(4, 3, 2, 2)) if tag == "floating_pt" else rng.integers(-99, 99, (4, 3, 2, 2))
    data = rng.integers(-9, 9, (6, 5, 4, 4)) * (rng.random((6, 5, 4, 4)) < density)
    return weight, data


@settings(deadline=None, max_examples=25)
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from(["floating_pt", "fixed_pt"]),
    st.sampled_from([0.05, 0.9]),
    st.sampled_from([0, 8]),
)
@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
def test_conv_has_the_bits_of_the_equivalent_sparse(seed, tag, density, bits):
    weight, data = problem(seed, tag, density)
    convolution = Conv(weight=weight, input_shape=(6, 5, 4), num_message_bits=bits, **OPTIONS)
    got = outputs(convolution, data, tag).reshape(4, -1)
    dst, src, values = conv_to_sparse(
        (6, 5, 4),
        convolution.output_shape,
        weight,
        OPTIONS["stride"],
        OPTIONS["padding"],
        OPTIONS["dilation"],
        OPTIONS["groups"],
    )
    matrix = csr_matrix((values, (dst, src)), shape=(got.shape[1], 120))
    sparse = Sparse(weights=matrix, num_message_bits=bits, num_weight_bits=9)
    np.testing.assert_array_equal(got, outputs(sparse, data.reshape(120, 4), tag))


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt", "bit_accurate_loihi", None])
def test_graded_input_is_convolved_one_step_later(tag):
    weight, data = problem(1, "fixed_pt", 0.5)
    got = outputs(Conv(weight=weight, input_shape=(6, 5, 4), num_message_bits=8, **OPTIONS), data, tag)
    for t in range(4):
        arguments = (3, 2), OPTIONS["stride"], OPTIONS["padding"], OPTIONS["dilation"], OPTIONS["groups"]
        np.testing.assert_array_equal(got[t], conv(data[..., t], weight, *arguments))


@pytest.mark.parametrize("value", [2**20, 2**31 - 1, -(2**31)])
@pytest.mark.parametrize("weights", [[127, 127, 3], [-(2**31), 2**31 - 1, 1]])
def test_fixed_point_wraps_the_exact_sum_to_24_bits(value, weights):
    convolution = Conv(
        weight=np.reshape(weights, (1, 1, 1, 3)), input_shape=(1, 1, 3), num_message_bits=8, name="c"
    )
    exact = sum(w * value for w in weights)
    expected = (exact + 2**23) % 2**24 - 2**23
    if expected == exact:
        got = outputs(convolution, np.full((1, 1, 3, 1), value), "fixed_pt")
    else:
        with pytest.warns(LaharWarning, match="Conv 'c': 1 of 1 sums do not fit into 24 bits and wrap"):
            got = outputs(convolution, np.full((1, 1, 3, 1), value), "fixed_pt")
    assert got.item() == expected


def test_weights_are_neither_clipped_nor_truncated():
    got = outputs(Conv(weight=np.reshape([301, -999], (2, 1, 1, 1))), np.ones((1, 1, 1, 1), int), "fixed_pt")
    assert got.ravel().tolist() == [301, -999]


def test_fractions_are_summed_before_they_are_cut_in_fixed_point():
    model = PyConvModelFixed({"geometry": Conv(weight=np.ones((1, 1, 1, 1))).proc_params["geometry"]})
    model.weight = np.full((1, 1, 1, 1), 3, np.int32)
    model.on_build()
    assert model.activation(np.full((1, 1, 1), 1.5), True).item() == 4
    assert model.activation(np.full((1, 1, 1), -1.5), True).item() == -4


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_vars_at_a_pause(tag):
    source = SourceRingBuffer(data=np.full((1, 1, 1, 1), 3))
    convolution = Conv(weight=np.full((1, 1, 1, 1), 2), name="c")
    sink = SinkRingBuffer(shape=(1, 1, 1), buffer=10)
    source.s_out.connect(convolution.s_in)
    convolution.a_out.connect(sink.a_in)
    cfg = Loihi2SimCfg(select_tag=tag, launcher="inline")
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Conv 'c': receives", LaharWarning)
        with source:
            source.run(RunSteps(2), cfg)
            convolution.weight.set(np.full((1, 1, 1, 1), 5))
            convolution.num_message_bits.set(8)
            source.run(RunSteps(2), cfg)
            convolution.a_buf.set(np.full((1, 1, 1), 7))
            source.run(RunSteps(1), cfg)
            assert sink.data.get().ravel().tolist() == [0, 2, 2, 15, 7, 0, 0, 0, 0, 0]
            with pytest.raises(ValidationError, match=r"c\.padding: is \[0, 0\] and cannot be changed"):
                convolution.padding.set(np.array([1, 0]))
            assert convolution.padding.get().tolist() == [0, 0]
            assert convolution.kernel_size.get().tolist() == [1, 1]


def test_numbers_that_become_spikes_in_floating_point_are_reported():
    convolution = Conv(weight=np.ones((1, 1, 1, 1)), name="c")
    with pytest.warns(LaharWarning, match=r"Conv 'c': receives 0\.25 and treats it as a spike"):
        assert outputs(convolution, np.full((1, 1, 1, 2), 0.25), "floating_pt").ravel().tolist() == [1, 1]


@pytest.mark.parametrize("option", [{"weight_exp": 3}, {"num_weight_bits": 4}])
def test_arguments_without_effect_are_reported(option):
    (name,) = option
    with pytest.warns(LaharWarning, match=f"Conv 'c': {name} = . has no effect"):
        convolution = Conv(weight=np.ones((1, 1, 1, 1)), name="c", **option)
    got = outputs(convolution, np.ones((1, 1, 1, 1), int), "fixed_pt")
    assert got.item() == 1


def test_large_geometries_are_possible():
    convolution = Conv(
        weight=np.ones((1, 1, 1, 1)), input_shape=(400, 1, 1), stride=(399, 1), padding=(200, 0)
    )
    got = outputs(convolution, np.ones((400, 1, 1, 1)), "floating_pt")
    assert convolution.output_shape == (3, 1, 1)
    assert got.ravel().tolist() == [0, 1, 0]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"weight": np.ones((1, 1, 1))}, ShapeError, r"Conv\.weight must have four axes"),
        ({"weight": [[1], [1, 2]]}, ShapeError, r"Conv\.weight: not an array"),
        ({"weight": np.ones((1, 1, 1, 1)) * 1j}, ArgumentTypeError, r"Conv\.weight must hold real numbers"),
        ({"weight": np.ones((1, 2, 1, 1))}, ValidationError, "in x the kernel reaches over 2 of 1"),
        ({"groups": 2}, ValidationError, r"Conv\.groups: must divide"),
        ({"num_message_bits": 1.5}, ArgumentTypeError, r"Conv\.num_message_bits"),
        ({"weight_exp": 1.5}, ArgumentTypeError, r"Conv\.weight_exp"),
        ({"num_weight_bits": "a"}, ArgumentTypeError, r"Conv\.num_weight_bits"),
        ({"weights": 1}, TypeError, "weights"),
    ],
)
def test_arguments_are_validated_on_construction(arguments, error, match):
    with pytest.raises(error, match=match):
        Conv(**{"weight": np.ones((1, 1, 1, 1)), **arguments})


def test_a_model_says_what_it_sends():
    with pytest.raises(NotImplementedError, match="AbstractPyConvModel must define activation"):
        AbstractPyConvModel({}).activation(None, False)


def test_models_send_before_they_receive():
    assert PyConvModelFloat.min_delay == PyConvModelFixed.min_delay == 1
