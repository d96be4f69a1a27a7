"""A check-suite that every kind of channel must pass."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from random import Random
from typing import Any, Protocol

import numpy as np

from lahar.runtime.scheduler import Scheduler, Strand

_ROUNDS = 40  # random interleavings for each capacity
_CAPACITIES = (1, 2, 3, 8)


class ChannelPair(Protocol):
    """Both ends of a channel and what lies between.

    Attributes
    ----------
    sender : object
        With ``put(array)``, which waits while the channel is full.
    receiver : object
        With ``get()``, ``peek()`` and ``probe()``.
    scheduler : Scheduler
        Which `put` and `get` wait with.
    moves : callable, optional
        Makes one thing between the two ends arrive, if there is any: a batch of messages or of credits, in
        an order that `Random` decides; returns whether there was any. None if nothing is in between.
    copies : bool
        Whether the receiver's array is another than the sender's, so that the sender may change his.
    """

    sender: Any
    receiver: Any
    scheduler: Scheduler
    moves: Callable[[Random], bool] | None
    copies: bool


MakePair = Callable[[int], AbstractContextManager[ChannelPair]]


def check_channel(make_pair: MakePair, seed: int = 0) -> None:
    """Check a kind of channel.

    FIFO order, every message exactly once, room for exactly `capacity` messages, waits that end when there
    is room or a message, `peek` that keeps the message, `probe`, and values that are safe from the sender if
    the pair promises it: each over many random schedules.

    Parameters
    ----------
    make_pair : callable
        Takes a capacity and returns a context manager that gives a new `ChannelPair` for arrays of int64 of
        shape (2,).
    seed : int
        Of the random schedules.

    Raises
    ------
    AssertionError
        The channel does something else.

    Examples
    --------
    >>> from contextlib import contextmanager
    >>> from types import SimpleNamespace
    >>> from lahar.runtime.channels import LocalChannel
    >>> @contextmanager
    ... def local(capacity):
    ...     scheduler = Scheduler()
    ...     channel = LocalChannel(scheduler, "a.out", "b.in", capacity)
    ...     yield SimpleNamespace(
    ...         sender=channel, receiver=channel, scheduler=scheduler, moves=None, copies=False
    ...     )
    >>> check_channel(local)
    """
    random = Random(seed)
    for capacity in _CAPACITIES:
        for check in (_check_capacity, _check_empty, _check_wakes, _check_peek, _check_values):
            with make_pair(capacity) as pair:
                check(_Play(pair, random), capacity)
        for _ in range(_ROUNDS):
            with make_pair(capacity) as pair:
                _check_schedule(_Play(pair, random), capacity)


class _Play:
    """Runs both ends as two actors that go on in turns that chance decides."""

    def __init__(self, pair: ChannelPair, random: Random) -> None:
        self.pair = pair
        self.random = random
        self.received: list[int] = []
        self.sent = 0

    def run(self, *actors: Callable[[], None]) -> list[str]:
        """Run actors until all have ended or wait for ever; return what those that wait do."""
        scheduler = self.pair.scheduler
        strands = []
        for actor in actors:
            calls: Iterator[list[Any]] = iter([[(actor, actor)]])
            strands.append(Strand(lambda calls=calls: next(calls, None)))  # type: ignore[misc]
        scheduler.run(strands, self.move)
        waits = [wait.operation for wait in scheduler.blocked.values()]
        scheduler.abandon()
        for _, error in scheduler.failures:
            raise error
        return waits

    def move(self) -> bool:
        """Let something arrive; return whether there was anything."""
        return self.pair.moves is not None and self.pair.moves(self.random)

    def settle(self) -> None:
        """Let everything arrive."""
        while self.move():
            pass

    def put(self, count: int) -> None:
        for _ in range(count):
            self.pair.sender.put(np.array([self.sent, -self.sent]))
            self.sent += 1

    def get(self, count: int) -> None:
        for _ in range(count):
            first, second = self.pair.receiver.get()
            assert first == -second, f"({first}, {second}) was never sent"
            self.received.append(int(first))

    def pause(self) -> None:
        """Let the other actor or the way in between go on, now and then."""
        while self.random.random() < 0.4:
            if self.random.random() < 0.5:
                self.move()
            self.pair.scheduler.yield_to_others()

    def assert_received(self, count: int) -> None:
        assert self.received == list(range(count)), f"received {self.received}, sent 0 to {count - 1}"


def _check_capacity(play: _Play, capacity: int) -> None:
    """Room for `capacity` messages, not for one more."""
    assert play.run(lambda: play.put(capacity + 1)) == ["send"], "put() into a full channel did not wait"
    assert play.sent == capacity, f"{play.sent} messages in a channel for {capacity}"
    play.settle()
    play.run(lambda: play.get(capacity))
    play.assert_received(capacity)
    assert not play.pair.receiver.probe(), "a message is left that was never sent"


def _check_empty(play: _Play, capacity: int) -> None:
    """Nobody gets anything from an empty channel."""
    del capacity
    receiver = play.pair.receiver
    assert not receiver.probe(), "probe() of an empty channel"
    assert play.run(receiver.get) == ["recv"], "get() from an empty channel did not wait"
    assert play.run(receiver.peek) == ["recv"], "peek() into an empty channel did not wait"


def _check_wakes(play: _Play, capacity: int) -> None:
    """Whoever waits goes on: the receiver that was first, and the sender that found no room."""
    count = 3 * capacity + 1
    assert play.run(lambda: play.get(count), lambda: play.put(count)) == [], "an end was not woken"
    play.assert_received(count)
    assert play.run(lambda: play.put(count), lambda: play.get(count)) == [], "an end was not woken"
    play.assert_received(2 * count)


def _check_peek(play: _Play, capacity: int) -> None:
    """`peek` shows what `get` will take, as often as one likes, and its result belongs to the caller."""
    del capacity
    receiver = play.pair.receiver

    def peek() -> None:
        assert receiver.probe(), "probe() although a message has arrived"
        seen = receiver.peek()
        seen[:] = 77
        assert receiver.peek().tolist() == [0, 0], "the result of peek() is the message itself"
        play.get(1)

    play.put(1)
    play.settle()
    assert play.run(peek) == [], "peek() has taken the message"
    play.assert_received(1)
    assert not receiver.probe(), "get() has not taken the message that peek() showed"


def _check_values(play: _Play, capacity: int) -> None:
    """What the sender does with his array afterwards is not seen."""
    del capacity
    if not play.pair.copies:
        return
    message = np.array([3, 4])
    play.pair.sender.put(message)
    play.settle()
    message[:] = 0
    found: list[Any] = []
    play.run(lambda: found.append(play.pair.receiver.get()))
    assert found[0].tolist() == [3, 4], "the message has changed after it was sent"
    found[0][:] = 5  # and the receiver owns what it got


def _check_schedule(play: _Play, capacity: int) -> None:
    """Order and number in one random schedule; never more under way than there is room for."""
    random, count = play.random, play.random.randint(1, 30)

    def write() -> None:
        while play.sent < count:
            play.put(1)
            under_way = play.sent - len(play.received)
            assert under_way <= capacity, f"{under_way} messages in a channel for {capacity}"
            play.pause()

    def read() -> None:
        while len(play.received) < count:
            play.pause()
            if random.random() < 0.3 and play.pair.receiver.probe():
                assert play.pair.receiver.peek()[0] == len(play.received), "peek() shows another message"
            play.get(1)

    actors = [write, read]
    random.shuffle(actors)
    assert play.run(*actors) == [], "an end waits for ever"
    play.assert_received(count)
    assert not play.pair.receiver.probe(), "a message arrived twice"
