"""The weighted sum has the bits of a plain loop, whatever the shape of the matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.kernels import only

from lahar.processes import kernels, synapses
from lahar.processes.synapses import weighted_sum


@pytest.fixture(params=kernels.CHOICES, scope="module", autouse=True)
def _kernels(request):
    """Run all tests with both implementations."""
    with only(request.param):
        yield


def sequential(weights_T, spikes, graded, dtype):
    """One addition after the other, in numpy scalars of `dtype`, from zero."""
    pre, post = weights_T.shape
    result = np.zeros(post, dtype)
    active = [j for j in range(pre) if spikes[j] != 0]
    with np.errstate(over="ignore"):
        for i in range(post):
            total = np.array(0, dtype)[()]
            for j in active:
                weight = weights_T[j, i].astype(dtype)
                total = total + (weight * spikes[j].astype(dtype) if graded else weight)
            result[i] = total
    return result


def same_bits(a, b):
    # A single active input copies its row, so that a zero may keep its sign there: 0.0 == -0.0 will do.
    return a.dtype == b.dtype and a.shape == b.shape and np.array_equal(a, b, equal_nan=a.dtype.kind == "f")


@st.composite
def problems(draw, kind):
    pre = draw(st.integers(1, 40))
    post = draw(st.sampled_from([1, 1, 2, 3, 8, 17]))
    seed = draw(st.integers(0, 2**32 - 1))
    rng = np.random.default_rng(seed)
    density = draw(st.sampled_from([0.0, 0.05, 0.3, 1.0]))
    active = rng.random(pre) < density
    if kind == "float":
        weights = rng.normal(size=(pre, post)) * 10.0 ** rng.integers(-12, 12, size=(pre, post))
        spikes = np.where(active, rng.normal(size=pre), 0.0)
    else:
        weights = rng.integers(-(2**31), 2**31, size=(pre, post)).astype(np.int32)
        spikes = np.where(active, rng.integers(-(2**31), 2**31, size=pre), 0).astype(np.int32)
    return weights, spikes


@settings(deadline=None)
@given(problems("float"), st.booleans(), st.sampled_from([8, 1 << 15]), st.sampled_from([2, 1 << 12]))
def test_float_sum_has_the_bits_of_a_loop(problem, graded, block, long_row):
    weights, spikes = problem
    with pytest.MonkeyPatch.context() as patch:  # small limits: all ways to sum meet small matrices
        patch.setattr(synapses, "_BLOCK", block)
        patch.setattr(synapses, "_LONG_ROW", long_row)
        result = weighted_sum(weights, spikes, graded, np.float64)
    assert same_bits(result, sequential(weights, spikes, graded, np.float64))


@settings(deadline=None)
@given(problems("float"), st.booleans(), st.sampled_from([8, 1 << 15]))
def test_a_shard_of_one_row_has_the_bits_of_the_whole(problem, graded, block):
    weights, spikes = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synapses, "_BLOCK", block)
        whole = weighted_sum(weights, spikes, graded, np.float64)
        for i in range(weights.shape[1]):
            row = np.ascontiguousarray(weights[:, i : i + 1])
            assert weighted_sum(row, spikes, graded, np.float64).tobytes() == whole[i : i + 1].tobytes()


def test_thousands_of_inputs_are_not_summed_pairwise():
    rng = np.random.default_rng(1)
    weights = rng.normal(size=(5000, 3))
    spikes = np.ones(5000)
    expected = sequential(weights, spikes, False, np.float64)
    assert not np.array_equal(np.ascontiguousarray(weights.T).sum(axis=1), expected)  # pairwise differs
    assert same_bits(weighted_sum(weights, spikes, False, np.float64), expected)
    for i in range(3):
        one = weighted_sum(np.ascontiguousarray(weights[:, i : i + 1]), spikes, True, np.float64)
        assert same_bits(one, expected[i : i + 1])


def test_negative_zeros_do_not_depend_on_the_number_of_rows():
    weights = np.full((4, 5), -0.0)
    spikes = np.array([1.0, 0.0, 1.0, 1.0])
    whole = weighted_sum(weights, spikes, False, np.float64)
    one = weighted_sum(weights[:, :1].copy(), spikes, False, np.float64)
    assert whole[:1].tobytes() == one.tobytes() == np.zeros(1).tobytes()


@settings(deadline=None)
@given(problems("int"), st.sampled_from([8, 1 << 15]), st.sampled_from([2, 1 << 12]))
def test_fixed_binary_sums_are_exact_in_int64(problem, block, long_row):
    weights, spikes = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synapses, "_BLOCK", block)
        patch.setattr(synapses, "_LONG_ROW", long_row)
        result = weighted_sum(weights, spikes, False, np.int64)
    assert result.dtype == np.int64
    assert result.tolist() == [
        sum(int(w) for w, x in zip(column, spikes, strict=True) if x != 0) for column in weights.T
    ]


@settings(deadline=None)
@given(problems("int"), st.sampled_from([8, 1 << 15]), st.sampled_from([2, 1 << 12]))
def test_fixed_graded_sums_wrap_in_int32(problem, block, long_row):
    weights, spikes = problem
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synapses, "_BLOCK", block)
        patch.setattr(synapses, "_LONG_ROW", long_row)
        result = weighted_sum(weights, spikes, True, np.int32)
    exact = [sum(int(w) * int(x) for w, x in zip(column, spikes, strict=True)) for column in weights.T]
    assert result.dtype == np.int32
    assert result.tolist() == [(e + 2**31) % 2**32 - 2**31 for e in exact]


def test_nan_selects_and_negative_payloads_count_as_one_spike():
    weights = np.array([[1.0, 2.0], [10.0, 20.0], [100.0, 200.0]])
    assert weighted_sum(weights, np.array([np.nan, 0.0, -3.0]), False, np.float64).tolist() == [101.0, 202.0]
    assert np.isnan(weighted_sum(weights, np.array([np.nan, 0.0, -3.0]), True, np.float64)).all()


def test_bool_spikes():
    weights = np.array([[1.0, 2.0], [10.0, 20.0]])
    for graded in (False, True):
        assert weighted_sum(weights, np.array([True, True]), graded, np.float64).tolist() == [11.0, 22.0]


@pytest.mark.parametrize("graded", [False, True])
@pytest.mark.parametrize("spikes", [[0.0, 0.0], [0.0, 1.0]])
def test_the_result_is_a_new_array(graded, spikes):
    weights = np.array([[1.0, 2.0], [10.0, 20.0]])
    result = weighted_sum(weights, np.array(spikes), graded, np.float64)
    result += 1
    assert weights.tolist() == [[1.0, 2.0], [10.0, 20.0]]


def test_silent_inputs_are_never_read():
    weights = np.array([[np.nan, np.inf], [10.0, 20.0]])
    assert weighted_sum(weights, np.array([0.0, 2.0]), True, np.float64).tolist() == [20.0, 40.0]


def test_strided_weights_give_the_same():
    rng = np.random.default_rng(0)
    matrix = rng.normal(size=(7, 30))  # (post, pre) in C order: its transpose is not contiguous
    spikes = (rng.random(30) < 0.5).astype(float)
    expected = weighted_sum(np.ascontiguousarray(matrix.T), spikes, False, np.float64)
    assert weighted_sum(matrix.T, spikes, False, np.float64).tobytes() == expected.tobytes()
