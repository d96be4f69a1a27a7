"""What is wrong with a network, or may be, before it runs.

====  ========  =====================================================================================
code  severity  what was found
====  ========  =====================================================================================
L001  error     the network cannot be compiled; the message is that of the compiler
L002  warning   the compiler warns: initial values lose digits, options contradict each other, ...
L101  error     a loop in which every model is known to receive before it sends: it hangs in step 1
L102  warning   a loop in which no model is known to send before it receives
L201  info      an in-port that is not connected: it reads zeros
L202  info      nobody takes anything from a process; what it computes is seen in its Vars only
L203  warning   a connected in-port that its model never reads: the channel fills up, the sender waits
L204  warning   a connected out-port on which its model never sends: the receiver waits
L301  warning   activations reach a port that takes them for spikes, asking only whether a value is 0
L302  info      integers that a floating-point port cannot all represent
L303  warning   integers of different signedness are added: they become floating-point numbers
L304  info      the port receives a wider dtype than its model declares
L305  info      several boolean inputs are combined by OR: coincident spikes count once
L306  info      the same of a source that holds other values than 0 and 1
L401  warning   processes that read each other's Vars in the same phase: they wait for each other
L402  warning   a RefPort reads or waits in a phase in which Vars of others can only be written
L403  error     a RefPort (or a Monitor) that reaches text
L404  info      what a RefPort writes is cut to the dtype of the Var
L501  error     a RefPort from or to an asynchronous process
L502  warning   an asynchronous process that sends or takes a fixed number of messages per run meets one
                that sends or takes one per time step
L503  warning   an asynchronous model that loops and neither counts its steps nor looks for stop or pause
L504  error     an asynchronous model without `run_async`
====  ========  =====================================================================================

An error is certain; a warning is a doubt that the code of the models raises (see `behaviour`); an info is
legal and often meant. `compile` raises errors, warns of doubts, and logs the rest.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from lahar.processes.errors import ArgumentTypeError, LaharError, LaharWarning
from lahar.processes.process import AbstractProcess

from .behaviour import MANAGEMENT, Behaviour, behaviour
from .domains import find_domains
from .ordering import strong_components
from .plan import ChannelSpec, PipeSpec, ProcessSpec, ReferenceSpec
from .run_configs import RunConfig

ERROR, WARNING, INFO = "error", "warning", "info"
_ORDER = (ERROR, WARNING, INFO)


@dataclass(frozen=True)
class Finding:
    """Something in a network that is wrong or doubtful.

    Attributes
    ----------
    code : str
        Such as "L101"; the table above lists all.
    severity : {"error", "warning", "info"}
    where : str
        Ports or processes.
    message : str
        What is wrong.
    hint : str
        What to do.
    """

    code: str
    severity: str
    where: str
    message: str
    hint: str = ""

    def __str__(self) -> str:
        return f"{self.code} {self.where}: {self.message}" + (f" {self.hint}" if self.hint else "")


def check(process: AbstractProcess, run_cfg: RunConfig) -> list[Finding]:
    """Look for mistakes in the network connected to `process`, without running it.

    Parameters
    ----------
    process : AbstractProcess
        Any Process of the network.
    run_cfg : RunConfig
        Chooses the models, as for `compile`.

    Returns
    -------
    list of Finding
        Errors first, then warnings, then infos. Empty if there is nothing to say.

    Raises
    ------
    ArgumentTypeError
        The arguments are no Process and run configuration.
    """
    from .compile import describe

    if not isinstance(process, AbstractProcess) or not isinstance(run_cfg, RunConfig):
        raise ArgumentTypeError(
            f"check() takes a Process and a run configuration, not {type(process).__name__} and "
            f"{type(run_cfg).__name__}."
        )
    with warnings.catch_warnings(record=True) as doubts:
        warnings.simplefilter("always")
        try:
            network, specs, channels, references, pipes = describe(process, run_cfg)
            found = findings(specs, channels, references, pipes)
            if not any(finding.severity == ERROR for finding in found):
                find_domains(run_cfg.custom_sync_domains, network, specs, channels, references)
        except (LaharError, NotImplementedError) as error:
            return [Finding("L001", ERROR, process.name, str(error))]
    found += [
        Finding("L002", WARNING, process.name, str(doubt.message))
        for doubt in doubts
        if issubclass(doubt.category, LaharWarning)
    ]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))


def findings(
    specs: list[ProcessSpec],
    channels: list[ChannelSpec],
    references: list[ReferenceSpec],
    pipes: Sequence[PipeSpec] = (),
) -> list[Finding]:
    """Return what is wrong or doubtful in a compiled network, errors first."""
    piped = {(pipe.process, pipe.port) for pipe in pipes}
    net = _Net(specs, channels, references, [behaviour(spec.model) for spec in specs], piped)
    found = [f for look in (_loops, _ports, _dtypes, _references, _asynchronous) for f in look(net)]
    return sorted(found, key=lambda finding: _ORDER.index(finding.severity))


@dataclass(frozen=True)
class _Net:
    specs: list[ProcessSpec]
    channels: list[ChannelSpec]
    references: list[ReferenceSpec]
    does: list[Behaviour]
    piped: set[tuple[int, str]]  # ports that exchange messages with the host

    def path(self, end: tuple[int, str]) -> str:
        return f"{self.specs[end[0]].name}.{end[1]}"

    def name(self, channel: ChannelSpec) -> str:
        return f"{self.path(channel.source)} -> {self.path(channel.destination)}"

    def model(self, k: int) -> str:
        return str(self.specs[k].model.__name__)


# --- loops ------------------------------------------------------------------------------------


def _loops(net: _Net) -> Iterator[Finding]:
    undelayed = {
        k for k, spec in enumerate(net.specs) if spec.model.min_delay == 0 and net.does[k].first != "send"
    }
    certain = {k for k in undelayed if net.does[k].of_the_library and net.does[k].first == "recv"}
    hint = (
        "Put a connection process such as Dense into it, or let one of its models send before it receives and "
        "declare min_delay = 1."
    )
    reported: set[int] = set()
    for members, code, severity, message in (
        (certain, "L101", ERROR, "every model of this loop receives before it sends, so all wait for each other."),
        (undelayed, "L102", WARNING, "no model of this loop is known to send before it receives; if none does, all "
         "wait for each other."),
    ):  # fmt: skip
        for loop in _cycles(net, members):
            if not reported & {channel.source[0] for channel in loop}:
                reported |= {channel.source[0] for channel in loop}
                yield Finding(code, severity, _walk(net, loop), message, hint)


def _walk(net: _Net, loop: list[ChannelSpec]) -> str:
    return ", ".join(net.name(channel) for channel in loop)


def _cycles(net: _Net, members: set[int]) -> Iterator[list[ChannelSpec]]:
    """Yield one loop, as channels, for each set of processes that reach each other."""
    channels = [c for c in net.channels if c.source[0] in members and c.destination[0] in members]
    for loop in _closed(len(net.specs), [(c.source[0], c.destination[0]) for c in channels]):
        yield [channels[k] for k in loop]


def _closed(n: int, edges: list[tuple[int, int]]) -> Iterator[list[int]]:
    """Yield one loop, as numbers of edges, for each strongly connected component that has one."""
    successors: list[set[int]] = [set() for _ in range(n)]
    for a, b in edges:
        successors[a].add(b)
    label = strong_components(successors)
    done: set[int] = set()
    for first, (a, b) in enumerate(edges):
        if label[a] != label[b] or label[a] in done:
            continue
        done.add(label[a])
        reached: dict[int, int] = {b: first}  # process -> the edge that led to it
        queue = [b]
        while a not in reached:
            k = queue.pop(0)
            for e, (source, target) in enumerate(edges):
                if source == k and label[target] == label[a] and target not in reached:
                    reached[target] = e
                    queue.append(target)
        loop: list[int] = []
        k = a
        while not loop or loop[-1] != first:
            loop.append(reached[k])
            k = edges[reached[k]][0]
        loop.reverse()
        start = min(range(len(loop)), key=lambda k: edges[loop[k]][0])
        yield loop[start:] + loop[:start]


# --- ports ------------------------------------------------------------------------------------


def _ports(net: _Net) -> Iterator[Finding]:
    sources = {c.source for c in net.channels} | net.piped
    fed = {c.destination for c in net.channels} | net.piped
    owners = {r.owner for r in net.references}
    for k, spec in enumerate(net.specs):
        does = net.does[k]
        for port in spec.in_ports:
            where = net.path((k, port.name))
            if (k, port.name) not in fed:
                if does.mentions(port.name):
                    yield Finding("L201", INFO, where, "not connected, so it reads zeros.")
            elif not does.mentions(port.name):
                yield Finding(
                    "L203",
                    WARNING,
                    where,
                    f"it is connected, but {net.model(k)} never reads it: the channel fills up, then its sender waits.",
                    "Receive from it in every step, or remove the connection.",
                )
        for port in spec.out_ports:
            if (k, port.name) in sources and not does.mentions(port.name):
                yield Finding(
                    "L204",
                    WARNING,
                    net.path((k, port.name)),
                    f"it is connected, but {net.model(k)} never sends on it: the receiver waits for ever.",
                    "Send on it in every step, or remove the connection.",
                )
        taken = any((k, port.name) in sources for port in spec.out_ports)
        if spec.out_ports and not taken and not spec.ref_ports and k not in owners:
            yield Finding(
                "L202",
                INFO,
                spec.name,
                "nothing is connected to its out-ports, and nobody reads its Vars while the network runs.",
            )


# --- dtypes -----------------------------------------------------------------------------------


def _dtypes(net: _Net) -> Iterator[Finding]:
    several: dict[tuple[int, str], list[ChannelSpec]] = {}
    for channel in net.channels:
        several.setdefault(channel.destination, []).append(channel)
        yield from _graded(net, channel)
    for (k, name), inputs in several.items():
        port = next(p for p in net.specs[k].in_ports if p.name == name)
        declared, sent = np.dtype(port.dtype), [np.dtype(c.dtype) for c in inputs]
        received = np.result_type(declared, *sent)
        where = net.path((k, name))
        listed = ", ".join(sorted({str(d) for d in sent}))
        if declared.kind == "b":
            if len(inputs) > 1 and received.kind == "b":
                yield Finding(
                    "L305",
                    INFO,
                    where,
                    f"{len(inputs)} boolean inputs are combined by OR: spikes that coincide count once.",
                    "Declare the in-port with a number to count them.",
                )
            continue
        casts = net.specs[k].model.casts_inputs  # and says so itself
        if received.kind == "f" and declared.kind in "iu" and not casts:
            yield Finding(
                "L303",
                WARNING,
                where,
                f"{listed} added to {declared} become {received}, which cannot hold every integer.",
                "Use integers of one signedness, or narrower ones.",
            )
        elif declared.kind in "fc" and any(d.kind in "iu" and not _holds(declared, d) for d in sent):
            yield Finding(
                "L302",
                INFO,
                where,
                f"{declared} does not hold every {listed} exactly; it receives {received}.",
            )
        elif received != declared and not net.does[k].of_the_library:
            yield Finding(
                "L304", INFO, where, f"declared {declared}, but it receives {received} (from {listed})."
            )


def _holds(floating: np.dtype[Any], integer: np.dtype[Any]) -> bool:
    """Whether every value of an integer dtype can be represented."""
    real = np.finfo(floating)
    return bool(real.nmant + 1 >= 8 * integer.itemsize - (integer.kind == "i"))


def _graded(net: _Net, channel: ChannelSpec) -> Iterator[Finding]:
    """Say if more than spikes reaches a connection process that takes its input for spikes."""
    (a, out), (b, into) = channel.source, channel.destination
    source, target = net.specs[a], net.specs[b]
    bits = _initial(target, "num_message_bits")
    if not (net.does[a].of_the_library and net.does[b].of_the_library) or into != "s_in":
        return
    if bits is None or np.any(bits):
        return
    effect = f"but '{target.name}' has num_message_bits=0: every value that is not 0 counts as 1."
    hint = f"Give '{target.name}' num_message_bits > 0, or put neurons between the two."
    data = _initial(source, "data") if not source.in_ports else None
    if out == "a_out":
        yield Finding(
            "L301", WARNING, net.name(channel), f"'{source.name}' sends activations, {effect}", hint
        )
    elif data is not None and not np.isin(data, (0, 1)).all():
        yield Finding("L306", INFO, net.name(channel), f"'{source.name}' holds graded values, {effect}", hint)


def _initial(spec: ProcessSpec, var: str) -> Any:
    """Return the initial value of a Var as an array, or None if there is no such Var."""
    return next((np.asarray(v.init) for v in spec.vars if v.name == var), None)


# --- references -------------------------------------------------------------------------------


def _references(net: _Net) -> Iterator[Finding]:
    for ref in net.references:
        k, port = ref.port
        does, where = net.does[k], f"{net.path(ref.port)} -> {net.path((ref.owner, ref.var))}"
        var = next(v for v in net.specs[ref.owner].vars if v.name == ref.var)
        free = next((end for end in (k, ref.owner) if net.does[end].asynchronous), None)
        if free is not None:
            yield Finding(
                "L501",
                ERROR,
                where,
                f"'{net.specs[free].name}' is asynchronous ({net.model(free)}): no time steps, so it is undefined "
                "which value would be seen.",
                "Send the value over a channel, or read it with get() after the run.",
            )
        elif var.type_class is str:
            yield Finding(
                "L403",
                ERROR,
                where,
                f"Var '{net.path((ref.owner, ref.var))}' holds text; RefPorts and Monitors take numbers.",
                "Read and set it with get() and set() between runs.",
            )
        elif does.writes(port):
            yield from _cut_writes(net, ref, where)
        for handler in ("run_spk", "run_lrn"):
            elsewhere = {use for other in MANAGEMENT for use in does.uses[other]}
            used = [
                u.operation
                for u in does.uses[handler]
                if u.port == port and u.operation != "write" and u not in elsewhere
            ]
            if used and not does.asynchronous:  # code shared with management may look at the phase
                yield Finding(
                    "L402",
                    WARNING,
                    where,
                    f"{net.model(k)} calls {used[0]}() in {handler}, where Vars of others cannot be read.",
                    "Move it into run_post_mgmt and define post_guard.",
                )
    for handler in MANAGEMENT:
        reads = [r for r in net.references if net.does[r.port[0]].reads_in(handler, r.port[1])]
        for loop in _closed(len(net.specs), [(r.port[0], r.owner) for r in reads]):
            listed = ", ".join(
                f"{net.path(reads[e].port)} -> {net.path((reads[e].owner, reads[e].var))}" for e in loop
            )
            yield Finding(
                "L401",
                WARNING,
                listed,
                f"a Var is read after the owner's own {handler}, so these wait for each other if they read in the same "
                "step.",
                "Read in different phases or steps, or exchange the values over channels.",
            )  # fmt: skip


def _cut_writes(net: _Net, ref: ReferenceSpec, where: str) -> Iterator[Finding]:
    port = next(p for p in net.specs[ref.port[0]].ref_ports if p.name == ref.port[1])
    var = next(v for v in net.specs[ref.owner].vars if v.name == ref.var)
    written, held = np.dtype(port.dtype), np.dtype(var.dtype)
    if written.kind in "fc" and held.kind in "iub":
        yield Finding(
            "L404", INFO, where, f"the RefPort writes {written}, the Var holds {held}: fractions are cut off."
        )


# --- asynchronous processes -------------------------------------------------------------------


def _asynchronous(net: _Net) -> Iterator[Finding]:
    for k, (spec, does) in enumerate(zip(net.specs, net.does, strict=True)):
        if not does.asynchronous or does.converted:
            continue
        if not does.has_handler:
            yield Finding(
                "L504",
                ERROR,
                spec.name,
                f"{net.model(k)} is asynchronous and does not define run_async().",
                "Define it; run_spk() and the other phases are not called.",
            )
            continue
        counts = does.names("num_steps")
        if (
            does.loops_without_range
            and not counts
            and not does.names("check_for_stop_cmd", "check_for_pause_cmd")
        ):
            yield Finding(
                "L503",
                WARNING,
                spec.name,
                f"run_async() of {net.model(k)} loops, but neither counts num_steps nor looks for stop or pause.",
                "Return when check_for_stop_cmd() or check_for_pause_cmd() is true.",
            )  # fmt: skip
        if does.loops or counts:
            continue
        for channel in net.channels:
            ends = (channel.source[0], channel.destination[0])
            if k in ends and not all(net.does[end].asynchronous for end in ends):
                yield Finding(
                    "L502",
                    WARNING,
                    net.name(channel),
                    f"run_async() of {net.model(k)} holds no loop, so it uses this channel a fixed number of times per "
                    "run; the other end uses it in every time step.",
                    "Loop over num_steps.",
                )
