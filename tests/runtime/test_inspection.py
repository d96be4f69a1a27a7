"""SIGUSR1 shows what every actor is doing, in the host and in a worker."""

from __future__ import annotations

import os
import signal

import pytest

WAITING = """
a, b = rm.ring(rm.Plain(name="a"), rm.Plain(name="b", script={("SPK", 3): rm.compute_for_ever}))
a.create_runtime(run_cfg=Loihi2SimCfg(OPTIONS, progress=False))
a.run(RunContinuous())
while not os.path.exists("stuck"):
    time.sleep(0.002)
print("stuck", flush=True)
sys.stdin = None
while True:
    time.sleep(0.01)
"""


def read_until(stream, *texts):
    """Read lines until all texts have been seen; return what was read."""
    lines = []
    while not all(any(text in line for line in lines) for text in texts):
        line = stream.readline()
        assert line, f"no {texts} in {''.join(lines)}"
        lines.append(line)
    return "".join(lines)


@pytest.mark.parametrize("options", ["launcher='inline'", "partitions=2, sync='lockstep'"])
def test_the_host_shows_its_networks_and_asks_its_workers(script, options):
    host = script(WAITING.replace("OPTIONS", options))
    host.wait_for("stuck")
    text = ""
    while "a (Plain) waits in recv() for b.out" not in text:  # b may be stuck before a has come so far
        host.kill(signal.SIGUSR1)
        text = read_until(host.process.stderr, "a (Plain) ", "b (Plain) is running", "compute_for_ever")
    assert "network of 2 processes, running, time step 3:" in text
    assert "actions.py" in text
    host.kill(signal.SIGUSR1)  # again: nothing has changed
    read_until(host.process.stderr, "b (Plain) is running")
    assert host.process.poll() is None


def test_a_worker_shows_itself(script):
    host = script(WAITING.replace("OPTIONS", "partitions=2, sync='elastic'"))
    host.wait_for("stuck")
    workers = [p for p in host.children if p.children() == [] and "forkserver" in " ".join(p.cmdline())]
    assert len(workers) == 2
    for worker in workers:
        os.kill(worker.pid, signal.SIGUSR1)
    text = read_until(host.process.stderr, "a (Plain) waits in recv()", "b (Plain) is running")
    assert "RUNNING, time step 3" in text


def test_a_handler_of_the_program_is_left_alone(script):
    host = script(
        """
        signal.signal(signal.SIGUSR1, lambda *_: print("mine", flush=True))
        a, b = rm.ring(rm.Plain(name="a"), rm.Plain(name="b"))
        a.run(RunSteps(1), run_cfg=Loihi2SimCfg(partitions=2))
        os.kill(os.getpid(), signal.SIGUSR1)
        a.stop()
        """
    )
    host.wait_for("mine")
    assert host.finish()[0] == 0
