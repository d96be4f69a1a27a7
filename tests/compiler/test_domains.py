"""Sync domains: who belongs to which, and what is refused."""

from __future__ import annotations

import itertools

import numpy as np
import pytest

from lahar.compiler import compile  # noqa: A004
from lahar.processes import AbstractProcess, InPort, Monitor, OutPort, RefPort, Var
from lahar.processes.errors import CompileError
from lahar.processes.model import (
    AbstractSubProcessModel,
    AbstractSyncProtocol,
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    SyncDomain,
    implements,
)
from lahar.runtime import Loihi2SimCfg


class Stepped(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((1,))
        self.o = OutPort((1,))
        self.r = RefPort((1,))
        self.x = Var((1,), 0)


@implements(proc=Stepped, protocol=LoihiProtocol)
class PySteppedModel(PyLoihiProcessModel):
    i = LavaPyType(PyInPort.VEC_DENSE, int)
    o = LavaPyType(PyOutPort.VEC_DENSE, int)
    r = LavaPyType(PyRefPort.VEC_DENSE, int)
    x = LavaPyType(np.ndarray, int)


class Free(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((1,))
        self.o = OutPort((1,))
        self.r = RefPort((1,))
        self.x = Var((1,), 0)


@implements(proc=Free, protocol=AsyncProtocol)
class PyFreeModel(PyAsyncProcessModel):
    i = LavaPyType(PyInPort.VEC_DENSE, int)
    o = LavaPyType(PyOutPort.VEC_DENSE, int)
    r = LavaPyType(PyRefPort.VEC_DENSE, int)
    x = LavaPyType(np.ndarray, int)

    def run_async(self):
        pass


class Whole(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((1,))


@implements(proc=Whole, protocol=LoihiProtocol)
class WholeModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.first, self.second = Stepped(name="first"), Stepped(name="second")
        proc.i.connect(self.first.i)
        self.first.o.connect(self.second.i)


def row(*kinds):
    """Return connected processes p0, p1, ..."""
    members = [kind(name=f"p{k}") for k, kind in enumerate(kinds)]
    for a, b in itertools.pairwise(members):
        a.o.connect(b.i)
    return members


def plan_of(process, *domains, **options):
    return compile(
        process, Loihi2SimCfg(custom_sync_domains=list(domains), **{"launcher": "inline", **options})
    )


def domains_of(plan):
    return {p.name: plan.domains[d].name for p, d in zip(plan.processes, plan.domain, strict=True)}


LOIHI, FREE = "LoihiProtocol_SyncDomain", "AsyncProtocol_SyncDomain"


def test_each_protocol_has_a_default_domain():
    plan = plan_of(row(Stepped, Free, Stepped, Free)[0])
    assert domains_of(plan) == {"p0": LOIHI, "p1": FREE, "p2": LOIHI, "p3": FREE}
    assert [(d.name, d.is_async) for d in plan.domains] == [(LOIHI, False), (FREE, True)]


def test_custom_domains_come_first_and_the_rest_is_in_the_default():
    members = row(Stepped, Stepped, Stepped, Free)
    a, b = SyncDomain("a", LoihiProtocol(), [members[1]]), SyncDomain("b", AsyncProtocol(), [members[3]])
    plan = plan_of(members[0], a, b)
    assert domains_of(plan) == {"p0": LOIHI, "p1": "a", "p2": LOIHI, "p3": "b"}
    assert [(d.name, d.is_async) for d in plan.domains] == [("a", False), ("b", True), (LOIHI, False)]


def test_a_domain_without_processes_is_left_out():
    plan = plan_of(row(Stepped)[0], SyncDomain("empty", LoihiProtocol()))
    assert [d.name for d in plan.domains] == [LOIHI]


def test_a_custom_domain_may_have_the_name_of_a_default_one():
    members = row(Stepped, Stepped)
    plan = plan_of(members[0], SyncDomain(LOIHI, LoihiProtocol(), [members[0]]))
    assert domains_of(plan) == {"p0": LOIHI, "p1": LOIHI}
    assert len(plan.domains) == 1


def test_a_hierarchical_process_puts_all_its_parts_into_a_domain():
    source, whole = Stepped(name="source"), Whole(name="whole")
    source.o.connect(whole.i)
    plan = plan_of(source, SyncDomain("a", LoihiProtocol(), [whole]))
    assert set(domains_of(plan).values()) == {"a", LOIHI}
    assert [name for name, d in domains_of(plan).items() if d == LOIHI] == ["source"]


@pytest.mark.parametrize("what", ["x", "o"])
def test_a_monitor_is_in_the_domain_of_what_it_records(what):
    members, monitor = row(Stepped, Stepped), Monitor(name="monitor")
    monitor.probe(getattr(members[0], what), 3)
    plan = plan_of(members[0], SyncDomain("a", LoihiProtocol(), [members[0]]))
    domains = domains_of(plan)
    recorder = next(name for name in domains if name.startswith("monitor"))
    assert domains == {"p0": "a", "p1": LOIHI, recorder: "a"}


def test_domains_do_not_depend_on_placement():
    members = row(Stepped, Stepped, Stepped)
    a = SyncDomain("a", LoihiProtocol(), [members[0], members[2]])
    plan = plan_of(members[0], a, launcher="local", partitions=3)
    assert domains_of(plan) == {"p0": "a", "p1": LOIHI, "p2": "a"}


def test_asynchronous_processes_live_alone_unless_they_are_placed():
    members = row(Stepped, Free, Stepped, Free)
    plan = plan_of(members[0], launcher="local", partitions="auto")
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert len({where["p1"], where["p3"], where["p0"]}) == 3
    assert where["p2"] not in (where["p1"], where["p3"])
    placed = plan_of(members[0], launcher="local", partitions=1, placement=dict.fromkeys(members, 0))
    assert placed.partition == [0] * 4


# --- what is refused --------------------------------------------------------------------------------------


def test_two_domains_of_one_name_are_refused():
    (member,) = row(Stepped)
    with pytest.raises(CompileError, match="two SyncDomains are named 'a'"):
        plan_of(member, SyncDomain("a", LoihiProtocol()), SyncDomain("a", LoihiProtocol()))


def test_what_is_no_process_is_refused():
    (member,) = row(Stepped)
    with pytest.raises(CompileError, match="SyncDomain 'a' holds 'p0', which is no Process"):
        plan_of(member, SyncDomain("a", LoihiProtocol(), ["p0"]))


def test_a_process_of_another_network_is_refused():
    (member,) = row(Stepped)
    with pytest.raises(CompileError, match="'a' holds process 'stranger', which is not part of this network"):
        plan_of(member, SyncDomain("a", LoihiProtocol(), [Stepped(name="stranger")]))


def test_a_process_in_two_domains_is_refused():
    (member,) = row(Stepped)
    domains = [SyncDomain(name, LoihiProtocol(), [member]) for name in "ab"]
    with pytest.raises(CompileError, match="Process 'p0' is in SyncDomains 'a' and 'b'; put it in one"):
        plan_of(member, *domains)


@pytest.mark.parametrize(
    ("kind", "protocol", "implemented"),
    [(Stepped, AsyncProtocol(), "LoihiProtocol"), (Free, LoihiProtocol(), "AsyncProtocol")],
)
def test_a_domain_of_another_protocol_than_the_model_is_refused(kind, protocol, implemented):
    (member,) = row(kind)
    with pytest.raises(
        CompileError, match=rf"'p0' is in SyncDomain 'a' of protocol .*implements {implemented}"
    ):
        plan_of(member, SyncDomain("a", protocol, [member]))


def test_a_domain_without_protocol_is_refused():
    (member,) = row(Stepped)
    with pytest.raises(CompileError, match="'p0' is in SyncDomain 'a' of protocol None"):
        plan_of(member, SyncDomain("a", None, [member]))


def test_a_protocol_that_no_model_implements_is_refused():
    class Other(AbstractSyncProtocol):
        pass

    (member,) = row(Stepped)
    with pytest.raises(CompileError, match="implements LoihiProtocol"):
        plan_of(member, SyncDomain("a", Other(), [member]))


def test_a_reference_to_another_domain_is_refused():
    members = row(Stepped, Stepped)
    members[1].r.connect_var(members[0].x)
    pattern = r"'p1\.r' refers to Var 'p0\.x' of another SyncDomain \('LoihiProtocol_SyncDomain' and 'a'\)"
    with pytest.raises(CompileError, match=pattern):
        plan_of(members[0], SyncDomain("a", LoihiProtocol(), [members[0]]))
    both = SyncDomain("a", LoihiProtocol(), members)
    assert set(domains_of(plan_of(members[0], both)).values()) == {"a"}


@pytest.mark.parametrize(
    ("kinds", "guilty"), [((Stepped, Free), "p1"), ((Free, Stepped), "p0"), ((Free, Free), "p1")]
)
def test_a_reference_of_or_to_an_asynchronous_process_is_refused(kinds, guilty):
    members = row(*kinds)
    members[1].r.connect_var(members[0].x)
    with pytest.raises(CompileError, match=rf"'p1\.r' refers to Var 'p0\.x', but '{guilty}' is asynchronous"):
        plan_of(members[0])


def test_a_monitor_of_an_asynchronous_process_is_refused():
    (member,), monitor = row(Free), Monitor(name="monitor")
    monitor.probe(member.x, 3)
    with pytest.raises(CompileError, match="'p0' is asynchronous"):
        plan_of(member)
