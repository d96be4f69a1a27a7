"""What belongs to a network, and the expansion of hierarchical Processes."""

from __future__ import annotations

import numpy as np
import pytest
from support.cells import (
    Cell,
    Nest,
    NestModel,
    Pair,
    PairModel,
    PyCellModel,
    channel_names,
    inline,
    nested,
    process_names,
)

from lahar.compiler import compile, network_processes  # noqa: A004
from lahar.processes import LIF, AbstractProcess, InPort
from lahar.processes.errors import ArgumentTypeError, CompileError, NoProcessModelFound
from lahar.processes.model import (
    AbstractSubProcessModel,
    LavaPyType,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
)
from lahar.runtime import RunSteps

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


# --- hierarchy ----------------------------------------------------------------------------


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
