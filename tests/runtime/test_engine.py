"""The engine: building models, executing phases, and what it reports."""

from __future__ import annotations

import pickle
from contextlib import suppress

import numpy as np
import pytest
import runtime_models as rm
from scipy.sparse import csr_matrix, issparse
from setups import config

from lahar import compiler
from lahar.processes import AbstractProcess, Var
from lahar.processes.errors import DeadlockError, ModelError, RemoteProtocolError
from lahar.processes.model import LavaPyType, Phase, PyLoihiProcessModel
from lahar.runtime import RunSteps
from lahar.runtime.engine import Engine, Failure, Interrupted
from lahar.runtime.outcome import Outcome, to_exception
from lahar.runtime.sequencer import Need


def engine_of(process):
    return Engine(compiler.compile(process, config("inline")), 0)


def go(engine, limit):
    """Run up to time step `limit`; a failed run is interrupted."""

    def idle():
        engine.check_deadlock()
        return True

    engine.begin_run(dict.fromkeys(engine.domains, limit), limit - engine.step)
    with suppress(Interrupted):
        engine.run(idle)
    return engine


# --- building -------------------------------------------------------------------------------------------


class Odd(AbstractProcess):
    """A Process whose model is given by the test."""

    def __init__(self, init=0, shape=(1,), **kwargs):
        super().__init__(**kwargs)
        self.v = Var(shape, init)


def odd_model(**members):
    """Return a model class of Odd and a configuration that selects it."""
    cls = rm.model_of(Odd)(type("OddModel", (PyLoihiProcessModel,), members))
    return config("inline", exception_proc_model_map={Odd: cls})


def test_what_a_model_knows_when_it_is_built():
    seen = {}

    def on_build(self):
        seen.update(vars(self), ports=list(self.py_ports))

    process = Odd(5, name="it", answer=42)
    cfg = odd_model(v=LavaPyType(np.ndarray, np.int16, precision=12), on_build=on_build)
    engine = Engine(compiler.compile(process, cfg), 0)
    assert seen["process_name"] == "it"
    assert seen["model_id"] == process.id
    assert seen["proc_params"]["answer"] == 42
    assert seen["v"].dtype == np.int16
    assert seen["v"].tolist() == [5]
    assert seen["_v_p"] == 12
    assert seen["ports"] == []
    model = engine.actors[0].model
    assert (model.time_step, model.phase) == (0, Phase.SPK)


def test_ports_are_named_after_their_process():
    ramp, total = rm.pair()
    engine = engine_of(ramp)
    ports = {p.name for a in engine.actors for p in a.model.py_ports}
    assert ports == {"ramp.out", "total.into"}
    del total


@pytest.mark.parametrize(
    ("members", "init", "kind", "text"),
    [
        ({"v": LavaPyType(np.ndarray, int), "__init__": lambda self, p: None}, 0, TypeError, r"super\(\)"),
        ({"v": LavaPyType(dict, int)}, 0, TypeError, r"Var 'it\.v': LavaPyType\(.*not supported"),
        ({"v": LavaPyType(csr_matrix, float)}, np.eye(2), TypeError, r"'it\.v': a sparse matrix or a number"),
        ({"v": LavaPyType(csr_matrix, float)}, csr_matrix((3, 3)), ValueError, r"'it\.v' has shape \(2, 2\)"),
    ],
)
def test_models_that_cannot_be_built_name_process_and_reason(members, init, kind, text):
    process = Odd(init, (2, 2), name="it")
    with pytest.raises(ModelError, match=text) as caught:
        process.create_runtime(run_cfg=odd_model(**members))
    assert (caught.value.process, caught.value.phase) == ("it", "build")
    assert isinstance(caught.value.__cause__, kind)
    assert process.runtime is None


@pytest.mark.parametrize("init", [csr_matrix(np.eye(2)), 3])
def test_sparse_vars(init):
    process = Odd(init, (2, 2))
    process.run(RunSteps(1), run_cfg=odd_model(v=LavaPyType(csr_matrix, float)))
    got = process.v.get()
    assert issparse(got)
    assert got.toarray().tolist() == (np.eye(2).tolist() if issparse(init) else [[3, 3], [3, 3]])
    process.stop()
    assert issparse(process.v.get())


def test_the_initial_value_is_not_shared_with_the_model():
    init = np.array([1, 2])
    engine = engine_of(rm.Ramp(shape=(2,), gain=3))
    cfg = odd_model(v=LavaPyType(np.ndarray, init.dtype), run_spk=lambda self: self.v.fill(9))
    go(Engine(compiler.compile(Odd(init, (2,)), cfg), 0), 1)
    assert init.tolist() == [1, 2]
    assert go(engine, 2).actors[0].model.t.tolist() == [2]


# --- executing ------------------------------------------------------------------------------------------


def test_all_models_see_the_same_phase_and_step():
    a, b = rm.ring(rm.Scripted(name="a", guards="lrn post"), rm.Scripted(name="b"))
    engine = engine_of(a)
    moments = []
    (domain,) = engine.domains.values()
    begin = domain._begin

    def note(phase, step):
        calls = begin(phase, step)
        moments.append((phase, {(x.model.phase, x.model.time_step) for x in engine.actors}, len(calls)))
        return calls

    domain._begin = note
    go(engine, 2)
    assert moments == [
        (phase, {(phase, step)}, 2 if phase is Phase.SPK else 1)
        for step in (1, 2)
        for phase in (Phase.SPK, Phase.LRN, Phase.POST_MGMT)
    ]
    del b


def test_runs_continue_where_they_ended():
    ramp, total = rm.pair()
    engine = go(engine_of(ramp), 3)
    assert engine.get(total.total.id).tolist() == [6, 6]
    go(engine, 3)
    assert engine.steps == {0: 3}
    assert engine.step == 3
    assert not engine.unfinished
    assert go(engine, 5).get(total.total.id).tolist() == [15, 15]


def test_a_failure_ends_the_run_after_the_phase():
    a, b = rm.ring(rm.Scripted(name="a", script={("LRN", 2): rm.fail}, guards="lrn"), rm.Scripted(name="b"))
    engine = go(engine_of(a), 9)
    (failure,) = engine.take_failures()
    assert (failure.process, failure.process_class, failure.phase, failure.time_step) == (
        "a",
        "Scripted",
        "LRN",
        2,
    )
    assert failure.summary == "ZeroDivisionError: a fails on purpose"
    assert failure.traceback.startswith("Traceback (most recent call last):")
    assert "in fail" in failure.traceback
    assert engine.take_failures() == []
    assert engine.get(b.t.id).tolist() == [2]


def test_whoever_waits_for_a_failed_process_is_no_deadlock():
    a, b = rm.ring(rm.Scripted(name="a", script={("SPK", 1): rm.fail}), rm.ReceiveFirst(name="b"))
    engine = go(engine_of(a), 9)
    assert [f.process for f in engine.take_failures()] == ["a"]
    assert engine.get(b.got.id).tolist() == [0]


@pytest.mark.parametrize("setup", ["inline", "local-1-lockstep", "local-1-elastic"])
def test_two_processes_that_receive_first_are_a_deadlock(setup):
    a, b = rm.ring(rm.ReceiveFirst(name="a"), rm.ReceiveFirst(name="b"))
    with pytest.raises(DeadlockError) as caught:
        a.run(RunSteps(5), run_cfg=config(setup))
    text = str(caught.value)
    assert "time step 1, phase SPK" in text
    assert "a.into waits in recv() for b.out" in text
    assert "b.into waits in recv() for a.out" in text
    assert "traffic.py" in text
    # it is the end of the network, and an orderly one
    assert a.runtime.is_closed
    assert b.got.get() == 0
    a.stop()


def test_a_deadlock_later_in_the_run_of_a_non_blocking_one_appears_at_wait():
    a, b = rm.ring(rm.ReceiveFirst(name="a"), rm.Scripted(name="b", script={("SPK", 4): take_one_more}))
    a.run(RunSteps(9, blocking=False), run_cfg=config("inline"))
    with pytest.raises(DeadlockError, match="time step 4"):
        a.wait()
    assert b.t.get() == 4


def take_one_more(model):
    model.into.recv()


# --- outcomes -------------------------------------------------------------------------------------------


def failure(process="p", error=None, step=3):
    return Failure(
        process, "Thing", "SPK", step, f"ValueError: {process}", f"Traceback of {process}\n", error
    )


def test_a_good_outcome_raises_nothing():
    outcome = Outcome(7, Need.PAUSE)
    assert not outcome.failed
    assert outcome.raise_if_failed() is None


def test_one_exception_tells_of_all_failures_and_is_about_the_first():
    error = ValueError("p")
    outcome = Outcome(3, failures=[failure("p", error), failure("q")])
    assert outcome.failed
    with pytest.raises(ModelError) as caught:
        outcome.raise_if_failed()
    assert caught.value.__cause__ is error
    assert (caught.value.process, caught.value.phase, caught.value.time_step) == ("p", "SPK", 3)
    assert str(caught.value).split("\n") == [
        "2 Exception(s) occurred in process models.",
        "Process 'p' (Thing), phase SPK, time step 3: ValueError: p",
        "Process 'q' (Thing), phase SPK, time step 3: ValueError: q",
        "",
        "Traceback in process 'p':",
        "Traceback of p",
    ]


def test_other_errors_are_raised_as_they_are():
    error = RemoteProtocolError("nonsense")
    with pytest.raises(RemoteProtocolError) as caught:
        Outcome(3, error=error).raise_if_failed()
    assert caught.value is error


def test_a_model_error_can_be_pickled():
    error = to_exception([failure()])
    again = pickle.loads(pickle.dumps(error))
    assert str(again) == str(error)
    assert vars(again) == vars(error)
