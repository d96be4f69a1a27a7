"""Orders: in which sequence a worker visits its processes, and how far workers may run ahead."""

from __future__ import annotations

import heapq
from collections import defaultdict


def dataflow_order(n: int, edges: list[tuple[int, int]], delays: list[int]) -> list[int]:
    """Order processes so that a message is sent before it is received wherever possible.

    Kahn's algorithm, smallest number first. In a loop a process with a delay goes first, since it sends
    before it receives; the wrong choice costs a suspension per time step, never a different result.

    Parameters
    ----------
    n : int
        Number of processes.
    edges : list of (source, destination)
    delays : list of int
        `min_delay` of each process.
    """
    waiting: list[set[int]] = [set() for _ in range(n)]
    successors: list[set[int]] = [set() for _ in range(n)]
    for a, b in edges:
        if a != b:
            waiting[b].add(a)
            successors[a].add(b)
    ready = [k for k in range(n) if not waiting[k]]
    heapq.heapify(ready)
    left = set(range(n)) - set(ready)
    loop: list[int] = []
    order: list[int] = []
    while ready or left:
        if not ready:
            loop = loop or strong_components(successors)
            # not one that only waits for a loop before it
            inside = [k for k in left if all(loop[w] == loop[k] for w in waiting[k])]
            first = min(inside, key=lambda k: (delays[k] == 0, len(waiting[k]), k))
            left.remove(first)
            ready.append(first)
        k = heapq.heappop(ready)
        order.append(k)
        for s in successors[k]:
            waiting[s].discard(k)
            if s in left and not waiting[s]:
                left.remove(s)
                heapq.heappush(ready, s)
    return order


def strong_components(successors: list[set[int]]) -> list[int]:
    """Return a label per process, the same for processes that are on a common loop.

    Kosaraju's algorithm. scipy has one too, but importing it takes ten times as long as compiling a small
    network.
    """
    predecessors: list[set[int]] = [set() for _ in successors]
    for a, targets in enumerate(successors):
        for b in targets:
            predecessors[b].add(a)
    seen: set[int] = set()
    finished: list[int] = []
    for root in range(len(successors)):
        stack = [] if root in seen else [(root, iter(sorted(successors[root])))]
        seen.add(root)
        while stack:
            k, rest = stack[-1]
            following = next((s for s in rest if s not in seen), None)
            if following is None:
                finished.append(stack.pop()[0])
            else:
                seen.add(following)
                stack.append((following, iter(sorted(successors[following]))))
    label = [-1] * len(successors)
    for root in reversed(finished):
        todo = [root] if label[root] < 0 else []
        while todo:
            k = todo.pop()
            if label[k] < 0:
                label[k] = root
                todo += predecessors[k]
    return label


def management_order(n: int, references: list[tuple[int, int]]) -> list[int]:
    """Order processes so that the owner of a Var comes before those who refer to it."""
    return dataflow_order(n, references, [0] * n)


def lookahead(channels: list[tuple[int, int, int]]) -> dict[tuple[int, int], int | None]:
    """Return how many time steps may travel in one message, for each pair of partitions with channels.

    The lookahead of conservative parallel discrete-event simulation, the min-delay exchange of the big
    network simulators: what partition a sends in step t cannot influence anything that returns to a
    before step t + lookahead. Without a way back there is no bound (None).

    Parameters
    ----------
    channels : list of (source partition, destination partition, delay)
    """
    neighbours: dict[int, set[int]] = defaultdict(set)
    smallest: dict[tuple[int, int], int] = {}
    for a, b, delay in channels:
        if a != b:
            neighbours[a].add(b)
            smallest[a, b] = min(delay, smallest.get((a, b), delay))

    def reaches(start: int, goal: int) -> bool:
        seen, stack = {start}, [start]
        while stack:
            k = stack.pop()
            if k == goal:
                return True
            new = neighbours[k] - seen
            seen |= new
            stack += new
        return False

    return {(a, b): max(1, delay) if reaches(b, a) else None for (a, b), delay in smallest.items()}
