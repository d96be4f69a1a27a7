"""Arithmetic of the fixed-point models against plain Python integers."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from support import integers

from lahar.processes.fixed_point import STATE_LIMIT, clip_state, scaled_bias, toward_zero, wrap_state

M = STATE_LIMIT


@given(st.lists(st.integers(-(2**50), 2**50), min_size=1), st.integers(0, 30))
def test_toward_zero(values, bits):
    result = toward_zero(np.array(values), bits)
    assert result.dtype == np.int64
    assert result.tolist() == [integers.toward_zero(x, bits) for x in values]


def test_toward_zero_takes_floats_without_fractions():
    assert toward_zero(np.array([-5.0, 5.0]), 1).tolist() == [-2, 2]


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1))
def test_wrapping_and_limiting(values):
    assert clip_state(np.array(values)).tolist() == [integers.clip24(x) for x in values]
    assert wrap_state(np.array(values)).tolist() == [integers.wrap24(x) for x in values]


def test_limits():
    assert wrap_state(np.array([M, M + 1, -M, 1 - M])).tolist() == [M, 1 - M, M, 1 - M]
    assert clip_state(np.array([M, -M, 5])).tolist() == [M - 1, 1 - M, 5]


def test_bias_is_shifted_both_ways():
    mantissa, exponent = np.array([3, 3, -3, -3], np.int16), np.array([2, -1, 2, -1], np.int16)
    bias = scaled_bias(mantissa, exponent)
    assert bias.dtype == np.int32
    assert bias.tolist() == [12, 1, -12, -2]
