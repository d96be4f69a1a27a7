"""Log records and prints of models in a worker, on their way to the host."""

from __future__ import annotations

import io
import logging
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from . import messages as m
from .inspection import calling_actor

STDOUT, STDERR = "stdout", "stderr"  # in the place of a logger's name


class Forwarder:
    """Sends what models log and print, with process and time step.

    Parameters
    ----------
    send : callable
        Sends a message to the service; only called in the thread that made this object.
    """

    def __init__(self, send: Callable[[m.Message], None]) -> None:
        self._send = send
        self._thread = threading.get_ident()
        self._others: deque[m.Log] = deque()  # of other threads, for whom a socket is out of bounds

    def forward(self, level: int, logger: str, text: str) -> None:
        actor = calling_actor(sys._getframe())
        name = actor.name if actor is not None else ""
        step = getattr(actor.model, "time_step", 0) if actor is not None else 0
        message = m.Log(level, logger, text, name, step)
        if threading.get_ident() == self._thread:
            self.flush()
            self._send(message)
        else:
            self._others.append(message)

    def flush(self) -> None:
        """Send what other threads have left."""
        while self._others:
            self._send(self._others.popleft())

    def install(self, level: int) -> None:
        """Take the place of stdout, stderr and the handlers of the root logger."""
        root = logging.getLogger()
        root.handlers[:] = [_Handler(self)]
        root.setLevel(level)
        logging.captureWarnings(True)
        sys.stdout = _Lines(self, STDOUT)
        sys.stderr = _Lines(self, STDERR)


class _Handler(logging.Handler):
    """Forwards log records."""

    def __init__(self, forwarder: Forwarder) -> None:
        super().__init__()
        self._forwarder = forwarder
        self.setFormatter(logging.Formatter("%(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        try:
            self._forwarder.forward(record.levelno, record.name, self.format(record).rstrip())
        except Exception:
            self.handleError(record)


class _Lines(io.TextIOBase):
    """A text stream that forwards whole lines."""

    encoding = "utf-8"

    def __init__(self, forwarder: Forwarder, name: str) -> None:
        self._forwarder = forwarder
        self._name = name
        self._rest = ""

    def writable(self) -> bool:
        return True

    def write(self, text: str) -> int:
        *lines, self._rest = (self._rest + text).split("\n")
        for line in lines:
            self._forwarder.forward(0, self._name, line)
        return len(text)

    def flush(self) -> None:
        """Forward a line that has not ended yet."""
        if self._rest:
            self._forwarder.forward(0, self._name, self._rest)
            self._rest = ""


def show(worker: int, message: m.Log) -> None:
    """Log or print in the host what a worker has forwarded."""
    where = f"worker {worker}"
    if message.process:
        where = (
            f"{message.process}, step {message.step}, {where}"
            if message.step
            else f"{message.process}, {where}"
        )
    text = f"[{where}] {message.text}"
    if message.logger == STDOUT:
        print(text)
    elif message.logger == STDERR:
        print(text, file=sys.stderr)
    else:
        logger = logging.getLogger(message.logger)
        if logger.isEnabledFor(message.level):
            context: dict[str, Any] = {
                "worker": worker,
                "lahar_process": message.process,
                "time_step": message.step,
            }
            logger.log(message.level, "%s", text, extra=context)
