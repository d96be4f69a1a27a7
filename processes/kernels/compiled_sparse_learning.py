"""A learning epoch of a sparse matrix, compiled by Numba: the rule is data, see `learning.program`.

Synapses are independent of each other. They are gathered in pieces of at most `_LANES`, which stay in the cache:
first those of presynaptic neurons that spiked, then those of postsynaptic ones that are left; all, row by row,
when products with dependency ``u`` count.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types

from ..learning.program import OF_POST, OF_PRE, ON_EPOCH, ON_POST, ON_PRE
from .compiled_learning import program_types
from .one_synapse import begun, ended, factor, plus, scaled
from .signatures import array, given

_LANES = 2048


class _Piece(NamedTuple):
    """Entries and their neurons."""

    entry: np.ndarray
    pre: np.ndarray
    post: np.ndarray


class _Space(NamedTuple):
    """Work space: old and new values of each Var, and accumulators.

    Of those lanes in which a product counts: a lane, where in the tables its row begins, and the product.
    """

    old: np.ndarray
    new: np.ndarray
    acc: np.ndarray
    lane: np.ndarray
    row: np.ndarray
    value: np.ndarray


def _learn_entries(
    weights, tag_1, tag_2, indices, indptr, starts, counts, rows, positions, lost, used, rule, epoch
):
    """Change weights and tags, each of shape (entries,); see `learning.program.Index`."""
    at_pre, at_post = (
        _rows_of_spikes(epoch.tx, rule, epoch, ON_PRE),
        _rows_of_spikes(epoch.ty, rule, epoch, ON_POST),
    )
    number = np.empty((4, _LANES), np.int64)
    values = np.empty((8, _LANES), epoch.tables.dtype)
    piece = _Piece(number[0], number[1], number[2])
    lane = np.empty(_LANES, np.uint32)
    space = _Space(values[:3], values[3:6], values[6], lane, number[3], values[7])
    num_pre, size = len(at_pre), 0
    for n in range(num_pre + len(at_post)):
        by_pre, j = n < num_pre, n - num_pre
        if by_pre:
            first = starts[n]
            last = first + counts[n] if at_pre[n] >= 0 and not epoch.with_u else first
        else:
            first = np.intp(indptr[j])
            last = np.intp(indptr[j + 1]) if at_post[j] >= 0 or epoch.with_u else first
        for s in range(first, last):
            i = n if by_pre else np.intp(indices[s])
            if not by_pre and not epoch.with_u and at_pre[i] >= 0:
                continue  # done with the presynaptic neuron
            if size == _LANES:
                _update(weights, tag_1, tag_2, lost, used, rule, epoch, at_pre, at_post, piece, size, space)
                size = 0
            piece.entry[size] = positions[s] if by_pre else s
            piece.pre[size] = i
            piece.post[size] = rows[s] if by_pre else j
            size += 1
    _update(weights, tag_1, tag_2, lost, used, rule, epoch, at_pre, at_post, piece, size, space)


@njit
def _rows_of_spikes(times, rule, epoch, dependency):
    """Return where in the tables the row of the spike of each neuron begins; -1: none that counts."""
    result = np.full(len(times), -1)
    if (rule.products[:, 0] == dependency).any():
        for n in range(len(times)):
            if times[n] > 0:
                result[n] = epoch.rows[times[n]] * epoch.tables.shape[1]
    return result


@njit
def _update(weights, tag_1, tag_2, lost, used, rule, epoch, at_pre, at_post, piece, size, space):
    """Update the first `size` entries of a piece."""
    entry = piece.entry[:size]
    for var in range(3):  # before anything changes
        if used[var]:
            if var == 0:
                _read(weights, entry, space.old[var])
            elif var == 1:
                _read(tag_1, entry, space.old[var])
            else:
                _read(tag_2, entry, space.old[var])
    acc = space.acc[:size]
    for target in range(len(rule.targets)):
        var = rule.targets[target, 0]
        old, new = space.old[var, :size], space.new[var, :size]
        for c in range(size):
            acc[c] = begun(old[c])
        for p in range(rule.targets[target, 1], rule.targets[target, 2]):
            count = _where(rule, epoch, at_pre, at_post, piece, size, space, p)
            if count:
                _add(rule, epoch, piece, space, count, p)
        low, high, acc_low, acc_high = rule.limits[target]
        for c in range(size):
            new[c] = ended(acc[c], old[c], low, high, acc_low, acc_high, epoch.carry)
        if var == 0 and len(lost):
            for c in range(size):
                if lost[np.uint64(entry[c])]:
                    new[c] = old[c]
    for target in range(len(rule.targets)):
        var = rule.targets[target, 0]
        if var == 0:
            _write(weights, entry, space.new[var])
        elif var == 1:
            _write(tag_1, entry, space.new[var])
        else:
            _write(tag_2, entry, space.new[var])


@njit
def _read(values, entry, lanes):
    for c in range(len(entry)):
        lanes[c] = values[np.uint64(entry[c])]


@njit
def _write(values, entry, lanes):
    for c in range(len(entry)):
        values[np.uint64(entry[c])] = lanes[c]


@njit
def _where(rule, epoch, at_pre, at_post, piece, size, space, p):
    """Find the lanes in which a product counts, and the rows of the tables that it takes there."""
    lane, row = space.lane, space.row
    if rule.products[p, 0] == ON_EPOCH:
        if not epoch.with_u:
            return 0
        for c in range(size):
            lane[c] = c
            row[c] = (len(epoch.tables) - 1) * epoch.tables.shape[1]
        return size
    at, neuron = (at_pre, piece.pre) if rule.products[p, 0] == ON_PRE else (at_post, piece.post)
    count = 0
    for c in range(size):
        begins = at[np.uint64(neuron[c])]
        lane[count] = c
        row[count] = begins
        count += 1 if begins >= 0 else 0
    return count


@njit
def _add(rule, epoch, piece, space, count, p):
    """Add a product to the accumulators of the lanes that `_where` found."""
    table = epoch.tables.reshape(-1)
    lane, row, value = space.lane[:count], space.row[:count], space.value[:count]
    for k in range(count):
        value[k] = rule.scales[p]
    for f in range(rule.products[p, 1], rule.products[p, 2]):
        column = rule.factors[f, 1]
        if rule.factors[f, 0] == OF_PRE:
            neuron = piece.pre
            for k in range(count):
                value[k] = value.dtype.type(value[k] * table[np.uint64(row[k] + column + neuron[lane[k]])])
        elif rule.factors[f, 0] == OF_POST:
            neuron = piece.post
            for k in range(count):
                value[k] = value.dtype.type(value[k] * table[np.uint64(row[k] + column + neuron[lane[k]])])
        else:
            old, constant, sign = space.old[column], rule.constants[f], rule.factors[f, 2]
            for k in range(count):
                value[k] = value.dtype.type(value[k] * factor(old[lane[k]], constant, sign))
    acc, right, left = space.acc, rule.products[p, 3], rule.products[p, 4]
    for k in range(count):
        acc[lane[k]] = plus(acc[lane[k]], scaled(value[k], right, left))


def _signature(n, tag):
    index, place, flags = types.int32, types.intp, types.boolean
    indices = (*[given(index)] * 2, *[given(place)] * 2, *[given(index)] * 2, *[given(flags)] * 2)
    return (array(n), array(tag), array(tag), *indices, *program_types(n))


LOOPS = {
    "learn_entries_float64": (_learn_entries, _signature(types.float64, types.float64)),
    "learn_entries_int32": (_learn_entries, _signature(types.int32, types.int64)),
}
