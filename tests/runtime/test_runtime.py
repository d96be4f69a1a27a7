"""What is legal when, for every launcher: starting, waiting, pausing, stopping, from any thread."""

from __future__ import annotations

import threading

import numpy as np
import pytest
import runtime_models as rm
from ramps import assert_at, begun, flags, sums
from setups import config, every_local_setup, every_setup

from lahar import compiler
from lahar.processes.errors import ArgumentTypeError, StateError, UnstartedError, ValidationError
from lahar.runtime import RunContinuous, RunSteps, Runtime

pytestmark = [
    pytest.mark.usefixtures("pool"),
    pytest.mark.filterwarnings("ignore:sync='elastic' could change results"),
]

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
