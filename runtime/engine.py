"""The engine of one worker: its actors, their channels, and the execution of phases."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import partial
from typing import Any

from lahar.compiler.plan import Plan
from lahar.compiler.safety import overrides
from lahar.processes.errors import DeadlockError, DtypeError
from lahar.processes.model import Phase

from .actors import Actor, BuildError, build_actors, finish
from .channels import LocalChannel
from .deadlock import Blocked, blocked_actors, explain
from .references import Reference
from .scheduler import Call, Scheduler
from .sequencer import LRN, PAUSE, POST, PRE, STOP, Sequencer
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


class Engine:
    """Builds and steps the actors of one partition.

    Parameters
    ----------
    plan : Plan
    part : int
        Number of the partition.
    scheduler : Scheduler, optional
        The one that remote channels wait with.
    remote_out, remote_in : callable, optional
        Make the end of a channel to or from another partition, given its ChannelSpec and names.
    """

    def __init__(
        self,
        plan: Plan,
        part: int,
        scheduler: Scheduler | None = None,
        remote_out: Callable[..., Any] | None = None,
        remote_in: Callable[..., Any] | None = None,
    ) -> None:
        self.plan = plan
        self.scheduler = scheduler or Scheduler()
        self.sequencer = Sequencer()
        self.phase = Phase.SPK
        self.written: list[Reference] = []
        self.actors = build_actors(plan, part)
        by_number = {actor.number: actor for actor in self.actors}
        self._attach(plan, part, by_number, remote_out, remote_in)
        self._wishing: list[Any] = []
        for actor in self.actors:
            actor.model._announce = self._wishing.append
            if actor.model._wishes:
                self._wishing.append(actor.model)
        finish(self.actors)
        self._vars = {var.id: (actor, var) for actor in self.actors for var in actor.spec.vars}
        self._arrange(by_number)

    def _attach(
        self, plan: Plan, part: int, actors: dict[int, Actor], remote_out: Any, remote_in: Any
    ) -> None:
        for channel in plan.channels:
            (a, out), (b, into) = channel.source, channel.destination
            here, there = plan.partition[a] == part, plan.partition[b] == part
            source = f"{plan.processes[a].name}.{out}"
            destination = f"{plan.processes[b].name}.{into}"
            if here and there:
                both: Any = LocalChannel(self.scheduler, source, destination, channel.capacity)
                getattr(actors[a].model, out).attach(both)
                getattr(actors[b].model, into).attach(both, channel.transforms, channel.dtype)
            elif here and remote_out is not None:
                getattr(actors[a].model, out).attach(remote_out(channel, source, destination))
            elif there and remote_in is not None:
                inbox = remote_in(channel, source, destination)
                getattr(actors[b].model, into).attach(inbox, channel.transforms, channel.dtype)
        for ref in plan.references:
            reader, owner = ref.port[0], ref.owner
            if reader in actors and owner in actors:
                port = getattr(actors[reader].model, ref.port[1])
                port.attach(
                    Reference(
                        self,
                        ref.id,
                        actors[reader],
                        port.name,
                        actors[owner],
                        ref.var,
                        ref.forward,
                        ref.backward,
                    )
                )

    def _arrange(self, by_number: dict[int, Actor]) -> None:
        """Sort actors by the phases they can take part in, once."""
        self._spikers: list[Call] = [(a, a.model.run_spk) for a in self.actors]
        self._models = [a.model for a in self.actors]
        management = [by_number[k] for k in self.plan.management_order if k in by_number]
        self._pre = [a for a in management if overrides(type(a.model), "pre_guard")]
        self._post = [a for a in management if overrides(type(a.model), "post_guard")]
        self._learners = [a for a in self.actors if overrides(type(a.model), "lrn_guard")]
        self._guarded = [a for a in self.actors if a in self._learners or a in self._post]
        owners = {by_number[r.owner] for r in self.plan.references if r.owner in by_number}
        self._owners = frozenset(id(a) for a in owners)

    # --- phases -----------------------------------------------------------------------------

    def begin(self, phase: Phase, step: int) -> list[Call]:
        """Return the calls of a phase, having told every model what is executed."""
        self.phase = phase
        for model in self._models:
            model.phase = phase
        if phase is Phase.SPK:
            for model in self._models:
                model.time_step = step
            return self._spikers
        if phase is Phase.LRN:
            return [(a, a.model.run_lrn) for a in self._willing(self._learners, "lrn_guard")]
        if phase is Phase.PRE_MGMT:
            return self._manage([(a, a.model.run_pre_mgmt) for a in self._willing(self._pre, "pre_guard")])
        return self._manage([(a, a.model.run_post_mgmt) for a in self._willing(self._post, "post_guard")])

    def _willing(self, actors: list[Actor], guard: str) -> list[Actor]:
        """Return the actors whose guard is true; a guard that raises has failed like a handler."""
        willing = []
        for actor in actors:
            try:
                if getattr(actor.model, guard)():
                    willing.append(actor)
            except (Exception, SystemExit) as error:
                self.scheduler.failures.append((actor, error))
        return willing

    def _manage(self, calls: list[Call]) -> list[Call]:
        """Make readers of a Var wait for the handler of its owner."""
        for k, (actor, method) in enumerate(calls):
            if id(actor) in self._owners:
                actor.busy = True
                calls[k] = (actor, partial(self._run_owner, actor, method))
        return calls

    def _run_owner(self, actor: Actor, method: Callable[[], None]) -> None:
        try:
            method()
        finally:
            actor.busy = False
            for sleeper in actor.observers:
                self.scheduler.wake(sleeper)
            actor.observers.clear()

    def end(self) -> int:
        """Finish the present phase; return what the actors ask for (flags of `Need`)."""
        if self.written:
            self._apply_writes()
        wishing = self._wishing
        needs = 0
        if wishing:
            # a model announces each of its requests, and may have withdrawn it since
            asked = {id(m): m for m in wishing if m._wishes}
            for model in asked.values():
                if "pause" in model._wishes:
                    needs |= PAUSE
                    model._wishes.remove("pause")
                else:
                    needs |= STOP
                    model._wishes.clear()
            excluded = set(asked)
            wishing[:] = [m for m in asked.values() if m._wishes]
            asking = [a for a in self._guarded if id(a.model) not in excluded]
        else:
            asking = self._guarded
            excluded = set()
        phase = self.phase
        if phase is Phase.SPK:
            for actor in asking:
                model = actor.model
                try:
                    if model.lrn_guard():
                        needs |= PRE if model.pre_guard() else LRN
                    elif model.post_guard():
                        needs |= POST
                except (Exception, SystemExit) as error:
                    self.scheduler.failures.append((actor, error))
        elif phase is Phase.PRE_MGMT:
            # every actor that does not ask for pause or stop asks for learning
            if len(excluded) < len(self.actors):
                needs |= LRN
        elif phase is Phase.LRN:
            for actor in self._post:
                if id(actor.model) not in excluded and self._willing([actor], "post_guard"):
                    needs |= POST
                    break
        return needs

    def _apply_writes(self) -> None:
        written, self.written = self.written, []
        for reference in sorted(dict.fromkeys(written), key=lambda r: r.number):
            try:
                reference.apply()
            except (Exception, SystemExit) as error:  # the value does not fit, or the owner refuses it
                self.scheduler.failures.append((reference.reader, error))

    def quiet(self) -> bool:
        """Apply waiting writes when all reads are done; return whether that let anybody go on."""
        if not self.written:
            return False
        before = len(self.scheduler.blocked)
        self._apply_writes()
        return len(self.scheduler.blocked) < before

    # --- running by itself --------------------------------------------------------------------

    def next_calls(self, exchange: Callable[[int], int] | None = None) -> Iterable[Call] | None:
        """Return the calls of the next phase, None at the end of the run.

        Parameters
        ----------
        exchange : callable, optional
            Takes what the actors here ask for and returns what the actors of all workers ask for.
        """
        sequencer = self.sequencer
        if self._entered:
            if self.scheduler.failures:
                return None
            needs = self.end()
            if self.scheduler.failures:
                return None
            sequencer.add(needs if exchange is None else exchange(needs))
        phase = sequencer.next()
        if phase is None:
            self._entered = False
            return None
        self._entered = True
        return self.begin(phase, sequencer.step)

    _entered = False

    def run(self) -> None:
        """Run to the sequencer's limit (or a model's request, or a failure) without any other worker.

        Raises
        ------
        DeadlockError
        """
        try:
            self.scheduler.run(self.next_calls, self._wait_inside)
        except Interrupted:
            self._entered = False

    def _wait_inside(self) -> None:
        if not self.quiet():
            self.check_deadlock()

    def check_deadlock(self) -> None:
        """Raise `DeadlockError`: called when all unfinished actors wait and nothing can arrive."""
        if self.scheduler.failures:
            raise Interrupted
        raise DeadlockError(explain(self.blocked_actors()))

    def blocked_actors(self) -> list[Blocked]:
        """Return the suspended actors."""
        return blocked_actors(self.scheduler, self.phase.name, self.sequencer.step)

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

    # --- failures -----------------------------------------------------------------------------

    def take_failures(self) -> list[Failure]:
        """Return and forget the exceptions that models raised."""
        failures = [
            make_failure(actor, error, self.phase.name, actor.model.time_step)
            for actor, error in self.scheduler.failures
        ]
        self.scheduler.failures.clear()
        return failures


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
