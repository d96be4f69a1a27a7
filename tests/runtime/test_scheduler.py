"""The scheduler: calls of a phase, suspension in the middle of a call, failures and unwinding."""

from __future__ import annotations

import random

import pytest
from greenlet import getcurrent
from hypothesis import given
from hypothesis import strategies as st

from lahar.runtime.scheduler import Scheduler, Strand, Wait

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
    """Return a strand of these phases, one after the other."""
    remaining = iter(lists)
    return Strand(lambda: next(remaining, None))


def run(scheduler, *strands, idle=no_idle):
    scheduler.run(strands, idle)


def test_calls_of_a_phase_run_in_order_and_phases_one_after_the_other():
    log = []
    calls = [[(None, lambda n=n, k=k: log.append((n, k))) for k in range(3)] for n in range(2)]
    run(Scheduler(), phases(*calls))
    assert log == [(n, k) for n in range(2) for k in range(3)]


def test_no_phase_and_empty_phases():
    scheduler = Scheduler()
    run(scheduler)
    run(scheduler, Strand(lambda: None))
    log = []
    run(scheduler, phases([], [(None, lambda: log.append(1))], []))
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
    run(scheduler, phases(first, [(None, lambda: log.append("next phase"))]))
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
    run(scheduler, phases(calls))
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
        return True

    run(scheduler, phases([(None, waits)]), idle=idle)
    assert count == 50


def test_blocked_says_what_each_call_waits_for():
    scheduler = Scheduler()
    waits = [Wait(f"p{k}.in", "recv", "q.out") for k in range(2)]
    seen = []

    def idle():
        seen.append(sorted(w.port for w in scheduler.blocked.values()))
        scheduler.wake(next(iter(scheduler.blocked)))
        return True

    run(scheduler, phases([(None, lambda w=w: scheduler.block(w)) for w in waits]), idle=idle)
    assert seen == [["p0.in", "p1.in"], ["p1.in"]]


def test_waking_somebody_who_does_not_wait_changes_nothing():
    scheduler = Scheduler()
    scheduler.wake(object())
    run(scheduler, phases([]))


@pytest.mark.parametrize("kind", [ValueError, SystemExit, AssertionError])
def test_exceptions_of_calls_are_kept_in_order_and_the_others_go_on(kind):
    scheduler = Scheduler()
    log = []

    def fail():
        raise kind(len(log))

    calls = [("a", fail), ("b", lambda: log.append(1)), ("c", fail)]
    run(scheduler, phases(calls))
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

    run(scheduler, phases([("a", fails_later), ("b", latch.release)]))
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
        run(scheduler, phases(calls, [(None, no_idle)]), idle=idle)
    assert sorted(unwound) == [0, 1, 2]
    assert not scheduler.blocked
    assert not scheduler.failures
    # and the scheduler can be used again
    log = []
    run(scheduler, phases([(None, lambda: log.append(1))]))
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
        run(scheduler, Strand(advance))


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
        run(scheduler, phases([(None, stubborn)]), idle=idle)
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
        return True

    run(scheduler, phases(*(calls for _, calls in built)), idle=wake_all)
    assert [number for number, _ in log] == sorted(number for number, _ in log)
    assert sorted(log) == [(number, k) for number, (n, _) in enumerate(built) for k in range(n)]
    assert not scheduler.failures


# --- several strands ------------------------------------------------------------------------------------


def test_a_strand_that_never_waits_does_not_starve_another():
    """And each enters its phases in order."""
    scheduler = Scheduler()
    log = []

    def strand(name, count):
        return phases(*[[(name, lambda k=k: log.append((name, k)))] for k in range(count)])

    run(scheduler, strand("a", 40), strand("b", 3))
    assert [k for name, k in log if name == "a"] == list(range(40))
    assert [k for name, k in log if name == "b"] == [0, 1, 2]
    assert log.index(("b", 2)) < 8


def test_a_phase_of_one_strand_does_not_wait_for_another_strand():
    scheduler = Scheduler()
    latch = Latch(scheduler)
    log = []
    slow = phases([(None, latch.wait)], [(None, lambda: log.append("slow"))])
    fast = phases([(None, lambda: log.append(1))], [(None, lambda: log.append(2))], [(None, latch.release)])
    run(scheduler, slow, fast)
    assert log == [1, 2, "slow"]


def test_a_failure_of_one_strand_does_not_end_another():
    scheduler = Scheduler()
    log = []

    def fail():
        raise ValueError

    run(
        scheduler,
        phases([("a", fail)]),
        phases([("b", lambda: log.append(1))], [("b", lambda: log.append(2))]),
    )
    assert [actor for actor, _ in scheduler.failures] == ["a"]
    assert log == [1, 2]


def test_idle_may_leave_calls_suspended_and_a_later_run_lets_them_go_on():
    scheduler = Scheduler()
    latch = Latch(scheduler)
    log = []

    def waits():
        latch.wait()
        log.append("goes on")

    run(scheduler, phases([(None, waits)], [(None, lambda: log.append("next phase"))]), idle=lambda: False)
    assert log == []
    latch.release()
    run(scheduler, phases([(None, lambda: log.append("new strand"))]))
    assert sorted(log) == ["goes on", "new strand", "next phase"]
    assert log.index("goes on") < log.index("next phase")
    assert not scheduler.blocked


def test_who_is_called_is_not_stuck_even_if_all_others_wait():
    """An actor that looks at the sockets in the middle of its call may be asked, and can still send."""
    scheduler = Scheduler()
    latch = Latch(scheduler)
    seen = []

    def looks():
        scheduler.yield_to_others()
        seen.append(scheduler.stuck)

    def idle():
        seen.append(scheduler.stuck)
        latch.release()
        seen.append(scheduler.stuck)
        return True

    run(scheduler, phases([(None, latch.wait)]), phases([(None, looks)]), idle=idle)
    assert seen == [False, True, False]
    assert not scheduler.stuck


def test_a_strand_can_be_added_in_the_middle_of_a_run():
    scheduler = Scheduler()
    log = []
    late = phases([(None, lambda: log.append("late"))])
    first = [(None, lambda: scheduler.add(late))], [(None, lambda: log.append(1))]
    run(scheduler, phases(*first))
    assert sorted(map(str, log)) == ["1", "late"]


def test_yielding_lets_everybody_else_go_on_first():
    scheduler = Scheduler()
    log = []

    def polite():
        for k in range(3):
            scheduler.yield_to_others()
            log.append(("polite", k))

    run(
        scheduler,
        phases([(None, polite)]),
        phases(*[[(None, lambda k=k: log.append(("other", k)))] for k in range(3)]),
    )
    assert sorted(log) == sorted([(name, k) for name in ("polite", "other") for k in range(3)])
    assert log[0] == ("other", 0)
    assert not scheduler.failures


def test_calls_that_yield_for_ever_do_not_starve_a_strand():
    scheduler = Scheduler()
    done = []

    def polls():
        for _ in range(1000):
            if done:
                return
            scheduler.yield_to_others()
        raise TimeoutError

    run(
        scheduler,
        phases([(None, polls)]),
        phases(*[[(None, lambda: None)]] * 20, [(None, lambda: done.append(1))]),
    )
    assert done
    assert not scheduler.failures


def test_calls_that_wake_each_other_for_ever_do_not_starve_a_strand():
    scheduler = Scheduler()
    done = []
    partner = []

    def plays():
        me = getcurrent()
        partner.append(me)
        for _ in range(1000):
            if done:
                break
            for other in partner:
                if other is not me:
                    scheduler.wake(other)
            if len(partner) == 2:
                scheduler.block(WAIT)
            else:
                scheduler.yield_to_others()
        else:
            raise TimeoutError
        for other in partner:
            scheduler.wake(other)

    long = phases(*[[(None, lambda: None)]] * 20, [(None, lambda: done.append(1))])
    run(scheduler, phases([(None, plays)]), phases([(None, plays)]), long, idle=lambda: False)
    assert done
    assert not scheduler.failures


def test_yielding_alone_returns_at_once():
    scheduler = Scheduler()
    log = []

    def call():
        scheduler.yield_to_others()
        log.append(1)

    run(scheduler, phases([(None, call)]))
    assert log == [1]


def test_an_interruption_from_inside_a_call_unwinds_everybody_and_is_no_failure_of_the_call():
    scheduler = Scheduler()
    unwound = []

    def waits():
        try:
            scheduler.block(WAIT)
        finally:
            unwound.append("waits")

    def interrupts():
        try:
            scheduler.interrupt(Broken())
        finally:
            unwound.append("interrupts")

    with pytest.raises(Broken):
        run(scheduler, phases([(None, waits)]), phases([(None, interrupts)]))
    assert sorted(unwound) == ["interrupts", "waits"]
    assert not scheduler.failures
    assert not scheduler.blocked
    log = []
    run(scheduler, phases([(None, lambda: log.append(1))]))
    assert log == [1]


def test_since_when_a_call_waits():
    now = iter([5.0])
    scheduler = Scheduler(lambda: next(now))
    run(scheduler, phases([(None, lambda: scheduler.block(WAIT))]), idle=lambda: False)
    assert [sleeper.since for sleeper in scheduler.blocked] == [5.0]
    scheduler.abandon()
    assert not scheduler.blocked


@given(st.integers(0, 2**32 - 1))
def test_random_strands_keep_their_own_order_and_lose_no_call(seed):
    """Calls wait for anybody's earlier phases; the order of phases within a strand holds."""
    rng = random.Random(seed)
    scheduler = Scheduler()
    log = []
    done = {}

    def call(strand, phase, k):
        for _ in range(rng.randrange(3)):
            if rng.random() < 0.5:
                scheduler.yield_to_others()
            else:
                scheduler.block(WAIT)
        log.append((strand, phase, k))
        done[strand] = phase

    counts = [[rng.randrange(4) for _ in range(rng.randrange(1, 5))] for _ in range(rng.randrange(1, 4))]

    def strand(s):
        return phases(
            *[
                [((s, p, k), lambda p=p, k=k: call(s, p, k)) for k in range(n)]
                for p, n in enumerate(counts[s])
            ]
        )

    def wake_some():
        sleepers = list(scheduler.blocked)
        for sleeper in rng.sample(sleepers, rng.randrange(1, len(sleepers) + 1)):
            scheduler.wake(sleeper)
        return True

    run(scheduler, *(strand(s) for s in range(len(counts))), idle=wake_some)
    assert sorted(log) == [
        (s, p, k) for s, phases_ in enumerate(counts) for p, n in enumerate(phases_) for k in range(n)
    ]
    for s in range(len(counts)):
        mine = [p for strand_, p, _ in log if strand_ == s]
        assert mine == sorted(mine)
    assert not scheduler.failures
