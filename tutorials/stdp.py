"""Spike-timing-dependent plasticity between two neurons, run over several OS processes.

Two spike trains drive two LIF neurons, and a plastic synapse connects the first neuron to the second. The
script runs the network, says which process of the network ran in which OS process and what crossed between
them, and draws spikes, traces, the weight and the learning window.

    python tutorials/stdp.py --partitions 2 --tag fixed_pt --out stdp.png

The notebook 01_stdp.ipynb tells the same step by step. Needs matplotlib (``pip install 'lahar[plot]'``).
"""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from rich.console import Console
from rich.table import Table

from lahar import compiler
from lahar.processes import LIF, Dense, LearningDense, Monitor, SourceRingBuffer, STDPLoihi
from lahar.processes.errors import PlacementError, ValidationError
from lahar.runtime import Loihi2SimCfg, RunSteps

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

TAGS = ("floating_pt", "fixed_pt")
INITIAL_WEIGHT = 50

# Okabe and Ito's palette, which the colour-blind can tell apart
PRE, POST, WEIGHT = "#D55E00", "#0072B2", "#222222"
WEAKER, STRONGER = "#CC79A7", "#009E73"


@dataclass
class Network:
    """The processes that the rest of the script asks something of, and the rule."""

    tag: str
    steps: int
    rule: STDPLoihi
    plastic_dense: LearningDense
    monitors: dict[str, Monitor]


@dataclass
class Recording:
    """What a run left behind: one row per time step, and how the run went.

    `spikes` and `traces` are keyed by ``"pre"`` and ``"post"``; `seconds` by what took that long.
    """

    tag: str
    rule: STDPLoihi
    spikes: dict[str, np.ndarray]
    traces: dict[str, np.ndarray]
    weight: np.ndarray
    plan: compiler.Plan
    pids: dict[int, int]
    channels: dict[str, tuple[int, int]]
    seconds: dict[str, float] = field(default_factory=dict)

    def spike_times(self, neuron: str) -> np.ndarray:
        """Return the indices of the steps (from 0) in which the neuron fired."""
        return np.flatnonzero(self.spikes[neuron])

    def weight_changes(self) -> list[tuple[int, float, float]]:
        """Return (time step counted from 1, new weight, change) for each step that changed the weight."""
        before = np.concatenate([[INITIAL_WEIGHT], self.weight[:-1]])
        steps = np.flatnonzero(self.weight != before)
        return [(int(t) + 1, float(self.weight[t]), float(self.weight[t] - before[t])) for t in steps]

    def window(self) -> list[tuple[int, float]]:
        """Return (t_post - t_pre, weight change) of the last spike pair before each weight change."""
        pre, post = self.spike_times("pre"), self.spike_times("post")
        points = []
        for t, _, change in self.weight_changes():
            earlier_pre, earlier_post = pre[pre < t], post[post < t]
            if earlier_pre.size and earlier_post.size:
                points.append((int(earlier_post[-1] - earlier_pre[-1]), change))
        return points


def build(tag: str, steps: int = 200) -> Network:
    """Connect the network; `tag` chooses floating-point or fixed-point models at compile time."""
    np.random.seed(123)  # noqa: NPY002 - the rule, too, draws from the global state: its seed for rounding
    rasters = {name: (np.random.rand(1, 200) < 0.03).astype(int) for name in ("pre", "post")}  # noqa: NPY002
    rule = STDPLoihi(learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=4)

    neurons = {}
    for name, raster in rasters.items():
        pattern = SourceRingBuffer(data=raster, name=f"pattern_{name}")
        input_synapse = Dense(weights=np.eye(1) * 250, name=f"input_{name}")
        # No memory from one step to the next: every input spike makes one output spike.
        decay = 1 if tag == "floating_pt" else 4095
        neuron = LIF(
            shape=(1,), u=0, v=0, du=decay, dv=decay, bias_mant=0, bias_exp=0, vth=240, name=f"lif_{name}"
        )
        pattern.s_out.connect(input_synapse.s_in)
        input_synapse.a_out.connect(neuron.a_in)
        neurons[name] = neuron

    plastic_dense = LearningDense(
        weights=np.eye(1) * INITIAL_WEIGHT, learning_rule=rule, name="plastic_dense"
    )
    neurons["pre"].s_out.connect(plastic_dense.s_in)
    plastic_dense.a_out.connect(neurons["post"].a_in)
    neurons["post"].s_out.connect(plastic_dense.s_in_bap)

    monitors = {}
    for name, target in {
        "x1": plastic_dense.x1,
        "y1": plastic_dense.y1,
        "spikes_pre": neurons["pre"].s_out,
        "spikes_post": neurons["post"].s_out,
        "weights": plastic_dense.weights,
    }.items():
        monitors[name] = Monitor(name=f"monitor_{name}")
        monitors[name].probe(target, num_steps=steps)
    return Network(tag, steps, rule, plastic_dense, monitors)


def run(
    network: Network, partitions: int | str = "auto", sync: str = "auto", progress: bool | str = True
) -> Recording:
    """Compile the network, run it over `partitions` OS processes, and return what was recorded."""
    run_cfg = Loihi2SimCfg(select_tag=network.tag, partitions=partitions, sync=sync, progress=progress)
    clock = {"begin": time.perf_counter()}
    plan = compiler.compile(network.plastic_dense, run_cfg)
    clock["compile"] = time.perf_counter()
    with network.plastic_dense as entry:
        entry.create_runtime(executable=plan)
        clock["start workers"] = time.perf_counter()
        entry.run(condition=RunSteps(num_steps=network.steps))
        clock["run"] = time.perf_counter()
        pids = entry.runtime.worker_pids()
        channels = entry.runtime.channel_counts()
        data = {name: _only_array(monitor.get_data()) for name, monitor in network.monitors.items()}
    clock["stop workers"] = time.perf_counter()
    names, times = list(clock)[1:], list(clock.values())
    return Recording(
        tag=network.tag,
        rule=network.rule,
        spikes={"pre": data["spikes_pre"], "post": data["spikes_post"]},
        traces={"pre": data["x1"], "post": data["y1"]},
        weight=data["weights"],
        plan=plan,
        pids=pids,
        channels=channels,
        seconds=dict(zip(names, np.diff(times).tolist(), strict=True)),
    )


def _only_array(data: dict[str, dict[str, np.ndarray]]) -> np.ndarray:
    """Return what a monitor with a single probe recorded of a single neuron or synapse."""
    ((members,),) = [data.values()]
    ((rows,),) = [members.values()]
    return rows.reshape(len(rows))


# --- the figures --------------------------------------------------------------------------------


def figure(recording: Recording) -> Figure:
    """Draw spikes, traces and the weight over time, and the learning window, on one page."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(12.5, 7.2), layout="constrained")
    page.get_layout_engine().set(w_pad=0.06, h_pad=0.05)
    numerics = {"floating_pt": "floating point", "fixed_pt": "fixed point"}[recording.tag]
    page.suptitle(f"Spike-timing-dependent plasticity between two neurons ({numerics})", fontsize=13)
    columns = page.add_gridspec(1, 2, width_ratios=[1.25, 1.0])
    left = columns[0].subgridspec(4, 1, height_ratios=[0.8, 1, 1, 1.25])
    over_time = [page.add_subplot(left[0])]
    over_time += [page.add_subplot(left[k], sharex=over_time[0]) for k in (1, 2, 3)]
    window = page.add_subplot(columns[1])

    draw_spikes(over_time[0], recording)
    draw_trace(over_time[1], recording.traces["pre"], "Pre trace", PRE)
    draw_trace(over_time[2], recording.traces["post"], "Post trace", POST)
    draw_weight(over_time[3], recording)
    for ax in over_time[:-1]:
        ax.tick_params(labelbottom=False)
    over_time[-1].set_xlabel("Time step")
    over_time[-1].set_xlim(0, len(recording.weight) + 1)
    page.align_ylabels(over_time)
    draw_window(window, recording)

    for letter, ax in zip("ABCDE", [*over_time, window], strict=True):
        ax.set_title(letter, loc="left", fontweight="bold", fontsize=11)
        ax.spines[["top", "right"]].set_visible(False)
        ax.grid(color="0.92", linewidth=0.8)
        ax.set_axisbelow(True)
    over_time[0].grid(visible=False, axis="y")
    return page


def draw_spikes(ax: Axes, recording: Recording) -> None:
    """Draw one row of ticks per neuron, at the index (from 0) of the step in which it fired."""
    for row, (neuron, colour) in enumerate({"post": POST, "pre": PRE}.items(), start=1):
        ax.eventplot(
            recording.spike_times(neuron), lineoffsets=row, linelengths=0.8, linewidths=1.6, colors=colour
        )
    ax.set_title("Spike arrival", fontsize=11)
    ax.set_yticks([1, 2], ["Post", "Pre"])
    ax.set_ylim(0.4, 2.6)
    ax.set_ylabel("Neurons")


def draw_trace(ax: Axes, values: np.ndarray, title: str, colour: str) -> None:
    """Draw a trace, which the connection updates at the end of each epoch."""
    steps = np.arange(1, len(values) + 1)
    ax.step(steps, values, color=colour, linewidth=1.5)
    ax.set_title(title, fontsize=11)
    ax.set_ylabel("Trace value")
    ax.set_ylim(0, 1.12 * max(values.max(), 1))


def draw_weight(ax: Axes, recording: Recording) -> None:
    """Draw the weight, with a dot where it changed."""
    steps = np.arange(1, len(recording.weight) + 1)
    ax.step(steps, recording.weight, color=WEIGHT, linewidth=1.5)
    for t, weight, change in recording.weight_changes():
        ax.plot(t, weight, marker="o", markersize=4.5, color=STRONGER if change > 0 else WEAKER)
    ax.set_title("Weight dynamics", fontsize=11)
    ax.set_ylabel("Weight value")
    ax.margins(y=0.15)


def draw_window(ax: Axes, recording: Recording) -> None:
    """Draw each weight change over the last spike pair before it, and what one isolated pair would do."""
    rule = recording.rule
    points = recording.window()
    reach = max((abs(lag) for lag, _ in points), default=0) or 4 * max(rule.tau_plus, rule.tau_minus)
    scale = {product.dependency: product.scale for product in rule.dw.products}

    def weaker(lags: np.ndarray) -> np.ndarray:  # at a pre spike, by the post trace
        return scale["x0"] * rule.y1_impulse * np.exp(lags / rule.tau_minus)

    def stronger(lags: np.ndarray) -> np.ndarray:  # at a post spike, by the pre trace
        return scale["y0"] * rule.x1_impulse * np.exp(-lags / rule.tau_plus)

    before, after = np.linspace(-reach, 0, 1000), np.linspace(0, reach, 1000)
    ax.axhline(0, color="0.75", linewidth=0.8)
    ax.axvline(0, color="0.75", linewidth=0.8)
    ax.plot(before, weaker(before), color=WEAKER, linewidth=1.8, linestyle="--", label="W−, one pair")
    ax.plot(after, stronger(after), color=STRONGER, linewidth=1.8, label="W+, one pair")
    if points:
        lags, changes = np.array(points, dtype=float).T
        theory = np.where(lags < 0, weaker(np.minimum(lags, 0)), stronger(np.maximum(lags, 0)))
        ax.vlines(lags, theory, changes, color="0.6", linewidth=1.0, linestyle=":")
        ax.plot(
            lags, changes, "o", color=POST, markersize=6.5, markeredgecolor="white", label="Weight changes"
        )
        note = "Dots leave the W− curve where y1\nsums several post spikes"
        if recording.tag == "fixed_pt":
            note += ", and by\nthe rounding of fixed-point numbers"
    else:
        note = f"The weight did not change\nin {len(recording.weight)} time steps"
    ax.text(0.97, 0.04, note, transform=ax.transAxes, ha="right", va="bottom", fontsize=9, color="0.3")
    ax.set_title("STDP weight changes - Learning window", fontsize=11)
    ax.set_xlabel(r"$t_\mathrm{post} - t_\mathrm{pre}$ (time steps)")
    ax.set_ylabel("Weight change")
    ax.margins(y=0.08)
    ax.legend(loc="upper left", frameon=False)


def plan_figure(plan: compiler.Plan) -> Figure:
    """Draw which process runs in which partition."""
    from matplotlib.figure import Figure

    page = Figure(figsize=(12.5, 4.5), layout="constrained")
    plan.draw(page.add_subplot())
    return page


# --- the report ---------------------------------------------------------------------------------


def report(console: Console, recording: Recording) -> None:
    """Print where everything ran, what crossed, when the weight changed and how long it took."""
    plan = recording.plan
    console.print(
        f"STDP tutorial, {recording.tag}, {len(recording.weight)} time steps, rng_seed "
        f"{recording.rule.rng_seed}\n{len(plan.processes)} processes in {plan.partitions} partition(s), "
        f"sync {plan.sync}"
    )
    for reason in [*plan.sync_reasons, *plan.notes]:
        console.print(f"  ({reason})")

    where = _table(console, "Which process ran in which OS process", "partition", "pid", "processes")
    for partition, pid in sorted(recording.pids.items()):
        members = [
            f"{process.name} ({process.class_name})"
            for process, its_partition in zip(plan.processes, plan.partition, strict=True)
            if its_partition == partition
        ]
        where.add_row(str(partition), str(pid), "\n".join(members))
    console.print(where)

    if recording.channels:
        crossed = _table(console, "Channels between OS processes", "channel", "messages", "bytes")
        for name, (messages, size) in recording.channels.items():
            crossed.add_row(name, str(messages), str(size))
        console.print(crossed)
    else:
        console.print("No channel crosses: all processes share one OS process.\n")

    changes = recording.weight_changes()
    if changes:
        trajectory = _table(console, "The weight, from 50", "time step", "weight", "change")
        for t, weight, change in changes:
            digits = 6 if recording.tag == "floating_pt" else 0
            trajectory.add_row(str(t), f"{weight:.{digits}f}", f"{change:+.{digits}f}")
        console.print(trajectory)
    else:
        console.print(f"The weight did not change in {len(recording.weight)} time steps.\n")

    total = sum(recording.seconds.values())
    parts = ", ".join(f"{name} {seconds:.3f} s" for name, seconds in recording.seconds.items())
    console.print(f"Wall time {total:.3f} s: {parts}")


def _table(console: Console, title: str, *headings: str) -> Table:
    """Return a table: with lines on a terminal, else plain columns for pipes and logs."""
    plain: dict[str, Any] = {} if console.is_terminal else {"box": None, "title_justify": "left"}
    table = Table(title=title, **plain)
    for heading in headings:
        text = heading in ("processes", "channel")
        table.add_column(heading, justify="left" if text else "right", no_wrap=not console.is_terminal)
    return table


def main(argv: Sequence[str] | None = None) -> int:
    """Run the script; return its exit status."""
    parser = argparse.ArgumentParser(
        description="STDP between two neurons, run over several OS processes.",
        epilog="The environment variables LAHAR_PARTITIONS, LAHAR_SYNC and LAHAR_LAUNCHER change the defaults.",
    )
    parser.add_argument("--partitions", default="auto", help="number of OS processes, or auto (the default)")
    parser.add_argument("--tag", choices=TAGS, default=TAGS[0], help="numerics (default: %(default)s)")
    parser.add_argument("--steps", type=int, default=200, help="time steps (default: %(default)s)")
    parser.add_argument("--sync", choices=("auto", "lockstep", "elastic"), default="auto")
    parser.add_argument("--out", type=Path, default=Path("stdp.png"), help="figure (default: %(default)s)")
    options = parser.parse_args(argv)
    if not options.out.parent.is_dir():
        parser.error(f"--out: there is no directory {options.out.parent}")
    try:
        import matplotlib  # noqa: F401 - before the run, not after it
    except ImportError:
        parser.error("the figures need matplotlib: pip install 'lahar[plot]'")
    try:
        recording = run(build(options.tag, options.steps), options.partitions, options.sync)
    except (ValidationError, PlacementError) as error:
        parser.error(str(error))

    console = Console(highlight=False)
    if not console.is_terminal:
        console = Console(highlight=False, width=110)
    report(console, recording)
    plan_path = options.out.with_name(f"{options.out.stem}_plan{options.out.suffix}")
    figure(recording).savefig(options.out, dpi=150)
    plan_figure(recording.plan).savefig(plan_path, dpi=150)
    console.print(f"Figure: {options.out}\nPlan:   {plan_path}", soft_wrap=True)
    return 0


if __name__ == "__main__":
    sys.exit(main())
