"""Small random networks of processes that may come to grief, from a seed."""

from __future__ import annotations

import random
from dataclasses import dataclass, field
from typing import Any

from lahar.runtime import Loihi2SimCfg, RunSteps

from .fragile import Fault, Fragile, Guarded, Listener, Meddler


@dataclass
class Blow:
    """A fault and where it strikes."""

    kind: str
    member: int
    phase: str
    number: int


@dataclass
class Network:
    """A network as plain data: it can be built any number of times.

    Attributes
    ----------
    placement : list of int
        Worker of each member.
    """

    kinds: list[type]
    links: list[tuple[int, int]]
    target: int | None
    partitions: int
    placement: list[int]
    sync: str
    capacity: int
    periods: list[int] = field(default_factory=list)

    def build(self, blows: list[Blow] = (), log: str = "") -> list[Any]:
        """Return the connected Processes, named m0, m1, ..."""
        faults: list[dict[Any, Fault]] = [{} for _ in self.kinds]
        for blow in blows:
            faults[blow.member][blow.phase, blow.number] = Fault(blow.kind, log)
        members = [
            kind(name=f"m{k}", faults=faults[k], period=self.periods[k]) for k, kind in enumerate(self.kinds)
        ]
        for source, target in self.links:
            members[source].o.connect(members[target].i)
        for member in members:
            if isinstance(member, Meddler):
                member.target.connect_var(members[self.target].state)
        return members

    def options(self, members: list[Any]) -> tuple[Loihi2SimCfg, dict[str, Any]]:
        """Return run configuration and compile configuration for worker processes."""
        placement = dict(zip(members, self.placement, strict=True))
        cfg = Loihi2SimCfg(
            partitions=self.partitions, sync=self.sync, placement=placement, progress=False, launcher="local"
        )
        return cfg, {"pypy_channel_size": self.capacity}

    def names_on(self, worker: int) -> list[str]:
        return [f"m{k}" for k, where in enumerate(self.placement) if where == worker]

    def expected(self, steps: int) -> dict[str, list[int]]:
        """Return the state after a run in one OS process."""
        members = self.build()
        members[0].run(RunSteps(steps), Loihi2SimCfg(launcher="inline", progress=False))
        members[0].stop()
        return state_of(members)


def state_of(members: list[Any]) -> dict[str, list[int]]:
    return {member.name: member.state.get().tolist() for member in members}


def random_network(rng: random.Random) -> Network:
    """Return a ring with some connections across, perhaps with a reference and an asynchronous listener."""
    count = rng.randint(2, 5)
    kinds: list[type] = [rng.choice([Fragile, Fragile, Guarded]) for _ in range(count)]
    links = [(k, (k + 1) % count) for k in range(count)]
    across = [(a, b) for a in range(count) for b in range(count) if (a, b) not in links]
    links += rng.sample(across, rng.randint(0, min(2, len(across))))
    target = None
    if rng.random() < 0.4:
        kinds.append(Meddler)
        target = rng.randrange(count)
    if rng.random() < 0.4:
        links.append((rng.randrange(count), len(kinds)))
        kinds.append(Listener)
    partitions = rng.randint(1, min(4, len(kinds)))
    placement = [k % partitions for k in range(len(kinds))]
    rng.shuffle(placement)
    if target is not None and partitions > 1:  # the reference leads to another worker
        meddler = kinds.index(Meddler)
        if placement[meddler] == placement[target]:
            other = next(k for k in range(len(kinds)) if placement[k] != placement[target])
            placement[meddler], placement[other] = placement[other], placement[meddler]
    return Network(
        kinds=kinds,
        links=links,
        target=target,
        partitions=partitions,
        placement=placement,
        sync=rng.choice(["lockstep", "elastic"]),
        capacity=rng.choice([1, 2, 8, 64]),
        periods=[rng.randint(1, 4) for _ in kinds],
    )


def random_blow(rng: random.Random, network: Network, kind: str, step: int) -> Blow:
    """Return a blow to a random member in a phase that takes place in time step `step` or soon after."""
    member = rng.randrange(len(network.kinds))
    phases = {Fragile: ["SPK"], Guarded: ["SPK", "LRN", "POST_MGMT"], Meddler: ["SPK", "POST_MGMT"]}
    phase = rng.choice(phases.get(network.kinds[member], ["ASYNC"]))
    if network.kinds[member] is Guarded and phase != "SPK":
        step *= network.periods[member]
    return Blow(kind, member, phase, step)
