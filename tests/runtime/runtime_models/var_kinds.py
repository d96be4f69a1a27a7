"""Vars of every kind."""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, Var
from lahar.processes.model import LavaPyType, PyLoihiProcessModel

from .declaring import model_of


class Shelf(AbstractProcess):
    """Holds Vars of many kinds and does nothing with them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ints = Var((2, 3), np.arange(6).reshape(2, 3))
        self.small = Var((4,), 7)
        self.floats = Var((3,), 0.5)
        self.bools = Var((3,), False)
        self.complexes = Var((2,), 1 + 2j)
        self.fortran = Var((2, 3), np.arange(6.0).reshape(2, 3))
        self.strided = Var((3,), np.arange(3))
        self.number = Var((1,), 3)
        self.real = Var((1,), 2.5)
        self.flag = Var((1,), True)
        self.text = Var((1,), "abc")
        self.guarded = Var((2,), 1)
        self.updates = Var((1,), 0)
        self.steps = Var((1,), 0)


@model_of(Shelf)
class PyShelfModel(PyLoihiProcessModel):
    ints = LavaPyType(np.ndarray, np.int64)
    small = LavaPyType(np.ndarray, np.int8)
    floats = LavaPyType(np.ndarray, np.float32)
    bools = LavaPyType(np.ndarray, bool)
    complexes = LavaPyType(np.ndarray, complex)
    fortran = LavaPyType(np.ndarray, float)
    strided = LavaPyType(np.ndarray, int)
    number = LavaPyType(int, int)
    real = LavaPyType(float, float)
    flag = LavaPyType(bool, bool)
    text = LavaPyType(str, str)
    guarded = LavaPyType(np.ndarray, int)
    updates = LavaPyType(np.ndarray, int)
    steps = LavaPyType(np.ndarray, int)

    def on_build(self):
        self.fortran = np.asfortranarray(self.fortran)
        self.strided = np.repeat(self.strided, 2)[::2]

    def on_var_update(self):
        if (self.guarded < 0).any():
            raise OverflowError("guarded must not be negative")
        self.updates += 1

    def run_spk(self):
        self.steps += 1
        assert type(self.number) is int
        assert type(self.real) is float
        assert type(self.flag) is bool
        assert self.fortran.flags.f_contiguous


class Loose(AbstractProcess):
    """Its model puts something into a Var that cannot be read."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a_good = Var((1,), 4)
        self.odd = Var((1,), 0)
        self.z_good = Var((1,), 5)


@model_of(Loose)
class PyLooseModel(PyLoihiProcessModel):
    a_good = LavaPyType(np.ndarray, int)
    odd = LavaPyType(np.ndarray, int)
    z_good = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.odd = object()
