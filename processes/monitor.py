"""Monitor: records Vars and messages while a network runs.

A Monitor may probe many things. Each probe becomes a small recorder process of its own, which the
compiler places beside what it records: Vars never travel while the network runs.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, DtypeError, StateError, ValidationError
from .model import (
    CPU,
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyRefPort,
    implements,
    requires,
)
from .ports import InPort, OutPort, RefPort
from .process import AbstractProcess
from .var import Var


@dataclass
class _Probe:
    target: Any
    num_steps: int
    stride: int
    member: Any
    data: Var


class Monitor(AbstractProcess):
    """Records Vars (at the end of each time step) and OutPorts (each message).

    Parameters
    ----------
    **proc_params
        ``name`` and ``log_config``, see `AbstractProcess`.

    Examples
    --------
    >>> from lahar.processes import LIF, Monitor
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> lif, monitor = LIF(shape=(3,), bias_mant=4, name="lif"), Monitor()
    >>> monitor.probe(lif.v, num_steps=100)
    >>> monitor.probe(lif.s_out, num_steps=100)
    >>> with lif:
    ...     lif.run(condition=RunSteps(num_steps=100), run_cfg=Loihi2SimCfg(launcher="inline"))
    >>> monitor.get_data()["lif"]["v"].shape
    (100, 3)
    """

    def __init__(self, **proc_params: Any) -> None:
        super().__init__(**proc_params)
        self._probes: list[_Probe] = []

    def probe(self, target: Var | OutPort, num_steps: int, stride: int = 1) -> None:
        """Record `target` for `num_steps` time steps.

        Parameters
        ----------
        target : Var or OutPort
            Of a Process of the network. A Var's sample of step t is its value after all phases of that
            step, before other Processes write to it over RefPorts; an OutPort must send one message per
            step.
        num_steps : int
            Number of time steps, over all consecutive runs.
        stride : int
            Record the steps 1, 1 + stride, 1 + 2 stride, ... only.

        Raises
        ------
        ArgumentTypeError
            `target` is no Var or OutPort of a Process.
        ValidationError
            `num_steps` or `stride` is not positive; or another Process of the same name is probed already, whose data
            could not be told apart.
        DtypeError
            `target` is a Var that holds text.
        StateError
            The network has been started.
        """
        process = self._process_of(target)
        if isinstance(target, Var) and isinstance(target.init, str):
            raise DtypeError(
                f"Monitor '{self.name}' cannot probe '{target.path}', which holds text: a Monitor records numbers. "
                "Read it with get() between runs."
            )
        for argument, value in (("num_steps", num_steps), ("stride", stride)):
            if isinstance(value, bool) or not hasattr(value, "__index__") or value < 1:
                raise ValidationError(
                    f"a positive integer expected, not {value!r}.", f"Monitor.probe.{argument}"
                )
        for member in (self, process):
            if member.runtime is not None and not member.runtime.is_closed:
                raise StateError(
                    f"Monitor '{self.name}' cannot probe '{target.path}': the network of '{member.name}' has been "
                    "started. Attach monitors before the first run."
                )
        self._check_names(target)
        num_steps, stride = int(num_steps), int(stride)
        k = len(self._probes)
        data = Var((num_rows(num_steps, stride), *target.shape), 0)
        if isinstance(target, Var):
            port: Any = RefPort(target.shape)
            names = (f"ref_port_{k}", f"var_read_{k}")
        else:
            port = InPort(target.shape)
            names = (f"in_port_{k}", f"out_read_{k}")
        for name, value in zip(names, (port, data), strict=True):
            setattr(self, name, value)
        self._post_init()
        if isinstance(target, Var):
            port.connect_var(target)
        else:
            target.connect(port)
        self._probes.append(_Probe(target, num_steps, stride, port, data))
        self._expansion_stale = True

    def _process_of(self, target: Any) -> AbstractProcess:
        if not isinstance(target, (Var, OutPort)) or target.process is None:
            raise ArgumentTypeError(
                f"Monitor '{self.name}' can probe a Var or an OutPort of a Process, not "
                f"{type(target).__name__} {target!r}."
            )
        return target.process

    def _check_names(self, target: Any) -> None:
        for probe in self._probes:
            if probe.target is target:
                raise ValidationError(f"Monitor '{self.name}' probes '{target.path}' already.")
            if (
                probe.target.process is not target.process
                and probe.target.process.name == target.process.name
            ):
                raise ValidationError(
                    f"Monitor '{self.name}' probes two processes named '{target.process.name}'; their data could not "
                    "be told apart. Give them different names (name=...) or use two monitors."
                )

    def check_capacity(self, step: int, steps: int | None) -> None:
        """Refuse a run that would go beyond what was asked for, before it starts.

        Raises
        ------
        ValidationError
            The run of `steps` after time step `step` is longer than a probe.
        """
        for probe in self._probes:
            if steps is not None and step + steps > probe.num_steps:
                raise ValidationError(
                    f"Monitor '{self.name}' records '{probe.target.path}' for {probe.num_steps} time steps, but this "
                    f"run would end at step {step + steps}. Run at most {probe.num_steps - step} more steps, or "
                    f"probe with num_steps={step + steps}. Nothing was run, and what is recorded remains readable."
                )

    def get_data(self) -> dict[str, dict[str, np.ndarray]]:
        """Return what has been recorded.

        Returns
        -------
        dict of str to dict of str to ndarray
            ``{process name: {Var or port name: array}}`` with arrays of shape ``(num_steps, *shape)`` (with a
            stride, one row per recorded step) and the dtype of the target; rows of steps not yet executed are
            0. A continuous run may add rows.

        Raises
        ------
        StateError
            The network is running.
        """
        result: dict[str, dict[str, np.ndarray]] = {}
        for probe in self._probes:
            if self.runtime is None:
                rows = np.zeros(probe.data.shape)
            else:
                rows = probe.data.get()[: num_rows(max(probe.num_steps, self.runtime.step), probe.stride)]
            result.setdefault(probe.target.process.name, {})[probe.target.name] = rows
        return result

    def plot(self, ax: Any, target: Var | OutPort, *args: Any, **kwargs: Any) -> None:
        """Plot what was recorded of a target over time; further arguments go to ``ax.plot``.

        Parameters
        ----------
        ax : matplotlib.axes.Axes
        target : Var or OutPort
            That this Monitor probes. One line per element.

        Raises
        ------
        ArgumentTypeError, ValidationError
            `target` is no Var or OutPort, or is not probed.
        """
        process = self._process_of(target)
        if all(probe.target is not target for probe in self._probes):
            probed = ", ".join(f"'{probe.target.path}'" for probe in self._probes) or "nothing"
            raise ValidationError(
                f"Monitor '{self.name}' does not probe '{target.path}'; it probes {probed}."
            )
        rows = self.get_data()[process.name][target.name]
        ax.set_title(process.name)
        ax.set_xlabel("Time step")
        ax.set_ylabel(target.name)
        stride = next(probe.stride for probe in self._probes if probe.target is target)
        if stride == 1:
            ax.plot(rows.reshape(len(rows), -1), *args, **kwargs)
        else:
            ax.plot(np.arange(len(rows)) * stride, rows.reshape(len(rows), -1), *args, **kwargs)


@implements(proc=Monitor, protocol=LoihiProtocol)
class MonitorModel(AbstractSubProcessModel):
    """One recorder per probe."""

    def __init__(self, proc: Monitor) -> None:
        for k, probe in enumerate(proc._probes):
            name = proc.name if len(proc._probes) == 1 else f"{proc.name}[{k}]"
            if isinstance(probe.target, Var):
                recorder: Any = VarRecorder(probe.target.shape, probe.num_steps, probe.stride, name)
                recorder.source.connect(probe.member)
            else:
                recorder = PortRecorder(probe.target.shape, probe.num_steps, probe.stride, name)
                probe.member.connect(recorder.source)
            probe.data.alias(recorder.data)
            setattr(self, f"recorder_{k}", recorder)


def num_rows(num_steps: int, stride: int) -> int:
    """Return how many of the first `num_steps` time steps are recorded."""
    return -(-num_steps // stride)


class _Recorder(AbstractProcess):
    """Records one thing."""

    is_recorder = True

    def __init__(self, shape: tuple[int, ...], num_steps: int, stride: int, name: str) -> None:
        super().__init__(shape=shape, num_steps=num_steps, stride=stride, name=name)
        self.data = Var((num_rows(num_steps, stride), *shape), 0)


class VarRecorder(_Recorder):
    """Records a Var at the end of each time step."""

    def __init__(self, shape: tuple[int, ...], num_steps: int, stride: int, name: str) -> None:
        super().__init__(shape, num_steps, stride, name)
        self.source = RefPort(shape)


class PortRecorder(_Recorder):
    """Records the messages of an OutPort."""

    def __init__(self, shape: tuple[int, ...], num_steps: int, stride: int, name: str) -> None:
        super().__init__(shape, num_steps, stride, name)
        self.source = InPort(shape)


class _RecorderModel(PyLoihiProcessModel):
    data: np.ndarray = LavaPyType(np.ndarray, float)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        return 2.0 + 0.0005 * process.source.size

    def on_build(self) -> None:
        self._typed = False
        self._stride: int = self.proc_params["stride"]

    def record(self, sample: np.ndarray) -> None:
        row = self.time_step - 1
        if self._stride != 1:
            row //= self._stride
        data = self.data
        if sample.dtype != data.dtype:
            dtype = np.result_type(data.dtype, sample.dtype) if self._typed else sample.dtype
            data = self.data = data.astype(dtype)
        self._typed = True
        if row >= len(data):  # a continuous run: double the room
            data = self.data = np.concatenate([data, np.zeros_like(data)])
        data[row] = sample


@implements(proc=VarRecorder, protocol=LoihiProtocol)
@requires(CPU)
class PyVarRecorderModel(_RecorderModel):
    """Reads after the owner's last handler of a time step."""

    source: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    reads_only = True

    def post_guard(self) -> bool:
        return self._stride == 1 or (self.time_step - 1) % self._stride == 0

    def run_post_mgmt(self) -> None:
        self.record(self.source.read())


@implements(proc=PortRecorder, protocol=LoihiProtocol)
@requires(CPU)
class PyPortRecorderModel(_RecorderModel):
    """Receives one message per time step."""

    source: PyInPort = LavaPyType(PyInPort.VEC_DENSE, bool)

    def run_spk(self) -> None:
        message = self.source.recv()
        if self._stride == 1 or (self.time_step - 1) % self._stride == 0:
            self.record(message)
