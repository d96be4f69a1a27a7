"""Settings of all tests: Hypothesis profiles, which tests run by default, and a limit for tests that hang."""

from __future__ import annotations

import faulthandler
import os

import pytest
from hypothesis import settings

_LONGEST = 400  # seconds; a test that takes longer hangs (Hypothesis may shrink a failure for 300)
_STDERR = pytest.StashKey[int]()

settings.register_profile("default", deadline=None)
settings.register_profile("ci", deadline=None, derandomize=True, print_blob=True)
settings.load_profile("ci" if os.environ.get("CI") else "default")


def pytest_configure(config):
    config.stash[_STDERR] = os.dup(2)  # while pytest does not capture it


def pytest_collection_modifyitems(config, items):
    """Leave tests that run for long, or as long as they are given, out unless -m asks for them."""
    if not config.option.markexpr:
        long = [item for item in items if runs_long(item)]
        items[:] = [item for item in items if not runs_long(item)]
        config.hook.pytest_deselected(items=long)


def runs_long(item):
    return any(item.get_closest_marker(name) for name in ("fuzz", "leaks"))


@pytest.fixture(autouse=True)
def _limit_time(request):
    """End the test run with all tracebacks where a test hangs."""
    if runs_long(request.node):
        yield
        return
    faulthandler.dump_traceback_later(_LONGEST, exit=True, file=request.config.stash[_STDERR])
    yield
    faulthandler.cancel_dump_traceback_later()
