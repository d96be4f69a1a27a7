"""Processes against their models: members, kinds and types that must fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix
from support.cells import Cell, PyCellModel, inline

from lahar.compiler import compile  # noqa: A004
from lahar.processes import AbstractProcess, Dense, Sparse
from lahar.processes.errors import CompileError, DtypeError, LaharWarning
from lahar.processes.model import (
    AsyncProtocol,
    LavaPyType,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    PyVarPort,
    implements,
)
from lahar.runtime import Loihi2SimCfg, RunSteps


def compile_with(**declared):
    """Compile a Cell named "it" with a model that differs from PyCellModel in some attributes."""
    model = type("OddModel", (PyCellModel,), {k: v for k, v in declared.items() if v is not ...})
    missing = [k for k, v in declared.items() if v is ...]
    if missing:
        attributes = {
            k: v for k, v in vars(PyCellModel).items() if isinstance(v, LavaPyType) and k not in missing
        }
        model = type("OddModel", (PyLoihiProcessModel,), attributes)
    process = Cell(name="it")
    return compile(process, inline(exception_proc_model_map={process: model}))


@pytest.mark.parametrize(
    ("name", "kind"), [("i", "InPort"), ("o", "OutPort"), ("r", "RefPort"), ("v", "VarPort"), ("x", "Var")]
)
def test_a_member_without_a_declaration_is_named(name, kind):
    with pytest.raises(
        CompileError, match=rf"{kind} 'it\.{name}': OddModel does not have a LavaPyType named '{name}'"
    ):
        compile_with(**{name: ...})
    with pytest.raises(
        CompileError, match=rf"{kind} 'it\.{name}': OddModel has a int instead of a LavaPyType"
    ):
        compile_with(**{name: 3})


def test_a_declaration_without_a_member_is_named():
    with pytest.raises(
        CompileError,
        match=r"OddModel\.extra declares a LavaPyType, but process 'it' \(Cell\) has no Var or port 'extra'",
    ):
        compile_with(extra=LavaPyType(np.ndarray, float))


@pytest.mark.parametrize(
    ("name", "declared", "expected"),
    [
        ("i", PyOutPort.VEC_DENSE, "PyInPort"),
        ("i", PyInPort, "PyInPort"),
        ("i", np.ndarray, "PyInPort"),
        ("i", "PyInPort", "PyInPort"),
        ("o", PyInPort.VEC_DENSE, "PyOutPort"),
        ("r", PyVarPort.VEC_DENSE, "PyRefPort"),
        ("v", PyRefPort.VEC_DENSE, "PyVarPort"),
    ],
)
def test_a_port_declared_as_something_else_is_named(name, declared, expected):
    with pytest.raises(CompileError) as caught:
        compile_with(**{name: LavaPyType(declared, float)})
    text = str(caught.value)
    assert f"'it.{name}': OddModel.{name} is declared as" in text
    assert f"use LavaPyType({expected}.VEC_DENSE, dtype)" in text


@pytest.mark.parametrize(
    ("name", "variant"),
    [
        *((name, variant) for name in "iorv" for variant in ("SCALAR_DENSE", "SCALAR_SPARSE")),
        ("r", "VEC_SPARSE"),
        ("v", "VEC_SPARSE"),
    ],
)
def test_port_classes_that_are_not_implemented_are_refused(name, variant):
    base = {"i": PyInPort, "o": PyOutPort, "r": PyRefPort, "v": PyVarPort}[name]
    declared = getattr(base, variant)
    with pytest.raises(
        NotImplementedError, match=rf"'it\.{name}': {declared.__name__} is not implemented; use"
    ):
        compile_with(**{name: LavaPyType(declared, float)})


@pytest.mark.parametrize("name", ["i", "o", "r", "x"])
@pytest.mark.parametrize("dtype", ["nonsense", object(), 3])
def test_a_dtype_that_is_none_is_named(name, dtype):
    cls = {"i": PyInPort.VEC_DENSE, "o": PyOutPort.VEC_DENSE, "r": PyRefPort.VEC_DENSE, "x": np.ndarray}[name]
    with pytest.raises(DtypeError, match=rf"'it\.{name}'.*OddModel"):
        compile_with(**{name: LavaPyType(cls, dtype)})


def test_a_var_of_a_type_that_is_not_supported_is_named():
    process = Cell(name="it")
    model = type("OddModel", (PyCellModel,), {"x": LavaPyType(dict, float)})
    with pytest.raises(
        Exception, match=r"Var 'it\.x': LavaPyType\(<class 'dict'>, \.\.\.\) is not supported"
    ):
        process.run(RunSteps(1), inline(exception_proc_model_map={process: model}))


class Forgetful(PyCellModel):
    def __init__(self, proc_params):
        pass


def test_a_model_that_forgets_the_base_constructor_is_told():
    process = Cell(name="it")
    with pytest.raises(Exception, match=r"Forgetful\.__init__ must call super\(\)\.__init__\(proc_params\)"):
        process.run(RunSteps(1), inline(exception_proc_model_map={process: Forgetful}))


class Free(AbstractProcess):
    pass


@implements(proc=Free, protocol=AsyncProtocol)
class FreeModel(PyAsyncProcessModel):
    def run_async(self):
        pass


def test_asynchronous_models_are_in_a_domain_without_steps():
    plan = compile(Free(name="it"), inline())
    assert [(d.name, d.is_async) for d in plan.domains] == [("AsyncProtocol_SyncDomain", True)]
    assert plan.domain == [0]


@pytest.mark.parametrize("sparse", [False, True])
def test_initial_values_that_are_no_numbers_are_warned_of(sparse):
    weights = np.array([[1.0, np.nan], [np.nan, 2.0]])
    synapses = Sparse(weights=csr_matrix(weights)) if sparse else Dense(weights=weights)
    with pytest.warns(LaharWarning, match=r"weights': 2 of 4 initial value\(s\) are not a number \(NaN\)"):
        compile(synapses, Loihi2SimCfg(select_tag="floating_pt"))
