"""Channels: FIFO, bounded, lossless; within a worker and between two."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
import runtime_models as rm
from hypothesis import given
from hypothesis import strategies as st
from setups import config, every_setup

from lahar.runtime import RunSteps
from lahar.runtime.channels import Inbox, LocalChannel, Outbox
from lahar.runtime.scheduler import Scheduler, Strand


class Ended(Exception):
    """Every call waits."""


def stop():
    raise Ended


def run(scheduler, *calls, idle=stop):
    """Run one phase; return what remains blocked if it cannot end."""
    remaining = iter([[(k, call) for k, call in enumerate(calls)]])
    stuck = []

    def wait():
        stuck[:] = [(w.port, w.operation, w.peer) for w in scheduler.blocked.values()]
        idle()
        return True

    try:
        scheduler.run([Strand(lambda: next(remaining, None))], wait)
    except Ended:
        return stuck
    return []


def local(capacity=3):
    scheduler = Scheduler()
    return scheduler, LocalChannel(scheduler, "a.out", "b.in", capacity)


# --- within a worker ------------------------------------------------------------------------------------


@given(st.integers(1, 5), st.lists(st.integers(), max_size=20), st.booleans())
def test_messages_arrive_once_and_in_order(capacity, messages, reader_first):
    scheduler, channel = local(capacity)
    got = []

    def write():
        for message in messages:
            channel.put(message)
            assert len(channel._queue) <= capacity

    def read():
        got.extend(channel.get() for _ in messages)

    calls = [read, write] if reader_first else [write, read]
    assert run(scheduler, *calls) == []
    assert got == messages
    assert not channel.probe()
    assert not scheduler.failures


def test_a_full_channel_blocks_the_sender():
    scheduler, channel = local(2)
    sent = []

    def write():
        for k in range(5):
            channel.put(k)
            sent.append(k)

    assert run(scheduler, write) == [("a.out", "send", "b.in")]
    assert sent == [0, 1]


def test_an_empty_channel_blocks_the_receiver():
    scheduler, channel = local()
    assert run(scheduler, channel.get) == [("b.in", "recv", "a.out")]
    assert run(scheduler, channel.peek) == [("b.in", "recv", "a.out")]


def test_peek_keeps_the_message_and_gives_a_copy():
    scheduler, channel = local()
    message = np.arange(3)

    def use():
        channel.put(message)
        channel.peek()[:] = 9
        assert channel.peek().tolist() == [0, 1, 2]
        assert channel.probe()
        assert channel.get() is message
        assert not channel.probe()

    run(scheduler, use)
    assert scheduler.failures == []


# --- between workers ------------------------------------------------------------------------------------


class Link:
    """Both ends of a channel between two workers; what is under way is delivered by hand."""

    def __init__(self, capacity, eager=False):
        self.scheduler = Scheduler()
        self.messages = deque()
        self.credits = deque()
        self.outbox = Outbox(self.scheduler, self, 7, "a.out", "b.in", capacity, eager)
        self.inbox = Inbox(self.scheduler, self, 7, "a.out", "b.in", capacity, (1,), np.dtype(int))

        self.flushed = 0

    # what a Peer does
    def flush(self):
        self.flushed += 1

    def add(self, outbox, message):
        assert outbox is self.outbox
        self.messages.append(message)

    def return_credit(self, channel, count):
        assert channel == 7
        self.credits.append(count)

    def deliver_message(self):
        assert not self.inbox.full, "the sender overran the channel"
        self.inbox.deliver(self.messages.popleft())

    def deliver_credit(self):
        self.outbox.add_credit(self.credits.popleft())

    @property
    def under_way(self):
        return len(self.messages) + len(self.inbox._queue)


@given(st.integers(1, 6), st.integers(0, 30), st.randoms(use_true_random=False))
def test_credits_bound_what_is_under_way_and_lose_nothing(capacity, count, rng):
    link = Link(capacity)
    got = []

    def write():
        for k in range(count):
            link.outbox.put(k)
            assert link.under_way <= capacity

    def read():
        got.extend(link.inbox.get() for _ in range(count))

    def idle():
        link.inbox.relieve()  # as a worker does before it waits
        ways = [
            w
            for w, queue in ((link.deliver_message, link.messages), (link.deliver_credit, link.credits))
            if queue
        ]
        if not ways:
            raise Ended
        rng.choice(ways)()

    assert run(link.scheduler, write, read, idle=idle) == []
    assert got == list(range(count))
    assert link.scheduler.failures == []
    assert link.outbox.sent == count


@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 7, 64])
def test_a_sender_may_be_ahead_by_the_capacity_and_no_more(capacity):
    link = Link(capacity)
    sent = []

    def write():
        for k in range(capacity + 1):
            link.outbox.put(k)
            sent.append(k)

    assert run(link.scheduler, write) == [("a.out", "send", "b.in")]
    assert sent == list(range(capacity))


@pytest.mark.parametrize("capacity", [1, 2, 3, 5, 64])
def test_one_message_taken_lets_the_sender_send_one_more(capacity):
    """Although credits are returned by half a channel, none is held back when the sender has run dry."""
    link = Link(capacity)

    def fill():
        for k in range(capacity):
            link.outbox.put(k)

    run(link.scheduler, fill)
    while link.messages:
        link.deliver_message()
    run(link.scheduler, link.inbox.get)
    link.inbox.relieve()
    while link.credits:
        link.deliver_credit()
    assert run(link.scheduler, lambda: link.outbox.put(99)) == []


def test_credits_are_returned_by_half_a_channel_while_the_sender_has_some():
    link = Link(64)
    for _ in range(33):
        link.inbox.deliver(0)
    run(link.scheduler, lambda: [link.inbox.get() for _ in range(33)])
    link.inbox.relieve()
    assert list(link.credits) == [32]


@pytest.mark.parametrize("eager", [False, True])
def test_messages_of_an_asynchronous_sender_are_not_held_back(eager):
    """It may compute for long after it, and nobody else would send what was collected."""
    link = Link(8, eager)
    run(link.scheduler, lambda: [link.outbox.put(k) for k in range(3)])
    assert link.flushed == (3 if eager else 0)


# --- in a network -----------------------------------------------------------------------------------------


def bursts(setup, count, before, rest, capacity, steps=1):
    """Run a sender of `count` messages per step and a receiver that takes some of them."""
    burst, sip = rm.Burst(count=count, name="burst"), rm.Sip(before=before, rest=rest, name="sip")
    burst.out.connect(sip.into)
    burst.after.connect(sip.late)
    with burst:
        burst.run(RunSteps(steps), run_cfg=config(setup), compile_config={"pypy_channel_size": capacity})
        return sip.seen.get()[: int(sip.n.get()[0])].tolist()


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("capacity", [1, 2, 3, 4, 64])
def test_a_relay_of_several_messages_per_step(setup, capacity):
    """The receiver takes what exceeds the capacity before it waits for something sent after all of them."""
    before = max(0, 6 - capacity)
    assert bursts(setup, 6, before, 6 - before, capacity, steps=4) == list(range(24))


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("capacity", [3, 4, 5])
def test_messages_that_are_left_in_the_channel_do_not_hold_up_the_step(setup, capacity):
    assert bursts(setup, capacity + 1, 1, 0, capacity) == [0]
    assert bursts(setup, capacity, 0, 0, capacity) == []


@pytest.mark.usefixtures("pool")
@every_setup
def test_a_sent_array_may_be_changed_afterwards(setup):
    """`Plain` sends its own Var and changes it at once."""
    members = rm.ring(rm.Plain(name="a"), rm.Plain(name="b"))
    with members[0]:
        members[0].run(RunSteps(30), run_cfg=config(setup))
        expected = [1, 1]
        for _ in range(30):
            a, b = expected
            expected = [(3 * a + b + 1) % 10007, (3 * b + a + 1) % 10007]
        assert [int(m.x.get()[0]) for m in members] == expected
