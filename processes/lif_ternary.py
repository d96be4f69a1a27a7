"""TernaryLIF: leaky integrate-and-fire neurons with spikes of both signs."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ValidationError
from .lif import AbstractLIF, AbstractPyLifModelFixed, AbstractPyLifModelFloat, scaled_threshold
from .model import CPU, LavaPyType, LoihiProtocol, PyOutPort, implements, requires, tag
from .parameters import parameter_var


class TernaryLIF(AbstractLIF):
    """LIF neurons that send +1 above an upper threshold and -1 below a lower one.

    Current and voltage as in `LIF` of the same tag, then::

        s = (v > vth_hi) - (v < vth_lo)
        v = 0 where s != 0

    In fixed point both thresholds are shifted left by 6 bits.

    Guo et al., "Ternary spike: learning ternary spikes for spiking neural networks" (2024).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    u, v, du, dv, bias_mant, bias_exp, name, log_config
        See `LIF`.
    vth_hi, vth_lo : array_like
        Upper and lower threshold: a number, or an array that broadcasts to S. Both may be equal.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
        -1, 0 and 1: float64, int64 in fixed point.
    u, v, bias_mant, bias_exp : Var, shape S
    du, dv, vth_hi, vth_lo : Var, shape (1,) or S

    Raises
    ------
    ValidationError
        Both thresholds are single numbers and the lower one is above the upper one.
    ArgumentTypeError, ShapeError, DtypeError
        See `LIF`.

    Examples
    --------
    >>> from lahar.processes import TernaryLIF
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> with TernaryLIF(shape=(3,), bias_mant=[4, -4, 1], vth_hi=10, vth_lo=-7) as lif:
    ...     lif.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(lif.v.get())
    [8. 0. 2.]
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
        vth_hi: Any = 10,
        vth_lo: Any = -10,
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
            name=name,
            log_config=log_config,
        )
        self.vth_hi = parameter_var(self, shape, "vth_hi", vth_hi)
        self.vth_lo = parameter_var(self, shape, "vth_lo", vth_lo)
        if np.size(vth_hi) == 1 and np.size(vth_lo) == 1 and np.greater(vth_lo, vth_hi).item():
            raise ValidationError(f"{vth_lo} is above vth_hi = {vth_hi}.", "TernaryLIF.vth_lo")


def _spikes(v: np.ndarray, high: np.ndarray, low: np.ndarray) -> np.ndarray:
    """Return +1 above `high`, -1 below `low`, and 0 between them (or where both hold)."""
    return np.subtract(v > high, v < low, dtype=np.int8)


@implements(proc=TernaryLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyTernLifModelFloat(AbstractPyLifModelFloat):
    """Floating-point TernaryLIF; `s_out_buff` holds -1, 0 and 1."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float, precision=2)
    vth_hi: np.ndarray = LavaPyType(np.ndarray, float)
    vth_lo: np.ndarray = LavaPyType(np.ndarray, float)

    def spiking_activation(self) -> np.ndarray:
        """Return -1, 0 or 1 per neuron."""
        return _spikes(self.v, self.vth_hi, self.vth_lo)

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """Set the voltage to 0 where `spike_vector` is not 0."""
        super().reset_voltage(spike_vector != 0)


@implements(proc=TernaryLIF, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyTernLifModelFixed(AbstractPyLifModelFixed):
    """Fixed-point TernaryLIF; `s_out_buff` holds -1, 0 and 1.

    Attributes
    ----------
    effective_vth_hi, effective_vth_lo : ndarray of int32
        The thresholds, shifted left by `vth_shift`.
    """

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int64, precision=2)
    vth_hi: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    vth_lo: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.effective_vth_hi: Any = 0
        self.effective_vth_lo: Any = 0

    def scale_threshold(self) -> None:
        self.effective_vth_hi = scaled_threshold(self.vth_hi, self.vth_shift)
        self.effective_vth_lo = scaled_threshold(self.vth_lo, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self) -> np.ndarray:
        """Return -1, 0 or 1 per neuron."""
        return _spikes(self.v, self.effective_vth_hi, self.effective_vth_lo)

    def reset_voltage(self, spike_vector: np.ndarray) -> None:
        """Set the voltage to 0 where `spike_vector` is not 0."""
        super().reset_voltage(spike_vector != 0)
