"""The sum over the synapses of active inputs has the bits of a plain loop."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from support.kernels import only

from lahar.processes import fan_out, kernels
from lahar.processes.fan_out import FanOut, add_pairwise, add_up
from lahar.processes.synapses import weighted_sum


@pytest.fixture(params=kernels.CHOICES, scope="module", autouse=True)
def _kernels(request):
    """Run all tests with both implementations."""
    with only(request.param):
        yield


@st.composite
def problems(draw, dtype):
    """Weights with stored zeros, and spikes."""
    shape = draw(st.sampled_from([(1, 1), (1, 40), (7, 12), (30, 5)]))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    rows, cols = (rng.random(shape) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))).nonzero()
    active = rng.random(shape[1]) < draw(st.sampled_from([0.0, 0.1, 0.5, 1.0]))
    if np.dtype(dtype).kind == "f":
        values = (rng.normal(size=len(rows)) * 10.0 ** rng.integers(-12, 12, len(rows))).astype(dtype)
        spikes = np.where(active, rng.normal(size=shape[1]), 0.0)
    else:
        values = rng.integers(-(2**31), 2**31, len(rows)).astype(dtype)
        spikes = np.where(active, rng.integers(-(2**31), 2**31, shape[1]), 0).astype(np.int32)
    values[rng.random(len(rows)) < 0.2] = 0
    return csr_matrix((values, (rows, cols)), shape=shape), spikes


@given(problems(np.float64), st.booleans())
def test_float_sum_has_the_bits_of_the_dense_one(problem, graded):
    weights, spikes = problem
    got = FanOut(weights).weighted_sum(weights.data, spikes, graded, np.float64)
    np.testing.assert_array_equal(got, weighted_sum(weights.toarray().T, spikes, graded, np.float64))


@settings(deadline=None)
@given(
    problems(np.int32), st.booleans(), st.sampled_from([np.int32, np.int64]), st.sampled_from([4, 1 << 21])
)
def test_integer_sum_wraps_like_the_dense_one(problem, graded, dtype, exact):
    weights, spikes = problem
    with pytest.MonkeyPatch.context() as patch:  # both ways to add integers meet small matrices
        patch.setattr(fan_out, "_EXACT", exact)
        got = FanOut(weights).weighted_sum(weights.data, spikes, graded, dtype)
    expected = weighted_sum(weights.toarray().T, spikes, graded, dtype)
    assert got.dtype == expected.dtype == dtype
    np.testing.assert_array_equal(got, expected)


@given(problems(np.float64), st.booleans())
def test_a_part_of_the_rows_gives_the_bits_of_the_whole(problem, graded):
    weights, spikes = problem
    whole = FanOut(weights).weighted_sum(weights.data, spikes, graded, np.float64)
    part = weights[: weights.shape[0] // 2 + 1]
    got = FanOut(part).weighted_sum(part.data, spikes, graded, np.float64)
    np.testing.assert_array_equal(got, whole[: part.shape[0]])


def test_inactive_inputs_contribute_nothing_whatever_their_weight():
    weights = csr_matrix(np.array([[np.inf, 2.0, np.nan]]))
    got = FanOut(weights).weighted_sum(weights.data, np.array([0.0, 3.0, 0.0]), True, np.float64)
    assert got.tolist() == [6.0]


def test_values_may_change():
    weights = csr_matrix(np.array([[1.0, 0.0], [2.0, 3.0]]))
    fan = FanOut(weights)
    weights.data *= 10
    assert fan.weighted_sum(weights.data, np.ones(2), False, np.float64).tolist() == [10.0, 50.0]


@given(problems(np.float32))
def test_single_precision_is_added_pairwise_after_the_first(problem):
    weights, spikes = problem
    fan = FanOut(weights)
    synapses, values = fan.contributions(weights.data, spikes, spikes.nonzero()[0], False, np.float32)
    got = add_pairwise(fan.rows[synapses], values, fan.num_post)
    for i, total in enumerate(got):
        row = weights.getrow(i)
        chosen = row.data[spikes[row.indices] != 0]
        assert total == (chosen[0] + chosen[1:].sum() if len(chosen) else 0)


def test_single_precision_differs_between_the_orders():
    values = np.full(40, 0.1, np.float32)
    places = np.zeros(40, np.intp)
    pairwise, plain = add_pairwise(places, values, 1), add_up(places, values, 1, np.float32)
    assert plain.dtype == pairwise.dtype == np.float32
    assert plain != pairwise
    assert abs(plain - pairwise) < 1e-5


def test_nothing_to_add():
    nothing = np.zeros(0, np.intp), np.zeros(0, np.float32)
    assert add_pairwise(*nothing, 3).tolist() == [0, 0, 0]
    for dtype in (np.float64, np.int32):
        got = add_up(*nothing, 3, dtype)
        assert got.dtype == dtype
        assert got.tolist() == [0, 0, 0]
    assert FanOut(csr_matrix((2, 0))).weighted_sum(np.zeros(0), np.zeros(0), False, float).tolist() == [0, 0]


@given(problems(np.float64), st.booleans())
def test_values_that_are_kept_give_the_same(problem, graded):
    weights, spikes = problem
    fan = FanOut(weights)
    expected = fan.weighted_sum(weights.data, spikes, graded, np.float64)
    fan.keep(weights.data)
    got = fan.weighted_sum(weights.data, spikes, graded, np.float64)
    np.testing.assert_array_equal(got, expected)
    other = fan.weighted_sum(weights.data * 2, spikes, graded, np.float64)  # another array: not what was kept
    np.testing.assert_array_equal(other, expected * 2)


def test_kept_values_are_read_until_they_are_forgotten():
    weights = csr_matrix(np.array([[1.0, 0.0], [2.0, 3.0]]))
    fan = FanOut(weights)
    fan.keep(weights.data)
    weights.data *= 10
    assert fan.weighted_sum(weights.data, np.ones(2), False, np.float64).tolist() == [1.0, 5.0]
    fan.forget()
    assert fan.weighted_sum(weights.data, np.ones(2), False, np.float64).tolist() == [10.0, 50.0]
