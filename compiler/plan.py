"""The Plan: what runs where, as plain data."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from .safety import paces
from .text import as_text


@dataclass(frozen=True)
class VarSpec:
    """A Var: `type_class` and `dtype` are what the model declares."""

    id: int
    name: str
    shape: tuple[int, ...]
    init: Any
    type_class: Any
    dtype: Any
    precision: int | None


@dataclass(frozen=True)
class PortSpec:
    """A port: `type_class` is the class that the model declares, such as PyInPortVectorDense."""

    name: str
    shape: tuple[int, ...]
    type_class: Any
    dtype: Any


@dataclass(frozen=True)
class ProcessSpec:
    """A Process with its model; everything a worker needs to build the actor.

    Attributes
    ----------
    load : float
        Estimated compute time per time step in microseconds.
    recorder : bool
        The Process belongs to a Monitor.
    """

    id: int
    name: str
    class_name: str
    model: Any
    proc_params: Any
    vars: tuple[VarSpec, ...]
    in_ports: tuple[PortSpec, ...]
    out_ports: tuple[PortSpec, ...]
    ref_ports: tuple[PortSpec, ...]
    load: float
    recorder: bool


@dataclass(frozen=True)
class ChannelSpec:
    """A FIFO channel from an OutPort to an InPort, both given as (index of process, port name).

    Attributes
    ----------
    transforms : tuple of callables
        Applied by the receiver, first to last.
    delay : int
        Smallest number of time steps between a message and anything the receiving side sends that
        depends on it, counting a delay of the sender too.
    sparse : bool
        Messages list (data, indices) of single elements; one transform at most, an IndexMap.
    """

    id: int
    source: tuple[int, str]
    destination: tuple[int, str]
    shape: tuple[int, ...]
    dtype: str
    capacity: int
    transforms: tuple[Callable[[Any], Any], ...]
    delay: int
    sparse: bool = False


@dataclass(frozen=True)
class ReferenceSpec:
    """A RefPort (index of process, port name) and the Var it reaches."""

    id: int
    port: tuple[int, str]
    owner: int
    var: str
    forward: tuple[Callable[[Any], Any], ...]
    backward: tuple[Callable[[Any], Any], ...]


@dataclass(frozen=True)
class PipeSpec:
    """An external pipe at a port; `process` is the index of its process.

    Attributes
    ----------
    id : int
        Distinct from the ids of channels.
    inward : bool
        From the host to an InPort; else from an OutPort to the host.
    """

    id: int
    process: int
    port: str
    inward: bool
    shape: tuple[int, ...]
    dtype: str
    capacity: int


@dataclass(frozen=True)
class DomainSpec:
    """Processes that share a protocol and, unless it is asynchronous, the phases of their time steps."""

    name: str
    is_async: bool


@dataclass
class Plan:
    """Which Process runs in which partition, and every channel: plain, picklable data.

    Attributes
    ----------
    processes : list of ProcessSpec
        Leaf processes in the order in which a worker visits them.
    channels : list of ChannelSpec
        Per InPort in the order of the connections, which is the order of summation.
    references : list of ReferenceSpec
    partition : list of int
        Partition of each Process.
    partitions : int
        Number of partitions.
    sync : {"lockstep", "elastic"}
        How the workers are kept together.
    sync_reasons : list of str
        Why not elastic.
    lookahead : dict of (int, int) to int or None
        For each pair of partitions (a, b) with channels from a to b: the number of time steps that may
        travel in one message; None: bounded by the channels' capacity only.
    management_order : list of int
        Order of processes in management phases: owners of Vars before those who read them.
    domains : list of DomainSpec
    domain : list of int
        Sync domain of each Process.
    pipes : list of PipeSpec
        Between ports and the host.
    profile : str
        Key of the profiler that the network is measured for; empty: nothing is measured.
    """

    processes: list[ProcessSpec]
    channels: list[ChannelSpec]
    references: list[ReferenceSpec]
    partition: list[int]
    partitions: int
    sync: str
    sync_reasons: list[str]
    lookahead: dict[tuple[int, int], int | None]
    management_order: list[int]
    domains: list[DomainSpec]
    domain: list[int]
    pipes: list[PipeSpec] = field(default_factory=list)
    launcher: str = "local"
    progress: bool | str = "auto"
    notes: list[str] = field(default_factory=list)
    profile: str = ""

    def paced_domains(self) -> set[int]:
        """Return the domains in which a model waits for the host between time steps."""
        return {d for p, d in zip(self.processes, self.domain, strict=True) if paces(p.model)}

    def crossing(self) -> list[ChannelSpec]:
        """Return the channels between different partitions."""
        return [c for c in self.channels if self.partition[c.source[0]] != self.partition[c.destination[0]]]

    def channel_name(self, channel: ChannelSpec) -> str:
        """Return ``source.port -> destination.port``."""
        (a, out), (b, into) = channel.source, channel.destination
        return f"{self.processes[a].name}.{out} -> {self.processes[b].name}.{into}"

    def describe(self) -> str:
        """Return a table: partition, processes, estimated load, channels in and out, and the sync mode."""
        from rich.table import Table

        table = Table(
            title=f"{len(self.processes)} processes in {self.partitions} partition(s), sync: {self.sync}"
        )
        for heading in (
            "partition",
            "processes",
            "load (us/step)",
            "channels in",
            "channels out",
            "bytes out/step",
        ):
            table.add_column(heading, justify="left" if heading == "processes" else "right")
        crossing = self.crossing()
        for part in range(self.partitions):
            members = [p for p, where in zip(self.processes, self.partition, strict=True) if where == part]
            out = [c for c in crossing if self.partition[c.source[0]] == part]
            into = [c for c in crossing if self.partition[c.destination[0]] == part]
            table.add_row(
                str(part),
                "\n".join(f"{p.name} ({p.class_name})" for p in members),
                f"{sum(p.load for p in members):.1f}",
                str(len(into)),
                str(len(out)),
                str(sum(channel_bytes(c) for c in out)),
            )
        reasons = [f"not elastic: {reason}" for reason in self.sync_reasons]
        return as_text(table, *reasons, *(f"note: {note}" for note in self.notes))

    def draw(self, ax: Any) -> Any:
        """Draw the process graph on matplotlib axes, coloured by partition; return the axes."""
        from .drawing import DrawEdge, DrawNode, draw_graph

        nodes = [
            DrawNode(label=p.name, group=part, kind=p.class_name)
            for p, part in zip(self.processes, self.partition, strict=True)
        ]
        edges = []
        for kind, source, destination in [
            *(("spikes", c.source[0], c.destination[0]) for c in self.channels),
            *(("reference", r.owner, r.port[0]) for r in self.references),
        ]:
            crosses = self.partition[source] != self.partition[destination]
            edges.append(DrawEdge(source=source, target=destination, kind=kind, crossing=crosses))
        draw_graph(ax, nodes, edges)
        return ax


def channel_bytes(channel: ChannelSpec) -> int:
    """Return the size of one message in bytes, as an array."""
    import math

    import numpy as np

    return math.prod(channel.shape) * np.dtype(channel.dtype).itemsize
