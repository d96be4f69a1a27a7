"""Random networks: Hypothesis strategies for their description, and building and running them.

A network is described by plain data, so that the same network can be built any number of times and a
failing example can be read. Every cycle holds a process that sends before it receives: connections to
an equal or lower position start at such a process (or at a source).
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from hypothesis import strategies as st

from lahar.processes import (
    LIF,
    Dense,
    LearningDense,
    LearningSparse,
    Monitor,
    SinkRingBuffer,
    SourceRingBuffer,
    STDPLoihi,
)
from lahar.runtime import Loihi2SimCfg, RunSteps

from .nodes import DelayLine, Echo, Regulator, Relay, Steward

FLOAT, FIXED = "floating_pt", "fixed_pt"
SHAPES = {1: [(1,)], 2: [(2,), (1, 2)], 4: [(4,), (2, 2)], 6: [(6,), (2, 3), (3, 1, 2)]}
# kind -> in-ports, out-port, Var that a Regulator may reach
KINDS = {
    "source": ((), "s_out", None),
    "lif": (("a_in",), "s_out", "v"),
    "dense": (("s_in",), "a_out", None),
    "learning": (("s_in", "s_in_bap"), "a_out", None),
    "relay": (("i",), "o", "state"),
    "steward": (("i",), "o", "state"),
    "echo": (("i",), "o", "state"),
    "delay": (("i",), "o", "state"),
    "sink": (("a_in",), None, None),
}
CUSTOM = {"relay": Relay, "steward": Steward, "echo": Echo, "delay": DelayLine}
SENDS_FIRST = ("dense", "learning", "echo", "delay")
# sums of these depend on the order
AWKWARD = np.array([0.1, 1 / 3, 1.0, -1.0, 1e-9, 1e9, -1e9, 1e16, -1e16, 3e15, 0.0, 0.0])


@dataclass(frozen=True)
class Member:
    """A process: its numbers follow from `seed`."""

    kind: str
    shape: tuple[int, ...]
    seed: int
    pre: int = 0
    lrn: int = 0
    post: int = 0


@dataclass(frozen=True)
class Link:
    """A connection; a `bent` one goes through virtual ports even where it need not."""

    source: int
    target: int
    port: str
    bent: bool
    backward: bool  # connect_from instead of connect, where there is no virtual port


@dataclass(frozen=True)
class Description:
    """A network as plain data."""

    tag: str
    members: tuple[Member, ...]
    links: tuple[Link, ...]
    regulators: tuple[tuple[int, int], ...] = ()  # (target, period)
    probes: tuple[tuple[int, str], ...] = ()  # (member, name of Var or port)
    creation: tuple[int, ...] = ()


@dataclass(frozen=True)
class Spread:
    """How a network is spread over OS processes; None: inline."""

    partitions: int
    sync: str
    capacity: int
    placement: tuple[tuple[int, int], ...] = ()


@dataclass
class Built:
    """The Processes of a description."""

    description: Description
    members: list[Any]
    regulators: list[Any] = field(default_factory=list)
    extras: list[Any] = field(default_factory=list)
    monitor: Any = None

    @property
    def top(self) -> Any:
        return self.members[0]

    def everything(self) -> list[Any]:
        return [*self.members, *self.regulators, *self.extras]

    def start(self, spread: Spread | None, condition: Any) -> None:
        """Run the network for the first time."""
        options: dict[str, Any] = {"launcher": "inline"}
        config = {}
        if spread is not None:
            placement = {self.members[k]: part for k, part in spread.placement}
            for (target, _), regulator in zip(self.description.regulators, self.regulators, strict=True):
                if self.members[target] in placement:
                    placement[regulator] = placement[self.members[target]]
            options = {"partitions": spread.partitions, "sync": spread.sync, "placement": placement}
            config = {"pypy_channel_size": spread.capacity}
        run_cfg = Loihi2SimCfg(select_tag=self.description.tag, **options)
        self.top.run(condition, run_cfg, config)

    def state(self) -> dict[str, Any]:
        """Return every Var of every process, and what was recorded."""
        found = {f"{p.name}.{var.name}": _plain(var.get()) for p in self.everything() for var in p.vars}
        if self.monitor is not None:
            for name, rows in self.monitor.get_data().items():
                found |= {f"monitor:{name}.{member}": array for member, array in rows.items()}
        return found

    def calls(self) -> dict[str, int]:
        """Return how often each user-defined process has executed the spiking phase."""
        return {p.name: int(p.calls.get()[0]) for p in self.everything() if hasattr(p, "calls")}


# --- strategies -----------------------------------------------------------------------------


@st.composite
def descriptions(draw, most: int = 7, monitored: bool = True) -> Description:
    """Draw a connected network: a source, a receiver, and up to `most` members in all."""
    size = draw(st.sampled_from(sorted(SHAPES)))
    count = draw(st.integers(3, most))
    members = [_member(draw, k, size) for k in range(count)]
    links: list[Link] = []
    for k, member in enumerate(members):
        for port in KINDS[member.kind][0]:
            able = [
                j
                for j, other in enumerate(members)
                if KINDS[other.kind][1] and (j < k or other.kind == "source" or other.kind in SENDS_FIRST)
            ]
            least = 1 if port == KINDS[member.kind][0][0] else 0
            sources = draw(st.lists(st.sampled_from(able), min_size=least, max_size=4))
            if least and not any(j < k for j in sources):  # connected with the members before it
                sources.append(draw(st.sampled_from([j for j in able if j < k])))
            links += _links(draw, sources, k, port)
        if member.kind == "source" and k > 0:
            receivers = [j for j in range(k) if KINDS[members[j].kind][0]]
            target = draw(st.sampled_from(receivers))
            port = KINDS[members[target].kind][0][0]
            bent = any(link.source == k and link.target == target and link.port == port for link in links)
            links.append(Link(k, target, port, bent, False))
    reachable = [k for k, member in enumerate(members) if KINDS[member.kind][2]]
    regulators = []
    if reachable:
        regulators = draw(st.lists(st.tuples(st.sampled_from(reachable), st.integers(1, 4)), max_size=2))
    probes = draw(st.lists(_targets(members), max_size=4, unique=True)) if monitored else []
    return Description(
        tag=draw(st.sampled_from([FLOAT, FIXED])),
        members=tuple(members),
        links=tuple(draw(st.permutations(links))),
        regulators=tuple(regulators),
        probes=tuple(probes),
        creation=tuple(draw(st.permutations(range(count)))),
    )


def _member(draw, k: int, size: int) -> Member:
    kinds = sorted(KINDS)
    if k == 0:
        kinds = ["source"]
    elif k == 1:
        kinds.remove("source")
    kind = draw(st.sampled_from(kinds))
    shape = (size,) if kind in ("dense", "learning") else draw(st.sampled_from(SHAPES[size]))
    periods = {}
    if kind in CUSTOM:
        phases = ("pre", "lrn", "post") if kind == "steward" else ("lrn", "post")
        periods = {phase: draw(st.sampled_from([0, 1, 2, 5])) for phase in phases}
    return Member(kind, shape, draw(st.integers(0, 2**16)), **periods)


def _links(draw, sources: list[int], target: int, port: str) -> list[Link]:
    links = []
    for n, source in enumerate(sources):
        # two ports can be connected directly only once
        bent = source in sources[:n] or draw(st.booleans())
        links.append(Link(source, target, port, bent, draw(st.booleans())))
    return links


def _targets(members: list[Member]) -> Any:
    """Things a Monitor can record: the Var that a Regulator may write, and messages."""
    names = []
    for k, member in enumerate(members):
        names += [(k, name) for name in KINDS[member.kind][1:] if name]
    names += [(k, "weights") for k, member in enumerate(members) if member.kind == "learning"]
    return st.sampled_from(names)


@st.composite
def spreads(draw, description: Description) -> Spread:
    """Draw partitions, a placement of some members, a way of synchronisation and a channel size."""
    count = len(description.members)
    partitions = draw(st.integers(2, min(4, count)))
    order = draw(st.permutations(range(count)))
    # the members that are not placed must be enough to fill every partition
    placed = order[: draw(st.integers(0, count - partitions))]
    placement = tuple((k, draw(st.integers(0, partitions - 1))) for k in placed)
    sync = draw(st.sampled_from(["elastic", "lockstep"]))
    return Spread(partitions, sync, draw(st.sampled_from([1, 2, 3, 64])), placement)


# --- building -------------------------------------------------------------------------------


def build(description: Description, num_steps: int = 0) -> Built:
    """Make the Processes, in the order drawn, and connect them.

    Parameters
    ----------
    num_steps : int
        Length of the run that the Monitor records; 0: no Monitor.
    """
    made: dict[int, Any] = {}
    for k in description.creation:
        made[k] = _make(description.members[k], description.tag, f"{description.members[k].kind}{k}")
    built = Built(description, [made[k] for k in range(len(made))])
    for link in description.links:
        target = getattr(made[link.target], link.port)
        port = made[link.source].out_ports[0]
        source = bend(port, target.shape, link.bent)
        if link.backward and source is port:
            target.connect_from(source)
        else:
            source.connect(target)
    for n, (target, period) in enumerate(description.regulators):
        var = getattr(made[target], KINDS[description.members[target].kind][2])
        regulator = Regulator(shape=var.shape, post=period, name=f"regulator{n}")
        regulator.target.connect_var(var)
        built.regulators.append(regulator)
    if num_steps and description.probes:
        built.monitor = Monitor(name="monitor")
        for k, name in description.probes:
            built.monitor.probe(getattr(made[k], name), num_steps)
    return built


def bend(port: Any, shape: tuple[int, ...], bent: bool) -> Any:
    """Return `port`, seen through virtual ports, so that it has `shape`; a `bent` path also transposes."""
    if bent:
        port = port.transpose()
    return port if port.shape == shape and not bent else port.reshape(shape)


def _make(member: Member, tag: str, name: str) -> Any:
    rng = np.random.default_rng(member.seed)
    n = math.prod(member.shape)
    fixed = tag == FIXED
    match member.kind:
        case "source":
            length = int(rng.integers(1, 9))
            data = (
                rng.integers(-3, 4, (*member.shape, length))
                if fixed
                else rng.choice(AWKWARD, (*member.shape, length))
            )
            return SourceRingBuffer(data=data, name=name)
        case "sink":
            return SinkRingBuffer(shape=member.shape, buffer=int(rng.integers(1, 30)), name=name)
        case "lif":
            if fixed:
                numbers = {
                    "du": int(rng.integers(0, 4096)),
                    "dv": int(rng.integers(0, 4096)),
                    "vth": int(rng.integers(1, 9)),
                }
                return LIF(
                    shape=member.shape, bias_mant=rng.integers(-9, 99, member.shape), name=name, **numbers
                )
            numbers = {"du": rng.uniform(0.1, 1), "dv": rng.uniform(0, 1), "vth": rng.uniform(0.5, 2)}
            return LIF(shape=member.shape, bias_mant=rng.uniform(-0.1, 1, member.shape), name=name, **numbers)
        case "dense" | "learning":
            return _connection(member, rng, n, fixed, name)
    guards = {"lrn": member.lrn, "post": member.post}
    if member.kind == "steward":
        guards["pre"] = member.pre
    return CUSTOM[member.kind](shape=member.shape, name=name, **guards)


def _connection(member: Member, rng: np.random.Generator, n: int, fixed: bool, name: str) -> Any:
    weights = rng.integers(-100, 101, (n, n)) if fixed else rng.uniform(-1, 1, (n, n)) / (4 * n)
    weights = weights * (rng.random((n, n)) < 0.7)
    if member.kind == "dense":
        return Dense(weights=weights, num_message_bits=int(rng.choice([0, 0, 8])), name=name)
    rule = STDPLoihi(
        learning_rate=1 if fixed else 0.25,
        A_plus=1,
        A_minus=-1,
        tau_plus=10,
        tau_minus=7,
        t_epoch=int(rng.integers(1, 4)),
        rng_seed=int(rng.integers(1, 2**16)),
    )
    kind = LearningSparse if member.seed % 2 else LearningDense
    return kind(weights=weights, learning_rule=rule, name=name)


def _plain(value: Any) -> Any:
    return value.toarray() if hasattr(value, "toarray") else value


def run(description: Description, spread: Spread | None, runs: list[int]) -> tuple[dict[str, Any], Any]:
    """Run a description; return its whole state in the end and the Plan."""
    built = build(description, sum(runs))
    try:
        built.start(spread, RunSteps(runs[0]))
        for steps in runs[1:]:
            built.top.run(RunSteps(steps))
        return built.state(), built.top.runtime.plan
    finally:
        built.top.stop()
