"""Chaos tests: how many rounds there are, and from which seed; helpers are those of the runtime tests."""

from __future__ import annotations

import os
import sys
from pathlib import Path

TESTS = Path(__file__).parent.parent
sys.path.append(str(TESTS / "runtime"))
SEED = int(os.environ.get("CHAOS_SEED", "0"))
SHARE = float(os.environ.get("CHAOS_ROUNDS", "1"))  # times as many rounds as in a normal run of the tests


def pytest_report_header():
    return f"chaos: CHAOS_SEED={SEED} CHAOS_ROUNDS={SHARE:g}"


def pytest_generate_tests(metafunc):
    """Give `seed` as many values as the test's ``rounds`` mark says."""
    if "seed" in metafunc.fixturenames:
        (rounds,) = metafunc.definition.get_closest_marker("rounds").args
        metafunc.parametrize("seed", range(SEED, SEED + max(1, round(SHARE * rounds))))
