"""The sum that every sparse connection computes, at the cost of the spikes times their fan-out.

Weights are kept in CSR order, the order in which users see them. `FanOut` knows where the synapses of each
input lie in that order: a time step with k active inputs reads their synapses and nothing else. As in
`synapses.weighted_sum`, contributions to an output are added in ascending presynaptic index, one after the
other from zero, so that a matrix that is split by rows gives what the whole one gives.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .kernels import Kernel, readable, weighted_sums

# So many integers of 32 bits add up exactly in float64, whose 53 bits np.bincount adds in.
_EXACT = 1 << 21

# Compiled loops by types of weights and sum. NumPy needs 5 to 10 ns for a synapse.
_LEAST, _WORTH = 1 << 9, 1 << 27
_IN_ORDER = np.zeros(0, np.int32)
_KERNELS = weighted_sums("sparse", _LEAST, _WORTH)


class FanOut:
    """The synapses of each input of a sparse connection.

    Parameters
    ----------
    weights : csr_matrix, shape (post, pre)
        Only its entries matter; values are given to each sum, so that they may change.

    Attributes
    ----------
    rows : ndarray of int, shape (entries,)
        Output of each synapse, input after input and ascending within an input.
    positions : ndarray of int, shape (entries,)
        Where its value is in ``weights.data``.
    starts, counts : ndarray of int, shape (pre,)
        First synapse, and number of synapses, of each input.
    """

    def __init__(self, weights: Any) -> None:
        from scipy.sparse import csr_matrix

        # half the memory of np.intp, of which NumPy makes temporary copies as needed
        index = np.int32 if max(weights.nnz, *weights.shape) < 2**31 else np.int64
        numbers = np.arange(weights.nnz, dtype=index)
        by_input = csr_matrix((numbers, weights.indices, weights.indptr), shape=weights.shape).tocsc()
        self.num_post = weights.shape[0]
        self.rows: np.ndarray = by_input.indices.astype(index, copy=False)
        self.positions: np.ndarray = by_input.data
        self.starts: np.ndarray = by_input.indptr[:-1].astype(np.intp)
        self.counts: np.ndarray = np.diff(by_input.indptr).astype(np.intp)
        self._kept: tuple[np.ndarray, np.ndarray] | None = None

    def keep(self, values: np.ndarray) -> None:
        """Copy values into the order of this fan-out, for later sums of the very same array.

        Reading synapses one after the other is up to 15 times as fast as picking them from all over
        ``weights.data``. The copy does not follow changes: whoever calls this calls `forget` before the next
        sum when an element has changed.
        """
        if self._kept is None or self._kept[0] is not values:
            self._kept = values, values[self.positions]

    def forget(self) -> None:
        """Drop the copy that `keep` made."""
        self._kept = None

    def of(self, active: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the synapses of the `active` inputs, input after input, and how many each input has.

        Parameters
        ----------
        active : ndarray of int
            Ascending.

        Returns
        -------
        synapses : ndarray of int
            Indices into `rows` and `positions`.
        counts : ndarray of int, shape of `active`
        """
        counts = self.counts[active]
        ends = counts.cumsum()
        offsets = self.starts[active] - ends + counts
        return np.arange(ends[-1] if len(ends) else 0) + offsets.repeat(counts), counts

    def weighted_sum(self, values: np.ndarray, spikes: np.ndarray, graded: bool, dtype: Any) -> np.ndarray:
        """Return ``sum_j weights[:, j] * x_j`` over the active inputs j.

        Parameters
        ----------
        values : ndarray, shape (entries,)
            ``weights.data`` of the matrix of which this is the fan-out.
        spikes : ndarray, shape (pre,)
            What was received. An input is active if it is not zero; NaN is active.
        graded : bool
            Whether the payload multiplies the weights; if not, an active input counts as 1.
        dtype : dtype_like
            Type in which to multiply and add; integers wrap.

        Returns
        -------
        ndarray, shape (post,)
            A new array of `dtype`.
        """
        active = spikes.nonzero()[0]
        if not len(active):
            return np.zeros(self.num_post, dtype)
        if len(self.rows) >= _LEAST or Kernel.always:
            total = self._compiled_sum(values, spikes, active, graded, np.dtype(dtype))
            if total is not None:
                return total
        synapses, contributions = self.contributions(values, spikes, active, graded, dtype)
        return add_up(self.rows[synapses], contributions, self.num_post, dtype)

    def _compiled_sum(
        self, values: np.ndarray, spikes: np.ndarray, active: np.ndarray, graded: bool, dtype: Any
    ) -> np.ndarray | None:
        """Return the sum, or None where no compiled loop does it or none would pay."""
        kernel = _KERNELS.get((values.dtype, dtype, graded))
        matching = len(values) == len(self.rows) and len(spikes) == len(self.starts)
        if kernel is None or not matching or self.rows.dtype != np.int32 or not readable(values):
            return None
        loop = kernel.for_work(int(self.counts[active].sum()))
        if loop is None:
            return None
        total = np.zeros(self.num_post, dtype)
        payload = (spikes[active].astype(dtype),) if graded else ()
        positions = self.positions
        if self._kept is not None and self._kept[0] is values:
            positions, values = _IN_ORDER, self._kept[1]
        loop(self.starts, self.counts, self.rows, positions, values, active, *payload, total)
        return total

    def contributions(
        self, values: np.ndarray, spikes: np.ndarray, active: np.ndarray, graded: bool, dtype: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the synapses of the `active` inputs and what each of them contributes, in `dtype`."""
        synapses, counts = self.of(active)
        if self._kept is not None and self._kept[0] is values:
            contributions = self._kept[1][synapses]
        else:
            contributions = values[self.positions[synapses]]
        if graded:
            contributions = contributions.astype(dtype, copy=False)
            contributions = contributions * spikes[active].astype(dtype).repeat(counts)
        return synapses, contributions


def add_up(places: np.ndarray, values: np.ndarray, size: int, dtype: Any) -> np.ndarray:
    """Return an array of `size` zeros to which each of `values` was added at its place, in their order.

    Parameters
    ----------
    places : ndarray of int
    values : ndarray of int or float, shape of `places`
    size : int
    dtype : dtype_like
        Type in which to add; integers wrap.
    """
    dtype = np.dtype(dtype)
    if not len(values):  # np.bincount of nothing has another type
        return np.zeros(size, dtype)
    narrow = values.dtype.kind in "bi" and values.dtype.itemsize <= 4 and len(values) < _EXACT
    if dtype == np.float64 or (dtype.kind == "i" and narrow):
        total = np.bincount(places, values, size)
        return total if dtype == np.float64 else total.astype(np.int64).astype(dtype, copy=False)
    total = np.zeros(size, dtype)
    np.add.at(total, places, values)
    return total


def add_pairwise(places: np.ndarray, values: np.ndarray, size: int) -> np.ndarray:
    """Like `add_up`, but each sum is the first value plus the pairwise sum of the rest.

    The order in which NumPy sums a row: for single precision, where another order would show.
    """
    order = places.argsort(kind="stable")
    sorted_places = places[order]
    starts = np.flatnonzero(np.diff(sorted_places, prepend=-1))
    total = np.zeros(size, values.dtype)
    if len(starts):
        total[sorted_places[starts]] = np.add.reduceat(values[order], starts)
    return total
