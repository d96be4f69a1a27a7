"""How many partitions, and who lives in which."""

from __future__ import annotations

import numpy as np
import pytest
from support.cells import Cell, inline, local, nested, row

from lahar.compiler import compile  # noqa: A004
from lahar.processes import LIF, Monitor
from lahar.processes.errors import LaharWarning, PlacementError
from lahar.runtime import Loihi2SimCfg


@pytest.mark.parametrize("parts", [1, 2, 4, "3", np.int64(2)])
def test_as_many_partitions_as_asked_for(parts):
    plan = compile(row()[0], local(partitions=parts))
    assert plan.partitions == int(parts)
    assert set(plan.partition) == set(range(int(parts)))


def test_more_partitions_than_processes_are_refused():
    with pytest.raises(PlacementError, match="partitions=5, but the network has 4 processes; use at most 4"):
        compile(row()[0], local(partitions=5))


def test_parts_of_a_hierarchical_process_count_as_processes():
    src, _, _ = nested()
    assert compile(src, local(partitions=5)).partitions == 5
    with pytest.raises(PlacementError, match="partitions=6, but the network has 5 processes; use at most 5"):
        compile(src, local(partitions=6))


def test_inline_uses_one_partition():
    assert compile(row()[0], inline(partitions=3)).partition == [0] * 4


def test_small_networks_are_not_cut_by_themselves():
    assert compile(row()[0], local()).partitions == 1


def test_processes_are_placed_where_the_user_says():
    cells = row()
    plan = compile(cells[0], local(partitions=3, placement={cells[0]: 2, cells[3]: 0, cells[1]: 1}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert (where["c0"], where["c1"], where["c3"]) == (2, 1, 0)


def test_a_placement_alone_makes_partitions():
    cells = row()
    plan = compile(cells[0], local(placement={cells[0]: 0, cells[3]: 1}))
    assert plan.partitions == 2
    assert (plan.partition[0], plan.partition[3]) == (0, 1)


def test_a_hierarchical_process_is_placed_with_all_its_parts():
    src, nest, _ = nested()
    plan = compile(src, local(partitions=2, placement={nest: 1, src: 0}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert [where[name] for name in ("first", "second", "cell", "source")] == [1, 1, 1, 0]


@pytest.mark.parametrize(("partitions", "part"), [(2, 2), (2, -1), ("auto", -1), ("auto", 7)])
def test_an_impossible_partition_is_named(partitions, part):
    cells = row()
    with pytest.raises(PlacementError, match=rf"(process 'c1' into partition {part}|8 partitions cannot)"):
        compile(cells[0], local(partitions=partitions, placement={cells[1]: part}))


@pytest.mark.parametrize("placement", [{"c0": 0}, {3: 0}])
def test_a_placement_maps_processes(placement):
    with pytest.raises(PlacementError, match=r"placement maps Processes to partition numbers, not \S+ to 0"):
        compile(row()[0], local(partitions=2, placement=placement))


@pytest.mark.parametrize("part", [1.0, True, "1", None])
def test_a_placement_maps_to_integers(part):
    cells = row()
    with pytest.raises(
        PlacementError, match=r"placement maps Processes to partition numbers, not <Cell 'c0'> to"
    ):
        compile(cells[0], local(partitions=2, placement={cells[0]: part}))


def test_a_placement_of_a_stranger_is_refused():
    with pytest.raises(
        PlacementError, match="placement names process 'stranger', which is not part of this network"
    ):
        compile(row()[0], local(partitions=2, placement={Cell(name="stranger"): 0}))


def test_processes_coupled_by_a_reference_share_a_partition():
    cells = row()
    cells[3].r.connect_var(cells[0].x)
    plan = compile(cells[0], local(partitions=3))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert where["c0"] == where["c3"]
    with pytest.warns(LaharWarning, match=r"4 partitions were asked for, 3 are used.*\(c0 \+ c3\)"):
        plan = compile(cells[0], local(partitions=4))
    assert plan.partitions == 3
    assert "c0 + c3" in plan.notes[0]


def test_a_placement_may_separate_a_reference_which_is_not_elastic():
    cells = row()
    cells[3].r.connect_var(cells[0].x)
    plan = compile(cells[0], local(partitions=2, placement={cells[0]: 0, cells[3]: 1}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert (where["c0"], where["c3"]) == (0, 1)
    assert plan.sync == "lockstep"
    assert plan.sync_reasons == ["RefPort c3.r and Var c0.x are in different partitions"]
    with pytest.warns(LaharWarning, match=r"RefPort c3\.r and Var c0\.x are in different partitions"):
        plan = compile(cells[0], local(partitions=2, placement={cells[0]: 0, cells[3]: 1}, sync="elastic"))
    assert plan.sync == "lockstep"


def test_a_placement_that_separates_one_reference_keeps_the_others_together():
    cells = row()
    cells[3].r.connect_var(cells[0].x)
    cells[2].r.connect_var(cells[0].x)
    plan = compile(cells[0], local(partitions=2, placement={cells[0]: 0, cells[3]: 1}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert where["c2"] == where["c0"]


def test_monitors_are_placed_beside_what_they_record():
    cells, monitor = row(), Monitor(name="monitor")
    monitor.probe(cells[0].x, 3)
    monitor.probe(cells[3].o, 3)
    plan = compile(cells[0], local(partitions=2))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert where["monitor[0]"] == where["c0"]
    assert where["monitor[1]"] == where["c3"]


def test_a_placement_is_checked_inline_too():
    process = LIF(shape=(1,), name="neurons")
    with pytest.raises(PlacementError, match="maps Processes to partition numbers, not 'neurons' to 0"):
        compile(process, Loihi2SimCfg(placement={"neurons": 0}, launcher="inline"))
