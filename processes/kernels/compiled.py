"""The innermost loops, compiled by Numba. Imported only when one of them is needed.

Each function has exactly one signature. Numba keeps the machine code of a function in files next to this one
(or in the user's cache directory), numbered within the function; OS processes that compile different
signatures of one function at the same moment could take each other's number. With a single signature, all
that can happen is that the same code is written twice, each time by an atomic rename.
"""

from __future__ import annotations

from collections.abc import Callable
from types import FunctionType
from typing import Any

import numpy as np
from numba import njit, types

from . import compiled_learning, compiled_sparse_learning
from .signatures import array, given

_BLOCK = 2048  # outputs whose sums stay in the first-level cache


def _compile(function: Callable[..., None], *arguments: Any) -> Any:
    signature = types.void(*arguments)
    try:
        return njit(signature, cache=True, nogil=True)(function)
    except RuntimeError:  # there is nowhere to keep machine code
        return njit(signature, nogil=True)(function)


# --- weighted sums ---------------------------------------------------------------------------
#
# Integers are added in the type of the sum, so that they wrap as NumPy's do.


def _dense(weights_T, active, total):
    for start in range(0, len(total), _BLOCK):
        stop = min(start + _BLOCK, len(total))
        part = total[start:stop]
        k = 0
        while k + 4 <= len(active):  # four rows at a time: each sum is read and written once for four weights
            a = weights_T[active[k], start:stop]
            b = weights_T[active[k + 1], start:stop]
            c = weights_T[active[k + 2], start:stop]
            d = weights_T[active[k + 3], start:stop]
            for i in range(len(part)):
                part[i] = (((part[i] + a[i]) + b[i]) + c[i]) + d[i]
            k += 4
        while k < len(active):
            a = weights_T[active[k], start:stop]
            for i in range(len(part)):
                part[i] += a[i]
            k += 1


def _dense_graded(weights_T, active, payload, total):
    for start in range(0, len(total), _BLOCK):
        stop = min(start + _BLOCK, len(total))
        part = total[start:stop]
        for k in range(len(active)):
            row, x = weights_T[active[k], start:stop], payload[k]
            for i in range(len(part)):
                part[i] += part.dtype.type(row[i]) * x


# Of a sparse matrix, `positions` says where the values of the synapses are; if it is empty, they are in order.


def _sparse(starts, counts, rows, positions, values, active, total):
    for j in active:
        start, stop = starts[j], starts[j] + counts[j]
        row = rows[start:stop]
        if len(positions):
            position = positions[start:stop]
            for s in range(len(row)):
                total[np.uint32(row[s])] += values[np.uint32(position[s])]
        else:
            value = values[start:stop]
            for s in range(len(row)):
                total[np.uint32(row[s])] += value[s]


def _sparse_graded(starts, counts, rows, positions, values, active, payload, total):
    for k in range(len(active)):
        start, stop, x = starts[active[k]], starts[active[k]] + counts[active[k]], payload[k]
        row = rows[start:stop]
        if len(positions):
            position = positions[start:stop]
            for s in range(len(row)):
                total[np.uint32(row[s])] += total.dtype.type(values[np.uint32(position[s])]) * x
        else:
            value = values[start:stop]
            for s in range(len(row)):
                total[np.uint32(row[s])] += total.dtype.type(value[s]) * x


# --- neurons ---------------------------------------------------------------------------------


# Slices and not indices into the whole: an index of which the compiler does not know that it is not negative
# keeps it from using vector instructions.


def _lif_float(u, v, activation, bias, du_factor, dv_factor):
    """Update u and v; a factor has no element (it is 1), one, or one per neuron."""
    for start in range(0, len(u), _BLOCK):
        stop = min(start + _BLOCK, len(u))
        u_part, v_part = u[start:stop], v[start:stop]
        a, b = activation[start:stop], bias[start:stop]
        _scale(u_part, du_factor, start)
        for i in range(len(u_part)):
            u_part[i] += a[i]
        _scale(v_part, dv_factor, start)
        for i in range(len(v_part)):
            v_part[i] = (v_part[i] + u_part[i]) + b[i]


def _lif_fixed(u, v, activation, bias, du_factor, dv_factor, limit):
    """Update u and v; the limit is 2**23, factors are as for floating point and not above 1."""
    above, below, turn = np.int32(limit), np.int32(-limit), np.int32(2 * limit)
    high, low = np.int32(limit - 1), np.int32(1 - limit)
    for start in range(0, len(u), _BLOCK):
        stop = min(start + _BLOCK, len(u))
        u_part, v_part = u[start:stop], v[start:stop]
        a, b = activation[start:stop], bias[start:stop]
        _scale(u_part, du_factor, start)
        for i in range(len(u_part)):
            x = np.int32(u_part[i] + a[i])
            u_part[i] = np.int32(x - turn) if x > above else np.int32(x + turn) if x <= below else x
        _scale(v_part, dv_factor, start)
        for i in range(len(v_part)):
            x = np.int32(np.int32(v_part[i] + u_part[i]) + b[i])
            x = high if x > high else x
            v_part[i] = low if x < low else x


@njit(inline="always")
def _scale(part, factor, start):
    """Multiply; integers round toward zero, exactly: the product fits into the 53 bits of a float."""
    if len(factor) == 1:
        f = factor[0]
        for i in range(len(part)):
            part[i] = part.dtype.type(part[i] * f)
    elif len(factor) > 1:
        factors = factor[start : start + len(part)]
        for i in range(len(part)):
            part[i] = part.dtype.type(part[i] * factors[i])


# --- traces ----------------------------------------------------------------------------------


def _evolve(traces, tx, ty, decay, impulses, columns, rows, table, fixed):
    """Let traces decay for an epoch and jump at spikes; keep them in row ``rows[k]`` after step k.

    traces: x1, x2 of all presynaptic, y1, y2, y3 of all postsynaptic neurons, one after the other; columns: where
    in the table those of each begin, -1 if they need not be kept. fixed: None, or for traces of whole numbers the
    random numbers that round x and y, and the limit at which jumps end.
    """
    start = 0
    for trace in range(5):
        when = tx if trace < 2 else ty
        stop = start + len(when)
        down, up = decay[trace], impulses[trace]
        for begin in range(start, stop, _BLOCK):
            part = traces[begin : min(begin + _BLOCK, stop)]
            time, column = when[begin - start :], columns[trace] + begin - start
            silent = up == 0 and not part.any()
            for k in range(1, len(rows)):
                if silent:
                    pass
                elif fixed is None:
                    for e in range(len(part)):
                        x = part[e] * down
                        part[e] = x + up if time[e] == k else x
                else:
                    random, limit = fixed[0] if trace < 2 else fixed[1], fixed[2]
                    for e in range(len(part)):
                        x = part[e] * down
                        whole = np.floor(x)
                        x = whole + (1.0 if random < x - whole else 0.0)
                        part[e] = min(max(x + up, 0.0), limit) if time[e] == k else x
                if rows[k] >= 0 and columns[trace] >= 0:
                    table[rows[k], column : column + len(part)] = part
        start = stop


# --- compiled on demand ----------------------------------------------------------------------

_F, _I, _L = types.float64, types.int32, types.int64
_INDEX = types.intp
_TRACES = (array(_F), *[given(_L)] * 2, *[given(_F)] * 2, *[given(_L)] * 2, array(_F, 2))
_FAN_OUT = (given(_INDEX), given(_INDEX), given(_I), given(_I))

_LOOPS: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {
    "dense_float": (_dense, (given(_F, 2), given(_INDEX), array(_F))),
    "dense_int": (_dense, (given(_I, 2), given(_INDEX), array(_L))),
    "dense_graded_float": (_dense_graded, (given(_F, 2), given(_INDEX), given(_F), array(_F))),
    "dense_graded_int32": (_dense_graded, (given(_I, 2), given(_INDEX), given(_I), array(_I))),
    "dense_graded_int64": (_dense_graded, (given(_I, 2), given(_INDEX), given(_L), array(_L))),
    "sparse_float": (_sparse, (*_FAN_OUT, given(_F), given(_INDEX), array(_F))),
    "sparse_int": (_sparse, (*_FAN_OUT, given(_I), given(_INDEX), array(_L))),
    "sparse_graded_float": (
        _sparse_graded,
        (*_FAN_OUT, given(_F), given(_INDEX), given(_F), array(_F)),
    ),
    "sparse_graded_int32": (
        _sparse_graded,
        (*_FAN_OUT, given(_I), given(_INDEX), given(_I), array(_I)),
    ),
    "sparse_graded_int64": (
        _sparse_graded,
        (*_FAN_OUT, given(_I), given(_INDEX), given(_L), array(_L)),
    ),
    "lif_float": (_lif_float, (*[array(_F)] * 2, *[given(_F)] * 4)),
    "lif_fixed": (_lif_fixed, (*[array(_I)] * 2, *[given(_I)] * 2, *[given(_F)] * 2, _L)),
    "evolve_float": (_evolve, (*_TRACES, types.none)),
    "evolve_fixed": (_evolve, (*_TRACES, types.UniTuple(_F, 3))),
    **compiled_learning.LOOPS,
    **compiled_sparse_learning.LOOPS,
}


def __getattr__(name: str) -> Any:
    """Compile a loop when it is asked for, or take it from where Numba keeps machine code."""
    if name not in _LOOPS:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    function, arguments = _LOOPS[name]
    own = FunctionType(function.__code__, function.__globals__, name)
    own.__qualname__ = name  # under which Numba keeps it: every signature needs a name of its own
    own.__module__ = __name__
    loop = globals()[name] = _compile(own, *arguments)
    return loop
