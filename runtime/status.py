"""Where each worker is: time step and phase, in memory that it shares with the service.

A worker that dies or is stopped cannot say where it was; and a progress bar should cost no messages.
"""

from __future__ import annotations

import mmap
from typing import Any

from lahar.processes.model import Phase

_FIELDS = 2  # time step, phase
_BYTES = 8 * _FIELDS


class Status:
    """The service's view.

    Parameters
    ----------
    workers : int
    """

    def __init__(self, workers: int) -> None:
        self._workers = workers
        self._numbers: Any = [0] * (_FIELDS * workers)
        self._file: mmap.mmap | None = None
        self.path = ""

    def share(self, path: str) -> None:
        """Make the file that workers write to."""
        self.path = path
        with open(path, "w+b") as file:
            file.truncate(_BYTES * self._workers)
            self._file = mmap.mmap(file.fileno(), 0)
        self._numbers = memoryview(self._file).cast("q")

    def of(self, worker: int) -> Any:
        """Return the part of one worker, to be written to."""
        return self._numbers[_FIELDS * worker : _FIELDS * (worker + 1)]

    @property
    def step(self) -> int:
        """The latest time step that a worker has begun."""
        return max(int(self._numbers[k]) for k in range(0, _FIELDS * self._workers, _FIELDS))

    def describe(self, worker: int) -> str:
        """Return the place of a worker, for messages."""
        step, phase = self._numbers[_FIELDS * worker], self._numbers[_FIELDS * worker + 1]
        return f"time step {step}, phase {Phase(phase).name}" if phase else f"time step {step}"

    def close(self) -> None:
        """Keep the last numbers and let go of the file."""
        if self._file is not None:
            view, self._numbers = self._numbers, list(self._numbers)
            view.release()
            self._file.close()
            self._file = None


def open_status(path: str, worker: int) -> Any:
    """Return the two numbers of a worker in the file at `path`, to be written to."""
    with open(path, "r+b") as file:
        shared = mmap.mmap(file.fileno(), 0)
    return memoryview(shared).cast("q")[_FIELDS * worker : _FIELDS * (worker + 1)]
