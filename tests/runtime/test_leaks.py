"""Nothing is left behind: file descriptors, threads, processes, files, memory.

``make leaks`` runs the tests marked ``leaks``, with LEAK_CYCLES (1000) networks one after the other.
"""

from __future__ import annotations

import gc
import os
import tempfile
from contextlib import nullcontext

import numpy as np
import psutil
import pytest
import runtime_models as rm
from setups import config
from support.traces import traces

from lahar.processes import LIF, Dense, Extractor, Injector, Monitor, SinkRingBuffer, SourceRingBuffer
from lahar.processes.errors import ModelError, WorkerDiedError
from lahar.runtime import RunContinuous, RunSteps, WorkerPool

CYCLES = 8
COLD_CYCLES = 3  # each starts a fork server
MANY = int(os.environ.get("LEAK_CYCLES", "1000"))
GROWTH = 10e6  # bytes of resident memory that MANY networks may cost
pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")


@pytest.fixture
def own_temp(monkeypatch, short_dir):
    monkeypatch.setattr(tempfile, "tempdir", str(short_dir))
    return short_dir


def run_and_stop(setup):
    ramp, total = rm.pair()
    ramp.run(RunSteps(4), run_cfg=config(setup))
    ramp.run(RunSteps(4, blocking=False))
    ramp.wait()
    total.total.set(1)
    ramp.run(RunContinuous())
    ramp.pause()
    ramp.stop()
    assert ramp.t.get() == total.t.get()


def run_into_failure(setup):
    members = rm.ring(rm.Plain(name="a", script={("SPK", 3): rm.fail}), rm.Plain(name="b"))
    with pytest.raises(ModelError):
        members[0].run(RunSteps(9), run_cfg=config(setup))


def fail_to_build(setup):
    members = rm.ring(rm.Scripted(script={("build", 0): rm.fail}), rm.Scripted())
    with pytest.raises(ModelError):
        members[0].run(RunSteps(9), run_cfg=config(setup))


def die(setup):
    members = rm.ring(rm.Plain(script={("SPK", 3): rm.exit_at_once}), rm.Plain())
    with pytest.raises(WorkerDiedError):
        members[0].run(RunSteps(9), run_cfg=config(setup))


def use_as_context(setup):
    with rm.pair()[0] as ramp:
        ramp.run(RunContinuous(), run_cfg=config(setup))


# --- networks of five processes -----------------------------------------------------------------


def simulate(setup):
    source, dense = SourceRingBuffer(data=np.eye(3)), Dense(weights=np.ones((2, 3)))
    lif, sink, monitor = LIF(shape=(2,), vth=1), SinkRingBuffer(shape=(2,), buffer=6), Monitor()
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    monitor.probe(lif.v, 6)
    lif.run(RunSteps(6), config(setup, select_tag="floating_pt"))
    lif.stop()
    assert sink.data.get().any()
    assert monitor.get_data()[lif.name]["v"].any()


def run_freely(setup):
    maker, hop, takers = rm.Maker(), rm.Hop(), [rm.Taker() for _ in range(3)]
    maker.out.connect(hop.into)
    for taker in takers:
        hop.out.connect(taker.into)
    hop.run(RunSteps(6), config(setup))
    hop.stop()
    assert [taker.n.get()[0] for taker in takers] == [6, 6, 6]


def feed_and_drain(setup):
    injector, dense, lif = Injector((2,)), Dense(weights=np.eye(2)), LIF(shape=(2,))
    after, extractor = Dense(weights=np.eye(2)), Extractor((2,))
    injector.out_port.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(after.s_in)
    after.a_out.connect(extractor.in_port)
    lif.run(RunContinuous(), config(setup, select_tag="floating_pt"))
    for _ in range(4):
        injector.send(np.ones(2))
        extractor.receive()
    lif.stop()


five_processes = pytest.mark.parametrize("cycle", [simulate, run_freely, feed_and_drain])


def repeated(cycle, setup, directory, cycles):
    cycle(setup)  # the first imports modules and starts threads of libraries
    before = traces(directory)
    for _ in range(cycles):
        cycle(setup)
    assert traces(directory) == before
    return before


@pytest.mark.usefixtures("no_pool")
def test_networks_without_a_pool_leave_nothing(own_temp):
    before = repeated(run_and_stop, "local-2-elastic", own_temp, COLD_CYCLES)
    assert before["temp files"] == 0
    assert not [name for name in before["threads"] if name.startswith("lahar")]


@pytest.mark.parametrize("setup", ["local-2-elastic", "local-2-lockstep"])
def test_networks_in_a_pool_leave_the_fork_server_only(own_temp, setup):
    outside = traces(own_temp)
    with WorkerPool():
        before = repeated(run_and_stop, setup, own_temp, CYCLES)
        assert len(before["processes"]) == len(outside["processes"]) + 1
        assert before["temp files"] == 1
    after = traces(own_temp)
    assert after["processes"] == outside["processes"]
    assert after["temp files"] == 0
    assert after["threads"] == outside["threads"]


@pytest.mark.parametrize("cycle", [run_into_failure, fail_to_build, die, use_as_context])
def test_networks_that_end_badly_leave_nothing_either(own_temp, cycle):
    with WorkerPool():
        repeated(cycle, "local-2-elastic", own_temp, 3)


@pytest.mark.usefixtures("no_pool")
@pytest.mark.parametrize("cycle", [run_into_failure, fail_to_build, die])
def test_networks_that_end_badly_without_a_pool(own_temp, cycle):
    assert repeated(cycle, "local-2-lockstep", own_temp, 1)["temp files"] == 0


@pytest.mark.parametrize("cycle", [run_and_stop, run_into_failure, fail_to_build, use_as_context])
def test_inline_networks_leave_nothing(own_temp, cycle):
    assert repeated(cycle, "inline", own_temp, CYCLES)["temp files"] == 0


# --- memory -------------------------------------------------------------------------------------


def live_objects():
    gc.collect()
    return len(gc.get_objects())


@pytest.mark.parametrize("setup", ["inline", "local-2-elastic"])
@five_processes
def test_no_object_outlives_its_network(cycle, setup):
    cycles = 30 if setup == "inline" else 5
    with WorkerPool():
        for _ in range(2):  # the first fill caches
            cycle(setup)
        before = live_objects()
        for _ in range(cycles):
            cycle(setup)
        assert live_objects() - before < cycles  # a network that is kept has hundreds


def resident():
    gc.collect()
    return psutil.Process().memory_info().rss


@pytest.mark.leaks
@pytest.mark.usefixtures("no_pool")
@pytest.mark.parametrize(
    ("cycle", "setup", "pooled"),
    [
        (cycle, setup, True)
        for cycle in (simulate, run_freely, feed_and_drain)
        for setup in ("inline", "local-2-elastic")
    ]
    + [(simulate, "local-2-elastic", False), (simulate, "local-2-lockstep", True)],
)
def test_many_networks_leave_nothing(own_temp, cycle, setup, pooled):
    with WorkerPool() if pooled else nullcontext():
        for _ in range(max(2, MANY // 20)):
            cycle(setup)
        before, memory, objects = traces(own_temp), resident(), live_objects()
        for _ in range(MANY):
            cycle(setup)
        grown = resident() - memory
        print(
            f"{MANY} networks: resident memory {grown / 1e6:+.2f} MB, objects {live_objects() - objects:+d}"
        )
        after = traces(own_temp)
    assert after == before
    assert grown < GROWTH
    assert live_objects() - objects < max(MANY, 100)
