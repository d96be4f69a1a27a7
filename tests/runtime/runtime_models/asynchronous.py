"""Asynchronous processes, and processes with time steps to go with them."""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.model import LavaPyType, PyAsyncProcessModel, PyInPort, PyLoihiProcessModel, PyOutPort

from .declaring import free_model_of, model_of


class Maker(AbstractProcess):
    """Sends `first` + 0, 1, ... until it has sent `count` (None: num_steps) messages in a run."""

    def __init__(self, *, count=None, shape=(1,), **kwargs):
        super().__init__(count=count, shape=shape, **kwargs)
        self.out = OutPort(shape)
        self.sent = Var((1,), 0)
        self.runs = Var((1,), 0)


@free_model_of(Maker)
class PyMakerModel(PyAsyncProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    sent = LavaPyType(np.ndarray, int)
    runs = LavaPyType(np.ndarray, int)

    def run_async(self):
        self.runs += 1
        count = self.proc_params["count"]
        for _ in range(self.num_steps if count is None else count):
            if self.check_for_stop_cmd() or self.check_for_pause_cmd():
                return
            self.out.send(np.full(self.out.shape, self.sent[0]))
            self.sent += 1


class Taker(AbstractProcess):
    """Receives `count` (None: num_steps) messages in a run, without ever looking for commands."""

    def __init__(self, *, count=None, shape=(1,), **kwargs):
        super().__init__(count=count, shape=shape, **kwargs)
        self.into = InPort(shape)
        self.other = InPort(shape)  # only joins networks
        self.got = Var((128,), -1)
        self.n = Var((1,), 0)
        self.runs = Var((1,), 0)


@free_model_of(Taker)
class PyTakerModel(PyAsyncProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    other = LavaPyType(PyInPort.VEC_DENSE, int)
    got = LavaPyType(np.ndarray, int)
    n = LavaPyType(np.ndarray, int)
    runs = LavaPyType(np.ndarray, int)

    def run_async(self):
        self.runs += 1
        count = self.proc_params["count"]
        for _ in range(self.num_steps if count is None else count):
            value = self.into.recv()
            self.got[self.n[0] % 128] = value[0]
            self.n += 1


class Polling(AbstractProcess):
    """Computes until it is told to pause or stop; `polls` False: for ever."""

    def __init__(self, *, polls=True, **kwargs):
        super().__init__(polls=polls, **kwargs)
        self.out = OutPort((1,))
        self.turns = Var((1,), 0)
        self.told = Var((2,), 0)


@free_model_of(Polling)
class PyPollingModel(PyAsyncProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    turns = LavaPyType(np.ndarray, int)
    told = LavaPyType(np.ndarray, int)

    def run_async(self):
        while True:
            self.turns += 1
            if not self.proc_params["polls"]:
                continue
            if self.check_for_pause_cmd():
                self.told[0] += 1
                return
            if self.check_for_stop_cmd():
                self.told[1] += 1
                return


class Failing(AbstractProcess):
    """Raises in run_async; or asks for something and returns."""

    def __init__(self, *, ask="", **kwargs):
        super().__init__(ask=ask, **kwargs)
        self.out = OutPort((1,))
        self.also = OutPort((1,))
        self.runs = Var((1,), 0)


@free_model_of(Failing)
class PyFailingModel(PyAsyncProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    also = LavaPyType(PyOutPort.VEC_DENSE, int)
    runs = LavaPyType(np.ndarray, int)

    def run_async(self):
        self.runs += 1
        ask = self.proc_params["ask"]
        if not ask:
            raise ZeroDivisionError(f"{self.process_name} fails on purpose")
        if "pause" in ask:
            self._req_pause = True
        if "stop" in ask:
            self._req_stop = True


class Player(AbstractProcess):
    """Receives, then sends."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))


@free_model_of(Player)
class PyPlayerModel(PyAsyncProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)

    def run_async(self):
        for _ in range(self.num_steps):
            self.out.send(self.into.recv() + 1)


class Hop(AbstractProcess):
    """Loihi process: receives and sends on in every time step."""

    def __init__(self, *, shape=(1,), **kwargs):
        super().__init__(**kwargs)
        self.into = InPort(shape)
        self.out = OutPort(shape)
        self.t = Var((1,), 0)


@model_of(Hop)
class PyHopModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        self.out.send(self.into.recv())


class Clock(AbstractProcess):
    """Loihi process on its own that counts time steps, and may ask for a pause in one of them."""

    def __init__(self, *, ask="", at=3, **kwargs):
        super().__init__(ask=ask, at=at, **kwargs)
        self.out = OutPort((1,))
        self.t = Var((1,), 0)


@model_of(Clock)
class PyClockModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        if self.time_step == self.proc_params["at"]:
            if self.proc_params["ask"] == "pause":
                self._req_pause = True
            elif self.proc_params["ask"] == "stop":
                self._req_stop = True
