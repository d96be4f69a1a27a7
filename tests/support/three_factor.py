"""A three-factor neuron as users write it: a reward that arrives from outside becomes the trace y2."""

from __future__ import annotations

import numpy as np

from lahar.processes import LearningLIF
from lahar.processes.learning.neuron import LearningNeuronModelFixed, LearningNeuronModelFloat
from lahar.processes.lif import AbstractPyLifModelFixed, AbstractPyLifModelFloat
from lahar.processes.model import CPU, LavaPyType, LoihiProtocol, implements, requires, tag


class RewardLIF(LearningLIF):
    """The trace y1 follows the spikes of the previous time step, y2 is the third factor."""


class _RewardStep:
    """Expects a `RewardModulatedSTDP` rule."""

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.s_out_buff = np.zeros(self._shape)

    def run_spk(self):
        rule = self._learning_rule
        self.y1 = self.round(
            self.y1 * np.exp(-1 / rule.post_trace_decay_tau)
            + rule.post_trace_kernel_magnitude * self.s_out_buff
        )
        super().run_spk()
        self.y2 = self.a_third_factor_in.recv()
        self.s_out_bap.send(self.s_out_buff)
        self.s_out_y1.send(self.y1)
        self.s_out_y2.send(self.y2)
        self.s_out_y3.send(self.y3)


@implements(proc=RewardLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyRewardLifModelFloat(_RewardStep, LearningNeuronModelFloat, AbstractPyLifModelFloat):
    vth: float = LavaPyType(float, float)
    round = staticmethod(np.asarray)

    def spiking_activation(self):
        return self.v > self.vth


@implements(proc=RewardLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyRewardLifModelFixed(_RewardStep, LearningNeuronModelFixed, AbstractPyLifModelFixed):
    vth: int = LavaPyType(int, np.int32, precision=17)
    round = staticmethod(np.floor)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.effective_vth = 0

    def scale_threshold(self):
        self.effective_vth = np.left_shift(self.vth, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self):
        return self.v > self.effective_vth
