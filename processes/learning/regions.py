"""Which synapses an epoch can change, and what the factors of a product are there.

A product counts only where its dependency fired: ``x0`` in the rows of presynaptic neurons that spiked,
``y0`` in the columns of postsynaptic neurons that spiked, ``u`` everywhere. So an epoch touches the rows
with a presynaptic spike and, in the remaining rows, the columns with a postsynaptic spike; the whole matrix
only if a product with ``u`` is on. Matrices are (pre, post) here: the transposed views of the (post, pre)
Vars.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from .traces import History

# Elements that are worked on at a time: few enough to stay in the cache and to bound temporary memory.
CHUNK = 1 << 16
# From this share of active rows plus active columns on, working through the whole matrix is faster than
# picking its active parts.
_DENSE = 0.4

_ALL = slice(None)


class Block:
    """The synapses of a region in which products with one dependency count.

    Parameters
    ----------
    dependency : str
        ``x0``, ``y0`` or ``u``.
    history : History
    pre : slice or ndarray
        Presynaptic neurons; an array if the dependency is ``x0``.
    post : slice or ndarray
        Postsynaptic neurons; an array if the dependency is ``y0``.
    rows : ndarray
        Row of the history table at the spike of each presynaptic (``x0``) or postsynaptic (``y0``) neuron.
    within : tuple or Ellipsis
        Index of the block in its region; Ellipsis if it is the whole region.
    """

    __slots__ = ("dependency", "history", "post", "pre", "rows", "within")

    def __init__(
        self, dependency: str, history: History, *, pre: Any, post: Any, rows: Any, within: Any
    ) -> None:
        self.dependency = dependency
        self.history = history
        self.pre = pre
        self.post = post
        self.rows = rows
        self.within = within

    def trace(self, is_pre: bool, table: np.ndarray) -> np.ndarray:
        """Return a trace where the product reads it, broadcastable to the block's (pre, post).

        Parameters
        ----------
        is_pre : bool
            Whether it is one of presynaptic neurons.
        table : ndarray, shape (rows or 1, neurons)
            History of the trace, or a function of it.
        """
        rows = self.rows
        if self.dependency == "u" or len(table) == 1:
            rows = -1
        elif len(rows) == 1:
            rows = rows[0]
        if is_pre:
            if self.dependency == "y0" and isinstance(rows, np.ndarray):
                return table[rows][:, self.pre].T
            return table[rows, self.pre][:, None]
        if self.dependency == "x0" and isinstance(rows, np.ndarray):
            return table[rows]
        return table[rows, self.post][None, :]


class Region:
    """A part of the matrices that is read, changed and written back as one.

    Attributes
    ----------
    shape : tuple of int
        (pre, post)
    blocks : dict of str to Block
        Where products count, by dependency.
    """

    __slots__ = ("_index", "blocks", "shape")

    def __init__(self, index: Any, shape: tuple[int, int], blocks: dict[str, Block]) -> None:
        self._index = index
        self.shape = shape
        self.blocks = blocks

    def read(self, matrix: np.ndarray) -> np.ndarray:
        """Return the values of a (pre, post) matrix; do not change them."""
        return matrix[self._index]

    def write(self, matrix: np.ndarray, values: np.ndarray) -> None:
        matrix[self._index] = values


def regions(history: History, with_u: bool, everything: bool = False) -> Iterator[Region]:
    """Yield disjoint regions that cover every synapse the epoch can change.

    Parameters
    ----------
    history : History
        Who spiked, and the traces.
    with_u : bool
        Whether products with dependency ``u`` are on.
    everything : bool
        Cover all synapses, also those in which no product counts.
    """
    num_pre, num_post = history.layout.num_pre, history.layout.num_post
    if not num_pre or not num_post:
        return
    post = _ALL if len(history.post) == num_post else history.post
    share = len(history.pre) / num_pre + len(history.post) / num_post
    if with_u or everything or share > _DENSE:
        yield from _all_rows(history, with_u, post)
        return
    pre = history.pre
    for start, stop in _parts(len(pre), num_post):
        chosen = pre[start:stop]
        index: Any = _ALL if len(chosen) == num_pre else chosen
        blocks = {
            "x0": Block("x0", history, pre=chosen, post=_ALL, rows=history.pre_rows[start:stop], within=...)
        }
        if len(history.post):
            blocks["y0"] = _y0_block(history, index, _columns(post))
        yield Region(index, (len(chosen), num_post), blocks)
    if len(history.post) and len(pre) < num_pre:
        yield from _other_rows(history, post)


def _all_rows(history: History, with_u: bool, post: Any) -> Iterator[Region]:
    num_pre, num_post = history.layout.num_pre, history.layout.num_post
    for start, stop in _parts(num_pre, num_post):
        part = _ALL if stop - start == num_pre else slice(start, stop)
        blocks = {}
        first, last = np.searchsorted(history.pre, (start, stop)) if len(history.pre) else (0, 0)
        if last > first:
            chosen = history.pre[first:last]
            whole = len(chosen) == stop - start
            blocks["x0"] = Block(
                "x0",
                history,
                pre=chosen,
                post=_ALL,
                rows=history.pre_rows[first:last],
                within=... if whole else (chosen - start,),
            )
        if len(history.post):
            blocks["y0"] = _y0_block(history, part, _columns(post))
        if with_u:
            blocks["u"] = Block("u", history, pre=part, post=_ALL, rows=None, within=...)
        yield Region(part, (stop - start, num_post), blocks)


def _other_rows(history: History, post: Any) -> Iterator[Region]:
    """Rows without a presynaptic spike, in the columns with a postsynaptic one."""
    num_pre, count = history.layout.num_pre, len(history.post)
    others = (history.tx == 0).nonzero()[0]
    for start, stop in _parts(len(others), count):
        chosen = others[start:stop]
        rows: Any = _ALL if len(chosen) == num_pre else chosen
        if isinstance(post, slice) or isinstance(rows, slice):
            index: Any = (rows, post)
        else:
            index = (chosen[:, None], post)
        block = _y0_block(history, rows, ...)
        yield Region(index, (len(chosen), count), {"y0": block})


def _y0_block(history: History, pre: Any, within: Any) -> Block:
    return Block("y0", history, pre=pre, post=history.post, rows=history.post_rows, within=within)


def _columns(post: Any) -> Any:
    return ... if isinstance(post, slice) else (_ALL, post)


def _parts(count: int, width: int) -> Iterator[tuple[int, int]]:
    step = max(1, CHUNK // width)
    for start in range(0, count, step):
        yield start, min(count, start + step)
