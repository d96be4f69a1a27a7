"""Messages of the control plane, between the service and its workers.

On the wire a message is a msgpack list ``[version, kind, fields]`` in the first frame, followed by the
raw buffers it carries. Plans and exceptions are pickled; they travel only between the host and workers
that it started itself.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from typing import Any, ClassVar

import msgpack

from lahar.processes.errors import RemoteProtocolError

VERSION = 1


@dataclass(frozen=True)
class Message:
    """Base of control messages; `buffers`, where there is one, holds raw frames."""

    kind: ClassVar[str] = ""


# --- service to worker ----------------------------------------------------------------------


@dataclass(frozen=True)
class Build(Message):
    """Build one partition of the pickled Plan.

    `peers` are the data addresses by partition; records below `log_level` are of no interest.
    """

    peers: list[str]
    log_level: int
    buffers: tuple[Any, ...]


@dataclass(frozen=True)
class Grant(Message):
    """Run up to and including time step ``limits[domain]`` in each sync domain.

    `final` is positive if the run ends there because it was held (1, and counting where further steps turn out
    to be needed); else a run of `num_steps` begins, and asynchronous actors are called.
    """

    limits: list[int]
    num_steps: int
    final: int


@dataclass(frozen=True)
class Hold(Message):
    """Finish the present time steps, begin no others, and say which ones they are.

    `why` is ``"pause"`` or ``"stop"``, for asynchronous actors.
    """

    why: str


@dataclass(frozen=True)
class Rest(Message):
    """All time steps of a held run are done everywhere: leave asynchronous actors suspended where they are."""


@dataclass(frozen=True)
class Get(Message):
    """Send the values of Vars; an empty list means all of them."""

    request: int
    vars: list[int]


@dataclass(frozen=True)
class Set(Message):
    """Set one Var."""

    request: int
    var: int
    header: list[Any]
    buffers: tuple[Any, ...]


@dataclass(frozen=True)
class Count(Message):
    """Send the numbers of messages sent to other workers, and what has been measured."""

    request: int


@dataclass(frozen=True)
class Ask(Message):
    """Say what you are doing."""

    round: int


@dataclass(frozen=True)
class Abort(Message):
    """Give up the run: at once if `phase` is 0, else when `domain` has executed this phase (see `Failed`)."""

    domain: int
    phase: int


@dataclass(frozen=True)
class Shutdown(Message):
    """End."""


# --- worker to service ----------------------------------------------------------------------


@dataclass(frozen=True)
class Hello(Message):
    """The worker is up; peers reach it at `address`."""

    pid: int
    address: str


@dataclass(frozen=True)
class Built(Message):
    """All models are built."""


@dataclass(frozen=True)
class Reached(Message):
    """The granted time steps are done; `steps` holds [domain, step].

    `pending` is 1 if an asynchronous actor has not returned yet, in a run that was held.
    """

    steps: list[list[int]]
    pending: int


@dataclass(frozen=True)
class Wish(Message):
    """Models asked for pause or stop (flags `need`) in time step `step`, which is done."""

    step: int
    need: int


@dataclass(frozen=True)
class Holding(Message):
    """The worker begins no time steps after these; `steps` holds [domain, step]."""

    steps: list[list[int]]


@dataclass(frozen=True)
class Waiting(Message):
    """The worker has been waiting for some time; a hint that it may be worth to ask everybody."""


@dataclass(frozen=True)
class Condition(Message):
    """Answer to `Ask`.

    `blocked` is 1 if the worker cannot send anything before it receives something. `sent` and `received`
    hold [worker, number of messages]; `waits` holds the fields of `Blocked` for each suspended actor;
    `ended` names the processes that do nothing more in this run.
    """

    round: int
    blocked: int
    sent: list[list[int]]
    received: list[list[int]]
    waits: list[list[Any]]
    ended: list[str]


@dataclass(frozen=True)
class Log(Message):
    """A model has logged or printed: `logger` is ``"stdout"`` or ``"stderr"`` for a line that was printed.

    `process` and `step` say who did it and when; empty and 0 if that is unknown.
    """

    level: int
    logger: str
    text: str
    process: str
    step: int


@dataclass(frozen=True)
class Values(Message):
    """Answer to `Get`: Var ids, headers, and the number of buffers of each."""

    request: int
    vars: list[int]
    headers: list[Any]
    counts: list[int]
    buffers: tuple[Any, ...]


@dataclass(frozen=True)
class Counted(Message):
    """Answer to `Count`: [channel id, messages, bytes] for each outgoing channel, and the fields of `Measured`.

    The latter are empty unless the Plan asks for them.
    """

    request: int
    channels: list[list[int]]
    calls: list[list[int]]
    ports: list[list[int]]
    totals: list[int]


@dataclass(frozen=True)
class SetDone(Message):
    """The Var is set."""

    request: int


@dataclass(frozen=True)
class Refused(Message):
    """A Get or Set failed and changed nothing; the pickled exception is in the buffer."""

    request: int
    buffers: tuple[Any, ...]


@dataclass(frozen=True)
class Failed(Message):
    """Models raised; the pickled list of failures (or one LaharError) is in the buffer.

    `phase` is the number of the phase in `domain`, counted from the first of all (lockstep), or 0. Every
    worker gets to the end of it, so that all exceptions raised in one phase are reported, whoever was the
    first.
    """

    step: int
    domain: int
    phase: int
    buffers: tuple[Any, ...]


@dataclass(frozen=True)
class Aborted(Message):
    """The run was given up; Vars can still be read."""

    step: int


KINDS: dict[str, type[Message]] = {cls.__name__: cls for cls in Message.__subclasses__()}
_TYPES = {
    "int": int,
    "str": str,
    "list[int]": list,
    "list[str]": list,
    "list[Any]": list,
    "list[list[int]]": list,
    "list[list[Any]]": list,
}
# Of lists: the type of each element, and of each element of an element.
_ELEMENTS: dict[str, tuple[type, ...]] = {
    "list[int]": (int,),
    "list[str]": (str,),
    "list[list[int]]": (list, int),
    "list[list[Any]]": (list,),
}
_FIELDS: dict[str, list[tuple[str, tuple[type, ...]]]] = {
    name: [
        (f.name, (_TYPES[str(f.type)], *_ELEMENTS.get(str(f.type), ())))
        for f in dataclasses.fields(cls)
        if f.name != "buffers"
    ]
    for name, cls in KINDS.items()
}
_HAS_BUFFERS = {n for n, c in KINDS.items() if any(f.name == "buffers" for f in dataclasses.fields(c))}


def encode(message: Message) -> list[Any]:
    """Return the frames of a message."""
    name = type(message).__name__
    fields = [getattr(message, field) for field, _ in _FIELDS[name]]
    frames = [msgpack.packb([VERSION, name, fields])]
    if name in _HAS_BUFFERS:
        frames.extend(message.buffers)  # type: ignore[attr-defined]
    return frames


def decode(frames: list[Any]) -> Message:
    """Return the message in `frames`.

    Raises
    ------
    RemoteProtocolError
        The frames are not a message of this version.
    """
    try:
        version, name, values = msgpack.unpackb(frames[0], strict_map_key=False)
        if version != VERSION:
            raise ValueError(f"protocol version {version!r}, expected {VERSION}")
        fields = _FIELDS[name]
        if len(values) != len(fields) or (len(frames) > 1 and name not in _HAS_BUFFERS):
            raise ValueError(f"wrong number of fields in {name}")
        for (field, kinds), value in zip(fields, values, strict=True):
            if not _fits(value, kinds):
                raise ValueError(f"{name}.{field} is {value!r}")
        arguments = dict(zip((field for field, _ in fields), values, strict=True))
        if name in _HAS_BUFFERS:
            arguments["buffers"] = tuple(frames[1:])
        return KINDS[name](**arguments)
    except RemoteProtocolError:
        raise
    except Exception as error:  # msgpack raises many kinds
        raise RemoteProtocolError(f"not a control message: {error}") from error


def _fits(value: Any, kinds: tuple[type, ...]) -> bool:
    """Whether a value has the first type, its elements the second, and so on."""
    if type(value) is not kinds[0]:
        return False
    return len(kinds) == 1 or (isinstance(value, list) and all(_fits(v, kinds[1:]) for v in value))
