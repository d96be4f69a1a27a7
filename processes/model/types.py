"""How a ProcessModel declares the type of a Var or port."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


class SparseMatrix:
    """Says ``scipy.sparse.csr_matrix`` in a `LavaPyType` without importing SciPy."""


@dataclass
class LavaPyType:
    """Type of one Var or port of a ProcessModel, declared as a class attribute of the same name.

    Parameters
    ----------
    cls : type
        ``np.ndarray``, ``int``, ``float``, ``bool``, ``str`` or ``csr_matrix`` (or `SparseMatrix`) for a Var;
        a port class such as ``PyInPort.VEC_DENSE`` for a port.
    d_type : dtype_like
        Element type; initial values and messages are cast to it. (A sparse Var keeps the type of its initial
        value.)
    precision : int, optional
        Number of bits on hardware; informative only.
    """

    cls: Any
    d_type: Any
    precision: int | None = None
