"""ProdNeuron: multiplies two inputs."""

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


class ProdNeuron(Population):
    """Sends the product of its two inputs where it exceeds a threshold (fixed point only).

    With the inputs of the same time step, in int32, which wraps::

        x = (a_in1 * a_in2) >> exp
        s = x where |x| > vth, else 0

    Multiplication inside of a neuron: Koch & Segev, "The role of single neurons in information processing" (2000).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population.
    vth : array_like
        Threshold: a number, or an array that broadcasts to S.
    exp : int
        Binary digits after the point of the inputs, at least 0: the product is shifted right, rounding down.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in1, a_in2 : InPort, shape S
    s_out : OutPort, shape S
    vth : Var, shape (1,) or S
    exp : Var, shape (1,)
    v : Var, shape S
        Never changes. All are int32.
    shape : tuple of int

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple of integers, `exp` no integer, or `vth` holds no real numbers.
    ShapeError
        `vth` does not broadcast to S.
    ValidationError
        `exp` is negative.

    Examples
    --------
    >>> from lahar.processes import ProdNeuron, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[3, -6]]), SinkRingBuffer(shape=(1,), buffer=2)
    >>> neurons = ProdNeuron(shape=(1,), exp=1)
    >>> source.s_out.connect([neurons.a_in1, neurons.a_in2])
    >>> neurons.s_out.connect(sink.a_in)
    >>> with neurons:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     neurons.run(condition=RunSteps(num_steps=2), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[ 4 18]]
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        vth: Any = 1,
        exp: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        super().__init__(shape=shape, **given(name=name, log_config=log_config))
        self.a_in1 = InPort(shape=shape)
        self.a_in2 = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.vth = parameter_var(self, shape, "vth", vth)
        self.exp = Var(shape=(1,), init=bounded_integer(exp, "ProdNeuron.exp", 0))
        self.v = Var(shape=shape, init=0)


@implements(proc=ProdNeuron, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class PyProdNeuronModelFixed(PyLoihiProcessModel):
    """Fixed-point ProdNeuron."""

    a_in1: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    a_in2: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32, precision=24)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=24)
    vth: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    exp: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)
    v: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=24)

    def run_spk(self) -> None:
        a, b = self.a_in1.recv(), self.a_in2.recv()
        product = (a * b) >> self.exp
        self.s_out.send(np.where(np.abs(product) > self.vth, product, 0))
