"""Networks in files: what is kept, that they run elsewhere, and what is refused."""

from __future__ import annotations

import itertools
import pickle
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest
import runtime_models as rm
from scipy.sparse import csr_matrix

from lahar import compiler
from lahar.processes import (
    LIF,
    AbstractProcess,
    Dense,
    LearningDense,
    Loihi2FLearningRule,
    Monitor,
    SinkRingBuffer,
    SourceRingBuffer,
    Sparse,
    Var,
)
from lahar.processes.errors import (
    ArgumentTypeError,
    DamagedFileError,
    FileFormatError,
    MissingFileError,
    StateError,
    UnpicklableError,
    ValidationError,
)
from lahar.processes.model import AbstractSubProcessModel, LoihiProtocol, implements
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps
from lahar.runtime.serialization import SerializationObject, load, save

INLINE = {"launcher": "inline"}
CONFIG = Loihi2SimCfg(**INLINE)


@pytest.fixture
def file(tmp_path):
    return str(tmp_path / "net")


def chain(steps=20):
    """Source -> Dense -> LIF -> sink, and a Monitor of the voltage."""
    rng = np.random.default_rng(0)
    source = SourceRingBuffer(data=rng.random((3, steps)) < 0.4, name="source")
    dense = Dense(weights=rng.random((2, 3)), name="dense")
    lif = LIF(shape=(2,), vth=1.5, dv=0.2, name="lif")
    sink = SinkRingBuffer(shape=(2,), buffer=steps, name="sink")
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    monitor = Monitor(name="monitor")
    monitor.probe(lif.v, steps)
    return [source, dense, lif, sink, monitor]


def results(processes, **run):
    """Run a chain; return what it recorded."""
    _, _, lif, sink, monitor = processes
    with lif:
        lif.run(RunSteps(20), **run)
        return np.concatenate([sink.data.get().ravel(), monitor.get_data()["lif"]["v"].ravel()])


# --- what is kept -----------------------------------------------------------------------------


def test_a_network_runs_as_it_did_before(file):
    processes = chain()
    save(processes, file)
    expected = results(processes, run_cfg=CONFIG)
    again, executable = load(file)
    assert executable is None
    assert [(type(p), p.name) for p in again] == [(type(p), p.name) for p in processes]
    assert not {id(p) for p in again} & {id(p) for p in processes}
    np.testing.assert_array_equal(results(again, run_cfg=CONFIG), expected)
    assert expected.any()


@pytest.mark.parametrize("options", [INLINE, {"partitions": 2}], ids=str)
def test_a_compiled_network_runs_without_a_configuration(file, options, pool):
    processes = chain()
    expected = results(chain(), run_cfg=CONFIG)
    save(processes, file, executable=compiler.compile(processes[0], Loihi2SimCfg(**options)))
    again, plan = load(file)
    again[0].create_runtime(executable=plan)
    np.testing.assert_array_equal(results(again), expected)
    assert plan.partitions == options.get("partitions", 1)
    # and, stopped, it can be compiled anew
    again[0].create_runtime(run_cfg=CONFIG)
    np.testing.assert_array_equal(results(again), expected)


def test_one_process_brings_all_that_is_connected(file):
    source, *_ = processes = chain()
    save(source, file)
    again, _ = load(file)
    assert isinstance(again, SourceRingBuffer)
    found = compiler.network_processes(again)
    assert {p.name for p in found} == {p.name for p in processes}


def test_an_empty_list_and_a_plan_alone(file):
    processes = chain()
    save([], file, executable=compiler.compile(processes[0], CONFIG))
    again, plan = load(file)
    assert again == []
    assert {spec.name for spec in plan.processes} == {p.name for p in processes}
    ours = {var.id for p in compiler.network_processes(processes[0]) for var in p.vars}
    assert not ours & {var.id for spec in plan.processes for var in spec.vars}


@pytest.mark.parametrize("when", ["paused", "stopped"])
def test_vars_are_saved_as_they_are_now(file, when):
    rule = Loihi2FLearningRule(dw="u0*2", rng_seed=0)
    plastic = LearningDense(weights=np.zeros((1, 2)), learning_rule=rule, name="plastic")
    sparse = Sparse(weights=csr_matrix([[0, 3.0]]), name="sparse")
    plan = compiler.compile(plastic, CONFIG)
    plastic.run(RunSteps(5), CONFIG)
    sparse.run(RunSteps(1), CONFIG)
    plastic.dw.set("u0*4")
    sparse.weights.set(csr_matrix([[0, 7.0]]))
    for process in (plastic, sparse):
        if when == "stopped":
            process.stop()
    save([plastic, sparse], file, executable=plan)
    plastic.stop(), sparse.stop()
    for with_plan in (False, True):
        (again, other), plan = load(file)
        assert again.weights.get().tolist() == [[10, 10]]
        assert other.weights.get().toarray().tolist() == [[0, 7]]
        if with_plan:
            again.create_runtime(executable=plan)
        with again:
            again.run(RunSteps(2), CONFIG)
            assert again.weights.get().tolist() == [[18, 18]]


def test_what_a_monitor_recorded_is_not_saved(file):
    processes = chain()
    results(processes, run_cfg=CONFIG)
    save(processes, file)
    again, _ = load(file)
    assert not again[-1].get_data()["lif"]["v"].any()
    assert again[3].data.get().any()


class Pair(AbstractProcess):
    """A hierarchical Process with an aliased Var, one without, and a port."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.v = Var((2,), 0)
        self.unheld = Var((1,), 5)


@implements(proc=Pair, protocol=LoihiProtocol)
class PairModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.lif = LIF(shape=(2,), bias_mant=1, vth=100)
        proc.v.alias(self.lif.v)


def test_hierarchical_processes_keep_their_aliases(file):
    pair = Pair(name="pair")
    plan = compiler.compile(pair, CONFIG)
    pair.create_runtime(executable=plan)
    pair.run(RunSteps(3))
    save(pair, file, executable=plan)
    pair.stop()
    again, plan = load(file)
    again.create_runtime(executable=plan)
    with again:
        assert again.v.get().tolist() == [3, 3]
        again.run(RunSteps(4))
        again.v.set(again.v.get() + 10)
        assert again.v.get().tolist() == [17, 17]
    with pytest.raises(StateError, match="unheld"):
        again.unheld.get()


def test_long_chains_are_no_deeper_than_short_ones(file):
    lifs = [LIF(shape=(1,), vth=0.5, du=1) for _ in range(600)]
    for before, after in itertools.pairwise(lifs):
        before.s_out.connect(after.a_in)
    save(lifs[0], file)
    first, _ = load(file)
    assert len(compiler.network_processes(first)) == 600


def test_ids_are_kept_unless_they_are_in_use(file):
    processes = chain()
    ids = [p.id for p in processes]
    save(processes, file, executable=compiler.compile(processes[0], CONFIG))
    again, plan = load(file)
    alive = {p.id for p in compiler.network_processes(processes[0])}
    assert not alive & {spec.id for spec in plan.processes}
    assert [p.id for p in again] == sorted(p.id for p in again)
    newer = LIF(shape=(1,))
    assert newer.id > max(p.id for p in compiler.network_processes(again[0]))
    del processes
    import gc

    gc.collect()
    assert [p.id for p in load(file)[0]] == ids


def test_loaded_and_new_processes_form_one_network(file):
    save(LIF(shape=(2,), bias_mant=2, vth=3, name="old"), file)
    old, _ = load(file)
    sink = SinkRingBuffer(shape=(2,), buffer=4)
    old.s_out.connect(sink.a_in)
    with sink:
        sink.run(RunSteps(4), CONFIG)
        assert sink.data.get().tolist() == [[0, 1, 0, 1]] * 2


# --- other interpreters -----------------------------------------------------------------------

SCRIPT = """
import sys
import numpy as np
from lahar import compiler
from lahar.processes import AbstractProcess, LIF, Monitor, OutPort, Var
from lahar.processes.model import (
    CPU, LavaPyType, LoihiProtocol, PyLoihiProcessModel, PyOutPort, implements, requires)
from lahar.runtime import Loihi2SimCfg
from lahar.runtime.serialization import save

class Ramp(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = OutPort((2,))
        self.level = Var((2,), 0)

@implements(proc=Ramp, protocol=LoihiProtocol)
@requires(CPU)
class RampModel(PyLoihiProcessModel):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    level: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.level += STEP
        self.out.send(self.level)

STEP = 2
ramp, lif, monitor = Ramp(name="ramp"), LIF(shape=(2,), du=1, dv=1, vth=100, name="lif"), Monitor()
ramp.out.connect(lif.a_in)
monitor.probe(lif.v, 5)
plan = compiler.compile(ramp, Loihi2SimCfg(partitions=2)) if sys.argv[2] == "plan" else None
save([ramp, monitor], sys.argv[1], plan)
"""

LOADER = """
import sys
from lahar.processes import LIF
from lahar.runtime import Loihi2SimCfg, RunSteps
from lahar.runtime.serialization import load

if __name__ == "__main__":
    others = [LIF(shape=(1,)) for _ in range(3)]
    (ramp, monitor), plan = load(sys.argv[1])
    if plan is not None:
        ramp.create_runtime(executable=plan)
    ramp.run(RunSteps(5), Loihi2SimCfg(partitions=2))
    print(len(ramp.runtime.worker_pids()), monitor.get_data()["lif"]["v"].tolist())
    ramp.stop()
"""


@pytest.mark.parametrize("what", ["plan", "processes"])
def test_classes_of_a_script_run_in_another_interpreter(tmp_path, what):
    for name, source in (("make.py", SCRIPT), ("use.py", LOADER)):
        (tmp_path / name).write_text(textwrap.dedent(source))
        command = [sys.executable, name, "net", what]
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 0, done.stderr
    assert done.stdout.split(maxsplit=1) == [
        "2",
        "[[2.0, 2.0], [4.0, 4.0], [6.0, 6.0], [8.0, 8.0], [10.0, 10.0]]\n",
    ]


# --- names and refusals -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "written"),
    [("a", "a.pickle"), ("a.b", "a.b"), ("a.pickle", "a.pickle"), ("d.d/a", "d.d/a.pickle")],
)
def test_the_extension_is_added_to_a_bare_name(tmp_path, name, written):
    (tmp_path / "d.d").mkdir()
    save([], str(tmp_path / name))
    assert (tmp_path / written).is_file()
    assert load(str(tmp_path / name)) == ([], None)
    assert load(str(tmp_path / written)) == ([], None)


def test_a_file_without_extension_is_found_too(tmp_path, file):
    save([], file)
    (tmp_path / "net.pickle").rename(tmp_path / "net")
    assert load(file) == ([], None)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((3, "a"), "A Process or a list of Processes can be saved, not int"),
        (((), "a"), "not tuple"),
        (([1, 2], "a"), "not int in a list"),
        (([], 7), "filename must be a string, not int"),
        (([], "a", "plan"), "executable must be a Plan"),
    ],
)
def test_arguments_are_checked(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ArgumentTypeError, match=message):
        save(*arguments)
    assert not list(tmp_path.iterdir())
    with pytest.raises(ArgumentTypeError, match="must be a string"):
        load(7)


def test_what_is_no_file_of_ours_is_refused(tmp_path):
    with pytest.raises(MissingFileError, match=r"nothing\.pickle"):
        load(str(tmp_path / "nothing"))
    with pytest.raises(MissingFileError):
        load(str(tmp_path))
    path = tmp_path / "x.pickle"
    path.write_bytes(pickle.dumps([1, 2]))
    with pytest.raises(FileFormatError, match="was not written by"):
        load(str(path))
    path.write_bytes(pickle.dumps({"format": "lahar network", "version": 99}))
    with pytest.raises(FileFormatError, match="has format 99"):
        load(str(path))
    path.write_bytes(b"garbage")
    with pytest.raises(pickle.UnpicklingError):
        load(str(path))
    path.write_bytes(b"")
    with pytest.raises(DamagedFileError, match="was not written by"):
        load(str(path))
    save(LIF(shape=(1,)), str(path))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DamagedFileError, match=r"x\.pickle' is damaged or was cut"):
        load(str(path))


def test_what_cannot_be_saved_is_named_and_the_old_file_kept(tmp_path, file):
    save([], file)
    lif = LIF(shape=(1,), name="locked")
    lif.lock = threading.Lock()
    with pytest.raises(UnpicklableError, match=r"Process 'locked': its attribute 'lock' of type lock cannot"):
        save(lif, file)
    var = LIF(shape=(1,), name="odd")
    var.v.extra = threading.Lock()
    with pytest.raises(UnpicklableError, match=r"'odd\.v': its attribute 'extra'"):
        save(var, file)
    assert load(file) == ([], None)


def test_a_running_network_is_refused(file, pool):
    lif = LIF(shape=(1,))
    with lif:
        lif.run(RunContinuous(), Loihi2SimCfg(partitions=1))
        with pytest.raises(StateError, match="while the network is running"):
            save(lif, file)
        lif.pause()
        save(lif, file)
    assert load(file)[0].name == lif.name


def test_models_of_modules_are_found_by_name(file):
    total = rm.Total(name="total")
    save(total, file)
    again, _ = load(file)
    assert type(again) is rm.Total
    assert "_models" not in vars(again)


def test_the_object_that_is_saved():
    lif = LIF(shape=(1,))
    content = SerializationObject(lif)
    assert (content.processes, content.executable) == (lif, None)


@pytest.mark.parametrize("name", ["", "a\0b"])
def test_a_file_needs_a_name(name):
    for call in (lambda: save([], name), lambda: load(name)):
        with pytest.raises(ValidationError, match="cannot be the name of a file"):
            call()


def test_a_folder_that_is_missing_is_named(tmp_path):
    with pytest.raises(MissingFileError, match=r"nowhere.net\.pickle' cannot be written: there is no folder"):
        save([], str(tmp_path / "nowhere" / "net"))
