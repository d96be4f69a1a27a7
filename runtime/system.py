"""The older way to ask for hardware, kept for scripts that use it; new ones use `lahar.runtime.loihi`."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable
from typing import Any, ClassVar

from . import loihi, slurm


def deprecated(msg: str) -> Callable[[Any], Any]:
    """Mark a function or class as deprecated; calling such a function warns.

    Parameters
    ----------
    msg : str
        What to use instead; kept as `__deprecated__`.
    """

    def decorate(target: Any) -> Any:
        if isinstance(target, type):
            target.__deprecated__ = msg  # type: ignore[attr-defined]
            return target

        @functools.wraps(target)
        def call(*args: Any, **kwargs: Any) -> Any:
            warnings.warn(f"{target.__qualname__}: {msg}", DeprecationWarning, stacklevel=2)
            return target(*args, **kwargs)

        call.__deprecated__ = msg  # type: ignore[attr-defined]
        return call

    return decorate


class staticproperty:  # noqa: N801 - a decorator
    """A property of a class, computed by a function without arguments."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._function = function

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        return self._function()


@deprecated("use lahar.runtime.loihi and lahar.runtime.slurm")
class Loihi2:
    """Environment of Loihi hardware in a Slurm cluster.

    Attributes
    ----------
    preferred_partition : str or None
        Used by `set_environ_settings` if it is given none.
    is_loihi2_available : bool
        Whether hardware can be used: False where only Lahar is installed.
    partition : str
        The environment variable ``PARTITION``, or ``"Unspecified"``.
    """

    preferred_partition: ClassVar[str | None] = None

    @staticmethod
    def set_environ_settings(partititon: str | None = None) -> None:  # scripts spell it so
        """Set what is not set yet of ``SLURM`` (unless ``NOSLURM`` is set), ``LOIHI_GEN`` and ``PARTITION``."""
        if not {"SLURM", "NOSLURM"} & os.environ.keys():
            os.environ["SLURM"] = "1"
        os.environ.setdefault("LOIHI_GEN", loihi.ChipGeneration.N3B3.value)
        wanted = partititon or Loihi2.preferred_partition
        if wanted:
            os.environ.setdefault("PARTITION", wanted)

    @staticproperty
    def is_loihi2_available() -> bool:
        return loihi.is_installed(loihi.HARDWARE) and slurm.is_available()

    @staticproperty
    def partition() -> str:
        return slurm.partition()
