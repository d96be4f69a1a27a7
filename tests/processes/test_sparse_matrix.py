"""Entries of sparse matrices."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csc_matrix, csr_array, csr_matrix

from lahar.processes.sparse_matrix import canonical_csr, find, find_entries, on_entries, same_entries


@st.composite
def matrices(draw, shape=(4, 6)):
    """A CSR matrix with some stored zeros."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    stored = rng.random(shape) < draw(st.sampled_from([0.0, 0.2, 0.6, 1.0]))
    rows, cols = stored.nonzero()
    return csr_matrix((rng.integers(-1, 2, len(rows)), (rows, cols)), shape=shape)


def entries(matrix):
    coo = matrix.tocoo()
    return set(zip(coo.row.tolist(), coo.col.tolist(), strict=True))


def test_duplicates_are_added_and_stored_zeros_kept():
    matrix = coo_matrix((np.array([1, 2, 0, 5]), ([0, 0, 1, 0], [2, 2, 1, 0])), shape=(2, 3))
    csr = canonical_csr(matrix)
    assert type(csr) is csr_matrix
    assert csr.indices.tolist() == [0, 2, 1]
    assert csr.data.tolist() == [5, 3, 0]


@pytest.mark.parametrize("form", [csr_matrix, csc_matrix, csr_array, np.array])
def test_the_canonical_form_is_a_copy(form):
    original = form(np.array([[0.0, 1.0], [2.0, 0.0]]))
    csr = canonical_csr(original)
    csr.data[:] = 9
    assert (original if form is np.array else original.toarray()).tolist() == [[0, 1], [2, 0]]


@given(matrices(), matrices())
def test_entries_are_found_where_they_are(a, b):
    positions = find_entries(a, b)
    stored = np.full(a.shape, -1)
    stored[find(a, explicit_zeros=True)[:2]] = np.arange(a.nnz)
    np.testing.assert_array_equal(positions, stored[find(b, explicit_zeros=True)[:2]])
    assert same_entries(a, b) == (entries(a) == entries(b))


@given(matrices(), matrices())
def test_a_matrix_on_more_entries_keeps_its_values(a, pattern):
    spread = on_entries(a, pattern)
    np.testing.assert_array_equal(spread.toarray(), a.toarray())
    assert entries(spread) == (entries(pattern) if entries(a) <= entries(pattern) else entries(a))


@given(matrices())
def test_find_returns_triples_in_row_major_order(matrix):
    before = matrix.copy()
    rows, cols, vals = find(matrix.tocsc(), explicit_zeros=True)
    assert (np.diff(rows * 100 + cols) > 0).all()
    assert len(rows) == matrix.nnz
    np.testing.assert_array_equal(matrix.toarray()[rows, cols], vals)
    rows, cols, vals = find(matrix)
    np.testing.assert_array_equal(np.transpose([rows, cols]), np.argwhere(matrix.toarray()))
    assert vals.all()
    assert entries(matrix) == entries(before)
