"""The local launcher: one OS process per partition on this machine, and the service that leads them.

The service runs in a thread of the host: sockets and processes around `ServiceProtocol`. Calls of the
user reach it through a queue; it answers through futures.
"""

from __future__ import annotations

import logging
import pickle
import queue
import secrets
import shutil
import signal
import threading
import time
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from contextlib import suppress
from typing import Any

import cloudpickle
import numpy as np
import zmq

from lahar.compiler.plan import Plan, ProcessSpec
from lahar.processes.errors import (
    DeadlockError,
    LaharError,
    RemoteProtocolError,
    UnpicklableError,
    WorkerDiedError,
)

from . import messages as m
from . import service_protocol as sp
from .deadlock import Blocked
from .engine import Failure
from .launcher import WorkerPool
from .outcome import Outcome
from .pipes import HostReceiver, HostSender, make_host_ends
from .sockets import CONTROL, DATA, HOST, HOST_NUMBER, SECRET_BYTES, open_socket, seal, unseal
from .status import Status
from .values import decode, encode
from .wire import ChannelFormat, decode_batch, encode_batch

_HOST_ADDRESS = "inproc://host"
_log = logging.getLogger("lahar.runtime")
_GATHER = 0.5  # seconds that workers have to report after a failure
_LEAVE = 2.0  # seconds that workers have to end when told to
_STOPPED = 1.0  # seconds after which a worker that was stopped by a signal is given up
_STALE = 0.6  # seconds; workers that wait say so at least twice as often


class LocalNetwork:
    """Runs a Plan in worker processes."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._protocol = sp.ServiceProtocol(plan.partitions, len(plan.domains))
        self._owner = {
            var.id: part
            for spec, part in zip(plan.processes, plan.partition, strict=True)
            for var in spec.vars
        }
        self._commands: queue.SimpleQueue[tuple[Any, Future[Any]]] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._pids: dict[int, int] = {}
        self._gone: dict[int, str] = {}
        self._ready: Future[Outcome] = Future()
        self._run: Future[Outcome] | None = None
        self._requests: dict[int, tuple[int, Future[Any]]] = {}
        self._next_request = 0
        self._failures: list[Failure] = []
        self._error: LaharError | None = None
        self._quiet: set[int] = set()  # workers that have given up their run
        self._deadline: float | None = None
        self._settling: list[Future[None]] = []  # whoever waits until a failure has been gathered
        self._closing = False
        self._directory = ""
        self._secret = secrets.token_bytes(SECRET_BYTES)
        self._seal = seal(CONTROL, 0, self._secret)
        self._bell_lock = threading.Lock()
        self._outlets: dict[int, Any] = {}
        self._exited: set[int] = set()
        self._stopped: dict[int, tuple[float, int]] = {}  # deadline and signal of workers that are stopped
        self._host_waits: tuple[float, tuple[Blocked, ...]] = (0.0, ())
        self._status = Status(plan.partitions)
        names = [f"{plan.processes[p.process].name}.{p.port}" for p in plan.pipes]
        self.pipes = make_host_ends(plan.pipes, names, self._send_message, self._send_credit)
        self._pipe_formats = {p.id: ChannelFormat(p.shape, np.dtype(p.dtype)) for p in plan.pipes}
        self._pipe_worker = {p.id: plan.partition[p.process] for p in plan.pipes}
        self._data_seal = seal(DATA, HOST_NUMBER, self._secret)

    # --- called by the host's threads ---------------------------------------------------------

    @property
    def step(self) -> int:
        """Last time step begun by any worker."""
        return self._status.step

    def open(self) -> Outcome:
        """Start the workers and build all models."""
        self._launcher = WorkerPool.take()
        self._context = zmq.Context(io_threads=1)
        self._inbox = open_socket(self._context, zmq.PULL)
        self._inbox.bind(_HOST_ADDRESS)
        self._bell = open_socket(self._context, zmq.PUSH)
        self._bell.connect(_HOST_ADDRESS)
        self._thread = threading.Thread(target=self._serve, name="lahar-service", daemon=True)
        try:
            self._pickled = pickle_plan(self._plan)  # while the fork server starts
        except BaseException:
            self._thread = None
            self._close_sockets()
            self._launcher.close()
            raise
        self._thread.start()
        return self._ready.result()

    def start(self, steps: int | None, blocking: bool) -> None:
        del blocking
        self._run = Future()
        self._tell(sp.Run(steps)).result()

    def join(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the end of the run; None if it has not ended in time."""
        assert self._run is not None
        try:
            return self._run.result(timeout)
        except FutureTimeout:
            return None

    def halt(self, why: str = "pause") -> None:
        self._tell(sp.HaltRun(why))

    def abandon(self) -> None:
        """Make the run end in the middle of a time step."""
        self._tell(sp.Abandon())

    def waits_for_host(self) -> list[str]:
        """Return the ports at which the run waits for the host in the middle of a time step."""
        when, waits = self._host_waits
        if time.monotonic() - when > _STALE:
            return []
        return [b.port for b in waits if b.operation != "step"]

    def ignoring(self) -> list[str]:
        """Return the asynchronous processes that have not reacted to a halt, if it is only them."""
        late = self._protocol.unanswered()
        free = [
            p.name
            for p, part, domain in zip(
                self._plan.processes, self._plan.partition, self._plan.domain, strict=True
            )
            if part in late and self._plan.domains[domain].is_async
        ]
        workers = {
            part
            for part, domain in zip(self._plan.partition, self._plan.domain, strict=True)
            if not self._plan.domains[domain].is_async
        }
        return [] if late & workers else free

    def _send_message(self, pipe: int, message: Any) -> None:
        self._tell(("message", pipe, message))

    def _send_credit(self, pipe: int, count: int) -> None:
        self._tell(("credit", pipe, count))

    def get(self, var_id: int) -> Any:
        return self._tell(("get", self._owner[var_id], [var_id])).result()[var_id]

    def set(self, var_id: int, value: Any) -> None:
        self._tell(("set", self._owner[var_id], var_id, *encode(value))).result()

    def snapshot(self) -> dict[int, Any]:
        """Return the values of all Vars whose worker still answers."""
        values: dict[int, Any] = {}
        for asked in [self._tell(("get", k, [])) for k in self._answering()]:
            try:
                values.update(asked.result(_LEAVE))
            except (WorkerDiedError, FutureTimeout):
                continue
        return values

    def statistics(self) -> dict[int, tuple[int, int]]:
        """Return messages and bytes sent by channel id."""
        counts: dict[int, tuple[int, int]] = {}
        for asked in [self._tell(("count", k)) for k in self._answering()]:
            try:
                counts.update({c: (n, size) for c, n, size in asked.result(_LEAVE)})
            except (WorkerDiedError, FutureTimeout):
                continue
        return counts

    def _answering(self) -> list[int]:
        """Return the workers that can be asked; after a failure, when they have had time to give up."""
        with suppress(WorkerDiedError):
            self._tell("settle").result()
        failed = self._protocol.state is sp.State.FAILED
        return [k for k in self._pids if k not in self._gone and (not failed or k in self._quiet)]

    def workers(self) -> dict[int, int]:
        return dict(self._pids)

    def close(self) -> None:
        """End the workers; returns when no process, socket or directory is left."""
        if self._thread is None:
            return
        if self._thread.is_alive():
            self._tell("close")
            self._thread.join()
        self._thread = None

    def _tell(self, command: Any) -> Future[Any]:
        answer: Future[Any] = Future()
        with self._bell_lock:
            if self._bell.closed:
                answer.set_exception(WorkerDiedError("The network is closed."))
            else:
                self._commands.put((command, answer))
                self._bell.send(seal(HOST, 0, self._secret))
        return answer

    def _close_sockets(self) -> None:
        with self._bell_lock:
            self._bell.close()
        self._inbox.close()
        for outlet in self._outlets.values():
            outlet.close()
        self._context.term()

    # --- the service thread -------------------------------------------------------------------

    def _serve(self) -> None:
        healthy = False
        watch = threading.Thread(target=self._watch_launcher, name="lahar-launcher", daemon=True)
        try:
            self._start_workers()
            watch.start()
            while not self._closing:
                self._turn()
            healthy = self._end_workers()
        except LaharError as error:
            self._break(error)
            self._wait_for_close()
        except Exception as error:
            _log.exception("the runtime service failed")
            self._break(WorkerDiedError(f"The runtime service failed: {error!r}"))
            self._wait_for_close()
        finally:
            self._fail_requests()
            self._launcher.release()
            if watch.ident is not None:
                watch.join()
            self._close_sockets()
            self._status.close()
            if self._directory:
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

    def _start_workers(self) -> None:
        self._directory = self._launcher.new_directory()
        self._status.share(f"{self._directory}/status")
        control = f"ipc://{self._directory}/control"
        self._inbox.bind(control)
        self._addresses = [f"ipc://{self._directory}/worker-{k}" for k in range(self._plan.partitions)]
        for k, address in enumerate(self._addresses):
            self._launcher.spawn(k, control, address, self._secret, self._status.path)

    def _turn(self) -> None:
        """Wait for one message and deal with it."""
        deadlines = [when for when, _ in self._stopped.values()]
        if self._deadline is not None:
            deadlines.append(self._deadline)
        if not deadlines:
            self._take(self._inbox.recv_multipart(copy=False))
            return
        left = max(0, int(1000 * (min(deadlines) - time.monotonic())) + 1)
        if self._inbox.poll(left):
            self._take(self._inbox.recv_multipart(copy=False))
        now = time.monotonic()
        for worker, (when, signal_number) in list(self._stopped.items()):
            if now >= when:
                del self._stopped[worker]
                self._launcher.kill(self._pids[worker])
                how = f"was stopped by signal {_name_signal(signal_number)} and did not go on within {_STOPPED:g} s"
                self._lost(worker, how)
        if self._deadline is not None and (now >= self._deadline or self._all_quiet()):
            self._deadline = None
            self._report_failure()

    def _take(self, received: list[Any]) -> None:
        # arrays are made on the frames' own memory, which nobody else uses: no copy of a large value
        frames = [received[0].bytes, *(frame.buffer for frame in received[1:])]
        try:
            what, sender = unseal(frames, self._secret)
        except RemoteProtocolError as error:
            _log.warning("the service ignored %s", error)
            return
        if what == HOST:
            self._take_commands()
        elif what == DATA:
            self._take_pipes(frames)
        else:
            self._take_message(sender, m.decode(frames))

    def _take_pipes(self, frames: list[Any]) -> None:
        """Hand what workers sent over pipes to the host's ends."""
        self._host_waits = (0.0, ())
        batch = decode_batch(frames, self._pipe_formats)
        for pipe, message in batch.messages:
            end = self.pipes[pipe]
            assert isinstance(end, HostReceiver)
            end.deliver(message)
        for pipe, count in batch.credits:
            sender = self.pipes.get(pipe)
            if not isinstance(sender, HostSender):
                raise RemoteProtocolError(f"worker {batch.sender} returned credit of pipe {pipe}")
            sender.add_credit(count)

    def _take_message(self, worker: int, message: m.Message) -> None:
        match message:
            case m.Values() | m.SetDone() | m.Refused() | m.Counted():
                self._take_answer(worker, message)
                return
            case m.Hello():
                self._pids[worker] = message.pid  # the fork server may say it later
                outlet = open_socket(self._context, zmq.PUSH)
                outlet.connect(message.address)
                self._outlets[worker] = outlet
                if self._closing:
                    self._send(worker, m.Shutdown())
            case m.Failed():
                report = pickle.loads(message.buffers[0])
                if isinstance(report, LaharError):
                    self._error = self._error or report
                else:
                    self._failures.extend(report)
                self._quiet.add(worker)
            case m.Aborted():
                self._quiet.add(worker)
        self._act(self._protocol.receive(worker, message))

    def _take_answer(self, worker: int, message: m.Message) -> None:
        asked, answer = self._requests.pop(message.request, (-1, Future()))  # type: ignore[attr-defined]
        if asked != worker:
            raise RemoteProtocolError(f"worker {worker} answered a request that it was not asked")
        match message:
            case m.Values():
                values, buffers = {}, list(message.buffers)
                for var, header, count in zip(message.vars, message.headers, message.counts, strict=True):
                    values[var] = decode(header, buffers[:count])
                    del buffers[:count]
                answer.set_result(values)
            case m.Refused():
                answer.set_exception(pickle.loads(message.buffers[0]))
            case m.Counted():
                answer.set_result(message.channels)
            case _:
                answer.set_result(None)

    def _take_launcher(self, message: list[Any]) -> None:
        if message[0] == "spawned":
            self._pids[message[1]] = message[2]
        elif message[0] == "exited":
            worker = self._worker_of(message[1])
            if worker is not None:
                self._exited.add(worker)
                self._stopped.pop(worker, None)
                self._lost(worker, _describe_exit(message[2]))
        elif message[0] in ("stopped", "continued"):
            worker = self._worker_of(message[1])
            if worker is None or worker in self._gone:
                return
            if message[0] == "continued":
                self._stopped.pop(worker, None)
                _log.warning("worker %d (pid %d) goes on", worker, message[1])
                return
            self._stopped[worker] = (time.monotonic() + _STOPPED, message[2])
            _log.warning(
                "worker %d (pid %d) was stopped by signal %s; the run fails unless it goes on within %g s",
                worker,
                message[1],
                _name_signal(message[2]),
                _STOPPED,
            )

    def _worker_of(self, pid: int) -> int | None:
        return next((k for k, known in self._pids.items() if known == pid), None)

    def _lost(self, worker: int, how: str) -> None:
        if worker in self._gone:
            return
        self._gone[worker] = how
        self._quiet.add(worker)
        if self._closing:
            return
        for request, (asked, answer) in list(self._requests.items()):
            if asked == worker:
                del self._requests[request]
                answer.set_exception(WorkerDiedError(self._death_message(worker, how)))
        self._act(self._protocol.tell(sp.WorkerLost(worker)))

    def _death_message(self, worker: int, how: str) -> str:
        names = [
            p.name
            for p, part in zip(self._plan.processes, self._plan.partition, strict=True)
            if part == worker
        ]
        return (
            f"Worker {worker} (pid {self._pids[worker]}, processes {', '.join(names)}) {how}. It was last in "
            f"{self._status.describe(worker)}. The run cannot go on; Vars of other workers remain readable."
        )

    def _take_commands(self) -> None:
        while not self._commands.empty():
            command, answer = self._commands.get()
            if command == "close":
                self._closing = True
                answer.set_result(None)
            elif command == "settle":
                if self._deadline is None:
                    answer.set_result(None)
                else:
                    self._settling.append(answer)
            elif command[0] == "launcher" if isinstance(command, tuple) else False:
                self._take_launcher(command[1])
            elif command[0] == "lost" if isinstance(command, tuple) else False:
                raise command[1]
            elif isinstance(command, (sp.Run, sp.HaltRun, sp.Abandon)):
                try:
                    self._begin(command)
                    answer.set_result(None)
                except LaharError as error:
                    answer.set_exception(error)
            else:
                self._ask(command, answer)

    def _begin(self, command: sp.Run | sp.HaltRun | sp.Abandon) -> None:
        """Pass a command of the host on; a network that has failed meanwhile fails the run at once."""
        if self._protocol.state is sp.State.FAILED:
            if self._deadline is None:
                self._report_failure()
            return
        self._act(self._protocol.tell(command))

    def _ask(self, command: tuple[Any, ...], answer: Future[Any]) -> None:
        verb, worker = command[0], command[1]
        if verb in ("message", "credit"):
            self._forward(*command)
            answer.set_result(None)
            return
        if worker in self._gone:
            answer.set_exception(WorkerDiedError(self._death_message(worker, self._gone[worker])))
            return
        if verb == "set" and self._protocol.state is sp.State.FAILED:
            self._note_death()
            answer.set_exception(self._error)
            return
        request = self._next_request
        self._next_request += 1
        self._requests[request] = (worker, answer)
        if verb == "get":
            self._send(worker, m.Get(request, command[2]))
        elif verb == "count":
            self._send(worker, m.Count(request))
        else:
            _, _, var, header, buffers = command
            self._send(worker, m.Set(request, var, header, tuple(buffers)))

    def _forward(self, verb: str, pipe: int, content: Any) -> None:
        """Send what the host puts into a pipe, or the credit for what it took out."""
        self._host_waits = (0.0, ())
        worker = self._pipe_worker[pipe]
        outlet = self._outlets.get(worker)
        if outlet is None or worker in self._gone:
            return  # whoever waits hears of it when the network is closed
        messages, credit = ([(pipe, content)], {}) if verb == "message" else ([], {pipe: content})
        frames, _ = encode_batch(HOST_NUMBER, messages, credit)
        frames[0] = self._data_seal + frames[0]
        outlet.send_multipart(frames)

    def _send(self, worker: int, message: m.Message) -> None:
        head, *buffers = m.encode(message)
        self._outlets[worker].send_multipart([self._seal + head, *buffers], copy=not buffers)

    def _act(self, actions: list[sp.Action]) -> None:
        for action in actions:
            match action:
                case sp.ToAll():
                    head = self._seal + m.encode(action.message)[0]
                    for worker, outlet in self._outlets.items():
                        if worker not in self._gone:
                            outlet.send(head)
                case sp.SendPlans():
                    for k in range(self._plan.partitions):
                        self._send(k, m.Build(self._addresses, (self._pickled,)))
                    self._pickled = b""
                case sp.Opened():
                    self._ready.set_result(Outcome(0))
                case sp.Ended():
                    assert self._run is not None
                    self._run.set_result(Outcome(max(action.steps, default=0), action.wish))
                case sp.HostAwaited():
                    self._note_host_waits(action.waits)
                case sp.Broken():
                    if action.deadlock:
                        self._error = self._error or DeadlockError(action.deadlock)
                    self._deadline = time.monotonic() + _GATHER

    def _note_host_waits(self, waits: tuple[Blocked, ...]) -> None:
        ports = sorted(b.port for b in waits)
        if ports != sorted(b.port for b in self._host_waits[1]):
            _log.info("the network waits for the host at %s", ", ".join(ports))
        self._host_waits = (time.monotonic(), waits)

    # --- failure and end --------------------------------------------------------------------------

    def _all_quiet(self) -> bool:
        return len(self._quiet) >= self._plan.partitions

    def _report_failure(self) -> None:
        self._note_death()
        error = None if self._failures else self._error
        self._resolve(Outcome(self.step, failures=list(self._failures), error=error))
        for answer in self._settling:
            answer.set_result(None)
        self._settling.clear()

    def _note_death(self) -> None:
        """Unless something else has failed first, the reason is the first worker that died."""
        if self._error is None and self._gone:
            worker, how = next(iter(self._gone.items()))
            self._error = WorkerDiedError(self._death_message(worker, how))

    def _break(self, error: LaharError) -> None:
        self._error = self._error or error
        self._resolve(Outcome(self.step, failures=list(self._failures), error=self._error))

    def _resolve(self, outcome: Outcome) -> None:
        for future in (self._ready, self._run):
            if future is not None and not future.done():
                future.set_result(outcome)

    def _fail_requests(self) -> None:
        for answer in (*self._settling, *(answer for _, answer in self._requests.values())):
            if not answer.done():
                answer.set_exception(WorkerDiedError("The network was closed."))
        self._settling.clear()
        self._requests.clear()

    def _wait_for_close(self) -> None:
        """After the service itself has failed, refuse everything until the host closes the network."""
        self._fail_requests()
        while not self._closing:
            self._inbox.recv_multipart(copy=False)
            while not self._commands.empty():
                command, answer = self._commands.get()
                if command == "close":
                    self._closing = True
                    answer.set_result(None)
                elif isinstance(command, sp.Run):
                    answer.set_result(None)
                    assert self._error is not None
                    self._resolve(Outcome(self.step, error=self._error))
                else:
                    answer.set_exception(self._error)

    def _end_workers(self) -> bool:
        """Tell workers to end, kill those that do not; return whether the fork server can be used again."""
        for k in self._outlets:
            if k not in self._gone:
                self._send(k, m.Shutdown())
        # a worker that computes in a run that was given up does not listen: no reason to wait for it
        stubborn = self._protocol.state is sp.State.FAILED and not self._all_quiet()
        deadline = time.monotonic() + (0.0 if stubborn else _LEAVE)
        killed = False
        while len(self._exited) < self._plan.partitions:
            left = deadline - time.monotonic()
            if left <= 0 and killed:
                return False
            if left <= 0:
                for k, pid in self._pids.items():
                    if k not in self._exited:
                        self._launcher.kill(pid)
                killed, deadline = True, time.monotonic() + _LEAVE
            elif self._inbox.poll(max(1, int(1000 * left))):
                self._take(self._inbox.recv_multipart(copy=False))
        return True


def _describe_exit(status: int) -> str:
    return (
        f"was killed by signal {_name_signal(-status)}" if status < 0 else f"ended with exit status {status}"
    )


def _name_signal(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return f"{number} (unknown)"


def pickle_plan(plan: Plan) -> bytes:
    """Pickle a Plan for the workers.

    Raises
    ------
    UnpicklableError
        Names the process and the argument that cannot be pickled.
    """
    try:
        return bytes(cloudpickle.dumps(plan, protocol=pickle.HIGHEST_PROTOCOL))
    except Exception as error:
        for spec in plan.processes:
            _find_unpicklable(spec)
        raise UnpicklableError(f"The plan cannot be sent to worker processes: {error}") from error


def _find_unpicklable(spec: ProcessSpec) -> None:
    suspects = [(f"argument '{k}'", v) for k, v in spec.proc_params._parameters.items()]
    suspects += [(f"the initial value of Var '{v.name}'", v.init) for v in spec.vars]
    suspects.append((f"model class {spec.model.__name__}", spec.model))
    for what, value in suspects:
        try:
            cloudpickle.dumps(value)
        except Exception as error:
            raise UnpicklableError(
                f"Process '{spec.name}' ({spec.class_name}): {what} of type {type(value).__name__} cannot be sent to "
                f"a worker process: {error}. Pass what is needed to make it inside the model, or run with "
                "launcher='inline'."
            ) from error
