"""NoveltyDetector: reports inputs that no output has answered in time."""

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
from .parameters import bounded_integer, given
from .ports import InPort, OutPort
from .process import AbstractProcess
from .var import Var


class NoveltyDetector(AbstractProcess):
    """Sends 1 when an input has waited for more than `t_wait` time steps without an output (fixed point only).

    In every time step, with ``waiting = False`` and ``n = 0`` at first::

        if input_aval_in != 0:   waiting = True;  n = 0
        if output_aval_in != 0:  waiting = False; n = 0
        elif n > t_wait:         send 1 instead of 0;  waiting = False; n = 0
        if waiting:              n = n + 1

    An input of step t, without an output and without a newer input, is reported in step ``t + t_wait + 1``.

    Hajizada et al., "Interactive continual learning for robots: a neuromorphic approach" (2022).

    Parameters
    ----------
    t_wait : int
        Time steps to wait, at least 0.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    input_aval_in, output_aval_in : InPort, shape (1,)
        Not 0 where there is an input or an output.
    novelty_detected_out : OutPort, shape (1,), int32
    t_wait : Var, shape (1,), int32

    Raises
    ------
    ArgumentTypeError
        `t_wait` is no integer.
    ValidationError
        `t_wait` is negative.

    Examples
    --------
    >>> from lahar.processes import NoveltyDetector, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[0, 1, 0, 0, 0, 0]]), SinkRingBuffer(shape=(1,), buffer=6)
    >>> detector = NoveltyDetector(t_wait=2)
    >>> source.s_out.connect(detector.input_aval_in)
    >>> detector.novelty_detected_out.connect(sink.a_in)
    >>> with detector:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     detector.run(condition=RunSteps(num_steps=6), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[0 0 0 0 1 0]]
    """

    def __init__(self, *, t_wait: int, name: str | None = None, log_config: Any = None) -> None:
        super().__init__(**given(name=name, log_config=log_config))
        self.input_aval_in = InPort(shape=(1,))
        self.output_aval_in = InPort(shape=(1,))
        self.novelty_detected_out = OutPort(shape=(1,))
        self.t_wait = Var(shape=(1,), init=bounded_integer(t_wait, "NoveltyDetector.t_wait", 0))


@implements(proc=NoveltyDetector, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt", "bit_accurate_loihi")
class PyNoveltyDetectorModel(PyLoihiProcessModel):
    """Fixed-point NoveltyDetector.

    Attributes
    ----------
    waiting : bool
        Whether an input waits for its output.
    n : int
        Time steps it has waited.
    """

    input_aval_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    output_aval_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    novelty_detected_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    t_wait: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.waiting = False
        self.n = 0

    def run_spk(self) -> None:
        has_input = self.input_aval_in.recv()[0] != 0
        has_output = self.output_aval_in.recv()[0] != 0
        novel = 0
        if has_input:
            self.waiting, self.n = True, 0
        if has_output:
            self.waiting, self.n = False, 0
        elif self.n > self.t_wait[0]:
            novel, self.waiting, self.n = 1, False, 0
        if self.waiting:
            self.n += 1
        self.novelty_detected_out.send(np.array([novel]))
