"""Compiled versions of the innermost loops, used instead of NumPy where they pay.

Every loop exists in NumPy, next to the model that runs it, and compiled by Numba in `compiled`. Both give the
same bits: the compiled ones add in the same order and round after every operation (no fastmath, no fused
multiply-add). So which of them runs is a question of time only, and the answer may change in mid-run.

The environment variable ``LAHAR_KERNELS`` is ``numpy``, ``numba``, or not set, which means ``numba`` if that
is installed (``pip install lahar[fast]``). Workers use what the host uses.

Importing Numba and loading machine code takes about a second, compiling (once per machine) another half per
loop. A network that never computes enough to earn that back never pays it: `Kernel` counts the elements that
NumPy has worked through, and loads the compiled loop when they have taken about as long as loading does.
"""

from __future__ import annotations

import importlib
import importlib.util
import os
from collections.abc import Callable

import numpy as np

from ..errors import ValidationError

VARIABLE = "LAHAR_KERNELS"
CHOICES = ("numpy", "numba")

_selected: str | None = None


def selected() -> str:
    """Return ``"numpy"`` or ``"numba"``: which kernels this OS process uses.

    Raises
    ------
    ValidationError
        As from `choose_by_environment`.
    """
    return _selected or choose_by_environment()


def choose_by_environment() -> str:
    """Choose as the environment variable says now; the host does so whenever it starts a network.

    Raises
    ------
    ValidationError
        The variable has a value that cannot work.
    """
    return choose(os.environ.get(VARIABLE) or None)


def choose(name: str | None) -> str:
    """Choose the kernels of this OS process and return their name.

    Parameters
    ----------
    name : str or None
        ``"numpy"`` or ``"numba"``; None takes Numba if it is installed.

    Raises
    ------
    ValidationError
        `name` is something else, or Numba is not installed.
    """
    global _selected  # noqa: PLW0603 - one choice per OS process
    if name is not None and name not in CHOICES:
        raise ValidationError(f"must be 'numpy' or 'numba', not {name!r}.", VARIABLE)
    installed = importlib.util.find_spec("numba") is not None
    if name == "numba" and not installed:
        raise ValidationError(
            "is 'numba', but Numba is not installed: pip install lahar[fast], or set it to 'numpy'.", VARIABLE
        )
    _selected = name or ("numba" if installed else "numpy")
    return _selected


class Kernel:
    """A compiled loop, loaded once it has become worth while.

    Parameters
    ----------
    name : str
        Name of the loop in `compiled`.
    least : int
        Number of elements from which on the compiled loop is faster than NumPy.
    worth : int
        Number of elements for which NumPy needs as long as loading takes.

    Attributes
    ----------
    always : bool
        True, on the class: use compiled loops whatever the work, for tests.
    """

    always = False

    def __init__(self, name: str, least: int, worth: int) -> None:
        self.name = name
        self.least, self.worth = least, worth
        self._done = 0
        self._loop: Callable[..., None] | None = None

    def for_work(self, elements: int) -> Callable[..., None] | None:
        """Return the compiled loop, or None where NumPy should do this piece of work.

        Parameters
        ----------
        elements : int
            How many numbers the loop would work through.
        """
        if (elements < self.least and not Kernel.always) or selected() == "numpy":
            return None
        if self._loop is None:
            self._done += elements
            if self._done < self.worth and not Kernel.always:
                return None
            compiled = importlib.import_module(".compiled", __package__)
            self._loop = getattr(compiled, self.name)
        return self._loop


def weighted_sums(kind: str, least: int, worth: int) -> dict[tuple[np.dtype, np.dtype, bool], Kernel]:
    """Return the loops of ``"dense"`` or ``"sparse"`` sums by type of weights, of the sum, and whether graded."""
    real, narrow, wide = np.dtype(np.float64), np.dtype(np.int32), np.dtype(np.int64)
    names = {
        (real, real, False): "float",
        (narrow, wide, False): "int",
        (real, real, True): "graded_float",
        (narrow, narrow, True): "graded_int32",
        (narrow, wide, True): "graded_int64",
    }
    return {types: Kernel(f"{kind}_{name}", least, worth) for types, name in names.items()}


def readable(*arrays: np.ndarray) -> bool:
    """Whether compiled loops can take these arrays: they lie together in memory, aligned."""
    return all(array.flags.c_contiguous and array.flags.aligned for array in arrays)
