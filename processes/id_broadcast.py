"""IdBroadcast: passes an id on and shows it."""

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
)
from .ports import InPort, OutPort
from .process import AbstractProcess
from .var import Var


class IdBroadcast(AbstractProcess):
    """Sends what it receives in the same time step, and keeps it in `val`; the same for every tag.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the messages.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    a_in : InPort, shape S
    s_out : OutPort, shape S, int64
    val : Var, shape S, int32
        Last message.

    Raises
    ------
    ArgumentTypeError
        `shape` is not a tuple of integers.

    Examples
    --------
    >>> from lahar.processes import IdBroadcast, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, broadcast = SourceRingBuffer(data=[[3, 4]]), IdBroadcast()
    >>> source.s_out.connect(broadcast.a_in)
    >>> with broadcast:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     broadcast.run(condition=RunSteps(num_steps=2), run_cfg=run_cfg)
    ...     print(broadcast.val.get())
    [4]
    """

    def __init__(
        self, *, shape: tuple[int, ...] = (1,), name: str | None = None, log_config: Any = None
    ) -> None:
        super().__init__(shape=shape, name=name, log_config=log_config)
        self.a_in = InPort(shape=shape)
        self.s_out = OutPort(shape=shape)
        self.val = Var(shape=shape, init=0)


@implements(proc=IdBroadcast, protocol=LoihiProtocol)
@requires(CPU)
class IdBroadcastModel(PyLoihiProcessModel):
    """IdBroadcast, whatever the tag."""

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)
    val: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def run_spk(self) -> None:
        message = self.a_in.recv()
        self.val[...] = message
        self.s_out.send(message)
