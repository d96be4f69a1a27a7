"""The inline launcher: the whole network in the calling OS process, for debuggers and coverage."""

from __future__ import annotations

import signal
import sys
import threading
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from lahar.compiler.plan import Plan
from lahar.processes.errors import LaharError, LocalProtocolError, StateError

from .actors import BuildError
from .engine import Engine, build_failure
from .outcome import Outcome

_ENDLESS = sys.maxsize


class InlineNetwork:
    """Runs a Plan with one engine; the counterpart of `LocalNetwork` without workers."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._engine: Engine | None = None
        self._thread: threading.Thread | None = None
        self._outcome: Outcome | None = None

    @property
    def step(self) -> int:
        return self._engine.sequencer.step if self._engine else 0

    @property
    def engine(self) -> Engine:
        assert self._engine is not None
        return self._engine

    def open(self) -> Outcome:
        """Build all models."""
        try:
            self._engine = Engine(self._plan, 0)
        except BuildError as error:
            return Outcome(0, failures=[build_failure(error, self._plan)])
        return Outcome(0)

    def start(self, steps: int | None, blocking: bool) -> None:
        """Run `steps` time steps (None: until halted), in this thread if `blocking`."""
        self._outcome = None
        # set here and never in the thread, so that a halt cannot be overwritten
        self.engine.sequencer.limit = _ENDLESS if steps is None else self.step + steps
        if blocking:
            with _end_step_on_interrupt(self):
                self._run()
        else:
            self._thread = threading.Thread(target=self._run, name="lahar-inline", daemon=True)
            self._thread.start()

    def _run(self) -> None:
        engine = self.engine
        error: LaharError | None = None
        try:
            engine.run()
        except LaharError as broken:
            error = broken
        except KeyboardInterrupt:
            error = StateError(f"The run was interrupted in the middle of time step {self.step}.")
        except Exception as bug:  # of Lahar itself: the user must see it, and where
            error = LocalProtocolError(f"the engine failed: {''.join(traceback.format_exception(bug))}")
        self._outcome = Outcome(self.step, engine.sequencer.take_wish(), engine.take_failures(), error)

    def join(self, timeout: float | None = None) -> Outcome | None:
        """Wait for the end of the run; None if it has not ended in time."""
        if self._thread is not None:
            self._thread.join(timeout)
            if self._thread.is_alive():
                return None
            self._thread = None
        return self._outcome

    def halt(self) -> None:
        """Make the run end with the present time step."""
        self.engine.sequencer.limit = 0

    def get(self, var_id: int) -> Any:
        return _copy(self.engine.get(var_id))

    def set(self, var_id: int, value: Any) -> None:
        self.engine.set(var_id, value)

    def snapshot(self) -> dict[int, Any]:
        """Return the values of all Vars."""
        return {k: _copy(v) for k, v in self._engine.readable().items()} if self._engine else {}

    def statistics(self) -> dict[int, tuple[int, int]]:
        return {}

    def workers(self) -> dict[int, int]:
        """Partition -> pid."""
        import os

        return {0: os.getpid()}

    def close(self) -> None:
        if self._thread is not None:
            self.halt()
            self._thread.join()
        self._engine = None


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
