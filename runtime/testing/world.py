"""Virtual time: what happens next, and a record of what has happened."""

from __future__ import annotations

import heapq
import itertools
from collections import deque
from collections.abc import Callable
from random import Random
from typing import Any


class SimulationFailure(AssertionError):
    """The runtime did not keep a promise in a simulation."""


class World:
    """Events in the order of their virtual time; all chance comes from one seed.

    Parameters
    ----------
    seed : int

    Attributes
    ----------
    random : random.Random
    now : float
        Virtual time in seconds.
    trace : list of tuple
        ``(time, what, ...)``: everything that happened, the same in every run of a seed.
    progress : float
        When something happened last that is more than a sign of life.
    """

    def __init__(self, seed: int) -> None:
        self.random = Random(seed)
        self.now = 0.0
        self.trace: list[tuple[Any, ...]] = []
        self.progress = 0.0
        self.handled = 0
        self._events: list[tuple[float, float, int, Callable[[], None]]] = []
        self._number = itertools.count()

    def at(self, when: float, event: Callable[[], None]) -> None:
        """Let something happen at a time; what happens at the same time happens in any order."""
        entry = (max(when, self.now), self.random.random(), next(self._number), event)
        heapq.heappush(self._events, entry)

    def queue(self) -> Callable[[float, Callable[[], None]], None]:
        """Return a function like `at` whose events happen in the order in which they are given."""
        waiting: deque[Callable[[], None]] = deque()
        last = [0.0]

        def at(when: float, event: Callable[[], None]) -> None:
            last[0] = max(last[0], when)
            waiting.append(event)
            self.at(last[0], next_event)

        def next_event() -> None:
            waiting.popleft()()

        return at

    def note(self, what: str, *details: Any) -> None:
        """Write something down that is progress."""
        self.progress = self.now
        self.trace.append((self.now, what, *details))

    def step(self) -> bool:
        """Let the next event happen; return whether there was one."""
        if not self._events:
            return False
        self.now, _, _, event = heapq.heappop(self._events)
        self.handled += 1
        event()
        return True
