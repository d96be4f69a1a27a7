"""A Runtime made by hand: which Processes use it, and where it is refused."""

from __future__ import annotations

import gc

import numpy as np
import pytest
import runtime_models as rm
from setups import config, every_setup

from lahar import compiler
from lahar.processes import LIF, Extractor, Injector, Monitor
from lahar.processes.errors import ModelError, StateError, ValidationError
from lahar.processes.process import ProcessServer
from lahar.runtime import RunContinuous, RunSteps, Runtime, serialization

pytestmark = pytest.mark.usefixtures("pool")


@every_setup
def test_vars_and_runs_of_the_processes_go_to_the_runtime(setup):
    ramp, total = rm.pair(gain=2)
    runtime = Runtime(exe=compiler.compile(ramp, config(setup)), message_infrastructure_type=0)
    assert ramp.runtime is total.runtime is None
    assert total.total.get() == 0  # the initial value as it was given
    runtime.initialize()
    assert ramp.runtime is total.runtime is runtime
    runtime.start(run_condition=RunSteps(3))
    assert total.total.get().tolist() == [12, 12]
    ramp.gain.set([1])
    total.total.set(5, 1)
    total.run(RunSteps(1))
    assert total.total.get().tolist() == [16, 9]
    ramp.run(RunContinuous())
    with pytest.raises(StateError, match=r"Cannot read Var 'total\.total' while the network is running"):
        total.total.get()
    total.pause()
    assert ramp.t.get() == total.t.get() >= 4
    runtime.stop()
    assert ramp.t.get() == total.t.get() >= 4
    with pytest.raises(StateError, match="was stopped"):
        ramp.run(RunSteps(1))


@every_setup
def test_monitors_record(setup):
    ramp, total = rm.pair()
    monitor = Monitor(name="watch")
    monitor.probe(total.total, 4)
    monitor.probe(ramp.out, 4)
    with Runtime(compiler.compile(ramp, config(setup))) as runtime:
        assert monitor.runtime is runtime
        runtime.start(RunSteps(3))
        assert monitor.get_data()["total"]["total"][:, 0].tolist() == [1, 3, 6, 0]
        with pytest.raises(ValidationError, match="Run at most 1 more steps"):
            runtime.start(RunSteps(2))
        runtime.start(RunSteps(1))
    assert monitor.get_data()["ramp"]["out"][:, 0].tolist() == [1, 2, 3, 4]


@every_setup
def test_pipes_exchange_arrays(setup):
    injector, extractor = Injector((1,)), Extractor((1,))
    injector.out_port.connect(extractor.in_port)
    with Runtime(compiler.compile(injector, config(setup))) as runtime:
        injector.send(np.array([4.0]))
        runtime.start(RunSteps(1))
        assert extractor.receive().tolist() == [4.0]


def test_processes_use_one_runtime_at_a_time():
    ramp, total = rm.pair()
    plan = compiler.compile(ramp, config("inline"))
    first, second = Runtime(plan), Runtime(plan)
    with first:
        first.start(RunSteps(2))
        with pytest.raises(StateError, match=r"'(ramp|total)' belongs to a network that has been started"):
            second.initialize()
        with pytest.raises(StateError, match=r"'(ramp|total)' belongs to a network that has been started"):
            ramp.compile(config("inline"))
        first.start(RunSteps(1))
        assert total.t.get() == 3
    with second:
        assert total.runtime is second
        second.start(RunSteps(1))
        assert total.t.get() == 1


def test_a_plan_that_is_out_of_date_is_refused():
    lif, monitor = LIF(shape=(1,), name="lif"), Monitor(name="watch")
    monitor.probe(lif.v, 4)
    plan = compiler.compile(lif, config("inline"))
    monitor.probe(lif.u, 4)
    compiler.compile(lif, config("inline"))  # makes new recorders
    with pytest.raises(ValidationError, match="the plan is not of the network of process 'lif'"):
        Runtime(plan).initialize()
    assert lif.runtime is None


def test_models_that_cannot_be_built_leave_the_processes_without_a_runtime():
    first, second = rm.ring(
        rm.Scripted(name="first", script={("build", 0): rm.fail}), rm.Scripted(name="second")
    )
    with pytest.raises(ModelError, match=r"'first'.*fails on purpose"):
        Runtime(compiler.compile(first, config("inline"))).initialize()
    assert first.runtime is second.runtime is None


def compiled_and_forgotten():
    ramp, total = rm.pair()
    return compiler.compile(ramp, config("inline")), total.total.id


def test_a_plan_runs_without_its_processes():
    plan, var = compiled_and_forgotten()
    gc.collect()
    with Runtime(plan) as runtime:
        runtime.start(RunSteps(3))
        assert runtime.get_var(var).tolist() == [6, 6]


def test_a_process_that_has_the_number_of_another_is_left_alone(monkeypatch):
    monkeypatch.setattr(ProcessServer, "_instance", None)
    plan, var = compiled_and_forgotten()
    monkeypatch.setattr(ProcessServer, "_instance", None)
    ramp, total = rm.pair()
    assert [spec.id for spec in plan.processes] == [ramp.id, total.id]
    with Runtime(plan) as runtime:
        runtime.start(RunSteps(3))
        assert runtime.get_var(var).tolist() == [6, 6]
        assert ramp.runtime is total.runtime is None


def test_a_network_that_was_loaded_from_a_file(tmp_path):
    ramp, _ = rm.pair(gain=3)
    serialization.save(ramp, str(tmp_path / "network"), compiler.compile(ramp, config("inline")))
    loaded, plan = serialization.load(str(tmp_path / "network"))
    with Runtime(plan) as runtime:
        runtime.start(RunSteps(2))
        assert loaded.t.get() == 2
        assert loaded.runtime is runtime
        assert ramp.runtime is None
