"""Control messages: the way over the wire and back, and everything that is no message."""

from __future__ import annotations

import dataclasses
import tracemalloc

import msgpack
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.control_messages import messages

from lahar.processes.errors import RemoteProtocolError
from lahar.runtime import messages as m
from lahar.runtime.sockets import CONTROL, DATA, MARK, REFERENCE, SECRET_BYTES, seal, unseal


def sent(message):
    """Return the frames as they arrive."""
    return [bytes(frame) for frame in m.encode(message)]


@given(messages())
def test_every_message_survives_the_way(message):
    assert m.decode(sent(message)) == message


def test_messages_are_values():
    assert m.Abort(0, 3) == m.Abort(0, 3) != m.Abort(0, 4)
    with pytest.raises(dataclasses.FrozenInstanceError):
        m.Abort(0, 3).phase = 4


def test_buffers_are_not_copied_when_encoding():
    buffer = bytearray(b"abc")
    _, same = m.encode(m.Set(1, 2, [], (buffer,)))
    assert same is buffer


def refused(frames, text):
    with pytest.raises(RemoteProtocolError, match=text):
        m.decode(frames)


def packed(*content):
    return [msgpack.packb(list(content))]


@pytest.mark.parametrize("version", [0, m.VERSION + 1, "1", None])
def test_another_version_is_refused(version):
    refused(packed(version, "Abort", [0, 3]), "protocol version")


@pytest.mark.parametrize(
    ("name", "fields", "text"),
    [
        ("Nonsense", [], "Nonsense"),
        ("Message", [], "Message"),
        (3, [], "not a control message"),
        (["Abort"], [0, 3], "not a control message"),
        ("Abort", [], "wrong number of fields in Abort"),
        ("Abort", [3, 4, 5], "wrong number of fields in Abort"),
        ("Abort", [0, "3"], r"Abort\.phase is '3'"),
        ("Abort", [0, 3.0], r"Abort\.phase is 3\.0"),
        ("Abort", [0, True], r"Abort\.phase is True"),
        ("Abort", [0, None], r"Abort\.phase is None"),
        ("Abort", 3, "not a control message"),
        ("Grant", [3, 1, 0], r"Grant\.limits is 3"),
        ("Grant", [[3], 1, False], r"Grant\.final is False"),
        ("Hold", [0], r"Hold\.why is 0"),
        ("Hello", [1, 2], r"Hello\.address is 2"),
        ("Get", [1, 2], r"Get\.vars is 2"),
        ("Get", [1, {}], r"Get\.vars is"),
    ],
)
def test_wrong_fields_are_refused(name, fields, text):
    refused(packed(m.VERSION, name, fields), text)


def test_buffers_where_none_belong_are_refused():
    refused([*sent(m.Rest()), b"more"], "wrong number of fields in Rest")


@pytest.mark.parametrize("frames", [[], [b""], [b"\xc1"], [b"\x93\x01"], [b"\xdd\xff\xff\xff\xff"]])
def test_what_is_not_msgpack_is_refused(frames):
    refused(frames, "not a control message")


@given(st.lists(st.binary(max_size=200), max_size=4))
def test_random_bytes_are_refused(frames):
    with pytest.raises(RemoteProtocolError):
        m.decode(frames)


@settings(max_examples=400)
@given(messages(), st.data())
def test_mutated_messages_are_refused_or_are_messages(message, data):
    frames = sent(message)
    first = bytearray(frames[0])
    for _ in range(data.draw(st.integers(1, 4))):
        position = data.draw(st.integers(0, len(first) - 1))
        match data.draw(st.sampled_from(["change", "insert", "remove", "cut"])):
            case "change":
                first[position] = data.draw(st.integers(0, 255))
            case "insert":
                first.insert(position, data.draw(st.integers(0, 255)))
            case "remove" if len(first) > 1:
                del first[position]
            case "cut" if position:
                del first[position:]
    try:
        got = m.decode([bytes(first), *frames[1:]])
    except RemoteProtocolError:
        return
    assert type(got) in m.KINDS.values()
    assert m.decode(sent(got)) == got


@pytest.mark.parametrize("head", [b"\xdd\x7f\xff\xff\xff", b"\xdf\x7f\xff\xff\xff", b"\xdb\x7f\xff\xff\xff"])
def test_announced_lengths_do_not_allocate(head):
    tracemalloc.start()
    try:
        refused([b"\x93\x01\xa3Get" + head], "not a control message")
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_deeply_nested_messages_are_refused():
    refused([b"\x91" * 100_000], "not a control message")


# --- the seal ---------------------------------------------------------------------------------------


@given(st.sampled_from([CONTROL, DATA, MARK, REFERENCE]), st.integers(0, 2**16 - 1), st.binary(max_size=20))
def test_the_seal_says_what_and_who(what, sender, payload):
    secret = bytes(range(SECRET_BYTES))
    frames = [seal(what, sender, secret) + payload, b"rest"]
    assert unseal(frames, secret) == (what, sender)
    assert frames == [payload, b"rest"]


@given(st.lists(st.binary(max_size=30), min_size=1, max_size=3))
def test_messages_without_the_seal_are_refused(frames):
    with pytest.raises(RemoteProtocolError, match="without the seal"):
        unseal(frames, b"\xff" * (SECRET_BYTES - 1) + b"?")


def test_a_secret_that_is_nearly_right_is_refused():
    with pytest.raises(RemoteProtocolError, match="without the seal"):
        unseal([seal(CONTROL, 1, b"12345678") + b"x"], b"12345679")
