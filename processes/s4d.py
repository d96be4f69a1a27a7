"""Diagonal state-space models (S4D) as neurons, plain and between sigma-delta stages (floating point only).

Gu et al., "On the parameterization and initialization of diagonal state space models" (2022).
"""

from __future__ import annotations

from typing import Any

import numpy as np

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
from .parameters import COMPLEX, as_integer, given, state_var
from .population import Population
from .ports import InPort, OutPort
from .sdn import AbstractSigmaDeltaModel, PySigmaDeltaModelFloat, SigmaDelta
from .var import Var


class S4d(Population):
    """Neurons with a linear, possibly complex state (floating point only).

    With input x of the same time step::

        s4_state = s4_state * a + x * b
        s = real((c * s4_state) * 2)

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    a, b, c : array_like
        Decay, input and output coefficients, real or complex, broadcast to S.
    s4_state : array_like
        Initial state, broadcast to S.
    s4_exp, inp_exp : int
        Without effect in floating point.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    a, b, c, s4_state : Var, shape S, complex128
    s4_exp, inp_exp : Var, shape (1,), int32
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple of integers, an exponent no integer, or a coefficient no number.
    ShapeError
        A coefficient does not broadcast to S.

    Examples
    --------
    >>> from lahar.processes import S4d, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, neurons = SourceRingBuffer(data=[[1, 0]]), S4d(shape=(1,), a=0.5j, b=2, c=1)
    >>> source.s_out.connect(neurons.a_in)
    >>> with neurons:
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(neurons.s4_state.get())
    [0.+1.j]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        a: Any,
        b: Any,
        c: Any,
        s4_state: Any = 0,
        s4_exp: int = 0,
        inp_exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        s4_exp, inp_exp = as_integer(s4_exp, "S4d.s4_exp"), as_integer(inp_exp, "S4d.inp_exp")
        super().__init__(
            shape=shape,
            a=a,
            b=b,
            c=c,
            s4_state=s4_state,
            s4_exp=s4_exp,
            inp_exp=inp_exp,
            **given(name=name, log_config=log_config),
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.a = state_var(self, shape, "a", a, COMPLEX)
        self.b = state_var(self, shape, "b", b, COMPLEX)
        self.c = state_var(self, shape, "c", c, COMPLEX)
        self.s4_state = state_var(self, shape, "s4_state", s4_state, COMPLEX)
        self.s4_exp = Var(shape=(1,), init=s4_exp)
        self.inp_exp = Var(shape=(1,), init=inp_exp)


class SigmaS4dDelta(SigmaDelta):
    """Sums up changes, passes the sum through an S4D, and sends changes of the result (floating point only).

    With input x of the same time step::

        sigma = x + sigma
        s4_state = s4_state * a + sigma * b
        s = the delta stage of `Delta`, applied to (c * s4_state) * 2

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    vth : array_like
        Threshold of the delta stage; multiplied with ``2**state_exp`` by the constructor.
    a, b, c : array_like
        Decay, input and output coefficients: real, broadcast to S.
    state_exp : int
        Acts on `vth` only.
    s4_exp : int
        Without effect in floating point.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    a, b, c, s4_state : Var, shape S, float64
    sigma, act, residue, error : Var, shape S, float64
        See `SigmaDelta`.
    bias : Var, shape S
        Without effect, like the Vars `spike_exp`, `state_exp` and `s4_exp`.
    vth : Var, shape (1,) or S
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple of integers, an exponent no integer, or a coefficient no real number.
    ShapeError
        A coefficient or `vth` does not broadcast to S.
    ValidationError
        `state_exp` is negative.

    Examples
    --------
    >>> from lahar.processes import SigmaS4dDelta, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source = SourceRingBuffer(data=[[1, 0]])
    >>> neurons = SigmaS4dDelta(shape=(1,), vth=0.1, a=0.5, b=1, c=1)
    >>> source.s_out.connect(neurons.a_in)
    >>> with neurons:
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(neurons.s4_state.get(), neurons.act.get())
    [1.5] [3.]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        vth: Any,
        a: Any,
        b: Any,
        c: Any,
        state_exp: int = 0,
        s4_exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        s4_exp = as_integer(s4_exp, "SigmaS4dDelta.s4_exp")
        super().__init__(
            shape=shape,
            vth=vth,
            state_exp=state_exp,
            a=a,
            b=b,
            c=c,
            s4_state=0,
            s4_exp=s4_exp,
            **given(name=name, log_config=log_config),
        )
        self.a = state_var(self, shape, "a", a)
        self.b = state_var(self, shape, "b", b)
        self.c = state_var(self, shape, "c", c)
        self.s4_state = Var(shape=shape, init=0)
        self.s4_exp = Var(shape=(1,), init=s4_exp)


# --- models ---------------------------------------------------------------------------------


@implements(proc=S4d, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class S4dModel(PyLoihiProcessModel):
    """Floating-point S4d."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    a: np.ndarray = LavaPyType(np.ndarray, complex)
    b: np.ndarray = LavaPyType(np.ndarray, complex)
    c: np.ndarray = LavaPyType(np.ndarray, complex)
    s4_state: np.ndarray = LavaPyType(np.ndarray, complex)
    s4_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    inp_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)

    def run_spk(self) -> None:
        self.s4_state[...] = self.s4_state * self.a + self.a_in.recv() * self.b
        self.s_out.send(np.real((self.c * self.s4_state) * 2))


class AbstractSigmaS4dDeltaModel(AbstractSigmaDeltaModel):
    """Sum, state-space model and delta stage."""

    a: np.ndarray
    b: np.ndarray
    c: np.ndarray
    s4_state: np.ndarray

    def activation_dynamics(self, sigma_data: np.ndarray) -> np.ndarray:
        """Update the state with the sum and return what is read from it."""
        self.s4_state[...] = self.s4_state * self.a + sigma_data * self.b
        return (self.c * self.s4_state) * 2


@implements(proc=SigmaS4dDelta, protocol=LoihiProtocol)
class PySigmaS4dDeltaModelFloat(AbstractSigmaS4dDeltaModel, PySigmaDeltaModelFloat):
    """Floating-point SigmaS4dDelta; types, tag and resources are those of floating-point SigmaDelta."""

    implements_process = None

    a: np.ndarray = LavaPyType(np.ndarray, float)
    b: np.ndarray = LavaPyType(np.ndarray, float)
    c: np.ndarray = LavaPyType(np.ndarray, float)
    s4_state: np.ndarray = LavaPyType(np.ndarray, float)
    s4_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
