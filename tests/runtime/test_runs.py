"""Runs of every kind, for every launcher: how far they go and what they leave."""

from __future__ import annotations

import numpy as np
import pytest
from ramps import assert_at, begun, sums
from setups import SETUPS, config, every_setup
from support.deadline import until

from lahar.processes import LIF, Dense, SinkRingBuffer, SourceRingBuffer
from lahar.processes.errors import ValidationError
from lahar.runtime import RunContinuous, RunSteps

pytestmark = [
    pytest.mark.usefixtures("pool"),
    pytest.mark.filterwarnings("ignore:sync='elastic' could change results"),
]


@every_setup
def test_consecutive_runs_continue(network, setup):
    ramp, total = network
    for n in (1, 4, 10):
        ramp.run(RunSteps(n - (ramp.runtime.step if ramp.runtime else 0)), run_cfg=config(setup))
        assert_at(n, ramp, total)
    assert ramp.runtime.num_steps == 6


@every_setup
def test_a_run_of_no_steps(network, setup):
    ramp, total = network
    ramp.run(RunSteps(0), run_cfg=config(setup))
    assert_at(0, ramp, total)
    ramp.run(RunSteps(3))
    ramp.run(RunSteps(0))
    assert_at(3, ramp, total)


@every_setup
def test_any_process_of_the_network_can_be_asked(network, setup):
    ramp, total = network
    total.run(RunSteps(2), run_cfg=config(setup))
    ramp.run(RunSteps(2))
    total.pause()
    ramp.wait()
    assert_at(4, ramp, total)
    total.stop()
    assert ramp.runtime.is_closed


@every_setup
def test_non_blocking_runs_and_wait(network, setup):
    ramp, total = network
    ramp.run(RunSteps(5, blocking=False), run_cfg=config(setup))
    ramp.wait()
    assert_at(5, ramp, total)
    ramp.run(RunSteps(3, blocking=False), run_cfg=config(setup))
    total.wait()
    ramp.wait()
    assert_at(8, ramp, total)


@every_setup
def test_a_finished_run_that_nobody_waited_for(network, setup):
    ramp, total = network
    ramp.run(RunSteps(5, blocking=False), run_cfg=config(setup))
    until(lambda: ramp.runtime._network.join(0) is not None)
    assert total.total.get().tolist() == sums(5)
    ramp.run(RunSteps(2, blocking=False))
    until(lambda: ramp.runtime._network.join(0) is not None)
    total.total.set(np.array([100, 200]))
    ramp.run(RunSteps(1, blocking=False))
    until(lambda: ramp.runtime._network.join(0) is not None)
    ramp.run(RunSteps(1))  # may follow at once: the run before has ended
    assert total.total.get().tolist() == [117, 217]
    ramp.run(RunSteps(1, blocking=False))
    until(lambda: ramp.runtime._network.join(0) is not None)
    ramp.pause()
    assert total.t.get() == 10
    ramp.run(RunSteps(1, blocking=False))
    until(lambda: ramp.runtime._network.join(0) is not None)
    ramp.stop()
    assert total.t.get() == 11


@every_setup
def test_continuous_run_pause_get_set_resume_stop(network, setup):
    ramp, total = network
    ramp.run(RunContinuous(), run_cfg=config(setup))
    begun(ramp, 3)
    ramp.pause()
    n = int(total.t.get()[0])
    assert n >= 3
    assert_at(n, ramp, total)
    total.total.set(np.zeros(2))
    ramp.run(RunContinuous())
    begun(ramp, n + 5)
    total.pause()
    later = int(total.t.get()[0])
    assert later >= n + 5
    assert ramp.t.get() == later
    assert total.total.get().tolist() == [sum(range(n + 1, later + 1))] * 2
    ramp.run(RunSteps(4))
    assert ramp.t.get() == total.t.get() == later + 4
    ramp.run(RunContinuous())
    begun(ramp, later + 6)
    ramp.stop()
    assert ramp.t.get() == total.t.get()
    assert ramp.t.get() >= later + 6
    assert total.total.get().tolist() == [sum(range(n + 1, int(ramp.t.get()[0]) + 1))] * 2


@every_setup
def test_pausing_often_never_tears_the_network_apart(network, setup):
    ramp, total = network
    cfg = config(setup)
    done = 0
    for _ in range(8):
        ramp.run(RunContinuous(), run_cfg=cfg)
        begun(ramp, done + 1)
        ramp.pause()
        done = int(ramp.t.get()[0])
        assert_at(done, ramp, total)


@every_setup
def test_pause_ends_a_long_run_and_forgets_its_rest(network, setup):
    ramp, total = network
    ramp.run(RunSteps(10**9, blocking=False), run_cfg=config(setup))
    begun(ramp)
    ramp.pause()
    n = int(ramp.t.get()[0])
    assert n < 10**9
    ramp.run(RunSteps(2))
    assert_at(n + 2, ramp, total)


@every_setup
def test_a_set_value_is_always_seen_by_the_next_step(network, setup):
    ramp, total = network
    ramp.create_runtime(run_cfg=config(setup))
    expected = 0
    for k in range(1, 101):
        ramp.gain.set(np.array([k]))
        ramp.run(RunSteps(1))
        expected += k * k
    assert total.total.get().tolist() == [expected] * 2


@pytest.mark.parametrize("tag", ["fixed_pt", "floating_pt"])
def test_both_kinds_of_library_models_give_the_same_everywhere(tag):
    """Spikes in, weights, neurons, recording: one long run inline against two runs of each other setup."""
    rng = np.random.default_rng(1)
    spikes = (rng.random((4, 25)) < 0.4).astype(int)
    weights = rng.integers(-20, 40, (3, 4)) * 2
    found = {}
    for setup in SETUPS:
        source, dense = SourceRingBuffer(data=spikes), Dense(weights=weights)
        lif, sink = LIF(shape=(3,), vth=60, du=2, dv=1), SinkRingBuffer(shape=(3,), buffer=40)
        source.s_out.connect(dense.s_in)
        dense.a_out.connect(lif.a_in)
        lif.s_out.connect(sink.a_in)
        with lif:
            for steps in [40] if setup == "inline" else [13, 27]:
                lif.run(RunSteps(steps), run_cfg=config(setup, select_tag=tag))
            found[setup] = [lif.v.get().tobytes(), lif.u.get().tobytes(), sink.data.get().tobytes()]
            assert sink.data.get().any()
    assert all(values == found["inline"] for values in found.values())


def test_steps_are_counted_in_64_bits():
    assert RunSteps(2**63 - 1).num_steps == 2**63 - 1
    with pytest.raises(ValidationError, match=r"RunSteps\.num_steps: at most 9223372036854775807 steps"):
        RunSteps(2**63)
