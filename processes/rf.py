"""Resonate-and-fire neurons (RF): damped oscillators in the complex plane.

Model authors derive from `AbstractPyRFModelFloat` or `AbstractPyRFModelFixed` and override the hooks
`scale_volt`, `resonator_dynamics` and `run_spk`.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import DtypeError, LaharWarning, ValidationError
from .fixed_point import STATE_LIMIT, clip_state, toward_zero
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
from .parameters import bounded_integer, parameter_var
from .population import Population
from .ports import InPort, OutPort
from .var import Var


class RF(Population):
    """Resonate-and-fire neurons that spike when the phase of their oscillation passes zero.

    The state rotates by an angle of ``2 pi / period`` and shrinks by a factor of ``1 - alpha`` per time
    step. With ``cos_decay = (1 - alpha) cos(2 pi / period)``, ``sin_decay`` likewise, and inputs a_re, a_im::

        R = cos_decay * real - sin_decay * imag + a_re
        I = sin_decay * real + cos_decay * imag + a_im
        s = (R >= vth) and (I >= 0) and (imag < 0)
        real, imag = R, I

    In fixed point the constants are integers in units of ``2**-decay_bits`` and each product is divided by
    ``2**decay_bits``, rounding toward zero; inputs are shifted left by `state_exp`; the state is limited to
    24 bits.

    Izhikevich, "Resonate-and-fire neurons" (2001).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    period : array_like
        Time steps of a full rotation; broadcasts to S.
    alpha : array_like
        Decay per time step, a fraction; broadcasts to S.
    state_exp : int
        Binary digits after the point of the state; `vth` is multiplied with ``2**state_exp`` here, also for
        floating point.
    decay_bits : int
        Binary digits of the decay constants in fixed point, where at least 1 is needed; leave it at 0 for
        floating point.
    vth : array_like
        Threshold: a number, or an array that broadcasts to S.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_real_in, a_imag_in : InPort, shape S
    s_out : OutPort, shape S
        bool, int32 in fixed point.
    real, imag : Var, shape S
        float64 or int32.
    sin_decay, cos_decay, vth : Var, shape (1,) or S
    state_exp, decay_bits : Var, shape (1,)
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple of integers, an exponent no integer, or a parameter holds no real numbers.
    ShapeError
        A parameter does not broadcast to S.
    ValidationError
        `state_exp` or `decay_bits` is negative, or `period` 0.
    DtypeError
        When the fixed-point model is built: `decay_bits` is 0.

    Examples
    --------
    >>> from lahar.processes import RF, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, neurons = SourceRingBuffer(data=[[8, 0, 0]]), RF(shape=(1,), period=4, alpha=0.5)
    >>> source.s_out.connect(neurons.a_real_in)
    >>> with neurons:
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(neurons.imag.get())
    [4.]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        period: Any,
        alpha: Any,
        state_exp: int = 0,
        decay_bits: int = 0,
        vth: Any = 1,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        owner = type(self).__name__
        state_exp = bounded_integer(state_exp, f"{owner}.state_exp", 0)
        decay_bits = bounded_integer(decay_bits, f"{owner}.decay_bits", 0)
        sin_decay, cos_decay = _rotation(owner, period, alpha)
        super().__init__(
            shape=shape,
            sin_decay=sin_decay,
            cos_decay=cos_decay,
            state_exp=state_exp,
            decay_bits=decay_bits,
            vth=vth,
            name=name,
            log_config=log_config,
        )
        self.a_real_in = InPort(shape=shape)
        self.a_imag_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        for parameter, value in (("period", period), ("alpha", alpha), ("vth", vth)):
            parameter_var(self, shape, parameter, value)
        if state_exp > 0:
            vth = np.trunc(np.asarray(vth) * 2**state_exp).astype(np.int64)
        if decay_bits > 0:
            sin_decay, cos_decay = (
                np.trunc(constant * 2**decay_bits).astype(np.int32) for constant in (sin_decay, cos_decay)
            )
        self.real = Var(shape=shape, init=0)
        self.imag = Var(shape=shape, init=0)
        self.sin_decay = parameter_var(self, shape, "sin_decay", sin_decay)
        self.cos_decay = parameter_var(self, shape, "cos_decay", cos_decay)
        self.state_exp = Var(shape=(1,), init=state_exp)
        self.decay_bits = Var(shape=(1,), init=decay_bits)
        self.vth = parameter_var(self, shape, "vth", vth)


def _rotation(owner: str, period: Any, alpha: Any) -> tuple[Any, Any]:
    """Return sine and cosine of the angle per time step, times the decay."""
    period, alpha = np.asarray(period), np.asarray(alpha)
    if not (period.dtype.kind in "biuf" and alpha.dtype.kind in "biuf"):
        return 0, 0  # refused once the Process has a name
    if np.any(period == 0):
        raise ValidationError("a rotation of 0 time steps is impossible.", f"{owner}.period")
    angle = np.pi * 2 * 1 / period
    return (1 - alpha) * np.sin(angle), (1 - alpha) * np.cos(angle)


# --- models ---------------------------------------------------------------------------------


class AbstractPyRFModelFloat(PyLoihiProcessModel):
    """Floating-point dynamics of resonators, to be subclassed: `run_spk` is missing."""

    a_real_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_imag_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, bool, precision=1)
    real: np.ndarray = LavaPyType(np.ndarray, float)
    imag: np.ndarray = LavaPyType(np.ndarray, float)
    sin_decay: np.ndarray = LavaPyType(np.ndarray, float)
    cos_decay: np.ndarray = LavaPyType(np.ndarray, float)
    state_exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    decay_bits: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=3)
    vth: np.ndarray = LavaPyType(np.ndarray, float)

    def on_build(self) -> None:
        super().on_build()
        if self.decay_bits.any():
            warnings.warn(
                f"'{self.process_name}' runs in floating point with decay constants multiplied by "
                f"2**{self.decay_bits.item()}, which makes it grow without limit. Leave decay_bits at 0.",
                LaharWarning,
                stacklevel=2,
            )

    def scale_volt(self, voltage: np.ndarray) -> np.ndarray:
        """Return a product of state and decay constant on the scale of the state; here unchanged."""
        return voltage

    def resonator_dynamics(
        self,
        a_real_in_data: np.ndarray,
        a_imag_in_data: np.ndarray,
        real: np.ndarray,
        imag: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the next real and imaginary part."""
        return (
            self.scale_volt(self.cos_decay * real) - self.scale_volt(self.sin_decay * imag) + a_real_in_data,
            self.scale_volt(self.sin_decay * real) + self.scale_volt(self.cos_decay * imag) + a_imag_in_data,
        )

    def receive(self) -> tuple[np.ndarray, np.ndarray]:
        """Take the inputs and return the next real and imaginary part."""
        a_real, a_imag = self.a_real_in.recv(), self.a_imag_in.recv()
        return self.resonator_dynamics(a_real, a_imag, self.real, self.imag)


class AbstractPyRFModelFixed(AbstractPyRFModelFloat):
    """Fixed-point dynamics of resonators, to be subclassed: `run_spk` is missing.

    Attributes
    ----------
    ri_bitwidth, neg_voltage_limit, pos_voltage_limit : int
        Width and limits of the state.
    """

    a_real_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=24)
    a_imag_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    real: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    imag: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    sin_decay: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    cos_decay: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.ri_bitwidth = 24
        self.neg_voltage_limit = 1 - STATE_LIMIT
        self.pos_voltage_limit = STATE_LIMIT - 1

    def on_build(self) -> None:
        PyLoihiProcessModel.on_build(self)
        if not self.decay_bits.all():
            raise DtypeError(
                f"'{self.process_name}' runs in fixed point and needs its decay constants as integers: give "
                "decay_bits, for example decay_bits=12, or run with floating_pt models."
            )

    def scale_volt(self, voltage: np.ndarray) -> np.ndarray:
        """Return ``voltage / 2**decay_bits``, rounded toward zero."""
        return toward_zero(voltage, self.decay_bits.item())

    def resonator_dynamics(
        self,
        a_real_in_data: np.ndarray,
        a_imag_in_data: np.ndarray,
        real: np.ndarray,
        imag: np.ndarray,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the next real and imaginary part, limited to 24 bits."""
        shift = self.state_exp.item()
        re, im = super().resonator_dynamics(
            a_real_in_data.astype(np.int64) << shift,
            a_imag_in_data.astype(np.int64) << shift,
            real.astype(np.int64),
            imag.astype(np.int64),
        )
        return clip_state(re), clip_state(im)


class _Resonating:
    """Spikes where the phase passes zero from below and the real part reaches the threshold."""

    def run_spk(self) -> None:
        real, imag = self.receive()
        spikes = (real >= self.vth) & (imag >= 0) & (self.imag < 0)
        self.real[...] = real
        self.imag[...] = imag
        self.s_out.send(spikes)


@implements(proc=RF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyRFModelFloat(_Resonating, AbstractPyRFModelFloat):
    """Floating-point RF."""


@implements(proc=RF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyRFModelFixed(_Resonating, AbstractPyRFModelFixed):
    """Fixed-point RF."""
