"""What networks could leave behind in this OS process and beside it."""

from __future__ import annotations

import gc
import os
import threading
from pathlib import Path
from typing import Any

import psutil


def traces(directory: Any) -> dict[str, Any]:
    """Return what a leak would increase; `directory` is where temporary files go."""
    gc.collect()
    return {
        "descriptors": psutil.Process().num_fds(),
        "threads": sorted(t.name for t in threading.enumerate()),
        "processes": sorted(c.pid for c in psutil.Process().children(recursive=True)),
        "temp files": len(list(Path(directory).rglob("*"))),
        "memory maps": len(list(Path("/dev/shm").iterdir())) if os.path.isdir("/dev/shm") else 0,
    }


def processes_with(variable: str, value: str) -> list[psutil.Process]:
    """Return the OS processes that run with an environment variable set to `value`."""
    found = []
    for process in psutil.process_iter():
        try:
            if process.status() != psutil.STATUS_ZOMBIE and process.environ().get(variable) == value:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found
