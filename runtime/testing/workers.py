"""Simulated worker processes: a real `Worker` in a greenlet, with a mailbox and a clock of its own."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from lahar.runtime.reports import format_error
from lahar.runtime.worker import Worker

from .network import SERVICE, Network
from .world import SimulationFailure, World

FIRST_PID = 1000


class SimWorker:
    """One worker process; it runs until it has to wait, or looks whether something has arrived.

    What it computes takes time: its clock runs ahead of the world's, and the world catches up whenever it
    looks into its mailbox.

    Parameters
    ----------
    pace : float
        Seconds of computing between two looks at the clock, on average.
    ended : callable
        Told number and exit status.
    built : callable
        Given the engine as soon as its models are built.

    Attributes
    ----------
    worker : Worker or None
    alive : bool
    """

    def __init__(
        self,
        world: World,
        network: Network,
        number: int,
        secret: bytes,
        status: Any,
        pace: float,
        ended: Callable[[int, int], None],
        built: Callable[[Any], None],
    ) -> None:
        self.number = number
        self.pid = FIRST_PID + number
        self.worker: Any = None
        self.alive = True
        self.stopped = False
        self._world = world
        self._network = network
        self._secret = secret
        self._status = status
        self._pace = pace
        self._drowsiness = world.random.choice([0.0, 0.0, 1e-4, 5e-3])
        self._ended = ended
        self._built: Callable[[Any], None] | None = built
        self._time = 0.0  # how far it has computed
        self._queue: deque[list[Any]] = deque()
        self._outlets: list[Any] = []
        self._listening = False  # waits in receive()
        self._turn = 0  # wakes of earlier waits have no effect
        self._missed = False  # woken while stopped
        self._outside = getcurrent()
        self._sleeper: Any = greenlet(self._serve)
        self._main = self._sleeper
        world.at(world.random.uniform(0, 0.05), lambda: self._wake(0))

    @property
    def has_models(self) -> bool:
        """Whether the worker has got its part of the Plan."""
        return self.worker is not None and self.worker._engine is not None

    # --- the platform of the Worker ---------------------------------------------------------------

    def clock(self) -> float:
        """Return the time in this process."""
        if not self.alive:
            raise GreenletExit
        self._time = self._present() + self._pace * 2 * self._world.random.random()
        return self._time

    def _present(self) -> float:
        return max(self._time, self._world.now)

    def mailbox(self, address: str) -> SimWorker:
        """Return what others reach at `address`."""
        del address
        self._network.listen(self.number, self._deliver)
        return self

    def outlet(self, address: str) -> Any:
        """Return what sends to `address`."""
        receiver = SERVICE if address == "control" else int(address)
        outlet = self._network.outlet(self.number, receiver, self._present)
        self._outlets.append(outlet)
        return outlet

    def close(self) -> None:
        """Close the sockets; what is under way still arrives."""

    def receive(self, patience: int = -1) -> list[Any] | None:
        """Return the next message, or None after `patience` milliseconds without any."""
        if not self._queue:
            until = None if patience < 0 else self._present() + patience / 1000
            self._listening = True
            self._sleep(until)
            self._listening = False
        return self._queue.popleft() if self._queue else None

    def take(self) -> list[Any] | None:
        """Return a message that has arrived, or None."""
        if not self._queue and self._time > self._world.now:
            self._sleep(self._time)
        return self._queue.popleft() if self._queue else None

    # --- running ----------------------------------------------------------------------------------

    def _serve(self) -> None:
        self.worker = Worker(
            self.number, "control", str(self.number), self._secret, platform=self, status=self._status
        )
        self.worker.serve()

    def _sleep(self, until: float | None) -> None:
        if not self.alive:
            raise GreenletExit
        self._turn += 1
        turn = self._turn
        if until is not None:
            self._world.at(until, lambda: self._wake(turn))
        self._sleeper = getcurrent()
        self._outside.switch()

    def _deliver(self, frames: list[Any]) -> None:
        self._queue.append(frames)
        if self._listening:
            # the system may take its time to wake it, so that more than one message is there
            turn = self._turn
            delay = self._drowsiness * self._world.random.random()
            self._world.at(self._present() + delay, lambda: self._wake(turn))

    def _wake(self, turn: int) -> None:
        if turn != self._turn or not self.alive:
            return
        if self.stopped:
            self._missed = True
            return
        self._turn += 1
        try:
            self._sleeper.switch()
        except Exception as error:
            text = f"worker {self.number} raised:\n{format_error(error)}"
            raise SimulationFailure(text) from error
        if self._built is not None and self.has_models:
            self._built(self.worker._engine)
            self._built = None
        if self._main.dead:
            self.alive = False
            self._network.listen(self.number, lambda _: None)
            self._world.note("ended", self.number)
            self._ended(self.number, 0)

    # --- faults -----------------------------------------------------------------------------------

    def kill(self, signal: int = 9) -> None:
        """End it at once; the last part of what it has sent may be lost."""
        if not self.alive:
            return
        self.alive = False
        self._world.note("killed", self.number)
        self._network.crash(self.number)
        for outlet in self._outlets:
            outlet.closed = True
        self._unwind()
        self._ended(self.number, -signal)

    def stop(self) -> None:
        """Let it do nothing until `go_on`, like SIGSTOP."""
        self.stopped = True
        self._world.note("stopped", self.number)

    def go_on(self) -> None:
        """Let it go on after `stop`."""
        self.stopped = False
        self._world.note("continued", self.number)
        if self._missed and self.alive:
            self._missed = False
            self._wake(self._turn)

    def _unwind(self) -> None:
        """Throw its greenlets away."""
        scheduler = self.worker._scheduler if self.worker is not None else None
        waiting = [*scheduler.blocked, *scheduler._ready] if scheduler is not None else []
        sleepers = [each for each in waiting if isinstance(each, greenlet)]
        for each in dict.fromkeys([*sleepers, self._sleeper, self._main]):
            if each and each is not self._main:
                each.parent = getcurrent()
            if each:
                each.throw(GreenletExit)

    def forget(self) -> None:
        """Throw away what is left of it at the end of a simulation."""
        if self.alive:
            self.alive = False
            self._unwind()
