"""A Process with one member of each kind, and what tests of the compiler build networks with."""

from __future__ import annotations

import itertools

import numpy as np

from lahar.processes import (
    AbstractProcess,
    InPort,
    OutPort,
    RefPort,
    SinkRingBuffer,
    SourceRingBuffer,
    Var,
    VarPort,
)
from lahar.processes.model import (
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    PyVarPort,
    implements,
)
from lahar.runtime import Loihi2SimCfg


class Cell(AbstractProcess):
    """One member of each kind."""

    def __init__(self, shape=(2,), **kwargs):
        super().__init__(**kwargs)
        self.i = InPort(shape)
        self.o = OutPort(shape)
        self.r = RefPort(shape)
        self.x = Var(shape, 0)
        self.v = VarPort(self.x)


@implements(proc=Cell, protocol=LoihiProtocol)
class PyCellModel(PyLoihiProcessModel):
    """Adds its input to its state and sends the state."""

    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    r: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    v: PyVarPort = LavaPyType(PyVarPort.VEC_DENSE, float)
    x: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.x += self.i.recv()
        self.o.send(self.x)

    def post_guard(self):
        return bool(self.r.csp_ports)

    def run_post_mgmt(self):
        self.r.write(self.r.read() + 100)


def inline(**kwargs):
    return Loihi2SimCfg(launcher="inline", select_tag="floating_pt", **kwargs)


def local(**kwargs):
    return Loihi2SimCfg(launcher="local", select_tag="floating_pt", **kwargs)


def source(*frames):
    return SourceRingBuffer(data=np.array(frames, float).T, name="source")


def sink(shape=(2,), steps=1):
    return SinkRingBuffer(shape=shape, buffer=steps, name="sink")


def process_names(plan):
    return {p.name for p in plan.processes}


def channel_names(plan):
    return [plan.channel_name(c) for c in plan.channels]


def row(n=4):
    cells = [Cell(name=f"c{k}") for k in range(n)]
    for a, b in itertools.pairwise(cells):
        a.o.connect(b.i)
    return cells


class Pair(AbstractProcess):
    """Two cells in a row."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((2,))
        self.o = OutPort((2,))
        self.r = RefPort((2,))
        self.x = Var((2,), 0)
        self.v = VarPort(self.x)


@implements(proc=Pair, protocol=LoihiProtocol)
class PairModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.first = Cell(name="first")
        self.second = Cell(name="second")
        proc.i.connect(self.first.i)
        self.first.o.connect(self.second.i)
        self.second.o.connect(proc.o)
        self.second.r.connect(proc.r)
        proc.x.alias(self.first.x)


class Nest(AbstractProcess):
    """A pair inside a process, next to a cell."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.i = InPort((2,))
        self.o = OutPort((2,))
        self.x = Var((2,), 0)


@implements(proc=Nest, protocol=LoihiProtocol)
class NestModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.pair = Pair(name="pair")
        self.cell = Cell(name="cell")
        proc.i.connect([self.pair.i, self.cell.i])
        self.pair.o.connect(proc.o)
        self.cell.o.connect(proc.o)
        proc.x.alias(self.pair.x)


def nested():
    src, nest, out = source([1, 2]), Nest(name="nest"), sink(steps=4)
    src.s_out.connect(nest.i)
    nest.o.connect(out.a_in)
    return src, nest, out


class Box(AbstractProcess):
    """One of every kind of port and a Var; does nothing."""

    def __init__(self, shape=(2, 3), **kwargs):
        super().__init__(**kwargs)
        self.i = InPort(shape)
        self.o = OutPort(shape)
        self.r = RefPort(shape)
        self.x = Var(shape, np.arange(np.prod(shape)).reshape(shape))
        self.v = VarPort(self.x)


@implements(proc=Box, protocol=LoihiProtocol)
class PyBoxModel(PyLoihiProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    r: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    v: PyVarPort = LavaPyType(PyVarPort.VEC_DENSE, float)
    x: np.ndarray = LavaPyType(np.ndarray, float)
