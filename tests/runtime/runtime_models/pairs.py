"""A feed-forward pair."""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.model import LavaPyType, PyInPort, PyLoihiProcessModel, PyOutPort

from .declaring import model_of


class Ramp(AbstractProcess):
    """Sends `gain` * time step."""

    def __init__(self, *, shape=(2,), gain=1, **kwargs):
        super().__init__(shape=shape, **kwargs)
        self.out = OutPort(shape)
        self.t = Var((1,), 0)
        self.gain = Var((1,), gain)


@model_of(Ramp)
class PyRampModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    gain = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        self.out.send(np.full(self.out.shape, self.gain[0] * self.time_step))


class Total(AbstractProcess):
    """Adds up what it receives."""

    def __init__(self, *, shape=(2,), **kwargs):
        super().__init__(shape=shape, **kwargs)
        self.into = InPort(shape)
        self.t = Var((1,), 0)
        self.total = Var(shape, 0)


@model_of(Total)
class PyTotalModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    total = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        self.total += self.into.recv()


def pair(**kwargs):
    """Return a connected Ramp and Total."""
    ramp, total = Ramp(name="ramp", **kwargs), Total(name="total")
    ramp.out.connect(total.into)
    return ramp, total
