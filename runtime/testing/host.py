"""The simulated host: a real `Service`, the commands of a program, and the life of the workers."""

from __future__ import annotations

from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any

from lahar.compiler.plan import Plan
from lahar.runtime import service_protocol as sp
from lahar.runtime.pipes import make_host_ends
from lahar.runtime.reports import format_error
from lahar.runtime.service import Service
from lahar.runtime.status import Status
from lahar.runtime.values import encode

from .network import SERVICE, Network
from .workers import FIRST_PID, SimWorker
from .world import SimulationFailure, World

_SECRET = b"simulate"
_LEAVE = 2.0  # seconds that workers have to end when told to, as in LocalNetwork

Program = Generator[Any, Any, None]


class SimHost:
    """The counterpart of `LocalNetwork`: what it does with threads and sockets is done by events here.

    Parameters
    ----------
    world : World
    plan : Plan
    pickled : bytes
    built : callable
        Given the engine of each worker once its models are built.

    Attributes
    ----------
    service : Service
    workers : list of SimWorker
    killed : list of int
        Workers that the service had to kill.
    """

    def __init__(self, world: World, plan: Plan, pickled: bytes, built: Callable[[Any], None]) -> None:
        self.world = world
        self.plan = plan
        self.network = Network(world)
        self.killed: list[int] = []
        self.programs = 0  # that have not ended
        self._commands = world.queue()
        self._news = world.queue()
        self._look_at: float | None = None
        self.status = Status(plan.partitions)
        shared = _SharedStatus(plan.partitions)
        self.status._numbers = shared.numbers
        names = [f"{plan.processes[p.process].name}.{p.port}" for p in plan.pipes]
        self.pipes = make_host_ends(
            plan.pipes,
            names,
            lambda pipe, message: self._forward("message", pipe, message),
            lambda pipe, count: self._forward("credit", pipe, count),
        )
        self.service = Service(
            plan,
            pickled,
            [str(k) for k in range(plan.partitions)],
            _SECRET,
            lambda address: self.network.outlet(SERVICE, int(address), lambda: world.now),
            self,
            self.status,
            self.pipes,
            lambda: world.now,
        )
        self.network.listen(SERVICE, self._take)
        pace = world.random.choice([2e-5, 1e-4, 4e-4])
        self.workers = [
            SimWorker(world, self.network, k, _SECRET, shared.of(k), pace, self._exited, built)
            for k in range(plan.partitions)
        ]
        for worker in self.workers:
            self._hear(["spawned", worker.number, worker.pid], 0.1)

    # --- what reaches the service -------------------------------------------------------------------

    def _serve(self, act: Callable[[], None]) -> None:
        try:
            act()
            self.service.look_at_clock()
        except SimulationFailure:
            raise
        except Exception as error:
            raise SimulationFailure(f"the service raised:\n{format_error(error)}") from error
        self._plan_look()

    def _plan_look(self) -> None:
        deadline = self.service.next_deadline()
        if deadline is not None and deadline != self._look_at:
            self._look_at = deadline
            self.world.at(deadline, lambda: self._serve(lambda: None))

    def _take(self, frames: list[bytes]) -> None:
        # arrays are made on the memory of frames that nobody else uses
        parts = [memoryview(bytearray(frame)) for frame in frames[1:]]
        self._serve(lambda: self.service.take([frames[0], *parts]))

    def _hear(self, message: list[Any], latest: float) -> None:
        """Let the fork server say something, soon, and in order."""

        def hear() -> None:
            self.world.note("hears", *message)
            self._serve(lambda: self.service.hear(message))

        self._news(self.world.now + self.world.random.uniform(0, latest), hear)

    def _exited(self, number: int, status: int) -> None:
        self._hear(["exited", FIRST_PID + number, status], 0.02)

    def tell(self, command: Any) -> Future[Any]:
        """Give the service a command, behind those that were given before."""
        answer: Future[Any] = Future()
        delay = self.world.random.expovariate(1 / 2e-5)

        def obey() -> None:
            self.world.note("commands", _name(command))
            self._serve(lambda: self.service.obey(command, answer))

        self._commands(self.world.now + delay, obey)
        return answer

    def _forward(self, verb: str, pipe: int, content: Any) -> None:
        self.tell((verb, pipe, content))

    # --- the launcher ---------------------------------------------------------------------------------

    def kill(self, pid: int) -> None:
        """Kill a worker, for the service."""
        self.killed.append(pid - FIRST_PID)
        self.workers[pid - FIRST_PID].kill()

    def stop_worker(self, number: int, seconds: float) -> None:
        """Stop a worker by a signal; let it go on later."""
        worker = self.workers[number]
        if not worker.alive:
            return
        worker.stop()
        self._hear(["stopped", worker.pid, 19], 1e-3)

        def go_on() -> None:
            if worker.alive:
                self._hear(["continued", worker.pid], 1e-3)
                worker.go_on()

        self.world.at(self.world.now + seconds, go_on)

    # --- programs ---------------------------------------------------------------------------------------

    def run_program(self, program: Program, essential: bool = True) -> None:
        """Run a program of the host: a generator that yields what it waits for.

        It yields a number of seconds, a Future (and gets its result), or a Future and a number of seconds
        (and gets whether it is done). The simulation ends with the last essential program.
        """
        self.programs += essential

        def go_on(value: Any = None, error: BaseException | None = None) -> None:
            try:
                wanted = program.send(value) if error is None else program.throw(error)
            except StopIteration:
                self.programs -= essential
                return
            if isinstance(wanted, (int, float)):
                self.world.at(self.world.now + wanted, go_on)
            elif isinstance(wanted, tuple):
                future, seconds = wanted
                self._await(future, seconds, go_on)
            else:
                wanted.add_done_callback(lambda f: self._wake_soon(f, go_on))

        self.world.at(self.world.now, go_on)

    def _wake_soon(self, future: Future[Any], go_on: Callable[..., None]) -> None:
        error = future.exception()
        result = future.result() if error is None else None
        self.world.at(self.world.now, lambda: go_on(result, error))

    def _await(self, future: Future[Any], seconds: float, go_on: Callable[..., None]) -> None:
        pending = [go_on]

        def finish(done: bool) -> None:
            if pending:
                pending.pop()(done)

        self.world.at(self.world.now + seconds, lambda: finish(False))
        future.add_done_callback(lambda _: self.world.at(self.world.now, lambda: finish(True)))

    # --- commands of programs ---------------------------------------------------------------------------

    def begin(self, steps: int | None) -> Future[Any]:
        """Begin a run; return the future of its `Outcome`."""
        run: Future[Any] = Future()
        self.service.run = run
        self.tell(sp.Run(steps))
        return run

    def owner(self, var: int) -> int:
        """Return the worker that holds a Var."""
        pairs = zip(self.plan.processes, self.plan.partition, strict=True)
        return next(part for spec, part in pairs if any(v.id == var for v in spec.vars))

    def get(self, var: int) -> Future[Any]:
        """Ask for the value of a Var: the future of ``{var: value}``."""
        return self.tell(("get", self.owner(var), [var]))

    def set(self, var: int, value: Any) -> Future[Any]:
        """Set a Var."""
        return self.tell(("set", self.owner(var), var, *encode(value)))

    def close(self) -> Program:
        """End the workers, as `LocalNetwork` does."""
        service = self.service
        service.closing = True
        all_listen = service.tell_end()
        for patience in (_LEAVE if all_listen else 0.0, _LEAVE):
            deadline = self.world.now + patience
            while not service.all_exited and self.world.now < deadline:
                yield 0.01
            if service.all_exited:
                service.refuse_all()
                return
            service.kill_rest()
        raise SimulationFailure("workers have not ended although they were killed")


class _SharedStatus:
    """Numbers that workers write and the service reads."""

    def __init__(self, workers: int) -> None:
        self.numbers = [0] * (2 * workers)

    def of(self, worker: int) -> _StatusPart:
        return _StatusPart(self.numbers, 2 * worker)


class _StatusPart:
    """The two numbers of one worker."""

    def __init__(self, numbers: list[int], first: int) -> None:
        self._numbers = numbers
        self._first = first

    def __setitem__(self, k: int, value: int) -> None:
        self._numbers[self._first + k] = value


def _name(command: Any) -> str:
    return f"{command[0]} {command[1:3]}" if isinstance(command, tuple) else repr(command)
