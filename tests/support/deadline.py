"""Waiting for something that another process or thread brings about."""

from __future__ import annotations

import time

import psutil


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


def runs(pid):
    """Whether there is an OS process that executes; one that has ended and was not yet reaped does not."""
    try:
        return psutil.Process(pid).status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def wait_until_gone(pids, seconds=2.0):
    """Wait until none of these OS processes runs."""
    until(lambda: not any(map(runs, pids)), seconds, f"the end of {list(pids)}")
