"""Which partition runs which process: the user's wishes and the network, handed to the partitioner."""

from __future__ import annotations

import os

import numpy as np

from lahar.processes.errors import PlacementError
from lahar.processes.process import AbstractProcess

from .domains import is_async
from .doubts import warn
from .graph import Network
from .partitioning import Graph, choose_parts, partition
from .plan import ChannelSpec, ProcessSpec, ReferenceSpec, channel_bytes
from .run_configs import RunConfig

# Microseconds per time step for two partitions that exchange messages, and per byte; the first is about
# one and a half times the ping-pong that benchmarks/step_overhead.py measures as the floor.
MESSAGE_COST = 60.0
BYTE_COST = 0.0005
# Loads that differ by less than half an exchange are not worth one.
SLACK = MESSAGE_COST / 2


def assign(
    specs: list[ProcessSpec],
    channels: list[ChannelSpec],
    references: list[ReferenceSpec],
    run_cfg: RunConfig,
    network: Network,
) -> tuple[list[int], int, list[str]]:
    """Return the partition of each process, the number of partitions, and remarks for the user.

    Raises
    ------
    PlacementError
        More partitions than processes, or an impossible placement.
    """
    n = len(specs)
    fixed = _placement(run_cfg, network, {spec.id: k for k, spec in enumerate(specs)})
    if run_cfg.launcher == "inline":
        return [0] * n, 1, []
    # an asynchronous process may never let others go on, so it gets an OS process of its own
    alone = [k for k, spec in enumerate(specs) if is_async(spec.model) and k not in fixed]
    graph = Graph(
        loads=tuple(s.load for s in specs),
        edges=tuple((c.source[0], c.destination[0], float(channel_bytes(c))) for c in channels),
    )
    together = _components(n, [(r.port[0], r.owner) for r in references], fixed)
    prefer = _components(
        n, [(c.source[0], c.destination[0]) for c in channels if specs[c.destination[0]].recorder], fixed
    )
    limit = n - sum(len(group) - 1 for group in together)
    first_free = max(fixed.values(), default=-1) + 1
    if run_cfg.partitions == "auto" and not alone:
        notes: list[str] = []
        parts = choose_parts(
            graph,
            max(min(os.cpu_count() or 1, limit), first_free),
            message_cost=MESSAGE_COST,
            byte_cost=BYTE_COST,
            fixed=fixed,
            together=together,
            prefer_together=prefer,
            slack=SLACK,
        )
    else:
        wanted = first_free if run_cfg.partitions == "auto" else int(run_cfg.partitions)
        parts, notes = _possible_parts(wanted, specs, network, together, limit)
    if alone:
        needed = len(alone) + max(first_free, int(len(alone) < n))
        if parts < needed and run_cfg.partitions != "auto":
            names = ", ".join(specs[k].name for k in alone)
            notes.append(
                f"{needed} partitions instead of {parts}: asynchronous processes ({names}) have their own"
            )
        parts = max(parts, needed)
        for offset, k in enumerate(alone):
            fixed[k] = parts - len(alone) + offset
    for k, part in fixed.items():
        if part >= parts:
            raise PlacementError(
                f"placement puts process '{specs[k].name}' into partition {part}, but there are partitions 0 to "
                f"{parts - 1}."
            )
    if parts == 1:
        return [0] * n, 1, notes
    if not alone:
        assignment = partition(
            graph, parts, fixed=fixed, together=together, prefer_together=prefer, slack=SLACK
        )
        return list(assignment), parts, notes
    return _assign_beside(alone, graph, parts, fixed, together, prefer), parts, notes


def _possible_parts(
    wanted: int, specs: list[ProcessSpec], network: Network, together: list[list[int]], limit: int
) -> tuple[int, list[str]]:
    """Return how many partitions can be made of those asked for, and a remark if not all."""
    most = max(len(network.declared), len(specs))
    if wanted > most:
        raise PlacementError(
            f"partitions={wanted}, but the network has {most} processes; use at most {most}."
        )
    if wanted <= limit:
        return wanted, []
    held = "; ".join(" + ".join(specs[k].name for k in sorted(group)) for group in together)
    note = (
        f"{wanted} partitions were asked for, {limit} are used: processes coupled by a RefPort share one ({held}) "
        "unless placement separates them"
    )
    warn(note + ".")
    return limit, [note]


def _assign_beside(
    alone: list[int],
    graph: Graph,
    parts: int,
    fixed: dict[int, int],
    together: list[list[int]],
    prefer: list[list[int]],
) -> list[int]:
    """Partition the processes that do not live alone, in the partitions that are left for them."""
    n = len(graph.loads)
    rest = [k for k in range(n) if k not in alone]
    new = {k: j for j, k in enumerate(rest)}
    assignment = [fixed.get(k, 0) for k in range(n)]
    if rest and parts - len(alone) > 1:
        inner = Graph(
            loads=tuple(graph.loads[k] for k in rest),
            edges=tuple((new[a], new[b], w) for a, b, w in graph.edges if a in new and b in new),
        )
        found = partition(
            inner,
            parts - len(alone),
            fixed={new[k]: part for k, part in fixed.items() if k in new},
            together=[[new[k] for k in group] for group in together],
            prefer_together=[
                kept for group in prefer if len(kept := [new[k] for k in group if k in new]) > 1
            ],
            slack=SLACK,
        )
        for k, part in zip(rest, found, strict=True):
            assignment[k] = part
    return assignment


def _placement(run_cfg: RunConfig, network: Network, position: dict[int, int]) -> dict[int, int]:
    """Translate the user's placement to leaf processes; a hierarchical Process places all its parts."""
    fixed: dict[int, int] = {}
    for process, part in run_cfg.placement.items():
        if (
            not isinstance(process, AbstractProcess)
            or isinstance(part, bool)
            or not isinstance(part, (int, np.integer))
        ):
            raise PlacementError(
                f"placement maps Processes to partition numbers, not {process!r} to {part!r}."
            )
        if part < 0:
            raise PlacementError(
                f"placement puts process '{process.name}' into partition {part}; they are counted from 0."
            )
        leaves = [leaf for leaf, _ in network.leaves if leaf is process or leaf.is_sub_proc_of(process)]
        if not leaves:
            raise PlacementError(
                f"placement names process '{process.name}', which is not part of this network."
            )
        for leaf in leaves:
            fixed[position[leaf.id]] = int(part)
    return fixed


def _components(n: int, pairs: list[tuple[int, int]], fixed: dict[int, int]) -> list[list[int]]:
    """Return the connected components with more than one member; what `fixed` separates is not joined."""
    parent = list(range(n))
    where = dict(fixed)

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for a, b in pairs:
        low, high = sorted((root(a), root(b)))
        if low in where and high in where and where[low] != where[high]:
            continue
        parent[high] = low
        if high in where:
            where[low] = where[high]
    groups: dict[int, list[int]] = {}
    for k in range(n):
        groups.setdefault(root(k), []).append(k)
    return [g for g in groups.values() if len(g) > 1]
