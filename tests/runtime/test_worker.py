"""One real worker, led by a service that the test plays: what arrives at awkward moments."""

from __future__ import annotations

import os
import threading

import cloudpickle
import numpy as np
import pytest
import runtime_models as rm
import zmq
from setups import config

from lahar import compiler
from lahar.processes.errors import RemoteProtocolError
from lahar.runtime import messages as m
from lahar.runtime import values
from lahar.runtime import worker as worker_module
from lahar.runtime.sequencer import Need
from lahar.runtime.sockets import CONTROL, DATA, MARK, open_socket, seal, unseal
from lahar.runtime.wire import encode_batch, encode_mark
from lahar.runtime.worker import Worker

SECRET = b"8 bytes!"
IDLE_CHATTER = (m.Waiting,)


def grant(step, final=0, num_steps=0):
    return m.Grant([step], num_steps, final)


def reached(step, pending=0):
    return m.Reached([[0, step]], pending)


def holding(step):
    return m.Holding([[0, step]])


HOLD = m.Hold("pause")


class Stage:
    """A worker in a thread and the other end of its sockets.

    Attributes
    ----------
    worker : Worker
        To be touched from its own thread only, that is by hooks of the models.
    """

    current: Stage
    hooks: dict[int, object]

    def __init__(self, directory, plan):
        Stage.current = self
        Stage.hooks = {}
        self._context = zmq.Context()
        self._inbox = open_socket(self._context, zmq.PULL)
        control, address = (f"ipc://{directory}/{name}" for name in ("control", "worker"))
        self._inbox.bind(control)
        self._outlet = open_socket(self._context, zmq.PUSH)
        self.failure = None
        self._thread = threading.Thread(target=self._serve, args=(control, address), daemon=True)
        self._thread.start()
        hello = self.expect(m.Hello)
        assert hello == m.Hello(os.getpid(), address)
        self._outlet.connect(address)
        # the peers of a network with several workers; a real one would read what is sent to it
        peers = [f"ipc://{directory}/peer-{k}" for k in range(1, plan.partitions)]
        self.peers = [open_socket(self._context, zmq.PULL) for _ in peers]
        for peer, place in zip(self.peers, peers, strict=True):
            peer.bind(place)
        self.send(m.Build([address, *peers], 30, (cloudpickle.dumps(plan),)))
        self.expect(m.Built)

    def _serve(self, control, address):
        self.worker = Worker(0, control, address, SECRET)
        try:
            self.worker.serve()
        except Exception as error:
            self.failure = error

    def send(self, message):
        head, *buffers = m.encode(message)
        self.send_raw([seal(CONTROL, 0, SECRET) + head, *buffers])

    def send_raw(self, frames):
        self._outlet.send_multipart(frames)

    def expect(self, *kinds):
        """Return the next message, which must be of one of these kinds."""
        while True:
            assert self._inbox.poll(10_000), f"nothing of {kinds} arrived"
            frames = self._inbox.recv_multipart()
            assert unseal(frames, SECRET) == (CONTROL, 0)
            message = m.decode(frames)
            if not isinstance(message, IDLE_CHATTER):
                assert type(message) in kinds, message
                return message

    def close(self):
        self.send(m.Shutdown())
        self._thread.join(10)
        self._context.destroy(linger=0)
        assert not self._thread.is_alive()
        self.worker._platform._context.destroy(linger=0)  # open still if the worker failed


def hook(model):
    action = Stage.hooks.get(model.time_step)
    if action is not None:
        action()


def fail(model):
    raise ZeroDivisionError("on purpose")


def cell(script=None):
    """Return a process that sends to itself and calls a hook in every step."""
    script = {("SPK", k): hook for k in range(1, 30)} if script is None else script
    (process,) = rm.ring(rm.Plain(name="cell", script=script))
    return process


@pytest.fixture
def start(short_dir, monkeypatch):
    """Start a worker for the network of a process; it is ended after the test."""
    monkeypatch.setattr(worker_module, "_LOOK_UP", 0.0)  # looks at its socket in every time step
    stages = []

    def start(process, setup="local-1-elastic", **options):
        stages.append(Stage(short_dir, compiler.compile(process, config(setup, **options))))
        return stages[-1]

    yield start
    for stage in stages:
        stage.close()


@pytest.fixture
def stage(start):
    stage = start(cell())
    yield stage
    assert stage.failure is None


def arrive(stage, message):
    """Return a hook: in the time step in which it is called, `message` arrives at the worker."""
    sent = threading.Event()

    def wait():
        sent.set()
        assert stage.worker._mailbox._socket.poll(10_000)

    def send():
        assert sent.wait(10)
        stage.send(message)

    return wait, send


def test_runs_to_the_granted_step_and_no_further(stage):
    stage.send(grant(5))
    assert stage.expect(m.Reached) == reached(5)
    stage.send(grant(6))
    assert stage.expect(m.Reached) == reached(6)


def test_a_hold_in_the_middle_of_a_run(stage):
    Stage.hooks[3], send = arrive(stage, HOLD)
    stage.send(grant(20))
    send()
    assert stage.expect(m.Holding) == holding(3)
    stage.send(grant(9, final=1))
    assert stage.expect(m.Reached) == reached(9)


def test_a_hold_in_the_last_step_of_a_run(stage):
    Stage.hooks[5], send = arrive(stage, HOLD)
    stage.send(grant(5))
    send()
    assert stage.expect(m.Reached) == reached(5)  # sent before the hold was seen
    assert stage.expect(m.Holding) == holding(5)
    stage.send(grant(5, final=1))
    assert stage.expect(m.Reached) == reached(5)


def test_a_hold_before_the_first_step(stage):
    stage.send(HOLD)
    assert stage.expect(m.Holding) == holding(0)
    stage.send(grant(2, final=1))
    assert stage.expect(m.Reached) == reached(2)


def test_a_grant_and_a_hold_together(stage):
    stage.send(grant(10**9))
    stage.send(HOLD)
    ((_, step),) = stage.expect(m.Holding).steps
    assert step < 10**9
    stage.send(grant(step + 2, final=1))
    assert stage.expect(m.Reached) == reached(step + 2)


def test_an_abort_in_the_middle_of_a_run(stage):
    Stage.hooks[3], send = arrive(stage, m.Abort(0, 0))
    stage.send(grant(20))
    send()
    step = stage.expect(m.Aborted).step
    assert step == 3
    # what the service sent before it knew
    for late in (grant(30), HOLD):
        stage.send(late)
    stage.send(m.Get(1, []))
    answer = stage.expect(m.Values)
    assert len(answer.vars) == 2


def test_counts_may_be_asked_for_in_the_middle_of_a_run(stage):
    Stage.hooks[3], send = arrive(stage, m.Count(77))
    stage.send(grant(20))
    send()
    assert stage.expect(m.Counted) == m.Counted(77, [], [], [], [])
    assert stage.expect(m.Reached) == reached(20)


def test_a_shutdown_in_the_middle_of_a_run(stage):
    Stage.hooks[3], send = arrive(stage, m.Shutdown())
    stage.send(grant(20))
    send()
    stage._thread.join(10)
    assert not stage._thread.is_alive()


def test_strangers_are_ignored(stage, caplog):
    stage.send_raw([seal(CONTROL, 0, b"guessed!") + m.encode(m.Shutdown())[0]])
    stage.send_raw([b""])
    stage.send_raw([b"x" * 10, b"y"])
    stage.send(grant(2))
    assert stage.expect(m.Reached) == reached(2)
    assert caplog.text.count("without the seal of this network") == 3


def test_a_value_that_cannot_be_set_is_refused_and_the_worker_goes_on(stage):
    var = stage.worker._engine.plan.processes[0].vars[0].id
    header, buffers = values.encode([1, 2, 3])
    stage.send(m.Set(4, var, header, tuple(buffers)))
    refused = stage.expect(m.Refused)
    assert refused.request == 4
    stage.send(m.Set(5, var, ["array", "<i8", [1], False], (b"short",)))
    assert stage.expect(m.Refused).request == 5
    stage.send(m.Get(6, [var + 1000]))
    assert stage.expect(m.Refused).request == 6
    stage.send(grant(1))
    assert stage.expect(m.Reached) == reached(1)


def test_a_wish_ends_the_run_and_is_not_repeated(start):
    (process,) = rm.ring(rm.Asking(name="cell", script={("SPK", 3): rm.ask_both}))
    stage = start(process)
    stage.send(grant(9))
    assert stage.expect(m.Wish) == m.Wish(3, int(Need.PAUSE))
    stage.send(HOLD)
    assert stage.expect(m.Holding) == holding(3)
    stage.send(grant(3, final=1))
    assert stage.expect(m.Reached) == reached(3)
    stage.send(grant(9))
    assert stage.expect(m.Wish) == m.Wish(4, int(Need.STOP))


def test_a_failure_is_reported_and_vars_can_still_be_read(start):
    stage = start(cell({("SPK", 3): fail}))
    stage.send(grant(9))
    failed = stage.expect(m.Failed)
    assert failed.step == 3
    (failure,) = cloudpickle.loads(failed.buffers[0])
    assert (failure.process, failure.phase, failure.time_step) == ("cell", "SPK", 3)
    assert isinstance(failure.error, ZeroDivisionError)
    stage.send(m.Abort(0, 0))
    stage.expect(m.Aborted)
    stage.send(m.Get(1, []))
    assert len(stage.expect(m.Values).vars) == 2


@pytest.mark.parametrize("message", [m.Built(), m.Build([], 30, (b"",)), m.Set(0, 0, [], ())])
def test_an_impossible_message_ends_the_worker(start, message):
    stage = start(cell({}))
    if isinstance(message, m.Set):
        stage.send(m.Abort(0, 0))
        stage.expect(m.Aborted)
    stage.send(message)
    stage._thread.join(10)
    assert isinstance(stage.failure, RemoteProtocolError)


# --- lockstep: giving up together -------------------------------------------------------------------


@pytest.fixture
def paired(start):
    """A worker whose model fails in step 3, and its peer, played by the test; both are at the end of step 2."""
    here, there = rm.ring(rm.Plain(name="here", script={("SPK", 3): fail}), rm.Plain(name="there"))
    stage = start(here, "local-2-lockstep", placement={here: 0, there: 1})
    stage.send(grant(9))
    stage.send_raw([seal(MARK, 1, SECRET) + encode_mark(0, 1, 0)])
    for _ in range(3):
        send_message(stage)
    return stage


def send_message(stage):
    plan = stage.worker._engine.plan
    (channel,) = [c.id for c in plan.channels if plan.partition[c.source[0]] == 1]
    frames, _ = encode_batch(1, [(channel, np.array([5]))], {})
    stage.send_raw([seal(DATA, 1, SECRET) + frames[0], *frames[1:]])


def test_a_worker_gets_to_the_end_of_the_phase_in_which_another_failed(paired):
    """Else it would depend on the moment how many exceptions are reported."""
    paired.send(m.Abort(0, 3))
    paired.send(m.Ask(1))
    paired.expect(m.Condition)  # the worker has seen both, and waits for the mark of phase 2
    paired.send_raw([seal(MARK, 1, SECRET) + encode_mark(0, 2, 0)])
    failed = paired.expect(m.Failed)
    assert (failed.step, failed.phase) == (3, 3)
    assert paired.failure is None


@pytest.mark.parametrize("phase", [0, 1, 2])
def test_a_worker_that_has_executed_the_phase_gives_up_at_once(paired, phase):
    until_at_barrier(paired, 2)
    paired.send(m.Abort(0, phase))
    assert paired.expect(m.Aborted) == m.Aborted(2)


def until_at_barrier(stage, number):
    """Wait until the peer has got the mark of phase `number`."""
    for _ in range(20):
        assert stage.peers[0].poll(10_000)
        frames = stage.peers[0].recv_multipart()
        what, _ = unseal(frames, SECRET)
        if what == MARK and frames[0] == encode_mark(0, number, 0):
            return
    raise AssertionError(f"no mark of phase {number}")


def test_a_worker_that_waits_in_the_last_phase_gives_up(start):
    here, there = rm.ring(rm.Plain(name="here"), rm.Plain(name="there"))
    stage = start(here, "local-2-lockstep", placement={here: 0, there: 1})
    stage.send(grant(9))
    send_message(stage)
    stage.send_raw([seal(MARK, 1, SECRET) + encode_mark(0, 1, 0)])
    until_at_barrier(stage, 1)
    stage.send(m.Abort(0, 2))  # of step 2 no message will come
    assert stage.expect(m.Aborted) == m.Aborted(2)


def test_a_worker_that_waits_for_a_lost_one_gives_up(paired):
    until_at_barrier(paired, 2)
    paired.send(m.Abort(0, 3))
    paired.send(m.Abort(0, 0))  # the mark of phase 2 will never come
    assert paired.expect(m.Aborted) == m.Aborted(2)


def test_a_grant_that_arrives_while_the_last_step_before_a_hold_is_executed(start):
    here, there = rm.ring(rm.Plain(name="here"), rm.Plain(name="there"))
    stage = start(here, "local-2-lockstep", placement={here: 0, there: 1})
    stage.send(grant(9))
    send_message(stage)
    until_at_barrier(stage, 1)
    stage.send(HOLD)
    assert stage.expect(m.Holding) == holding(1)
    stage.send(grant(2, final=1))
    send_message(stage)
    for phase in (1, 2):
        stage.send_raw([seal(MARK, 1, SECRET) + encode_mark(0, phase, 0)])
    assert stage.expect(m.Reached) == reached(2)


def test_a_hold_while_the_last_step_of_the_run_is_executed(start):
    here, there = rm.ring(rm.Plain(name="here"), rm.Plain(name="there"))
    stage = start(here, "local-2-lockstep", placement={here: 0, there: 1})
    stage.send(grant(1))
    send_message(stage)
    until_at_barrier(stage, 1)
    stage.send(HOLD)
    assert stage.expect(m.Holding) == holding(1)
    stage.send_raw([seal(MARK, 1, SECRET) + encode_mark(0, 1, 0)])
    stage.send(grant(1, final=1))
    assert stage.expect(m.Reached) == reached(1)


# --- asynchronous actors ----------------------------------------------------------------------------


def test_an_asynchronous_actor_that_waits_is_left_to_rest_and_goes_on_in_the_next_run(start):
    taker, feeder = rm.Taker(name="taker", count=2), rm.Plain(name="feeder")
    feeder.out.connect(taker.into)
    stage = start(taker, "local-2-lockstep", placement={taker: 0, feeder: 1})
    stage.send(m.Grant([5, 5], 5, 0))
    send_message(stage)
    stage.send(HOLD)
    assert stage.expect(m.Holding) == m.Holding([])
    stage.send(m.Grant([5, 5], 0, 1))
    assert stage.expect(m.Reached) == m.Reached([], 1)
    stage.send(m.Rest())
    assert stage.expect(m.Reached) == m.Reached([], 0)
    stage.send(m.Get(1, []))
    stage.expect(m.Values)
    stage.send(m.Grant([9, 9], 4, 0))
    send_message(stage)
    assert stage.expect(m.Reached) == m.Reached([], 0)
    assert stage.failure is None
