"""Tools to test the runtime, and channels of one's own.

- `simulate`: a whole network with real workers and a real service in virtual time, everything that can go
  wrong included, from one seed.
- `check_channel`: a check-suite for any kind of channel.
"""

from .channels import ChannelPair, check_channel
from .simulation import Report, Simulation, simulate
from .world import SimulationFailure

__all__ = ["ChannelPair", "Report", "Simulation", "SimulationFailure", "check_channel", "simulate"]
