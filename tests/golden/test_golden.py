"""Every network that the reference recorded: same numbers, and the same bits however it is spread."""

from __future__ import annotations

import functools
from pathlib import Path
from typing import NamedTuple

import pytest
from support.comparison import assert_close, assert_same_bits
from support.netlist import Netlist, Network, Recording

from lahar.runtime import WorkerPool

DATA = Path(__file__).parent / "data"
CASES = sorted(str(path.relative_to(DATA).with_suffix("")) for path in DATA.rglob("*.npz"))
FIXED_POINT = ("fixed_pt", "bit_accurate_loihi")
# guards of several partitions depend on each other, so these always run in lockstep
UNSAFE = ("execution/phases", "execution/phases_pause")

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


@pytest.mark.parametrize("spread", SPREADS, ids=lambda s: f"{s.partitions}-{s.sync}")
@pytest.mark.parametrize("case", CASES)
def test_every_spread_gives_the_same_bits(case, spread):
    assert_same_bits(run_spread(case, spread).values, run_inline(case).values, f"{case}, {spread}")
