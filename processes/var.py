"""Vars: the named state of a Process."""

from __future__ import annotations

import itertools
import math
from typing import TYPE_CHECKING, Any

from .errors import ArgumentTypeError, ShapeError, UnstartedError, VarIndexError

if TYPE_CHECKING:
    from .process import AbstractProcess

_ids = itertools.count()


def new_id() -> int:
    """Return a number that no Var of this program has."""
    return next(_ids)


class Var:
    """State of a Process that can be read, set, probed and initialised.

    Parameters
    ----------
    shape : tuple of int
        Shape of the value.
    init : scalar, array_like, sparse matrix, str or None
        Initial value, broadcast to `shape` and cast to the dtype that the ProcessModel declares when
        the model is built. Kept as given.
    shareable : bool
        Whether a RefPort or VarPort may reach this Var.
    name : str
        Replaced by the attribute name once the Var belongs to a Process.

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import LIF
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> with LIF(shape=(2,), v=[3, 4]) as lif:
    ...     print(lif.v.init, lif.v.shape)
    ...     lif.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     lif.v.set([8, 9])
    ...     print(lif.v.get())
    [3, 4] (2,)
    [8. 9.]
    """

    def __init__(
        self, shape: tuple[int, ...], init: Any = 0, shareable: bool = True, name: str = "Unnamed variable"
    ) -> None:
        check_shape(shape, "Var")
        self.shape = shape
        self.init = init
        self.shareable = shareable
        self.name = name
        self.process: AbstractProcess | None = None
        self.id = new_id()
        self.aliased_var: Var | None = None
        self.model: Any = None

    @property
    def size(self) -> int:
        return math.prod(self.shape)

    @property
    def path(self) -> str:
        """``process.var``, for messages."""
        return f"{self.process.name if self.process else '?'}.{self.name}"

    def get(self, idx: Any = None) -> Any:
        """Return the current value.

        Before the network runs this is `init` as it was given; while it is paused or after it has been
        stopped, the value in the ProcessModel with its own dtype.

        Parameters
        ----------
        idx : optional
            Any numpy index; the part of the value that it selects is returned.

        Raises
        ------
        StateError
            The network is running.
        VarIndexError
            `idx` selects no part of the value.
        """
        if self.aliased_var is not None:
            return self.aliased_var.get(idx)
        runtime = self.process.runtime if self.process else None
        value = self.init if runtime is None else runtime.get_var(self.id)
        return value if idx is None else part_of(value, idx, self.path)

    def set(self, value: Any, idx: Any = None) -> None:
        """Set the value, or with `idx` a part of it, while the network is paused.

        Parameters
        ----------
        value : array_like, str or sparse matrix
            Cast to the dtype of the Var as by numpy assignment (fractions are cut, integers wrap). A sparse
            Var takes a sparse matrix with the entries that `get` returns; their values may be zero.
        idx : optional
            Any numpy index.

        Raises
        ------
        StateError
            There is no runtime yet, or the network is running or stopped.
        ShapeError
            `value` does not have the shape of the Var (or of the part that `idx` selects), or, being sparse,
            not its entries.
        VarIndexError
            `idx` selects no part of the value.
        DtypeError
            `value` is not of the kind that the Var holds: numbers, a string, a sparse matrix.
        """
        if self.aliased_var is not None:
            self.aliased_var.set(value, idx)
            return
        runtime = self.process.runtime if self.process else None
        if runtime is None:
            raise UnstartedError(
                f"Var '{self.path}' cannot be set before the network has been started. Give the value to the "
                "constructor, or call create_runtime() or run() first."
            )
        runtime.set_var(self.id, value, idx)

    def alias(self, other: Var) -> None:
        """Make this Var of a hierarchical Process stand for `other`, a Var of one of its sub processes."""
        if not isinstance(other, Var):
            raise ArgumentTypeError(f"Var '{self.path}' can only alias a Var, not {type(other).__name__}.")
        if other.shape != self.shape or other.shareable != self.shareable:
            raise ShapeError(
                f"Var '{self.path}' (shape {self.shape}, shareable={self.shareable}) cannot alias "
                f"'{other.path}' (shape {other.shape}, shareable={other.shareable})."
            )
        self.aliased_var = other

    def validate_alias(self) -> None:
        if self.aliased_var is None:
            return
        inner = self.aliased_var.process
        if inner is None or self.process is None or not inner.is_sub_proc_of(self.process):
            raise ArgumentTypeError(
                f"Var '{self.path}' aliases '{self.aliased_var.path}', which is not a Var of one of its sub processes."
            )

    def __repr__(self) -> str:
        return f"<Var {self.name} shape={self.shape} init={self.init!r} shareable={self.shareable}>"


def part_of(value: Any, idx: Any, path: str) -> Any:
    """Return the part of the value of a Var that a numpy index selects; `path` is named in errors."""
    try:
        return value[idx]
    except (IndexError, TypeError) as error:
        raise VarIndexError(f"Var '{path}' has no part {idx!r}: {error}.") from None


def check_shape(shape: Any, owner: str) -> None:
    """Refuse anything but a tuple of non-negative integers."""
    if not isinstance(shape, tuple):
        raise ArgumentTypeError(f"{owner}: shape must be a tuple such as (3,), not {shape!r}.")
    for n in shape:
        if isinstance(n, bool) or not hasattr(n, "__index__") or n < 0:
            raise ArgumentTypeError(f"{owner}: shape {shape!r} must hold non-negative integers.")
