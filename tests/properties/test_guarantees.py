"""What the runtime promises about messages, sums, results and pauses, checked on random networks.

- G1 each channel is FIFO, lossless and without duplicates;
- G2 fan-in sums in the order of the connections, whatever the order of arrival;
- G3 results have the same bits however the network is spread and synchronised;
- G4 a pause or stop leaves every actor after the same time step, and going on loses nothing.
"""

from __future__ import annotations

import itertools
import tempfile
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st
from support.comparison import assert_same_bits, bits
from support.messages import Burst, Log, Pipe
from support.networks import (
    AWKWARD,
    KINDS,
    Built,
    Description,
    Spread,
    bend,
    build,
    descriptions,
    run,
    spreads,
)
from support.nodes import Echo
from support.signals import Beacon, HiddenPauser, Pauser, Stopper

from lahar.processes import SinkRingBuffer, SourceRingBuffer
from lahar.processes.model import Phase
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps, WorkerPool

# a network that cannot run ahead says so and runs in lockstep
pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic':lahar.processes.errors.LaharWarning")
SLOW = [HealthCheck.too_slow, HealthCheck.data_too_large]
PATIENCE = 60.0  # seconds until something that must happen is missed


@pytest.fixture(scope="module", autouse=True)
def _warm_workers():
    with WorkerPool():
        yield


def explore(examples: int) -> settings:
    return settings(max_examples=examples, suppress_health_check=SLOW)


RUNS = st.lists(st.integers(1, 12), min_size=1, max_size=3)
CAPACITIES = st.integers(1, 3)
SYNC = st.sampled_from(["elastic", "lockstep"])


# --- G1 -------------------------------------------------------------------------------------


def check_messages(data: Any) -> None:
    """Draw a tree of pipes from one source to some sinks, and check it."""
    capacity = data.draw(CAPACITIES, "capacity")
    burst = data.draw(st.integers(1, 5), "messages per step")
    # a sink that begins late leaves messages in its channel over several steps
    branch = st.tuples(st.integers(0, 3), st.integers(0, capacity // burst))
    branches = data.draw(st.lists(branch, min_size=1, max_size=3), "(pipes, lag) of each branch")
    most = min(4, 1 + sum(pipes + 1 for pipes, _ in branches))
    partitions = data.draw(st.integers(1, most), "partitions")
    check_logs(capacity, burst, branches, data.draw(RUNS, "runs"), partitions, data.draw(SYNC, "sync"))


def check_logs(
    capacity: int, burst: int, branches: list[tuple[int, int]], runs: list[int], partitions: int, sync: str
) -> None:
    """A source numbers its messages; every sink must log 1, 2, 3, ..."""
    rows = burst * sum(runs) + 1
    source = Burst(burst=burst, name="burst")
    logs = []
    for pipes, lag in branches:
        chain = [source, *(Pipe(burst=burst) for _ in range(pipes)), Log(burst=burst, lag=lag, rows=rows)]
        for a, b in itertools.pairwise(chain):
            a.o.connect(b.i)
        logs.append((chain[-1], lag))
    run_cfg = Loihi2SimCfg(partitions=partitions, sync=sync)
    try:
        for steps in runs:
            source.run(RunSteps(steps), run_cfg, {"pypy_channel_size": capacity})
        counts = source.runtime.channel_counts()
        assert len(counts) == len(source.runtime.plan.crossing())
        assert all(messages == burst * sum(runs) for messages, _ in counts.values())
        for log, lag in logs:
            taken = burst * max(0, sum(runs) - lag)
            assert log.taken.get()[0] == taken
            expected = np.full(rows, -1)
            expected[:taken] = np.arange(1, taken + 1)
            np.testing.assert_array_equal(log.log.get(), expected)
    finally:
        source.stop()


@explore(25)
@given(data=st.data())
def test_g1_every_message_arrives_once_and_in_order(data):
    check_messages(data)


@pytest.mark.parametrize("sync", ["elastic", "lockstep"])
def test_g1_a_channel_that_is_never_empty_has_its_whole_capacity(sync):
    check_logs(capacity=3, burst=3, branches=[(0, 1)], runs=[1, 1, 3], partitions=2, sync=sync)


# --- G2 -------------------------------------------------------------------------------------


def check_sums(data: Any) -> None:
    """A sink of several sources must hold the sum from left to right in the order of connections."""
    size, length = data.draw(st.integers(1, 4), "size"), data.draw(st.integers(1, 10), "steps")
    seeds = data.draw(st.lists(st.integers(0, 2**16), min_size=3, max_size=6), "sources")
    arrays = [np.random.default_rng(seed).choice(AWKWARD, (size, length)) for seed in seeds]
    sources = [SourceRingBuffer(data=array) for array in arrays]
    everyone = st.permutations(range(len(sources)))
    again = st.lists(st.integers(0, len(sources) - 1), max_size=2)
    order = data.draw(everyone, "order") + data.draw(again, "connected again")
    sink = SinkRingBuffer(shape=(size,), buffer=length)
    for n, k in enumerate(order):
        bent = k in order[:n] or data.draw(st.booleans(), "virtual")
        port = bend(sources[k].s_out, (size,), bent)
        if not bent and data.draw(st.booleans(), "connect_from"):
            sink.a_in.connect_from(port)
        else:
            port.connect(sink.a_in)
    everything = [sink, *sources]
    partitions = data.draw(st.integers(1, min(4, len(everything))), "partitions")
    placed = data.draw(st.integers(0, len(everything) - partitions), "placed")
    placement = {p: data.draw(st.integers(0, partitions - 1)) for p in everything[:placed]}
    run_cfg = Loihi2SimCfg(
        select_tag="floating_pt", partitions=partitions, placement=placement, sync=data.draw(SYNC, "sync")
    )
    try:
        sink.run(RunSteps(length), run_cfg, {"pypy_channel_size": data.draw(CAPACITIES, "capacity")})
        *_, expected = itertools.accumulate(arrays[k] for k in order)
        found = sink.data.get()
        event("the order matters" if np.any(sum(arrays[k] for k in order[::-1]) != expected) else "any order")
        assert bits(found) == bits(expected + 0.0), (found, expected)
    finally:
        sink.stop()


@explore(25)
@given(data=st.data())
def test_g2_sums_follow_the_order_of_connections(data):
    check_sums(data)


@pytest.mark.parametrize(
    ("order", "total"), [((0, 1, 2), 0.0), ((0, 2, 1), 1.0), ((2, 0, 1), 1.0), ((1, 2, 0), 0.0)]
)
def test_g2_the_order_of_creation_does_not_matter(order, total):
    sources = [SourceRingBuffer(data=[[value]]) for value in (1e16, 1.0, -1e16)]
    sink = SinkRingBuffer(shape=(1,), buffer=1)
    for k in order:
        sources[k].s_out.connect(sink.a_in)
    with sink:
        sink.run(RunSteps(1), Loihi2SimCfg(select_tag="floating_pt", partitions=4))
        assert sink.data.get()[0, 0] == total


# --- G3 -------------------------------------------------------------------------------------


def check_bits(data: Any) -> None:
    """Every Var and every recorded value must be the same as in one OS process."""
    description = data.draw(descriptions(), "network")
    runs = data.draw(RUNS, "runs")
    expected, _ = run(description, None, runs)
    for _ in range(2):
        spread = data.draw(spreads(description), "spread")
        found, plan = run(description, spread, runs)
        event(f"{plan.sync} over {plan.partitions}")
        assert plan.partitions == spread.partitions
        assert plan.sync == spread.sync or plan.sync_reasons
        assert_same_bits(found, expected, str(spread))


@explore(40)
@given(data=st.data())
def test_g3_every_spread_gives_the_same_bits(data):
    check_bits(data)


# --- G4 -------------------------------------------------------------------------------------


def moments(last: int) -> Any:
    """Phases and time steps at which a Signal can act without giving up a phase of its own."""
    possible = [[Phase.SPK, t] for t in range(1, last + 1) if t % 4 and t % 3]
    possible += [[Phase.LRN, t] for t in range(4, last + 1, 4) if t % 3]
    possible += [[Phase.POST_MGMT, t] for t in range(3, last + 1, 3)]
    return st.sampled_from(possible)


def build_with(description: Description, *signals: Any) -> Built:
    """Build a network with signals, each given as (member that it listens to, class, arguments)."""
    built = build(description)
    for n, (member, kind, arguments) in enumerate(signals):
        port = built.members[member].out_ports[0]
        signal = kind(shape=port.shape, name=f"signal{n}", **arguments)
        bend(port, port.shape, False).connect(signal.i)
        built.extras.append(signal)
    return built


def speakers(description: Description) -> Any:
    return st.sampled_from([k for k, m in enumerate(description.members) if KINDS[m.kind][1]])


def assert_consistent(built: Built) -> None:
    """Every actor that counts has completed the same time step."""
    step = built.top.runtime.step
    calls = built.calls()
    assert set(calls.values()) == {step}, calls


def state_after(steps: int, description: Description, *signals: Any) -> dict[str, Any]:
    """Return the state of an uninterrupted run inline, in which no signal acts."""
    idle = [(member, kind, {**arguments, "at": ()}) for member, kind, arguments in signals]
    built = build_with(description, *idle)
    try:
        built.start(None, RunSteps(steps))
        return built.state()
    finally:
        built.top.stop()


def wait_for(path: Path) -> None:
    limit = time.monotonic() + PATIENCE
    while not path.exists():
        assert time.monotonic() < limit, "the network did not reach the time step"
        time.sleep(0.0005)


def draw_spread(data: Any, description: Description) -> Spread | None:
    inline = data.draw(st.integers(0, 5), "inline if 0") == 0
    return None if inline else data.draw(spreads(description), "spread")


def check_pause(data: Any) -> None:
    """Pause a continuous run at some moment: a consistent cut, from which the run can go on."""
    description = data.draw(descriptions(monitored=False), "network")
    spread = draw_spread(data, description)
    moment = data.draw(moments(30), "moment")
    further = data.draw(st.integers(0, 10), "further")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "reached")
        signal = (data.draw(speakers(description)), Beacon, {"at": [moment], "path": path})
        built = build_with(description, signal)
        try:
            built.start(spread, RunContinuous())
            wait_for(path)
            built.top.pause()
            reached = built.top.runtime.step
            assert reached >= moment[1]
            assert_consistent(built)
            assert_same_bits(built.state(), state_after(reached, description, signal), "paused")
            built.top.run(RunSteps(further))
            assert built.top.runtime.step == reached + further
            assert_consistent(built)
            expected = state_after(reached + further, description, signal)
            assert_same_bits(built.state(), expected, "resumed")
        finally:
            built.top.stop()


def check_asked_pauses(data: Any) -> None:
    """Models ask for pauses: each is a consistent cut, and in the end nothing is different."""
    description = data.draw(descriptions(monitored=False), "network")
    spread = draw_spread(data, description)
    total = data.draw(st.integers(1, 30), "steps")
    hidden = data.draw(st.booleans(), "hidden from the compiler")
    kind = HiddenPauser if hidden else Pauser
    wishes = data.draw(st.lists(st.lists(moments(30), max_size=3), min_size=1, max_size=2), "moments")
    signals = [(data.draw(speakers(description)), kind, {"at": at}) for at in wishes]
    built = build_with(description, *signals)
    asked = {step for at in wishes for _, step in at if step <= total}
    paused = set()
    try:
        built.start(spread, RunSteps(total))
        while (step := built.top.runtime.step) < total:
            paused.add(step)
            assert_consistent(built)
            built.top.run(RunSteps(total - step))
            assert built.top.runtime.step > step
        event(f"{len(paused)} pauses, {built.top.runtime.plan.sync}")
        if built.top.runtime.plan.sync == "lockstep" or spread is None:
            assert paused == asked - {total}
        elif asked:  # the others may have been ahead of the one that asked
            assert not paused or min(paused) >= min(asked)
        assert_consistent(built)
        assert_same_bits(built.state(), state_after(total, description, *signals))
    finally:
        built.top.stop()


def check_stop(data: Any) -> None:
    """A stop, asked for by the user or by a model, is a consistent cut, and everything can be read."""
    description = data.draw(descriptions(monitored=False), "network")
    spread = draw_spread(data, description)
    moment = data.draw(moments(20), "moment")
    by_model = data.draw(st.booleans(), "by a model")
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory, "reached")
        beacon = (data.draw(speakers(description)), Beacon, {"at": [moment], "path": path})
        stopper = (0, Stopper, {"at": [moment] if by_model else []})
        built = build_with(description, beacon, stopper)
        try:
            built.start(spread, RunContinuous())
            if by_model:
                built.top.wait()
                assert built.top.runtime.step == moment[1]
            else:
                wait_for(path)
        finally:
            built.top.stop()
        assert built.top.runtime.is_closed
        assert built.top.runtime.step >= moment[1]
        assert_consistent(built)
        expected = state_after(built.top.runtime.step, description, beacon, stopper)
        assert_same_bits(built.state(), expected)


@explore(20)
@given(data=st.data())
def test_g4_a_pause_at_any_moment_is_a_consistent_cut(data):
    check_pause(data)


@explore(20)
@given(data=st.data())
def test_g4_a_pause_that_models_ask_for_is_a_consistent_cut(data):
    check_asked_pauses(data)


@explore(15)
@given(data=st.data())
def test_g4_a_stop_at_any_moment_is_a_consistent_cut(data):
    check_stop(data)


@pytest.mark.parametrize("sync", ["elastic", "lockstep"])
def test_g4_pauses_in_quick_succession(sync, tmp_path):
    """A pause can find every worker at a different point of its step, or just ending it."""
    path = tmp_path / "going"
    loop = [Echo(shape=(1,), name=name) for name in "abc"]
    for a, b in itertools.pairwise([*loop, loop[0]]):
        a.o.connect(b.i)
    beacon = Beacon(shape=(1,), at=[[Phase.SPK, t] for t in range(0, 100_000, 5)], path=path, name="beacon")
    loop[0].o.connect(beacon.i)
    top = loop[0]
    run_cfg = Loihi2SimCfg(select_tag="floating_pt", partitions=4, sync=sync)
    with top:
        for _ in range(100):
            top.run(RunContinuous(), run_cfg)
            wait_for(path)
            path.unlink()
            top.pause()
            path.unlink(missing_ok=True)
            steps = {p.name: int(p.calls.get()[0]) for p in (*loop, beacon)}
            assert set(steps.values()) == {top.runtime.step}, steps


# --- as long as one likes -------------------------------------------------------------------


@pytest.mark.fuzz
@pytest.mark.parametrize(
    "check", [check_messages, check_sums, check_bits, check_pause, check_asked_pauses, check_stop]
)
@settings(max_examples=300, derandomize=False, suppress_health_check=SLOW)
@given(data=st.data())
def test_fuzz(check, data):
    check(data)
