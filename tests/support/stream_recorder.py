"""A process that records what arrives at a sparse port.

In a module of its own, so that workers can import it without the test tools.
"""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, Var
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    implements,
    requires,
)


class StreamRecorder(AbstractProcess):
    """Records length, data and index of each message, the latter two filled up with zeros."""

    def __init__(self, *, shape, steps):
        super().__init__(shape=shape, steps=steps)
        size = int(np.prod(shape))
        self.a_in = InPort(shape)
        self.length = Var((steps,), 0)
        self.data = Var((steps, size), 0)
        self.index = Var((steps, size), 0)


@implements(proc=StreamRecorder, protocol=LoihiProtocol)
@requires(CPU)
class StreamRecorderModel(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_SPARSE, np.int32)
    length: np.ndarray = LavaPyType(np.ndarray, np.int64)
    data: np.ndarray = LavaPyType(np.ndarray, np.int64)
    index: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        data, index = self.a_in.recv()
        row = self.time_step - 1
        self.length[row] = len(data)
        self.data[row, : len(data)] = data
        self.index[row, : len(index)] = index
