"""A warning, once per connection, of sums that the 32 bits of fixed point cannot hold."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import LaharWarning
from .sparse_matrix import rows_of
from .weights import is_sparse

_BITS = 32
_LARGEST = 2 ** (_BITS - 1) - 1
_BLOCK = 1 << 20  # weights of which absolute values are formed at once


class OverflowWatch:
    """Looks whether weighted sums fit into 32 bits, at next to no cost while inputs are small.

    No sum of inputs up to ``L = (2**31 - 1) / max_i sum_j |weights[i, j]|`` can overflow; only when larger ones
    arrive the sums are formed again, in floating point.

    Parameters
    ----------
    where : callable
        Returns class and name of the connection, for the message.
    exponent : int
        Sums are multiplied by ``2**exponent``.
    """

    def __init__(self, where: Callable[[], str], exponent: int) -> None:
        self._where = where
        self._exponent = exponent
        self._warned = False
        self._limit: int | None = None

    def forget(self) -> None:
        """Note that weights have changed."""
        self._limit = None

    def look(
        self,
        spikes: np.ndarray,
        graded: bool,
        row_sum: Callable[[], int],
        sums: Callable[[Any], np.ndarray],
    ) -> None:
        """Warn if sums of a time step do not fit.

        Parameters
        ----------
        spikes : ndarray
            What has arrived.
        graded : bool
            Whether it multiplies the weights; otherwise each active input counts as 1.
        row_sum : callable
            Returns what no sum of absolute weights in a row exceeds, such as `largest_row_sum`.
        sums : callable
            Returns the weighted sums in the dtype that it is given.
        """
        if self._warned:
            return
        if self._limit is None:
            scale = row_sum() * 2 ** max(self._exponent, 0)
            self._limit = _LARGEST // scale if scale else _LARGEST
        if graded:
            if not spikes.size or (
                np.maximum.reduce(spikes) <= self._limit and np.minimum.reduce(spikes) >= -self._limit
            ):
                return
        elif self._limit:
            return
        total = sums(np.float64)
        # graded sums are formed in 32 bits before they are shifted right
        total = np.ldexp(total, self._exponent if self._exponent > 0 or not graded else 0)
        wrong = (total > _LARGEST) | (total < -_LARGEST - 1)
        if wrong.any():
            self._warned = True
            worst = total.flat[np.abs(total).argmax()]
            warnings.warn(
                f"{self._where()}: {np.count_nonzero(wrong)} of {total.size} sums do not fit into {_BITS} bits and "
                f"wrap; the worst is {worst:.0f}. Use smaller weights, inputs or weight_exp.",
                LaharWarning,
                stacklevel=3,
            )


def largest_row_sum(weights: Any) -> int:
    """Return the largest sum of absolute values in a row of a matrix of integers.

    Parameters
    ----------
    weights : ndarray or csr_matrix
    """
    if is_sparse(weights):
        magnitudes = np.abs(weights.data.astype(np.float64))
        sums = np.bincount(rows_of(weights), magnitudes, weights.shape[0])
    else:
        sums = np.zeros(weights.shape[0])
        step = max(1, _BLOCK // max(1, weights.shape[0]))
        for start in range(0, weights.shape[1], step):
            sums += np.abs(weights[:, start : start + step].astype(np.float64)).sum(axis=1)
    return int(sums.max(initial=0))
