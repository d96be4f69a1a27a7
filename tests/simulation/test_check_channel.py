"""Every kind of channel passes the check-suite, and the check-suite finds what is wrong with others."""

from __future__ import annotations

from contextlib import contextmanager

import pytest
from channel_pairs import EVERY_KIND, Pair, local

from lahar.runtime.channels import LocalChannel
from lahar.runtime.testing import check_channel


@pytest.mark.parametrize("make_pair", EVERY_KIND, ids=lambda make: make.__name__)
def test_every_kind_of_channel_passes(make_pair):
    check_channel(make_pair)


class Lossy(LocalChannel):
    """Loses every tenth message."""

    __slots__ = ("count",)

    def put(self, message):
        self.count = getattr(self, "count", 0) + 1
        if self.count % 10:
            super().put(message)


class Doubling(LocalChannel):
    """Delivers every tenth message twice."""

    __slots__ = ("count",)

    def put(self, message):
        self.count = getattr(self, "count", 0) + 1
        super().put(message)
        if not self.count % 10:
            super().put(message)


class Stack(LocalChannel):
    """Delivers the newest message first."""

    __slots__ = ()

    def get(self):
        if not self._queue:
            self._wait()
        self._queue.rotate(1)
        return super().get()


class Roomy(LocalChannel):
    """Takes one message too many."""

    __slots__ = ()

    def __init__(self, scheduler, source, destination, capacity):
        super().__init__(scheduler, source, destination, capacity + 1)


class Narrow(LocalChannel):
    """Has room for half of what it promises."""

    __slots__ = ()

    def __init__(self, scheduler, source, destination, capacity):
        super().__init__(scheduler, source, destination, (capacity + 1) // 2)


class Greedy(LocalChannel):
    """Takes the message that it should only show."""

    __slots__ = ()

    def peek(self):
        return self.get()


class Sharing(LocalChannel):
    """Shows the message itself."""

    __slots__ = ()

    def peek(self):
        if not self._queue:
            self._wait()
        return self._queue[0]


class Sleepy(LocalChannel):
    """Does not wake the sender."""

    __slots__ = ()

    def get(self):
        self._writer = None
        return super().get()


class Deaf(LocalChannel):
    """Does not wake the receiver."""

    __slots__ = ()

    def put(self, message):
        self._reader = None
        super().put(message)


class Hopeful(LocalChannel):
    """Says that there is a message when there is none."""

    __slots__ = ()

    def probe(self):
        return True


WRONG = [Lossy, Doubling, Stack, Roomy, Narrow, Greedy, Sharing, Sleepy, Deaf, Hopeful]


@pytest.mark.parametrize("kind", WRONG, ids=lambda kind: kind.__name__)
def test_a_channel_that_is_wrong_is_found(kind):
    @contextmanager
    def make_pair(capacity):
        pair = Pair()
        pair.sender = pair.receiver = kind(pair.scheduler, "a.out", "b.in", capacity)
        yield pair

    with pytest.raises((AssertionError, IndexError)):
        check_channel(make_pair)


def test_a_channel_that_shares_memory_must_not_promise_copies():
    @contextmanager
    def make_pair(capacity):
        with local(capacity) as pair:
            pair.copies = True
            yield pair

    with pytest.raises(AssertionError, match="changed after it was sent"):
        check_channel(make_pair)
