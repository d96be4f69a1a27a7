"""References between workers: reads, writes and rounds of a cluster that extends over several workers.

Only in lockstep: all workers execute the same phase. Frames between two workers keep their order, and a
worker says that it has finished a phase (the mark) behind everything else and not before the last round of
each cluster, so that all writes of a phase have been applied when it ends.

Messages are msgpack lists ``[operation, cluster, reference, phase, round, header]`` and the buffers of one
value:

======= ========================= =============================================
READ    reader to owner           send the value of the Var in this round
VALUE   owner to reader           the value
REFUSED owner to reader           why the Var cannot be read (a text)
WRITE   reader to owner           apply at the end of this round
SETTLED every worker to all       all handlers here have returned (reference 0)
                                  or wait (reference 1)
======= ========================= =============================================
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import msgpack
from greenlet import getcurrent

from lahar.processes.errors import DtypeError, LaharError, RemoteProtocolError

from .references import IMMEDIATE, Cluster, Reference, Target
from .scheduler import Scheduler, Wait
from .values import decode, encode

if TYPE_CHECKING:
    from .actors import Actor
    from .domains import LoihiDomain

VERSION = 1
READ, VALUE, REFUSED, WRITE, SETTLED = range(5)
_FIELDS = 6


def pack(
    operation: int, cluster: int, reference: int, phase: int, round_: int, value: Any = None
) -> list[Any]:
    """Return the frames of a message; `value` is an array (VALUE, WRITE) or a text (REFUSED)."""
    header, buffers = encode(value)
    return [msgpack.packb([VERSION, operation, cluster, reference, phase, round_, header]), *buffers]


def unpack(frames: list[Any]) -> tuple[int, int, int, int, int, Any]:
    """Return (operation, cluster, reference, phase, round, value).

    Raises
    ------
    RemoteProtocolError
        The frames are no such message.
    """
    try:
        version, *numbers, header = msgpack.unpackb(frames[0])
        if version != VERSION or len(numbers) != _FIELDS - 1 or any(type(n) is not int for n in numbers):
            raise ValueError(f"fields {numbers!r} of version {version!r}")
    except Exception as error:  # msgpack raises many kinds
        raise RemoteProtocolError(f"not a message of a reference: {error}") from error
    operation, cluster, reference, phase, round_ = numbers
    return operation, cluster, reference, phase, round_, decode(header, list(frames[1:]))


class SharedCluster(Cluster):
    """The part of a cluster that lives in this worker.

    Parameters
    ----------
    number : int
        The same in all workers.
    others : list of int
        The other workers.
    writable : bool
        Whether some member may write; if not, no rounds are needed.
    post : callable
        Sends frames to a worker.
    """

    def __init__(
        self,
        number: int,
        domain: LoihiDomain,
        tracked: list[Actor],
        scheduler: Scheduler,
        others: list[int],
        writable: bool,
        post: Callable[[int, list[Any]], None],
    ) -> None:
        super().__init__(domain, tracked, scheduler)
        self.number = number
        self._others = others
        self._writable = writable
        self._post = post
        self._targets: dict[int, Target] = {}
        self._references: dict[int, tuple[RemoteReference, int]] = {}
        self._asked: list[tuple[int, int, int, int]] = []  # reads that came too early
        self._early: dict[tuple[int, int], list[Target]] = {}  # writes, by phase and round
        self._data: dict[tuple[int, int, int], list[Any]] = {}
        self._settled: dict[tuple[int, int], dict[int, bool]] = {}
        self._said = False  # that nobody runs here, in this round

    def add_target(self, number: int, target: Target) -> None:
        self._targets[number] = target

    def add_reference(self, number: int, reference: RemoteReference, owner: int) -> None:
        self._references[number] = (reference, owner)

    # --- rounds ---------------------------------------------------------------------------------

    def begin(self) -> None:
        self._said = False
        if self._writable:
            self.settled = False
            super().begin()
        else:
            self.round = 0
        self._answer()

    def _settle(self) -> None:
        self._said = True
        waits = int(bool(self._waiting))
        for worker in self._others:
            self._post(worker, pack(SETTLED, self.number, waits, self.domain.phases, self.round))
        self._proceed()

    def _proceed(self) -> None:
        """Apply the writes of the round once nobody runs in any worker; begin another if somebody waits."""
        moment = (self.domain.phases, self.round)
        if not self._said or len(self._settled.get(moment, ())) < len(self._others):
            return
        others_wait = any(self._settled.pop(moment).values())
        for target in dict.fromkeys(self._early.pop(moment, ())):
            for data in self._data.pop((target.number, *moment)):
                target.add(data)
            self.write(target, self.round)
        self._apply()
        if not (self._waiting or others_wait):
            self.settled = True
            return
        self._said = False
        self._release()
        self._answer()
        if not self._running:
            self._settle()

    # --- messages ---------------------------------------------------------------------------------

    def receive(self, sender: int, message: tuple[int, int, int, int, int, Any]) -> None:
        """Take a message of another worker.

        Raises
        ------
        RemoteProtocolError
            It names a reference that this worker does not have.
        """
        operation, _, reference, phase, round_, value = message
        if operation == SETTLED:
            self._settled.setdefault((phase, round_), {})[sender] = bool(reference)
            self._proceed()
        elif operation in (READ, WRITE) and reference in self._targets:
            if operation == READ:
                self._asked.append((sender, reference, phase, round_))
                self._answer()
            else:
                self._take_write(self._targets[reference], phase, round_, value)
        elif operation in (VALUE, REFUSED) and reference in self._references:
            self._references[reference][0].answer(operation == VALUE, value)
        else:
            raise RemoteProtocolError(f"operation {operation} of reference {reference} from worker {sender}")

    def _take_write(self, target: Target, phase: int, round_: int, data: Any) -> None:
        if round_ == IMMEDIATE:
            self.domain.incoming.setdefault(phase, []).append((target, data))
            return
        self._early.setdefault((phase, round_), []).append(target)
        self._data.setdefault((target.number, phase, round_), []).append(data)

    def _answer(self) -> None:
        """Answer the reads whose moment has come."""
        asked, self._asked = self._asked, []
        for request in asked:
            sender, number, phase, round_ = request
            target = self._targets[number]
            if (self.domain.phases, self.round) != (phase, round_):
                self._asked.append(request)
            elif target.owner.busy:
                self._asked.append(request)
                target.owner.observers.append(self._answer)
            else:
                self._post(sender, self._read(target, number, phase, round_))

    def _read(self, target: Target, number: int, phase: int, round_: int) -> list[Any]:
        try:
            return pack(VALUE, self.number, number, phase, round_, target.value())
        except LaharError as error:
            return pack(REFUSED, self.number, number, phase, round_, str(error))

    def send(self, operation: int, reference: int, round_: int, value: Any = None) -> None:
        """Send a request of a reference to the worker of the owner."""
        owner = self._references[reference][1]
        self._post(owner, pack(operation, self.number, reference, self.domain.phases, round_, value))


class RemoteReference(Reference):
    """What a RefPort holds, where the owner of the Var is in another worker."""

    _cluster: SharedCluster
    _answered: Any = None
    _sleeper: Any = None

    def answer(self, good: bool, value: Any) -> None:
        """Take the answer to a read."""
        self._answered = (good, value)
        self._scheduler.wake(self._sleeper)

    def _fetch(self) -> Any:
        self._answered = None
        self._sleeper = getcurrent()
        self._cluster.send(READ, self._spec.id, self._cluster.round)
        while self._answered is None:
            self._scheduler.block(Wait(self._port, "read", self._var))
        good, value = self._answered
        if not good:
            raise DtypeError(value)
        return value if value.flags.writeable else value.copy()

    def _store(self, data: Any, round_: int) -> None:
        self._cluster.send(WRITE, self._spec.id, round_, data)
