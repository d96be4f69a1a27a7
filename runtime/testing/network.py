"""The simulated network: every ordered pair of sender and receiver is a FIFO queue of its own."""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable
from typing import Any

from lahar.runtime import messages as m
from lahar.runtime.sockets import CONTROL, DATA, MARK, REFERENCE

from .world import World

SERVICE = -1
_KINDS = {CONTROL: "control", DATA: "data", MARK: "mark", REFERENCE: "reference"}
_SEAL = 11
#: Latencies in seconds between which each pair chooses one, most of them quick.
_LATENCIES = (2e-6, 2e-5, 1e-4, 1e-3, 1e-2)
_MOST_JITTER = 4.0
_SIGNS_OF_LIFE = (b"\xa7Waiting", b"\xa3Ask", b"\xa9Condition")


class Network:
    """Carries frames between endpoints (the numbers of workers, and `SERVICE`).

    Parameters
    ----------
    world : World
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._receivers: dict[int, Callable[[list[Any]], None]] = {}
        self._under_way: dict[tuple[int, int], deque[tuple[Any, ...]]] = {}
        self._latency: dict[tuple[int, int], float] = {}
        self._last: dict[tuple[int, int], float] = {}
        self._spread = world.random.choice([0.0, 0.3, 1.0, 3.0])

    def listen(self, endpoint: int, take: Callable[[list[Any]], None]) -> None:
        """Hand what arrives at an endpoint to `take`."""
        self._receivers[endpoint] = take

    def outlet(self, sender: int, receiver: int, clock: Callable[[], float]) -> Outlet:
        """Return what a sender has for a receiver; `clock` says when it sends."""
        pair = (sender, receiver)
        if pair not in self._latency:
            self._latency[pair] = self._world.random.choice(_LATENCIES)
            self._under_way[pair] = deque()
            self._last[pair] = 0.0
        return Outlet(self, pair, clock)

    def send(self, pair: tuple[int, int], frames: list[Any], copy: bool, when: float) -> None:
        """Let frames arrive some time after `when`, behind those that were sent before them."""
        if copy:  # else they are read when they arrive, as ZeroMQ may
            frames = [bytes(frame) for frame in frames]
        jitter = 1.0 + self._spread * min(_MOST_JITTER, self._world.random.expovariate(1.0))
        arrival = max(self._last[pair], when + self._latency[pair] * jitter)
        self._last[pair] = arrival
        self._under_way[pair].append((frames,))
        self._world.at(arrival, lambda: self._arrive(pair))

    def _arrive(self, pair: tuple[int, int]) -> None:
        waiting = self._under_way[pair]
        if not waiting:
            return  # lost in a crash
        (frames,) = waiting.popleft()
        copies = [bytes(frame) for frame in frames]
        self._record(pair, copies)
        take = self._receivers.get(pair[1])
        if take is not None:
            take(copies)

    def _record(self, pair: tuple[int, int], frames: list[bytes]) -> None:
        """Write down an arrival; pickles are not compared, since they hold paths and names of files."""
        first = frames[0]
        kind, content = first[0], first[_SEAL:]
        sizes = tuple(map(len, frames[1:])) if kind == CONTROL else zlib.crc32(b"".join(frames[1:]))
        if kind == CONTROL:
            if b"Failed" in content or b"Build" in content:
                sizes = len(frames)
            if any(name in content for name in _SIGNS_OF_LIFE):
                self._world.trace.append((self._world.now, "arrives", pair, kind, content, sizes))
                return
        self._world.note("arrives", pair, kind, content, sizes)

    def crash(self, sender: int) -> None:
        """Lose the last part of what a sender has under way to each receiver, and all that comes to it."""
        self._receivers.pop(sender, None)
        for pair in sorted(self._under_way):
            if pair[0] == sender:
                waiting = self._under_way[pair]
                for _ in range(self._world.random.randint(0, len(waiting))):
                    waiting.pop()


class Outlet:
    """Has the two methods of a socket that the runtime sends with."""

    def __init__(self, network: Network, pair: tuple[int, int], clock: Callable[[], float]) -> None:
        self._network = network
        self._pair = pair
        self._clock = clock
        self.closed = False

    def send(self, frame: Any, flags: int = 0, copy: bool = True) -> None:
        """Send a message of one frame."""
        self.send_multipart([frame], flags, copy)

    def send_multipart(self, frames: list[Any], flags: int = 0, copy: bool = True) -> None:
        """Send a message; without `copy` the memory of its frames is read later."""
        del flags
        if not self.closed:
            self._network.send(self._pair, list(frames), copy, self._clock())


def describe(event: tuple[Any, ...]) -> str:
    """Return an entry of a trace as a line of text."""
    now, what, *details = event
    head = f"{now:12.6f}  {what}"
    if what != "arrives":
        return f"{head} {' '.join(map(str, details))}"
    (sender, receiver), kind, content, sizes = details
    names = [("service" if end == SERVICE else f"worker {end}") for end in (sender, receiver)]
    try:
        shown = repr(m.decode([content])) if kind == CONTROL else content.hex()
    except Exception:
        shown = content[:40].hex()
    return f"{head} {names[0]} -> {names[1]}: {_KINDS.get(kind, kind)} {shown} {sizes}"
