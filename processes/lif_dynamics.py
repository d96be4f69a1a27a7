"""Dynamics of integrate-and-fire neurons, in floating point and in the integers of Loihi, to be subclassed.

Model authors find the two bases in `lahar.processes.lif`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import DtypeError
from .fixed_point import Derived, scaled_bias, toward_zero, warn_of_lost_bias
from .kernels import Kernel, readable
from .model import LavaPyType, PyInPort, PyLoihiProcessModel, PyOutPort
from .parameters import check_integers, warn_of_wrapping, warn_outside

# Neurons from which on a compiled update is faster than NumPy, and as many updates as loading it costs.
_FLOAT_UPDATE = Kernel("lif_float", 1 << 13, 1 << 28)
_FIXED_UPDATE = Kernel("lif_fixed", 1 << 11, 1 << 27)
_UNCHANGED = np.empty(0)
_MANY = 100


class DecayFactor:
    """What a state is multiplied with in each time step, formed anew only when the constant has changed.

    Comparing the bytes of the constant costs a fraction of one array operation and holds however the
    constant was changed: by `Var.set`, through a RefPort, or in place by a subclass.
    """

    def __init__(self) -> None:
        self._seen: Any = None
        self._factor: np.ndarray | None = None
        self.exceeds_one = False

    def of(self, decay: Any, unity: float, scale: float = 1.0) -> np.ndarray | None:
        """Return ``(unity - decay) / scale``, or None if that is 1 throughout.

        Parameters
        ----------
        decay : ndarray or number
            Decay constant.
        unity : float
            Value of `decay` that would leave nothing.
        scale : float
            A power of two.

        Returns
        -------
        ndarray of float64 or None
            Zero-dimensional if `decay` holds one number: numpy multiplies with that faster than with a
            Python float.
        """
        seen = decay.tobytes() if type(decay) is np.ndarray else decay
        if seen != self._seen:
            factor = (unity - np.asarray(decay, np.float64)) / scale
            if factor.size == 1:
                factor = factor.reshape(())
            self._factor = None if np.all(factor == 1) else factor
            self.exceeds_one = bool(np.any(np.abs(factor) > 1))
            self._seen = seen
        return self._factor


def _set_to_zero(state: np.ndarray, where: np.ndarray) -> None:
    count = np.count_nonzero(where)
    if not count:
        return
    if count > _MANY and where.dtype == np.bool_ and 16 * count > where.size:
        # many at random places: the branch on each is mispredicted, finding them first takes no branches
        where = where.nonzero()
    state[where] = 0


def _updated_by(
    kernel: Kernel, arrays: list[np.ndarray], factors: list[np.ndarray | None], *limit: int
) -> bool:
    """Run a compiled update on u, v, activation and bias, if it can take them and pays; return whether it ran."""
    state = arrays[0]
    for array in arrays:
        if (
            not isinstance(array, np.ndarray)
            or array.dtype != state.dtype
            or array.shape != state.shape
            or not readable(array)
        ):
            return False
    if any(f is not None and f.size > 1 and f.shape != state.shape for f in factors):
        return False
    loop = kernel.for_work(state.size)
    if loop is None:
        return False
    loop(
        *[array.reshape(-1) for array in arrays],
        *[_UNCHANGED if f is None else np.ascontiguousarray(f).reshape(-1) for f in factors],
        *limit,
    )
    return True


class AbstractPyLifModelFloat(PyLoihiProcessModel):
    """Floating-point dynamics of integrate-and-fire neurons, to be subclassed.

    Attributes
    ----------
    u, v, bias_mant, bias_exp : ndarray of float64, shape S
    du, dv : ndarray of float64, shape (1,) or S
    s_out_buff : ndarray of bool, shape S
        Spikes of the last time step.

    Examples
    --------
    A neuron with a soft reset, which keeps what exceeds the threshold:

    >>> import numpy as np
    >>> from lahar.processes import LIF
    >>> from lahar.processes.lif import AbstractPyLifModelFloat
    >>> from lahar.processes.model import CPU, LavaPyType, LoihiProtocol, implements, requires, tag
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> class SoftLIF(LIF):
    ...     '''LIF whose voltage is lowered by the threshold after a spike.'''
    >>> @implements(proc=SoftLIF, protocol=LoihiProtocol)
    ... @requires(CPU)
    ... @tag("floating_pt")
    ... class PySoftLifModel(AbstractPyLifModelFloat):
    ...     vth: np.ndarray = LavaPyType(np.ndarray, float)
    ...
    ...     def spiking_activation(self):
    ...         return self.v > self.vth
    ...
    ...     def reset_voltage(self, spike_vector):
    ...         self.v -= self.vth * spike_vector
    >>> with SoftLIF(shape=(1,), bias_mant=7, vth=10) as neurons:
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(neurons.v.get())
    [4.]
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    u: np.ndarray = LavaPyType(np.ndarray, float)
    v: np.ndarray = LavaPyType(np.ndarray, float)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, float)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, float)
    du: np.ndarray = LavaPyType(np.ndarray, float)
    dv: np.ndarray = LavaPyType(np.ndarray, float)

    s_out_buff: np.ndarray

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self._du_factor = DecayFactor()
        self._dv_factor = DecayFactor()

    def spiking_activation(self) -> np.ndarray:
        """Return which neurons spike, as an array of bool."""
        raise NotImplementedError(f"{type(self).__name__} must define spiking_activation().")

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Update `u` and `v` in place with the input of this time step."""
        u, v = self.u, self.v
        if (u.size >= _FLOAT_UPDATE.least or Kernel.always) and self._update_compiled(activation_in):
            return
        factor = self._du_factor.of(self.du, 1.0)
        if factor is not None:
            np.multiply(u, factor, out=u)
        np.add(u, activation_in, out=u)
        factor = self._dv_factor.of(self.dv, 1.0)
        if factor is not None:
            np.multiply(v, factor, out=v)
        np.add(v, u, out=v)
        np.add(v, self.bias_mant, out=v)

    def _update_compiled(self, activation: np.ndarray) -> bool:
        """Do what `subthr_dynamics` does in a compiled loop; False if there is none or it would not pay."""
        if activation.dtype.kind in "biuf" and activation.dtype.itemsize <= 8:
            activation = np.ascontiguousarray(activation, np.float64)
        factors = [self._du_factor.of(self.du, 1.0), self._dv_factor.of(self.dv, 1.0)]
        return _updated_by(_FLOAT_UPDATE, [self.u, self.v, activation, self.bias_mant], factors)

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """Set the voltage to 0 where `spike_vector` (bool) is true."""
        _set_to_zero(self.v, spike_vector)

    def run_spk(self) -> None:
        super().run_spk()
        self.subthr_dynamics(activation_in=self.a_in.recv())
        spikes = self.s_out_buff = self.spiking_activation()
        self.reset_voltage(spike_vector=spikes)
        self.s_out.send(spikes)


class AbstractPyLifModelFixed(PyLoihiProcessModel):
    """Fixed-point dynamics of integrate-and-fire neurons as on Loihi, to be subclassed.

    Attributes
    ----------
    u, v : ndarray of int32, shape S
        24-bit numbers.
    bias_mant, bias_exp : ndarray of int16, shape S
    du, dv : ndarray of int32, shape (1,) or S
    s_out_buff : ndarray of bool, shape S
        Spikes of the last time step.
    effective_bias : ndarray of int32, shape S
        ``bias_mant << bias_exp``, kept up to date by `scale_bias` in every time step.
    isthrscaled : bool
        False asks `run_spk` to call `scale_threshold`: in the first time step and after a Var was set.
    isbiasscaled : bool
    ds_offset, dm_offset : int
        Added to `du` and to `dv`.
    uv_bitwidth, max_uv_val, decay_shift, decay_unity, vth_shift, act_shift : int
        Constants of the number format; a subclass may change them in its constructor.

    Examples
    --------
    A neuron whose spikes carry its voltage:

    >>> import numpy as np
    >>> from lahar.processes import LIF, SinkRingBuffer
    >>> from lahar.processes.lif import AbstractPyLifModelFixed
    >>> from lahar.processes.model import CPU, LavaPyType, LoihiProtocol, implements, requires, tag
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> class GradedLIF(LIF):
    ...     '''LIF that sends its voltage where it exceeds the threshold.'''
    >>> @implements(proc=GradedLIF, protocol=LoihiProtocol)
    ... @requires(CPU)
    ... @tag("fixed_pt")
    ... class PyGradedLifModel(AbstractPyLifModelFixed):
    ...     vth: np.ndarray = LavaPyType(np.ndarray, np.int32)
    ...
    ...     def scale_threshold(self):
    ...         self.effective_vth = self.vth << self.vth_shift
    ...         self.isthrscaled = True
    ...
    ...     def spiking_activation(self):
    ...         return np.where(self.v > self.effective_vth, self.v, 0)
    ...
    ...     def reset_voltage(self, spike_vector):
    ...         self.v[spike_vector != 0] = 0
    >>> neurons, sink = GradedLIF(shape=(1,), bias_mant=300, vth=9), SinkRingBuffer(shape=(1,), buffer=4)
    >>> neurons.s_out.connect(sink.a_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=4), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[  0 600   0 600]]
    """

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int16, precision=16)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    u: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    bias_mant: np.ndarray = LavaPyType(np.ndarray, np.int16, precision=13)
    bias_exp: np.ndarray = LavaPyType(np.ndarray, np.int16, precision=3)
    du: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)
    dv: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=12)

    s_out_buff: np.ndarray

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.ds_offset = 1
        self.dm_offset = 0
        self.isbiasscaled = False
        self.isthrscaled = False
        self.effective_bias: Any = 0
        self.uv_bitwidth = 24
        self.max_uv_val = 2 ** (self.uv_bitwidth - 1)
        self.decay_shift = 12
        self.decay_unity = 2**self.decay_shift
        self.vth_shift = 6
        self.act_shift = 6
        self._du_factor = DecayFactor()
        self._dv_factor = DecayFactor()
        self._bias = Derived(scaled_bias)
        self._shift: Any = None
        self._limits: Any = None
        self._work: np.ndarray | None = None

    def on_build(self) -> None:
        super().on_build()
        given, name = self.proc_params.get, self.process_name
        check_integers(f"'{name}': du", given("du"), -1, self.decay_unity - 1)
        check_integers(f"'{name}': dv", given("dv"), 0, self.decay_unity)
        warn_of_wrapping(f"'{name}': bias_mant", given("bias_mant"), np.int16)
        for state in ("u", "v"):
            warn_outside(f"'{name}': {state}", given(state), -self.max_uv_val, self.max_uv_val)
        warn_of_lost_bias(name, self.bias_mant, self.bias_exp)

    def on_var_update(self) -> None:
        super().on_var_update()
        self.isthrscaled = False

    def scale_bias(self) -> None:
        """Form `effective_bias` from `bias_mant` and `bias_exp`; a subclass may then change it."""
        self.effective_bias = self._bias.of(self.bias_mant, self.bias_exp).copy()
        self.isbiasscaled = True

    def scale_threshold(self) -> None:
        """Form the effective threshold and set `isthrscaled`."""
        raise NotImplementedError(f"{type(self).__name__} must define scale_threshold().")

    def spiking_activation(self) -> np.ndarray:
        """Return which neurons spike, as an array of bool."""
        raise NotImplementedError(f"{type(self).__name__} must define spiking_activation().")

    def subthr_dynamics(self, activation_in: np.ndarray) -> None:
        """Update `u` (wrapping at 24 bits) and `v` (limited to 24 bits) in place."""
        if self._limits is None:
            m = self.max_uv_val
            self._limits = [np.array(x, np.int32) for x in (m, -m, m - 1, 1 - m)]
        wrap_above, wrap_below, high, low = self._limits
        u, v = self.u, self.v
        if (u.size >= _FIXED_UPDATE.least or Kernel.always) and self._update_compiled(activation_in):
            return
        self._decay(u, self.du, self.ds_offset, self._du_factor)
        np.add(u, self._scale_activation(activation_in), out=u)
        above, below = u > wrap_above, u <= wrap_below
        if 1 in above.tobytes():  # far quicker than any()
            u[above] -= 2 * self.max_uv_val
        if 1 in below.tobytes():
            u[below] += 2 * self.max_uv_val
        self._decay(v, self.dv, self.dm_offset, self._dv_factor)
        np.add(v, u, out=v)
        np.add(v, self.effective_bias, out=v)
        np.minimum(v, high, out=v)
        np.maximum(v, low, out=v)

    def _update_compiled(self, activation_in: np.ndarray) -> bool:
        """Do what `subthr_dynamics` does in a compiled loop; False if there is none or it would not pay."""
        of_u, of_v = self._du_factor, self._dv_factor
        factors = [
            factor_of.of(decay, self.decay_unity - offset, 2.0**self.decay_shift)
            for factor_of, decay, offset in (
                (of_u, self.du, self.ds_offset),
                (of_v, self.dv, self.dm_offset),
            )
        ]
        activation = self._scale_activation(activation_in)
        if of_u.exceeds_one or of_v.exceeds_one or activation.dtype.kind != "i":
            return False
        activation = np.ascontiguousarray(activation.astype(np.int32, copy=False))  # wraps as the sum would
        arrays = [self.u, self.v, activation, self.effective_bias]
        return _updated_by(_FIXED_UPDATE, arrays, factors, self.max_uv_val)

    def _decay(self, state: np.ndarray, decay: Any, offset: int, factor_of: DecayFactor) -> None:
        """Multiply by ``1 - (decay + offset) / decay_unity`` in place, rounding toward zero."""
        unity = self.decay_unity - offset
        factor = factor_of.of(decay, unity, 2.0**self.decay_shift)
        if factor is None:
            return
        if factor_of.exceeds_one:
            product = state.astype(np.int64) * (unity - np.asarray(decay, np.int64))
            state[...] = toward_zero(product, self.decay_shift)
        else:
            # Exact: a state of 32 bits times a factor of 13 fits into the 53 bits of a float, dividing by
            # a power of two loses nothing, and the cast back to integers rounds toward zero.
            work = self._work
            if work is None:
                work = self._work = np.empty(state.shape)
            work[...] = state
            np.multiply(work, factor, out=work)
            state[...] = work

    def _scale_activation(self, activation_in: np.ndarray) -> np.ndarray:
        """Shift the input to the scale of the current, in its own dtype."""
        if self._shift is None or self._shift.dtype != activation_in.dtype:
            if activation_in.dtype.kind not in "iu":
                raise DtypeError(
                    f"'{self.process_name}' is fixed point, but receives {activation_in.dtype}: connect a "
                    "sender with integer output, or run with floating_pt models."
                )
            self._shift = np.array(self.act_shift, activation_in.dtype)
        return np.left_shift(activation_in, self._shift)

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """Set the voltage to 0 where `spike_vector` (bool) is true."""
        _set_to_zero(self.v, spike_vector)

    def run_spk(self) -> None:
        self.scale_bias()
        if not self.isthrscaled:
            self.scale_threshold()
        self.subthr_dynamics(activation_in=self.a_in.recv())
        spikes = self.s_out_buff = self.spiking_activation()
        self.reset_voltage(spike_vector=spikes)
        self.s_out.send(spikes)


def scaled_threshold(threshold: Any, shift: int) -> np.ndarray:
    """Return ``threshold << shift`` as int32, for comparison with a voltage.

    What does not fit is limited instead of wrapped: no voltage reaches either.

    Parameters
    ----------
    threshold : array_like of int
        Threshold as the user gives it.
    shift : int
        Number of bits.

    Returns
    -------
    ndarray of int32
        Zero-dimensional if there is only one threshold.
    """
    limits = np.iinfo(np.int32)
    scaled = np.clip(np.asarray(threshold, np.int64) << shift, limits.min, limits.max).astype(np.int32)
    return scaled.reshape(()) if scaled.size == 1 else scaled
