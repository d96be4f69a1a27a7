"""G5: a deadlock is reported, not suffered; and nothing else is taken for one."""

import time

import numpy as np
import pytest

from lahar.processes import LIF, AbstractProcess, Dense, InPort, OutPort, Var
from lahar.processes.errors import DeadlockError
from lahar.processes.lif import AbstractPyLifModelFloat
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
)
from lahar.runtime import Loihi2SimCfg, RunSteps
from lahar.runtime.deadlock import Blocked, everything_received, explain, find_cycle

WAYS = [
    {"launcher": "inline"},
    {"partitions": 1},
    {"partitions": 2, "sync": "elastic"},
    {"partitions": 2, "sync": "lockstep"},
    {"partitions": 3, "sync": "elastic"},
    {"partitions": 3, "sync": "lockstep"},
]


class Talker(AbstractProcess):
    """Sends only in the steps up to `last`; may take its time."""

    def __init__(self, *, last=10**9, pause=0.0, **kwargs):
        super().__init__(last=last, pause=pause, **kwargs)
        self.out = OutPort((2,))
        self.sent = Var((1,), 0)


class Listener(AbstractProcess):
    """Receives only if `receives`."""

    def __init__(self, *, receives=True, **kwargs):
        super().__init__(receives=receives, **kwargs)
        self.into = InPort((2,))
        self.total = Var((2,), 0)


@implements(proc=Talker, protocol=LoihiProtocol)
@requires(CPU)
class TalkerModel(PyLoihiProcessModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    sent: np.ndarray = LavaPyType(np.ndarray, int)

    def run_spk(self):
        if self.proc_params["pause"] and self.time_step == 2:
            time.sleep(self.proc_params["pause"])
        if self.time_step <= self.proc_params["last"]:
            self.out.send(np.ones(2))
            self.sent += 1


@implements(proc=Listener, protocol=LoihiProtocol)
@requires(CPU)
class ListenerModel(PyLoihiProcessModel):
    into: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    total: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        if self.proc_params["receives"]:
            self.total += self.into.recv()


class Cell(LIF):
    """A LIF with a model of the user's, of which the compiler cannot know that it receives first."""


@implements(proc=Cell, protocol=LoihiProtocol)
@requires(CPU)
class CellModel(AbstractPyLifModelFloat):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    vth: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        super().run_spk()


def ring(names):
    cells = [Cell(shape=(2,), name=name) for name in names]
    for a, b in zip(cells, cells[1:] + cells[:1], strict=True):
        a.s_out.connect(b.a_in)
    return cells


def run_into_deadlock(process, steps, **options):
    with pytest.raises(DeadlockError) as caught:
        process.run(RunSteps(steps), Loihi2SimCfg(select_tag="floating_pt", **options))
    process.stop()
    return str(caught.value)


@pytest.mark.filterwarnings("ignore:L102")
@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_loop_without_delay_names_every_port_and_the_repair(options):
    text = run_into_deadlock(ring(["a", "b", "c"])[0], 5, **options)
    for line in ("a.a_in waits in recv() for c.s_out", "b.a_in waits in recv() for a.s_out"):
        assert line in text
    assert "time step 1, phase SPK" in text
    assert "has no delay" in text
    assert "Dense" in text
    assert "lif_dynamics.py:" in text


@pytest.mark.parametrize("options", WAYS[:4], ids=str)
def test_a_sender_that_falls_silent_is_named(options):
    talker, listener = Talker(last=3, name="talker"), Listener(name="listener")
    talker.out.connect(listener.into)
    text = run_into_deadlock(talker, 10, **options)
    assert "time step 4" in text
    assert "'talker' has finished this phase without sending to listener.into" in text
    assert "test_deadlock.py:" in text


@pytest.mark.parametrize("options", WAYS[:4], ids=str)
def test_a_full_channel_is_named_with_the_receiver_that_does_not_receive(options):
    talker, listener = Talker(name="talker"), Listener(receives=False, name="listener")
    talker.out.connect(listener.into)
    with pytest.raises(
        DeadlockError, match=r"channel from talker\.out to listener\.into is full \(4 messages\)"
    ):
        talker.run(
            RunSteps(10),
            Loihi2SimCfg(select_tag="floating_pt", **options),
            compile_config={"pypy_channel_size": 4},
        )
    assert talker.sent.get()[0] == 4
    talker.stop()


@pytest.mark.parametrize("options", WAYS[2:4], ids=str)
def test_a_model_that_takes_long_is_no_deadlock(options):
    talker, listener = Talker(pause=0.9, name="talker"), Listener(name="listener")
    talker.out.connect(listener.into)
    talker.run(RunSteps(5), Loihi2SimCfg(select_tag="floating_pt", **options))
    assert listener.total.get().tolist() == [5, 5]
    talker.stop()


@pytest.mark.parametrize("options", WAYS[2:4], ids=str)
def test_a_loop_with_a_delay_over_two_workers_runs(options):
    cell, loop = LIF(shape=(2,), bias_mant=3.0), Dense(weights=np.ones((2, 2)))
    cell.s_out.connect(loop.s_in)
    loop.a_out.connect(cell.a_in)
    cell.run(RunSteps(50), Loihi2SimCfg(select_tag="floating_pt", placement={cell: 0, loop: 1}, **options))
    assert cell.runtime.step == 50
    cell.stop()


def blocked(port, peer, operation="recv", step=7, capacity=0):
    return Blocked(
        port, operation, peer, "SPK" if step else "ASYNC", step, "model.py:3", since=1.25, capacity=capacity
    )


def test_find_cycle_returns_the_loop_and_not_those_that_wait_for_it():
    waits = [blocked("x.in", "a.out"), blocked("a.in", "b.out"), blocked("b.in", "a.out")]
    assert {b.process for b in find_cycle(waits)} == {"a", "b"}
    assert find_cycle(waits[:2]) == []


def test_explain_tells_a_loop_over_a_full_channel_from_a_loop_without_delay():
    text = explain([blocked("a.out", "b.in", "send", capacity=32), blocked("b.x", "a.y")])
    assert "contains a full channel (a.out to b.in, 32 messages)" in text
    assert "'pypy_channel_size': 64" in text
    assert "no delay" in explain([blocked("a.in", "b.out"), blocked("b.in", "a.out")])


def test_explain_says_how_long_and_where_each_waits():
    text = explain([blocked("a.in", "b.out"), blocked("b.in", "a.out", step=5)])
    assert text.startswith("Deadlock in time step 5, phase SPK: every unfinished process waits")
    assert "a.in waits in recv() for b.out in step 7, SPK, for 1.2 s  (model.py:3)" in text
    assert "b.in waits in recv() for a.out, for 1.2 s  (model.py:3)" in text


def test_explain_asynchronous_networks():
    text = explain([blocked("a.in", "b.out", step=0), blocked("b.in", "a.out", step=0)])
    assert text.startswith("Deadlock in an asynchronous network:")
    mixed = explain([blocked("a.in", "b.out", step=0), blocked("b.in", "a.out", step=3)])
    assert mixed.startswith("Deadlock in time step 3, phase SPK:")
    assert "a.in waits in recv() for b.out in step 0, ASYNC" in mixed


def test_explain_names_peers_that_have_ended_their_run():
    text = explain([blocked("a.in", "b.out", step=0)], ["b"])
    assert "'b' has ended its run; nothing more will come to a.in" in text
    assert "Receive no more messages in a run than it sends" in text
    full = explain([blocked("a.out", "b.in", "send", step=0, capacity=4)], ["b"])
    assert "'b' has ended its run with 4 messages of a.out untaken" in full
    # the same without that it has ended
    assert "has finished this phase without sending" in explain([blocked("a.in", "b.out")])


def test_messages_under_way_are_counted_for_each_pair():
    assert everything_received({0: {1: 3}, 1: {0: 2}}, {0: {1: 2}, 1: {0: 3}})
    assert not everything_received({0: {1: 3}, 1: {0: 2}}, {0: {1: 2}, 1: {0: 2}})
    # as many in all, but not for each pair
    assert not everything_received({0: {1: 2}, 1: {0: 3}}, {0: {1: 2}, 1: {0: 3}})
