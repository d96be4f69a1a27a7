"""The data plane: three encodings that keep every bit, and batches that are what they say."""

from __future__ import annotations

import tracemalloc

import msgpack
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lahar.processes.errors import RemoteProtocolError
from lahar.processes.model.sparse_ports import SparseMessage
from lahar.runtime import wire
from lahar.runtime.wire import (
    BITMAP,
    DENSE,
    INDEX,
    PACKED,
    SPARSE,
    ChannelFormat,
    decode_array,
    decode_sparse,
    encode_array,
    encode_sparse,
)

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16"]


def form_of(message):
    if isinstance(message, SparseMessage):
        return ChannelFormat((message.size, 1), message.data.dtype, sparse=True)
    return ChannelFormat(message.shape, message.dtype)


def same_message(a, b):
    if isinstance(a, SparseMessage):
        return (
            (a.size, a.packed) == (b.size, b.packed)
            and same_bits(a.data, b.data)
            and same_bits(a.indices, b.indices)
        )
    return same_bits(a, b)


def same_bits(a, b):
    return a.dtype == b.dtype and a.shape == b.shape and a.tobytes() == b.tobytes()


@st.composite
def arrays(draw):
    """Arrays of any dtype: arbitrary bits, or spikes of any density, perhaps with one odd element."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    size = draw(st.sampled_from([0, 1, 2, 7, 8, 9, 63, 64, 65, 255, 256, 257, 300, 1000]))
    shape = draw(st.sampled_from([(size,), (1, size), (size, 1)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    if draw(st.booleans()):
        raw = rng.integers(0, 2 if dtype.kind == "b" else 256, size * dtype.itemsize, dtype=np.uint8)
        return raw.view(dtype).reshape(shape) if size else np.zeros(shape, dtype)
    array = (rng.random(size) < draw(st.sampled_from([0, 0.01, 0.1, 0.5, 1]))).astype(dtype)
    if size and dtype.kind in "fc" and draw(st.booleans()):
        array[draw(st.integers(0, size - 1))] = draw(st.sampled_from([-0.0, np.nan, -1.0, 2.0, 1e-300]))
    return array.reshape(shape)


@given(arrays())
def test_every_array_keeps_every_bit(array):
    encoding, buffer = encode_array(array)
    got = decode_array(encoding, bytes(buffer), form_of(array))
    assert same_bits(got, array)
    assert got.flags.writeable
    assert got.flags.owndata or got.base.flags.owndata
    assert len(buffer) <= array.nbytes


def spikes(size, where, dtype=np.float64):
    array = np.zeros(size, dtype)
    array[where] = 1
    return array


@pytest.mark.parametrize("dtype", [d for d in DTYPES if d != "c16"])
@pytest.mark.parametrize(
    ("density", "expected"), [(0.0, INDEX), (0.02, INDEX), (0.3, BITMAP), (0.9, BITMAP), (1.0, BITMAP)]
)
def test_the_smallest_encoding_is_chosen(dtype, density, expected):
    array = spikes(1000, slice(0, int(1000 * density)), dtype)
    encoding, buffer = encode_array(array)
    assert encoding == expected
    assert len(buffer) == (2 * int(1000 * density) if expected == INDEX else 125)


@pytest.mark.parametrize(("size", "width"), [(200, 1), (256, 1), (257, 2), (1 << 16, 2), ((1 << 16) + 1, 4)])
def test_positions_are_as_wide_as_the_array_needs(size, width):
    array = spikes(size, [0, size - 1], np.int32)
    encoding, buffer = encode_array(array)
    assert (encoding, len(buffer)) == (INDEX, 2 * width)
    assert same_bits(decode_array(encoding, bytes(buffer), form_of(array)), array)


@pytest.mark.parametrize("odd", [-0.0, 2.0, -1.0, np.nan, 1 + 2**-52, 5e-324])
def test_any_other_element_makes_the_array_dense(odd):
    array = spikes(500, [3, 77])
    array[123] = odd
    encoding, buffer = encode_array(array)
    assert encoding == DENSE
    assert same_bits(decode_array(encoding, bytes(buffer), form_of(array)), array)


def test_small_arrays_are_not_looked_at():
    assert encode_array(np.zeros(8))[0] == DENSE
    assert encode_array(np.zeros(9))[0] == INDEX


def test_large_dense_arrays_are_not_copied():
    array = np.arange(10_000.0)
    _, buffer = encode_array(array)
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), array)


@pytest.mark.parametrize(
    ("encoding", "buffer", "text"),
    [
        (DENSE, b"\0" * 799, "799 bytes for an array of shape"),
        (DENSE, b"", "0 bytes for an array"),
        (INDEX, b"\0" * 101, "no index list"),
        (INDEX, bytes([100]), "index 100 in an array of 100 elements"),
        (BITMAP, b"\0" * 12, "no bitmap of 100 elements"),
        (BITMAP, b"\0" * 14, "no bitmap of 100 elements"),
        (3, b"", "unknown encoding 3"),
        (None, b"", "unknown encoding None"),
    ],
)
def test_buffers_that_are_no_array_are_refused(encoding, buffer, text):
    with pytest.raises(RemoteProtocolError, match=text):
        decode_array(encoding, buffer, ChannelFormat((100,), np.dtype("f8")))


def test_half_an_index_is_refused():
    with pytest.raises(RemoteProtocolError, match="no index list"):
        decode_array(INDEX, b"\0" * 3, ChannelFormat((1000,), np.dtype("f8")))


# --- listed elements ----------------------------------------------------------------------------------


@st.composite
def listings(draw):
    """Messages between sparse ports of any size and dtype."""
    size = draw(st.sampled_from([1, 7, 256, 257, 1 << 16, (1 << 16) + 1, 1 << 20]))
    count = draw(st.integers(0, min(size, 50)))
    dtype = np.dtype(draw(st.sampled_from([d for d in DTYPES if d != "?"])))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    data = rng.integers(0, 256, count * dtype.itemsize, dtype=np.uint8).view(dtype)
    packed = draw(st.booleans())
    limits = (-(2**31), 2**31) if packed else (0, size)
    indices = rng.integers(*limits, count, dtype=np.int64)
    return SparseMessage(data, indices.astype(np.int32 if packed else np.int64), size, packed)


@given(listings(), st.binary(min_size=0, max_size=9))
def test_listed_elements_keep_every_bit(message, before):
    encoding, buffer = encode_sparse(message)
    shifted = memoryview(before + buffer)[len(before) :]  # as inside a batch, on any address
    got = decode_sparse(encoding, shifted, form_of(message))
    assert same_message(got, message)
    assert got.data.flags.writeable
    assert got.indices.flags.writeable


@pytest.mark.parametrize(("size", "width"), [(256, 1), (257, 2), (1 << 16, 2), ((1 << 16) + 1, 4)])
def test_positions_of_listed_elements_are_as_wide_as_the_port_needs(size, width):
    message = SparseMessage(np.ones(3), np.array([0, 5, size - 1]), size)
    assert len(encode_sparse(message)[1]) == 3 * (8 + width)


@pytest.mark.parametrize(
    ("encoding", "buffer", "text"),
    [
        (DENSE, b"\0" * 800, "encoding 0 on a channel between sparse ports"),
        (None, b"", "encoding None on a channel"),
        (SPARSE, b"\0" * 10, "10 bytes are no list of elements out of 100"),
        (SPARSE, b"\0" * 909, "909 bytes are no list"),
        (SPARSE, b"\0" * 8 + bytes([100]), "index 100 in a port of 100 elements"),
        (PACKED, b"\0" * 9, "9 bytes are no list"),
        (PACKED, b"\0" * 12 * 101, "1212 bytes are no list"),
    ],
)
def test_buffers_that_list_no_elements_are_refused(encoding, buffer, text):
    with pytest.raises(RemoteProtocolError, match=text):
        decode_sparse(encoding, buffer, ChannelFormat((100,), np.dtype("f8"), sparse=True))


@pytest.mark.parametrize("encoding", [SPARSE, PACKED])
def test_listed_elements_are_refused_by_channels_of_arrays(encoding):
    with pytest.raises(RemoteProtocolError, match=f"unknown encoding {encoding}"):
        decode_array(encoding, b"", ChannelFormat((100,), np.dtype("f8")))


# --- batches ------------------------------------------------------------------------------------------


@st.composite
def batches(draw):
    """Some messages with the formats of their channels, and credits."""
    content = draw(st.lists(st.one_of(arrays(), listings()), max_size=5))
    formats = {k: form_of(a) for k, a in enumerate(content)}
    if draw(st.booleans()):
        large = np.arange(draw(st.integers(4096, 5000)), dtype=np.int64) + 5
        formats[99] = form_of(large)
        content.append(large)
    channels = [*range(len(content) - (99 in formats)), *([99] if 99 in formats else [])]
    messages = list(zip(channels, content, strict=True))
    given = draw(st.dictionaries(st.integers(0, 50), st.integers(1, 100), max_size=3))
    return messages, given, formats


def encoded(messages, given=None, sender=2):
    frames, sizes = wire.encode_batch(sender, messages, given or {})
    return [bytes(frame) for frame in frames], sizes


@given(batches())
def test_batches_survive_the_way(batch):
    messages, credit, formats = batch
    frames, sizes = encoded(messages, credit)
    got = wire.decode_batch(frames, formats)
    assert got.sender == 2
    assert got.credits == list(credit.items())
    assert [channel for channel, _ in got.messages] == [channel for channel, _ in messages]
    for (_, a), (_, b) in zip(got.messages, messages, strict=True):
        assert same_message(a, b)
    assert sum(map(len, frames[1:])) == sum(sizes)


def test_several_messages_of_one_channel_keep_their_order():
    arrays = [np.arange(20) * k for k in range(5)]
    frames, _ = encoded([(7, a) for a in arrays])
    got = wire.decode_batch(frames, {7: form_of(arrays[0])})
    assert [int(a[1]) for _, a in got.messages] == [0, 1, 2, 3, 4]


def test_large_messages_have_frames_of_their_own():
    small, large = np.arange(20), np.arange(1 << 13)
    frames, sizes = wire.encode_batch(0, [(0, small), (1, large), (0, small), (1, large)], {})
    assert len(frames) == 4
    assert sizes == [160, 65536, 160, 65536]
    assert np.shares_memory(np.frombuffer(frames[2], np.uint8), large)
    got = wire.decode_batch([bytes(f) for f in frames], {0: form_of(small), 1: form_of(large)})
    assert [c for c, _ in got.messages] == [0, 1, 0, 1]
    assert same_bits(got.messages[3][1], large)


FORMATS = {4: ChannelFormat((10,), np.dtype("i8")), 5: ChannelFormat((1 << 13,), np.dtype("i8"))}


def header(version=wire.VERSION, sender=1, entries=(), credit=()):
    return msgpack.packb([version, sender, list(entries), list(credit)])


@pytest.mark.parametrize(
    ("frames", "text"),
    [
        ([header(version=9), b""], "version"),
        ([header(sender="one"), b""], "version"),
        ([header(entries=[[3, DENSE, 80]]), b"\0" * 80], "not a batch"),
        ([header(entries=[[[4], DENSE, 80]]), b"\0" * 80], "not a batch"),
        ([header(entries=[[4, DENSE, -80]]), b"\0" * 80], "a payload of -80 bytes"),
        ([header(entries=[[4, DENSE, 80.0]]), b"\0" * 80], r"a payload of 80\.0 bytes"),
        ([header(entries=[[4, DENSE]]), b"\0" * 80], "not a batch"),
        ([header(entries=[4]), b"\0" * 80], "not a batch"),
        ([header(entries=[[4, DENSE, 80]]), b"\0" * 79], "shorter than announced"),
        ([header(entries=[[4, DENSE, 80]]), b"\0" * 81], "longer than announced"),
        ([header(entries=[[4, DENSE, 80]]), b"\0" * 80, b"more"], "longer than announced"),
        ([header(entries=[[5, DENSE, 65536]]), b""], "not a batch"),
        ([header(entries=[[5, DENSE, 65536]]), b"", b"\0" * 65535], "a frame of 65535 bytes"),
        ([header(entries=[[4, 7, 80]]), b"\0" * 80], "unknown encoding 7"),
        ([header(credit=[[4, 0]]), b""], "credits are not positive"),
        ([header(credit=[[4, -3]]), b""], "credits are not positive"),
        ([header(credit=[[4, 1.5]]), b""], "credits are not positive"),
        ([header(credit=[["4", 1]]), b""], "credits are not positive"),
        ([header(credit=[4]), b""], "not a batch"),
        ([header()], "not a batch"),
        ([], "not a batch"),
        ([b"\xc1", b""], "not a batch"),
    ],
)
def test_batches_that_are_not_what_they_say_are_refused(frames, text):
    with pytest.raises(RemoteProtocolError, match=text):
        wire.decode_batch(frames, FORMATS)


@given(st.lists(st.binary(max_size=100), max_size=4))
def test_random_bytes_are_refused(frames):
    with pytest.raises(RemoteProtocolError):
        wire.decode_batch(frames, FORMATS)


@settings(max_examples=400)
@given(batches(), st.data())
def test_mutated_batches_are_refused_or_fit_their_channels(batch, data):
    messages, credit, formats = batch
    frames, _ = encoded(messages, credit)
    for _ in range(data.draw(st.integers(1, 3))):
        k = data.draw(st.integers(0, len(frames) - 1))
        frame = bytearray(frames[k])
        if not frame or data.draw(st.booleans()):
            frame.insert(data.draw(st.integers(0, len(frame))), data.draw(st.integers(0, 255)))
        else:
            frame[data.draw(st.integers(0, len(frame) - 1))] = data.draw(st.integers(0, 255))
        frames[k] = bytes(frame)
    try:
        got = wire.decode_batch(frames, formats)
    except RemoteProtocolError:
        return
    for channel, message in got.messages:
        form = formats[channel]
        if form.sparse:
            assert message.size == form.size
            assert message.data.shape == message.indices.shape <= (form.size,)
            assert message.packed or (message.indices < form.size).all()
        else:
            assert form_of(message) == form
    assert all(count > 0 for _, count in got.credits)


def test_announced_sizes_do_not_allocate():
    tracemalloc.start()
    try:
        for size in (1 << 40, (1 << 63) - 1):
            for frames in ([b""], [b"", b"\0" * 10]):
                with pytest.raises(RemoteProtocolError):
                    wire.decode_batch([header(entries=[[4, DENSE, size]]), *frames], FORMATS)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


# --- marks --------------------------------------------------------------------------------------------


@given(st.integers(0, 2**16 - 1), st.integers(0, 2**64 - 1), st.integers(0, 255))
def test_marks_survive_the_way(domain, number, needs):
    assert wire.decode_mark(wire.encode_mark(domain, number, needs)) == (domain, number, needs)


@pytest.mark.parametrize("size", [0, 1, 9, 10, 12, 100])
def test_what_is_not_a_mark_is_refused(size):
    with pytest.raises(RemoteProtocolError, match=f"a mark of {size} bytes, expected 11"):
        wire.decode_mark(b"x" * size)
