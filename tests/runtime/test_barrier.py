"""The barrier of one worker, with the other workers played by the test; see also `test_worker`."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from lahar.runtime.barrier import Barrier
from lahar.runtime.engine import Interrupted
from lahar.runtime.scheduler import Scheduler, Strand
from lahar.runtime.wire import decode_mark, encode_mark


class Other:
    """Another worker: what it has been sent."""

    def __init__(self):
        self.marks = []
        self.flushes = 0

    def mark(self, frame):
        self.marks.append(decode_mark(frame))

    def flush(self):
        self.flushes += 1


class Stage:
    """A barrier with two neighbours (workers 1 and 2) and a bystander, and a domain at it."""

    def __init__(self):
        self.scheduler = Scheduler()
        self.barrier = Barrier(self.scheduler)
        self.others = [Other(), Other()]
        self.bystander = Other()
        self.barrier.connect(0, self.others, [self.bystander])
        self.domain = SimpleNamespace(
            number=0,
            phases=7,
            clusters=[],
            sequencer=SimpleNamespace(step=3, limit=9),
            held_up_by=lambda: None,
        )
        self.results = []

    def run(self, call, *moments):
        """Make a call; whenever it waits, let the next moment come."""
        waiting = iter(moments)
        steps = iter([[(None, lambda: self.results.append(call()))]])

        def idle():
            next(waiting)()
            return True

        self.scheduler.run([Strand(lambda: next(steps, None))], idle)
        assert next(waiting, None) is None
        return self.results

    def exchange(self, needs, *moments):
        return self.run(lambda: self.barrier.exchange(self.domain, needs), *moments)

    def mark(self, sender, number, needs=0):
        return lambda: self.barrier.take(sender, encode_mark(0, number, needs))


@pytest.fixture
def stage():
    return Stage()


def test_all_hear_of_the_end_of_a_phase_and_what_is_asked_for(stage):
    assert stage.exchange(1, stage.mark(2, 7, 4), stage.mark(1, 7, 8)) == [1 | 4 | 8]
    assert [other.marks for other in stage.others] == [[(0, 7, 1)]] * 2
    assert stage.bystander.marks == []
    assert stage.bystander.flushes == 1


def test_marks_may_come_before_the_phase_ends_here(stage):
    stage.mark(1, 7, 2)()
    stage.mark(2, 7)()
    stage.mark(2, 8, 16)()  # of the next phase already
    assert stage.exchange(0) == [2]


def test_writes_of_others_are_waited_for_before_the_phase_ends(stage):
    cluster = SimpleNamespace(settled=False)
    stage.domain.clusters = [cluster]

    def settle():
        assert stage.others[0].marks == []
        cluster.settled = True
        stage.barrier.wake()

    assert stage.exchange(0, settle, stage.mark(1, 7), stage.mark(2, 7)) == [0]


def test_a_domain_that_is_not_shared_needs_no_barrier(stage):
    assert stage.barrier.is_shared(0)
    assert not stage.barrier.is_shared(1)
    stage.barrier.connect(1, [], [])
    assert not stage.barrier.is_shared(1)


def test_a_step_that_waits_for_the_host_begins_when_nobody_does(stage):
    actor = SimpleNamespace(name="injector")
    stage.domain.held_up_by = lambda: actor

    def feed():
        (wait,) = stage.scheduler.blocked.values()
        assert (wait.port, wait.peer) == ("injector.pipe", "the host")
        assert stage.others[0].marks == []
        stage.domain.held_up_by = lambda: None
        stage.barrier.wake()

    ready = 0xFF
    assert stage.run(
        lambda: stage.barrier.await_host(stage.domain), feed, stage.mark(1, 4, ready), stage.mark(2, 4, ready)
    ) == [None]
    assert stage.others[0].marks == [(0, 4, ready)]


def test_a_halt_ends_the_wait_for_the_host(stage):
    stage.domain.held_up_by = lambda: SimpleNamespace(name="injector")

    def halt():
        stage.domain.sequencer.limit = 3
        stage.barrier.wake()

    assert stage.run(lambda: stage.barrier.await_host(stage.domain), halt) == [None]
    assert stage.others[0].marks == []


@pytest.mark.parametrize(("phase", "open_here"), [(6, False), (7, True), (8, True)])
def test_a_run_is_given_up_after_a_phase_that_is_not_over(stage, phase, open_here):
    assert stage.barrier.end_with(stage.domain, phase) == open_here
    assert stage.barrier.is_last({0: stage.domain}) == (phase == 7)


def test_the_last_phase_ends_without_waiting_for_others(stage):
    stage.barrier.end_with(stage.domain, 7)
    stage.exchange(0)
    ((_, error),) = stage.scheduler.failures
    assert isinstance(error, Interrupted)
    assert stage.others[0].marks == [(0, 7, 0)]


def test_a_phase_that_is_finished_here_is_not_finished_again(stage):
    def look():
        assert not stage.barrier.end_with(stage.domain, 7)
        stage.mark(1, 7)()

    assert stage.exchange(0, look, stage.mark(2, 7)) == [0]
