"""What a time step costs, beside what it would cost at the least.

Prints, all measured in one run because machines differ and drift:

- the floor: a ZeroMQ ping-pong over ipc between two OS processes;
- the tutorial network per time step: inline, and on 1, 2 and 4 workers in both sync modes, also as round
  trips of the floor per executed phase above the inline cost;
- chains of LIF and Dense inline, against the same computed with bare greenlets and numpy;
- start-up from run() to the first step, cold and with a warm fork server; the whole tutorial, cold;
- Var.get() and set() of a 1000 x 1000 float64 matrix; resident memory per worker; import times.

Usage: python benchmarks/step_overhead.py [--quick]
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import zmq
from networks import bare_chain, chain, tutorial

from lahar.processes import Dense
from lahar.runtime import Loihi2SimCfg, RunSteps, WorkerPool

US = 1e6


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="few repetitions: checks that everything runs")
    quick = parser.parse_args().quick
    repeat, steps = (1, 200) if quick else (5, 2000)
    print(
        f"{os.cpu_count()} cores, Python {sys.version.split()[0]}, numpy {np.__version__}, {repeat} repetitions"
    )
    round_trip = floor(200 if quick else 5000, repeat)
    print(f"\nfloor: ipc round trip between two processes {US * round_trip:8.1f} us")
    tutorial_steps(steps, repeat, round_trip)
    chains(repeat, quick)
    start_up(repeat)
    matrix(repeat)
    memory()
    imports(repeat)


def median(measure: Callable[[], float], repeat: int) -> float:
    return statistics.median(measure() for _ in range(repeat))


# --- the floor ------------------------------------------------------------------------------


def _echo(address: str, count: int) -> None:
    socket = zmq.Context().socket(zmq.PAIR)
    socket.connect(address)
    for _ in range(count):
        socket.send(socket.recv())


def floor(count: int, repeat: int) -> float:
    """Return the seconds of one round trip."""
    with tempfile.TemporaryDirectory() as folder:
        address = f"ipc://{folder}/pingpong"
        socket = zmq.Context.instance().socket(zmq.PAIR)
        socket.bind(address)
        total = count * repeat + 1
        other = multiprocessing.get_context("spawn").Process(target=_echo, args=(address, total))
        other.start()
        socket.send(b"x" * 32)
        socket.recv()

        def once() -> float:
            begin = time.perf_counter()
            for _ in range(count):
                socket.send(b"x" * 32)
                socket.recv()
            return (time.perf_counter() - begin) / count

        result = median(once, repeat)
        other.join()
        socket.close()
    return result


# --- time steps -----------------------------------------------------------------------------


def seconds_per_step(entry: Any, steps: int, repeat: int, **options: Any) -> float:
    """Return seconds per step of a network that `entry` belongs to."""
    entry.run(RunSteps(100), Loihi2SimCfg(**options))

    def once() -> float:
        begin = time.perf_counter()
        entry.run(RunSteps(steps))
        return (time.perf_counter() - begin) / steps

    result = median(once, repeat)
    entry.stop()
    return result


def tutorial_steps(steps: int, repeat: int, round_trip: float) -> None:
    # SPK and POST_MGMT (monitors) in every step, LRN in every fourth
    phases = 2.25
    for tag in ("floating_pt", "fixed_pt"):
        print(f"\ntutorial network with five monitors, {tag}: {phases} phases executed per step")
        print("  where                     us/step   steps/s   round trips per phase above inline")
        total = 100 + repeat * steps
        inline = 0.0
        for name, options in (
            ("inline", {"launcher": "inline"}),
            ("1 worker", {"partitions": 1}),
            ("2 workers, elastic", {"partitions": 2, "sync": "elastic"}),
            ("4 workers, elastic", {"partitions": 4, "sync": "elastic"}),
            ("2 workers, lockstep", {"partitions": 2, "sync": "lockstep"}),
            ("4 workers, lockstep", {"partitions": 4, "sync": "lockstep"}),
        ):
            net = tutorial(tag, total)
            cost = seconds_per_step(net["lif_pre"], steps, repeat, select_tag=tag, **options)
            inline = inline or cost
            above = (cost - inline) / phases / round_trip
            shown = "" if name == "inline" else f"{above:8.2f}"
            print(f"  {name:24s} {US * cost:8.1f} {1 / cost:9.0f}   {shown}")
    print("\nfeed-forward cut: chain of 11, 2 workers, elastic")
    inline = seconds_per_step(chain(11)[0], steps, repeat, launcher="inline")
    cost = seconds_per_step(chain(11)[0], steps, repeat, partitions=2, sync="elastic")
    above = (cost - inline) / round_trip
    print(
        f"  inline {US * inline:.1f} us/step, 2 workers {US * cost:.1f} us/step: {above:+.2f} round trips per step"
    )


def chains(repeat: int, quick: bool) -> None:
    print("\nchains LIF(100)-Dense-LIF..., inline, floating_pt")
    print("  processes   steps/s   bare greenlets and numpy   ratio")
    for length, steps in ((3, 20000), (11, 6000), (23, 3000)):
        count = steps // 50 if quick else steps

        def bare(length: int = length, count: int = count) -> float:
            begin = time.perf_counter()
            bare_chain(length, count)
            return (time.perf_counter() - begin) / count

        ours = seconds_per_step(chain(length)[0], count, repeat, launcher="inline")
        least = median(bare, repeat)
        print(f"  {length:9d} {1 / ours:9.0f} {1 / least:26.0f} {least / ours:7.2f}")


# --- start-up -------------------------------------------------------------------------------


def first_step(workers: int) -> float:
    """Return seconds from run() to the end of the first step."""
    net = tutorial("floating_pt", 10)
    begin = time.perf_counter()
    net["lif_pre"].run(RunSteps(1), Loihi2SimCfg(select_tag="floating_pt", partitions=workers))
    elapsed = time.perf_counter() - begin
    net["lif_pre"].stop()
    return elapsed


def whole_tutorial() -> float:
    net = tutorial("floating_pt", 200)
    begin = time.perf_counter()
    net["lif_pre"].run(RunSteps(200), Loihi2SimCfg(select_tag="floating_pt", partitions=2))
    net["monitor_plastic_dense_weights"].get_data()
    elapsed = time.perf_counter() - begin
    net["lif_pre"].stop()
    return elapsed


def start_up(repeat: int) -> None:
    print("\nrun() to the end of the first step (ms)      cold      warm")
    for workers in (1, 2, 4):
        cold = median(lambda workers=workers: first_step(workers), repeat)  # type: ignore[misc]
        with WorkerPool():
            first_step(workers)
            warm = median(lambda workers=workers: first_step(workers), repeat)  # type: ignore[misc]
        print(f"  {workers} worker(s) {1e3 * cold:38.0f} {1e3 * warm:9.0f}")
    cost = median(whole_tutorial, repeat)
    print(f"whole tutorial, 200 steps, 2 workers, cold, run() to get_data(): {cost:.2f} s")


# --- sizes ----------------------------------------------------------------------------------


def matrix(repeat: int) -> None:
    dense = Dense(weights=np.zeros((1000, 1000)))
    dense.run(RunSteps(1), Loihi2SimCfg(select_tag="floating_pt", partitions=1))
    value = np.random.default_rng(0).random((1000, 1000))

    def timed(action: Callable[[], Any]) -> float:
        begin = time.perf_counter()
        action()
        return time.perf_counter() - begin

    copy = median(lambda: timed(value.copy), repeat)
    write = median(lambda: timed(lambda: dense.weights.set(value)), repeat)
    read = median(lambda: timed(dense.weights.get), repeat)
    assert (dense.weights.get() == value).all()
    dense.stop()
    print(
        f"\n8 MB matrix in a worker: get {1e3 * read:.1f} ms, set {1e3 * write:.1f} ms (copy: {1e3 * copy:.1f} ms)"
    )


def _memory_of(pid: int, key: str) -> float:
    with open(f"/proc/{pid}/smaps_rollup") as lines:
        return next(int(line.split()[1]) / 1024 for line in lines if line.startswith(key))


def memory() -> None:
    net = tutorial("floating_pt", 10)
    net["lif_pre"].run(RunSteps(1), Loihi2SimCfg(select_tag="floating_pt", partitions=2))
    with contextlib.suppress(OSError):
        for k, pid in net["lif_pre"].runtime.worker_pids().items():
            resident, own = _memory_of(pid, "Rss:"), _memory_of(pid, "Pss:")
            print(f"worker {k}: resident {resident:.0f} MB, of which its proportional share {own:.0f} MB")
    net["lif_pre"].stop()


def imports(repeat: int) -> None:
    print("\nimport time in a fresh interpreter (ms, without the interpreter's own start)")
    for package in ("lahar.processes", "lahar.compiler", "lahar.runtime"):
        code = f"import time; t = time.perf_counter(); import {package}; print(time.perf_counter() - t)"

        def once(code: str = code) -> float:
            return float(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)

        print(f"  {package:16s} {1e3 * median(once, repeat):6.0f}")


if __name__ == "__main__":
    main()
