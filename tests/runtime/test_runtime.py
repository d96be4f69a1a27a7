"""What is legal when, for every launcher: running, waiting, pausing, stopping, reading and setting."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import runtime_models as rm
from setups import SETUPS, both_syncs, config, every_local_setup, every_setup
from support.deadline import until
from support.phase_probe import PhaseProbe

from lahar import compiler
from lahar.processes import LIF, Dense, Monitor, SinkRingBuffer, SourceRingBuffer
from lahar.processes.errors import (
    ArgumentTypeError,
    DtypeError,
    ShapeError,
    StateError,
    UnstartedError,
    ValidationError,
)
from lahar.processes.model import Phase
from lahar.runtime import RunContinuous, RunSteps, Runtime

pytestmark = [
    pytest.mark.usefixtures("pool"),
    pytest.mark.filterwarnings("ignore:sync='elastic' could change results"),
]


@pytest.fixture
def network():
    """A ramp and a total, stopped at the end whatever happens."""
    ramp, total = rm.pair()
    yield ramp, total
    ramp.stop()


def sums(n):
    return [n * (n + 1) // 2] * 2


def begun(process, step=3):
    """Wait until a running network has begun time step `step`."""
    network = process.runtime._network
    until(lambda: network.step >= step, what=f"time step {step}")


def assert_at(n, ramp, total):
    """Both processes have completed exactly `n` time steps."""
    assert ramp.t.get().tolist() == [n]
    assert total.t.get().tolist() == [n]
    assert total.total.get().tolist() == sums(n)
    assert ramp.runtime.step == n


def flags(runtime):
    return runtime._is_initialized, runtime._is_started, runtime._is_running


# --- runs -------------------------------------------------------------------------------------------


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


# --- what is refused, and what does nothing -------------------------------------------------------------


def test_before_there_is_a_runtime(network):
    ramp, total = network
    for call in (ramp.wait, ramp.pause, ramp.stop):
        assert call() is None
    assert total.total.get() == 0
    with pytest.raises(UnstartedError, match="before the network has been started"):
        total.total.set(np.zeros(2))
    with pytest.raises(ValidationError, match="pass run_cfg"):
        ramp.run(RunSteps(1))
    with pytest.raises(ValueError, match="run_cfg"):
        ramp.create_runtime()
    assert ramp.runtime is None


@every_setup
def test_created_but_never_run(network, setup):
    ramp, total = network
    ramp.create_runtime(run_cfg=config(setup))
    assert flags(ramp.runtime) == (True, False, False)
    for call in (ramp.wait, ramp.pause):
        assert call() is None
    assert total.total.get().tolist() == [0, 0]
    total.total.set(np.array([5, 6]))
    assert total.total.get().tolist() == [5, 6]
    ramp.stop()
    assert flags(ramp.runtime) == (False, False, False)
    assert total.total.get().tolist() == [5, 6]


@every_setup
def test_idle(network, setup):
    ramp, total = network
    ramp.run(RunSteps(2), run_cfg=config(setup))
    assert flags(ramp.runtime) == (True, True, False)
    for call in (ramp.wait, ramp.pause, ramp.pause, ramp.wait):
        assert call() is None
    assert_at(2, ramp, total)


@every_setup
def test_while_running(network, setup):
    ramp, total = network
    ramp.run(RunContinuous(), run_cfg=config(setup))
    runtime = ramp.runtime
    assert flags(runtime) == (True, True, True)
    with pytest.raises(StateError, match=r"The network is running; call wait\(\), pause\(\) or stop\(\)"):
        ramp.run(RunSteps(1))
    with pytest.raises(StateError, match=r"Cannot read Var 'total\.total' while the network is running"):
        total.total.get()
    with pytest.raises(StateError, match=r"Cannot set Var 'ramp\.gain' while the network is running"):
        ramp.gain.set(np.array([2]))
    with pytest.raises(StateError, match="belongs to a network that has been started"):
        ramp.create_runtime(run_cfg=config(setup))
    assert runtime is ramp.runtime
    begun(ramp)
    ramp.pause()
    assert flags(runtime) == (True, True, False)
    assert_at(int(ramp.t.get()[0]), ramp, total)


@every_setup
def test_after_stop(network, setup):
    ramp, total = network
    ramp.run(RunSteps(3), run_cfg=config(setup))
    ramp.stop()
    ramp.stop()
    assert flags(ramp.runtime) == (False, False, False)
    for call in (ramp.wait, ramp.pause, total.stop):
        assert call() is None
    assert_at(3, ramp, total)
    with pytest.raises(StateError, match=r"was stopped.*create_runtime\(run_cfg=\.\.\.\)"):
        ramp.run(RunSteps(1))
    with pytest.raises(StateError, match="was stopped"):
        ramp.run(RunSteps(1), run_cfg=config(setup))
    with pytest.raises(StateError, match="Cannot set a Var: the network was stopped"):
        total.total.set(np.zeros(2))
    assert_at(3, ramp, total)


@every_setup
def test_values_read_after_stop_are_copies(network, setup):
    ramp, total = network
    ramp.run(RunSteps(3), run_cfg=config(setup))
    ramp.stop()
    total.total.get()[:] = 0
    assert total.total.get().tolist() == sums(3)


@every_setup
def test_a_stopped_network_starts_anew(network, setup):
    ramp, total = network
    ramp.run(RunSteps(3), run_cfg=config(setup))
    ramp.stop()
    ramp.create_runtime(run_cfg=config(setup))
    assert_at(0, ramp, total)
    ramp.run(RunSteps(2))
    assert_at(2, ramp, total)


@every_setup
def test_stop_ends_a_continuous_run(network, setup):
    ramp, total = network
    ramp.run(RunContinuous(), run_cfg=config(setup))
    begun(ramp)
    ramp.stop()
    assert ramp.t.get() == total.t.get()
    assert total.total.get().tolist() == sums(int(ramp.t.get()[0]))


@pytest.mark.parametrize("condition", [None, 5, RunSteps])
def test_only_run_conditions_are_taken(network, condition):
    ramp, _ = network
    ramp.create_runtime(run_cfg=config("inline"))
    with pytest.raises(ValidationError, match="RunSteps or RunContinuous expected"):
        ramp.run(condition)
    assert flags(ramp.runtime) == (True, False, False)
    ramp.run(RunSteps(1))


@pytest.mark.parametrize("steps", [-1, -4, 2.0, "3", None, True])
def test_numbers_of_steps_that_make_no_sense(steps):
    with pytest.raises(ValidationError, match="non-negative integer expected"):
        RunSteps(steps)


def test_numbers_of_steps_of_numpy():
    assert RunSteps(np.int32(4)).num_steps == 4
    assert type(RunSteps(np.uint8(4)).num_steps) is int
    assert RunSteps(0).blocking
    assert not RunContinuous().blocking


def test_a_failed_compilation_leaves_the_network_usable(network):
    ramp, total = network
    with pytest.raises(ArgumentTypeError):
        ramp.run(RunSteps(1), run_cfg="no configuration")
    assert ramp.runtime is None
    ramp.run(RunSteps(2), run_cfg=config("inline"))
    assert_at(2, ramp, total)


@every_setup
def test_a_network_without_ports_or_handlers(setup):
    shelf = rm.Shelf()
    cfg = config(setup, partitions=1) if setup != "inline" else config(setup)
    with shelf:
        shelf.run(RunSteps(4), run_cfg=cfg)
        assert shelf.steps.get() == 4


# --- context managers -----------------------------------------------------------------------------------


@every_setup
@pytest.mark.parametrize("condition", [RunSteps(3), RunSteps(3, blocking=False), RunContinuous()])
def test_a_process_as_context_manager(setup, condition):
    ramp, total = rm.pair()
    with ramp as yielded:
        assert yielded is ramp
        ramp.run(condition, run_cfg=config(setup))
        runtime = ramp.runtime
    assert runtime.is_closed
    assert flags(runtime) == (False, False, False)
    assert ramp.t.get() == total.t.get()
    if isinstance(condition, RunSteps) and condition.blocking:
        assert_at(3, ramp, total)


def test_exceptions_leave_the_context_and_the_network_is_stopped():
    ramp, total = rm.pair()

    def use():
        with ramp:
            ramp.run(RunSteps(3), run_cfg=config("inline"))
            raise KeyError

    with pytest.raises(KeyError):
        use()
    assert ramp.runtime.is_closed
    assert_at(3, ramp, total)


@every_setup
def test_a_runtime_by_hand(network, setup):
    ramp, total = network
    plan = compiler.compile(ramp, config(setup))
    runtime = Runtime(plan)
    assert flags(runtime) == (False, False, False)
    with pytest.raises(StateError, match=r"not been initialised: call initialize\(\)"):
        runtime.start(RunSteps(1))
    with pytest.raises(StateError):
        runtime.get_var(total.total.id)
    with runtime as entered:
        assert entered is runtime
        assert flags(runtime) == (True, False, False)
        runtime.initialize()  # once more does nothing
        runtime.start(RunSteps(4))
        assert flags(runtime) == (True, True, False)
        assert runtime.get_var(total.total.id).tolist() == sums(4)
        assert runtime.get_var(total.total.id, 1) == sums(4)[1]
        runtime.set_var(total.total.id, np.array([1, 2]))
        runtime.set_var(total.total.id, 7, idx=0)
        runtime.start(RunSteps(1))
        assert runtime.get_var(total.total.id).tolist() == [12, 7]
    assert flags(runtime) == (False, False, False)
    assert runtime.get_var(total.total.id).tolist() == [12, 7]
    for call in (runtime.initialize, lambda: runtime.start(RunSteps(1))):
        with pytest.raises(StateError, match="was stopped"):
            call()


def test_a_runtime_takes_a_plan():
    with pytest.raises(ArgumentTypeError, match="takes a Plan"):
        Runtime({})


@every_local_setup
def test_worker_pids_and_channel_counts(network, setup):
    ramp, _ = network
    ramp.run(RunSteps(10), run_cfg=config(setup))
    pids = ramp.runtime.worker_pids()
    parts = ramp.runtime.plan.partitions
    assert sorted(pids) == list(range(parts))
    assert len(set(pids.values())) == parts
    expected = {} if parts == 1 else {"ramp.out -> total.into": (10, 10 * 2 * 8)}
    assert ramp.runtime.channel_counts() == expected
    ramp.stop()
    assert ramp.runtime.channel_counts() == expected
    assert ramp.runtime.worker_pids() == pids


@every_setup
def test_channel_counts_never_disturb_a_running_network(network, setup):
    ramp, total = network
    ramp.run(RunContinuous(), run_cfg=config(setup))
    begun(ramp)
    try:
        ramp.runtime.channel_counts()
    except StateError as error:
        assert "running" in str(error)  # noqa: PT017 - answering is as good as refusing
    ramp.pause()
    assert_at(int(ramp.t.get()[0]), ramp, total)


# --- other threads ----------------------------------------------------------------------------------------


@every_setup
@pytest.mark.parametrize("verb", ["pause", "stop"])
def test_another_thread_may_end_a_blocking_run(network, setup, verb):
    ramp, total = network
    ramp.create_runtime(run_cfg=config(setup))
    done = threading.Event()

    def run():
        ramp.run(RunSteps(10**9))
        done.set()

    thread = threading.Thread(target=run)
    thread.start()
    begun(ramp)
    getattr(total, verb)()
    assert done.wait(10)
    thread.join()
    assert ramp.runtime.is_closed == (verb == "stop")
    assert ramp.t.get() == total.t.get()


@every_setup
def test_two_threads_may_wait(network, setup):
    ramp, total = network
    ramp.run(RunSteps(200, blocking=False), run_cfg=config(setup))
    threads = [threading.Thread(target=p.wait) for p in network]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(10)
        assert not thread.is_alive()
    assert_at(200, ramp, total)


@every_setup
def test_pausing_from_a_thread_at_any_moment(network, setup):
    ramp, _ = network
    ramp.create_runtime(run_cfg=config(setup))
    for _ in range(10):
        pausing = threading.Thread(target=ramp.pause)
        pausing.start()
        ramp.run(RunContinuous())
        pausing.join(10)
        assert not pausing.is_alive()
        ramp.pause()


# --- requests of models -------------------------------------------------------------------------------------


def asking(setup, guards, script, *, learner=False):
    """Return two processes in a ring; the first obeys `script`, the second may learn."""
    first = rm.Asking(name="first", guards=guards, script=script)
    second = rm.Asking(name="second", guards="lrn" if learner else "")
    rm.ring(first, second)
    return first, second, config(setup)


PHASES = {"SPK": "", "PRE_MGMT": "pre lrn", "LRN": "lrn", "POST_MGMT": "post"}


@every_setup
@pytest.mark.parametrize("phase", list(PHASES))
def test_a_model_may_pause_in_every_phase(setup, phase):
    first, second, cfg = asking(setup, PHASES[phase], {(phase, 4): rm.ask_pause})
    with first:
        first.run(RunSteps(50), run_cfg=cfg)
        assert flags(first.runtime) == (True, True, False)
        assert first.t.get() == second.t.get() == 4
        assert first.runtime.step == 4
        first.run(RunSteps(3))
        assert first.t.get() == second.t.get() == 7


@every_setup
@pytest.mark.parametrize("phase", list(PHASES))
def test_a_model_may_stop_in_every_phase(setup, phase):
    first, second, cfg = asking(setup, PHASES[phase], {(phase, 4): rm.ask_stop})
    first.run(RunSteps(50), run_cfg=cfg)
    assert flags(first.runtime) == (False, False, False)
    assert first.t.get() == second.t.get() == 4
    with pytest.raises(StateError, match="was stopped by a model"):
        first.run(RunSteps(1))
    first.stop()


@every_setup
def test_a_model_ends_a_continuous_run(setup):
    first, second, cfg = asking(setup, "", {("SPK", 9): rm.ask_pause, ("SPK", 12): rm.ask_stop})
    first.run(RunContinuous(), run_cfg=cfg)
    first.wait()
    assert first.t.get() == second.t.get() == 9
    first.run(RunContinuous())
    first.wait()
    assert first.runtime.is_closed
    assert first.t.get() == second.t.get() == 12


@every_setup
@pytest.mark.parametrize("action", [rm.ask_pause, rm.ask_stop])
def test_a_request_in_the_last_step(setup, action):
    first, second, cfg = asking(setup, "", {("SPK", 4): action})
    first.run(RunSteps(4), run_cfg=cfg)
    assert first.runtime.is_closed == (action is rm.ask_stop)
    assert first.t.get() == second.t.get() == 4
    if action is rm.ask_pause:
        first.run(RunSteps(2))
        assert second.t.get() == 6
    first.stop()


@every_setup
@pytest.mark.parametrize("when", ["build", "on_build"])
def test_a_request_made_while_building_is_served_in_the_first_step(setup, when):
    first, second, cfg = asking(setup, "", {(when, 0): rm.ask_pause})
    with first:
        first.run(RunSteps(5), run_cfg=cfg)
        assert first.t.get() == second.t.get() == 1
        first.run(RunSteps(5))
        assert second.t.get() == 6


@every_setup
def test_a_pause_costs_the_asking_process_its_own_learning_only(setup):
    first, second, cfg = asking(setup, "lrn post", {("SPK", 2): rm.ask_pause})
    with first:
        first.run(RunSteps(5), run_cfg=cfg)
        assert trace(first) == [(1, 1), (3, 1), (4, 1), (1, 2)]
        assert trace(second) == [(1, 1), (1, 2)]


@every_setup
def test_a_pausing_process_takes_part_in_the_learning_of_others(setup):
    first, second, cfg = asking(setup, "lrn", {("SPK", 2): rm.ask_pause}, learner=True)
    with first:
        first.run(RunSteps(5), run_cfg=cfg)
        assert trace(first) == trace(second) == [(1, 1), (3, 1), (1, 2), (3, 2)]


def trace(process):
    return [tuple(row) for row in process.trace.get().tolist() if row[0]]


@every_setup
def test_one_process_asks_for_both(setup):
    """Pause is served; stop stays pending until the next handler of that process has ended."""
    first, second, cfg = asking(setup, "", {("SPK", 3): rm.ask_both})
    first.run(RunSteps(9), run_cfg=cfg)
    assert first.t.get() == second.t.get() == 3
    assert not first.runtime.is_closed
    first.run(RunSteps(9))
    assert first.runtime.is_closed
    assert first.t.get() == second.t.get() == 4


@every_setup
def test_one_process_asks_for_pause_and_another_for_stop(setup):
    """Pause is served; the next run executes no step and stops."""
    first = rm.Asking(name="first", script={("SPK", 3): rm.ask_pause})
    second = rm.Asking(name="second", script={("SPK", 3): rm.ask_stop})
    rm.ring(first, second)
    first.run(RunSteps(9), run_cfg=config(setup))
    assert first.t.get() == second.t.get() == 3
    assert not first.runtime.is_closed
    first.run(RunSteps(9))
    assert first.runtime.is_closed
    assert first.t.get() == second.t.get() == 3


@every_setup
def test_a_request_that_is_withdrawn_changes_nothing(setup):
    first, second, cfg = asking(setup, "lrn", {("SPK", 2): rm.change_mind})
    with first:
        first.run(RunSteps(3), run_cfg=cfg)
        assert first.t.get() == second.t.get() == 3
        assert trace(first) == [(1, 1), (3, 1), (1, 2), (3, 2), (1, 3), (3, 3)]


@pytest.mark.parametrize("step", [1, 7, 30])
def test_a_request_that_the_compiler_could_not_foresee_still_gives_a_consistent_cut(step):
    members = rm.ring(
        rm.Plain(name="p0"), rm.Plain(name="p1", script={("SPK", step): rm.ask_secretly}), rm.Plain(name="p2")
    )
    with members[0]:
        members[0].run(RunSteps(10**6), run_cfg=config("local-2-elastic", partitions=3))
        assert members[0].runtime.plan.sync == "elastic"
        (n,) = {int(m.t.get()[0]) for m in members}
        assert step <= n <= step + 3 * 64
        members[0].run(RunSteps(5))
        assert {int(m.t.get()[0]) for m in members} == {n + 5}


def test_pause_and_stop_that_the_compiler_could_not_foresee():
    """Their workers run ahead of each other, and both come to the step: pause is served, then stop."""
    members = rm.ring(
        rm.Plain(name="p0", script={("SPK", 5): rm.ask_secretly}),
        rm.Plain(name="p1", script={("SPK", 5): rm.ask_secretly_for_stop}),
    )
    with members[0]:
        members[0].run(RunSteps(10**6), run_cfg=config("local-2-elastic"))
        assert members[0].runtime.plan.sync == "elastic"
        assert not members[0].runtime.is_closed
        n = int(members[0].t.get()[0])
        assert n == members[1].t.get() >= 5
        members[0].run(RunSteps(5))
        assert members[0].runtime.closed_because == "was stopped by a model"
        assert members[0].t.get() == members[1].t.get() == n


@every_setup
def test_a_user_pause_and_a_pause_of_a_model_together(setup):
    first, second, cfg = asking(setup, "", {("SPK", 5): rm.ask_pause})
    with first:
        first.run(RunContinuous(), run_cfg=cfg)
        first.pause()
        n = int(first.t.get()[0])
        assert n <= 5
        assert second.t.get() == n
        first.run(RunSteps(10))
        end = 5 if n < 5 else 15
        assert first.t.get() == second.t.get() == end


# --- phases -------------------------------------------------------------------------------------------------


@every_setup
def test_guards_and_phases_across_partitions(setup):
    """Whoever asks brings the phase for all; everybody's own guard decides whether it takes part."""
    probes = [
        PhaseProbe(name="a", pre=2, lrn=0, post=3),
        PhaseProbe(name="b", pre=2, lrn=2, post=0),
        PhaseProbe(name="c", pre=0, lrn=4, post=0),
    ]
    for k, probe in enumerate(probes):
        probe.o.connect(probes[(k + 1) % 3].i)
    with probes[0]:
        probes[0].run(RunSteps(6), run_cfg=config(setup))
        expected = {"a": [], "b": [], "c": []}
        for t in range(1, 7):
            for phases in expected.values():
                phases.append((int(Phase.SPK), t))
            learning = t % 2 == 0
            if learning:
                expected["a"].append((int(Phase.PRE_MGMT), t))
                expected["b"].append((int(Phase.PRE_MGMT), t))
                expected["b"].append((int(Phase.LRN), t))
                if t % 4 == 0:
                    expected["c"].append((int(Phase.LRN), t))
            if t % 3 == 0:
                expected["a"].append((int(Phase.POST_MGMT), t))
        for probe in probes:
            rows = probe.trace.get()[: int(probe.n.get()[0])]
            assert [tuple(r) for r in rows.tolist()] == expected[probe.name]


@every_setup
def test_pre_management_alone_never_happens(setup):
    probe = PhaseProbe(pre=1)
    probe.o.connect(probe.i)
    cfg = config(setup, partitions=1) if setup != "inline" else config(setup)
    with probe:
        probe.run(RunSteps(3), run_cfg=cfg)
        assert probe.n.get() == 3


# --- Vars ---------------------------------------------------------------------------------------------------


@pytest.fixture(params=["inline", "local-1-elastic"])
def shelf(request):
    shelf = rm.Shelf(name="shelf")
    shelf.create_runtime(run_cfg=config(request.param))
    yield shelf
    shelf.stop()


WHOLE = {
    "ints": (np.int64, [[9, 8, 7], [6, 5, 4]]),
    "small": (np.int8, [1, -2, 3, -4]),
    "floats": (np.float32, [0.25, -0.5, 1e30]),
    "bools": (np.bool_, [True, False, True]),
    "complexes": (np.complex128, [1j, 2.5]),
    "fortran": (np.float64, [[0.5, 1, 2], [3, 4, 5]]),
    "strided": (np.int64, [5, 6, 7]),
    "number": (np.int64, [42]),
    "real": (np.float64, [0.125]),
    "flag": (np.bool_, [False]),
}


@pytest.mark.parametrize("name", list(WHOLE))
def test_whole_arrays_keep_dtype_and_survive_a_run(shelf, name):
    dtype, value = WHOLE[name]
    var = getattr(shelf, name)
    before = var.get()
    assert before.dtype == dtype
    assert before.shape == var.shape
    var.set(np.array(value))
    for _ in range(2):
        got = var.get()
        assert got.dtype == dtype
        assert np.array_equal(got, np.array(value, dtype))
        got[...] = 0  # the caller owns it
        shelf.run(RunSteps(1))
    shelf.stop()
    assert np.array_equal(var.get(), np.array(value, dtype))


def test_initial_values_by_declared_type(shelf):
    assert shelf.ints.get().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert shelf.small.get().tolist() == [7] * 4
    assert shelf.strided.get().tolist() == [0, 1, 2]
    assert shelf.fortran.get().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [shelf.number.get().tolist(), shelf.real.get().tolist(), shelf.flag.get().tolist()] == [
        [3],
        [2.5],
        [True],
    ]
    assert shelf.text.get() == "abc"


def test_lists_and_numbers_can_be_set(shelf):
    shelf.floats.set([1, 2, 3])
    assert shelf.floats.get().tolist() == [1, 2, 3]
    shelf.ints.set(-1)
    assert shelf.ints.get().tolist() == [[-1] * 3] * 2


def test_large_and_empty_integers_are_exact(shelf):
    shelf.ints.set(np.full((2, 3), 2**62 + 1))
    assert shelf.ints.get()[1, 2] == 2**62 + 1


def test_text_is_set_whole(shelf):
    shelf.text.set("something longer")
    shelf.run(RunSteps(1))
    assert shelf.text.get() == "something longer"
    with pytest.raises(DtypeError, match="holds a string"):
        shelf.text.set(np.array([1]))
    with pytest.raises(DtypeError, match="holds numbers"):
        shelf.ints.set("abc")


def test_get_with_an_index_has_numpy_meaning(shelf):
    full = shelf.ints.get()
    for idx in (0, 1, (1, 2), (slice(None), 1), [1, 0], full > 2, np.array([0, 0])):
        assert np.array_equal(shelf.ints.get(idx), full[idx])
    with pytest.raises(IndexError):
        shelf.ints.get(5)


@pytest.mark.parametrize("name", ["ints", "fortran"])
@pytest.mark.parametrize(
    ("idx", "value"),
    [
        (0, [7, 8, 9]),
        (1, 5),
        ((1, 2), 5),
        ((slice(None), 1), [5, 6]),
        ([1, 0], [[1, 2, 3], [4, 5, 6]]),
        (np.array([[True, False, True], [False, False, False]]), [8, 9]),
        (Ellipsis, 3),
    ],
)
def test_set_with_an_index_has_numpy_meaning(shelf, name, idx, value):
    var = getattr(shelf, name)
    expected = var.get()
    expected[idx] = value
    var.set(np.array(value), idx)
    assert np.array_equal(var.get(), expected)
    shelf.run(RunSteps(1))
    assert np.array_equal(var.get(), expected)


def test_set_with_an_index_into_scalars(shelf):
    shelf.number.set(8, idx=0)
    assert shelf.number.get().tolist() == [8]
    shelf.run(RunSteps(1))


@pytest.mark.parametrize(
    ("value", "idx", "error"),
    [
        (np.zeros(3), None, ShapeError),
        (np.zeros((3, 2)), None, ShapeError),
        (np.zeros((1, 2, 3)), None, ShapeError),
        (np.zeros(0), None, ShapeError),
        (np.zeros(2), 0, ShapeError),
        (np.zeros((2, 2)), slice(None), ShapeError),
        (1, 7, IndexError),
        ("abc", None, DtypeError),
        (np.array(["a"] * 6).reshape(2, 3), None, DtypeError),
        ({"a": 1}, None, DtypeError),
    ],
)
def test_values_that_do_not_fit_change_nothing(shelf, value, idx, error):
    with pytest.raises(error) as caught:
        shelf.ints.set(value, idx)
    if error is not IndexError:
        assert "shelf.ints" in str(caught.value)
    assert shelf.ints.get().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert shelf.updates.get() == 0
    shelf.run(RunSteps(1))


def test_the_model_hears_of_every_set(shelf):
    shelf.ints.set(1)
    shelf.floats.set(2)
    assert shelf.updates.get() == 2


@pytest.mark.parametrize("idx", [None, 1])
def test_a_model_may_refuse_a_value(shelf, idx):
    with pytest.raises(OverflowError, match="guarded must not be negative"):
        shelf.guarded.set(-5, idx)
    assert shelf.guarded.get().tolist() == [1, 1]
    assert shelf.updates.get() == 0
    shelf.guarded.set(5, idx)
    assert shelf.guarded.get().tolist() == ([5, 5] if idx is None else [1, 5])
    shelf.run(RunSteps(1))


@pytest.mark.parametrize("setup", ["inline", "local-1-elastic"])
def test_one_var_that_cannot_be_read_does_not_hide_the_others(setup):
    loose = rm.Loose(name="loose")
    loose.run(RunSteps(1), run_cfg=config(setup))
    with pytest.raises(DtypeError, match=r"loose\.odd"):
        loose.odd.get()
    assert loose.z_good.get() == 5
    loose.stop()
    assert loose.a_good.get() == 4
    assert loose.z_good.get() == 5
    with pytest.raises(StateError, match=r"loose\.odd"):
        loose.odd.get()


@every_setup
def test_a_large_array(setup):
    ramp = rm.Ramp(shape=(700, 700))
    total = rm.Total(shape=(700, 700))
    ramp.out.connect(total.into)
    with ramp:
        ramp.run(RunSteps(3), run_cfg=config(setup))
        assert (total.total.get() == 6).all()
        value = np.arange(490_000).reshape(700, 700)
        total.total.set(value)
        ramp.run(RunSteps(1))
        assert np.array_equal(total.total.get(), value + 4)


# --- monitors -------------------------------------------------------------------------------------------------


@every_setup
def test_monitored_data_between_runs_and_after_stop(network, setup):
    ramp, total = network
    monitor = Monitor()
    monitor.probe(total.total, 6)
    monitor.probe(ramp.out, 6)
    assert (monitor.get_data()["total"]["total"] == 0).all()
    expected = np.zeros((6, 2), dtype=int)
    for n in (2, 6):
        ramp.run(RunSteps(n - (ramp.runtime.step if ramp.runtime else 0)), run_cfg=config(setup))
        expected[:n] = [sums(t) for t in range(1, n + 1)]
        assert np.array_equal(monitor.get_data()["total"]["total"], expected)
    ramp.stop()
    assert np.array_equal(monitor.get_data()["total"]["total"], expected)
    assert monitor.get_data()["ramp"]["out"].tolist() == [[t, t] for t in range(1, 7)]


@both_syncs
def test_results_do_not_depend_on_the_capacity_of_channels(sync):
    results = []
    for capacity in (1, 2, 3, 64):
        members = rm.ring(*(rm.Plain(name=f"p{k}") for k in range(3)))
        with members[0]:
            members[0].run(
                RunSteps(100),
                run_cfg=config("local-2-elastic", sync=sync, partitions=3),
                compile_config={"pypy_channel_size": capacity},
            )
            results.append([int(m.x.get()[0]) for m in members])
    assert results == [results[0]] * 4
