"""Types of the arguments of compiled loops."""

from __future__ import annotations

from typing import Any

from numba import types


def given(dtype: Any, ndim: int = 1) -> Any:
    """Return the type of a C-contiguous array that is only read."""
    return types.Array(dtype, ndim, "C", readonly=True)


def array(dtype: Any, ndim: int = 1) -> Any:
    """Return the type of a C-contiguous array that may be written to."""
    return types.Array(dtype, ndim, "C")
