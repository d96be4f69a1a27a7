"""Several sync domains in one network, through public names."""

from __future__ import annotations

import pytest
import runtime_models as rm
from support.deadline import until

from lahar.processes.model import LoihiProtocol, SyncDomain
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps

pytestmark = pytest.mark.usefixtures("pool")
WAYS = {
    "inline": {"launcher": "inline"},
    "1": {"partitions": 1},
    "2 by domain": {"partitions": 2, "places": (0, 0, 1, 1)},
    "2 across domains": {"partitions": 2, "places": (0, 1, 0, 1)},
    "3": {"partitions": 3, "places": (0, 1, 1, 2)},
    "4": {"partitions": 4, "places": (0, 1, 2, 3)},
}
every_way = pytest.mark.parametrize("way", list(WAYS))
syncs = pytest.mark.parametrize("sync", ["auto", "lockstep"])


def network(**scripts):
    """Return a0, a1 of domain a and b0, b1 of domain b: each pair a ring of its own, joined by an idle channel."""
    members = [
        rm.Asking(name=n, script=scripts.get(n, {}), guards=g)
        for n, g in zip(["a0", "a1", "b0", "b1"], ["lrn post", "", "post", ""], strict=True)
    ]
    rm.ring(*members[:2])
    rm.ring(*members[2:])
    members[0].idle.connect(members[2].idle_in)
    return members


def config(way, members, sync="auto"):
    options = dict(WAYS[way])
    places = options.pop("places", None)
    if places:
        options["placement"] = dict(zip(members, places, strict=True))
    domains = [
        SyncDomain("a", LoihiProtocol(), members[:2]),
        SyncDomain("b", LoihiProtocol(), members[2:]),
    ]
    if options.get("launcher") != "inline":
        options["sync"] = sync
    return Loihi2SimCfg(custom_sync_domains=domains, progress=False, **options)


def values(members):
    return [[v.get().tolist() for v in (p.t, p.x, p.trace)] for p in members]


def steps(members):
    return [int(p.t.get()[0]) for p in members]


@pytest.fixture(scope="module")
def expected():
    members = network()
    with members[0]:
        members[0].run(RunSteps(7), Loihi2SimCfg(launcher="inline"))
        return values(members)


@every_way
@syncs
def test_results_do_not_depend_on_domains_and_partitions(way, sync, expected):
    """Each pair has the same phases with and without the other in its domain: nobody's guard asks for others."""
    members = network()
    with members[0]:
        for length in (3, 4):
            members[0].run(RunSteps(length), config(way, members, sync))
        got = values(members)
    assert [x[:2] for x in got] == [x[:2] for x in expected]
    assert [x[2] for x in got] == [x[2] for x in expected]


@every_way
def test_a_pause_leaves_each_domain_in_a_cut_of_its_own(way):
    members = network()
    with members[0]:
        done = [0, 0]

        def gone_on():
            return members[0].runtime._network.step > max(done) + 3

        for _ in range(3):
            members[0].run(RunContinuous(), config(way, members))
            until(gone_on)
            members[0].pause()
            a0, a1, b0, b1 = steps(members)
            assert a0 == a1 >= done[0]
            assert b0 == b1 >= done[1]
            done = [a0, b0]
        members[0].run(RunSteps(5))
        assert steps(members) == [done[0] + 5] * 2 + [done[1] + 5] * 2


@every_way
def test_a_request_of_one_domain_pauses_all(way):
    members = network(b0={("SPK", 4): rm.ask_pause})
    with members[0]:
        members[0].run(RunContinuous(), config(way, members))
        members[0].wait()
        a0, a1, b0, b1 = steps(members)
        assert a0 == a1
        assert b0 == b1 == 4
        members[0].run(RunSteps(2))
        assert steps(members) == [a0 + 2, a0 + 2, 6, 6]


@every_way
def test_a_request_for_stop_of_one_domain_stops_all(way):
    members = network(a1={("SPK", 3): rm.ask_stop})
    members[2].run(RunContinuous(), config(way, members))
    members[2].wait()
    assert members[0].runtime.is_closed
    a0, a1, b0, b1 = steps(members)
    assert a0 == a1 == 3
    assert b0 == b1


@every_way
@syncs
@pytest.mark.parametrize(("pausing", "stopping"), [("a0", "b1"), ("b0", "a1")])
def test_a_stop_is_not_forgotten_when_another_domain_asks_for_a_pause(way, sync, pausing, stopping):
    """It is served in the run that follows, whether it was asked for before or after the pause."""
    members = network(**{pausing: {("SPK", 3): rm.ask_pause}, stopping: {("SPK", 3): rm.ask_stop}})
    with members[0]:
        for _ in range(2):
            if members[0].runtime is None or not members[0].runtime.is_closed:
                members[0].run(RunSteps(50), config(way, members, sync))
        assert members[0].runtime.closed_because == "was stopped by a model"
        a0, a1, b0, b1 = steps(members)
        assert a0 == a1
        assert b0 == b1
        assert (b0 if stopping == "b1" else a0) == 3


@pytest.mark.parametrize("way", ["inline", "1"])
def test_pause_and_stop_in_the_same_step_of_two_domains(way):
    """Pause is served; the next run executes no step and stops, as where both domains are one."""
    members = network(a0={("SPK", 3): rm.ask_stop}, b0={("SPK", 3): rm.ask_pause})
    with members[0]:
        members[0].run(RunSteps(50), config(way, members))
        assert not members[0].runtime.is_closed
        assert steps(members) == [3, 3, 3, 3]
        members[0].run(RunSteps(50))
        assert members[0].runtime.closed_because == "was stopped by a model"
        assert steps(members) == [3, 3, 3, 3]


@every_way
def test_a_failure_of_one_domain_ends_all(way):
    from lahar.processes.errors import ModelError

    members = network(b1={("SPK", 5): rm.fail})
    members[0].run(RunContinuous(), config(way, members))
    with pytest.raises(ModelError, match="b1 fails on purpose") as caught:
        members[0].wait()
    assert (caught.value.process, caught.value.phase, caught.value.time_step) == ("b1", "SPK", 5)
    assert steps(members)[2:] == [5, 5]
