"""ZeroMQ sockets of the service and its workers.

Everybody has one PULL socket into which all others push, so that waiting is one blocking receive (a
poller over several sockets takes half as long again as the message itself). The first frame of every
message begins with a seal: what it is, who sent it, and a secret of this network. Whatever does not carry
the seal comes from a stranger.
"""

from __future__ import annotations

from typing import Any

import zmq

from lahar.processes.errors import RemoteProtocolError

CONTROL, DATA, MARK, HOST = 1, 2, 3, 4
_KINDS = (CONTROL, DATA, MARK, HOST)
SECRET_BYTES = 8
_SEAL_BYTES = 3 + SECRET_BYTES


def open_socket(context: Any, kind: int) -> Any:
    """Return a socket without limits of its own: credits bound what is under way."""
    socket = context.socket(kind)
    socket.setsockopt(zmq.LINGER, 0)
    socket.setsockopt(zmq.SNDHWM, 0)
    socket.setsockopt(zmq.RCVHWM, 0)
    return socket


def seal(what: int, sender: int, secret: bytes) -> bytes:
    """Return the beginning of the first frame of every message that `sender` sends."""
    return bytes([what]) + sender.to_bytes(2, "big") + secret


def unseal(frames: list[bytes], secret: bytes) -> tuple[int, int]:
    """Check and remove the seal; return (what, sender).

    Raises
    ------
    RemoteProtocolError
        The message does not belong to this network.
    """
    first = frames[0] if frames else b""
    if len(first) < _SEAL_BYTES or first[3:_SEAL_BYTES] != secret:
        raise RemoteProtocolError("a message without the seal of this network")
    if first[0] not in _KINDS:
        raise RemoteProtocolError(f"a message of unknown kind {first[0]}")
    frames[0] = first[_SEAL_BYTES:]
    return first[0], first[1] << 8 | first[2]


def waiting(socket: Any) -> bool:
    """Whether a message can be received at once."""
    return bool(socket.getsockopt(zmq.EVENTS) & zmq.POLLIN)
