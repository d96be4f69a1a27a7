"""Asking for Loihi hardware in a script that must also run where there is none.

Lahar simulates. A package that drives chips may install itself as ``lahar.loihi2``; without it the functions
here warn and return False, and the network is simulated.
"""

from __future__ import annotations

import importlib.util
import os
import subprocess
import warnings
from enum import Enum
from typing import Any

from lahar.processes.errors import ArgumentTypeError, LaharWarning, ValidationError

from . import slurm

HARDWARE = "lahar.loihi2"
_PATIENCE = 5.0  # seconds

#: What was chosen last: None (simulation), ``"SLURM"`` or ``"ETHERNET"``.
host: str | None = None


class ChipGeneration(Enum):
    """Steppings of the chips."""

    N2A2 = "N2A2"
    N3B2 = "N3B2"
    N3B3 = "N3B3"
    N3C1 = "N3C1"
    N3D1 = "N3D1"


def is_installed(module_name: str = HARDWARE) -> bool:
    """Whether a module can be imported, by default the package that drives the hardware."""
    try:
        return importlib.util.find_spec(module_name) is not None
    except ImportError:  # of a package that the module is said to be in
        return False


def use_slurm_host(
    partition: str | None = None,
    board: str | None = None,
    loihi_gen: ChipGeneration = ChipGeneration.N3B3,
) -> bool:
    """Choose hardware in a Slurm cluster.

    Parameters
    ----------
    partition, board : str, optional
        As for `slurm.set_partition` and `slurm.set_board`.
    loihi_gen : ChipGeneration

    Returns
    -------
    bool
        Whether hardware will be used; if not, networks are simulated, with a LaharWarning.

    Raises
    ------
    ArgumentTypeError
        `loihi_gen` is no ChipGeneration.
    ValidationError
        The package for the hardware is installed, but there is no Slurm, or no such partition or board.
    """
    _check_generation(loihi_gen)
    if not _can_use_hardware("use_slurm_host"):
        return False
    slurm.enable()
    slurm.set_board(board, partition)
    slurm.set_partition(partition)
    os.environ["LOIHI_GEN"] = loihi_gen.value
    return _choose("SLURM")


def use_ethernet_host(
    host_address: str,
    host_binary_path: str = "nxcore/bin/nx_driver_server",
    loihi_gen: ChipGeneration = ChipGeneration.N3B3,
) -> bool:
    """Choose hardware at an address in the network.

    Parameters
    ----------
    host_address : str
    host_binary_path : str
        Of the driver on the host.
    loihi_gen : ChipGeneration

    Returns
    -------
    bool
        Whether hardware will be used; if not, networks are simulated, with a LaharWarning.

    Raises
    ------
    ArgumentTypeError
        `host_address` is no string, or `loihi_gen` no ChipGeneration.
    ValidationError
        The package for the hardware is installed, but the host does not answer to ``ping``.
    """
    if not isinstance(host_address, str):
        raise ArgumentTypeError(f"use_ethernet_host: host_address must be a string, not {host_address!r}.")
    _check_generation(loihi_gen)
    if not _can_use_hardware("use_ethernet_host"):
        return False
    if not _answers(host_address):
        raise ValidationError(f"'{host_address}' does not answer to ping.", "use_ethernet_host.host_address")
    slurm.disable()
    os.environ.update(NXSDKHOST=host_address, HOST_BINARY=host_binary_path, LOIHI_GEN=loihi_gen.value)
    return _choose("ETHERNET")


def _check_generation(loihi_gen: Any) -> None:
    if not isinstance(loihi_gen, ChipGeneration):
        raise ArgumentTypeError(f"loihi_gen must be a ChipGeneration such as N3B3, not {loihi_gen!r}.")


def _choose(kind: str) -> bool:
    global host  # noqa: PLW0603 - scripts read loihi.host
    host = kind
    return True


def _can_use_hardware(what: str) -> bool:
    if is_installed(HARDWARE):
        return True
    warnings.warn(
        f"{what}: there is no package {HARDWARE} to drive hardware, so networks are simulated.",
        LaharWarning,
        stacklevel=3,
    )
    return False


def _answers(address: str) -> bool:
    try:
        done = subprocess.run(
            ["ping", "-c", "1", "--", address], capture_output=True, timeout=_PATIENCE, check=False
        )
    except (OSError, ValueError, subprocess.TimeoutExpired):  # ValueError: no address, but a null byte
        return False
    return done.returncode == 0
