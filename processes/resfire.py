"""RFZero: resonate-and-fire neurons that send their amplitude once per rotation."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ValidationError
from .fixed_point import clip_state
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
from .parameters import given, parameter_var, state_var
from .population import Population
from .ports import InPort, OutPort
from .var import Var

_DECAY_BITS = 15


class RFZero(Population):
    """Resonate-and-fire neurons with graded spikes, sent when the phase passes zero (fixed point only).

    With ``lct = exp(-dt / decay_tau) cos(2 pi dt freqs)`` and ``lst`` likewise with the sine, both integers
    in units of ``2**-15``, and the inputs of the same time step::

        U = (u * lct) // 2**15 - (v * lst) // 2**15 + u_in
        V = (v * lct) // 2**15 + (u * lst) // 2**15 + v_in
        s = U  where  U > uth and V >= 0 and v < 0,  else 0
        u, v = U, V

    Divisions round down. The state is limited to 24 bits.

    Izhikevich, "Resonate-and-fire neurons" (2001); with graded spikes: Frady et al., "Efficient neuromorphic
    signal processing with resonator neurons" (2022).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    freqs : array_like
        Resonance frequency in Hz; broadcasts to S.
    decay_tau : array_like
        Time constant of the decay in seconds; broadcasts to S.
    dt : float
        Seconds per time step.
    uth : array_like
        Threshold of the amplitude: a number, or an array that broadcasts to S.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    u_in, v_in : InPort, shape S
    s_out : OutPort, shape S
    u, v, lct, lst : Var, shape S
    uth : Var, shape (1,) or S
        All are int32.
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers, or a parameter does not hold real numbers.
    ShapeError
        A parameter does not broadcast to S.
    ValidationError
        `decay_tau` is 0.

    Examples
    --------
    >>> from lahar.processes import RFZero, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, neurons = SourceRingBuffer(data=[[800, 0]]), RFZero(shape=(1,), freqs=250, decay_tau=1)
    >>> source.s_out.connect(neurons.u_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=run_cfg)
    ...     print(neurons.u.get(), neurons.v.get())
    [0] [799]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        freqs: Any,
        decay_tau: Any,
        dt: float = 0.001,
        uth: Any = 1,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(shape=shape, **given(name=name, log_config=log_config))
        self.u_in = InPort(shape=shape)
        self.v_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        for parameter, value in (("freqs", freqs), ("decay_tau", decay_tau), ("dt", dt)):
            parameter_var(self, shape, parameter, value)
        freqs, decay_tau = np.asarray(freqs), np.asarray(decay_tau)
        if np.any(decay_tau == 0):
            raise ValidationError("must not be 0 seconds.", "RFZero.decay_tau")
        decay = np.exp(dt * (-1 / decay_tau))
        angle = dt * freqs * np.pi * 2
        lct, lst = (
            np.trunc(decay * part * 2**_DECAY_BITS).astype(np.int32)
            for part in (np.cos(angle), np.sin(angle))
        )
        self.u = Var(shape=shape, init=0)
        self.v = Var(shape=shape, init=0)
        self.lct = state_var(self, shape, "lct", lct)
        self.lst = state_var(self, shape, "lst", lst)
        self.uth = parameter_var(self, shape, "uth", uth)


@implements(proc=RFZero, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRFZeroModelFixed(PyLoihiProcessModel):
    """Fixed-point RFZero; products are formed in int64, so that no state overflows."""

    u_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    v_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    lct: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    lst: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    uth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self) -> None:
        u_in, v_in = self.u_in.recv(), self.v_in.recv()
        u, v = self.u.astype(np.int64), self.v.astype(np.int64)
        lct, lst, bits = self.lct, self.lst, _DECAY_BITS
        new_u = clip_state((u * lct >> bits) - (v * lst >> bits) + u_in)
        new_v = clip_state((v * lct >> bits) + (u * lst >> bits) + v_in)
        spikes = np.where((new_u > self.uth) & (new_v >= 0) & (v < 0), new_u, 0)
        self.u[...] = new_u
        self.v[...] = new_v
        self.s_out.send(spikes)
