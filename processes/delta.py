"""Delta: neurons that send changes of their input; and the delta stage that they share with others."""

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
from .parameters import bounded_integer, given, parameter_var
from .population import Population
from .ports import InPort, OutPort
from .var import Var


class DeltaStage(Population):
    """What `Delta` and `SigmaDelta` share: ports, threshold, exponents and state; has no ProcessModel."""

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        vth: Any,
        cum_error: bool,
        spike_exp: int,
        state_exp: int,
        **kwargs: Any,
    ) -> None:
        owner = type(self).__name__
        spike_exp = bounded_integer(spike_exp, f"{owner}.spike_exp", 0)
        state_exp = bounded_integer(state_exp, f"{owner}.state_exp", 0)
        super().__init__(
            shape=shape, vth=vth, cum_error=cum_error, spike_exp=spike_exp, state_exp=state_exp, **kwargs
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        parameter_var(self, shape, "vth", vth)  # refuses what cannot be scaled
        self.vth = parameter_var(self, shape, "vth", self._scaled(vth))
        self.sigma = Var(shape=shape, init=0)
        self.act = Var(shape=shape, init=0)
        self.residue = Var(shape=shape, init=0)
        self.error = Var(shape=shape, init=0)
        self.spike_exp = Var(shape=(1,), init=spike_exp)
        self.state_exp = Var(shape=(1,), init=state_exp)
        self.cum_error = Var(shape=(1,), init=bool(cum_error))

    def _scaled(self, value: Any) -> Any:
        """Return ``value * 2**(spike_exp + state_exp)``."""
        value = np.asarray(value)
        if value.dtype.kind in "biu":
            value = value.astype(np.int64)
        return value * (1 << (self.proc_params["spike_exp"] + self.proc_params["state_exp"]))


class Delta(DeltaStage):
    """Sends the change of its input where it reaches a threshold.

    With input a of the same time step, in fixed point ``x = a << (spike_exp + state_exp)``, else ``x = a``::

        d = x - act + residue
        cum_error:  error = error + d;  s = d where |error| >= vth, else 0;  error = 0 where s != 0
        otherwise:                      s = d where |d| >= vth, else 0
        residue = d - s
        act = x

    Fixed point sends ``s >> state_exp`` (what the shift cuts off is lost). The constructor multiplies `vth`
    with ``2**(spike_exp + state_exp)``, also for floating point.

    O'Connor & Welling, "Sigma delta quantized networks" (2016).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    vth : array_like
        Threshold: a number, or an array that broadcasts to S. 0 sends every change.
    cum_error : bool
        Whether differences too small to be sent add up until they reach the threshold.
    spike_exp, state_exp : int
        Binary digits after the point, of the messages and in addition of the state.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    act, residue, error : Var, shape S
        float64 or int32. Last input, what was not sent of it, and the sum of that.
    sigma : Var, shape S
        Without use.
    vth : Var, shape (1,) or S
    spike_exp, state_exp, cum_error : Var, shape (1,)
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple of integers, an exponent no integer, or `vth` holds no real numbers.
    ShapeError
        `vth` does not broadcast to S.
    ValidationError
        An exponent is negative.

    Examples
    --------
    >>> from lahar.processes import Delta, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[3, 4, 9, 9]]), SinkRingBuffer(shape=(1,), buffer=4)
    >>> neurons = Delta(shape=(1,), vth=2)
    >>> source.s_out.connect(neurons.a_in)
    >>> neurons.s_out.connect(sink.a_in)
    >>> with neurons:
    ...     neurons.run(condition=RunSteps(num_steps=4), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[3. 0. 6. 0.]]
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        vth: Any,
        cum_error: bool = False,
        spike_exp: int = 0,
        state_exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(
            shape=shape,
            vth=vth,
            cum_error=cum_error,
            spike_exp=spike_exp,
            state_exp=state_exp,
            **given(name=name, log_config=log_config),
        )


# --- models ---------------------------------------------------------------------------------


class AbstractDeltaModel(PyLoihiProcessModel):
    """The delta stage: what is sent of an activation."""

    a_in: PyInPort
    s_out: PyOutPort
    vth: np.ndarray
    sigma: np.ndarray
    act: np.ndarray
    residue: np.ndarray
    error: np.ndarray
    spike_exp: np.ndarray
    state_exp: np.ndarray
    cum_error: np.ndarray

    def delta_dynamics(self, act_data: np.ndarray) -> np.ndarray:
        """Return the change of `act_data` where it reaches the threshold; update `act` and what is left."""
        delta = act_data - self.act + self.residue
        if self.cum_error.any():
            np.add(self.error, delta, out=self.error)
            sent = np.where(np.abs(self.error) >= self.vth, delta, 0)
            self.error[sent != 0] = 0
        else:
            sent = np.where(np.abs(delta) >= self.vth, delta, 0)
        np.subtract(delta, sent, out=self.residue)
        self.act[...] = act_data
        return sent

    def dynamics(self, a_in_data: np.ndarray) -> np.ndarray:
        """Return what is sent in answer to an input."""
        return self.delta_dynamics(a_in_data)

    def run_spk(self) -> None:
        self.s_out.send(self.dynamics(self.a_in.recv()))


class FloatDeltaTypes:
    """Types of a delta stage in floating point."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    vth: np.ndarray = LavaPyType(np.ndarray, float)
    sigma: np.ndarray = LavaPyType(np.ndarray, float)
    act: np.ndarray = LavaPyType(np.ndarray, float)
    residue: np.ndarray = LavaPyType(np.ndarray, float)
    error: np.ndarray = LavaPyType(np.ndarray, float)
    spike_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    state_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    cum_error: np.ndarray = LavaPyType(np.ndarray, bool, precision=1)


class FixedDeltaTypes:
    """Types of a delta stage in fixed point."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    sigma: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    act: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    residue: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    error: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    spike_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    state_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    cum_error: np.ndarray = LavaPyType(np.ndarray, bool, precision=1)


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyDeltaModelFloat(FloatDeltaTypes, AbstractDeltaModel):
    """Floating-point Delta."""


@implements(proc=Delta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyDeltaModelFixed(FixedDeltaTypes, AbstractDeltaModel):
    """Fixed-point Delta: the input is shifted to the scale of the state, the output back to that of spikes."""

    def dynamics(self, a_in_data: np.ndarray) -> np.ndarray:
        shifted = a_in_data.astype(np.int32) << (self.spike_exp + self.state_exp)
        return self.delta_dynamics(shifted) >> self.state_exp
