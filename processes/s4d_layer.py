"""SigmaS4dDeltaLayer: several S4D states per neuron, with the connections that spread and gather them."""

from __future__ import annotations

from typing import Any

import numpy as np

from .dense import Dense
from .errors import ShapeError
from .model import AbstractSubProcessModel, LoihiProtocol, implements
from .parameters import as_integer, bounded_integer, given, state_var
from .population import Population
from .ports import InPort, OutPort
from .s4d import SigmaS4dDelta
from .sdn import ActivationMode
from .var import Var


class SigmaS4dDeltaLayer(Population):
    """n neurons with d states each, driven by one input per neuron and summed to one output per neuron.

    Becomes three processes, with ``W = kron(eye(n), ones(d))`` of shape (n, n d) and two time steps of delay::

        s_in -> sparse1 (W.T) -> sigma_S4d_delta (SigmaS4dDelta of n d neurons) -> sparse2 (W) -> a_out

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
        self.S4_exp = Var(shape=(1,), init=s4_exp)
        self.state_exp = Var(shape=(1,), init=state_exp)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)
        self.conn_weights = Var(shape=conn_weights.shape, init=conn_weights)


@implements(proc=SigmaS4dDeltaLayer, protocol=LoihiProtocol)
class SubDenseLayerModel(AbstractSubProcessModel):
    """Connection, neurons, connection."""

    def __init__(self, proc: SigmaS4dDeltaLayer) -> None:
        params = proc.proc_params
        weights = params["conn_weights"]
        options = {"weight_exp": params["state_exp"], "num_message_bits": params["num_message_bits"]}
        self.sparse1 = Dense(weights=weights.T, **options)
        self.sigma_S4d_delta = SigmaS4dDelta(
            (weights.shape[1],),
            *(params[key] for key in ("vth", "a", "b", "c", "state_exp", "s4_exp")),
        )
        self.sparse2 = Dense(weights=weights, **options)
        proc.s_in.connect(self.sparse1.s_in)
        self.sparse1.a_out.connect(self.sigma_S4d_delta.a_in)
        self.sigma_S4d_delta.s_out.connect(self.sparse2.s_in)
        self.sparse2.a_out.connect(proc.a_out)
        for name in ("a", "b", "c", "s4_state"):
            getattr(proc, name).alias(getattr(self.sigma_S4d_delta, name))
