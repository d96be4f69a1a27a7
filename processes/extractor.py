"""Extractor and VarWire: hand messages and Vars of a running network to the program that runs it."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .channel_config import ChannelConfig, SendFull, checked_config
from .errors import UnstartedError
from .model import (
    CPU,
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    implements,
    requires,
)
from .ports import InPort, OutPort, RefPort
from .process import AbstractProcess
from .var import Var


class _Receiver(AbstractProcess):
    """Has an OutPort with a pipe to the host."""

    _config: ChannelConfig
    out_port: OutPort

    def receive(self) -> np.ndarray:
        """Take what the network has sent, as the policies say; from any thread and also after `stop`.

        Returns
        -------
        ndarray of float64, shape S

        Raises
        ------
        UnstartedError
            There is no runtime yet: call `create_runtime` or `run` first.
        StateError
            Nothing is left, and the network has been stopped or has failed (with `ReceiveEmpty.BLOCKING`).
        """
        pipe = self.out_port.external_pipe_csp_recv_port
        if pipe is None:
            raise UnstartedError(
                f"{type(self).__name__} '{self.name}': create_runtime() or run() before receive()."
            )
        return self._config.receive(pipe, self.out_port.shape)


class Extractor(_Receiver):
    """Hands the messages of each time step to the program that runs the network.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the messages.
    buffer_size : int
        Number of messages that may wait.
    channel_config : ChannelConfig, optional
        `send_full` says what the network does when the buffer is full. With BLOCKING the next time step does
        not begin until there is room; the network can be paused meanwhile. `receive_empty` and
        `receive_not_empty` say what `receive` does.
    **kwargs
        ``name`` and ``log_config``, see `AbstractProcess`; handed to the ProcessModel.

    Attributes
    ----------
    in_port : InPort, shape S
    out_port : OutPort, shape S
        Read by `receive`; float64.
    dropped : Var, shape (1,)
        Number of messages that were dropped because the buffer was full.

    Raises
    ------
    ArgumentTypeError, ValidationError
        An argument has the wrong type, or is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import Extractor, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, extractor = SourceRingBuffer(data=np.array([[4.0, 5.0]])), Extractor((1,))
    >>> source.s_out.connect(extractor.in_port)
    >>> source.run(RunSteps(2), Loihi2SimCfg(select_tag="floating_pt", launcher="inline"))
    >>> [extractor.receive().item() for _ in range(2)]
    [4.0, 5.0]
    >>> source.stop()
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        buffer_size: int = 50,
        channel_config: ChannelConfig | None = None,
        **kwargs: Any,
    ) -> None:
        channel_config = checked_config(channel_config, buffer_size, shape)
        super().__init__(channel_config=dataclasses.replace(channel_config), **kwargs)
        self._config = channel_config
        self.in_port = InPort(shape)
        self.out_port = OutPort(shape)
        self.out_port.flag_external_pipe(buffer_size)
        self.dropped = Var((1,), 0)


class VarWire(_Receiver):
    """Hands the value of a Var at the end of each time step to the program that runs the network.

    Parameters
    ----------
    buffer_size : int
        Number of values that may wait.
    channel_config : ChannelConfig, optional
        As for `Extractor`.
    **kwargs
        ``name`` and ``log_config``, see `AbstractProcess`.

    Attributes
    ----------
    wire_tap : RefPort
        Of the shape of the Var.
    out_port : OutPort
        The pipe to the program, of the shape of the Var.
    dropped : Var, shape (1,)
        Number of values that were dropped because the buffer was full.

    Raises
    ------
    ArgumentTypeError, ValidationError
        An argument has the wrong type, or is not positive.

    Examples
    --------
    >>> from lahar.processes import LIF, VarWire
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> lif, wire = LIF(shape=(2,), bias_mant=[1, 2]), VarWire()
    >>> wire.connect_var(lif.v)
    >>> with lif:
    ...     lif.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(wire.receive(), wire.receive())
    [1. 2.] [2. 4.]
    """

    def __init__(
        self, buffer_size: int = 50, channel_config: ChannelConfig | None = None, **kwargs: Any
    ) -> None:
        channel_config = checked_config(channel_config, buffer_size)
        super().__init__(channel_config=dataclasses.replace(channel_config), **kwargs)
        self._config = channel_config
        self._buffer_size = buffer_size
        self.dropped = Var((1,), 0)
        self._set_shape((1,))

    def _set_shape(self, shape: tuple[int, ...]) -> None:
        self.wire_tap = RefPort(shape)
        self.out_port = OutPort(shape)
        self.out_port.flag_external_pipe(self._buffer_size)

    def connect_var(self, var: Var) -> None:
        """Say which Var to watch; call this before the network is compiled."""
        if var.shape != self.wire_tap.shape:
            self._set_shape(var.shape)
            self._post_init()
        self.wire_tap.connect_var(var)


class _PipeModel:
    """Sends to the host as the policy says."""

    def on_build(self) -> None:
        self._config: ChannelConfig = self.proc_params["channel_config"]  # type: ignore[attr-defined]
        self._pipe = self.out_port.csp_ports[-1]  # type: ignore[attr-defined]

    def step_guard(self) -> bool:
        """Whether the next time step may begin."""
        return self._config.send_full is not SendFull.BLOCKING or self._pipe.probe()

    def hand_over(self, data: np.ndarray) -> None:
        if not self._config.send(self._pipe, data):
            self.dropped += 1  # type: ignore[attr-defined]


@implements(proc=Extractor, protocol=LoihiProtocol)
@requires(CPU)
class PyLoihiExtractorModel(_PipeModel, PyLoihiProcessModel):
    """One message per time step."""

    in_port: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out_port: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    dropped: np.ndarray = LavaPyType(np.ndarray, int)

    def run_spk(self) -> None:
        self.hand_over(self.in_port.recv())


@implements(proc=Extractor, protocol=AsyncProtocol)
@requires(CPU)
class PyLoihiExtractorModelAsync(_PipeModel, PyAsyncProcessModel):
    """`num_steps` messages in each run."""

    in_port: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out_port: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    dropped: np.ndarray = LavaPyType(np.ndarray, int)

    def run_async(self) -> None:
        for _ in range(self.num_steps):
            if self._look():
                return
            self.hand_over(self.in_port.recv())


@implements(proc=VarWire, protocol=LoihiProtocol)
@requires(CPU)
class PyLoihiVarWireModel(_PipeModel, PyLoihiProcessModel):
    """One value per time step, read after all handlers of its owner."""

    wire_tap: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    out_port: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    dropped: np.ndarray = LavaPyType(np.ndarray, int)
    reads_only = True

    def post_guard(self) -> bool:
        return True

    def run_post_mgmt(self) -> None:
        self.hand_over(np.asarray(self.wire_tap.read(), float))
