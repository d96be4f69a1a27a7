"""The arithmetic of a learning rule at one synapse, in both numerics, for compiled loops.

Floating point is float64; fixed point is int32 with NumPy's wrap-around, accumulators of 16 bits with 7 of
them for fractions.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numba import types
from numba.extending import overload

_FRACTION_BITS = 7
_ACC_MIN, _ACC_MAX = -(2**15) - 1, 2**15 - 1


def begun(old: Any) -> Any:
    """Return the accumulator before anything was added."""


def scaled(value: Any, right: Any, left: Any) -> Any:
    """Return a product as it is added."""


def plus(acc: Any, value: Any) -> Any:
    """Return the accumulator with a product added."""


def factor(old: Any, constant: Any, sign: Any) -> Any:
    """Return the value of a synapse as a factor."""


def ended(acc: Any, old: Any, low: Any, high: Any, acc_low: Any, acc_high: Any, carry: Any) -> Any:
    """Return the new value of a synapse."""


@overload(begun)
def begun_of(old):
    if old == types.float64:
        return lambda old: 0.0
    return lambda old: np.int32(old << _FRACTION_BITS)


@overload(scaled)
def scaled_of(value, right, left):
    if value == types.float64:
        return lambda value, right, left: value

    def fixed(value, right, left):
        x = np.int32(np.int32(value >> right) << left)
        return min(max(x, np.int32(_ACC_MIN)), np.int32(_ACC_MAX))

    return fixed


@overload(plus)
def plus_of(acc, value):
    if acc == types.float64:
        return lambda acc, value: acc + value
    return lambda acc, value: min(max(np.int32(acc + value), np.int32(_ACC_MIN)), np.int32(_ACC_MAX))


@overload(factor)
def factor_of(old, constant, sign):
    if old == types.float64:

        def real(old, constant, sign):
            x = old + constant
            return np.sign(x) if sign else x

        return real

    def fixed(old, constant, sign):
        x = old + constant
        if sign:
            x = np.sign(x)
        return np.int32(min(max(x, -512.0), 511.0))

    return fixed


@overload(ended)
def ended_of(acc, old, low, high, acc_low, acc_high, carry):
    if acc == types.float64:

        def real(acc, old, low, high, acc_low, acc_high, carry):
            x = old + acc
            x = low if x < low else x
            return high if x > high else x

        return real

    def fixed(acc, old, low, high, acc_low, acc_high, carry):
        x = np.int32(min(max(acc, acc_low), acc_high) + carry)
        return min(max(np.int32(x >> _FRACTION_BITS), low), high)

    return fixed
