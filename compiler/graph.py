"""The process graph: which Processes belong to a network, and what they look like without hierarchy."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from lahar.processes.errors import CompileError
from lahar.processes.model import AbstractSubProcessModel
from lahar.processes.ports import AbstractPort
from lahar.processes.process import AbstractProcess

from .run_configs import Model


@dataclass
class Network:
    """A flattened network.

    Attributes
    ----------
    leaves : list of (AbstractProcess, Model)
        Processes that run, by id.
    parents : list of AbstractProcess
        Hierarchical Processes that were replaced by their sub processes.
    declared : list of AbstractProcess
        The Processes the user declared.
    """

    leaves: list[tuple[AbstractProcess, Model]] = field(default_factory=list)
    parents: list[AbstractProcess] = field(default_factory=list)
    declared: list[AbstractProcess] = field(default_factory=list)


def ports_of(process: AbstractProcess) -> list[AbstractPort]:
    return [*process.out_ports, *process.in_ports, *process.ref_ports, *process.var_ports]


def connected_processes(start: AbstractProcess) -> list[AbstractProcess]:
    """Return every Process reachable from `start` over any port in either direction, by id.

    Sub processes of an earlier compilation are not followed: their parent stands for them.
    """
    top = start
    while top.parent_proc is not None:
        top = top.parent_proc
    seen = {id(top): top}
    queue = deque([top])
    while queue:
        for port in ports_of(queue.popleft()):
            for neighbour in _neighbours(port):
                process = neighbour.process
                if process is None:
                    raise CompileError(
                        f"'{port.path}' is connected to a port that belongs to no Process. Ports must be "
                        "attributes of their Process (not members of a list or dict)."
                    )
                while process.parent_proc is not None:
                    process = process.parent_proc
                if id(process) not in seen:
                    seen[id(process)] = process
                    queue.append(process)
    return sorted(seen.values(), key=lambda p: p.id)


def _neighbours(port: AbstractPort) -> Iterator[AbstractPort]:
    """Yield the real ports next to `port`, looking through virtual ones."""
    from lahar.processes.virtual_ports import AbstractVirtualPort

    for direction in ("in_connections", "out_connections"):
        stack = list(getattr(port, direction))
        while stack:
            current = stack.pop()
            if isinstance(current, AbstractVirtualPort):
                stack += getattr(current, direction)
            else:
                yield current


def flatten(processes: list[AbstractProcess], select: Callable[[AbstractProcess], Model]) -> Network:
    """Choose a model for every Process and replace hierarchical ones by their sub processes."""
    network = Network(declared=list(processes))
    for process in processes:
        _expand(process, select, network)
    network.leaves.sort(key=lambda leaf: leaf[0].id)
    return network


def _expand(process: AbstractProcess, select: Callable[[AbstractProcess], Model], network: Network) -> None:
    model = select(process)
    if not issubclass(model, AbstractSubProcessModel):
        _forget_expansion(process)
        process.validate_var_aliases()
        network.leaves.append((process, model))
        return
    network.parents.append(process)
    expansion: Any = process._expansion
    if type(expansion) is not model or process._expansion_stale:
        _forget_expansion(process)
        expansion = _make_expansion(process, model)
        process.register_sub_procs(expansion.find_sub_procs())
    process.validate_var_aliases()
    process.propagate_folded_views()
    for sub in sorted(expansion.find_sub_procs().values(), key=lambda p: p.id):
        _expand(sub, select, network)
    process._model_class = model


Link = tuple[AbstractPort, AbstractPort]


def _links(process: AbstractProcess) -> list[Link]:
    """Return every connection of the ports of a Process, as (own port, other port)."""
    return [
        (port, other) for port in ports_of(process) for other in port.in_connections + port.out_connections
    ]


def _make_expansion(process: AbstractProcess, model: Model) -> Any:
    """Make the sub processes of a Process; if that fails, the Process is left as it was."""
    before = set(_links(process))
    try:
        expansion: Any = model(process)
    except BaseException:
        _cut(process, set(_links(process)) - before)
        raise
    expansion._links = set(_links(process)) - before
    process._expansion, process._expansion_stale = expansion, False
    return expansion


def _forget_expansion(process: AbstractProcess) -> None:
    """Cut a Process from the sub processes of an earlier compilation with another model."""
    expansion = process._expansion
    if expansion is None:
        return
    _cut(process, expansion._links)
    process.procs.remove_members(expansion.find_sub_procs())
    process._expansion = None


def _cut(process: AbstractProcess, links: set[Link]) -> None:
    for port, other in links:
        if other in port.out_connections:
            port.out_connections.remove(other)
            other.in_connections.remove(port)
        else:
            port.in_connections.remove(other)
            other.out_connections.remove(port)
    for var in process.vars:
        var.aliased_var = None
