"""The worker's side of the protocol: a pure state machine, messages and events in, actions out.

No sockets, no clocks, no models: a shell feeds it what arrives and what its engine has finished, and
carries out what it returns. States:

=========== ==================================================================================
CONNECTED   has said hello, waits for its part of the Plan
BUILDING    builds models
IDLE        all actors have completed the same time step; Vars may be read and set
RUNNING     executes time steps up to a granted one
HELD        begins no further time step; waits to hear the last one of this run
ABORTED     the run was given up; Vars can be read, nothing else
ENDED
=========== ==================================================================================
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

from lahar.processes.errors import LocalProtocolError, RemoteProtocolError

from . import messages as m


class State(Enum):
    """See the module's table."""

    CONNECTED = auto()
    BUILDING = auto()
    IDLE = auto()
    RUNNING = auto()
    HELD = auto()
    ABORTED = auto()
    ENDED = auto()


Steps = list[list[int]]  # [domain, time step]

# --- events from the engine -------------------------------------------------------------------


@dataclass(frozen=True)
class ModelsBuilt:
    """All models of the partition are built."""


@dataclass(frozen=True)
class Wished:
    """Models asked for pause or stop (flags `need`) in time step `step`, which is done."""

    step: int
    need: int


@dataclass(frozen=True)
class DomainsEnded:
    """All time steps of a held run are done here, but an asynchronous actor has not returned."""

    steps: Steps


@dataclass(frozen=True)
class NothingToDo:
    """A further grant of a held run does not concern this worker, which has ended it."""


@dataclass(frozen=True)
class RunEnded:
    """The engine has nothing more to do in this run."""

    steps: Steps


@dataclass(frozen=True)
class ModelsFailed:
    """Models raised; `report` is the pickled description."""

    step: int
    domain: int
    phase: int
    report: Any


# --- actions for the shell ----------------------------------------------------------------------


@dataclass(frozen=True)
class Send:
    """Send a message to the service."""

    message: m.Message


@dataclass(frozen=True)
class BuildModels:
    """Build models from the pickled Plan."""

    plan: Any
    peers: list[str]
    log_level: int


@dataclass(frozen=True)
class Advance:
    """Execute what is granted, then report `RunEnded`; replaces an earlier grant."""

    grant: m.Grant


@dataclass(frozen=True)
class Halt:
    """Begin no further time step; answer `Holding` with the present ones."""

    why: str


@dataclass(frozen=True)
class LetRest:
    """Leave asynchronous actors suspended where they are."""


@dataclass(frozen=True)
class Access:
    """Read, set or count, as the message says, and send the answer."""

    message: m.Message


@dataclass(frozen=True)
class Report:
    """Answer `Condition`."""

    round: int


@dataclass(frozen=True)
class GiveUp:
    """Unwind what is being executed (once `domain` has executed `phase`, if it is not 0); answer `Aborted`."""

    domain: int
    phase: int


@dataclass(frozen=True)
class End:
    """Close and exit."""


Action = Send | BuildModels | Advance | Halt | LetRest | Access | Report | GiveUp | End
Event = m.Message | ModelsBuilt | Wished | DomainsEnded | NothingToDo | RunEnded | ModelsFailed

_S = State
_READ: dict[tuple[State, type], State] = {
    **{(s, m.Get): s for s in (_S.IDLE, _S.ABORTED)},
    **{(s, m.Count): s for s in (_S.IDLE, _S.RUNNING, _S.HELD, _S.ABORTED)},
}

#: What may happen in each state and where it leads. Anything else is an error of whoever caused it.
TRANSITIONS: dict[tuple[State, type], State] = {
    (_S.CONNECTED, m.Build): _S.BUILDING,
    (_S.BUILDING, ModelsBuilt): _S.IDLE,
    (_S.BUILDING, ModelsFailed): _S.ABORTED,
    (_S.IDLE, m.Grant): _S.RUNNING,
    (_S.IDLE, m.Hold): _S.HELD,
    (_S.IDLE, m.Set): _S.IDLE,
    (_S.IDLE, m.Rest): _S.IDLE,
    (_S.RUNNING, m.Hold): _S.HELD,
    (_S.RUNNING, m.Grant): _S.RUNNING,
    (_S.RUNNING, m.Rest): _S.RUNNING,
    (_S.RUNNING, Wished): _S.RUNNING,
    (_S.RUNNING, DomainsEnded): _S.RUNNING,
    (_S.RUNNING, RunEnded): _S.IDLE,
    (_S.RUNNING, NothingToDo): _S.IDLE,
    (_S.RUNNING, ModelsFailed): _S.ABORTED,
    (_S.HELD, m.Hold): _S.HELD,
    (_S.HELD, Wished): _S.HELD,
    (_S.HELD, RunEnded): _S.HELD,
    (_S.HELD, m.Grant): _S.RUNNING,
    (_S.HELD, ModelsFailed): _S.ABORTED,
    (_S.ABORTED, ModelsFailed): _S.ABORTED,
    (_S.ABORTED, m.Hold): _S.ABORTED,
    (_S.ABORTED, m.Grant): _S.ABORTED,
    (_S.ABORTED, m.Rest): _S.ABORTED,
    **_READ,
    **{(s, m.Ask): s for s in State if s is not _S.ENDED},
    **{(s, m.Abort): _S.ABORTED for s in State if s is not _S.ENDED},
    **{(s, m.Shutdown): _S.ENDED for s in State},
}


class WorkerProtocol:
    """State of one worker.

    Attributes
    ----------
    state : State
    """

    def __init__(self) -> None:
        self.state = State.CONNECTED
        self._wished = False  # the service will hold this run

    @property
    def goes_on(self) -> bool:
        """Whether the run goes on as far as it was granted: nobody here has asked to end it earlier."""
        return self.state is State.RUNNING and not self._wished

    def receive(self, event: Event) -> list[Action]:
        """Take a message from the service or an event from the engine; return what to do.

        Raises
        ------
        RemoteProtocolError, LocalProtocolError
            A message or an event that is impossible in this state.
        """
        before = self.state
        after = TRANSITIONS.get((before, type(event)))
        if after is None:
            kind = RemoteProtocolError if isinstance(event, m.Message) else LocalProtocolError
            raise kind(f"{type(event).__name__} in state {before.name}")
        self.state = after
        return self._actions(before, event)

    def _actions(self, before: State, event: Event) -> list[Action]:
        match event:
            case m.Build():
                return [BuildModels(event.buffers, event.peers, event.log_level)]
            case ModelsBuilt():
                return [Send(m.Built())]
            case m.Grant() if before is not State.ABORTED:
                self._wished = False
                return [Advance(event)]
            case m.Hold() if before is not State.ABORTED:
                return [Halt(event.why)]
            case m.Rest() if before is State.RUNNING:
                return [LetRest()]
            case Wished():
                self._wished = True
                return [Send(m.Wish(event.step, event.need))]
            case DomainsEnded():
                return [Send(m.Reached(event.steps, 1))]
            case RunEnded() if before is State.RUNNING:
                if not self._wished:
                    return [Send(m.Reached(event.steps, 0))]
                self.state = State.HELD
            case ModelsFailed():
                return [Send(m.Failed(event.step, event.domain, event.phase, (event.report,)))]
            case m.Get() | m.Set() | m.Count():
                return [Access(event)]
            case m.Ask():
                return [Report(event.round)]
            case m.Abort():
                return [GiveUp(event.domain, event.phase)]
            case m.Shutdown():
                return [End()]
        return []
