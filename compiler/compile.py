"""From connected Processes to a Plan."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from typing import Any

import numpy as np

from lahar.processes.errors import (
    ArgumentTypeError,
    CompileError,
    DtypeError,
    LaharWarning,
    ShapeError,
    ValidationError,
)
from lahar.processes.model import (
    AbstractSyncProtocol,
    LavaPyType,
    PyAsyncProcessModel,
    PyInPort,
    PyOutPort,
    PyRefPort,
    PyVarPort,
    SyncDomain,
)
from lahar.processes.ports import AbstractPort, ImplicitVarPort, InPort, RefPort, VarPort
from lahar.processes.process import AbstractProcess
from lahar.processes.var import Var

from .assignment import assign
from .graph import Network, connected_processes, flatten
from .models import select_model
from .ordering import dataflow_order, lookahead, management_order
from .plan import ChannelSpec, Plan, PortSpec, ProcessSpec, ReferenceSpec, VarSpec
from .run_configs import Model, RunConfig
from .safety import elastic_hazards

DEFAULT_CAPACITY = 64
# Microseconds that the scheduler and the ports need for one actor and step.
SCHEDULING_COST = 1.5

_KNOWN_OPTIONS = {
    "pypy_channel_size",
    "use_watchdog",
    "short_event_timeout",
    "long_event_timeout",
    "folded_view",
    "cache",
    "cache_dir",
    "loihi_gen",
    "partitioning",
}


def compile(  # noqa: A001 - the public name is lahar.compiler.compile
    process: AbstractProcess, run_cfg: RunConfig, compile_config: Mapping[str, Any] | None = None
) -> Plan:
    """Compile the network connected to `process`.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the network.
    run_cfg : RunConfig
        Chooses models, partitions and the way of synchronisation.
    compile_config : dict, optional
        ``pypy_channel_size``: capacity of every channel in messages, 64 by default.

    Returns
    -------
    Plan

    Raises
    ------
    NoProcessModelFound, CompileError
        Models and Processes do not fit.
    ShapeError, DtypeError
        Initial values or connected dtypes do not fit.
    PlacementError
        The partitions asked for are impossible.
    """
    if not isinstance(process, AbstractProcess):
        raise ArgumentTypeError(f"compile() takes a Process, not {type(process).__name__}.")
    if not isinstance(run_cfg, RunConfig):
        raise ArgumentTypeError(
            f"run_cfg must be a run configuration such as Loihi2SimCfg(), not {run_cfg!r}."
        )
    capacity = _capacity(compile_config or {})
    network = flatten(connected_processes(process), lambda p: select_model(p, run_cfg))
    for leaf, model in network.leaves:
        _check_protocol(leaf, model)
    _check_domains(run_cfg.custom_sync_domains, network)
    index = {id(leaf): k for k, (leaf, _) in enumerate(network.leaves)}
    specs = [_process_spec(leaf, model) for leaf, model in network.leaves]
    channels = _channels(network, specs, index, capacity)
    references = _references(network, index)

    order = dataflow_order(
        len(specs), [(c.source[0], c.destination[0]) for c in channels], [s.model.min_delay for s in specs]
    )
    specs, channels, references = _reorder(order, specs, channels, references)
    assignment, parts, notes = assign(specs, channels, references, run_cfg, network)

    crossing = [
        (f"{specs[r.port[0]].name}.{r.port[1]}", f"{specs[r.owner].name}.{r.var}")
        for r in references
        if assignment[r.port[0]] != assignment[r.owner]
    ]
    hazards = elastic_hazards(
        [(s.name, s.model, part) for s, part in zip(specs, assignment, strict=True)], crossing
    )
    sync = run_cfg.sync
    if sync == "auto":
        sync = "lockstep" if hazards else "elastic"
    elif sync == "elastic" and hazards:
        warnings.warn(
            f"sync='elastic' could change results here, so the network runs in lockstep: {'; '.join(hazards)}.",
            LaharWarning,
            stacklevel=2,
        )
        sync = "lockstep"
    plan = Plan(
        processes=specs,
        channels=channels,
        references=references,
        partition=assignment,
        partitions=parts,
        sync=sync,
        sync_reasons=hazards,
        lookahead=lookahead(
            [(assignment[c.source[0]], assignment[c.destination[0]], c.delay) for c in channels]
        ),
        management_order=management_order(len(specs), [(r.owner, r.port[0]) for r in references]),
        launcher=run_cfg.launcher,
        progress=run_cfg.progress,
        notes=notes,
    )
    for leaf, model in network.leaves:
        leaf._model_class = model
    for declared in network.declared:
        declared._is_compiled = True
    return plan


def network_processes(process: AbstractProcess) -> list[AbstractProcess]:
    """Return every Process of a compiled network, hierarchical ones and their parts included."""
    found: list[AbstractProcess] = []
    stack = connected_processes(process)
    while stack:
        current = stack.pop()
        found.append(current)
        expansion: Any = current._expansion
        if expansion is not None:
            stack += expansion.find_sub_procs().values()
    return found


def _capacity(compile_config: Mapping[str, Any]) -> int:
    for key in compile_config:
        if key not in _KNOWN_OPTIONS:
            warnings.warn(f"compile_config has an unknown option '{key}'.", LaharWarning, stacklevel=3)
    size = compile_config.get("pypy_channel_size", DEFAULT_CAPACITY)
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ValidationError(
            f"a positive integer expected, not {size!r}.", "compile_config['pypy_channel_size']"
        )
    return int(size)


# --- Process against model ------------------------------------------------------------------


def _check_protocol(process: AbstractProcess, model: Model) -> None:
    if issubclass(model, PyAsyncProcessModel):
        raise CompileError(
            f"Process '{process.name}': {model.__name__} is asynchronous. Networks with asynchronous models "
            "cannot be run yet; choose a model derived from PyLoihiProcessModel."
        )


def _check_domains(domains: list[SyncDomain], network: Network) -> None:
    """Refuse sync domains that contradict each other or the models."""
    names: set[str] = set()
    domain_of: dict[int, str] = {}
    models = {id(leaf): model for leaf, model in network.leaves}
    for domain in domains:
        if domain.name in names:
            raise CompileError(f"custom_sync_domains: two SyncDomains are named '{domain.name}'.")
        names.add(domain.name)
        for process in domain.processes:
            other = domain_of.setdefault(id(process), domain.name)
            if other != domain.name:
                raise CompileError(
                    f"Process '{process.name}' is in SyncDomains '{other}' and '{domain.name}'; put it in one."
                )
            model = models.get(id(process))
            wanted = (model.implements_protocol if model else None) or AbstractSyncProtocol
            if not isinstance(domain.protocol, wanted):
                raise CompileError(
                    f"Process '{process.name}' is in SyncDomain '{domain.name}' of protocol {domain.protocol!r}, but "
                    f"its model {model.__name__ if model else ''} implements {wanted.__name__}."
                )


def _process_spec(process: AbstractProcess, model: Model) -> ProcessSpec:
    explicit = [p for p in process.var_ports if not isinstance(p, ImplicitVarPort)]
    for kind, ports, base in (
        ("InPort", process.in_ports, PyInPort),
        ("OutPort", process.out_ports, PyOutPort),
        ("RefPort", process.ref_ports, PyRefPort),
        ("VarPort", explicit, PyVarPort),
    ):
        for port in ports:
            declared = _declared(process, model, port.name, kind)
            if (
                not (isinstance(declared.cls, type) and issubclass(declared.cls, base))
                or declared.cls is base
            ):
                raise CompileError(
                    f"{kind} '{port.path}': {model.__name__}.{port.name} is declared as {declared.cls!r}; "
                    f"use LavaPyType({base.__name__}.VEC_DENSE, dtype)."
                )
            if not declared.cls.supported:
                raise NotImplementedError(
                    f"{kind} '{port.path}': {declared.cls.__name__} is not implemented; use {base.__name__}.VEC_DENSE."
                )
    members = {
        m.name for c in (process.in_ports, process.out_ports, process.ref_ports, process.vars) for m in c
    }
    members |= {p.name for p in explicit}
    for name in dir(model):
        if isinstance(getattr(model, name, None), LavaPyType) and name not in members:
            raise CompileError(
                f"{model.__name__}.{name} declares a LavaPyType, but process '{process.name}' "
                f"({type(process).__name__}) has no Var or port '{name}'. Add it to the Process or remove it."
            )
    return ProcessSpec(
        id=process.id,
        name=process.name,
        class_name=type(process).__name__,
        model=model,
        proc_params=process.proc_params,
        vars=tuple(_var_spec(process, model, var) for var in process.vars),
        in_ports=_port_specs(process.in_ports, model),
        out_ports=_port_specs(process.out_ports, model),
        ref_ports=_port_specs(process.ref_ports, model),
        load=model.step_cost(process) + SCHEDULING_COST,
        recorder=bool(getattr(process, "is_recorder", False)),
    )


def _declared(process: AbstractProcess, model: Model, name: str, kind: str) -> LavaPyType:
    declared = getattr(model, name, None)
    if not isinstance(declared, LavaPyType):
        problem = "does not have" if declared is None else f"has a {type(declared).__name__} instead of"
        raise CompileError(
            f"{kind} '{process.name}.{name}': {model.__name__} {problem} a LavaPyType named '{name}'. Declare "
            f"it as a class attribute of the model."
        )
    return declared


def _dtype(path: str, model: Model, declared: LavaPyType) -> np.dtype[Any]:
    try:
        return np.dtype(declared.d_type)
    except TypeError:
        raise DtypeError(
            f"'{path}': {model.__name__} declares the dtype {declared.d_type!r}, which is none."
        ) from None


def _port_specs(ports: Any, model: Model) -> tuple[PortSpec, ...]:
    declared = [(port, getattr(model, port.name)) for port in ports]
    return tuple(PortSpec(p.name, p.shape, d.cls, _dtype(p.path, model, d).str) for p, d in declared)


def _var_spec(process: AbstractProcess, model: Model, var: Var) -> VarSpec:
    declared = _declared(process, model, var.name, "Var")
    if declared.cls is np.ndarray or (
        isinstance(declared.cls, type) and issubclass(declared.cls, np.ndarray)
    ):
        _check_initial_value(process, var, _dtype(f"{process.name}.{var.name}", model, declared))
    return VarSpec(var.id, var.name, var.shape, var.init, declared.cls, declared.d_type, declared.precision)


def _check_initial_value(process: AbstractProcess, var: Var, dtype: np.dtype[Any]) -> None:
    where = f"Var '{process.name}.{var.name}'"
    try:
        value = np.asarray(var.init)
    except (TypeError, ValueError) as error:
        raise DtypeError(f"{where}: the initial value {var.init!r} is no array: {error}.") from None
    if value.dtype.kind not in "biufc" or (value.dtype.kind == "c" and dtype.kind != "c"):
        raise DtypeError(
            f"{where}: an initial value of dtype {value.dtype} cannot become {dtype}, the dtype declared by "
            f"the model: {var.init!r}."
        )
    try:
        np.broadcast_to(value, var.shape)
    except ValueError:
        raise ShapeError(
            f"{where} has shape {var.shape}, but its initial value has shape {value.shape}."
        ) from None
    if dtype.kind in "iu" and not np.can_cast(value.dtype, dtype):
        with np.errstate(invalid="ignore"):
            lossy = value[value.astype(dtype) != value]
        if lossy.size:
            loss = "lose digits" if value.dtype.kind == "f" else "wrap around"
            warnings.warn(
                f"{where}: {lossy.size} initial value(s) {loss} in {dtype}, for example {lossy.flat[0]}.",
                LaharWarning,
                stacklevel=4,
            )


# --- connections ----------------------------------------------------------------------------


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


def _channels(
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
                channels.append(
                    ChannelSpec(
                        id=len(channels),
                        source=source,
                        destination=(k, port.name),
                        shape=sender.shape,
                        dtype=sender.dtype,
                        capacity=capacity,
                        transforms=tuple(v.get_transform_func_fwd() for v in virtual),
                        delay=specs[source[0]].model.min_delay + specs[k].model.min_delay,
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
    """Refuse messages that the receiving model cannot have been written for."""
    ranks = {"b": 0, "u": 1, "i": 1, "f": 2, "c": 3}
    sent, wanted = np.dtype(sender.dtype), np.dtype(receiver.dtype)
    if sent.kind not in ranks or wanted.kind not in ranks:
        raise DtypeError(f"Ports carry numbers only, not {sent} or {wanted}.")
    if wanted.kind != "b" and ranks[sent.kind] > ranks[wanted.kind]:
        a, b = specs[source[0]], specs[target[0]]
        raise DtypeError(
            f"'{a.name}.{source[1]}' sends {sent} (model {a.model.__name__}), but '{b.name}.{target[1]}' is "
            f"declared {wanted} (model {b.model.__name__}), which cannot hold it. Select models of one kind "
            "(select_tag='floating_pt' or 'fixed_pt') or declare the in-port with the wider dtype."
        )


def _references(network: Network, index: dict[int, int]) -> list[ReferenceSpec]:
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
                references.append(
                    ReferenceSpec(
                        id=len(references),
                        port=(k, port.name),
                        owner=index[id(owner)],
                        var=var.name,
                        forward=tuple(v.get_transform_func_fwd() for v in virtual),
                        backward=tuple(v.get_transform_func_bwd() for v in reversed(virtual)),
                    )
                )
    return references


def _reorder(
    order: list[int], specs: list[ProcessSpec], channels: list[ChannelSpec], references: list[ReferenceSpec]
) -> tuple[list[ProcessSpec], list[ChannelSpec], list[ReferenceSpec]]:
    from dataclasses import replace

    new = {old: k for k, old in enumerate(order)}
    moved_channels = [
        replace(
            c, source=(new[c.source[0]], c.source[1]), destination=(new[c.destination[0]], c.destination[1])
        )
        for c in channels
    ]
    moved_references = [replace(r, port=(new[r.port[0]], r.port[1]), owner=new[r.owner]) for r in references]
    return [specs[k] for k in order], moved_channels, moved_references
