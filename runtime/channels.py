"""Channels: bounded FIFO queues from one OutPort to one InPort.

A channel inside a worker is a queue in memory. A channel between workers has an outbox at the sender,
which may have `capacity` messages under way (credits), and an inbox at the receiver, which returns the
credits when its actor has taken messages.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from greenlet import getcurrent

from .scheduler import Scheduler, Wait

if TYPE_CHECKING:
    from .peers import Peer


class LocalChannel:
    """A channel whose two ends are in the same worker."""

    __slots__ = ("_queue", "_reader", "_scheduler", "_writer", "capacity", "destination", "source")

    def __init__(self, scheduler: Scheduler, source: str, destination: str, capacity: int) -> None:
        self.source = source
        self.destination = destination
        self.capacity = capacity
        self._scheduler = scheduler
        self._queue: deque[Any] = deque()
        self._reader: Any = None
        self._writer: Any = None

    def put(self, message: Any) -> None:
        """Append a message that the channel may keep; waits while the channel is full."""
        queue = self._queue
        while len(queue) >= self.capacity:
            self._writer = getcurrent()
            self._scheduler.block(Wait(self.source, "send", self.destination, self.capacity))
        queue.append(message)
        if self._reader is not None:
            self._scheduler.wake(self._reader)
            self._reader = None

    def get(self) -> Any:
        """Take the oldest message; waits while there is none."""
        queue = self._queue
        if not queue:
            self._wait()
        message = queue.popleft()
        if self._writer is not None:
            self._scheduler.wake(self._writer)
            self._writer = None
        return message

    def peek(self) -> Any:
        """Return a copy of the oldest message without taking it."""
        if not self._queue:
            self._wait()
        return self._queue[0].copy()

    def probe(self) -> bool:
        """Whether a message is there."""
        return bool(self._queue)

    def _wait(self) -> None:
        while not self._queue:
            self._reader = getcurrent()
            self._scheduler.block(Wait(self.destination, "recv", self.source))


class Outbox:
    """Sending end of a channel to another worker.

    Attributes
    ----------
    sent, sent_bytes : int
        Messages and payload bytes so far.
    """

    def __init__(
        self,
        scheduler: Scheduler,
        peer: Peer,
        channel: int,
        source: str,
        destination: str,
        capacity: int,
        eager: bool = False,
    ) -> None:
        self.source = source
        self.destination = destination
        self.channel = channel
        self.capacity = self.credit = capacity
        self.sent = 0
        self.sent_bytes = 0
        self._scheduler = scheduler
        self._peer = peer
        self._eager = eager  # an asynchronous sender may compute for long after it
        self._writer: Any = None

    def put(self, message: Any) -> None:
        """Hand a message to the peer's next batch; waits while the channel is full."""
        while self.credit <= 0:
            self._writer = getcurrent()
            self._scheduler.block(Wait(self.source, "send", self.destination, self.capacity))
        self.credit -= 1
        self.sent += 1
        self._peer.add(self, message)
        if self._eager:
            self._peer.flush()

    def add_credit(self, count: int) -> None:
        """Note that the receiver has taken `count` messages."""
        self.credit += count
        if self._writer is not None:
            self._scheduler.wake(self._writer)
            self._writer = None


class Inbox(LocalChannel):
    """Receiving end of a channel from another worker."""

    __slots__ = ("_peer", "_taken", "channel", "dtype", "shape")

    def __init__(
        self,
        scheduler: Scheduler,
        peer: Peer,
        channel: int,
        source: str,
        destination: str,
        capacity: int,
        shape: tuple[int, ...],
        dtype: Any,
    ) -> None:
        super().__init__(scheduler, source, destination, capacity)
        self.channel = channel
        self.shape = shape
        self.dtype = dtype
        self._peer = peer
        self._taken = 0

    def get(self) -> Any:
        if not self._queue:
            self._wait()
        message = self._queue.popleft()
        self._taken += 1
        if 2 * self._taken >= self.capacity:  # half a channel at a time: few messages, no stall
            self._return_credit()
        return message

    def relieve(self) -> None:
        """Return credit that is held back if the sender has none left: all others are waiting here."""
        if self._taken and len(self._queue) + self._taken >= self.capacity:
            self._return_credit()

    def _return_credit(self) -> None:
        self._peer.return_credit(self.channel, self._taken)
        self._taken = 0

    @property
    def full(self) -> bool:
        return len(self._queue) >= self.capacity

    def deliver(self, message: Any) -> None:
        """Append a message that arrived."""
        self._queue.append(message)
        if self._reader is not None:
            self._scheduler.wake(self._reader)
            self._reader = None
