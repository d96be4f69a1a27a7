"""The service's side of the protocol: a pure state machine, messages and events in, actions out.

States:

=========== ==================================================================================
CONNECTING  waits for the hello of every worker
BUILDING    waits until every worker has built its models
IDLE        between runs; all workers have completed the same time step
RUNNING     workers execute time steps up to a granted one
HOLDING     workers are being asked where they are, to agree on the last time step of the run
FAILED      a model raised or a worker died
=========== ==================================================================================

The service grants a number of time steps at once. How workers keep together on the way is their own
affair: by the messages on their channels (elastic), or by a barrier after every phase (lockstep).

A pause: `Hold` makes every worker name the time step beyond which it does not go, for each sync domain; the
largest of them is granted to all. No worker has gone further and all can get there, so each domain halts in
a consistent cut. Where a domain needs messages of another one to end its step, the other one is granted further
steps, one by one, until it can. Asynchronous actors are told; those that have not returned when all steps are done are
left suspended where they wait (`Rest`).
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum, auto

from lahar.processes.errors import LocalProtocolError, RemoteProtocolError

from . import messages as m
from .deadlock import HOST, Blocked, everything_received, explain
from .sequencer import Need, Wishes

ENDLESS = sys.maxsize


class State(Enum):
    """See the module's table."""

    CONNECTING = auto()
    BUILDING = auto()
    IDLE = auto()
    RUNNING = auto()
    HOLDING = auto()
    FAILED = auto()


# --- events from the host -----------------------------------------------------------------------


@dataclass(frozen=True)
class Run:
    """Run `steps` time steps; None: until halted."""

    steps: int | None


@dataclass(frozen=True)
class HaltRun:
    """End the run after the present time step; `why` is ``"pause"`` or ``"stop"``."""

    why: str = "pause"


@dataclass(frozen=True)
class Look:
    """Ask every worker what it is doing."""


@dataclass(frozen=True)
class Abandon:
    """End the run in the middle of a time step."""


@dataclass(frozen=True)
class WorkerLost:
    """The OS process of a worker has ended."""

    worker: int


# --- actions for the shell ------------------------------------------------------------------------


@dataclass(frozen=True)
class ToAll:
    """Send a message to every worker."""

    message: m.Message


@dataclass(frozen=True)
class SendPlans:
    """Send every worker its `Build`."""


@dataclass(frozen=True)
class Opened:
    """All models are built."""


@dataclass(frozen=True)
class Ended:
    """The run is over: every actor has completed the step of its domain."""

    steps: tuple[int, ...]
    wish: Need


@dataclass(frozen=True)
class HostAwaited:
    """Nothing can happen before the host sends or takes something over an external pipe."""

    waits: tuple[Blocked, ...]


@dataclass(frozen=True)
class FreeAwaited:
    """A run that was halted cannot end before these asynchronous processes send or take something."""

    processes: tuple[str, ...]


@dataclass(frozen=True)
class Broken:
    """The network has failed; workers are told to give up. `deadlock` explains it if that is why."""

    deadlock: str = ""


Action = ToAll | SendPlans | Opened | Ended | HostAwaited | FreeAwaited | Broken
HostEvent = Run | HaltRun | Look | Abandon | WorkerLost

_S = State
#: Messages that workers may send in each state; answers to requests may come at any time.
EXPECTED: dict[State, frozenset[type]] = {
    _S.CONNECTING: frozenset({m.Hello}),
    _S.BUILDING: frozenset({m.Built, m.Failed}),
    _S.IDLE: frozenset(),
    _S.RUNNING: frozenset({m.Reached, m.Wish, m.Failed}),
    _S.HOLDING: frozenset({m.Holding, m.Reached, m.Wish, m.Failed}),
    _S.FAILED: frozenset({m.Hello, m.Built, m.Reached, m.Wish, m.Holding, m.Failed, m.Aborted}),
}


class ServiceProtocol:
    """State of the service of one network.

    Parameters
    ----------
    workers : int
        Number of workers.
    domains : int
        Number of sync domains.
    domain_of : mapping of str to int, optional
        Domain of each process that has time steps.

    Attributes
    ----------
    state : State
    steps : list of int
        Time step of each domain that all of its actors have completed (between runs).
    """

    def __init__(self, workers: int, domains: int = 1, domain_of: Mapping[str, int] | None = None) -> None:
        self.state = State.CONNECTING
        self._domain_of = domain_of or {}
        self.steps = [0] * domains
        self._all = frozenset(range(workers))
        self._answered: set[int] = set()
        self._granted = list(self.steps)
        self._asked_for = list(self.steps)  # last time steps of the run, if nobody halts it
        self._pending: set[int] = set()  # workers with asynchronous actors that have not returned
        self._held: dict[int, list[list[int]]] = {}
        self._why = "pause"
        self._further = 1  # number of the last grant of a run that was held
        self._reached: dict[int, list[list[int]]] = {}
        self._agreed = False  # on the last step of the run: a further halt changes nothing
        self._resting = False  # workers have been told to leave asynchronous actors where they are
        self._wishes = Wishes()
        self._round = 0  # of asking everybody what it is doing
        self._conditions: dict[int, m.Condition] = {}
        self._conditions_wanted = False

    # --- host ---------------------------------------------------------------------------------

    def tell(self, event: HostEvent) -> list[Action]:
        """Take an event from the host."""
        if isinstance(event, WorkerLost):
            # workers that wait for the lost one to finish a phase must not wait any longer
            return [ToAll(m.Abort(0, 0))] if self.state is State.FAILED else self._break()
        if isinstance(event, Abandon):
            return self._break() if self.state in (State.RUNNING, State.HOLDING) else []
        if isinstance(event, HaltRun):
            return self._halt(event.why)
        if isinstance(event, Look):
            return self._ask()
        if self.state is not State.IDLE:
            raise LocalProtocolError(f"a run was asked for in state {self.state.name}")
        open_wish = self._wishes.serve()  # a stop that a pause went before
        if open_wish or event.steps == 0:
            return [Ended(tuple(self.steps), open_wish)]
        self._answered.clear()
        self._pending.clear()
        self._agreed = self._resting = False
        self.state = State.RUNNING
        if event.steps is None:
            self._asked_for = [ENDLESS] * len(self.steps)
            return self._grant(self._asked_for, ENDLESS)
        self._asked_for = [step + event.steps for step in self.steps]
        return self._grant(self._asked_for, event.steps)

    def _grant(self, limits: list[int], num_steps: int, final: int = 0) -> list[Action]:
        self._granted = limits
        return [ToAll(m.Grant(limits, num_steps, final))]

    def unanswered(self) -> frozenset[int]:
        """Return the workers that have not reacted to a halt."""
        if self.state is State.HOLDING:
            return self._all - self._held.keys()
        return self._all - self._answered if self.state is State.RUNNING and self._agreed else frozenset()

    def _halt(self, why: str) -> list[Action]:
        if self.state is not State.RUNNING or self._agreed:
            return []
        self._why = why
        return self._hold()

    # --- workers --------------------------------------------------------------------------------

    def receive(self, worker: int, message: m.Message) -> list[Action]:
        """Take a message of a worker.

        Raises
        ------
        RemoteProtocolError
            The message is impossible in this state, or the worker has sent it already.
        """
        if isinstance(message, m.Waiting):
            return self._ask()
        if isinstance(message, m.Condition):
            return self._judge(worker, message)
        if type(message) not in EXPECTED[self.state]:
            raise RemoteProtocolError(
                f"worker {worker} sent {type(message).__name__} in state {self.state.name}"
            )
        if self.state is State.FAILED:
            return []
        match message:
            case m.Failed():
                return self._break(message.domain, message.phase)
            case m.Holding():
                return self._holding(worker, message.steps)
            case m.Wish():
                self._wishes.add(Need(message.need))
                self._why = "stop" if self._wishes.next is Need.STOP else "pause"
                return self._hold() if self.state is State.RUNNING else []
            case m.Reached() if self.state is State.HOLDING:
                return []  # sent before the worker saw Hold; its Holding follows
            case m.Reached() if self._agreed:
                if not _is_at(self._granted, message.steps):
                    return []  # sent before the worker saw a further grant
                self._reached[worker] = message.steps
                if worker in self._pending and not message.pending:
                    self._pending.discard(worker)  # its asynchronous actors have returned by themselves
                    return []
        if worker in self._answered:
            raise RemoteProtocolError(f"worker {worker} sent {type(message).__name__} twice")
        self._answered.add(worker)
        if isinstance(message, m.Reached) and message.pending:
            self._pending.add(worker)
        if self._answered != self._all:
            return []
        if self._pending:
            self._answered -= self._pending
            self._pending.clear()
            self._resting = True
            self._conditions_wanted = False  # who waits now will rest, which is no deadlock
            return [ToAll(m.Rest())]
        self._answered.clear()
        match message:
            case m.Hello():
                self.state = State.BUILDING
                return [SendPlans()]
            case m.Built():
                self.state = State.IDLE
                return [Opened()]
            case m.Reached():
                self._conditions_wanted = False
                self.steps = list(self._granted)
                self.state = State.IDLE
                return [Ended(tuple(self.steps), self._wishes.serve())]
        raise RemoteProtocolError(f"worker {worker} sent {type(message).__name__}")

    # --- deadlock ---------------------------------------------------------------------------------

    def _ask(self) -> list[Action]:
        # while it holds, what waits may be waiting for steps that will be granted
        if self._conditions_wanted or self._resting or self.state is not State.RUNNING:
            return []
        self._round += 1
        self._conditions = {}
        self._conditions_wanted = True
        return [ToAll(m.Ask(self._round))]

    def _judge(self, worker: int, condition: m.Condition) -> list[Action]:
        """Take an answer; with the last one it is certain whether anything can still happen."""
        if condition.round != self._round or not self._conditions_wanted:
            return []
        self._conditions[worker] = condition
        if len(self._conditions) < len(self._all):
            return []
        self._conditions_wanted = False
        conditions = self._conditions
        if self.state is State.FAILED:
            return []
        waits = [Blocked(*wait) for c in conditions.values() for wait in c.waits]
        ended = [name for c in conditions.values() for name in c.ended]
        if not all(c.blocked for c in conditions.values()):
            free = self._free_awaited(waits, ended) if self._agreed else ()
            return [FreeAwaited(free)] if free else []
        sent = {k: {p: n for p, n in c.sent} for k, c in conditions.items()}  # noqa: C416
        received = {k: {p: n for p, n in c.received} for k, c in conditions.items()}  # noqa: C416
        if not waits or not everything_received(sent, received):
            return []
        if self._agreed and not any(b.process in self._domain_of for b in waits):
            return []  # asynchronous actors may wait where they are when the run has been halted
        halted = self._halted_too_early(waits, ended)
        if halted:
            self._further += 1
            granted = [n + (k in halted) for k, n in enumerate(self._granted)]
            # who is where it is to end now has nothing to add
            self._answered = {k for k in self._answered if _is_at(granted, self._reached[k])}
            self._pending &= self._answered
            return self._grant(granted, 0, self._further)
        for_host = tuple(b for b in waits if b.peer == HOST)
        if for_host:
            return [HostAwaited(for_host)]
        self.state = State.FAILED
        return [ToAll(m.Abort(0, 0)), Broken(explain(waits, ended))]

    def _free_awaited(self, waits: list[Blocked], ended: list[str]) -> tuple[str, ...]:
        """Return the asynchronous processes, not ended, for which processes with time steps wait."""
        domain_of = self._domain_of
        peers = {b.peer_process for b in waits if b.process in domain_of and b.peer != HOST}
        return tuple(sorted(peers - domain_of.keys() - {*ended}))

    def _halted_too_early(self, waits: list[Blocked], ended: list[str]) -> set[int]:
        """Return the domains that a halt has ended although others need them to end their own step."""
        if not self._agreed:
            return set()
        domain_of = self._domain_of
        stuck = [b for b in waits if b.process in domain_of and b.peer_process in ended]
        needed = {domain_of[b.peer_process] for b in stuck if b.peer_process in domain_of}
        return {d for d in needed if self._granted[d] < self._asked_for[d]}

    @property
    def halting(self) -> bool:
        """Whether the run has been halted, and has not ended yet."""
        return self.state is State.HOLDING or (self.state is State.RUNNING and self._agreed)

    def _hold(self) -> list[Action]:
        self.state = State.HOLDING
        self._conditions_wanted = self._resting = (
            False  # what workers said before the next grant does not count
        )
        self._pending.clear()
        self._answered.clear()
        self._held.clear()
        return [ToAll(m.Hold(self._why))]

    def _holding(self, worker: int, steps: list[list[int]]) -> list[Action]:
        self._held[worker] = steps
        if len(self._held) < len(self._all):
            return []
        self.state = State.RUNNING
        self._agreed = True
        self._further = 1
        limits = list(self.steps)
        for domain, step in (pair for steps in self._held.values() for pair in steps):
            limits[domain] = max(limits[domain], step)
        return self._grant(limits, 0, final=1)

    def _break(self, domain: int = 0, phase: int = 0) -> list[Action]:
        self.state = State.FAILED
        return [ToAll(m.Abort(domain, phase)), Broken()]


def _is_at(granted: list[int], steps: list[list[int]]) -> bool:
    """Whether all domains of a worker are at the last time step granted to them."""
    return all(granted[domain] == step for domain, step in steps)
