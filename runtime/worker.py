"""The worker process: messages and pickles around the engine and the worker's protocol."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import cloudpickle

from lahar.compiler.plan import Plan
from lahar.processes.errors import LaharError, LocalProtocolError, RemoteProtocolError

from . import messages as m
from . import worker_protocol as wp
from .actors import BuildError
from .barrier import Barrier
from .domains import LoihiDomain
from .engine import Engine, Failure, Interrupted, build_failure
from .inspection import describe_actors, print_on_signal
from .links import WorkerLinks
from .peers import Peer
from .remote_references import unpack
from .reports import format_error, pack_error, pack_failures, release_memory
from .scheduler import Scheduler
from .sockets import CONTROL, HOST_NUMBER, MARK, REFERENCE, ZmqPlatform, seal, unseal
from .status import open_status
from .stopwatch import Measured, make_scheduler
from .values import decode, encode
from .worker_output import Forwarder

_log = logging.getLogger("lahar.worker")
# ms of waiting after which the service is asked to look for a deadlock: doubled each time
_IMPATIENT, _PATIENT = 8, 256
_LOOK_UP = 0.0005  # seconds between looks at the sockets while there is always something to compute


class Worker:
    """Runs one partition.

    Parameters
    ----------
    number : int
        The partition.
    control : str
        Address of the service.
    inbox : str
        Address to which the service and peers connect.
    secret : bytes
        Seal of this network.
    platform : ZmqPlatform, optional
        Where sockets and the clock come from.
    status : mutable sequence of int, optional
        Takes the present time step and phase.
    forwarding : bool
        Whether what models log and print goes to the service.
    """

    def __init__(
        self,
        number: int,
        control: str,
        inbox: str,
        secret: bytes,
        platform: Any = None,
        status: Any = None,
        forwarding: bool = False,
    ) -> None:
        self._number = number
        self._secret = secret
        self._platform = platform or ZmqPlatform()
        self._status = status if status is not None else [0, 0]
        self._protocol = wp.WorkerProtocol()
        self._clock: Callable[[], float] = self._platform.clock
        self._scheduler = Scheduler(self._clock)
        self._engine: Engine | None = None
        self._links: WorkerLinks | None = None
        self._mailbox = self._platform.mailbox(inbox)
        self._control = self._platform.outlet(control)
        self._seal = seal(CONTROL, number, secret)
        self._forwarder = Forwarder(self._send) if forwarding else None
        self._peers: dict[int, Peer] = {}
        self._barrier = Barrier(self._scheduler)
        self._todo: wp.Advance | None = None
        self._lockstep = False
        self._received: dict[int, int] = {}  # messages of other workers
        self._executing = False
        self._final = False  # the run was held, and ends where it was granted to
        self._resting = False
        self._why = ""  # the run was held
        self._domains_ended = False  # as said to the service
        self._ended = False
        self._ticks = 0
        self._patience = _IMPATIENT
        self._next_look = 0.0
        self._send(m.Hello(self._platform.pid, inbox))

    def _send(self, message: m.Message) -> None:
        head, *buffers = m.encode(message)
        if buffers:
            self._control.send_multipart([self._seal + head, *buffers], copy=False)
        else:
            self._control.send(self._seal + head)

    # --- main loop ----------------------------------------------------------------------------

    def serve(self) -> None:
        """Execute what the service asks for until it says to end."""
        while not self._ended:
            if self._todo is None:
                frames = self._mailbox.receive()
                if frames is not None:
                    self._take(frames)
                    self._flush()
                continue
            todo, self._todo = self._todo, None
            self._run(todo.grant)
        self._platform.close()

    def _take(self, frames: list[bytes]) -> None:
        """Deal with one message."""
        try:
            what, sender = unseal(frames, self._secret)
        except RemoteProtocolError as error:
            _log.warning("worker %d ignored %s", self._number, error)
            return
        if what == CONTROL:
            self._feed(m.decode(frames))
            return
        if sender != HOST_NUMBER:
            self._received[sender] = self._received.get(sender, 0) + 1
        if what == MARK:
            self._barrier.take(sender, frames[0])
        elif what == REFERENCE:
            message = unpack(frames)
            cluster = self._running.shared.get(message[1])
            if cluster is None:
                raise RemoteProtocolError(f"worker {sender} named cluster {message[1]}")
            cluster.receive(sender, message)
            self._barrier.wake()
        else:
            assert self._links is not None
            self._links.deliver(frames)
            if sender == HOST_NUMBER:
                self._barrier.wake()

    def _take_waiting(self) -> None:
        """Deal with everything that has arrived."""
        while not self._ended:
            frames = self._mailbox.take()
            if frames is None:
                return
            self._take(frames)

    def _feed(self, event: wp.Event) -> None:
        for action in self._protocol.receive(event):
            match action:
                case wp.Send():
                    self._send(action.message)
                case wp.BuildModels():
                    self._build(action)
                case wp.Access():
                    self._access(action.message)
                case wp.Advance():
                    if self._executing:
                        self._final = bool(action.grant.final)
                        if self._running.extend(dict(enumerate(action.grant.limits))):
                            self._domains_ended = False
                        self._barrier.wake()
                    else:
                        self._todo = action
                case wp.Halt():
                    self._halt(action.why)
                case wp.LetRest():
                    self._resting = True
                    self._running.tell_free(self._why)
                case wp.Report():
                    self._report_condition(action.round)
                case wp.GiveUp():
                    self._give_up(action.domain, action.phase)
                case wp.End():
                    self._ended = True
                    if self._executing:
                        raise Interrupted

    def _halt(self, why: str) -> None:
        engine = self._running
        engine.halt()
        self._why = why
        self._todo = None  # a grant that has not been begun
        self._send(m.Holding(_pairs(engine.steps)))
        self._barrier.wake()

    def _report_condition(self, number: int) -> None:
        """Tell whether anything can happen here without a message from outside, and who waits for what."""
        self._flush()
        engine = self._engine
        if self._executing:
            self._look_after_strands()  # whoever will rest must be known of before it is found waiting
        idle = not self._executing and self._todo is None
        waits = engine.blocked_actors() if engine is not None else []
        others = {k: peer for k, peer in self._peers.items() if k != HOST_NUMBER}
        self._send(
            m.Condition(
                number,
                int(idle or (self._executing and self._scheduler.stuck)),
                [[k, peer.batches] for k, peer in others.items()],
                [[k, n] for k, n in self._received.items()],
                [[b.port, b.operation, b.peer, b.phase, b.step, b.where, b.since, b.capacity] for b in waits],
                engine.ended() if engine is not None else [],
            )
        )

    def _give_up(self, domain: int, phase: int) -> None:
        here = self._engine.domains.get(domain) if self._engine is not None else None
        if phase and self._executing and here is not None and self._barrier.end_with(here, phase):
            return
        self._todo = None
        if self._executing:
            raise Interrupted
        self._report_abort()

    def _report_abort(self) -> None:
        self._send(m.Aborted(self._engine.step if self._engine else 0))

    @property
    def _running(self) -> Engine:
        assert self._engine is not None
        return self._engine

    def describe(self, frame: FrameType | None) -> str:
        """Return what every actor is doing; `frame` is where this worker is."""
        head = f"worker {self._number} (pid {os.getpid()}) {self._protocol.state.name}"
        if self._engine is None:
            return f"{head}, no models built"
        return f"{head}, time step {self._engine.step}:\n{describe_actors(self._engine, frame)}"

    # --- building -------------------------------------------------------------------------------

    def _build(self, action: wp.BuildModels) -> None:
        plan: Plan | None = None
        if self._forwarder is not None:
            self._forwarder.install(action.log_level)
        try:
            plan = pickle.loads(action.plan[0])
            self._connect(plan, action.peers)
            self._scheduler = self._barrier.scheduler = make_scheduler(plan, self._clock)
            self._links = WorkerLinks(plan, self._number, self._scheduler, self._peers)
            self._engine = Engine(plan, self._number, self._scheduler, self._links)
            self._prepare(self._engine)
        except BuildError as error:
            assert plan is not None
            release_memory(error.__cause__)
            self._fail_build(build_failure(error, plan))
        except Exception as error:  # the plan does not unpickle: a module is missing in this process
            name, summary = f"worker {self._number}", f"{type(error).__name__}: {error}"
            self._fail_build(Failure(name, "Worker", "build", 0, summary, format_error(error), error))
        else:
            self._feed(wp.ModelsBuilt())

    def _fail_build(self, failure: Failure) -> None:
        self._feed(wp.ModelsFailed(0, 0, 0, pack_failures([failure])))

    def _connect(self, plan: Plan, addresses: list[str]) -> None:
        part = plan.partition
        self._lockstep = plan.sync == "lockstep"
        ends = [(c.source[0], c.destination[0]) for c in plan.channels]
        ends += [(r.port[0], r.owner) for r in plan.references]
        others = {part[k] for pair in ends if self._number in (part[pair[0]], part[pair[1]]) for k in pair}
        sharing: dict[int, set[int]] = {}  # workers of each domain that executes phases
        for where, domain in zip(part, plan.domain, strict=True):
            if not plan.domains[domain].is_async:
                sharing.setdefault(domain, set()).add(where)
        if self._lockstep:
            others |= {k for workers in sharing.values() if self._number in workers for k in workers}
        for other in sorted(others - {self._number}):
            outlet = self._platform.outlet(addresses[other])
            ahead = plan.lookahead.get((self._number, other))
            self._peers[other] = Peer(self._number, outlet, self._secret, ahead)
        if any(part[pipe.process] == self._number for pipe in plan.pipes):
            self._peers[HOST_NUMBER] = host = Peer(self._number, self._control, self._secret, None)
            host.batch_steps = sys.maxsize  # whenever the sockets are looked at
        for domain, workers in sharing.items():
            if self._lockstep and self._number in workers:
                neighbours = [self._peers[k] for k in sorted(workers - {self._number})]
                self._barrier.connect(
                    domain, neighbours, [p for k, p in self._peers.items() if k not in workers]
                )

    def _prepare(self, engine: Engine) -> None:
        paced = engine.plan.paced_domains()
        for number, domain in engine.domains.items():
            domain.status = self._status
            if self._barrier.is_shared(number):
                domain.exchange = self._barrier.exchange
            domain.begin_step = self._begin_paced_step if number in paced else self._begin_step
        for free in engine.free:
            free.on_poll = self._poll

    # --- executing --------------------------------------------------------------------------------

    def _run(self, grant: m.Grant) -> None:
        engine = self._running
        limits = dict(enumerate(grant.limits))
        self._final, self._resting, self._domains_ended = bool(grant.final), False, False
        self._next_look = 0.0
        if grant.final:
            engine.set_limits(limits)
            if grant.final > 1 and not engine.unfinished:
                self._feed(wp.NothingToDo())
                return
        else:
            engine.begin_run(limits, grant.num_steps)
        if engine.unfinished and not self._execute():
            return
        self._flush()
        self._report_wishes()
        self._feed(wp.RunEnded(_pairs(engine.steps)))

    def _execute(self) -> bool:
        """Run the engine; return False if the run cannot go on (reported already)."""
        engine = self._running
        error: LaharError | None = None
        self._executing = True
        try:
            engine.run(self._wait)
        except Interrupted:
            pass
        except LaharError as broken:
            error = broken
        except Exception as bug:  # of Lahar itself: the user must see it, and where
            error = LocalProtocolError(f"worker {self._number} failed: {format_error(bug)}")
        finally:
            self._executing = False
        for _, raised in engine.scheduler.failures:
            release_memory(raised)
        number = engine.failed_domain()
        failures = engine.take_failures()
        if failures or error is not None:
            engine.scheduler.abandon()
            report = pack_failures(failures) if failures else cloudpickle.dumps(error)
            domain = engine.domains.get(number)
            phase = domain.phases if domain is not None and domain.exchange is not None else 0
            self._feed(wp.ModelsFailed(engine.step, max(number, 0), phase, report))
            return False
        if self._protocol.state is wp.State.ABORTED:
            self._report_abort()
            return False
        return not self._ended

    def _report_wishes(self) -> None:
        """Tell the service what models asked for in domains that have halted."""
        wishes = self._running.take_wishes()
        if wishes:
            self._feed(wp.Wished(self._running.step, int(wishes)))

    def _begin_paced_step(self, domain: LoihiDomain) -> None:
        """Begin no time step before every actor that waits for the host has what it needs."""
        self._barrier.await_host(domain)
        self._begin_step(domain)

    def _begin_step(self, domain: LoihiDomain) -> None:
        """Between time steps: send what is due, and look at the sockets now and then."""
        del domain
        self._ticks += 1
        for peer in self._peers.values():
            if self._ticks % peer.batch_steps == 0:
                peer.flush()
        if self._clock() >= self._next_look:
            self._look()

    def _look(self) -> None:
        """Send what waits, and take what has arrived."""
        self._next_look = self._clock() + _LOOK_UP
        self._flush()
        self._take_waiting()
        self._look_after_strands()

    def _poll(self) -> None:
        """An asynchronous actor looks for commands of the host."""
        try:
            self._look()
            if self._scheduler.failures:
                raise Interrupted
        except Interrupted as interruption:  # not for the model to see
            self._scheduler.interrupt(interruption)

    def _look_after_strands(self) -> None:
        """Where several strands run, one may have ended while others go on."""
        engine = self._running
        if not engine.free and len(engine.domains) == 1:
            return
        self._report_wishes()
        all_ended = not any(d.active for d in engine.domains.values())
        if self._final and all_ended and not self._domains_ended and self._protocol.state is wp.State.RUNNING:
            self._domains_ended = True
            self._feed(wp.DomainsEnded(_pairs(engine.steps)))

    def _wait(self) -> bool:
        """Every unfinished actor waits: wait for messages of others."""
        engine = self._running
        if engine.scheduler.failures or self._barrier.is_last(engine.domains):
            raise Interrupted
        self._flush()
        self._look_after_strands()
        if self._resting:
            return False
        if not self._peers and not self._final and self._protocol.goes_on:
            engine.check_deadlock()
        frames = self._mailbox.receive(self._patience)
        if frames is None:
            self._patience = min(2 * self._patience, _PATIENT)
            self._send(m.Waiting())
            return True
        self._patience = _IMPATIENT
        self._take(frames)
        self._take_waiting()
        return True

    def _flush(self) -> None:
        if self._links is not None:
            self._links.relieve()
        if self._forwarder is not None:
            self._forwarder.flush()
        for peer in self._peers.values():
            peer.flush()

    # --- Vars -------------------------------------------------------------------------------------

    def _access(self, message: m.Message) -> None:
        request = message.request  # type: ignore[attr-defined]
        try:
            match message:
                case m.Get():
                    answer: m.Message = self._read(message)
                case m.Set():
                    self._running.set(message.var, decode(message.header, list(message.buffers)))
                    answer = m.SetDone(request)
                case _:
                    outboxes = self._links.outboxes if self._links is not None else {}
                    counts = [[c, o.sent, o.sent_bytes] for c, o in outboxes.items()]
                    measured = self._engine.measured() if self._engine else None
                    measured = measured or Measured([], [], [])
                    answer = m.Counted(request, counts, measured.calls, measured.ports, measured.totals)
        except Exception as error:
            answer = m.Refused(request, (pack_error(error),))
        self._send(answer)

    def _read(self, message: m.Get) -> m.Values:
        if message.vars:
            values = {var: self._running.get(var) for var in message.vars}
        else:
            values = self._engine.readable() if self._engine else {}
        headers, counts, buffers = [], [], []
        for value in values.values():
            header, parts = encode(value)
            headers.append(header)
            counts.append(len(parts))
            buffers.extend(parts)
        # not copied: no model runs before the service has got the values
        return m.Values(message.request, list(values), headers, counts, tuple(buffers))


def _pairs(steps: dict[int, int]) -> list[list[int]]:
    return [[domain, step] for domain, step in steps.items()]


def main(number: int, control: str, inbox: str, secret: bytes, status: str) -> int:
    """Entry point of a forked worker; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to handle
    try:
        worker = Worker(number, control, inbox, secret, status=open_status(status, number), forwarding=True)
        print_on_signal(worker.describe)
        worker.serve()
    except Exception as error:
        failure = f"lahar worker {number} (pid {os.getpid()}) failed:\n{format_error(error)}"
        print(failure, file=sys.__stderr__)
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
