"""The inline launcher: the whole network in the calling OS process, for debuggers and coverage."""

from __future__ import annotations

import os
import queue
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from lahar.compiler.plan import ChannelSpec, PipeSpec, Plan
from lahar.processes.errors import LaharError, LocalProtocolError, StateError

from .actors import BuildError
from .deadlock import HOST
from .domains import LoihiDomain
from .engine import Engine, Interrupted, build_failure
from .inspection import describe_actors, present_frame
from .outcome import Outcome
from .pipes import HostSender, PipeInbox, PipeOutbox, break_pipes, make_host_ends
from .reports import format_error
from .scheduler import Scheduler, Wait
from .sequencer import Need, Wishes
from .stopwatch import Measured, make_scheduler

_ENDLESS = sys.maxsize


class InlineNetwork:
    """Runs a Plan with one engine; the counterpart of `LocalNetwork` without workers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None
        self._outcome: Outcome | None = None
        self._halting = False
        self._why = "pause"
        self._wishes = Wishes()
        self._asked_for: dict[int, int] = {}
        self._abandoned = False
        # what other threads have for the engine: messages and credits of pipes; None to make it look
        self._letters: queue.SimpleQueue[tuple[str, int, Any] | None] = queue.SimpleQueue()
        self._paced: list[Any] = []  # suspended between time steps
        names = [f"{plan.processes[p.process].name}.{p.port}" for p in plan.pipes]
        self.pipes = make_host_ends(
            plan.pipes,
            names,
            lambda k, message: self._letters.put(("message", k, message)),
            lambda k, count: self._letters.put(("credit", k, count)),
        )

    @property
    def step(self) -> int:
        return self._engine.step if self._engine else 0

    @property
    def engine(self) -> Engine:
        assert self._engine is not None
        return self._engine

    def open(self) -> Outcome:
        """Build all models."""
        try:
            scheduler = make_scheduler(self._plan)
            self._links = _HostLinks(scheduler, self)
            self._engine = Engine(self._plan, 0, scheduler, self._links)
        except BuildError as error:
            return Outcome(0, failures=[build_failure(error, self._plan)])
        paced = self._plan.paced_domains()
        for number, domain in self._engine.domains.items():
            if number in paced:
                domain.begin_step = self._begin_paced_step
            elif self._plan.pipes or len(self._engine.domains) + len(self._engine.free) > 1:
                domain.begin_step = self._begin_step
        for free in self._engine.free:
            free.on_poll = self._poll
        return Outcome(0)

    def start(self, steps: int | None, blocking: bool) -> None:
        """Run `steps` time steps (None: until halted), in this thread if `blocking`."""
        engine = self.engine
        # set here and never in the thread, so that a halt cannot be overwritten
        limits = {k: _ENDLESS if steps is None else done + steps for k, done in engine.steps.items()}
        if not self.prepare(limits, _ENDLESS if steps is None else steps):
            return
        # a suspended asynchronous actor goes on in the thread in which it was called
        if blocking and not engine.free:
            with _end_step_on_interrupt(self):
                self._run()
            return
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name="lahar-inline", daemon=True)
            self._runs: queue.SimpleQueue[threading.Event | None] = queue.SimpleQueue()
            self._thread.start()
        self._done = threading.Event()
        self._runs.put(self._done)

    def prepare(self, limits: dict[int, int], num_steps: int) -> bool:
        """Set the last time step of each domain; return False if the run has ended before it has begun."""
        self._halting = False
        open_wish = self._wishes.serve()  # a stop that a pause went before
        if open_wish or num_steps == 0:
            self._outcome = Outcome(self.step, open_wish)
            return False
        self._outcome = None
        self._asked_for = limits
        self.engine.begin_run(limits, num_steps)
        return True

    def _serve(self) -> None:
        """Body of the thread that runs what does not block the caller."""
        while (done := self._runs.get()) is not None:
            self._run()
            done.set()
        # suspended asynchronous actors are unwound in their own thread
        self.engine.scheduler.abandon()

    _done: threading.Event | None = None

    def _run(self) -> None:
        engine = self.engine
        error: LaharError | None = None
        try:
            if engine.unfinished:
                engine.run(self._wait)
        except Interrupted:
            pass
        except LaharError as broken:
            error = broken
        except KeyboardInterrupt:
            error = StateError(f"The run was interrupted in the middle of time step {self.step}.")
        except Exception as bug:  # of Lahar itself: the user must see it, and where
            error = LocalProtocolError(f"the engine failed: {format_error(bug)}")
        self._take_wishes()
        failures = engine.take_failures()
        if failures or error is not None:
            engine.scheduler.abandon()
        self._outcome = Outcome(self.step, self._wishes.serve(), failures, error)
        break_pipes(self.pipes, self._outcome)

    def _take_wishes(self) -> None:
        """Where several strands run, one may have ended with a request while others go on: halt them."""
        wishes = self.engine.take_wishes()
        if wishes:
            self._wishes.add(wishes)
            self._begin_halt("stop" if self._wishes.next is Need.STOP else "pause")

    # --- waiting ----------------------------------------------------------------------------------

    def _wait(self) -> bool:
        """Every actor waits: for the host, or for ever."""
        engine = self.engine
        self._take_wishes()
        if self._read_letters():
            return True
        if self._abandoned or engine.scheduler.failures:
            raise Interrupted
        if self._let_rest():
            return False  # asynchronous actors rest where they are
        if self._halting and engine.go_on_for_others(self._asked_for):
            return True
        if not any(wait.peer == HOST for wait in engine.scheduler.blocked.values()):
            engine.check_deadlock()
        self._take_letter(self._letters.get())
        return True

    def _read_letters(self) -> bool:
        """Take what other threads have sent; return whether there was anything."""
        any_letter = False
        while not self._letters.empty():
            self._take_letter(self._letters.get())
            any_letter = True
        return any_letter

    def _take_letter(self, letter: tuple[str, int, Any] | None) -> None:
        if letter is not None:
            what, pipe, content = letter
            if what == "message":
                self._links.inboxes[pipe].deliver(content)
            else:
                self._links.outboxes[pipe].add_credit(content)
        for sleeper in self._paced:
            self.engine.scheduler.wake(sleeper)
        self._paced.clear()

    def _begin_step(self, domain: LoihiDomain) -> None:
        del domain
        self._read_letters()
        self._take_wishes()
        if self._abandoned:
            raise Interrupted

    def _begin_paced_step(self, domain: LoihiDomain) -> None:
        """Begin no time step before every actor that waits for the host has what it needs."""
        from greenlet import getcurrent

        self._begin_step(domain)
        while domain.sequencer.may_begin_step and (actor := domain.held_up_by()) is not None:
            self._paced.append(getcurrent())
            self.engine.scheduler.block(Wait(f"{actor.name}.pipe", "step", HOST))

    def _poll(self) -> None:
        """An asynchronous actor looks for commands of the host."""
        self._read_letters()
        self._take_wishes()
        self._let_rest()
        if self._abandoned or self.engine.scheduler.failures:
            self.engine.scheduler.interrupt(Interrupted())

    # --- the end of a run -----------------------------------------------------------------------------

    def join(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the end of the run; None if it has not ended in time."""
        if self._done is not None:
            if not self._done.wait(timeout):
                return None
            self._done = None
        return self._outcome

    def halt(self, why: str = "pause") -> None:
        """Make the run end with the present time step."""
        self._begin_halt(why)
        self._letters.put(None)

    def _begin_halt(self, why: str) -> None:
        self._why = why
        self._halting = True
        self.engine.halt()

    def _let_rest(self) -> bool:
        """Tell asynchronous actors of a halt once all time steps are done; return whether that is so."""
        if not self._halting or any(d.active for d in self.engine.domains.values()):
            return False
        self.engine.tell_free(self._why)
        return True

    def waits_for_host(self) -> list[str]:
        """Return the ports at which the run waits for the host in the middle of a time step."""
        blocked = [*self.engine.scheduler.blocked.values()] if self._engine is not None else []
        return [w.port for w in blocked if w.peer == HOST and w.operation != "step"]

    def ignoring(self) -> list[str]:
        """Return the asynchronous processes that keep a halted run from ending, if it is only them."""
        engine = self._engine
        if engine is None or not self._halting:
            return []
        late = {f.actor.name for f in engine.free if f.active}
        if any(d.active for d in engine.domains.values()):
            late &= engine.awaited()
        return sorted(late)

    def abandon(self) -> None:
        """Make the run end in the middle of a time step, as soon as an actor waits or a step ends."""
        self._abandoned = True
        self._letters.put(None)

    def get(self, var_id: int) -> Any:
        return _copy(self.engine.get(var_id))

    def set(self, var_id: int, value: Any) -> None:
        self.engine.set(var_id, value)

    def snapshot(self) -> dict[int, Any]:
        """Return the values of all Vars."""
        return {k: _copy(v) for k, v in self._engine.readable().items()} if self._engine else {}

    def statistics(self) -> dict[int, tuple[int, int]]:
        return {}

    def measurements(self) -> list[Measured]:
        """Return what has been measured, if the Plan asks for it."""
        measured = self._engine.measured() if self._engine else None
        return [] if measured is None else [measured]

    def describe(self, frame: Any) -> str:
        """Return what every actor is doing; `frame` is where the main thread is."""
        return describe_actors(self.engine, present_frame(self._thread, frame))

    def workers(self) -> dict[int, int]:
        """Partition -> pid."""
        return {0: os.getpid()}

    def close(self) -> None:
        if self._thread is not None:
            self.halt("stop")
            self.abandon()
            self._runs.put(None)
            self._thread.join()
            self._thread = None
        self._engine = None


class _HostLinks:
    """Pipes between the engine and other threads of the same OS process."""

    def __init__(self, scheduler: Scheduler, network: InlineNetwork) -> None:
        self._scheduler = scheduler
        self._network = network
        self.inboxes: dict[int, PipeInbox] = {}
        self.outboxes: dict[int, PipeOutbox] = {}

    def make_pipe_inbox(self, pipe: PipeSpec, name: str) -> PipeInbox:
        peer: Any = _HostPeer(self._network)
        dtype = np.dtype(pipe.dtype)
        inbox = PipeInbox(self._scheduler, peer, pipe.id, HOST, name, pipe.capacity, pipe.shape, dtype)
        self.inboxes[pipe.id] = inbox
        return inbox

    def make_pipe_outbox(self, pipe: PipeSpec, name: str) -> PipeOutbox:
        peer: Any = _HostPeer(self._network)
        outbox = PipeOutbox(self._scheduler, peer, pipe.id, name, HOST, pipe.capacity)
        self.outboxes[pipe.id] = outbox
        return outbox

    def make_outbox(self, channel: ChannelSpec, source: str, destination: str) -> Any:
        del channel
        raise LocalProtocolError(f"{source} to {destination}: an inline network has one partition")

    make_inbox = make_outbox

    def post(self, worker: int, frames: list[Any]) -> None:
        del frames
        raise LocalProtocolError(f"an inline network has no worker {worker}")


class _HostPeer:
    """Hands messages and credits to the host's ends at once."""

    def __init__(self, network: InlineNetwork) -> None:
        self._network = network

    def add(self, outbox: PipeOutbox, message: Any) -> None:
        end = self._network.pipes[outbox.channel]
        end.deliver(message)  # type: ignore[union-attr]

    def return_credit(self, channel: int, count: int) -> None:
        end = self._network.pipes[channel]
        assert isinstance(end, HostSender)
        end.add_credit(count)

    def flush(self) -> None:
        """Nothing waits here."""


@contextmanager
def _end_step_on_interrupt(network: InlineNetwork) -> Iterator[None]:
    """Let Ctrl-C end the run with the present time step, so that the network remains usable.

    A second Ctrl-C interrupts the model itself, which fails the run and says where it was.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if not in_main_thread or signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
        yield
        return
    interrupted = False

    def halt(*_: object) -> None:
        nonlocal interrupted
        if interrupted:
            raise KeyboardInterrupt
        interrupted = True
        network.halt()

    signal.signal(signal.SIGINT, halt)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if interrupted:
        raise KeyboardInterrupt


def _copy(value: Any) -> Any:
    return value.copy() if hasattr(value, "copy") else value
