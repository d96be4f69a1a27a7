"""Running host programs of their own, and looking at what they leave behind."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
from contextlib import suppress
from pathlib import Path

import psutil
from support.deadline import runs, until

HERE = Path(__file__).parent
# tests in the background of a shell have SIGINT ignored, and children inherit that
FIRST = "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)\n"
PRELUDE = """
import os, signal, sys, threading, time
import numpy as np
import runtime_models as rm
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps, Runtime, WorkerPool
"""


class Script:
    """A host program in an OS process group of its own, with a temp directory of its own.

    Parameters
    ----------
    directory : Path
        Where it lives; its temp directory is ``directory/tmp``.
    body : str
        Source, run after `PRELUDE` unless `bare`. It says where it has got to by `print(..., flush=True)`.
    """

    def __init__(self, directory, body, *, bare=False):
        self.temp = directory / "tmp"
        self.temp.mkdir()
        path = directory / "script.py"
        path.write_text(FIRST + ("" if bare else PRELUDE) + textwrap.dedent(body))
        environment = {
            **os.environ,
            "TMPDIR": str(self.temp),
            "PYTHONPATH": os.pathsep.join(p for p in [str(HERE), os.environ.get("PYTHONPATH", "")] if p),
        }
        self.process = subprocess.Popen(
            [sys.executable, str(path)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment,
            start_new_session=True,
            cwd=directory,
        )
        self.children: list[psutil.Process] = []
        self.lines: list[str] = []

    def wait_for(self, line):
        """Read its output up to a line, and note its descendants."""
        while True:
            got = self.process.stdout.readline()
            assert got, f"the script ended before it printed {line!r}: {self.process.stderr.read()}"
            self.lines.append(got.rstrip("\n"))
            if self.lines[-1] == line:
                self.children = psutil.Process(self.process.pid).children(recursive=True)
                return

    def kill(self, number=signal.SIGKILL):
        os.kill(self.process.pid, number)

    def interrupt_group(self):
        """What Ctrl-C in a terminal does."""
        os.killpg(self.process.pid, signal.SIGINT)

    def finish(self, seconds=20.0):
        """Wait for its end; return (exit status, output, error output)."""
        out, err = self.process.communicate(timeout=seconds)
        return self.process.returncode, "\n".join([*self.lines, out]), err

    def directories(self):
        return sorted(self.temp.glob("lahar-*"))

    def survivors(self):
        return [p for p in self.children if p.is_running() and runs(p.pid)]

    def assert_nothing_left(self, seconds=2.0):
        until(lambda: not self.survivors(), seconds, f"the end of {self.survivors()}")
        until(lambda: not self.directories(), seconds, f"the removal of {self.directories()}")
        assert list(self.temp.iterdir()) == []

    def close(self):
        """End it and all that it started, by id."""
        for process in [*self.survivors(), self.process]:
            with suppress(psutil.NoSuchProcess):
                process.kill()
        self.process.communicate()
