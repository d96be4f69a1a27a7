"""Layers of a directed graph: every edge leads to the right, but for those that close a cycle."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from heapq import heapify, heappop, heappush


def _closing(count: int, edges: Iterable[tuple[int, int]]) -> set[tuple[int, int]]:
    """Find the edges that close a cycle, by depth-first search from the sources with the longest way to go."""
    targets: list[list[int]] = [[] for _ in range(count)]
    has_source = [False] * count
    for source, target in sorted(set(edges)):
        targets[source].append(target)
        has_source[target] = has_source[target] or source != target

    def reach(root: int) -> int:
        ring, seen, steps = {root}, {root}, -1
        while ring:
            ring = {target for node in ring for target in targets[node]} - seen
            seen |= ring
            steps += 1
        return steps

    roots = sorted((node for node in range(count) if not has_source[node]), key=lambda n: (-reach(n), n))
    closing: set[tuple[int, int]] = set()
    state = [0] * count  # 0 new, 1 on the path, 2 done
    for root in (*roots, *range(count)):
        stack = [(root, 0)] if state[root] == 0 else []
        while stack:
            node, position = stack.pop()
            state[node] = 1
            if position == len(targets[node]):
                state[node] = 2
                continue
            stack.append((node, position + 1))
            target = targets[node][position]
            if state[target] == 1:
                closing.add((node, target))
            elif state[target] == 0:
                stack.append((target, 0))
    return closing


def find_layers(count: int, edges: Sequence[tuple[int, int]], soft: Sequence[tuple[int, int]]) -> list[int]:
    """Return the layer of every box: its longest path from a source, inputs moved up to where they are used."""
    closing = _closing(count, edges)
    after: list[set[int]] = [set() for _ in range(count)]
    for source, target in edges:
        if (source, target) not in closing:
            after[source].add(target)

    def leads(start: int, goal: int) -> bool:
        seen, todo = {start}, [start]
        while todo:
            new = after[todo.pop()] - seen
            seen |= new
            todo += new
        return goal in seen

    for source, target in soft:
        if not leads(source, target):
            after[target].add(source)
    before: list[set[int]] = [set() for _ in range(count)]
    for node in range(count):
        for target in after[node]:
            before[target].add(node)
    missing = [len(sources) for sources in before]
    ready = [node for node in range(count) if not missing[node]]
    heapify(ready)
    order, layer = [], [0] * count
    while ready:
        node = heappop(ready)
        order.append(node)
        for target in after[node]:
            layer[target] = max(layer[target], layer[node] + 1)
            missing[target] -= 1
            if not missing[target]:
                heappush(ready, target)
    for node in reversed(order):
        if after[node] and len(before[node]) <= len(after[node]):
            layer[node] = min(layer[target] for target in after[node]) - 1
    return layer
