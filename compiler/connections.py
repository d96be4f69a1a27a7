"""Connections of a flattened network: channels and references between its processes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from lahar.processes.errors import CompileError, DtypeError, PortError
from lahar.processes.model.sparse_ports import IndexMap
from lahar.processes.ports import AbstractPort, InPort, RefPort, VarPort
from lahar.processes.virtual_ports import ConcatInput

from .doubts import warn
from .graph import Network
from .plan import ChannelSpec, PipeSpec, PortSpec, ProcessSpec, ReferenceSpec


def _leaf_index(end: AbstractPort, port: AbstractPort, index: dict[int, int]) -> int:
    """Return the number of the process at the other end of a path from `port`."""
    process: Any = end.process
    if process is None or id(process) not in index:
        name = end.path if process is not None else "a port without Process"
        raise CompileError(
            f"'{port.path}' is connected with '{name}', which has no counterpart inside its hierarchical Process. "
            "Connect it with a port of a sub process, and make that sub process an attribute of the SubProcessModel."
        )
    return index[id(process)]


def find_channels(
    network: Network, specs: list[ProcessSpec], index: dict[int, int], capacity: int
) -> list[ChannelSpec]:
    """Make one channel per path, ordered per InPort by the order of connect() calls."""
    for leaf, _ in network.leaves:
        for port in leaf.out_ports:
            for end, _ in port.forward_paths():
                if isinstance(end, InPort):  # an OutPort of a parent may be left unconnected
                    _leaf_index(end, port, index)
    channels: list[ChannelSpec] = []
    for k, (leaf, _) in enumerate(network.leaves):
        for port in leaf.in_ports:
            receiver = next(p for p in specs[k].in_ports if p.name == port.name)
            for start, virtual in port.backward_paths():
                if isinstance(start, InPort):  # of a parent, which may be left unconnected
                    continue
                source = _leaf_index(start, port, index), start.name
                sender = next(p for p in specs[source[0]].out_ports if p.name == start.name)
                _check_dtypes(specs, source, sender, (k, port.name), receiver)
                _check_kinds(specs, source, sender, (k, port.name), receiver)
                channels.append(
                    ChannelSpec(
                        id=len(channels),
                        source=source,
                        destination=(k, port.name),
                        shape=sender.shape,
                        dtype=sender.dtype,
                        capacity=capacity,
                        transforms=_transforms(start, port, virtual, sender),
                        delay=specs[source[0]].model.min_delay + specs[k].model.min_delay,
                        sparse=sender.type_class.sparse,
                    )
                )
    return channels


def _check_dtypes(
    specs: list[ProcessSpec],
    source: tuple[int, str],
    sender: PortSpec,
    target: tuple[int, str],
    receiver: PortSpec,
) -> None:
    """Refuse messages that the receiving model cannot have been written for; warn of a cast that may lose digits."""
    ranks = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    sent, wanted = np.dtype(sender.dtype), np.dtype(receiver.dtype)
    if sent.kind not in ranks or wanted.kind not in ranks:
        raise DtypeError(f"Ports carry numbers only, not {sent} or {wanted}.")
    if wanted.kind != "b" and ranks[sent.kind] > ranks[wanted.kind]:
        a, b = specs[source[0]], specs[target[0]]
        connection = (
            f"'{a.name}.{source[1]}' sends {sent} (model {a.model.__name__}), but '{b.name}.{target[1]}' is "
            f"declared {wanted} (model {b.model.__name__})"
        )
        if b.model.casts_inputs:
            warn(f"{connection}, to which it casts: fractions are cut.")
            return
        raise DtypeError(
            f"{connection}, which cannot hold it. Select models of one kind (select_tag='floating_pt' or "
            "'fixed_pt') or declare the in-port with the wider dtype."
        )


def _check_kinds(
    specs: list[ProcessSpec],
    source: tuple[int, str],
    sender: PortSpec,
    target: tuple[int, str],
    receiver: PortSpec,
) -> None:
    """Refuse arrays for a port that takes listed elements, and the other way round."""
    if sender.type_class.sparse != receiver.type_class.sparse:
        a, b = specs[source[0]], specs[target[0]]
        names = {True: "listed elements (VEC_SPARSE)", False: "whole arrays (VEC_DENSE)"}
        raise PortError(
            f"'{a.name}.{source[1]}' sends {names[sender.type_class.sparse]} (model {a.model.__name__}), but "
            f"'{b.name}.{target[1]}' takes {names[receiver.type_class.sparse]} (model {b.model.__name__}). Declare "
            "both ports with the same kind, or put a Process between them that converts."
        )


def _transforms(
    start: AbstractPort, end: AbstractPort, virtual: list[Any], sender: PortSpec
) -> tuple[Callable[[Any], Any], ...]:
    """Return what the receiver does with each message; for sparse messages one table."""
    functions = tuple(v.get_transform_func_fwd() for v in virtual)
    if not functions or not sender.type_class.sparse:
        return functions
    try:
        return (IndexMap(functions, sender.shape),)
    except PortError as error:
        raise PortError(f"'{start.path}' -> '{end.path}': {error}") from None


def find_references(network: Network, index: dict[int, int]) -> list[ReferenceSpec]:
    for process in (*(leaf for leaf, _ in network.leaves), *network.parents):
        for port in process.var_ports:
            for start, _ in port.backward_paths():
                if isinstance(start, RefPort):  # a VarPort of a parent may be left unconnected
                    _leaf_index(start, port, index)
    references: list[ReferenceSpec] = []
    for k, (leaf, _) in enumerate(network.leaves):
        for port in leaf.ref_ports:
            for target, virtual in port.forward_paths():
                if not isinstance(target, VarPort):
                    continue
                var = target.var
                while var.aliased_var is not None:
                    var = var.aliased_var
                owner: Any = var.process
                if owner is None or id(owner) not in index:
                    raise CompileError(
                        f"'{port.path}' refers to Var '{target.var.path}' of a hierarchical Process that aliases no "
                        "Var of a sub process. Alias it in the SubProcessModel."
                    )
                forward = tuple(v.get_transform_func_fwd() for v in virtual)
                _check_masks(port, target, virtual, forward)
                references.append(
                    ReferenceSpec(
                        id=len(references),
                        port=(k, port.name),
                        owner=index[id(owner)],
                        var=var.name,
                        forward=forward,
                        backward=tuple(v.get_transform_func_bwd() for v in reversed(virtual)),
                    )
                )
    return references


def _check_masks(
    port: AbstractPort, target: AbstractPort, virtual: list[Any], forward: tuple[Callable[[Any], Any], ...]
) -> None:
    """Refuse virtual ports that forget which part of a Var a RefPort of a concatenation covers."""
    if not any(isinstance(v, ConcatInput) for v in virtual):
        return
    data: Any = np.zeros(port.shape)
    for function in forward:
        data = function(data)
    if not isinstance(data, np.ma.MaskedArray):
        listed = ", ".join(type(v).__name__ for v in virtual)
        raise CompileError(
            f"'{port.path}' -> '{target.path}': a virtual port on this way ({listed}) drops the mask of an array. "
            "Behind a ConcatPort the mask says which part of the Var is written; use array methods, which keep it."
        )


def find_pipes(network: Network, specs: list[ProcessSpec], first_id: int) -> list[PipeSpec]:
    """Return the external pipes of the ports that were flagged for one."""
    pipes: list[PipeSpec] = []
    for process in network.parents:
        for port in (*process.in_ports, *process.out_ports):
            if port.external_pipe_flag:
                raise CompileError(
                    f"'{port.path}' is flagged for an external pipe, but its Process is hierarchical: flag the port of "
                    "a sub process."
                )
    for k, (leaf, _) in enumerate(network.leaves):
        for inward, ports, declared in (
            (True, leaf.in_ports, specs[k].in_ports),
            (False, leaf.out_ports, specs[k].out_ports),
        ):
            for port, spec in zip(ports, declared, strict=True):
                if port.external_pipe_flag:
                    pipes.append(
                        PipeSpec(
                            id=first_id + len(pipes),
                            process=k,
                            port=port.name,
                            inward=inward,
                            shape=spec.shape,
                            dtype=spec.dtype,
                            capacity=port.external_pipe_buffer_size,
                        )
                    )
    return pipes


def reorder(
    order: list[int],
    specs: list[ProcessSpec],
    channels: list[ChannelSpec],
    references: list[ReferenceSpec],
    pipes: list[PipeSpec],
) -> tuple[list[ProcessSpec], list[ChannelSpec], list[ReferenceSpec], list[PipeSpec]]:
    """Number the processes anew: `order` holds the old numbers."""
    new = {old: k for k, old in enumerate(order)}
    moved_channels = [
        replace(
            c, source=(new[c.source[0]], c.source[1]), destination=(new[c.destination[0]], c.destination[1])
        )
        for c in channels
    ]
    moved_references = [replace(r, port=(new[r.port[0]], r.port[1]), owner=new[r.owner]) for r in references]
    moved_pipes = [replace(p, process=new[p.process]) for p in pipes]
    return [specs[k] for k in order], moved_channels, moved_references, moved_pipes
