"""Sync domains: actors that execute the phases of a time step together, and asynchronous actors."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any

from lahar.compiler.safety import overrides, paces
from lahar.processes.model import Phase

from .actors import Actor
from .scheduler import Call, Scheduler, Strand
from .sequencer import LRN, PAUSE, POST, PRE, STOP, Need, Sequencer

if TYPE_CHECKING:
    from .references import Cluster, Target


class LoihiDomain:
    """The actors of one sync domain in one worker: they share a time step and enter each phase together.

    Parameters
    ----------
    number : int
        Of the domain in the Plan.
    actors : list of Actor
        In the order in which they are visited.
    management : list of Actor
        The same, owners of Vars before those who refer to them.
    scheduler : Scheduler

    Attributes
    ----------
    sequencer : Sequencer
    phase : Phase
    phases : int
        Number of the present phase, counted from 1 (in lockstep the same in all workers).
    exchange : callable, optional
        Takes what the actors here ask for and returns what the actors of all workers ask for, once all have
        finished the phase.
    begin_step : callable, optional
        Called before every time step; may suspend.
    status : mutable sequence of int
        Takes time step and phase, for whoever looks in from outside.
    """

    def __init__(
        self, number: int, actors: list[Actor], management: list[Actor], scheduler: Scheduler
    ) -> None:
        self.number = number
        self.actors = actors
        self.sequencer = Sequencer()
        self.phase = Phase.SPK
        self.phases = 0
        self.exchange: Callable[[LoihiDomain, int], int] | None = None
        self.begin_step: Callable[[LoihiDomain], None] | None = None
        self.clusters: list[Cluster] = []
        self.written: list[Target] = []  # by actors here in SPK or LRN
        self.incoming: dict[int, list[tuple[Target, Any]]] = {}  # the same from other workers, by phase
        self._scheduler = scheduler
        self._entered = False
        self.active = False  # in the middle of a run
        self.status: Any = [0, 0]
        self._models = [a.model for a in actors]
        self._spikers: list[Call] = [(a, a.model.run_spk) for a in actors]
        self._pre = [a for a in management if overrides(type(a.model), "pre_guard")]
        self._post = [a for a in management if overrides(type(a.model), "post_guard")]
        self._learners = [a for a in actors if overrides(type(a.model), "lrn_guard")]
        self._guarded = [a for a in actors if a in self._learners or a in self._post]
        self._wrapped: frozenset[int] = frozenset()
        self._pacemakers = [a for a in actors if paces(type(a.model))]
        self._wishing: list[Any] = []
        for model in self._models:
            model._announce = self._wishing.append
            if model._wishes:
                self._wishing.append(model)

    def watch(self, owners: list[Actor]) -> None:
        """Note who owns Vars that others refer to; called once `clusters` is complete."""
        self._wrapped = frozenset(id(a) for a in [*owners, *(a for c in self.clusters for a in c.tracked)])

    def strand(self) -> Strand:
        """Return what runs the domain up to the sequencer's limit."""
        self._entered = False
        self.active = True
        return Strand(self._next_calls)

    def take_wishes(self) -> Need:
        """Return what models asked for in the time step that has ended the run of this domain, and forget it."""
        return Need.NOTHING if self.active else self.sequencer.take_wishes()

    def held_up_by(self) -> Actor | None:
        """Return an actor that does not let the next time step begin before the host has done something."""
        return next((a for a in self._pacemakers if not a.model.step_guard()), None)

    def _next_calls(self) -> Iterable[Call] | None:
        sequencer = self.sequencer
        failures = self._scheduler.failures
        if self._entered:
            if failures:
                return None
            needs = self._end()
            if failures:
                return None
            sequencer.add(needs if self.exchange is None else self.exchange(self, needs))
            if self.written or self.incoming:
                self._apply_writes()
            if failures:  # of writes by actors of other workers, carried out here
                return None
        if self.begin_step is not None and sequencer.may_begin_step:
            self._entered = False
            self.begin_step(self)
        phase = sequencer.next()
        if phase is None:
            self._entered = self.active = False
            return None
        self._entered = True
        return self._begin(phase, sequencer.step)

    # --- phases -----------------------------------------------------------------------------

    def _begin(self, phase: Phase, step: int) -> list[Call]:
        """Return the calls of a phase, having told every model what is executed."""
        known, self.phase = self.phase, phase
        self.phases += 1
        status = self.status
        status[0] = step
        status[1] = phase
        if phase is Phase.SPK:
            if known is phase:
                for model in self._models:
                    model.time_step = step
            else:
                for model in self._models:
                    model.phase = phase
                    model.time_step = step
            return self._spikers
        for model in self._models:
            model.phase = phase
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
                self._scheduler.failures.append((actor, error))
        return willing

    def _manage(self, calls: list[Call]) -> list[Call]:
        """Make those who refer to a Var wait for the handler of its owner, and writes for all of them."""
        wrapped = self._wrapped
        if wrapped:
            for k, (actor, method) in enumerate(calls):
                if id(actor) in wrapped:
                    actor.busy = True
                    calls[k] = (actor, partial(self._run_member, actor, method))
        for cluster in self.clusters:
            cluster.begin()
        return calls

    def _run_member(self, actor: Actor, method: Callable[[], None]) -> None:
        try:
            method()
        finally:
            actor.busy = False
            if actor.observers:
                observers, actor.observers = actor.observers, []
                for go_on in observers:
                    go_on()
            for cluster in actor.clusters:
                cluster.leave()

    def _apply_writes(self) -> None:
        for target, data in self.incoming.pop(self.phases, ()):
            target.add(data)
            self.written.append(target)
        written, self.written = self.written, []
        for target in sorted(dict.fromkeys(written), key=lambda t: t.number):
            target.apply()

    def _end(self) -> int:
        """Finish the present phase; return what the actors ask for (flags of `Need`)."""
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
                    self._scheduler.failures.append((actor, error))
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


class AsyncActor:
    """An actor that runs freely: one call of `run_async` per run of the host.

    Parameters
    ----------
    actor : Actor
    scheduler : Scheduler

    Attributes
    ----------
    halting : str
        ``"pause"`` or ``"stop"`` while the host has asked for it, else empty.
    on_poll : callable, optional
        Called when the model looks for commands of the host; may take some.
    """

    def __init__(self, actor: Actor, scheduler: Scheduler) -> None:
        self.actor = actor
        self.halting = ""
        self.on_poll: Callable[[], None] | None = None
        self.active = False
        self._scheduler = scheduler
        actor.model._look = self._look

    def strand(self, num_steps: int) -> Strand | None:
        """Return what makes the call for a run, or None if the last call has not returned yet."""
        self.halting = ""
        self.actor.model.num_steps = num_steps
        if self.active:
            return None  # suspended by a pause: it goes on where it is
        self.active = True
        calls: Iterator[list[Call]] = iter([[(self.actor, self._run)]])
        return Strand(lambda: next(calls, None))

    def _run(self) -> None:
        try:
            self.actor.model.run_async()
        finally:
            self.active = False

    def _look(self) -> str:
        """Called by the model: let others go on, and say what the host asks for."""
        self._scheduler.yield_to_others()
        if self.on_poll is not None:
            self.on_poll()
        return self.halting

    def take_wishes(self) -> Need:
        """Return what the model asked for when it returned (a stop makes its pause idle), and forget it."""
        if self.active:
            return Need.NOTHING
        wishes = self.actor.model._wishes
        if "stop" in wishes:
            wishes.clear()
            return Need.STOP
        if "pause" in wishes:
            wishes.remove("pause")
            return Need.PAUSE
        return Need.NOTHING
