"""The barrier of lockstep: workers that share a sync domain enter each of its phases together.

A worker that has finished a phase sends a mark to each of the others. It travels behind the messages of the phase, so
that these have arrived when the next one begins. One hop from worker to worker takes half as long as a round trip
over the service.
"""

from __future__ import annotations

from typing import Any

from greenlet import getcurrent

from .deadlock import HOST
from .domains import LoihiDomain
from .engine import Interrupted
from .peers import Peer
from .scheduler import Scheduler, Wait
from .wire import decode_mark, encode_mark

_READY = 0xFF  # in the place of the needs: the worker may begin this time step
_BARRIER = Wait("worker", "barrier", "other workers")


class Barrier:
    """One worker's side of the barriers of its domains.

    Parameters
    ----------
    scheduler : Scheduler
        Suspends what waits here.
    """

    def __init__(self, scheduler: Scheduler) -> None:
        self.scheduler = scheduler
        self._neighbours: dict[int, list[Peer]] = {}  # workers with actors of a domain
        self._bystanders: dict[int, list[Peer]] = {}  # all others
        self._marks: dict[tuple[int, int], dict[int, int]] = {}  # needs, by domain and phase, and worker
        self._ready: dict[tuple[int, int], set[int]] = {}  # workers, by domain and step that may begin
        self._finished: set[int] = set()  # domains that have finished their phase here and wait
        self._sleepers: list[Any] = []
        self._last: tuple[int, int] | None = None  # domain and phase after which the run is given up

    def connect(self, domain: int, neighbours: list[Peer], bystanders: list[Peer]) -> None:
        """Set the other workers with actors of a domain, and those without."""
        self._neighbours[domain] = neighbours
        self._bystanders[domain] = bystanders

    def is_shared(self, domain: int) -> bool:
        """Whether other workers have actors of the domain, in lockstep."""
        return bool(self._neighbours.get(domain))

    def take(self, sender: int, frame: bytes) -> None:
        """Take a mark of another worker."""
        domain, number, needs = decode_mark(frame)
        if needs == _READY:
            self._ready.setdefault((domain, number), set()).add(sender)
        else:
            self._marks.setdefault((domain, number), {})[sender] = needs
        self.wake()

    def wake(self) -> None:
        """Let everything that waits here look again."""
        sleepers, self._sleepers = self._sleepers, []
        for sleeper in sleepers:
            self.scheduler.wake(sleeper)

    def _wait(self, wait: Wait = _BARRIER) -> None:
        self._sleepers.append(getcurrent())
        self.scheduler.block(wait)

    def exchange(self, domain: LoihiDomain, needs: int) -> int:
        """Wait until all workers have finished the phase; return what the actors of all ask for."""
        for cluster in domain.clusters:
            while not cluster.settled:  # others of the cluster may still write
                self._wait()
        key = (domain.number, domain.phases)
        self._finished.add(domain.number)
        neighbours = self._neighbours[domain.number]
        frame = encode_mark(*key, needs)
        for peer in neighbours:
            peer.mark(frame)
        for peer in self._bystanders[domain.number]:
            peer.flush()
        if key == self._last:
            raise Interrupted
        while len(self._marks.get(key, ())) < len(neighbours):
            self._wait()
        self._finished.discard(domain.number)
        for others in self._marks.pop(key).values():
            needs |= others
        return needs

    def await_host(self, domain: LoihiDomain) -> None:
        """Wait before a time step until every actor, here and elsewhere, has what it needs of the host.

        All actors of the domain have completed the same step meanwhile, and it can be paused.
        """
        sequencer = domain.sequencer
        step = sequencer.step + 1
        while sequencer.limit >= step and (actor := domain.held_up_by()) is not None:
            self._wait(Wait(f"{actor.name}.pipe", "step", HOST))
        neighbours = self._neighbours.get(domain.number, [])
        if neighbours and sequencer.limit >= step:
            for peer in neighbours:
                peer.mark(encode_mark(domain.number, step, _READY))
            ready = self._ready.setdefault((domain.number, step), set())
            while len(ready) < len(neighbours) and sequencer.limit >= step:
                self._wait()
            self._ready.pop((domain.number, step - 1), None)

    # --- giving up --------------------------------------------------------------------------------

    def end_with(self, domain: LoihiDomain, phase: int) -> bool:
        """Give up the run after a phase, if it is still to be finished here; return whether it is.

        Others have finished all phases before it, so this worker can.
        """
        open_here = phase == domain.phases and domain.number not in self._finished
        if phase > domain.phases or open_here:
            self._last = (domain.number, phase)
            return True
        return False

    def is_last(self, domains: dict[int, LoihiDomain]) -> bool:
        """Whether the phase after which the run is given up is being executed."""
        if self._last is None:
            return False
        number, phase = self._last
        return domains[number].phases == phase and number not in self._finished
