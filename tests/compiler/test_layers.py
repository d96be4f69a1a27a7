"""Layers of graphs, for drawings."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lahar.compiler.layers import find_layers

pairs = st.lists(st.tuples(st.integers(0, 7), st.integers(0, 7)), max_size=16)


@given(pairs)
def test_edges_of_a_graph_without_cycles_lead_to_the_right(edges):
    forward = [(a, b) for a, b in edges if a < b]
    layer = find_layers(8, forward, [])
    assert all(layer[a] < layer[b] for a, b in forward)
    assert min(layer) == 0


@given(pairs)
def test_what_closes_a_cycle_may_turn_back_and_nothing_else(edges):
    layer = find_layers(8, edges, [])
    right = [(a, b) for a, b in edges if layer[a] < layer[b]]
    for a, b in set(edges) - set(right):  # it leads back to where it came from
        assert a == b or reaches(edges, b, a)


def reaches(edges, start, goal):
    seen, todo = {start}, [start]
    while todo:
        new = {b for a, b in edges if a == todo[-1]} - seen
        todo.pop()
        seen |= new
        todo += new
    return goal in seen


def test_a_soft_edge_leads_to_the_left_unless_it_contradicts_another():
    assert find_layers(2, [], [(0, 1)]) == [1, 0]
    assert find_layers(2, [(0, 1)], [(0, 1)]) == [0, 1]


def test_inputs_are_moved_to_where_they_are_used():
    assert find_layers(4, [(0, 1), (1, 2), (3, 2)], []) == [0, 1, 2, 1]
