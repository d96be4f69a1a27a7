"""Processes that come to grief where they are told to, in a module of its own so that workers can import it."""

from __future__ import annotations

import os
import resource
import signal
import time

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, RefPort, Var
from lahar.processes.model import (
    CPU,
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    implements,
    requires,
)

EXIT_STATUS = 17
_ROOM = 32 << 20  # bytes that a process may still allocate before its memory is exhausted
_PIECE = 1 << 20


class Fault:
    """What happens to a model: an exception, or something that happens to its OS process.

    Parameters
    ----------
    kind : str
        ``raise``, ``exit``, ``memory``, or the name of a signal.
    log : str
        File to which the moment is written (`time.monotonic`, the same clock in all OS processes).
    """

    def __init__(self, kind, log):
        self.kind, self.log = kind, log

    def __call__(self, model):
        with open(self.log, "a") as log:
            log.write(f"{time.monotonic()}\n")
        if self.kind == "raise":
            raise ArithmeticError(f"{model.process_name} comes to grief")
        if self.kind == "exit":
            os._exit(EXIT_STATUS)
        if self.kind == "memory":
            exhaust_memory()
        os.kill(os.getpid(), signal.Signals[self.kind])


def exhaust_memory():
    with open("/proc/self/statm") as numbers:
        used = int(numbers.read().split()[0]) * resource.getpagesize()
    resource.setrlimit(resource.RLIMIT_AS, (used + _ROOM, resource.RLIM_INFINITY))
    pieces = []
    while True:
        pieces.append(np.ones(_PIECE, np.int8))


class Fragile(AbstractProcess):
    """Sends its state, then receives; without guards, so that workers may run ahead.

    Parameters
    ----------
    faults : dict of (str, int) to Fault
        By phase and time step.
    """

    def __init__(self, *, shape=(2,), faults=None, **kwargs):
        super().__init__(faults=faults or {}, **kwargs)
        self.i = InPort(shape)
        self.o = OutPort(shape)
        self.state = Var(shape, 1)
        self.t = Var((1,), 0)


class Guarded(Fragile):
    """The same with learning and post-management in every `period` steps."""


class Meddler(AbstractProcess):
    """Reads and writes the state of another process in every post-management."""

    def __init__(self, *, shape=(2,), faults=None, **kwargs):
        super().__init__(faults=faults or {}, **kwargs)
        self.target = RefPort(shape)
        self.state = Var(shape, 0)


class Listener(AbstractProcess):
    """Runs freely and adds up what it receives; its faults are in phase ASYNC, by number of messages."""

    def __init__(self, *, shape=(2,), faults=None, **kwargs):
        super().__init__(faults=faults or {}, **kwargs)
        self.i = InPort(shape)
        self.state = Var(shape, 0)
        self.n = Var((1,), 0)


class _Doomed:
    def meet_fate(self, phase, number):
        fault = self.proc_params["faults"].get((phase, number))
        if fault is not None:
            fault(self)


class _RingModel(_Doomed, PyLoihiProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)
    state: np.ndarray = LavaPyType(np.ndarray, int)
    t: np.ndarray = LavaPyType(np.ndarray, int)
    min_delay = 1

    def run_spk(self):
        self.t[:] = self.time_step
        self.meet_fate("SPK", self.time_step)
        self.o.send(self.state)
        self.state[:] = (3 * self.state + self.i.recv() + self.time_step) % 10007


@implements(proc=Fragile, protocol=LoihiProtocol)
@requires(CPU)
class PyFragileModel(_RingModel):
    pass


@implements(proc=Guarded, protocol=LoihiProtocol)
@requires(CPU)
class PyGuardedModel(_RingModel):
    def lrn_guard(self):
        return self.time_step % self.proc_params["period"] == 0

    def post_guard(self):
        return self.time_step % self.proc_params["period"] == 0

    def run_lrn(self):
        self.meet_fate("LRN", self.time_step)
        self.state += 1

    def run_post_mgmt(self):
        self.meet_fate("POST_MGMT", self.time_step)
        self.state += self.time_step


@implements(proc=Meddler, protocol=LoihiProtocol)
@requires(CPU)
class PyMeddlerModel(_Doomed, PyLoihiProcessModel):
    target: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, int)
    state: np.ndarray = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.meet_fate("SPK", self.time_step)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.state[:] = self.target.read()
        self.meet_fate("POST_MGMT", self.time_step)
        self.target.write((self.state + 5) % 10007)


@implements(proc=Listener, protocol=AsyncProtocol)
@requires(CPU)
class PyListenerModel(_Doomed, PyAsyncProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    state: np.ndarray = LavaPyType(np.ndarray, int)
    n: np.ndarray = LavaPyType(np.ndarray, int)

    def run_async(self):
        for _ in range(self.num_steps):
            self.state[:] = (self.state + self.i.recv()) % 10007
            self.n += 1
            self.meet_fate("ASYNC", int(self.n[0]))
