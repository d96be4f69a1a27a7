"""Host programs that are killed or interrupted at random moments: nothing may be left behind (G8)."""

from __future__ import annotations

import os
import random
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
from scripts import Script
from support.deadline import until
from support.traces import processes_with

TESTS = Path(__file__).parent.parent

SPAN = 1.5  # seconds in which a host starts, runs some networks, and starts again
GONE = 2.0  # seconds within which everything must be gone
ENDS = 6.0  # the same for a host that is interrupted while its workers are being ended

BODY = """
import random, warnings
import lahar.runtime.local  # an import that is interrupted leaves pyzmq half initialised for good
from support.endangered import random_network, state_of
warnings.simplefilter("ignore")
rng = random.Random("SEED")

def use(network):
    members = network.build()
    top, options = members[0], network.options(members)
    use.top = top
    how = rng.randrange(3)
    if how == 0:
        top.run(RunSteps(rng.choice([1, 50, 500])), *options)
    else:
        top.run(RunContinuous(), *options)
        time.sleep(rng.random() * 0.1)
        if how == 1:
            top.pause()
    top.stop()

def go_on():
    print("begin", flush=True)
    while True:
        if rng.random() < 0.5:
            use(random_network(rng))
        else:
            with WorkerPool():
                for _ in range(3):
                    use(random_network(rng))
"""
INTERRUPTED = """
try:
    go_on()
except KeyboardInterrupt:
    print("interrupted", flush=True)
use.top.stop()
network = random_network(rng)
members = network.build()
members[0].run(RunSteps(20), *network.options(members))
members[0].stop()
print(state_of(members) == network.expected(20), flush=True)
"""


@pytest.fixture
def host(tmp_path_factory, monkeypatch):
    """Start a host program whose sockets, status files and workers can be told from all others."""
    monkeypatch.setenv("PYTHONPATH", str(TESTS))
    started = []

    def start(seed, body):
        started.append(
            Script(Path(tempfile.mkdtemp(prefix="t-", dir="/tmp")), BODY.replace("SEED", seed) + body)
        )
        return started[-1]

    yield start
    for each in started:
        each.children = relatives(each)
        each.close()
        shutil.rmtree(each.temp.parent)


def relatives(host):
    """Return all OS processes that the host has started, whoever their parent is now."""
    return [p for p in processes_with("TMPDIR", str(host.temp)) if p.pid != host.process.pid]


def assert_nothing_left(host, seconds):
    end = time.monotonic() + seconds
    until(lambda: not list(host.temp.iterdir()), seconds, f"the removal of {list(host.temp.iterdir())}")
    until(lambda: not relatives(host), max(0.1, end - time.monotonic()), f"the end of {relatives(host)}")


def strike_at_random(host, rng, number):
    host.wait_for("begin")
    time.sleep(rng.random() * SPAN)
    if number == signal.SIGINT:
        host.interrupt_group()
    else:
        os.kill(host.process.pid, number)


@pytest.mark.rounds(2)
def test_a_host_killed_at_a_random_moment(seed, host):
    rng = random.Random(f"host{seed}")
    victim = host(f"host{seed}", "go_on()")
    strike_at_random(
        victim, rng, rng.choice([signal.SIGKILL, signal.SIGKILL, signal.SIGTERM, signal.SIGSEGV])
    )
    assert_nothing_left(victim, GONE)
    assert victim.finish()[0] < 0


@pytest.mark.rounds(1)
def test_a_host_interrupted_at_a_random_moment_ends(seed, host):
    rng = random.Random(f"ctrl-c{seed}")
    victim = host(f"ctrl-c{seed}", "go_on()")
    strike_at_random(victim, rng, signal.SIGINT)
    begun = time.monotonic()
    code, _, err = victim.finish()
    assert time.monotonic() - begun < ENDS
    assert code in (-signal.SIGINT, 1), err
    assert "KeyboardInterrupt" in err
    assert_nothing_left(victim, GONE)


@pytest.mark.rounds(1)
def test_after_an_interruption_at_a_random_moment_the_next_network_works(seed, host):
    rng = random.Random(f"caught{seed}")
    victim = host(f"caught{seed}", INTERRUPTED)
    strike_at_random(victim, rng, signal.SIGINT)
    code, out, err = victim.finish()
    assert code == 0, err
    assert out.split() == ["begin", "interrupted", "True"], err
    assert_nothing_left(victim, GONE)
