"""User-defined processes that number their messages, and write down those that arrive.

In a module of its own, so that workers can import it without the test tools.
"""

from __future__ import annotations

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


class Burst(AbstractProcess):
    """Sends `burst` messages per time step: 1, 2, 3, ..."""

    def __init__(self, *, burst=1, **kwargs):
        super().__init__(**kwargs)
        self.o = OutPort((1,))
        self.burst = Var((1,), burst)
        self.sent = Var((1,), 0)


class Pipe(AbstractProcess):
    """Passes `burst` messages per time step on unchanged."""

    def __init__(self, *, burst=1, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((1,))
        self.o = OutPort((1,))
        self.burst = Var((1,), burst)


class Log(AbstractProcess):
    """Writes down the `burst` messages per time step that it takes from step ``lag + 1`` on."""

    def __init__(self, *, burst=1, lag=0, rows=256, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((1,))
        self.burst = Var((1,), burst)
        self.lag = Var((1,), lag)
        self.taken = Var((1,), 0)
        self.log = Var((rows,), -1)


# --- models ---------------------------------------------------------------------------------


class MessageModel(PyLoihiProcessModel):
    burst: np.ndarray = LavaPyType(np.ndarray, np.int64)


@implements(proc=Burst, protocol=LoihiProtocol)
@requires(CPU)
class BurstModel(MessageModel):
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)
    sent: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        for _ in range(self.burst[0]):
            self.sent += 1
            self.o.send(self.sent)


@implements(proc=Pipe, protocol=LoihiProtocol)
@requires(CPU)
class PipeModel(MessageModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64)

    def run_spk(self):
        for _ in range(self.burst[0]):
            self.o.send(self.i.recv())


@implements(proc=Log, protocol=LoihiProtocol)
@requires(CPU)
class LogModel(MessageModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int64)
    lag: np.ndarray = LavaPyType(np.ndarray, np.int64)
    taken: np.ndarray = LavaPyType(np.ndarray, np.int64)
    log: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        if self.time_step > self.lag[0]:
            for _ in range(self.burst[0]):
                self.log[self.taken[0]] = self.i.recv()[0]
                self.taken += 1
