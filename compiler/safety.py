"""Whether workers may run ahead of each other without changing any result."""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Any

from lahar.processes.model import AbstractPyProcessModel, PyAsyncProcessModel, PyLoihiProcessModel

_POLLS = frozenset({"probe", "peek"})
_REQUESTS = frozenset({"_req_pause", "_req_stop"})


def overrides(model: type, method: str) -> bool:
    """Whether a model class that runs in phases defines `method` itself."""
    default = getattr(PyLoihiProcessModel, method)
    return getattr(model, method, default) is not default


def paces(model: type) -> bool:
    """Whether a model may hold up the time steps of its domain until the host has done something."""
    return hasattr(model, "step_guard")


def names_used(model: type) -> frozenset[str]:
    """Return all attribute and global names used in the methods of a model and its bases."""
    found: set[str] = set()
    for cls in model.__mro__:
        if cls is AbstractPyProcessModel or cls is PyLoihiProcessModel or cls is object:
            continue
        if cls.__module__ == AbstractPyProcessModel.__module__:
            continue
        for value in vars(cls).values():
            for code in codes(value):
                found.update(code.co_names)
                found.update(c for c in code.co_consts if isinstance(c, str))
    return frozenset(found)


def codes(value: Any) -> Iterator[types.CodeType]:
    """Yield the code of an attribute of a class, and of the functions within it."""
    if isinstance(value, (staticmethod, classmethod)):
        value = value.__func__
    if isinstance(value, property):
        for function in (value.fget, value.fset):
            if function is not None:
                yield from codes(function)
        return
    if hasattr(value, "__wrapped__"):  # a method behind a decorator
        yield from codes(value.__wrapped__)
    code = getattr(value, "__code__", None)
    stack = [code] if isinstance(code, types.CodeType) else []
    while stack:
        current = stack.pop()
        yield current
        stack += [c for c in current.co_consts if isinstance(c, types.CodeType)]


def elastic_hazards(
    models: list[tuple[str, type, int]],
    crossing_references: list[tuple[str, str]],
    piped: Sequence[str] = (),
) -> list[str]:
    """Return the reasons why running ahead could change a result; empty if it is safe.

    Parameters
    ----------
    models : list of (process name, model class, partition)
    crossing_references : list of (RefPort path, Var path)
        References whose two ends are in different partitions.
    piped : sequence of str
        Names of processes with external pipes.
    """
    reasons = [
        f"RefPort {port} and Var {var} are in different partitions" for port, var in crossing_references
    ]
    if len({part for _, _, part in models}) == 1:
        return []
    pre_guarded = [(name, part) for name, model, part in models if overrides(model, "pre_guard")]
    if len({part for _, part in pre_guarded}) > 1:
        listed = ", ".join(name for name, _ in pre_guarded)
        reasons.append(f"pre-management of {listed} depends on learners in other partitions")
    reasons += [f"{name} exchanges messages with the host" for name in piped]
    for name, model, _ in models:
        if issubclass(model, PyAsyncProcessModel):
            reasons.append(f"{name} is asynchronous")
            continue
        used = names_used(model)
        if used & _POLLS:
            reasons.append(
                f"{name} polls ({', '.join(sorted(used & _POLLS))}): what it sees depends on timing"
            )
        if used & _REQUESTS:
            reasons.append(f"{name} may ask for pause or stop, which must happen in one step for all")
    return reasons
