"""Neurons that take part in learning: what they exchange with a three-factor connection.

A two-factor rule needs only the spikes of the postsynaptic neuron. For a three-factor rule the neuron also
computes the postsynaptic traces, from its spikes and from a third factor such as a reward, and sends them to
the connection. How it does so is up to the model's author, who combines the classes of this module with
those of a neuron.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..errors import ArgumentTypeError
from ..model import LavaPyType, PyInPort, PyLoihiProcessModel, PyOutPort
from ..ports import InPort, OutPort
from ..var import Var
from .rule import LoihiLearningRule


class LearningNeuronProcess:
    """Mix-in that gives a neuron Process the ports and Vars of a learning neuron.

    It is no Process itself: put it in front of one, as in
    ``class LearningLIF(LearningNeuronProcess, AbstractLIF)``. Shape and rule become `proc_params`.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    learning_rule : LoihiLearningRule or None
        Rule of the connection that this neuron serves, for the model to look up parameters.
    *args, **kwargs
        Handed to the next class.

    Attributes
    ----------
    a_third_factor_in : InPort, shape (S[0],)
    s_out_bap : OutPort, shape (S[0],)
        Back-propagating action potentials.
    s_out_y1, s_out_y2, s_out_y3 : OutPort, shape (S[0],)
        Postsynaptic traces.
    y1, y2, y3 : Var, shape S
        0 at first.

    Raises
    ------
    ArgumentTypeError
        `learning_rule` is neither a rule nor None, or `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import LIF, LearningNeuronProcess
    >>> class RewardedLIF(LearningNeuronProcess, LIF):
    ...     '''A model of it decides what its learning ports send.'''
    >>> neurons = RewardedLIF(shape=(3,), learning_rule=None, vth=20)
    >>> print([port.name for port in neurons.out_ports])
    ['s_out', 's_out_bap', 's_out_y1', 's_out_y2', 's_out_y3']
    """

    def __init__(
        self, shape: tuple[int, ...], learning_rule: LoihiLearningRule | None, *args: Any, **kwargs: Any
    ) -> None:
        if learning_rule is not None and not isinstance(learning_rule, LoihiLearningRule):
            raise ArgumentTypeError(
                f"{type(self).__name__}.learning_rule: expected a learning rule such as RewardModulatedSTDP or "
                f"None, not {type(learning_rule).__name__}."
            )
        self.y1 = Var(shape=shape, init=0)
        self.y2 = Var(shape=shape, init=0)
        self.y3 = Var(shape=shape, init=0)
        row = shape[:1]
        self.a_third_factor_in = InPort(shape=row)
        self.s_out_bap = OutPort(shape=row)
        self.s_out_y1 = OutPort(shape=row)
        self.s_out_y2 = OutPort(shape=row)
        self.s_out_y3 = OutPort(shape=row)
        super().__init__(*args, shape=shape, learning_rule=learning_rule, **kwargs)


class LearningNeuronModel(PyLoihiProcessModel):
    """Base of models of learning neurons; has no behaviour.

    Subclasses derive from one of the two classes below and from a neuron model, and in every time step
    receive `a_third_factor_in` and send `s_out_bap`, `s_out_y1`, `s_out_y2` and `s_out_y3`.

    Attributes
    ----------
    _shape : tuple of int
    _learning_rule : LoihiLearningRule or None
    """

    s_out_bap: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._shape: tuple[int, ...] = self.proc_params["shape"]
        self._learning_rule: LoihiLearningRule | None = self.proc_params["learning_rule"]


class LearningNeuronModelFloat(LearningNeuronModel):
    """Types of a learning neuron in floating point.

    Examples
    --------
    A neuron that passes a reward on as y2, for a three-factor rule:

    >>> from lahar.processes import LIF, LearningNeuronProcess, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.processes.learning.neuron import LearningNeuronModelFloat
    >>> from lahar.processes.lif import PyLifModelFloat
    >>> from lahar.processes.model import LoihiProtocol, implements
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> class RewardedLIF(LearningNeuronProcess, LIF):
    ...     '''LIF with the ports of a learning neuron.'''
    >>> @implements(proc=RewardedLIF, protocol=LoihiProtocol)
    ... class PyRewardedLifModel(LearningNeuronModelFloat, PyLifModelFloat):
    ...     implements_process = None  # that of the base is LIF
    ...
    ...     def run_spk(self):
    ...         super().run_spk()
    ...         self.y2[...] = self.a_third_factor_in.recv()
    ...         self.s_out_bap.send(self.s_out_buff)
    ...         for port, trace in ((self.s_out_y1, self.y1), (self.s_out_y2, self.y2), (self.s_out_y3, self.y3)):
    ...             port.send(trace)
    >>> reward, sink = SourceRingBuffer(data=[[0, 3, -1]]), SinkRingBuffer(shape=(1,), buffer=3)
    >>> neurons = RewardedLIF(shape=(1,), learning_rule=None)
    >>> reward.s_out.connect(neurons.a_third_factor_in)
    >>> neurons.s_out_y2.connect(sink.a_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="floating_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=3), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[ 0.  3. -1.]]
    """

    a_third_factor_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    s_out_y2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    s_out_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    y1: np.ndarray = LavaPyType(np.ndarray, float)
    y2: np.ndarray = LavaPyType(np.ndarray, float)
    y3: np.ndarray = LavaPyType(np.ndarray, float)


class LearningNeuronModelFixed(LearningNeuronModel):
    """Types of a learning neuron in fixed point; traces are numbers of 7 bits."""

    a_third_factor_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=7)
    s_out_y1: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    s_out_y2: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    s_out_y3: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=7)
    y1: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=7)
    y2: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=7)
    y3: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=7)
