"""Actors: ProcessModels built from the Plan, with their ports attached."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from lahar.compiler.plan import Plan, ProcessSpec, VarSpec
from lahar.processes.errors import DtypeError, ShapeError


class Actor:
    """A ProcessModel in a worker.

    Attributes
    ----------
    model : PyLoihiProcessModel
    vars : dict of str to VarSpec
    busy : bool
        Its handler of the present management phase has not returned yet.
    observers : list of callable
        To be called when the handler has returned: readers of one of its Vars go on.
    clusters : list of Cluster
        Which must know when the handler has returned.
    """

    __slots__ = ("busy", "clusters", "model", "name", "number", "observers", "spec", "vars")

    def __init__(self, number: int, spec: ProcessSpec, model: Any) -> None:
        self.number = number
        self.spec = spec
        self.name = spec.name
        self.model = model
        self.vars = {var.name: var for var in spec.vars}
        self.busy = False
        self.observers: list[Any] = []
        self.clusters: list[Any] = []


class BuildError(Exception):
    """A model could not be built; `process` names it, the cause is chained."""

    def __init__(self, process: str) -> None:
        self.process = process
        super().__init__(process)


def build_actors(plan: Plan, part: int) -> list[Actor]:
    """Construct the models of one partition and their Vars; ports are created but not attached.

    Raises
    ------
    BuildError
        A constructor raised.
    """
    actors = []
    for number, (spec, where) in enumerate(zip(plan.processes, plan.partition, strict=True)):
        if where == part:
            try:
                actors.append(Actor(number, spec, _build_model(spec)))
            except (Exception, SystemExit) as error:
                raise BuildError(spec.name) from error
    return actors


def finish(actors: list[Actor]) -> None:
    """Let the models see their Vars and attached ports before the first step."""
    for actor in actors:
        try:
            actor.model.on_build()
        except (Exception, SystemExit) as error:
            raise BuildError(actor.name) from error


def _build_model(spec: ProcessSpec) -> Any:
    model = spec.model(spec.proc_params)
    if not hasattr(model, "_wishes"):
        raise TypeError(f"{type(model).__name__}.__init__ must call super().__init__(proc_params).")
    model.model_id = spec.id
    model.process_name = spec.name
    for port in (*spec.in_ports, *spec.out_ports, *spec.ref_ports):
        instance = port.type_class(f"{spec.name}.{port.name}", port.shape, port.dtype)
        setattr(model, port.name, instance)
        model.py_ports.append(instance)
    for var in spec.vars:
        setattr(model, var.name, _initial_value(spec, var))
        if var.precision is not None:
            setattr(model, f"_{var.name}_p", var.precision)
    return model


def _initial_value(spec: ProcessSpec, var: VarSpec) -> Any:
    declared = var.type_class
    where = f"Var '{spec.name}.{var.name}'"
    if isinstance(declared, type) and issubclass(declared, np.ndarray):
        value = np.zeros(var.shape, var.dtype)
        if np.ndim(var.init) == 0 and var.init == 0:
            return value  # untouched: takes no memory before something is written to it
        with np.errstate(invalid="ignore"), warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            value[...] = np.asarray(var.init)  # an array is cast, a Python number out of range refused
        return value
    if isinstance(declared, type) and issubclass(declared, (int, float, str, np.generic)):
        return var.init.copy() if isinstance(var.init, np.ndarray) else var.init
    if getattr(declared, "__name__", "") in ("csr_matrix", "spmatrix", "SparseMatrix"):
        return _sparse_value(where, var)
    raise DtypeError(
        f"{where}: LavaPyType({declared!r}, ...) is not supported; use np.ndarray, int, float or str."
    )


def _sparse_value(where: str, var: VarSpec) -> Any:
    from scipy.sparse import csr_matrix

    if hasattr(var.init, "tocsr"):
        if var.init.shape != var.shape:
            raise ShapeError(f"{where} has shape {var.shape}; its initial value has shape {var.init.shape}.")
        matrix = var.init.tocsr()
        if matrix.data.any():
            return matrix.copy()
        data = np.zeros(matrix.data.shape, matrix.dtype)  # untouched, as above
        return type(matrix)((data, matrix.indices.copy(), matrix.indptr.copy()), shape=matrix.shape)
    if np.ndim(var.init) == 0:
        return csr_matrix(np.full(var.shape, var.init, var.dtype))
    raise DtypeError(f"{where}: a sparse matrix or a number expected, not {type(var.init).__name__}.")
