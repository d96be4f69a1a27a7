"""Groups of processes in parts: what a placement costs, and how to make it better.

A placement is judged by, in this order,

1. the load of the fullest part, as far as it exceeds a limit,
2. the bytes that cross between parts in a time step,
3. feedback: pairs of parts that wait for each other. A pipeline of workers may run ahead, a ring may not,
4. the load of the fullest part, also below the limit.

`refine` improves a placement by passes of single moves with roll-back [1]_; `search` finds the best one by
branch and bound. Everything is in integers: no result depends on the order of edges or on hashes.

References
----------
.. [1] C. M. Fiduccia and R. M. Mattheyses, "A linear-time heuristic for improving network partitions", 1982.

"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from heapq import heappop, heappush

EXACT_PLACEMENTS = 50_000  # search exhaustively up to so many placements
_PASSES = 8  # of refinement, at most

Score = tuple[int, int, int, int]


def _quantise(values: Sequence[float]) -> list[int]:
    """Round to 40 significant bits of the largest value, so that sums are exact in any order."""
    scale = 40 - math.frexp(max(values, default=0.0))[1]
    return [round(math.ldexp(value, scale)) for value in values]


@dataclass
class Groups:
    """Processes that stay together, merged into groups, and what flows between the groups."""

    weights: list[int]
    links: list[dict[int, int]]  # bytes exchanged with other groups, both directions
    targets: list[set[int]]  # groups that are sent to; iterate sorted wherever the order can matter
    sources: list[set[int]]
    home: list[int]  # part given by the user, or -1

    @classmethod
    def of(
        cls,
        loads: Sequence[float],
        edges: Sequence[tuple[int, int, float]],
        group_of: Sequence[int],
        home: list[int],
    ) -> Groups:
        """Sum up the loads and edges of nodes; `group_of` is the group of each node."""
        weights = _quantise(loads)
        if not any(weights):
            weights = [1 << 20] * len(weights)
        sizes = _quantise([size for _, _, size in edges])
        whole = ((a, b, size) for (a, b, _), size in zip(edges, sizes, strict=True))
        return cls._summed(weights, whole, group_of, home)

    @classmethod
    def _summed(
        cls,
        loads: Sequence[int],
        edges: Iterable[tuple[int, int, int]],
        group_of: Sequence[int],
        home: list[int],
    ) -> Groups:
        count = len(home)
        weights = [0] * count
        for group, weight in zip(group_of, loads, strict=True):
            weights[group] += weight
        links: list[dict[int, int]] = [{} for _ in range(count)]
        targets: list[set[int]] = [set() for _ in range(count)]
        sources: list[set[int]] = [set() for _ in range(count)]
        for source, target, size in edges:
            a, b = group_of[source], group_of[target]
            if a != b:
                links[a][b] = links[a].get(b, 0) + size
                links[b][a] = links[b].get(a, 0) + size
                targets[a].add(b)
                sources[b].add(a)
        return cls(weights, links, targets, sources, home)

    def __len__(self) -> int:
        return len(self.weights)

    @property
    def total(self) -> int:
        """Sum of all weights."""
        return sum(self.weights)

    def coarser(self, target: int) -> tuple[Groups, list[int]]:
        """Merge pairs of groups along their heaviest links; leftovers pair up with those on the same hub."""
        cap, size = 3 * self.total // target, len(self)
        mate = [-1] * size

        def fits(a: int, b: int) -> bool:
            return self.home[a] == self.home[b] and self.weights[a] + self.weights[b] <= cap

        for a in sorted(range(size), key=lambda group: (len(self.links[group]), group)):
            if mate[a] < 0:
                choices = [(-flow, b) for b, flow in self.links[a].items() if mate[b] < 0 and fits(a, b)]
                if choices:
                    mate[a] = min(choices)[1]
                    mate[mate[a]] = a
        hub = [min(((-flow, b) for b, flow in links.items()), default=(0, -1))[1] for links in self.links]
        waiting = -1
        for a in sorted(
            (group for group in range(size) if mate[group] < 0), key=lambda g: (hub[g], self.home[g], g)
        ):
            if waiting >= 0 and hub[waiting] == hub[a] and fits(waiting, a):
                mate[a], mate[waiting], waiting = waiting, a, -1
            else:
                waiting = a
        merged, count = [-1] * size, 0
        for a in range(size):
            if merged[a] < 0:
                merged[a] = merged[mate[a] if mate[a] >= 0 else a] = count
                count += 1
        home = [-1] * count
        for a, group in enumerate(merged):
            home[group] = self.home[a]
        # where two groups send to each other, the bytes of both directions are counted with the first edge
        edges = (
            (a, b, 0 if a > b and b in self.sources[a] else self.links[a][b])
            for a in range(size)
            for b in self.targets[a]
        )
        return Groups._summed(self.weights, edges, merged, home), merged


class Placement:
    """Groups in parts, with the sums that a move changes."""

    def __init__(self, groups: Groups, parts: int, limit: int, part: Sequence[int]) -> None:
        self.groups, self.parts, self.limit, self.part = groups, parts, limit, list(part)
        self.load, self.count, self.cut = [0] * parts, [0] * parts, 0
        self.streams = [[0] * parts for _ in range(parts)]  # number of edges from part to part
        self.pull: list[dict[int, int]] = [{} for _ in range(len(groups))]  # bytes exchanged with each part
        for group, p in enumerate(self.part):
            self.load[p] += groups.weights[group]
            self.count[p] += 1
            for other in groups.targets[group]:
                self.streams[p][self.part[other]] += 1
            pull = self.pull[group]
            for other, size in groups.links[group].items():
                if size:
                    pull[self.part[other]] = pull.get(self.part[other], 0) + size
            self.cut += sum(pull.values()) - pull.get(p, 0)
        self.cut //= 2  # every link was met from both its ends

    def move(self, group: int, target: int) -> None:
        """Move one group to another part."""
        part, source, weight = self.part, self.part[group], self.groups.weights[group]
        self.load[source] -= weight
        self.load[target] += weight
        self.count[source] -= 1
        self.count[target] += 1
        self.cut += self.pull[group].get(source, 0) - self.pull[group].get(target, 0)
        for other, size in self.groups.links[group].items():
            if size:
                pull = self.pull[other]
                pull[target] = pull.get(target, 0) + size
                pull[source] -= size
                if not pull[source]:
                    del pull[source]
        for other in self.groups.targets[group]:
            self.streams[source][part[other]] -= 1
            self.streams[target][part[other]] += 1
        for other in self.groups.sources[group]:
            self.streams[part[other]][source] -= 1
            self.streams[part[other]][target] += 1
        part[group] = target

    def cost(self) -> tuple[int, int]:
        """Return the first two numbers of the score, which are quick to get."""
        return max(self.limit, *self.load), self.cut

    def score(self) -> Score:
        """Return all four numbers; the smaller, the better."""
        return (*self.cost(), self._feedback(), max(self.load))

    def _feedback(self) -> int:
        """Count the pairs of parts that reach each other."""
        reach = [sum((n > 0) << q for q, n in enumerate(row) if q != p) for p, row in enumerate(self.streams)]
        for middle in range(self.parts):
            for p in range(self.parts):
                if reach[p] >> middle & 1:
                    reach[p] |= reach[middle]
        return sum(reach[p] >> q & 1 and reach[q] >> p & 1 for q in range(self.parts) for p in range(q))


# --- improvement --------------------------------------------------------------------------


def refine(groups: Groups, parts: int, limit: int, part: Sequence[int]) -> list[int]:
    """Improve a placement by passes of single moves; it never gets worse."""
    placement = Placement(groups, parts, limit, part)
    before = placement.score()
    for _ in range(_PASSES):
        after = _pass(placement)
        if after >= before:
            break
        before = after
    return placement.part


def _pass(placement: Placement) -> Score:
    """Move every group at most once, the best move first, even if it is a bad one; keep the best moment."""
    groups, part, load, limit = placement.groups, placement.part, placement.load, placement.limit
    slack = 2 * groups.total // len(groups)  # room for the first half of an exchange
    patience = max(30, min(200, len(groups) // 4))
    locked = [home >= 0 for home in groups.home]
    stamp = [0] * len(groups)
    heaps: list[list[tuple[int, int, int, int]]] = [[] for _ in range(placement.parts)]

    def offer(group: int) -> None:
        stamp[group] += 1
        pull, source = placement.pull[group], part[group]
        own = pull.get(source, 0)
        emptiest = load.index(min(load))
        for target in pull if emptiest in pull else (emptiest, *pull):
            if target != source:
                heappush(heaps[source], (own - pull.get(target, 0), group, target, stamp[group]))

    def choose() -> tuple[int, int, int, int] | None:
        fullest = max(range(placement.parts), key=lambda p: (load[p], -p))
        over = load[fullest] > limit
        sources = [fullest] if over else range(placement.parts)
        aside: list[tuple[int, tuple[int, int, int, int]]] = []
        chosen = None
        while chosen is None and len(aside) < 64:
            for p in sources:
                while heaps[p] and (locked[heaps[p][0][1]] or heaps[p][0][3] != stamp[heaps[p][0][1]]):
                    heappop(heaps[p])
            source = min((p for p in sources if heaps[p]), key=lambda p: heaps[p][0], default=-1)
            if source < 0:
                break
            entry = heappop(heaps[source])
            after = load[entry[2]] + groups.weights[entry[1]]
            fits = after < load[source] if over else after <= limit + slack
            if fits and placement.count[source] > 1:
                chosen = entry
            else:
                aside.append((source, entry))
        for source, entry in aside:
            heappush(heaps[source], entry)
        return chosen

    for group in range(len(groups)):
        if not locked[group]:
            offer(group)
    moves: list[tuple[int, int]] = []
    best, kept = placement.score(), 0
    while len(moves) - kept < patience and (entry := choose()):
        _, group, target, _ = entry
        moves.append((group, part[group]))
        placement.move(group, target)
        locked[group] = True
        for other in groups.links[group]:
            if not locked[other]:
                offer(other)
        if placement.cost() <= best[:2] and (score := placement.score()) < best:
            best, kept = score, len(moves)
    for group, source in reversed(moves[kept:]):
        placement.move(group, source)
    return best


# --- exhaustive search --------------------------------------------------------------------


def count_placements(groups: Groups, parts: int) -> int:
    """Count the ways to fill the parts, where parts that the user did not name are interchangeable."""
    ways = {len({home for home in groups.home if home >= 0}): 1}
    for left in reversed(range(groups.home.count(-1))):
        following: dict[int, int] = {}
        for used, count in ways.items():
            if used + left >= parts:
                following[used] = following.get(used, 0) + used * count
            if used < parts <= used + 1 + left:
                following[used + 1] = following.get(used + 1, 0) + count
        ways = following
        if sum(ways.values()) > EXACT_PLACEMENTS:
            break
    return sum(ways.values())


def search(groups: Groups, parts: int, base: int, known: list[int]) -> list[int]:
    """Find the best placement by branch and bound, starting from a known one."""
    best, best_score = known, Placement(groups, parts, base, known).score()
    part = list(groups.home)
    named = sorted({home for home in part if home >= 0})
    labels = named + [p for p in range(parts) if p not in named]
    order = sorted((g for g, p in enumerate(part) if p < 0), key=lambda g: (-groups.weights[g], g))
    load = [0] * parts
    for group, p in enumerate(part):
        if p >= 0:
            load[p] += groups.weights[group]
    cut = sum(
        size
        for group, links in enumerate(groups.links)
        for other, size in links.items()
        if other < group and part[group] >= 0 and part[other] >= 0 and part[group] != part[other]
    )

    def descend(position: int, used: int, fullest: int, cut: int) -> None:
        nonlocal best, best_score
        # what is still to be placed can only add to these
        if (max(base, fullest), cut, 0, fullest) >= best_score or len(order) - position < parts - used:
            return
        if position == len(order):
            score = Placement(groups, parts, base, part).score()
            if score < best_score:
                best, best_score = part.copy(), score
            return
        group = order[position]
        pull: dict[int, int] = {}
        for other, size in groups.links[group].items():
            if part[other] >= 0:
                pull[part[other]] = pull.get(part[other], 0) + size
        outside = sum(pull.values())
        for index in range(min(used + 1, parts)):
            p = labels[index]
            part[group] = p
            load[p] += groups.weights[group]
            descend(position + 1, max(used, index + 1), max(fullest, load[p]), cut + outside - pull.get(p, 0))
            load[p] -= groups.weights[group]
        part[group] = -1

    descend(0, len(named), max(load), cut)
    return best
