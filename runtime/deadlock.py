"""Deadlocks: who waits for whom, told in a way that shows the repair.

A deadlock is never guessed from time. It is certain when every worker is blocked or done and all messages
that were sent have been received (see `everything_received`): then nothing can ever happen again.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

_HERE = os.path.dirname(os.path.abspath(__file__))
_BARRIER = "barrier"


HOST = "the host"  # the peer of an actor that waits at an external pipe


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
    since : float
        How long it has been waiting, in seconds.
    """

    port: str
    operation: str
    peer: str
    phase: str
    step: int
    where: str
    since: float = 0.0
    capacity: int = 0

    @property
    def process(self) -> str:
        return self.port.rpartition(".")[0]

    @property
    def peer_process(self) -> str:
        return self.peer.rpartition(".")[0]


def belongs_to_lahar(frame: Any) -> bool:
    """Whether a frame is in the runtime or in the ports of models, not in a model itself."""
    folder: str = os.path.dirname(os.path.abspath(frame.f_code.co_filename))
    return folder == _HERE or folder.endswith(os.path.join("processes", "model"))


def source_line(sleeper: Any) -> str:
    """Return ``file:line`` of the innermost frame of a suspended greenlet that belongs to a model."""
    frame = sleeper.gr_frame
    innermost = frame
    while frame is not None:
        if not belongs_to_lahar(frame):
            break
        frame = frame.f_back
    frame = frame or innermost
    return f"{frame.f_code.co_filename}:{frame.f_lineno}" if frame is not None else "?"


def blocked_actors(scheduler: Any, where: Callable[[str], tuple[str, int]]) -> list[Blocked]:
    """Return the suspended actors of a scheduler; a worker's own wait at the barrier is none of them.

    Parameters
    ----------
    where : callable
        Returns phase and time step of a process, given its name.
    """
    now = scheduler.clock()
    return [
        Blocked(
            wait.port,
            wait.operation,
            wait.peer,
            *where(wait.port.rpartition(".")[0]),
            source_line(sleeper),
            now - sleeper.since,
            wait.capacity,
        )
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


def explain(blocked: Iterable[Blocked], ended: Collection[str] = ()) -> str:
    """Return the message of a `DeadlockError`: what kind it is, every blocked actor, and what to do.

    Parameters
    ----------
    blocked : iterable of Blocked
    ended : collection of str
        Processes that do nothing more in this run.
    """
    waits = sorted(blocked, key=lambda b: b.port)
    if not waits:
        return "Deadlock: every worker waits for the others."
    first = min(waits, key=lambda b: (b.step == 0, b.step))
    place = f"time step {first.step}, phase {first.phase}" if first.step else "an asynchronous network"
    lines = [f"Deadlock in {place}: every unfinished process waits and no message is under way."]
    lines += [f"  {_describe(b, first)}" for b in waits]
    cycle = find_cycle(waits)
    if cycle:
        lines.append(_explain_cycle(cycle))
        return "\n".join(lines)
    waiting = {b.process for b in waits}
    lines += [_explain_single(b, ended) for b in waits if b.peer_process not in waiting]
    return "\n".join(lines)


def _describe(b: Blocked, first: Blocked) -> str:
    elsewhere = "" if (b.step, b.phase) == (first.step, first.phase) else f" in step {b.step}, {b.phase}"
    return f"{b.port} waits in {b.operation}() for {b.peer}{elsewhere}, for {b.since:.1f} s  ({b.where})"


def _explain_cycle(cycle: Sequence[Blocked]) -> str:
    around = " -> ".join([*(b.process for b in cycle), cycle[0].process])
    full = next((b for b in cycle if b.operation == "send"), None)
    if full is not None:
        return (
            f"The loop {around} contains a full channel ({full.port} to {full.peer}, {full.capacity} messages): its "
            "receiver must receive in every step in which it is sent to. If it only receives later in the same step, "
            f"a capacity of more than {full.capacity} frees it: compile_config={{'pypy_channel_size': "
            f"{2 * full.capacity}}}; else a larger one only postpones this."
        )
    if any(b.operation in ("read", "wait") for b in cycle):
        return f"The loop {around}: these processes refer to each other's Vars in the same phase."
    back = cycle[0]
    return (
        f"The loop {around} has no delay: all of them receive before they send. Put a process that sends first, such "
        f"as Dense, into one connection of the loop, for example {back.peer} to {back.port}."
    )


def _explain_single(b: Blocked, ended: Collection[str]) -> str:
    """Explain a wait for a process that does not wait itself."""
    if b.peer_process in ended:
        if b.operation == "send":
            return (
                f"'{b.peer_process}' has ended its run with {b.capacity} messages of {b.port} untaken, so the channel "
                f"stays full. Send no more than it receives in a run, or enlarge pypy_channel_size ({b.capacity})."
            )
        return (
            f"'{b.peer_process}' has ended its run; nothing more will come to {b.port}. Receive no more messages in a "
            "run than it sends."
        )
    if b.operation == "send":
        return (
            f"The channel from {b.port} to {b.peer} is full ({b.capacity} messages) and '{b.peer_process}' has ended "
            "this phase without receiving. Receive in every step, or remove the connection."
        )
    return (
        f"'{b.peer_process}' has finished this phase without sending to {b.port}, so nobody feeds it. Send in every "
        "step (zeros where there is nothing to say), or do not wait for it."
    )


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
