"""Sigma-delta neurons: they send changes of their activation and sum up the changes that they receive.

Model authors derive from the models of `SigmaDelta` and override the hooks `sigma_dynamics`,
`activation_dynamics`, `delta_dynamics` and `dynamics`.
"""

from __future__ import annotations

import warnings
from enum import IntEnum
from typing import Any

import numpy as np

from .delta import (
    AbstractDeltaModel,
    Delta,
    DeltaStage,
    FixedDeltaTypes,
    FloatDeltaTypes,
    PyDeltaModelFixed,
    PyDeltaModelFloat,
)
from .errors import LaharWarning
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
from .parameters import given, state_var, warn_of_misspelt_keywords
from .population import Population
from .ports import InPort, OutPort
from .var import Var

__all__ = [
    "AbstractDeltaModel",
    "AbstractSigmaDeltaModel",
    "AbstractSigmaModel",
    "ActivationMode",
    "Delta",
    "PyDeltaModelFixed",
    "PyDeltaModelFloat",
    "PySigmaDeltaModelFixed",
    "PySigmaDeltaModelFixedCorrected",
    "PySigmaDeltaModelFloat",
    "PySigmaModelFixed",
    "PySigmaModelFloat",
    "ReLU",
    "Sigma",
    "SigmaDelta",
]

_KEYWORDS = (
    "shape",
    "vth",
    "bias",
    "act_mode",
    "cum_error",
    "spike_exp",
    "state_exp",
    "name",
    "log_config",
)


class ActivationMode(IntEnum):
    """Activation function of `SigmaDelta`: the sum itself, or its positive part.

    Attributes
    ----------
    UNIT
        ``x = sigma + bias``
    RELU
        ``x = max(sigma + bias, 0)``
    """

    UNIT = 0
    RELU = 1


class Sigma(Population):
    """Sums up what it receives and sends the sum.

    In floating and in fixed point (int32, which wraps), with input a of the same time step::

        sigma = a + sigma
        s = sigma

    O'Connor & Welling, "Sigma delta quantized networks" (2016).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    sigma : Var, shape S
        float64 or int32.
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import Sigma, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, neurons = SourceRingBuffer(data=[[1, 2, 3]]), Sigma(shape=(1,))
    >>> source.s_out.connect(neurons.a_in)
    >>> with neurons:
    ...     neurons.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(neurons.sigma.get())
    [6.]
    """

    def __init__(self, *, shape: tuple[int, ...], name: str | None = None, log_config: Any = None) -> None:
        super().__init__(shape=shape, **given(name=name, log_config=log_config))
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.sigma = Var(shape=shape, init=0)


class SigmaDelta(DeltaStage):
    """Sums up changes that it receives, applies an activation function, and sends changes of the result.

    With input a of the same time step::

        sigma = a + sigma
        x = sigma + bias, or with ActivationMode.RELU max(sigma + bias, 0)
        s = the delta stage of `Delta`, applied to x

    Fixed point sends ``s >> state_exp``; it does not shift its input (use `weight_exp` of the connection).
    The constructor multiplies `vth` and `bias` with ``2**(spike_exp + state_exp)``, also for floating point.

    O'Connor & Welling, "Sigma delta quantized networks" (2016).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    vth : array_like
        Threshold: a number, or an array that broadcasts to S. 0 sends every change.
    bias : array_like
        Broadcast to S.
    act_mode : ActivationMode
    cum_error : bool
        Whether differences too small to be sent add up until they reach the threshold.
    spike_exp, state_exp : int
        Binary digits after the point, of the messages and in addition of the state.
    **kwargs
        ``name``, ``log_config``; anything else is handed to the ProcessModel.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    sigma, act, residue, error, bias : Var, shape S
        float64 or int32.
    vth : Var, shape (1,) or S
    spike_exp, state_exp, cum_error : Var, shape (1,)
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple of integers, an exponent no integer, or `vth` or `bias` hold no real numbers.
    ShapeError
        `vth` or `bias` does not broadcast to S.
    ValidationError
        An exponent is negative.
    NotImplementedError
        In the first time step: an `act_mode` that the model does not know.

    Notes
    -----
    `PySigmaDeltaModelFixedCorrected`, to be chosen with ``exception_proc_model_map={SigmaDelta: ...}``, loses
    nothing to the shift: `act` follows what the receivers have summed up, and takes the place of `residue`.

    Examples
    --------
    >>> from lahar.processes import SigmaDelta, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, neurons = SourceRingBuffer(data=[[1, 2, -9]]), SigmaDelta(shape=(1,), vth=0, bias=1)
    >>> source.s_out.connect(neurons.a_in)
    >>> with neurons:
    ...     neurons.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(neurons.sigma.get(), neurons.act.get())
    [-6.] [0.]
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        vth: Any,
        bias: Any = 0,
        act_mode: ActivationMode = ActivationMode.RELU,
        cum_error: bool = False,
        spike_exp: int = 0,
        state_exp: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(
            shape=shape,
            vth=vth,
            bias=bias,
            act_mode=act_mode,
            cum_error=cum_error,
            spike_exp=spike_exp,
            state_exp=state_exp,
            **kwargs,
        )
        warn_of_misspelt_keywords(self, kwargs, _KEYWORDS)
        state_var(self, shape, "bias", bias)
        self.bias = state_var(self, shape, "bias", self._scaled(bias))


# --- models ---------------------------------------------------------------------------------


def ReLU(x: np.ndarray) -> np.ndarray:  # noqa: N802
    """Return the positive part of `x`."""
    return np.maximum(x, 0)


class AbstractSigmaModel(PyLoihiProcessModel):
    """Adds up the input."""

    a_in: PyInPort
    s_out: PyOutPort
    sigma: np.ndarray

    def sigma_dynamics(self, a_in_data: np.ndarray) -> np.ndarray:
        """Add `a_in_data` to `sigma` and return it."""
        np.add(a_in_data, self.sigma, out=self.sigma, casting="unsafe")
        return self.sigma

    def run_spk(self) -> None:
        self.s_out.send(self.sigma_dynamics(self.a_in.recv()))


class AbstractSigmaDeltaModel(AbstractSigmaModel, AbstractDeltaModel):
    """Sum, activation function and delta stage."""

    bias: np.ndarray

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.act_mode = self.proc_params["act_mode"]

    def activation_dynamics(self, sigma_data: np.ndarray) -> np.ndarray:
        """Return the activation that belongs to a sum."""
        if self.act_mode == ActivationMode.UNIT:
            return sigma_data + self.bias
        if self.act_mode == ActivationMode.RELU:
            return ReLU(sigma_data + self.bias)
        raise NotImplementedError(
            f"'{self.process_name}': act_mode {self.act_mode!r} is not an ActivationMode of this model; use "
            "ActivationMode.UNIT or ActivationMode.RELU, or a model that overrides activation_dynamics."
        )

    def dynamics(self, a_in_data: np.ndarray) -> np.ndarray:
        """Return what is sent in answer to an input."""
        sigma = self.sigma_dynamics(a_in_data)
        if sigma is not self.sigma:  # an override that returns a new array
            self.sigma[...] = sigma
        return self.delta_dynamics(self.activation_dynamics(self.sigma))

    def run_spk(self) -> None:
        self.s_out.send(self.dynamics(self.a_in.recv()))


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySigmaModelFloat(AbstractSigmaModel):
    """Floating-point Sigma."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    sigma: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=Sigma, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySigmaModelFixed(AbstractSigmaModel):
    """Fixed-point Sigma."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    sigma: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PySigmaDeltaModelFloat(FloatDeltaTypes, AbstractSigmaDeltaModel):
    """Floating-point SigmaDelta."""

    bias: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySigmaDeltaModelFixed(FixedDeltaTypes, AbstractSigmaDeltaModel):
    """Fixed-point SigmaDelta: what is sent loses the bits below `state_exp`."""

    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=16)

    def dynamics(self, a_in_data: np.ndarray) -> np.ndarray:
        return super().dynamics(a_in_data) >> self.state_exp


@implements(proc=SigmaDelta, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PySigmaDeltaModelFixedCorrected(FixedDeltaTypes, AbstractSigmaDeltaModel):
    """Fixed-point SigmaDelta in which `act` is the sum of what was sent, in the scale of the state.

    `residue` and `error` are not used, and `cum_error` has no effect.
    """

    bias: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=16)

    def on_build(self) -> None:
        super().on_build()
        if self.cum_error.any():
            warnings.warn(
                f"'{self.process_name}': cum_error has no effect in {type(self).__name__}.",
                LaharWarning,
                stacklevel=2,
            )

    def delta_dynamics(self, act_data: np.ndarray) -> np.ndarray:
        """Return the change of `act_data` where it reaches the threshold, on the scale of spikes."""
        delta = act_data - self.act
        sent = np.where(np.abs(delta) >= self.vth, delta, 0) >> self.state_exp
        np.add(self.act, sent << self.state_exp, out=self.act, casting="unsafe")
        return sent
