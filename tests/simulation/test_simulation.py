"""Thousands of whole networks in virtual time, each from one seed; see `lahar.runtime.testing`."""

from __future__ import annotations

import logging
import os
import random
import subprocess
import sys
from collections import Counter

import pytest

from lahar.runtime.sequencer import Wishes
from lahar.runtime.testing import Simulation, SimulationFailure, networks, simulate
from lahar.runtime.testing.__main__ import main

CHUNK = 125
SEEDS = range(0, 2000, CHUNK)
KINDS = {
    "graph",
    "neurons",
    "referring",
    "asking",
    "failing",
    "bursts",
    "deadlocked",
    "domains",
    "free",
    "piped",
}
ENDINGS = {"closed", "failed", "deadlock", "died", "abandoned", "stopped"}


@pytest.fixture(autouse=True)
def _no_log():
    """Workers die all the time here, and the service says so."""
    logging.disable(logging.CRITICAL)
    yield
    logging.disable(logging.NOTSET)


@pytest.mark.parametrize("first", SEEDS)
def test_what_must_hold_holds_for_every_seed(first):
    for seed in range(first, first + CHUNK):
        simulate(seed)


def test_channels_in_which_every_place_is_needed():
    """Credit that is held back, or counted too late, looks like a deadlock here."""
    tight = [k for k in range(networks.COUNT) if networks.sample(k).kind == "bursts" and is_tight(k)]
    for seed in range(900, 2300):
        Simulation(seed, number=tight[seed % len(tight)], fault="none").run()


def is_tight(number):
    """Whether a channel between two workers is filled to its last place in every time step."""
    plan = networks.sample(number).plan
    count = plan.processes[0].proc_params["count"]
    return (plan.partitions, plan.sync) == (2, "elastic") and count == plan.channels[0].capacity >= 3


def test_a_stop_that_is_forgotten_is_noticed(monkeypatch):
    """Two sync domains ask for pause and stop in one run, and only the pause is served."""
    serve = Wishes.serve

    def serve_one(wishes):
        served = serve(wishes)
        serve(wishes)
        return served

    asking = [k for k in range(networks.COUNT) if networks.sample(k).kind == "domains" and asks_for_both(k)]
    monkeypatch.setattr(Wishes, "serve", serve_one)
    found = []
    for seed in range(100):
        try:
            Simulation(seed, number=asking[seed % len(asking)], fault="none").run()
        except SimulationFailure as failure:
            found.append(str(failure))
    assert any("models asked for ['stop']" in text for text in found)


def asks_for_both(number):
    scripts = [p.proc_params["script"].values() for p in networks.sample(number).plan.processes]
    return {"pause", "stop"} <= {action for script in scripts for action in script}


def test_simulations_have_all_kinds_of_networks_and_ends():
    reports = [simulate(seed) for seed in range(2000, 2300)]
    assert {report.kind for report in reports} == KINDS
    assert {report.ending for report in reports} == ENDINGS
    compared = Counter(report.compared for report in reports)
    assert compared[True] > 2 * compared[False]
    assert sum(report.messages for report in reports) > 20 * len(reports)


@pytest.mark.parametrize("seed", range(3000, 3020))
def test_a_seed_gives_the_same_trace_every_time(seed):
    traces = []
    for _ in range(2):
        simulation = Simulation(seed)
        simulation.run()
        traces.append(simulation.trace())
    assert traces[0] == traces[1]
    assert traces[0] != Simulation(seed + 1).trace()


def test_a_seed_gives_the_same_trace_in_every_process(capfd):
    digests = set()
    for hash_seed, compiled_before in (("1", "0"), ("2", "40")):
        script = (
            "from lahar.runtime.testing import Simulation, networks\n"
            f"[networks.sample(k) for k in range({compiled_before})]\n"
            "print([Simulation(seed).run().digest for seed in range(4000, 4030)])"
        )
        environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
        run = subprocess.run(
            [sys.executable, "-c", script],
            env=environment,
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        digests.add(run.stdout)
    assert len(digests) == 1


# --- the command line -------------------------------------------------------------------------------


def test_the_command_replays_a_seed(capsys):
    simulation = Simulation(7)
    report = simulation.run()
    assert main(["--seed", "7"]) == 0
    assert report.digest in capsys.readouterr().out
    assert main(["--seed", "7", "--trace"]) == 0
    out = capsys.readouterr().out
    assert simulation.trace() in out
    assert report.digest in out


def test_the_command_runs_a_range_of_seeds(capsys):
    assert main(["--first", "20", "--count", "5"]) == 0
    assert "5 seeds from 20" in capsys.readouterr().out


def test_a_failure_says_how_to_see_it_again(monkeypatch, capsys):
    def fail(self):
        raise SimulationFailure("it is broken")

    monkeypatch.setattr(Simulation, "run", fail)
    with pytest.raises(SimulationFailure, match=r"(?s)seed 5 .*it is broken.*--seed 5 --trace"):
        simulate(5)
    assert main(["--first", "11", "--count", "3"]) == 1
    assert "--seed 11 --trace" in capsys.readouterr().out
    assert main(["--seed", "11"]) == 1
    assert "it is broken" in capsys.readouterr().out


# --- as long as one likes ---------------------------------------------------------------------------


@pytest.mark.fuzz
def test_fuzz_simulations():
    first = random.SystemRandom().randrange(2**40)
    for seed in range(first, first + 2000):
        simulate(seed)
