"""Balanced min-cut partitioning: which worker runs which process.

The functions here are pure and work on plain data; the same graph gives the same parts, whatever the order
of its edges. Loads up to 1.1 times the ideal count as balanced; among balanced placements the one with the
fewest bytes between parts wins, then the one whose parts wait least for each other. Small problems are
searched exhaustively, so that their placement is the best there is.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from lahar.processes.errors import PlacementError, ValidationError

from .first_placements import place
from .mincut import EXACT_PLACEMENTS, Groups, count_placements, search


@dataclass(frozen=True)
class Graph:
    """The processes of a network and what flows between them.

    Parameters
    ----------
    loads : tuple of float
        Compute per node and time step, in microseconds.
    edges : tuple of (int, int, float)
        Source node, destination node, bytes per time step. Parallel edges and self-loops are allowed.

    Raises
    ------
    ValidationError
        If a load or a number of bytes is negative or not finite, or an edge names a node that does not exist.

    """

    loads: tuple[float, ...]
    edges: tuple[tuple[int, int, float], ...]

    def __post_init__(self) -> None:
        for node, load in enumerate(self.loads):
            if not (math.isfinite(load) and load >= 0):
                raise ValidationError(
                    f"node {node} has load {load!r}; give microseconds >= 0.", "Graph.loads"
                )
        nodes = len(self.loads)
        for source, target, size in self.edges:
            if not (0 <= source < nodes and 0 <= target < nodes):
                raise ValidationError(
                    f"edge {source} -> {target} leaves the graph; its {nodes} nodes count from 0.",
                    "Graph.edges",
                )
            if not (math.isfinite(size) and size >= 0):
                raise ValidationError(
                    f"edge {source} -> {target} carries {size!r}; give bytes >= 0.", "Graph.edges"
                )


def cut_bytes(graph: Graph, assignment: Sequence[int]) -> float:
    """Bytes per time step that cross between parts."""
    return math.fsum(size for a, b, size in graph.edges if assignment[a] != assignment[b])


def part_loads(graph: Graph, assignment: Sequence[int], parts: int) -> list[float]:
    """Compute per part and time step, in microseconds."""
    members: list[list[float]] = [[] for _ in range(parts)]
    for node, part in enumerate(assignment):
        members[part].append(graph.loads[node])
    return [math.fsum(loads) for loads in members]


def predicted_time(
    graph: Graph, assignment: Sequence[int], parts: int, *, message_cost: float, byte_cost: float
) -> float:
    """Predict the microseconds that a time step takes.

    The load of the fullest part, plus `message_cost` for each pair of parts that exchange anything, plus
    `byte_cost` for each byte that crosses.
    """
    ends = ((assignment[a], assignment[b]) for a, b, _ in graph.edges)
    peers = {(min(p, q), max(p, q)) for p, q in ends if p != q}
    busiest = max(part_loads(graph, assignment, parts), default=0.0)
    return busiest + message_cost * len(peers) + byte_cost * cut_bytes(graph, assignment)


def partition(
    graph: Graph,
    parts: int,
    *,
    fixed: Mapping[int, int] = {},
    together: Sequence[Collection[int]] = (),
    prefer_together: Sequence[Collection[int]] = (),
    slack: float = 0.0,
) -> list[int]:
    """Assign every node to one of `parts` parts: balanced, with little traffic between them.

    Parameters
    ----------
    graph : Graph
        Loads and traffic. If all loads are zero, every node counts the same.
    parts : int
        How many parts; none stays empty.
    fixed : mapping of int to int, optional
        Part of each node that the user has placed.
    together : sequence of collections of int, optional
        Nodes that must share a part.
    prefer_together : sequence of collections of int, optional
        Nodes that should share a part. Where this would leave a part empty, nodes leave their groups, those
        of the groups with the smallest loads first. Where `fixed` says otherwise, `fixed` holds.
    slack : float, optional
        Microseconds above the ideal load that count as balanced too. Waiting for an answer once per step
        costs far more than a few microseconds of imbalance, so small networks are cut where little, and
        nothing in return, has to be exchanged.

    Returns
    -------
    list of int
        The part of each node. Parts are numbered in the order of their first node, except that the numbers in
        `fixed` are kept.

    Raises
    ------
    PlacementError
        If `parts` is less than one or more than can be filled, or `fixed` and `together` contradict each
        other.
    ValidationError
        If a constraint names a node that does not exist.

    """
    group_of = _group_nodes(graph, parts, fixed, together, prefer_together)
    if parts == 1:
        return [0] * len(graph.loads)
    home = [-1] * (max(group_of) + 1)
    for node, part in fixed.items():
        home[group_of[node]] = part
    groups = Groups.of(graph.loads, graph.edges, group_of, home)
    total = math.fsum(graph.loads)
    spare = round(groups.total * min(1.0, slack / total)) if total else 0
    base = max(groups.total * 11 // (10 * parts), groups.total // parts + spare)
    placed = place(groups, parts, base)
    if count_placements(groups, parts) <= EXACT_PLACEMENTS:
        placed = search(groups, parts, base, placed)
    return _number(placed, group_of, set(fixed.values()), parts)


def choose_parts(
    graph: Graph,
    max_parts: int,
    *,
    message_cost: float,
    byte_cost: float,
    fixed: Mapping[int, int] = {},
    together: Sequence[Collection[int]] = (),
    prefer_together: Sequence[Collection[int]] = (),
    slack: float = 0.0,
) -> int:
    """Choose the number of parts with the smallest `predicted_time`.

    Parameters
    ----------
    graph : Graph
        Loads and traffic.
    max_parts : int
        Upper limit, usually the number of cores.
    message_cost : float
        Microseconds per time step for each pair of parts that exchange anything.
    byte_cost : float
        Microseconds per byte that crosses.
    fixed, together, prefer_together, slack
        As for `partition`. The result is large enough for every part that `fixed` names.

    Returns
    -------
    int
        Number of parts; 1 when more do not pay. Of equally good numbers the smallest.

    Raises
    ------
    PlacementError
        If `max_parts` is less than one or than the parts that `fixed` names, or the constraints contradict
        each other.

    """
    least = max(fixed.values(), default=0) + 1
    if max_parts < least:
        raise PlacementError(
            f"at most {max_parts} partitions are allowed, but {least} are needed: raise the limit"
            + (f" or place nothing in partition {least - 1}." if least > 1 else " to 1 or more.")
        )
    hard = _Forest(len(graph.loads), fixed)
    hard.join_all(together)
    free = sum(hard.home[root] < 0 for root in hard.roots())
    most = min(max_parts, free + len(set(fixed.values())))
    biggest = max(part_loads(graph, hard.group_of(), len(hard.roots())), default=0.0)
    joined = _Forest(len(graph.loads), {})
    joined.join_all([*together, *((a, b) for a, b, _ in graph.edges)])
    components = len(joined.roots())

    def at_least(parts: int) -> float:
        # p parts of a graph of c components have at least p - c pairs of peers
        return max(math.fsum(graph.loads) / parts, biggest) + message_cost * max(0, parts - components)

    best, best_time = least, math.inf
    for parts in range(least, max(least, most) + 1):
        if at_least(parts) >= best_time:
            continue
        assignment = partition(
            graph, parts, fixed=fixed, together=together, prefer_together=prefer_together, slack=slack
        )
        time = predicted_time(graph, assignment, parts, message_cost=message_cost, byte_cost=byte_cost)
        if time < best_time:
            best, best_time = parts, time
    return best


# --- constraints --------------------------------------------------------------------------


class _Forest:
    """Disjoint sets of nodes, each with the part that the user gave it, if any."""

    def __init__(self, nodes: int, fixed: Mapping[int, int]) -> None:
        self.parent = list(range(nodes))
        self.home: list[int] = [-1] * nodes
        for node, part in fixed.items():
            self.check(node, "fixed")
            self.home[node] = part

    def check(self, node: int, where: str) -> None:
        if not 0 <= node < len(self.parent):
            raise ValidationError(
                f"there is no node {node}; the graph's {len(self.parent)} nodes count from 0.", where
            )

    def find(self, node: int) -> int:
        while self.parent[node] != node:
            self.parent[node] = self.parent[self.parent[node]]
            node = self.parent[node]
        return node

    def join(self, a: int, b: int) -> None:
        """Join two sets; the smaller root stays root."""
        a, b = sorted((self.find(a), self.find(b)))
        self.parent[b] = a
        self.home[a] = max(self.home[a], self.home[b])

    def disagree(self, a: int, b: int) -> bool:
        p, q = self.home[self.find(a)], self.home[self.find(b)]
        return p >= 0 and q >= 0 and p != q

    def join_all(self, together: Iterable[Collection[int]]) -> None:
        for members in together:
            ordered = sorted(set(members))
            for node in ordered:
                self.check(node, "together")
                if self.disagree(ordered[0], node):
                    p, q = self.home[self.find(ordered[0])], self.home[self.find(node)]
                    raise PlacementError(
                        f"nodes {ordered} must share a partition, but are placed in partitions {p} and {q}: "
                        "place them in the same one, or only one of them."
                    )
                self.join(ordered[0], node)

    def roots(self) -> list[int]:
        return [node for node, parent in enumerate(self.parent) if node == parent]

    def group_of(self) -> list[int]:
        """Group of every node; groups are numbered by their smallest node."""
        number = {root: group for group, root in enumerate(self.roots())}
        return [number[self.find(node)] for node in range(len(self.parent))]


def _group_nodes(
    graph: Graph,
    parts: int,
    fixed: Mapping[int, int],
    together: Sequence[Collection[int]],
    prefer: Sequence[Collection[int]],
) -> list[int]:
    """Merge nodes as the constraints ask, and check that all parts can be filled."""
    if parts < 1:
        raise PlacementError(f"{parts} partitions are asked for; at least 1 is needed.")
    for node, part in sorted(fixed.items()):
        if not 0 <= part < parts:
            raise PlacementError(
                f"node {node} is placed in partition {part}, but there are {parts}, counted from 0."
            )
    forest = _Forest(len(graph.loads), fixed)
    forest.join_all(together)
    roots, named = forest.roots(), set(fixed.values())
    free = sum(forest.home[root] < 0 for root in roots)
    spare = free - (parts - len(named))  # a named part has its placed node; each other needs a free group
    if spare < 0 and (parts > 1 or roots):
        placed = f", {len(roots) - free} of them placed in {len(named)} partitions" if named else ""
        raise PlacementError(
            f"{parts} partitions cannot all be filled: the {len(graph.loads)} processes form {len(roots)} "
            f"group(s) that must stay together{placed}. Ask for at most {free + len(named)} partitions."
        )
    links: list[tuple[float, float, int, int]] = []
    for members in prefer:
        ordered = sorted(set(members), key=lambda node: (-graph.loads[node], node))
        for node in members:
            forest.check(node, "prefer_together")
        whole = math.fsum(graph.loads[node] for node in ordered)
        links += [(-whole, -graph.loads[node], ordered[0], node) for node in ordered[1:]]
    for *_, hub, node in sorted(links):  # heaviest first: the lightest are left over when parts run short
        if forest.find(hub) == forest.find(node) or forest.disagree(hub, node):
            continue
        uses_spare = forest.home[forest.find(hub)] < 0 or forest.home[forest.find(node)] < 0
        if spare >= uses_spare:
            spare -= uses_spare
            forest.join(hub, node)
    return forest.group_of()


def _number(placed: list[int], group_of: list[int], named: set[int], parts: int) -> list[int]:
    """Number the parts by their first node, but keep the numbers that the user gave."""
    unused = iter([part for part in range(parts) if part not in named])
    number = {part: part for part in named}
    for group in group_of:
        if placed[group] not in number:
            number[placed[group]] = next(unused)
    return [number[placed[group]] for group in group_of]
