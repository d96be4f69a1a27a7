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
    """Leave fuzz tests out unless -m asks for them: they run for as long as they are given."""
    if not config.option.markexpr:
        fuzz = [item for item in items if item.get_closest_marker("fuzz")]
        items[:] = [item for item in items if item not in fuzz]
        config.hook.pytest_deselected(items=fuzz)


@pytest.fixture(autouse=True)
def _limit_time(request):
    """End the test run with all tracebacks where a test hangs."""
    if request.node.get_closest_marker("fuzz"):
        yield
        return
    faulthandler.dump_traceback_later(_LONGEST, exit=True, file=request.config.stash[_STDERR])
    yield
    faulthandler.cancel_dump_traceback_later()
