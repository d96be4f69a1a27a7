"""Mistakes that are found before a network runs, and networks in which there are none."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import numpy as np
import pytest
from support.netlist import Netlist, Network

from lahar import compiler
from lahar.compiler import Finding, check
from lahar.processes import (
    LIF,
    AbstractProcess,
    Dense,
    InPort,
    Monitor,
    OutPort,
    RefPort,
    SourceRingBuffer,
    Var,
    VarPort,
)
from lahar.processes.errors import ArgumentTypeError, CompileError, LaharWarning
from lahar.processes.model import (
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    PyVarPort,
    implements,
)
from lahar.runtime import Loihi2SimCfg

GOLDEN = sorted((Path(__file__).parents[1] / "golden" / "data").rglob("*.npz"))


class Cell(AbstractProcess):
    """A process with a port of every kind; its model is given by the test."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((2,))
        self.o = OutPort((2,))
        self.r = RefPort((2,))
        self.x = Var((2,), 0)
        self.v = VarPort(self.x)


class CellModel(PyLoihiProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    r: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    v: PyVarPort = LavaPyType(PyVarPort.VEC_DENSE, float)
    x: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.x = self.i.recv()
        self.o.send(self.x)


def cell(name, base=CellModel, protocol=LoihiProtocol, **members):
    """Return a process of a class of its own, whose model has these members."""
    process_class = type("Own", (Cell,), {})
    model = type(f"{name.title()}Model", (base,), members)
    implements(proc=process_class, protocol=protocol)(model)
    process = process_class(name=name)
    process.model = model
    return process


def asynchronous(name, run_async=None, **members):
    ports = {n: t for n, t in vars(CellModel).items() if isinstance(t, LavaPyType)}
    if run_async is not None:
        members["run_async"] = run_async
    return cell(name, PyAsyncProcessModel, AsyncProtocol, **ports, **members)


def found(process, *codes, **options):
    """Return the findings with these codes, and assert that no other errors and warnings are there."""
    findings = check(process, Loihi2SimCfg(launcher="inline", **options))
    assert [f for f in findings if f.code not in codes and f.severity != "info"] == []
    return [f for f in findings if f.code in codes]


def ring(*cells):
    for a, b in zip(cells, (*cells[1:], cells[0]), strict=True):
        out = a.o if hasattr(a, "o") else a.s_out
        out.connect(b.i if hasattr(b, "i") else b.a_in)
    return cells[0]


# --- networks without mistakes ------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
@pytest.mark.parametrize("path", GOLDEN, ids=lambda p: p.stem)
def test_standard_networks_raise_no_doubts(path):
    """Values that are cut on purpose (L002) aside."""
    network = Network(Netlist.load(path))
    findings = check(network.top, network.run_config(launcher="inline"))
    assert {f.code for f in findings if f.severity != "info"} <= {"L002"}


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_the_tutorial_raises_no_doubts(tag, monkeypatch):
    monkeypatch.syspath_prepend(str(Path(__file__).parents[2] / "tutorials"))
    network = importlib.import_module("stdp").build(tag)
    findings = check(network.plastic_dense, Loihi2SimCfg(select_tag=tag))
    assert {f.severity for f in findings} <= {"info"}


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_a_recurrent_network_over_dense_raises_no_doubts(tag):
    cell, loop, monitor = LIF(shape=(2,), name="cell"), Dense(weights=np.eye(2)), Monitor()
    cell.s_out.connect(loop.s_in)
    loop.a_out.connect(cell.a_in)
    monitor.probe(cell.v, num_steps=3)
    assert check(cell, Loihi2SimCfg(select_tag=tag)) == []


def test_the_table_lists_every_code_with_its_severity():
    """Every code in the source is in the table, with the severity that the code gives it."""
    source = Path(compiler.check.__code__.co_filename).read_text()
    table = dict(re.findall(r"^(L\d{3})  (error|warning|info) ", source, re.M))
    body = source[source.index('"""', 3) :]
    used = set(re.findall(r'"(L\d{3})",\s*(ERROR|WARNING|INFO)', body))
    assert {(code, severity.upper()) for code, severity in table.items()} == used
    assert list(table) == sorted(table)


def test_arguments_are_checked():
    for arguments in ((LIF, Loihi2SimCfg()), (LIF(shape=(1,)), "fixed_pt")):
        with pytest.raises(ArgumentTypeError, match=r"check\(\) takes a Process and a run configuration"):
            check(*arguments)


def test_errors_come_first_and_print_as_one_line():
    a, b = LIF(shape=(2,), name="a"), LIF(shape=(2,), name="b")
    c = cell("c", run_spk=lambda self: None)
    tail = LIF(shape=(2,))
    ring(a, b)
    b.s_out.connect(tail.a_in)
    a.s_out.connect(c.i)
    findings = check(a, Loihi2SimCfg())
    assert [f.severity for f in findings] == sorted(
        (f.severity for f in findings), key=("error", "warning", "info").index
    )
    assert {f.severity for f in findings} == {"error", "warning", "info"}
    assert str(Finding("L999", "info", "a.b", "what.", "hint.")) == "L999 a.b: what. hint."
    assert str(Finding("L999", "info", "a.b", "what.")) == "L999 a.b: what."


# --- compile ------------------------------------------------------------------------------------------


def test_a_network_that_cannot_be_compiled_is_a_finding():
    a, b = LIF(shape=(2,), name="a"), cell("b", i=LavaPyType(PyInPort.SCALAR_DENSE, float))
    a.s_out.connect(b.i)
    (finding,) = found(a, "L001")
    assert "'b.i': PyInPortScalarDense is not implemented" in finding.message


def test_what_the_compiler_warns_of_is_a_finding():
    process = cell("a", x=LavaPyType(np.ndarray, np.int8))
    process.x.init = 300
    (finding,) = found(process, "L002")
    assert "'a.x': 1 initial value(s) wrap around in int8" in finding.message


def test_compile_raises_errors_and_warns_of_doubts_once(caplog):
    with pytest.raises(CompileError, match=r"^L101 a\.s_out -> b\.a_in, b\.s_out -> a\.a_in: every model"):
        compiler.compile(ring(LIF(shape=(2,), name="a"), LIF(shape=(2,), name="b")), Loihi2SimCfg())
    process = ring(cell("a"), cell("b"))
    with pytest.warns(LaharWarning, match="^L102 a") as doubts:
        compiler.compile(process, Loihi2SimCfg())
    assert len(doubts) == 1


# --- loops --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
@pytest.mark.parametrize("n", [1, 2, 3])
def test_a_loop_of_neurons_is_an_error(n, tag):
    cells = [LIF(shape=(2,), name=f"n{k}") for k in range(n)]
    tail = LIF(shape=(2,), name="tail")
    ring(*cells)
    cells[0].s_out.connect(tail.a_in)
    (finding,) = found(tail, "L101", select_tag=tag)
    names = [f"n{k}.s_out -> n{(k + 1) % n}.a_in" for k in range(n)]
    assert sorted(finding.where.split(", ")) == names
    assert "Dense" in finding.hint


def sends_first(self):
    self.o.send(self.x)
    self.x = self.i.recv()


class Helping(CellModel):
    """Sends first, in a method of its own."""

    def run_spk(self):
        self.emit()
        self.x = self.i.recv()

    def emit(self):
        self.o.send(self.x)


class Heir(Helping):
    def run_spk(self):
        super().run_spk()
        self.x = self.i.recv()


@pytest.mark.parametrize(
    ("changes", "doubtful"),
    [
        ({}, True),
        ({"run_spk": lambda self: self.step()}, True),
        ({"min_delay": 1}, False),
        ({"run_spk": sends_first}, False),
        ({"base": Helping}, False),
        ({"base": Heir}, False),
        ({"run_spk": lambda self: [port.send(self.x) for port in [self.o]] + [self.i.recv()]}, False),
    ],
)
def test_a_loop_is_a_doubt_unless_a_model_is_known_to_send_first(changes, doubtful):
    a, b = cell("a", **changes), cell("b")
    findings = found(ring(a, b), "L102", "L203", "L204")
    loops = [f.where for f in findings if f.code == "L102"]
    assert loops == (["a.o -> b.i, b.o -> a.i"] if doubtful else [])
    if doubtful and not changes:
        assert findings[0].severity == "warning"
        assert "min_delay = 1" in findings[0].hint


def test_a_loop_of_neurons_and_user_models_is_a_doubt():
    (finding,) = found(ring(LIF(shape=(2,), name="a"), cell("b")), "L102")
    assert finding.where == "a.s_out -> b.i, b.o -> a.a_in"


def test_two_loops_are_two_findings():
    a, b, c, d = (LIF(shape=(2,), name=name) for name in "abcd")
    ring(a, b)
    ring(c, d)
    link = Dense(weights=np.eye(2))
    b.s_out.connect(link.s_in)
    link.a_out.connect(c.a_in)
    assert [f.where[0] for f in found(a, "L101")] == ["a", "c"]


# --- ports --------------------------------------------------------------------------------------------


def test_ports_that_are_not_connected():
    a = cell("a", run_spk=lambda self: self.o.send(self.i.recv()))
    assert [f.where for f in found(a, "L201")] == ["a.i"]
    a, b = LIF(shape=(2,), name="a"), LIF(shape=(2,), name="b")
    a.s_out.connect(b.a_in)
    findings = found(a, "L201", "L202")
    assert [(f.code, f.where) for f in findings] == [("L201", "a.a_in"), ("L202", "b")]
    monitor = Monitor()
    monitor.probe(b.v, num_steps=1)
    assert [f.code for f in found(a, "L202")] == []


def test_a_connected_port_that_is_never_used():
    a, b = cell("a", run_spk=lambda self: None), cell("b", run_spk=lambda self: None)
    a.o.connect(b.i)
    findings = found(a, "L203", "L204")
    assert {(f.code, f.where) for f in findings} == {("L204", "a.o"), ("L203", "b.i")}
    assert all("never" in f.message for f in findings)


@pytest.mark.parametrize(
    "look",
    [lambda self: [port.recv() for port in self.py_ports], lambda self: getattr(self, "i").recv()],  # noqa: B009
)
def test_a_port_that_may_be_reached_in_other_ways_is_no_doubt(look):
    a, b = LIF(shape=(2,), name="a"), cell("b", run_spk=look)
    a.s_out.connect(b.i)
    assert found(a) == []


# --- dtypes -------------------------------------------------------------------------------------------


def test_activations_and_graded_values_taken_for_spikes():
    source = SourceRingBuffer(data=np.array([[0.5], [1]]), name="source")
    a, b = Dense(weights=np.eye(2), name="a"), Dense(weights=np.eye(2), name="b")
    source.s_out.connect(a.s_in)
    a.a_out.connect(b.s_in)
    findings = found(a, "L301", "L306")
    assert [(f.code, f.where) for f in findings] == [
        ("L301", "a.a_out -> b.s_in"),
        ("L306", "source.s_out -> a.s_in"),
    ]
    assert "'b' has num_message_bits=0" in findings[0].message
    spikes, graded = SourceRingBuffer(data=np.array([[0], [1]])), Dense(weights=np.eye(2), num_message_bits=8)
    spikes.s_out.connect(graded.s_in)
    graded_too = Dense(weights=np.eye(2), num_message_bits=8)
    graded.a_out.connect(graded_too.s_in)
    assert found(spikes, "L301", "L306") == []


def receiver(declared, *sent):
    target = cell("target", i=LavaPyType(PyInPort.VEC_DENSE, declared))
    for k, dtype in enumerate(sent):
        cell(f"source{k}", o=LavaPyType(PyOutPort.VEC_DENSE, dtype)).o.connect(target.i)
    return target


@pytest.mark.parametrize(
    ("declared", "sent", "codes"),
    [
        (float, [float], []),
        (float, [np.int32], []),
        (float, [np.int64], ["L302"]),
        (np.float32, [np.int16], []),
        (np.float32, [np.int32], ["L302"]),
        (np.float32, [np.uint16, bool], []),
        (np.int64, [np.uint64], ["L303"]),
        (np.int64, [np.int32, np.uint32], []),
        (np.int8, [np.int32], ["L304"]),
        (np.float32, [np.float64], ["L304"]),
        (bool, [bool], []),
        (bool, [bool, bool], ["L305"]),
        (bool, [np.int32], []),
    ],
)
def test_dtypes_that_do_not_fit_well(declared, sent, codes):
    findings = found(receiver(declared, *sent), "L302", "L303", "L304", "L305")
    assert [f.code for f in findings] == codes
    assert all(f.where == "target.i" for f in findings)


# --- references ---------------------------------------------------------------------------------------


def reader(name, handler="run_post_mgmt", operation="read", **members):
    functions = {
        "read": lambda self: self.r.read(),
        "wait": lambda self: self.r.wait(),
        "write": lambda self: self.r.write(self.x),
    }
    return cell(name, **{handler: functions[operation], "post_guard": lambda self: True}, **members)


@pytest.mark.parametrize("operation", ["read", "wait"])
def test_processes_that_read_each_other_in_one_phase(operation):
    a, b = reader("a", operation=operation), reader("b")
    a.r.connect_var(b.x)
    b.r.connect_var(a.x)
    (finding,) = found(a, "L401")
    assert set(finding.where.split(", ")) == {"a.r -> b.x", "b.r -> a.x"}
    assert "run_post_mgmt" in finding.message


def test_a_process_that_reads_its_own_var():
    a = reader("a")
    a.r.connect(a.v)
    assert [f.where for f in found(a, "L401")] == ["a.r -> a.x"]


@pytest.mark.parametrize(("handler", "operation"), [("run_pre_mgmt", "read"), ("run_post_mgmt", "write")])
def test_reads_in_different_phases_and_writes_do_not_block(handler, operation):
    a, b = reader("a", handler, operation), reader("b")
    a.r.connect_var(b.x)
    b.r.connect_var(a.x)
    assert found(a, "L401") == []


@pytest.mark.parametrize("handler", ["run_spk", "run_lrn"])
def test_a_write_is_possible_in_every_phase(handler):
    a, b = reader("a", handler, "write"), cell("b")
    a.r.connect_var(b.x)
    assert found(a, "L402") == []


@pytest.mark.parametrize("handler", ["run_spk", "run_lrn"])
@pytest.mark.parametrize("operation", ["read", "wait"])
def test_a_reference_used_in_the_wrong_phase(handler, operation):
    a, b = reader("a", handler, operation), cell("b")
    a.r.connect_var(b.x)
    (finding,) = found(a, "L402")
    assert f"AModel calls {operation}() in {handler}" in finding.message


def test_code_shared_by_phases_is_no_doubt():
    def act(self):
        if self.phase == 4:
            self.x = self.r.read()

    handlers = dict.fromkeys(["run_spk", "run_post_mgmt"], lambda self: self.act())
    a, b = cell("a", act=act, **handlers), cell("b")
    a.r.connect_var(b.x)
    assert found(a, "L402") == []


def test_a_reference_to_text():
    a, b = reader("a"), cell("b", x=LavaPyType(str, str))
    b.x.init = "text"
    a.r.connect_var(b.x)
    (finding,) = found(a, "L403")
    assert (finding.severity, finding.where) == ("error", "a.r -> b.x")
    assert "Var 'b.x' holds text" in finding.message
    with pytest.raises(CompileError, match=r"L403 a\.r -> b\.x: Var 'b\.x' holds text"):
        compiler.compile(a, Loihi2SimCfg())


def test_writes_that_are_cut():
    a, b = reader("a", operation="write"), cell("b", x=LavaPyType(np.ndarray, np.int32))
    a.r.connect_var(b.x)
    (finding,) = found(a, "L404")
    assert "writes float64, the Var holds int32" in finding.message
    a, b = reader("a"), cell("b", x=LavaPyType(np.ndarray, np.int32))
    a.r.connect_var(b.x)
    assert found(a, "L404") == []


# --- asynchronous processes ---------------------------------------------------------------------------


def relay(self):
    for _ in range(self.num_steps):
        self.o.send(self.i.recv())


def test_an_asynchronous_relay_between_synchronous_processes_is_no_doubt():
    a, b, c = LIF(shape=(2,)), asynchronous("b", relay), LIF(shape=(2,))
    a.s_out.connect(b.i)
    b.o.connect(c.a_in)
    assert found(a) == []


def test_a_reference_to_an_asynchronous_process_is_an_error():
    a, b, monitor = reader("a"), asynchronous("b", relay), Monitor(name="monitor")
    a.r.connect_var(b.x)
    (finding,) = found(a, "L501")
    assert (finding.where, finding.severity) == ("a.r -> b.x", "error")
    assert "'b' is asynchronous (BModel)" in finding.message
    c = asynchronous("c", relay)
    monitor.probe(c.x, num_steps=1)
    assert [f.where for f in found(c, "L501")] == ["monitor.source -> c.x"]


def test_a_reference_of_an_asynchronous_process_is_an_error():
    a, b = asynchronous("a", lambda self: self.r.read()), cell("b")
    a.r.connect_var(b.x)
    (finding,) = found(a, "L501")
    assert (finding.code, finding.where) == ("L501", "a.r -> b.x")
    assert "'a' is asynchronous" in finding.message


def test_an_asynchronous_process_that_sends_once_for_a_synchronous_one():
    a, b = asynchronous("a", lambda self: self.o.send(self.x)), cell("b")
    a.o.connect(b.i)
    (finding,) = found(a, "L502")
    assert finding.where == "a.o -> b.i"
    assert "fixed number of times per run" in finding.message
    a, b = cell("a"), asynchronous("b", lambda self: self.i.recv())
    a.o.connect(b.i)
    assert [f.where for f in found(a, "L502")] == ["a.o -> b.i"]
    a, b = asynchronous("a", lambda self: self.o.send(self.x)), asynchronous("b", lambda self: self.i.recv())
    a.o.connect(b.i)
    assert found(a, "L502") == []


def endless(self):
    while True:
        self.o.send(self.i.recv())


def attentive(self):
    while not self.check_for_stop_cmd():
        self.o.send(self.i.recv())


def bounded(self):
    for _ in range(10):
        self.o.send(self.i.recv())


@pytest.mark.parametrize(("run", "codes"), [(endless, ["L503"]), (attentive, []), (bounded, []), (relay, [])])
def test_an_asynchronous_model_that_cannot_be_stopped(run, codes):
    a = asynchronous("a", run)
    assert [f.code for f in found(a, "L503")] == codes


def test_an_asynchronous_model_without_run_async_is_an_error():
    (finding,) = found(asynchronous("a"), "L504")
    assert finding.severity == "error"
    assert "AModel is asynchronous and does not define run_async()" in finding.message


def test_models_made_out_of_others_are_no_doubt():
    """As by a class of Lahar whose `run_async` calls the phases of a wrapped model."""

    def run_async(self):
        while self.counts():
            self.wrapped.run_spk()

    base = type(
        "Converted", (PyAsyncProcessModel,), {"run_async": run_async, "__module__": "lahar.processes.model.x"}
    )
    ports = {n: t for n, t in vars(CellModel).items() if isinstance(t, LavaPyType)}
    a, b = (cell(name, base, AsyncProtocol, **ports) for name in "ab")
    a.o.connect(b.i)
    assert found(a) == []


def test_a_model_without_a_handler_uses_no_port():
    ports = {n: t for n, t in vars(CellModel).items() if isinstance(t, LavaPyType)}
    a, b = (cell(name, PyLoihiProcessModel, **ports) for name in "ab")
    a.o.connect(b.i)
    assert [f.code for f in found(a, "L203", "L204")] == ["L204", "L203"]
