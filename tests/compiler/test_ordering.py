"""Orders: the sequence in which a worker visits its processes, and how far workers may run ahead."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lahar.compiler.ordering import dataflow_order, lookahead, management_order


@st.composite
def graphs(draw, acyclic=False):
    n = draw(st.integers(1, 10))
    node = st.integers(0, n - 1)
    edges = draw(st.lists(st.tuples(node, node), max_size=25))
    if acyclic:
        rank = draw(st.permutations(range(n)))
        edges = [(a, b) if rank[a] < rank[b] else (b, a) for a, b in edges if a != b]
    delays = draw(st.lists(st.integers(0, 2), min_size=n, max_size=n))
    return n, edges, delays


def reachable(edges, start):
    seen, stack = set(), [start]
    while stack:
        k = stack.pop()
        for a, b in edges:
            if a == k and b not in seen:
                seen.add(b)
                stack.append(b)
    return seen


@given(graphs())
def test_every_process_is_visited_once(graph):
    n, edges, delays = graph
    assert sorted(dataflow_order(n, edges, delays)) == list(range(n))


@given(graphs(acyclic=True))
def test_without_loops_every_message_is_sent_before_it_is_received(graph):
    n, edges, delays = graph
    order = dataflow_order(n, edges, delays)
    assert all(order.index(a) < order.index(b) for a, b in edges)


@given(graphs())
def test_only_edges_of_loops_go_backward(graph):
    n, edges, delays = graph
    order = dataflow_order(n, edges, delays)
    for a, b in edges:
        assert order.index(a) < order.index(b) or a == b or a in reachable(edges, b)


@given(graphs(), st.randoms())
def test_the_order_does_not_depend_on_the_order_of_the_edges(graph, random):
    n, edges, delays = graph
    shuffled = [*edges, *edges[:3]]
    random.shuffle(shuffled)
    assert dataflow_order(n, shuffled, delays) == dataflow_order(n, edges, delays)


@given(st.integers(1, 8), st.data())
def test_a_ring_starts_at_the_process_with_a_delay(n, data):
    first = data.draw(st.integers(0, n - 1))
    delays = [int(k == first) for k in range(n)]
    order = dataflow_order(n, [(k, (k + 1) % n) for k in range(n)], delays)
    assert order == [(first + k) % n for k in range(n)]


@pytest.mark.parametrize(
    ("n", "edges", "delays", "order"),
    [
        (0, [], [], []),
        (3, [], [0, 0, 0], [0, 1, 2]),
        (3, [(2, 1), (1, 0)], [0, 0, 0], [2, 1, 0]),
        (4, [(3, 0), (3, 1)], [0] * 4, [2, 3, 0, 1]),
        (1, [(0, 0)], [0], [0]),
        # a loop without delay starts at the smallest number
        (3, [(0, 1), (1, 2), (2, 0)], [0, 0, 0], [0, 1, 2]),
        # what only waits for a loop comes after it, even with a delay of its own
        (3, [(0, 1), (1, 0), (1, 2)], [0, 0, 1], [0, 1, 2]),
        # a source, a recurrent population with its delayed synapses, a readout with a delay
        (4, [(0, 1), (1, 2), (2, 1), (1, 3)], [0, 0, 1, 1], [0, 2, 1, 3]),
    ],
)
def test_examples(n, edges, delays, order):
    assert dataflow_order(n, edges, delays) == order


@given(graphs(acyclic=True))
def test_owners_of_vars_come_before_those_who_refer_to_them(graph):
    n, references, _ = graph
    order = management_order(n, references)
    assert sorted(order) == list(range(n))
    assert all(order.index(owner) < order.index(reader) for owner, reader in references)


# --- lookahead ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("channels", "expected"),
    [
        ([], {}),
        ([(0, 0, 3)], {}),
        # no way back: no bound
        ([(0, 1, 0)], {(0, 1): None}),
        ([(0, 1, 2), (1, 2, 0), (0, 2, 1)], {(0, 1): None, (1, 2): None, (0, 2): None}),
        # there and back
        ([(0, 1, 1), (1, 0, 2)], {(0, 1): 1, (1, 0): 2}),
        # at least one step, and the smallest of several channels
        ([(0, 1, 0), (1, 0, 3), (1, 0, 5)], {(0, 1): 1, (1, 0): 3}),
        # back over a third partition
        ([(0, 1, 2), (1, 2, 4), (2, 0, 3)], {(0, 1): 2, (1, 2): 4, (2, 0): 3}),
        # a loop elsewhere does not bound a feed-forward cut
        ([(0, 1, 1), (1, 2, 2), (2, 1, 2)], {(0, 1): None, (1, 2): 2, (2, 1): 2}),
    ],
)
def test_lookahead(channels, expected):
    assert lookahead(channels) == expected


@given(st.lists(st.tuples(st.integers(0, 4), st.integers(0, 4), st.integers(0, 5)), max_size=20))
def test_lookahead_is_bounded_exactly_where_there_is_a_way_back(channels):
    result = lookahead(channels)
    cut = [(a, b) for a, b, _ in channels if a != b]
    assert set(result) == set(cut)
    for (a, b), steps in result.items():
        if a in reachable(cut, b):
            assert steps == max(1, min(d for x, y, d in channels if (x, y) == (a, b)))
        else:
            assert steps is None
