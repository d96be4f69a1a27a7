"""A vector of resonate-and-fire neurons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .. import RFZero
from .algebra import TwoInputVector


class ResFireVec(TwoInputVector):
    """Resonate-and-fire neurons that spike at a zero crossing of the phase: `RFZero`.

    Parameters
    ----------
    uth : int
        Threshold of the real part.
    shape : tuple of int
    freqs : array_like
        Frequency of each neuron in Hz.
    decay_tau : array_like
        Time constant of the decay in seconds.
    dt : float
        Length of a time step in seconds.
    **kwargs
        Of the Process.

    Attributes
    ----------
    main : RFZero
    uth, shape, dt
        As given.
    freqs, decay_tau : ndarray
    in_port, in_port2 : InPort
        Real and imaginary part of the input.
    out_port : OutPort
    """

    def __init__(
        self,
        *,
        uth: int = 10,
        shape: tuple[int, ...] = (1,),
        freqs: Sequence[float] | np.ndarray = (10,),
        decay_tau: Sequence[float] | np.ndarray = (1,),
        dt: float = 0.001,
        **kwargs: Any,
    ) -> None:
        self.uth, self.shape, self.dt = uth, shape, dt
        self.freqs, self.decay_tau = np.array(freqs), np.array(decay_tau)
        self.main = RFZero(shape=shape, freqs=self.freqs, decay_tau=self.decay_tau, dt=dt, uth=uth, **kwargs)
        self.in_port = self.main.u_in
        self.in_port2 = self.main.v_in
        self.out_port = self.main.s_out
