"""Progress bar of a blocking run."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

_PATIENCE = 1.0  # seconds before a bar appears by itself
_REFRESH = 0.1


@contextmanager
def progress_bar(wanted: bool | str, network: Any, steps: int | None) -> Iterator[None]:
    """Show the time step of `network` while the body runs.

    A thread of its own draws, so that the run itself is not slowed down by drawing.
    """
    if wanted is False or steps is None or (wanted == "auto" and not sys.stderr.isatty()):
        yield
        return
    done = threading.Event()
    first = network.step

    def draw() -> None:
        if wanted == "auto" and done.wait(_PATIENCE):
            return
        from rich.console import Console
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

        columns = (TextColumn("time step"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
        with Progress(*columns, console=Console(stderr=True)) as progress:
            task = progress.add_task("steps", total=steps)
            while not done.wait(_REFRESH):
                progress.update(task, completed=network.step - first)
            progress.update(task, completed=network.step - first)

    thread = threading.Thread(target=draw, name="lahar-progress", daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()
