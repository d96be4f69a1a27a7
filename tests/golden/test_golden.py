"""Every network that the reference recorded: same numbers, and the same bits however it is spread."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import pytest
from support.comparison import assert_close, assert_same_bits
from support.kernels import only
from support.netlist import Netlist, Network, Recording

from lahar.processes.kernels import CHOICES
from lahar.runtime import WorkerPool

DATA = Path(__file__).parent / "data"
CASES = sorted(str(path.relative_to(DATA).with_suffix("")) for path in DATA.rglob("*.npz"))
FIXED_POINT = ("fixed_pt", "bit_accurate_loihi")
# guards of several partitions depend on each other, so these always run in lockstep
UNSAFE = ("execution/phases", "execution/phases_pause")

# Processes some of whose loops exist in NumPy and compiled, and those that use them in every time step.
COMPILED = {
    "LIF",
    "LIFReset",
    "LIFRefractory",
    "TernaryLIF",
    "LearningLIF",
    "PrototypeLIF",
    "Dense",
    "Sparse",
}
COMPILED |= {"LearningDense", "LearningSparse", "ConvInTime", "networks.GradedDense", "networks.GradedSparse"}
ALWAYS_USED = {"LIF", "LearningDense", "LearningSparse"}

# values that are cut, clipped or unreachable on purpose
pytestmark = pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")


class Spread(NamedTuple):
    """How a network is spread over OS processes."""

    partitions: int
    sync: str


SPREADS = [Spread(partitions, sync) for partitions in (1, 2, 3) for sync in ("elastic", "lockstep")]


@pytest.fixture(scope="module", autouse=True)
def _warm_workers():
    with WorkerPool():
        yield


@functools.cache
def load(case: str) -> Netlist:
    return Netlist.load(DATA / f"{case}.npz")


def classes(case: str) -> set[str]:
    return {spec["class"] for spec in load(case).case["processes"]}


@functools.cache
def run_inline(case: str) -> Recording:
    network = Network(load(case))
    return network.run(network.run_config(launcher="inline"))


def run_spread(case: str, spread: Spread) -> Recording:
    network = Network(load(case))
    partitions = min(spread.partitions, network.size)
    recording = network.run(network.run_config(partitions=partitions, sync=spread.sync))
    plan = recording.plan
    assert len(set(plan.partition)) == plan.partitions == partitions
    if partitions == 1 or case not in UNSAFE:
        assert plan.sync == spread.sync
    return recording


def test_cases_are_there():
    folders = {path.name for path in DATA.iterdir()}
    assert folders == {"api", "connections", "execution", "learning", "networks", "neurons"}
    assert len(CASES) >= 79


@pytest.mark.parametrize("case", CASES)
def test_inline_run_agrees_with_the_reference(case):
    netlist = load(case)
    assert netlist.expected
    assert_close(run_inline(case).values, netlist.expected, exact=netlist.case["tag"] in FIXED_POINT)


@pytest.mark.parametrize("kernels", CHOICES)
@pytest.mark.parametrize("case", [case for case in CASES if COMPILED & classes(case)])
def test_both_kinds_of_kernels_give_the_same_bits(case, kernels):
    network = Network(load(case))
    with only(kernels) as used:
        recording = network.run(network.run_config(launcher="inline"))
    assert_same_bits(recording.values, run_inline(case).values, f"{case}, {kernels}")
    assert bool(used) == (kernels == "numba") or not ALWAYS_USED & classes(case)


@pytest.mark.parametrize("spread", SPREADS, ids=lambda s: f"{s.partitions}-{s.sync}")
@pytest.mark.parametrize("case", CASES)
def test_every_spread_gives_the_same_bits(case, spread):
    assert_same_bits(run_spread(case, spread).values, run_inline(case).values, f"{case}, {spread}")
