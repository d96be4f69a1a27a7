"""RF_IZ: resonate-and-fire neurons that are reset like Izhikevich's."""

from __future__ import annotations

import numpy as np

from .model import CPU, LoihiProtocol, implements, requires, tag
from .rf import RF, AbstractPyRFModelFixed, AbstractPyRFModelFloat


class RF_IZ(RF):  # noqa: N801
    """Resonate-and-fire neurons that spike when the imaginary part reaches the threshold, and are reset.

    State and parameters as in `RF`; with R and I, the next real and imaginary part::

        s = I >= vth
        real = 0 where s, else R
        imag = vth - e where s, else I

    with ``e = 1e-5``, in fixed point 1: a reset neuron is just below the threshold. Izhikevich,
    "Resonate-and-fire neurons" (2001).

    Parameters
    ----------
    shape, period, alpha, state_exp, decay_bits, vth, name, log_config
        See `RF`.

    Attributes
    ----------
    a_real_in, a_imag_in : InPort, shape S
    s_out : OutPort, shape S
        bool, int32 in fixed point.
    real, imag : Var, shape S
        float64 or int32.
    sin_decay, cos_decay, vth : Var, shape (1,) or S
    state_exp, decay_bits : Var, shape (1,)
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError, ShapeError, ValidationError, DtypeError
        See `RF`.

    Examples
    --------
    >>> from lahar.processes import RF_IZ, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source = SourceRingBuffer(data=[[70, 700]])
    >>> neurons = RF_IZ(shape=(1,), period=10, alpha=0.01, decay_bits=12, vth=500)
    >>> source.s_out.connect(neurons.a_imag_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=run_cfg)
    ...     print(neurons.real.get(), neurons.imag.get())
    [0] [499]
    """


class _ResettingResonator:
    """Spikes and resets where the imaginary part reaches the threshold."""

    epsilon: float

    def run_spk(self) -> None:
        real, imag = self.receive()
        spikes = imag >= self.vth
        self.real[...] = np.where(spikes, 0, real)
        self.imag[...] = np.where(spikes, self.vth - self.epsilon, imag)
        self.s_out.send(spikes)


@implements(proc=RF_IZ, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyRF_IZModelFloat(_ResettingResonator, AbstractPyRFModelFloat):  # noqa: N801
    """Floating-point RF_IZ."""

    epsilon = 1e-5


@implements(proc=RF_IZ, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRF_IZModelFixed(_ResettingResonator, AbstractPyRFModelFixed):  # noqa: N801
    """Fixed-point RF_IZ."""

    epsilon = 1
