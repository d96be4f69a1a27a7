"""Which ProcessModels can run a Process, and which one does."""

from __future__ import annotations

import importlib
import importlib.util
import pkgutil
import sys
import tokenize
from typing import Any

from lahar.processes.errors import ArgumentTypeError, CompileError, NoProcessModelFound
from lahar.processes.model import AbstractProcessModel, AbstractPyProcessModel, AbstractSubProcessModel

from .doubts import warn
from .run_configs import Model, RunConfig

_searched: set[tuple[str, str]] = set()


def select_model(process: Any, run_cfg: RunConfig) -> Model:
    """Return the ProcessModel class that the run configuration chooses for `process`.

    Raises
    ------
    NoProcessModelFound
        There is no candidate; the message says where was searched.
    CompileError
        The configuration refuses all candidates or returns something that is no model.
    """
    exceptions = getattr(run_cfg, "exception_proc_model_map", {})
    if process in exceptions:
        model = exceptions[process]
    else:
        candidates = find_models(type(process))
        if not candidates:
            raise NoProcessModelFound(_why_none(process))
        suitable = [m for m in candidates if m.suits(process)]
        if not suitable and type(process) not in exceptions:
            raise NoProcessModelFound(
                f"Process '{process.name}' ({type(process).__name__}): none of its models "
                f"({', '.join(m.__name__ for m in candidates)}) can run it with the arguments that it was given."
            )
        model = run_cfg.select(process, suitable or candidates)
    if not (isinstance(model, type) and issubclass(model, AbstractProcessModel)):
        raise ArgumentTypeError(
            f"{type(run_cfg).__name__}.select() returned {model!r} for process '{process.name}': not a ProcessModel."
        )
    if not issubclass(model, (AbstractPyProcessModel, AbstractSubProcessModel)):
        raise CompileError(
            f"Process '{process.name}': {model.__name__} is neither a Python model nor a sub-process model."
        )
    return model


def find_models(process_class: type) -> list[Model]:
    """Return the candidate models of a Process class, in order.

    First those in the module that defines the Process, in definition order, then those in the other
    modules of its package in alphabetical order; only if there are none, any class that says it
    implements the Process. A class that was defined anew under the same name replaces the older one.
    """
    module_name = process_class.__module__
    package = module_name.rpartition(".")[0]
    if package and not package.startswith("lahar.processes"):
        _import_siblings(package, process_class)
    known = [m for m in _subclasses(AbstractProcessModel) if m.implements_process is process_class]
    if not known:
        return []
    order = {id(m): k for k, m in enumerate(known)}

    def reachable(model: Model) -> bool:
        module = sys.modules.get(model.__module__)
        return getattr(module, model.__name__, None) is model

    def position(model: Model) -> tuple[int, str, int]:
        module = sys.modules.get(model.__module__)
        names = list(vars(module)) if module else []
        index = names.index(model.__name__) if model.__name__ in names else order[id(model)]
        return (model.__module__ != module_name, model.__module__, index)

    near = [
        m
        for m in known
        if reachable(m)
        and (m.__module__ == module_name or (package and m.__module__.rpartition(".")[0] == package))
    ]
    if near:
        return sorted(near, key=position)
    newest = {(m.__module__, m.__qualname__): m for m in known}
    return sorted(newest.values(), key=lambda m: order[id(m)])


def _subclasses(base: Model) -> list[Model]:
    found: dict[Model, None] = {}
    stack: list[Model] = [base]
    while stack:
        for child in stack.pop(0).__subclasses__():
            if child not in found:
                found[child] = None
                stack.append(child)
    return list(found)


def _import_siblings(package: str, process_class: type) -> None:
    """Import other modules of a package, once, that may hold models of a Process.

    Only modules whose source mentions the Process by name: importing runs code, and most siblings have
    nothing to do with it.
    """
    if (package, process_class.__name__) in _searched:
        return
    _searched.add((package, process_class.__name__))
    path = getattr(sys.modules.get(package), "__path__", None)
    for info in pkgutil.iter_modules(path, package + ".") if path is not None else ():
        if info.name in sys.modules or info.name.rpartition(".")[2] == "__main__" or info.ispkg:
            continue
        try:
            if _mentions(info, process_class.__name__):
                importlib.import_module(info.name)
        except Exception as error:
            warn(
                f"Looking for ProcessModels of {process_class.__name__}: module {info.name} cannot be imported "
                f"({error!r}); its models are not available."
            )


def _mentions(info: pkgutil.ModuleInfo, name: str) -> bool:
    spec = importlib.util.find_spec(info.name)
    if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
        return True
    with tokenize.open(spec.origin) as source:
        return name in source.read()


def _why_none(process: Any) -> str:
    cls = type(process)
    refused = []
    for base in cls.__mro__[1:]:
        refused += [
            f"{m.__name__} implements {base.__name__}, not {cls.__name__}"
            for m in _subclasses(AbstractProcessModel)
            if m.implements_process is base
        ]
    namesakes = [
        f"{m.__name__} (in {m.__module__}) implements another class of the name {cls.__name__}"
        for m in _subclasses(AbstractProcessModel)
        if m.implements_process is not None
        and m.implements_process is not cls
        and m.implements_process.__name__ == cls.__name__
    ]
    listed = "; ".join(refused + namesakes) or "no imported class comes near"
    return (
        f"No ProcessModel found for process '{process.name}' of class {cls.__module__}.{cls.__qualname__}. Searched: "
        f"module {cls.__module__}, its package, and all imported classes. Candidates refused: {listed}. Write a "
        f"model decorated with @implements(proc={cls.__name__}, protocol=LoihiProtocol) and import it."
    )
