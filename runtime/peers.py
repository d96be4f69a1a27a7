"""Other workers, as a worker sees them: what waits to be sent to each."""

from __future__ import annotations

from typing import Any

import zmq

from .channels import Outbox
from .sockets import DATA, MARK, REFERENCE, seal
from .wire import encode_batch

_SMALL_FRAMES = 2  # header and small payloads; large payloads follow in frames of their own
_UNBOUNDED_FRACTION = 4  # a quarter of the smallest channel: sender and receiver overlap


class Peer:
    """Collects messages and credits for one other worker and sends them as one batch.

    Parameters
    ----------
    sender : int
        This worker's partition.
    secret : bytes
        Seal of this network.
    lookahead : int or None
        Time steps that may travel together; None if only the capacity of the channels bounds them.
    """

    def __init__(self, sender: int, socket: Any, secret: bytes, lookahead: int | None) -> None:
        self._sender = sender
        self._seal = seal(DATA, sender, secret)
        self._mark_seal = seal(MARK, sender, secret)
        self._reference_seal = seal(REFERENCE, sender, secret)
        self._socket = socket
        self._lookahead = lookahead
        self._messages: list[tuple[Outbox, Any]] = []
        self._credits: dict[int, int] = {}
        self.batch_steps = lookahead or 1
        self.batches = 0

    def add_channel(self, capacity: int) -> None:
        if self._lookahead is None:
            steps = max(1, capacity // _UNBOUNDED_FRACTION)
            self.batch_steps = steps if self.batch_steps == 1 else min(self.batch_steps, steps)
        else:
            self.batch_steps = min(self._lookahead, max(1, capacity // 2))

    def add(self, outbox: Outbox, message: Any) -> None:
        self._messages.append((outbox, message))

    def return_credit(self, channel: int, count: int) -> None:
        self._credits[channel] = self._credits.get(channel, 0) + count

    def mark(self, frame: bytes) -> None:
        """Send what has been collected and a mark behind it."""
        self.flush()
        self.batches += 1
        self._socket.send(self._mark_seal + frame, zmq.NOBLOCK)

    def post(self, frames: list[Any]) -> None:
        """Send a message of a reference."""
        self.batches += 1
        frames[0] = self._reference_seal + frames[0]
        self._socket.send_multipart(frames, zmq.NOBLOCK)

    def flush(self) -> None:
        """Send what has been collected, if anything."""
        if not self._messages and not self._credits:
            return
        messages = [(outbox.channel, message) for outbox, message in self._messages]
        frames, sizes = encode_batch(self._sender, messages, self._credits)
        for (outbox, _), size in zip(self._messages, sizes, strict=True):
            outbox.sent_bytes += size
        self._messages = []
        self._credits = {}
        self.batches += 1
        frames[0] = self._seal + frames[0]
        # a frame object per small frame costs more than copying it
        self._socket.send_multipart(frames, zmq.NOBLOCK, copy=len(frames) == _SMALL_FRAMES)
