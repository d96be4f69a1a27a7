"""LearningLIF: leaky integrate-and-fire neurons that take part in learning."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ValidationError
from .learning.neuron import (
    LearningNeuronModel,
    LearningNeuronModelFixed,
    LearningNeuronModelFloat,
    LearningNeuronProcess,
)
from .learning.rule import LoihiLearningRule
from .lif import AbstractLIF, PyLifModelBitAcc, PyLifModelFloat
from .model import LoihiProtocol, implements
from .parameters import parameter_var


class LearningLIF(LearningNeuronProcess, AbstractLIF):
    """`LIF` with the ports of a learning neuron.

    In every time step it computes what `LIF` does, takes what arrives at `a_third_factor_in` without using
    it, and sends the Vars `y1`, `y2`, `y3` and its spikes s also over the learning ports::

        s_out = s_out_bap = s;  s_out_y1 = y1;  s_out_y2 = y2;  s_out_y3 = y3

    For a rule of one's own for the traces, derive a class from this one and a model from
    `LearningNeuronModelFloat` and `AbstractPyLifModelFloat` (or their fixed-point counterparts).

    Gerstner & Kistler, "Spiking Neuron Models" (2002), section 4.1.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the population. The learning ports carry one number per element of the first axis, so
        that they can be connected only if S has one axis.
    u, v, du, dv, bias_mant, bias_exp, vth, name, log_config
        As for `LIF`.
    learning_rule : LoihiLearningRule, optional
        Rule of the connection that this neuron serves; models of derived classes find it as
        ``self._learning_rule``.
    **kwargs
        Handed to the ProcessModel.

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S
    a_third_factor_in : InPort, shape (S[0],)
    s_out_bap, s_out_y1, s_out_y2, s_out_y3 : OutPort, shape (S[0],)
    u, v, bias_mant, bias_exp, y1, y2, y3 : Var, shape S
    du, dv, vth : Var, shape (1,) or S

    Raises
    ------
    ArgumentTypeError, ShapeError, DtypeError
        As for `LIF`; also if `learning_rule` is no rule.
    ValidationError
        When the model is built: a learning port is connected, but S has more than one axis.

    Examples
    --------
    >>> from lahar.processes import LearningLIF, SinkRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> neuron, sink = LearningLIF(shape=(1,), bias_mant=2, vth=5), SinkRingBuffer(shape=(1,), buffer=6)
    >>> neuron.s_out_bap.connect(sink.a_in)
    >>> with neuron:
    ...     neuron.run(condition=RunSteps(num_steps=6), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())
    [[0. 0. 1. 0. 0. 1.]]
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
        vth: Any = 10,
        name: str | None = None,
        log_config: Any = None,
        learning_rule: LoihiLearningRule | None = None,
        **kwargs: Any,
    ) -> None:
        kwargs.setdefault("_vth", vth)  # as given: the dtype of the Var hides a fraction
        super().__init__(
            shape=shape,
            learning_rule=learning_rule,
            u=u,
            v=v,
            du=du,
            dv=dv,
            bias_mant=bias_mant,
            bias_exp=bias_exp,
            name=name,
            log_config=log_config,
            **kwargs,
        )
        self.vth = parameter_var(self, shape, "vth", vth)


class _LearningLifStep(LearningNeuronModel):
    """One step of a neuron model, followed by what a learning connection waits for."""

    s_out_buff: np.ndarray

    def on_build(self) -> None:
        super().on_build()
        ports = (self.a_third_factor_in, self.s_out_bap, self.s_out_y1, self.s_out_y2, self.s_out_y3)
        connected = [port.name for port in ports if port.csp_ports]
        if connected and len(self._shape) != 1:
            raise ValidationError(
                f"is connected, but neurons of shape {self._shape} cannot be told apart by a port of shape "
                f"{self._shape[:1]}. Make the population one-dimensional.",
                connected[0],
            )
        self._serves = bool(connected)

    def run_spk(self) -> None:
        super().run_spk()
        if self._serves:
            self.a_third_factor_in.recv()
            self.s_out_bap.send(self.s_out_buff)
            self.s_out_y1.send(self.y1)
            self.s_out_y2.send(self.y2)
            self.s_out_y3.send(self.y3)


# The models of LIF bring their tags and resources along.


@implements(proc=LearningLIF, protocol=LoihiProtocol)
class PyLearningLifModelFloat(_LearningLifStep, LearningNeuronModelFloat, PyLifModelFloat):
    """Floating-point LearningLIF."""

    implements_process = None


@implements(proc=LearningLIF, protocol=LoihiProtocol)
class PyLearningLIFModelFixed(_LearningLifStep, LearningNeuronModelFixed, PyLifModelBitAcc):
    """Fixed-point LearningLIF."""

    implements_process = None
