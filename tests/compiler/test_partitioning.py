"""Properties and exact examples of `lahar.compiler.partitioning`."""

from __future__ import annotations

import itertools
import math
import random
import subprocess
import sys
import time

import pytest
from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from lahar.compiler.partitioning import (
    Graph,
    choose_parts,
    cut_bytes,
    part_loads,
    partition,
    predicted_time,
)
from lahar.processes.errors import PlacementError, ValidationError

TOLERANCE = 1.1 * (1 + 1e-9)
relaxed = settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow])


def chain(loads, sizes):
    return Graph(tuple(loads), tuple((i, i + 1, size) for i, size in enumerate(sizes)))


def random_graph(nodes, edges, seed):
    rng = random.Random(seed)
    return Graph(
        tuple(rng.uniform(1, 5) for _ in range(nodes)),
        tuple((rng.randrange(nodes), rng.randrange(nodes), rng.uniform(1, 100)) for _ in range(edges)),
    )


def near_graph(nodes, seed, neighbours=8):
    """Points in the unit square, each linked to the points within a radius."""
    rng = random.Random(seed)
    points = [(rng.random(), rng.random()) for _ in range(nodes)]
    radius = math.sqrt(neighbours / (math.pi * nodes))
    cells: dict = {}
    for i, (x, y) in enumerate(points):
        cells.setdefault((int(x / radius), int(y / radius)), []).append(i)
    edges = []
    for i, (x, y) in enumerate(points):
        for dx, dy in itertools.product((-1, 0, 1), repeat=2):
            for j in cells.get((int(x / radius) + dx, int(y / radius) + dy), ()):
                close = i < j and math.dist(points[i], points[j]) < radius
                edges += [(i, j, 4.0)] if close else []
    return Graph((1.0,) * nodes, tuple(edges))


@pytest.fixture
def without_pymetis(monkeypatch):
    monkeypatch.setitem(sys.modules, "pymetis", None)  # makes `import pymetis` fail


@st.composite
def graphs(draw, max_nodes=24):
    nodes = draw(st.integers(1, max_nodes))
    loads = draw(st.lists(st.floats(0, 1e6, width=32), min_size=nodes, max_size=nodes))
    node = st.integers(0, nodes - 1)
    edges = draw(st.lists(st.tuples(node, node, st.floats(0, 1e6, width=32)), max_size=3 * nodes))
    return Graph(tuple(loads), tuple(edges))


@st.composite
def constrained(draw):
    """A graph, a number of parts and constraints that do not contradict each other."""
    graph = draw(graphs())
    nodes = len(graph.loads)
    parts = draw(st.integers(1, min(nodes, 5)))
    hidden = draw(st.lists(st.integers(0, parts - 1), min_size=nodes, max_size=nodes))
    assume(set(hidden) == set(range(parts)))  # a solution exists
    fixed = {node: hidden[node] for node in draw(st.sets(st.integers(0, nodes - 1), max_size=3))}
    together = []
    for part in draw(st.sets(st.integers(0, parts - 1), max_size=2)):
        members = [node for node in range(nodes) if hidden[node] == part]
        together.append(draw(st.lists(st.sampled_from(members), min_size=1, max_size=3)))
    prefer = draw(st.lists(st.lists(st.integers(0, nodes - 1), max_size=4), max_size=3))
    return graph, parts, {"fixed": fixed, "together": together, "prefer_together": prefer}


# --- properties -----------------------------------------------------------------------------


@relaxed
@given(constrained())
def test_constraints_hold_and_no_part_is_empty(case):
    graph, parts, constraints = case
    assignment = partition(graph, parts, **constraints)
    assert len(assignment) == len(graph.loads)
    assert set(assignment) == set(range(parts))
    assert all(assignment[node] == part for node, part in constraints["fixed"].items())
    assert all(len({assignment[node] for node in members}) == 1 for members in constraints["together"])


@relaxed
@given(constrained(), st.randoms(use_true_random=False))
def test_order_of_edges_and_constraints_does_not_matter(case, rng):
    graph, parts, constraints = case
    edges = list(graph.edges)
    rng.shuffle(edges)
    fixed = list(constraints["fixed"].items())
    rng.shuffle(fixed)
    shuffled = {
        "fixed": dict(fixed),
        "together": [set(members) for members in reversed(constraints["together"])],
        "prefer_together": [frozenset(members) for members in reversed(constraints["prefer_together"])],
    }
    assert partition(Graph(graph.loads, tuple(edges)), parts, **shuffled) == partition(
        graph, parts, **constraints
    )


@relaxed
@given(graphs(), st.integers(1, 6))
def test_parts_are_numbered_by_their_first_node(graph, parts):
    assume(parts <= len(graph.loads))
    assignment = partition(graph, parts)
    assert list(dict.fromkeys(assignment)) == list(range(parts))


@relaxed
@given(st.data())
def test_no_contiguous_split_of_a_chain_with_the_same_balance_cuts_less(data):
    nodes = data.draw(st.integers(2, 40))
    parts = data.draw(st.integers(2, min(nodes, 4)))
    loads = data.draw(st.lists(st.integers(1, 20), min_size=nodes, max_size=nodes))
    sizes = data.draw(st.lists(st.integers(1, 64), min_size=nodes - 1, max_size=nodes - 1))
    order = data.draw(st.permutations(range(nodes)))  # nodes need not be declared in the order of the chain
    edges = tuple((order[i], order[i + 1], float(size)) for i, size in enumerate(sizes))
    graph = Graph(tuple(float(load) for load in loads), edges)
    assignment = partition(graph, parts)
    heaviest, cut = max(part_loads(graph, assignment, parts)), cut_bytes(graph, assignment)
    sums = [0, *itertools.accumulate(loads[node] for node in order)]
    for at in itertools.islice(itertools.combinations(range(1, nodes), parts - 1), 3000):
        bounds = (0, *at, nodes)
        if max(sums[b] - sums[a] for a, b in itertools.pairwise(bounds)) <= heaviest:
            assert cut <= sum(sizes[i - 1] for i in at)


def waiting_pairs(graph, assignment, parts):
    """Pairs of parts that reach each other, found by walking."""
    after = {p: set() for p in range(parts)}
    for a, b, _ in graph.edges:
        after[assignment[a]].add(assignment[b])

    def reached(part):
        found, todo = set(), [part]
        while todo:
            new = after[todo.pop()] - found
            found |= new
            todo += new
        return found

    return sum(q in reached(p) and p in reached(q) for p, q in itertools.combinations(range(parts), 2))


@settings(max_examples=150, deadline=None, derandomize=True)
@given(st.data())
def test_small_graphs_are_placed_as_well_as_possible(data):
    nodes = data.draw(st.integers(3, 7))
    parts = data.draw(st.integers(2, min(nodes, 4)))
    loads = data.draw(st.lists(st.integers(1, 5), min_size=nodes, max_size=nodes))
    node = st.integers(0, nodes - 1)
    edges = data.draw(st.lists(st.tuples(node, node, st.integers(0, 3)), min_size=nodes, max_size=3 * nodes))
    graph = Graph(tuple(map(float, loads)), tuple((a, b, float(size)) for a, b, size in edges))

    def price(assignment):
        over = max(11 * sum(loads), *(10 * parts * load for load in part_loads(graph, assignment, parts)))
        return over, cut_bytes(graph, assignment), waiting_pairs(graph, assignment, parts)

    every = (a for a in itertools.product(range(parts), repeat=nodes) if len(set(a)) == parts)
    assert price(partition(graph, parts)) == min(map(price, every))


@relaxed
@given(st.integers(0, 2**32), st.integers(20, 120), st.integers(2, 6))
def test_balance_is_within_tolerance_where_no_node_is_big(seed, nodes, parts):
    rng = random.Random(seed)
    edges = tuple((rng.randrange(nodes), rng.randrange(nodes), rng.random()) for _ in range(2 * nodes))
    graph = Graph((1.0,) * nodes, edges)
    reachable = math.ceil(nodes / parts)
    assignment = partition(graph, parts)
    assert max(part_loads(graph, assignment, parts)) <= max(reachable, TOLERANCE * nodes / parts)


# --- exact examples -------------------------------------------------------------------------


def test_a_chain_of_four_is_cut_in_the_middle():
    assert partition(chain([1] * 4, [8] * 3), 2) == [0, 0, 1, 1]


def test_the_cheap_edge_is_cut_when_balance_allows():
    assert partition(chain([1] * 20, [9] * 10 + [1] + [9] * 8), 2) == [0] * 11 + [1] * 9


def test_balance_goes_before_cut():
    graph = chain([10, 2, 2, 10], [1, 100, 1])
    assert max(part_loads(graph, partition(graph, 2), 2)) == 12
    heavy = chain([10, 10], [1e9])
    assert partition(heavy, 2) == [0, 1]


def test_a_big_node_sets_the_balance_of_the_rest():
    graph = chain([100, 1, 1, 1, 1], [1, 1, 5, 1])
    assert partition(graph, 2) == [0, 1, 1, 1, 1]
    # nothing can beat 100, so the rest may be cut wherever it is cheapest
    assert part_loads(graph, partition(graph, 3), 3)[0] == 100
    assert cut_bytes(graph, partition(graph, 3)) == 2


def test_two_cliques_are_told_apart():
    left, right = range(0, 16, 2), range(1, 16, 2)
    edges = [(a, b, 4.0) for side in (left, right) for a in side for b in side if a != b]
    assert partition(Graph((1.0,) * 16, (*edges, (0, 1, 1.0))), 2) == [0, 1] * 8


def test_nodes_without_loads_count_the_same():
    assert partition(chain([0] * 6, [3] * 5), 3) == [0, 0, 1, 1, 2, 2]


def test_of_equal_cuts_the_feed_forward_one_wins():
    # {0, 1} and {2, 3} would send to each other, {0, 3} only sends to {1, 2}
    graph = Graph((1.0,) * 4, ((1, 2, 1.0), (3, 0, 1.0), (0, 1, 1.0), (3, 2, 1.0)))
    assert partition(graph, 2) == [0, 1, 1, 0]


def test_pairs_that_send_both_ways_are_avoided_on_larger_graphs_too():
    """A ladder can be cut across or along; each cut across is as small, but only one direction flows."""
    rungs = 30
    down = [(i, i + 1, 2.0) for i in range(rungs - 1)] + [
        (rungs + i, rungs + i + 1, 2.0) for i in range(rungs - 1)
    ]
    graph = Graph((1.0,) * (2 * rungs), (*down, *((i, rungs + i, 1.0) for i in range(rungs))))
    assignment = partition(graph, 3)
    assert all(assignment[a] <= assignment[b] for a, b, _ in graph.edges)


# --- constraints ----------------------------------------------------------------------------


def test_fixed_numbers_are_kept_and_the_rest_is_counted_up():
    assignment = partition(chain([1] * 6, [1] * 5), 3, fixed={0: 2})
    assert assignment == [2, 2, 0, 0, 1, 1]
    assert partition(chain([1] * 4, [1] * 3), 2, fixed={0: 0, 1: 1, 2: 0, 3: 1}) == [0, 1, 0, 1]


def test_recorders_stay_with_what_they_probe_while_parts_suffice():
    #          0 -> 1 -> 2 ; recorders 3 and 4 probe 1 and 2
    graph = Graph((10.0, 10.0, 10.0, 0.0, 1.0), ((0, 1, 1.0), (1, 2, 1.0), (1, 3, 800.0), (2, 4, 800.0)))
    probes = [(3, 1), (4, 2)]
    together = partition(graph, 3, prefer_together=probes)
    assert together[3] == together[1]
    assert together[4] == together[2]
    split = partition(graph, 4, prefer_together=probes)
    assert split[3] != split[1], "the group with the smallest load is split first"
    assert split[4] == split[2]
    assert len(set(partition(graph, 5, prefer_together=probes))) == 5


def test_a_preference_yields_to_a_placement():
    graph = chain([1] * 3, [1] * 2)
    assert partition(graph, 2, fixed={0: 0, 2: 1}, prefer_together=[(0, 2)])[::2] == [0, 1]


def test_too_many_parts_name_the_numbers():
    with pytest.raises(PlacementError, match=r"5 partitions cannot all be filled.*4 group.*at most 4"):
        partition(chain([1] * 6, [1] * 5), 5, together=[(0, 1), (2, 3)])
    with pytest.raises(PlacementError, match="at most 1"):
        partition(chain([1] * 2, [1]), 2, fixed={0: 0, 1: 0})
    with pytest.raises(PlacementError, match="at least 1"):
        partition(chain([1] * 2, [1]), 0)


def test_contradictions_are_reported():
    graph = chain([1] * 4, [1] * 3)
    with pytest.raises(PlacementError, match=r"nodes \[0, 1\] must share a partition.*0 and 1"):
        partition(graph, 2, fixed={0: 0, 1: 1}, together=[(1, 0)])
    with pytest.raises(PlacementError, match="must share"):
        partition(graph, 2, fixed={0: 0, 2: 1}, together=[(0, 1), (1, 2)])
    with pytest.raises(PlacementError, match="placed in partition 2, but there are 2"):
        partition(graph, 2, fixed={0: 2})


def test_unknown_nodes_and_bad_numbers_are_rejected():
    graph = chain([1] * 4, [1] * 3)
    for bad in ({"fixed": {4: 0}}, {"together": [(0, 7)]}, {"prefer_together": [(0, -1)]}):
        with pytest.raises(ValidationError, match="there is no node"):
            partition(graph, 2, **bad)
    with pytest.raises(ValidationError, match="load"):
        Graph((-1.0,), ())
    with pytest.raises(ValidationError, match="load"):
        Graph((math.nan,), ())
    with pytest.raises(ValidationError, match="bytes"):
        Graph((1.0, 1.0), ((0, 1, math.inf),))
    with pytest.raises(ValidationError, match="leaves the graph"):
        Graph((1.0,), ((0, 1, 1.0),))


def test_one_part_and_no_nodes():
    assert partition(chain([1] * 3, [1] * 2), 1) == [0, 0, 0]
    assert partition(Graph((), ()), 1) == []
    assert choose_parts(Graph((), ()), 4, message_cost=1, byte_cost=1) == 1


# --- how many parts -------------------------------------------------------------------------


def test_parts_pay_only_if_the_work_outweighs_the_messages():
    graph = chain([100] * 4, [8] * 3)
    assert choose_parts(graph, 8, message_cost=1, byte_cost=0) == 4
    assert choose_parts(graph, 2, message_cost=1, byte_cost=0) == 2
    assert choose_parts(graph, 8, message_cost=1000, byte_cost=0) == 1
    assert choose_parts(graph, 8, message_cost=1, byte_cost=100) == 1
    # 2 parts: 200 + 60; 4 parts: 100 + 3 * 60
    assert choose_parts(graph, 8, message_cost=60, byte_cost=0) == 2


def test_parts_are_limited_by_groups_and_required_by_placements():
    graph = chain([100] * 4, [8] * 3)
    assert choose_parts(graph, 8, message_cost=0, byte_cost=0, together=[(0, 1), (2, 3)]) == 2
    assert choose_parts(graph, 8, message_cost=1e6, byte_cost=0, fixed={0: 0, 1: 2}) == 3
    with pytest.raises(PlacementError, match="at most 2 partitions are allowed, but 3"):
        choose_parts(graph, 2, message_cost=0, byte_cost=0, fixed={0: 2})
    with pytest.raises(PlacementError, match="to 1 or more"):
        choose_parts(graph, 0, message_cost=0, byte_cost=0)


@relaxed
@given(graphs(max_nodes=9), st.integers(1, 5), st.floats(0, 1e6), st.floats(0, 10))
def test_no_number_of_parts_is_predicted_faster(graph, most, message_cost, byte_cost):
    costs = {"message_cost": message_cost, "byte_cost": byte_cost}
    times = [
        predicted_time(graph, partition(graph, parts), parts, **costs)
        for parts in range(1, min(most, len(graph.loads)) + 1)
    ]
    assert choose_parts(graph, most, **costs) == times.index(min(times)) + 1


# --- large graphs ---------------------------------------------------------------------------


def test_metis_and_the_own_algorithm_are_close(monkeypatch):
    pymetis = pytest.importorskip("pymetis")
    calls = []
    original = pymetis.part_graph
    monkeypatch.setattr(pymetis, "part_graph", lambda *a, **k: calls.append(1) or original(*a, **k))
    graph = random_graph(500, 1500, seed=2)
    for parts in (2, 4, 8):
        with_metis = partition(graph, parts)
        assert calls, "METIS was not asked"
        calls.clear()
        with monkeypatch.context() as patch:
            patch.setitem(sys.modules, "pymetis", None)
            own = partition(graph, parts)
        assert not calls
        for assignment in (with_metis, own):
            loads = part_loads(graph, assignment, parts)
            assert max(loads) <= TOLERANCE * sum(loads) / parts
        assert cut_bytes(graph, own) <= 1.15 * cut_bytes(graph, with_metis)
        assert cut_bytes(graph, with_metis) <= 1.15 * cut_bytes(graph, own)


def test_large_graphs_keep_constraints_with_metis():
    pytest.importorskip("pymetis")
    check_large_constraints()


def test_large_graphs_keep_constraints_without_metis(without_pymetis):
    check_large_constraints()


def check_large_constraints():
    graph = near_graph(600, seed=5)
    fixed = {0: 3, 100: 1, 200: 3}
    groups = [(1, 300, 599), (7, 8)]
    assignment = partition(graph, 5, fixed=fixed, together=groups)
    assert set(assignment) == set(range(5))
    assert all(assignment[node] == part for node, part in fixed.items())
    assert all(len({assignment[node] for node in members}) == 1 for members in groups)
    loads = part_loads(graph, assignment, 5)
    assert max(loads) <= TOLERANCE * sum(loads) / 5
    placed = partition(graph, 4, fixed={node: node % 3 for node in range(599)})
    assert placed == [node % 3 for node in range(599)] + [3]


def test_ten_thousand_groups_in_five_seconds():
    pytest.importorskip("pymetis")
    check_ten_thousand(5, 4 * 140)


def test_ten_thousand_groups_without_metis(without_pymetis):
    check_ten_thousand(20, 4 * 300)


def check_ten_thousand(seconds, cut):
    graph = near_graph(10_000, seed=3)  # a straight cut meets about 130 edges per crossing of the square
    before = time.process_time()
    assignment = partition(graph, 2)
    assert time.process_time() - before < seconds
    assert set(assignment) == {0, 1}
    assert max(part_loads(graph, assignment, 2)) <= 5500
    assert cut_bytes(graph, assignment) <= cut


@pytest.mark.parametrize("shape", ["chain", "star", "none"])
def test_large_graphs_of_extreme_shape(shape, without_pymetis):
    n = 3000
    edges = {
        "chain": [(i, i + 1, 8.0) for i in range(n - 1)],
        "star": [(0, i, 8.0) for i in range(1, n)],
        "none": [],
    }[shape]
    graph = Graph((1.0,) * n, tuple(edges))
    assignment = partition(graph, 4)
    assert max(part_loads(graph, assignment, 4)) <= 1.1 * n / 4
    assert (
        cut_bytes(graph, assignment)
        <= {"chain": 3 * 8.0, "star": 8.0 * (n - 1.1 * n / 4 + 1), "none": 0}[shape]
    )


def test_the_result_does_not_depend_on_the_hash_seed():
    program = (
        "import random\n"
        "from lahar.compiler.partitioning import Graph, partition\n"
        "r = random.Random(1)\n"
        "edges = tuple((r.randrange(400), r.randrange(400), r.random()) for _ in range(1200))\n"
        "g = Graph(tuple(r.random() for _ in range(400)), edges)\n"
        "print(partition(g, 5, together=[{3, 4, 399}], prefer_together=[{9, 8}, {8, 7}], fixed={5: 2, 6: 1}))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in ("1", "2")
    }
    assert len(outputs) == 1
    assert next(iter(outputs)).startswith("[")
