"""Sparse ports: listed elements, what is refused, fan-in, and virtual ports as a table of positions."""

from __future__ import annotations

import math
from collections import deque
from functools import partial

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.sparse_nodes import Lister, Listing

from lahar.compiler import compile  # noqa: A004
from lahar.processes import AbstractProcess, Monitor, OutPort, SinkRingBuffer, SourceRingBuffer
from lahar.processes.errors import ArgumentTypeError, DtypeError, PortError, ShapeError, ValidationError
from lahar.processes.model import AbstractSubProcessModel, LoihiProtocol, PyInPort, PyOutPort, implements
from lahar.processes.model.sparse_ports import IndexMap, SparseMessage
from lahar.processes.virtual_ports import AbstractVirtualPort
from lahar.runtime import Loihi2SimCfg, RunSteps


class Queue(deque):
    """A channel without a scheduler."""

    put = deque.append
    get = deque.popleft

    def peek(self):
        return self[0].copy()

    def probe(self):
        return bool(self)


def out_port(shape=(2, 3), dtype=float):
    port, queue = PyOutPort.VEC_SPARSE("cell.s_out", shape, dtype), Queue()
    port.attach(queue)
    return port, queue


def message(data, indices, size=6, packed=False):
    return SparseMessage(np.array(data), np.array(indices, np.int64), size, packed)


def in_port(*messages, dtype=float, transforms=()):
    port = PyInPort.VEC_SPARSE("cell.s_in", (2, 3), dtype)
    for each in messages:
        port.attach(Queue(each), transforms, each[0].data.dtype)
    return port


def lists(pair):
    return [part.tolist() for part in pair]


# --- sending ------------------------------------------------------------------------------------------


def test_one_call_is_one_message():
    port, queue = out_port()
    port.send(np.array([1.5, -2.0]), np.array([5, 0]))
    (sent,) = queue
    assert lists((sent.data, sent.indices)) == [[1.5, -2.0], [5, 0]]
    assert (sent.size, sent.packed, sent.indices.dtype) == (6, False, np.int64)


def test_what_was_sent_may_be_changed_afterwards():
    port, first = out_port()
    second = Queue()
    port.attach(second)
    data, indices = np.array([1.0]), np.array([2])
    port.send(data, indices)
    data[0] = indices[0] = 9
    a, b = first[0], second[0]
    assert lists((a.data, a.indices)) == lists((b.data, b.indices)) == [[1.0], [2]]
    assert not np.shares_memory(a.data, b.data)
    assert not np.shares_memory(a.indices, b.indices)


@pytest.mark.parametrize("dtype", [bool, np.int8, np.uint16, np.int32, np.int64, np.float32, float, complex])
def test_data_of_any_numeric_dtype(dtype):
    port, queue = out_port(dtype=dtype)
    port.send([1, 0, 1], [1, 1, 3])
    assert queue[0].data.dtype == dtype
    assert lists((queue[0].data, queue[0].indices)) == [[1, 0, 1], [1, 1, 3]]


def test_data_are_cast_to_the_ports_dtype():
    port, queue = out_port(dtype=np.int32)
    port.send(np.array([2.9, -2.9]), np.array([0, 1], np.uint8))
    assert queue[0].data.tolist() == [2, -2]


def test_nothing_is_a_message_too():
    port, queue = out_port()
    port.send([], [])
    assert lists((queue[0].data, queue[0].indices)) == [[], []]
    assert queue[0].indices.dtype == np.int64


@pytest.mark.parametrize(
    ("data", "indices", "error", "text"),
    [
        ([1.0], [0, 1], ShapeError, "1 data, but 2 indices"),
        ([1.0, 2.0], 0, ShapeError, "2 data, but 1 indices"),
        (np.ones(7), np.zeros(7, int), ShapeError, "7 elements, but the port has 6"),
        ([1.0], [0.0], DtypeError, "indices must be integers, not float64"),
        ([1.0], [True], DtypeError, "indices must be integers, not bool"),
        (["one"], [0], ArgumentTypeError, "data must be numbers, not <U3"),
        ([1.0, 1.0], [0, 6], ValidationError, "index 6 in a port of 6 elements; indices run from 0 to 5"),
        ([1.0], [-1], ValidationError, "index -1 in a port of 6 elements"),
        ([1.0], np.array([2**64 - 1], np.uint64), ValidationError, "index 18446744073709551615 in a port"),
    ],
)
def test_what_cannot_be_sent_is_named(data, indices, error, text):
    port, queue = out_port()
    with pytest.raises(error, match=rf"'cell\.s_out'\.send\(\): {text}"):
        port.send(data, indices)
    assert not queue


def test_an_unconnected_port_sends_nothing():
    port = PyOutPort.VEC_SPARSE("cell.s_out", (2,), float)
    port.send([1.0], [99])
    port.send_packed([1.0], [99])


def test_packed_words_are_no_positions():
    port, queue = out_port(dtype=np.int32)
    port.send_packed([-1, 5], [2**31 - 1, -(2**31)])
    (sent,) = queue
    assert sent.packed
    assert sent.indices.dtype == np.int32
    assert lists((sent.data, sent.indices)) == [[-1, 5], [2**31 - 1, -(2**31)]]
    for word in (2**31, -(2**31) - 1):
        with pytest.raises(ValidationError, match=r"'cell\.s_out'\.send_packed\(\): words beyond 32 bits"):
            port.send_packed([0], [word])


# --- receiving ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [np.int32, float])
def test_an_unconnected_port_receives_nothing(dtype):
    port = in_port(dtype=dtype)
    for data, indices in (port.recv(), port.peek()):
        assert (data.shape, indices.shape) == ((0,), (0,))
        assert (data.dtype, indices.dtype) == (dtype, np.int64)
    assert port.probe() is True


def test_messages_are_received_in_order():
    port = in_port([message([1.0], [3]), message([2.0, 4.0], [0, 5])])
    assert lists(port.recv()) == [[1.0], [3]]
    assert lists(port.recv()) == [[2.0, 4.0], [0, 5]]
    assert port.probe() is False


def test_several_connections_are_joined_in_their_order():
    port = in_port([message([1.0, 2.0], [3, 0])], [message([], [])], [message([7.0], [3])])
    assert port.probe() is True
    assert lists(port.peek()) == lists(port.recv()) == [[1.0, 2.0, 7.0], [3, 0, 3]]
    assert port.probe() is False


def test_peek_takes_nothing_and_shares_nothing():
    port = in_port([message([1.0], [3])])
    data, indices = port.peek()
    data[0] = indices[0] = 0
    assert lists(port.recv()) == [[1.0], [3]]


@pytest.mark.parametrize(("own", "sent"), [(np.int8, [np.int32]), (float, [np.int32, bool]), (bool, [bool])])
def test_the_dtype_is_promoted_as_by_numpy(own, sent):
    port = in_port(*([message(np.ones(1, d), [0])] for d in sent), dtype=own)
    assert port.recv()[0].dtype == np.result_type(own, *sent)


def test_packed_words_arrive_as_they_are():
    port = in_port([message([1.0], [-99], packed=True)])
    assert lists(port.recv()) == [[1.0], [-99]]


def test_packed_words_cannot_be_joined_or_moved():
    several = in_port([message([1.0], [0], packed=True)], [message([1.0], [0])])
    with pytest.raises(PortError, match=r"'cell\.s_in': packed words of several connections"):
        several.recv()
    moved = in_port([message([1.0], [0], packed=True)], transforms=[IndexMap([np.transpose], (3, 2))])
    with pytest.raises(PortError, match=r"'cell\.s_in': packed words are no positions"):
        moved.recv()


# --- virtual ports ------------------------------------------------------------------------------------


@given(st.permutations(range(3)), st.permutations(range(3)), st.sets(st.integers(0, 23)))
def test_positions_follow_the_elements(first, second, where):
    """Scattering the moved elements gives the transformed array."""
    shape, where = (2, 3, 4), np.array(sorted(where), int)
    source = OutPort(shape)
    reshaped = source.transpose(first).reshape((4, 3, 2))
    chain = [
        port.get_transform_func_fwd()
        for port in (reshaped.in_connections[0], reshaped, reshaped.transpose(second))
    ]
    dense = np.zeros(shape)
    dense.flat[where] = where + 1.0
    for transform in chain:
        dense = transform(dense)
    moved = IndexMap(chain, shape)(message(where + 1.0, where, 24))
    scattered = np.zeros(moved.size)
    scattered[moved.indices] = moved.data
    assert np.array_equal(scattered.reshape(dense.shape), dense)


@pytest.mark.parametrize(
    "transform",
    [lambda x: 2 * x, lambda x: x[:-1], lambda x: np.concatenate([x, x]), np.zeros_like, lambda x: x * 1.0],
)
def test_transforms_that_do_more_than_moving_are_refused(transform):
    with pytest.raises(PortError, match="more than moving elements"):
        IndexMap([transform], (4,))


# --- networks -----------------------------------------------------------------------------------------


def inline(tag="floating_pt"):
    return Loihi2SimCfg(launcher="inline", select_tag=tag)


def lister(shape, data, indices, **kwargs):
    return Lister(shape=shape, data=[data], indices=[indices], counts=[len(data)], **kwargs)


def received(sink):
    sink.run(RunSteps(1), inline())
    count = sink.counts.get()[0]
    result = sink.data.get()[0, :count].tolist(), sink.indices.get()[0, :count].tolist()
    sink.stop()
    return result


class Shift(AbstractVirtualPort):
    """A virtual port as users write one."""

    def get_transform_func_fwd(self):
        return partial(np.roll, shift=1)

    def get_transform_func_bwd(self):
        return partial(np.roll, shift=-1)


def test_virtual_ports_move_the_indices():
    source, sink = lister((2, 3), [1.0, 2.0], [1, 5]), Listing(shape=(3, 2), steps=1)
    source.s_out.transpose().connect(sink.s_in)
    assert received(sink) == ([1.0, 2.0], [2, 5])
    source, sink = lister((2, 3), [1.0, 2.0], [1, 5]), Listing(shape=(6,), steps=1)
    shift = Shift((2, 3))
    source.s_out._connect_forward([shift], AbstractVirtualPort, assert_same_shape=False)
    shift.flatten().connect(sink.s_in)
    assert received(sink) == ([1.0, 2.0], [2, 0])


def test_every_path_has_its_own_table():
    a, b = lister((2, 3), [1.0, 2.0], [1, 5]), lister((3, 2), [3.0], [1])
    sink = Listing(shape=(3, 2), steps=1)
    a.s_out.transpose().connect(sink.s_in)
    b.s_out.connect(sink.s_in)
    a.s_out.reshape((3, 2)).connect(sink.s_in)
    assert received(sink) == ([1.0, 2.0, 3.0, 1.0, 2.0], [2, 5, 1, 1, 5])


class Group(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.s_out = OutPort((3, 2))


@implements(proc=Group, protocol=LoihiProtocol)
class GroupModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.inner = lister((2, 3), [4.0], [1])
        self.inner.s_out.transpose().connect(proc.s_out)


def test_sparse_ports_of_hierarchical_processes():
    group, sink = Group(), Listing(shape=(6,), steps=1)
    group.s_out.flatten().connect(sink.s_in)
    assert received(sink) == ([4.0], [2])


class Doubling(AbstractVirtualPort):
    """Does more than moving elements."""

    def get_transform_func_fwd(self):
        return partial(np.multiply, 2)

    def get_transform_func_bwd(self):
        return partial(np.multiply, 0.5)


def test_a_virtual_port_that_changes_values_is_refused_at_compile_time():
    source, sink = lister((2,), [1.0], [1], name="a"), Listing(shape=(2,), steps=1, name="b")
    double = Doubling((2,))
    source.s_out._connect_forward([double], AbstractVirtualPort, assert_same_shape=False)
    double.connect(sink.s_in)
    with pytest.raises(PortError, match=r"'a\.s_out' -> 'b\.s_in': these virtual ports do more than moving"):
        compile(sink, inline())


def test_sparse_and_dense_ports_do_not_fit_together():
    source, sink = lister((2,), [1.0], [1], name="a"), SinkRingBuffer(shape=(2,), buffer=1, name="b")
    source.s_out.connect(sink.a_in)
    with pytest.raises(PortError) as caught:
        compile(sink, inline())
    assert "'a.s_out' sends listed elements (VEC_SPARSE) (model FloatListerModel)" in str(caught.value)
    assert "'b.a_in' takes whole arrays (VEC_DENSE)" in str(caught.value)
    assert "Declare both ports with the same kind" in str(caught.value)
    dense, listing = SourceRingBuffer(data=np.ones((2, 1)), name="c"), Listing(shape=(2,), steps=1, name="d")
    dense.s_out.connect(listing.s_in)
    with pytest.raises(PortError, match=r"'c\.s_out' sends whole arrays .*'d\.s_in' takes listed elements"):
        compile(listing, inline())


def test_a_monitor_of_a_sparse_port_is_refused():
    source, monitor = lister((2,), [1.0], [1], name="a"), Monitor()
    monitor.probe(source.s_out, num_steps=1)
    with pytest.raises(PortError, match=r"'a\.s_out' sends listed elements"):
        compile(source, inline())


def test_graded_messages_do_not_fit_an_integer_port():
    a = Lister(shape=(2,), data=[[1.0]], indices=[[0]], counts=[1], name="a")
    b = Listing(shape=(2,), steps=1, name="b")
    a.s_out.connect(b.s_in)
    from support.sparse_nodes import FixedListingModel

    cfg = Loihi2SimCfg(
        launcher="inline", select_tag="floating_pt", exception_proc_model_map={Listing: FixedListingModel}
    )
    with pytest.raises(DtypeError, match=r"'a\.s_out' sends float64"):
        compile(b, cfg)


def test_the_size_of_a_scalar_port_is_one():
    port, queue = out_port(shape=())
    port.send([2.0], [0])
    assert queue[0].size == math.prod(()) == 1
