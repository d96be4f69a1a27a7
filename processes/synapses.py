"""The sum that every dense connection computes: weights times spikes, at the cost of the spikes.

A time step with k active inputs reads k rows of the transposed matrix and nothing else. Contributions
are added in ascending presynaptic index, one after the other from zero, for every output separately;
hence the bits of an output do not depend on how many other outputs the matrix has, and a matrix that is
split by rows gives what the whole one gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import Kernel, readable, weighted_sums

# Rows are gathered in blocks that stay in the second-level cache. Rows longer than _LONG_ROW are better
# added one at a time than copied first.
_BLOCK = 1 << 15
_LONG_ROW = 1 << 12

# Compiled loops by types of weights and sum. NumPy needs 0.6 ns for an element, a compiled loop a third, but
# about 2 us more per call.
_LEAST, _WORTH = 1 << 13, 1 << 31
_KERNELS = weighted_sums("dense", _LEAST, _WORTH)


def weighted_sum(weights_T: np.ndarray, spikes: np.ndarray, graded: bool, dtype: Any) -> np.ndarray:
    """Return ``sum_j weights[:, j] * x_j`` over the active inputs j.

    Parameters
    ----------
    weights_T : ndarray, shape (pre, post)
        The transposed weight matrix, fastest if C-contiguous.
    spikes : ndarray, shape (pre,)
        What was received. An input is active if it is not zero; NaN is active.
    graded : bool
        Whether the payload multiplies the weights; if not, an active input counts as 1.
    dtype : dtype_like
        Type in which to multiply and add; integers wrap. For a floating type, the type of the weights.

    Returns
    -------
    ndarray, shape (post,)
        A new array of `dtype`. Zeros if no input is active.

    Notes
    -----
    No BLAS and no pairwise summation: either would make the last bit depend on the shape. An inactive
    input contributes nothing, even where its weight is infinite or NaN.
    """
    active = spikes.nonzero()[0]
    count = len(active)
    if count == 0:
        return np.zeros(weights_T.shape[1], dtype)
    if graded:
        payload = spikes.take(active).astype(dtype)
        if count == 1:
            return weights_T[active[0]].astype(dtype) * payload[0]
    elif count == 1:
        return weights_T[active[0]].astype(dtype)
    else:
        payload = None
    num_post = weights_T.shape[1]
    if (count * num_post >= _LEAST or Kernel.always) and len(spikes) == len(weights_T):
        total = _compiled_sum(weights_T, active, payload, dtype)
        if total is not None:
            return total
    if num_post > _LONG_ROW:
        return _add_rows(weights_T, active, payload, dtype)
    if count * num_post <= _BLOCK:
        return _sum_block(_gather(weights_T, active, payload, dtype), dtype)
    return _sum_blocks(weights_T, active, payload, dtype)


def _compiled_sum(
    weights_T: np.ndarray, active: np.ndarray, payload: np.ndarray | None, dtype: Any
) -> np.ndarray | None:
    """Return the sum, or None where no compiled loop does it or none would pay."""
    kernel = _KERNELS.get((weights_T.dtype, np.dtype(dtype), payload is not None))
    if kernel is None or not readable(weights_T):
        return None
    loop = kernel.for_work(len(active) * weights_T.shape[1])
    if loop is None:
        return None
    total = np.zeros(weights_T.shape[1], dtype)
    if payload is None:
        loop(weights_T, active, total)
    else:
        loop(weights_T, active, payload, total)
    return total


def _gather(weights_T: np.ndarray, active: np.ndarray, payload: np.ndarray | None, dtype: Any) -> np.ndarray:
    """Return the contributions of the active inputs, one per row, in their order."""
    rows = weights_T.take(active, 0)
    if payload is not None:
        if rows.dtype != payload.dtype:
            rows = rows.astype(dtype)
        np.multiply(rows, payload[:, None], out=rows)
    return rows


def _sum_block(rows: np.ndarray, dtype: Any) -> np.ndarray:
    if rows.shape[1] == 1 and rows.dtype.kind == "f":
        # A single column is contiguous along the summed axis, where numpy adds pairwise; accumulating
        # does not. (+ 0.0: the sum starts at zero, so it is never the negative zero.)
        return np.add.accumulate(rows[:, 0], dtype=dtype)[-1:] + 0.0
    return np.add.reduce(rows, axis=0, dtype=dtype, initial=0)


def _sum_blocks(
    weights_T: np.ndarray, active: np.ndarray, payload: np.ndarray | None, dtype: Any
) -> np.ndarray:
    """Sum many rows block by block; a float block starts with the sum so far, which keeps the order."""
    step = max(2, _BLOCK // weights_T.shape[1])
    total = None
    for start in range(0, len(active), step):
        part = slice(start, start + step)
        rows = _gather(weights_T, active[part], None if payload is None else payload[part], dtype)
        if total is None:
            total = _sum_block(rows, dtype)
        elif rows.dtype.kind == "f":
            np.add(total, rows[0], out=rows[0])
            total = _sum_block(rows, dtype)
        else:
            total += _sum_block(rows, dtype)
    return total


def _add_rows(
    weights_T: np.ndarray, active: np.ndarray, payload: np.ndarray | None, dtype: Any
) -> np.ndarray:
    """Sum long rows one at a time."""
    total = np.zeros(weights_T.shape[1], dtype)
    if payload is None:
        for j in active.tolist():
            np.add(total, weights_T[j], out=total)
        return total
    row = np.empty_like(total)
    for j, x in zip(active.tolist(), payload, strict=True):
        np.multiply(weights_T[j], x, out=row)
        np.add(total, row, out=total)
    return total
