"""What every actor is doing, printed on SIGUSR1: who waits for what, and where in its code."""

from __future__ import annotations

import os
import signal
import sys
import threading
import traceback
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

from .deadlock import belongs_to_lahar
from .engine import Engine
from .scheduler import Scheduler

_CALLS = Scheduler._make_calls.__code__


def calling_actor(frame: FrameType | None) -> Any:
    """Return the actor whose handler `frame` is in, or None."""
    while frame is not None:
        if frame.f_code is _CALLS:
            return frame.f_locals.get("actor")
        frame = frame.f_back
    return None


def describe_actors(engine: Engine, present: FrameType | None = None) -> str:
    """Return a text with one paragraph per actor of an engine.

    Parameters
    ----------
    engine : Engine
    present : frame, optional
        Where the thread of the engine is.
    """
    running = calling_actor(present)
    suspended = {}
    for sleeper, wait in list(engine.scheduler.blocked.items()):
        suspended[wait.port.rpartition(".")[0]] = (sleeper, wait)
    lines = []
    for actor in engine.actors:
        if actor is running:
            lines.append(f"  {actor.name} ({actor.spec.class_name}) is running")
            lines += _stack(present)
        elif actor.name in suspended:
            sleeper, wait = suspended[actor.name]
            seconds = engine.scheduler.clock() - sleeper.since
            lines.append(
                f"  {actor.name} ({actor.spec.class_name}) waits in {wait.operation}() for {wait.peer}, "
                f"for {seconds:.1f} s"
            )
            lines += _stack(sleeper.gr_frame)
        else:
            lines.append(f"  {actor.name} ({actor.spec.class_name}) is between two calls")
    return "\n".join(lines)


def _stack(frame: FrameType | None) -> list[str]:
    """Return the lines of a model's part of a stack."""
    frames = []
    while frame is not None and frame.f_code is not _CALLS:
        if not belongs_to_lahar(frame):
            frames.append(frame)
        frame = frame.f_back
    summary = traceback.StackSummary.extract((f, f.f_lineno) for f in reversed(frames))
    return [f"    {line}" for entry in summary.format() for line in entry.rstrip().splitlines()]


def print_on_signal(describe: Callable[[FrameType | None], str]) -> None:
    """Print what `describe` returns to stderr whenever this process gets SIGUSR1."""

    def show(_: int, frame: FrameType | None) -> None:
        # not sys.stderr, which may lead over the service that one wants to look behind
        os.write(2, (describe(frame) + "\n").encode())

    signal.signal(signal.SIGUSR1, show)


def watch_host(networks: Callable[[], Iterator[Any]]) -> None:
    """Make SIGUSR1 show all running networks of this process, unless the program uses it itself.

    Only the main thread can do that; a network that was started in another one is not shown until the main
    thread starts one too.
    """
    in_main_thread = threading.current_thread() is threading.main_thread()
    if in_main_thread and signal.getsignal(signal.SIGUSR1) is signal.SIG_DFL:
        print_on_signal(lambda frame: _describe_host(networks(), frame))


def _describe_host(networks: Iterator[Any], frame: FrameType | None) -> str:
    """Describe the networks of the host; their workers are asked to describe themselves."""
    lines = []
    for runtime in networks:
        state = "running" if runtime._is_running else "paused"
        lines.append(
            f"network of {len(runtime.plan.processes)} processes, {state}, time step {runtime._network.step}:"
        )
        lines.append(runtime._network.describe(frame))
    return "\n".join(lines) or "no network is running"


def ask_worker(pid: int) -> str:
    """Make a worker print its actors; return what to print for it here."""
    try:
        os.kill(pid, signal.SIGUSR1)
    except ProcessLookupError:
        return f"  pid {pid} has ended"
    return f"  worker of pid {pid} prints its own actors"


def present_frame(thread: threading.Thread | None, interrupted: FrameType | None) -> FrameType | None:
    """Return where a thread is; `interrupted` where it is the main thread."""
    if thread is None or thread.ident is None or thread is threading.main_thread():
        return interrupted
    return sys._current_frames().get(thread.ident)
