"""Settings of connections to spiking hardware: stored at both ports, without effect in simulation."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum


class SpikeIOInterface(IntEnum):
    """How spikes enter and leave a chip."""

    ETHERNET = 0
    PIO = 1


class SpikeIOPort(Enum):
    """Side of a chip at which spikes enter and leave."""

    PIO_NORTH = "n"
    PIO_SOUTH = "s"
    PIO_EAST = "e"
    PIO_WEST = "w"
    PIO_UP = "u"
    PIO_DOWN = "d"
    ETHERNET = "p"


class SpikeIOMode(IntEnum):
    """Whether spikes are sent at once or at their time step."""

    FREE_RUNNING = 0
    TIME_COMPARE = 1


@dataclass
class ConnectionConfig:
    """Given to ``connect``, ``connect_from`` or ``connect_var``; scripts written for hardware run unchanged."""

    interface: SpikeIOInterface = SpikeIOInterface.ETHERNET
    num_probes: int = 4
    ethernet_packet_len: int = 256
    ethernet_interface: str = "enp2s0"
    max_messages: int = 1024
    max_message_size: int = 4096
    spike_io_port: SpikeIOPort = SpikeIOPort.ETHERNET
    spike_io_mode: SpikeIOMode = SpikeIOMode.TIME_COMPARE
    num_time_buckets: int = 65536
    ethernet_mac_address: str = "0x90e2ba01214c"
    loihi_mac_address: str = "0x0015edbeefed"
    ethernet_chip_id: int | None = None
    ethernet_chip_idx: int | None = None
