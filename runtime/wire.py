"""The data plane: batches of messages between two workers.

A batch is a msgpack header ``[version, sender, messages, credits]`` and the payloads. `messages` holds
``[channel, encoding, bytes]``, `credits` holds ``[channel, count]``. Payloads are concatenated in the
second frame; large ones get a frame of their own and are not copied on sending. A mark (lockstep) says
that the sender has finished a phase and what its actors ask for; it is a message of its own, 11 bytes long.

An array travels in the smallest of three encodings, chosen for each message: DENSE (raw), INDEX
(positions of the elements that are 1, all others 0) or BITMAP (one bit for each element). Only exact
bit patterns count: a -0.0 or a payload other than 1 travels as DENSE, so that results have the same bits
however the network is partitioned.

On a channel between sparse ports every message is SPARSE (the data, then the positions in the smallest
unsigned integers that hold any position of the port) or PACKED (the data, then int32 words). Their number
follows from the size of the payload.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import Any, Union

import msgpack
import numpy as np

from lahar.processes.errors import RemoteProtocolError
from lahar.processes.model import sparse_ports
from lahar.processes.model.sparse_ports import SparseMessage

VERSION = 1
DENSE, INDEX, BITMAP, SPARSE, PACKED = 0, 1, 2, 3, 4
_SMALL = 64  # bytes below which looking for a smaller encoding costs more than it saves
_OWN_FRAME = 1 << 15  # bytes from which a copy costs more than another frame
_UNSIGNED: dict[int, np.dtype[Any]] = {
    1: np.dtype("u1"),
    2: np.dtype("u2"),
    4: np.dtype("u4"),
    8: np.dtype("u8"),
}


Payload = Union["np.ndarray[Any, Any]", SparseMessage]  # what one message of a channel holds

_MARK = struct.Struct("<HQB")


def encode_mark(domain: int, number: int, needs: int) -> bytes:
    """Return the mark of phase `number` of a sync domain."""
    return _MARK.pack(domain, number, needs)


def decode_mark(frame: bytes) -> tuple[int, int, int]:
    """Return (domain, number of the phase, needs).

    Raises
    ------
    RemoteProtocolError
        `frame` is not a mark.
    """
    if len(frame) != _MARK.size:
        raise RemoteProtocolError(f"a mark of {len(frame)} bytes, expected {_MARK.size}")
    domain, number, needs = _MARK.unpack(frame)
    return domain, number, needs


@dataclass(frozen=True)
class ChannelFormat:
    """What a receiver knows of a channel beforehand; `capacity` bounds the messages under way."""

    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    sparse: bool = False
    capacity: int = 1 << 62

    @property
    def size(self) -> int:
        return int(np.prod(self.shape, dtype=np.int64))


def _index_dtype(size: int) -> np.dtype[Any]:
    return _UNSIGNED[1] if size <= 1 << 8 else _UNSIGNED[2] if size <= 1 << 16 else _UNSIGNED[4]


def encode_array(array: np.ndarray[Any, Any]) -> tuple[int, Any]:
    """Return (encoding, buffer) of a C-contiguous array."""
    width = _UNSIGNED.get(array.dtype.itemsize)
    if array.nbytes <= _SMALL or width is None:
        return DENSE, array.tobytes()
    bits = array.reshape(-1).view(width)
    where = np.flatnonzero(bits)
    one = np.ones(1, array.dtype).view(width)[0]
    index = _index_dtype(bits.size)
    small = min(where.size * index.itemsize, (bits.size + 7) // 8)
    if small < array.nbytes and (bits[where] == one).all():
        if where.size * index.itemsize <= (bits.size + 7) // 8:
            return INDEX, where.astype(index).tobytes()
        return BITMAP, np.packbits(bits != 0).tobytes()
    return DENSE, array.reshape(-1).view(_UNSIGNED[1]).data


def _check_booleans(array: np.ndarray[Any, Any]) -> None:
    """Refuse booleans that are neither True nor False: NumPy computes nonsense with them."""
    if array.dtype.kind == "b" and (array.view(_UNSIGNED[1]) > 1).any():
        raise RemoteProtocolError("booleans that are neither True nor False")


def decode_array(encoding: int, buffer: Any, form: ChannelFormat) -> np.ndarray[Any, Any]:
    """Return a new array.

    Raises
    ------
    RemoteProtocolError
        `buffer` is not an encoding of an array of this format.
    """
    size = form.size
    if encoding == DENSE:
        if len(buffer) != size * form.dtype.itemsize:
            raise RemoteProtocolError(
                f"{len(buffer)} bytes for an array of shape {form.shape} and {form.dtype}"
            )
        array: np.ndarray[Any, Any] = np.frombuffer(buffer, form.dtype).reshape(form.shape).copy()
        _check_booleans(array)
        return array
    flat = np.zeros(size, form.dtype)
    if encoding == INDEX:
        index = _index_dtype(size)
        if len(buffer) % index.itemsize or len(buffer) > size * index.itemsize:
            raise RemoteProtocolError(f"{len(buffer)} bytes are no index list for {size} elements")
        where = np.frombuffer(buffer, index)
        if where.size and int(where.max()) >= size:
            raise RemoteProtocolError(f"index {int(where.max())} in an array of {size} elements")
        flat[where] = 1
    elif encoding == BITMAP:
        if len(buffer) != (size + 7) // 8:
            raise RemoteProtocolError(f"{len(buffer)} bytes are no bitmap of {size} elements")
        flat[np.unpackbits(np.frombuffer(buffer, np.uint8), count=size).view(bool)] = 1
    else:
        raise RemoteProtocolError(f"unknown encoding {encoding!r}")
    return flat.reshape(form.shape)


def encode_sparse(message: SparseMessage) -> tuple[int, bytes]:
    """Return (encoding, buffer) of a message between sparse ports."""
    if message.packed:
        return PACKED, message.data.tobytes() + message.indices.tobytes()
    return SPARSE, message.data.tobytes() + message.indices.astype(_index_dtype(message.size)).tobytes()


def decode_sparse(encoding: int, buffer: Any, form: ChannelFormat) -> SparseMessage:
    """Return a new message.

    Raises
    ------
    RemoteProtocolError
        `buffer` is not an encoding of listed elements of this format.
    """
    if encoding not in (SPARSE, PACKED):
        raise RemoteProtocolError(f"encoding {encoding!r} on a channel between sparse ports")
    packed = encoding == PACKED
    index = sparse_ports.WORD if packed else _index_dtype(form.size)
    count, rest = divmod(len(buffer), form.dtype.itemsize + index.itemsize)
    if rest or count > form.size:
        raise RemoteProtocolError(f"{len(buffer)} bytes are no list of elements out of {form.size}")
    data = np.frombuffer(buffer, form.dtype, count).copy()
    _check_booleans(data)
    indices = np.frombuffer(buffer, index, count, count * form.dtype.itemsize)
    if not packed and count and int(indices.max()) >= form.size:
        raise RemoteProtocolError(f"index {int(indices.max())} in a port of {form.size} elements")
    dtype = sparse_ports.WORD if packed else sparse_ports.INDEX
    return SparseMessage(data, indices.astype(dtype), form.size, packed)


def encode_batch(
    sender: int,
    messages: list[tuple[int, Payload]],
    credits: dict[int, int],  # noqa: A002
) -> tuple[list[Any], list[int]]:
    """Return the frames of a batch and the payload size of each message in bytes."""
    entries: list[list[int]] = []
    small: list[Any] = []
    own: list[Any] = []
    sizes: list[int] = []
    for channel, message in messages:
        encoding, buffer = (
            encode_sparse(message) if isinstance(message, SparseMessage) else encode_array(message)
        )
        size = len(buffer)
        entries.append([channel, encoding, size])
        sizes.append(size)
        (own if size >= _OWN_FRAME else small).append(buffer)
    header = msgpack.packb([VERSION, sender, entries, list(credits.items())])
    return [header, b"".join(small), *own], sizes


@dataclass(frozen=True)
class Batch:
    """A decoded batch."""

    sender: int
    messages: list[tuple[int, Payload]]
    credits: list[tuple[int, int]]


def decode_batch(frames: list[Any], formats: dict[int, ChannelFormat]) -> Batch:
    """Return the batch in `frames`.

    Raises
    ------
    RemoteProtocolError
        Anything is not as it should be; nothing has been allocated beyond the known array sizes.
    """
    try:
        version, sender, entries, credits = msgpack.unpackb(frames[0])  # noqa: A001
        if version != VERSION or type(sender) is not int:
            raise RemoteProtocolError(f"data protocol version {version!r}, expected {VERSION}")
        shared, own = memoryview(frames[1]), iter(frames[2:])
        position = 0
        messages: list[tuple[int, Payload]] = []
        of_channel: dict[int, int] = {}
        for channel, encoding, size in entries:
            if type(size) is not int or size < 0:
                raise RemoteProtocolError(f"a payload of {size!r} bytes")
            if size >= _OWN_FRAME:
                buffer = next(own)
                if len(buffer) != size:
                    raise RemoteProtocolError(f"a frame of {len(buffer)} bytes, announced {size}")
            else:
                buffer = shared[position : position + size]
                position += size
                if len(buffer) != size:
                    raise RemoteProtocolError("the payload is shorter than announced")
            form = formats[channel]
            count = of_channel[channel] = of_channel.get(channel, 0) + 1
            if count > form.capacity:  # a few bytes may announce an array of any size, but not many of them
                raise RemoteProtocolError(f"partition {sender} overran channel {channel}")
            decode = decode_sparse if form.sparse else decode_array
            messages.append((channel, decode(encoding, buffer, form)))
        if position != len(shared) or next(own, None) is not None:
            raise RemoteProtocolError("the payload is longer than announced")
        given = [(channel, count) for channel, count in credits]
        if any(type(channel) is not int or type(count) is not int or count < 1 for channel, count in given):
            raise RemoteProtocolError("credits are not positive integers")
        return Batch(sender, messages, given)
    except RemoteProtocolError:
        raise
    except Exception as error:
        raise RemoteProtocolError(f"not a batch of messages: {error!r}") from error
