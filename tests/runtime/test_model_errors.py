"""What the user sees when a model raises."""

from __future__ import annotations

import numpy as np
import pytest
import runtime_models as rm
from setups import config, every_local_setup, every_setup
from support.deadline import until

from lahar.processes import Monitor
from lahar.processes.errors import ModelError, StateError
from lahar.runtime import RunContinuous, RunSteps

pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")


def failing(setup, script, guards="", second=None):
    """Return a ring of two; the first obeys `script`, the other `second`, and waits for the first."""
    first = rm.Scripted(name="first", guards=guards, script=script)
    other = rm.Scripted(name="second", guards=guards, script=second)
    rm.ring(first, other)
    return first, other, config(setup)


def caught(process, cfg, steps=10):
    """Run into a failure and return it."""
    with pytest.raises(ModelError) as info:
        process.run(RunSteps(steps), run_cfg=cfg)
    return info.value


PLACES = {
    "SPK": ("", "SPK", 4),
    "PRE_MGMT": ("pre lrn", "PRE_MGMT", 4),
    "LRN": ("lrn", "LRN", 4),
    "POST_MGMT": ("post", "POST_MGMT", 4),
    "lrn_guard": ("lrn", "SPK", 4),
    "pre_guard": ("pre lrn", "SPK", 4),
    "post_guard": ("post", "SPK", 4),
}


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("place", list(PLACES))
def test_an_exception_of_a_model_says_where_and_why(setup, place):
    guards, phase, step = PLACES[place]
    first, second, cfg = failing(setup, {(place, step): rm.fail}, guards)
    error = caught(first, cfg)
    assert isinstance(error, RuntimeError)
    assert (error.process, error.phase, error.time_step) == ("first", phase, step)
    text = str(error)
    assert text.startswith("1 Exception(s) occurred")
    assert f"Process 'first' (Scripted), phase {phase}, time step {step}: ZeroDivisionError" in text
    assert "first fails on purpose" in error.remote_traceback
    assert "actions.py" in error.remote_traceback
    assert error.remote_traceback.strip() in text
    assert isinstance(error.__cause__, ZeroDivisionError)
    # afterwards everything that remains can be read, and nothing else is possible
    assert first.runtime.is_closed
    assert second.t.get() in (step - 1, step)
    assert first.t.get() == step
    for call in (first.stop, second.wait, first.pause, second.stop):
        assert call() is None
    with pytest.raises(StateError, match="has failed"):
        first.run(RunSteps(1))
    with pytest.raises(StateError, match="has failed"):
        first.x.set(np.zeros(1))


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("place", ["build", "on_build"])
@pytest.mark.parametrize("action", [rm.fail, rm.system_exit, rm.fail_to_pickle])
def test_an_exception_while_models_are_built(setup, place, action):
    first, second, cfg = failing(setup, {(place, 0): action})
    with pytest.raises(ModelError) as info:
        first.create_runtime(run_cfg=cfg)
    error = info.value
    assert (error.process, error.phase, error.time_step) == ("first", "build", 0)
    assert "Process 'first' (Scripted), phase build" in str(error)
    assert "actions.py" in error.remote_traceback
    assert first.runtime is None
    assert second.x.get() == 1
    # the network can be repaired and started
    first.proc_params["script"].clear()
    with first:
        first.run(RunSteps(2), run_cfg=cfg)
        assert second.t.get() == 2


@pytest.mark.usefixtures("pool")
@every_setup
def test_exceptions_of_several_models_while_building_are_both_told_or_one(setup):
    first, _, cfg = failing(setup, {("build", 0): rm.fail}, second={("build", 0): rm.fail})
    error = caught(first, cfg)
    assert error.phase == "build"
    assert error.process in ("first", "second")


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("phase", ["SPK", "POST_MGMT"])
def test_two_of_three_models_fail_in_one_phase(setup, phase):
    script = {(phase, 3): rm.fail}
    members = [
        rm.Scripted(name="a", guards="post", script=script),
        rm.Scripted(name="b", guards="post"),
        rm.Scripted(name="c", guards="post", script=script),
    ]
    rm.ring(*members)
    cfg = config(setup, partitions=3) if "2" in setup else config(setup)
    error = caught(members[0], cfg)
    assert str(error).startswith("2 Exception(s) occurred")
    assert "Process 'a' (Scripted)" in str(error)
    assert "Process 'c' (Scripted)" in str(error)
    assert error.process in ("a", "c")


@pytest.mark.usefixtures("pool")
@every_setup
def test_two_models_of_one_worker_fail_in_one_phase(setup):
    script = {("SPK", 3): rm.fail}
    first, _, cfg = failing(setup, script, second=script)
    error = caught(first, config("local-1-elastic") if "2" in setup else cfg)
    assert str(error).startswith("2 Exception(s) occurred")
    assert error.time_step == 3


@pytest.mark.usefixtures("pool")
@every_local_setup
@pytest.mark.parametrize("place", [("build", 0), ("SPK", 3)])
def test_a_worker_frees_what_filled_its_memory_before_it_reports_that(setup, place):
    first, _, cfg = failing(setup, {place: rm.exhaust})
    error = caught(first, cfg)
    assert "memory was freed" in str(error)
    assert "raise ExhaustedError(array)" in error.remote_traceback
    assert isinstance(error.__cause__, MemoryError)


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize(
    ("action", "summary", "picklable"),
    [
        (rm.system_exit, "SystemExit: 3", True),
        (rm.fail_to_pickle, "LockError: holds a lock", False),
        (rm.fail_to_rebuild, "RebuildError: code 5 at first", False),
    ],
)
def test_exceptions_of_every_kind_reach_the_caller(setup, action, summary, picklable):
    first, second, cfg = failing(setup, {("SPK", 3): action})
    error = caught(first, cfg)
    assert summary in str(error)
    assert action.__name__ in error.remote_traceback
    if picklable or setup == "inline":
        assert type(error.__cause__).__name__ == summary.split(":")[0]
    else:
        assert error.__cause__ is None
    assert second.t.get() in (2, 3)


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("verb", ["wait", "pause", "stop"])
@pytest.mark.parametrize("condition", [RunSteps(50, blocking=False), RunContinuous()])
def test_a_failure_of_a_non_blocking_run_appears_at_the_next_call(setup, verb, condition):
    first, _, cfg = failing(setup, {("SPK", 3): rm.fail})
    first.run(condition, run_cfg=cfg)
    with pytest.raises(ModelError, match="first fails on purpose"):
        _later(first, verb)
    assert first.runtime.is_closed
    first.stop()


def _later(process, verb):
    """Call `verb` when the run has ended by itself: a pause may come before the failure."""
    if verb != "wait":
        until(lambda: process.runtime._network.join(0) is not None)
    getattr(process, verb)()


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("verb", ["run", "get", "set"])
def test_a_failure_nobody_waited_for_appears_at_run_get_and_set(setup, verb):
    first, _, cfg = failing(setup, {("SPK", 3): rm.fail})
    first.run(RunSteps(50, blocking=False), run_cfg=cfg)
    until(lambda: first.runtime._network.join(0) is not None)
    calls = {
        "run": lambda: first.run(RunSteps(1)),
        "get": first.x.get,
        "set": lambda: first.x.set(np.zeros(1)),
    }
    with pytest.raises(ModelError, match="first fails on purpose"):
        calls[verb]()
    assert first.t.get() == 3
    first.stop()


@pytest.mark.usefixtures("pool")
@every_setup
def test_a_context_manager_reports_the_failure(setup):
    first, _, cfg = failing(setup, {("SPK", 3): rm.fail})

    def use():
        with first:
            first.run(RunSteps(50, blocking=False), run_cfg=cfg)
            until(lambda: first.runtime._network.join(0) is not None)

    with pytest.raises(ModelError, match="first fails on purpose"):
        use()
    assert first.runtime.is_closed


@pytest.mark.usefixtures("pool")
@every_setup
def test_recorded_data_survive_a_failure(setup):
    first, second, cfg = failing(setup, {("SPK", 5): rm.fail})
    monitor = Monitor()
    monitor.probe(second.t, 20)
    caught(first, cfg, 20)
    rows = monitor.get_data()["second"]["t"][:, 0]
    assert rows[:3].tolist() == [1, 2, 3]
    assert (rows[6:] == 0).all()


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("setup", ["inline", "local-1-elastic", "local-2-lockstep"])
def test_an_exception_that_interrupts_a_wait_runs_finally_clauses(setup, short_dir):
    """The second process waits for the first; its handler is unwound when the first fails."""
    first, second = rm.Scripted(name="first", script={("SPK", 3): rm.fail}), rm.Unwinding(name="second")
    rm.ring(first, second)
    second.proc_params["log"] = str(short_dir / "unwound")
    caught(first, config(setup))
    assert (short_dir / "unwound").read_text() == "3"


@pytest.mark.usefixtures("pool")
@every_setup
def test_a_reference_that_cannot_write_fails_the_run_like_a_model(setup):
    owner = rm.Refusing(name="owner", above=29)
    writer = rm.Reader(name="writer", action="rw", shape=(1,), phase="POST_MGMT")
    writer.ref.connect_var(owner.v)
    cfg = config(setup) if setup == "inline" else config(setup, partitions=1)
    error = caught(writer, cfg)
    assert (error.process, error.phase, error.time_step) == ("writer", "POST_MGMT", 3)
    assert isinstance(error.__cause__, OverflowError)
    assert "the owner refuses 30" in str(error)
    assert owner.v.get() == 30
