"""Applying a learning rule to sparse matrices, at the cost of the synapses whose dependency fired.

Each of weights and tags has entries of its own. A target is computed at its own entries; what another
variable does not store counts as zero there. Per entry this is what the dense evaluation computes, with the
same operations in the same order.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..fan_out import FanOut
from ..kernels import readable
from ..sparse_matrix import find_entries, same_entries
from .program import Index
from .regions import CHUNK
from .rule_update import Reading, RuleUpdate
from .traces import History


class Entries(NamedTuple):
    """Some entries of a variable: where their values are, and the neurons of each."""

    places: Any
    pre: np.ndarray
    post: np.ndarray

    def where(self, chosen: np.ndarray) -> Entries:
        """Return those for which an array of bool is true."""
        within = chosen.nonzero()[0]
        if isinstance(self.places, slice):
            return Entries(within + self.places.start, self.pre[within], self.post[within])
        return Entries(self.places[within], self.pre[within], self.post[within])


class Synapses:
    """The entries of one variable.

    Parameters
    ----------
    matrix : csr_matrix, shape (post, pre)
        Canonical; holds the values.
    like : Synapses, optional
        Another variable. If it has the same entries, the index of its matrix becomes that of `matrix`, too.

    Attributes
    ----------
    fan_out : FanOut
    lost : ndarray of bool or None
        Entries that do not learn any more.
    """

    fan_out: FanOut

    def __init__(self, matrix: Any, like: Synapses | None = None) -> None:
        self.matrix = matrix
        if like is not None and same_entries(matrix, like.matrix):
            matrix.indices, matrix.indptr = like.matrix.indices, like.matrix.indptr
            self.fan_out = like.fan_out
        else:
            self.fan_out = FanOut(matrix)
        self.lost: np.ndarray | None = None
        self._places: dict[int, np.ndarray | None] = {}

    @property
    def values(self) -> np.ndarray:
        return self.matrix.data

    def of_pre(self, neurons: np.ndarray) -> Entries:
        """Return the entries of presynaptic neurons."""
        synapses, counts = self.fan_out.of(neurons)
        return Entries(self.fan_out.positions[synapses], neurons.repeat(counts), self.fan_out.rows[synapses])

    def of_post(self, neurons: np.ndarray) -> Entries:
        """Return the entries of postsynaptic neurons."""
        starts, ends = self.matrix.indptr[neurons], self.matrix.indptr[neurons + 1]
        counts = ends - starts
        places = np.arange(counts.sum()) + (starts - counts.cumsum() + counts).repeat(counts)
        return Entries(places, self.matrix.indices[places], neurons.repeat(counts))

    def of_rows(self, start: int, stop: int) -> Entries:
        """Return the entries of successive postsynaptic neurons."""
        ends = self.matrix.indptr[start : stop + 1]
        places = slice(ends[0], ends[-1])
        return Entries(places, self.matrix.indices[places], np.arange(start, stop).repeat(np.diff(ends)))

    def read(self, target: Synapses, entries: Any) -> np.ndarray:
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


_NEVER_LOST = np.zeros(0, bool)
_NONE = Entries(*[np.zeros(0, np.intp)] * 3)


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

    __slots__ = ("blocks", "places", "shape", "synapses")

    def __init__(self, synapses: Synapses, entries: Entries, blocks: dict[str, SynapseBlock]) -> None:
        self.synapses, self.places, self.blocks = synapses, entries.places, blocks
        self.shape = entries.pre.shape

    def read(self, variable: Synapses) -> np.ndarray:
        """Return the values of any variable at these entries; do not change them."""
        return variable.read(self.synapses, self.places)


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
    if not everything and _run_compiled(update, variables, history, with_u):
        return
    fired = {target.var: {product.dependency for product in target.products} for target in update.targets}
    for piece in _pieces(variables["weights"], set().union(*fired.values()), history, with_u, everything):
        changed = []
        for target in update.targets:
            synapses = variables[target.var]
            entries = piece(synapses, fired[target.var])
            if synapses.lost is not None:
                entries = entries.where(~synapses.lost[entries.places])
            if len(entries.pre):
                region = SynapseRegion(
                    synapses, entries, _blocks(fired[target.var], entries, history, with_u)
                )
                old = Reading(region, variables, not everything)
                changed.append((region, update.updated(target, region, old)))
        for region, values in changed:  # only now: all targets are computed from the old values
            region.synapses.values[region.places] = values


def _run_compiled(update: RuleUpdate, variables: dict[str, Synapses], history: History, with_u: bool) -> bool:
    """Carry out the epoch with a compiled loop, if there is one for it and it pays."""
    program, weights = update.program, variables["weights"]
    fan_out, indices, indptr = weights.fan_out, weights.matrix.indices, weights.matrix.indptr
    for used, variable in zip(program.used.tolist(), variables.values(), strict=True):
        if used and variable.fan_out is not fan_out:  # it has other entries
            return False
    if with_u:
        touched = len(indices)
    else:
        touched = fan_out.counts[history.pre].sum() + (indptr[history.post + 1] - indptr[history.post]).sum()
    values = {name: variable.values for name, variable in variables.items()}
    loop = program.loop_for_entries(values, int(touched))
    narrow = all(array.dtype == np.int32 for array in (indices, indptr, fan_out.rows))
    if loop is None or not narrow or not readable(indices, indptr):
        return False
    lost = _NEVER_LOST if weights.lost is None else weights.lost
    index = Index(
        indices, indptr, fan_out.starts, fan_out.counts, fan_out.rows, fan_out.positions, lost, program.used
    )
    program.run(loop, values, history, with_u, update.carry(), index)
    return True


def _pieces(
    weights: Synapses, dependencies: set[str], history: History, with_u: bool, everything: bool
) -> Iterator[Any]:
    """Yield functions that return the entries of a target, given its dependencies, in part of the matrix.

    Together they cover every synapse the epoch can change, each once.
    """
    tx, ty = history.tx, history.ty
    if everything or (with_u and "u" in dependencies):
        for start, stop in _parts(np.diff(weights.matrix.indptr)):

            def of_rows(synapses: Synapses, own: set[str], start: int = start, stop: int = stop) -> Entries:
                entries = synapses.of_rows(start, stop)
                if everything or "u" in own:
                    return entries
                chosen = np.zeros(len(entries.pre), bool)
                if "x0" in own:
                    chosen |= tx[entries.pre] > 0
                if "y0" in own:
                    chosen |= ty[entries.post] > 0
                return entries.where(chosen)

            yield of_rows
        return
    if "x0" in dependencies and len(history.pre):
        for start, stop in _parts(weights.fan_out.counts[history.pre]):

            def of_pre(
                synapses: Synapses, own: set[str], neurons: np.ndarray = history.pre[start:stop]
            ) -> Entries:
                if not own & {"x0", "y0"}:
                    return _NONE
                entries = synapses.of_pre(neurons)
                return entries if "x0" in own else entries.where(ty[entries.post] > 0)

            yield of_pre
    if "y0" in dependencies and len(history.post):
        indptr, post = weights.matrix.indptr, history.post
        for start, stop in _parts(indptr[post + 1] - indptr[post]):

            def of_post(synapses: Synapses, own: set[str], neurons: np.ndarray = post[start:stop]) -> Entries:
                if "y0" not in own:
                    return _NONE
                entries = synapses.of_post(neurons)
                if "x0" in dependencies and len(history.pre):  # those of spiking inputs were there already
                    return entries.where(tx[entries.pre] == 0)
                return entries

            yield of_post


def _parts(counts: np.ndarray) -> Iterator[tuple[int, int]]:
    """Yield stretches of neurons that have about `CHUNK` entries together."""
    ends = counts.cumsum(dtype=np.int64)
    starts = np.flatnonzero(np.diff(ends // CHUNK, prepend=-1)).tolist()
    yield from zip(starts, [*starts[1:], len(counts)], strict=False)


def _blocks(
    dependencies: set[str], entries: Entries, history: History, with_u: bool
) -> dict[str, SynapseBlock]:
    """Return where among some entries products count, by dependency."""
    blocks = {}
    for dependency in dependencies:
        if dependency == "u":
            within: Any = ... if with_u else None
        else:
            fired = history.tx[entries.pre] > 0 if dependency == "x0" else history.ty[entries.post] > 0
            count = np.count_nonzero(fired)
            within = ... if count == len(fired) else (fired.nonzero()[0],) if count else None
        if within is not None:
            blocks[dependency] = SynapseBlock(dependency, history, entries.pre, entries.post, within)
    return blocks


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
