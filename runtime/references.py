"""RefPorts: access to Vars of other actors, in the same worker or in another one.

Processes that are coupled by references, directly or over others, form a cluster. The rules are the same
for every partitioning:

- A read sees the Var after the owner's own handler of the phase.
- Writes of a management phase are applied when every handler of the cluster has returned or waits in
  ``wait()``, in the order in which the writing Processes were created. Then whoever waits goes on (a new
  round).
- Writes made in SPK or LRN are applied at the end of that phase; reading and waiting are refused there.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
from greenlet import getcurrent

from lahar.compiler.plan import Plan, ReferenceSpec
from lahar.processes.errors import StateError
from lahar.processes.model import Phase

from .actors import Actor
from .scheduler import Scheduler, Wait
from .values import as_array, assign

if TYPE_CHECKING:
    from .domains import LoihiDomain

_MANAGEMENT = (Phase.POST_MGMT, Phase.PRE_MGMT)  # the frequent one is found by identity


class Target:
    """The Var at the end of a reference, in the worker of its owner; holds writes until they are applied."""

    def __init__(self, spec: ReferenceSpec, owner: Actor, writer: Actor, scheduler: Scheduler) -> None:
        self.number = spec.id
        self.owner = owner
        self.var = owner.vars[spec.var]
        self._writer = writer
        self._scheduler = scheduler
        self._writes: list[Any] = []

    def value(self) -> Any:
        """Return a copy of the present value."""
        return np.array(as_array(self.owner.model, self.var))

    def add(self, data: Any) -> None:
        self._writes.append(data)

    def apply(self) -> None:
        """Carry out the writes; a value that does not fit is a failure of the writer."""
        writes, self._writes = self._writes, []
        try:
            for data in writes:
                assign(self.owner.model, self.var, data)
            self.owner.model.on_var_update()
        except (Exception, SystemExit) as error:
            self._scheduler.failures.append((self._writer, error))


class Cluster:
    """Actors of one domain and worker that are coupled by references.

    Attributes
    ----------
    domain : LoihiDomain
    tracked : list of Actor
        Those whose handlers must return before writes are applied; empty if nobody can write.
    round : int
        How often writes have been applied in the present phase.
    settled : bool
        Whether nothing more can be applied in the present phase, once all handlers here have returned.
    """

    settled = True

    def __init__(self, domain: LoihiDomain, tracked: list[Actor], scheduler: Scheduler) -> None:
        self.domain = domain
        self.tracked = tracked
        self.round = 0
        self._scheduler = scheduler
        self._running = 0
        self._waiting: list[Any] = []
        self._written: dict[int, list[Target]] = {}
        for actor in tracked:
            actor.clusters.append(self)

    def begin(self) -> None:
        """Enter a management phase; actors that take part in it are marked busy."""
        self.round = 0
        self._running = sum(actor.busy for actor in self.tracked)
        if not self._running:
            self._settle()

    def leave(self) -> None:
        """Note that a handler has returned, or waits."""
        self._running -= 1
        if not self._running:
            self._settle()

    def write(self, target: Target, round_: int) -> None:
        """Note that `target` has a write to be applied at the end of a round."""
        self._written.setdefault(round_, []).append(target)

    def wait(self, wait: Wait) -> None:
        """Suspend the calling actor until the writes of this round have been applied."""
        current = getcurrent()
        self._waiting.append(current)
        self.leave()
        while current in self._waiting:
            self._scheduler.block(wait)

    def _settle(self) -> None:
        """Nobody here runs any more: apply the writes, and let go on whoever waited for that."""
        self._apply()
        self._release()

    def _apply(self) -> None:
        written = self._written.pop(self.round, ())
        for target in sorted(dict.fromkeys(written), key=lambda t: t.number):
            target.apply()
        self.round += 1

    def _release(self) -> None:
        waiting, self._waiting = self._waiting, []
        self._running = len(waiting)
        for sleeper in waiting:
            self._scheduler.wake(sleeper)


class Reference:
    """What a RefPort holds, where the owner of the Var is in the same worker.

    Parameters
    ----------
    spec : ReferenceSpec
    cluster : Cluster
    reader : Actor
    port, var : str
        ``process.port`` and ``process.var``, for messages.
    target : Target
    """

    def __init__(
        self,
        spec: ReferenceSpec,
        cluster: Cluster,
        scheduler: Scheduler,
        reader: Actor,
        port: str,
        var: str,
        target: Target | None,
    ) -> None:
        self._spec = spec
        self._cluster = cluster
        self._domain = cluster.domain
        self._scheduler = scheduler
        self._reader = reader
        self._port = port
        self._var = var
        self._target = target
        self._last_write: tuple[int, int] | None = None

    @property
    def _moment(self) -> tuple[int, int]:
        return self._domain.phases, self._cluster.round

    def _refuse(self, operation: str) -> None:
        raise StateError(
            f"'{self._port}'.{operation}() of Var '{self._var}' in phase {self._reader.model.phase.name}: Vars of "
            "other Processes can be read in run_pre_mgmt and run_post_mgmt only."
        )

    def read(self) -> Any:
        if self._reader.model.phase not in _MANAGEMENT:
            self._refuse("read")
        if self._last_write is not None:
            self.wait()
        target = self._target
        if target is not None and not target.owner.busy:
            value = np.array(as_array(target.owner.model, target.var))
        else:
            value = self._fetch()
        for transform in self._spec.backward:
            value = transform(value)
        return value

    def write(self, data: Any) -> None:
        if self._reader.model.reads_only:
            raise StateError(
                f"'{self._port}'.write() of Var '{self._var}': model {type(self._reader.model).__name__} declares "
                "reads_only = True. Remove that."
            )
        for transform in self._spec.forward:
            data = transform(data)
        managing = self._reader.model.phase in _MANAGEMENT
        self._store(data, self._cluster.round if managing else IMMEDIATE)
        self._last_write = self._moment

    def wait(self) -> None:
        if self._reader.model.phase not in _MANAGEMENT:
            self._refuse("wait")
        if self._last_write == self._moment:
            self._cluster.wait(Wait(self._port, "wait", self._var))

    def _fetch(self) -> Any:
        target = self._target
        assert target is not None
        while target.owner.busy:
            target.owner.observers.append(partial(self._scheduler.wake, getcurrent()))
            self._scheduler.block(Wait(self._port, "read", self._var))
        return target.value()

    def _store(self, data: Any, round_: int) -> None:
        target = self._target
        assert target is not None
        target.add(data)
        if round_ == IMMEDIATE:
            self._domain.written.append(target)
        else:
            self._cluster.write(target, round_)


IMMEDIATE = -1  # round of a write made in SPK or LRN


def couple(
    plan: Plan,
    part: int,
    actors: dict[int, Actor],
    domains: dict[int, LoihiDomain],
    scheduler: Scheduler,
    post: Callable[[int, list[Any]], None] | None = None,
) -> dict[int, Any]:
    """Attach the RefPorts of one partition to the Vars that they reach.

    Parameters
    ----------
    actors : dict of int to Actor
        By number of the Process.
    domains : dict of int to LoihiDomain
        By number of the domain.
    post : callable, optional
        Sends frames to another worker.

    Returns
    -------
    dict of int to SharedCluster
        Clusters that extend over several workers, by number.
    """
    from .remote_references import RemoteReference, SharedCluster

    shared: dict[int, Any] = {}
    for number, references in enumerate(clusters_of(plan)):
        members = {k for r in references for k in (r.port[0], r.owner)}
        here = [actors[k] for k in sorted(members) if k in actors]
        if not here:
            continue
        domain = domains[plan.domain[min(members)]]
        writers = [r for r in references if not plan.processes[r.port[0]].model.reads_only]
        tracked = here if writers else []
        parts = {plan.partition[k] for k in members}
        cluster: Any
        if len(parts) > 1:
            assert post is not None
            cluster = shared[number] = SharedCluster(
                number, domain, tracked, scheduler, sorted(parts - {part}), bool(writers), post
            )
        else:
            cluster = Cluster(domain, tracked, scheduler)
        if tracked or len(parts) > 1:
            domain.clusters.append(cluster)
        for spec in references:
            reader, owner = actors.get(spec.port[0]), actors.get(spec.owner)
            target = None
            if owner is not None:
                # whoever is in another worker has no model here, only a name
                number_of, absent = spec.port[0], plan.processes[spec.port[0]]
                target = Target(spec, owner, reader or Actor(number_of, absent, None), scheduler)
            if reader is not None:
                port = getattr(reader.model, spec.port[1])
                names = (port.name, f"{plan.processes[spec.owner].name}.{spec.var}")
                kind = Reference if target is not None else RemoteReference
                reference = kind(spec, cluster, scheduler, reader, *names, target)
                port.attach(reference)
                if target is None:
                    cluster.add_reference(spec.id, reference, plan.partition[spec.owner])
            elif target is not None:
                cluster.add_target(spec.id, target)
    return shared


def clusters_of(plan: Plan) -> Iterable[list[ReferenceSpec]]:
    """Return the references of each cluster, in the order of their first reference."""
    members: list[set[int]] = []
    references: list[list[ReferenceSpec]] = []
    for spec in plan.references:
        joined = {spec.port[0], spec.owner}
        mine = [spec]
        for k in reversed([k for k, group in enumerate(members) if group & joined]):
            joined |= members.pop(k)
            mine = references.pop(k) + mine
        members.append(joined)
        references.append(mine)
    return references
