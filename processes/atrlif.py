"""ATRLIF: integrate-and-fire neurons with an adaptive threshold and a refractory state.

Model authors derive from the two models and override the hooks `subthr_dynamics` and `post_spike`, and in
fixed point `scale_bias` and `scale_threshold`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import LaharWarning
from .fixed_point import STATE_LIMIT, Derived, clip_state, scaled_bias, warn_of_lost_bias, wrap_state
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
from .parameters import parameter_var, state_var, warn_outside
from .ports import InPort, OutPort
from .process import AbstractProcess

_DELTAS = ("delta_i", "delta_v", "delta_theta", "delta_r")
_THETA = 5


class ATRLIF(AbstractProcess):
    """Adaptive-threshold, refractory leaky integrate-and-fire neurons.

    In floating point, with input a of the same time step::

        i = (1 - delta_i) * i + a
        v = (1 - delta_v) * v + i + bias_mant
        theta = (1 - delta_theta) * (theta - theta_0) + theta_0
        r = (1 - delta_r) * r
        s = (v - r) >= theta
        where s:  r = r + 2 * theta;  theta = theta + theta_step

    The voltage is not reset; the refractory state r holds it below the threshold after a spike.

    In fixed point the same in units of 1/64 for i, v, r and theta: ``a``, ``theta_0`` and ``theta_step`` are
    multiplied with 64, the bias is ``bias_mant * 2**bias_exp``, decays are formed in units of 1/4096 and
    rounded toward zero, i wraps and v is limited at 24 bits. The factor of i is
    ``4096 - (delta_i * 4096 + 1)``: i loses a 4096th even if `delta_i` is 0, and the factor is -1 if it is 1.
    theta starts at `theta_0`, whatever its initial value is.

    Bellec et al., "Long short-term memory and learning-to-learn in networks of spiking neurons" (2018), describes
    the adaptive threshold.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    i, v, theta, r : array_like
        Initial current, voltage, threshold and refractory state, broadcast to S.
    s : array_like
        Initial spikes, broadcast to S.
    delta_i, delta_v, delta_theta, delta_r : array_like
        Decays per time step, fractions for both tags: a number, or an array that broadcasts to S.
    theta_0, theta_step : array_like
        Resting value of the threshold, and by how much a spike raises it.
    bias_mant, bias_exp : array_like
        Bias, broadcast to S; floating point uses `bias_mant` only.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    i, v, theta, r, bias_mant, bias_exp : Var, shape S
        float64; in fixed point int32, the bias int16.
    s : Var, shape S, bool
        Spikes of the last time step.
    delta_i, delta_v, delta_theta, delta_r, theta_0, theta_step : Var, shape (1,) or S, float64

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers, or a parameter does not hold real numbers.
    ShapeError
        A parameter does not broadcast to S.

    Examples
    --------
    >>> from lahar.processes import ATRLIF
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> with ATRLIF(shape=(1,), bias_mant=6, delta_v=0) as neurons:
    ...     neurons.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(neurons.s.get(), neurons.r.get(), neurons.theta.get())
    [ True] [10.] [8.75]
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        i: Any = 0,
        v: Any = 0,
        theta: Any = _THETA,
        r: Any = 0,
        s: Any = 0,
        delta_i: Any = 0.4,
        delta_v: Any = 0.4,
        delta_theta: Any = 0.2,
        delta_r: Any = 0.2,
        theta_0: Any = 5,
        theta_step: Any = 3.75,
        bias_mant: Any = 0,
        bias_exp: Any = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(
            shape=shape,
            i=i,
            v=v,
            theta=theta,
            r=r,
            s=s,
            delta_i=delta_i,
            delta_v=delta_v,
            delta_theta=delta_theta,
            delta_r=delta_r,
            theta_0=theta_0,
            theta_step=theta_step,
            bias_mant=bias_mant,
            bias_exp=bias_exp,
            name=name,
            log_config=log_config,
        )
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        for state in ("i", "v", "theta", "r", "s", "bias_mant", "bias_exp"):
            setattr(self, state, state_var(self, shape, state, self.proc_params[state]))
        for constant in (*_DELTAS, "theta_0", "theta_step"):
            setattr(self, constant, parameter_var(self, shape, constant, self.proc_params[constant]))


# --- models ---------------------------------------------------------------------------------


class AbstractPyATRLIFModel(PyLoihiProcessModel):
    """What both number formats share: the order of a time step."""

    a_in: PyInPort
    s_out: PyOutPort
    i: np.ndarray
    v: np.ndarray
    theta: np.ndarray
    r: np.ndarray
    bias_mant: np.ndarray
    bias_exp: np.ndarray
    s: np.ndarray = LavaPyType(np.ndarray, bool)
    delta_i: np.ndarray = LavaPyType(np.ndarray, float)
    delta_v: np.ndarray = LavaPyType(np.ndarray, float)
    delta_theta: np.ndarray = LavaPyType(np.ndarray, float)
    delta_r: np.ndarray = LavaPyType(np.ndarray, float)
    theta_0: np.ndarray = LavaPyType(np.ndarray, float)
    theta_step: np.ndarray = LavaPyType(np.ndarray, float)

    def on_build(self) -> None:
        super().on_build()
        for name in _DELTAS:
            values = getattr(self, name)
            outside = values[(values < 0) | (values > 1)]
            if outside.size:
                warnings.warn(
                    f"'{self.process_name}': {name} = {outside.flat[0]} is outside [0, 1]: it is a fraction, "
                    "also in fixed point.",
                    LaharWarning,
                    stacklevel=2,
                )

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Update `i`, `v`, `theta` and `r` with the input of this time step."""
        raise NotImplementedError(f"{type(self).__name__} must define subthr_dynamics().")

    def post_spike(self, spike_vector: np.ndarray) -> None:
        """Raise refractory state and threshold where `spike_vector` (bool) is true."""
        raise NotImplementedError(f"{type(self).__name__} must define post_spike().")

    def _raise_by(self, spike_vector: np.ndarray, step: np.ndarray) -> None:
        theta = self.theta
        np.add(self.r, 2 * theta, out=self.r, where=spike_vector)
        np.add(theta, step, out=theta, where=spike_vector)

    def run_spk(self) -> None:
        self.subthr_dynamics(activation_in=self.a_in.recv())
        np.greater_equal(self.v - self.r, self.theta, out=self.s)
        self.post_spike(spike_vector=self.s)
        self.s_out.send(self.s)


@implements(proc=ATRLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyATRLIFModelFloat(AbstractPyATRLIFModel):
    """Floating-point ATRLIF."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    i: np.ndarray = LavaPyType(np.ndarray, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    theta: np.ndarray = LavaPyType(np.ndarray, float)
    r: np.ndarray = LavaPyType(np.ndarray, float)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, float)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, float)

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Update `i`, `v`, `theta` and `r` with the input of this time step."""
        self.i[...] = (1 - self.delta_i) * self.i + activation_in
        self.v[...] = (1 - self.delta_v) * self.v + self.i + self.bias_mant
        self.theta[...] = (1 - self.delta_theta) * (self.theta - self.theta_0) + self.theta_0
        self.r[...] = (1 - self.delta_r) * self.r

    def post_spike(self, spike_vector: np.ndarray) -> None:
        """Raise refractory state and threshold where `spike_vector` (bool) is true."""
        self._raise_by(spike_vector, self.theta_step)


@implements(proc=ATRLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyATRLIFModelFixed(AbstractPyATRLIFModel):
    """Fixed-point ATRLIF.

    Attributes
    ----------
    effective_bias : ndarray of int32, shape S
        ``bias_mant * 2**bias_exp``, formed by `scale_bias` in every time step.
    effective_theta_0, effective_theta_step : ndarray of int32
        In units of 1/64.
    isthrscaled : bool
        False asks `run_spk` to call `scale_threshold`: in the first time step and after a Var was set.
    ds_offset, iv_bitwidth, max_iv_val, decay_shift, decay_unity, theta_unity, act_unity : int
        Constants of the number format.
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=16)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    i: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    theta: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    r: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int16, precision=13)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int16, precision=3)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.ds_offset = 1
        self.isthrscaled = False
        self.effective_bias: Any = 0
        self.effective_theta_0: Any = 0
        self.effective_theta_step: Any = 0
        self.iv_bitwidth = 24
        self.max_iv_val = 2 ** (self.iv_bitwidth - 1)
        self.decay_shift = 12
        self.decay_unity = 2**self.decay_shift
        self._bias = Derived(scaled_bias)
        self._factors = Derived(self._form_factors)
        self.theta_unity = 2**6
        self.act_unity = 2**6

    def on_build(self) -> None:
        super().on_build()
        # Vars are still as the user gave them.
        for state in ("i", "v"):
            warn_outside(f"'{self.process_name}': {state}", getattr(self, state), -STATE_LIMIT, STATE_LIMIT)
        warn_of_lost_bias(self.process_name, self.bias_mant, self.bias_exp)
        lost = (self.theta != self.theta_0.astype(np.int32)) & (self.theta != _THETA)
        if lost.any():
            warnings.warn(
                f"'{self.process_name}': in fixed point theta starts at theta_0; the initial value "
                f"{self.theta[lost].flat[0]} is not used.",
                LaharWarning,
                stacklevel=2,
            )

    def on_var_update(self) -> None:
        super().on_var_update()
        self.isthrscaled = False

    def scale_bias(self) -> None:
        """Form `effective_bias` from `bias_mant` and `bias_exp`; a subclass may then change it."""
        self.effective_bias = self._bias.of(self.bias_mant, self.bias_exp).copy()

    def scale_threshold(self) -> None:
        """Form the effective constants of the threshold; in the first time step theta starts at rest."""
        self.effective_theta_0 = (self.theta_0 * self.theta_unity).astype(np.int32)
        self.effective_theta_step = (self.theta_step * self.theta_unity).astype(np.int32)
        if self.time_step <= 1:
            self.theta[...] = self.effective_theta_0
        self.isthrscaled = True

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Update `i`, `v`, `theta` and `r` with the input of this time step."""
        i, v, theta, r = self.i, self.v, self.theta, self.r
        factor_i, factor_v, factor_theta, factor_r = self._factors.of(
            self.delta_i, self.delta_v, self.delta_theta, self.delta_r
        )
        self._decay(i, factor_i)
        np.add(i, activation_in * activation_in.dtype.type(self.act_unity), out=i, casting="unsafe")
        wrap_state(i)
        self._decay(v, factor_v)
        np.add(v, i, out=v)
        np.add(v, self.effective_bias, out=v)
        v[...] = clip_state(v)
        theta -= self.effective_theta_0
        self._decay(theta, factor_theta)
        theta += self.effective_theta_0
        self._decay(r, factor_r)

    def _form_factors(self, *deltas: np.ndarray) -> list[np.ndarray]:
        """What i, v, theta and r are multiplied with: the first exactly, the others in units of 1/4096."""
        unity = self.decay_unity
        exact = unity - (deltas[0] * unity + self.ds_offset)
        factors = [exact, *(np.trunc(unity - delta * unity) for delta in deltas[1:])]
        return [(factor / unity).reshape(() if factor.size == 1 else factor.shape) for factor in factors]

    @staticmethod
    def _decay(state: np.ndarray, factor: np.ndarray) -> None:
        """Multiply in place and round toward zero.

        Floats hold the product of a state and an integer factor exactly, and dividing by a power of two
        changes no digit, so that one cast does what cutting the product and shifting it would do.
        """
        state[...] = (state * factor).astype(np.int64)

    def post_spike(self, spike_vector: np.ndarray) -> None:
        """Raise refractory state and threshold where `spike_vector` (bool) is true."""
        self._raise_by(spike_vector, self.effective_theta_step)

    def run_spk(self) -> None:
        self.scale_bias()
        if not self.isthrscaled:
            self.scale_threshold()
        super().run_spk()
