"""From connected Processes to a Plan."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping
from typing import Any

import numpy as np

from lahar.processes.errors import (
    ArgumentTypeError,
    CompileError,
    ValidationError,
)
from lahar.processes.process import AbstractProcess

from .assignment import assign
from .check import ERROR, WARNING, Finding, findings
from .connections import find_channels, find_pipes, find_references, reorder
from .domains import find_domains
from .doubts import warn
from .graph import Network, connected_processes, flatten
from .matching import process_spec
from .models import select_model
from .ordering import dataflow_order, lookahead, management_order
from .plan import ChannelSpec, PipeSpec, Plan, ProcessSpec, ReferenceSpec
from .run_configs import RunConfig
from .safety import elastic_hazards

_log = logging.getLogger("lahar.compiler")
DEFAULT_CAPACITY = 64
# Options of Lava that change nothing here: deadlocks are found without a watchdog, nothing is cached, and
# the others concern hardware.
_WITHOUT_EFFECT = {
    "use_watchdog",
    "short_event_timeout",
    "long_event_timeout",
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
        ``folded_view``: names of Process classes; the Processes of these classes, and their parts, get the class
        as `folded_view` and a number of their own as `folded_view_inst_id`, for tools that draw networks.

    Returns
    -------
    Plan

    Raises
    ------
    NoProcessModelFound, CompileError
        Models and Processes do not fit, or `check` finds a certain mistake.
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
    capacity, folded = _options({} if compile_config is None else compile_config)
    network, specs, channels, references, pipes = describe(process, run_cfg, capacity)
    _report(findings(specs, channels, references, pipes))
    domains, domain = find_domains(run_cfg.custom_sync_domains, network, specs, channels, references)

    order = dataflow_order(
        len(specs), [(c.source[0], c.destination[0]) for c in channels], [s.model.min_delay for s in specs]
    )
    specs, channels, references, pipes = reorder(order, specs, channels, references, pipes)
    domain = [domain[k] for k in order]
    assignment, parts, notes = assign(specs, channels, references, run_cfg, network)

    crossing = [
        (f"{specs[r.port[0]].name}.{r.port[1]}", f"{specs[r.owner].name}.{r.var}")
        for r in references
        if assignment[r.port[0]] != assignment[r.owner]
    ]
    hazards = elastic_hazards(
        [(s.name, s.model, part) for s, part in zip(specs, assignment, strict=True)],
        crossing,
        [specs[k].name for k in dict.fromkeys(p.process for p in pipes)],
    )
    sync = run_cfg.sync
    if sync == "auto":
        sync = "lockstep" if hazards else "elastic"
    elif sync == "elastic" and hazards:
        warn(
            f"sync='elastic' could change results here, so the network runs in lockstep: {'; '.join(hazards)}."
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
        domains=domains,
        domain=domain,
        pipes=pipes,
        launcher=run_cfg.launcher,
        progress=run_cfg.progress,
        notes=notes,
        profile=run_cfg.profile,
    )
    for leaf, model in network.leaves:
        leaf._model_class = model
    for declared in network.declared:
        declared._is_compiled = True
    if folded:
        _fold(network_processes(process), folded)
    return plan


def describe(
    process: AbstractProcess, run_cfg: RunConfig, capacity: int = DEFAULT_CAPACITY
) -> tuple[Network, list[ProcessSpec], list[ChannelSpec], list[ReferenceSpec], list[PipeSpec]]:
    """Return the flattened network of a Process and what is in it, before anything is ordered or placed."""
    network = flatten(connected_processes(process), lambda p: select_model(p, run_cfg))
    index = {id(leaf): k for k, (leaf, _) in enumerate(network.leaves)}
    specs = [process_spec(leaf, model) for leaf, model in network.leaves]
    channels = find_channels(network, specs, index, capacity)
    pipes = find_pipes(network, specs, len(channels))
    return network, specs, channels, find_references(network, index), pipes


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


def _report(found: list[Finding]) -> None:
    """Raise what is certainly wrong, warn of what is doubtful, log the rest."""
    errors = [str(finding) for finding in found if finding.severity == ERROR]
    if errors:
        raise CompileError("\n".join(errors))
    for finding in found:
        if finding.severity == WARNING:
            warn(str(finding))
        else:
            _log.info("%s", finding)


def _fold(processes: list[AbstractProcess], class_names: set[str]) -> None:
    """Number the Processes of some classes and let their parts inherit it; parents come before their parts."""
    members = [p for p in processes if type(p).__name__ in class_names]
    numbers: Counter[type] = Counter()
    number = {}
    for member in sorted(members, key=lambda p: p.id):
        number[member] = numbers[type(member)]
        numbers[type(member)] += 1
    for member in members:
        member.folded_view, member.folded_view_inst_id = type(member), number[member]
        member.propagate_folded_views()


def _options(compile_config: Any) -> tuple[int, set[str]]:
    """Return the capacity of channels and the names of the classes to be folded."""
    if not isinstance(compile_config, Mapping):
        raise ArgumentTypeError(
            f'compile_config must be a dict such as {{"pypy_channel_size": 64}}, not {compile_config!r}.'
        )
    for key in compile_config:
        if key not in ("pypy_channel_size", "folded_view"):
            kind = "has no effect" if key in _WITHOUT_EFFECT else "is unknown"
            warn(f"compile_config: option '{key}' {kind}.")
    size = compile_config.get("pypy_channel_size", DEFAULT_CAPACITY)
    if isinstance(size, bool) or not isinstance(size, (int, np.integer)) or size < 1:
        raise ValidationError(
            f"a positive integer expected, not {size!r}.", "compile_config['pypy_channel_size']"
        )
    folded = compile_config.get("folded_view") or []
    if not isinstance(folded, (list, tuple, set)) or not all(isinstance(name, str) for name in folded):
        raise ArgumentTypeError(
            f"compile_config['folded_view'] must be a list of names of Process classes, not {folded!r}."
        )
    return int(size), set(folded)
