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

_BLOCK = 2048  # outputs whose sums stay in the first-level cache


def _given(dtype: Any, ndim: int = 1) -> Any:
    """Return the type of a C-contiguous array that is only read."""
    return types.Array(dtype, ndim, "C", readonly=True)


def _written(dtype: Any) -> Any:
    return types.Array(dtype, 1, "C")


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


# --- compiled on demand ----------------------------------------------------------------------

_F, _I, _L = types.float64, types.int32, types.int64
_INDEX = types.intp
_FAN_OUT = (_given(_INDEX), _given(_INDEX), _given(_I), _given(_I))

_LOOPS: dict[str, tuple[Callable[..., None], tuple[Any, ...]]] = {
    "dense_float": (_dense, (_given(_F, 2), _given(_INDEX), _written(_F))),
    "dense_int": (_dense, (_given(_I, 2), _given(_INDEX), _written(_L))),
    "dense_graded_float": (_dense_graded, (_given(_F, 2), _given(_INDEX), _given(_F), _written(_F))),
    "dense_graded_int32": (_dense_graded, (_given(_I, 2), _given(_INDEX), _given(_I), _written(_I))),
    "dense_graded_int64": (_dense_graded, (_given(_I, 2), _given(_INDEX), _given(_L), _written(_L))),
    "sparse_float": (_sparse, (*_FAN_OUT, _given(_F), _given(_INDEX), _written(_F))),
    "sparse_int": (_sparse, (*_FAN_OUT, _given(_I), _given(_INDEX), _written(_L))),
    "sparse_graded_float": (
        _sparse_graded,
        (*_FAN_OUT, _given(_F), _given(_INDEX), _given(_F), _written(_F)),
    ),
    "sparse_graded_int32": (
        _sparse_graded,
        (*_FAN_OUT, _given(_I), _given(_INDEX), _given(_I), _written(_I)),
    ),
    "sparse_graded_int64": (
        _sparse_graded,
        (*_FAN_OUT, _given(_I), _given(_INDEX), _given(_L), _written(_L)),
    ),
    "lif_float": (_lif_float, (*[_written(_F)] * 2, *[_given(_F)] * 4)),
    "lif_fixed": (_lif_fixed, (*[_written(_I)] * 2, *[_given(_I)] * 2, *[_given(_F)] * 2, _L)),
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
