"""ZeroMQ sockets of the service and its workers.

Everybody has one PULL socket into which all others push, so that waiting is one blocking receive (a
poller over several sockets takes half as long again as the message itself). The first frame of every
message begins with a seal: what it is, who sent it, and a secret of this network. Whatever does not carry
the seal comes from a stranger.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from typing import Any

import zmq

from lahar.processes.errors import RemoteProtocolError

CONTROL, DATA, MARK, HOST, REFERENCE = 1, 2, 3, 4, 5
HOST_NUMBER = 0xFFFF  # the host as a sender of DATA
_KINDS = (CONTROL, DATA, MARK, HOST, REFERENCE)
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


class Mailbox:
    """The socket into which all others push.

    Parameters
    ----------
    context : zmq.Context
    copy : bool
        Hand out frames as bytes; else as frame objects, whose memory nobody else uses.
    """

    def __init__(self, context: Any, copy: bool = True) -> None:
        self._socket = open_socket(context, zmq.PULL)
        self._copy = copy
        self._patience = -1

    def bind(self, address: str) -> None:
        self._socket.bind(address)

    def receive(self, patience: int = -1) -> list[Any] | None:
        """Return the frames of the next message, or None after `patience` milliseconds without any."""
        if patience != self._patience:
            self._socket.setsockopt(zmq.RCVTIMEO, patience)
            self._patience = patience
        try:
            frames: list[Any] = self._socket.recv_multipart(copy=self._copy)
        except zmq.Again:
            return None
        return frames

    def take(self) -> list[Any] | None:
        """Return the frames of a message that has arrived, or None."""
        if not self._socket.getsockopt(zmq.EVENTS) & zmq.POLLIN:
            return None
        frames: list[Any] = self._socket.recv_multipart(zmq.NOBLOCK, copy=self._copy)
        return frames

    def close(self) -> None:
        self._socket.close()


class ZmqPlatform:
    """Sockets and clock of a worker; a simulation puts others in their place."""

    def __init__(self) -> None:
        self._context = zmq.Context(io_threads=1)
        self._sockets: list[Any] = []
        self.clock: Callable[[], float] = time.monotonic
        self.pid = os.getpid()

    def mailbox(self, address: str) -> Mailbox:
        """Return a socket that others reach at `address`."""
        mailbox = Mailbox(self._context)
        mailbox.bind(address)
        self._sockets.append(mailbox)
        return mailbox

    def outlet(self, address: str) -> Any:
        """Return a socket that sends to `address`: `send` and `send_multipart`."""
        socket = open_socket(self._context, zmq.PUSH)
        socket.connect(address)
        self._sockets.append(socket)
        return socket

    def close(self) -> None:
        for socket in self._sockets:
            socket.close()
        self._context.term()
