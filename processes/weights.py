"""Synaptic weights as the hardware holds them: a sign mode, a few bits and an exponent.

Every function takes an ndarray or a scipy sparse matrix, returns a new object and leaves its argument
alone. Sparse matrices are recognised by their methods, so that importing this module does not load scipy.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ValidationError
from .parameters import as_integer

WEIGHT_BITS = 8
_BLOCK = 1 << 16
_LARGEST_EXPONENT = 512  # far beyond any word; to form a power of two must not take for ever


class SignMode(Enum):
    """Which signs the weights of one connection may have.

    MIXED weights spend one of their bits on the sign: their grid is twice as coarse.

    Attributes
    ----------
    NULL
        No sign mode. Weights are limited as excitatory ones.
    MIXED
        Both signs.
    EXCITATORY
        No negative weight.
    INHIBITORY
        No positive weight.
    """

    NULL = 0
    MIXED = 1
    EXCITATORY = 2
    INHIBITORY = 3


@dataclass
class OptimizedWeights:
    """Result of `optimize_weight_bits`.

    Attributes
    ----------
    weights : ndarray or sparse matrix, int32
    num_weight_bits : int
        To be passed on to the connection.
    weight_exp : int
        To be passed on to the connection: the weights are meant times ``2**weight_exp``.
    """

    weights: Any
    num_weight_bits: int
    weight_exp: int


def is_sparse(weights: Any) -> bool:
    """Whether `weights` is a scipy sparse matrix or array."""
    return hasattr(weights, "tocsr")


def weight_range(sign_mode: SignMode, num_bits: int = WEIGHT_BITS) -> tuple[int, int]:
    """Return the smallest and the largest weight that `num_bits` bits can hold in `sign_mode`."""
    _check_sign_mode(sign_mode)
    if sign_mode is SignMode.MIXED:
        return -(2**num_bits), 2**num_bits - 1
    top = 2**num_bits - 1
    return (-top, 0) if sign_mode is SignMode.INHIBITORY else (0, top)


def determine_sign_mode(weights: Any) -> SignMode:
    """Return the narrowest sign mode that holds all `weights`.

    Parameters
    ----------
    weights : ndarray or sparse matrix
        The zeros that a sparse matrix does not store count as well.

    Returns
    -------
    SignMode
        EXCITATORY if no weight is negative (also if all are zero), INHIBITORY if none is positive,
        else MIXED.
    """
    low, high = _extremes(weights)
    if low >= 0:
        return SignMode.EXCITATORY
    return SignMode.INHIBITORY if high <= 0 else SignMode.MIXED


def clip_weights(weights: Any, sign_mode: SignMode, num_bits: int, learning_simulation: bool = False) -> Any:
    """Cast to int32 (toward zero) and limit to what `num_bits` bits can hold.

    Parameters
    ----------
    weights : ndarray or sparse matrix
        Weights of any real type.
    sign_mode : SignMode
        The limits are ``[-2**b, 2**b - 1]`` for MIXED, ``[0, 2**b - 1]`` for EXCITATORY and NULL, and
        ``[-(2**b - 1), 0]`` for INHIBITORY, with ``b = num_bits``.
    num_bits : int
        Bits per weight, without a sign.
    learning_simulation : bool
        Lower the upper limit of MIXED by one, as the learning engine does.

    Returns
    -------
    ndarray or sparse matrix, int32
    """
    low, high = weight_range(sign_mode, num_bits)
    if learning_simulation and sign_mode is SignMode.MIXED:
        high -= 1
    return _on_values(weights, lambda values: np.clip(values, low, high))


def truncate_weights(
    weights: Any, sign_mode: SignMode, num_weight_bits: int, max_num_weight_bits: int = WEIGHT_BITS
) -> Any:
    """Cast to int32 (toward zero) and drop the bits that the hardware would not store.

    Parameters
    ----------
    weights : ndarray or sparse matrix
        Weights of any real type.
    sign_mode : SignMode
        Signs that the weights have.
    num_weight_bits : int
        Bits per weight. ``T = max_num_weight_bits - num_weight_bits``, plus 1 if MIXED, low bits are
        cleared, which rounds down (INHIBITORY: toward zero).
    max_num_weight_bits : int
        Bits that a weight of the full range has.

    Returns
    -------
    ndarray or sparse matrix, int32
        Of a sparse matrix, entries that become zero are no longer stored. All zero if T is negative or
        at least 32, as with a shift of the machine.
    """
    _check_sign_mode(sign_mode)
    shift = int(max_num_weight_bits) - int(num_weight_bits) + (sign_mode is SignMode.MIXED)

    def clear_low_bits(values: np.ndarray) -> np.ndarray:
        if not 0 <= shift < 32:
            return np.zeros_like(values)
        if sign_mode is SignMode.INHIBITORY:
            return -((-values >> shift) << shift)
        return (values >> shift) << shift

    truncated = _on_values(weights, clear_low_bits)
    if is_sparse(truncated):
        truncated.eliminate_zeros()
    return truncated


def optimize_weight_bits(weights: Any, sign_mode: SignMode, loihi2: bool = False) -> OptimizedWeights:
    """Find the exponent and the number of bits that represent `weights` best.

    Parameters
    ----------
    weights : ndarray or sparse matrix
        Integers in ``[-256, 254]`` (MIXED), ``[0, 255]`` (EXCITATORY), ``[-255, 0]`` (INHIBITORY); all
        zero for NULL.
    sign_mode : SignMode
        Signs that the weights have.
    loihi2 : bool
        Return weights without their unused low bits, as the second chip generation stores them.

    Returns
    -------
    OptimizedWeights
        The weights are scaled up by ``2**-weight_exp`` into the full range.

    Raises
    ------
    ValidationError
        A weight is out of range, or cannot be represented in the bits that are left; the message names
        the first such weight.
    """
    _check_sign_mode(sign_mode)
    low, high = weight_range(sign_mode) if sign_mode is not SignMode.NULL else (0, 0)
    smallest, largest = _extremes(weights)
    for value in (smallest, largest):
        if not low <= value <= high:
            raise ValidationError(
                f"the weight {value} is outside [{low}, {high}], the range of {sign_mode}. Scale or clip the "
                "weights first.",
                "optimize_weight_bits.weights",
            )
    weight_exp = _determine_weight_exp(weights, sign_mode)
    if weight_exp > 0:
        raise ValidationError(
            f"the weight {largest} is too large for {sign_mode}: 127 * 2 = 254 is the largest that the "
            "exponent can represent. Lower it, or split the matrix by sign.",
            "optimize_weight_bits.weights",
        )
    num_weight_bits = _determine_num_weight_bits(weights, weight_exp, sign_mode)
    unused = WEIGHT_BITS - num_weight_bits
    if loihi2 and unused < 0:
        values = _values(weights)
        odd = values[values % 2 != 0][0]
        raise ValidationError(
            f"the weight {odd} is odd while others need all 8 bits: {sign_mode} would take {num_weight_bits} "
            "bits, one more than there are. Make all weights even.",
            "optimize_weight_bits.weights",
        )

    def scale(values: np.ndarray) -> np.ndarray:
        scaled = values << -weight_exp
        if loihi2:
            scaled = (scaled / 2.0**unused).astype(np.int32)
            if sign_mode is SignMode.MIXED:
                scaled = (scaled / 2).astype(np.int32)
        return scaled

    return OptimizedWeights(_on_values(weights, scale), num_weight_bits, weight_exp)


def _determine_weight_exp(weights: Any, sign_mode: SignMode) -> int:
    """Exponent by which the weights must be scaled down after they were scaled to the full range."""
    low, high = _extremes(weights)
    mixed = sign_mode is SignMode.MIXED
    limits = []
    if high > 0:
        limits.append((127 if mixed else 255) / high)
    if low < 0:
        limits.append((-128 if mixed else -255) / low)
    if not limits:
        return 0
    return -(math.floor(math.log2(min(limits))) + mixed)


def _determine_num_weight_bits(weights: Any, weight_exp: int, sign_mode: SignMode) -> int:
    """Bits that are needed once the common factor of two of all weights is left out."""
    values = _values(weights)
    common = next((n for n in range(8, 0, -1) if not np.any(values % 2**n)), 0)
    return WEIGHT_BITS + weight_exp - (common - (sign_mode is SignMode.MIXED))


# --- ndarray or sparse matrix --------------------------------------------------------------


def _check_sign_mode(sign_mode: Any) -> None:
    if not isinstance(sign_mode, SignMode):
        raise ArgumentTypeError(
            "sign_mode must be a SignMode such as SignMode.MIXED, not the "
            f"{type(sign_mode).__name__} {sign_mode!r}."
        )


def _values(weights: Any) -> np.ndarray:
    """All values that matter, as an array: the stored ones of a sparse matrix."""
    return weights.tocsr().data if is_sparse(weights) else np.asarray(weights)


def _extremes(weights: Any) -> tuple[Any, Any]:
    """Smallest and largest weight as plain numbers; (0, 0) if there are none."""
    if 0 in weights.shape if is_sparse(weights) else np.size(weights) == 0:
        return 0, 0
    if is_sparse(weights):
        weights = weights.tocsr()
        return weights.min().item(), weights.max().item()
    weights = np.asarray(weights)
    return weights.min().item(), weights.max().item()


def to_int32(values: np.ndarray) -> np.ndarray:
    """Copy to int32: floats toward zero, integers modulo 2**32, floats out of range to -2**31."""
    if values.dtype.kind == "f":
        # What C leaves open is fixed here, so that every machine gives the same numbers.
        outside = ~((values > -(2.0**31) - 1) & (values < 2.0**31))
        with np.errstate(invalid="ignore"):
            result = values.astype(np.int32)
        result[outside] = -(2**31)
        return result
    return values.astype(np.int32)


def _on_values(weights: Any, function: Any) -> Any:
    """Apply `function` to an int32 copy of the (stored) weights."""
    if not is_sparse(weights):
        return function(to_int32(np.asarray(weights)))
    result = weights.copy() if weights.format in ("csr", "csc", "coo", "bsr") else weights.tocsr(copy=True)
    if hasattr(result, "sum_duplicates"):
        result.sum_duplicates()
    result.data = function(to_int32(result.data))
    return result


def in_blocks(values: np.ndarray) -> Iterator[np.ndarray]:
    """Yield the elements of an array as views so small that work on one takes little temporary memory.

    They are vectors, in the order of the memory. An array that does not lie together is one block.
    """
    if not values.flags.forc:
        yield values
        return
    flat = (values if values.flags.c_contiguous else values.T).reshape(-1)
    for start in range(0, len(flat), _BLOCK):
        yield flat[start : start + _BLOCK]


# --- arguments of connections --------------------------------------------------------------


def check_weight_options(
    owner: str,
    weight_exp: Any = 0,
    num_weight_bits: Any = WEIGHT_BITS,
    sign_mode: Any = None,
    weights: Any = None,
) -> tuple[int, int]:
    """Validate the constants of a fixed-point connection.

    Parameters
    ----------
    owner : str
        Class or process, for messages.
    weight_exp : int
        Exponent applied to the sum of weights; an integral float is accepted.
    num_weight_bits : int
        0 to 8; also 9 if the sign mode is MIXED.
    sign_mode : SignMode, optional
        None: determined from `weights`.
    weights : ndarray or sparse matrix, optional
        Weights of the connection.

    Returns
    -------
    weight_exp, num_weight_bits : int

    Raises
    ------
    ArgumentTypeError
        A number is not an integer, or `sign_mode` is not a SignMode.
    ValidationError
        `weight_exp` or `num_weight_bits` is out of range.
    """
    exponent = as_integer(weight_exp, f"{owner}.weight_exp")
    if abs(exponent) > _LARGEST_EXPONENT:
        raise ValidationError(
            f"must be -{_LARGEST_EXPONENT} to {_LARGEST_EXPONENT} (a word has 32 bits), not {exponent}.",
            f"{owner}.weight_exp",
        )
    bits = as_integer(num_weight_bits, f"{owner}.num_weight_bits")
    if sign_mode is not None:
        _check_sign_mode(sign_mode)
    if not 0 <= bits <= WEIGHT_BITS:
        mode = sign_mode
        if bits == WEIGHT_BITS + 1 and mode is None and weights is not None:
            mode = determine_sign_mode(_on_values(weights, lambda values: values))
        if bits != WEIGHT_BITS + 1 or mode is not SignMode.MIXED:
            raise ValidationError(
                f"must be 0 to {WEIGHT_BITS} ({WEIGHT_BITS + 1} for mixed signs), not {bits}"
                + (f" with {mode}." if mode is not None else "."),
                f"{owner}.num_weight_bits",
            )
    return exponent, bits
