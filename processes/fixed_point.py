"""Integer arithmetic of the neuron cores, as the fixed-point models share it.

States are 24-bit numbers held in int32, which wraps silently; products with a decay constant need 64 bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

STATE_LIMIT = 2**23  # states lie strictly between -STATE_LIMIT and STATE_LIMIT, or wrap there


def toward_zero(product: np.ndarray, bits: Any) -> np.ndarray:
    """Return ``product / 2**bits``, rounded toward zero, as int64.

    Parameters
    ----------
    product : ndarray
        Integers, or floats without fractions.
    bits : int or ndarray of int
    """
    product = np.asarray(product, np.int64)
    return np.sign(product) * (np.abs(product) >> bits)


def wrap_state(x: np.ndarray) -> np.ndarray:
    """Wrap once at 24 bits, in place: above 2**23 subtract 2**24, at or below -2**23 add it."""
    above, below = x > STATE_LIMIT, x <= -STATE_LIMIT
    x[above] -= 2 * STATE_LIMIT
    x[below] += 2 * STATE_LIMIT
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
