"""Diagonal state-space models (S4D) as neurons, plain and between sigma-delta stages (floating point only)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ShapeError
from .model import (
    CPU,
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
    tag,
)
from .parameters import COMPLEX, as_integer, bounded_integer, given, state_var
from .population import Population
from .ports import InPort, OutPort
from .sdn import AbstractSigmaDeltaModel, ActivationMode, PySigmaDeltaModelFloat, SigmaDelta
from .sparse import Sparse
from .var import Var


class S4d(Population):
    """Neurons with a linear, possibly complex state (floating point only).

    With input x of the same time step::

        s4_state = s4_state * a + x * b
        s = real((c * s4_state) * 2)

    Gu et al., "On the parameterization and initialization of diagonal state space models" (2022).

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

    Gu et al., "On the parameterization and initialization of diagonal state space models" (2022).

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
        Without effect.
    spike_exp, state_exp, s4_exp : Var, shape (1,)
        Without effect.
    cum_error : Var, shape (1,)
        False.
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


class _Given(Var):
    """A Var of a hierarchical Process that stands for none of the inner ones: it keeps its initial value."""

    def get(self, idx: Any = None) -> Any:
        """Return the initial value."""
        return self.init if idx is None else self.init[idx]


class SigmaS4dDeltaLayer(Population):
    """n neurons with d states each, driven by one input per neuron and summed to one output per neuron.

    Becomes three processes, with ``W = kron(eye(n), ones(d))`` of shape (n, n d) and two time steps of delay::

        s_in -> sparse1 (W.T) -> sigma_S4d_delta (SigmaS4dDelta of n d neurons) -> sparse2 (W) -> a_out

    Gu et al., "On the parameterization and initialization of diagonal state space models" (2022).

    Parameters
    ----------
    shape : tuple of int
        (n,).
    vth : float
        Threshold of the delta stage.
    a, b, c : array_like
        Coefficients of the n d states: real, broadcast to (n d,).
    d_states : int
        d, at least 1.
    s4_exp : int
        Without effect in floating point.
    num_message_bits : int
        Of the connections; above 0 (graded messages) for anything useful.
    state_exp : int
        See `SigmaS4dDelta`; fixed-point connections would scale by ``2**state_exp``.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    s_in : InPort, shape (n,)
    a_out : OutPort, shape (n,)
    a, b, c, s4_state : Var, shape (n d,)
        Those of the inner neurons.
    conn_weights : Var, shape (n, n d)
        W, as given at first.
    S4_exp, state_exp, num_message_bits : Var, shape (1,)
        As given at first.
    shape : tuple of int

    Raises
    ------
    ShapeError
        `shape` has more or fewer than one axis, or a coefficient does not broadcast to (n d,).
    ArgumentTypeError
        `shape` is no tuple of integers, another number no integer, or a coefficient no real number.
    ValidationError
        `d_states` is less than 1, or `state_exp` negative.

    Examples
    --------
    >>> from lahar.processes import SigmaS4dDeltaLayer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source = SourceRingBuffer(data=[[1, 0, 0]])
    >>> layer = SigmaS4dDeltaLayer(shape=(1,), vth=0.1, a=[0.5, 0], b=1, c=1, d_states=2)
    >>> source.s_out.connect(layer.s_in)
    >>> with layer:
    ...     layer.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(layer.s4_state.get())
    [1.5 1. ]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        vth: Any,
        a: Any,
        b: Any,
        c: Any,
        d_states: int = 1,
        s4_exp: int = 0,
        num_message_bits: int = 24,
        state_exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        owner = type(self).__name__
        s_in = InPort(shape=shape)  # refuses what is no shape
        if len(shape) != 1:
            raise ShapeError(f"{owner}.shape must have one axis, (n,), not {shape}.")
        d_states = bounded_integer(d_states, f"{owner}.d_states", 1)
        state_exp = bounded_integer(state_exp, f"{owner}.state_exp", 0)
        s4_exp = as_integer(s4_exp, f"{owner}.s4_exp")
        num_message_bits = as_integer(num_message_bits, f"{owner}.num_message_bits")
        conn_weights = np.kron(np.eye(shape[0]), np.ones(d_states))
        super().__init__(
            shape=shape,
            vth=vth,
            a=a,
            b=b,
            c=c,
            d_states=d_states,
            s4_state=0,
            s4_exp=s4_exp,
            num_message_bits=num_message_bits,
            state_exp=state_exp,
            conn_weights=conn_weights,
            act_mode=ActivationMode.UNIT,
            **given(name=name, log_config=log_config),
        )
        states = (shape[0] * d_states,)
        self.s_in = s_in
        self.a_out = OutPort(shape=shape)
        self.a = state_var(self, states, "a", a)
        self.b = state_var(self, states, "b", b)
        self.c = state_var(self, states, "c", c)
        self.s4_state = Var(shape=states, init=0)
        self.S4_exp = _Given(shape=(1,), init=s4_exp)
        self.state_exp = _Given(shape=(1,), init=state_exp)
        self.num_message_bits = _Given(shape=(1,), init=num_message_bits)
        self.conn_weights = _Given(shape=conn_weights.shape, init=conn_weights)


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


@implements(proc=SigmaS4dDeltaLayer, protocol=LoihiProtocol)
class SubDenseLayerModel(AbstractSubProcessModel):
    """Connection, neurons, connection."""

    def __init__(self, proc: SigmaS4dDeltaLayer) -> None:
        params = proc.proc_params
        weights = params["conn_weights"]
        options = {"weight_exp": params["state_exp"], "num_message_bits": params["num_message_bits"]}
        self.sparse1 = Sparse(weights=weights.T, **options)
        self.sigma_S4d_delta = SigmaS4dDelta(
            (weights.shape[1],),
            *(params[key] for key in ("vth", "a", "b", "c", "state_exp", "s4_exp")),
        )
        self.sparse2 = Sparse(weights=weights, **options)
        proc.s_in.connect(self.sparse1.s_in)
        self.sparse1.a_out.connect(self.sigma_S4d_delta.a_in)
        self.sigma_S4d_delta.s_out.connect(self.sparse2.s_in)
        self.sparse2.a_out.connect(proc.a_out)
        for name in ("a", "b", "c", "s4_state"):
            getattr(proc, name).alias(getattr(self.sigma_S4d_delta, name))
