"""What a profiled network measures: a scheduler that times every call of a model and counts what ports send.

A network that is not profiled uses the plain `Scheduler`, and nothing of this costs it anything.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from greenlet import getcurrent

from lahar.compiler.plan import Plan
from lahar.processes.model import Phase
from lahar.processes.model.sparse_ports import INDEX, WORD

from .actors import Actor
from .scheduler import Scheduler, Strand

ASYNC = 0  # in the place of a phase: `run_async`
_HANDLERS = {
    "run_spk": Phase.SPK,
    "run_pre_mgmt": Phase.PRE_MGMT,
    "run_lrn": Phase.LRN,
    "run_post_mgmt": Phase.POST_MGMT,
    "run_async": ASYNC,
}
_SENDERS = {"send": INDEX.itemsize, "send_packed": WORD.itemsize}  # bytes that say where an element goes
_CALLS, _BUSY, _WAITING = 0, 1, 2
_MESSAGES, _BYTES, _EVENTS = 0, 1, 2
_clock = time.perf_counter_ns


@dataclass(frozen=True)
class Measured:
    """What one worker has measured so far; plain integers, times in nanoseconds.

    Attributes
    ----------
    calls : list of [process, phase, calls, busy, waiting]
        Processes by their index in the Plan.
    ports : list of [process, port, messages, bytes, events]
        Ports by their index among the OutPorts of the process.
    totals : list
        ``[partition, time steps, time of all runs, waiting]``.
    """

    calls: list[list[int]]
    ports: list[list[int]]
    totals: list[int]


class TimedScheduler(Scheduler):
    """Also measures how long models compute and wait, and what they send."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        super().__init__(clock)
        self._calls: dict[tuple[int, int], list[int]] = {}
        self._ports: dict[tuple[int, int], list[int]] = {}
        self._running = self._waiting = 0

    def watch(self, actors: list[Actor]) -> None:
        """Time the handlers of these actors and count what their ports send; called once ports are attached."""
        for actor in actors:
            for name, phase in _HANDLERS.items():
                method = getattr(actor.model, name, None)
                if method is not None:
                    row = self._calls[actor.number, int(phase)] = [0, 0, 0]
                    setattr(actor.model, name, _timed(method, row))
            for number, spec in enumerate(actor.spec.out_ports):
                port = getattr(actor.model, spec.name)
                if port.csp_ports:
                    row = self._ports[actor.number, number] = [0, 0, 0]
                    for name, width in _SENDERS.items():
                        if hasattr(port, name):
                            setattr(port, name, _counted(getattr(port, name), port, width, row))

    def measured(self, partition: int, step: int) -> Measured:
        """Return all figures."""
        calls = [[*place, *row] for place, row in self._calls.items() if any(row)]
        ports = [[*place, *row] for place, row in self._ports.items()]
        return Measured(calls, ports, [partition, step, self._running, self._waiting])

    def run(self, strands: Iterable[Strand], idle: Callable[[], bool]) -> None:
        begun = _clock()
        try:
            super().run(strands, idle)
        finally:
            self._running += _clock() - begun

    def _idle(self, idle: Callable[[], bool]) -> bool:
        begun = _clock()
        try:
            return super()._idle(idle)
        finally:
            self._waiting += _clock() - begun

    def _suspend(self, current: Any) -> None:
        row = getattr(current, "row", None)
        if row is None:  # between two phases
            super()._suspend(current)
            return
        left = _clock()
        row[_BUSY] += left - current.resumed
        try:
            super()._suspend(current)
        finally:
            current.resumed = _clock()
            row[_WAITING] += current.resumed - left


def make_scheduler(plan: Plan, clock: Callable[[], float] = time.monotonic) -> Scheduler:
    """Return the scheduler for a worker of this Plan."""
    return TimedScheduler(clock) if plan.profile else Scheduler(clock)


def _timed(method: Callable[[], None], row: list[int]) -> Callable[[], None]:
    def call() -> None:
        carrier: Any = getcurrent()
        if getattr(carrier, "row", None) is not None:  # one handler calls another
            method()
            return
        carrier.row = row
        carrier.resumed = _clock()
        try:
            method()
        finally:
            row[_BUSY] += _clock() - carrier.resumed
            row[_CALLS] += 1
            carrier.row = None

    return call


def _counted(send: Callable[..., None], port: Any, width: int, row: list[int]) -> Callable[..., None]:
    connections, itemsize = len(port.csp_ports), port.dtype.itemsize

    def send_and_count(data: Any, *where: Any, **named: Any) -> None:
        send(data, *where, **named)
        row[_MESSAGES] += connections
        row[_BYTES] += connections * np.size(data) * (itemsize + width * (len(where) + len(named)))
        row[_EVENTS] += int(np.count_nonzero(data))

    return send_and_count
