"""Saving networks to files and loading them again.

A file holds the Processes, everything they are connected with, and optionally a compiled Plan. It is
self-contained: another interpreter can load and run it. Processes, ports and Vars are written one after the
other and refer to each other by number, so that neither the length of a chain nor loops matter.
"""

from __future__ import annotations

import io
import os
import pickle
import platform
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import cloudpickle

from lahar.compiler import Plan
from lahar.compiler.models import find_models
from lahar.processes.errors import (
    ArgumentTypeError,
    DamagedFileError,
    FileFormatError,
    MissingFileError,
    UnpicklableError,
    ValidationError,
)
from lahar.processes.ports import AbstractPort
from lahar.processes.process import AbstractProcess, ProcessServer
from lahar.processes.replace_file import replace_file
from lahar.processes.var import Var, new_id

_FORMAT = "lahar network"
_VERSION = 1
_SUFFIX = ".pickle"

Processes = AbstractProcess | list[AbstractProcess]


@dataclass
class SerializationObject:
    """What a file holds.

    Parameters
    ----------
    processes : AbstractProcess or list of AbstractProcess
    executable : Plan, optional
        What `lahar.compiler.compile` returned for them.

    Raises
    ------
    ArgumentTypeError
        Something else is given.
    """

    processes: Processes
    executable: Plan | None = None

    def __post_init__(self) -> None:
        members = self.processes if isinstance(self.processes, list) else [self.processes]
        for member in members:
            if not isinstance(member, AbstractProcess):
                raise ArgumentTypeError(
                    f"A Process or a list of Processes can be saved, not {type(member).__name__}"
                    f"{' in a list' if isinstance(self.processes, list) else ''}."
                )
        if self.executable is not None and not isinstance(self.executable, Plan):
            raise ArgumentTypeError(
                f"executable must be a Plan (see lahar.compiler.compile), not {type(self.executable).__name__}."
            )


def save(processes: Processes, filename: str, executable: Plan | None = None) -> None:
    """Write Processes, all that is connected with them, and optionally a Plan to a file.

    A network that has been started must be paused or stopped: its Vars are saved with the values that they
    have now. What Monitors recorded is not saved.

    Parameters
    ----------
    processes : AbstractProcess or list of AbstractProcess
        Classes that were defined in a script or a notebook are saved with their models; those of modules are
        referred to by name.
    filename : str
        ``.pickle`` is appended if the name has no extension.
    executable : Plan, optional
        The compiled network, to run it without compiling again.

    Raises
    ------
    ArgumentTypeError
        An argument has the wrong type.
    StateError
        The network is running, or a Var cannot be read any more because a worker died.
    UnpicklableError
        Something a Process holds cannot be saved.
    MissingFileError
        There is no folder for the file.

    Notes
    -----
    The file appears when it is complete. One that was there before is kept if saving fails.
    """
    content = SerializationObject(processes, executable)
    path = _with_suffix(_checked(filename))
    if not path.parent.is_dir():
        raise MissingFileError(f"'{path}' cannot be written: there is no folder '{path.parent}'.")
    pickled = _dump(content)
    replace_file(path, lambda file: file.write(pickled))


def load(filename: str) -> tuple[Processes, Plan | None]:
    """Read what `save` has written.

    The Processes have the names, connections and Vars that they were saved with, and have not been started.
    Without a Plan, run them like new ones. With one::

        process, plan = load("network")
        process.create_runtime(executable=plan)
        process.run(condition=RunSteps(num_steps=10))

    A run begins with time step 1 and the saved values of the Vars. They keep their ids, too, unless these are
    in use.

    Parameters
    ----------
    filename : str
        Loading runs code from the file: load only what you trust. ``.pickle`` is appended if the name has no
        extension and there is no such file.

    Returns
    -------
    processes : AbstractProcess or list of AbstractProcess
        As given to `save`.
    executable : Plan or None

    Raises
    ------
    ArgumentTypeError
        `filename` is not a string.
    MissingFileError
        There is no such file.
    FileFormatError
        The file was not written by `save`, or by a later version of it.
    DamagedFileError
        The file is no pickle, or only a part of one.
    """
    name = _checked(filename)
    path = Path(name) if Path(name).is_file() else _with_suffix(name)
    if not path.is_file():
        raise MissingFileError(f"There is no file '{path}'.")
    with path.open("rb") as file:
        try:
            header = pickle.load(file)
        except Exception as error:  # of any kind: these bytes may be anything
            raise DamagedFileError(_foreign(path)) from error
        _check_header(path, header)
        try:
            return _Reader(file).content()
        except (EOFError, pickle.UnpicklingError) as error:
            raise DamagedFileError(f"'{path}' is damaged or was cut: {error}.") from error


def _checked(filename: Any) -> str:
    if not isinstance(filename, str):
        raise ArgumentTypeError(f"filename must be a string, not {type(filename).__name__}.")
    if not filename or "\0" in filename:
        raise ValidationError(f"{filename!r} cannot be the name of a file.", "filename")
    return filename


def _with_suffix(filename: str) -> Path:
    return Path(filename if os.path.splitext(filename)[1] else filename + _SUFFIX)


# --- writing ----------------------------------------------------------------------------------


class _Writer(cloudpickle.Pickler):  # type: ignore[misc]
    """Writes Processes, ports and Vars as numbers, and remembers which ones these are."""

    def __init__(self, file: io.BytesIO) -> None:
        super().__init__(file, protocol=pickle.HIGHEST_PROTOCOL)
        self.members: list[Any] = []
        self._numbers: dict[int, int] = {}

    def persistent_id(self, obj: Any) -> tuple[int, type] | None:
        if not isinstance(obj, (AbstractProcess, AbstractPort, Var)):
            return None
        number = self._numbers.get(id(obj))
        if number is None:
            number = self._numbers[id(obj)] = len(self.members)
            self.members.append(obj)
        return number, type(obj)


def _dump(content: SerializationObject) -> bytes:
    file = io.BytesIO()
    header = {"format": _FORMAT, "version": _VERSION, "python": platform.python_version()}
    pickle.dump(header, file)
    writer = _Writer(file)
    writer.dump(content.processes)
    _dump_members(writer, 0)
    known = len(writer.members)
    plan = content.executable
    writer.dump(plan if plan is None else _with_present_values(plan, writer.members))
    _dump_members(writer, known)
    return file.getvalue()


def _dump_members(writer: _Writer, first: int) -> None:
    for member in _growing(writer.members, first):
        state = _state(member)
        try:
            writer.dump(state)
        except Exception as error:
            raise UnpicklableError(_explain(member, state, error)) from error


def _growing(members: list[Any], first: int) -> Iterator[Any]:
    """Iterate over a list to which the consumer appends."""
    while first < len(members):
        yield members[first]
        first += 1


def _state(member: Any) -> dict[str, Any]:
    state = dict(vars(member))
    if isinstance(member, AbstractProcess):
        state["_runtime"] = None
        if type(member).__module__ == "__main__":  # its models would not be found where the file is loaded
            state["_models"] = find_models(type(member))
    elif isinstance(member, Var):
        state["init"] = _present_value(member)
    return state


def _present_value(var: Var) -> Any:
    """Return what the Var holds now; its initial value if no model holds it."""
    process = var.process
    runtime = process.runtime if process is not None else None
    if runtime is None or getattr(process, "is_recorder", False) or not runtime.holds(var.id):
        return var.init
    return runtime.get_var(var.id)


def _with_present_values(plan: Plan, members: list[Any]) -> Plan:
    values = {member.id: _present_value(member) for member in members if isinstance(member, Var)}
    specs = [
        replace(spec, vars=tuple(replace(var, init=values.get(var.id, var.init)) for var in spec.vars))
        for spec in plan.processes
    ]
    return replace(plan, processes=specs)


def _explain(member: Any, state: dict[str, Any], error: Exception) -> str:
    owner = f"Process '{member.name}'" if isinstance(member, AbstractProcess) else f"'{member.path}'"
    for name, value in state.items():
        try:
            _Writer(io.BytesIO()).dump(value)
        except Exception:
            owner += f": its attribute '{name}' of type {type(value).__name__}"
            break
    return f"{owner} cannot be saved: {error}. Make such things in the ProcessModel, or after loading."


# --- reading ----------------------------------------------------------------------------------


def _foreign(path: Path) -> str:
    return f"'{path}' was not written by lahar.runtime.serialization.save()."


def _check_header(path: Path, header: Any) -> None:
    if not isinstance(header, dict) or header.get("format") != _FORMAT:
        raise FileFormatError(_foreign(path))
    if header["version"] != _VERSION:
        raise FileFormatError(
            f"'{path}' has format {header['version']}; this version of Lahar reads format {_VERSION}. Load it "
            "with the version that saved it."
        )


class _Reader(pickle.Unpickler):
    """Makes Processes, ports and Vars empty when they are first referred to, and fills them later."""

    def __init__(self, file: Any) -> None:
        super().__init__(file)
        self._members: list[Any] = []

    def persistent_load(self, pid: tuple[int, Any]) -> Any:
        number, cls = pid
        if number == len(self._members):
            self._members.append(cls.__new__(cls))
        return self._members[number]

    def content(self) -> tuple[Processes, Plan | None]:
        processes = self.load()
        self._fill(0)
        known = len(self._members)
        plan = self.load()
        self._fill(known)
        vars_ = sorted((m for m in self._members if isinstance(m, Var)), key=lambda var: var.id)
        var_ids = {var.id: new_id() for var in vars_}
        for var in vars_:
            var.id = var_ids[var.id]
        process_ids = ProcessServer().adopt([m for m in self._members if isinstance(m, AbstractProcess)])
        return processes, plan if plan is None else _renumbered(plan, process_ids, var_ids)

    def _fill(self, first: int) -> None:
        for member in _growing(self._members, first):
            vars(member).update(self.load())


def _renumbered(plan: Plan, process_ids: dict[int, int], var_ids: dict[int, int]) -> Plan:
    for spec in plan.processes:
        for var in spec.vars:
            if var.id not in var_ids:
                var_ids[var.id] = new_id()
    specs = [
        replace(
            spec,
            id=process_ids.get(spec.id, spec.id),
            vars=tuple(replace(var, id=var_ids[var.id]) for var in spec.vars),
        )
        for spec in plan.processes
    ]
    return replace(plan, processes=specs)
