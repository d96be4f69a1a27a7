"""Packing of frames: what is packed comes back."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lahar.processes.delta_encoding import (
    decode_encode_delta_sparse_8,
    encode_delta_sparse_8,
    encode_packed_4,
    encode_sparse,
)


@st.composite
def frames(draw):
    """Mostly zeros, with gaps around the limits of a byte and of its square."""
    gap = st.sampled_from([0, 1, 3, 253, 254, 255, 256, 509, 510, 511, 65024, 65025, 65026, 65279, 130050])
    gaps = draw(st.lists(gap, max_size=5))
    frame = np.zeros(sum(gaps) + len(gaps) + draw(st.integers(1, 9)), np.int64)
    frame[np.cumsum(np.array(gaps, int) + 1) - 1] = draw(
        st.lists(st.integers(-128, 127).filter(bool), min_size=len(gaps), max_size=len(gaps))
    )
    return frame


@given(frames())
def test_delta_sparse_comes_back_with_unsigned_values(frame):
    data, index = encode_delta_sparse_8(frame)
    assert data.dtype == index.dtype == np.int32
    assert len(data) == len(index)
    values, positions = decode_encode_delta_sparse_8(data, index)
    np.testing.assert_array_equal(positions, frame.nonzero()[0])
    np.testing.assert_array_equal(values, frame[frame != 0] & 0xFF)


def test_delta_sparse_pairs_bytes():
    frame = np.zeros((2, 300), int)
    frame[0, 3], frame[0, 4], frame[1, 0] = 7, -1, 5
    data, index = encode_delta_sparse_8(frame)
    # gaps 3, 0 and 295 = 255 + 40
    assert data.astype("<i4").tobytes() == bytes([7, 255, 1, 5])
    assert index.astype("<i4").tobytes() == bytes([3, 0, 255, 40])


@pytest.mark.parametrize("first", [254, 255, 256])
def test_no_jump_comes_first(first):
    frame = np.zeros(300, int)
    frame[first] = 9
    data, index = encode_delta_sparse_8(frame)
    assert index.astype("<i4").tobytes()[:1] == bytes([254 if first < 255 else 0])
    assert [v.tolist() for v in decode_encode_delta_sparse_8(data, index)] == [[9], [first]]


@given(frames().filter(lambda f: len(f) < 2000), st.sampled_from([1, 1000]))
def test_sparse_lists_values_and_positions(frame, scale):
    data, index = encode_sparse(scale * frame)
    if frame.any():
        again = np.zeros_like(frame)
        again[index] = data
        np.testing.assert_array_equal(again, scale * frame)
    else:
        assert (data.tolist(), index.tolist()) == ([0], [0])
    assert data.dtype == index.dtype == np.int32


@given(st.lists(st.integers(-128, 127), min_size=1, max_size=40))
def test_packed_words_hold_four_bytes_each(values):
    data, index = encode_packed_4(np.array([values]))
    words = np.empty(len(data) + len(index), "<i4")
    words[0::2], words[1::2] = data, index
    packed = words.view(np.int8).tolist()
    assert packed == values + [0] * (-len(values) % 8)


@pytest.mark.parametrize("encode", [encode_sparse, encode_packed_4, encode_delta_sparse_8])
def test_a_silent_frame(encode):
    data, index = encode(np.zeros(5, int))
    assert data.tolist() == index.tolist() == [0]
