"""Decorators that say what a ProcessModel implements and needs."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from ..errors import ArgumentTypeError
from ..process import AbstractProcess
from .base import AbstractProcessModel
from .protocols import AbstractSyncProtocol
from .resources import AbstractResource

Model = TypeVar("Model", bound=type)


def _check_model(cls: Any, decorator: str) -> None:
    if not (isinstance(cls, type) and issubclass(cls, AbstractProcessModel)):
        raise ArgumentTypeError(f"@{decorator} decorates ProcessModel classes, not {cls!r}.")


def implements(proc: type | None = None, protocol: type | None = None) -> Callable[[Model], Model]:
    """Say which Process a model implements and by which protocol it is synchronised.

    Parameters
    ----------
    proc : type
        A Process class.
    protocol : type
        A protocol class such as `LoihiProtocol`.

    Raises
    ------
    ArgumentTypeError
        An argument is no class of that kind, or the model (or a base) names another one already.
    """
    for value, base in ((proc, AbstractProcess), (protocol, AbstractSyncProtocol)):
        if value is not None and not isinstance(value, type):
            raise ArgumentTypeError(f"@implements takes classes, not {value!r}.")
        if value is not None and not issubclass(value, base):
            raise ArgumentTypeError(f"@implements: {value.__name__} is not a subclass of {base.__name__}.")

    def decorate(cls: Model) -> Model:
        _check_model(cls, "implements")
        for attribute, value in (("implements_process", proc), ("implements_protocol", protocol)):
            if value is None:
                continue
            present = getattr(cls, attribute)
            if present is not None and present is not value:
                raise ArgumentTypeError(
                    f"{cls.__name__} would implement {value.__name__}, but it or a base implements {present.__name__}."
                )
            setattr(cls, attribute, value)
        return cls

    return decorate


def requires(*resources: Any) -> Callable[[Model], Model]:
    """Add required resources; an argument that is a list means any one of its members."""
    for resource in resources:
        for one in resource if isinstance(resource, list) else [resource]:
            if not isinstance(one, type):
                raise ArgumentTypeError(f"@requires takes resource classes, not {one!r}.")
            if not issubclass(one, AbstractResource):
                raise ArgumentTypeError(f"@requires: {one.__name__} is not a resource.")

    def decorate(cls: Model) -> Model:
        _check_model(cls, "requires")
        cls.required_resources = [*cls.required_resources, *resources]  # type: ignore[attr-defined]
        return cls

    return decorate


def tag(*tags: str) -> Callable[[Model], Model]:
    """Add tags by which a run configuration selects models."""
    for name in tags:
        if not isinstance(name, str):
            raise ArgumentTypeError(f"@tag takes strings, not {name!r}.")

    def decorate(cls: Model) -> Model:
        _check_model(cls, "tag")
        cls.tags = [*cls.tags, *tags]  # type: ignore[attr-defined]
        return cls

    return decorate
