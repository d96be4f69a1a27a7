"""Ports as ProcessModels see them: sums, promotion, casts, and reading without taking."""

from __future__ import annotations

from collections import deque

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lahar.processes.errors import ArgumentTypeError, ShapeError
from lahar.processes.model import PyInPort, PyOutPort, PyRefPort, PyVarPort


class Queue:
    """A channel without a scheduler."""

    def __init__(self, *messages):
        self.messages = deque(np.asarray(m) for m in messages)

    def put(self, message):
        self.messages.append(message)

    def get(self):
        return self.messages.popleft()

    def peek(self):
        return self.messages[0]

    def probe(self):
        return bool(self.messages)


def in_port(*queues, shape=(2,), dtype=float, transforms=(), sent=None):
    port = PyInPort.VEC_DENSE("cell.a_in", shape, dtype)
    for queue in queues:
        port.attach(queue, transforms, sent or queue.messages[0].dtype)
    return port


# --- receiving ----------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", [bool, np.int8, np.int32, float])
def test_an_unconnected_port_receives_zeros(dtype):
    port = in_port(dtype=dtype)
    value = port.recv()
    assert value.tolist() == [0, 0]
    assert value.dtype == dtype
    assert port.peek().tolist() == [0, 0]
    assert port.probe() is True
    assert value is not port.recv()


def test_messages_are_received_in_order():
    port = in_port(Queue([1.0, 2.0], [3.0, 4.0]))
    assert port.recv().tolist() == [1, 2]
    assert port.recv().tolist() == [3, 4]


def test_one_message_of_every_connection_is_summed():
    port = in_port(Queue([1.0, 2.0], [0.0, 0.0]), Queue([10.0, 20.0], [5.0, 5.0]), Queue([100.0, 200.0]))
    assert port.recv().tolist() == [111, 222]


def test_the_sum_follows_the_order_of_connection():
    values = [1e16, -1e16, 1.0]
    queues = [Queue(np.full(2, v)) for v in values]
    assert in_port(*queues).recv().tolist() == [1.0, 1.0]
    queues = [Queue(np.full(2, v)) for v in (1.0, 1e16, -1e16)]
    assert in_port(*queues).recv().tolist() == [0.0, 0.0]


NUMBERS = st.sampled_from(["?", "i1", "u1", "i2", "i4", "u4", "i8", "f4", "f8"])


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=4))
def test_the_dtype_is_promoted_as_by_numpy(own, sent):
    expected = np.result_type(own, *sent)
    port = in_port(*[Queue(np.ones(2, d)) for d in sent], dtype=own)
    assert port.peek().dtype == expected
    assert port.recv().dtype == expected


@given(NUMBERS, st.lists(NUMBERS, min_size=1, max_size=4), st.data())
def test_the_sum_has_the_bits_of_adding_to_zeros(own, sent, data):
    messages = [
        np.array(data.draw(st.lists(st.integers(0, 1 if d == "?" else 120), min_size=2, max_size=2)), d)
        for d in sent
    ]
    total = np.zeros(2, own)
    for message in messages:
        total = total + message
    received = in_port(*[Queue(m) for m in messages], dtype=own).recv()
    assert received.dtype == total.dtype
    assert received.tobytes() == total.tobytes()


def test_small_integers_wrap_around():
    port = in_port(Queue(np.int8([100, 1])), Queue(np.int8([100, 1])), dtype=np.int8)
    assert port.recv().tolist() == [-56, 2]


def test_booleans_are_combined_by_or():
    port = in_port(Queue([True, False]), Queue([True, False]), dtype=bool)
    assert port.recv().tolist() == [True, False]


def test_transforms_are_applied_first_to_last_to_every_message():
    transforms = [lambda x: x + 1, lambda x: x * 10]
    port = in_port(Queue([1.0, 2.0]), transforms=transforms)
    assert port.peek().tolist() == [20, 30]
    assert port.recv().tolist() == [20, 30]


def test_peek_takes_nothing():
    port = in_port(Queue([1.0, 2.0]), Queue([3.0, 4.0]))
    assert port.peek().tolist() == port.peek().tolist() == [4, 6]
    assert port.probe()
    assert port.recv().tolist() == [4, 6]
    assert not port.probe()


def test_probe_needs_a_message_on_every_connection():
    empty = Queue()
    port = in_port(Queue([1.0, 2.0]), empty, sent=float)
    assert not port.probe()
    empty.put(np.zeros(2))
    assert port.probe()


@pytest.mark.parametrize("queues", [1, 2])
def test_the_receiver_may_change_what_it_received(queues):
    port = in_port(*[Queue([1.0, 2.0], [1.0, 2.0]) for _ in range(queues)])
    first = port.recv()
    first += 100
    assert port.recv().tolist() == [queues, 2 * queues]


# --- sending ------------------------------------------------------------------------------


def out_port(*queues, shape=(2,), dtype=float):
    port = PyOutPort.VEC_DENSE("cell.s_out", shape, dtype)
    for queue in queues:
        port.attach(queue)
    return port


def test_every_connection_gets_a_copy():
    one, two = Queue(), Queue()
    data = np.array([1.0, 2.0])
    out_port(one, two).send(data)
    data[:] = 0
    first, second = one.get(), two.get()
    first[:] = -1
    assert second.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("dtype", "data", "expected"),
    [
        (np.int32, [1.9, -1.9], [1, -1]),
        (np.int8, [300, -300], [44, -44]),
        (bool, [0.0, 0.5], [False, True]),
        (float, np.array([True, False]), [1.0, 0.0]),
    ],
)
def test_data_are_cast_to_the_dtype_of_the_port(dtype, data, expected):
    queue = Queue()
    out_port(queue, dtype=dtype).send(np.asarray(data))
    sent = queue.get()
    assert sent.tolist() == expected
    assert sent.dtype == dtype


def test_what_is_sent_is_contiguous():
    queue = Queue()
    out_port(queue, shape=(3, 2)).send(np.arange(6.0).reshape(2, 3).T)
    assert queue.get().flags.c_contiguous


@pytest.mark.parametrize("shape", [(3,), (), (2, 1), (1, 2)])
def test_another_shape_is_refused(shape):
    queue = Queue()
    with pytest.raises(ShapeError) as caught:
        out_port(queue).send(np.zeros(shape))
    assert f"'cell.s_out'.send(): the array has shape {shape}, the port (2,)" in str(caught.value)
    assert not queue.probe()


@pytest.mark.parametrize("data", [3, [1, 2], None])
def test_only_arrays_are_sent(data):
    with pytest.raises(
        ArgumentTypeError, match=rf"'cell\.s_out'\.send\(\) takes an array, not {type(data).__name__}"
    ):
        out_port(Queue()).send(data)


def test_an_unconnected_port_sends_nothing_and_checks_nothing():
    port = out_port()
    assert port.send(np.zeros(7)) is None
    assert port.flush() is None
    assert port.advance_to_time_step(3) is None
    assert port.csp_ports == []


# --- references ---------------------------------------------------------------------------


class Link:
    def __init__(self):
        self.written = []
        self.waited = 0

    def read(self):
        return np.array([7.0, 8.0])

    def write(self, data):
        self.written.append(data)

    def wait(self):
        self.waited += 1


def test_an_unconnected_reference_reads_zeros_and_writes_nowhere():
    port = PyRefPort.VEC_DENSE("cell.ref", (2,), np.int16)
    assert port.read().tolist() == [0, 0]
    assert port.read().dtype == np.int16
    assert port.write(np.zeros(9)) is None
    assert port.wait() is None


def test_a_reference_reads_writes_and_waits():
    port, link = PyRefPort.VEC_DENSE("cell.ref", (2,), np.int32), Link()
    port.attach(link)
    assert port.read().tolist() == [7, 8]
    data = np.array([1.9, 2.9])
    port.write(data)
    data[:] = 0
    assert link.written[0].tolist() == [1, 2]
    assert link.written[0].dtype == np.int32
    port.wait()
    assert link.waited == 1


def test_a_reference_refuses_another_shape():
    port, link = PyRefPort.VEC_DENSE("cell.ref", (2,), float), Link()
    port.attach(link)
    with pytest.raises(
        ShapeError, match=r"'cell\.ref'\.write\(\): the array has shape \(3,\), the port \(2,\)"
    ):
        port.write(np.zeros(3))
    assert link.written == []


# --- classes ------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [PyInPort, PyOutPort, PyRefPort, PyVarPort])
def test_every_kind_names_four_classes_of_which_some_are_implemented(kind):
    classes = [kind.VEC_DENSE, kind.VEC_SPARSE, kind.SCALAR_DENSE, kind.SCALAR_SPARSE]
    names = [cls.__name__ for cls in classes]
    suffixes = ("VectorDense", "VectorSparse", "ScalarDense", "ScalarSparse")
    assert names == [kind.__name__ + suffix for suffix in suffixes]
    assert all(issubclass(cls, kind) for cls in classes)
    assert [cls.supported for cls in classes] == [True, kind in (PyInPort, PyOutPort), False, False]
