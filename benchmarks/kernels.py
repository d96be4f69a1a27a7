"""What the innermost loops cost, in NumPy and compiled, beside a plain evaluation of the same formulas.

Prints, all measured in one run because machines differ and drift (medians; times of one table were taken in
turns):

- a learning epoch of LearningDense, beside evaluating the rule at every synapse with whole-matrix NumPy;
- synaptic events per second of Dense and Sparse, beside multiplying with the whole matrix, and the share of
  the memory bandwidth that reading the weights (and indices) of these events takes;
- nanoseconds per neuron and NumPy calls per time step of LIF;
- bytes per synapse, at rest and at the peak while a network is built.

Usage: python benchmarks/kernels.py [--quick]
"""

from __future__ import annotations

import argparse
import itertools
import os
import statistics
import subprocess
import sys
import time
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
from scipy.sparse import csr_matrix

from lahar.processes import Dense, LearningDense, LearningSparse, SourceRingBuffer, Sparse, STDPLoihi, kernels
from lahar.processes.errors import LaharWarning
from lahar.processes.fan_out import FanOut
from lahar.processes.learning.traces import decay_factor
from lahar.processes.learning_dense import PyLearningDenseModelBitApproximate, PyLearningDenseModelFloat
from lahar.processes.lif import PyLifModelBitAcc, PyLifModelFloat
from lahar.processes.synapses import weighted_sum
from lahar.runtime import Loihi2SimCfg, RunSteps

TAGS = ("floating_pt", "fixed_pt")


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="tiny sizes: checks that everything runs")
    parser.add_argument("--resident", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args(arguments)
    if options.resident:
        name, tag, size = options.resident
        print(*_resident(name, tag, int(size)))
        return
    quick = options.quick
    warnings.simplefilter("ignore", LaharWarning)
    before = kernels.Kernel.always
    kernels.Kernel.always = True  # measure compiled loops from the first step on
    try:
        names = [name for name in kernels.CHOICES if name == "numpy" or kernels.choose(None) == "numba"]
        print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, numpy {np.__version__}, {names}")
        learning(names, *((40, 3) if quick else (1000, 48)))
        sums(names, *((60, 200, 3) if quick else (2000, 20_000, 15)))
        lif(names, (1, 100) if quick else (1, 100, 10_000, 1_000_000))
        memory(300 if quick else 3000)
    finally:
        kernels.Kernel.always = before
        kernels.choose_by_environment()


def in_turns(actions: dict[str, Callable[[], Any]], repeat: int) -> dict[str, float]:
    """Return the median seconds of each action; they take turns, so that a busy machine slows all of them."""
    times: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(repeat + 1):
        for name, action in actions.items():
            begin = time.perf_counter()
            action()
            times[name].append(time.perf_counter() - begin)
    return {name: statistics.median(values[1:]) for name, values in times.items()}


def using(name: str, action: Callable[[], Any]) -> Callable[[], Any]:
    def chosen() -> None:
        kernels.choose(name)
        action()

    return chosen


# --- learning -------------------------------------------------------------------------------


class PlainRule:
    """STDP at every synapse: whole matrices, no thought for who spiked.

    ``w += A+ y0 x1(ty) - A- x0 y1(tx)`` of traces as they were when the neuron of the dependency spiked.
    """

    def __init__(self, size: int, t_epoch: int, tag: str) -> None:
        self.fixed = tag == "fixed_pt"
        self.weights = np.full((size, size), 50, np.int32 if self.fixed else np.float64)
        self.x1, self.y1 = np.zeros(size), np.zeros(size)
        self.t_epoch, self.decay = t_epoch, decay_factor(10)
        self.random = np.random.default_rng(0)

    def traces(self, start: np.ndarray, times: np.ndarray) -> np.ndarray:
        table, trace = [], start.copy()
        for k in range(1, self.t_epoch + 1):
            trace *= self.decay
            if self.fixed:
                whole = np.floor(trace)
                trace = whole + (self.random.random() < trace - whole)
            trace[times == k] += 16
            table.append(np.minimum(trace, 127) if self.fixed else trace.copy())
        start[...] = table[-1]
        return np.array(table)

    def epoch(self, tx: np.ndarray, ty: np.ndarray) -> None:
        x, y = self.traces(self.x1, tx), self.traces(self.y1, ty)
        y_at_x = y[np.maximum(tx, 1) - 1, :]  # (pre, post)
        x_at_y = x[np.maximum(ty, 1) - 1, :].T
        x0, y0 = (tx > 0)[:, None], (ty > 0)[None, :]
        w = self.weights
        if not self.fixed:
            w -= x0 * y_at_x
            w += y0 * x_at_y
            return
        acc = w << 7
        for sign, spiked, trace in ((-1, x0, y_at_x), (1, y0, x_at_y)):
            product = sign * np.clip(trace.astype(np.int32), -128, 127) << 7
            acc = np.clip(acc + spiked * product, -(2**15) - 1, 2**15 - 1)
        carry = 127 - int(self.random.random() * 128)
        w[...] = np.clip((acc + carry) >> 7, -256, 255)


def learning(names: list[str], size: int, epochs: int) -> None:
    print(
        f"\nLearningDense {size} x {size}, STDP, one epoch (ms); pre- and postsynaptic neurons fire per step"
    )
    print("  numerics     firing t_epoch kernels     ours    plain   plain/ours   synapses changed")
    cases = [(rate, t) for rate in (0.01, 1.0) for t in (1, 4, 16)]
    for tag in TAGS:
        for rate, t_epoch in cases:
            times, share = _epochs(names, size, tag, rate, t_epoch, max(15, epochs // t_epoch))
            for name in names:
                ours, plain = times[name], times["plain"]
                row = f"{1e3 * ours:8.3f} {1e3 * plain:8.3f} {plain / ours:12.1f} {share:17.1%}"
                print(f"  {tag:12s} {rate:6.0%} {t_epoch:7d} {name:7s} {row}")


def _epochs(
    names: list[str], size: int, tag: str, rate: float, t_epoch: int, count: int
) -> tuple[dict[str, float], float]:
    """Return seconds of an epoch by kernels and plain, and the share of synapses whose dependency fired."""
    rng = np.random.default_rng(1)
    steps = t_epoch * (count + 1) * len(names)
    pre, post = (rng.random((2, size, steps)) < rate).astype(int)
    rule = STDPLoihi(
        learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=t_epoch, rng_seed=1
    )
    plastic = LearningDense(weights=np.full((size, size), 50.0), learning_rule=rule)
    SourceRingBuffer(data=pre).s_out.connect(plastic.s_in)
    SourceRingBuffer(data=post).s_out.connect(plastic.s_in_bap)
    plain = PlainRule(size, t_epoch, tag)
    times: dict[str, list[float]] = {name: [] for name in (*names, "plain")}
    turns = itertools.cycle(names)  # kernels take turns, epoch by epoch, so that a busy machine slows all
    shares = []
    model = PyLearningDenseModelFloat if tag == "floating_pt" else PyLearningDenseModelBitApproximate
    run_lrn = model.run_lrn

    def timed(self: Any) -> None:
        tx, ty = self.tx.copy(), self.ty.copy()
        shares.append(1 - (tx == 0).mean() * (ty == 0).mean())
        name = next(turns)
        kernels.choose(name)
        begin = time.perf_counter()
        run_lrn(self)
        between = time.perf_counter()
        plain.epoch(tx, ty)
        times[name].append(between - begin)
        times["plain"].append(time.perf_counter() - between)

    model.run_lrn = timed  # type: ignore[method-assign]
    try:
        with plastic:
            plastic.run(RunSteps(steps), Loihi2SimCfg(select_tag=tag, launcher="inline"))
            if tag == "floating_pt" and t_epoch == 1:  # longer epochs know only the last spike of a neuron
                np.testing.assert_allclose(plastic.weights.get(), plain.weights.T)
    finally:
        del model.run_lrn
    return {name: statistics.median(each[1:]) for name, each in times.items()}, statistics.mean(shares)


# --- weighted sums --------------------------------------------------------------------------


def random_csr(size: int, density: float, dtype: Any) -> csr_matrix:
    """Return a matrix each of whose elements is stored with the given probability."""
    rng = np.random.default_rng(2)
    gaps = rng.geometric(density, int(size * size * density * 1.1) + 50)
    flat = gaps.cumsum() - 1
    flat = flat[flat < size * size]
    starts = np.searchsorted(flat, size * np.arange(size + 1))
    values = rng.integers(1, 100, len(flat)).astype(dtype)
    return csr_matrix((values, (flat % size).astype(np.int32), starts), shape=(size, size))


def bandwidth(size: int, repeat: int) -> float:
    """Return bytes per second that a copy reads and writes."""
    source = np.ones(size)
    target = np.empty_like(source)
    return 2 * source.nbytes / in_turns({"copy": lambda: np.copyto(target, source)}, repeat)["copy"]


def sums(names: list[str], dense_size: int, sparse_size: int, repeat: int) -> None:
    peak = bandwidth(1000 * sparse_size, repeat)
    print(f"\nweighted sums, 1 % of the inputs active; a copy moves {peak / 1e9:.1f} GB/s")
    print("  connection               weights  kernels  us per step   M events/s   plain/ours   bandwidth")
    rng = np.random.default_rng(3)
    for dtype, total in ((np.float64, np.float64), (np.int32, np.int64)):
        matrix = rng.integers(-99, 99, (dense_size, dense_size)).astype(dtype)
        spikes = np.zeros((repeat + 1, dense_size), bool)
        for row in spikes:
            row[rng.choice(dense_size, max(1, dense_size // 100), replace=False)] = True

        def ours(spikes: np.ndarray, matrix: Any = matrix, total: Any = total) -> Any:
            return weighted_sum(matrix, spikes, False, total)

        events = spikes[0].sum() * dense_size
        _sum_rows(
            f"Dense {dense_size}",
            names,
            spikes,
            ours,
            lambda s, m=matrix: m.T @ s.astype(m.dtype),
            events,
            matrix.itemsize,
            peak,
            np.dtype(dtype).name,
        )
        for density in (0.1, 0.01):
            _sparse_rows(names, sparse_size, density, (dtype, total), repeat, peak)


def _sparse_rows(names: list[str], size: int, density: float, types: Any, repeat: int, peak: float) -> None:
    dtype, total = types
    rng = np.random.default_rng(4)
    matrix = random_csr(size, density, dtype)
    fan_out = FanOut(matrix)
    fan_out.keep(matrix.data)  # as the model does
    spikes = np.zeros((repeat + 1, size), bool)
    for row in spikes:
        row[rng.choice(size, max(1, size // 100), replace=False)] = True
    events = np.mean([fan_out.of(row.nonzero()[0])[1].sum() for row in spikes])

    def ours(spikes: np.ndarray) -> Any:
        return fan_out.weighted_sum(matrix.data, spikes, False, total)

    read = matrix.data.itemsize + fan_out.rows.itemsize
    _sum_rows(
        f"Sparse {size}, {density:.0%}",
        names,
        spikes,
        ours,
        lambda s: matrix @ s.astype(dtype),
        events,
        read,
        peak,
        np.dtype(dtype).name,
    )


def _sum_rows(
    title: str,
    names: list[str],
    spikes: np.ndarray,
    ours: Callable[[np.ndarray], Any],
    plain: Callable[[np.ndarray], Any],
    events: float,
    read: int,
    peak: float,
    dtype: str,
) -> None:
    steps = {name: iter(spikes) for name in (*names, "plain")}  # other inputs in every step, as in a network
    actions = {name: using(name, lambda name=name: ours(next(steps[name]))) for name in names}
    if set(names) == set(kernels.CHOICES):
        for name in names:
            kernels.choose(name)
            ours(spikes[0])  # loads the compiled loop
    actions["plain"] = lambda: plain(next(steps["plain"]))
    times = in_turns(actions, len(spikes) - 1)
    for name in names:
        seconds = times[name]
        numbers = f"{1e6 * seconds:11.1f} {events / seconds / 1e6:12.0f} {times['plain'] / seconds:12.1f}"
        print(f"  {title:24s} {dtype:8s} {name:7s} {numbers} {events * read / seconds / peak:11.0%}")


# --- neurons --------------------------------------------------------------------------------


class _Port:
    """Gives the same input in every time step, takes any output."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def recv(self) -> Any:
        return self.value

    def send(self, value: Any) -> None:
        pass


class _Counted(np.ndarray):
    """Counts the operations on its elements."""

    calls = 0

    def __array_ufunc__(self, ufunc: Any, method: str, *inputs: Any, out: Any = (), **kwargs: Any) -> Any:
        _Counted.calls += 1
        arrays = [x.view(np.ndarray) if isinstance(x, _Counted) else x for x in inputs]
        if out:
            kwargs["out"] = tuple(x.view(np.ndarray) for x in out)
        result = getattr(ufunc, method)(*arrays, **kwargs)
        return out[0] if out else result.view(_Counted)


def neurons(tag: str, size: int, kind: type[np.ndarray] = np.ndarray) -> Any:
    """Return a LIF model with a bias that makes one in fifty or so spike per time step."""
    rng = np.random.default_rng(5)
    fixed = tag == "fixed_pt"
    model: Any = (PyLifModelBitAcc if fixed else PyLifModelFloat)({})
    state = np.int32 if fixed else np.float64
    for name in ("u", "v"):
        setattr(model, name, np.zeros(size, state).view(kind))
    model.bias_mant = rng.integers(50, 100, size).astype(np.int16 if fixed else state).view(kind)
    model.bias_exp = np.full(size, 6 if fixed else 0, np.int16).view(kind)
    model.du, model.dv = (np.full(1, x, state) for x in ((400, 41) if fixed else (0.1, 0.01)))
    model.vth = np.full(1, 3500, state)
    model.a_in, model.s_out = _Port(rng.integers(0, 5, size).astype(state).view(kind)), _Port(None)
    return model


def array_calls(tag: str, size: int) -> int:
    """Return how many operations on arrays a time step takes, and calls of methods of arrays."""
    model = neurons(tag, size, _Counted)
    for _ in range(20):
        model.run_spk()
    methods = 0

    def note(frame: Any, event: str, called: Any) -> None:
        nonlocal methods
        if event == "c_call" and isinstance(getattr(called, "__self__", None), np.ndarray):
            methods += frame.f_code.co_filename != __file__

    before = _Counted.calls
    sys.setprofile(note)
    model.run_spk()
    sys.setprofile(None)
    return _Counted.calls - before + methods


def plain_lif(model: Any, fixed: bool) -> Callable[[], None]:
    """Return a time step as the formulas are written, with arrays of its own."""
    u, v, a = model.u.copy(), model.v.copy(), model.a_in.value
    if not fixed:

        def step() -> None:
            u[:] = u * (1 - model.du) + a
            v[:] = v * (1 - model.dv) + u + model.bias_mant
            v[v > model.vth] = 0

        return step

    def decayed(state: np.ndarray, decay: np.ndarray) -> np.ndarray:
        product = state.astype(np.int64) * (4096 - decay)
        return np.sign(product) * (np.abs(product) >> 12)

    def fixed_step() -> None:
        x = decayed(u, model.du + 1) + (a << 6)
        u[:] = np.where(x > 2**23, x - 2**24, np.where(x <= -(2**23), x + 2**24, x))
        bias = np.left_shift(model.bias_mant.astype(np.int32), model.bias_exp)
        v[:] = np.clip(decayed(v, model.dv) + u + bias, 1 - 2**23, 2**23 - 1)
        v[v > model.vth << 6] = 0

    return fixed_step


def lif(names: list[str], sizes: tuple[int, ...]) -> None:
    print("\nLIF, one time step without ports")
    print("  numerics       neurons  kernels   ns/neuron   us per step   plain/ours   NumPy calls")
    for tag in TAGS:
        for size in sizes:
            rounds = max(1, 2000 // size)
            models = {name: neurons(tag, size) for name in names}
            actions = {name: using(name, _many(model.run_spk, rounds)) for name, model in models.items()}
            actions["plain"] = _many(plain_lif(neurons(tag, size), tag == "fixed_pt"), rounds)
            times = in_turns(actions, 9 if size < 1_000_000 else 15)
            for name in names:
                kernels.choose(name)
                step = times[name] / rounds
                numbers = f"{1e9 * step / size:11.2f} {1e6 * step:13.1f} {times['plain'] / times[name]:12.1f}"
                print(f"  {tag:12s} {size:9d}  {name:7s} {numbers} {array_calls(tag, size):13d}")


def _many(action: Callable[[], Any], rounds: int) -> Callable[[], None]:
    def repeated() -> None:
        for _ in range(rounds):
            action()

    return repeated


# --- memory ---------------------------------------------------------------------------------


def memory(size: int) -> None:
    """Print what a network takes beyond the matrix that the user made, each in a process of its own."""
    if not os.path.exists("/proc/self/status"):
        print("\nbytes per synapse: not measured, because this system has no /proc")
        return
    print("\nbytes per synapse resident, inline, beyond the user's own matrix")
    print("  connection     numerics          at rest   peak while building")
    for name in ("Dense", "Sparse", "LearningDense", "LearningSparse"):
        for tag in TAGS:
            command = [sys.executable, __file__, "--resident", name, tag, str(size)]
            done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=True)
            rest, peak = map(float, done.stdout.split())
            print(f"  {name:14s} {tag:12s} {rest:12.1f} {peak:21.1f}")


def _resident(name: str, tag: str, size: int) -> tuple[float, float]:
    """Return bytes per synapse that building and running a network added: now, and at the peak."""
    warnings.simplefilter("ignore", LaharWarning)
    rule = STDPLoihi(learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=4, rng_seed=1)
    cls = {"Dense": Dense, "Sparse": Sparse, "LearningDense": LearningDense, "LearningSparse": LearningSparse}

    def build(size: int) -> tuple[Any, float]:
        sparse = "Sparse" in name
        weights = random_csr(4 * size, 1 / 16, np.float64) if sparse else np.full((size, size), 50.0)
        before = _status("VmRSS")
        with open("/proc/self/clear_refs", "w") as file:
            file.write("5")  # forgets the peak
        options = {"learning_rule": rule} if name.startswith("Learning") else {}
        process = cls[name](weights=weights, **options)
        process.run(RunSteps(8), Loihi2SimCfg(select_tag=tag, launcher="inline"))
        rest, peak = _status("VmRSS") - before, _status("VmHWM") - before
        synapses = weights.nnz if sparse else weights.size
        process.stop()
        return rest / synapses, peak / synapses

    build(20)  # imports and first-time tables
    return build(size)


def _status(field: str) -> int:
    """Return a size in bytes from the kernel's page on this process."""
    with open("/proc/self/status") as file:
        return next(1024 * int(line.split()[1]) for line in file if line.startswith(field))


if __name__ == "__main__":
    main()
