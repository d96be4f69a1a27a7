"""A network of excitatory and inhibitory rate neurons in one process, as users write it."""

from __future__ import annotations

import numpy as np
from scipy.special import erf

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
    tag,
)


class RateEINetwork(AbstractProcess):
    """Excitatory neurons first; `weights` has shape (n, n) with n = shape_exc + shape_inh."""

    def __init__(self, *, shape_exc, dr_exc, bias_exc, shape_inh, dr_inh, bias_inh, weights, **kwargs):
        n = shape_exc + shape_inh
        super().__init__(shape_exc=shape_exc, dr_exc=dr_exc, dr_inh=dr_inh, weights=weights, **kwargs)
        self.inport = InPort((n,))
        self.outport = OutPort((n,))
        self.state = Var((n,), 0)
        self.bias_exc = Var((shape_exc,), bias_exc)
        self.bias_inh = Var((n - shape_exc,), bias_inh)
        self.weights = Var((n, n), weights)


@implements(proc=RateEINetwork, protocol=LoihiProtocol)
@requires(CPU)
@tag("rate_neurons")
class PyRateEINetworkModel(PyLoihiProcessModel):
    """r = (1 - dr) r + b + W erf(r) + a, with W scaled by the decay constants in the first step."""

    inport: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    outport: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    state: np.ndarray = LavaPyType(np.ndarray, float)
    bias_exc: np.ndarray = LavaPyType(np.ndarray, float)
    bias_inh: np.ndarray = LavaPyType(np.ndarray, float)
    weights: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        exc, dr_exc, dr_inh = (self.proc_params[k] for k in ("shape_exc", "dr_exc", "dr_inh"))
        if self.time_step == 1:
            self.weights[:, exc:] *= dr_exc  # crossed, as the reference had it
            self.weights[:, :exc] *= dr_inh
            self.decay = np.repeat([dr_exc, dr_inh], [exc, len(self.state) - exc])
            self.bias = np.concatenate([self.bias_exc, self.bias_inh])
            self.proc_params.overwrite("weights", self.weights)
        a_in = self.inport.recv()
        self.state = (1 - self.decay) * self.state + self.bias + self.weights @ erf(self.state) + a_in
        self.outport.send(self.state)
