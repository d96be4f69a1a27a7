"""Leaky integrate-and-fire neurons with a current and a voltage.

Model authors derive from `AbstractPyLifModelFloat` or `AbstractPyLifModelFixed` and override hooks:
`spiking_activation`, `subthr_dynamics`, `reset_voltage`, `run_spk`, and in fixed point `scale_bias` and
`scale_threshold`. The variants of LIF have modules of their own; their names can be imported from here too.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np

from .lif_dynamics import (
    AbstractPyLifModelFixed,
    AbstractPyLifModelFloat,
    DecayFactor,
    scaled_threshold,
)
from .model import CPU, LavaPyType, LoihiProtocol, implements, requires, tag
from .parameters import check_integers, parameter_var, state_var, warn_of_misspelt_keywords
from .ports import InPort, OutPort
from .process import AbstractProcess

__all__ = [
    "LIF",
    "AbstractLIF",
    "AbstractPyLifModelFixed",
    "AbstractPyLifModelFloat",
    "DecayFactor",
    "PyLifModelBitAcc",
    "PyLifModelFloat",
    "scaled_threshold",
]

_VARIANTS = {
    "LearningLIF": "learning_lif",
    "PyLearningLifModelFloat": "learning_lif",
    "PyLearningLIFModelFixed": "learning_lif",
    "LIFReset": "lif_reset",
    "PyLifResetModelFloat": "lif_reset",
    "PyLifResetModelBitAcc": "lif_reset",
    "LIFRefractory": "lif_refractory",
    "PyLifRefractoryModelFloat": "lif_refractory",
    "TernaryLIF": "lif_ternary",
    "PyTernLifModelFloat": "lif_ternary",
    "PyTernLifModelFixed": "lif_ternary",
}
_KEYWORDS = ("shape", "u", "v", "du", "dv", "vth", "bias_mant", "bias_exp", "name", "log_config")


class AbstractLIF(AbstractProcess):
    """Ports and Vars that all integrate-and-fire neurons share; has no ProcessModel.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    u, v : array_like
        Initial current and voltage, broadcast to S.
    du, dv : array_like
        Decay of current and voltage: a number, or an array that broadcasts to S.
    bias_mant, bias_exp : array_like
        Bias, broadcast to S; fixed point uses ``bias_mant * 2**bias_exp``, floating point `bias_mant`.
    name : str, optional
    log_config : LogConfig, optional
    **kwargs
        Handed to the ProcessModel.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    u, v, bias_mant, bias_exp : Var, shape S
    du, dv : Var, shape (1,) or S

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers, or a parameter does not hold real numbers.
    ShapeError
        A parameter does not broadcast to S.
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        u: Any,
        v: Any,
        du: Any,
        dv: Any,
        bias_mant: Any,
        bias_exp: Any,
        name: str | None,
        log_config: Any,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            shape=shape,
            u=u,
            v=v,
            du=du,
            dv=dv,
            bias_mant=bias_mant,
            bias_exp=bias_exp,
            name=name,
            log_config=log_config,
            **kwargs,
        )
        warn_of_misspelt_keywords(self, kwargs, _KEYWORDS)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.u = state_var(self, shape, "u", u)
        self.v = state_var(self, shape, "v", v)
        self.du = parameter_var(self, shape, "du", du)
        self.dv = parameter_var(self, shape, "dv", dv)
        self.bias_exp = state_var(self, shape, "bias_exp", bias_exp)
        self.bias_mant = state_var(self, shape, "bias_mant", bias_mant)


class LIF(AbstractLIF):
    """Leaky integrate-and-fire neurons.

    In floating point, with input a of the same time step (Gerstner & Kistler 2002, "Spiking Neuron Models",
    section 4.1, in discrete time)::

        u = u * (1 - du) + a
        v = v * (1 - dv) + u + bias_mant
        s = v > vth;  v = 0 where s

    In fixed point with the integers of Loihi (Davies et al. 2018), quotients rounding toward zero::

        u = wrap(u * (4096 - (du + 1)) / 4096 + (a << 6))        # to 24 bits
        v = limit(v * (4096 - dv) / 4096 + u + bias_mant * 2**bias_exp)
        s = v > (vth << 6);  v = 0 where s

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    u, v : array_like
        Initial current and voltage, broadcast to S.
    du, dv : array_like
        Decay of current and voltage: fractions, or in fixed point integers of 0 to 4095 (and -1 for a `du`
        without any decay); a number, or an array that broadcasts to S.
    bias_mant, bias_exp : array_like
        Bias, broadcast to S; fixed point uses ``bias_mant * 2**bias_exp``, floating point `bias_mant`.
    vth : array_like
        Threshold, in fixed point an integer up to 131071; a number, or an array that broadcasts to S.
    name : str, optional
    log_config : LogConfig, optional
    **kwargs
        Handed to the ProcessModel.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    u, v, bias_mant, bias_exp : Var, shape S
    du, dv, vth : Var, shape (1,) or S

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers, or a parameter does not hold real numbers.
    ShapeError
        A parameter does not broadcast to S.
    DtypeError
        When the fixed-point model is built: `du`, `dv` or `vth` has a fractional part.

    Examples
    --------
    >>> from lahar.processes import LIF, Monitor
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> lif, monitor = LIF(shape=(2,), bias_mant=[4, 5], vth=10, name="lif"), Monitor()
    >>> monitor.probe(lif.s_out, num_steps=6)
    >>> with lif:
    ...     lif.run(condition=RunSteps(num_steps=6), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(monitor.get_data()["lif"]["s_out"].T)
    [[0. 0. 1. 0. 0. 1.]
     [0. 0. 1. 0. 0. 1.]]
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
        name: str | None = None,
        log_config: Any = None,
        **kwargs: Any,
    ) -> None:
        # The Var's dtype hides whether the user gave a fraction; _vth lets the fixed-point model see it.
        kwargs.setdefault("_vth", vth)
        super().__init__(
            shape=shape,
            u=u,
            v=v,
            du=du,
            dv=dv,
            bias_mant=bias_mant,
            bias_exp=bias_exp,
            name=name,
            log_config=log_config,
            **kwargs,
        )
        self.vth = parameter_var(self, shape, "vth", vth)


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyLifModelFloat(AbstractPyLifModelFloat):
    """Floating-point LIF."""

    vth: np.ndarray = LavaPyType(np.ndarray, float)

    _vth_seen: Any = None
    _vth_operand: Any = None

    def spiking_activation(self) -> np.ndarray:
        vth = self.vth
        if vth is not self._vth_seen:
            self._vth_seen = vth
            # A zero-dimensional view: it follows changes in place and compares faster than shape (1,).
            self._vth_operand = vth.reshape(()) if np.size(vth) == 1 else vth
        return self.v > self._vth_operand


@implements(proc=LIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyLifModelBitAcc(AbstractPyLifModelFixed):
    """Fixed-point LIF with the bits of Loihi.

    Attributes
    ----------
    effective_vth : ndarray of int32
        ``vth << vth_shift``.
    """

    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=17)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.effective_vth: Any = 0

    def on_build(self) -> None:
        super().on_build()
        highest = (self.max_uv_val - 1) >> self.vth_shift
        check_integers(f"'{self.process_name}': vth", self.proc_params.get("_vth"), -highest - 1, highest)

    def scale_threshold(self) -> None:
        self.effective_vth = scaled_threshold(self.vth, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self) -> np.ndarray:
        return self.v > self.effective_vth


def __getattr__(name: str) -> Any:
    """Find the variants, whose modules import this one."""
    if name in _VARIANTS:
        return getattr(importlib.import_module(f".{_VARIANTS[name]}", __package__), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
