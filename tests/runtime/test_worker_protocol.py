"""The worker's state machine: every transition and every refusal."""

from __future__ import annotations

import pytest

from lahar.processes.errors import LocalProtocolError, RemoteProtocolError
from lahar.runtime import messages as m
from lahar.runtime import worker_protocol as wp
from lahar.runtime.worker_protocol import State, WorkerProtocol

EVENTS = {
    "build": m.Build(["ipc://a"], (b"plan",)),
    "grant": m.Grant(9),
    "hold": m.Hold(),
    "get": m.Get(1, [2]),
    "set": m.Set(1, 2, ["array"], (b"",)),
    "count": m.Count(3),
    "ask": m.Ask(4),
    "abort": m.Abort(11),
    "shutdown": m.Shutdown(),
    "built": wp.ModelsBuilt(),
    "steps ended": wp.StepsEnded(9, 0),
    "wish": wp.StepsEnded(9, 8),
    "failed": wp.ModelsFailed(9, 11, b"report"),
}
S = State
# (state, event) -> (state afterwards, actions); what is not listed is refused
TABLE = {
    (S.CONNECTED, "build"): (S.BUILDING, [wp.BuildModels((b"plan",), ["ipc://a"])]),
    (S.BUILDING, "built"): (S.IDLE, [wp.Send(m.Built())]),
    (S.IDLE, "grant"): (S.RUNNING, [wp.Advance(9)]),
    (S.RUNNING, "steps ended"): (S.IDLE, [wp.Send(m.Reached(9))]),
    (S.RUNNING, "wish"): (S.HELD, [wp.Send(m.Wish(9, 8))]),
    (S.IDLE, "hold"): (S.HELD, [wp.Halt()]),
    (S.RUNNING, "hold"): (S.HELD, [wp.Halt()]),
    (S.HELD, "hold"): (S.HELD, [wp.Halt()]),
    (S.HELD, "steps ended"): (S.HELD, []),
    (S.HELD, "wish"): (S.HELD, [wp.Send(m.Wish(9, 8))]),
    (S.HELD, "grant"): (S.RUNNING, [wp.Advance(9)]),
    (S.IDLE, "set"): (S.IDLE, [wp.Access(EVENTS["set"])]),
    **{(s, "get"): (s, [wp.Access(EVENTS["get"])]) for s in (S.IDLE, S.ABORTED)},
    **{(s, "count"): (s, [wp.Access(EVENTS["count"])]) for s in (S.IDLE, S.RUNNING, S.HELD, S.ABORTED)},
    **{(s, "ask"): (s, [wp.Report(4)]) for s in State if s is not S.ENDED},
    **{
        (s, "failed"): (S.ABORTED, [wp.Send(m.Failed(9, 11, (b"report",)))])
        for s in (S.BUILDING, S.RUNNING, S.HELD, S.ABORTED)
    },
    # what the service sent before it knew of the failure
    **{(S.ABORTED, e): (S.ABORTED, []) for e in ("hold", "grant")},
    **{(s, "abort"): (S.ABORTED, [wp.GiveUp(11)]) for s in State if s is not S.ENDED},
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


@pytest.mark.parametrize("state", list(State))
@pytest.mark.parametrize("message", [m.Hello(1, "a"), m.Reached(1), m.Values(0, [], [], [], ())])
def test_messages_of_workers_are_refused(state, message):
    with pytest.raises(RemoteProtocolError):
        in_state(state).receive(message)
