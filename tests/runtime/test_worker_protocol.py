"""The worker's state machine: every transition and every refusal."""

from __future__ import annotations

import pytest

from lahar.processes.errors import LocalProtocolError, RemoteProtocolError
from lahar.runtime import messages as m
from lahar.runtime import worker_protocol as wp
from lahar.runtime.worker_protocol import State, WorkerProtocol

EVENTS = {
    "build": m.Build(["ipc://a"], 30, (b"plan",)),
    "grant": m.Grant([9, 4], 5, 0),
    "hold": m.Hold("pause"),
    "rest": m.Rest(),
    "get": m.Get(1, [2]),
    "set": m.Set(1, 2, ["array"], (b"",)),
    "count": m.Count(3),
    "ask": m.Ask(4),
    "abort": m.Abort(1, 11),
    "shutdown": m.Shutdown(),
    "built": wp.ModelsBuilt(),
    "wish": wp.Wished(9, 8),
    "domains ended": wp.DomainsEnded([[0, 9], [1, 4]]),
    "run ended": wp.RunEnded([[0, 9], [1, 4]]),
    "failed": wp.ModelsFailed(9, 1, 11, b"report"),
    "nothing to do": wp.NothingToDo(),
}
S = State
# (state, event) -> (state afterwards, actions); what is not listed is refused
TABLE = {
    (S.CONNECTED, "build"): (S.BUILDING, [wp.BuildModels((b"plan",), ["ipc://a"], 30)]),
    (S.BUILDING, "built"): (S.IDLE, [wp.Send(m.Built())]),
    (S.IDLE, "grant"): (S.RUNNING, [wp.Advance(EVENTS["grant"])]),
    (S.RUNNING, "run ended"): (S.IDLE, [wp.Send(m.Reached([[0, 9], [1, 4]], 0))]),
    (S.RUNNING, "domains ended"): (S.RUNNING, [wp.Send(m.Reached([[0, 9], [1, 4]], 1))]),
    (S.RUNNING, "wish"): (S.RUNNING, [wp.Send(m.Wish(9, 8))]),
    (S.RUNNING, "rest"): (S.RUNNING, [wp.LetRest()]),
    (S.IDLE, "rest"): (S.IDLE, []),  # the worker was among the others' pending ones no more
    (S.IDLE, "hold"): (S.HELD, [wp.Halt("pause")]),
    (S.RUNNING, "hold"): (S.HELD, [wp.Halt("pause")]),
    (S.HELD, "hold"): (S.HELD, [wp.Halt("pause")]),
    (S.HELD, "run ended"): (S.HELD, []),
    (S.HELD, "wish"): (S.HELD, [wp.Send(m.Wish(9, 8))]),
    (S.HELD, "grant"): (S.RUNNING, [wp.Advance(EVENTS["grant"])]),
    # further steps of a held run, which other domains need
    (S.RUNNING, "grant"): (S.RUNNING, [wp.Advance(EVENTS["grant"])]),
    (S.RUNNING, "nothing to do"): (S.IDLE, []),
    (S.IDLE, "set"): (S.IDLE, [wp.Access(EVENTS["set"])]),
    **{(s, "get"): (s, [wp.Access(EVENTS["get"])]) for s in (S.IDLE, S.ABORTED)},
    **{(s, "count"): (s, [wp.Access(EVENTS["count"])]) for s in (S.IDLE, S.RUNNING, S.HELD, S.ABORTED)},
    **{(s, "ask"): (s, [wp.Report(4)]) for s in State if s is not S.ENDED},
    **{
        (s, "failed"): (S.ABORTED, [wp.Send(m.Failed(9, 1, 11, (b"report",)))])
        for s in (S.BUILDING, S.RUNNING, S.HELD, S.ABORTED)
    },
    # what the service sent before it knew of the failure
    **{(S.ABORTED, e): (S.ABORTED, []) for e in ("hold", "grant", "rest")},
    **{(s, "abort"): (S.ABORTED, [wp.GiveUp(1, 11)]) for s in State if s is not S.ENDED},
    **{(s, "shutdown"): (S.ENDED, [wp.End()]) for s in State},
}
PATHS = {
    S.CONNECTED: [],
    S.BUILDING: ["build"],
    S.IDLE: ["build", "built"],
    S.RUNNING: ["build", "built", "grant"],
    S.HELD: ["build", "built", "grant", "hold"],
    S.ABORTED: ["build", "built", "abort"],
    S.ENDED: ["shutdown"],
}


def in_state(state):
    protocol = WorkerProtocol()
    for event in PATHS[state]:
        protocol.receive(EVENTS[event])
    assert protocol.state is state
    return protocol


@pytest.mark.parametrize("event", list(EVENTS))
@pytest.mark.parametrize("state", list(State))
def test_every_pair_of_state_and_event(state, event):
    protocol = in_state(state)
    if (state, event) in TABLE:
        after, actions = TABLE[state, event]
        assert protocol.receive(EVENTS[event]) == actions
        assert protocol.state is after
    else:
        guilty = RemoteProtocolError if isinstance(EVENTS[event], m.Message) else LocalProtocolError
        with pytest.raises(guilty, match=f"{type(EVENTS[event]).__name__} in state {state.name}"):
            protocol.receive(EVENTS[event])
        assert protocol.state is state


def test_the_table_of_the_module_is_the_one_tested_here():
    tested = {(state, type(EVENTS[event])) for state, event in TABLE}
    assert set(wp.TRANSITIONS) == tested


def test_a_run_that_ends_after_a_request_waits_for_the_service_to_hold_it():
    """Else it would be over here, and could not be extended to the last step of the others."""
    protocol = in_state(S.RUNNING)
    protocol.receive(EVENTS["wish"])
    assert protocol.receive(EVENTS["run ended"]) == []
    assert protocol.state is S.HELD
    assert protocol.receive(EVENTS["hold"]) == [wp.Halt("pause")]
    protocol.receive(EVENTS["grant"])
    # the request is served by this grant, so the run may end
    assert protocol.receive(EVENTS["run ended"]) == [wp.Send(m.Reached([[0, 9], [1, 4]], 0))]
    assert protocol.state is S.IDLE


def test_a_request_is_forgotten_when_the_next_run_begins():
    protocol = in_state(S.RUNNING)
    protocol.receive(EVENTS["wish"])
    for event in ("hold", "grant", "run ended", "grant", "run ended"):
        protocol.receive(EVENTS[event])
    assert protocol.state is S.IDLE


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("message", [m.Hello(1, "a"), m.Reached([[0, 1]], 0), m.Values(0, [], [], [], ())])
def test_messages_of_workers_are_refused(state, message):
    with pytest.raises(RemoteProtocolError):
        in_state(state).receive(message)
