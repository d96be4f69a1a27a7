"""What a Slurm cluster has, asked of its command ``sinfo``; without Slurm there is simply nothing.

Lahar itself runs on one machine. These functions are for scripts that choose a partition or a board for a
package that drives hardware: they only read what ``sinfo`` says and set environment variables (``SLURM``,
``NOSLURM``, ``PARTITION``, ``BOARD``).
"""

from __future__ import annotations

import os
import subprocess
from dataclasses import dataclass

from lahar.processes.errors import ValidationError

_PATIENCE = 1.0  # seconds


@dataclass
class PartitionInfo:
    """A partition, as ``sinfo`` lists it; `name` without the ``*`` that marks the default one."""

    name: str = ""
    available: str = ""
    timelimit: str = ""
    nodes: str = ""
    state: str = ""
    nodelist: str = ""


@dataclass
class BoardInfo:
    """A node in a partition, as ``sinfo -N`` lists it."""

    nodename: str = ""
    partition: str = ""
    state: str = ""


def is_available() -> bool:
    """Whether there is a Slurm cluster that answers."""
    return any(try_run_command(["sinfo"]))


def enable() -> None:
    """Say to others that Slurm is to be used.

    Raises
    ------
    ValidationError
        There is no Slurm here.
    """
    if not is_available():
        raise ValidationError("sinfo does not answer: there is no Slurm cluster here.", "slurm.enable")
    os.environ["SLURM"] = "1"
    os.environ.pop("NOSLURM", None)


def disable() -> None:
    """Say to others that Slurm is not to be used."""
    os.environ.pop("SLURM", None)
    os.environ["NOSLURM"] = "1"


def set_partition(partition: str | None = None) -> None:
    """Choose a partition; None: no particular one.

    Raises
    ------
    ValidationError
        There is no such partition, or it is down.
    """
    if partition is None:
        os.environ.pop("PARTITION", None)
        return
    infos = get_partitions()
    found = [info for info in infos if info.name == partition]
    if not found:
        known = ", ".join(dict.fromkeys(info.name for info in infos)) or "none"
        raise ValidationError(f"there is no partition '{partition}'; known: {known}.", "slurm.set_partition")
    if all(_is_down(info) for info in found):
        raise ValidationError(
            f"partition '{partition}' is down (state {found[0].state}, {found[0].available}).",
            "slurm.set_partition",
        )
    os.environ["PARTITION"] = partition


def set_board(board: str | None, partition: str | None = None) -> None:
    """Choose a board (None: no particular one), in a partition if one is given.

    Raises
    ------
    ValidationError
        There is no such board, it is down, or it belongs to other partitions only.
    """
    if board is None:
        os.environ.pop("BOARD", None)
        return
    infos = get_boards()
    found = [info for info in infos if info.nodename == board]
    if not found:
        known = ", ".join(dict.fromkeys(info.nodename for info in infos)) or "none"
        raise ValidationError(f"there is no board '{board}'; known: {known}.", "slurm.set_board")
    if "down" in found[0].state:
        raise ValidationError(f"board '{board}' is down (state {found[0].state}).", "slurm.set_board")
    if partition is not None and partition not in [info.partition for info in found]:
        members = ", ".join(info.partition for info in found)
        raise ValidationError(
            f"board '{board}' belongs to {members}, not to partition '{partition}'.", "slurm.set_board"
        )
    os.environ["BOARD"] = board


def partition() -> str:
    """Return the partition chosen, or ``"Unspecified"``."""
    return os.environ.get("PARTITION", "Unspecified")


def get_partitions() -> list[PartitionInfo]:
    """Return all partitions, one entry per state that nodes in them have; empty without Slurm."""
    rows = _table(["sinfo"], "PARTITION", 6)
    return [PartitionInfo(row[0].rstrip("*"), *row[1:6]) for row in rows]


def get_partition_info(partition_name: str) -> PartitionInfo | None:
    """Return the first entry of a partition; None if there is no such partition."""
    return next((info for info in get_partitions() if info.name == partition_name), None)


def get_boards() -> list[BoardInfo]:
    """Return all nodes, one entry per partition that they are in; empty without Slurm."""
    rows = _table(["sinfo", "-N"], "NODELIST", 4)
    return [BoardInfo(row[0], row[2].rstrip("*"), row[3]) for row in rows]


def get_board_info(nodename: str) -> BoardInfo | None:
    """Return the first entry of a node; None if there is no such node."""
    return next((info for info in get_boards() if info.nodename == nodename), None)


def try_run_command(command: list[str]) -> list[str]:
    """Run a command for at most a second.

    Returns
    -------
    list of str
        Lines of its output; empty if there is no such command, if it fails or takes too long.
    """
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, errors="replace", timeout=_PATIENCE, check=False
        )
    except (OSError, subprocess.TimeoutExpired):
        return []
    return done.stdout.splitlines() if done.returncode == 0 else []


def _is_down(info: PartitionInfo) -> bool:
    return "down" in info.state or "down" in info.available


def _table(command: list[str], heading: str, columns: int) -> list[list[str]]:
    """Return the rows of a table that a command prints, without its heading and what is no row."""
    rows = [line.split() for line in try_run_command(command)]
    return [row for row in rows if len(row) >= columns and row[0] != heading]
