"""Where the time of a run goes, and what the processes send: a profiler for simulated networks."""

from __future__ import annotations

import uuid
import weakref
from collections.abc import Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from lahar.compiler import Plan, RunConfig
from lahar.compiler.text import as_text
from lahar.processes.errors import ArgumentTypeError, StateError
from lahar.processes.model import Phase

from .stopwatch import ASYNC, Measured

if TYPE_CHECKING:
    from .runtime import Runtime

_NANOSECOND = 1e-9


@dataclass(frozen=True)
class Profile:
    """What was measured in the runs of a network so far.

    Printed, it is a table. Times are seconds of wall-clock time, so other programs on the machine lengthen them.

    Attributes
    ----------
    steps : int
        Time steps executed.
    calls : structured ndarray
        For every process and phase that was executed: `process`, `class_name`, `partition`, `phase` (``"SPK"``,
        ``"PRE_MGMT"``, ``"LRN"``, ``"POST_MGMT"``; ``"ASYNC"`` for asynchronous models), `calls`, `seconds` in
        which it computed, and `waiting`, the seconds that it was suspended in the middle of a call, for a
        message or for room in a channel.
    ports : structured ndarray
        For every connected OutPort: `process`, `port`, `messages` (one per connection each time it sends),
        `bytes` in them, and `events`, the number of elements sent that are not zero: spikes, for a spiking
        neuron, counted once however many connections the port has.
    workers : structured ndarray
        For every partition: `partition`, `seconds` that it ran, and `waiting`, the seconds of those in which
        every process in it waited for messages.
    """

    steps: int
    calls: np.ndarray
    ports: np.ndarray
    workers: np.ndarray

    def __str__(self) -> str:
        tables = [self._table_of_calls(), *([self._table_of_ports()] if len(self.ports) else [])]
        return as_text(*tables, *self._lines_of_workers()).rstrip("\n")

    def _table_of_calls(self) -> Any:
        total = self.calls["seconds"].sum() or 1.0
        headings = (
            "process",
            "partition",
            "phase",
            "calls",
            "time (ms)",
            "us/call",
            "share (%)",
            "waits (ms)",
        )
        rows = [
            (
                f"{c['process']} ({c['class_name']})",
                c["partition"],
                c["phase"],
                c["calls"],
                f"{1e3 * c['seconds']:.2f}",
                f"{1e6 * c['seconds'] / max(c['calls'], 1):.1f}",
                f"{100 * c['seconds'] / total:.1f}",
                f"{1e3 * c['waiting']:.2f}",
            )
            for c in self.calls[np.argsort(-self.calls["seconds"], kind="stable")]
        ]
        return _table(f"{self.steps} time steps: where the time goes", headings, rows)

    def _table_of_ports(self) -> Any:
        steps = max(self.steps, 1)
        rows = [
            (
                f"{p['process']}.{p['port']}",
                *(f"{p[name] / steps:.3g}" for name in ("messages", "bytes", "events")),
            )
            for p in self.ports
        ]
        return _table("what is sent, per time step", ("port", "messages", "bytes", "events"), rows)

    def _lines_of_workers(self) -> Iterable[str]:
        for worker in self.workers:
            models = self.calls["seconds"][self.calls["partition"] == worker["partition"]].sum()
            rest = max(worker["seconds"] - models - worker["waiting"], 0.0)
            shares = 100 * np.array([models, worker["waiting"], rest]) / (worker["seconds"] or 1.0)
            yield (
                f"partition {worker['partition']}: {worker['seconds']:.3f} s, of which {shares[0]:.0f} % models, "
                f"{shares[1]:.0f} % waiting for others, {shares[2]:.0f} % between models"
            )


def _table(title: str, headings: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> Any:
    from rich.table import Table

    table = Table(title=title)
    for k, heading in enumerate(headings):
        table.add_column(heading, justify="right" if k and heading != "phase" else "left")
    for row in rows:
        table.add_row(*map(str, row))
    return table


def to_profile(plan: Plan, measured: list[Measured]) -> Profile:
    """Put together what the workers have measured."""
    phases = {int(phase): phase.name for phase in Phase} | {ASYNC: "ASYNC"}
    calls, ports, workers, steps = [], [], [], 0
    for part in measured:
        for process, phase, count, busy, waiting in part.calls:
            spec = plan.processes[process]
            where = (spec.name, spec.class_name, plan.partition[process], phases[phase])
            calls.append((process, phase, (*where, count, busy * _NANOSECOND, waiting * _NANOSECOND)))
        for process, port, *counts in part.ports:
            spec = plan.processes[process]
            ports.append((process, port, (spec.name, spec.out_ports[port].name, *counts)))
        partition, step, running, idle = part.totals
        steps = max(steps, step)
        workers.append((partition, 0, (partition, running * _NANOSECOND, idle * _NANOSECOND)))
    text, number, time = object, np.int64, np.float64
    return Profile(
        steps,
        _records(
            calls,
            process=text,
            class_name=text,
            partition=number,
            phase=text,
            calls=number,
            seconds=time,
            waiting=time,
        ),
        _records(ports, process=text, port=text, messages=number, bytes=number, events=number),
        _records(workers, partition=number, seconds=time, waiting=time),
    )


def _records(rows: list[Any], **fields: Any) -> np.ndarray:
    """Return rows of (place, place, values) as a structured array, ordered by place."""
    values = [row for _, _, row in sorted(rows, key=lambda row: row[:2])]
    return np.array(values, dtype=list(fields.items()))


class CPUProfiler:
    """Measures the networks that run with a run configuration from now on; made by `Profiler.init`.

    Parameters
    ----------
    run_cfg : RunConfig
    """

    def __init__(self, run_cfg: RunConfig) -> None:
        self._runtime: Runtime | None = None
        run_cfg.profile = uuid.uuid4().hex
        _profilers[run_cfg.profile] = self

    @property
    def profile(self) -> Profile:
        """What was measured in the network that was started last.

        Raises
        ------
        StateError
            None has been started.
        """
        if self._runtime is None:
            raise StateError(
                "No network has been started with the profiled run configuration yet. Profiler.init comes before the "
                "network is compiled; a second call takes the place of the first."
            )
        return self._runtime.profile()

    def __str__(self) -> str:
        return str(self.profile)


class Profiler:
    """Makes profilers."""

    #: Class of a run configuration -> class of its profiler, which also serves subclasses.
    run_cfg_dict: ClassVar[dict[type, type]] = {RunConfig: CPUProfiler}

    @staticmethod
    def init(run_cfg: RunConfig) -> Any:
        """Return a profiler for the networks that are compiled with `run_cfg` from now on.

        Parameters
        ----------
        run_cfg : RunConfig

        Returns
        -------
        CPUProfiler
            Unless `run_cfg_dict` has another class for this kind of configuration.

        Raises
        ------
        ArgumentTypeError
            `run_cfg` is not a run configuration.

        Notes
        -----
        A second profiler for the same configuration takes the place of the first, for networks that are compiled
        later. A profiled network computes the same bits. It takes some microseconds longer per call of a model and
        message.

        Examples
        --------
        >>> from lahar.processes import LIF
        >>> from lahar.runtime import Loihi2SimCfg, Profiler, RunSteps
        >>> lif, run_cfg = LIF(shape=(3,), bias_mant=1, name="lif"), Loihi2SimCfg(launcher="inline")
        >>> profiler = Profiler.init(run_cfg)
        >>> with lif:
        ...     lif.run(RunSteps(num_steps=50), run_cfg)
        >>> profiler.profile.calls[["process", "phase", "calls"]].tolist()
        [('lif', 'SPK', 50)]
        """
        if not isinstance(run_cfg, RunConfig):
            raise ArgumentTypeError(
                f"Profiler.init takes a run configuration such as Loihi2SimCfg(), not {run_cfg!r}."
            )
        for cls in type(run_cfg).__mro__:
            if cls in Profiler.run_cfg_dict:
                return Profiler.run_cfg_dict[cls](run_cfg)
        return CPUProfiler(run_cfg)


_profilers: weakref.WeakValueDictionary[str, CPUProfiler] = weakref.WeakValueDictionary()


def tell_profiler(runtime: Runtime) -> None:
    """Let the profiler for whom a Plan was compiled know who runs it."""
    profiler = _profilers.get(runtime.plan.profile)
    if profiler is not None:
        profiler._runtime = runtime
