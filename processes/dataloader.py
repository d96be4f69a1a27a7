"""Data loaders: samples of a data set, one after the other, as spikes or as the state of another Process."""

from __future__ import annotations

from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ShapeError, ValidationError
from .model import (
    HostCPU,
    LavaPyType,
    LoihiProtocol,
    PyOutPort,
    PyRefPort,
    implements,
    requires,
    tag,
)
from .ports import OutPort
from .process import AbstractProcess
from .var import Var
from .var_access import PeriodicModel, VarAccessModel, VarAccessProcess, check_period


def load_sample(dataset: Any, number: int, owner: str) -> tuple[np.ndarray, np.ndarray]:
    """Return a sample and its label (of shape (1,) if it is a number); numbers go round the data set.

    Raises
    ------
    ValidationError, ArgumentTypeError
        The data set is empty, or its elements are not pairs of arrays of numbers.
    """
    if len(dataset) == 0:
        raise ValidationError("holds no sample.", f"{owner}.dataset")
    element = dataset[number % len(dataset)]
    try:
        data, label = element
    except (TypeError, ValueError):
        raise ArgumentTypeError(
            f"{owner}.dataset[{number % len(dataset)}] must be a pair (array, label), not a "
            f"{type(element).__name__}."
        ) from None
    data, label = np.array(data), np.atleast_1d(np.array(label))
    if data.dtype.kind not in "biuf" or label.dtype.kind not in "biuf":
        raise ArgumentTypeError(
            f"{owner}.dataset[{number % len(dataset)}] must hold real numbers, not {data.dtype} and {label.dtype}."
        )
    return data, label


class SpikeDataloader(AbstractProcess):
    """Sends the samples of a data set, each for `interval` time steps.

    The next sample is loaded at the end of the time steps t with ``(t - 1) % interval == offset``; before the
    first one, zeros are sent. After the last one the first follows.

    Parameters
    ----------
    dataset : sequence of (ndarray, label)
        ``dataset[i]`` is a sample, whose last axis is time, and its label, a number or an array. Longer samples are
        cut, shorter ones followed by zeros.
    interval : int
        Number of time steps for one sample.
    offset : int
        Taken modulo `interval`.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    s_out : OutPort, shape ``sample.shape[:-1]``
        float64, or int32 in fixed point.
    ground_truth : OutPort
        float64; shape of the label, (1,) for a number.
    data : Var, shape ``sample.shape[:-1] + (interval,)``
        The sample being sent, in its own dtype.
    interval, offset : Var, shape (1,)

    Raises
    ------
    ValidationError
        The data set is empty or `interval` is not positive.
    ArgumentTypeError
        An element of the data set is no pair of arrays, or a number no integer.
    ShapeError
        A sample has no axis besides time.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import SinkRingBuffer, SpikeDataloader
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> dataset = [(np.array([[1, 2]]), 7), (np.array([[3, 4]]), 8)]
    >>> loader = SpikeDataloader(dataset=dataset, interval=2)
    >>> sink, labels = SinkRingBuffer(shape=(1,), buffer=5), SinkRingBuffer(shape=(1,), buffer=5)
    >>> loader.s_out.connect(sink.a_in)
    >>> loader.ground_truth.connect(labels.a_in)
    >>> with loader:
    ...     run_cfg = Loihi2SimCfg(select_tag="floating_pt", launcher="inline")
    ...     loader.run(condition=RunSteps(num_steps=5), run_cfg=run_cfg)
    ...     print(sink.data.get(), labels.data.get())
    [[0. 1. 2. 3. 4.]] [[0. 7. 7. 8. 8.]]
    """

    def __init__(
        self,
        *,
        dataset: Any,
        interval: int = 1,
        offset: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        interval, offset = check_period(interval, offset, "SpikeDataloader")
        data, label = load_sample(dataset, 0, "SpikeDataloader")
        if data.ndim < 2:
            raise ShapeError(
                f"SpikeDataloader.dataset[0] has shape {data.shape}, but needs a leading axis for the neurons and "
                "time as its last axis."
            )
        super().__init__(dataset=dataset, interval=interval, offset=offset, name=name, log_config=log_config)
        self.interval = Var(shape=(1,), init=interval)
        self.offset = Var(shape=(1,), init=offset)
        self.data = Var(shape=(*data.shape[:-1], interval), init=0)
        self.s_out = OutPort(shape=data.shape[:-1])
        self.ground_truth = OutPort(shape=label.shape)


class StateDataloader(VarAccessProcess):
    """Writes the samples of a data set into a Var of another Process, one every `interval` time steps.

    Say which Var with ``connect_var(var)``. The next sample is written at the end of the time steps t with
    ``(t - 1) % interval == offset``, and counts from the next time step on. After the last one the first follows.

    Parameters
    ----------
    dataset : sequence of (ndarray, label)
        ``dataset[i]`` is a sample in the shape of the Var, and its label, a number or an array.
    interval : int
        Number of time steps from one sample to the next.
    offset : int
        Taken modulo `interval`.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    state : RefPort
        In the shape of the Var.
    ground_truth : OutPort
        float64; shape of the label, (1,) for a number.
    interval, offset : Var, shape (1,)

    Raises
    ------
    ValidationError
        The data set is empty or `interval` is not positive.
    ArgumentTypeError
        An element of the data set is no pair of arrays, or a number no integer.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import LIF, StateDataloader
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> dataset = [(np.array([5, 6]), 0), (np.array([7, 8]), 1)]
    >>> lif, loader = LIF(shape=(2,)), StateDataloader(dataset=dataset, interval=3)
    >>> loader.connect_var(lif.bias_mant)
    >>> with lif:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     for steps in (1, 3):
    ...         lif.run(condition=RunSteps(num_steps=steps), run_cfg=run_cfg)
    ...         print(lif.bias_mant.get())
    [5 6]
    [7 8]
    """

    def __init__(
        self,
        *,
        dataset: Any,
        interval: int = 1,
        offset: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        interval, offset = check_period(interval, offset, "StateDataloader")
        data, label = load_sample(dataset, 0, "StateDataloader")
        super().__init__(dataset=dataset, interval=interval, offset=offset, name=name, log_config=log_config)
        self._sample_shape = data.shape
        self.interval = Var(shape=(1,), init=interval)
        self.offset = Var(shape=(1,), init=offset)
        self.ground_truth = OutPort(shape=label.shape)

    def connect_var(self, var: Var) -> None:
        """Say into which Var samples are written; see `VarAccessProcess.connect_var`.

        Raises
        ------
        ShapeError
            Samples do not have the shape of the Var.
        """
        shape = getattr(var, "shape", self._sample_shape)
        if shape != self._sample_shape:
            raise ShapeError(
                f"StateDataloader '{self.name}': samples have shape {self._sample_shape}, Var '{var.path}' has "
                f"shape {shape}."
            )
        super().connect_var(var)


class AbstractPyDataloader(PeriodicModel):
    """Loads sample after sample and sends the label of the present one; subclasses use the sample."""

    interval: np.ndarray = LavaPyType(np.ndarray, np.int64)
    offset: np.ndarray = LavaPyType(np.ndarray, np.int64)
    ground_truth: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)

    def on_build(self) -> None:
        super().on_build()
        self._loaded = 0
        self._label = np.zeros(self.ground_truth.shape)

    def run_spk(self) -> None:
        self.ground_truth.send(self._label)

    def run_post_mgmt(self) -> None:
        dataset, number = self.proc_params["dataset"], self._loaded
        sample, label = load_sample(dataset, number, f"'{self.process_name}'")
        if label.shape != self._label.shape:
            raise ShapeError(
                f"'{self.process_name}': the label of sample {number % len(dataset)} has shape {label.shape}, that of "
                f"the first one {self._label.shape}."
            )
        self._label = label
        self._loaded += 1
        self.use(sample, number % len(dataset))

    def use(self, sample: np.ndarray, number: int) -> None:
        """Put a sample to use; must be defined."""
        raise NotImplementedError(f"{type(self).__name__} must define use().")


class AbstractPySpikeDataloader(AbstractPyDataloader):
    """Sends samples; subclasses give the types."""

    s_out: PyOutPort
    data: np.ndarray

    def on_build(self) -> None:
        super().on_build()
        self._position = 0

    def run_spk(self) -> None:
        super().run_spk()
        self.s_out.send(self.data[..., self._position % self.data.shape[-1]])
        self._position += 1

    def use(self, sample: np.ndarray, number: int) -> None:
        """Cut the sample, or fill it up with zeros, and send it from its beginning."""
        length = self.data.shape[-1]
        if sample.shape[:-1] != self.s_out.shape or not sample.ndim:
            raise ShapeError(
                f"'{self.process_name}': sample {number} has shape {sample.shape}, but {self.s_out.shape} and time "
                "are sent."
            )
        sample = sample[..., :length]
        missing = np.zeros((*self.s_out.shape, length - sample.shape[-1]), self.s_out.dtype)
        self.data = np.concatenate([sample, missing], axis=-1) if missing.size else sample
        self._position = 0


@implements(proc=SpikeDataloader, protocol=LoihiProtocol)
@requires(HostCPU)
@tag("floating_pt")
class PySpikeDataloaderFloat(AbstractPySpikeDataloader):
    """Sends float64."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    data: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=SpikeDataloader, protocol=LoihiProtocol)
@requires(HostCPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PySpikeDataloaderFixed(AbstractPySpikeDataloader):
    """Sends int32."""

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    data: np.ndarray = LavaPyType(np.ndarray, np.int32)


class AbstractPyStateDataloader(AbstractPyDataloader, VarAccessModel):
    """Writes samples; subclasses give the types."""

    def use(self, sample: np.ndarray, number: int) -> None:
        """Write the sample and wait until it has landed."""
        if self.state.csp_ports and sample.shape != self.state.shape:
            raise ShapeError(
                f"'{self.process_name}': sample {number} has shape {sample.shape}, the Var {self.state.shape}."
            )
        self.state.write(sample)


@implements(proc=StateDataloader, protocol=LoihiProtocol)
@requires(HostCPU)
@tag("floating_pt")
class PyStateDataloaderFloat(AbstractPyStateDataloader):
    """Writes float64."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)


@implements(proc=StateDataloader, protocol=LoihiProtocol)
@requires(HostCPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyStateDataloaderFixed(AbstractPyStateDataloader):
    """Writes int32."""

    state: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
