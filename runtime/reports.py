"""Exceptions on their way from a worker to the host."""

from __future__ import annotations

import pickle
import traceback
from dataclasses import replace

import cloudpickle

from lahar.processes.errors import LaharError

from .engine import Failure


def release_memory(error: BaseException | None) -> None:
    """Let go of what the frames of a MemoryError hold: telling it takes memory too."""
    if isinstance(error, MemoryError):
        traceback.clear_frames(error.__traceback__)


def pack_error(error: BaseException) -> bytes:
    """Pickle an exception; one that does not survive the journey is replaced by its text."""
    try:
        packed: bytes = cloudpickle.dumps(error)
        pickle.loads(packed)
    except Exception:
        return bytes(cloudpickle.dumps(LaharError(f"{type(error).__name__}: {error}")))
    return packed


def pack_failures(failures: list[Failure]) -> bytes:
    """Pickle failures; exceptions that do not survive the journey are left out, their text remains."""
    kept = []
    for failure in failures:
        try:
            pickle.loads(cloudpickle.dumps(failure.error))
        except Exception:
            failure = replace(failure, error=None)  # noqa: PLW2901
        kept.append(failure)
    return bytes(cloudpickle.dumps(kept))


def format_error(error: BaseException) -> str:
    """Return the traceback of an exception as it would be printed."""
    return "".join(traceback.format_exception(error))
