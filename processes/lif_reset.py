"""LIFReset: leaky integrate-and-fire neurons whose state is cleared at regular intervals."""

from __future__ import annotations

from typing import Any

import numpy as np

from .lif import LIF, PyLifModelBitAcc, PyLifModelFloat
from .model import LoihiProtocol, implements
from .parameters import bounded_integer


class LIFReset(LIF):
    """LIF neurons that forget everything every `reset_interval` time steps.

    As `LIF` of the same tag, but at the beginning of time step t, before the input is added::

        u = v = 0    if t % reset_interval == reset_offset % reset_interval

    Time steps count from 1: an offset of 0 resets in steps `reset_interval`, 2 `reset_interval`, and so on.

    Gerstner & Kistler, "Spiking Neuron Models" (2002), section 4.1.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    u, v, du, dv, bias_mant, bias_exp, vth, name, log_config
        See `LIF`.
    reset_interval : int
        Time steps from reset to reset; 1 resets in every step.
    reset_offset : int
        Shifts the resets to later steps.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    u, v, bias_mant, bias_exp : Var, shape S
    du, dv, vth : Var, shape (1,) or S

    Raises
    ------
    ValidationError
        `reset_interval` is less than 1 or `reset_offset` negative.
    ArgumentTypeError, ShapeError, DtypeError
        See `LIF`; also if interval or offset is no integer.

    Examples
    --------
    >>> from lahar.processes import LIFReset
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> with LIFReset(shape=(1,), bias_mant=3, vth=100, reset_interval=4) as lif:
    ...     lif.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(lif.v.get())
    [6.]
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
        reset_interval: int = 1,
        reset_offset: int = 0,
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
            reset_interval=bounded_integer(reset_interval, "LIFReset.reset_interval", 1),
            reset_offset=bounded_integer(reset_offset, "LIFReset.reset_offset", 0),
            name=name,
            log_config=log_config,
        )


class _Resetting:
    """Clears the state before the dynamics of the next class see the input."""

    time_step: int
    u: np.ndarray
    v: np.ndarray

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)  # type: ignore[call-arg]
        self.reset_interval: int = proc_params["reset_interval"]
        self.reset_offset: int = proc_params["reset_offset"] % self.reset_interval

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        if self.time_step % self.reset_interval == self.reset_offset:
            self.u[...] = 0
            self.v[...] = 0
        super().subthr_dynamics(activation_in)  # type: ignore[misc]


# The models of LIF bring their tags and resources along.


@implements(proc=LIFReset, protocol=LoihiProtocol)
class PyLifResetModelFloat(_Resetting, PyLifModelFloat):
    """Floating-point LIF that is reset."""

    implements_process = None


@implements(proc=LIFReset, protocol=LoihiProtocol)
class PyLifResetModelBitAcc(_Resetting, PyLifModelBitAcc):
    """Fixed-point LIF that is reset."""

    implements_process = None
