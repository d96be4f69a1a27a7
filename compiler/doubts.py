"""Warnings of the compiler."""

from __future__ import annotations

import sys
import warnings
from types import FrameType

from lahar.processes.errors import LaharWarning


def warn(message: str) -> None:
    """Warn at the line of the program that called Lahar, however deep inside the doubt was raised."""
    frame: FrameType | None = sys._getframe()
    level = 0
    while frame is not None and frame.f_globals.get("__name__", "").startswith("lahar."):
        frame = frame.f_back
        level += 1
    warnings.warn(message, LaharWarning, stacklevel=level + 1)
