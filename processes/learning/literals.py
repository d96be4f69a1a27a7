"""Numbers in the forms that rule strings and the fixed-point engine use."""

from __future__ import annotations

import math
import warnings
from numbers import Real

import numpy as np

from ..errors import ArgumentTypeError, LaharWarning, ValidationError

_TOLERATED_ERROR = 0.05


def stochastic_round(values, random, probability):
    """Add 1 where `random` lies below `probability`, then drop the fraction.

    Parameters
    ----------
    values : array_like
        Numbers to round.
    random, probability : array_like
        Compared element by element; numbers in [0, 1).

    Returns
    -------
    ndarray of int64
    """
    return (np.asarray(values) + (np.asarray(random) < probability)).astype(np.int64)


def apply_mask(value, num_bits: int):
    """Keep the lowest `num_bits` bits of an integer or integer array."""
    return value & (2**num_bits - 1)


def float_to_literal(value: float, where: str = "float_to_literal") -> str:
    """Write a number as a literal of a rule string, ``(m)`` or ``(m) * 2 ^ k``.

    Of a fractional number only ``m = max(trunc(|value|), 1)`` and the nearest power of two of the rest are
    kept: 0.75 becomes 1 and 2.9 becomes 4.

    Parameters
    ----------
    value : float
        Any finite number.
    where : str
        What is written, for messages.

    Returns
    -------
    str

    Raises
    ------
    ArgumentTypeError
        `value` is no real number.
    ValidationError
        `value` is infinite or not a number.

    Warns
    -----
    LaharWarning
        The literal differs from `value` by more than 5 %.
    """
    if not isinstance(value, Real):
        raise ArgumentTypeError(f"{where}: a number is expected, not {value!r}.")
    if not math.isfinite(value):
        raise ValidationError(f"{value} cannot be written as a literal.", where)
    if value == 0:
        return "0"
    size = abs(value)
    mantissa = max(math.trunc(size), 1)
    rest = size / mantissa
    signed = mantissa if value > 0 else -mantissa
    if rest == 1:
        return f"({signed})"
    exponent = round(math.log2(rest))
    literal = mantissa * 2.0**exponent
    error = abs(literal - size) / size
    if error > _TOLERATED_ERROR:
        warnings.warn(
            f"{value:g} becomes {math.copysign(literal, value):g} in the rule, {error:.0%} off: only a power "
            "of two of the fraction is kept. Choose a representable number or write the rule yourself.",
            LaharWarning,
            stacklevel=3,
        )
    return f"({signed}) * 2 ^ {exponent}"
