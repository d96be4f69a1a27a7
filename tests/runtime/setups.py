"""The ways in which a network can be launched, for tests that must hold for all of them."""

from __future__ import annotations

import pytest

from lahar.runtime import Loihi2SimCfg

SETUPS = {
    "inline": {"launcher": "inline"},
    "local-1-lockstep": {"launcher": "local", "partitions": 1, "sync": "lockstep"},
    "local-1-elastic": {"launcher": "local", "partitions": 1, "sync": "elastic"},
    "local-2-lockstep": {"launcher": "local", "partitions": 2, "sync": "lockstep"},
    "local-2-elastic": {"launcher": "local", "partitions": 2, "sync": "elastic"},
}
every_setup = pytest.mark.parametrize("setup", list(SETUPS))
every_local_setup = pytest.mark.parametrize("setup", [s for s in SETUPS if s != "inline"])
both_syncs = pytest.mark.parametrize("sync", ["lockstep", "elastic"])


def config(setup, **changes):
    """Return the run configuration of a setup."""
    return Loihi2SimCfg(**{"progress": False, **SETUPS[setup], **changes})
