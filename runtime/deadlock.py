"""Deadlocks: who waits for whom, told in a way that shows the repair.

A deadlock is never guessed from time. It is certain when every worker is blocked or done and all messages
that were sent have been received (see `everything_received`): then nothing can ever happen again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_BARRIER = "barrier"


@dataclass(frozen=True)
class Blocked:
    """A suspended actor.

    Attributes
    ----------
    port : str
        ``process.port`` of the actor.
    operation : str
        ``recv``, ``send``, ``read`` or ``wait``.
    peer : str
        ``process.port`` (or Var) at the other end.
    where : str
        Line of the model in which it waits, as ``file:line``.
    """

    port: str
    operation: str
    peer: str
    phase: str
    step: int
    where: str

    @property
    def process(self) -> str:
        return self.port.rpartition(".")[0]

    @property
    def peer_process(self) -> str:
        return self.peer.rpartition(".")[0]


def source_line(sleeper: Any) -> str:
    """Return ``file:line`` of the innermost frame of a suspended greenlet that belongs to a model."""
    frame = sleeper.gr_frame
    innermost = frame
    while frame is not None:
        folder = os.path.dirname(os.path.abspath(frame.f_code.co_filename))
        if folder != _HERE and not folder.endswith(os.path.join("processes", "model")):
            break
        frame = frame.f_back
    frame = frame or innermost
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"


def blocked_actors(scheduler: Any, phase: str, step: int) -> list[Blocked]:
    """Return the suspended actors of a scheduler; a worker's own wait at the barrier is none of them."""
    return [
        Blocked(wait.port, wait.operation, wait.peer, phase, step, source_line(sleeper))
        for sleeper, wait in scheduler.blocked.items()
        if wait.operation != _BARRIER
    ]


def everything_received(
    sent: Mapping[int, Mapping[int, int]], received: Mapping[int, Mapping[int, int]]
) -> bool:
    """Whether no message is under way between workers.

    Parameters
    ----------
    sent : mapping of worker to (peer to count)
    received : mapping of worker to (peer to count)
        Both as each worker knew them while it was blocked, not all at the same moment.

    Notes
    -----
    Nobody can have gone on after its own report: the first to do so would have needed a message sent before
    its sender's report, which that report counts but the receiver's does not (termination detection by
    counting; F. Mattern, "Algorithms for distributed termination detection", 1987).
    """
    workers = sent.keys() | received.keys()
    return all(
        sent.get(a, {}).get(b, 0) == received.get(b, {}).get(a, 0) for a in workers for b in workers if a != b
    )


def explain(blocked: Iterable[Blocked]) -> str:
    """Return the message of a `DeadlockError`: what kind it is, every blocked actor, and what to do."""
    waits = sorted(blocked, key=lambda b: b.port)
    if not waits:
        return "Deadlock: every worker waits for the others."
    first = waits[0]
    lines = [
        f"Deadlock in time step {first.step}, phase {first.phase}: every unfinished process waits and no message is "
        "under way."
    ]
    lines += [f"  {b.port} waits in {b.operation}() for {b.peer}  ({b.where})" for b in waits]
    cycle = find_cycle(waits)
    by_process = {b.process: b for b in waits}
    if cycle:
        around = " -> ".join([*(b.process for b in cycle), cycle[0].process])
        if any(b.operation == "send" for b in cycle):
            full = next(b for b in cycle if b.operation == "send")
            lines.append(
                f"The loop {around} contains a full channel ({full.port} to {full.peer}): its receiver must receive in "
                "every step in which it is sent to; a larger pypy_channel_size only postpones this."
            )
        elif any(b.operation in ("read", "wait") for b in cycle):
            lines.append(f"The loop {around}: these processes refer to each other's Vars in the same phase.")
        else:
            back = cycle[0]
            lines.append(
                f"The loop {around} has no delay: all of them receive before they send. Put a process that sends "
                f"first, such as Dense, into one connection of the loop, for example {back.peer} to {back.port}."
            )
        return "\n".join(lines)
    for b in waits:
        if b.peer_process not in by_process:
            if b.operation == "send":
                lines.append(
                    f"The channel from {b.port} to {b.peer} is full and '{b.peer_process}' has finished this phase "
                    "without receiving. Receive in every step, or remove the connection."
                )
            else:
                lines.append(
                    f"'{b.peer_process}' has finished this phase without sending to {b.port}. Send in every step "
                    "(zeros where there is nothing to say), or do not wait for it."
                )
    return "\n".join(lines)


def find_cycle(waits: Sequence[Blocked]) -> list[Blocked]:
    """Return the actors of a cycle of waits, each waiting for the next; empty if there is none."""
    by_process = {b.process: b for b in waits}
    for start in waits:
        path: list[Blocked] = []
        current: Blocked | None = start
        while current is not None and current not in path:
            path.append(current)
            current = by_process.get(current.peer_process)
        if current is not None:
            return path[path.index(current) :]
    return []
