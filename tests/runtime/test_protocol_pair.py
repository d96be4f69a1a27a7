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


class Strand:
    """The part of a sync domain in one worker, or an asynchronous actor.

    Attributes
    ----------
    begun, done : int
        Time steps begun and completed.
    """

    def __init__(self):
        self.begun = self.done = self.limit = 0
        self.ended = False  # in this run, by a request


class SimulatedWorker:
    """Protocol, shell and engine of one worker.

    Attributes
    ----------
    domains : dict of int to Strand
    free : str
        ``"running"``, ``"waiting"`` (for a message) or empty: what its asynchronous actor does, if it has one.
    """

    def __init__(self, network, number, domains, is_free):
        self.network = network
        self.number = number
        self.protocol = wp.WorkerProtocol()
        self.inbox = deque()
        self.domains = {d: Strand() for d in domains}
        self.is_free = is_free
        self.free = ""
        self.calls = 0  # of the asynchronous actor, that have begun
        self.todo = None
        self.executing = self.final = self.resting = self.said_ended = self.halting = False
        self.lost = False
        self.wishes = []
        self.send(m.Hello(100 + number, f"ipc://{number}"))

    def send(self, message):
        self.network.to_service[self.number].append(message)

    @property
    def steps(self):
        return [[d, s.begun] for d, s in self.domains.items()]

    @property
    def completed(self):
        return [[d, s.done] for d, s in self.domains.items()]

    def set_limits(self, limits):
        for d, strand in self.domains.items():
            strand.limit = limits[d]
            strand.ended = False

    def feed(self, event):
        for action in self.protocol.receive(event):
            match action:
                case wp.Send():
                    self.send(action.message)
                case wp.BuildModels():
                    if self.number in self.network.failing_builds:
                        self.feed(wp.ModelsFailed(0, 0, 0, b"failure"))
                    else:
                        self.feed(wp.ModelsBuilt())
                case wp.Advance():
                    if self.executing:
                        self.final = bool(action.grant.final)
                        self.said_ended = False
                        self.set_limits(action.grant.limits)
                    else:
                        self.todo = action
                case wp.Halt():
                    for strand in self.domains.values():
                        strand.limit = strand.begun
                    self.halting = True
                    self.todo = None
                    self.send(m.Holding(self.steps))
                case wp.LetRest():
                    self.resting = True
                case wp.GiveUp():
                    self.todo = None
                    self.executing = False
                    self.send(m.Aborted(max((n for _, n in self.steps), default=0)))
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
            return [(self.start, None)]
        found = [(self.take, None)] if self.inbox else []
        if not self.executing:
            return found
        busy = False
        for d, strand in self.domains.items():
            if strand.begun > strand.done:
                busy = True
                if self.network.can_finish(self, d):
                    found.append((self.finish_step, d))
            elif strand.begun < strand.limit and not strand.ended:
                busy = True
                if self.network.can_begin(self, d):
                    found.append((self.begin_step, d))
        if self.free == "running":
            busy = True
            found.append((self.act_freely, None))
        if not busy:
            if not self.free or self.resting:
                return [*found, (self.end, None)]
            if self.final and not self.said_ended and self.protocol.state is wp.State.RUNNING:
                found.append((self.say_domains_ended, None))
        return found

    def take(self):
        self.feed(self.inbox.popleft())

    def start(self):
        grant, self.todo = self.todo.grant, None
        self.set_limits(grant.limits)
        self.final, self.resting, self.said_ended = bool(grant.final), False, False
        if not self.final:
            self.halting = False
            if self.is_free:
                self.calls += not self.free
                self.free = "running"
        self.executing = True

    def begin_step(self, d):
        strand = self.domains[d]
        strand.begun += 1
        self.network.log.append((self.number, d, strand.begun))

    def finish_step(self, d):
        strand = self.domains[d]
        failing, need = self.network.fate(self.number, d, strand.begun)
        if failing:
            self.executing = False
            self.feed(wp.ModelsFailed(strand.begun, d, 0, b"failure"))
            return
        strand.done = strand.begun
        if need:
            strand.ended = True
            strand.limit = strand.done
            self.feed(wp.Wished(strand.done, int(need)))

    def act_freely(self):
        """The asynchronous actor returns (surely if it is told to), waits for a message, or goes on."""
        self.free = self.network.rng.choice(["running", "waiting", ""])
        if not self.free and self.network.rng.random() < self.network.free_wishes:
            self.feed(wp.Wished(0, int(self.network.rng.choice([Need.PAUSE, Need.STOP]))))

    def say_domains_ended(self):
        self.said_ended = True
        self.feed(wp.DomainsEnded(self.completed))

    def end(self):
        self.executing = False
        self.feed(wp.RunEnded(self.completed))


class Network:
    """A service and its workers.

    Parameters
    ----------
    edges : list of (source, destination, delay)
        A worker finishes step t of a domain when each source has finished step t - delay of it (elastic).
    lockstep : bool
        Nobody begins step t + 1 of a domain before all have finished its step t.
    wishes : dict of int to Need
        Time step of domain 0 -> what a model of worker ``step % workers`` asks for in it.
    failures : set of (worker, step)
        In domain 0.
    domains : list of set of int
        Workers of each further domain; all are in domain 0.
    free : set of int
        Workers with an asynchronous actor.
    free_wishes : float
        How often such an actor asks for something when it returns.
    """

    def __init__(
        self,
        rng,
        workers,
        lockstep=False,
        edges=(),
        wishes=None,
        failures=(),
        failing_builds=(),
        losses=0.0,
        domains=(),
        free=(),
        free_wishes=0.0,
    ):
        self.rng = rng
        self.lockstep = lockstep
        self.edges = list(edges)
        self.wishes = dict(wishes or {})
        self.failures = set(failures)
        self.failing_builds = set(failing_builds)
        self.losses = losses
        self.free_wishes = free_wishes
        self.log = []
        self.members = [set(range(workers)), *domains]
        self.service = sp.ServiceProtocol(workers, len(self.members))
        self.to_service = [deque() for _ in range(workers)]
        self.workers = [
            SimulatedWorker(self, k, [d for d, where in enumerate(self.members) if k in where], k in free)
            for k in range(workers)
        ]
        self.events = []

    def fate(self, worker, d, step):
        if d:
            return False, Need.NOTHING
        if (worker, step) in self.failures:
            return True, Need.NOTHING
        need = self.wishes.get(step, Need.NOTHING)
        mine = self.lockstep or step % len(self.workers) == worker
        return False, need if mine else Need.NOTHING

    def strand(self, worker, d):
        return self.workers[worker].domains[d]

    def can_finish(self, worker, d):
        if self.lockstep:
            return True
        here = worker.domains[d]
        return all(
            self.strand(a, d).done >= here.begun - delay
            for a, b, delay in self.edges
            if b == worker.number and a in self.members[d]
        )

    def can_begin(self, worker, d):
        here = worker.domains[d]
        if self.lockstep:
            return all(self.strand(k, d).done >= here.done or self.workers[k].lost for k in self.members[d])
        return all(
            self.strand(b, d).done + CAPACITY > here.begun
            for a, b, _ in self.edges
            if a == worker.number and b in self.members[d]
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
                        worker.inbox.append(m.Build([], 30, (b"",)))
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
        choices += [choice for worker in self.workers for choice in worker.choices()]
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

    def assert_consistent(self, *steps):
        """Everybody has completed the same time step of each domain, is idle, and nothing is under way."""
        for worker in self.workers:
            for d, strand in worker.domains.items():
                assert (strand.begun, strand.done) == (steps[d], steps[d])
        assert {w.protocol.state for w in self.workers} == {wp.State.IDLE}
        assert self.service.state is sp.State.IDLE
        for queue in (*self.to_service, *(w.inbox for w in self.workers)):
            # a Rest that is on its way to a worker without asynchronous actors changes nothing there
            assert all(message == m.Rest() for message in queue)
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
        assert network.until(sp.Ended) == sp.Ended((step,), Need.NOTHING)
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
        (reached,) = ended.steps
        assert step <= reached <= (step + length if length is not None else 10**9)
        step = reached
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
    open_stop = False
    for length in (10, None, 5):
        network.tell(sp.Run(length))
        if open_stop:
            assert network.until(sp.Ended) == sp.Ended((step,), Need.STOP)
            open_stop = False
            continue
        if length is None and not halting and not any(w > step for w in wishes):
            network.tell(sp.HaltRun())
        ended = network.until(sp.Ended, halt_chance=0.02 if halting else 0.0)
        (reached,) = ended.steps
        asked = [s for s in wishes if step < s <= reached]
        made = {wishes[s] for s in asked}
        assert ended.wish is (min(made) if made else Need.NOTHING)  # pause first
        open_stop = len(made) == 2
        if lockstep and asked:
            assert reached == min(asked)
        if length is not None and not asked and not halting:
            assert reached == step + length
        step = reached
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
        assert all(event.steps[0] < step for _, step in failures)
        network.assert_consistent(*event.steps)
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


@settings(max_examples=200)
@given(st.data(), seeds, st.integers(1, 4), st.booleans())
def test_several_domains_and_asynchronous_actors(data, seed, workers, lockstep):
    """Each domain halts in a consistent cut of its own; actors that wait are left to rest, and go on."""
    rng = random.Random(seed)
    parts = st.sets(st.integers(0, workers - 1), min_size=1)
    network = Network(
        rng,
        workers,
        lockstep,
        data.draw(graphs(workers)),
        wishes=data.draw(
            st.dictionaries(st.integers(1, 25), st.sampled_from([Need.PAUSE, Need.STOP]), max_size=3)
        ),
        domains=data.draw(st.lists(parts, max_size=2)),
        free=data.draw(st.sets(st.integers(0, workers - 1))),
        free_wishes=data.draw(st.sampled_from([0.0, 0.5])),
    )
    network.until(sp.Opened)
    steps = [0] * len(network.members)
    for length in data.draw(st.lists(st.sampled_from([None, 1, 3, 30]), min_size=1, max_size=4)):
        waiting = [w.number for w in network.workers if w.free]
        calls = [w.calls for w in network.workers]
        network.tell(sp.Run(length))
        # an actor that waits for ever does not let the run end before it is halted
        ended = network.until(sp.Ended, halt_chance=rng.choice([0.3, 0.05, 0.01]))
        for before, after in zip(steps, ended.steps, strict=True):
            assert before <= after <= (before + length if length is not None else 10**9)
        if not ended.wish:
            assert not [s for s in network.wishes if steps[0] < s <= ended.steps[0]]
        steps = list(ended.steps)
        network.assert_consistent(*steps)
        for worker, before in zip(network.workers, calls, strict=True):
            # whoever was suspended has not been called anew
            assert worker.calls - before <= (worker.is_free and worker.number not in waiting)


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
    network.to_service[0].append(m.Holding([[0, 2]]))
    with pytest.raises(LaharError, match="worker 0 sent Holding in state RUNNING"):
        network.until(sp.Ended)
