"""The scheduler of one worker: suspends actors in the middle of a call.

Phase methods are called one after the other from one greenlet. A method that has to wait for a message
keeps that greenlet; another one carries on with the rest of the phase. So an actor costs a plain call
unless it really waits (two switches), and there is no thread, no polling and no fixed stack per actor.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from operator import length_hint
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

Call = tuple[Any, Callable[[], None]]


@dataclass(frozen=True)
class Wait:
    """What a suspended actor waits for: ``port`` is ``process.port``, ``peer`` the other end."""

    port: str
    operation: str
    peer: str


class Scheduler:
    """Runs phases, each a list of (actor, method), every method to its end before the next phase.

    Attributes
    ----------
    blocked : dict of greenlet to Wait
        Suspended calls that cannot go on yet.
    failures : list of (actor, exception)
        Exceptions that methods raised, in the order in which they were raised.
    """

    def __init__(self) -> None:
        self.blocked: dict[Any, Wait] = {}
        self.failures: list[tuple[Any, BaseException]] = []
        self._ready: deque[Any] = deque()
        self._calls: Iterator[Call] = iter(())
        self._advance: Callable[[], Iterable[Call] | None] = lambda: None
        self._hub: Any = None

    def run(self, advance: Callable[[], Iterable[Call] | None], idle: Callable[[], None]) -> None:
        """Run phases until there are no more.

        Parameters
        ----------
        advance : callable
            Returns the calls of the next phase, or None at the end. Called when all calls of the present
            phase have returned.
        idle : callable
            Called when every unfinished call waits: must make one of them go on (`wake`) or raise.
        """
        self._hub = getcurrent()
        self._advance = advance
        self._calls = iter(())
        try:
            self._carry_on()
            while True:
                if self._ready:
                    self._ready.popleft().switch()
                elif length_hint(self._calls):
                    self._carry_on()
                elif self.blocked:
                    idle()
                else:
                    return
        except BaseException:
            self.abandon()
            raise

    def _carry_on(self) -> None:
        greenlet(self._make_calls).switch()

    def _make_calls(self) -> None:
        """Body of every greenlet; all share one iterator, and the last to finish enters the next phase."""
        while True:
            for actor, method in self._calls:
                try:
                    method()
                except GreenletExit:
                    raise
                except BaseException as error:  # a model may even call sys.exit
                    self.failures.append((actor, error))
            if self.blocked or self._ready:
                return
            calls = self._advance()
            if calls is None:
                return
            self._calls = iter(calls)

    def block(self, wait: Wait) -> None:
        """Suspend the calling actor until somebody wakes the greenlet it runs in."""
        self.blocked[getcurrent()] = wait
        self._hub.switch()

    @property
    def stuck(self) -> bool:
        """Whether nothing can go on unless somebody is woken from outside."""
        return bool(self.blocked) and not self._ready and not length_hint(self._calls)

    def wake(self, sleeper: Any) -> None:
        """Let a suspended greenlet go on."""
        if self.blocked.pop(sleeper, None) is not None:
            self._ready.append(sleeper)

    def abandon(self) -> None:
        """Unwind every suspended call."""
        for sleeper in [*self.blocked, *self._ready]:
            sleeper.throw(GreenletExit)
        self.blocked.clear()
        self._ready.clear()
        self._calls = iter(())
