"""LIFRefractory: leaky integrate-and-fire neurons that rest after a spike."""

from __future__ import annotations

from typing import Any

import numpy as np

from .lif import LIF, PyLifModelFloat
from .model import LavaPyType, LoihiProtocol, implements
from .parameters import bounded_integer
from .var import Var


class LIFRefractory(LIF):
    """LIF neurons whose voltage stays at 0 for `refractory_period` time steps after a spike.

    In time step t, with input a (floating point only)::

        u = u * (1 - du) + a                           # always
        where refractory_period_end < t:
            v = v * (1 - dv) + (u + bias_mant)
        s = v > vth
        where s:  v = 0;  refractory_period_end = t + refractory_period

    The threshold is compared in all neurons: with a negative `vth` the resting ones spike in every step.

    Gerstner & Kistler, "Spiking Neuron Models" (2002), section 4.1.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    u, v, du, dv, bias_mant, bias_exp, vth, name, log_config
        See `LIF`.
    refractory_period : int
        Number of time steps without integration, at least 1.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    u, v, bias_mant, bias_exp : Var, shape S
    du, dv, vth : Var, shape (1,) or S
    refractory_period_end : Var, shape S, int64
        Last time step in which a neuron rests.

    Raises
    ------
    ValidationError
        `refractory_period` is less than 1.
    ArgumentTypeError, ShapeError
        See `LIF`; also if the period is no integer.

    Examples
    --------
    >>> from lahar.processes import LIFRefractory
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> with LIFRefractory(shape=(1,), bias_mant=3, vth=2, refractory_period=2) as lif:
    ...     lif.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(lif.v.get(), lif.refractory_period_end.get())
    [0.] [3]
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        u: Any = 0,
        v: Any = 0,
        du: Any = 0,
        dv: Any = 0,
        bias_mant: Any = 0,
        bias_exp: Any = 0,
        vth: Any = 10,
        refractory_period: int = 1,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(
            shape=shape,
            u=u,
            v=v,
            du=du,
            dv=dv,
            bias_mant=bias_mant,
            bias_exp=bias_exp,
            vth=vth,
            refractory_period=bounded_integer(refractory_period, "LIFRefractory.refractory_period", 1),
            name=name,
            log_config=log_config,
        )
        self.refractory_period_end = Var(shape=shape, init=0)


@implements(proc=LIFRefractory, protocol=LoihiProtocol)
class PyLifRefractoryModelFloat(PyLifModelFloat):
    """Floating-point LIF with a refractory period; tag and resources are those of the base class.

    Attributes
    ----------
    refractory_period : int
    """

    implements_process = None

    refractory_period_end: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.refractory_period: int = proc_params["refractory_period"]

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Update `u` everywhere and `v` where the neuron does not rest."""
        u, v = self.u, self.v
        factor = self._du_factor.of(self.du, 1.0)
        if factor is not None:
            np.multiply(u, factor, out=u)
        np.add(u, activation_in, out=u)
        factor = self._dv_factor.of(self.dv, 1.0)
        decayed = v if factor is None else v * factor
        # Current and bias are added to each other first, unlike in LIF.
        np.add(decayed, u + self.bias_mant, out=v, where=self.refractory_period_end < self.time_step)

    def process_spikes(self, spike_vector: np.ndarray) -> None:
        """Reset the neurons that spike (bool) and let them rest."""
        self.refractory_period_end[spike_vector] = self.time_step + self.refractory_period
        self.reset_voltage(spike_vector)

    def run_spk(self) -> None:
        self.subthr_dynamics(activation_in=self.a_in.recv())
        spikes = self.s_out_buff = self.spiking_activation()
        self.process_spikes(spike_vector=spikes)
        self.s_out.send(spikes)
