"""The engine of one worker: its actors and their channels, and the strands in which they run."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from lahar.compiler.plan import ChannelSpec, PipeSpec, Plan
from lahar.processes.errors import DeadlockError, DtypeError

from .actors import Actor, BuildError, build_actors, finish
from .channels import LocalChannel
from .deadlock import Blocked, blocked_actors, explain
from .domains import AsyncActor, LoihiDomain
from .references import couple
from .scheduler import Scheduler, Strand
from .sequencer import Need
from .stopwatch import Measured, TimedScheduler, make_scheduler
from .values import assign, read, restore, snapshot


@dataclass(frozen=True)
class Failure:
    """An exception of a model, as it travels to the host.

    Attributes
    ----------
    phase : str
        Phase name, or ``"build"``.
    error : BaseException or None
        The exception itself; None where it could not be pickled.
    """

    process: str
    process_class: str
    phase: str
    time_step: int
    summary: str
    traceback: str
    error: BaseException | None


class Links(Protocol):
    """Makes the ends of channels that lead out of a worker: to other workers and to the host."""

    def make_outbox(self, channel: ChannelSpec, source: str, destination: str) -> Any: ...
    def make_inbox(self, channel: ChannelSpec, source: str, destination: str) -> Any: ...
    def make_pipe_inbox(self, pipe: PipeSpec, name: str) -> Any: ...
    def make_pipe_outbox(self, pipe: PipeSpec, name: str) -> Any: ...

    def post(self, worker: int, frames: list[Any]) -> None:
        """Send a message of a reference."""


class Engine:
    """Builds and runs the actors of one partition.

    Parameters
    ----------
    plan : Plan
    part : int
        Number of the partition.
    scheduler : Scheduler, optional
        The one that remote channels wait with.
    links : Links, optional
        Ends of channels that lead out of this worker.

    Attributes
    ----------
    domains : dict of int to LoihiDomain
    free : list of AsyncActor
    shared : dict of int to SharedCluster
        Clusters of references that extend over several workers.
    """

    def __init__(
        self, plan: Plan, part: int, scheduler: Scheduler | None = None, links: Links | None = None
    ) -> None:
        self.plan = plan
        self.scheduler = scheduler or make_scheduler(plan)
        self.actors = build_actors(plan, part)
        by_number = {actor.number: actor for actor in self.actors}
        self._attach(plan, part, by_number, links)
        self._part = part
        if isinstance(self.scheduler, TimedScheduler):
            self.scheduler.watch(self.actors)
        self.domains: dict[int, LoihiDomain] = {}
        self.free: list[AsyncActor] = []
        for number, domain in enumerate(plan.domains):
            members = [a for a in self.actors if plan.domain[a.number] == number]
            if domain.is_async:
                self.free += [AsyncActor(actor, self.scheduler) for actor in members]
            elif members:
                management = [by_number[k] for k in plan.management_order if by_number.get(k) in members]
                self.domains[number] = LoihiDomain(number, members, management, self.scheduler)
        self._domain_of = {a.number: self.domains.get(plan.domain[a.number]) for a in self.actors}
        self.shared = couple(
            plan, part, by_number, self.domains, self.scheduler, links.post if links is not None else None
        )
        owners = [by_number[r.owner] for r in plan.references if r.owner in by_number]
        for loihi in self.domains.values():
            loihi.watch(owners)
        finish(self.actors)
        self._vars = {var.id: (actor, var) for actor in self.actors for var in actor.spec.vars}
        self._by_name = {actor.name: actor for actor in self.actors}

    def _attach(self, plan: Plan, part: int, actors: dict[int, Actor], links: Links | None) -> None:
        for channel in plan.channels:
            (a, out), (b, into) = channel.source, channel.destination
            here, there = plan.partition[a] == part, plan.partition[b] == part
            source = f"{plan.processes[a].name}.{out}"
            destination = f"{plan.processes[b].name}.{into}"
            if here and there:
                both: Any = LocalChannel(self.scheduler, source, destination, channel.capacity)
                getattr(actors[a].model, out).attach(both)
                getattr(actors[b].model, into).attach(both, channel.transforms, channel.dtype)
            elif here and links is not None:
                getattr(actors[a].model, out).attach(links.make_outbox(channel, source, destination))
            elif there and links is not None:
                inbox = links.make_inbox(channel, source, destination)
                getattr(actors[b].model, into).attach(inbox, channel.transforms, channel.dtype)
        for pipe in plan.pipes:
            if plan.partition[pipe.process] == part and links is not None:
                port = getattr(actors[pipe.process].model, pipe.port)
                name = f"{plan.processes[pipe.process].name}.{pipe.port}"
                if pipe.inward:
                    port.attach(links.make_pipe_inbox(pipe, name), (), pipe.dtype)
                else:
                    port.attach(links.make_pipe_outbox(pipe, name))

    # --- running --------------------------------------------------------------------------------

    def begin_run(self, limits: dict[int, int], num_steps: int) -> None:
        """Set the last time step of each domain and make the calls of asynchronous actors.

        Parameters
        ----------
        limits : dict of int to int
            By number of the domain.
        num_steps : int
            Time steps of this run, for asynchronous actors.
        """
        self.set_limits(limits)
        self._starting = [s for s in (f.strand(num_steps) for f in self.free) if s is not None]

    _starting: Sequence[Strand] = ()

    def set_limits(self, limits: dict[int, int]) -> None:
        for number, domain in self.domains.items():
            domain.sequencer.limit = limits[number]

    def extend(self, limits: dict[int, int]) -> bool:
        """Set the last time steps in the middle of a run; return whether domains that had halted go on."""
        self.set_limits(limits)
        halted = [d for d in self.domains.values() if not d.active and d.sequencer.step < d.sequencer.limit]
        for domain in halted:
            self.scheduler.add(domain.strand())
        return bool(halted)

    def go_on_for_others(self, most: dict[int, int]) -> bool:
        """In a halted run, let domains execute one step more whose messages others need to end their own.

        Parameters
        ----------
        most : dict of int to int
            Last time step of each domain if the run had not been halted.

        Returns
        -------
        bool
            Whether there are such domains.
        """
        pairs = [(self._loihi(b.process), self._loihi(b.peer_process)) for b in self.blocked_actors()]
        needed = {peer.number for domain, peer in pairs if domain is not None and peer is not None}
        limits = {
            number: domain.sequencer.limit + (number in needed and not domain.active)
            for number, domain in self.domains.items()
        }
        return self.extend({number: min(limit, most[number]) for number, limit in limits.items()})

    def run(self, idle: Callable[[], bool]) -> None:
        """Run until all domains have reached their limit (or a model's request, or a failure).

        Parameters
        ----------
        idle : callable
            Called when every actor waits, see `Scheduler.run`.
        """
        strands = [*self._starting, *(d.strand() for d in self.domains.values())]
        self._starting = ()
        self.scheduler.run(strands, idle)

    @property
    def steps(self) -> dict[int, int]:
        """Time step of each domain."""
        return {number: domain.sequencer.step for number, domain in self.domains.items()}

    @property
    def step(self) -> int:
        """The latest time step of any domain."""
        return max((d.sequencer.step for d in self.domains.values()), default=0)

    @property
    def unfinished(self) -> bool:
        """Whether a domain has not reached its limit or an asynchronous actor has not returned."""
        return any(f.active for f in self.free) or any(
            d.sequencer.step < d.sequencer.limit for d in self.domains.values()
        )

    def halt(self) -> None:
        """Begin no further time step."""
        for domain in self.domains.values():
            domain.sequencer.limit = domain.sequencer.step

    def tell_free(self, why: str) -> None:
        """Tell asynchronous actors that the host wants to pause or stop.

        Not before all time steps are done: a domain may need their messages to finish its last one.
        """
        for free in self.free:
            free.halting = why

    def take_wishes(self) -> Need:
        """Return what models of domains that have halted, and asynchronous ones, ask for, and forget it."""
        wishes = Need.NOTHING
        parts: list[LoihiDomain | AsyncActor] = [*self.domains.values(), *self.free]
        for part in parts:
            found = part.take_wishes()
            if found:
                wishes |= found
        return wishes

    # --- waiting ----------------------------------------------------------------------------------

    def check_deadlock(self) -> None:
        """Raise `DeadlockError`: called when all unfinished actors wait and nothing can arrive."""
        if self.scheduler.failures:
            raise Interrupted
        raise DeadlockError(explain(self.blocked_actors(), self.ended()))

    def blocked_actors(self) -> list[Blocked]:
        """Return the suspended actors."""
        return blocked_actors(self.scheduler, self._where)

    def awaited(self) -> set[str]:
        """Return the processes for which those with time steps wait; may be called by another thread."""
        waits = [*self.scheduler.blocked.values()]
        peers = {w.port.rpartition(".")[0]: w.peer.rpartition(".")[0] for w in waits}
        return {peer for process, peer in peers.items() if self._loihi(process) is not None}

    def _loihi(self, process: str) -> LoihiDomain | None:
        """Return the domain of a process; None if it is asynchronous or elsewhere."""
        actor = self._by_name.get(process)
        return self._domain_of[actor.number] if actor is not None else None

    def _where(self, process: str) -> tuple[str, int]:
        """Return phase and time step of a process."""
        domain = self._loihi(process)
        return ("ASYNC", 0) if domain is None else (domain.phase.name, domain.sequencer.step)

    def ended(self) -> list[str]:
        """Return the processes that do nothing more in this run."""
        done = [f.actor.name for f in self.free if not f.active]
        if len(self.plan.domains) > 1:  # else those who wait are in the same domain
            for domain in self.domains.values():
                if not domain.active:
                    done += [a.name for a in domain.actors]
        return done

    # --- Vars ---------------------------------------------------------------------------------

    def get(self, var_id: int) -> Any:
        """Return the value of a Var (the model's own object)."""
        actor, var = self._vars[var_id]
        return read(actor.model, var)

    def set(self, var_id: int, value: Any) -> None:
        """Set a Var; if the model refuses the value, the old one is restored and the error raised."""
        actor, var = self._vars[var_id]
        saved = snapshot(actor.model, var)
        assign(actor.model, var, value)
        try:
            actor.model.on_var_update()
        except Exception:
            restore(actor.model, var, saved)
            raise

    def readable(self) -> dict[int, Any]:
        """Return the values of all Vars that hold one (a model may keep anything in an attribute)."""
        values = {}
        for var_id in self._vars:
            try:
                values[var_id] = self.get(var_id)
            except (DtypeError, AttributeError):
                continue
        return values

    def measured(self) -> Measured | None:
        """Return what has been measured; None if the Plan does not ask for it."""
        scheduler = self.scheduler
        return scheduler.measured(self._part, self.step) if isinstance(scheduler, TimedScheduler) else None

    # --- failures -----------------------------------------------------------------------------

    def take_failures(self) -> list[Failure]:
        """Return and forget the exceptions that models raised."""
        failures = []
        for actor, error in self.scheduler.failures:
            domain = self.domains.get(self.plan.domain[actor.number])
            phase, step = ("ASYNC", 0) if domain is None else (domain.phase.name, domain.sequencer.step)
            failures.append(make_failure(actor, error, phase, step))
        self.scheduler.failures.clear()
        return failures

    def failed_domain(self) -> int:
        """Return the domain of the first failure, or -1."""
        if not self.scheduler.failures:
            return -1
        number = self.plan.domain[self.scheduler.failures[0][0].number]
        return number if number in self.domains else -1


class Interrupted(Exception):
    """The run cannot go on because a model failed; unwinds the scheduler."""


def make_failure(actor: Actor, error: BaseException, phase: str, step: int) -> Failure:
    """Describe an exception of an actor."""
    return Failure(
        process=actor.name,
        process_class=actor.spec.class_name,
        phase=phase,
        time_step=step,
        summary="".join(traceback.format_exception_only(error)).strip(),
        traceback="".join(traceback.format_exception(error)),
        error=error,
    )


def build_failure(error: BuildError, plan: Plan) -> Failure:
    """Describe an exception of a model's constructor."""
    cause = error.__cause__
    assert cause is not None
    spec = next(s for s in plan.processes if s.name == error.process)
    return Failure(
        process=error.process,
        process_class=spec.class_name,
        phase="build",
        time_step=0,
        summary="".join(traceback.format_exception_only(cause)).strip(),
        traceback="".join(traceback.format_exception(cause)),
        error=cause,
    )
