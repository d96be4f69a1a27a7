"""The local launcher: one OS process per partition on this machine, and the service that leads them.

The service runs in a thread of the host. Calls of the user reach it through a queue; it answers through
futures.
"""

from __future__ import annotations

import logging
import queue
import secrets
import shutil
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any

import zmq

from lahar.compiler.plan import Plan
from lahar.processes.errors import LaharError, WorkerDiedError

from . import service_protocol as sp
from .inspection import ask_worker
from .launcher import WorkerPool
from .outcome import Outcome
from .pipes import make_host_ends
from .plan_pickle import pickle_plan
from .service import Service
from .sockets import HOST, SECRET_BYTES, Mailbox, open_socket, seal
from .status import Status
from .stopwatch import Measured
from .values import encode

_HOST_ADDRESS = "inproc://host"
_log = logging.getLogger("lahar.runtime")
_LEAVE = 2.0  # seconds that workers have to end when told to


class LocalNetwork:
    """Runs a Plan in worker processes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._owner = {
            var.id: part
            for spec, part in zip(plan.processes, plan.partition, strict=True)
            for var in spec.vars
        }
        self._commands: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._directory = ""
        self._secret = secrets.token_bytes(SECRET_BYTES)
        self._bell_lock = threading.Lock()
        self._bell_seal = seal(HOST, 0, self._secret)
        self._sockets: list[Any] = []
        self._status = Status(plan.partitions)
        names = [f"{plan.processes[p.process].name}.{p.port}" for p in plan.pipes]
        self.pipes = make_host_ends(plan.pipes, names, self._send_message, self._send_credit)

    # --- called by the host's threads ---------------------------------------------------------

    @property
    def step(self) -> int:
        """Last time step begun by any worker."""
        return self._status.step

    def open(self) -> Outcome:
        """Start the workers and build all models."""
        self._launcher = WorkerPool.take()
        self._context = zmq.Context(io_threads=1)
        self._mailbox = Mailbox(self._context, copy=False)
        self._mailbox.bind(_HOST_ADDRESS)
        self._bell = open_socket(self._context, zmq.PUSH)
        self._bell.connect(_HOST_ADDRESS)
        try:
            pickled = pickle_plan(self._plan)  # while the fork server starts
            self._directory = self._launcher.new_directory()
            self._status.share(f"{self._directory}/status")
        except BaseException:
            self._close_sockets()
            self._launcher.close()
            raise
        addresses = [f"ipc://{self._directory}/worker-{k}" for k in range(self._plan.partitions)]
        self._service = Service(
            self._plan,
            pickled,
            addresses,
            self._secret,
            self._outlet,
            self._launcher,
            self._status,
            self.pipes,
            time.monotonic,
        )
        self._thread = threading.Thread(
            target=self._serve, args=(addresses,), name="lahar-service", daemon=True
        )
        self._thread.start()
        return self._service.ready.result()

    def start(self, steps: int | None, blocking: bool) -> None:
        del blocking
        self._service.run = Future()
        self._tell(sp.Run(steps)).result()

    def join(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the end of the run; None if it has not ended in time."""
        run = self._service.run
        assert run is not None
        try:
            return run.result(timeout)
        except FutureTimeout:
            return None

    def halt(self, why: str = "pause") -> None:
        self._tell(sp.HaltRun(why))

    def abandon(self) -> None:
        """Make the run end in the middle of a time step."""
        self._tell(sp.Abandon())

    def waits_for_host(self) -> list[str]:
        """Return the ports at which the run waits for the host in the middle of a time step."""
        return self._service.waits_for_host()

    def ignoring(self) -> list[str]:
        """Return the asynchronous processes that keep a halted run from ending, if it is only them."""
        self._tell(sp.Look())
        return self._service.ignoring()

    def get(self, var_id: int) -> Any:
        return self._tell(("get", self._owner[var_id], [var_id])).result()[var_id]

    def set(self, var_id: int, value: Any) -> None:
        self._tell(("set", self._owner[var_id], var_id, *encode(value))).result()

    def snapshot(self) -> dict[int, Any]:
        """Return the values of all Vars whose worker still answers."""
        values: dict[int, Any] = {}
        for answer in self._ask_all("get", []):
            values.update(answer)
        return values

    def statistics(self) -> dict[int, tuple[int, int]]:
        """Return messages and bytes sent by channel id."""
        pipes = self.pipes.keys()
        return {
            channel: (number, size)
            for answer in self._ask_all("count")
            for channel, number, size in answer.channels
            if channel not in pipes
        }

    def measurements(self) -> list[Measured]:
        """Return what each worker that still answers has measured."""
        answers = self._ask_all("count")
        return [Measured(a.calls, a.ports, a.totals) for a in answers if a.totals]

    def _ask_all(self, verb: str, *arguments: Any) -> list[Any]:
        """Ask every worker that can answer; after a failure, when they have had time to give up."""
        with suppress(WorkerDiedError):
            self._tell(("settle",)).result()
        service = self._service
        failed = service.protocol.state is sp.State.FAILED
        asked = [
            self._tell((verb, k, *arguments))
            for k in list(service.pids)
            if k not in service.gone and (not failed or k in service.quiet)
        ]
        answers = []
        for answer in asked:
            with suppress(WorkerDiedError, FutureTimeout):
                answers.append(answer.result(_LEAVE))
        return answers

    def describe(self, frame: Any) -> str:
        """Make the workers print what their actors are doing."""
        del frame
        return "\n".join(ask_worker(pid) for pid in self._service.pids.values())

    def workers(self) -> dict[int, int]:
        return dict(self._service.pids)

    def close(self) -> None:
        """End the workers; returns when no process, socket or directory is left."""
        if self._thread is None:
            return
        if self._thread.is_alive():
            self._tell(("close",))
            self._thread.join()
        self._thread = None

    def _send_message(self, pipe: int, message: Any) -> None:
        self._tell(("message", pipe, message))

    def _send_credit(self, pipe: int, count: int) -> None:
        self._tell(("credit", pipe, count))

    def _tell(self, command: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        with self._bell_lock:
            if self._bell.closed:
                answer.set_exception(WorkerDiedError("The network is closed."))
            else:
                self._commands.put((command, answer))
                self._bell.send(self._bell_seal)
        return answer

    def _outlet(self, address: str) -> Any:
        socket = open_socket(self._context, zmq.PUSH)
        socket.connect(address)
        self._sockets.append(socket)
        return socket

    def _close_sockets(self) -> None:
        with self._bell_lock:
            self._bell.close()
        self._mailbox.close()
        for socket in self._sockets:
            socket.close()
        self._context.term()

    # --- the service thread -------------------------------------------------------------------

    def _serve(self, addresses: list[str]) -> None:
        healthy = False
        service = self._service
        watch = threading.Thread(target=self._watch_launcher, name="lahar-launcher", daemon=True)
        try:
            control = f"ipc://{self._directory}/control"
            self._mailbox.bind(control)
            for k, address in enumerate(addresses):
                self._launcher.spawn(k, control, address, self._secret, self._status.path)
            watch.start()
            while not service.closing:
                self._turn(service.next_deadline())
                service.look_at_clock()
            healthy = self._end_workers()
        except LaharError as error:
            service.fail(error)
            self._wait_for_close()
        except Exception as error:
            _log.exception("the runtime service failed")
            service.fail(WorkerDiedError(f"The runtime service failed: {error!r}"))
            self._wait_for_close()
        finally:
            service.refuse_all()
            self._launcher.release()
            if watch.ident is not None:
                watch.join()
            self._close_sockets()
            self._status.close()
            shutil.rmtree(self._directory, ignore_errors=True)
            WorkerPool.give_back(self._launcher, healthy)

    def _watch_launcher(self) -> None:
        """Body of a thread: pass on what the fork server says."""
        try:
            for messages in self._launcher.listen():
                for message in messages:
                    self._tell(("launcher", message))
        except WorkerDiedError as error:
            self._tell(("lost", error))

    def _turn(self, deadline: float | None) -> None:
        """Wait for one message and deal with it."""
        patience = -1 if deadline is None else max(0, int(1000 * (deadline - time.monotonic())) + 1)
        received = self._mailbox.receive(patience)
        if received is None:
            return
        first = received[0].bytes
        if first == self._bell_seal:
            self._take_commands()
        else:
            # arrays are made on the frames' own memory, which nobody else uses: no copy of a large value
            self._service.take([first, *(frame.buffer for frame in received[1:])])

    def _take_commands(self) -> None:
        while not self._commands.empty():
            command, answer = self._commands.get()
            what = command[0] if isinstance(command, tuple) else ""
            if what == "close":
                self._service.closing = True
            elif what == "launcher":
                self._service.hear(command[1])
            elif what == "lost":
                raise command[1]
            else:
                self._service.obey(command, answer)
                continue
            answer.set_result(None)

    def _wait_for_close(self) -> None:
        """After the service itself has failed, refuse everything until the host closes the network."""
        service = self._service
        service.refuse_all()
        while not service.closing:
            self._mailbox.receive()
            while not self._commands.empty():
                command, answer = self._commands.get()
                if command == ("close",):
                    service.closing = True
                    answer.set_result(None)
                else:
                    service.refuse(command, answer)

    def _end_workers(self) -> bool:
        """Tell workers to end, kill those that do not; return whether the fork server can be used again."""
        service = self._service
        deadline = time.monotonic() + (_LEAVE if service.tell_end() else 0.0)
        killed = False
        while not service.all_exited:
            if time.monotonic() < deadline:
                self._turn(deadline)
            elif killed:
                return False
            else:
                service.kill_rest()
                killed, deadline = True, time.monotonic() + _LEAVE
        return True
