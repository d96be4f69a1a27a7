"""Concatenated ports: what can be joined, and that messages and Vars arrive in their parts."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from support.cells import Box
from support.sparse_nodes import Lister, Listing

from lahar.compiler import compile  # noqa: A004
from lahar.processes import (
    AbstractProcess,
    InPort,
    OutPort,
    RefPort,
    SinkRingBuffer,
    SourceRingBuffer,
    Var,
)
from lahar.processes.errors import (
    ArgumentTypeError,
    CompileError,
    ConcatIndexError,
    ConcatShapeError,
    DuplicateConnectionError,
    PortError,
    ShapeError,
)
from lahar.processes.model import (
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyRefPort,
    implements,
)
from lahar.processes.virtual_ports import AbstractVirtualPort, ConcatPort
from lahar.runtime import Loihi2SimCfg, RunSteps


class Negator(AbstractProcess):
    """Reads a Var and, from step `first` on, writes its negative minus 100."""

    def __init__(self, shape, first=1, **kwargs):
        super().__init__(first=first, **kwargs)
        self.ref = RefPort(shape)
        self.seen = Var(shape, 0)


@implements(proc=Negator, protocol=LoihiProtocol)
class PyNegatorModel(PyLoihiProcessModel):
    ref: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    seen: np.ndarray = LavaPyType(np.ndarray, float)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.seen = self.ref.read()
        if self.time_step >= self.proc_params["first"]:
            self.ref.write(-self.seen - 100)


def inline():
    return Loihi2SimCfg(launcher="inline", select_tag="floating_pt")


def source(data):
    """Send an array once."""
    return SourceRingBuffer(data=np.asarray(data, float)[..., np.newaxis])


def received(sink):
    sink.run(RunSteps(1), inline())
    sink.stop()
    return sink.data.get()[..., 0]


def connections(*ports):
    return [port.out_connections for port in ports]


# --- what can be joined -------------------------------------------------------------------------------


@pytest.mark.parametrize(("axis", "normal", "shape"), [(0, 0, (6, 3)), (1, 1, (2, 9)), (-1, 1, (2, 9))])
def test_the_shape_and_the_order_of_the_parts(axis, normal, shape):
    a, b, c = Box(), Box(), Box()
    joined = a.o.concat_with([b.o, c.o], axis)
    assert isinstance(joined, ConcatPort)
    assert (joined.shape, joined.axis) == (shape, normal)
    assert joined.in_connections == [a.o, b.o, c.o]
    assert connections(a.o, b.o, c.o) == [[joined]] * 3
    assert joined.process is a
    assert joined.root is a.o


def test_one_port_needs_no_list_and_parts_may_differ_along_the_axis():
    a, b = Box(shape=(2, 3), name="a"), Box(shape=(2, 5))
    joined = a.o.concat_with(b.o, np.int64(-1))
    assert (joined.shape, joined.axis) == ((2, 8), 1)
    assert joined.path == "a.o.ConcatPort"


@pytest.mark.parametrize("axis", [2, -3, 7])
def test_an_axis_that_does_not_exist_is_named(axis):
    a, b = Box(), Box()
    with pytest.raises(ConcatIndexError, match=rf"along axis {axis}: the port's shape is \(2, 3\)"):
        a.o.concat_with(b.o, axis)
    assert connections(a.o, b.o) == [[], []]


def test_a_port_without_axes_cannot_be_joined():
    with pytest.raises(ConcatIndexError):
        Box(shape=()).o.concat_with(Box(shape=()).o, 0)


@pytest.mark.parametrize(
    ("shape", "axis"), [((3, 3), 1), ((2, 4), 0), ((2,), 0), ((2, 3, 1), 0), ((5, 4), 0), ((6,), -1)]
)
def test_parts_that_differ_elsewhere_are_refused(shape, axis):
    a, b, c = Box(), Box(), Box(shape=shape)
    with pytest.raises(ConcatShapeError) as caught:
        a.o.concat_with([b.o, c.o], axis)
    assert caught.value.shapes == [(2, 3), (2, 3), shape]
    assert str(shape) in str(caught.value)
    assert connections(a.o, b.o, c.o) == [[], [], []]


@pytest.mark.parametrize("axis", [1.0, None, True, "0"])
def test_an_axis_must_be_an_integer(axis):
    a, b = Box(name="a"), Box()
    with pytest.raises(ArgumentTypeError, match=r"'a\.o'\.concat_with\(\): axis must be an integer"):
        a.o.concat_with(b.o, axis)
    assert connections(a.o, b.o) == [[], []]


@pytest.mark.parametrize("other", ["i", "r", "v"])
def test_ports_of_different_kinds_are_refused(other):
    a, b, c = Box(name="a"), Box(), Box(name="c")
    for port in (getattr(c, other), getattr(c, other).reshape((2, 3))):
        with pytest.raises(PortError, match=rf"'a\.o' is of kind OutPort, 'c\.{other}.*' of kind"):
            a.o.concat_with([b.o, port], 0)
    assert connections(a.o, b.o) == [[], []]


@pytest.mark.parametrize("other", [None, "port", 3])
def test_what_is_no_port_is_refused(other):
    with pytest.raises(PortError, match=f"joins ports of Processes, not {other!r}"):
        Box().o.concat_with(other, 0)


def test_a_virtual_port_behind_no_process_is_refused():
    with pytest.raises(PortError, match="joins ports of Processes, not Shift"):
        Box().o.concat_with(Shift((2, 3)), 0)


def test_there_must_be_another_port():
    a = Box(name="a")
    with pytest.raises(ArgumentTypeError, match=r"'a\.o'\.concat_with\(\): an empty list"):
        a.o.concat_with([], 0)
    with pytest.raises(DuplicateConnectionError, match=r"'a\.o' is given twice"):
        a.o.concat_with(a.o, 0)
    assert connections(a.o) == [[]]


def test_the_target_must_have_the_joined_shape_and_fit_the_kind():
    a, b = Box(name="a"), Box()
    joined = a.o.concat_with(b.o, 0)
    with pytest.raises(ShapeError, match=r"'a\.o\.ConcatPort' of shape \(4, 3\) with"):
        joined.connect(Box().i)
    with pytest.raises(PortError, match="takes InPort or OutPort"):
        joined.connect(Box(shape=(4, 3)).r)


def test_the_functions_of_the_whole_join_and_cut():
    joined = Box(shape=(2, 1)).o.concat_with([Box(shape=(2, 3)).o, Box(shape=(2, 2)).o], 1)
    parts = [np.full((2, n), n) for n in (1, 3, 2)]
    whole = joined.get_transform_func_fwd()(parts)
    assert np.array_equal(whole, np.concatenate(parts, axis=1))
    for part, again in zip(parts, joined.get_transform_func_bwd()(whole), strict=True):
        assert np.array_equal(part, again)


# --- messages -----------------------------------------------------------------------------------------

DTYPES = st.sampled_from(["?", "i1", "u2", "i4", "i8", "f4", "f8", "c16"])


@given(st.data(), DTYPES, st.integers(-2, 1), st.lists(st.integers(0, 3), min_size=2, max_size=4))
def test_the_sum_over_the_paths_is_the_concatenation(data, dtype, axis, lengths):
    """Every bit, NaN and signed zeros included."""
    shapes = [(2, n) if axis % 2 else (n, 2) for n in lengths]
    parts = [data.draw(hnp.arrays(dtype, shape)) for shape in shapes]
    ports = [OutPort(shape) for shape in shapes]
    ports[0].concat_with(ports[1:], axis).connect(target := InPort(np.concatenate(parts, axis).shape))
    port = PyInPort.VEC_DENSE("cell.i", target.shape, dtype)
    for (start, virtual), part in zip(target.backward_paths(), parts, strict=True):
        assert start.shape == part.shape
        transforms = [pickle.loads(pickle.dumps(v.get_transform_func_fwd())) for v in virtual]
        port.attach(Fixed(part), transforms, dtype)
    with np.errstate(invalid="ignore"):
        result = port.recv()
    assert result.dtype == np.dtype(dtype)
    assert result.tobytes() == np.concatenate(parts, axis).tobytes()


class Fixed:
    """A channel that gives the same message for ever."""

    def __init__(self, message):
        self.message = message

    def get(self):
        return self.message


A, B, C = np.arange(6.0).reshape(2, 3), 10 + np.arange(6.0).reshape(2, 3), 20 + np.arange(3.0).reshape(1, 3)


def test_messages_of_several_processes_are_joined():
    a, b, c, sink = source(A), source(B), source(C), SinkRingBuffer(shape=(5, 3), buffer=1)
    b.s_out.concat_with([c.s_out, a.s_out], 0).connect(sink.a_in)
    assert np.array_equal(received(sink), np.concatenate([B, C, A]))


def test_virtual_ports_before_and_behind():
    a, b, sink = source(A), source(B), SinkRingBuffer(shape=(3, 4), buffer=1)
    joined = a.s_out.transpose().concat_with(b.s_out.reshape((3, 2)), -1)
    joined.transpose().flatten().reshape((3, 4)).connect(sink.a_in)
    expected = np.concatenate([A.T, B.reshape(3, 2)], axis=1)
    assert np.array_equal(received(sink), expected.T.reshape(3, 4))


def test_one_port_can_be_several_parts():
    a, sink = source(A), SinkRingBuffer(shape=(4, 3), buffer=1)
    a.s_out.concat_with(a.s_out.transpose().transpose(), 0).connect(sink.a_in)
    assert np.array_equal(received(sink), np.concatenate([A, A]))


def test_a_concatenation_of_concatenations():
    a, b, c, d = (source(x) for x in (A, B, -A, -B))
    sink = SinkRingBuffer(shape=(4, 6), buffer=1)
    left = a.s_out.concat_with(b.s_out, 0)
    left.concat_with(c.s_out.concat_with(d.s_out, 0), 1).connect(sink.a_in)
    assert np.array_equal(received(sink), np.block([[A, -A], [B, -B]]))


def test_a_joined_port_adds_to_other_connections_and_fans_out():
    a, b, c = source(A), source(B), source(np.full((4, 3), 0.5))
    first, second = SinkRingBuffer(shape=(4, 3), buffer=1), SinkRingBuffer(shape=(4, 3), buffer=1)
    c.s_out.connect(first.a_in)
    a.s_out.concat_with(b.s_out, 0).connect([first.a_in, second.a_in])
    first.run(RunSteps(1), inline())
    first.stop()
    assert np.array_equal(first.data.get()[..., 0], np.concatenate([A, B]) + 0.5)
    assert np.array_equal(second.data.get()[..., 0], np.concatenate([A, B]))


def test_a_joined_port_left_unconnected_is_ignored():
    a, b, sink = source(A), source(B), SinkRingBuffer(shape=(2, 3), buffer=1)
    a.s_out.concat_with(b.s_out, 0)
    a.s_out.connect(sink.a_in)
    assert np.array_equal(received(sink), A)


class Pair(AbstractProcess):
    """Hierarchical: two sources joined inside; `joined` inputs joined for an inner sink."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.s_out = OutPort((2, 6))
        self.left, self.right = InPort((2, 6)), InPort((1, 6))
        self.data = Var((3, 6, 1), 0)


@implements(proc=Pair, protocol=LoihiProtocol)
class PairModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.a, self.b = source(A), source(B)
        self.a.s_out.concat_with(self.b.s_out, 1).connect(proc.s_out)
        self.sink = SinkRingBuffer(shape=(3, 6), buffer=1)
        proc.left.concat_with(proc.right, 0).connect(self.sink.a_in)
        proc.data.alias(self.sink.data)


def test_hierarchical_processes_join_inside_and_outside():
    """The sink's left half comes out of the same process; the right one is not connected at first."""
    pair = Pair()
    pair.s_out.connect(pair.left)
    pair.run(RunSteps(1), inline())
    ab = np.concatenate([A, B], axis=1)
    assert np.array_equal(pair.data.get()[..., 0], np.concatenate([ab, np.zeros((1, 6))]))
    pair.stop()
    pair, row = Pair(), source(np.full((1, 6), 7))
    pair.s_out.connect(pair.left)
    row.s_out.connect(pair.right)
    pair.run(RunSteps(1), inline())
    assert np.array_equal(pair.data.get()[..., 0], np.concatenate([ab, np.full((1, 6), 7)]))
    pair.stop()


def test_sparse_messages_are_joined():
    a = Lister(shape=(2, 2), data=[[1.0, 2.0]], indices=[[0, 3]], counts=[2])
    b = Lister(shape=(2, 1), data=[[3.0]], indices=[[1]], counts=[1])
    sink = Listing(shape=(2, 3), steps=1)
    a.s_out.concat_with(b.s_out, 1).connect(sink.s_in)
    sink.run(RunSteps(1), inline())
    assert sink.data.get()[0, :3].tolist() == [1, 2, 3]
    assert sink.indices.get()[0, :3].tolist() == [0, 4, 5]
    sink.stop()


# --- Vars ---------------------------------------------------------------------------------------------


def test_refports_read_and_write_their_parts():
    owner, left, right = Box(shape=(2, 5)), Negator((2, 2)), Negator((2, 3), first=2)
    left.ref.concat_with(right.ref, 1).connect(owner.v)
    assert left.ref.get_dst_vars() == right.ref.get_dst_vars() == [owner.x]
    x = np.arange(10.0).reshape(2, 5)
    owner.run(RunSteps(1), inline())
    assert np.array_equal(left.seen.get(), x[:, :2])
    assert np.array_equal(right.seen.get(), x[:, 2:])
    x[:, :2] = -x[:, :2] - 100
    assert np.array_equal(owner.x.get(), x), "the part of the other RefPort stays"
    owner.run(RunSteps(1), inline())
    assert np.array_equal(owner.x.get(), -x - 100)
    owner.stop()


def test_refports_with_virtual_ports_before_and_behind():
    owner, a, b = Box(shape=(3, 4)), Negator((2, 3), first=9), Negator((6,))
    joined = a.ref.transpose().concat_with(b.ref.reshape((3, 2)), 1)
    joined.flatten().reshape((4, 3)).transpose().connect(owner.v)
    owner.run(RunSteps(1), inline())
    table = np.arange(12.0).reshape(3, 4).T.reshape(3, 4)
    assert np.array_equal(a.seen.get(), table[:, :2].T)
    assert np.array_equal(b.seen.get(), table[:, 2:].ravel())
    table[:, 2:] = -table[:, 2:] - 100
    assert np.array_equal(owner.x.get(), table.reshape(4, 3).T)
    owner.stop()


def test_three_nested_refports():
    owner, parts = Box(shape=(6,)), [Negator((2,), first=k) for k in (1, 9, 1)]
    parts[0].ref.concat_with(parts[1].ref, 0).concat_with(parts[2].ref, 0).connect(owner.v)
    owner.run(RunSteps(1), inline())
    assert [p.seen.get().tolist() for p in parts] == [[0, 1], [2, 3], [4, 5]]
    assert owner.x.get().tolist() == [-100, -101, 2, 3, -104, -105]
    owner.stop()


def test_a_refport_reaches_one_part_of_one_var():
    a, b, c = Negator((2,), name="a"), Negator((2,)), Negator((2,))
    with pytest.raises(DuplicateConnectionError, match=r"'a\.ref' is given twice"):
        a.ref.concat_with(a.ref.reshape((2,)), 0)
    first, second = b.ref.concat_with(a.ref, 0), c.ref.concat_with(a.ref, 0)
    first.connect(Box(shape=(4,)).v)
    with pytest.raises(PortError, match=r"'a\.ref' can be connected to one Var only"):
        second.connect(Box(shape=(4,)).v)
    with pytest.raises(PortError, match=r"'a\.ref' can be connected to one Var only"):
        a.ref.connect_var(Box(shape=(2,)).x)


class Shift(AbstractVirtualPort):
    """Keeps the mask of an array."""

    def get_transform_func_fwd(self):
        return partial(_roll, shift=1)

    def get_transform_func_bwd(self):
        return partial(_roll, shift=-1)


def _roll(x, shift):
    return x.take(np.arange(x.size) - shift, mode="wrap")


class Forgetful(Shift):
    """Drops it."""

    def get_transform_func_fwd(self):
        return partial(np.asarray, order="C")


@pytest.mark.parametrize("kind", [Shift, Forgetful])
def test_user_made_virtual_ports_behind_joined_refports(kind):
    owner, a, b = Box(shape=(4,), name="owner"), Negator((2,), name="a"), Negator((2,), first=9)
    joined, virtual = a.ref.concat_with(b.ref, 0), kind((4,))
    joined._connect_forward([virtual], AbstractVirtualPort, assert_same_shape=False)
    virtual.connect(owner.v)
    if kind is Forgetful:
        with pytest.raises(CompileError, match=r"'a\.ref' -> 'owner\.v': .*\(ConcatInput, Forgetful\) drops"):
            compile(owner, inline())
        return
    owner.run(RunSteps(1), inline())
    assert a.seen.get().tolist() == [1, 2]
    assert owner.x.get().tolist() == [0, -101, -102, 3]
    owner.stop()
