"""DeltaEncoder: thresholds, limits, what is kept for later."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.connections import config
from support.stream_recorder import StreamRecorder

from lahar.processes import Compression, DeltaEncoder, SinkRingBuffer, SourceRingBuffer
from lahar.processes.delta_encoder import AbstractPyDeltaEncoderModel, PyDeltaEncoderModelDense
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError, PortError, ValidationError
from lahar.runtime import Loihi2SimCfg, RunSteps


def encode(encoder, data, tag="fixed_pt"):
    """Return what arrives in each step, time last, `act` and `residue`."""
    source, sink = SourceRingBuffer(data=data), SinkRingBuffer(shape=encoder.shape, buffer=data.shape[-1] + 1)
    source.s_out.connect(encoder.a_in)
    encoder.s_out.connect(sink.a_in)
    with source:
        source.run(RunSteps(data.shape[-1] + 1), config(tag))
        return sink.data.get(), encoder.act.get(), encoder.residue.get()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 2**32 - 1), st.integers(0, 60), st.integers(0, 3), st.sampled_from([None, 1, 4, 9]))
def test_changes_that_reach_the_threshold_are_sent_one_step_later(seed, vth, exponent, bits):
    data = np.random.default_rng(seed).integers(-40, 40, (2, 3, 10))
    encoder = DeltaEncoder(shape=(2, 3), vth=vth, spike_exp=exponent, num_bits=bits)
    sent, act, residue = encode(encoder, data)
    assert not sent[..., 0].any()
    last, rest = np.zeros((2, 3), int), np.zeros((2, 3), int)
    for t in range(11):
        scaled = data[..., t % 10] * 2**exponent
        change = scaled - last + rest
        spike = np.where(np.abs(change) >= vth * 2**exponent, change, 0)
        if bits is not None:
            spike = np.clip(spike, -(2 ** (bits - 1)) * 2**exponent, (2 ** (bits - 1) - 1) * 2**exponent)
        last, rest = scaled, change - spike
        if t < 10:
            np.testing.assert_array_equal(sent[..., t + 1], spike)
    np.testing.assert_array_equal(act, last)
    np.testing.assert_array_equal(residue, rest)


@settings(deadline=None, max_examples=20)
@given(st.integers(0, 2**32 - 1), st.integers(0, 30), st.sampled_from([None, 5]))
def test_what_was_sent_adds_up_to_the_input_but_for_the_residue(seed, vth, bits):
    data = np.random.default_rng(seed).integers(-500, 500, (4, 12))
    sent, act, _ = encode(DeltaEncoder(shape=(4,), vth=vth, num_bits=bits), data)
    assert act.tolist() == data[:, 0].tolist()
    missing = data[:, 11] - sent.sum(axis=1)
    if bits is None:
        assert (np.abs(missing) < max(vth, 1)).all()


@pytest.mark.parametrize("tag", ["fixed_pt", "dense_out", "another", None])
def test_the_model_goes_by_the_compression_whatever_the_tag(tag):
    encoder = DeltaEncoder(shape=(1,), vth=0)
    encoder.run(RunSteps(1), Loihi2SimCfg(select_tag=tag, launcher="inline"))
    assert encoder.model_class is PyDeltaEncoderModelDense
    encoder.stop()


def test_fractional_thresholds_are_cut_after_scaling():
    encoder = DeltaEncoder(shape=(1,), vth=12.9, spike_exp=3, num_bits=5)
    assert (encoder.vth.init, encoder.a_min.init, encoder.a_max.init) == (103, -128, 120)
    assert DeltaEncoder(shape=(1,), vth=1).a_max.init == DeltaEncoder(shape=(1,), vth=1).a_min.init == -1


def test_the_threshold_can_be_set():
    encoder = DeltaEncoder(shape=(1,), vth=100)
    with encoder:
        source = SourceRingBuffer(data=np.array([[9]]))
        source.s_out.connect(encoder.a_in)
        encoder.run(RunSteps(1), config("fixed_pt"))
        assert encoder.residue.get().tolist() == [9]
        encoder.vth.set(9)
        encoder.run(RunSteps(1), config("fixed_pt"))
        assert encoder.residue.get().tolist() == [0]


def test_a_model_that_cannot_send_this_is_refused():
    encoder = DeltaEncoder(shape=(1,), vth=1, compression=Compression.PACKED_4, name="enc")
    models = {DeltaEncoder: PyDeltaEncoderModelDense}
    with pytest.raises(ModelError, match=r"PyDeltaEncoderModelDense cannot send Compression\.PACKED_4"):
        encoder.run(RunSteps(1), Loihi2SimCfg(exception_proc_model_map=models, launcher="inline"))


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"shape": 3}, ArgumentTypeError, "shape must be a tuple"),
        ({"vth": [1, 2]}, ArgumentTypeError, r"DeltaEncoder\.vth must be one number"),
        ({"vth": "a"}, ArgumentTypeError, r"DeltaEncoder\.vth must be one number"),
        ({"spike_exp": -1}, ValidationError, r"DeltaEncoder\.spike_exp: must not be negative"),
        ({"spike_exp": 0.5}, ArgumentTypeError, r"DeltaEncoder\.spike_exp"),
        ({"num_bits": 0}, ValidationError, r"DeltaEncoder\.num_bits: must be at least 1"),
        ({"compression": 0}, ArgumentTypeError, r"DeltaEncoder\.compression must be a Compression"),
    ],
)
def test_arguments_are_validated_on_construction(arguments, error, match):
    with pytest.raises(error, match=match):
        DeltaEncoder(**{"shape": (1,), "vth": 1, **arguments})


def test_a_model_says_how_it_sends():
    class Mute(AbstractPyDeltaEncoderModel):
        compressions = (Compression.DENSE,)

    with pytest.raises(NotImplementedError, match="Mute must define transmit"):
        Mute({"compression": Compression.DENSE}).transmit(None)


# --- sparse output -------------------------------------------------------------------------------


def stream(compression, data, **options):
    """Return what arrives in each step: pairs of data and index."""
    encoder = DeltaEncoder(shape=data.shape[:-1], vth=1, compression=compression, name="enc", **options)
    source, recorder = SourceRingBuffer(data=data), StreamRecorder(shape=encoder.shape, steps=data.shape[-1])
    source.s_out.connect(encoder.a_in)
    encoder.s_out.connect(recorder.a_in)
    with source:
        source.run(RunSteps(data.shape[-1]), config("fixed_pt"))
        lengths, values, index = recorder.length.get(), recorder.data.get(), recorder.index.get()
    return [(values[t, :n].tolist(), index[t, :n].tolist()) for t, n in enumerate(lengths)]


def test_the_first_message_is_one_zero_and_then_come_the_encodings():
    data = np.zeros((20, 2), int)
    data[7, 0], data[9, 0] = 5, -1
    assert stream(Compression.SPARSE, data)[1] == ([5, -1], [7, 9])
    assert stream(Compression.PACKED_4, data)[1] == ([0, 255 << 8, 0], [5 << 24, 0, 0])
    assert stream(Compression.DELTA_SPARSE_8, data)[1] == ([5 + (255 << 8)], [7 + (1 << 8)])
    for compression in list(Compression)[1:]:
        assert stream(compression, data)[0] == ([0], [0])


@pytest.mark.parametrize("compression", [Compression.PACKED_4, Compression.DELTA_SPARSE_8])
def test_changes_beyond_8_bits_are_reported(compression):
    data = np.full((2, 3), -300)
    with pytest.warns(
        LaharWarning, match=r"DeltaEncoder 'enc': 2 of 2 changes do not fit into 8 bits.*the worst is -300"
    ):
        stream(compression, data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        stream(compression, data, num_bits=8)


def test_a_dense_port_cannot_receive_it():
    encoder = DeltaEncoder(shape=(2,), vth=1, compression=Compression.SPARSE, name="enc")
    sink = SinkRingBuffer(shape=(2,), buffer=1)
    encoder.s_out.connect(sink.a_in)
    with pytest.raises(PortError, match="enc"):
        encoder.run(RunSteps(1), config("fixed_pt"))
