"""Sync domains: which processes share the phases of a time step."""

from __future__ import annotations

from lahar.processes.errors import CompileError
from lahar.processes.model import AbstractSyncProtocol, PyAsyncProcessModel, SyncDomain
from lahar.processes.process import AbstractProcess

from .graph import Network
from .plan import ChannelSpec, DomainSpec, ProcessSpec, ReferenceSpec
from .run_configs import Model


def is_async(model: Model) -> bool:
    return issubclass(model, PyAsyncProcessModel)


def find_domains(
    custom: list[SyncDomain],
    network: Network,
    specs: list[ProcessSpec],
    channels: list[ChannelSpec],
    references: list[ReferenceSpec],
) -> tuple[list[DomainSpec], list[int]]:
    """Return the sync domains that have processes, and the domain of each process.

    Those that the user made come first; what remains goes to one default domain for each protocol. A
    recorder is in the domain of what it records.

    Raises
    ------
    CompileError
        Domains contradict each other, the models or the network; or a RefPort leads from one to another.
    """
    chosen = _custom_domains(custom, network)
    label: list[str] = []
    for leaf, model in network.leaves:
        default = "AsyncProtocol_SyncDomain" if is_async(model) else "LoihiProtocol_SyncDomain"
        label.append(chosen.get(id(leaf), default))
    _follow_targets(label, network, specs, channels, references)
    order = [name for name in dict.fromkeys([*(domain.name for domain in custom), *label]) if name in label]
    number = {name: k for k, name in enumerate(order)}
    assigned = [number[name] for name in label]
    free = {name for (_, model), name in zip(network.leaves, label, strict=True) if is_async(model)}
    _check_references(specs, references, assigned, order)
    return [DomainSpec(name, name in free) for name in order], assigned


def _custom_domains(custom: list[SyncDomain], network: Network) -> dict[int, str]:
    """Return the name of the domain of each leaf that the user has put into one."""
    names: set[str] = set()
    chosen: dict[int, str] = {}
    for domain in custom:
        if domain.name in names:
            raise CompileError(f"custom_sync_domains: two SyncDomains are named '{domain.name}'.")
        names.add(domain.name)
        for process in domain.processes:
            if not isinstance(process, AbstractProcess):
                raise CompileError(f"SyncDomain '{domain.name}' holds {process!r}, which is no Process.")
            members = [
                (leaf, model)
                for leaf, model in network.leaves
                if leaf is process or leaf.is_sub_proc_of(process)
            ]
            if not members and process not in network.parents:
                raise CompileError(
                    f"SyncDomain '{domain.name}' holds process '{process.name}', which is not part of this network."
                )
            for leaf, model in members:
                other = chosen.setdefault(id(leaf), domain.name)
                if other != domain.name:
                    raise CompileError(
                        f"Process '{leaf.name}' is in SyncDomains '{other}' and '{domain.name}'; put it in one."
                    )
                wanted = model.implements_protocol or AbstractSyncProtocol
                if not isinstance(domain.protocol, wanted):
                    raise CompileError(
                        f"Process '{leaf.name}' is in SyncDomain '{domain.name}' of protocol {domain.protocol!r}, but "
                        f"its model {model.__name__} implements {wanted.__name__}."
                    )
    return chosen


def _follow_targets(
    label: list[str],
    network: Network,
    specs: list[ProcessSpec],
    channels: list[ChannelSpec],
    references: list[ReferenceSpec],
) -> None:
    """Put recorders into the domain of what they record."""
    pairs = [(r.port[0], r.owner) for r in references]
    pairs += [(c.destination[0], c.source[0]) for c in channels]
    for recorder, target in pairs:
        if specs[recorder].recorder and not is_async(network.leaves[target][1]):
            label[recorder] = label[target]


def _check_references(
    specs: list[ProcessSpec], references: list[ReferenceSpec], assigned: list[int], order: list[str]
) -> None:
    for reference in references:
        reader, owner = specs[reference.port[0]], specs[reference.owner]
        what = f"RefPort '{reader.name}.{reference.port[1]}' refers to Var '{owner.name}.{reference.var}'"
        here, there = assigned[reference.port[0]], assigned[reference.owner]
        if here != there:
            raise CompileError(
                f"{what} of another SyncDomain ('{order[here]}' and '{order[there]}'), whose time step is undefined "
                "there. Put both into one domain, or send the value over a channel."
            )
