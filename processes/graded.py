"""Neurons without memory that send numbers instead of spikes (fixed point only)."""

from __future__ import annotations

from typing import Any

import numpy as np

from .inv_sqrt import (
    InvSqrt,
    InvSqrtModelFloat,
    InvSqrtModelFP,
    clz,
    inv_sqrt,
    loihi2round,
    make_fpinv_table,
)
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
from .parameters import as_integer, given, parameter_var
from .population import Population
from .ports import InPort, OutPort
from .var import Var

__all__ = [
    "GradedReluVec",
    "GradedVec",
    "InvSqrt",
    "InvSqrtModelFP",
    "InvSqrtModelFloat",
    "NormVecDelay",
    "NormVecDelayModel",
    "PyGradedReluVecModelFixed",
    "PyGradedVecModelFixed",
    "clz",
    "inv_sqrt",
    "loihi2round",
    "make_fpinv_table",
]


class _Vector(Population):
    """Threshold, output and shape, which all processes of this module have."""

    def __init__(
        self,
        shape: tuple[int, ...],
        vth: Any = 1,
        exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(shape=shape, **given(name=name, log_config=log_config))
        self.s_out = OutPort(shape=shape)
        self.vth = parameter_var(self, shape, "vth", vth)
        self.exp = Var(shape=(1,), init=as_integer(exp, f"{type(self).__name__}.exp"))
        self.v = Var(shape=shape, init=0)


class _OneInput(_Vector):
    def __init__(
        self,
        shape: tuple[int, ...],
        vth: Any = 1,
        exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(shape, vth, exp, name, log_config)
        self.a_in = InPort(shape=shape)


class GradedVec(_OneInput):
    """Sends its input where the absolute value exceeds a threshold (fixed point only).

    With input a of the same time step, in int32, which wraps::

        v = v + a
        s = v where |v| > vth, else 0
        v = 0

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    vth : array_like
        Threshold: a number, or an array that broadcasts to S.
    exp : int
        Binary digits after the point, for the reader: computations do not use it.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    v : Var, shape S
        0 after every time step; a value that is set is added to the next input.
    vth : Var, shape (1,) or S
    exp : Var, shape (1,)
        All are int32.
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple of integers, `exp` no integer, or `vth` holds no real numbers.
    ShapeError
        `vth` does not broadcast to S.

    Examples
    --------
    >>> from lahar.processes import GradedVec, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[3, -6, 2]]), SinkRingBuffer(shape=(1,), buffer=3)
    >>> neurons = GradedVec(shape=(1,), vth=2)
    >>> source.s_out.connect(neurons.a_in)
    >>> neurons.s_out.connect(sink.a_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=3), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[ 3 -6  0]]
    """


class GradedReluVec(_OneInput):
    """Sends its input where it exceeds a threshold (fixed point only).

    With input a of the same time step, in int32, which wraps::

        v = v + a
        s = v where v > vth, else 0
        v = 0

    Parameters
    ----------
    shape, vth, exp, name, log_config
        See `GradedVec`.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    v : Var, shape S
        0 after every time step; a value that is set is added to the next input.
    vth : Var, shape (1,) or S
    exp : Var, shape (1,)
        All are int32.
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError, ShapeError
        See `GradedVec`.

    Examples
    --------
    >>> from lahar.processes import GradedReluVec, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[3, -6, 2]]), SinkRingBuffer(shape=(1,), buffer=3)
    >>> neurons = GradedReluVec(shape=(1,))
    >>> source.s_out.connect(neurons.a_in)
    >>> neurons.s_out.connect(sink.a_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=3), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[3 0 2]]
    """


class NormVecDelay(_Vector):
    """Multiplies its input with a factor that a loop computes from the squared input (fixed point only).

    With the inputs of the same time step, in int32, which wraps::

        s2 = a_in1 * a_in1
        v2 = v;  v = a_in1
        x = v2 * a_in2
        s = x where |x| > vth, else 0

    `s2_out` is sent before `s_out`. The input is delayed by one time step.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    vth : array_like
        Threshold: a number, or an array that broadcasts to S.
    exp : int
        Binary digits after the point, for the reader: computations do not use it.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in1, a_in2 : InPort, shape S
        Input and factor.
    s_out, s2_out : OutPort, shape S
        Product and squared input.
    v, v2 : Var, shape S
        Input of this and of the previous time step.
    vth : Var, shape (1,) or S
    exp : Var, shape (1,)
        All are int32.
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError, ShapeError
        See `GradedVec`.

    Notes
    -----
    A loop through two `Dense` takes two time steps, one more than the input is delayed: the input of step
    t - 1 is multiplied with the factor for step t - 2. Hold inputs for two time steps to normalise them.

    Examples
    --------
    >>> from lahar.processes import NormVecDelay, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, neurons = SourceRingBuffer(data=[[3, -6]]), NormVecDelay(shape=(1,))
    >>> source.s_out.connect(neurons.a_in1)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=run_cfg)
    ...     print(neurons.v.get(), neurons.v2.get())
    [-6] [3]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        vth: Any = 1,
        exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(shape, vth, exp, name, log_config)
        self.a_in1 = InPort(shape=shape)
        self.a_in2 = InPort(shape=shape)
        self.s2_out = OutPort(shape=shape)
        self.v2 = Var(shape=shape, init=0)


# --- models ---------------------------------------------------------------------------------


class _VectorModel(PyLoihiProcessModel):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)


class _ThresholdModel(_VectorModel):
    """Sends the sum of state and input where `size` of it exceeds the threshold."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)

    def size(self, value: np.ndarray) -> np.ndarray:
        return value

    def run_spk(self) -> None:
        a_in = self.a_in.recv()
        np.add(self.v, a_in, out=self.v, casting="unsafe")
        self.s_out.send(np.where(self.size(self.v) > self.vth, self.v, 0))
        self.v[...] = 0


@implements(proc=GradedVec, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyGradedVecModelFixed(_ThresholdModel):
    """Fixed-point GradedVec."""

    def size(self, value: np.ndarray) -> np.ndarray:
        return np.abs(value)


@implements(proc=GradedReluVec, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyGradedReluVecModelFixed(_ThresholdModel):
    """Fixed-point GradedReluVec."""


@implements(proc=NormVecDelay, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NormVecDelayModel(_VectorModel):
    """Fixed-point NormVecDelay."""

    a_in1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_in2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s2_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    v2: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self) -> None:
        a, factor = self.a_in1.recv(), self.a_in2.recv()
        self.s2_out.send(a * a)
        self.v2[...] = self.v
        self.v[...] = a
        product = self.v2 * factor
        self.s_out.send(np.where(np.abs(product) > self.vth, product, 0))
