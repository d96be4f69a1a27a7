"""Starting workers: the host's side of the fork server, and a pool that keeps fork servers warm."""

from __future__ import annotations

import json
import os
import secrets
import selectors
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import Any

import msgpack

from lahar.processes.errors import WorkerDiedError
from lahar.processes.kernels import selected

_BOOT = (
    "import sys, json; a = json.loads(sys.argv[1]); sys.path[:] = a['path']; "
    "from lahar.runtime.forkserver import main; main(a['fd'], a['directory'], a['path'])"
)
_PATIENCE = 5.0  # seconds for the fork server to end by itself
_LONGEST = 80  # characters of a socket directory; Unix socket paths end at 107


class Launcher:
    """A fork server, owned by one network at a time.

    Attributes
    ----------
    directory : str
        Private directory (mode 0700) for sockets; removed by whoever survives.
    """

    def __init__(self) -> None:
        name = f"lahar-{secrets.token_hex(6)}"
        self.directory = os.path.join(tempfile.gettempdir(), name)
        if len(self.directory) > _LONGEST:
            self.directory = os.path.join("/tmp", name)
        self._unpacker = msgpack.Unpacker()
        self._networks = 0
        self._release = socket.socketpair()
        ours, theirs = socket.socketpair()
        arguments = {"fd": theirs.fileno(), "directory": self.directory, "path": sys.path}
        environment = dict(os.environ)
        for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
            environment.setdefault(variable, "1")  # one worker, one core
        self._process = subprocess.Popen(
            [sys.executable, "-c", _BOOT, json.dumps(arguments)],
            stdin=subprocess.DEVNULL,
            pass_fds=[theirs.fileno()],
            env=environment,
            start_new_session=True,  # Ctrl-C in a terminal reaches the host only
        )
        theirs.close()
        self._socket = ours
        # made when somebody else knows of it: should the host be killed now, the fork server removes it
        try:
            os.mkdir(self.directory, 0o700)
        except OSError:
            self.close()
            raise

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def alive(self) -> bool:
        return self._process.poll() is None

    def new_directory(self) -> str:
        """Make a directory for the sockets of one network."""
        self._networks += 1
        path = os.path.join(self.directory, str(self._networks))
        os.mkdir(path, 0o700)
        return path

    def spawn(self, number: int, control: str, inbox: str, secret: bytes, status: str) -> None:
        """Ask for a worker; `listen` tells its pid."""
        self._tell(["spawn", number, control, inbox, secret, status, selected()])

    def kill(self, pid: int) -> None:
        self._tell(["kill", pid])

    def _tell(self, message: list[Any]) -> None:
        try:
            self._socket.sendall(msgpack.packb(message))
        except OSError:
            raise WorkerDiedError(
                f"The fork server (pid {self.pid}) has ended; no worker can be started."
            ) from None

    def listen(self) -> Iterator[list[list[Any]]]:
        """Yield messages of the fork server as they come, until `release`.

        Raises
        ------
        WorkerDiedError
            The fork server has ended, and its workers with it.
        """
        selector = selectors.DefaultSelector()
        selector.register(self._socket, selectors.EVENT_READ)
        selector.register(self._release[0], selectors.EVENT_READ)
        with selector:
            while True:
                ready = [key.fileobj for key, _ in selector.select()]
                if self._release[0] in ready:
                    self._release[0].recv(1)
                    return
                try:
                    data = self._socket.recv(1 << 16)
                except ConnectionError:
                    data = b""
                if not data:
                    status = self._process.wait()
                    raise WorkerDiedError(
                        f"The fork server (pid {self.pid}) ended with status {status}, and all workers with it."
                    )
                self._unpacker.feed(data)
                yield list(self._unpacker)

    def release(self) -> None:
        """Make `listen` return."""
        self._release[1].send(b"x")

    def close(self) -> None:
        """End the fork server and its workers and remove the directory."""
        try:
            # its end of the socket closes when it exits: no need to poll for that
            self._socket.shutdown(socket.SHUT_WR)
            self._socket.settimeout(_PATIENCE)
            while self._socket.recv(1 << 16):
                pass
            self._process.wait(_PATIENCE)
        except (OSError, subprocess.TimeoutExpired):
            self._process.kill()
            self._process.wait()
        for end in (self._socket, *self._release):
            end.close()
        shutil.rmtree(self.directory, ignore_errors=True)


class WorkerPool:
    """Keeps fork servers warm between networks, for programs that run many short ones.

    Without a pool nothing outlives a network. Inside ``with WorkerPool():`` a stopped network gives its
    fork server back; the next one forks its workers from it in milliseconds. Workers themselves are
    always new processes, so nothing leaks from one network into the next.

    Examples
    --------
    >>> with WorkerPool():                                   # doctest: +SKIP
    ...     for rate in rates:
    ...         run_network(rate)
    """

    _active: WorkerPool | None = None

    def __init__(self) -> None:
        self._idle: list[Launcher] = []
        self._lock = threading.Lock()
        self._outer: WorkerPool | None = None
        self._entered = False

    def __enter__(self) -> WorkerPool:
        self._outer, WorkerPool._active = WorkerPool._active, self
        self._entered = True
        return self

    def __exit__(self, *exc_info: object) -> None:
        WorkerPool._active = self._outer
        with self._lock:
            self._entered = False
            for launcher in self._idle:
                launcher.close()
            self._idle.clear()

    def warm_up(self) -> None:
        """Start a fork server now instead of with the first network."""
        with self._lock:
            self._idle.append(Launcher())

    @classmethod
    def take(cls) -> Launcher:
        """Return a fork server: a warm one if the active pool has any."""
        pool = cls._active
        if pool is not None:
            with pool._lock:
                while pool._idle:
                    launcher = pool._idle.pop()
                    if launcher.alive:
                        return launcher
                    launcher.close()
        return Launcher()

    @classmethod
    def give_back(cls, launcher: Launcher, healthy: bool) -> None:
        """Return a fork server whose workers have all ended; without an active pool it is closed."""
        pool = cls._active
        if pool is not None and healthy:
            with pool._lock:
                if pool._entered:  # another thread may be leaving it
                    pool._idle.append(launcher)
                    return
        launcher.close()
