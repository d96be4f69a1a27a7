"""The scheduler of one worker: suspends actors in the middle of a call.

Phase methods are called one after the other from one greenlet. A method that has to wait for a message
keeps that greenlet; another one carries on with the rest of the phase. So an actor costs a plain call
unless it really waits (two switches), and there is no thread, no polling and no fixed stack per actor.

What runs independently of each other (a sync domain, an asynchronous actor) is a strand of its own.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import length_hint
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

Call = tuple[Any, Callable[[], None]]


@dataclass(frozen=True)
class Wait:
    """What a suspended actor waits for.

    Attributes
    ----------
    port, peer : str
        ``process.port`` of the actor and of the other end.
    operation : str
    capacity : int
        Of the channel that is full.
    """

    port: str
    operation: str
    peer: str
    capacity: int = 0


class Strand:
    """A sequence of phases, each a list of (actor, method); a phase ends when all its calls have returned.

    Parameters
    ----------
    advance : callable
        Returns the calls of the next phase, or None at the end. Called when all calls of the present phase
        have returned.
    """

    __slots__ = ("advance", "calls", "queued", "suspended")

    def __init__(self, advance: Callable[[], Iterable[Call] | None]) -> None:
        self.advance = advance
        self.calls: Iterator[Call] = iter(())
        self.suspended = 0  # greenlets that are in the middle of a call
        self.queued = False  # waits for a greenlet to make the rest of its calls


class _Carrier(greenlet):  # type: ignore[misc]
    """A greenlet that makes the calls of a strand."""

    strand: Strand
    since: float = 0.0  # when it was suspended


class Scheduler:
    """Runs strands until all have ended or none can go on.

    Attributes
    ----------
    blocked : dict of greenlet to Wait
        Suspended calls that cannot go on yet.
    failures : list of (actor, exception)
        Exceptions that methods raised, in the order in which they were raised.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.blocked: dict[Any, Wait] = {}
        self.failures: list[tuple[Any, BaseException]] = []
        self.clock = clock
        # one queue for both: else those who wake or poll each other for ever would starve a strand
        self._ready: deque[Any] = deque()  # _Carrier or Strand
        self._several = False
        self._idling = False
        self._hub: Any = None

    def run(self, strands: Iterable[Strand], idle: Callable[[], bool]) -> None:
        """Run strands, and those that an earlier run left suspended.

        Parameters
        ----------
        strands : iterable of Strand
        idle : callable
            Called when every unfinished call waits: must make one of them go on (`wake`) and return True,
            or return False to leave them suspended, or raise.
        """
        self._hub = getcurrent()
        for strand in strands:
            self._enqueue(strand)
        self._several = len(self._ready) + len(self.blocked) > 1
        try:
            while True:
                if self._ready:
                    first = self._ready.popleft()
                    if type(first) is Strand:
                        first.queued = False
                        carrier = _Carrier(self._make_calls)
                        carrier.strand = first
                        carrier.switch(first)
                    else:
                        first.switch()
                elif not self.blocked or not self._idle(idle):
                    return
        except BaseException:
            self.abandon()
            raise

    def _idle(self, idle: Callable[[], bool]) -> bool:
        self._idling = True
        try:
            return idle()
        finally:
            self._idling = False

    def _enqueue(self, strand: Strand) -> None:
        strand.queued = True
        self._ready.append(strand)

    def _make_calls(self, strand: Strand) -> None:
        """Body of every greenlet; those of a strand share one iterator, the last to finish enters the next phase."""
        while True:
            for actor, method in strand.calls:
                try:
                    method()
                except GreenletExit:
                    raise
                except BaseException as error:  # a model may even call sys.exit
                    self.failures.append((actor, error))
            if strand.suspended or strand.queued:
                return
            calls = strand.advance()
            if calls is None:
                return
            strand.calls = iter(calls)
            if self._several:  # a strand that never waits must not starve the others
                self._enqueue(strand)
                return

    def block(self, wait: Wait) -> None:
        """Suspend the calling actor until somebody wakes the greenlet it runs in."""
        current = getcurrent()
        current.since = self.clock()
        self.blocked[current] = wait
        self._suspend(current)

    def yield_to_others(self) -> None:
        """Let everybody else who can go on do so first."""
        current = getcurrent()
        self._ready.append(current)
        self._suspend(current)

    def add(self, strand: Strand) -> None:
        """Run another strand beside the others."""
        self._several = True
        self._enqueue(strand)

    def interrupt(self, error: BaseException) -> None:
        """End `run` with an error, from inside a call, which is unwound like all others."""
        self._ready.append(getcurrent())
        self._hub.throw(error)

    def _suspend(self, current: Any) -> None:
        strand = current.strand
        strand.suspended += 1
        if not strand.queued and length_hint(strand.calls):
            self._enqueue(strand)
        self._hub.switch()
        strand.suspended -= 1

    @property
    def stuck(self) -> bool:
        """Whether nothing can go on unless somebody is woken from outside; never true inside a call."""
        return self._idling and bool(self.blocked) and not self._ready

    def wake(self, sleeper: Any) -> None:
        """Let a suspended greenlet go on."""
        if self.blocked.pop(sleeper, None) is not None:
            self._ready.append(sleeper)

    def abandon(self) -> None:
        """Unwind every suspended call."""
        for sleeper in [*self.blocked, *self._ready]:
            if not isinstance(sleeper, Strand):
                sleeper.throw(GreenletExit)
        self.blocked.clear()
        self._ready.clear()
