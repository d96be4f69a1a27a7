"""InvSqrt: the inverse square root, in fixed point by Newton's method from a table of first guesses."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import LaharWarning, ValidationError
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
from .parameters import as_integer, given
from .population import Population
from .ports import InPort, OutPort
from .var import Var

_BITS = 24  # width of the numbers that are counted through
_FP_BASE = 12
_MIDDLE = 1.238982962  # spreads the error of a guess evenly between two powers of two


class InvSqrt(Population):
    """Sends ``1 / sqrt(a)``, element by element.

    With input a of the same time step::

        s = 1 / a**0.5                         # floating point: infinity for 0, NaN below
        s = 0 where a == 0, else inv_sqrt(a)   # fixed point: close to 2**18 / sqrt(a)

    `inv_sqrt` is Newton's method from a guess by the number of leading zeros, as in Lomont, "Fast inverse square
    root" (2003).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    fp_base : int
        Binary digits after the point, for the reader: computations always use 12, and warn of another number.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
        float64 or int32.
    fp_base : Var, shape (1,), int32
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers, or `fp_base` no integer.
    ValidationError
        In fixed point when an input is negative.

    Examples
    --------
    >>> from lahar.processes import InvSqrt, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[0, 1, 4096]]), SinkRingBuffer(shape=(1,), buffer=3)
    >>> neuron = InvSqrt(shape=(1,))
    >>> source.s_out.connect(neuron.a_in)
    >>> neuron.s_out.connect(sink.a_in)
    >>> with neuron:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neuron.run(condition=RunSteps(num_steps=3), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[     0 264045   4095]]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        fp_base: int = _FP_BASE,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(shape=shape, **given(name=name, log_config=log_config))
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.fp_base = Var(shape=(1,), init=as_integer(fp_base, "InvSqrt.fp_base"))


# --- functions ------------------------------------------------------------------------------


def loihi2round(x: Any) -> Any:
    """Round to the nearest integer, halves away from zero.

    Parameters
    ----------
    x : array_like

    Returns
    -------
    ndarray of int

    Examples
    --------
    >>> loihi2round([0.5, -0.5, 2.4])
    array([ 1, -1,  2])
    """
    x = np.asarray(x)
    return np.trunc(x + np.where(x > 0, 0.5, -0.5)).astype(int)


def clz(val: int) -> int:
    """Return the number of leading zeros of a 24-bit number; negative for numbers of more bits.

    Raises
    ------
    ValidationError
        `val` is not positive.

    Examples
    --------
    >>> clz(1), clz(2**23)
    (23, 0)
    """
    val = as_integer(val, "clz.val")
    if val < 1:
        raise ValidationError(f"a positive integer expected, not {val}.", "clz.val")
    return _BITS - val.bit_length()


def make_fpinv_table(fp_base: int) -> np.ndarray:
    """Return first guesses of the inverse square root, by the number of leading zeros of a 24-bit number.

    Parameters
    ----------
    fp_base : int
        Binary digits after the point, B.

    Returns
    -------
    ndarray of int64, shape (24,)
        ``table[23 - m] = 2 int(2**B / (2**((m - B) / 2) 1.238982962))``.
    """
    table = np.zeros(_BITS, np.int64)
    for m in range(_BITS):
        table[_BITS - 1 - m] = 2 * int(2**fp_base / (2 ** ((m - fp_base) / 2) * _MIDDLE))
    return table


_TABLE = make_fpinv_table(_FP_BASE)


def inv_sqrt(s_fp: int, n_iters: int = 5, b_fraction: int = _FP_BASE) -> int:
    """Return the inverse square root of an integer, by Newton's method (Goldschmidt's form) in integers.

    With B = `b_fraction` and a first guess Y from `make_fpinv_table`, all in int64::

        y = Y // 2;  b = s_fp
        n_iters times:  b = (((b * Y) >> (B + 1)) * Y) >> (B + 1)
                        Y = (3 << B) - b
                        y = (y * Y) >> (B + 1)

    Parameters
    ----------
    s_fp : int
        A positive number. Of more than 24 bits it takes its first guess from the wrong end of the table.
    n_iters : int
        Number of iterations.
    b_fraction : int
        Binary digits after the point.

    Returns
    -------
    int
        Close to ``2**(3 B / 2) / sqrt(s_fp)``.

    Raises
    ------
    ValidationError
        `s_fp` is not positive.

    Examples
    --------
    >>> inv_sqrt(4096), inv_sqrt(16384)
    (4095, 2047)
    """
    zeros = clz(s_fp)
    table = _TABLE if b_fraction == _FP_BASE else make_fpinv_table(b_fraction)
    shift = b_fraction + 1
    # arrays, because they wrap without a warning
    estimate = table[[zeros]]
    y, b = estimate // 2, np.array([s_fp], np.int64)
    for _ in range(n_iters):
        b = (((b * estimate) >> shift) * estimate) >> shift
        estimate = (3 << b_fraction) - b
        y = (y * estimate) >> shift
    return int(y[0])


# --- models ---------------------------------------------------------------------------------


@implements(proc=InvSqrt, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class InvSqrtModelFloat(PyLoihiProcessModel):
    """Floating-point InvSqrt."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    fp_base: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        a_in = self.a_in.recv()
        with np.errstate(divide="ignore", invalid="ignore"):
            self.s_out.send(np.asarray(1 / (a_in**0.5)))


@implements(proc=InvSqrt, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class InvSqrtModelFP(PyLoihiProcessModel):
    """Fixed-point InvSqrt."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    fp_base: np.ndarray = LavaPyType(np.ndarray, np.int32)

    _warned = False

    def on_build(self) -> None:
        super().on_build()
        if self.fp_base[0] != _FP_BASE:
            warnings.warn(
                f"InvSqrt '{self.process_name}': fp_base={self.fp_base[0]} has no effect; in fixed point the "
                f"result always is 2**{3 * _FP_BASE // 2} / sqrt(a_in).",
                LaharWarning,
                stacklevel=2,
            )

    def run_spk(self) -> None:
        a_in = self.a_in.recv()
        if (a_in < 0).any():
            raise ValidationError(
                f"receives {a_in.min()}; there is no square root of a negative number.",
                f"InvSqrt '{self.process_name}'",
            )
        if not self._warned and (a_in >= 2**_BITS).any():
            self._warned = True
            warnings.warn(
                f"InvSqrt '{self.process_name}' receives {a_in.max()}: of numbers of more than {_BITS} bits the "
                f"result is meaningless (time step {self.time_step}).",
                LaharWarning,
                stacklevel=2,
            )
        result = [inv_sqrt(x) if x else 0 for x in a_in.reshape(-1).tolist()]
        self.s_out.send(np.array(result, np.int64).reshape(a_in.shape))
