"""Whatever arrives, decoders return something valid or raise RemoteProtocolError, and allocate little."""

from __future__ import annotations

import dataclasses
import tracemalloc
from contextlib import contextmanager

import msgpack
import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix
from support.control_messages import messages

from lahar.processes.errors import RemoteProtocolError
from lahar.processes.model.sparse_ports import SparseMessage
from lahar.runtime import messages as m
from lahar.runtime import sockets, values, wire
from lahar.runtime.wire import BITMAP, DENSE, INDEX, PACKED, SPARSE, ChannelFormat

MANY = settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.too_slow])
SECRET = b"12345678"
HUGE = [1 << 40, (1 << 63) - 1, (1 << 64) - 1]


@contextmanager
def little_memory(limit=4 << 20):
    """Fail if more than `limit` bytes are in use at any moment."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < limit
    finally:
        tracemalloc.stop()


def attempt(decode, *arguments):
    """Return what is decoded, or None if it is refused."""
    try:
        return decode(*arguments)
    except RemoteProtocolError:
        return None


numbers = st.sampled_from([0, 1, 2, 3, 7, 8, 63, 64, 255, 256, -1, *HUGE])
scalars = st.none() | st.booleans() | numbers | st.text(max_size=4) | st.binary(max_size=9) | st.floats()
trees = st.recursive(scalars, lambda t: st.lists(t, max_size=4), max_leaves=12)


@st.composite
def mutated(draw, frames):
    """Frames with some bytes changed, inserted and removed, cut, exchanged, lost or repeated."""
    frames = [bytearray(frame) for frame in frames]
    for _ in range(draw(st.integers(1, 4))):
        k = draw(st.integers(0, max(0, len(frames) - 1)))
        frame = frames[k] if frames else bytearray()
        place = draw(st.integers(0, len(frame)))
        match draw(st.sampled_from(["change", "insert", "remove", "cut", "lose", "repeat", "swap"])):
            case "change" if place < len(frame):
                frame[place] = draw(
                    st.sampled_from([0, 1, 0x7F, 0x80, 0xC1, 0xDD, 0xFF]) | st.integers(0, 255)
                )
            case "insert":
                frame[place:place] = draw(st.binary(min_size=1, max_size=9))
            case "remove":
                del frame[place : place + draw(st.integers(1, 9))]
            case "cut":
                del frame[place:]
            case "lose" if len(frames) > 1:
                del frames[k]
            case "repeat" if frames:
                frames.insert(k, bytearray(frame))
            case "swap" if frames:
                frames[0], frames[k] = frames[k], frames[0]
    return [bytes(frame) for frame in frames]


# --- messages -----------------------------------------------------------------------------------------


@MANY
@given(st.data())
def test_mutated_control_messages(data):
    frames = m.encode(data.draw(messages()))
    with little_memory():
        got = attempt(m.decode, data.draw(mutated(frames)))
    if got is not None:
        assert type(got) in m.KINDS.values()
        for field in dataclasses.fields(got):
            assert type(getattr(got, field.name)).__name__ in str(field.type)


@MANY
@given(st.sampled_from([m.VERSION, 0, None]), st.sampled_from(list(m.KINDS)), st.lists(trees, max_size=5))
def test_control_messages_of_any_content(version, name, fields):
    with little_memory():
        got = attempt(m.decode, [msgpack.packb([version, name, fields])])
    assert got is None or type(got).__name__ == name


@pytest.mark.parametrize(
    ("name", "fields", "wrong"),
    [
        ("Get", [1, [1, "2"]], "vars"),
        ("Get", [1, [True]], "vars"),
        ("Build", [["a", 2], 30], "peers"),
        ("Counted", [1, [[1, 2], 3], [], [], []], "channels"),
        ("Counted", [1, [[1, 2.5]], [], [], []], "channels"),
        ("Counted", [1, [], [], [], [True]], "totals"),
        ("Condition", [1, 0, [], [], [1], []], "waits"),
        ("Condition", [1, 0, [["x"]], [], [], []], "sent"),
    ],
)
def test_elements_of_lists_are_checked(name, fields, wrong):
    with pytest.raises(RemoteProtocolError, match=rf"{name}\.{wrong} is"):
        m.decode([msgpack.packb([m.VERSION, name, fields])])


# --- values -------------------------------------------------------------------------------------------


@st.composite
def contents(draw):
    """A value that a Var may have."""
    array = draw(
        hnp.arrays(
            draw(hnp.scalar_dtypes().filter(lambda d: d.kind in "biufc")), hnp.array_shapes(min_dims=0)
        )
    )
    match draw(st.sampled_from(["array", "fortran", "csr", "masked", "text"])):
        case "fortran":
            return np.asfortranarray(array)
        case "csr":
            return csr_matrix(np.eye(draw(st.integers(1, 5)), dtype=draw(st.sampled_from(["f8", "i4"]))))
        case "masked":
            return np.ma.MaskedArray(array, draw(hnp.arrays(bool, array.shape)))
        case "text":
            return draw(st.text() | st.none())
    return array


def check_value(value, size):
    """Whether a value is one, and no larger than what arrived."""
    if hasattr(value, "tocsr"):
        value.check_format(full_check=True)
        assert value.data.nbytes + value.indices.nbytes <= 8 * size + 64
    elif isinstance(value, np.ndarray):
        assert value.dtype.kind in "biufc"
        assert value.nbytes <= size
        value.sum()
    else:
        assert value is None or isinstance(value, str)


@MANY
@given(st.data())
def test_mutated_values(data):
    header, buffers = values.encode(data.draw(contents()))
    first, *rest = data.draw(mutated([msgpack.packb(header), *map(bytes, buffers)])) or [b""]
    try:
        header = msgpack.unpackb(first, strict_map_key=False)
    except Exception:
        header = first
    with little_memory(), np.errstate(all="ignore"):
        got = attempt(values.decode, header, rest)
        check_value(got, sum(map(len, rest)))


array_header = st.tuples(
    st.just("array"),
    st.sampled_from(["<f8", "|b1", "<i4", "<c16"]),
    st.lists(numbers, max_size=3),
    st.booleans(),
).map(list)


@MANY
@given(
    st.sampled_from(["csr", "masked"]),
    st.lists(numbers, max_size=3) | trees,
    st.lists(array_header | trees, max_size=4) | trees,
    st.lists(st.sampled_from([b"", b"\0" * 4, b"\0" * 8, b"\1" * 16, b"\0" * 64]), max_size=4),
)
def test_matrices_and_masks_of_any_shape(kind, shape, parts, buffers):
    header = [kind, shape, parts] if kind == "csr" else [kind, parts]
    with little_memory(), np.errstate(all="ignore"):
        check_value(attempt(values.decode, header, buffers), sum(map(len, buffers)))


def array(dtype, content, shape=None):
    content = np.array(content, dtype)
    return [
        "array",
        content.dtype.str,
        list(content.shape) if shape is None else shape,
        False,
    ], content.tobytes()


@pytest.mark.parametrize("size", HUGE)
@pytest.mark.parametrize(
    "parts",
    [
        [array("i8", 1 << 40), array("i8", 1 << 40)],  # SciPy would take two numbers for the shape
        [array("f8", [1.0]), array("i4", [[0], [0]])],  # and data with coordinates
        [array("f8", []), array("i4", []), array("i4", [0])],
        [array("f8", [1.0])],
    ],
)
def test_matrices_of_announced_size_are_not_allocated(size, parts):
    headers, buffers = [h for h, _ in parts], [b for _, b in parts]
    for shape in ([size, 1], [size, size]):
        with little_memory(1 << 20), pytest.raises(RemoteProtocolError):
            values.decode(["csr", shape, headers], buffers)


@pytest.mark.parametrize("size", HUGE)
def test_arrays_of_announced_size_are_not_allocated(size):
    for shape in ([size], [size, size], [1, size]):
        for header in (["array", "<f8", shape, False], ["array", "|b1", shape, True]):
            with little_memory(1 << 20), pytest.raises(RemoteProtocolError):
                values.decode(header, [b"\0" * 64])
            with little_memory(1 << 20), pytest.raises(RemoteProtocolError):
                values.decode(["masked", [header, header]], [b"\0" * 64] * 2)


@pytest.mark.parametrize(
    ("shape", "parts", "text"),
    [
        ([2], [array("f8", []), array("i4", []), array("i4", [0, 0, 0])], r"shape \[2\]"),
        ([2, -1], [array("f8", []), array("i4", []), array("i4", [0, 0, 0])], r"shape \[2, -1\]"),
        ([2.0, 2], [array("f8", []), array("i4", []), array("i4", [0, 0, 0])], "shape"),
        ([2, 2], [array("f8", []), array("i4", []), array("i4", [0, 0])], "no matrix of shape"),
        ([2, 2], [array("f8", [[1.0]]), array("i4", [0]), array("i4", [0, 1, 1])], "no matrix of shape"),
        ([2, 2], [array("f8", []), array("i4", [])], "three arrays"),
        ([2, 2], [array("f8", []), array("i4", []), (["text", "x"], b"")], "three arrays"),
    ],
)
def test_what_is_no_matrix_is_refused(shape, parts, text):
    with pytest.raises(RemoteProtocolError, match=text):
        values.decode(["csr", shape, [h for h, _ in parts]], [b for _, b in parts])


def test_booleans_must_be_true_or_false():
    text = "neither True nor False"
    with pytest.raises(RemoteProtocolError, match=text):
        values.decode(["array", "|b1", [2], False], [b"\1\2"])
    form = ChannelFormat((2,), np.dtype(bool))
    with pytest.raises(RemoteProtocolError, match=text):
        wire.decode_array(DENSE, b"\1\xff", form)
    with pytest.raises(RemoteProtocolError, match=text):
        wire.decode_sparse(SPARSE, b"\2\0", dataclasses.replace(form, sparse=True))


# --- data ---------------------------------------------------------------------------------------------

FORMATS = {
    1: ChannelFormat((3, 3), np.dtype("f8"), capacity=4),
    2: ChannelFormat((1000,), np.dtype("i4"), capacity=4),
    3: ChannelFormat((), np.dtype("?"), capacity=4),
    4: ChannelFormat((300,), np.dtype("i2"), sparse=True, capacity=4),
    5: ChannelFormat((0, 2), np.dtype("f4"), capacity=4),
    6: ChannelFormat((5000,), np.dtype("f8"), capacity=2),
}


@st.composite
def batches(draw):
    content = []
    for channel in draw(st.lists(st.sampled_from(list(FORMATS)), max_size=4)):
        form = FORMATS[channel]
        rng = np.random.default_rng(draw(st.integers(0, 99)))
        if form.sparse:
            count = draw(st.integers(0, 9))
            data, where = rng.integers(0, 9, count).astype(form.dtype), rng.integers(0, form.size, count)
            content.append((channel, SparseMessage(data, where, form.size)))
        else:
            odd = draw(st.sampled_from([1, 1, 2]))
            content.append((channel, (odd * (rng.random(form.shape) < 0.1)).astype(form.dtype)))
    return content, draw(st.dictionaries(st.integers(1, 6), st.integers(1, 9), max_size=3))


def check_batch(batch):
    for channel, message in batch.messages:
        form = FORMATS[channel]
        if form.sparse:
            assert message.data.size == message.indices.size <= form.size
            assert message.packed or not message.indices.size or message.indices.max() < form.size
        else:
            assert (message.shape, message.dtype) == (form.shape, form.dtype)
    assert all(type(n) is int and n > 0 for _, n in batch.credits)


@MANY
@given(st.data())
def test_mutated_batches(data):
    content, credit = data.draw(batches())
    frames, _ = wire.encode_batch(1, content, credit)
    with little_memory():
        got = attempt(wire.decode_batch, data.draw(mutated([bytes(f) for f in frames])), FORMATS)
        if got is not None:
            check_batch(got)


@MANY
@given(
    st.lists(
        st.tuples(
            st.sampled_from([*FORMATS, 99, True, 2.0]) | scalars,
            st.sampled_from([DENSE, INDEX, BITMAP, SPARSE, PACKED, 5]) | scalars,
            st.sampled_from([0, 1, 2, 8, 72, 125, 4000]) | numbers,
        ).map(list)
        | trees,
        max_size=4,
    ),
    st.lists(st.tuples(numbers, numbers).map(list) | trees, max_size=3) | trees,
    st.sampled_from([b"", b"\0", b"\1" * 72, b"\0" * 125, b"\0" * 197]),
)
def test_batches_of_any_content(entries, credit, payload):
    header = msgpack.packb([wire.VERSION, 1, entries, credit])
    with little_memory():
        got = attempt(wire.decode_batch, [header, payload], FORMATS)
        if got is not None:
            check_batch(got)


@MANY
@given(st.integers(-1, 6) | st.none(), st.binary(max_size=100), st.sampled_from(list(FORMATS.values())))
def test_payloads_of_any_content(encoding, payload, form):
    with little_memory():
        decode = wire.decode_sparse if form.sparse else wire.decode_array
        got = attempt(decode, encoding, payload, form)
    assert got is None or (got.size == form.size)


def test_a_short_batch_cannot_announce_many_arrays():
    """An empty index list is an array of zeros: three bytes of header for any amount of memory."""
    form = {1: ChannelFormat((1 << 17,), np.dtype("f8"), capacity=3)}
    header = msgpack.packb([wire.VERSION, 4, [[1, INDEX, 0]] * 10_000, []])
    with little_memory(5 << 20), pytest.raises(RemoteProtocolError, match="partition 4 overran channel 1"):
        wire.decode_batch([header, b""], form)
    header = msgpack.packb([wire.VERSION, 4, [[1, INDEX, 0]] * 3, []])
    assert len(wire.decode_batch([header, b""], form).messages) == 3


@given(st.binary(max_size=20))
def test_marks_of_any_content(frame):
    got = attempt(wire.decode_mark, frame)
    assert (got is None) == (len(frame) != 11)


# --- the seal -----------------------------------------------------------------------------------------


@MANY
@given(st.data())
def test_mutated_seals(data):
    what = data.draw(
        st.sampled_from([sockets.CONTROL, sockets.DATA, sockets.MARK, sockets.HOST, sockets.REFERENCE])
    )
    frames = data.draw(
        mutated([sockets.seal(what, data.draw(st.integers(0, 2**16 - 1)), SECRET) + b"rest", b""])
    )
    got = attempt(sockets.unseal, frames, SECRET)
    if got is not None:
        assert got[0] in sockets._KINDS
        assert 0 <= got[1] < 2**16


@pytest.mark.parametrize("what", [0, 255])
def test_unknown_kinds_are_refused(what):
    with pytest.raises(RemoteProtocolError, match=f"a message of unknown kind {what}"):
        sockets.unseal([sockets.seal(what, 1, SECRET)], SECRET)


def test_no_frames_are_no_message():
    with pytest.raises(RemoteProtocolError, match="without the seal"):
        sockets.unseal([], SECRET)
