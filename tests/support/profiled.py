"""Processes for the tests of the profiler, in a module of their own so that workers can import it."""

from __future__ import annotations

import time

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
)

WORK = 0.02  # seconds


class Slow(AbstractProcess):
    """Works for `WORK` seconds in every time step before it sends, and has a handler that calls another one."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = OutPort((1,))
        self.learnt = Var((1,), 0)


@implements(proc=Slow, protocol=LoihiProtocol)
@requires(CPU)
class PySlowModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    learnt = LavaPyType(np.ndarray, int)

    def run_spk(self):
        time.sleep(WORK)
        self.out.send(data=np.array([self.time_step]))

    def run_lrn(self):
        self.learnt += 1

    def post_guard(self):
        return self.time_step % 2 == 0

    def run_post_mgmt(self):
        self.run_lrn()


class Patient(AbstractProcess):
    """Waits for what a `Slow` sends; raises in time step `fails_in`."""

    def __init__(self, *, fails_in=0, **kwargs):
        super().__init__(fails_in=fails_in, **kwargs)
        self.into = InPort((1,))


@implements(proc=Patient, protocol=LoihiProtocol)
@requires(CPU)
class PyPatientModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)

    def run_spk(self):
        self.into.recv()
        if self.time_step == self.proc_params["fails_in"]:
            raise ArithmeticError("enough")
