"""Placements by heuristics: several starts, each refined; the best one wins.

The starts are a best fit of the loads, regions grown from seeds, and a cut of the topological order. Problems
of more than 200 groups are first solved by METIS [1]_ when `pymetis` can be imported, otherwise on a coarser
graph.

References
----------
.. [1] G. Karypis and V. Kumar, "A fast and high quality multilevel scheme for partitioning irregular graphs",
   1998.

"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from heapq import heapify, heappop, heappush

from .mincut import Groups, Placement, refine

_LARGE = 200  # more groups than this are given to METIS, or coarsened
_LINE = 1_000  # cut the topological order of no more groups: it takes quadratic time
_METIS_SEED = 20_230_517  # any constant: METIS must not seed itself from the clock


def place(groups: Groups, parts: int, base: int) -> list[int]:
    """Return the part of each group. Loads up to `base` count as balanced."""
    balanced = _balance(groups, parts, [-1] * len(groups))
    limit = max(base, *Placement(groups, parts, 0, balanced).load)
    large = len(groups) > max(_LARGE, 8 * parts)
    candidates = [balanced] if large else [refine(groups, parts, limit, balanced)]
    starts: list[list[int] | None] = []
    if large:
        starts.append(_metis(groups, parts) or _place_coarser(groups, parts, base))
    else:
        starts.append(_grow(groups, parts, limit))
    if len(groups) <= _LINE:
        starts.append(_cut_line(groups, parts, limit))
    candidates += [refine(groups, parts, limit, _rehome(groups, parts, start)) for start in starts if start]
    return min(candidates, key=lambda part: Placement(groups, parts, limit, part).score())


def _balance(groups: Groups, parts: int, part: Sequence[int]) -> list[int]:
    """Place what is not placed yet (-1), heaviest first, each in the emptiest part."""
    part = [home if home >= 0 else p for home, p in zip(groups.home, part, strict=True)]
    load, count = [0] * parts, [0] * parts
    for group, p in enumerate(part):
        if p >= 0:
            load[p] += groups.weights[group]
            count[p] += 1
    heap = [(load[p], count[p], p) for p in range(parts)]
    heapify(heap)
    for group in sorted((g for g, p in enumerate(part) if p < 0), key=lambda g: (-groups.weights[g], g)):
        carried, members, p = heappop(heap)
        part[group] = p
        heappush(heap, (carried + groups.weights[group], members + 1, p))
    return part


def _rehome(groups: Groups, parts: int, part: Sequence[int]) -> list[int]:
    """Rename parts after the placed groups they hold, put those in their homes, fill empty parts."""
    held: dict[tuple[int, int], int] = {}
    for group, home in enumerate(groups.home):
        if home >= 0:
            held[part[group], home] = held.get((part[group], home), 0) + groups.weights[group] + 1
    name: dict[int, int] = {}
    for (old, home), _ in sorted(held.items(), key=lambda item: (-item[1], item[0])):
        if old not in name and home not in name.values():
            name[old] = home
    rest = iter([p for p in range(parts) if p not in name.values()])
    for old in range(parts):
        if old not in name:
            name[old] = next(rest)
    renamed = [home if home >= 0 else name[p] for home, p in zip(groups.home, part, strict=True)]
    members: list[list[int]] = [[] for _ in range(parts)]
    for group in sorted(range(len(groups)), key=lambda g: (groups.weights[g], -g)):
        members[renamed[group]].append(group)
    for p in range(parts):
        if not members[p]:
            loose = [[g for g in own if groups.home[g] < 0] if len(own) > 1 else [] for own in members]
            donor = max((q for q in range(parts) if loose[q]), key=lambda q: (len(loose[q]), -q))
            group = loose[donor][-1]
            members[donor].remove(group)
            members[p].append(group)
            renamed[group] = p
    return renamed


def _grow(groups: Groups, parts: int, limit: int) -> list[int]:
    """Grow all parts from seeds: the emptiest takes the group it exchanges most with."""
    part = list(groups.home)
    for p in range(parts):
        if p not in part:
            part[_farthest(groups, part)] = p
    load = [0] * parts
    pull: list[dict[int, int]] = [{} for _ in range(parts)]

    def put(group: int, p: int) -> None:
        part[group] = p
        load[p] += groups.weights[group]
        for other, size in groups.links[group].items():
            pull[p][other] = pull[p].get(other, 0) + size

    for group, p in enumerate(part):
        if p >= 0:
            put(group, p)
    growing = set(range(parts))
    while growing and -1 in part:
        p = min(growing, key=lambda q: (load[q], q))
        near = [
            (-size, group)
            for group, size in pull[p].items()
            if part[group] < 0 and load[p] + groups.weights[group] <= limit
        ]
        if near:
            put(min(near)[1], p)
        else:
            growing.discard(p)
    return _balance(groups, parts, part)


def _farthest(groups: Groups, part: Sequence[int]) -> int:
    """Return the first of the free groups with the most steps to any placed one (or to the first group)."""
    ring = {group for group, p in enumerate(part) if p >= 0} or {0}
    distance: dict[int, int] = {}
    for steps in range(len(part)):
        distance.update(dict.fromkeys(ring, steps))
        ring = {other for group in ring for other in groups.links[group] if other not in distance}
    free = (group for group, p in enumerate(part) if p < 0)
    return max(free, key=lambda group: (distance.get(group, len(part)), -group))


def _topological(groups: Groups) -> list[int]:
    """Order groups so that edges point forward, apart from those that close a cycle."""
    seen = [False] * len(groups)
    finished: list[int] = []
    for root in reversed(range(len(groups))):
        stack: list[tuple[int, Iterator[int]]] = []
        if not seen[root]:
            seen[root] = True
            stack.append((root, iter(sorted(groups.targets[root], reverse=True))))
        while stack:
            _, rest = stack[-1]
            following = next((other for other in rest if not seen[other]), None)
            if following is None:
                finished.append(stack.pop()[0])
            else:
                seen[following] = True
                stack.append((following, iter(sorted(groups.targets[following], reverse=True))))
    return finished[::-1]


def _cut_line(groups: Groups, parts: int, limit: int) -> list[int] | None:
    """Cut the topological order into runs within `limit`, keeping most bytes inside; None if none fit."""
    order, size = _topological(groups), len(groups)
    at = {group: position for position, group in enumerate(order)}
    # after k rounds: best[j] = (-bytes inside, fullest run) of the first j groups in k runs;
    # begins[k - 1][j] = where the last of them begins
    best: list[tuple[int, int] | None] = [(0, 0), *[None] * size]
    runs: list[list[tuple[int, int, int]]] = [[] for _ in range(size + 1)]  # end -> (start, inside, load)
    for start in range(size):
        inside = load = 0
        for end in range(start, size):
            load += groups.weights[order[end]]
            if load > limit:
                break
            inside += sum(b for other, b in groups.links[order[end]].items() if start <= at[other] < end)
            runs[end + 1].append((start, inside, load))
    begins: list[list[int]] = []
    for _ in range(parts):
        following: list[tuple[int, int] | None] = [None] * (size + 1)
        begin = [0] * (size + 1)
        for end in range(1, size + 1):
            for start, inside, load in runs[end]:
                before = best[start]
                if before is not None:
                    value = (before[0] - inside, max(before[1], load))
                    held = following[end]
                    if held is None or value < held:
                        following[end], begin[end] = value, start
        best = following
        begins.append(begin)
    if best[size] is None:
        return None
    part, end = [0] * size, size
    for p in reversed(range(parts)):
        start = begins[p][end]
        for position in range(start, end):
            part[order[position]] = p
        end = start
    return part


def _place_coarser(groups: Groups, parts: int, base: int) -> list[int]:
    """Place a coarser graph; grow parts where merging gets nowhere or leaves too few groups."""
    coarse, merged = groups.coarser(max(_LARGE, 8 * parts))
    named = {home for home in groups.home if home >= 0}
    if len(coarse) > 0.95 * len(groups) or coarse.home.count(-1) < parts - len(named):
        return _grow(groups, parts, base)
    placed = place(coarse, parts, base)
    return [placed[group] for group in merged]


def _metis(groups: Groups, parts: int) -> list[int] | None:
    """Ask METIS; None if pymetis is not installed or there is nothing to cut."""
    try:
        import pymetis
    except ImportError:
        return None
    if not any(groups.links):
        return None

    def small(value: int, total: int) -> int:  # METIS sums in 32 bits
        return value * 100_000_000 // max(1, total)

    traffic = sum(sum(links.values()) for links in groups.links)
    links = [sorted(links.items()) for links in groups.links]
    _, part = pymetis.part_graph(
        parts,
        adjacency=[[other for other, _ in row] for row in links],
        vweights=[small(weight, groups.total) for weight in groups.weights],
        eweights=[max(1, small(size, traffic)) for row in links for _, size in row],
        options=pymetis.Options(seed=_METIS_SEED, ufactor=80),
    )
    return [int(p) for p in part]
