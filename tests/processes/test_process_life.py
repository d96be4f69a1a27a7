"""The life of Processes with a runtime: compiled, run, stopped, run again."""

from __future__ import annotations

import numpy as np
import pytest

from lahar.compiler import Plan
from lahar.processes import LIF, Dense, SinkRingBuffer, SourceRingBuffer
from lahar.processes.errors import CompileError, StateError, ValidationError
from lahar.runtime import Loihi2SimCfg, RunConfig, RunContinuous, RunSteps, Runtime


def inline(**kwargs):
    return Loihi2SimCfg(launcher="inline", select_tag="floating_pt", **kwargs)


def chain(steps=4):
    source = SourceRingBuffer(data=np.arange(2 * steps).reshape(2, steps), name="source")
    dense = Dense(weights=np.eye(2), num_message_bits=8, name="dense")
    sink = SinkRingBuffer(shape=(2,), buffer=steps, name="sink")
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(sink.a_in)
    return source, dense, sink


def test_the_first_run_needs_a_run_config():
    with pytest.raises(ValidationError, match=r"'alone' runs for the first time: pass run_cfg"):
        LIF(shape=(1,), name="alone").run(RunSteps(1))


def test_create_runtime_needs_a_run_config_or_an_executable():
    with pytest.raises(ValidationError, match="run_cfg"):
        LIF(shape=(1,)).create_runtime()


def test_wait_pause_and_stop_without_a_runtime_do_nothing():
    process = LIF(shape=(1,))
    process.wait()
    process.pause()
    process.stop()


@pytest.mark.parametrize("verb", ["save", "load"])
def test_saving_and_loading_is_done_elsewhere(verb):
    with pytest.raises(NotImplementedError, match=rf"lahar\.runtime\.serialization\.{verb}\(.*'net'"):
        getattr(chain()[0], verb)("net")


def test_with_gives_the_process_and_stops_the_network():
    source, dense, sink = chain()
    with source as entered:
        assert entered is source
        source.run(RunSteps(2), inline())
    assert dense.runtime.is_closed
    assert sink.data.get().shape == (2, 4)


def test_with_stops_the_network_and_lets_exceptions_pass():
    source, *_ = chain()

    def fail():
        with source:
            source.run(RunSteps(1), inline())
            raise KeyError

    with pytest.raises(KeyError):
        fail()
    assert source.runtime.is_closed


def test_compile_gives_a_plan_and_sets_no_runtime():
    source, dense, sink = chain()
    plan = dense.compile(inline())
    assert isinstance(plan, Plan)
    assert {p.name for p in plan.processes} == {"source", "dense", "sink"}
    assert [p.is_compiled for p in (source, dense, sink)] == [True] * 3
    assert [p.runtime for p in (source, dense, sink)] == [None] * 3
    assert "PyDense" in dense.model_class.__name__


def test_a_network_is_compiled_as_often_as_wanted_before_it_runs():
    source, *_ = chain()
    assert len(source.compile(inline()).processes) == len(source.compile(inline()).processes) == 3


def test_a_failed_compilation_leaves_the_network_uncompiled():
    source, dense, sink = chain()
    with pytest.raises(CompileError):
        source.compile(RunConfig(launcher="inline"))
    assert [p.is_compiled for p in (source, dense, sink)] == [False] * 3
    source.run(RunSteps(4), inline())
    source.stop()
    assert sink.data.get()[0].tolist() == [0, 0, 1, 2]


def test_every_process_of_the_network_gets_the_runtime():
    source, dense, sink = chain()
    dense.create_runtime(inline())
    assert source.runtime is dense.runtime is sink.runtime
    assert isinstance(source.runtime, Runtime)
    sink.stop()
    assert source.runtime.is_closed


def test_a_run_config_is_ignored_while_there_is_a_runtime():
    source, _, sink = chain()
    source.run(RunSteps(2), inline())
    sink.run(RunSteps(2), run_cfg="anything")
    sink.stop()
    assert sink.data.get()[0].tolist() == [0, 0, 1, 2]


def test_an_executable_can_be_run():
    source, _, sink = chain()
    plan = source.compile(inline())
    source.create_runtime(executable=plan)
    source.run(RunSteps(3))
    source.stop()
    assert sink.data.get()[1].tolist() == [0, 4, 5, 0]


def test_an_executable_of_another_network_is_refused():
    plan = chain()[0].compile(inline())
    source, _, sink = chain()
    with pytest.raises(
        ValidationError, match="not of the network of process 'source': 'source' does not belong"
    ):
        source.create_runtime(executable=plan)
    source.run(RunSteps(3), inline())
    source.stop()
    assert sink.data.get()[1].tolist() == [0, 4, 5, 0]


def test_an_executable_does_not_replace_a_network_that_has_been_started():
    source, _, sink = chain()
    plan = source.compile(inline())
    source.run(RunSteps(2), inline())
    with pytest.raises(StateError, match="belongs to a network that has been started"):
        sink.create_runtime(executable=plan)
    source.run(RunSteps(1))
    source.stop()
    assert sink.data.get()[1].tolist() == [0, 4, 5, 0]


def test_a_stopped_network_says_how_to_start_again():
    source, dense, sink = chain()
    source.run(RunSteps(1), inline())
    source.stop()
    with pytest.raises(StateError, match=r"'dense' was stopped.*create_runtime\(run_cfg="):
        dense.run(RunSteps(1), inline())
    dense.create_runtime(inline())
    dense.run(RunSteps(4))
    dense.stop()
    assert sink.data.get()[0].tolist() == [0, 0, 1, 2]


def test_stopping_twice_is_harmless():
    source, *_ = chain()
    source.run(RunSteps(1), inline())
    source.stop()
    source.stop()


def test_a_stopped_network_can_grow():
    source, _, sink = chain()
    source.run(RunSteps(1), inline())
    source.stop()
    more = SinkRingBuffer(shape=(2,), buffer=4)
    source.s_out.connect(more.a_in)
    more.create_runtime(inline())
    more.run(RunSteps(4))
    more.stop()
    assert more.data.get()[0].tolist() == [0, 1, 2, 3]
    assert sink.data.get()[0].tolist() == [0, 0, 1, 2]


@pytest.mark.parametrize("grow", [False, True])
def test_a_started_network_is_not_compiled_again(grow):
    source, _, sink = chain()
    source.run(RunSteps(1), inline())
    start = source
    if grow:
        start = SinkRingBuffer(shape=(2,), buffer=1)
        source.s_out.connect(start.a_in)
    with pytest.raises(StateError, match=r"'(source|dense|sink)' belongs to a network that has been started"):
        start.create_runtime(inline())
    source.run(RunSteps(3))
    source.stop()
    assert sink.data.get()[0].tolist() == [0, 0, 1, 2]


def test_a_running_network_says_that_it_runs():
    source, *_ = chain()
    source.run(RunContinuous(), inline())
    try:
        with pytest.raises(StateError, match="running; call wait"):
            source.run(RunSteps(1))
    finally:
        source.stop()


def test_a_run_that_does_not_block_is_waited_for():
    source, _, sink = chain()
    source.run(RunSteps(4, blocking=False), inline())
    sink.wait()
    assert sink.data.get()[0].tolist() == [0, 0, 1, 2]
    source.stop()


@pytest.mark.parametrize("condition", [3, None, RunSteps])
def test_a_condition_must_be_one(condition):
    source, *_ = chain()
    with source, pytest.raises(ValidationError, match="RunSteps or RunContinuous expected"):
        source.run(condition, inline())


@pytest.mark.parametrize("steps", [-1, 2.5, True, "3"])
def test_run_steps_takes_non_negative_integers(steps):
    with pytest.raises(ValidationError, match=r"RunSteps\.num_steps"):
        RunSteps(steps)


def test_zero_steps_are_possible():
    source, _, sink = chain()
    source.run(RunSteps(0), inline())
    source.run(RunSteps(np.int64(4)))
    source.stop()
    assert sink.data.get()[0].tolist() == [0, 0, 1, 2]
