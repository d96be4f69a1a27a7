"""What the user sees when a model raises, a worker dies, the fork server dies or the host dies."""

from __future__ import annotations

import os
import random
import signal
import time

import numpy as np
import psutil
import pytest
import runtime_models as rm
from setups import both_syncs, config, every_local_setup, every_setup
from support.deadline import until, wait_until_gone

from lahar.processes import Monitor
from lahar.processes.errors import ModelError, StateError, WorkerDiedError
from lahar.runtime import RunContinuous, RunSteps

pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")
PROMPT = 2.0  # seconds within which a death must be noticed


def failing(setup, script, guards="", second=None):
    """Return a ring of two; the first obeys `script`, the other `second`, and waits for the first."""
    first = rm.Scripted(name="first", guards=guards, script=script)
    other = rm.Scripted(name="second", guards=guards, script=second)
    rm.ring(first, other)
    return first, other, config(setup)


def begun(process, step=3):
    network = process.runtime._network
    until(lambda: network.step >= step, what=f"time step {step}")


def caught(process, cfg, steps=10):
    """Run into a failure and return it."""
    with pytest.raises(ModelError) as info:
        process.run(RunSteps(steps), run_cfg=cfg)
    return info.value


# --- exceptions of models ---------------------------------------------------------------------------

PLACES = {
    "SPK": ("", "SPK", 4),
    "PRE_MGMT": ("pre lrn", "PRE_MGMT", 4),
    "LRN": ("lrn", "LRN", 4),
    "POST_MGMT": ("post", "POST_MGMT", 4),
    "lrn_guard": ("lrn", "SPK", 4),
    "pre_guard": ("pre lrn", "SPK", 4),
    "post_guard": ("post", "SPK", 4),
}


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("place", list(PLACES))
def test_an_exception_of_a_model_says_where_and_why(setup, place):
    guards, phase, step = PLACES[place]
    first, second, cfg = failing(setup, {(place, step): rm.fail}, guards)
    error = caught(first, cfg)
    assert isinstance(error, RuntimeError)
    assert (error.process, error.phase, error.time_step) == ("first", phase, step)
    text = str(error)
    assert text.startswith("1 Exception(s) occurred")
    assert f"Process 'first' (Scripted), phase {phase}, time step {step}: ZeroDivisionError" in text
    assert "first fails on purpose" in error.remote_traceback
    assert "actions.py" in error.remote_traceback
    assert error.remote_traceback.strip() in text
    assert isinstance(error.__cause__, ZeroDivisionError)
    # afterwards everything that remains can be read, and nothing else is possible
    assert first.runtime.is_closed
    assert second.t.get() in (step - 1, step)
    assert first.t.get() == step
    for call in (first.stop, second.wait, first.pause, second.stop):
        assert call() is None
    with pytest.raises(StateError, match="has failed"):
        first.run(RunSteps(1))
    with pytest.raises(StateError, match="has failed"):
        first.x.set(np.zeros(1))


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("place", ["build", "on_build"])
@pytest.mark.parametrize("action", [rm.fail, rm.system_exit, rm.fail_to_pickle])
def test_an_exception_while_models_are_built(setup, place, action):
    first, second, cfg = failing(setup, {(place, 0): action})
    with pytest.raises(ModelError) as info:
        first.create_runtime(run_cfg=cfg)
    error = info.value
    assert (error.process, error.phase, error.time_step) == ("first", "build", 0)
    assert "Process 'first' (Scripted), phase build" in str(error)
    assert "actions.py" in error.remote_traceback
    assert first.runtime is None
    assert second.x.get() == 1
    # the network can be repaired and started
    first.proc_params["script"].clear()
    with first:
        first.run(RunSteps(2), run_cfg=cfg)
        assert second.t.get() == 2


@pytest.mark.usefixtures("pool")
@every_setup
def test_exceptions_of_several_models_while_building_are_both_told_or_one(setup):
    first, _, cfg = failing(setup, {("build", 0): rm.fail}, second={("build", 0): rm.fail})
    error = caught(first, cfg)
    assert error.phase == "build"
    assert error.process in ("first", "second")


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("phase", ["SPK", "POST_MGMT"])
def test_two_of_three_models_fail_in_one_phase(setup, phase):
    script = {(phase, 3): rm.fail}
    members = [
        rm.Scripted(name="a", guards="post", script=script),
        rm.Scripted(name="b", guards="post"),
        rm.Scripted(name="c", guards="post", script=script),
    ]
    rm.ring(*members)
    cfg = config(setup, partitions=3) if "2" in setup else config(setup)
    error = caught(members[0], cfg)
    assert str(error).startswith("2 Exception(s) occurred")
    assert "Process 'a' (Scripted)" in str(error)
    assert "Process 'c' (Scripted)" in str(error)
    assert error.process in ("a", "c")


@pytest.mark.usefixtures("pool")
@every_setup
def test_two_models_of_one_worker_fail_in_one_phase(setup):
    script = {("SPK", 3): rm.fail}
    first, _, cfg = failing(setup, script, second=script)
    error = caught(first, config("local-1-elastic") if "2" in setup else cfg)
    assert str(error).startswith("2 Exception(s) occurred")
    assert error.time_step == 3


@pytest.mark.usefixtures("pool")
@every_local_setup
@pytest.mark.parametrize("place", [("build", 0), ("SPK", 3)])
def test_a_worker_frees_what_filled_its_memory_before_it_reports_that(setup, place):
    first, _, cfg = failing(setup, {place: rm.exhaust})
    error = caught(first, cfg)
    assert "memory was freed" in str(error)
    assert "raise ExhaustedError(array)" in error.remote_traceback
    assert isinstance(error.__cause__, MemoryError)


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize(
    ("action", "summary", "picklable"),
    [
        (rm.system_exit, "SystemExit: 3", True),
        (rm.fail_to_pickle, "LockError: holds a lock", False),
        (rm.fail_to_rebuild, "RebuildError: code 5 at first", False),
    ],
)
def test_exceptions_of_every_kind_reach_the_caller(setup, action, summary, picklable):
    first, second, cfg = failing(setup, {("SPK", 3): action})
    error = caught(first, cfg)
    assert summary in str(error)
    assert action.__name__ in error.remote_traceback
    if picklable or setup == "inline":
        assert type(error.__cause__).__name__ == summary.split(":")[0]
    else:
        assert error.__cause__ is None
    assert second.t.get() in (2, 3)


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("verb", ["wait", "pause", "stop"])
@pytest.mark.parametrize("condition", [RunSteps(50, blocking=False), RunContinuous()])
def test_a_failure_of_a_non_blocking_run_appears_at_the_next_call(setup, verb, condition):
    first, _, cfg = failing(setup, {("SPK", 3): rm.fail})
    first.run(condition, run_cfg=cfg)
    with pytest.raises(ModelError, match="first fails on purpose"):
        _later(first, verb)
    assert first.runtime.is_closed
    first.stop()


def _later(process, verb):
    """Call `verb` when the run has ended by itself: a pause may come before the failure."""
    if verb != "wait":
        until(lambda: process.runtime._network.join(0) is not None)
    getattr(process, verb)()


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("verb", ["run", "get", "set"])
def test_a_failure_nobody_waited_for_appears_at_run_get_and_set(setup, verb):
    first, _, cfg = failing(setup, {("SPK", 3): rm.fail})
    first.run(RunSteps(50, blocking=False), run_cfg=cfg)
    until(lambda: first.runtime._network.join(0) is not None)
    calls = {
        "run": lambda: first.run(RunSteps(1)),
        "get": first.x.get,
        "set": lambda: first.x.set(np.zeros(1)),
    }
    with pytest.raises(ModelError, match="first fails on purpose"):
        calls[verb]()
    assert first.t.get() == 3
    first.stop()


@pytest.mark.usefixtures("pool")
@every_setup
def test_a_context_manager_reports_the_failure(setup):
    first, _, cfg = failing(setup, {("SPK", 3): rm.fail})

    def use():
        with first:
            first.run(RunSteps(50, blocking=False), run_cfg=cfg)
            until(lambda: first.runtime._network.join(0) is not None)

    with pytest.raises(ModelError, match="first fails on purpose"):
        use()
    assert first.runtime.is_closed


@pytest.mark.usefixtures("pool")
@every_setup
def test_recorded_data_survive_a_failure(setup):
    first, second, cfg = failing(setup, {("SPK", 5): rm.fail})
    monitor = Monitor()
    monitor.probe(second.t, 20)
    caught(first, cfg, 20)
    rows = monitor.get_data()["second"]["t"][:, 0]
    assert rows[:3].tolist() == [1, 2, 3]
    assert (rows[6:] == 0).all()


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("setup", ["inline", "local-1-elastic", "local-2-lockstep"])
def test_an_exception_that_interrupts_a_wait_runs_finally_clauses(setup, short_dir):
    """The second process waits for the first; its handler is unwound when the first fails."""
    first, second = rm.Scripted(name="first", script={("SPK", 3): rm.fail}), rm.Unwinding(name="second")
    rm.ring(first, second)
    second.proc_params["log"] = str(short_dir / "unwound")
    caught(first, config(setup))
    assert (short_dir / "unwound").read_text() == "3"


@pytest.mark.usefixtures("pool")
@every_setup
def test_a_reference_that_cannot_write_fails_the_run_like_a_model(setup):
    owner = rm.Refusing(name="owner", above=29)
    writer = rm.Reader(name="writer", action="rw", shape=(1,), phase="POST_MGMT")
    writer.ref.connect_var(owner.v)
    cfg = config(setup) if setup == "inline" else config(setup, partitions=1)
    error = caught(writer, cfg)
    assert (error.process, error.phase, error.time_step) == ("writer", "POST_MGMT", 3)
    assert isinstance(error.__cause__, OverflowError)
    assert "the owner refuses 30" in str(error)
    assert owner.v.get() == 30


# --- workers that die ---------------------------------------------------------------------------------


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
    first, second, cfg = failing(setup, {("SPK", 3): gate})
    first.run(RunContinuous(), run_cfg=cfg)
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


# --- hosts that die -------------------------------------------------------------------------------------

NETWORK = """
members = rm.ring(*(rm.Plain(name=f"p{k}") for k in range(3)))
cfg = Loihi2SimCfg(partitions=3, sync="SYNC", progress=False)
members[0].create_runtime(run_cfg=cfg)
network = members[0].runtime._network
def begun(step):
    while network.step < step:
        time.sleep(0.002)
"""
RUNNING = NETWORK + "members[0].run(RunContinuous()); begun(3); print('running', flush=True)\n"


@both_syncs
@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM])
def test_nothing_outlives_a_host_that_is_killed(script, sync, number):
    host = script(RUNNING.replace("SYNC", sync) + "members[0].wait()\n")
    host.wait_for("running")
    assert len(host.children) == 4
    assert len(host.directories()) == 1
    host.kill(number)
    host.assert_nothing_left()
    assert host.finish()[0] == -number


def test_nothing_outlives_a_host_that_is_killed_while_it_starts(script):
    host = script("print('starting', flush=True)\n" + RUNNING.replace("SYNC", "elastic"))
    host.wait_for("starting")
    until(host.directories)
    host.children = psutil.Process(host.process.pid).children(recursive=True)
    host.kill()
    host.assert_nothing_left()


@pytest.mark.parametrize(
    ("end", "status"),
    [
        ("pass", 0),
        ("sys.exit(4)", 4),
        ("raise KeyError('the end')", 1),
        ("os._exit(5)", 5),
        ("threading.Thread(target=members[0].wait).start()\nmembers[0].pause()", 0),
    ],
)
@pytest.mark.parametrize("state", ["running", "idle"])
def test_a_host_that_ends_without_stop_ends_promptly(script, end, status, state):
    begin = (
        RUNNING
        if state == "running"
        else NETWORK + "members[0].run(RunSteps(3))\nprint('running', flush=True)\n"
    )
    host = script(begin.replace("SYNC", "elastic") + end + "\n")
    host.wait_for("running")
    start = time.monotonic()
    code, _, err = host.finish()
    assert time.monotonic() - start < PROMPT
    assert code == status, err
    host.assert_nothing_left()
    assert ("KeyError" in err) == ("KeyError" in end)
    assert err == "" or "KeyError" in err


def test_a_host_with_an_inline_network_ends_promptly(script):
    host = script(
        """
        (cell,) = rm.ring(rm.Plain(name="cell"))
        cell.run(RunContinuous(), run_cfg=Loihi2SimCfg(launcher="inline"))
        print("running", flush=True)
        """
    )
    host.wait_for("running")
    assert host.finish()[::2] == (0, "")


def test_a_host_whose_model_fails_says_so_and_leaves_nothing(script):
    host = script(
        """
        members = rm.ring(rm.Plain(name="p0", script={("SPK", 3): rm.fail}), rm.Plain(name="p1"))
        members[0].run(RunSteps(9), run_cfg=Loihi2SimCfg(partitions=2))
        """
    )
    code, _, err = host.finish()
    assert code == 1
    assert "ModelError: 1 Exception(s) occurred" in err
    assert "Process 'p0' (Plain), phase SPK, time step 3: ZeroDivisionError" in err
    host.assert_nothing_left()


@both_syncs
def test_ctrl_c_in_a_blocking_run_pauses_the_network(script, sync):
    host = script(
        NETWORK.replace("SYNC", sync)
        + """
def tell():
    begun(3)
    print("running", flush=True)
threading.Thread(target=tell, daemon=True).start()
try:
    members[0].run(RunSteps(10**9))
except KeyboardInterrupt:
    steps = {int(m.t.get()[0]) for m in members}
    print(len(steps), "step", flush=True)
    members[0].run(RunSteps(5))
    print("then", {int(m.t.get()[0]) for m in members} == {k + 5 for k in steps}, flush=True)
    members[0].stop()
    print("stopped", flush=True)
"""
    )
    host.wait_for("running")
    host.interrupt_group()
    code, out, err = host.finish()
    assert (code, err) == (0, "")
    assert out.split("\n")[1:] == ["1 step", "then True", "stopped", ""]
    host.assert_nothing_left()


def test_ctrl_c_in_a_blocking_inline_run_pauses_the_network(script):
    host = script(
        """
        members = rm.ring(rm.Plain(name="p0"), rm.Plain(name="p1"))
        members[0].create_runtime(run_cfg=Loihi2SimCfg(launcher="inline"))
        def tell():
            while members[0].runtime._network.step < 3:
                time.sleep(0.002)
            print("running", flush=True)
        threading.Thread(target=tell, daemon=True).start()
        try:
            members[0].run(RunSteps(10**9))
        except KeyboardInterrupt:
            steps = {int(m.t.get()[0]) for m in members}
            members[0].run(RunSteps(5))
            print(len(steps), {int(m.t.get()[0]) for m in members} == {k + 5 for k in steps})
        """
    )
    host.wait_for("running")
    host.interrupt_group()
    code, out, err = host.finish()
    assert (code, err) == (0, "")
    assert out.split("\n")[1:] == ["1 True", ""]


def test_ctrl_c_while_waiting_leaves_the_run_going(script):
    host = script(
        RUNNING.replace("SYNC", "elastic")
        + """
try:
    print("waiting", flush=True)
    members[0].wait()
except KeyboardInterrupt:
    members[0].pause()
    print(len({int(m.t.get()[0]) for m in members}), "step", flush=True)
"""
    )
    host.wait_for("waiting")
    host.interrupt_group()
    code, out, err = host.finish()
    assert (code, err) == (0, "")
    assert "1 step" in out
    host.assert_nothing_left()


def test_ctrl_c_while_the_network_is_built_ends_the_host(script):
    host = script("print('starting', flush=True)\n" + RUNNING.replace("SYNC", "elastic"))
    host.wait_for("starting")
    until(host.directories)
    host.children = psutil.Process(host.process.pid).children(recursive=True)
    host.interrupt_group()
    start = time.monotonic()
    code, _, err = host.finish()
    assert time.monotonic() - start < PROMPT
    assert code == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    assert err.count("Traceback") == 1  # the fork server is not in the group
    host.assert_nothing_left()


def test_ctrl_c_that_nobody_catches_ends_the_host(script):
    host = script(RUNNING.replace("SYNC", "elastic") + "print('waiting', flush=True)\nmembers[0].wait()\n")
    host.wait_for("waiting")
    host.interrupt_group()
    code, _, err = host.finish()
    assert code == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    host.assert_nothing_left()


STUCK = """
members = rm.ring(rm.Plain(name="p0", script={("SPK", 3): rm.compute_for_ever}), rm.Plain(name="p1"))
members[0].create_runtime(run_cfg=Loihi2SimCfg(OPTIONS, progress=False))
def tell():
    while not os.path.exists("stuck"):
        time.sleep(0.002)
    print("stuck", flush=True)
    while not halted(members[0].runtime._network):
        time.sleep(0.002)
    print("halted", flush=True)
def halted(network):
    if hasattr(network, "engine"):
        return network._halting
    return network._service.protocol.state.name == "HOLDING"
threading.Thread(target=tell, daemon=True).start()
"""


@both_syncs
def test_a_host_that_ends_while_a_model_computes_for_ever_ends_too(script, sync):
    source = STUCK.replace("OPTIONS", f"partitions=2, sync={sync!r}")
    host = script(
        source + "members[0].run(RunContinuous())\nwhile not os.path.exists('stuck'): time.sleep(0.002)\n"
    )
    host.wait_for("stuck")
    start = time.monotonic()
    assert host.finish()[::2] == (0, "")
    assert time.monotonic() - start < 2 * PROMPT  # its worker has some time to end by itself
    host.assert_nothing_left()


def test_ctrl_c_twice_leaves_a_run_whose_model_computes_for_ever(script):
    host = script(STUCK.replace("OPTIONS", "partitions=2") + "members[0].run(RunSteps(9))\n")
    host.wait_for("stuck")
    host.interrupt_group()
    host.wait_for("halted")
    host.interrupt_group()
    start = time.monotonic()
    code, _, err = host.finish()
    assert time.monotonic() - start < 2 * PROMPT
    assert code == -signal.SIGINT
    assert err.rstrip().endswith("KeyboardInterrupt")
    host.assert_nothing_left()


def test_ctrl_c_twice_says_where_an_inline_model_computes_for_ever(script):
    host = script(STUCK.replace("OPTIONS", "launcher='inline'") + "members[0].run(RunSteps(9))\n")
    host.wait_for("stuck")
    host.interrupt_group()
    host.wait_for("halted")
    host.interrupt_group()
    code, _, err = host.finish()
    assert code == 1
    assert "Process 'p0' (Plain), phase SPK, time step 3: KeyboardInterrupt" in err
    assert "in compute_for_ever" in err
