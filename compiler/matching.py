"""Process against model: whether they fit, and what a worker needs to know of them."""

from __future__ import annotations

from typing import Any

import numpy as np

from lahar.processes.errors import CompileError, DtypeError, ShapeError
from lahar.processes.model import (
    LavaPyType,
    PyInPort,
    PyOutPort,
    PyRefPort,
    PyVarPort,
)
from lahar.processes.parameters import assigned_shape
from lahar.processes.ports import ImplicitVarPort
from lahar.processes.process import AbstractProcess
from lahar.processes.var import Var

from .doubts import warn
from .plan import PortSpec, ProcessSpec, VarSpec
from .run_configs import Model

# Microseconds that the scheduler and the ports need for one actor and step.
SCHEDULING_COST = 1.5


def process_spec(process: AbstractProcess, model: Model) -> ProcessSpec:
    """Return what a worker needs to build a Process with its model.

    Raises
    ------
    CompileError, NotImplementedError
        The members of Process and model do not match, or are of kinds that are not there.
    DtypeError, ShapeError
        An initial value does not fit.
    """
    _check_members(process, model)
    return ProcessSpec(
        id=process.id,
        name=process.name,
        class_name=type(process).__name__,
        model=model,
        proc_params=process.proc_params,
        vars=tuple(_var_spec(process, model, var) for var in process.vars),
        in_ports=_port_specs(process.in_ports, model),
        out_ports=_port_specs(process.out_ports, model),
        ref_ports=_port_specs(process.ref_ports, model),
        load=model.step_cost(process) + SCHEDULING_COST,
        recorder=bool(getattr(process, "is_recorder", False)),
    )


def _check_members(process: AbstractProcess, model: Model) -> None:
    """Refuse ports that the model does not declare as what they are, and declarations of nothing."""
    explicit = [p for p in process.var_ports if not isinstance(p, ImplicitVarPort)]
    for kind, ports, base in (
        ("InPort", process.in_ports, PyInPort),
        ("OutPort", process.out_ports, PyOutPort),
        ("RefPort", process.ref_ports, PyRefPort),
        ("VarPort", explicit, PyVarPort),
    ):
        for port in ports:
            declared = _declared(process, model, port.name, kind)
            if (
                not (isinstance(declared.cls, type) and issubclass(declared.cls, base))
                or declared.cls is base
            ):
                raise CompileError(
                    f"{kind} '{port.path}': {model.__name__}.{port.name} is declared as {declared.cls!r}; "
                    f"use LavaPyType({base.__name__}.VEC_DENSE, dtype)."
                )
            if not declared.cls.supported:
                raise NotImplementedError(
                    f"{kind} '{port.path}': {declared.cls.__name__} is not implemented; use {base.__name__}.VEC_DENSE."
                )
    members = {
        m.name for c in (process.in_ports, process.out_ports, process.ref_ports, process.vars) for m in c
    }
    members |= {p.name for p in explicit}
    for name in dir(model):
        if isinstance(getattr(model, name, None), LavaPyType) and name not in members:
            raise CompileError(
                f"{model.__name__}.{name} declares a LavaPyType, but process '{process.name}' "
                f"({type(process).__name__}) has no Var or port '{name}'. Add it to the Process or remove it."
            )


def _declared(process: AbstractProcess, model: Model, name: str, kind: str) -> LavaPyType:
    declared = getattr(model, name, None)
    if not isinstance(declared, LavaPyType):
        problem = "does not have" if declared is None else f"has a {type(declared).__name__} instead of"
        raise CompileError(
            f"{kind} '{process.name}.{name}': {model.__name__} {problem} a LavaPyType named '{name}'. Declare "
            f"it as a class attribute of the model."
        )
    return declared


def _dtype(path: str, model: Model, declared: LavaPyType) -> np.dtype[Any]:
    try:
        dtype: np.dtype[Any] = np.dtype(declared.d_type)
        return dtype
    except TypeError:
        raise DtypeError(
            f"'{path}': {model.__name__} declares the dtype {declared.d_type!r}, which is none."
        ) from None


def _port_specs(ports: Any, model: Model) -> tuple[PortSpec, ...]:
    declared = [(port, getattr(model, port.name)) for port in ports]
    return tuple(PortSpec(p.name, p.shape, d.cls, _dtype(p.path, model, d).str) for p, d in declared)


def _warn_of_nan(where: str, values: np.ndarray) -> None:
    if values.dtype.kind in "fc" and np.isnan(values.sum()) and (count := np.count_nonzero(np.isnan(values))):
        warn(
            f"{where}: {count} of {values.size} initial value(s) are not a number (NaN), and so will be all that is "
            "computed from them."
        )


def _var_spec(process: AbstractProcess, model: Model, var: Var) -> VarSpec:
    declared = _declared(process, model, var.name, "Var")
    if declared.cls is np.ndarray or (
        isinstance(declared.cls, type) and issubclass(declared.cls, np.ndarray)
    ):
        _check_initial_value(process, var, _dtype(f"{process.name}.{var.name}", model, declared))
    elif hasattr(var.init, "tocsr"):
        _warn_of_nan(f"Var '{process.name}.{var.name}'", var.init.tocsr().data)
    return VarSpec(var.id, var.name, var.shape, var.init, declared.cls, declared.d_type, declared.precision)


def _check_initial_value(process: AbstractProcess, var: Var, dtype: np.dtype[Any]) -> None:
    where = f"Var '{process.name}.{var.name}'"
    try:
        value = np.asarray(var.init)
    except (TypeError, ValueError) as error:
        raise DtypeError(f"{where}: the initial value {var.init!r} is no array: {error}.") from None
    if value.dtype.kind not in "biufc" or (value.dtype.kind == "c" and dtype.kind != "c"):
        raise DtypeError(
            f"{where}: an initial value of dtype {value.dtype} cannot become {dtype}, the dtype declared by "
            f"the model: {var.init!r}."
        )
    try:
        np.broadcast_to(value.reshape(assigned_shape(value.shape, len(var.shape))), var.shape)
    except ValueError:
        raise ShapeError(
            f"{where} has shape {var.shape}, but its initial value has shape {value.shape}."
        ) from None
    if dtype.kind in "iu" and not np.can_cast(value.dtype, dtype):
        with np.errstate(invalid="ignore"):
            lossy = value[value.astype(dtype) != value]
        if lossy.size:
            loss = "lose digits" if value.dtype.kind == "f" else "wrap around"
            warn(f"{where}: {lossy.size} initial value(s) {loss} in {dtype}, for example {lossy.flat[0]}.")
    elif dtype.kind in "fc":
        _warn_of_nan(where, value)
