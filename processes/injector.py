"""Injector: sends what the program hands it into a running network."""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from .channel_config import ChannelConfig, ReceiveEmpty, checked_config
from .errors import ArgumentTypeError, UnstartedError
from .model import (
    CPU,
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
)
from .ports import InPort, OutPort
from .process import AbstractProcess


class Injector(AbstractProcess):
    """Sends one message per time step, which comes from the program that runs the network.

    Parameters
    ----------
    shape : tuple of int
        Shape S of the messages.
    buffer_size : int
        Number of messages that may wait.
    channel_config : ChannelConfig, optional
        `send_full` says what `send` does when the buffer is full, `receive_empty` and `receive_not_empty`
        what the network does in each time step. With BLOCKING and an empty buffer the next time step does
        not begin until there is a message; the network can be paused meanwhile.
    **kwargs
        ``name`` and ``log_config``, see `AbstractProcess`; handed to the ProcessModel.

    Attributes
    ----------
    in_port : InPort, shape S
        Fed by `send`.
    out_port : OutPort, shape S
        float64.
    dropped : int
        Messages that `send` has dropped.

    Raises
    ------
    ArgumentTypeError, ValidationError
        An argument has the wrong type, or is not positive.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import Injector, SinkRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> injector, sink = Injector((2,)), SinkRingBuffer(shape=(2,), buffer=3)
    >>> injector.out_port.connect(sink.a_in)
    >>> injector.create_runtime(run_cfg=Loihi2SimCfg(launcher="inline"))
    >>> injector.send(np.array([1.0, 2.0]))
    >>> injector.run(RunSteps(1))
    >>> sink.data.get()[:, 0].tolist()
    [1.0, 2.0]
    >>> injector.stop()
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        buffer_size: int = 50,
        channel_config: ChannelConfig | None = None,
        **kwargs: Any,
    ) -> None:
        channel_config = checked_config(channel_config, buffer_size, shape)
        super().__init__(channel_config=dataclasses.replace(channel_config), shape=shape, **kwargs)
        self._config = channel_config
        self.dropped = 0
        self.in_port = InPort(shape)
        self.in_port.flag_external_pipe(buffer_size)
        self.out_port = OutPort(shape)

    def send(self, data: np.ndarray) -> None:
        """Hand a message to the network, from any thread and also while it runs.

        Parameters
        ----------
        data : ndarray, shape S

        Raises
        ------
        UnstartedError
            There is no runtime yet: call `create_runtime` or `run` first.
        ArgumentTypeError, ShapeError
            `data` is no array of shape S.
        DtypeError
            It does not hold real numbers.
        StateError
            The network has been stopped or has failed.
        """
        pipe = self.in_port.external_pipe_csp_send_port
        if pipe is None:
            raise UnstartedError(f"Injector '{self.name}': create_runtime() or run() before send().")
        if not isinstance(data, np.ndarray):
            raise ArgumentTypeError(f"Injector '{self.name}' takes an array, not {type(data).__name__}.")
        if not self._config.send(pipe, data):
            self.dropped += 1


class _InjectorModel:
    """One message from the host goes on in each step."""

    def on_build(self) -> None:
        self._config: ChannelConfig = self.proc_params["channel_config"]  # type: ignore[attr-defined]
        self._pipe = self.in_port.csp_ports[-1]  # type: ignore[attr-defined]

    def pass_on(self) -> None:
        self.out_port.send(self._config.receive(self._pipe, self.proc_params["shape"]))  # type: ignore[attr-defined]


@implements(proc=Injector, protocol=LoihiProtocol)
@requires(CPU)
class PyLoihiInjectorModel(_InjectorModel, PyLoihiProcessModel):
    """One message per time step."""

    in_port: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out_port: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def step_guard(self) -> bool:
        """Whether the next time step may begin."""
        return self._config.receive_empty is not ReceiveEmpty.BLOCKING or self._pipe.probe()

    def run_spk(self) -> None:
        self.pass_on()


@implements(proc=Injector, protocol=AsyncProtocol)
@requires(CPU)
class PyLoihiInjectorModelAsync(_InjectorModel, PyAsyncProcessModel):
    """`num_steps` messages in each run."""

    in_port: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out_port: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def run_async(self) -> None:
        for _ in range(self.num_steps):
            if self._look():
                return
            self.pass_on()
