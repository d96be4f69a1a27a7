"""BitCheck: watches whether a Var stays within a number of bits."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ValidationError
from .model import CPU, LavaPyType, LoihiProtocol, PyRefPort, implements, requires
from .parameters import as_integer, refuse_unknown_keywords
from .var import Var
from .var_access import VarAccessModel, VarAccessProcess

_KEYWORDS = ("layerid", "debug", "bits", "name", "log_config")


class BitCheck(VarAccessProcess):
    """Checks at the end of every time step whether a Var fits into signed integers of `bits` bits.

    Say which Var with ``connect_var(var)``.

    Parameters
    ----------
    layerid : int, optional
        A number of the user, printed with `debug`.
    debug : int
        1: print the values of every step.
    bits : int
        1 to 31.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    state : RefPort
        In the shape of the Var.
    layerid, debug, bits : Var
    overflow_steps : Var
        For each element of the Var the time step in which it first did not fit; 0: it always did.
    shape : tuple of int
    overflowed : ndarray
        Its first element is 1 once any element did not fit, the others are 0.

    Raises
    ------
    ValidationError
        `bits` is out of range.
    ArgumentTypeError
        A number is not an integer, or a keyword is unknown.

    Examples
    --------
    >>> from lahar.processes import BitCheck, LIF
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> lif, check = LIF(shape=(2,), bias_mant=[1, 5], vth=100), BitCheck(bits=4)
    >>> check.connect_var(lif.v)
    >>> with lif:
    ...     lif.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(check.overflowed[0], check.overflow_steps.get())
    1 [0 2]
    """

    def __init__(
        self,
        *,
        layerid: int | None = None,
        debug: int = 0,
        bits: int = 24,
        name: str | None = None,
        log_config: Any = None,
        **kwargs: Any,
    ) -> None:
        refuse_unknown_keywords(self, kwargs, (), _KEYWORDS)
        layerid = layerid if layerid is None else as_integer(layerid, "BitCheck.layerid")
        debug = as_integer(debug, "BitCheck.debug")
        bits = check_bits(bits, "BitCheck.bits")
        super().__init__(layerid=layerid, debug=debug, bits=bits, name=name, log_config=log_config, **kwargs)
        self._fit((1,))

    def _fit(self, shape: tuple[int, ...]) -> None:
        for name in ("layerid", "debug", "bits"):
            setattr(self, name, Var(shape=shape, init=self.proc_params[name]))
        self._overflowed = Var(shape=shape, init=0)
        self.overflow_steps = Var(shape=shape, init=0)

    @property
    def shape(self) -> tuple[int, ...]:
        return self.state.shape

    @property
    def overflowed(self) -> Any:
        return self._overflowed.get()


def check_bits(bits: Any, where: str) -> int:
    """Return `bits` as an int.

    Raises
    ------
    ArgumentTypeError, ValidationError
        It is no integer from 1 to 31.
    """
    bits = as_integer(bits, where)
    if not 1 <= bits <= 31:
        raise ValidationError(f"must be 1 to 31, not {bits}.", where)
    return bits


class AbstractPyBitCheckModel(VarAccessModel):
    """Checks and remembers; has neither a Process nor tags."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    layerid: int | None = LavaPyType(int, int)
    debug: int = LavaPyType(int, int)
    bits: int = LavaPyType(int, int)
    _overflowed: np.ndarray = LavaPyType(np.ndarray, np.int32)
    overflow_steps: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def on_var_update(self) -> None:
        super().on_var_update()
        check_bits(self.bits, f"{self.process_name}.bits")

    def post_guard(self) -> bool:
        return True

    def run_post_mgmt(self) -> None:
        value = self.state.read()
        low, high = -(2 ** (self.bits - 1)), 2 ** (self.bits - 1) - 1
        wrong = ~((np.trunc(value) >= low) & (np.trunc(value) <= high))
        if wrong.any():
            self._overflowed.flat[0] = 1
            self.overflow_steps[wrong & (self.overflow_steps == 0)] = self.time_step
        if self.debug == 1:
            place = f"BitCheck '{self.process_name}' (layer {self.layerid}), time step {self.time_step}"
            print(f"{place}: {value}")
            if wrong.any():
                print(
                    f"{place}: {np.count_nonzero(wrong)} of {wrong.size} values do not fit into {self.bits} "
                    f"bits: they are {value.min()} to {value.max()}, the limits {low} to {high}."
                )


@implements(proc=BitCheck, protocol=LoihiProtocol)
@requires(CPU)
class PyBitCheckModel(AbstractPyBitCheckModel):
    """Checks whatever the numerics."""
