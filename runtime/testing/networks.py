"""Random networks for simulations, compiled once: each is known by its number."""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from random import Random
from typing import Any

import numpy as np

from lahar import compiler
from lahar.compiler import Loihi2SimCfg
from lahar.compiler.plan import Plan
from lahar.compiler.safety import paces
from lahar.processes import (
    LIF,
    Dense,
    Extractor,
    Injector,
    LearningDense,
    SinkRingBuffer,
    SourceRingBuffer,
    STDPLoihi,
)
from lahar.processes.model import LoihiProtocol, SyncDomain
from lahar.runtime.plan_pickle import pickle_plan

from .processes import SHAPE, Asker, Burst, Echo, FreeRelay, FreeSource, Log, Regulator, Relay, Steward

#: Number of different networks.
COUNT = 205
_PHASES = ("SPK", "LRN", "POST_MGMT")


@dataclass
class Draft:
    """Processes and what is known of them before they are compiled.

    Attributes
    ----------
    together : list of list
        Processes that one partition must hold, as whoever places them may.
    deterministic : bool
        The results do not depend on the schedule.
    sync_domains : list of SyncDomain
    """

    processes: list[Any]
    deterministic: bool = True
    sync_domains: tuple[Any, ...] = ()
    capacity: int | None = None


@dataclass(frozen=True)
class Sample:
    """A compiled network.

    Attributes
    ----------
    kind : str
    plan : Plan
    pickled : bytes
    whole : Plan
        The same in one partition.
    deterministic : bool
    scripted : frozenset of (process name, phase, time step)
        Where models raise.
    """

    kind: str
    plan: Plan
    pickled: bytes
    whole: Plan
    deterministic: bool
    scripted: frozenset[tuple[str, str, int]]

    @property
    def paced(self) -> bool:
        """Whether no actor waits for the host in the middle of a time step."""
        paced = self.plan.paced_domains()
        return all(paces(self.plan.processes[p.process].model) for p in self.plan.pipes) and bool(paced)

    @property
    def settled(self) -> bool:
        """Whether all results follow from the time steps alone."""
        return self.deterministic and not any(d.is_async for d in self.plan.domains)


def _graph(random: Random, asks: bool = False, fails: bool = False, refers: bool = False) -> Draft:
    """Nodes of all kinds, each fed by some before it, and loops that an Echo closes."""
    count = random.randint(2, 5)
    nodes: list[Any] = []
    moment = (random.choice(_PHASES), random.randint(1, 8)) if fails else None
    for k in range(count):
        kinds = [Relay, Echo, Echo, *([Steward] if random.random() < 0.2 else []), *([Asker] * 3 * asks)]
        kind = Echo if k == 0 else random.choice(kinds)
        periods = {name: random.choice([0, 0, 1, 2, 3]) for name in ("lrn", "post")}
        if refers:
            periods["post"] = random.choice([0, 1, 1, 2])  # an own handler before the reads of others
        if kind is Steward:
            periods["pre"] = random.choice([1, 2])
            periods["lrn"] = periods["lrn"] or 1
        nodes.append(kind(name=f"n{k}", script=_script(random, kind, asks, moment), **periods))
    for k, node in enumerate(nodes):
        sources = [j for j in range(count) if j < k or isinstance(nodes[j], Echo)]
        chosen = random.sample(sources, random.randint(1, min(3, len(sources))))
        if k and not any(j < k for j in chosen):
            chosen.append(random.randrange(k))
        for j in chosen:
            nodes[j].out.connect(node.into)
    extra = []
    for n in range(random.randint(1, 2) if refers else 0):
        phase = random.choice(["POST_MGMT", "POST_MGMT", "SPK", "LRN"])
        actions = random.choice(["r", "rw", "wr", "rwqr", "wqw", "w"]) if phase == "POST_MGMT" else "w"
        extra.append(Regulator(name=f"r{n}", actions=actions, phase=phase))
        extra[-1].target.connect_var(random.choice(nodes).state)
    return Draft([*nodes, *extra])


def _script(
    random: Random, kind: type, asks: bool, moment: tuple[str, int] | None
) -> dict[tuple[str, int], str]:
    script = {}
    if moment is not None and random.random() < 0.6:  # several may fail in the same phase
        script[moment if random.random() < 0.7 else (random.choice(_PHASES), random.randint(1, 8))] = "fail"
    if asks and kind is Asker:
        for _ in range(random.randint(1, 3)):
            script[random.choice(_PHASES), random.randint(1, 12)] = random.choice(["pause", "pause", "stop"])
    return script


def _asking(random: Random) -> Draft:
    return _graph(random, asks=True)


def _failing(random: Random) -> Draft:
    return _graph(random, fails=True, refers=random.random() < 0.3)


def _referring(random: Random) -> Draft:
    return _graph(random, refers=True, asks=random.random() < 0.2)


def _neurons(random: Random) -> Draft:
    """A source, LIF populations and connections, one of which may learn, in a loop or a chain."""
    rng = np.random.default_rng(random.randrange(2**32))
    source = SourceRingBuffer(data=rng.integers(0, 2, (2, 5)), name="source")
    processes: list[Any] = [source]
    port = source.s_out
    for k in range(random.randint(1, 2)):
        weights = rng.integers(-20, 60, (2, 2))
        if random.random() < 0.4:
            rule = STDPLoihi(
                learning_rate=1,
                A_plus=1,
                A_minus=-1,
                tau_plus=10,
                tau_minus=7,
                t_epoch=random.randint(1, 3),
                rng_seed=random.randint(1, 2**16),
            )
            connection: Any = LearningDense(weights=weights, learning_rule=rule, name=f"learning{k}")
        else:
            connection = Dense(weights=weights, name=f"dense{k}")
        lif = LIF(shape=SHAPE, du=2000, dv=300, vth=2, bias_mant=3, name=f"lif{k}")
        port.connect(connection.s_in)
        connection.a_out.connect(lif.a_in)
        if isinstance(connection, LearningDense):
            lif.s_out.connect(connection.s_in_bap)
        processes += [connection, lif]
        port = lif.s_out
    if random.random() < 0.6:
        back = Dense(weights=rng.integers(-30, 30, (2, 2)), name="back")
        port.connect(back.s_in)
        back.a_out.connect(processes[2].a_in)
        processes.append(back)
    sink = SinkRingBuffer(shape=SHAPE, buffer=20, name="sink")
    port.connect(sink.a_in)
    return Draft([*processes, sink])


def _bursts(random: Random) -> Draft:
    """More messages than one in each time step; with too small channels, a deadlock."""
    count = random.randint(1, 6)
    rests = random.choice([0, 0, 0, 3])
    burst = Burst(name="burst", count=count, rests=rests)
    log = Log(name="log", count=count)
    burst.out.connect(log.into)
    burst.late.connect(log.late)
    return Draft([burst, log], capacity=random.choice([count, count, count, max(1, count - 1), 8]))


def _deadlocked(random: Random) -> Draft:
    """A loop without a delay, beside nodes that could go on."""
    loop = [Relay(name=f"loop{k}") for k in range(random.randint(2, 3))]
    for k, node in enumerate(loop):
        node.out.connect(loop[(k + 1) % len(loop)].into)
    first, last = Echo(name="first"), Relay(name="last")
    first.out.connect(loop[0].into)
    loop[0].out.connect(last.into)
    last.out.connect(first.into)
    return Draft([*loop, first, last])


def _several_domains(random: Random) -> Draft:
    """Two sync domains, with channels from one to the other, or even back; models of both may ask for an end."""
    kind: Any = random.choice([Relay, Asker])
    scripts = [_script(random, kind, True, None) for _ in range(2)]
    if random.random() < 0.5:  # both in one run
        step = random.randint(1, 5)
        scripts = [{("SPK", step): action} for action in random.sample(["pause", "stop"], 2)]
    first = [Echo(name="a0"), kind(name="a1", post=2, script=scripts[0] if kind is Asker else {})]
    second = [kind(name="b0", lrn=3, script=scripts[1] if kind is Asker else {}), Echo(name="b1")]
    first[0].out.connect(first[1].into)
    first[1].out.connect(first[0].into)
    second[0].out.connect(second[1].into)
    second[1].out.connect(second[0].into)
    if random.random() < 0.7:
        first[1].out.connect(second[0].into)
    else:
        first[1].out.connect(second[0].into)
        second[1].out.connect(first[0].into)
    domains = (SyncDomain("a", LoihiProtocol(), first), SyncDomain("b", LoihiProtocol(), second))
    return Draft([*first, *second], sync_domains=domains)


def _free(random: Random) -> Draft:
    """Asynchronous actors in a chain."""
    source = FreeSource(name="source", looks=random.choice([1, 3]), most=random.choice([8, 50, 200]))
    relays = [FreeRelay(name=f"relay{k}", polls=random.random() < 0.3) for k in range(random.randint(1, 2))]
    port = source.out
    for relay in relays:
        port.connect(relay.into)
        port = relay.out
    processes: list[Any] = [source, *relays]
    if random.random() < 0.4:
        return Draft(processes, deterministic=False)
    echo = [Echo(name="e0"), Relay(name="e1")]
    echo[0].out.connect(echo[1].into)
    echo[1].out.connect(echo[0].into)
    if random.random() < 0.5:
        port.connect(echo[0].into)  # the domain waits for what the chain sends
    else:
        sink = FreeRelay(name="sink")
        port.connect(sink.into)
        echo[1].out.connect(sink.into)
        processes.append(sink)
    return Draft([*processes, *echo], deterministic=False)


def _piped(random: Random) -> Draft:
    """Fed by the host, read by the host, or both."""
    nodes = [Echo(name="e0"), Relay(name="e1")]
    nodes[0].out.connect(nodes[1].into)
    nodes[1].out.connect(nodes[0].into)
    processes: list[Any] = list(nodes)
    which = random.choice(["in", "out", "both"])
    if which != "out":
        injector = Injector(SHAPE, buffer_size=random.choice([1, 3, 50]), name="injector")
        injector.out_port.connect(nodes[0].into)
        processes.append(injector)
        if random.random() < 0.3:
            second = Injector(SHAPE, buffer_size=2, name="second")
            second.out_port.connect(nodes[1].into)
            processes.append(second)
    if which == "in":
        return Draft(processes)
    if random.random() < 0.3:
        nodes[1].out.flag_external_pipe(2)  # nobody looks before the time step whether there is room
        return Draft(processes)
    extractor = Extractor(SHAPE, buffer_size=random.choice([1, 2, 8]), name="extractor")
    nodes[1].out.connect(extractor.in_port)
    return Draft([*processes, extractor])


_KINDS: list[tuple[str, int, Callable[[Random], Draft]]] = [
    ("graph", 4, _graph),
    ("neurons", 2, _neurons),
    ("referring", 4, _referring),
    ("asking", 3, _asking),
    ("failing", 4, _failing),
    ("bursts", 4, _bursts),
    ("deadlocked", 1, _deadlocked),
    ("domains", 4, _several_domains),
    ("free", 4, _free),
    ("piped", 3, _piped),
]


@cache
def sample(number: int) -> Sample:
    """Return network `number`, compiled with random placement, partitions, sync mode and capacity."""
    random = Random(f"network {number}")
    names = [name for name, weight, _ in _KINDS for _ in range(weight)]
    kind = names[number % len(names)]
    draft = next(make for name, _, make in _KINDS if name == kind)(random)
    processes = draft.processes
    parts = random.choice([1, 2, 2, 2, 3, 3, 3, 4])
    parts = min(parts, len(processes))
    placement = {process: k if k < parts else random.randrange(parts) for k, process in enumerate(processes)}
    config = Loihi2SimCfg(
        custom_sync_domains=list(draft.sync_domains),
        select_tag="fixed_pt",
        partitions=parts,
        placement=placement,
        sync=random.choice(["lockstep", "auto", "auto"]),
    )
    capacity = draft.capacity or random.choice([1, 2, 3, 8, 64])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        plan = _renumbered(compiler.compile(processes[0], config, {"pypy_channel_size": capacity}))
    whole = replace(plan, partition=[0] * len(plan.processes), partitions=1, lookahead={})
    scripted = frozenset(
        (p.name, phase, step)
        for p in plan.processes
        for (phase, step), action in p.proc_params._parameters.get("script", {}).items()
        if action == "fail"
    )
    return Sample(kind, plan, pickle_plan(plan), whole, draft.deterministic, scripted)


def _renumbered(plan: Plan) -> Plan:
    """Number Vars and Processes from 0, so that a Plan does not depend on what was compiled before."""
    specs, first = [], 0
    for k, spec in enumerate(plan.processes):
        variables = tuple(replace(v, id=first + n) for n, v in enumerate(spec.vars))
        first += len(variables)
        specs.append(replace(spec, id=k, vars=variables))
    return replace(plan, processes=specs)


def settable(plan: Plan) -> list[int]:
    """Return the Vars that may be set: states of nodes."""
    return [v.id for p in plan.processes for v in p.vars if v.name == "state" and math.prod(v.shape) > 1]
