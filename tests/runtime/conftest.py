"""Fixtures of the runtime tests: nothing may hang, and fork servers are shared within a module."""

from __future__ import annotations

import shutil
import signal
import sys
import tempfile
from pathlib import Path

import pytest

# workers import the models of these tests by name; fork servers inherit this path
sys.path.append(str(Path(__file__).parent))

import runtime_models as rm

from lahar.runtime import WorkerPool

_LONGEST = 60  # seconds for one test; far above what any of them needs


@pytest.fixture(autouse=True)
def alarm(request):
    """Turn a hang of the main thread into a failure with a traceback."""
    if request.node.get_closest_marker("leaks"):
        yield
        return

    def ring(*_):
        raise TimeoutError(f"the test has not ended within {_LONGEST} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(_LONGEST)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="module")
def pool():
    """Fork servers kept warm for the tests of one module."""
    with WorkerPool() as workers:
        yield workers


@pytest.fixture
def network():
    """A ramp and a total, stopped at the end whatever happens."""
    ramp, total = rm.pair()
    yield ramp, total
    ramp.stop()


@pytest.fixture
def no_pool(monkeypatch):
    """Every network starts its own fork server."""
    monkeypatch.setattr(WorkerPool, "_active", None)


@pytest.fixture
def short_dir():
    """A private directory with a path short enough for sockets."""
    path = tempfile.mkdtemp(prefix="t-", dir="/tmp")
    yield Path(path)
    shutil.rmtree(path, ignore_errors=True)


@pytest.fixture
def script(short_dir):
    """Start a host program, given its source; it is ended after the test."""
    from scripts import Script

    started = []

    def start(body, **options):
        started.append(Script(short_dir, body, **options))
        return started[-1]

    yield start
    for each in started:
        each.close()
