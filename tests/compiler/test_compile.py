"""Compilation: what belongs to a network, expansion of hierarchical processes, checks, channels, partitions."""

from __future__ import annotations

import itertools
import threading

import cloudpickle
import numpy as np
import pytest

from lahar.compiler import Plan, compile, network_processes  # noqa: A004
from lahar.processes import (
    LIF,
    AbstractProcess,
    Dense,
    InPort,
    Monitor,
    OutPort,
    RefPort,
    SinkRingBuffer,
    SourceRingBuffer,
    Var,
    VarPort,
)
from lahar.processes.errors import (
    ArgumentTypeError,
    CompileError,
    DtypeError,
    LaharWarning,
    NoProcessModelFound,
    PlacementError,
    StateError,
    UnpicklableError,
    ValidationError,
)
from lahar.processes.model import (
    AbstractSubProcessModel,
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    PyVarPort,
    SyncDomain,
    implements,
)
from lahar.runtime import Loihi2SimCfg, RunSteps


class Cell(AbstractProcess):
    """One member of each kind."""

    def __init__(self, shape=(2,), **kwargs):
        super().__init__(**kwargs)
        self.i = InPort(shape)
        self.o = OutPort(shape)
        self.r = RefPort(shape)
        self.x = Var(shape, 0)
        self.v = VarPort(self.x)


@implements(proc=Cell, protocol=LoihiProtocol)
class PyCellModel(PyLoihiProcessModel):
    """Adds its input to its state and sends the state."""

    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    r: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    v: PyVarPort = LavaPyType(PyVarPort.VEC_DENSE, float)
    x: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.x += self.i.recv()
        self.o.send(self.x)

    def post_guard(self):
        return bool(self.r.csp_ports)

    def run_post_mgmt(self):
        self.r.write(self.r.read() + 100)


def inline(**kwargs):
    return Loihi2SimCfg(launcher="inline", select_tag="floating_pt", **kwargs)


def local(**kwargs):
    return Loihi2SimCfg(launcher="local", select_tag="floating_pt", **kwargs)


def source(*frames):
    return SourceRingBuffer(data=np.array(frames, float).T, name="source")


def sink(shape=(2,), steps=1):
    return SinkRingBuffer(shape=shape, buffer=steps, name="sink")


def process_names(plan):
    return {p.name for p in plan.processes}


def channel_names(plan):
    return [plan.channel_name(c) for c in plan.channels]


# --- arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize("process", [None, 3, LIF])
def test_compile_takes_a_process(process):
    with pytest.raises(ArgumentTypeError, match=r"compile\(\) takes a Process, not"):
        compile(process, inline())


@pytest.mark.parametrize("config", [None, 3, Loihi2SimCfg, "inline"])
def test_compile_takes_a_run_config(config):
    with pytest.raises(ArgumentTypeError, match="run_cfg must be a run configuration such as Loihi2SimCfg"):
        compile(LIF(shape=(1,)), config)


def test_channels_have_the_capacity_asked_for():
    src, out = source([1, 2]), sink()
    src.s_out.connect(out.a_in)
    assert [c.capacity for c in compile(src, inline()).channels] == [64]
    assert [c.capacity for c in compile(src, inline(), {"pypy_channel_size": 3}).channels] == [3]


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "64", None])
def test_the_capacity_is_a_positive_integer(size):
    with pytest.raises(
        ValidationError, match=r"compile_config\['pypy_channel_size'\]: a positive integer expected"
    ):
        compile(LIF(shape=(1,)), inline(), {"pypy_channel_size": size})


def test_options_that_do_nothing_are_named():
    given = {"use_watchdog": True, "chanel_size": 3}
    with pytest.warns(LaharWarning) as caught:
        compile(LIF(shape=(1,)), inline(), given)
    assert [str(warning.message) for warning in caught] == [
        "compile_config: option 'use_watchdog' has no effect.",
        "compile_config: option 'chanel_size' is unknown.",
    ]
    assert given == {"use_watchdog": True, "chanel_size": 3}


# --- what belongs to a network ------------------------------------------------------------


def test_everything_connected_is_compiled_whatever_the_start():
    a, b, c, d, e = (Cell(name=name) for name in "abcde")
    a.o.connect(b.i)
    c.o.flatten().connect(b.i)
    d.r.connect_var(c.x)
    e.r.connect(d.v)
    for start in (a, b, c, d, e):
        assert process_names(compile(start, inline())) == set("abcde")
    assert {p.name for p in network_processes(b)} == set("abcde")


def test_unconnected_processes_do_not_belong():
    a, b = Cell(name="a"), Cell(name="b")
    a.other = b
    assert process_names(compile(a, inline())) == {"a"}


def test_processes_are_in_the_order_of_their_creation_whatever_the_start():
    cells = [Cell(name=name) for name in "abcd"]
    for k in (2, 0, 3):
        cells[k].o.connect(cells[1].i)
    plans = [compile(start, inline()) for start in cells]
    assert all(channel_names(p) == ["c.o -> b.i", "a.o -> b.i", "d.o -> b.i"] for p in plans)
    assert all([s.name for s in p.processes] == ["a", "c", "d", "b"] for p in plans)


def test_processes_may_have_the_same_name():
    a, b = Cell(name="same"), Cell(name="same")
    a.o.connect(b.i)
    assert [p.name for p in compile(a, inline()).processes] == ["same", "same"]


def test_a_port_that_is_no_attribute_is_named():
    cell = Cell(name="cell")
    cell.o.connect(InPort((2,)))
    with pytest.raises(CompileError, match=r"'cell\.o' is connected to a port that belongs to no Process"):
        compile(cell, inline())


# --- Process against model ----------------------------------------------------------------


def compile_with(**declared):
    """Compile a Cell named "it" with a model that differs from PyCellModel in some attributes."""
    model = type("OddModel", (PyCellModel,), {k: v for k, v in declared.items() if v is not ...})
    missing = [k for k, v in declared.items() if v is ...]
    if missing:
        attributes = {
            k: v for k, v in vars(PyCellModel).items() if isinstance(v, LavaPyType) and k not in missing
        }
        model = type("OddModel", (PyLoihiProcessModel,), attributes)
    process = Cell(name="it")
    return compile(process, inline(exception_proc_model_map={process: model}))


@pytest.mark.parametrize(
    ("name", "kind"), [("i", "InPort"), ("o", "OutPort"), ("r", "RefPort"), ("v", "VarPort"), ("x", "Var")]
)
def test_a_member_without_a_declaration_is_named(name, kind):
    with pytest.raises(
        CompileError, match=rf"{kind} 'it\.{name}': OddModel does not have a LavaPyType named '{name}'"
    ):
        compile_with(**{name: ...})
    with pytest.raises(
        CompileError, match=rf"{kind} 'it\.{name}': OddModel has a int instead of a LavaPyType"
    ):
        compile_with(**{name: 3})


def test_a_declaration_without_a_member_is_named():
    with pytest.raises(
        CompileError,
        match=r"OddModel\.extra declares a LavaPyType, but process 'it' \(Cell\) has no Var or port 'extra'",
    ):
        compile_with(extra=LavaPyType(np.ndarray, float))


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("i", PyOutPort.VEC_DENSE, "PyInPort"),
        ("i", PyInPort, "PyInPort"),
        ("i", np.ndarray, "PyInPort"),
        ("i", "PyInPort", "PyInPort"),
        ("o", PyInPort.VEC_DENSE, "PyOutPort"),
        ("r", PyVarPort.VEC_DENSE, "PyRefPort"),
        ("v", PyRefPort.VEC_DENSE, "PyVarPort"),
    ],
)
def test_a_port_declared_as_something_else_is_named(name, declared, expected):
    with pytest.raises(CompileError) as caught:
        compile_with(**{name: LavaPyType(declared, float)})
    text = str(caught.value)
    assert f"'it.{name}': OddModel.{name} is declared as" in text
    assert f"use LavaPyType({expected}.VEC_DENSE, dtype)" in text


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        *((name, variant) for name in "iorv" for variant in ("SCALAR_DENSE", "SCALAR_SPARSE")),
        ("r", "VEC_SPARSE"),
        ("v", "VEC_SPARSE"),
    ],
)
def test_port_classes_that_are_not_implemented_are_refused(name, variant):
    base = {"i": PyInPort, "o": PyOutPort, "r": PyRefPort, "v": PyVarPort}[name]
    declared = getattr(base, variant)
    with pytest.raises(
        NotImplementedError, match=rf"'it\.{name}': {declared.__name__} is not implemented; use"
    ):
        compile_with(**{name: LavaPyType(declared, float)})


@pytest.mark.parametrize("name", ["i", "o", "r", "x"])
@pytest.mark.parametrize("dtype", ["nonsense", object(), 3])
def test_a_dtype_that_is_none_is_named(name, dtype):
    cls = {"i": PyInPort.VEC_DENSE, "o": PyOutPort.VEC_DENSE, "r": PyRefPort.VEC_DENSE, "x": np.ndarray}[name]
    with pytest.raises(DtypeError, match=rf"'it\.{name}'.*OddModel"):
        compile_with(**{name: LavaPyType(cls, dtype)})


def test_a_var_of_a_type_that_is_not_supported_is_named():
    process = Cell(name="it")
    model = type("OddModel", (PyCellModel,), {"x": LavaPyType(dict, float)})
    with pytest.raises(
        Exception, match=r"Var 'it\.x': LavaPyType\(<class 'dict'>, \.\.\.\) is not supported"
    ):
        process.run(RunSteps(1), inline(exception_proc_model_map={process: model}))


class Forgetful(PyCellModel):
    def __init__(self, proc_params):
        pass


def test_a_model_that_forgets_the_base_constructor_is_told():
    process = Cell(name="it")
    with pytest.raises(Exception, match=r"Forgetful\.__init__ must call super\(\)\.__init__\(proc_params\)"):
        process.run(RunSteps(1), inline(exception_proc_model_map={process: Forgetful}))


class Free(AbstractProcess):
    pass


@implements(proc=Free, protocol=AsyncProtocol)
class FreeModel(PyAsyncProcessModel):
    def run_async(self):
        pass


def test_asynchronous_models_are_in_a_domain_without_steps():
    plan = compile(Free(name="it"), inline())
    assert [(d.name, d.is_async) for d in plan.domains] == [("AsyncProtocol_SyncDomain", True)]
    assert plan.domain == [0]


# --- dtypes of connections ----------------------------------------------------------------


def connect_dtypes(sent, wanted):
    sender, receiver = Cell(name="sender"), Cell(name="receiver")
    sender.o.connect(receiver.i)
    sending = type("Sending", (PyCellModel,), {"o": LavaPyType(PyOutPort.VEC_DENSE, sent)})
    receiving = type("Receiving", (PyCellModel,), {"i": LavaPyType(PyInPort.VEC_DENSE, wanted)})
    return compile(sender, inline(exception_proc_model_map={sender: sending, receiver: receiving}))


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [(float, np.int32), (complex, float), (np.int8, np.uint16), (np.float32, np.int64)][:2],
)
def test_a_message_that_the_receiver_cannot_hold_is_refused(sent, wanted):
    with pytest.raises(DtypeError) as caught:
        connect_dtypes(sent, wanted)
    text = str(caught.value)
    assert f"'sender.o' sends {np.dtype(sent)} (model Sending)" in text
    assert f"'receiver.i' is declared {np.dtype(wanted)} (model Receiving)" in text
    assert "select_tag" in text


@pytest.mark.parametrize("sent", [bool, np.int8, np.int32, np.float32, float])
@pytest.mark.parametrize("wanted", [bool, float])
def test_messages_may_be_widened_and_spikes_may_be_graded(sent, wanted):
    (channel,) = connect_dtypes(sent, wanted).channels
    assert channel.dtype == np.dtype(sent).str


@pytest.mark.parametrize("dtype", [str, object, "M8[s]"])
def test_ports_carry_numbers(dtype):
    with pytest.raises(DtypeError, match="Ports carry numbers only"):
        connect_dtypes(dtype, float)


def compile_float_source(receiver, port):
    """Compile a network in fixed point whose source is in floating point."""
    src = SourceRingBuffer(data=np.ones((2, 1)), name="src")
    src.s_out.connect(port)
    models = {src: next(m for m in _models(SourceRingBuffer) if "floating_pt" in m.tags)}
    return compile(
        receiver, Loihi2SimCfg(launcher="inline", select_tag="fixed_pt", exception_proc_model_map=models)
    )


def test_models_of_different_kinds_are_refused_with_a_hint():
    neurons = LIF(shape=(2,))
    with pytest.raises(DtypeError, match="select_tag='floating_pt' or 'fixed_pt'"):
        compile_float_source(neurons, neurons.a_in)


def test_a_model_that_casts_takes_wider_messages_with_a_warning():
    out = sink()
    with pytest.warns(
        LaharWarning, match=r"(?s)'src\.s_out' sends float64.*'sink\.a_in' .*int32.*fractions are cut"
    ):
        (channel,) = compile_float_source(out, out.a_in).channels
    assert channel.dtype == "<f8"


def _models(process_class):
    from lahar.compiler.models import find_models

    return find_models(process_class)


# --- hierarchy ----------------------------------------------------------------------------


class Pair(AbstractProcess):
    """Two cells in a row."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((2,))
        self.o = OutPort((2,))
        self.r = RefPort((2,))
        self.x = Var((2,), 0)
        self.v = VarPort(self.x)


@implements(proc=Pair, protocol=LoihiProtocol)
class PairModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.first = Cell(name="first")
        self.second = Cell(name="second")
        proc.i.connect(self.first.i)
        self.first.o.connect(self.second.i)
        self.second.o.connect(proc.o)
        self.second.r.connect(proc.r)
        proc.x.alias(self.first.x)


class Nest(AbstractProcess):
    """A pair inside a process, next to a cell."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((2,))
        self.o = OutPort((2,))
        self.x = Var((2,), 0)


@implements(proc=Nest, protocol=LoihiProtocol)
class NestModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.pair = Pair(name="pair")
        self.cell = Cell(name="cell")
        proc.i.connect([self.pair.i, self.cell.i])
        self.pair.o.connect(proc.o)
        self.cell.o.connect(proc.o)
        proc.x.alias(self.pair.x)


def nested():
    src, nest, out = source([1, 2]), Nest(name="nest"), sink(steps=4)
    src.s_out.connect(nest.i)
    nest.o.connect(out.a_in)
    return src, nest, out


# state of first and cell 1 2 3 4; of second 1 3 6 10
EXPECTED = [2, 5, 9, 14]


def test_hierarchical_processes_are_replaced_by_their_leaves():
    _, nest, _ = nested()
    plan = compile(nest, inline())
    assert process_names(plan) == {"source", "first", "second", "cell", "sink"}
    assert set(channel_names(plan)) == {
        "source.s_out -> first.i",
        "source.s_out -> cell.i",
        "first.o -> second.i",
        "second.o -> sink.a_in",
        "cell.o -> sink.a_in",
    }
    assert nest.model_class is NestModel
    pair = nest.procs.pair
    assert (pair.model_class, pair.procs.first.model_class) == (PairModel, PyCellModel)
    assert (pair.name, pair.parent_proc, pair.procs.first.parent_proc) == ("pair", nest, pair)
    assert pair.procs.first.is_sub_proc_of(nest)


def test_nested_processes_compute_what_their_leaves_do():
    src, nest, out = nested()
    src.run(RunSteps(4), inline())
    assert nest.x.get().tolist() == [4, 8]
    assert nest.procs.pair.procs.second.x.get().tolist() == [10, 20]
    nest.x.set([0, 0])
    nest.run(RunSteps(1))
    assert nest.x.get().tolist() == [1, 2]
    nest.stop()
    assert out.data.get()[0].tolist() == [16, 5, 9, 14]


def test_every_process_of_a_nested_network_has_the_runtime():
    src, nest, out = nested()
    src.create_runtime(inline())
    everyone = network_processes(src)
    assert {p.name for p in everyone} == {"source", "nest", "pair", "first", "second", "cell", "sink"}
    assert {id(p.runtime) for p in everyone} == {id(src.runtime)}
    nest.run(RunSteps(4))
    nest.procs.pair.procs.first.stop()
    assert out.data.get()[0].tolist() == EXPECTED


def test_a_hierarchical_process_is_compiled_and_run_again_after_stop():
    src, nest, out = nested()
    for _ in range(2):
        src.create_runtime(inline())
        src.run(RunSteps(4))
        src.stop()
        assert out.data.get()[0].tolist() == EXPECTED
    assert len(compile(nest, inline()).processes) == 5


def test_sub_processes_are_not_made_anew_by_every_compilation():
    src, nest, _ = nested()
    compile(src, inline())
    before = nest.procs.pair
    compile(nest, inline())
    assert nest.procs.pair is before


def test_a_sub_process_stands_for_the_whole_network():
    src, nest, _ = nested()
    everything = process_names(compile(src, inline()))
    assert process_names(compile(nest.procs.pair.procs.first, inline())) == everything


class Flat(PyLoihiProcessModel):
    """Nest as a leaf: sends its input times 1000."""

    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    x: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.x += 1
        self.o.send(1000 * self.i.recv())


class Bent(AbstractSubProcessModel):
    """Nest with virtual ports between it and its part."""

    def __init__(self, proc):
        self.only = Cell(shape=(2, 1), name="only")
        proc.i.reshape((2, 1)).connect(self.only.i)
        self.only.o.flatten().connect(proc.o)


@pytest.mark.parametrize("first", [NestModel, Bent])
def test_another_model_may_be_chosen_at_the_next_compilation(first):
    src, nest, out = nested()
    for model, expected in ((first, None), (Flat, [1000] * 4), (Bent, [1, 2, 3, 4]), (NestModel, EXPECTED)):
        src.create_runtime(inline(exception_proc_model_map={nest: model}))
        src.run(RunSteps(4))
        src.stop()
        assert nest.model_class is model
        if expected:
            assert out.data.get()[0].tolist() == expected
    assert nest.procs.member_names == ["cell", "pair"]
    assert nest.x.get().tolist() == [4, 8]


def test_a_model_that_fails_can_be_replaced():
    class Failing(NestModel):
        def __init__(self, proc):
            super().__init__(proc)
            raise KeyError("no lava today")

    src, nest, out = nested()
    with pytest.raises(KeyError, match="no lava today"):
        src.run(RunSteps(4), inline(exception_proc_model_map={nest: Failing}))
    assert not src.is_compiled
    src.run(RunSteps(4), inline())
    src.stop()
    assert out.data.get()[0].tolist() == EXPECTED


def test_a_sub_process_without_model_is_named_and_the_retry_works():
    class Strange(AbstractProcess):
        pass

    class Holding(NestModel):
        def __init__(self, proc):
            super().__init__(proc)
            self.strange = Strange(name="strange")

    src, nest, out = nested()
    with pytest.raises(NoProcessModelFound, match="'strange'"):
        src.run(RunSteps(4), inline(exception_proc_model_map={nest: Holding}))
    src.run(RunSteps(4), inline())
    src.stop()
    assert out.data.get()[0].tolist() == EXPECTED


def test_sub_processes_may_be_unconnected():
    class WithHermit(NestModel):
        def __init__(self, proc):
            super().__init__(proc)
            self.hermit = Cell(name="hermit")

    src, nest, _ = nested()
    assert "hermit" in process_names(compile(src, inline(exception_proc_model_map={nest: WithHermit})))


def test_ports_of_a_hierarchical_process_may_be_unconnected_outside():
    pair = Pair(name="pair")
    pair.run(RunSteps(2), inline())
    pair.stop()
    assert pair.x.get().tolist() == [0, 0]


class Hollow(AbstractSubProcessModel):
    """Pair with nothing connected inside."""

    def __init__(self, proc):
        self.cell = Cell(name="cell")


@pytest.mark.parametrize("port", ["i", "o", "r", "v"])
def test_a_port_connected_outside_but_not_inside_is_named(port):
    pair, other = Pair(name="pair"), Cell(name="other")
    {
        "i": lambda: other.o.connect(pair.i),
        "o": lambda: pair.o.connect(other.i),
        "r": lambda: pair.r.connect_var(other.x),
        "v": lambda: other.r.connect(pair.v),
    }[port]()
    target = "x" if port == "v" else port
    with pytest.raises(CompileError, match=rf"'pair\.{target}'.*(no counterpart inside|aliases no Var)"):
        compile(other, inline(exception_proc_model_map={pair: Hollow}))


class Loose(AbstractSubProcessModel):
    """Pair with parts that are not attributes."""

    def __init__(self, proc):
        self.cell = Cell(name="cell")
        self.cells = [Cell(name="loose")]
        proc.i.connect(self.cell.i)
        {"to": self.cell.o, "from": self.cells[0].o}[proc.proc_params["way"]].connect(
            {"to": self.cells[0].i, "from": self.cell.i}[proc.proc_params["way"]]
        )


@pytest.mark.parametrize("way", ["to", "from"])
def test_a_sub_process_that_is_no_attribute_is_named(way):
    pair = Pair(name="pair", way=way)
    with pytest.raises(
        CompileError, match=r"'loose\.[io]', which has no counterpart.*attribute of the SubProcess"
    ):
        compile(pair, inline(exception_proc_model_map={pair: Loose}))


def test_references_reach_vars_of_hierarchical_processes():
    pair, reader = Pair(name="pair"), Cell(name="reader")
    reader.r.connect_var(pair.x)
    (reference,) = compile(reader, inline()).references
    reader.run(RunSteps(3), inline())
    reader.stop()
    assert pair.x.get().tolist() == [300, 300]
    assert reference.var == "x"


def test_references_reach_explicit_var_ports_of_hierarchical_processes():
    pair, reader = Pair(name="pair"), Cell(name="reader")
    reader.r.connect(pair.v)
    reader.run(RunSteps(2), inline())
    reader.stop()
    assert pair.x.get().tolist() == [200, 200]


def test_a_var_port_may_lead_to_a_var_port_inside():
    class Inner(AbstractSubProcessModel):
        def __init__(self, proc):
            self.cell = Cell(name="cell")
            proc.v.connect(self.cell.v)

    pair, reader = Pair(name="pair"), Cell(name="reader")
    reader.r.connect(pair.v)
    reader.run(RunSteps(2), inline(exception_proc_model_map={pair: Inner}))
    assert pair.procs.cell.x.get().tolist() == [200, 200]
    reader.stop()


def test_references_leave_hierarchical_processes():
    pair, other = Pair(name="pair"), Cell(name="other")
    pair.r.connect_var(other.x)
    other.run(RunSteps(2), inline())
    assert other.x.get().tolist() == [200, 200]
    other.stop()


def test_two_references_to_one_explicit_var_port_are_both_served():
    owner, one, two = Cell(name="owner"), Cell(name="one"), Cell(name="two")
    one.r.connect(owner.v)
    two.r.connect(owner.v)
    owner.run(RunSteps(1), inline())
    # both read before either is written
    assert owner.x.get().tolist() == [100, 100]
    owner.stop()
    assert len(owner.compile(inline()).references) == 2


def test_a_bad_alias_is_refused_at_compile():
    class Askew(AbstractSubProcessModel):
        def __init__(self, proc):
            self.cell = Cell(name="cell")
            proc.x.alias(stranger.x)

    stranger, pair = Cell(name="stranger"), Pair(name="pair")
    with pytest.raises(ArgumentTypeError, match=r"'pair\.x' aliases 'stranger\.x', which is not a Var"):
        compile(pair, inline(exception_proc_model_map={pair: Askew}))


def test_folded_views_reach_the_parts():
    _, nest, _ = nested()
    nest.folded_view, nest.folded_view_inst_id = Nest, 4
    compile(nest, inline())
    first = nest.procs.pair.procs.first
    assert (first.folded_view, first.folded_view_inst_id) == (Nest, 4)


def test_folded_views_are_numbered_by_class():
    source, nest, _ = nested()
    compile(source, inline(), {"folded_view": ["Nest", "LIF"]})
    assert (nest.folded_view, nest.folded_view_inst_id) == (Nest, 0)
    assert (source.folded_view, source.folded_view_inst_id) == (None, -1)
    first, second = LIF(shape=(1,)), LIF(shape=(1,))
    second.s_out.connect(first.a_in)
    compile(second, inline(), {"folded_view": ["LIF"]})
    assert [p.folded_view for p in (first, second)] == [LIF, LIF]
    assert [p.folded_view_inst_id for p in (first, second)] == [0, 1]


def test_parts_inherit_a_folded_view_unless_they_have_their_own():
    source, nest, _ = nested()
    compile(source, inline(), {"folded_view": ["Nest"]})
    pair = nest.procs.pair
    assert [(p.folded_view, p.folded_view_inst_id) for p in (pair, pair.procs.first)] == [(Nest, 0)] * 2
    compile(source, inline(), {"folded_view": ["Nest", type(pair).__name__]})
    assert [p.folded_view for p in (nest, pair, pair.procs.first)] == [Nest, type(pair), type(pair)]


@pytest.mark.parametrize("names", ["Nest", [Nest], 3])
def test_folded_views_are_names_of_classes(names):
    with pytest.raises(ArgumentTypeError, match=r"compile_config\['folded_view'\] must be a list of names"):
        compile(LIF(shape=(1,)), inline(), {"folded_view": names})


def test_options_are_a_dict():
    with pytest.raises(ArgumentTypeError, match=r"compile_config must be a dict such as .*, not 5"):
        compile(LIF(shape=(1,)), inline(), 5)


# --- channels -----------------------------------------------------------------------------


def test_fan_in_is_summed_in_the_order_of_connection():
    values = [1.0, 1e16, -1e16]
    sources = [SourceRingBuffer(data=np.full((1, 1), v)) for v in values]
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        out = SinkRingBuffer(shape=(1,), buffer=1)
        for k in order:
            sources[k].s_out.connect(out.a_in)
    expected = {(0, 1, 2): 0.0, (1, 2, 0): 1.0, (2, 0, 1): 0.0}
    sources[0].run(RunSteps(1), inline())
    sources[0].stop()
    sinks = [p.process for p in sources[0].s_out.get_dst_ports()]
    assert [s.data.get().item() for s in sinks] == list(expected.values())


def test_delays_of_channels_are_those_of_both_ends():
    src, dense, lif = source([1, 1]), Dense(weights=np.eye(2), name="dense"), LIF(shape=(2,), name="lif")
    src.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(dense.s_in)
    plan = compile(lif, inline())
    delays = {plan.channel_name(c): c.delay for c in plan.channels}
    assert delays == {
        "source.s_out -> dense.s_in": 1,
        "lif.s_out -> dense.s_in": 1,
        "dense.a_out -> lif.a_in": 1,
    }


def test_processes_are_visited_along_the_data():
    out, lif, dense, src = (
        sink(),
        LIF(shape=(2,), name="lif"),
        Dense(weights=np.eye(2), name="dense"),
        source([1, 1]),
    )
    src.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(out.a_in)
    plan = compile(lif, inline())
    assert [p.name for p in plan.processes] == ["source", "dense", "lif", "sink"]
    assert channel_names(plan) == [
        "lif.s_out -> sink.a_in",
        "dense.a_out -> lif.a_in",
        "source.s_out -> dense.s_in",
    ]


def test_plans_of_equal_networks_are_equal():
    def build():
        a, b, c = (Cell(name=name) for name in "abc")
        a.o.connect([b.i, c.i])
        b.o.connect(c.i)
        c.r.connect_var(a.x)
        plan = compile(b, local(partitions=2))
        return channel_names(plan), plan.partition, plan.management_order, process_names(plan)

    assert build() == build()


# --- partitions ---------------------------------------------------------------------------


def row(n=4):
    cells = [Cell(name=f"c{k}") for k in range(n)]
    for a, b in itertools.pairwise(cells):
        a.o.connect(b.i)
    return cells


@pytest.mark.parametrize("parts", [1, 2, 4, "3", np.int64(2)])
def test_as_many_partitions_as_asked_for(parts):
    plan = compile(row()[0], local(partitions=parts))
    assert plan.partitions == int(parts)
    assert set(plan.partition) == set(range(int(parts)))


def test_more_partitions_than_processes_are_refused():
    with pytest.raises(PlacementError, match="partitions=5, but the network has 4 processes; use at most 4"):
        compile(row()[0], local(partitions=5))


def test_parts_of_a_hierarchical_process_count_as_processes():
    src, _, _ = nested()
    assert compile(src, local(partitions=5)).partitions == 5
    with pytest.raises(PlacementError, match="partitions=6, but the network has 5 processes; use at most 5"):
        compile(src, local(partitions=6))


def test_inline_uses_one_partition():
    assert compile(row()[0], inline(partitions=3)).partition == [0] * 4


def test_small_networks_are_not_cut_by_themselves():
    assert compile(row()[0], local()).partitions == 1


def test_processes_are_placed_where_the_user_says():
    cells = row()
    plan = compile(cells[0], local(partitions=3, placement={cells[0]: 2, cells[3]: 0, cells[1]: 1}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert (where["c0"], where["c1"], where["c3"]) == (2, 1, 0)


def test_a_placement_alone_makes_partitions():
    cells = row()
    plan = compile(cells[0], local(placement={cells[0]: 0, cells[3]: 1}))
    assert plan.partitions == 2
    assert (plan.partition[0], plan.partition[3]) == (0, 1)


def test_a_hierarchical_process_is_placed_with_all_its_parts():
    src, nest, _ = nested()
    plan = compile(src, local(partitions=2, placement={nest: 1, src: 0}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert [where[name] for name in ("first", "second", "cell", "source")] == [1, 1, 1, 0]


@pytest.mark.parametrize(("partitions", "part"), [(2, 2), (2, -1), ("auto", -1), ("auto", 7)])
def test_an_impossible_partition_is_named(partitions, part):
    cells = row()
    with pytest.raises(PlacementError, match=rf"(process 'c1' into partition {part}|8 partitions cannot)"):
        compile(cells[0], local(partitions=partitions, placement={cells[1]: part}))


@pytest.mark.parametrize("placement", [{"c0": 0}, {3: 0}])
def test_a_placement_maps_processes(placement):
    with pytest.raises(PlacementError, match=r"placement maps Processes to partition numbers, not \S+ to 0"):
        compile(row()[0], local(partitions=2, placement=placement))


@pytest.mark.parametrize("part", [1.0, True, "1", None])
def test_a_placement_maps_to_integers(part):
    cells = row()
    with pytest.raises(
        PlacementError, match=r"placement maps Processes to partition numbers, not <Cell 'c0'> to"
    ):
        compile(cells[0], local(partitions=2, placement={cells[0]: part}))


def test_a_placement_of_a_stranger_is_refused():
    with pytest.raises(
        PlacementError, match="placement names process 'stranger', which is not part of this network"
    ):
        compile(row()[0], local(partitions=2, placement={Cell(name="stranger"): 0}))


def test_processes_coupled_by_a_reference_share_a_partition():
    cells = row()
    cells[3].r.connect_var(cells[0].x)
    plan = compile(cells[0], local(partitions=3))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert where["c0"] == where["c3"]
    with pytest.warns(LaharWarning, match=r"4 partitions were asked for, 3 are used.*\(c0 \+ c3\)"):
        plan = compile(cells[0], local(partitions=4))
    assert plan.partitions == 3
    assert "c0 + c3" in plan.notes[0]


def test_a_placement_may_separate_a_reference_which_is_not_elastic():
    cells = row()
    cells[3].r.connect_var(cells[0].x)
    plan = compile(cells[0], local(partitions=2, placement={cells[0]: 0, cells[3]: 1}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert (where["c0"], where["c3"]) == (0, 1)
    assert plan.sync == "lockstep"
    assert plan.sync_reasons == ["RefPort c3.r and Var c0.x are in different partitions"]
    with pytest.warns(LaharWarning, match=r"RefPort c3\.r and Var c0\.x are in different partitions"):
        plan = compile(cells[0], local(partitions=2, placement={cells[0]: 0, cells[3]: 1}, sync="elastic"))
    assert plan.sync == "lockstep"


def test_a_placement_that_separates_one_reference_keeps_the_others_together():
    cells = row()
    cells[3].r.connect_var(cells[0].x)
    cells[2].r.connect_var(cells[0].x)
    plan = compile(cells[0], local(partitions=2, placement={cells[0]: 0, cells[3]: 1}))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert where["c2"] == where["c0"]


def test_monitors_are_placed_beside_what_they_record():
    cells, monitor = row(), Monitor(name="monitor")
    monitor.probe(cells[0].x, 3)
    monitor.probe(cells[3].o, 3)
    plan = compile(cells[0], local(partitions=2))
    where = dict(zip([p.name for p in plan.processes], plan.partition, strict=True))
    assert where["monitor[0]"] == where["c0"]
    assert where["monitor[1]"] == where["c3"]


# --- sync ---------------------------------------------------------------------------------


def test_auto_is_elastic_where_it_is_safe():
    plan = compile(row()[0], local(partitions=2))
    assert (plan.sync, plan.sync_reasons) == ("elastic", [])


class Polling(PyCellModel):
    def run_spk(self):
        if self.i.probe():
            super().run_spk()


def test_auto_is_lockstep_where_it_is_not_and_says_why():
    cells = row()
    exceptions = {cells[1]: Polling}
    plan = compile(cells[0], local(partitions=2, exception_proc_model_map=exceptions))
    assert plan.sync == "lockstep"
    assert "c1 polls (probe)" in plan.sync_reasons[0]
    with pytest.warns(LaharWarning, match=r"sync='elastic' could change results.*lockstep: c1 polls"):
        plan = compile(cells[0], local(partitions=2, sync="elastic", exception_proc_model_map=exceptions))
    assert plan.sync == "lockstep"


def test_lockstep_can_be_asked_for():
    plan = compile(row()[0], local(partitions=2, sync="lockstep"))
    assert (plan.sync, plan.sync_reasons) == ("lockstep", [])


# --- sync domains -------------------------------------------------------------------------


def test_sync_domains_of_the_right_protocol_are_accepted():
    cells = row()
    domains = [SyncDomain("one", LoihiProtocol(), cells[:2]), SyncDomain("two", LoihiProtocol(), cells[2:])]
    assert len(compile(cells[0], inline(custom_sync_domains=domains)).processes) == 4


def test_a_sync_domain_of_another_protocol_is_refused():
    cells = row()
    for protocol in (AsyncProtocol(), None):
        domain = SyncDomain("free", protocol, [cells[1]])
        with pytest.raises(CompileError, match=r"'c1'.*SyncDomain 'free'.*LoihiProtocol"):
            compile(cells[0], inline(custom_sync_domains=[domain]))


def test_names_of_sync_domains_are_unique():
    domains = [SyncDomain("same", LoihiProtocol()), SyncDomain("same", LoihiProtocol())]
    with pytest.raises(CompileError, match="two SyncDomains are named 'same'"):
        compile(row()[0], inline(custom_sync_domains=domains))


def test_a_process_is_in_one_sync_domain():
    cells = row()
    domains = [SyncDomain(name, LoihiProtocol(), [cells[0]]) for name in ("one", "two")]
    with pytest.raises(CompileError, match="'c0' is in SyncDomains 'one' and 'two'"):
        compile(cells[0], inline(custom_sync_domains=domains))


# --- pickling -----------------------------------------------------------------------------


def test_an_argument_that_cannot_be_pickled_is_named():
    cell = Cell(name="it", lock=threading.Lock(), harmless=3)
    with pytest.raises(UnpicklableError) as caught:
        cell.run(RunSteps(1), local())
    text = str(caught.value)
    assert "Process 'it' (Cell): argument 'lock' of type lock cannot be sent to a worker process" in text
    assert "launcher='inline'" in text


def test_what_cannot_be_pickled_runs_inline():
    cell = Cell(name="it", lock=threading.Lock())
    cell.run(RunSteps(1), inline())
    cell.stop()
    assert cell.x.get().tolist() == [0, 0]


def test_a_model_class_that_cannot_be_pickled_is_named():
    lock = threading.Lock()

    class Holding(PyCellModel):
        held = lock

    cell = Cell(name="it")
    with pytest.raises(UnpicklableError, match=r"Process 'it' \(Cell\): model class Holding"):
        cell.run(RunSteps(1), local(exception_proc_model_map={cell: Holding}))


def test_after_that_error_the_network_can_be_run():
    cell = Cell(name="it", lock=threading.Lock())
    with pytest.raises(UnpicklableError):
        cell.run(RunSteps(1), local())
    assert cell.runtime is None
    cell.run(RunSteps(1), inline())
    cell.stop()


def test_a_plan_survives_pickling():
    src, _, _ = nested()
    plan = compile(src, local(partitions=2))
    again = cloudpickle.loads(cloudpickle.dumps(plan))
    assert isinstance(again, Plan)
    assert channel_names(again) == channel_names(plan)
    assert again.partition == plan.partition


def test_classes_of_a_function_run_in_workers():
    class Local(AbstractProcess):
        def __init__(self):
            super().__init__()
            self.x = Var((1,), 1)

    @implements(proc=Local, protocol=LoihiProtocol)
    class LocalModel(PyLoihiProcessModel):
        x: np.ndarray = LavaPyType(np.ndarray, float)

        def run_spk(self):
            self.x *= 2

    process = Local()
    process.run(RunSteps(5), Loihi2SimCfg(launcher="local"))
    process.stop()
    assert process.x.get().tolist() == [32]


# --- stop, compile, run again -------------------------------------------------------------


def test_compile_while_the_network_is_started_is_refused():
    src, nest, _ = nested()
    src.create_runtime(inline())
    with src, pytest.raises(StateError, match="has been started"):
        nest.compile(inline())
    assert len(nest.compile(inline()).processes) == 5


def test_in_ports_that_nobody_feeds_are_logged(caplog):
    a, b = LIF(shape=(2,), name="a"), LIF(shape=(2,), name="b")
    a.s_out.connect(b.a_in)
    with caplog.at_level("INFO", logger="lahar.compiler"):
        compile(a, inline())
    assert "L201 a.a_in: not connected, so it reads zeros." in caplog.messages
    assert not any("b.a_in" in message for message in caplog.messages)
