"""Virtual ports: shapes, transformations and their inverses, chains per path, and what is refused."""

from __future__ import annotations

import pickle
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.cells import Box

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
    DuplicateConnectionError,
    PortError,
    ReshapeError,
    ShapeError,
    TransposeIndexError,
    TransposeShapeError,
)
from lahar.processes.model import (
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    implements,
)
from lahar.processes.virtual_ports import AbstractVirtualPort, ReshapePort, TransposePort
from lahar.runtime import Loihi2SimCfg, RunSteps


class Doubler(AbstractProcess):
    """Reads a Var over a RefPort and writes back twice the value plus its own index."""

    def __init__(self, shape, **kwargs):
        super().__init__(**kwargs)
        self.ref = RefPort(shape)
        self.seen = Var(shape, 0)


@implements(proc=Doubler, protocol=LoihiProtocol)
class PyDoublerModel(PyLoihiProcessModel):
    ref: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    seen: np.ndarray = LavaPyType(np.ndarray, float)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.seen = self.ref.read()
        self.ref.write(2 * self.seen + np.arange(self.seen.size).reshape(self.seen.shape))


def inline():
    return Loihi2SimCfg(launcher="inline", select_tag="floating_pt")


def source(data, name=None):
    """Send an array once."""
    return SourceRingBuffer(data=np.asarray(data, float)[..., np.newaxis], name=name)


def received(sink, runner=None):
    (runner or sink).run(RunSteps(1), inline())
    sink.stop()
    return sink.data.get()[..., 0]


@pytest.fixture
def box():
    return Box(name="box")


# --- shapes -------------------------------------------------------------------------------


def test_virtual_ports_show_the_new_shape(box):
    assert box.o.reshape((3, 2)).shape == (3, 2)
    assert box.o.flatten().shape == (6,)
    assert box.o.transpose().shape == (3, 2)
    assert Box(shape=(2, 3, 4)).o.transpose((2, 0, 1)).shape == (4, 2, 3)
    assert Box(shape=(2, 3, 4)).o.transpose([-1, 0, -2]).shape == (4, 2, 3)
    assert Box(shape=()).o.reshape((1, 1)).shape == (1, 1)


def test_virtual_ports_can_be_chained_on_every_kind_of_port(box):
    for port in (box.o, box.i, box.r, box.v):
        chain = port.reshape((3, 2)).transpose().flatten()
        assert isinstance(chain, ReshapePort)
        assert isinstance(chain.in_connections[0], TransposePort)
        assert chain.shape == (6,)
        assert chain.root is port
        assert chain.process is box
        assert chain.path == f"box.{port.name}.ReshapePort"


def test_the_process_of_a_virtual_port_is_read_only(box):
    with pytest.raises(AttributeError, match="follows from the port"):
        box.o.flatten().process = box


@pytest.mark.parametrize("shape", [(2, 2), (-1,), (7,), (), (-2, -3)])
def test_a_reshape_to_another_size_names_both_shapes(box, shape):
    with pytest.raises(ReshapeError) as caught:
        box.o.reshape(shape)
    assert (caught.value.old_shape, caught.value.new_shape) == ((2, 3), shape)
    assert f"(2, 3) to {shape}" in str(caught.value)
    assert box.o.out_connections == []


@pytest.mark.parametrize("shape", [[6], 6, None])
def test_a_reshape_takes_a_tuple(box, shape):
    with pytest.raises(ArgumentTypeError, match=r"reshape\(\) takes a tuple such as \(3, 4\), not"):
        box.o.reshape(shape)
    with pytest.raises(ArgumentTypeError, match="non-negative integers"):
        box.o.reshape((6.0,))


@pytest.mark.parametrize("axes", [(0,), (0, 1, 1), (0, 0), (1, -1), ()])
def test_a_transposition_must_use_each_axis_once(box, axes):
    with pytest.raises(TransposeShapeError) as caught:
        box.o.transpose(axes)
    assert "(2, 3)" in str(caught.value)
    assert str(axes) in str(caught.value)
    assert box.o.out_connections == []


@pytest.mark.parametrize(("axes", "wrong"), [((0, 2), 2), ([-3, 0], -3)])
def test_a_transposition_names_an_axis_that_does_not_exist(box, axes, wrong):
    with pytest.raises(TransposeIndexError, match=f"there is no axis {wrong}"):
        box.o.transpose(axes)
    assert box.o.out_connections == []


# --- connecting ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("own", "allowed"),
    [("o", {"i", "o"}), ("i", {"i"}), ("r", {"r", "v"}), ("v", {"v"})],
)
@pytest.mark.parametrize("other", ["i", "o", "r", "v"])
def test_what_may_be_connected_follows_from_the_real_port(box, own, allowed, other):
    virtual, target = getattr(box, own).flatten(), getattr(Box(shape=(6,), name="flat"), other)
    if other in allowed:
        virtual.connect(target)
        assert target.in_connections == [virtual]
        assert virtual.out_connections == [target]
    else:
        with pytest.raises(
            PortError, match=rf"'box\.{own}\.ReshapePort'\.connect\(\) takes .*'flat\.{other}'"
        ):
            virtual.connect(target)
        assert target.in_connections == virtual.out_connections == []


def test_shapes_must_be_equal_behind_the_virtual_port(box):
    with pytest.raises(
        ShapeError, match=r"'box\.o\.TransposePort' of shape \(3, 2\) with '\S+' of shape \(2, 3\)"
    ):
        box.o.transpose().connect(Box().i)


def test_a_virtual_port_is_no_target(box):
    other = Box()
    for connect in (other.o.connect, other.i.connect_from, other.o.flatten().connect):
        with pytest.raises(PortError):
            connect(box.i.reshape((2, 3)))


def test_virtual_ports_are_connected_once(box):
    flat, virtual = Box(shape=(6,)), box.o.flatten()
    virtual.connect(flat.i)
    with pytest.raises(DuplicateConnectionError):
        virtual.connect(flat.i)


def test_a_virtual_port_must_stand_behind_a_real_one():
    with pytest.raises(PortError, match="TransposePort stands behind no real port"):
        TransposePort.of((2, 3), None).connect(Box(shape=(3, 2)).i)


def test_a_virtual_port_left_unconnected_is_ignored():
    src, sink = source([1, 2]), SinkRingBuffer(shape=(2,), buffer=1)
    src.s_out.reshape((2, 1))
    src.s_out.connect(sink.a_in)
    sink.a_in.reshape((1, 2))
    assert received(sink).tolist() == [1, 2]


# --- transformations ----------------------------------------------------------------------


def test_transformations_can_be_pickled(box):
    for port in (box.o.reshape((3, 2)), box.o.transpose()):
        for function in (port.get_transform_func_fwd(), port.get_transform_func_bwd()):
            pickle.loads(pickle.dumps(function))


@st.composite
def chains(draw):
    """A shape and a chain of virtual ports as (kind, argument)."""
    factors = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    shape, steps = tuple(factors), []
    for _ in range(draw(st.integers(1, 4))):
        kind = draw(st.sampled_from(["transpose", "reshape"]))
        if kind == "transpose":
            axes = draw(st.permutations(range(len(shape))))
            shape_after = tuple(shape[k] for k in axes)
            steps.append((kind, [k - draw(st.sampled_from([0, len(shape)])) for k in axes]))
        else:
            shuffled = draw(st.permutations(factors))
            cut = draw(st.integers(0, len(shuffled) - 1))
            shape_after = (*shuffled[:cut], int(np.prod(shuffled[cut:])))
            steps.append((kind, shape_after))
        shape = shape_after
    return tuple(factors), steps


def build(port, steps):
    for kind, argument in steps:
        port = getattr(port, kind)(argument)
    return port


@given(chains())
def test_a_chain_is_numpy_forward_and_back_again(chain):
    shape, steps = chain
    sender = Box(shape=shape)
    virtual = build(sender.o, steps)
    receiver = Box(shape=virtual.shape)
    virtual.connect(receiver.i)
    value = expected = np.arange(np.prod(shape)).reshape(shape)
    for kind, argument in steps:
        expected = getattr(np, kind)(expected, argument)
    forward = receiver.i.get_incoming_transform_funcs()[f"{sender.id}_o"]
    there = value
    for function in forward:
        there = function(there)
    assert np.array_equal(there, expected)
    assert there.shape == receiver.i.shape
    back = there
    for function in sender.o.get_outgoing_transform_funcs()[f"{receiver.id}_i"]:
        back = function(back)
    assert np.array_equal(back, value)


@given(chains())
def test_plans_carry_the_same_chain(chain):
    shape, steps = chain
    sender = source(np.zeros(shape))
    virtual = build(sender.s_out, steps)
    virtual.connect(SinkRingBuffer(shape=virtual.shape, buffer=1).a_in)
    (channel,) = sender.compile(inline()).channels
    assert channel.shape == shape
    value = expected = np.arange(np.prod(shape)).reshape(shape)
    for kind, argument in steps:
        expected = getattr(np, kind)(expected, argument)
    for transform in channel.transforms:
        value = transform(value)
    assert np.array_equal(value, expected)


# --- in a running network -----------------------------------------------------------------

GRID = np.arange(6.0).reshape(2, 3)


def test_messages_are_transformed_by_the_receiver():
    src, sink = source(GRID), SinkRingBuffer(shape=(3, 2), buffer=1)
    src.s_out.transpose().connect(sink.a_in)
    assert np.array_equal(received(sink), GRID.T)


def test_each_source_of_a_fan_in_keeps_its_own_chain():
    sink = SinkRingBuffer(shape=(6,), buffer=1)
    sources = [source(GRID), source(100 * GRID), source(10_000 * GRID.ravel())]
    sources[0].s_out.flatten().connect(sink.a_in)
    sources[1].s_out.transpose().flatten().connect(sink.a_in)
    sources[2].s_out.connect(sink.a_in)
    expected = GRID.ravel() + 100 * GRID.T.ravel() + 10_000 * GRID.ravel()
    assert np.array_equal(received(sink), expected)


def test_parallel_paths_between_two_ports_are_summed():
    square = np.arange(9.0).reshape(3, 3)
    src, sink = source(square), SinkRingBuffer(shape=(3, 3), buffer=1)
    src.s_out.connect(sink.a_in)
    src.s_out.transpose().connect(sink.a_in)
    assert np.array_equal(received(sink), square + square.T)


def test_parallel_paths_are_summed_in_the_order_of_their_connections():
    first = np.array([[0.0, 1e16], [3.0, 0.0]])
    second = np.array([[0.0, -1e16], [-1e16, 0.0]])
    one, two = source(first), source(second)
    sink = SinkRingBuffer(shape=(2, 2), buffer=1)
    transposed = one.s_out.transpose()
    transposed.connect(sink.a_in)
    two.s_out.connect(sink.a_in)
    one.s_out.connect(sink.a_in)
    plan = sink.compile(inline())
    names = [plan.processes[c.source[0]].id for c in plan.channels]
    assert names == [one.id, two.id, one.id]
    assert [len(c.transforms) for c in plan.channels] == [1, 0, 0]
    assert np.array_equal(received(sink), (first.T + second) + first)
    assert not np.array_equal((first.T + second) + first, (first.T + first) + second)


def test_one_virtual_port_may_lead_to_several_ports():
    src = source(GRID)
    sinks = [SinkRingBuffer(shape=(3, 2), buffer=1) for _ in range(2)]
    src.s_out.transpose().connect([sink.a_in for sink in sinks])
    assert np.array_equal(received(sinks[0]), GRID.T)
    assert np.array_equal(sinks[1].data.get()[..., 0], GRID.T)


class Relabel(AbstractProcess):
    """A hierarchical process with virtual ports inside."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((6,))
        self.o = OutPort((3, 2))


class Pass(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((2, 3))
        self.o = OutPort((2, 3))


@implements(proc=Pass, protocol=LoihiProtocol)
class PyPassModel(PyLoihiProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def run_spk(self):
        self.o.send(self.i.recv() + 1)


@implements(proc=Relabel, protocol=LoihiProtocol)
class RelabelModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.inner = Pass()
        proc.i.reshape((2, 3)).connect(self.inner.i)
        self.inner.o.transpose().connect(proc.o)


def test_chains_go_on_through_hierarchical_ports():
    first, second = source(GRID), source(100 * GRID.ravel())
    middle, sink = Relabel(), SinkRingBuffer(shape=(6,), buffer=1)
    first.s_out.transpose().flatten().connect(middle.i)
    second.s_out.connect(middle.i)
    middle.o.flatten().connect(sink.a_in)
    inside = (GRID.T.ravel() + 100 * GRID.ravel()).reshape(2, 3) + 1
    assert np.array_equal(received(sink), inside.T.ravel())


@pytest.mark.parametrize("behind_a_var_port", [False, True])
def test_references_read_backward_and_write_forward(behind_a_var_port):
    owner, reader = Box(), Doubler((3, 2))
    if behind_a_var_port:
        reader.ref.transpose().connect(owner.v)
    else:
        port = reader.ref.create_implicit_var_port(owner.x)
        reader.ref.transpose().connect(port)
    reader.run(RunSteps(1), inline())
    seen, value = reader.seen.get(), owner.x.get()
    reader.stop()
    assert np.array_equal(seen, GRID.T)
    assert np.array_equal(value, (2 * GRID.T + np.arange(6).reshape(3, 2)).T)


def test_references_through_chains():
    owner, reader = Box(shape=(2, 3, 2)), Doubler((12,))
    reader.ref.reshape((3, 2, 2)).transpose((1, 0, 2)).connect(owner.v)
    reader.run(RunSteps(1), inline())
    seen, value = reader.seen.get(), owner.x.get()
    reader.stop()
    x = np.arange(12).reshape(2, 3, 2)
    assert np.array_equal(seen, x.transpose(1, 0, 2).ravel())
    written = (2 * seen + np.arange(12)).reshape(3, 2, 2).transpose(1, 0, 2)
    assert np.array_equal(value, written)


# --- user-made ----------------------------------------------------------------------------


class Roll(AbstractVirtualPort):
    """A virtual port as users write one."""

    def get_transform_func_fwd(self):
        return partial(np.roll, shift=1)

    def get_transform_func_bwd(self):
        return partial(np.roll, shift=-1)


@pytest.mark.parametrize("behind", ["real", "virtual"])
def test_user_made_virtual_ports(behind):
    src, sink = source(GRID), SinkRingBuffer(shape=(3, 2) if behind == "virtual" else (2, 3), buffer=1)
    port = src.s_out.transpose() if behind == "virtual" else src.s_out
    roll = Roll(port.shape)
    port._connect_forward([roll], AbstractVirtualPort, [None], assert_same_shape=False)
    assert roll.process is src
    roll.connect(sink.a_in)
    assert np.array_equal(received(sink), np.roll(GRID.T if behind == "virtual" else GRID, 1))


def test_user_made_virtual_ports_are_checked_unless_told_otherwise(box):
    with pytest.raises(ShapeError, match=r"'box\.o' of shape \(2, 3\)"):
        box.o._connect_forward([Roll((3, 2))], AbstractVirtualPort)
    with pytest.raises(PortError, match="takes AbstractVirtualPort, not InPort"):
        box.o._connect_forward([Box().i], AbstractVirtualPort)
    assert box.o.out_connections == []


def test_user_made_virtual_ports_in_references():
    owner, reader = Box(), Doubler((2, 3))
    roll = Roll((2, 3))
    reader.ref._connect_forward([roll], AbstractVirtualPort, [None], assert_same_shape=False)
    roll.connect(owner.v)
    reader.run(RunSteps(1), inline())
    seen, value = reader.seen.get(), owner.x.get()
    reader.stop()
    assert np.array_equal(seen, np.roll(GRID, -1))
    assert np.array_equal(value, np.roll(2 * seen + np.arange(6).reshape(2, 3), 1))


@pytest.mark.parametrize("axes", ["xy", 1, (0.0, 1.0), (None, 1), {0, 1}])
def test_axes_are_integers(box, axes):
    with pytest.raises(ArgumentTypeError, match=r"takes axes such as \(1, 0\)"):
        box.o.transpose(axes)
