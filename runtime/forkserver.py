"""The fork server: a small process that has imported everything a worker needs and forks workers.

It keeps start-up short (a fork instead of an interpreter start), keeps workers clear of the host's
threads, and cleans up: it notices the end of the host, however that came about, kills the workers and
removes the socket directory.

It talks to the host over a socket pair, one msgpack message after the other:

- host: ``["spawn", number, control, inbox, secret, status, kernels]``, ``["kill", pid]``
- fork server: ``["ready"]``, ``["spawned", number, pid]``, ``["exited", pid, status]``,
  ``["stopped", pid, signal]``, ``["continued", pid]``
"""

from __future__ import annotations

import ctypes
import gc
import os
import selectors
import shutil
import signal
import socket
import sys
from typing import Any

import msgpack

_PR_SET_PDEATHSIG = 1


_libc = ctypes.CDLL(None, use_errno=True)


def die_with_parent() -> None:
    """Ask the kernel to kill this process when its parent ends (Linux)."""
    if sys.platform == "linux":
        _libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def preload() -> None:
    """Import what every worker needs, and keep it out of reach of the collector so that forks share it."""
    import numpy.random

    from . import worker

    assert numpy.random is not None
    assert worker is not None
    gc.collect()
    gc.freeze()


class ForkServer:
    """Forks workers on request until the host goes away.

    Parameters
    ----------
    channel : socket.socket
        Connected to the host.
    directory : str
        Socket directory to remove at the end if the host could not.
    """

    def __init__(self, channel: socket.socket, directory: str) -> None:
        self._channel = channel
        self._directory = directory
        self._workers: set[int] = set()
        self._unpacker = msgpack.Unpacker()

    def serve(self) -> None:
        wake_reader, wake_writer = os.pipe()
        os.set_blocking(wake_writer, False)
        os.set_blocking(wake_reader, False)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wake_writer)
        self._wake = (wake_reader, wake_writer)
        selector = selectors.DefaultSelector()
        selector.register(self._channel, selectors.EVENT_READ)
        selector.register(wake_reader, selectors.EVENT_READ)
        try:
            self._tell(["ready"])
            while True:
                for key, _ in selector.select():
                    if key.fileobj is self._channel:
                        data = self._channel.recv(1 << 16)
                        if not data:
                            return
                        self._unpacker.feed(data)
                        for command in self._unpacker:
                            self._obey(command)
                    else:
                        os.read(wake_reader, 4096)
                self._reap()
        except (ConnectionError, BrokenPipeError):
            return
        finally:
            self._clean_up()

    def _tell(self, message: list[Any]) -> None:
        self._channel.sendall(msgpack.packb(message))

    def _obey(self, command: list[Any]) -> None:
        if command[0] == "spawn":
            number = command[1]
            self._tell(["spawned", number, self._fork(*command[1:])])
        elif command[0] == "kill" and command[1] in self._workers:
            os.kill(command[1], signal.SIGKILL)

    def _fork(
        self, number: int, control: str, inbox: str, secret: bytes, status_path: str, kernels: str
    ) -> int:
        parent = os.getpid()
        pid = os.fork()
        if pid:
            self._workers.add(pid)
            return pid
        status = 70
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            die_with_parent()
            if os.getppid() != parent:  # the parent ended before prctl took effect
                os._exit(1)
            self._channel.close()
            for descriptor in self._wake:
                os.close(descriptor)
            import numpy

            numpy.random.seed()  # noqa: NPY002 - forks must not draw the same numbers
            from lahar.processes.kernels import choose

            from .worker import main

            choose(kernels)
            status = main(number, control, inbox, secret, status_path)
        finally:
            os._exit(status)

    def _reap(self) -> None:
        while self._workers:
            pid, status = os.waitpid(-1, os.WNOHANG | os.WUNTRACED | os.WCONTINUED)
            if pid == 0:
                return
            if os.WIFSTOPPED(status):
                self._tell(["stopped", pid, os.WSTOPSIG(status)])
            elif os.WIFCONTINUED(status):
                self._tell(["continued", pid])
            else:
                self._workers.discard(pid)
                self._tell(["exited", pid, os.waitstatus_to_exitcode(status)])

    def _clean_up(self) -> None:
        for pid in self._workers:
            os.kill(pid, signal.SIGKILL)
        for _ in list(self._workers):
            os.waitpid(-1, 0)
        shutil.rmtree(self._directory, ignore_errors=True)


def main(descriptor: int, directory: str, path: list[str]) -> None:
    """Entry point: ``python -c`` with the descriptor of the socket to the host."""
    sys.path[:] = path
    channel = socket.socket(fileno=descriptor)
    preload()
    ForkServer(channel, directory).serve()
