"""User-defined nodes of random networks: simple arithmetic in all phases, and a count of every call.

In a module of its own, so that workers can import it without the test tools.
"""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, RefPort, Var
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    implements,
    requires,
    tag,
)

LIMIT = 2**20  # bound of every state, so that loops do not overflow
LINE = 3  # time steps of delay of a DelayLine


class Node(AbstractProcess):
    """One input, one output and a state; `lrn`, `post` and `pre` are the periods of the guards, 0: never."""

    def __init__(self, *, shape, pre=0, lrn=0, post=0, **kwargs):
        super().__init__(pre=pre, lrn=lrn, post=post, **kwargs)
        self.i = InPort(shape)
        self.o = OutPort(shape)
        self.state = Var(shape, 0)
        self.calls = Var((4,), 0)


class Relay(Node):
    """Receives, accumulates, sends the sum."""


class Steward(Node):
    """A Relay that also takes part in pre-management."""


class Echo(Node):
    """Sends its state, then receives."""


class DelayLine(Node):
    """Sends what it received three time steps ago, then receives."""

    def __init__(self, *, shape, **kwargs):
        super().__init__(shape=shape, **kwargs)
        self.line = Var((LINE, *shape), 0)


class Regulator(AbstractProcess):
    """Reads a Var of another process and writes it, in the post-management of every `post` steps."""

    def __init__(self, *, shape, post=1, **kwargs):
        super().__init__(post=post, **kwargs)
        self.target = RefPort(shape)
        self.seen = Var(shape, 0)
        self.calls = Var((4,), 0)


# --- models ---------------------------------------------------------------------------------


class CountingModel(PyLoihiProcessModel):
    """Counts calls by phase."""

    calls: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def count(self):
        self.calls[self.phase - 1] += 1

    def is_due(self, phase):
        period = self.proc_params[phase]
        return period > 0 and self.time_step % period == 0


class NodeModel(CountingModel):
    """Handlers whose order can be seen in the state."""

    def fade(self):
        raise NotImplementedError

    def change(self, value):
        self.state = np.clip(value, -LIMIT, LIMIT)

    def absorb(self):
        self.change(self.fade() + self.i.recv())

    def lrn_guard(self):
        return self.is_due("lrn")

    def run_lrn(self):
        self.count()
        self.change(3 * self.state - self.time_step)

    def post_guard(self):
        return self.is_due("post")

    def run_post_mgmt(self):
        self.count()
        self.change(self.fade() + self.calls[0])


class FloatNode(NodeModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    state: np.ndarray = LavaPyType(np.ndarray, float)

    def fade(self):
        return 0.7 * self.state


class FixedNode(NodeModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    state: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def fade(self):
        return self.state // 2


class ReceivesFirst(NodeModel):
    def run_spk(self):
        self.count()
        self.absorb()
        self.o.send(self.state)


class SendsFirst(NodeModel):
    def run_spk(self):
        self.count()
        self.o.send(self.state)
        self.absorb()


class Delays(NodeModel):
    min_delay = LINE

    def run_spk(self):
        self.count()
        slot = self.line[(self.time_step - 1) % LINE]
        self.o.send(slot)
        self.absorb()
        slot[...] = self.state


class ManagesFirst(ReceivesFirst):
    def pre_guard(self):
        return self.is_due("pre")

    def run_pre_mgmt(self):
        self.count()
        self.change(self.time_step - self.state)


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatRelay(ReceivesFirst, FloatNode):
    pass


@implements(proc=Relay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedRelay(ReceivesFirst, FixedNode):
    pass


@implements(proc=Steward, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatSteward(ManagesFirst, FloatNode):
    pass


@implements(proc=Steward, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedSteward(ManagesFirst, FixedNode):
    pass


@implements(proc=Echo, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatEcho(SendsFirst, FloatNode):
    pass


@implements(proc=Echo, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedEcho(SendsFirst, FixedNode):
    pass


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatDelayLine(Delays, FloatNode):
    line: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=DelayLine, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedDelayLine(Delays, FixedNode):
    line: np.ndarray = LavaPyType(np.ndarray, np.int32)


class RegulatorModel(CountingModel):
    def run_spk(self):
        self.count()

    def post_guard(self):
        return self.is_due("post")

    def run_post_mgmt(self):
        self.count()
        self.seen[...] = self.target.read()
        self.target.write(self.seen - self.seen // 2 + self.time_step)


@implements(proc=Regulator, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatRegulator(RegulatorModel):
    target: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    seen: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=Regulator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedRegulator(RegulatorModel):
    target: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    seen: np.ndarray = LavaPyType(np.ndarray, np.int32)
