"""The service's state machine: every transition and every refusal."""

from __future__ import annotations

import pytest

from lahar.processes.errors import LocalProtocolError, RemoteProtocolError
from lahar.runtime import messages as m
from lahar.runtime import service_protocol as sp
from lahar.runtime.deadlock import HOST, Blocked
from lahar.runtime.sequencer import Need
from lahar.runtime.service_protocol import ServiceProtocol, State


def reached(*steps, pending=0):
    """Return what a worker says at the end of a run, for its domains."""
    return m.Reached([list(pair) for pair in enumerate(steps)], pending)


def holding(*steps):
    return m.Holding([list(pair) for pair in enumerate(steps)])


def grant(*limits, num_steps=0, final=1):
    """Return a grant; by default that of a run that was held."""
    return m.Grant(list(limits), num_steps, final)


MESSAGES = {
    m.Hello: m.Hello(17, "ipc://x"),
    m.Built: m.Built(),
    m.Reached: reached(3),
    m.Wish: m.Wish(3, int(Need.PAUSE)),
    m.Holding: holding(3),
    m.Failed: m.Failed(3, 0, 0, (b"",)),
    m.Aborted: m.Aborted(3),
}
# the messages a worker may send, by state; anything else is refused
LEGAL = {
    State.CONNECTING: {m.Hello},
    State.BUILDING: {m.Built, m.Failed},
    State.IDLE: set(),
    State.RUNNING: {m.Reached, m.Wish, m.Failed},
    State.HOLDING: {m.Holding, m.Reached, m.Wish, m.Failed},
    State.FAILED: set(MESSAGES),
}
#: may come in every state: hints and answers
ANY_TIME = {m.Waiting, m.Condition}
#: matched to requests by the shell
ANSWERS = {m.Values, m.Counted, m.SetDone, m.Refused, m.Log}
OF_THE_SERVICE = {
    m.Build: m.Build([], 30, ()),
    m.Grant: grant(1),
    m.Hold: m.Hold("pause"),
    m.Rest: m.Rest(),
    m.Get: m.Get(0, []),
    m.Set: m.Set(0, 0, [], ()),
    m.Count: m.Count(0),
    m.Ask: m.Ask(1),
    m.Abort: m.Abort(0, 0),
    m.Shutdown: m.Shutdown(),
}
GRANT_ALL = sp.ToAll(m.Grant([sp.ENDLESS], sp.ENDLESS, 0))
ABORT = [sp.ToAll(m.Abort(0, 0)), sp.Broken()]


def to_all(protocol, message):
    """Let both workers send `message`; return the actions of the last."""
    assert protocol.receive(0, message) == []
    return protocol.receive(1, message)


def in_state(state):
    """Return a protocol with two workers in `state`."""
    protocol = ServiceProtocol(2)
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


def test_every_kind_of_message_is_tested():
    assert set(m.KINDS.values()) == {*MESSAGES, *OF_THE_SERVICE, *ANY_TIME, *ANSWERS}


@pytest.mark.parametrize("kind", list(OF_THE_SERVICE))
@pytest.mark.parametrize("state", list(State))
def test_messages_of_the_service_itself_are_refused_from_workers(state, kind):
    with pytest.raises(RemoteProtocolError, match=kind.__name__):
        in_state(state).receive(0, OF_THE_SERVICE[kind])


@pytest.mark.parametrize("state", [s for s in State if s is not State.IDLE])
def test_a_run_begins_from_idle_only(state):
    protocol = in_state(state)
    with pytest.raises(LocalProtocolError, match=state.name):
        protocol.tell(sp.Run(3))
    assert protocol.state is state


@pytest.mark.parametrize("state", list(State))
def test_a_lost_worker_fails_the_network(state):
    protocol = in_state(state)
    protocol.tell(sp.WorkerLost(1))
    assert protocol.state is State.FAILED


@pytest.mark.parametrize("state", [s for s in State if s is not State.FAILED])
def test_only_the_first_loss_is_news(state):
    protocol = in_state(state)
    assert protocol.tell(sp.WorkerLost(1)) == ABORT
    # whoever waits for the lost worker to finish a phase must not wait any longer
    assert protocol.tell(sp.WorkerLost(0)) == [sp.ToAll(m.Abort(0, 0))]


@pytest.mark.parametrize("state", [State.BUILDING, State.RUNNING, State.HOLDING])
def test_a_failed_model_fails_the_network_once(state):
    protocol = in_state(state)
    assert protocol.receive(0, m.Failed(5, 0, 0, (b"x",))) == ABORT
    assert protocol.receive(1, m.Failed(5, 0, 0, (b"y",))) == []
    assert protocol.receive(1, m.Aborted(8)) == []
    assert protocol.state is State.FAILED


@pytest.mark.parametrize("state", list(State))
def test_halting_matters_only_while_steps_are_executed(state):
    protocol = in_state(state)
    actions = protocol.tell(sp.HaltRun())
    if state is State.RUNNING:
        assert actions == [sp.ToAll(m.Hold("pause"))]
        assert protocol.state is State.HOLDING
    else:
        assert actions == []
        assert protocol.state is state


# --- connecting and building ------------------------------------------------------------------------


def test_plans_are_sent_when_all_workers_have_said_hello():
    protocol = ServiceProtocol(3)
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
        (State.RUNNING, reached(4)),
    ],
)
def test_nobody_answers_twice(state, message):
    protocol = in_state(state)
    protocol.receive(0, message)
    with pytest.raises(RemoteProtocolError, match=f"worker 0 sent {type(message).__name__} twice"):
        protocol.receive(0, message)


def test_workers_finish_the_phase_in_which_a_model_failed():
    protocol = in_state(State.RUNNING)
    assert protocol.receive(0, m.Failed(5, 2, 17, (b"x",))) == [sp.ToAll(m.Abort(2, 17)), sp.Broken()]


# --- runs ------------------------------------------------------------------------------------------


def test_a_run_to_its_end():
    protocol = in_state(State.IDLE)
    assert protocol.tell(sp.Run(4)) == [sp.ToAll(grant(4, num_steps=4, final=0))]
    assert to_all(protocol, reached(4)) == [sp.Ended((4,), Need.NOTHING)]
    assert protocol.tell(sp.Run(2)) == [sp.ToAll(grant(6, num_steps=2, final=0))]
    assert protocol.steps == [4]


def test_endless_run():
    assert in_state(State.IDLE).tell(sp.Run(None)) == [GRANT_ALL]


def test_halt_grants_the_farthest_step_that_a_worker_holds_at():
    protocol = in_state(State.RUNNING)
    assert protocol.tell(sp.HaltRun()) == [sp.ToAll(m.Hold("pause"))]
    assert protocol.receive(1, holding(9)) == []
    assert protocol.receive(0, holding(12)) == [sp.ToAll(grant(12))]
    assert protocol.state is State.RUNNING
    assert to_all(protocol, reached(12)) == [sp.Ended((12,), Need.NOTHING)]


def test_a_worker_that_is_done_already_is_asked_again():
    protocol = in_state(State.IDLE)
    protocol.tell(sp.Run(5))
    protocol.receive(0, reached(5))
    protocol.tell(sp.HaltRun())
    protocol.receive(1, reached(5))  # sent before it saw Hold
    protocol.receive(1, holding(5))
    assert protocol.receive(0, holding(5)) == [sp.ToAll(grant(5))]
    assert to_all(protocol, reached(5)) == [sp.Ended((5,), Need.NOTHING)]


@pytest.mark.parametrize("need", [Need.PAUSE, Need.STOP])
def test_wish_of_a_model_ends_the_run_in_one_step(need):
    protocol = in_state(State.RUNNING)
    assert protocol.receive(1, m.Wish(6, int(need))) == [sp.ToAll(m.Hold(need.name.lower()))]
    protocol.receive(1, holding(6))
    assert protocol.receive(0, holding(8)) == [sp.ToAll(grant(8))]
    assert to_all(protocol, reached(8)) == [sp.Ended((8,), need)]
    # the wish is forgotten with the run
    protocol.tell(sp.Run(1))
    assert to_all(protocol, reached(9)) == [sp.Ended((9,), Need.NOTHING)]


@pytest.mark.parametrize("first", [Need.PAUSE, Need.STOP])
def test_pause_goes_before_stop(first):
    other = Need.STOP if first is Need.PAUSE else Need.PAUSE
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Wish(2, int(first)))
    assert protocol.receive(1, m.Wish(2, int(other))) == []
    to_all(protocol, holding(2))
    assert to_all(protocol, reached(2)) == [sp.Ended((2,), Need.PAUSE)]


@pytest.mark.parametrize("steps", [None, 5, 0])
@pytest.mark.parametrize(
    "wishes", [(Need.PAUSE, Need.STOP), (Need.STOP, Need.PAUSE), (Need.PAUSE | Need.STOP,)]
)
def test_a_stop_that_a_pause_went_before_ends_the_next_run_at_once(wishes, steps):
    protocol = in_state(State.RUNNING)
    for k, wish in enumerate(wishes):
        protocol.receive(k, m.Wish(2, int(wish)))
    to_all(protocol, holding(2))
    assert to_all(protocol, reached(2)) == [sp.Ended((2,), Need.PAUSE)]
    assert protocol.tell(sp.Run(steps)) == [sp.Ended((2,), Need.STOP)]
    assert protocol.state is State.IDLE
    assert protocol.tell(sp.Run(0)) == [sp.Ended((2,), Need.NOTHING)]


def test_a_run_of_no_steps_ends_at_once():
    protocol = in_state(State.IDLE)
    assert protocol.tell(sp.Run(0)) == [sp.Ended((0,), Need.NOTHING)]
    assert protocol.state is State.IDLE


def test_once_the_last_step_is_agreed_a_further_halt_changes_nothing():
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    assert protocol.tell(sp.HaltRun()) == []
    assert to_all(protocol, holding(4)) == [sp.ToAll(grant(4))]
    assert protocol.tell(sp.HaltRun()) == []
    assert to_all(protocol, reached(4)) == [sp.Ended((4,), Need.NOTHING)]
    # but it ends the next run
    protocol.tell(sp.Run(None))
    assert protocol.tell(sp.HaltRun()) == [sp.ToAll(m.Hold("pause"))]


def test_a_request_after_the_last_step_is_agreed_is_served_in_it():
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    to_all(protocol, holding(4))
    assert protocol.receive(0, m.Wish(4, int(Need.STOP))) == [sp.ToAll(m.Hold("stop"))]
    protocol.receive(1, reached(4))
    assert to_all(protocol, holding(4)) == [sp.ToAll(grant(4))]
    assert to_all(protocol, reached(4)) == [sp.Ended((4,), Need.STOP)]


# --- several domains and asynchronous actors -----------------------------------------------------------


def idle_with(domains, workers=2):
    protocol = ServiceProtocol(workers, domains)
    for message in (m.Hello(1, "a"), m.Built()):
        for k in range(workers):
            protocol.receive(k, message)
    assert protocol.state is State.IDLE
    return protocol


def test_each_domain_is_granted_its_own_steps():
    protocol = idle_with(3)
    protocol.tell(sp.Run(None))
    protocol.tell(sp.HaltRun())
    protocol.receive(0, m.Holding([[0, 7], [2, 40]]))
    # domain 1 lives in worker 1 only, domain 0 in both: the farthest counts
    assert protocol.receive(1, m.Holding([[1, 3], [0, 9]])) == [sp.ToAll(grant(9, 3, 40))]
    assert to_all(protocol, reached(9, 3, 40)) == [sp.Ended((9, 3, 40), Need.NOTHING)]
    assert protocol.steps == [9, 3, 40]
    assert protocol.tell(sp.Run(5)) == [sp.ToAll(grant(14, 8, 45, num_steps=5, final=0))]


def test_a_domain_that_nobody_names_stays_where_it_was():
    """An asynchronous one has no steps, but a place in the vector."""
    protocol = idle_with(2)
    protocol.tell(sp.Run(None))
    protocol.tell(sp.HaltRun())
    protocol.receive(0, m.Holding([[0, 7]]))
    assert protocol.receive(1, m.Holding([])) == [sp.ToAll(grant(7, 0))]


@pytest.mark.parametrize("why", ["pause", "stop"])
def test_workers_are_told_why_they_hold(why):
    assert in_state(State.RUNNING).tell(sp.HaltRun(why)) == [sp.ToAll(m.Hold(why))]


def test_asynchronous_actors_that_have_not_returned_are_left_to_rest_when_all_steps_are_done():
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    to_all(protocol, holding(4))
    assert protocol.receive(0, reached(4, pending=1)) == []
    assert protocol.receive(1, reached(4)) == [sp.ToAll(m.Rest())]
    assert protocol.state is State.RUNNING
    # the worker that was not pending has ended already, the other says that it rests
    assert protocol.receive(0, reached(4)) == [sp.Ended((4,), Need.NOTHING)]
    assert protocol.state is State.IDLE


def test_all_workers_may_rest():
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    to_all(protocol, holding(4))
    assert to_all(protocol, reached(4, pending=1)) == [sp.ToAll(m.Rest())]
    assert to_all(protocol, reached(4)) == [sp.Ended((4,), Need.NOTHING)]


def test_a_worker_that_says_pending_twice_is_refused():
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    to_all(protocol, holding(4))
    protocol.receive(0, reached(4, pending=1))
    with pytest.raises(RemoteProtocolError, match="worker 0 sent Reached twice"):
        protocol.receive(0, reached(4, pending=1))


def test_who_has_not_reacted_to_a_halt():
    protocol = in_state(State.RUNNING)
    assert protocol.unanswered() == frozenset()
    protocol.tell(sp.HaltRun())
    assert protocol.unanswered() == {0, 1}
    protocol.receive(1, holding(4))
    assert protocol.unanswered() == {0}
    protocol.receive(0, holding(4))
    assert protocol.unanswered() == {0, 1}
    protocol.receive(0, reached(4))
    assert protocol.unanswered() == {1}
    protocol.receive(1, reached(4))
    assert protocol.unanswered() == frozenset()


@pytest.mark.parametrize("state", list(State))
def test_abandoning_matters_only_while_steps_are_executed(state):
    protocol = in_state(state)
    if state in (State.RUNNING, State.HOLDING):
        assert protocol.tell(sp.Abandon()) == ABORT
        assert protocol.state is State.FAILED
    else:
        assert protocol.tell(sp.Abandon()) == []
        assert protocol.state is state


# --- deadlock -------------------------------------------------------------------------------------------


def condition(number, blocked=1, sent=(), received=(), waits=(), ended=()):
    return m.Condition(
        number, blocked, [list(s) for s in sent], [list(r) for r in received], list(waits), list(ended)
    )


WAIT = ["a.into", "recv", "b.out", "SPK", 7, "model.py:3", 1.5, 0]


@pytest.mark.parametrize("state", list(State))
def test_a_hint_makes_the_service_ask_while_steps_are_executed(state):
    protocol = in_state(state)
    expected = [sp.ToAll(m.Ask(1))] if state is State.RUNNING else []
    assert protocol.receive(0, m.Waiting()) == expected
    assert protocol.receive(1, m.Waiting()) == []  # one round at a time
    assert protocol.state is state


def test_a_deadlock_is_declared_when_all_are_blocked_and_nothing_is_under_way():
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    assert protocol.receive(0, condition(1, sent=[(1, 5)], received=[(1, 4)], waits=[WAIT])) == []
    abort, broken = protocol.receive(1, condition(1, sent=[(0, 4)], received=[(0, 5)]))
    assert abort == sp.ToAll(m.Abort(0, 0))
    assert "a.into waits in recv() for b.out" in broken.deadlock
    assert protocol.state is State.FAILED


@pytest.mark.parametrize(
    "other",
    [
        condition(1, blocked=0, sent=[(0, 4)], received=[(0, 5)]),
        condition(1, sent=[(0, 4)], received=[(0, 4)]),  # a message is under way to it
        condition(1, sent=[(0, 5)], received=[(0, 5)]),  # and one from it
    ],
)
def test_a_network_in_which_anything_can_happen_goes_on(other):
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    protocol.receive(0, condition(1, sent=[(1, 5)], received=[(1, 4)], waits=[WAIT]))
    assert protocol.receive(1, other) == []
    assert protocol.state is State.RUNNING
    assert protocol.receive(0, m.Waiting()) == [sp.ToAll(m.Ask(2))]


@pytest.mark.parametrize("state", list(State))
def test_the_host_may_have_the_service_ask(state):
    protocol = in_state(state)
    assert protocol.tell(sp.Look()) == ([sp.ToAll(m.Ask(1))] if state is State.RUNNING else [])
    assert protocol.state is state


@pytest.mark.parametrize(
    ("halted", "blocked", "waits", "ended", "expected"),
    [
        (True, 0, [WAIT], [], [sp.FreeAwaited(("b",))]),
        (False, 0, [WAIT], [], []),  # it may take as long as it likes
        (True, 0, [WAIT], ["b"], []),
        (True, 0, [["b.into", "recv", "c.out", "ASYNC", 0, "model.py:3", 1.5, 0]], [], []),
        (True, 0, [["a.into", "recv", "a.out", "SPK", 7, "model.py:3", 1.5, 0]], [], []),
        (True, 0, [["a.into", "recv", "the host", "SPK", 7, "model.py:3", 1.5, 0]], [], []),
    ],
)
def test_asynchronous_processes_that_keep_a_halted_run_from_ending_are_named(
    halted, blocked, waits, ended, expected
):
    protocol = ServiceProtocol(2, 1, {"a": 0})
    for message in (m.Hello(1, "a"), m.Built()):
        to_all(protocol, message)
    protocol.tell(sp.Run(None))
    if halted:
        protocol.tell(sp.HaltRun())
        to_all(protocol, holding(4))
    protocol.tell(sp.Look())
    protocol.receive(0, condition(1, waits=waits))
    assert protocol.receive(1, condition(1, blocked=blocked, ended=ended)) == expected


def test_workers_that_have_nothing_to_do_are_no_deadlock():
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    assert to_all(protocol, condition(1)) == []
    assert protocol.state is State.RUNNING


def test_answers_from_before_a_grant_do_not_count():
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    protocol.receive(0, condition(1))
    protocol.tell(sp.HaltRun())
    protocol.receive(0, holding(3))
    assert protocol.receive(1, holding(4)) == [sp.ToAll(grant(4))]
    assert protocol.receive(1, condition(1, waits=[WAIT])) == []
    assert protocol.state is State.RUNNING


def test_answers_of_an_old_round_do_not_count():
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    to_all(protocol, condition(1, blocked=0))
    protocol.receive(0, m.Waiting())
    assert protocol.receive(0, condition(1, waits=[WAIT])) == []
    assert protocol.receive(1, condition(2)) == []
    assert protocol.state is State.RUNNING


def test_whoever_has_ended_is_named_in_a_deadlock():
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    protocol.receive(0, condition(1, waits=[WAIT]))
    _, broken = protocol.receive(1, condition(1, ended=["b"]))
    assert "'b' has ended its run; nothing more will come to a.into" in broken.deadlock


def test_a_wait_for_the_host_is_no_deadlock():
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    for_host = ["a.pipe", "recv", HOST, "SPK", 7, "model.py:3", 0.5, 0]
    protocol.receive(0, condition(1, waits=[WAIT]))
    assert protocol.receive(1, condition(1, waits=[for_host])) == [sp.HostAwaited((Blocked(*for_host),))]
    assert protocol.state is State.RUNNING


def test_an_actor_that_is_left_to_rest_is_no_deadlock():
    """Whatever it said of itself before it was told."""
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    to_all(protocol, holding(4))
    protocol.receive(0, reached(4, pending=1))
    assert protocol.receive(0, m.Waiting()) == [sp.ToAll(m.Ask(1))]
    protocol.receive(0, condition(1, waits=[WAIT]))
    assert protocol.receive(1, reached(4)) == [sp.ToAll(m.Rest())]
    assert protocol.receive(1, condition(1)) == []
    assert protocol.receive(0, m.Waiting()) == []
    assert protocol.receive(0, reached(4)) == [sp.Ended((4,), Need.NOTHING)]


def test_answers_that_come_after_the_run_do_not_count():
    protocol = in_state(State.RUNNING)
    protocol.receive(0, m.Waiting())
    protocol.receive(0, condition(1, waits=[WAIT]))
    to_all(protocol, reached(4))
    assert protocol.state is State.IDLE
    assert protocol.receive(1, condition(1)) == []
    assert protocol.state is State.IDLE
    protocol.tell(sp.Run(None))
    assert protocol.receive(0, m.Waiting()) == [sp.ToAll(m.Ask(2))]


def test_who_waits_while_the_run_is_held_may_wait_for_steps_that_will_be_granted():
    """A worker that asked for a pause is idle, and the one that waits for it blocked: no deadlock."""
    protocol = in_state(State.RUNNING)
    protocol.receive(1, m.Waiting())
    protocol.receive(0, m.Wish(4, int(Need.PAUSE)))
    protocol.receive(0, condition(1))
    assert protocol.receive(1, condition(1, waits=[WAIT])) == []
    assert protocol.state is State.HOLDING
    to_all(protocol, holding(4))
    assert protocol.receive(1, m.Waiting()) == [sp.ToAll(m.Ask(2))]


def test_an_actor_may_return_after_it_was_said_to_be_pending():
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    to_all(protocol, holding(4))
    protocol.receive(0, reached(4, pending=1))
    assert protocol.receive(0, reached(4)) == []
    assert protocol.receive(1, reached(4)) == [sp.Ended((4,), Need.NOTHING)]


def test_a_request_of_an_actor_that_was_to_rest_holds_the_run_again():
    protocol = in_state(State.RUNNING)
    protocol.tell(sp.HaltRun())
    to_all(protocol, holding(4))
    protocol.receive(0, reached(4, pending=1))
    assert protocol.receive(0, m.Wish(4, int(Need.PAUSE))) == [sp.ToAll(m.Hold("pause"))]
    protocol.receive(1, reached(4))
    assert to_all(protocol, holding(4)) == [sp.ToAll(grant(4))]
    assert to_all(protocol, reached(4)) == [sp.Ended((4,), Need.PAUSE)]
