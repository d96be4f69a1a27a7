"""The Runtime: starts a compiled network and is what `Process.run` talks to."""

from __future__ import annotations

import atexit
import logging
import sys
import threading
import time
import weakref
from typing import Any

import numpy as np

from lahar.compiler import Plan, network_processes
from lahar.processes.errors import (
    ArgumentTypeError,
    DtypeError,
    ShapeError,
    StateError,
    ValidationError,
    VarIndexError,
)
from lahar.processes.kernels import choose_by_environment
from lahar.processes.process import AbstractProcess
from lahar.processes.var import part_of

from .inline import InlineNetwork
from .inspection import watch_host
from .membership import enlist, members_of, refuse_running, refuse_strangers
from .outcome import Outcome
from .pipes import HostReceiver, HostSender
from .profiler import Profile, tell_profiler, to_profile
from .progress import progress_bar
from .run_conditions import AbstractRunCondition, RunContinuous, RunSteps
from .sequencer import Need
from .stopwatch import Measured

_log = logging.getLogger("lahar.runtime")
_GLANCE = 0.25  # seconds between looks at a run that does not end
_HINT = 1.0  # seconds after which somebody who waits is told why
_GRACE = 5.0  # seconds that asynchronous models have to react to stop()

_open: weakref.WeakSet[Runtime] = weakref.WeakSet()


class Runtime:
    """Runs a Plan.

    Parameters
    ----------
    exe : Plan
        What `lahar.compiler.compile` returned.
    message_infrastructure_type : optional
        Accepted for compatibility; the Plan says how the network is launched.
    loglevel : int

    Notes
    -----
    As a context manager, entering builds the network and leaving stops it. Methods may be called from
    any thread. `Process.run` and `Process.create_runtime` make a Runtime; one made by hand does the same:

    >>> from lahar import compiler
    >>> from lahar.processes import LIF
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps, Runtime
    >>> lif = LIF(shape=(2,), bias_mant=3)
    >>> runtime = Runtime(exe=compiler.compile(lif, Loihi2SimCfg(select_tag="floating_pt", launcher="inline")))
    >>> runtime.initialize()
    >>> runtime.start(run_condition=RunSteps(num_steps=3))
    >>> lif.v.get()
    array([9., 9.])
    >>> runtime.stop()
    """

    def __init__(self, exe: Plan, message_infrastructure_type: Any = None, loglevel: int = 30) -> None:
        if not isinstance(exe, Plan):
            raise ArgumentTypeError(
                f"Runtime takes a Plan (see lahar.compiler.compile), not {type(exe).__name__}."
            )
        del message_infrastructure_type
        self.plan = exe
        self.loglevel = loglevel
        self.num_steps = 0
        self._network: Any = None
        self._is_initialized = False
        self._is_started = False
        self._is_running = False
        self._closed = ""
        self._final: dict[int, Any] = {}
        self._names = {v.id: f"{p.name}.{v.name}" for p in exe.processes for v in p.vars}
        self._unheld: dict[int, str] = {}  # Vars of hierarchical processes that stand for no other
        self._statistics: dict[int, tuple[int, int]] = {}
        self._measured: list[Measured] = []
        self._workers: dict[int, int] = {}
        self._lock = threading.RLock()
        self._members: list[AbstractProcess] | None = None  # if known before they are looked for
        self._recorders: list[Any] = []
        self._step = 0
        self._stopping = False

    # --- life ---------------------------------------------------------------------------------

    @property
    def is_closed(self) -> bool:
        """Whether the network has been stopped or has failed."""
        return bool(self._closed)

    @property
    def closed_because(self) -> str:
        return self._closed

    @property
    def step(self) -> int:
        """Last time step that every actor has completed (while paused)."""
        return self._step

    def initialize(self, node_cfg_idx: int = 0) -> None:
        """Start the workers and build all models; from then on the Processes of the Plan use this Runtime.

        Raises
        ------
        StateError
            A Process of the Plan belongs to a network that has been started.
        ModelError
            The constructor of a model raised.
        ValidationError
            The network has changed since the Plan was compiled, or the environment variable LAHAR_KERNELS has a value
            that cannot work.
        """
        del node_cfg_idx
        with self._lock:
            if self._is_initialized:
                return
            self._refuse_closed("initialize")
            members = members_of(self.plan) if self._members is None else self._members
            refuse_running(members)
            choose_by_environment()
            if self.plan.launcher == "inline":
                self._network = InlineNetwork(self.plan)
            else:
                from .local import LocalNetwork

                self._network = LocalNetwork(self.plan)
            _open.add(self)
            watch_host(lambda: (r for r in list(_open) if r._is_initialized))
            try:
                outcome = self._network.open()
            except BaseException:
                self._close("could not be started")
                raise
            if outcome.failed:
                self._close("could not be built")
                outcome.raise_if_failed()
            self._workers = self._network.workers()
            self._is_initialized = True
            self._recorders = [p for p in members if hasattr(p, "check_capacity")]
            self._unheld = {v.id: v.path for p in members for v in p.vars if v.id not in self._names}
            enlist(members, self)
            if self.plan.profile:
                tell_profiler(self)

    def start(self, run_condition: AbstractRunCondition) -> None:
        """Run the network.

        Raises
        ------
        StateError
            The network is running or has been stopped.
        ModelError, WorkerDiedError, DeadlockError
            The run failed (if it is blocking; else `wait`, `pause` or `stop` raise).
        """
        if not isinstance(run_condition, (RunSteps, RunContinuous)):
            raise ValidationError(f"RunSteps or RunContinuous expected, not {run_condition!r}.", "condition")
        with self._lock:
            if not self._is_initialized and not self._closed:
                raise StateError("The runtime has not been initialised: call initialize() first.")
            self._refuse_closed("run")
            self._collect()
            if self._is_running:
                raise StateError(
                    "The network is running; call wait(), pause() or stop() before running it again."
                )
            steps = run_condition.num_steps if isinstance(run_condition, RunSteps) else None
            for process in self._recorders:
                process.check_capacity(self.step, steps)
            self.num_steps = sys.maxsize if steps is None else steps
            self._is_started = self._is_running = True
            shown = self.plan.progress
            with progress_bar(shown if run_condition.blocking else False, self._network, steps):
                try:
                    self._network.start(steps, run_condition.blocking)
                    if run_condition.blocking:
                        self._finish(self._await())
                except KeyboardInterrupt:
                    self._network.halt("pause")
                    self._finish(self._await())
                    raise

    def wait(self) -> None:
        """Wait until a non-blocking run has ended."""
        with self._lock:
            if self._is_running:
                self._finish(self._await())

    def pause(self) -> None:
        """End the run after a time step that is the same for every actor of a sync domain.

        Raises
        ------
        StateError
            The run waits for the host in the middle of a time step, at an external pipe. It ends with this
            step, once the host has sent or taken what it waits for.
        """
        self._halt("pause")
        with self._lock:
            self._halt("pause")  # a run that another thread has begun meanwhile
            if self._is_running:
                self._finish(self._await(pausing=True))

    def _halt(self, why: str) -> None:
        network = self._network
        if self._is_running and network is not None:
            network.halt(why)

    def stop(self) -> None:
        """End the run and the network; Vars stay readable.

        A run that waits for the host in the middle of a time step is ended there; so is one that waits for an
        asynchronous model for some seconds. A worker with an asynchronous model that does not react within some
        seconds is killed, and the Vars in it are lost.
        """
        if self._closed or self._network is None:
            return
        self._stopping = True
        self._halt("stop")
        with self._lock:
            if self._closed:
                return
            try:
                self._halt("stop")
                self.wait()
            finally:
                if not self._closed:
                    self._close("was stopped")

    def _await(self, pausing: bool = False) -> Outcome:
        """Wait for the end of the run; do not wait for ever for somebody who cannot hear."""
        begun: float | None = None
        held: float | None = None  # since when only asynchronous processes keep the run from ending
        warned = False
        while True:
            outcome: Outcome | None = self._network.join(_GLANCE)
            if outcome is not None:
                return outcome
            if not (pausing or self._stopping):
                continue
            now = time.monotonic()
            begun = begun or now
            ports = self._network.waits_for_host()
            ignoring = self._network.ignoring()
            held = (held or now) if ignoring else None
            patience = now - held if held else 0.0
            if self._stopping and (ports or patience > _GRACE):
                if ignoring:
                    _log.warning("stop() waits no longer for %s, which does not react", ", ".join(ignoring))
                self._network.abandon()
            elif pausing and ports and now - begun > _HINT:
                raise StateError(
                    f"Cannot pause: '{', '.join(ports)}' waits for the host in the middle of a time step. Send or "
                    "receive there and the run will end with this step, or stop() the network."
                )
            elif patience > _HINT and not warned:
                warned = True
                _log.warning(
                    "waiting for %s: run_async should send what a time step needs, and return when "
                    "check_for_pause_cmd() or check_for_stop_cmd() says so",
                    ", ".join(ignoring),
                )

    def _collect(self) -> None:
        """Notice the end of a non-blocking run."""
        if self._is_running:
            outcome = self._network.join(0)
            if outcome is not None:
                self._finish(outcome)

    def _finish(self, outcome: Outcome) -> None:
        self._is_running = False
        self._step = outcome.step
        if outcome.failed:
            self._close("has failed")
            outcome.raise_if_failed()
        elif outcome.wish is Need.STOP:
            self._close("was stopped by a model")

    def _close(self, why: str) -> None:
        """Keep what can be read, end the workers, and remember why."""
        network, self._closed = self._network, why
        self._is_running = self._is_started = False
        try:
            if self._is_initialized:
                self._statistics = network.statistics()
                if self.plan.profile:
                    self._measured = network.measurements()
                self._final = network.snapshot()
        finally:
            for pipe in network.pipes.values():
                pipe.close(why)
            network.close()
            self._is_initialized = False
            _open.discard(self)

    def _refuse_closed(self, verb: str) -> None:
        if self._closed:
            raise StateError(
                f"Cannot {verb}: the network {self._closed}. Its Vars and recorded data remain readable; "
                "create_runtime(run_cfg=...) starts it anew from the initial values."
            )

    def __enter__(self) -> Runtime:
        self.initialize()
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.stop()

    # --- Vars ---------------------------------------------------------------------------------

    def get_var(self, var_id: int, idx: Any = None) -> Any:
        """Return the value of a Var (a copy).

        Raises
        ------
        StateError
            The network is running, or the Var is not held by any model.
        """
        with self._lock:
            self._check_idle("read", var_id)
            if self._closed:
                if var_id not in self._final:
                    raise StateError(
                        f"Var '{self._names[var_id]}' is not available: the network {self._closed}, and the Var could "
                        "not be read then (its worker was gone, or the model held something that is no value)."
                    )
                kept = self._final[var_id]
                value = kept.copy() if hasattr(kept, "copy") else kept
            else:
                value = self._network.get(var_id)
        return value if idx is None else part_of(value, idx, self._names[var_id])

    def holds(self, var_id: int) -> bool:
        """Whether a model of this network holds the Var (that of a hierarchical Process may stand for none)."""
        return var_id in self._names

    def set_var(self, var_id: int, value: Any, idx: Any = None) -> None:
        """Set the value of a Var; see `Var.set`."""
        with self._lock:
            self._check_idle("set", var_id)
            self._refuse_closed("set a Var")
            if not isinstance(value, str) and value is not None and not hasattr(value, "tocsr"):
                value = np.asarray(value)
                if value.dtype.kind not in "biufc":
                    raise DtypeError(f"Var '{self._names[var_id]}' cannot be set to {value!r}: no numbers.")
            if idx is not None:
                value = self._replaced(var_id, value, idx)
            self._network.set(var_id, value)

    def _replaced(self, var_id: int, part: Any, idx: Any) -> Any:
        """Return the value of a Var with the part that `idx` selects replaced."""
        whole = self._network.get(var_id)
        if not isinstance(whole, np.ndarray) or not isinstance(part, np.ndarray):
            raise DtypeError(
                f"Var '{self._names[var_id]}' holds a {type(whole).__name__}; set it as a whole, without idx."
            )
        try:
            whole[idx] = part
        except ValueError as error:
            raise ShapeError(f"Var '{self._names[var_id]}', index {idx!r}: {error}.") from None
        except IndexError as error:
            raise VarIndexError(f"Var '{self._names[var_id]}' has no part {idx!r}: {error}.") from None
        return whole

    def _check_idle(self, verb: str, var_id: int) -> None:
        if self._network is None:
            raise StateError("The runtime has not been initialised: call initialize() first.")
        if var_id not in self._names:
            name = self._unheld.get(var_id, f"number {var_id}")
            raise StateError(
                f"Cannot {verb} Var '{name}': no model of this network holds it (a Var of a hierarchical Process "
                "must alias one of a sub process)."
            )
        self._collect()
        if self._is_running:
            raise StateError(
                f"Cannot {verb} Var '{self._names[var_id]}' while the network is running: call pause() or wait() first."
            )

    # --- pipes --------------------------------------------------------------------------------

    def pipe(self, process: AbstractProcess, port: str) -> HostSender | HostReceiver:
        """Return the host's end of the external pipe at a port.

        Raises
        ------
        StateError
            The port has none in this network.
        """
        for spec in self.plan.pipes:
            if self.plan.processes[spec.process].id == process.id and spec.port == port:
                end: HostSender | HostReceiver = self._network.pipes[spec.id]
                return end
        raise StateError(
            f"'{process.name}.{port}' has no external pipe: call flag_external_pipe() before the network starts."
        )

    # --- what happened ------------------------------------------------------------------------

    def channel_counts(self) -> dict[str, tuple[int, int]]:
        """Return messages and payload bytes sent so far on every channel between partitions, by name."""
        with self._lock:
            counts = self._statistics if self._closed else self._network.statistics()
        return {self.plan.channel_name(self.plan.channels[k]): v for k, v in sorted(counts.items())}

    def profile(self) -> Profile:
        """Return what has been measured since the network was started.

        Raises
        ------
        StateError
            Nothing is measured, because the network was not compiled for a profiler, or has not been started.
        """
        if not self.plan.profile:
            raise StateError(
                "The network is not profiled: call Profiler.init(run_cfg) before it is compiled with run_cfg."
            )
        with self._lock:
            if not (self._is_initialized or self._closed):
                raise StateError("The runtime has not been initialised: call initialize() first.")
            measured = self._measured if self._closed else self._network.measurements()
        return to_profile(self.plan, measured)

    def worker_pids(self) -> dict[int, int]:
        """Return the OS process id of each partition's worker."""
        return dict(self._workers)


def compile_network(process: AbstractProcess, run_cfg: Any, compile_config: Any = None) -> Plan:
    """Compile for a process: sets no runtime."""
    from lahar.compiler import compile as compile_plan

    refuse_running(network_processes(process))
    return compile_plan(process, run_cfg, compile_config)


def start_network(
    process: AbstractProcess, run_cfg: Any, executable: Plan | None, compile_config: Any
) -> Runtime:
    """Compile if needed, make a Runtime, build the models, and hand the Runtime to every Process of the network."""
    if executable is None:
        if run_cfg is None:
            raise ValidationError("pass run_cfg, for example Loihi2SimCfg(), or an executable.", "run_cfg")
        executable = compile_network(process, run_cfg, compile_config)
    members = network_processes(process)
    refuse_strangers(process, members, executable)
    runtime = Runtime(executable, loglevel=process._log_config.level)
    runtime._members = members
    runtime.initialize()
    return runtime


@atexit.register
def _stop_all() -> None:
    for runtime in list(_open):
        if runtime._network is not None:
            runtime._network.close()
