"""One simulation: a random network, a random program of the host, random faults, and what must hold."""

from __future__ import annotations

import hashlib
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from lahar.processes.errors import DeadlockError, StateError, WorkerDiedError
from lahar.runtime import service_protocol as sp
from lahar.runtime.outcome import Outcome
from lahar.runtime.pipes import HostReceiver, HostSender
from lahar.runtime.sequencer import Need

from . import networks
from .audit import ChannelAudit, RequestAudit
from .host import Program, SimHost
from .network import describe
from .verdict import Verdict
from .world import SimulationFailure, World

_MOST_EVENTS = 200_000
_PATIENCE = 4.0  # seconds without progress after which nothing will ever happen
_RELUCTANT = 0.5  # seconds after which the program halts a run that has not ended, and then gives it up
_LONGEST = 60.0  # seconds that a run may take, however slow the network
_CRASH_LIMIT = 1.0  # seconds within which a crash must have ended the run
_FAULTS = ("none", "none", "none", "none", "crash", "crash", "stop", "abandon")


@dataclass(frozen=True)
class Report:
    """What a simulation was.

    Attributes
    ----------
    seed : int
    kind : str
        Of the network.
    fault : str
    ending : str
        ``closed``, ``failed``, ``deadlock``, ``died``, ``abandoned`` or ``stopped``.
    events : int
    messages : int
        Received by models.
    compared : bool
        Whether the results were compared with an inline run.
    digest : str
        Of the trace.
    """

    seed: int
    kind: str
    fault: str
    ending: str
    events: int
    messages: int
    compared: bool
    digest: str


class Simulation:
    """A network of simulated workers, led by a real service, driven by a random program.

    Parameters
    ----------
    seed : int
        Everything follows from it.
    number : int, optional
        Number of the network; drawn if not given.
    fault : str, optional
        ``none``, ``crash``, ``stop`` or ``abandon``; drawn if not given.

    Attributes
    ----------
    world : World
    sample : Sample
    host : SimHost
    """

    def __init__(self, seed: int, number: int | None = None, fault: str | None = None) -> None:
        self.seed = seed
        self.world = World(seed)
        random = self.world.random
        drawn = random.randrange(networks.COUNT)
        self.sample = networks.sample(drawn if number is None else number)
        drawn_fault = random.choice(_FAULTS)
        self.fault = fault or drawn_fault
        self.ending = ""
        plan = self.sample.plan
        self.audit = ChannelAudit(plan)
        self._requests = RequestAudit()
        self._engines: list[Any] = []
        self.host = SimHost(self.world, plan, self.sample.pickled, self._watch)
        self.service = self.host.service
        self.verdict = Verdict(self.sample)
        self._dead: dict[int, float] = {}  # workers that were killed or stopped, and when
        self._open: Future[Any] | None = None
        self._halted = False
        self._silent = False  # the host neither sends nor receives over pipes any more
        self._quits = False  # the network is closed in the middle of a run
        self._over = False
        self._extracted: dict[int, list[Any]] = {}

    def _watch(self, engine: Any) -> None:
        self._engines.append(engine)
        self.audit.watch(engine)
        self._requests.watch(engine)

    # --- running --------------------------------------------------------------------------------------

    def run(self) -> Report:
        """Run until the network is closed, and check everything.

        Raises
        ------
        SimulationFailure
            The runtime has not kept a promise.
        """
        world, host = self.world, self.host
        world.note("simulates", self.sample.kind, self.sample.plan.partitions, self.sample.plan.sync)
        host.run_program(self._play())
        self._plan_faults()
        try:
            while host.programs:
                if not world.step():
                    raise SimulationFailure("nothing can happen any more")
                if world.handled > _MOST_EVENTS:
                    raise SimulationFailure(f"no end after {world.handled} events")
                if world.now - world.progress > _PATIENCE:
                    raise SimulationFailure(f"nothing but signs of life for {_PATIENCE:g} s{self._state()}")
            self._check_end()
            compared = self.verdict.compare(self._extracted)
        finally:
            for worker in host.workers:
                worker.forget()
        return Report(
            self.seed,
            self.sample.kind,
            self.fault,
            self.ending,
            world.handled,
            self.audit.taken,
            compared,
            self.digest(),
        )

    def digest(self) -> str:
        """Return a hash of everything that happened."""
        return hashlib.sha256(repr(self.world.trace).encode()).hexdigest()

    def trace(self) -> str:
        """Return everything that happened, one line for each event."""
        return "\n".join(map(describe, self.world.trace))

    def _state(self) -> str:
        lines = [f"\n  service: {self.service.protocol.state.name}"]
        for worker in self.host.workers:
            if worker.alive and worker.worker is not None:
                waits = list(worker.worker._scheduler.blocked.values())
                lines.append(f"  worker {worker.number}: {worker.worker._protocol.state.name} {waits}")
        return "\n".join(lines)

    # --- what goes wrong ------------------------------------------------------------------------------

    def _plan_faults(self) -> None:
        random = self.world.random
        if self.fault not in ("crash", "stop"):
            return
        for _ in range(random.choice([1, 1, 1, 2])):
            when = 0.05 * random.random() if random.random() < 0.2 else 0.05 + random.expovariate(1 / 0.03)
            worker = random.randrange(self.sample.plan.partitions)
            if self.fault == "crash":
                self.world.at(when, partial(self._crash, worker))
            else:
                seconds = random.choice([1e-3, 0.1, 0.5, 1.5, 3.0])
                self.world.at(when, partial(self._stop, worker, seconds))

    def _crash(self, worker: int) -> None:
        if self.host.workers[worker].alive and not self.service.closing:
            self._dead.setdefault(worker, self.world.now)
            self.host.workers[worker].kill()

    def _stop(self, worker: int, seconds: float) -> None:
        if self.host.workers[worker].alive and not self.host.workers[worker].stopped:
            if seconds > 0.9:
                self._dead.setdefault(worker, self.world.now + 1.0)
            self.host.stop_worker(worker, seconds)

    # --- the host's program ---------------------------------------------------------------------------

    def _play(self) -> Program:
        outcome = yield self.service.ready
        if outcome.failed:
            self._take_failure(outcome)
        for pipe, end in self.host.pipes.items():
            feed = self._send(end) if isinstance(end, HostSender) else self._receive(pipe, end)
            if not self._over:
                self.host.run_program(feed, essential=False)
        random = self.world.random
        self._quits = random.random() < 0.07
        for _ in range(random.randint(2, 5)):
            if self._over:
                break
            if random.random() < 0.1:
                self._silent = True
            match random.choice(["run", "run", "run", "free", "free", "get", "set", "zero"]):
                case "run":
                    yield from self._run(random.choice([1, 2, 3, 5, 8, 20]), random.random() < 0.25)
                case "free":
                    yield from self._run(None, True)
                case "zero":
                    yield from self._run(0, random.random() < 0.3)
                case "get":
                    yield from self._get()
                case "set":
                    yield from self._set()
        if self._quits and not self._over:
            self.host.begin(random.choice([None, 3]))
            yield 1e-2 * random.random()
            self.verdict.spoil()
            self.ending = "closed"
        else:
            yield from self._read_all()
        healthy = self.service.protocol.state is not sp.State.FAILED
        yield from self.host.close()
        if healthy and self.host.killed and self.fault in ("none", "abandon"):
            raise SimulationFailure(f"workers {self.host.killed} had to be killed")

    def _run(self, steps: int | None, halt: bool) -> Program:
        host, random = self.host, self.world.random
        self._halted = halt
        ready = self.service.protocol.steps[:]
        run = self._open = host.begin(steps)
        begun = self.world.now
        if halt:
            for _ in range(random.choice([1, 1, 2])):
                yield random.choice([0.0, 1e-5, 1e-3, 1e-2]) * random.random()
                host.tell(sp.HaltRun(random.choice(["pause", "pause", "stop"])))
        if self.fault == "abandon" and random.random() < 0.5:
            yield 1e-3 * random.random()
            host.tell(sp.Abandon())
        while not (yield (run, _RELUCTANT)):
            yield from self._hurry(begun)
        self._open = None
        self._take_outcome(run.result(), steps, ready, begun)

    def _hurry(self, begun: float) -> Program:
        """Do something about a run that has not ended."""
        host = self.host
        yield host.tell(sp.Look())
        yield 0.1  # for the answers
        if not self._halted:
            self._halted = True
            host.tell(sp.HaltRun("stop"))
        elif any(w.stopped or not w.alive for w in host.workers):
            pass  # the service will notice
        elif self.service.waits_for_host() or self.service.ignoring():
            if self.sample.paced and not self.service.ignoring():
                raise SimulationFailure(
                    f"a network that may wait between time steps cannot be paused{self._state()}"
                )
            self.fault = "abandon"
            host.tell(sp.Abandon())
        if self.world.now - begun > _LONGEST and not self._dead:
            raise SimulationFailure(f"a run has not ended{self._state()}")
        yield 0.0

    def _get(self) -> Program:
        variables = [v.id for p in self.sample.plan.processes for v in p.vars]
        var = self.world.random.choice(variables)
        try:
            values = yield self.host.get(var)
        except WorkerDiedError:
            self._expect_dead()
            return
        self.verdict.note_get(var, values[var])

    def _set(self) -> Program:
        variables = networks.settable(self.sample.plan)
        if not variables:
            return
        var = self.world.random.choice(variables)
        value = np.array([self.world.random.randrange(100), 1])
        try:
            yield self.host.set(var, value)
        except WorkerDiedError:
            self._expect_dead()
            return
        self.verdict.note_set(var, value)

    def _expect_dead(self) -> None:
        if not self._dead:
            raise SimulationFailure("a worker is said to have died, and none has")
        self._over = True

    def _read_all(self) -> Program:
        """Read every Var, as the Runtime does before it closes a network."""
        service = self.service
        try:
            yield self.host.tell(("settle",))
        except WorkerDiedError:
            self._expect_dead()
        failed = service.protocol.state is sp.State.FAILED
        yield from self._check_rest(failed)
        values: dict[int, Any] = {}
        for worker in self.host.workers:
            number = worker.number
            if number in service.gone or (failed and number not in service.quiet):
                continue
            answer = self.host.tell(("get", number, []))
            if not (yield (answer, 2.0)):
                if not self._dead and not worker.stopped:
                    raise SimulationFailure(f"worker {number} does not answer{self._state()}")
            elif answer.exception() is None:
                values.update(answer.result())
            else:
                self._expect_dead()
        self.verdict.note_end(values, partial=bool(self._dead))

    def _check_rest(self, failed: bool) -> Program:
        """Nobody is busy any more: all healthy workers have given up, and every place in a pipe is accounted for."""
        usable = {w.number for w in self.host.workers if w.alive and not w.stopped and w.has_models}
        if failed:
            busy = usable - self.service.quiet
            if busy and self.fault != "stop":
                raise SimulationFailure(f"workers {sorted(busy)} have not given up the run{self._state()}")
        elif not self._dead and self.host.pipes:
            self._silent = True
            yield 0.5
            for pipe, end in self.host.pipes.items():
                worker = self.host.workers[self.service._pipe_worker[pipe]].worker
                links = worker._links
                if isinstance(end, HostSender):
                    held, free = links.inboxes[pipe].pending, end._credit
                else:
                    held, free = end.pending, links.outboxes[pipe].credit
                if held + free != end.size:
                    raise SimulationFailure(
                        f"the pipe of {end.name} holds {held} messages and has room for {free}, of {end.size}"
                    )

    # --- pipes ----------------------------------------------------------------------------------------

    def _send(self, end: HostSender) -> Program:
        random = self.world.random
        number = 0
        while not self.service.closing:
            yield random.choice([1e-4, 1e-3, 1e-3, 2e-2]) * random.random()
            if end.probe() and not self._silent:
                number += 1
                try:
                    end.send(letter(number, end))
                except StateError:
                    self._expect_failed()
                    return

    def _receive(self, pipe: int, end: HostReceiver) -> Program:
        random = self.world.random
        while not self.service.closing:
            yield random.choice([1e-4, 1e-3, 1e-3, 2e-2]) * random.random()
            if len(end._queue) > end.size:
                raise SimulationFailure(f"{len(end._queue)} messages in a pipe for {end.size}")
            if end.probe() and not self._silent:
                try:
                    self._extracted.setdefault(pipe, []).append(end.recv())
                except StateError:
                    self._expect_failed()
                    return

    def _expect_failed(self) -> None:
        """A pipe refuses its service: only where the network has failed."""
        if self.service.protocol.state is not sp.State.FAILED:
            raise SimulationFailure("a pipe is closed although the network has not failed")

    # --- what must hold -------------------------------------------------------------------------------

    def _take_outcome(self, outcome: Outcome, steps: int | None, before: list[int], begun: float) -> None:
        self.world.note(
            "outcome", outcome.step, int(outcome.wish), len(outcome.failures), bool(outcome.error)
        )
        if outcome.failed:
            self._take_failure(outcome, steps, begun)
            return
        if self.service.protocol.state is sp.State.FAILED and not self._dead:
            if self.fault != "abandon":
                raise SimulationFailure("a run was given up that nobody wanted to end")
            self.ending = "abandoned"
            self.verdict.spoil()
            self._over = True
            return
        noticed_by = max(begun, min(self._dead.values(), default=self.world.now)) + _CRASH_LIMIT
        if self._dead and self.world.now > noticed_by:
            raise SimulationFailure(f"nobody has noticed that workers {sorted(self._dead)} are dead")
        if self._dead and self.fault == "abandon":
            self.verdict.spoil()  # it cannot be told whether the run was given up, or had ended when a worker died
            self._over = True
            return
        reached = self.service.protocol.steps
        self._check_cut(reached)
        if steps is not None:
            limits = [done + steps for done in before]
            early = self._halted or outcome.wish
            if any(now > most for now, most in zip(reached, limits, strict=True)) and not early:
                raise SimulationFailure(f"{reached} instead of {limits}: further than asked for")
            if reached != limits and not early:
                raise SimulationFailure(f"{reached} instead of {limits}, and nobody wanted it to end")
        self._requests.check_end(outcome.wish)
        self.verdict.note_run(steps, tuple(reached), outcome.wish, self._halted)
        if outcome.wish is Need.STOP:
            self.ending = "stopped"
            self._over = True

    def _check_cut(self, reached: list[int]) -> None:
        """Every actor of a domain has completed the same time step (G4)."""
        for engine in self._engines:
            for number, domain in engine.domains.items():
                steps = {domain.sequencer.step, *(a.model.time_step for a in domain.actors)}
                if steps != {reached[number]}:
                    raise SimulationFailure(
                        f"domain {number} is said to be at time step {reached[number]}, but actors are at {steps}"
                    )

    def _take_failure(self, outcome: Outcome, steps: int | None = None, begun: float = 0.0) -> None:
        self._over = True
        error = outcome.error
        if outcome.failures:
            self.ending = "failed"
            self.verdict.note_failures(outcome.failures, bool(self._dead) or self.fault == "abandon")
        elif isinstance(error, WorkerDiedError):
            self.ending = "died"
            self._check_death(str(error), begun)
            self.verdict.spoil()
        elif isinstance(error, DeadlockError):
            self.ending = "deadlock"
            self.verdict.note_deadlock(steps, str(error))
        else:
            raise SimulationFailure(f"the run failed with {error!r}")

    def _check_death(self, text: str, begun: float) -> None:
        named = [k for k in self._dead if text.startswith(f"Worker {k} ")]
        if not named:
            raise SimulationFailure(f"workers {sorted(self._dead)} are dead, the error says: {text}")
        late = self.world.now - max(begun, min(self._dead.values()))
        if late > _CRASH_LIMIT:
            raise SimulationFailure(f"the death of a worker was reported after {late:.2f} s")

    def _check_end(self) -> None:
        alive = [w.number for w in self.host.workers if w.alive]
        if alive:
            raise SimulationFailure(f"workers {alive} have not ended")
        self.ending = self.ending or "closed"


def letter(number: int, end: Any) -> Any:
    """Return the message with this number that the host sends."""
    return np.full(end.shape, number % 50, end.d_type)


def simulate(seed: int) -> Report:
    """Run the simulation of a seed.

    Raises
    ------
    SimulationFailure
        The runtime has not kept a promise; the message says how to see it again.
    """
    simulation = Simulation(seed)
    try:
        return simulation.run()
    except SimulationFailure as failure:
        what = f"{simulation.sample.kind}, {simulation.sample.plan.partitions} workers"
        raise SimulationFailure(
            f"seed {seed} ({what}, fault: {simulation.fault}): {failure}\n"
            f"Replay it with: python -m lahar.runtime.testing --seed {seed} --trace"
        ) from failure
