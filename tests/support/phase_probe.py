"""A process that records which handlers ran when: shows the order of phases and the effect of guards."""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    Phase,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
)


class PhaseProbe(AbstractProcess):
    """Writes (phase, time step) into a row of `trace` in every handler.

    Parameters
    ----------
    pre, lrn, post : int
        Period of the guard of each phase; 0: never.
    pause : list of int, optional
        Phase and time step in which to ask for a pause.
    rows : int
    """

    def __init__(self, *, pre=0, lrn=0, post=0, pause=None, rows=96, **kwargs):
        super().__init__(pre=pre, lrn=lrn, post=post, pause=pause, **kwargs)
        self.i = InPort((1,))
        self.o = OutPort((1,))
        self.trace = Var((rows, 2), -1)
        self.n = Var((1,), 0)
        self.total = Var((1,), 0)


@implements(proc=PhaseProbe, protocol=LoihiProtocol)
@requires(CPU)
class PyPhaseProbeModel(PyLoihiProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)
    trace: np.ndarray = LavaPyType(np.ndarray, int)
    n: np.ndarray = LavaPyType(np.ndarray, int)
    total: np.ndarray = LavaPyType(np.ndarray, int)
    min_delay = 1

    def record(self, phase):
        moment = [int(phase), self.time_step]
        self.trace[self.n[0]] = moment
        self.n += 1
        if moment == self.proc_params["pause"]:
            self._req_pause = True

    def is_due(self, phase):
        period = self.proc_params[phase]
        return period > 0 and self.time_step % period == 0

    def run_spk(self):
        self.record(Phase.SPK)
        self.o.send(self.time_step + self.total)
        self.total += self.i.recv()

    def pre_guard(self):
        return self.is_due("pre")

    def run_pre_mgmt(self):
        self.record(Phase.PRE_MGMT)

    def lrn_guard(self):
        return self.is_due("lrn")

    def run_lrn(self):
        self.record(Phase.LRN)

    def post_guard(self):
        return self.is_due("post")

    def run_post_mgmt(self):
        self.record(Phase.POST_MGMT)
