"""Nothing is left behind: file descriptors, threads, processes, files."""

from __future__ import annotations

import gc
import os
import tempfile
import threading
from pathlib import Path

import psutil
import pytest
import runtime_models as rm
from setups import config

from lahar.processes.errors import ModelError, WorkerDiedError
from lahar.runtime import RunContinuous, RunSteps, WorkerPool

CYCLES = 20
pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")


@pytest.fixture
def own_temp(monkeypatch, short_dir):
    monkeypatch.setattr(tempfile, "tempdir", str(short_dir))
    return short_dir


def traces(directory):
    """What a leak would increase."""
    gc.collect()
    children = psutil.Process().children(recursive=True)
    return {
        "descriptors": psutil.Process().num_fds(),
        "threads": sorted(t.name for t in threading.enumerate()),
        "processes": sorted(c.pid for c in children),
        "temp files": len(list(Path(directory).rglob("*"))),
        "memory maps": len(list(Path("/dev/shm").iterdir())) if os.path.isdir("/dev/shm") else 0,
    }


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


def repeated(cycle, setup, directory, cycles):
    cycle(setup)  # the first imports modules and starts threads of libraries
    before = traces(directory)
    for _ in range(cycles):
        cycle(setup)
    assert traces(directory) == before
    return before


@pytest.mark.usefixtures("no_pool")
def test_twenty_networks_without_a_pool_leave_nothing(own_temp):
    before = repeated(run_and_stop, "local-2-elastic", own_temp, CYCLES)
    assert before["temp files"] == 0
    assert not [name for name in before["threads"] if name.startswith("lahar")]


@pytest.mark.parametrize("setup", ["local-2-elastic", "local-2-lockstep"])
def test_twenty_networks_in_a_pool_leave_the_fork_server_only(own_temp, setup):
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
        repeated(cycle, "local-2-elastic", own_temp, 6)


@pytest.mark.usefixtures("no_pool")
@pytest.mark.parametrize("cycle", [run_into_failure, fail_to_build, die])
def test_networks_that_end_badly_without_a_pool(own_temp, cycle):
    assert repeated(cycle, "local-2-lockstep", own_temp, 3)["temp files"] == 0


@pytest.mark.parametrize("cycle", [run_and_stop, run_into_failure, fail_to_build, use_as_context])
def test_inline_networks_leave_nothing(own_temp, cycle):
    assert repeated(cycle, "inline", own_temp, CYCLES)["temp files"] == 0
