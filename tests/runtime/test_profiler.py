"""The profiler: what is counted and timed, that it changes no result, and that it costs nothing unless used."""

import doctest
import gc

import numpy as np
import pytest
import runtime_models as rm
from setups import both_syncs, config, every_setup
from support.profiled import WORK, Patient, Slow
from support.sparse_nodes import Lister, Listing

from lahar import compiler
from lahar.processes import LIF, Dense, LearningDense, Monitor, SourceRingBuffer, STDPLoihi
from lahar.processes.errors import ArgumentTypeError, ModelError, StateError
from lahar.runtime import Loihi2SimCfg, Profiler, RunConfig, RunSteps, Runtime
from lahar.runtime import profiler as profiler_module
from lahar.runtime.engine import Engine
from lahar.runtime.profiler import CPUProfiler
from lahar.runtime.scheduler import Scheduler
from lahar.runtime.serialization import load, save

pytestmark = pytest.mark.usefixtures("pool")


def calls(profile):
    return {(c["process"], c["phase"]): int(c["calls"]) for c in profile.calls}


def sent(profile):
    names = ("messages", "bytes", "events")
    return {f"{p['process']}.{p['port']}": tuple(int(p[n]) for n in names) for p in profile.ports}


@every_setup
def test_calls_and_messages_are_counted_over_all_runs(setup):
    ramp, total = rm.pair()
    cfg = config(setup)
    profiler = Profiler.init(cfg)
    with ramp:
        ramp.run(RunSteps(4), cfg)
        assert calls(profiler.profile) == {("ramp", "SPK"): 4, ("total", "SPK"): 4}
        ramp.run(RunSteps(6))
        assert total.total.get().tolist() == [55, 55]
    profile = profiler.profile  # readable after the end
    assert profile.steps == 10
    assert calls(profile) == {("ramp", "SPK"): 10, ("total", "SPK"): 10}
    assert sent(profile) == {"ramp.out": (10, 10 * 2 * 8, 20)}
    plan = ramp.runtime.plan
    assert profile.calls["partition"].tolist() == plan.partition
    assert profile.calls["class_name"].tolist() == ["Ramp", "Total"]
    assert profile.workers["partition"].tolist() == list(range(plan.partitions))
    for worker in profile.workers:
        busy = profile.calls["seconds"][profile.calls["partition"] == worker["partition"]].sum()
        assert 0 < busy + worker["waiting"] <= worker["seconds"]


def learning_network():
    rng = np.random.default_rng(0)
    source = SourceRingBuffer(data=(rng.random((10, 60)) < 0.2).astype(int), name="source")
    dense = Dense(weights=rng.integers(0, 25, (5, 10)) * 2, name="dense")
    lif = LIF(shape=(5,), du=2000, dv=400, vth=3, name="lif")
    rule = STDPLoihi(learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=4, rng_seed=3)
    plastic = LearningDense(weights=np.full((5, 10), 40), learning_rule=rule, name="plastic")
    source.s_out.connect([dense.s_in, plastic.s_in])
    dense.a_out.connect(lif.a_in)
    plastic.a_out.connect(lif.a_in)
    lif.s_out.connect(plastic.s_in_bap)
    monitor = Monitor()
    monitor.probe(lif.v, 60)
    return lif, plastic, monitor


@every_setup
def test_results_have_the_same_bits(setup):
    results = []
    for profiled in (False, True):
        lif, plastic, monitor = learning_network()
        cfg = config(setup, select_tag="fixed_pt")
        profiler = Profiler.init(cfg) if profiled else None
        with lif:
            lif.run(RunSteps(60), cfg)
            results.append((plastic.weights.get(), monitor.get_data()["lif"]["v"]))
    for plain, with_profiler in zip(*results, strict=True):
        np.testing.assert_array_equal(plain, with_profiler)
    assert np.unique(results[0][0]).size > 1  # it has learned
    profile = profiler.profile
    assert calls(profile)["plastic", "LRN"] == 15
    assert calls(profile)["plastic", "SPK"] == 60
    assert sent(profile)["source.s_out"][0] == 120  # two connections


@both_syncs
def test_waiting_is_no_computing(sync):
    slow, patient = Slow(name="slow"), Patient(name="patient")
    slow.out.connect(patient.into)
    cfg = config("local-2-lockstep", sync=sync, placement={slow: 0, patient: 1})
    profiler = Profiler.init(cfg)
    with slow:
        slow.run(RunSteps(6), cfg)
    profile = profiler.profile
    assert calls(profile) == {("slow", "SPK"): 6, ("slow", "POST_MGMT"): 3, ("patient", "SPK"): 6}
    time = {(c["process"], c["phase"]): (c["seconds"], c["waiting"]) for c in profile.calls}
    assert time["slow", "SPK"][0] >= 6 * WORK
    assert time["slow", "SPK"][1] == 0
    assert time["patient", "SPK"][0] < time["slow", "SPK"][0] / 2
    assert time["patient", "SPK"][1] > WORK
    assert profile.workers["waiting"][1] > WORK  # its worker had nothing else to do


@every_setup
def test_a_failed_network_keeps_its_profile(setup):
    slow, patient = Slow(name="slow"), Patient(name="patient", fails_in=2)
    slow.out.connect(patient.into)
    cfg = config(setup)
    profiler = Profiler.init(cfg)
    with pytest.raises(ModelError, match="enough"):
        slow.run(RunSteps(4), cfg)
    assert calls(profiler.profile)["patient", "SPK"] == 2


@pytest.mark.parametrize("setup", ["inline", "local"])
def test_asynchronous_models_have_one_call_per_run(setup):
    maker, taker = rm.Maker(name="maker"), rm.Taker(name="taker")
    maker.out.connect(taker.into)
    cfg = Loihi2SimCfg(launcher=setup)
    profiler = Profiler.init(cfg)
    with maker:
        for _ in range(2):
            maker.run(RunSteps(5), cfg)
    assert calls(profiler.profile) == {("maker", "ASYNC"): 2, ("taker", "ASYNC"): 2}
    assert sent(profiler.profile) == {"maker.out": (10, 80, 9)}  # the first element is 0


@pytest.mark.parametrize("packed", [False, True])
def test_sparse_messages_count_what_they_list(packed):
    data, indices = [[5, 0, 7]] * 4, [[1, 2, 3]] * 4
    lister = Lister(shape=(9,), data=data, indices=indices, counts=[0, 1, 3, 0], packed=packed, name="lister")
    listing = Listing(shape=(9,), steps=4, name="listing")
    lister.s_out.connect(listing.s_in)
    cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    profiler = Profiler.init(cfg)
    with lister:
        lister.run(RunSteps(4), cfg)
    messages, size, events = sent(profiler.profile)["lister.s_out"]
    assert (messages, events) == (4, 3)
    assert size == 4 * (2 + (4 if packed else 8))  # four elements of int16, and where they go


def test_the_table_names_processes_phases_and_ports(monkeypatch):
    monkeypatch.setenv("FORCE_COLOR", "1")  # as kernels of notebooks do
    lif, _, _ = learning_network()
    cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    profiler = Profiler.init(cfg)
    with lif:
        lif.run(RunSteps(8), cfg)
    text = str(profiler)
    assert "8 time steps: where the time goes" in text
    assert "plastic (LearningDense)" in text
    assert "LRN" in text
    assert "source.s_out" in text
    assert "partition 0: 0." in text
    shares = [float(line.split("│")[7]) for line in text.splitlines() if "(" in line and "│" in line]
    assert sum(shares) == pytest.approx(100, abs=1)
    assert max(len(line) for line in text.splitlines()) <= 110
    assert "\x1b" not in text


def test_a_network_that_sends_nothing_has_a_table():
    lif = LIF(shape=(1,), name="lif")
    cfg = Loihi2SimCfg(launcher="inline")
    profiler = Profiler.init(cfg)
    with lif:
        lif.create_runtime(cfg)
        assert "0 time steps" in str(profiler)
        assert profiler.profile.calls.size == 0


def test_a_profiler_follows_the_network_started_last():
    cfg = Loihi2SimCfg(launcher="inline")
    profiler = Profiler.init(cfg)
    with pytest.raises(StateError, match="No network has been started"):
        _ = profiler.profile
    for steps in (2, 3):
        lif = LIF(shape=(1,), name="lif")
        with lif:
            lif.run(RunSteps(steps), cfg)
        assert profiler.profile.steps == steps


def test_a_plan_is_profiled_wherever_it_runs(tmp_path):
    lif = LIF(shape=(1,), name="lif")
    cfg = Loihi2SimCfg(launcher="inline")
    profiler = Profiler.init(cfg)
    plan = lif.compile(cfg)
    save(lif, str(tmp_path / "lif"), plan)
    with pytest.raises(StateError, match="initialize"):
        Runtime(plan).profile()
    with lif:
        lif.create_runtime(executable=plan)
        lif.run(RunSteps(3))
    assert profiler.profile.steps == 3
    del profiler
    gc.collect()
    again, plan = load(str(tmp_path / "lif"))
    with again:
        again.create_runtime(executable=plan)
        again.run(RunSteps(5))
        assert again.runtime.profile().steps == 5


def test_nothing_is_wrapped_unless_there_is_a_profiler():
    lif = LIF(shape=(1,), name="lif")
    cfg = Loihi2SimCfg(launcher="inline")
    engine = Engine(compiler.compile(lif, cfg), 0)
    assert type(engine.scheduler) is Scheduler
    assert engine.measured() is None
    assert not {"run_spk", "run_lrn"} & set(vars(engine.actors[0].model))
    with lif:
        lif.run(RunSteps(1), cfg)
        with pytest.raises(StateError, match=r"call Profiler\.init\(run_cfg\) before it is compiled"):
            lif.runtime.profile()


def test_kinds_of_profilers(monkeypatch):
    class Special(Loihi2SimCfg):
        pass

    class SpecialProfiler:
        def __init__(self, run_cfg):
            self.run_cfg = run_cfg

    monkeypatch.setattr(Profiler, "run_cfg_dict", {RunConfig: CPUProfiler, Special: SpecialProfiler})
    special = Special()
    assert Profiler.init(special).run_cfg is special
    assert type(Profiler.init(Loihi2SimCfg())) is CPUProfiler
    monkeypatch.setattr(Profiler, "run_cfg_dict", {})
    assert type(Profiler.init(special)) is CPUProfiler
    for wrong in (None, Loihi2SimCfg):
        with pytest.raises(ArgumentTypeError, match=r"Profiler\.init takes a run configuration"):
            Profiler.init(wrong)


def test_the_example_does_what_it_says():
    result = doctest.testmod(profiler_module)
    assert result.attempted > 3
    assert result.failed == 0
