"""A learning epoch, compiled by Numba: the rule is data, see `learning.program`.

The (pre, post) matrices are worked on in pieces of at most `_LANES` synapses that stay in the second-level
cache. Of presynaptic neurons that spiked, and of all when products with dependency ``u`` count, a piece is a
stretch of their rows; of others only the synapses to postsynaptic neurons that spiked are chosen.

The same code serves both numerics. They differ in the functions of `one_synapse`, and in the type of tables
and buffers: float64, or int32 with NumPy's wrap-around.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numba import njit, types

from ..learning.program import OF_POST, OF_PRE, ON_EPOCH, ON_POST, Epoch, Rule
from .one_synapse import begun, ended, factor, plus, scaled
from .signatures import array

_LANES = 16384  # as many synapses as pay for the calls they cause; half of it takes 10 % longer


class _Piece(NamedTuple):
    """Synapses between presynaptic neurons `pre` and a range or choice of postsynaptic ones.

    The synapse of ``pre[a]`` and the c-th of `size` postsynaptic neurons is lane ``a * size + c`` of the work
    space. `spiked` are those postsynaptic neurons among them that spiked, from number `first` on.
    """

    pre: np.ndarray
    chosen: bool
    start: int
    size: int
    spiked: np.ndarray
    first: int


class _Space(NamedTuple):
    """Work space: old values of each Var, accumulators, a product, and products at each of `Epoch.rows`."""

    old: np.ndarray
    acc: np.ndarray
    value: np.ndarray
    at_rows: np.ndarray


class _Spikes(NamedTuple):
    """Who spiked; N is the type of the numerics.

    Attributes
    ----------
    row_of_pre : (pre,) of int
        Row of the tables at the spike of each presynaptic neuron; -1: none.
    post : (spiked,) of int
        Postsynaptic neurons that spiked, ascending.
    rows : (different,) of int
        Rows at which they did.
    place : (spiked,) of int
        Index in `rows` for each of them.
    own : (factors, spiked) of N
        Factors of postsynaptic neurons at their own spike.
    """

    row_of_pre: np.ndarray
    post: np.ndarray
    rows: np.ndarray
    place: np.ndarray
    own: np.ndarray


def _learn(weights, tag_1, tag_2, rule, epoch):
    """Change weights and tags, each of shape (pre, post)."""
    num_post = weights.shape[1]
    spikes = _spikes(rule, epoch)
    old = np.empty((3, _LANES), epoch.tables.dtype)
    space = _Space(old, np.empty_like(old[0]), np.empty_like(old[0]), np.empty(len(spikes.rows), old.dtype))
    stretched = (spikes.row_of_pre >= (-1 if epoch.with_u else 0)).nonzero()[0]
    post = spikes.post
    first = 0
    for start in range(0, num_post, _LANES):
        stop = min(start + _LANES, num_post)
        last = first
        while last < len(post) and post[last] < stop:
            last += 1
        many = _LANES // (stop - start)
        for begin in range(0, len(stretched), many):
            pre = stretched[begin : begin + many]
            piece = _Piece(pre, False, start, stop - start, post[first:last], first)
            _update(weights, tag_1, tag_2, rule, epoch, spikes, piece, space)
        first = last
    if len(stretched) == len(spikes.row_of_pre):
        return
    others = (spikes.row_of_pre < 0).nonzero()[0]
    for first in range(0, len(post), _LANES):
        spiked = post[first : first + _LANES]
        many = _LANES // len(spiked)
        for begin in range(0, len(others), many):
            piece = _Piece(others[begin : begin + many], True, 0, len(spiked), spiked, first)
            _update(weights, tag_1, tag_2, rule, epoch, spikes, piece, space)


@njit
def _spikes(rule, epoch):
    row_of_pre = np.empty(len(epoch.tx), np.int64)
    for i in range(len(row_of_pre)):
        row_of_pre[i] = epoch.rows[epoch.tx[i]] if epoch.tx[i] > 0 else -1
    post = epoch.ty.nonzero()[0]
    place_of = np.full(len(epoch.tables), -1)
    rows, place = np.empty(len(epoch.tables), np.int64), np.empty(len(post), np.int64)
    different = 0
    for k in range(len(post)):
        row = epoch.rows[epoch.ty[post[k]]]
        if place_of[row] < 0:
            place_of[row] = different
            rows[different] = row
            different += 1
        place[k] = place_of[row]
    own = np.empty((len(rule.factors), len(post)), epoch.tables.dtype)
    for f in range(len(own)):
        if rule.factors[f, 0] == OF_POST:
            for k in range(len(post)):
                own[f, k] = epoch.tables[rows[place[k]], rule.factors[f, 1] + post[k]]
    return _Spikes(row_of_pre, post, rows[:different], place, own)


@njit
def _update(weights, tag_1, tag_2, rule, epoch, spikes, piece, space):
    for var in range(3):  # before anything changes
        if rule.reads[1 if piece.chosen else 0, var]:
            if var == 0:
                _read(weights, piece, space.old[var])
            elif var == 1:
                _read(tag_1, piece, space.old[var])
            else:
                _read(tag_2, piece, space.old[var])
    for target in range(len(rule.targets)):
        var = rule.targets[target, 0]
        if var == 0:
            _update_target(weights, rule, epoch, spikes, piece, space, target)
        elif var == 1:
            _update_target(tag_1, rule, epoch, spikes, piece, space, target)
        else:
            _update_target(tag_2, rule, epoch, spikes, piece, space, target)


@njit
def _read(matrix, piece, values):
    for a in range(len(piece.pre)):
        line, lanes = _line(matrix, piece, a), values[a * piece.size : (a + 1) * piece.size]
        for c in range(len(lanes)):
            lanes[c] = line[np.uint32(piece.spiked[c])] if piece.chosen else line[c]


@njit
def _line(matrix, piece, a):
    """Return the row of one neuron: the whole of it, or its stretch."""
    line = matrix[piece.pre[a]]
    return line if piece.chosen else line[piece.start : piece.start + piece.size]


@njit
def _update_target(matrix, rule, epoch, spikes, piece, space, target):
    if piece.chosen and rule.targets[target, 3] >= 0:
        _update_directly(matrix, rule, epoch, spikes, piece, space, target)
        return
    size, carry = piece.size, epoch.carry
    low, high, acc_low, acc_high = _limits(rule, target)
    counts = False
    for p in range(rule.targets[target, 1], rule.targets[target, 2]):
        counts |= _counts(rule, epoch, piece, p)
    if not counts:
        return
    for a in range(len(piece.pre)):
        line, acc = _line(matrix, piece, a), space.acc[a * size : (a + 1) * size]
        if piece.chosen:
            for c in range(len(acc)):
                acc[c] = begun(acc.dtype.type(line[np.uint32(piece.spiked[c])]))
        else:
            for c in range(len(acc)):
                acc[c] = begun(acc.dtype.type(line[c]))
    for p in range(rule.targets[target, 1], rule.targets[target, 2]):
        if _counts(rule, epoch, piece, p):
            if rule.products[p, 0] == ON_POST:
                _at_spikes(rule, epoch, spikes, piece, space, p)
            else:
                _along_rows(rule, epoch, spikes, piece, space, p)
    for a in range(len(piece.pre)):
        line, acc = _line(matrix, piece, a), space.acc[a * size : (a + 1) * size]
        if piece.chosen:
            for c in range(len(acc)):
                lane = np.uint32(piece.spiked[c])
                line[lane] = ended(acc[c], acc.dtype.type(line[lane]), low, high, acc_low, acc_high, carry)
        else:
            for c in range(len(acc)):
                line[c] = ended(acc[c], acc.dtype.type(line[c]), low, high, acc_low, acc_high, carry)


@njit
def _limits(rule, target):
    limits = rule.limits[target]
    return limits[0], limits[1], limits[2], limits[3]


@njit
def _counts(rule, epoch, piece, p):
    """Whether a product can count in a piece."""
    if rule.products[p, 0] == ON_POST:
        return len(piece.spiked) > 0
    return epoch.with_u if rule.products[p, 0] == ON_EPOCH else not piece.chosen


@njit
def _update_directly(matrix, rule, epoch, spikes, piece, space, target):
    """Update a target whose only product here has no factors but of presynaptic neurons, in one go.

    As in STDP, where this takes a third off an epoch of 16 time steps at 1 % firing.
    """
    p, at_rows, carry = rule.targets[target, 3], space.at_rows, epoch.carry
    low, high, acc_low, acc_high = _limits(rule, target)
    place = spikes.place[piece.first : piece.first + len(piece.spiked)]
    for a in range(len(piece.pre)):
        line = matrix[piece.pre[a]]
        _at_rows(rule, epoch, spikes, piece.pre[a], p, at_rows)
        for r in range(len(at_rows)):
            at_rows[r] = scaled(at_rows[r], rule.products[p, 3], rule.products[p, 4])
        for k in range(len(place)):
            old = at_rows.dtype.type(line[np.uint32(piece.spiked[k])])
            acc = plus(begun(old), at_rows[np.uint32(place[k])])
            line[np.uint32(piece.spiked[k])] = ended(acc, old, low, high, acc_low, acc_high, carry)


@njit
def _at_rows(rule, epoch, spikes, i, p, value):
    """Compute the leading factors of a product that are of presynaptic neurons; return the first other one."""
    f, end = rule.products[p, 1], rule.products[p, 2]
    value[:] = rule.scales[p]
    while f < end and rule.factors[f, 0] == OF_PRE:
        column = rule.factors[f, 1] + i
        for r in range(len(value)):
            value[r] = value.dtype.type(value[r] * epoch.tables[spikes.rows[r], column])
        f += 1
    return f


@njit
def _along_rows(rule, epoch, spikes, piece, space, p):
    """Add a product to all lanes, with traces at the presynaptic spikes or at the end of the epoch."""
    size, right, left = piece.size, rule.products[p, 3], rule.products[p, 4]
    for a in range(len(piece.pre)):
        i = piece.pre[a]
        row = len(epoch.tables) - 1 if rule.products[p, 0] == ON_EPOCH else spikes.row_of_pre[i]
        if row < 0:
            continue
        table, scale = epoch.tables[row], rule.scales[p]
        value, acc = space.value[:size], space.acc[a * size : (a + 1) * size]
        f, end = rule.products[p, 1], rule.products[p, 2]
        while f < end and rule.factors[f, 0] == OF_PRE:
            scale = value.dtype.type(scale * table[rule.factors[f, 1] + i])
            f += 1
        if f + 1 == end and rule.factors[f, 0] == OF_POST:  # as in most rules
            column = rule.factors[f, 1]
            part = table[column + piece.start : column + piece.start + size]
            for c in range(size):
                acc[c] = plus(acc[c], scaled(value.dtype.type(scale * part[c]), right, left))
            continue
        for c in range(size):
            value[c] = scale
        while f < end:
            column = rule.factors[f, 1]
            if rule.factors[f, 0] == OF_PRE:
                x = table[column + i]
                for c in range(size):
                    value[c] = value.dtype.type(value[c] * x)
            elif rule.factors[f, 0] == OF_POST:
                part = table[column + piece.start : column + piece.start + size]
                for c in range(size):
                    value[c] = value.dtype.type(value[c] * part[c])
            else:
                old = space.old[column, a * size : (a + 1) * size]
                constant, sign = rule.constants[f], rule.factors[f, 2]
                for c in range(size):
                    value[c] = value.dtype.type(value[c] * factor(old[c], constant, sign))
            f += 1
        for c in range(size):
            acc[c] = plus(acc[c], scaled(value[c], right, left))


@njit
def _at_spikes(rule, epoch, spikes, piece, space, p):
    """Add a product where postsynaptic neurons spiked, with traces at the spike of each."""
    size, right, left = piece.size, rule.products[p, 3], rule.products[p, 4]
    tables, rows, at_rows, spiked = epoch.tables, spikes.rows, space.at_rows, piece.spiked
    place = spikes.place[piece.first : piece.first + len(spiked)]
    value = space.value[: len(spiked)]
    everywhere = len(spiked) == size
    for a in range(len(piece.pre)):
        i = piece.pre[a]
        f, end = _at_rows(rule, epoch, spikes, i, p, at_rows), rule.products[p, 2]
        acc = space.acc[a * size : (a + 1) * size]
        if f == end:
            for r in range(len(at_rows)):
                at_rows[r] = scaled(at_rows[r], right, left)
            if everywhere:
                for k in range(len(place)):
                    acc[k] = plus(acc[k], at_rows[np.uint32(place[k])])
            else:
                for k in range(len(place)):
                    c = np.uint32(spiked[k] - piece.start)
                    acc[c] = plus(acc[c], at_rows[np.uint32(place[k])])
            continue
        for k in range(len(value)):
            value[k] = at_rows[np.uint32(place[k])]
        while f < end:
            column = rule.factors[f, 1]
            if rule.factors[f, 0] == OF_PRE:
                for k in range(len(value)):
                    value[k] = value.dtype.type(value[k] * tables[rows[place[k]], column + i])
            elif rule.factors[f, 0] == OF_POST:
                part = spikes.own[f, piece.first : piece.first + len(value)]
                for k in range(len(value)):
                    value[k] = value.dtype.type(value[k] * part[k])
            else:
                old = space.old[column, a * size : (a + 1) * size]
                constant, sign = rule.constants[f], rule.factors[f, 2]
                for k in range(len(value)):
                    c = k if everywhere else spiked[k] - piece.start
                    value[k] = value.dtype.type(value[k] * factor(old[np.uint32(c)], constant, sign))
            f += 1
        if everywhere:
            for k in range(len(value)):
                acc[k] = plus(acc[k], scaled(value[k], right, left))
        else:
            for k in range(len(value)):
                c = np.uint32(spiked[k] - piece.start)
                acc[c] = plus(acc[c], scaled(value[k], right, left))


# --- compiled on demand -------------------------------------------------------------------------


def program_types(n):
    """Return the types of a rule and an epoch in the numerics `n`."""
    index = types.int64
    flags = array(types.boolean, 2)
    rule = (
        array(index, 2),
        array(n, 2),
        array(index, 2),
        array(n),
        array(index, 2),
        array(types.float64),
        flags,
    )
    epoch = (array(n, 2), *[array(index)] * 3, types.int64, types.boolean)
    return types.NamedTuple(rule, Rule), types.NamedTuple(epoch, Epoch)


def _signature(n, tag):
    """Return the types of the arguments of `_learn`; `tag` is the type of the tags."""
    return (array(n, 2), array(tag, 2), array(tag, 2), *program_types(n))


LOOPS = {
    "learn_float64": (_learn, _signature(types.float64, types.float64)),
    "learn_int32": (_learn, _signature(types.int32, types.int64)),
}
