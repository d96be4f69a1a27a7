"""Integer arithmetic of the neuron cores, as the fixed-point models share it.

States are 24-bit numbers held in int32, which wraps silently; products with a decay constant need 64 bits.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from .errors import LaharWarning

STATE_LIMIT = 2**23  # states lie strictly between -STATE_LIMIT and STATE_LIMIT, or wrap there


def toward_zero(product: np.ndarray, bits: Any) -> np.ndarray:
    """Return ``product / 2**bits``, rounded toward zero, as int64.

    Parameters
    ----------
    product : ndarray
        Integers, or floats without fractions, of at most 62 bits.
    bits : int
    """
    product = np.asarray(product, np.int64)
    # A shift rounds down; negative numbers must be raised before it. (x >> 63 is -1 for them, else 0.)
    return (product + ((product >> 63) & ((1 << bits) - 1))) >> bits


class Derived:
    """An array computed from Vars, formed anew only when one of them has changed.

    Comparing the bytes costs less than computing, and holds however the Var was changed: by `Var.set`,
    through a RefPort, or in place by a subclass.

    Parameters
    ----------
    function : callable
        Takes the arrays that are given to `of`.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        self._function = function
        self._seen: Any = None
        self._value: Any = None

    def of(self, *arrays: np.ndarray) -> Any:
        """Return the function of `arrays`, which the caller must not change."""
        seen = [array.tobytes() for array in arrays]
        if seen != self._seen:
            self._value = self._function(*arrays)
            self._seen = seen
        return self._value


def wrap_state(x: np.ndarray) -> np.ndarray:
    """Wrap once at 24 bits, in place: above 2**23 subtract 2**24, at or below -2**23 add it."""
    for outside, change in ((x > STATE_LIMIT, -2 * STATE_LIMIT), (x <= -STATE_LIMIT, 2 * STATE_LIMIT)):
        if outside.any():
            x[outside] += change
    return x


def clip_state(x: np.ndarray) -> np.ndarray:
    """Limit to the 24-bit numbers of both signs: [-(2**23 - 1), 2**23 - 1]."""
    return np.clip(x, 1 - STATE_LIMIT, STATE_LIMIT - 1)


def scaled_bias(mantissa: np.ndarray, exponent: np.ndarray) -> np.ndarray:
    """Return ``mantissa * 2**exponent`` as int32; a negative exponent shifts right, rounding down."""
    mantissa, exponent = mantissa.astype(np.int32), exponent.astype(np.int32)
    return np.where(
        exponent >= 0,
        np.left_shift(mantissa, np.maximum(exponent, 0)),
        np.right_shift(mantissa, np.maximum(-exponent, 0)),
    )


def warn_of_lost_bias(process_name: str, mantissa: np.ndarray, exponent: np.ndarray) -> None:
    """Warn if ``mantissa * 2**exponent`` does not fit into 32 bits, to which `scaled_bias` wraps it."""
    exact = np.ldexp(mantissa.astype(np.float64), exponent.astype(np.int32))
    lost = np.flatnonzero((exact >= 2.0**31) | (exact < -(2.0**31)))
    if lost.size:
        k = lost[0]
        warnings.warn(
            f"'{process_name}': the bias {mantissa.flat[k]} * 2**{exponent.flat[k]} does not fit into 32 bits and "
            f"wraps ({lost.size} of {mantissa.size} values).",
            LaharWarning,
            stacklevel=3,
        )
