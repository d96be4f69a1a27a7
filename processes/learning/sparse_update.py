"""Applying a learning rule to sparse matrices, at the cost of the synapses whose dependency fired.

Each of weights and tags has entries of its own. A target is computed at its own entries; what another
variable does not store counts as zero there. Per entry this is what the dense evaluation computes, with the
same operations in the same order.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..fan_out import FanOut
from ..sparse_matrix import find_entries, rows_of, same_entries
from .rule_update import Reading, RuleUpdate, Target
from .traces import History


class Synapses:
    """The entries of one variable.

    Parameters
    ----------
    matrix : csr_matrix, shape (post, pre)
        Canonical; holds the values.
    like : Synapses, optional
        Entries of another variable, whose index is used too if the entries are the same.

    Attributes
    ----------
    pre, post : ndarray of int
        Neurons of each entry, in the order of ``matrix.data``.
    fan_out : FanOut
    lost : ndarray of bool or None
        Entries that do not learn any more.
    """

    pre: np.ndarray
    post: np.ndarray
    fan_out: FanOut

    def __init__(self, matrix: Any, like: Synapses | None = None) -> None:
        self.matrix = matrix
        if like is not None and same_entries(matrix, like.matrix):
            self.pre, self.post, self.fan_out = like.pre, like.post, like.fan_out
        else:
            self.pre = matrix.indices
            self.post = rows_of(matrix).astype(matrix.indices.dtype)
            self.fan_out = FanOut(matrix)
        self.lost: np.ndarray | None = None
        self._places: dict[int, np.ndarray | None] = {}

    @property
    def values(self) -> np.ndarray:
        return self.matrix.data

    def of_pre(self, neurons: np.ndarray) -> np.ndarray:
        """Return the entries of presynaptic neurons."""
        synapses, _ = self.fan_out.of(neurons)
        return self.fan_out.positions[synapses]

    def of_post(self, neurons: np.ndarray) -> np.ndarray:
        """Return the entries of postsynaptic neurons."""
        starts, ends = self.matrix.indptr[neurons], self.matrix.indptr[neurons + 1]
        counts = ends - starts
        return np.arange(counts.sum()) + (starts - counts.cumsum() + counts).repeat(counts)

    def read(self, target: Synapses, entries: np.ndarray) -> np.ndarray:
        """Return the values of this variable at `entries` of another one; 0 where it has none."""
        if target is self:
            return self.values[entries]
        key = id(target)
        if key not in self._places:
            same = same_entries(self.matrix, target.matrix)
            self._places[key] = None if same else find_entries(self.matrix, target.matrix)
        places = self._places[key]
        if places is None:
            return self.values[entries]
        places = places[entries]
        if not len(self.values):
            return np.zeros(len(places), self.values.dtype)
        return np.where(places >= 0, self.values[places], self.values.dtype.type(0))


class SynapseBlock:
    """Those synapses of a region in which products with one dependency count; see `regions.Block`."""

    __slots__ = ("dependency", "history", "post", "pre", "within")

    def __init__(self, dependency: str, history: History, pre: np.ndarray, post: np.ndarray, within: Any):
        self.dependency = dependency
        self.history = history
        self.pre, self.post = pre[within], post[within]
        self.within = within

    def trace(self, is_pre: bool, table: np.ndarray) -> np.ndarray:
        """Return a trace where the product reads it, one value per synapse."""
        neurons = self.pre if is_pre else self.post
        if self.dependency == "u" or len(table) == 1:
            return table[-1, neurons]
        if self.dependency == "x0":
            return table[_row_of(self.history, "x0")[self.pre], neurons]
        return table[_row_of(self.history, "y0")[self.post], neurons]


class SynapseRegion:
    """Entries of one variable that are read, changed and written back; see `regions.Region`."""

    __slots__ = ("blocks", "entries", "shape", "synapses")

    def __init__(self, synapses: Synapses, entries: np.ndarray, blocks: dict[str, SynapseBlock]) -> None:
        self.synapses, self.entries, self.blocks = synapses, entries, blocks
        self.shape = entries.shape

    def read(self, variable: Synapses) -> np.ndarray:
        """Return the values of any variable at these entries."""
        return variable.read(self.synapses, self.entries)


def apply_to_synapses(
    update: RuleUpdate, variables: dict[str, Synapses], history: History, with_u: bool, everything: bool
) -> None:
    """Carry out one epoch on sparse matrices.

    Parameters
    ----------
    update : RuleUpdate
        The rule, in the numerics of the connection.
    variables : dict of str to Synapses
        ``weights``, ``tag_1`` and ``tag_2``; their values are changed.
    history, with_u, everything
        As for `RuleUpdate.apply`.
    """
    changed = []
    for target in update.targets:
        region = _region(target, variables[target.var], history, with_u, everything)
        if len(region.entries):
            old = Reading(region, variables, not everything)
            changed.append((region, update.updated(target, region, old)))
    for region, values in changed:  # only now: all targets are computed from the old values
        region.synapses.values[region.entries] = values


def _region(
    target: Target, synapses: Synapses, history: History, with_u: bool, everything: bool
) -> SynapseRegion:
    dependencies = {product.dependency for product in target.products}
    if everything or (with_u and "u" in dependencies):
        entries = np.arange(len(synapses.values))
    else:
        entries = synapses.of_pre(history.pre) if "x0" in dependencies else np.arange(0)
        if "y0" in dependencies and len(history.post):
            others = synapses.of_post(history.post)
            if len(entries):  # those are there already
                others = others[history.tx[synapses.pre[others]] == 0]
            entries = np.concatenate((entries, others))
    if synapses.lost is not None:
        entries = entries[~synapses.lost[entries]]
    pre, post = synapses.pre[entries], synapses.post[entries]
    blocks = {}
    for dependency in dependencies:
        if dependency == "u":
            within: Any = ... if with_u else None
        else:
            fired = history.tx[pre] > 0 if dependency == "x0" else history.ty[post] > 0
            count = np.count_nonzero(fired)
            within = ... if count == len(fired) else (fired.nonzero()[0],) if count else None
        if within is not None:
            blocks[dependency] = SynapseBlock(dependency, history, pre, post, within)
    return SynapseRegion(synapses, entries, blocks)


def _row_of(history: History, dependency: str) -> np.ndarray:
    """Return the row of the history table at the spike of each neuron; arbitrary for one without."""
    rows = history.cache.get(dependency)
    if rows is None:
        spiked, known, size = (
            (history.pre, history.pre_rows, len(history.tx))
            if dependency == "x0"
            else (history.post, history.post_rows, len(history.ty))
        )
        rows = history.cache[dependency] = np.zeros(size, np.intp)
        rows[spiked] = known
    return rows
