"""Neural state machine of prototype learning: Readout labels what was recognised, Allocator hands out ids."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import LaharWarning
from .model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
    tag,
)
from .parameters import as_integer, bounded_integer, given, state_var
from .ports import InPort, OutPort
from .process import AbstractProcess
from .var import Var


class Readout(AbstractProcess):
    """Names the prototype that has spiked, and learns its label from the user (fixed point only).

    In every time step, with w the winner so far (`last_winner_id`)::

        out = feedback = trigger = 0
        if any inference_in != 0:
            w = index of the first one
            if proto_labels[w] == 0:  proto_labels[w] = -(w + 1)       # a pseudo label
            out = proto_labels[w]
        if label_in != 0 (the label):
            if proto_labels[w] > 0:    feedback = 1 if it equals the label, else -1 and trigger = 1
            elif proto_labels[w] < 0:  proto_labels[w] = out = label
        send out, feedback, trigger

    Hajizada et al., "Interactive continual learning for robots: a neuromorphic approach" (2022).

    Parameters
    ----------
    n_protos : int
        Number of prototypes, n.
    proto_labels : array_like of int, optional
        Labels at first, broadcast to (n,): positive, or 0 for none.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    inference_in : InPort, shape (n,)
        Spikes of the prototypes.
    label_in : InPort, shape (1,)
        Label given by the user; 0 for none.
    user_output, feedback, trigger_alloc : OutPort, shape (1,), int32
    proto_labels : Var, shape (n,), int32
    last_winner_id : Var, shape (1,), int32
        Index of the prototype that spiked last.

    Raises
    ------
    ArgumentTypeError
        `n_protos` is no integer, or the labels are no numbers.
    ValidationError
        `n_protos` is less than 1.
    ShapeError
        `proto_labels` does not broadcast to (n,).

    Examples
    --------
    >>> from lahar.processes import Readout, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> spikes = SourceRingBuffer(data=[[0, 0, 0], [0, 1, 1]])
    >>> labels, sink = SourceRingBuffer(data=[[0, 0, 7]]), SinkRingBuffer(shape=(1,), buffer=3)
    >>> readout = Readout(n_protos=2)
    >>> spikes.s_out.connect(readout.inference_in)
    >>> labels.s_out.connect(readout.label_in)
    >>> readout.user_output.connect(sink.a_in)
    >>> with readout:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     readout.run(condition=RunSteps(num_steps=3), run_cfg=run_cfg)
    ...     print(sink.data.get(), readout.proto_labels.get())
    [[ 0 -2  7]] [0 7]
    """

    def __init__(
        self,
        *,
        n_protos: int,
        proto_labels: Any = None,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        n_protos = bounded_integer(n_protos, "Readout.n_protos", 1)
        super().__init__(
            n_protos=n_protos, proto_labels=proto_labels, **given(name=name, log_config=log_config)
        )
        self.inference_in = InPort(shape=(n_protos,))
        self.label_in = InPort(shape=(1,))
        self.user_output = OutPort(shape=(1,))
        self.feedback = OutPort(shape=(1,))
        self.trigger_alloc = OutPort(shape=(1,))
        self.proto_labels = state_var(
            self, (n_protos,), "proto_labels", 0 if proto_labels is None else proto_labels
        )
        self.last_winner_id = Var(shape=(1,), init=0)


class Allocator(AbstractProcess):
    """Sends the next id, counting up, whenever it is triggered (fixed point only).

    In every time step::

        where trigger_in != 0:  allocate_out = next_alloc_id;  next_alloc_id = next_alloc_id + 1
        otherwise:              allocate_out = 0

    Ids go on beyond `n_protos`, with a warning.

    Hajizada et al., "Interactive continual learning for robots: a neuromorphic approach" (2022).

    Parameters
    ----------
    n_protos : int
        Number of ids that there is a prototype for.
    next_alloc_id : int
        First id.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    trigger_in : InPort, shape (1,)
    allocate_out : OutPort, shape (1,), int32
    next_alloc_id, n_protos : Var, shape (1,), int32

    Raises
    ------
    ArgumentTypeError
        An argument is no integer.
    ValidationError
        `n_protos` is less than 1.

    Examples
    --------
    >>> from lahar.processes import Allocator, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[0, 1, 0, 1]]), SinkRingBuffer(shape=(1,), buffer=4)
    >>> allocator = Allocator(n_protos=3)
    >>> source.s_out.connect(allocator.trigger_in)
    >>> allocator.allocate_out.connect(sink.a_in)
    >>> with allocator:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     allocator.run(condition=RunSteps(num_steps=4), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[0 1 0 2]]
    """

    def __init__(
        self,
        *,
        n_protos: int,
        next_alloc_id: int = 1,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(**given(name=name, log_config=log_config))
        self.trigger_in = InPort(shape=(1,))
        self.allocate_out = OutPort(shape=(1,))
        self.next_alloc_id = Var(shape=(1,), init=as_integer(next_alloc_id, "Allocator.next_alloc_id"))
        self.n_protos = Var(shape=(1,), init=bounded_integer(n_protos, "Allocator.n_protos", 1))


@implements(proc=Readout, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyReadoutModel(PyLoihiProcessModel):
    """Fixed-point Readout."""

    inference_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    label_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    user_output: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    feedback: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    trigger_alloc: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    proto_labels: np.ndarray = LavaPyType(np.ndarray, np.int32)
    last_winner_id: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        output = feedback = trigger = 0
        labels = self.proto_labels
        winners = self.inference_in.recv().nonzero()[0]
        label = self.label_in.recv()[0]
        if winners.size:
            winner = self.last_winner_id[0] = winners[0]
            if labels[winner] == 0:
                labels[winner] = -(winner + 1)
            output = labels[winner]
        if label != 0:
            winner = self.last_winner_id[0]
            if labels[winner] > 0:
                right = labels[winner] == label
                feedback, trigger = (1, 0) if right else (-1, 1)
            elif labels[winner] < 0:
                output = labels[winner] = label
        self.user_output.send(np.array([output]))
        self.feedback.send(np.array([feedback]))
        self.trigger_alloc.send(np.array([trigger]))


@implements(proc=Allocator, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyAllocatorModel(PyLoihiProcessModel):
    """Fixed-point Allocator."""

    trigger_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    allocate_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    next_alloc_id: np.ndarray = LavaPyType(np.ndarray, np.int32)
    n_protos: np.ndarray = LavaPyType(np.ndarray, np.int32)

    _warned = False

    def run_spk(self) -> None:
        if self.trigger_in.recv()[0] == 0:
            self.allocate_out.send(np.zeros(1, np.int32))
            return
        if self.next_alloc_id[0] > self.n_protos[0] and not self._warned:
            self._warned = True
            warnings.warn(
                f"Allocator '{self.process_name}': all {self.n_protos[0]} prototypes are taken; it goes on with "
                f"the id {self.next_alloc_id[0]} (time step {self.time_step}).",
                LaharWarning,
                stacklevel=2,
            )
        self.allocate_out.send(self.next_alloc_id)
        self.next_alloc_id += 1
