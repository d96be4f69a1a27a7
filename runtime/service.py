"""The runtime service of one network: leads its workers and answers the host.

No threads and no sockets of its own: what arrives is handed to `take`, `hear` and `obey`, what leaves goes to
outlets, and answers are futures. A shell (`LocalNetwork`, or a simulation) feeds it.
"""

from __future__ import annotations

import logging
import pickle
import signal
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Protocol

import numpy as np

from lahar.compiler.plan import Plan
from lahar.processes.errors import DeadlockError, LaharError, RemoteProtocolError, WorkerDiedError

from . import messages as m
from . import service_protocol as sp
from .deadlock import Blocked
from .engine import Failure
from .outcome import Outcome
from .pipes import HostReceiver, HostSender, break_pipes
from .sockets import CONTROL, DATA, HOST_NUMBER, seal, unseal
from .status import Status
from .values import decode
from .wire import ChannelFormat, decode_batch, encode_batch
from .worker_output import show

_log = logging.getLogger("lahar.runtime")
_GATHER = 0.5  # seconds that workers have to report after a failure
_STOPPED = 1.0  # seconds after which a worker that was stopped by a signal is given up
_STALE = 0.6  # seconds; workers that wait say so at least twice as often


class Killer(Protocol):
    """Ends workers."""

    def kill(self, pid: int) -> None: ...


class Service:
    """Leads the workers of one Plan.

    Parameters
    ----------
    plan : Plan
    pickled : bytes
        The same, for the workers.
    addresses : list of str
        Of the workers.
    secret : bytes
        Seal of this network.
    outlet : callable
        Returns something with `send` and `send_multipart` that reaches an address.
    launcher : Killer
    status : Status
    pipes : dict
        The host's ends of external pipes, by id.
    clock : callable

    Attributes
    ----------
    protocol : ServiceProtocol
    ready, run : Future of Outcome
        End of building, and of the present run.
    pids : dict of int to int
    gone : dict of int to str
        Workers that cannot be used any more, and why.
    exited : set of int
        Workers whose OS process has ended.
    quiet : set of int
        Workers that have given up their run.
    closing : bool
        Set by the shell when the network is to end.
    """

    def __init__(
        self,
        plan: Plan,
        pickled: bytes,
        addresses: list[str],
        secret: bytes,
        outlet: Callable[[str], Any],
        launcher: Killer,
        status: Status,
        pipes: dict[int, Any],
        clock: Callable[[], float],
    ) -> None:
        self._plan = plan
        self._pickled = pickled
        self._addresses = addresses
        self._secret = secret
        self._outlet = outlet
        self._launcher = launcher
        self._clock = clock
        self._pipes = pipes
        self.status = status
        places = zip(plan.processes, plan.domain, strict=True)
        stepped = {spec.name: domain for spec, domain in places if not plan.domains[domain].is_async}
        self.protocol = sp.ServiceProtocol(plan.partitions, len(plan.domains), stepped)
        self.ready: Future[Outcome] = Future()
        self.run: Future[Outcome] | None = None
        self.pids: dict[int, int] = {}
        self.gone: dict[int, str] = {}
        self.exited: set[int] = set()
        self.quiet: set[int] = set()
        self.closing = False
        self.host_waits: tuple[float, tuple[Blocked, ...]] = (0.0, ())
        self._free_awaited: tuple[float, tuple[str, ...]] = (0.0, ())
        self._seal = seal(CONTROL, 0, secret)
        self._data_seal = seal(DATA, HOST_NUMBER, secret)
        self._outlets: dict[int, Any] = {}
        self._requests: dict[int, tuple[int, Future[Any]]] = {}
        self._next_request = 0
        self._failures: list[Failure] = []
        self._error: LaharError | None = None
        self._deadline: float | None = None
        self._settling: list[Future[None]] = []  # whoever waits until a failure has been gathered
        self._stopped: dict[int, tuple[float, int]] = {}  # deadline and signal of workers that are stopped
        self._pipe_formats = {
            p.id: ChannelFormat(p.shape, np.dtype(p.dtype), capacity=p.capacity) for p in plan.pipes
        }
        self._pipe_worker = {p.id: plan.partition[p.process] for p in plan.pipes}

    # --- what arrives -------------------------------------------------------------------------

    def take(self, frames: list[Any]) -> None:
        """Take a message of a worker.

        Raises
        ------
        RemoteProtocolError
            It comes from a worker of this network and is impossible.
        """
        try:
            what, sender = unseal(frames, self._secret)
        except RemoteProtocolError as error:
            _log.warning("the service ignored %s", error)
            return
        if what == DATA:
            self._take_pipes(frames)
        else:
            self._take_message(sender, m.decode(frames))

    def _take_pipes(self, frames: list[Any]) -> None:
        """Hand what workers sent over pipes to the host's ends."""
        self.host_waits = (0.0, ())
        batch = decode_batch(frames, self._pipe_formats)
        for pipe, message in batch.messages:
            end = self._pipes[pipe]
            assert isinstance(end, HostReceiver)
            end.deliver(message)
        for pipe, count in batch.credits:
            sender = self._pipes.get(pipe)
            if not isinstance(sender, HostSender):
                raise RemoteProtocolError(f"worker {batch.sender} returned credit of pipe {pipe}")
            sender.add_credit(count)

    def _take_message(self, worker: int, message: m.Message) -> None:
        match message:
            case m.Values() | m.SetDone() | m.Refused() | m.Counted():
                self._take_answer(worker, message)
                return
            case m.Log():
                show(worker, message)
                return
            case m.Hello():
                self.pids[worker] = message.pid  # the fork server may say it later
                self._outlets[worker] = self._outlet(message.address)
                if self.closing:
                    self._send(worker, m.Shutdown())
            case m.Failed():
                report = pickle.loads(message.buffers[0])
                if isinstance(report, LaharError):
                    self._error = self._error or report
                else:
                    self._failures.extend(report)
                self.quiet.add(worker)
            case m.Aborted():
                self.quiet.add(worker)
        self._act(self.protocol.receive(worker, message))

    def _take_answer(self, worker: int, message: m.Message) -> None:
        if worker in self.gone:
            return  # refused already, when its death was heard of
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
                answer.set_result(message)
            case _:
                answer.set_result(None)

    def hear(self, message: list[Any]) -> None:
        """Take a message of the fork server."""
        if message[0] == "spawned":
            self.pids[message[1]] = message[2]
        elif message[0] == "exited":
            worker = self._worker_of(message[1])
            if worker is not None:
                self.exited.add(worker)
                self._stopped.pop(worker, None)
                self._lost(worker, _describe_exit(message[2]))
        elif message[0] in ("stopped", "continued"):
            worker = self._worker_of(message[1])
            if worker is None or worker in self.gone:
                return
            if message[0] == "continued":
                self._stopped.pop(worker, None)
                _log.warning("worker %d (pid %d) goes on", worker, message[1])
                return
            self._stopped[worker] = (self._clock() + _STOPPED, message[2])
            _log.warning(
                "worker %d (pid %d) was stopped by signal %s; the run fails unless it goes on within %g s",
                worker,
                message[1],
                _name_signal(message[2]),
                _STOPPED,
            )

    def _worker_of(self, pid: int) -> int | None:
        return next((k for k, known in self.pids.items() if known == pid), None)

    def _lost(self, worker: int, how: str) -> None:
        if worker in self.gone:
            return
        self.gone[worker] = how
        self.quiet.add(worker)
        if self.closing:
            return
        for request, (asked, answer) in list(self._requests.items()):
            if asked == worker:
                del self._requests[request]
                answer.set_exception(WorkerDiedError(self._death_message(worker, how)))
        self._act(self.protocol.tell(sp.WorkerLost(worker)))

    def _death_message(self, worker: int, how: str) -> str:
        names = [
            p.name
            for p, part in zip(self._plan.processes, self._plan.partition, strict=True)
            if part == worker
        ]
        return (
            f"Worker {worker} (pid {self.pids[worker]}, processes {', '.join(names)}) {how}. It was last in "
            f"{self.status.describe(worker)}. The run cannot go on; Vars of other workers remain readable."
        )

    # --- commands of the host -----------------------------------------------------------------

    def obey(self, command: Any, answer: Future[Any]) -> None:
        """Carry out a command of the host; `answer` tells when it is done, or why it cannot be.

        Parameters
        ----------
        command : sp.Run, sp.HaltRun, sp.Look, sp.Abandon, or tuple
            ``("settle",)``, ``("get", worker, Var ids)``, ``("set", worker, Var id, header, buffers)``,
            ``("count", worker)``, ``("message", pipe, array)``, ``("credit", pipe, number)``.
        """
        if isinstance(command, (sp.Run, sp.HaltRun, sp.Abandon)):
            try:
                self._begin(command)
                answer.set_result(None)
            except LaharError as error:
                answer.set_exception(error)
        elif isinstance(command, sp.Look):
            self._act(self.protocol.tell(command))
            answer.set_result(None)
        elif command[0] == "settle":
            if self._deadline is None:
                answer.set_result(None)
            else:
                self._settling.append(answer)
        elif command[0] in ("message", "credit"):
            self._forward(*command)
            answer.set_result(None)
        else:
            self._ask(command, answer)

    def _begin(self, command: sp.Run | sp.HaltRun | sp.Abandon) -> None:
        """Pass a command of the host on; a network that has failed meanwhile fails the run at once."""
        if self.protocol.state is sp.State.FAILED:
            if self._deadline is None:
                self._report_failure()
            return
        self._act(self.protocol.tell(command))

    def _ask(self, command: tuple[Any, ...], answer: Future[Any]) -> None:
        verb, worker = command[0], command[1]
        if worker in self.gone:
            answer.set_exception(WorkerDiedError(self._death_message(worker, self.gone[worker])))
            return
        if verb == "set" and self.protocol.state is sp.State.FAILED:
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
        self.host_waits = (0.0, ())
        worker = self._pipe_worker[pipe]
        outlet = self._outlets.get(worker)
        if outlet is None or worker in self.gone:
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
                        if worker not in self.gone:
                            outlet.send(head)
                case sp.SendPlans():
                    for k in range(self._plan.partitions):
                        self._send(k, m.Build(self._addresses, _log_level(), (self._pickled,)))
                    self._pickled = b""
                case sp.Opened():
                    self.ready.set_result(Outcome(0))
                case sp.Ended():
                    assert self.run is not None
                    self._free_awaited = (0.0, ())
                    self.run.set_result(Outcome(max(action.steps, default=0), action.wish))
                case sp.HostAwaited():
                    self._note_host_waits(action.waits)
                case sp.FreeAwaited():
                    self._free_awaited = (self._clock(), action.processes)
                case sp.Broken():
                    if action.deadlock:
                        self._error = self._error or DeadlockError(action.deadlock)
                    self._deadline = self._clock() + _GATHER

    def _note_host_waits(self, waits: tuple[Blocked, ...]) -> None:
        ports = sorted(b.port for b in waits)
        if ports != sorted(b.port for b in self.host_waits[1]):
            _log.info("the network waits for the host at %s", ", ".join(ports))
        self.host_waits = (self._clock(), waits)

    # --- time -------------------------------------------------------------------------------------

    def next_deadline(self) -> float | None:
        """Return when `look_at_clock` has something to do, if nothing arrives before."""
        deadlines = [when for when, _ in self._stopped.values()]
        if self._deadline is not None:
            deadlines.append(self._deadline)
        return min(deadlines, default=None)

    def look_at_clock(self) -> None:
        """Give up workers that stay stopped, and report a failure once all could say what they know."""
        now = self._clock()
        for worker, (when, number) in list(self._stopped.items()):
            if now >= when:
                del self._stopped[worker]
                self._launcher.kill(self.pids[worker])
                how = f"was stopped by signal {_name_signal(number)} and did not go on within {_STOPPED:g} s"
                self._lost(worker, how)
        if self._deadline is not None and (now >= self._deadline or self._all_quiet()):
            self._deadline = None
            self._report_failure()

    def waits_for_host(self) -> list[str]:
        """Return the ports at which the run waits for the host in the middle of a time step."""
        when, waits = self.host_waits
        if self._clock() - when > _STALE:
            return []
        halting = self.protocol.halting  # else a wait between steps lets the network pause
        return [b.port for b in waits if b.operation != "step" or halting]

    def ignoring(self) -> list[str]:
        """Return the asynchronous processes that keep a halted run from ending, if it is only them.

        They have not reacted to the halt, or some process with time steps waits for them. `Look` makes this known.
        """
        when, awaited = self._free_awaited
        if awaited and self._clock() - when <= _STALE:
            return list(awaited)
        late = self.protocol.unanswered()
        plan = self._plan
        places = list(zip(plan.processes, plan.partition, plan.domain, strict=True))
        stepped = {part for _, part, domain in places if not plan.domains[domain].is_async}
        return [] if late & stepped else [process.name for process, part, _ in places if part in late]

    # --- failure and end --------------------------------------------------------------------------

    def _all_quiet(self) -> bool:
        return len(self.quiet) >= self._plan.partitions

    def _report_failure(self) -> None:
        self._note_death()
        error = None if self._failures else self._error
        self._resolve(Outcome(self.status.step, failures=list(self._failures), error=error))
        for answer in self._settling:
            answer.set_result(None)
        self._settling.clear()

    def _note_death(self) -> None:
        """Unless something else has failed first, the reason is the first worker that died."""
        if self._error is None and self.gone:
            worker, how = next(iter(self.gone.items()))
            self._error = WorkerDiedError(self._death_message(worker, how))

    def fail(self, error: LaharError) -> None:
        """Note that the service itself cannot go on."""
        self._error = self._error or error
        self._resolve(Outcome(self.status.step, failures=list(self._failures), error=self._error))

    def _resolve(self, outcome: Outcome) -> None:
        for future in (self.ready, self.run):
            if future is not None and not future.done():
                future.set_result(outcome)
        break_pipes(self._pipes, outcome)

    def refuse_all(self) -> None:
        """Answer whatever is still waited for with an error."""
        for answer in (*self._settling, *(answer for _, answer in self._requests.values())):
            if not answer.done():
                answer.set_exception(self._error or WorkerDiedError("The network was closed."))
        self._settling.clear()
        self._requests.clear()

    def refuse(self, command: Any, answer: Future[Any]) -> None:
        """Answer a command after `fail`."""
        if isinstance(command, sp.Run):
            answer.set_result(None)
            self._resolve(Outcome(self.status.step, error=self._error))
        else:
            answer.set_exception(self._error)

    def tell_end(self) -> bool:
        """Tell workers to end; return whether all of them will hear it."""
        for k in self._outlets:
            if k not in self.gone:
                self._send(k, m.Shutdown())
        # a worker that computes in a run that was given up does not listen: no reason to wait for it
        return self.protocol.state is not sp.State.FAILED or self._all_quiet()

    def kill_rest(self) -> None:
        """Kill the workers that have not ended."""
        for k, pid in self.pids.items():
            if k not in self.exited:
                self._launcher.kill(pid)

    @property
    def all_exited(self) -> bool:
        return len(self.exited) >= self._plan.partitions


def _log_level() -> int:
    """Return the level below which nobody in this process wants log records."""
    return min(logging.getLogger(name).getEffectiveLevel() for name in ("", "lahar"))


def _describe_exit(status: int) -> str:
    return (
        f"was killed by signal {_name_signal(-status)}" if status < 0 else f"ended with exit status {status}"
    )


def _name_signal(number: int) -> str:
    try:
        return f"{number} ({signal.Signals(number).name})"
    except ValueError:
        return f"{number} (unknown)"
