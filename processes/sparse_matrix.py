"""Sparse matrices of synapses: a fixed set of entries, each with a value.

Matrices are recognised by their methods and SciPy is imported inside functions, so that importing this
module stays cheap.
"""

from __future__ import annotations

from typing import Any

import numpy as np


def canonical_csr(matrix: Any) -> Any:
    """Return a ``csr_matrix`` copy with sorted entries; duplicates are added up, stored zeros kept.

    Parameters
    ----------
    matrix : array_like, sparse matrix or sparse array
        Of a dense one the non-zeros become entries.
    """
    from scipy.sparse import csr_matrix

    result = csr_matrix(matrix, copy=True)
    result.sum_duplicates()
    return result


def same_entries(a: Any, b: Any) -> bool:
    """Whether two canonical CSR matrices store the same entries (of whatever value)."""
    if a.shape != b.shape or a.nnz != b.nnz:
        return False
    return all(x is y or np.array_equal(x, y) for x, y in ((a.indptr, b.indptr), (a.indices, b.indices)))


def rows_of(matrix: Any) -> np.ndarray:
    """Return the row of each entry of a CSR matrix."""
    return np.repeat(np.arange(matrix.shape[0]), np.diff(matrix.indptr))


def find_entries(matrix: Any, wanted: Any) -> np.ndarray:
    """Return for each entry of `wanted` its position in ``matrix.data``, -1 where it is not stored.

    Parameters
    ----------
    matrix, wanted : csr_matrix
        Canonical, of equal shape.
    """
    width = matrix.shape[1]
    keys, wanted_keys = (rows_of(m) * width + m.indices for m in (matrix, wanted))
    if not len(keys):
        return np.full(len(wanted_keys), -1)
    positions = np.minimum(keys.searchsorted(wanted_keys), len(keys) - 1)
    return np.where(keys[positions] == wanted_keys, positions, -1)


def on_entries(matrix: Any, pattern: Any) -> Any:
    """Return `matrix` with the entries of `pattern`: what it does not store is a stored zero.

    Parameters
    ----------
    matrix, pattern : csr_matrix
        Of equal shape, `pattern` canonical. Is `matrix` not contained in `pattern`, it is returned as it is.
    """
    if same_entries(matrix, pattern):
        return matrix
    from scipy.sparse import csr_matrix

    matrix = canonical_csr(matrix)
    positions = find_entries(pattern, matrix)
    if np.any(positions < 0):
        return matrix
    data = np.zeros(pattern.nnz, matrix.dtype)
    data[positions] = matrix.data
    return csr_matrix((data, pattern.indices.copy(), pattern.indptr.copy()), shape=pattern.shape)


def filled(pattern: Any, value: Any, dtype: Any) -> Any:
    """Return a CSR matrix with the entries of `pattern` and one value for all.

    Parameters
    ----------
    pattern : csr_matrix
        Shares its index, which the new matrix can only read, so that it cannot change its entries.
    value : float
        0 takes no memory as long as nobody writes to the new matrix.
    dtype : dtype_like
    """
    from scipy.sparse import csr_matrix

    data = np.zeros(pattern.nnz, dtype)
    if value:
        data[:] = value
    index = pattern.indices.view(), pattern.indptr.view()
    for array in index:
        array.flags.writeable = False
    return csr_matrix((data, *index), shape=pattern.shape)


def find(mat: Any, explicit_zeros: bool = False) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the entries of a sparse matrix in row-major order.

    Parameters
    ----------
    mat : sparse matrix
        Left as it is.
    explicit_zeros : bool
        Whether entries that are stored and zero are returned as well.

    Returns
    -------
    rows, cols, vals : ndarray
    """
    csr = canonical_csr(mat)
    rows, cols, vals = rows_of(csr), csr.indices, csr.data
    if explicit_zeros:
        return rows, cols, vals
    kept = vals != 0
    return rows[kept], cols[kept], vals[kept]
