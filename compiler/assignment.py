"""Which partition runs which process: the user's wishes and the network, handed to the partitioner."""

from __future__ import annotations

import os
import warnings

import numpy as np

from lahar.processes.errors import LaharWarning, PlacementError
from lahar.processes.process import AbstractProcess

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
    if run_cfg.launcher == "inline":
        return [0] * n, 1, []
    graph = Graph(
        loads=tuple(s.load for s in specs),
        edges=tuple((c.source[0], c.destination[0], float(channel_bytes(c))) for c in channels),
    )
    together = _components(n, [(r.port[0], r.owner) for r in references])
    prefer = _components(
        n, [(c.source[0], c.destination[0]) for c in channels if specs[c.destination[0]].recorder]
    )
    fixed = _placement(run_cfg, network, {spec.id: k for k, spec in enumerate(specs)})
    _check_together(specs, together, fixed)
    limit = n - sum(len(group) - 1 for group in together)
    notes: list[str] = []
    if run_cfg.partitions == "auto":
        parts = choose_parts(
            graph,
            max(min(os.cpu_count() or 1, limit), max(fixed.values(), default=0) + 1),
            message_cost=MESSAGE_COST,
            byte_cost=BYTE_COST,
            fixed=fixed,
            together=together,
            prefer_together=prefer,
            slack=SLACK,
        )
    else:
        parts = int(run_cfg.partitions)
        most = max(len(network.declared), n)
        if parts > most:
            raise PlacementError(
                f"partitions={parts}, but the network has {most} processes; use at most {most}."
            )
        if parts > limit:
            held = "; ".join(" + ".join(specs[k].name for k in sorted(group)) for group in together)
            note = (
                f"{parts} partitions were asked for, {limit} are used: processes coupled by a RefPort share "
                f"one ({held})"
            )
            notes.append(note)
            warnings.warn(note + ".", LaharWarning, stacklevel=4)
            parts = limit
    for k, part in fixed.items():
        if part >= parts:
            raise PlacementError(
                f"placement puts process '{specs[k].name}' into partition {part}, but there are partitions 0 to "
                f"{parts - 1}."
            )
    if parts == 1:
        return [0] * n, 1, notes
    assignment = partition(graph, parts, fixed=fixed, together=together, prefer_together=prefer, slack=SLACK)
    return list(assignment), parts, notes


def _check_together(specs: list[ProcessSpec], together: list[list[int]], fixed: dict[int, int]) -> None:
    for group in together:
        placed = {fixed[k]: specs[k].name for k in group if k in fixed}
        if len(placed) > 1:
            listed = ", ".join(f"'{name}' in {part}" for part, name in sorted(placed.items()))
            raise PlacementError(
                f"placement separates processes that are coupled by a RefPort and must share a partition: {listed}. "
                "Place them in the same one, or only one of them."
            )


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


def _components(n: int, pairs: list[tuple[int, int]]) -> list[list[int]]:
    """Return the connected components with more than one member."""
    parent = list(range(n))

    def root(k: int) -> int:
        while parent[k] != k:
            parent[k] = parent[parent[k]]
            k = parent[k]
        return k

    for a, b in pairs:
        parent[root(max(a, b))] = root(min(a, b))
    groups: dict[int, list[int]] = {}
    for k in range(n):
        groups.setdefault(root(k), []).append(k)
    return [g for g in groups.values() if len(g) > 1]
