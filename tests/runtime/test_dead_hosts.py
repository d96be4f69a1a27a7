"""What is left when the host dies, or is interrupted."""

from __future__ import annotations

import signal
import time

import psutil
import pytest
from setups import both_syncs
from support.deadline import until

pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")

PROMPT = 2.0  # seconds within which a death must be noticed


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
