"""What the user sees when a worker or the fork server dies."""

from __future__ import annotations

import os
import random
import signal
import time

import numpy as np
import pytest
import runtime_models as rm
from ramps import begun
from setups import both_syncs, config, every_local_setup
from support.deadline import until, wait_until_gone

from lahar.processes.errors import StateError, WorkerDiedError
from lahar.runtime import RunContinuous, RunSteps

pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")

PROMPT = 2.0  # seconds within which a death must be noticed


def ring_of_three(sync, script=None, **kwargs):
    """Return three processes in three workers."""
    members = rm.ring(
        rm.Plain(name="p0", script=script or {}), rm.Plain(name="p1"), rm.Plain(name="p2", **kwargs)
    )
    placement = {member: k for k, member in enumerate(members)}
    return members, config("local-2-elastic", sync=sync, partitions=3, placement=placement)


@pytest.mark.usefixtures("pool")
@both_syncs
@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize(
    ("action", "how"),
    [
        (rm.exit_at_once, "ended with exit status 7"),
        (rm.kill_itself, r"was killed by signal 9 \(SIGKILL\)"),
    ],
)
def test_a_worker_that_ends_in_a_model(sync, action, how, blocking):
    members, cfg = ring_of_three(sync, {("SPK", 20): action})
    members[0].create_runtime(run_cfg=cfg)
    pids = members[0].runtime.worker_pids()
    start = time.monotonic()

    def run():
        members[1].run(RunSteps(10**6, blocking=blocking))
        members[1].wait()

    with pytest.raises(WorkerDiedError, match=rf"Worker 0 \(pid {pids[0]}, processes p0\) {how}"):
        run()
    assert time.monotonic() - start < PROMPT
    wait_until_gone(pids.values())
    with pytest.raises(StateError, match=r"'p0\.t' is not available"):
        members[0].t.get()
    for member in members[1:]:
        assert 18 <= member.t.get() <= 20 + 64
    members[0].stop()


@pytest.mark.usefixtures("pool")
@both_syncs
@pytest.mark.parametrize("seed", range(4))
def test_a_worker_killed_at_a_random_moment(sync, seed):
    rng = random.Random(seed)
    members, cfg = ring_of_three(sync)
    members[0].run(RunContinuous(), run_cfg=cfg)
    pids = members[0].runtime.worker_pids()
    begun(members[0], rng.randrange(1, 300))
    victim = rng.randrange(3)
    os.kill(pids[victim], signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(WorkerDiedError, match=rf"Worker {victim} .*processes p{victim}.*SIGKILL"):
        members[0].wait()
    assert time.monotonic() - start < PROMPT
    wait_until_gone(pids.values())
    survivors = [m for k, m in enumerate(members) if k != victim]
    steps = [int(m.t.get()[0]) for m in survivors]
    assert max(steps) - min(steps) <= 2 * 64
    with pytest.raises(StateError, match="not available"):
        members[victim].x.get()
    with pytest.raises(StateError, match="has failed"):
        members[0].run(RunSteps(1))
    members[0].create_runtime(run_cfg=cfg)
    members[0].run(RunSteps(5))
    assert members[victim].t.get() == 5
    members[0].stop()


@pytest.mark.usefixtures("pool")
@both_syncs
def test_a_worker_killed_while_the_network_is_idle(sync):
    members, cfg = ring_of_three(sync)
    members[0].run(RunSteps(5), run_cfg=cfg)
    network = members[0].runtime._network
    os.kill(members[0].runtime.worker_pids()[1], signal.SIGKILL)
    until(lambda: network._service.gone)
    # what the others hold can be read but not changed
    assert members[0].t.get() == 5
    with pytest.raises(WorkerDiedError, match=r"Worker 1 .*processes p1\) was killed by signal 9"):
        members[1].t.get()
    with pytest.raises(WorkerDiedError, match="Worker 1"):
        members[0].x.set(np.array([4]))
    assert members[0].t.get() == 5
    with pytest.raises(WorkerDiedError, match="Worker 1"):
        members[0].run(RunSteps(1))
    assert members[2].t.get() == 5
    members[0].stop()


@pytest.mark.usefixtures("pool")
@both_syncs
def test_stop_after_a_death_that_nobody_saw_is_quiet_or_tells(sync):
    members, cfg = ring_of_three(sync)
    members[0].run(RunSteps(5), run_cfg=cfg)
    pids = members[0].runtime.worker_pids()
    os.kill(pids[2], signal.SIGKILL)
    members[0].stop()
    wait_until_gone(pids.values())
    assert members[0].t.get() == 5


@pytest.mark.usefixtures("pool")
@both_syncs
def test_a_worker_killed_while_another_computes_for_long(sync, short_dir):
    gate = rm.Gate(short_dir)
    members, cfg = ring_of_three(sync, script={("SPK", 3): gate})
    members[0].run(RunSteps(100, blocking=False), run_cfg=cfg)
    until(gate.is_reached)
    pids = members[0].runtime.worker_pids()
    os.kill(pids[1], signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(WorkerDiedError, match="Worker 1"):
        members[0].wait()
    assert time.monotonic() - start < PROMPT
    wait_until_gone(pids.values())
    with pytest.raises(StateError, match="not available"):
        members[0].t.get()  # its worker did not listen and was killed
    assert members[2].t.get() >= 1


@pytest.mark.usefixtures("pool")
@every_local_setup
def test_stop_while_a_model_computes_for_long_waits_for_the_time_step(setup, short_dir):
    gate = rm.Gate(short_dir)
    first, second = rm.ring(rm.Scripted(name="first", script={("SPK", 3): gate}), rm.Scripted(name="second"))
    first.run(RunContinuous(), run_cfg=config(setup))
    until(gate.is_reached)
    first.runtime._network.halt()
    gate.open()
    first.stop()
    assert first.t.get() == second.t.get()


@pytest.mark.usefixtures("no_pool")
@both_syncs
def test_the_fork_server_killed_in_a_run(sync):
    members, cfg = ring_of_three(sync)
    members[0].run(RunContinuous(), run_cfg=cfg)
    launcher = members[0].runtime._network._launcher
    pids = [*members[0].runtime.worker_pids().values(), launcher.pid]
    begun(members[0])
    os.kill(launcher.pid, signal.SIGKILL)
    start = time.monotonic()
    with pytest.raises(WorkerDiedError, match=rf"fork server \(pid {launcher.pid}\) ended with status -9"):
        members[0].wait()
    assert time.monotonic() - start < PROMPT
    wait_until_gone(pids)
    assert not os.path.exists(launcher.directory)
    with pytest.raises(StateError, match="not available"):
        members[0].t.get()
    members[0].stop()


@pytest.mark.usefixtures("no_pool")
def test_the_fork_server_killed_while_the_network_is_idle():
    members, cfg = ring_of_three("elastic")
    members[0].run(RunSteps(3), run_cfg=cfg)
    launcher = members[0].runtime._network._launcher
    pids = [*members[0].runtime.worker_pids().values(), launcher.pid]
    os.kill(launcher.pid, signal.SIGKILL)
    until(lambda: members[0].runtime._network._service._error)
    with pytest.raises(WorkerDiedError, match="fork server"):
        members[0].t.get()
    with pytest.raises(WorkerDiedError, match="fork server"):
        members[0].run(RunSteps(3))
    wait_until_gone(pids)
    assert not os.path.exists(launcher.directory)
