"""Receiver: the last message."""

import numpy as np
import pytest

from lahar.processes import Receiver, Receiver32Bit, SourceRingBuffer
from lahar.processes.errors import ArgumentTypeError, NoProcessModelFound
from lahar.runtime import Loihi2SimCfg, RunSteps


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt", None])
def test_the_payload_is_the_last_message(tag):
    source, receiver = SourceRingBuffer(data=np.array([[[1, -2]], [[3, 4]]])), Receiver(shape=(2, 1))
    source.s_out.connect(receiver.a_in)
    cfg = Loihi2SimCfg(select_tag=tag, launcher="inline")
    with source:
        for expected in ([[1], [3]], [[-2], [4]], [[1], [3]]):
            source.run(RunSteps(1), cfg)
            assert receiver.payload.get().tolist() == expected
        assert receiver.payload.get().dtype == np.int64


def test_fractions_are_cut_with_a_warning():
    source, receiver = SourceRingBuffer(data=np.array([[-1.7]])), Receiver()
    source.s_out.connect(receiver.a_in)
    with source:
        with pytest.warns(UserWarning, match="fractions are cut"):
            source.run(RunSteps(1), Loihi2SimCfg(select_tag="floating_pt", launcher="inline"))
        assert receiver.payload.get().tolist() == [-1]


def test_there_is_no_model_of_32_bit_messages():
    receiver = Receiver32Bit(shape=(2,))
    assert (receiver.payload_last_bytes.shape, receiver.payload_first_byte.shape) == ((2,), (2,))
    with pytest.raises(NoProcessModelFound):
        receiver.run(RunSteps(1), Loihi2SimCfg(launcher="inline"))


@pytest.mark.parametrize("cls", [Receiver, Receiver32Bit])
def test_the_shape_is_a_tuple(cls):
    with pytest.raises(ArgumentTypeError, match="shape must be a tuple"):
        cls(shape=3)
