"""Both state machines joined: one service, some workers, queues between them, and a seed.

The channels are FIFO; between channels anything may overtake anything. A worker is simulated as its shell
and engine behave: it takes messages between time steps and while it is blocked, and it can finish a time
step only when its neighbours have sent what it needs.
"""

from __future__ import annotations

import random
from collections import deque

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lahar.processes.errors import LaharError
from lahar.runtime import messages as m
from lahar.runtime import service_protocol as sp
from lahar.runtime import worker_protocol as wp
from lahar.runtime.sequencer import Need

CAPACITY = 4


class SimulatedWorker:
    """Protocol, shell and engine of one worker.

    Attributes
    ----------
    begun, done : int
        Time steps begun and completed.
    """

    def __init__(self, network, number):
        self.network = network
        self.number = number
        self.protocol = wp.WorkerProtocol()
        self.inbox = deque()
        self.begun = self.done = self.limit = 0
        self.todo = None
        self.building = self.executing = False
        self.lost = False
        self.send(m.Hello(100 + number, f"ipc://{number}"))

    def send(self, message):
        self.network.to_service[self.number].append(message)

    def feed(self, event):
        for action in self.protocol.receive(event):
            match action:
                case wp.Send():
                    self.send(action.message)
                case wp.BuildModels():
                    if self.number in self.network.failing_builds:
                        self.feed(wp.ModelsFailed(0, 0, b"failure"))
                    else:
                        self.feed(wp.ModelsBuilt())
                case wp.Advance():
                    if self.executing:
                        self.limit = action.limit
                    else:
                        self.todo = action
                case wp.Halt():
                    self.limit = self.begun
                    self.todo = None
                    self.send(m.Holding(self.begun))
                case wp.GiveUp():
                    self.todo = None
                    self.executing = False
                    self.send(m.Aborted(self.begun))
                case wp.End():
                    self.executing = False
                case wp.Report() | wp.Access():
                    raise AssertionError("nobody asked")

    # --- what can happen next -----------------------------------------------------------------------

    def choices(self):
        """Return everything that this worker may do now."""
        if self.lost:
            return []
        if self.todo is not None:
            return [self.start]
        found = [self.take] if self.inbox else []
        if self.executing and self.begun > self.done:
            if self.network.can_finish(self):
                found = [self.finish_step]
        elif self.executing:
            found = [*found, self.begin_step] if self.begun < self.limit else [self.end]
        return found

    def take(self):
        self.feed(self.inbox.popleft())

    def start(self):
        self.limit, self.todo = self.todo.limit, None
        self.executing = True

    def begin_step(self):
        if self.network.can_begin(self):
            self.begun += 1
            self.network.log.append((self.number, self.begun))
            if self.network.rng.random() < 0.1:
                self.send(m.Progress(self.begun))
        elif self.inbox:
            self.take()

    def finish_step(self):
        failing, need = self.network.fate(self.number, self.begun)
        if failing:
            self.executing = False
            self.feed(wp.ModelsFailed(self.begun, 0, b"failure"))
            return
        self.done = self.begun
        if need:
            self.executing = False
            self.feed(wp.StepsEnded(self.done, int(need)))

    def end(self):
        self.executing = False
        self.feed(wp.StepsEnded(self.done, 0))


class Network:
    """A service and its workers.

    Parameters
    ----------
    edges : list of (source, destination, delay)
        A worker finishes step t when each source has finished step t - delay (elastic).
    lockstep : bool
        Nobody begins step t + 1 before all have finished step t.
    wishes : dict of int to Need
        Time step -> what a model of worker ``step % workers`` asks for in it.
    failures : set of (worker, step)
    """

    def __init__(
        self, rng, workers, lockstep=False, edges=(), wishes=None, failures=(), failing_builds=(), losses=0.0
    ):
        self.rng = rng
        self.lockstep = lockstep
        self.edges = list(edges)
        self.wishes = dict(wishes or {})
        self.failures = set(failures)
        self.failing_builds = set(failing_builds)
        self.losses = losses
        self.log = []
        self.service = sp.ServiceProtocol(workers)
        self.to_service = [deque() for _ in range(workers)]
        self.workers = [SimulatedWorker(self, k) for k in range(workers)]
        self.events = []

    def fate(self, worker, step):
        if (worker, step) in self.failures:
            return True, Need.NOTHING
        need = self.wishes.get(step, Need.NOTHING)
        mine = self.lockstep or step % len(self.workers) == worker
        return False, need if mine else Need.NOTHING

    def can_finish(self, worker):
        if self.lockstep:
            return True
        return all(
            self.workers[a].done >= worker.begun - delay for a, b, delay in self.edges if b == worker.number
        )

    def can_begin(self, worker):
        if self.lockstep:
            return all(other.done >= worker.done or other.lost for other in self.workers)
        return all(
            self.workers[b].done + CAPACITY > worker.begun for a, b, _ in self.edges if a == worker.number
        )

    # --- driving --------------------------------------------------------------------------------------

    def carry_out(self, actions):
        for action in actions:
            match action:
                case sp.ToAll():
                    for worker in self.workers:
                        if not worker.lost:
                            worker.inbox.append(action.message)
                case sp.SendPlans():
                    for worker in self.workers:
                        worker.inbox.append(m.Build([], (b"",)))
                case _:
                    self.events.append(action)

    def tell(self, event):
        self.carry_out(self.service.tell(event))

    def deliver(self, k):
        self.carry_out(self.service.receive(k, self.to_service[k].popleft()))

    def lose(self, worker):
        worker.lost = True
        worker.inbox.clear()
        # what it had sent may or may not arrive
        for _ in range(self.rng.randrange(len(self.to_service[worker.number]) + 1)):
            if self.to_service[worker.number]:
                self.to_service[worker.number].pop()
        self.tell(sp.WorkerLost(worker.number))

    def step(self):
        """Let one randomly chosen thing happen; return False if nothing can."""
        choices = [(self.deliver, k) for k, queue in enumerate(self.to_service) if queue]
        choices += [(choice, None) for worker in self.workers for choice in worker.choices()]
        if not choices:
            return False
        if self.losses and self.rng.random() < self.losses:
            alive = [w for w in self.workers if not w.lost]
            if alive:
                self.lose(self.rng.choice(alive))
                return True
        act, argument = self.rng.choice(choices)
        act() if argument is None else act(argument)
        return True

    def until(self, kind, halt_chance=0.0, most=20_000):
        """Go on until an event of one of these kinds; halt the run at random moments."""
        for _ in range(most):
            while self.events:
                event = self.events.pop(0)
                if isinstance(event, kind):
                    return event
                raise AssertionError(f"{event} came instead of {kind}")
            if halt_chance and self.rng.random() < halt_chance:
                self.tell(sp.HaltRun())
            if not self.step() and not self.events:
                if self.service.state is sp.State.RUNNING and halt_chance:
                    self.tell(sp.HaltRun())
                    continue
                raise AssertionError(f"nothing can happen any more in state {self.service.state.name}")
        raise AssertionError("no end")

    def settle(self):
        while self.step():
            pass

    def assert_consistent(self, step):
        """Everybody has completed the same time step, is idle, and nothing is under way."""
        assert [w.done for w in self.workers] == [step] * len(self.workers)
        assert [w.begun for w in self.workers] == [step] * len(self.workers)
        assert {w.protocol.state for w in self.workers} == {wp.State.IDLE}
        assert self.service.state is sp.State.IDLE
        for queue in (*self.to_service, *(w.inbox for w in self.workers)):
            assert all(isinstance(message, m.Progress) for message in queue)
        assert not self.events


@st.composite
def graphs(draw, workers):
    """Edges between workers; those without delay lead to higher numbers only, so that loops are live."""
    edges = []
    for a in range(workers):
        for b in range(workers):
            if a != b and draw(st.booleans()):
                delay = draw(st.integers(0 if a < b else 1, 3))
                edges.append((a, b, delay))
    return edges


seeds = st.integers(0, 2**32 - 1)


@settings(max_examples=150)
@given(st.data(), seeds, st.integers(1, 4), st.booleans())
def test_runs_of_a_given_length_end_there(data, seed, workers, lockstep):
    edges = data.draw(graphs(workers))
    network = Network(random.Random(seed), workers, lockstep, edges)
    assert network.until(sp.Opened) == sp.Opened()
    step = 0
    for length in data.draw(st.lists(st.integers(0, 8), min_size=1, max_size=3)):
        network.tell(sp.Run(length))
        step += length
        assert network.until(sp.Ended) == sp.Ended(step, Need.NOTHING)
        network.assert_consistent(step)


@settings(max_examples=200)
@given(st.data(), seeds, st.integers(1, 4), st.booleans())
def test_halting_at_any_moment_leaves_a_consistent_cut(data, seed, workers, lockstep):
    rng = random.Random(seed)
    network = Network(rng, workers, lockstep, data.draw(graphs(workers)))
    network.until(sp.Opened)
    step = 0
    for length in data.draw(st.lists(st.sampled_from([None, 1, 3, 30]), min_size=1, max_size=4)):
        network.tell(sp.Run(length))
        ended = network.until(sp.Ended, halt_chance=rng.choice([0.3, 0.05, 0.01]))
        assert ended.wish is Need.NOTHING
        assert step <= ended.step <= (step + length if length is not None else 10**9)
        step = ended.step
        network.assert_consistent(step)


@settings(max_examples=200)
@given(st.data(), seeds, st.integers(1, 4), st.booleans())
def test_requests_of_models_end_the_run_for_all(data, seed, workers, lockstep):
    rng = random.Random(seed)
    wishes = data.draw(
        st.dictionaries(st.integers(1, 25), st.sampled_from([Need.PAUSE, Need.STOP]), max_size=5)
    )
    network = Network(rng, workers, lockstep, data.draw(graphs(workers)), wishes)
    network.until(sp.Opened)
    step = 0
    halting = data.draw(st.booleans())
    for length in (10, None, 5):
        network.tell(sp.Run(length))
        if length is None and not halting and not any(w > step for w in wishes):
            network.tell(sp.HaltRun())
        ended = network.until(sp.Ended, halt_chance=0.02 if halting else 0.0)
        asked = [s for s in wishes if step < s <= ended.step]
        if ended.wish:
            assert wishes[ended.step] is ended.wish if lockstep else ended.wish in map(wishes.get, asked)
        else:
            assert not asked
        if lockstep and asked:
            assert ended.step == min(asked)
        if length is not None and not asked and not halting:
            assert ended.step == step + length
        step = ended.step
        network.assert_consistent(step)


@settings(max_examples=150)
@given(st.data(), seeds, st.integers(1, 4), st.booleans(), st.booleans())
def test_failing_models_end_in_failed(data, seed, workers, lockstep, halting):
    rng = random.Random(seed)
    places = st.tuples(st.integers(0, workers - 1), st.integers(1, 12))
    failures = data.draw(st.sets(places, min_size=1, max_size=3))
    network = Network(rng, workers, lockstep, data.draw(graphs(workers)), failures=failures)
    network.until(sp.Opened)
    network.tell(sp.Run(12))
    kinds = (sp.Broken, sp.Ended) if halting else sp.Broken
    event = network.until(kinds, halt_chance=0.02 if halting else 0.0)
    if isinstance(event, sp.Ended):
        assert all(event.step < step for _, step in failures)
        network.assert_consistent(event.step)
        return
    network.settle()
    assert network.service.state is sp.State.FAILED
    assert {w.protocol.state for w in network.workers} == {wp.State.ABORTED}
    assert not any(w.executing for w in network.workers)
    assert network.events == []


@settings(max_examples=50)
@given(st.data(), seeds, st.integers(1, 4))
def test_failing_constructors_end_in_failed(data, seed, workers):
    failing = data.draw(st.sets(st.integers(0, workers - 1), min_size=1))
    network = Network(random.Random(seed), workers, failing_builds=failing)
    assert network.until(sp.Broken) == sp.Broken()
    network.settle()
    assert network.service.state is sp.State.FAILED
    assert {w.protocol.state for w in network.workers} == {wp.State.ABORTED}


@settings(max_examples=200)
@given(st.data(), seeds, st.integers(1, 4), st.booleans())
def test_workers_lost_at_any_moment_end_in_failed(data, seed, workers, lockstep):
    rng = random.Random(seed)
    network = Network(rng, workers, lockstep, data.draw(graphs(workers)), losses=rng.choice([0.1, 0.02]))
    with_run = False
    for _ in range(20_000):
        if network.service.state is sp.State.IDLE:
            network.tell(sp.Run(rng.choice([None, 3])))
            with_run = True
        elif with_run and rng.random() < 0.05:
            network.tell(sp.HaltRun())
        if any(isinstance(e, sp.Broken) for e in network.events):
            break
        if not network.step():
            network.lose(rng.choice(network.workers))
    assert network.service.state is sp.State.FAILED
    network.losses = 0.0
    network.events.clear()
    network.settle()
    survivors = [w for w in network.workers if not w.lost]
    # one that had not said hello when the network broke waits to be told to end
    assert {w.protocol.state for w in survivors} <= {wp.State.ABORTED, wp.State.CONNECTED}
    assert not any(w.executing for w in survivors)
    for worker in survivors:
        worker.feed(m.Shutdown())
        assert worker.protocol.state is wp.State.ENDED


@pytest.mark.parametrize("seed", range(20))
def test_the_same_seed_shows_the_same_run(seed):
    def run():
        rng = random.Random(seed)
        network = Network(rng, 3, edges=[(0, 1, 0), (1, 2, 1), (2, 0, 1)])
        network.until(sp.Opened)
        network.tell(sp.Run(None))
        ended = network.until(sp.Ended, halt_chance=0.02)
        return ended, network.log

    assert run() == run()


def test_a_broken_protocol_is_noticed():
    """The joined pair would fail if a worker reported a step it has not done."""
    network = Network(random.Random(1), 2)
    network.until(sp.Opened)
    network.tell(sp.Run(3))
    network.to_service[0].append(m.Holding(2))
    with pytest.raises(LaharError, match="worker 0 sent Holding in state RUNNING"):
        network.until(sp.Ended)
