"""Running a compiled network: run conditions, run configurations and the `Runtime`."""

from lahar.compiler import Loihi1SimCfg, Loihi2SimCfg, RunConfig

from .launcher import WorkerPool
from .profiler import Profile, Profiler
from .run_conditions import RunContinuous, RunSteps
from .runtime import Runtime, compile_network, start_network

__all__ = [
    "Loihi1SimCfg",
    "Loihi2SimCfg",
    "Profile",
    "Profiler",
    "RunConfig",
    "RunContinuous",
    "RunSteps",
    "Runtime",
    "WorkerPool",
    "compile_network",
    "start_network",
]
