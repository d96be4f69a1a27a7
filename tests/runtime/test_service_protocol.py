"""The service's state machine: every transition and every refusal."""

from __future__ import annotations

import pytest

from lahar.processes.errors import LocalProtocolError, RemoteProtocolError
from lahar.processes.model import Phase
from lahar.runtime import messages as m
from lahar.runtime import service_protocol as sp
from lahar.runtime.sequencer import Need
from lahar.runtime.service_protocol import ServiceProtocol, State

MESSAGES = {
    m.Hello: m.Hello(17, "ipc://x"),
    m.Built: m.Built(),
    m.PhaseDone: m.PhaseDone(0, 0, 0),
    m.Reached: m.Reached(3),
    m.Wish: m.Wish(3, int(Need.PAUSE)),
    m.Holding: m.Holding(3),
    m.Failed: m.Failed(3, (b"",)),
    m.Aborted: m.Aborted(3),
}
# the messages a worker may send, by state; anything else is refused
LEGAL = {
    State.CONNECTING: {m.Hello},
    State.BUILDING: {m.Built, m.Failed},
    State.IDLE: set(),
    State.LOCKSTEP: {m.PhaseDone, m.Failed},
    State.RUNNING: {m.Reached, m.Wish, m.Failed},
    State.HOLDING: {m.Holding, m.Reached, m.Wish, m.Failed},
    State.FAILED: set(MESSAGES),
}
GRANT_ALL = sp.ToAll(m.Grant(sp.ENDLESS))
ABORT = [sp.ToAll(m.Abort()), sp.Broken()]


def to_all(protocol, message):
    """Let both workers send `message`; return the actions of the last."""
    assert protocol.receive(0, message) == []
    return protocol.receive(1, message)


def in_state(state, sync="elastic"):
    """Return a protocol with two workers in `state`."""
    sync = "lockstep" if state is State.LOCKSTEP else sync
    protocol = ServiceProtocol(2, sync)
    if state is State.FAILED:
        protocol.tell(sp.WorkerLost(0))
    elif state is not State.CONNECTING:
        to_all(protocol, m.Hello(1, "a"))
        if state is not State.BUILDING:
            to_all(protocol, m.Built())
            if state is not State.IDLE:
                protocol.tell(sp.Run(None))
                if state is State.HOLDING:
                    protocol.tell(sp.HaltRun())
    assert protocol.state is state
    return protocol


@pytest.mark.parametrize("kind", list(MESSAGES))
@pytest.mark.parametrize("state", list(State))
def test_each_state_takes_its_messages_and_refuses_all_others(state, kind):
    protocol = in_state(state)
    if kind in LEGAL[state]:
        protocol.receive(1, MESSAGES[kind])
        expected = State.FAILED if kind is m.Failed else state
        if state is State.RUNNING and kind is m.Wish:
            expected = State.HOLDING
        assert protocol.state is expected
    else:
        with pytest.raises(RemoteProtocolError, match=f"worker 1 sent {kind.__name__} in state {state.name}"):
            protocol.receive(1, MESSAGES[kind])
        assert protocol.state is state


def test_the_table_of_the_module_is_the_one_tested_here():
    assert {state: set(kinds) for state, kinds in sp.EXPECTED.items()} == LEGAL


@pytest.mark.parametrize("kind", [c for c in m.KINDS.values() if c not in MESSAGES])
@pytest.mark.parametrize("state", list(State))
def test_messages_of_the_service_itself_are_refused_from_workers(state, kind):
    if kind is m.Progress or kind in (m.Values, m.Counted, m.SetDone, m.Refused):
        pytest.skip("may come at any time; answers are matched by the shell")
    message = {
        m.Build: m.Build([], ()),
        m.RunPhase: m.RunPhase(1, 1),
        m.Grant: m.Grant(1),
        m.Hold: m.Hold(),
        m.Get: m.Get(0, []),
        m.Set: m.Set(0, 0, [], ()),
        m.Count: m.Count(0),
        m.Abort: m.Abort(),
        m.Shutdown: m.Shutdown(),
    }[kind]
    with pytest.raises(RemoteProtocolError, match=kind.__name__):
        in_state(state).receive(0, message)


@pytest.mark.parametrize("state", list(State))
def test_progress_is_welcome_in_every_state_and_never_goes_back(state):
    protocol = in_state(state)
    assert protocol.receive(0, m.Progress(12)) == []
    assert protocol.receive(1, m.Progress(7)) == []
    assert (protocol.state, protocol.step) == (state, 12)


@pytest.mark.parametrize("state", [s for s in State if s is not State.IDLE])
def test_a_run_begins_from_idle_only(state):
    protocol = in_state(state)
    with pytest.raises(LocalProtocolError, match=state.name):
        protocol.tell(sp.Run(3))
    assert protocol.state is state


@pytest.mark.parametrize("state", list(State))
def test_a_lost_worker_fails_the_network_once(state):
    protocol = in_state(state)
    assert protocol.tell(sp.WorkerLost(1)) == ([] if state is State.FAILED else ABORT)
    assert protocol.state is State.FAILED
    assert protocol.tell(sp.WorkerLost(0)) == []


@pytest.mark.parametrize("state", [State.BUILDING, State.LOCKSTEP, State.RUNNING, State.HOLDING])
def test_a_failed_model_fails_the_network_once(state):
    protocol = in_state(state)
    assert protocol.receive(0, m.Failed(5, (b"x",))) == ABORT
    assert protocol.receive(1, m.Failed(5, (b"y",))) == []
    assert protocol.receive(1, m.Aborted(8)) == []
    assert (protocol.state, protocol.step) == (State.FAILED, 8)


@pytest.mark.parametrize("state", list(State))
def test_halting_matters_only_while_steps_are_executed(state):
    protocol = in_state(state)
    actions = protocol.tell(sp.HaltRun())
    if state is State.RUNNING:
        assert actions == [sp.ToAll(m.Hold())]
        assert protocol.state is State.HOLDING
    else:
        assert actions == []
        assert protocol.state is state


# --- connecting and building ------------------------------------------------------------------------


def test_plans_are_sent_when_all_workers_have_said_hello():
    protocol = ServiceProtocol(3, "elastic")
    assert protocol.receive(2, m.Hello(1, "a")) == []
    assert protocol.receive(0, m.Hello(2, "b")) == []
    assert protocol.receive(1, m.Hello(3, "c")) == [sp.SendPlans()]
    assert protocol.state is State.BUILDING
    assert [protocol.receive(k, m.Built()) for k in (1, 0, 2)] == [[], [], [sp.Opened()]]
    assert protocol.state is State.IDLE


@pytest.mark.parametrize(
    ("state", "message"),
    [
        (State.CONNECTING, m.Hello(1, "a")),
        (State.BUILDING, m.Built()),
        (State.LOCKSTEP, m.PhaseDone(0, 0, 0)),
        (State.RUNNING, m.Reached(4)),
    ],
)
def test_nobody_answers_twice(state, message):
    protocol = in_state(state)
    protocol.receive(0, message)
    with pytest.raises(RemoteProtocolError, match=f"worker 0 sent {type(message).__name__} twice"):
        protocol.receive(0, message)


# --- lockstep ---------------------------------------------------------------------------------------


def phase(phase, step):
    return [sp.ToAll(m.RunPhase(int(phase), step))]


def done(needs=0):
    return m.PhaseDone(0, 0, int(needs))


def test_lockstep_phases_follow_the_wishes_of_any_worker():
    protocol = in_state(State.IDLE, "lockstep")
    assert protocol.tell(sp.Run(2)) == phase(Phase.SPK, 1)
    assert (protocol.step, protocol.phase) == (1, Phase.SPK)
    assert protocol.receive(0, done(Need.PRE)) == []
    assert protocol.receive(1, done(Need.POST)) == phase(Phase.PRE_MGMT, 1)
    assert to_all(protocol, done(Need.LRN)) == phase(Phase.LRN, 1)
    assert to_all(protocol, done()) == phase(Phase.POST_MGMT, 1)
    assert to_all(protocol, done()) == phase(Phase.SPK, 2)
    assert to_all(protocol, done()) == [sp.Ended(2, Need.NOTHING)]
    assert (protocol.state, protocol.step, protocol.phase) == (State.IDLE, 2, 0)


def test_lockstep_halt_lets_the_time_step_finish_all_its_phases():
    protocol = in_state(State.IDLE, "lockstep")
    protocol.tell(sp.Run(None))
    protocol.receive(0, done(Need.LRN))
    assert protocol.tell(sp.HaltRun()) == []
    assert protocol.receive(1, done()) == phase(Phase.LRN, 1)
    assert to_all(protocol, done(Need.POST)) == phase(Phase.POST_MGMT, 1)
    assert to_all(protocol, done()) == [sp.Ended(1, Need.NOTHING)]
    assert protocol.tell(sp.Run(1)) == phase(Phase.SPK, 2)


def test_lockstep_a_pause_of_one_worker_and_a_stop_of_another():
    protocol = in_state(State.IDLE, "lockstep")
    protocol.tell(sp.Run(5))
    protocol.receive(0, done(Need.STOP))
    assert protocol.receive(1, done(Need.PAUSE)) == [sp.Ended(1, Need.PAUSE)]
    assert protocol.tell(sp.Run(5)) == [sp.Ended(1, Need.STOP)]
    assert protocol.state is State.IDLE


# --- elastic ------------------------------------------------------------------------------------------


def test_elastic_run_to_its_end():
    protocol = in_state(State.IDLE)
    assert protocol.tell(sp.Run(4)) == [sp.ToAll(m.Grant(4))]
    assert to_all(protocol, m.Reached(4)) == [sp.Ended(4, Need.NOTHING)]
    assert protocol.tell(sp.Run(2)) == [sp.ToAll(m.Grant(6))]
    assert protocol.step == 4


def test_elastic_endless_run():
    assert in_state(State.IDLE).tell(sp.Run(None)) == [GRANT_ALL]


def test_elastic_halt_grants_the_farthest_step_that_a_worker_holds_at():
    protocol = in_state(State.RUNNING)
    assert protocol.tell(sp.HaltRun()) == [sp.ToAll(m.Hold())]
    assert protocol.receive(1, m.Holding(9)) == []
    assert protocol.receive(0, m.Holding(12)) == [sp.ToAll(m.Grant(12))]
    assert protocol.state is State.RUNNING
    assert to_all(protocol, m.Reached(12)) == [sp.Ended(12, Need.NOTHING)]


def test_elastic_a_worker_that_is_done_already_is_asked_again():
    protocol = in_state(State.IDLE)
    protocol.tell(sp.Run(5))
    protocol.receive(0, m.Reached(5))
    protocol.tell(sp.HaltRun())
    protocol.receive(1, m.Reached(5))  # sent before it saw Hold
    protocol.receive(1, m.Holding(5))
    assert protocol.receive(0, m.Holding(5)) == [sp.ToAll(m.Grant(5))]
    assert to_all(protocol, m.Reached(5)) == [sp.Ended(5, Need.NOTHING)]


@pytest.mark.parametrize("need", [Need.PAUSE, Need.STOP])
def test_elastic_wish_of_a_model_ends_the_run_in_one_step(need):
    protocol = in_state(State.RUNNING)
    assert protocol.receive(1, m.Wish(6, int(need))) == [sp.ToAll(m.Hold())]
    protocol.receive(1, m.Holding(6))
    assert protocol.receive(0, m.Holding(8)) == [sp.ToAll(m.Grant(8))]
    assert to_all(protocol, m.Reached(8)) == [sp.Ended(8, need)]
    # the wish is forgotten with the run
    protocol.tell(sp.Run(1))
    assert to_all(protocol, m.Reached(9)) == [sp.Ended(9, Need.NOTHING)]


@pytest.mark.parametrize("first", [Need.PAUSE, Need.STOP])
def test_elastic_pause_goes_before_stop(first):
    other = Need.STOP if first is Need.PAUSE else Need.PAUSE
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Wish(2, int(first)))
    assert protocol.receive(1, m.Wish(2, int(other))) == []
    to_all(protocol, m.Holding(2))
    assert to_all(protocol, m.Reached(2)) == [sp.Ended(2, Need.PAUSE)]


@pytest.mark.parametrize("sync", ["lockstep", "elastic"])
def test_a_run_of_no_steps_ends_at_once(sync):
    protocol = in_state(State.IDLE, sync)
    assert protocol.tell(sp.Run(0)) == [sp.Ended(0, Need.NOTHING)]
    assert protocol.state is State.IDLE
