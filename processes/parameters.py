"""Parameters of library Processes: their Vars, and checks that name the parameter.

The constructor checks what holds for every ProcessModel; a fixed-point model checks integers when it is
built, since only then it is known which model runs.
"""

from __future__ import annotations

import difflib
import operator
import warnings
from collections.abc import Collection, Iterable
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, DtypeError, LaharWarning, ShapeError, ValidationError
from .process import AbstractProcess
from .var import Var

REAL, COMPLEX = "biuf", "biufc"  # kinds of dtypes


def given(**arguments: Any) -> dict[str, Any]:
    """Return those arguments that are not None; the others do not become process parameters."""
    return {key: value for key, value in arguments.items() if value is not None}


def state_var(
    process: AbstractProcess, shape: tuple[int, ...], name: str, value: Any, kinds: str = REAL
) -> Var:
    """Return a Var of `shape`, after checking that the initial `value` broadcasts to it."""
    _check_broadcast(process, shape, name, value, kinds)
    return Var(shape=shape, init=value)


def parameter_var(process: AbstractProcess, shape: tuple[int, ...], name: str, value: Any) -> Var:
    """Return the Var of a constant: shape (1,) for one number, else the full shape of the population."""
    size = _check_broadcast(process, shape, name, value, REAL)
    return Var(shape=(1,) if size == 1 else shape, init=value)


def _check_broadcast(
    process: AbstractProcess, shape: tuple[int, ...], name: str, value: Any, kinds: str
) -> int:
    """Refuse what is not numeric or does not broadcast to `shape`; return the number of values."""
    where = f"{type(process).__name__} '{process.name}': {name}"
    try:
        array = np.asarray(value)
    except ValueError as error:
        raise ShapeError(f"{where} is not an array of numbers ({error}).") from None
    if array.dtype.kind not in kinds:
        raise ArgumentTypeError(
            f"{where} must hold {'real ' if kinds == REAL else ''}numbers, not {value!r}."
        )
    extent = assigned_shape(array.shape, len(shape))
    try:
        fits = array.size == 1 or np.broadcast_shapes(extent, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"{where} has shape {array.shape}, which does not broadcast to the neurons' shape {shape}."
        )
    return array.size


def assigned_shape(shape: tuple[int, ...], num_axes: int) -> tuple[int, ...]:
    """Return `shape` without leading axes of length 1 beyond `num_axes`, which assignment in numpy drops."""
    while len(shape) > num_axes and shape[0] == 1:
        shape = shape[1:]
    return shape


# --- keywords ------------------------------------------------------------------------------


def refuse_unknown_keywords(
    process: AbstractProcess, given: Iterable[str], accepted: Collection[str], all_keywords: Collection[str]
) -> None:
    """Refuse keywords that nothing would read.

    A Process class of the user may hand further keywords to its own ProcessModel; of those only the ones
    that look like a slip of the pen are refused.

    Parameters
    ----------
    process : AbstractProcess
        The Process being constructed.
    given : iterable of str
        Keywords that are not in the signature of the constructor.
    accepted : collection of str
        Those that the models read.
    all_keywords : collection of str
        Every keyword of the Process, for the hint.

    Raises
    ------
    ArgumentTypeError
        A keyword is unknown.
    """
    of_library = type(process).__module__.startswith("lahar.")
    for keyword in given:
        if keyword in accepted:
            continue
        near = difflib.get_close_matches(keyword, all_keywords, n=1, cutoff=0.7)
        if near or of_library:
            hint = f"Did you mean '{near[0]}'?" if near else f"It takes: {', '.join(all_keywords)}."
            raise ArgumentTypeError(f"{type(process).__name__} has no argument '{keyword}'. {hint}")


def warn_of_misspelt_keywords(
    process: AbstractProcess, given: Iterable[str], all_keywords: Collection[str]
) -> None:
    """Warn of keywords that resemble one of the Process; for Processes that accept any keyword."""
    for keyword in given:
        near = difflib.get_close_matches(keyword, all_keywords, n=1, cutoff=0.8)
        if near and near[0] != keyword and not keyword.startswith("_"):
            warnings.warn(
                f"{type(process).__name__} '{process.name}' passes '{keyword}' on to its ProcessModel. Did "
                f"you mean '{near[0]}'?",
                LaharWarning,
                stacklevel=4,
            )


# --- integers ------------------------------------------------------------------------------


def as_integer(value: Any, where: str) -> int:
    """Return `value` as an int, or raise ArgumentTypeError naming `where`; integral floats are accepted."""
    if isinstance(value, float | np.floating) and float(value).is_integer():
        return int(value)
    try:
        return operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{where} must be an integer, not {value!r}.") from None


def bounded_integer(value: Any, where: str, low: int) -> int:
    """Return `value` as an int of at least `low`, or raise an error that names `where`.

    Raises
    ------
    ArgumentTypeError
        `value` is no integer.
    ValidationError
        It is too small.
    """
    number = as_integer(value, where)
    if number < low:
        raise ValidationError(f"must be at least {low}, not {number}.", where)
    return number


def check_integers(where: str, given: Any, low: int, high: int) -> None:
    """Refuse fractions in a fixed-point parameter and warn of numbers outside the useful range.

    Parameters
    ----------
    where : str
        Process and parameter, for messages.
    given : array_like or None
        The value before it was cast to the dtype of the Var; None: unknown, nothing is checked.
    low, high : int
        Useful range; numbers outside are computed with all the same.

    Raises
    ------
    DtypeError
        A number has a fractional part, is not finite, or does not fit into 32 bits.
    """
    array = np.asarray(0 if given is None else given)
    broken = array[~(array == np.trunc(array)) | (np.abs(array.astype(float)) >= 2.0**31)]
    if broken.size:
        raise DtypeError(
            f"{where} is an integer of 32 bits in fixed point, not {broken.flat[0].item()!r}. Give an "
            "integer, or run with floating_pt models."
        )
    warn_outside(where, given, low, high)


def warn_outside(where: str, given: Any, low: int, high: int) -> None:
    """Warn of numbers (array_like, or None for none) outside [low, high], the useful range."""
    array = np.asarray(low if given is None else given)
    outside = array[(array < low) | (array > high)]
    if outside.size:
        warnings.warn(
            f"{where} = {outside.flat[0]:.0f} is outside [{low}, {high}], the useful range "
            f"({outside.size} of {array.size} values).",
            LaharWarning,
            stacklevel=4,
        )


def warn_of_wrapping(where: str, given: Any, dtype: Any) -> None:
    """Warn if `given` (array_like or None) does not fit into the integer type of its Var."""
    limits = np.iinfo(dtype)
    array = np.trunc(np.asarray(0 if given is None else given, float))
    outside = array[(array < limits.min) | (array > limits.max)]
    if outside.size:
        worst = outside.flat[np.abs(outside).argmax()]
        warnings.warn(
            f"{where} = {worst:.0f} does not fit into {limits.bits} bits and wraps "
            f"({outside.size} of {array.size} values).",
            LaharWarning,
            stacklevel=3,
        )


def warn_of_infinite(where: str, values: np.ndarray) -> None:
    """Warn of infinite numbers, whose sums are infinite or no numbers at all."""
    if values.dtype.kind == "f" and values.size and np.isinf([values.max(), values.min()]).any():
        warnings.warn(
            f"{where}: {np.count_nonzero(np.isinf(values))} of {values.size} are infinite, and sums with them are "
            "infinite or NaN.",
            LaharWarning,
            stacklevel=4,
        )
