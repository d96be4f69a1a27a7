"""External pipes: channels between a port of a Process and the host's own threads.

The end in the host blocks a thread; the end in the worker is a channel like any other. Both count credits,
so that a pipe holds no more messages than its buffer has room for.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from lahar.compiler.plan import PipeSpec
from lahar.processes.errors import ArgumentTypeError, DtypeError, ShapeError, StateError

from .channels import Inbox, Outbox
from .outcome import Outcome


class PipeInbox(Inbox):
    """The worker's end of a pipe from the host."""

    __slots__ = ()

    def get(self) -> Any:
        message = super().get()
        if self._taken:  # the host must see every free place
            self._return_credit()
        return message

    recv = get

    @property
    def pending(self) -> int:
        """Number of messages that can be taken at once."""
        return len(self._queue)


class PipeOutbox(Outbox):
    """The worker's end of a pipe to the host."""

    def send(self, data: Any) -> None:
        """Send a copy of `data`."""
        self.put(np.array(data, order="C"))

    @property
    def name(self) -> str:
        return self.source

    def probe(self) -> bool:
        """Whether there is room for a message."""
        return self.credit > 0


class _HostEnd:
    """What both ends in the host have in common.

    Attributes
    ----------
    shape : tuple of int
    d_type : numpy.dtype
    size : int
        Capacity in messages.
    """

    def __init__(self, spec: PipeSpec, name: str) -> None:
        self.name = name
        self.shape = spec.shape
        self.d_type = np.dtype(spec.dtype)
        self.size = spec.capacity
        self._id = spec.id
        self._changed = threading.Condition()
        self._closed = ""
        self._cause: BaseException | None = None

    def close(self, why: str, cause: BaseException | None = None) -> None:
        """Wake everybody who waits; nothing can be sent any more."""
        with self._changed:
            self._closed = why
            self._cause = self._cause or cause
            self._changed.notify_all()

    def _refuse(self, verb: str) -> None:
        raise StateError(
            f"Cannot {verb} over the pipe of '{self.name}': the network {self._closed}."
        ) from self._cause


class HostSender(_HostEnd):
    """Sends to an InPort of a running network, from any thread.

    Parameters
    ----------
    deliver : callable
        Hands a message to the network.
    """

    def __init__(self, spec: PipeSpec, name: str, deliver: Callable[[int, Any], None]) -> None:
        super().__init__(spec, name)
        self._deliver = deliver
        self._credit = spec.capacity

    def send(self, data: Any) -> None:
        """Send a copy of an array; waits while the pipe is full.

        Raises
        ------
        ArgumentTypeError, ShapeError
            `data` is no array of the port's shape.
        DtypeError
            It does not hold numbers, or complex ones that the port cannot take.
        StateError
            The network has been stopped or has failed.
        """
        if not hasattr(data, "shape"):
            raise ArgumentTypeError(f"'{self.name}' takes an array, not {type(data).__name__}.")
        if data.shape != self.shape:
            raise ShapeError(f"'{self.name}' takes arrays of shape {self.shape}, not {data.shape}.")
        kinds = "biufc" if np.dtype(self.d_type).kind == "c" else "biuf"
        if np.asarray(data).dtype.kind not in kinds:
            raise DtypeError(
                f"'{self.name}' takes numbers of type {np.dtype(self.d_type)}, not {data.dtype}."
            )
        message = np.array(data, self.d_type, order="C")
        with self._changed:
            while not self._credit and not self._closed:
                self._changed.wait()
            if self._closed:
                self._refuse("send")
            self._credit -= 1
            self._deliver(self._id, message)

    def probe(self) -> bool:
        """Whether `send` would not wait."""
        with self._changed:
            return self._credit > 0

    def add_credit(self, count: int) -> None:
        with self._changed:
            self._credit += count
            self._changed.notify_all()


class HostReceiver(_HostEnd):
    """Receives from an OutPort of a running network, in any thread; what has arrived outlives the network.

    Parameters
    ----------
    give_back : callable
        Tells the network that a number of messages has been taken.
    """

    def __init__(self, spec: PipeSpec, name: str, give_back: Callable[[int, int], None]) -> None:
        super().__init__(spec, name)
        self._give_back = give_back
        self._queue: deque[Any] = deque()

    def recv(self) -> Any:
        """Take the oldest message; waits while there is none.

        Raises
        ------
        StateError
            There is none, and the network has been stopped or has failed.
        """
        with self._changed:
            self._wait()
            message = self._queue.popleft()
            if not self._closed:
                self._give_back(self._id, 1)
        return message

    def peek(self) -> Any:
        """Return a copy of the oldest message without taking it; waits while there is none."""
        with self._changed:
            self._wait()
            return self._queue[0].copy()

    def _wait(self) -> None:
        while not self._queue:
            if self._closed:
                self._refuse("receive")
            self._changed.wait()

    def probe(self) -> bool:
        """Whether `recv` would not wait."""
        return bool(self._queue)

    @property
    def pending(self) -> int:
        """Number of messages that can be taken at once."""
        return len(self._queue)

    def deliver(self, message: Any) -> None:
        with self._changed:
            self._queue.append(message)
            self._changed.notify_all()


def make_host_ends(
    specs: list[PipeSpec],
    names: list[str],
    deliver: Callable[[int, Any], None],
    give_back: Callable[[int, int], None],
) -> dict[int, HostSender | HostReceiver]:
    """Return the host's ends of pipes, by id."""
    ends: dict[int, HostSender | HostReceiver] = {}
    for spec, name in zip(specs, names, strict=True):
        if spec.inward:
            ends[spec.id] = HostSender(spec, name, deliver)
        else:
            ends[spec.id] = HostReceiver(spec, name, give_back)
    return ends


def break_pipes(pipes: Mapping[int, HostSender | HostReceiver], outcome: Outcome) -> None:
    """Wake whoever waits at a pipe, if the network has failed: nothing more will come or be taken."""
    if outcome.failed:
        for pipe in pipes.values():
            pipe.close("has failed", outcome.exception)
