"""Nobody waits at a pipe of a network that has failed."""

from __future__ import annotations

import os
import signal

import numpy as np
import pytest
import runtime_models as rm
from setups import config, every_local_setup, every_setup

from lahar.processes import Extractor, Injector, SinkRingBuffer
from lahar.processes.errors import ModelError, StateError, WorkerDiedError
from lahar.runtime import RunContinuous

pytestmark = [
    pytest.mark.usefixtures("pool"),
    pytest.mark.filterwarnings("ignore:sync='elastic' could change results"),
]


def network(script=None):
    """Return a ring of two with an Extractor and a sink at one, and an Injector into the sink."""
    first, _ = rm.ring(rm.Plain(name="first", script=script or {}), rm.Plain(name="second"))
    extractor, injector, sink = Extractor((1,)), Injector((1,)), SinkRingBuffer(shape=(1,), buffer=9)
    first.out.connect(extractor.in_port)
    injector.out_port.connect(sink.a_in)
    first.out.connect(sink.a_in)
    return first, extractor, injector


def use_until_refused(use):
    def go_on():
        while True:
            use()

    with pytest.raises(StateError, match=r"over the pipe of '.*': the network has failed") as caught:
        go_on()
    return caught.value


@every_setup
@pytest.mark.parametrize("verb", ["receive", "send"])
def test_a_failure_of_a_model_wakes_whoever_waits_at_a_pipe(setup, verb):
    first, extractor, injector = network({("SPK", 5): rm.fail})
    first.run(RunContinuous(), run_cfg=config(setup, select_tag="floating_pt"))
    if verb == "receive":
        for _ in range(6):
            injector.send(np.ones(1))
    error = use_until_refused(extractor.receive if verb == "receive" else lambda: injector.send(np.ones(1)))
    assert isinstance(error.__cause__, ModelError)
    assert "first fails on purpose" in str(error.__cause__)
    with pytest.raises(ModelError, match="first fails on purpose"):
        first.wait()
    assert use_until_refused(extractor.receive).__cause__ is error.__cause__


@every_local_setup
def test_the_end_of_a_worker_wakes_whoever_waits_at_a_pipe(setup):
    first, extractor, injector = network()
    first.run(RunContinuous(), run_cfg=config(setup, select_tag="floating_pt"))
    injector.send(np.ones(1))
    extractor.receive()
    os.kill(first.runtime.worker_pids()[0], signal.SIGKILL)
    assert isinstance(use_until_refused(extractor.receive).__cause__, WorkerDiedError)
    with pytest.raises(WorkerDiedError, match=r"Worker 0 .*SIGKILL"):
        first.wait()
