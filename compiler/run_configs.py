"""Run configurations: which model runs a Process, and how the network is spread and synchronised."""

from __future__ import annotations

import contextlib
import logging
import os
from collections.abc import Mapping, Sequence
from typing import Any

from lahar.processes.errors import ArgumentTypeError, CompileError, ValidationError
from lahar.processes.model import (
    AbstractProcessModel,
    AbstractPyProcessModel,
    AbstractSubProcessModel,
    SyncDomain,
)

Model = type[AbstractProcessModel]

# Tags of the reference that name the same fixed-point numerics.
_SAME_NUMERICS = {"bit_accurate_loihi": "fixed_pt", "bit_approximate_loihi": "fixed_pt"}
SYNC_MODES = ("auto", "lockstep", "elastic")
LAUNCHERS = ("local", "inline")


class RunConfig:
    """Base of run configurations; subclasses override `select`.

    Parameters
    ----------
    custom_sync_domains : list of SyncDomain, optional
    loglevel : int
        Level of the runtime's logger.
    partitions : int or "auto"
        Number of OS processes. "auto" chooses the number with the smallest predicted time per step.
    placement : dict of AbstractProcess to int, optional
        Partition of some Processes, fixed by the user.
    sync : {"auto", "lockstep", "elastic"}
        How time steps are kept together. "elastic" lets workers run ahead on their channels where that
        cannot change a result; where it could, the network runs in lockstep and says so.
    launcher : {"local", "inline"}
        "inline" runs everything in the calling OS process (for debuggers and coverage).
    progress : bool or "auto"
        Progress bar; "auto" shows one on a terminal for runs that take longer than a second.

    Attributes
    ----------
    profile : str
        Key of the profiler of the networks that are compiled with this configuration; empty: none. Set by
        ``lahar.runtime.Profiler.init``.

    Notes
    -----
    The environment variables ``LAHAR_PARTITIONS``, ``LAHAR_SYNC`` and ``LAHAR_LAUNCHER`` take the place of
    the defaults of `partitions`, `sync` and `launcher`.

    Raises
    ------
    ValidationError, ArgumentTypeError
        An argument or one of the environment variables has an impossible value.
    """

    profile: str = ""

    def __init__(
        self,
        custom_sync_domains: list[SyncDomain] | None = None,
        loglevel: int = logging.WARNING,
        *,
        partitions: int | str = "auto",
        placement: Mapping[Any, int] | None = None,
        shards: str = "auto",
        sync: str = "auto",
        launcher: str = "local",
        progress: bool | str = "auto",
    ) -> None:
        domains = custom_sync_domains if custom_sync_domains is not None else []
        if not isinstance(domains, list) or not all(isinstance(d, SyncDomain) for d in domains):
            raise ArgumentTypeError("custom_sync_domains must be a list of SyncDomain objects.")
        self.custom_sync_domains = domains
        self.log = logging.getLogger("lahar.run_config")
        self.loglevel = loglevel
        self.partitions = _partitions(*_default("partitions", partitions, "auto"))
        self.placement = _as_dict("placement", placement)
        if shards != "auto":
            raise ValidationError("only 'auto' (no process is split) is possible.", "shards")
        self.shards = shards
        self.sync = _one_of(*_default("sync", sync, "auto"), SYNC_MODES)
        self.launcher = _one_of(*_default("launcher", launcher, "local"), LAUNCHERS)
        if progress not in (True, False, "auto"):
            raise ValidationError(f"True, False or 'auto' expected, not {progress!r}.", "progress")
        self.progress = progress

    def select(self, process: Any, proc_models: Sequence[Model]) -> Model:
        """Return the model to use for `process` out of its candidates."""
        raise CompileError(
            f"{type(self).__name__} does not define select(), so none of {_names(proc_models)} is chosen for process "
            f"'{process.name}'; use Loihi2SimCfg."
        )


class AbstractLoihiRunCfg(RunConfig):
    """Selects models by tag.

    Parameters
    ----------
    select_tag : str, optional
        Take the first model with this tag; models without any tag match every tag. None: the first model.
    select_sub_proc_model : bool
        Prefer a SubProcessModel where there is one.
    exception_proc_model_map : dict, optional
        Process class or instance -> model, taken whatever the tag.
    **kwargs
        See `RunConfig`.
    """

    def __init__(
        self,
        custom_sync_domains: list[SyncDomain] | None = None,
        select_tag: str | None = None,
        select_sub_proc_model: bool = False,
        exception_proc_model_map: Mapping[Any, Model] | None = None,
        loglevel: int = logging.WARNING,
        **kwargs: Any,
    ) -> None:
        super().__init__(custom_sync_domains, loglevel, **kwargs)
        if select_tag is not None and not isinstance(select_tag, str):
            raise ArgumentTypeError(f"select_tag must be a string, not {select_tag!r}.")
        self.select_tag = select_tag
        self.select_sub_proc_model = select_sub_proc_model
        self.exception_proc_model_map = _as_dict("exception_proc_model_map", exception_proc_model_map)

    def select(self, process: Any, proc_models: Sequence[Model]) -> Model:
        """Return the model for `process`: exceptions first, then sub models if wanted, then by tag."""
        if type(process) in self.exception_proc_model_map:
            model: Model = self.exception_proc_model_map[type(process)]
            return model
        usable = [m for m in proc_models if issubclass(m, (AbstractSubProcessModel, AbstractPyProcessModel))]
        if not usable:
            raise CompileError(
                f"Process '{process.name}' ({type(process).__name__}): none of its models "
                f"({_names(proc_models)}) is a Python or sub-process model."
            )
        sub = [m for m in usable if issubclass(m, AbstractSubProcessModel)]
        leaves = [m for m in usable if not issubclass(m, AbstractSubProcessModel)]
        if sub and (self.select_sub_proc_model or not leaves):
            return sub[0] if len(sub) == 1 and leaves else self._by_tag(process, sub)
        return self._by_tag(process, leaves)

    def _by_tag(self, process: Any, models: Sequence[Model]) -> Model:
        tag = self.select_tag
        if tag is None:
            return models[0]
        for wanted in (tag, _SAME_NUMERICS.get(tag)):
            for model in models:
                if wanted is not None and wanted in model.tags:
                    return model
        for model in models:
            if not model.tags:
                return model
        known = sorted({t for m in models for t in m.tags})
        raise CompileError(
            f"Process '{process.name}' ({type(process).__name__}) has no model with tag '{tag}'. Its models: "
            + "; ".join(f"{m.__name__} (tags: {', '.join(m.tags) or 'none'})" for m in models)
            + f". Use one of {known}, or give a model in exception_proc_model_map."
        )


class AbstractLoihiSimRunCfg(AbstractLoihiRunCfg):
    """Base of configurations that simulate Loihi on CPUs."""


class Loihi1SimCfg(AbstractLoihiSimRunCfg):
    """Simulate on CPUs."""


class Loihi2SimCfg(Loihi1SimCfg):
    """Simulate on CPUs (the same as `Loihi1SimCfg`)."""


def _default(argument: str, given: Any, default: Any) -> tuple[str, Any]:
    """Return where a value comes from, for messages, and the value."""
    variable = f"LAHAR_{argument.upper()}"
    if given == default and variable in os.environ:
        return f"environment variable {variable}", os.environ[variable]
    return argument, given


def _as_dict(where: str, value: Any) -> dict[Any, Any]:
    if value is not None and not isinstance(value, Mapping):
        raise ArgumentTypeError(f"{where} must be a dictionary, not {value!r}.")
    return dict(value or {})


def _partitions(where: str, value: Any) -> int | str:
    number = value
    if isinstance(value, str) and value != "auto":
        with contextlib.suppress(ValueError):
            number = int(value)
    if number == "auto":
        return "auto"
    if isinstance(number, bool) or not hasattr(number, "__index__"):
        raise ValidationError(f"'auto' or a positive integer expected, not {value!r}.", where)
    if number < 1:
        raise ValidationError(f"at least 1 is needed, not {number}.", where)
    return int(number)


def _one_of(where: str, value: str, allowed: Sequence[str]) -> str:
    if value not in allowed:
        raise ValidationError(f"one of {', '.join(map(repr, allowed))} expected, not {value!r}.", where)
    return value


def _names(models: Sequence[Model]) -> str:
    return ", ".join(m.__name__ for m in models) or "none"
