"""Ports as a ProcessModel sees them.

They hold no transport: the runtime attaches a channel (an object with `put` and `get`) for every
connection. `get` and `put` suspend the calling actor when the channel is empty or full. Dense ports are
here, sparse ones in `sparse_ports`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from ..errors import ArgumentTypeError, ShapeError

Transform = Callable[[Any], Any]


class AbstractPyPort:
    """Base of all ports of Python models.

    Attributes
    ----------
    name : str
        ``process.port``, for messages.
    shape : tuple of int
    dtype : numpy.dtype
    """

    supported = True
    sparse = False

    def __init__(self, name: str, shape: tuple[int, ...], d_type: Any) -> None:
        self.name = name
        self.shape = shape
        self.dtype = np.dtype(d_type)
        self.csp_ports: list[Any] = []


class PyInPort(AbstractPyPort):
    """Receiving port; use `PyInPort.VEC_DENSE` or `PyInPort.VEC_SPARSE` (see `sparse_ports`)."""

    VEC_DENSE: type[PyInPortVectorDense]
    VEC_SPARSE: type[PyInPort]
    SCALAR_DENSE: type[PyInPort]
    SCALAR_SPARSE: type[PyInPort]


class PyInPortVectorDense(PyInPort):
    """Receives one array per call and connection; several connections are summed."""

    def __init__(self, name: str, shape: tuple[int, ...], d_type: Any) -> None:
        super().__init__(name, shape, d_type)
        self._transforms: list[tuple[Transform, ...]] = []
        self._result = self.dtype
        self._get: Callable[[], Any] | None = None

    def attach(self, channel: Any, transforms: Sequence[Transform], dtype: Any) -> None:
        """Add a connection; the order of calls is the order of summation."""
        self.csp_ports.append(channel)
        self._transforms.append(tuple(transforms))
        self._result = np.result_type(self.dtype, dtype)
        plain = len(self.csp_ports) == 1 and not transforms and self._result == dtype
        self._get = channel.get if plain else None

    def recv(self) -> Any:
        """Take one message of every connection and return their sum.

        Returns
        -------
        ndarray
            Of the port's shape; dtype by numpy promotion of the port's and the senders' dtypes. The caller
            owns the array. Zeros if nothing is connected.
        """
        if self._get is not None:
            return self._get()
        return self._sum(channel.get() for channel in self.csp_ports)

    def peek(self) -> Any:
        """Return what `recv` would, without taking the messages."""
        return self._sum(channel.peek() for channel in self.csp_ports)

    def _sum(self, messages: Iterable[Any]) -> Any:
        total = None
        for message, transforms in zip(messages, self._transforms, strict=True):
            for transform in transforms:
                message = transform(message)  # noqa: PLW2901
            dtype = np.result_type(self.dtype, message.dtype)
            total = message.astype(dtype) if total is None else total + message
        return np.zeros(self.shape, self.dtype) if total is None else total

    def probe(self) -> bool:
        """Whether every connection has a message waiting."""
        return all(channel.probe() for channel in self.csp_ports)


class PyOutPort(AbstractPyPort):
    """Sending port; use `PyOutPort.VEC_DENSE` or `PyOutPort.VEC_SPARSE` (see `sparse_ports`)."""

    VEC_DENSE: type[PyOutPortVectorDense]
    VEC_SPARSE: type[PyOutPort]
    SCALAR_DENSE: type[PyOutPort]
    SCALAR_SPARSE: type[PyOutPort]

    def flush(self) -> None:
        """Nothing to do: the runtime flushes channels itself."""

    def advance_to_time_step(self, ts: int) -> None:
        """Nothing to do on Python channels."""


class PyOutPortVectorDense(PyOutPort):
    """Sends one array per call to every connection."""

    def __init__(self, name: str, shape: tuple[int, ...], d_type: Any) -> None:
        super().__init__(name, shape, d_type)
        self._puts: list[Callable[[Any], None]] = []

    def attach(self, channel: Any) -> None:
        self.csp_ports.append(channel)
        self._puts.append(channel.put)

    def send(self, data: Any) -> None:
        """Send a copy of `data` to every connection.

        Parameters
        ----------
        data : ndarray
            Of the port's shape; cast to the port's dtype as by numpy assignment.

        Raises
        ------
        ShapeError
            The shape of `data` differs from the port's.
        ArgumentTypeError
            `data` is not an array.
        """
        for put in self._puts:
            if type(data) is not np.ndarray and not hasattr(data, "shape"):
                raise ArgumentTypeError(f"'{self.name}'.send() takes an array, not {type(data).__name__}.")
            if data.shape != self.shape:
                raise ShapeError(
                    f"'{self.name}'.send(): the array has shape {data.shape}, the port {self.shape}."
                )
            put(np.array(data, self.dtype, order="C"))


class PyRefPort(AbstractPyPort):
    """Port that reads and writes a remote Var; use `PyRefPort.VEC_DENSE`."""

    VEC_DENSE: type[PyRefPortVectorDense]
    VEC_SPARSE: type[PyRefPort]
    SCALAR_DENSE: type[PyRefPort]
    SCALAR_SPARSE: type[PyRefPort]


class PyRefPortVectorDense(PyRefPort):
    """Reads and writes a Var of another Process as a whole, in the management phases."""

    def __init__(self, name: str, shape: tuple[int, ...], d_type: Any) -> None:
        super().__init__(name, shape, d_type)
        self._link: Any = None

    def attach(self, link: Any) -> None:
        self._link = link
        self.csp_ports.append(link)

    def read(self) -> Any:
        """Return the value of the Var after its owner's own handler of this phase; zeros if unconnected."""
        return np.zeros(self.shape, self.dtype) if self._link is None else self._link.read()

    def write(self, data: Any) -> None:
        """Replace the value of the Var at the end of this phase, after all reads.

        The value is cast to the dtype of this port and then to that of the Var.
        """
        if self._link is not None:
            if np.shape(data) != self.shape:
                raise ShapeError(
                    f"'{self.name}'.write(): the array has shape {np.shape(data)}, the port {self.shape}."
                )
            self._link.write(np.array(data, self.dtype))

    def wait(self) -> None:
        """Wait until all earlier writes of this port have been applied."""
        if self._link is not None:
            self._link.wait()


class PyVarPort(AbstractPyPort):
    """Port through which others reach a Var of this model; served by the runtime."""

    VEC_DENSE: type[PyVarPort]
    VEC_SPARSE: type[PyVarPort]
    SCALAR_DENSE: type[PyVarPort]
    SCALAR_SPARSE: type[PyVarPort]


class PyVarPortVectorDense(PyVarPort):
    """Access to a whole Var."""


def _declare(kind: type, name: str) -> type:
    """Make a port class that can be named but is refused at compile time."""
    doc = "Declared by the interface; not implemented, refused when the network is compiled."
    return type(name, (kind,), {"supported": False, "__doc__": doc, "__module__": __name__})


PyInPort.VEC_DENSE = PyInPortVectorDense
PyOutPort.VEC_DENSE = PyOutPortVectorDense
PyRefPort.VEC_DENSE = PyRefPortVectorDense
PyVarPort.VEC_DENSE = PyVarPortVectorDense
for _kind in (PyInPort, PyOutPort, PyRefPort, PyVarPort):
    for _attribute, _suffix in (
        ("VEC_SPARSE", "VectorSparse"),
        ("SCALAR_DENSE", "ScalarDense"),
        ("SCALAR_SPARSE", "ScalarSparse"),
    ):
        if _attribute == "VEC_SPARSE" and _kind in (PyInPort, PyOutPort):
            continue  # sparse_ports sets these
        _cls = _declare(_kind, _kind.__name__ + _suffix)
        setattr(_kind, _attribute, _cls)
        globals()[_cls.__name__] = _cls
