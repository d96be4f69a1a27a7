"""What a model does with its ports, as far as its code shows it.

The byte code of the handlers is read in the order in which it is written, into the methods that they
call on themselves. Branches and loops are not followed, so the answers are good for doubts, not proofs.
"""

from __future__ import annotations

import types
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any
from weakref import WeakKeyDictionary

from lahar.processes.model import PyAsyncProcessModel, PyLoihiProcessModel

from .safety import codes

_OPERATIONS = frozenset({"recv", "peek", "probe", "send", "send_packed", "read", "write", "wait"})
_DYNAMIC = frozenset({"py_ports", "getattr", "__dict__", "vars", "__getattribute__"})
_BASES = (PyAsyncProcessModel, PyLoihiProcessModel)
MANAGEMENT = ("run_pre_mgmt", "run_post_mgmt")
_known: WeakKeyDictionary[type, Behaviour] = WeakKeyDictionary()


@dataclass(frozen=True)
class Use:
    """An operation on a port: ``self.port.operation``; `port` is "" if it is reached in another way."""

    port: str
    operation: str


def behaviour(model: type) -> Behaviour:
    """Return what the code of a model shows; looked up once per class."""
    if model not in _known:
        _known[model] = Behaviour(model)
    return _known[model]


class Behaviour:
    """What the code of one model shows.

    Parameters
    ----------
    model : type
        A Python model.

    Attributes
    ----------
    asynchronous : bool
    handler : str
        The method in which the model sends and receives: ``run_spk`` or ``run_async``.
    uses : dict of str to tuple of Use
        By handler.
    has_handler : bool
        `handler` is defined at all.
    converted : bool
        It is defined by a class that makes one kind of model out of another, so its code says nothing.
    of_the_library : bool
        It is one of Lahar's own, perhaps with other methods changed by the user.
    """

    def __init__(self, model: type) -> None:
        self._names = _names(model)
        self.asynchronous = issubclass(model, PyAsyncProcessModel)
        self.handler = "run_async" if self.asynchronous else "run_spk"
        self.uses = {
            name: tuple(_uses(model, name))
            for name in ("run_async", "run_spk", "run_pre_mgmt", "run_lrn", "run_post_mgmt")
        }
        owner = _definer(model, self.handler)
        self.has_handler = owner not in (None, *_BASES)
        self.converted = self.has_handler and _is_framework(owner)
        self.of_the_library = (
            self.has_handler and not self.converted and owner.__module__.startswith("lahar.processes.")
        )
        self._code = _code(vars(owner)[self.handler]) if owner is not None else None

    def mentions(self, port: str) -> bool:
        """Whether the code may use a port: it names it, or reaches its ports in other ways."""
        return self.converted or port in self._names or bool(self._names & _DYNAMIC)

    def names(self, *names: str) -> bool:
        """Whether the code uses one of these names."""
        return any(name in self._names for name in names)

    @property
    def first(self) -> str:
        """What the handler does first: "recv", "send", or "" if that cannot be seen."""
        for use in self.uses[self.handler]:
            if use.operation in ("recv", "peek"):
                return "recv"
            if use.operation in ("send", "send_packed"):
                return "send"
        return ""

    def reads_in(self, handler: str, port: str) -> bool:
        """Whether a handler reads a RefPort, or waits for it."""
        return any(u.port in (port, "") and u.operation in ("read", "wait") for u in self.uses[handler])

    def writes(self, port: str) -> bool:
        """Whether a management handler writes to a RefPort."""
        return any(u.port == port and u.operation == "write" for h in MANAGEMENT for u in self.uses[h])

    @cached_property
    def loops(self) -> bool:
        """Whether the handler itself holds a loop."""
        return self._code is not None and any(True for _ in _jumps_back(self._code))

    @cached_property
    def loops_without_range(self) -> bool:
        """Whether the handler itself holds a ``while`` loop, as far as byte code tells."""
        import dis

        if self._code is None or not self.loops:
            return False
        ends = {i.offset for i in dis.get_instructions(self._code) if i.opname == "FOR_ITER"}
        return any(i.argval not in ends for i in _jumps_back(self._code))


def _is_framework(cls: type | None) -> bool:
    return cls is None or cls is object or cls.__module__.startswith("lahar.processes.model.")


def _names(model: type) -> frozenset[str]:
    """Return the names used in the methods of a model; not those that are overridden and not called."""
    found: set[str] = set()
    defined: set[str] = set()
    for cls in model.__mro__:
        if _is_framework(cls):
            continue
        calls_up = "super" in found
        for name, value in vars(cls).items():
            if calls_up or name not in defined:
                for code in codes(value):
                    found.update(code.co_names)
                    found.update(c for c in code.co_consts if isinstance(c, str))
        defined.update(vars(cls))
    return frozenset(found)


def _jumps_back(code: types.CodeType) -> Iterator[Any]:
    import dis

    for instruction in dis.get_instructions(code):
        target = instruction.argval
        if "JUMP" in instruction.opname and isinstance(target, int) and target <= instruction.offset:
            yield instruction


def _definer(model: type, method: str, after: type | None = None) -> type | None:
    """Return the class that defines a method, or the next one after `after`."""
    bases = model.__mro__
    for cls in bases[bases.index(after) + 1 :] if after is not None else bases:
        if method in vars(cls):
            return cls
    return None


def _code(function: Any) -> types.CodeType | None:
    while hasattr(function, "__wrapped__"):
        function = function.__wrapped__
    code = getattr(getattr(function, "__func__", function), "__code__", None)
    return code if isinstance(code, types.CodeType) else None


def _uses(model: type, method: str, after: type | None = None, seen: set[Any] | None = None) -> Iterator[Use]:
    """Yield the uses of ports in a method, in the order of the code."""
    seen = set() if seen is None else seen
    owner = _definer(model, method, after)
    code = _code(vars(owner)[method]) if owner is not None else None
    if owner is None or code is None or (owner, method) in seen:
        return
    seen.add((owner, method))
    for before, name in _attributes(code):
        if name in _OPERATIONS:
            yield Use(before, name)
        elif name == method:  # super().method()
            yield from _uses(model, name, owner, seen)
        elif isinstance(getattr(model, name, None), types.FunctionType):
            yield from _uses(model, name, None, seen)


def _attributes(code: types.CodeType) -> Iterator[tuple[str, str]]:
    """Yield each attribute that is looked up with the one of which it is looked up ("" if none)."""
    import dis

    before = ""
    for instruction in dis.get_instructions(code):
        if instruction.opname in ("LOAD_ATTR", "LOAD_METHOD", "LOAD_SUPER_ATTR", "LOAD_SUPER_METHOD"):
            yield before, instruction.argval
            before = instruction.argval
            continue
        if instruction.opname == "EXTENDED_ARG":
            continue
        before = ""
        if isinstance(instruction.argval, types.CodeType):
            yield from _attributes(instruction.argval)
