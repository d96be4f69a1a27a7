"""The scheduler: calls of a phase, suspension in the middle of a call, failures and unwinding."""

from __future__ import annotations

import random

import pytest
from greenlet import getcurrent
from hypothesis import given
from hypothesis import strategies as st

from lahar.runtime.scheduler import Scheduler, Wait

WAIT = Wait("a.in", "recv", "b.out")


class Latch:
    """Something to wait for."""

    def __init__(self, scheduler):
        self.scheduler = scheduler
        self.open = False
        self.sleeper = None

    def wait(self):
        while not self.open:
            self.sleeper = getcurrent()
            self.scheduler.block(WAIT)

    def release(self):
        self.open = True
        if self.sleeper is not None:
            self.scheduler.wake(self.sleeper)


def no_idle():
    raise AssertionError("every call waits")


def phases(*lists):
    """Return an `advance` that gives these phases, one after the other."""
    remaining = iter(lists)
    return lambda: next(remaining, None)


def test_calls_of_a_phase_run_in_order_and_phases_one_after_the_other():
    log = []
    calls = [[(None, lambda n=n, k=k: log.append((n, k))) for k in range(3)] for n in range(2)]
    Scheduler().run(phases(*calls), no_idle)
    assert log == [(n, k) for n in range(2) for k in range(3)]


def test_no_phase_and_empty_phases():
    scheduler = Scheduler()
    scheduler.run(lambda: None, no_idle)
    log = []
    scheduler.run(phases([], [(None, lambda: log.append(1))], []), no_idle)
    assert log == [1]


def test_a_waiting_call_does_not_hold_up_the_others_but_the_next_phase():
    scheduler = Scheduler()
    latch = Latch(scheduler)
    log = []

    def waits():
        log.append("waits")
        latch.wait()
        log.append("goes on")

    first = [(None, waits), (None, lambda: log.append("other")), (None, latch.release)]
    scheduler.run(phases(first, [(None, lambda: log.append("next phase"))]), no_idle)
    assert log == ["waits", "other", "goes on", "next phase"]
    assert not scheduler.blocked


def test_calls_wake_in_the_order_in_which_they_were_woken():
    scheduler = Scheduler()
    latches = [Latch(scheduler) for _ in range(3)]
    log = []

    def waits(k):
        latches[k].wait()
        log.append(k)

    calls = [(None, lambda k=k: waits(k)) for k in range(3)]
    calls.append((None, lambda: [latches[k].release() for k in (2, 0, 1)]))
    scheduler.run(phases(calls), no_idle)
    assert log == [2, 0, 1]


def test_a_call_may_wait_again_and_again():
    scheduler = Scheduler()
    count = 0
    sleeper = None

    def waits():
        nonlocal sleeper
        for _ in range(50):
            sleeper = getcurrent()
            scheduler.block(WAIT)

    def idle():
        nonlocal count
        count += 1
        scheduler.wake(sleeper)

    scheduler.run(phases([(None, waits)]), idle)
    assert count == 50


def test_blocked_says_what_each_call_waits_for():
    scheduler = Scheduler()
    waits = [Wait(f"p{k}.in", "recv", "q.out") for k in range(2)]
    seen = []

    def idle():
        seen.append(sorted(w.port for w in scheduler.blocked.values()))
        scheduler.wake(next(iter(scheduler.blocked)))

    scheduler.run(phases([(None, lambda w=w: scheduler.block(w)) for w in waits]), idle)
    assert seen == [["p0.in", "p1.in"], ["p1.in"]]


def test_waking_somebody_who_does_not_wait_changes_nothing():
    scheduler = Scheduler()
    scheduler.wake(object())
    scheduler.run(phases([]), no_idle)


@pytest.mark.parametrize("kind", [ValueError, SystemExit, AssertionError])
def test_exceptions_of_calls_are_kept_in_order_and_the_others_go_on(kind):
    scheduler = Scheduler()
    log = []

    def fail():
        raise kind(len(log))

    calls = [("a", fail), ("b", lambda: log.append(1)), ("c", fail)]
    scheduler.run(phases(calls), no_idle)
    assert [(actor, type(error), error.args) for actor, error in scheduler.failures] == [
        ("a", kind, (0,)),
        ("c", kind, (1,)),
    ]


def test_an_exception_after_a_wait_is_kept():
    scheduler = Scheduler()
    latch = Latch(scheduler)

    def fails_later():
        latch.wait()
        raise KeyError

    scheduler.run(phases([("a", fails_later), ("b", latch.release)]), no_idle)
    assert [(actor, type(error)) for actor, error in scheduler.failures] == [("a", KeyError)]


class Broken(Exception):
    pass


def test_an_exception_of_idle_unwinds_every_waiting_call():
    scheduler = Scheduler()
    unwound = []

    def waits(k):
        try:
            scheduler.block(WAIT)
        finally:
            unwound.append(k)

    def idle():
        raise Broken

    calls = [(None, lambda k=k: waits(k)) for k in range(3)]
    with pytest.raises(Broken):
        scheduler.run(phases(calls, [(None, no_idle)]), idle)
    assert sorted(unwound) == [0, 1, 2]
    assert not scheduler.blocked
    assert not scheduler.failures
    # and the scheduler can be used again
    log = []
    scheduler.run(phases([(None, lambda: log.append(1))]), no_idle)
    assert log == [1]


def test_an_exception_of_advance_reaches_the_caller_even_from_inside_a_greenlet():
    scheduler = Scheduler()
    latch = Latch(scheduler)
    lists = iter([[(None, latch.wait), (None, latch.release)]])

    def advance():
        calls = next(lists, None)
        if calls is None:
            raise Broken
        return calls

    with pytest.raises(Broken):
        scheduler.run(advance, no_idle)


def test_a_call_that_swallows_its_unwinding_cannot_hold_up_the_end():
    scheduler = Scheduler()
    again = []

    def stubborn():
        try:
            scheduler.block(WAIT)
        except BaseException:
            again.append(1)
            scheduler.block(WAIT)

    def idle():
        raise Broken

    with pytest.raises(Broken):
        scheduler.run(phases([(None, stubborn)]), idle)
    assert again == [1]
    assert not scheduler.blocked


@given(st.integers(0, 2**32 - 1))
def test_random_waits_never_lose_or_repeat_a_call(seed):
    """Calls wait for random others of the same phase that were released before or will be later."""
    rng = random.Random(seed)
    scheduler = Scheduler()
    log = []

    def phase(number):
        n = rng.randrange(1, 8)
        latches = [Latch(scheduler) for _ in range(n)]
        order = rng.sample(range(n), n)  # call k waits only for calls before it in this order: no cycle
        rank = {call: r for r, call in enumerate(order)}

        def call(k):
            for other in range(n):
                if rank[other] < rank[k] and rng.random() < 0.5:
                    latches[other].wait()
            log.append((number, k))
            latches[k].release()

        return n, [(k, lambda k=k: call(k)) for k in range(n)]

    built = [phase(number) for number in range(3)]
    waiting = {}

    def wake_all():
        # several calls may wait for one latch, which remembers the last only
        for sleeper in list(scheduler.blocked):
            waiting[sleeper] = waiting.get(sleeper, 0) + 1
            scheduler.wake(sleeper)

    scheduler.run(phases(*(calls for _, calls in built)), wake_all)
    assert [number for number, _ in log] == sorted(number for number, _ in log)
    assert sorted(log) == [(number, k) for number, (n, _) in enumerate(built) for k in range(n)]
    assert not scheduler.failures
