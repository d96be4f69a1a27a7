"""Waiting for something that another process or thread brings about."""

from __future__ import annotations

import time


def until(condition, seconds=10.0, what="the condition"):
    """Poll `condition` until it returns something true, and return that.

    Raises
    ------
    TimeoutError
        It has not become true within `seconds`.
    """
    end = time.monotonic() + seconds
    while True:
        result = condition()
        if result:
            return result
        if time.monotonic() > end:
            raise TimeoutError(f"{what} has not come true within {seconds} s")
        time.sleep(0.002)
