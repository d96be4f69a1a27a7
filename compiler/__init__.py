"""From connected Processes to a `Plan`: model selection, expansion, partitioning."""

from .check import Finding, check
from .compile import compile, network_processes  # noqa: A004 - the public name
from .plan import Plan
from .run_configs import Loihi1SimCfg, Loihi2SimCfg, RunConfig

__all__ = [
    "Finding",
    "Loihi1SimCfg",
    "Loihi2SimCfg",
    "Plan",
    "RunConfig",
    "check",
    "compile",
    "network_processes",
]
