"""Processes that send and receive in ways that fill or starve channels."""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.model import LavaPyType, PyInPort, PyLoihiProcessModel, PyOutPort

from .declaring import model_of


class Burst(AbstractProcess):
    """Sends `count` messages in every time step: 0, 1, 2, ... over all steps."""

    def __init__(self, *, count, **kwargs):
        super().__init__(count=count, **kwargs)
        self.out = OutPort((1,))
        self.after = OutPort((1,))


@model_of(Burst)
class PyBurstModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    after = LavaPyType(PyOutPort.VEC_DENSE, int)

    def on_build(self):
        self.number = 0

    def run_spk(self):
        for _ in range(self.proc_params["count"]):
            self.out.send(np.array([self.number]))
            self.number += 1
        self.after.send(np.array([self.number]))


class Sip(AbstractProcess):
    """Takes `before` messages, then one from `late`, then `rest` more, in every time step."""

    def __init__(self, *, before, rest=0, **kwargs):
        super().__init__(before=before, rest=rest, **kwargs)
        self.into = InPort((1,))
        self.late = InPort((1,))
        self.seen = Var((64,), -1)
        self.n = Var((1,), 0)


@model_of(Sip)
class PySipModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    late = LavaPyType(PyInPort.VEC_DENSE, int)
    seen = LavaPyType(np.ndarray, int)
    n = LavaPyType(np.ndarray, int)

    def take(self, count):
        for _ in range(count):
            self.seen[self.n] = self.into.recv()
            self.n += 1

    def run_spk(self):
        self.take(self.proc_params["before"])
        self.late.recv()
        self.take(self.proc_params["rest"])


class ReceiveFirst(AbstractProcess):
    """Receives before it sends: a loop of these cannot begin."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))
        self.got = Var((1,), 0)


@model_of(ReceiveFirst)
class PyReceiveFirstModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    got = LavaPyType(np.ndarray, int)

    def run_spk(self):
        message = self.into.recv()
        self.got += 1
        self.out.send(message)


class Unwinding(AbstractProcess):
    """Member of a ring that notes the time step in which its handler is unwound."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))


@model_of(Unwinding)
class PyUnwindingModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    min_delay = 1

    def run_spk(self):
        self.out.send(np.array([1]))
        received = False
        try:
            self.into.recv()
            received = True
        finally:
            if not received:
                with open(self.proc_params["log"], "w") as log:
                    log.write(str(self.time_step))
