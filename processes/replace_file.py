"""Writing a file whole or not at all."""

from __future__ import annotations

import os
import shutil
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any


def replace_file(path: Path, write: Callable[[Any], Any]) -> None:
    """Write a file beside `path` and put it in its place, so that nobody ever reads half of it.

    A file that was there is kept if writing fails or the program is killed. The new one has its permissions.

    Parameters
    ----------
    path : Path
        A link is followed.
    write : callable
        Gets the open file.
    """
    target = Path(os.path.realpath(path))
    draft = target.with_name(f".{target.name}-{uuid.uuid4().hex}")
    try:
        with draft.open("xb") as file:
            write(file)
            file.flush()
            os.fsync(file.fileno())
        if target.exists():
            shutil.copymode(target, draft)
        os.replace(draft, target)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
