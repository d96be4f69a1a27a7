"""Source and sink: what is sent and recorded in which time step."""

import numpy as np
import pytest

from lahar.processes import SinkRingBuffer, SourceRingBuffer, sink, source
from lahar.processes.errors import ArgumentTypeError, ShapeError, ValidationError
from lahar.runtime import Loihi2SimCfg, RunSteps


def connect(data, buffer):
    sender = source.RingBuffer(data=data)
    receiver = sink.RingBuffer(shape=sender.s_out.shape, buffer=buffer)
    sender.s_out.connect(receiver.a_in)
    return sender, receiver


def run(sender, steps, select_tag="floating_pt"):
    sender.run(
        condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag=select_tag, launcher="inline")
    )


def test_aliases():
    assert (SourceRingBuffer, SinkRingBuffer) == (source.RingBuffer, sink.RingBuffer)


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt", "bit_accurate_loihi", None])
@pytest.mark.parametrize("shape", [(1,), (4,), (2, 3)])
def test_frames_arrive_in_their_step_and_start_over(shape, select_tag):
    data = np.random.default_rng(0).integers(-9, 9, size=(*shape, 5))
    sender, receiver = connect(data, 12)
    run(sender, 12, select_tag)
    got = receiver.data.get()
    sender.stop()
    assert got.dtype == (np.float64 if select_tag in ("floating_pt", None) else np.int32)
    np.testing.assert_array_equal(got, data[..., np.arange(12) % 5])


def test_time_runs_on_over_pauses():
    data = np.arange(5.0)[np.newaxis]
    sender, receiver = connect(data, 8)
    run(sender, 3)
    run(sender, 4)
    assert receiver.data.get().tolist() == [[0, 1, 2, 3, 4, 0, 1, 0]]
    sender.stop()


def test_a_short_sink_keeps_the_last_steps():
    sender, receiver = connect(np.arange(10.0)[np.newaxis], 4)
    run(sender, 10)
    assert receiver.data.get().tolist() == [[8, 9, 6, 7]]
    sender.stop()


def test_fixed_point_cuts_fractions():
    sender, receiver = connect(np.array([[1.9, -1.9]]), 2)
    with pytest.warns(UserWarning, match="lose digits"):
        run(sender, 2, "fixed_pt")
    assert receiver.data.get().tolist() == [[1, -1]]
    sender.stop()


def test_data_can_be_set_at_a_pause():
    sender, receiver = connect(np.zeros((2, 3)), 4)
    run(sender, 2)
    new = np.array([[1.0, 2.0, 3.0], [4.0, 5.0, 6.0]])
    sender.data.set(new)
    assert sender.data.get().tolist() == new.tolist()
    receiver.data.set(np.full((2, 4), 9.0))
    run(sender, 2)
    assert receiver.data.get().tolist() == [[9, 9, 3, 1], [9, 9, 6, 4]]
    sender.stop()


def test_lists_are_accepted():
    sender, receiver = connect([[1, 2], [3, 4]], 2)
    run(sender, 2)
    assert receiver.data.get().tolist() == [[1, 2], [3, 4]]
    sender.stop()


def test_one_dimensional_data_needs_a_leading_axis():
    with pytest.raises(ShapeError, match=r"leading axis.*data\[np\.newaxis, :\]"):
        source.RingBuffer(data=np.arange(3))


@pytest.mark.parametrize(
    ("data", "error"),
    [
        (np.zeros((3, 0)), ValidationError),
        ([["a", "b"]], ArgumentTypeError),
        ([[1, 2], [3]], ShapeError),
        (3, ShapeError),
    ],
)
def test_impossible_data(data, error):
    with pytest.raises(error, match=r"source\.RingBuffer"):
        source.RingBuffer(data=data)


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        ({"shape": [3], "buffer": 3}, ArgumentTypeError),
        ({"shape": (3,), "buffer": 0}, ValidationError),
        ({"shape": (3,), "buffer": 2.5}, ArgumentTypeError),
    ],
)
def test_impossible_sinks(arguments, error):
    with pytest.raises(error):
        sink.RingBuffer(**arguments)


def test_attributes():
    receiver = sink.RingBuffer(shape=(2, 3), buffer=7, name="recorder")
    assert (receiver.shape, receiver.data.shape, receiver.name) == ((2, 3), (2, 3, 7), "recorder")
