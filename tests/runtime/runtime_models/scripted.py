"""Processes that do what a script says, in rings."""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.model import LavaPyType, Phase, PyInPort, PyLoihiProcessModel, PyOutPort

from .declaring import model_of


class Scripted(AbstractProcess):
    """Member of a ring that obeys a script.

    Parameters
    ----------
    script : dict of (str, int) to callable
        Phase name and time step -> function of the model, called in the handler (or in the guard, for
        names such as ``"lrn_guard"``; in the constructor for ``("build", 0)``).
    guards : str
        Which of the phases ``pre``, ``lrn`` and ``post`` take place, in every step.
    """

    def __init__(self, *, script=None, guards="", **kwargs):
        super().__init__(script=script or {}, guards=guards.split(), **kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))
        self.t = Var((1,), 0)
        self.x = Var((1,), 1)
        self.trace = Var((64, 2), 0)


class ScriptedBase(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    x = LavaPyType(np.ndarray, int)
    trace = LavaPyType(np.ndarray, int)
    min_delay = 1

    def __init__(self, proc_params=None):
        super().__init__(proc_params)
        self.entries = 0
        self.act("build", 0)

    def on_build(self):
        self.act("on_build", 0)

    def act(self, when, step):
        action = self.proc_params["script"].get((when, step))
        if action is not None:
            action(self)

    def handle(self, phase):
        if self.entries < len(self.trace):
            self.trace[self.entries] = phase, self.time_step
            self.entries += 1
        self.act(phase.name, self.time_step)

    def guard(self, phase):
        self.act(f"{phase}_guard", self.time_step)
        return phase in self.proc_params["guards"]

    def run_spk(self):
        self.t[:] = self.time_step
        self.handle(Phase.SPK)
        self.out.send(self.x)
        self.x[:] = (3 * self.x + self.into.recv() + 1) % 10007

    def pre_guard(self):
        return self.guard("pre")

    def run_pre_mgmt(self):
        self.handle(Phase.PRE_MGMT)

    def lrn_guard(self):
        return self.guard("lrn")

    def run_lrn(self):
        self.handle(Phase.LRN)

    def post_guard(self):
        return self.guard("post")

    def run_post_mgmt(self):
        self.handle(Phase.POST_MGMT)


@model_of(Scripted)
class PyScriptedModel(ScriptedBase):
    pass


class Plain(AbstractProcess):
    """Member of a ring without any guard, so that the compiler lets it run ahead."""

    def __init__(self, *, script=None, **kwargs):
        super().__init__(script=script or {}, **kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))
        self.t = Var((1,), 0)
        self.x = Var((1,), 1)


@model_of(Plain)
class PyPlainModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    x = LavaPyType(np.ndarray, int)
    min_delay = 1

    def run_spk(self):
        self.t[:] = self.time_step
        action = self.proc_params["script"].get(("SPK", self.time_step))
        if action is not None:
            action(self)
        self.out.send(self.x)
        self.x[:] = (3 * self.x + self.into.recv() + 1) % 10007


class Asking(Scripted):
    """A scripted process that may ask for pause and stop; its idle ports only join networks."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.idle = OutPort((1,))
        self.idle_in = InPort((1,))


@model_of(Asking)
class PyAskingModel(ScriptedBase):
    idle = LavaPyType(PyOutPort.VEC_DENSE, int)
    idle_in = LavaPyType(PyInPort.VEC_DENSE, int)

    def ask_pause(self):
        self._req_pause = True

    def ask_stop(self):
        self._req_stop = True

    def ask_both(self):
        self.ask_pause()
        self.ask_stop()

    def change_mind(self):
        self._req_pause = True
        self._req_pause = False


def ring(*members):
    """Connect processes into a ring, and return them."""
    for k, member in enumerate(members):
        member.out.connect(members[(k + 1) % len(members)].into)
    return members
