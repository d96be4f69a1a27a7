"""PrototypeLIF: neurons that learn one pattern each, when they are told to."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from .errors import ShapeError, ValidationError
from .learning_lif import LearningLIF, PyLearningLIFModelFixed
from .model import LavaPyType, LoihiProtocol, PyInPort, implements
from .ports import InPort

_TRACE = 127  # largest trace: learn the whole pattern in one step


class PrototypeLIF(LearningLIF):
    """LIF neurons of which one at a time is allocated to the present input (fixed point only).

    In every time step, with u and v updated as in `LIF`::

        u = v = 0 where reset_in > 0
        s = v > (vth << 6)
        f = a_third_factor_in[0]
        if f != 0 (the id of a neuron, counted from 1):
            bap = s = only neuron f - 1
            y1 = 127 in that neuron, 0 in the others
        otherwise bap = none, and y1 stays as it is
        v = 0 where s
        send s, bap, y1, y2, y3

    On allocation the other neurons neither spike nor are reset, wherever their voltage is.

    Hajizada et al., "Interactive continual learning for robots: a neuromorphic approach" (2022).

    Parameters
    ----------
    shape : tuple of int
        (n,).
    u, v, du, dv, bias_mant, bias_exp, vth, name, log_config, learning_rule, **kwargs
        See `LearningLIF`.

    Attributes
    ----------
    a_in, reset_in, a_third_factor_in : InPort, shape (n,)
    s_out, s_out_bap, s_out_y1, s_out_y2, s_out_y3 : OutPort, shape (n,)
    u, v, bias_mant, bias_exp, y1, y2, y3 : Var, shape (n,)
    du, dv, vth : Var, shape (1,) or (n,)

    Raises
    ------
    ShapeError
        `shape` has more or fewer than one axis, or a parameter does not broadcast to it.
    ValidationError
        In a time step: there is no neuron with the id that arrives at `a_third_factor_in`.
    ArgumentTypeError, DtypeError
        See `LearningLIF`.

    Examples
    --------
    >>> from lahar.processes import PrototypeLIF, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> ids, neurons = SourceRingBuffer(data=[[0, 2]] * 3), PrototypeLIF(shape=(3,))
    >>> ids.s_out.connect(neurons.a_third_factor_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=run_cfg)
    ...     print(neurons.y1.get())
    [  0 127   0]
    """

    @functools.wraps(LearningLIF.__init__)  # the same arguments
    def __init__(self, *, shape: tuple[int, ...], **kwargs: Any) -> None:
        super().__init__(shape=shape, **kwargs)
        if len(shape) != 1:
            raise ShapeError(f"PrototypeLIF.shape must have one axis, (n,), not {shape}.")
        self.reset_in = InPort(shape=shape)


@implements(proc=PrototypeLIF, protocol=LoihiProtocol)
class PrototypeLIFBitAcc(PyLearningLIFModelFixed):
    """Fixed-point PrototypeLIF; types, tags and resources are those of fixed-point LearningLIF."""

    implements_process = None

    reset_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=1)

    def run_spk(self) -> None:
        self.scale_bias()
        if not self.isthrscaled:
            self.scale_threshold()
        activation = self.a_in.recv()
        third_factor = self.a_third_factor_in.recv()
        reset = self.reset_in.recv() > 0
        self.subthr_dynamics(activation)
        self.u[reset] = 0
        self.v[reset] = 0
        allocated = self._allocated(third_factor)
        spikes = self.spiking_activation()
        if allocated.any():
            self.y1[...] = _TRACE * allocated
            spikes = allocated
        self.s_out_buff = spikes
        self.s_out.send(spikes)
        self.s_out_bap.send(allocated)
        self.s_out_y1.send(self.y1)
        self.s_out_y2.send(self.y2)
        self.s_out_y3.send(self.y3)
        self.reset_voltage(spikes)

    def _allocated(self, third_factor: np.ndarray) -> np.ndarray:
        """Return as bool which neuron is to learn: the one whose id arrives, or none."""
        allocated = np.zeros(self.v.shape, bool)
        number = int(third_factor[0]) if third_factor.size else 0
        if number:
            if not 1 <= number <= allocated.size:
                raise ValidationError(
                    f"there is no neuron {number} to allocate: ids are 1 to {allocated.size}. Give the "
                    "population more neurons, or send fewer ids.",
                    f"'{self.process_name}'.a_third_factor_in",
                )
            allocated[number - 1] = True
        return allocated
