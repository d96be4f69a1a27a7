"""Synchronisation protocols and domains."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from typing import Any

from ..errors import ArgumentTypeError


class Phase(IntEnum):
    """Phases of a Loihi time step, in their order."""

    SPK = 1
    PRE_MGMT = 2
    LRN = 3
    POST_MGMT = 4
    HOST = 5


class AbstractSyncProtocol:
    """Base of synchronisation protocols."""


@dataclass
class LoihiProtocol(AbstractSyncProtocol):
    """Time steps in phases: spikes for all, then management and learning where a guard asks.

    `proc_functions` names the guard (None: always) and the method of each phase; those of HOST are never called.
    """

    phases = [Phase.SPK, Phase.PRE_MGMT, Phase.LRN, Phase.POST_MGMT, Phase.HOST]
    proc_functions = [
        ("pre_guard", "run_pre_mgmt"),
        ("lrn_guard", "run_lrn"),
        ("post_guard", "run_post_mgmt"),
        ("host_guard", "run_host_mgmt"),
        (None, "run_spk"),
    ]
    Phase = Phase


@dataclass
class AsyncProtocol(AbstractSyncProtocol):
    """No time steps: a process runs freely, coupled by its channels only."""

    phases = []
    proc_functions = []


class SyncDomain:
    """A named group of Processes that share one protocol.

    Parameters
    ----------
    name : str
        Unique among the domains of a run configuration.
    protocol : AbstractSyncProtocol
        An instance, such as ``LoihiProtocol()``.
    processes : list of AbstractProcess
    """

    def __init__(
        self, name: str, protocol: AbstractSyncProtocol | None = None, processes: list[Any] | None = None
    ) -> None:
        self.name = name
        self.protocol: AbstractSyncProtocol | None = None
        if protocol is not None:
            self.set_protocol(protocol)
        self.processes: list[Any] = list(processes or [])

    def set_protocol(self, protocol: AbstractSyncProtocol) -> None:
        if not isinstance(protocol, AbstractSyncProtocol):
            raise ArgumentTypeError(
                f"SyncDomain '{self.name}': the protocol must be an instance such as LoihiProtocol(), not {protocol!r}."
            )
        self.protocol = protocol

    def add_process(self, process: Any) -> None:
        self.processes.extend(process if isinstance(process, list) else [process])
