"""Reset: writes a constant into a Var of another Process every few time steps."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentTypeError
from .model import CPU, LavaPyType, LoihiProtocol, PyRefPort, implements, requires, tag
from .var import Var
from .var_access import PeriodicModel, VarAccessModel, VarAccessProcess, check_period


class Reset(VarAccessProcess):
    """Sets a Var to `reset_value` at the end of the time steps t with ``(t - 1) % interval == offset``.

    Say which Var with ``connect_var(var)``. The new value counts from the next time step on; it is cast to the
    dtype that the Var has.

    Parameters
    ----------
    reset_value : float
        One number for all elements; an integer in fixed point.
    interval : int
        Number of time steps from one reset to the next.
    offset : int
        Taken modulo `interval`.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    state : RefPort
        In the shape of the Var.
    reset_value, interval, offset : Var, shape (1,)

    Raises
    ------
    ArgumentTypeError
        An argument is not a number, or not an integer.
    ValidationError
        `interval` is not positive.

    Examples
    --------
    >>> from lahar.processes import LIF, Reset
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> lif, reset = LIF(shape=(1,), bias_mant=1), Reset(interval=3, offset=1)
    >>> reset.connect_var(lif.v)
    >>> with lif:
    ...     for _ in range(4):
    ...         lif.run(condition=RunSteps(num_steps=1), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...         print(lif.v.get())
    [1.]
    [0.]
    [1.]
    [2.]
    """

    def __init__(
        self,
        *,
        reset_value: float = 0,
        interval: int = 1,
        offset: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        interval, offset = check_period(interval, offset, "Reset")
        if np.ndim(reset_value) or np.asarray(reset_value).dtype.kind not in "biuf":
            raise ArgumentTypeError(f"Reset.reset_value must be one number, not {reset_value!r}.")
        super().__init__(
            reset_value=reset_value, interval=interval, offset=offset, name=name, log_config=log_config
        )
        self.reset_value = Var(shape=(1,), init=reset_value)
        self.interval = Var(shape=(1,), init=interval)
        self.offset = Var(shape=(1,), init=offset)


class AbstractPyReset(PeriodicModel, VarAccessModel):
    """Writes `reset_value`; subclasses give the types."""

    reset_value: np.ndarray
    interval: np.ndarray = LavaPyType(np.ndarray, np.int64)
    offset: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_post_mgmt(self) -> None:
        self.state.write(np.full(self.state.shape, self.reset_value.item(), self.reset_value.dtype))


@implements(proc=Reset, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyResetFloat(AbstractPyReset):
    """Writes float64."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    reset_value: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=Reset, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyResetFixed(AbstractPyReset):
    """Writes integers."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int64)
    reset_value: np.ndarray = LavaPyType(np.ndarray, np.int64)


@implements(proc=Reset, protocol=LoihiProtocol)
@requires(CPU)
class PyResetAnyTag(AbstractPyReset):
    """Writes float64, whatever tag the other models are selected by."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    reset_value: np.ndarray = LavaPyType(np.ndarray, float)
