"""The worker process: sockets and pickles around the engine and the worker's protocol."""

from __future__ import annotations

import logging
import os
import pickle
import signal
import sys
import time
from collections.abc import Iterable
from contextlib import suppress
from typing import Any

import cloudpickle
import numpy as np
import zmq
from greenlet import getcurrent

from lahar.compiler.plan import ChannelSpec, Plan
from lahar.processes.errors import LaharError, LocalProtocolError, RemoteProtocolError
from lahar.processes.model import Phase

from . import messages as m
from . import worker_protocol as wp
from .actors import BuildError
from .channels import Inbox, Outbox
from .engine import Engine, Failure, Interrupted, build_failure
from .peers import Peer
from .scheduler import Call, Scheduler, Wait
from .sockets import CONTROL, MARK, open_socket, seal, unseal, waiting
from .values import decode, encode
from .wire import ChannelFormat, decode_batch, decode_mark, encode_mark

_log = logging.getLogger("lahar.worker")
_PATIENCE = 250  # ms of waiting after which the service is asked to look for a deadlock
_LOOK_UP = 0.0005  # seconds between looks at the sockets while there is always something to compute
_PROGRESS = 0.1  # seconds between progress messages


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
    """

    def __init__(self, number: int, control: str, inbox: str, secret: bytes) -> None:
        self._number = number
        self._secret = secret
        self._protocol = wp.WorkerProtocol()
        self._scheduler = Scheduler()
        self._engine: Engine | None = None
        self._context = zmq.Context(io_threads=1)
        self._inbox = open_socket(self._context, zmq.PULL)
        self._inbox.setsockopt(zmq.RCVTIMEO, _PATIENCE)
        self._inbox.bind(inbox)
        self._control = open_socket(self._context, zmq.PUSH)
        self._control.connect(control)
        self._seal = seal(CONTROL, number, secret)
        self._peers: dict[int, Peer] = {}
        self._outboxes: dict[int, Outbox] = {}
        self._inboxes: dict[int, Inbox] = {}
        self._formats: dict[int, ChannelFormat] = {}
        self._peer_sockets: dict[int, Any] = {}
        self._todo: wp.Advance | None = None
        self._lockstep = False
        self._phases = 0  # phases finished, in lockstep
        self._marks: dict[int, list[int]] = {}  # what other workers ask for, by number of phase
        self._at_barrier: Any = None
        self._last_phase = 0  # the one to give up after, in a network that has failed
        self._received: dict[int, int] = {}  # messages of other workers
        self._executing = False
        self._ended = False
        self._ticks = 0
        self._next_look = self._next_progress = 0.0
        self._send(m.Hello(os.getpid(), inbox))

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
                with suppress(zmq.Again):
                    self._take(self._inbox.recv_multipart())
                    self._flush()
                continue
            todo, self._todo = self._todo, None
            self._run_steps(todo.limit)
        for socket in (self._control, self._inbox, *self._peer_sockets.values()):
            socket.close()
        self._context.term()

    def _take(self, frames: list[bytes]) -> None:
        """Deal with one message."""
        try:
            what, sender = unseal(frames, self._secret)
        except RemoteProtocolError as error:
            _log.warning("worker %d ignored %s", self._number, error)
            return
        if what != CONTROL:
            self._received[sender] = self._received.get(sender, 0) + 1
        if what == MARK:
            self._take_mark(frames[0])
            return
        if what == CONTROL:
            self._feed(m.decode(frames))
            return
        batch = decode_batch(frames, self._formats)
        for channel, message in batch.messages:
            inbox = self._inboxes[channel]
            if inbox.full:
                raise RemoteProtocolError(f"partition {batch.sender} overran channel {channel}")
            inbox.deliver(message)
        for channel, count in batch.credits:
            self._outboxes[channel].add_credit(count)

    def _take_mark(self, frame: bytes) -> None:
        number, needs = decode_mark(frame)
        self._marks.setdefault(number, []).append(needs)
        if self._at_barrier is not None:
            self._scheduler.wake(self._at_barrier)
            self._at_barrier = None

    def _take_waiting(self) -> None:
        """Deal with everything that has arrived."""
        while not self._ended and waiting(self._inbox):
            self._take(self._inbox.recv_multipart(zmq.NOBLOCK))

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
                        self._running.sequencer.limit = action.limit
                    else:
                        self._todo = action
                case wp.Halt():
                    sequencer = self._running.sequencer
                    sequencer.limit = sequencer.step
                    self._todo = None  # a grant that has not been begun
                    self._send(m.Holding(sequencer.step))
                case wp.Report():
                    self._report_condition(action.round)
                case wp.GiveUp():
                    self._give_up(action.phase)
                case wp.End():
                    self._ended = True
                    if self._executing:
                        raise Interrupted

    def _report_condition(self, number: int) -> None:
        """Tell whether anything can happen here without a message from outside, and who waits for what."""
        self._flush()
        idle = not self._executing and self._todo is None
        waits = self._engine.blocked_actors() if self._engine is not None else []
        self._send(
            m.Condition(
                number,
                int(idle or (self._executing and self._scheduler.stuck)),
                [[k, peer.batches] for k, peer in self._peers.items()],
                [[k, n] for k, n in self._received.items()],
                [[b.port, b.operation, b.peer, b.phase, b.step, b.where] for b in waits],
            )
        )

    def _give_up(self, phase: int) -> None:
        if phase > self._phases and self._executing:
            self._last_phase = phase  # others have finished all phases before it, so this worker can
            return
        self._todo = None
        if self._executing:
            raise Interrupted
        self._report_abort()

    def _report_abort(self) -> None:
        self._send(m.Aborted(self._engine.sequencer.step if self._engine else 0))

    @property
    def _running(self) -> Engine:
        assert self._engine is not None
        return self._engine

    # --- building -------------------------------------------------------------------------------

    def _build(self, action: wp.BuildModels) -> None:
        plan: Plan | None = None
        try:
            plan = pickle.loads(action.plan[0])
            self._connect(plan, action.peers)
            self._engine = Engine(plan, self._number, self._scheduler, self._make_outbox, self._make_inbox)
        except BuildError as error:
            assert plan is not None
            self._feed(wp.ModelsFailed(0, 0, pack_failures([build_failure(error, plan)])))
        except Exception as error:  # the plan does not unpickle: a module is missing in this process
            failure = Failure(
                f"worker {self._number}",
                "Worker",
                "build",
                0,
                f"{type(error).__name__}: {error}",
                _format(error),
                error,
            )
            self._feed(wp.ModelsFailed(0, 0, pack_failures([failure])))
        else:
            self._feed(wp.ModelsBuilt())

    def _connect(self, plan: Plan, addresses: list[str]) -> None:
        self._part = plan.partition
        self._lockstep = plan.sync == "lockstep" and plan.partitions > 1
        others = {
            self._part[end[0]]
            for channel in plan.crossing()
            if self._number in (self._part[channel.source[0]], self._part[channel.destination[0]])
            for end in (channel.source, channel.destination)
        }
        for other in range(plan.partitions) if self._lockstep else sorted(others):
            if other != self._number:
                socket = open_socket(self._context, zmq.PUSH)
                socket.connect(addresses[other])
                self._peer_sockets[other] = socket
                ahead = plan.lookahead.get((self._number, other))
                self._peers[other] = Peer(self._number, socket, self._secret, ahead)

    def _make_outbox(self, channel: ChannelSpec, source: str, destination: str) -> Outbox:
        peer = self._peers[self._part[channel.destination[0]]]
        peer.add_channel(channel.capacity)
        outbox = Outbox(self._scheduler, peer, channel.id, source, destination, channel.capacity)
        self._outboxes[channel.id] = outbox
        return outbox

    def _make_inbox(self, channel: ChannelSpec, source: str, destination: str) -> Inbox:
        peer = self._peers[self._part[channel.source[0]]]
        dtype = np.dtype(channel.dtype)
        inbox = Inbox(
            self._scheduler, peer, channel.id, source, destination, channel.capacity, channel.shape, dtype
        )
        self._inboxes[channel.id] = inbox
        self._formats[channel.id] = ChannelFormat(channel.shape, dtype, channel.sparse, channel.capacity)
        return inbox

    # --- executing --------------------------------------------------------------------------------

    def _execute(self, advance: Any) -> bool:
        """Run the scheduler; return False if the run cannot go on (reported already)."""
        engine = self._running
        error: LaharError | None = None
        self._executing = True
        try:
            engine.scheduler.run(advance, self._wait)
        except Interrupted:
            pass
        except LaharError as broken:
            error = broken
        except Exception as bug:  # of Lahar itself: the user must see it, and where
            error = LocalProtocolError(f"worker {self._number} failed: {_format(bug)}")
        finally:
            self._executing = False
        failures = engine.take_failures()
        if failures or error is not None:
            engine.scheduler.abandon()
            report = pack_failures(failures) if failures else cloudpickle.dumps(error)
            phase = self._phases + 1 if self._lockstep else 0
            self._feed(wp.ModelsFailed(engine.sequencer.step, phase, report))
            return False
        if self._protocol.state is wp.State.ABORTED:
            self._report_abort()
            return False
        return not self._ended

    def _run_steps(self, limit: int) -> None:
        engine = self._running
        engine.sequencer.limit = limit
        self._next_look = 0.0
        if limit <= engine.sequencer.step:  # the last step of a run: requests still open are for the next one
            self._feed(wp.StepsEnded(engine.sequencer.step, 0))
        elif self._execute(self._next_calls):
            self._flush()
            self._feed(wp.StepsEnded(engine.sequencer.step, int(engine.sequencer.take_wish())))

    def _next_calls(self) -> Iterable[Call] | None:
        engine = self._running
        calls = engine.next_calls(self._exchange if self._lockstep else None)
        # not at the end of a run: a grant that arrived now would find nobody to carry it out
        if calls is not None and engine.phase is Phase.SPK:
            self._tick()
        return calls

    def _exchange(self, needs: int) -> int:
        """Wait until all workers have finished the phase; return what the actors of all ask for.

        The mark travels behind the messages of the phase, so that these have arrived when the next phase
        begins. One hop from worker to worker takes half as long as a round trip over the service.
        """
        self._phases += 1
        frame = encode_mark(self._phases, needs)
        for peer in self._peers.values():
            peer.mark(frame)
        if self._phases == self._last_phase:
            raise Interrupted
        while len(self._marks.get(self._phases, ())) < len(self._peers):
            self._at_barrier = getcurrent()
            self._scheduler.block(Wait("worker", "barrier", "other workers"))
        for others in self._marks.pop(self._phases, ()):
            needs |= others
        return needs

    def _tick(self) -> None:
        """Between time steps: send what is due, and look at the sockets now and then."""
        self._ticks += 1
        for peer in self._peers.values():
            if self._ticks % peer.batch_steps == 0:
                peer.flush()
        now = time.perf_counter()
        if now >= self._next_look:
            self._next_look = now + _LOOK_UP
            self._flush()
            self._take_waiting()
            if now >= self._next_progress:
                self._next_progress = now + _PROGRESS
                self._send(m.Progress(self._running.sequencer.step))

    def _wait(self) -> None:
        """Every unfinished actor waits: make one go on, or wait for messages of others."""
        engine = self._running
        if engine.quiet():
            return
        in_last_phase = self._last_phase == self._phases + 1 and self._at_barrier is None
        if engine.scheduler.failures or in_last_phase:
            raise Interrupted
        if not self._peers:
            engine.check_deadlock()
        self._flush()
        try:
            self._take(self._inbox.recv_multipart())
        except zmq.Again:
            self._send(m.Waiting())
            return
        self._take_waiting()

    def _flush(self) -> None:
        for inbox in self._inboxes.values():
            inbox.relieve()
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
                    counts = [[c, o.sent, o.sent_bytes] for c, o in self._outboxes.items()]
                    answer = m.Counted(request, counts)
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


def pack_error(error: BaseException) -> bytes:
    """Pickle an exception; one that does not survive the journey is replaced by its text."""
    try:
        packed: bytes = cloudpickle.dumps(error)
        pickle.loads(packed)
    except Exception:
        return bytes(cloudpickle.dumps(LaharError(f"{type(error).__name__}: {error}")))
    return packed


def pack_failures(failures: list[Failure]) -> bytes:
    """Pickle failures; exceptions that do not survive the journey are left out, their text remains."""
    from dataclasses import replace

    kept = []
    for failure in failures:
        try:
            pickle.loads(cloudpickle.dumps(failure.error))
        except Exception:
            failure = replace(failure, error=None)  # noqa: PLW2901
        kept.append(failure)
    return bytes(cloudpickle.dumps(kept))


def _format(error: BaseException) -> str:
    import traceback

    return "".join(traceback.format_exception(error))


def main(number: int, control: str, inbox: str, secret: bytes) -> int:
    """Entry point of a forked worker; returns the exit status."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is the host's to handle
    try:
        Worker(number, control, inbox, secret).serve()
    except Exception as error:
        print(f"lahar worker {number} (pid {os.getpid()}) failed:\n{_format(error)}", file=sys.stderr)
        return 70
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0
