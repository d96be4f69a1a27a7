"""Asynchronous processes, alone and beside sync domains, through public names."""

from __future__ import annotations

import itertools
import threading

import numpy as np
import pytest
import runtime_models as rm
from support.deadline import until

from lahar.processes import LIF, Dense
from lahar.processes.errors import DeadlockError, ModelError, StateError
from lahar.processes.model import PyLoihiModelToPyAsyncModel
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps
from lahar.runtime import runtime as runtime_module

pytestmark = pytest.mark.usefixtures("pool")
WAYS = {
    "inline": {"launcher": "inline"},
    "auto": {},
    "local-1": {"partitions": 1, "placed": 1},
    "local-2": {"partitions": 2, "placed": 2},
    "local-3": {"partitions": 3, "placed": 3},
}
every_way = pytest.mark.parametrize("way", list(WAYS))


def config(way, *processes, **changes):
    """Return a configuration; where partitions are given, processes are placed in turn."""
    options = dict(WAYS[way])
    placed = min(options.pop("placed", 0), len(processes))
    if placed:
        options["partitions"] = placed
        options["placement"] = {p: k % placed for k, p in enumerate(processes)}
    return Loihi2SimCfg(progress=False, **{**options, **changes})


def got(taker):
    return taker.got.get()[: int(taker.n.get()[0])].tolist()


def chain(hops=1, **maker):
    """Return an asynchronous producer, Loihi relays, and an asynchronous consumer."""
    members = [
        rm.Maker(name="maker", **maker),
        *(rm.Hop(name=f"hop{k}") for k in range(hops)),
        rm.Taker(name="taker"),
    ]
    for a, b in itertools.pairwise(members):
        a.out.connect(b.into)
    return members


# --- messages -----------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize("hops", [0, 1, 2])
def test_ten_messages_arrive_in_order(way, hops):
    members = chain(hops)
    maker, taker = members[0], members[-1]
    with maker:
        maker.run(RunSteps(10), run_cfg=config(way, *members))
        assert got(taker) == list(range(10))
        assert [int(hop.t.get()[0]) for hop in members[1:-1]] == [10] * hops
        maker.run(RunSteps(5))
        assert got(taker) == list(range(15))
        assert (maker.runs.get(), taker.runs.get()) == (2, 2)


@every_way
def test_a_small_channel_holds_up_the_producer_and_loses_nothing(way):
    members = chain(1)
    with members[0]:
        members[0].run(RunSteps(50), run_cfg=config(way, *members), compile_config={"pypy_channel_size": 2})
        assert got(members[-1]) == list(range(50))


# --- every kind of run --------------------------------------------------------------------------------


def network(kind):
    """Return all processes of a network."""
    if kind == "sync":
        return [rm.Clock(name="clock")]
    if kind == "async":
        return [rm.Polling(name="polling")]
    return chain(1)


@every_way
@pytest.mark.parametrize("blocking", [True, False])
@pytest.mark.parametrize("kind", ["sync", "mixed"])
def test_run_steps(way, kind, blocking):
    members = network(kind)
    with members[0]:
        for total in (4, 8):
            members[0].run(RunSteps(4, blocking=blocking), run_cfg=config(way, *members))
            members[0].wait()
            clock = next(p for p in members if hasattr(p, "t"))
            assert clock.t.get() == total
            if kind == "mixed":
                assert got(members[-1]) == list(range(total))


@every_way
@pytest.mark.parametrize("blocking", [True, False])
def test_run_steps_of_asynchronous_processes_alone(way, blocking):
    maker, taker = rm.Maker(name="maker"), rm.Taker(name="taker")
    maker.out.connect(taker.into)
    with maker:
        for total in (3, 6):
            maker.run(RunSteps(3, blocking=blocking), run_cfg=config(way, maker, taker))
            maker.wait()
            assert got(taker) == list(range(total))
            assert maker.runs.get() == total // 3


@every_way
@pytest.mark.parametrize("kind", ["sync", "async", "mixed"])
def test_run_continuous_pause_run_again_and_stop(way, kind):
    members = network(kind)
    if kind == "mixed":
        members = [rm.Ramp(name="ramp", shape=(1,)), rm.Polling(name="polling"), rm.Taker(name="taker")]
        members[0].out.connect(members[2].into)
        members[1].out.connect(members[2].other)
    with members[0]:
        members[0].run(RunContinuous(), run_cfg=config(way, *members))
        members[0].pause()
        first = progress(members)
        members[0].run(RunContinuous())
        members[0].pause()
        assert progress(members) >= first
        # and in a run of its own it goes on from there
        members[0].run(RunContinuous())
        members[0].stop()
    if kind == "async":
        assert members[0].told.get().tolist() == [2, 1]


def progress(members):
    return sum(
        int(getattr(p, name).get()[0]) for p in members for name in ("t", "turns", "sent") if hasattr(p, name)
    )


# --- pausing ------------------------------------------------------------------------------------------


@every_way
def test_who_waits_for_a_message_is_suspended_by_a_pause_and_goes_on_in_the_next_run(way):
    maker, taker, polling = (
        rm.Maker(name="maker", count=2),
        rm.Taker(name="taker", count=5),
        rm.Polling(name="polling"),
    )
    maker.out.connect(taker.into)
    polling.out.connect(taker.other)
    with maker:
        maker.run(RunContinuous(), run_cfg=config(way, maker, taker, polling))
        maker.pause()
        first = got(taker)
        assert taker.runs.get() == 1
        for _ in range(2):
            maker.run(RunContinuous())
            maker.pause()
        assert taker.runs.get() == 1  # the first call has not returned yet
        assert got(taker)[: len(first)] == first
        assert got(taker) == list(range(len(got(taker))))
        maker.stop()


@every_way
def test_a_process_that_never_polls_does_not_starve_its_neighbours_and_is_ended_by_stop(
    way, monkeypatch, caplog
):
    if way in ("inline", "local-1"):
        pytest.skip("shares a thread with the others")
    monkeypatch.setattr(runtime_module, "_GRACE", 0.5)
    clock, polling = rm.Clock(name="clock"), rm.Polling(name="stubborn", polls=False)
    monitor = rm.Taker(name="taker", count=0)
    polling.out.connect(monitor.into)
    clock.out.connect(monitor.other)
    clock.run(RunContinuous(), run_cfg=config(way, clock, polling, monitor))
    until(lambda: clock.runtime._network.step > 100)
    clock.stop()
    assert "stop() waits no longer for stubborn, which does not react" in caplog.text
    assert clock.t.get() > 100
    with pytest.raises(StateError, match=r"'stubborn\.turns' is not available"):
        polling.turns.get()


def hop_behind_polling(way):
    """Return a process in the middle of its first time step, for which a message never comes."""
    polling, hop = rm.Polling(name="polling"), rm.Hop(name="hop")
    polling.out.connect(hop.into)
    hop.run(RunContinuous(), run_cfg=config(way, polling, hop))
    until(lambda: hop.runtime._network.step == 1)
    return hop


@every_way
def test_stop_ends_a_time_step_that_waits_for_a_process_that_only_polls(way, monkeypatch, caplog):
    monkeypatch.setattr(runtime_module, "_GRACE", 0.3)
    hop = hop_behind_polling(way)
    stopping = threading.Thread(target=hop.stop)
    stopping.start()
    stopping.join(10)
    assert not stopping.is_alive()
    assert "stop() waits no longer for polling, which does not react" in caplog.text
    assert hop.t.get() == 1


@every_way
def test_a_pause_says_for_whom_it_waits(way, monkeypatch, caplog):
    monkeypatch.setattr(runtime_module, "_HINT", 0.1)
    monkeypatch.setattr(runtime_module, "_GRACE", 0.3)
    hop = hop_behind_polling(way)
    pausing = threading.Thread(target=hop.pause)
    pausing.start()
    until(lambda: "waiting for polling" in caplog.text)
    hop.stop()
    pausing.join(10)
    assert not pausing.is_alive()


@every_way
def test_who_polls_does_not_starve_a_sync_domain(way):
    clock, polling, taker = (
        rm.Clock(name="clock"),
        rm.Polling(name="polling"),
        rm.Taker(name="taker", count=0),
    )
    polling.out.connect(taker.into)
    clock.out.connect(taker.other)
    with clock:
        clock.run(RunContinuous(), run_cfg=config(way, clock, polling, taker))
        until(lambda: clock.runtime._network.step > 20)
        clock.pause()
        assert clock.t.get() > 20
        assert polling.turns.get() > 0
        assert polling.told.get().tolist() == [1, 0]


# --- requests and failures ----------------------------------------------------------------------------


@every_way
def test_an_exception_in_run_async_reaches_the_caller(way):
    failing, taker = rm.Failing(name="failing"), rm.Taker(name="taker")
    failing.out.connect(taker.into)
    with pytest.raises(ModelError, match="failing fails on purpose") as caught:
        failing.run(RunSteps(3), run_cfg=config(way, failing, taker))
    assert (caught.value.process, caught.value.phase) == ("failing", "ASYNC")
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert failing.runtime.is_closed
    assert failing.runs.get() == 1


@every_way
def test_an_exception_ends_sync_domains_too(way):
    failing, clock, taker = (
        rm.Failing(name="failing"),
        rm.Clock(name="clock"),
        rm.Taker(name="taker", count=0),
    )
    failing.out.connect(taker.into)
    clock.out.connect(taker.other)
    clock.run(RunContinuous(), run_cfg=config(way, failing, clock, taker))
    with pytest.raises(ModelError, match="failing fails on purpose"):
        clock.wait()
    assert clock.runtime.is_closed


@every_way
@pytest.mark.parametrize("ask", ["pause", "stop"])
@pytest.mark.parametrize("partner", ["sync", "async", "waiting"])
def test_an_asynchronous_process_may_ask_for_pause_and_stop(way, ask, partner):
    asking = rm.Failing(name="asking", ask=ask)
    others = {"sync": rm.Clock, "async": rm.Polling, "waiting": rm.Taker}
    other, taker = others[partner](name="other"), rm.Taker(name="taker", count=0)
    asking.out.connect(taker.into)
    if partner == "waiting":
        asking.also.connect(other.into)
    else:
        other.out.connect(taker.other)
    with asking:
        asking.run(RunContinuous(), run_cfg=config(way, asking, other, taker))
        asking.wait()
        assert asking.runtime.is_closed == (ask == "stop")
        assert asking.runs.get() == 1
        if ask == "pause":
            asking.run(RunContinuous())
            asking.wait()
            assert asking.runs.get() == 2


@every_way
def test_a_request_of_a_sync_domain_pauses_asynchronous_processes(way):
    clock, polling, taker = (
        rm.Clock(name="clock", ask="pause"),
        rm.Polling(name="polling"),
        rm.Taker(name="taker", count=0),
    )
    polling.out.connect(taker.into)
    clock.out.connect(taker.other)
    with clock:
        clock.run(RunContinuous(), run_cfg=config(way, clock, polling, taker))
        clock.wait()
        assert clock.t.get() >= 3
        assert polling.told.get().tolist() == [1, 0]


@every_way
def test_a_run_of_no_steps_leaves_suspended_processes_where_they_are(way):
    """Nobody sends to the one that waits, but it is not asked to go on either: no deadlock."""
    polling, taker = rm.Polling(name="polling"), rm.Taker(name="taker", count=1)
    polling.out.connect(taker.into)
    with polling:
        polling.run(RunContinuous(), run_cfg=config(way, polling, taker))
        polling.pause()
        turns = polling.turns.get()
        polling.run(RunSteps(0))
        assert polling.turns.get() == turns
        assert taker.n.get() == 0


@every_way
def test_a_stop_that_an_asynchronous_process_asks_for_is_served_after_a_pause(way):
    """Whichever is asked for first, the network is stopped after two runs at most."""
    asking, clock, taker = (
        rm.Failing(name="asking", ask="stop"),
        rm.Clock(name="clock", ask="pause", at=1),
        rm.Taker(name="taker", count=0),
    )
    asking.out.connect(taker.into)
    clock.out.connect(taker.other)
    with clock:
        for _ in range(2):
            if clock.runtime is None or not clock.runtime.is_closed:
                clock.run(RunSteps(50), run_cfg=config(way, asking, clock, taker))
        assert clock.runtime.closed_because == "was stopped by a model"
        assert asking.runs.get() == 1


# --- deadlocks ----------------------------------------------------------------------------------------


@every_way
def test_asynchronous_processes_that_wait_for_each_other_are_a_deadlock(way):
    a, b = rm.Player(name="a"), rm.Player(name="b")
    a.out.connect(b.into)
    b.out.connect(a.into)
    with pytest.raises(DeadlockError, match="Deadlock in an asynchronous network") as caught:
        a.run(RunSteps(3), run_cfg=config(way, a, b))
    text = str(caught.value)
    assert "a.into waits in recv() for b.out" in text
    assert "b.into waits in recv() for a.out" in text
    assert "asynchronous.py:" in text
    assert "has no delay" in text


@every_way
def test_who_waits_for_a_sync_domain_that_has_ended_its_run_is_a_deadlock(way):
    maker, hop, taker = rm.Maker(name="maker"), rm.Hop(name="hop"), rm.Taker(name="taker", count=4)
    maker.out.connect(hop.into)
    hop.out.connect(taker.into)
    with pytest.raises(
        DeadlockError, match=r"'hop' has ended its run; nothing more will come to taker\.into"
    ) as caught:
        maker.run(RunSteps(3), run_cfg=config(way, maker, hop, taker))
    assert "Receive no more messages in a run than it sends" in str(caught.value)
    assert got(taker) == [0, 1, 2]


@every_way
def test_a_sync_domain_that_waits_for_a_producer_that_has_returned_is_a_deadlock(way):
    maker, hop = rm.Maker(name="maker", count=2), rm.Hop(name="hop")
    maker.out.connect(hop.into)
    with pytest.raises(
        DeadlockError, match=r"'maker' has ended its run; nothing more will come to hop\.into"
    ) as caught:
        maker.run(RunSteps(3), run_cfg=config(way, maker, hop))
    assert "time step 3, phase SPK" in str(caught.value)


@every_way
def test_a_full_channel_to_a_consumer_that_has_returned_is_a_deadlock(way):
    maker, taker = rm.Maker(name="maker", count=9), rm.Taker(name="taker", count=1)
    maker.out.connect(taker.into)
    with pytest.raises(
        DeadlockError, match=r"'taker' has ended its run with 4 messages of maker\.out untaken"
    ):
        maker.run(RunSteps(1), run_cfg=config(way, maker, taker), compile_config={"pypy_channel_size": 4})
    assert maker.sent.get() == 5


# --- converted models -----------------------------------------------------------------------------------


def rate_network(tag):
    weights = np.array([[3, -2, 1], [0, 4, 2], [-1, 1, 5]])
    cells = LIF(
        shape=(3,),
        bias_mant=np.array([7, 5, 3]),
        vth=2 if tag == "fixed_pt" else 20,
        du=0,
        dv=0,
        name="cells",
    )
    dense = Dense(weights=weights, name="dense")
    follower = LIF(shape=(3,), vth=1 if tag == "fixed_pt" else 9, du=0, dv=0, name="follower")
    cells.s_out.connect(dense.s_in)
    dense.a_out.connect(follower.a_in)
    return cells, dense, follower


def states(process):
    return [np.array(v.get()).tolist() for v in process.vars]


@every_way
@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_converted_models_give_the_same_states(way, tag):
    """Over two runs, which count on."""
    from lahar.compiler.models import select_model

    expected = rate_network(tag)
    plain = Loihi2SimCfg(select_tag=tag, launcher="inline")
    chosen = {p: PyLoihiModelToPyAsyncModel(select_model(p, plain)) for p in rate_network(tag)}
    del chosen
    network_ = rate_network(tag)
    free = {p: PyLoihiModelToPyAsyncModel(select_model(p, plain)) for p in network_}
    cfg = config(way, *network_, select_tag=tag, exception_proc_model_map=free)
    with expected[0], network_[0]:
        for steps in (13, 8):
            expected[0].run(RunSteps(steps), run_cfg=plain)
            network_[0].run(RunSteps(steps), run_cfg=cfg)
            for a, b in zip(expected, network_, strict=True):
                assert states(a) == states(b)
        assert np.any(expected[2].v.get())


@every_way
def test_a_producer_that_looks_for_a_pause_does_not_leave_the_others_in_the_middle_of_a_step(way):
    """It is told of the pause only when all time steps are done, since they need its messages."""
    members = chain(2)
    maker, hop = members[0], members[1]
    with maker:
        total = 0
        for _ in range(8):
            maker.run(RunContinuous(), run_cfg=config(way, *members))
            until(lambda before=total: maker.runtime._network.step > before)
            maker.pause()
            total = int(hop.t.get()[0])
            assert int(members[2].t.get()[0]) == total
            taken, ring = int(members[-1].n.get()[0]), members[-1].got.get()
            assert all(ring[k % 128] == k for k in range(max(0, taken - 128), taken))
