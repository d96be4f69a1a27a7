"""Tables as plain text, the same on a terminal, in a notebook and in a file."""

from __future__ import annotations

import io
from typing import Any

_WIDTH = 110


def as_text(*renderables: Any) -> str:
    """Return what rich would print, without colours and other control codes."""
    from rich.console import Console

    text = io.StringIO()
    # force_terminal: else the environment of a notebook's kernel makes rich believe that it can draw bold letters
    console = Console(file=text, force_terminal=False, force_jupyter=False, width=_WIDTH, highlight=False)
    for renderable in renderables:
        console.print(renderable)
    return "\n".join(line.rstrip() for line in text.getvalue().split("\n"))
