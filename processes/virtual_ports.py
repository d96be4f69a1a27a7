"""Virtual ports: transformations between two real ports, carried out by the receiver."""

from __future__ import annotations

import math
import operator
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from itertools import accumulate
from typing import Any

import numpy as np

from .errors import (
    ArgumentTypeError,
    ConcatIndexError,
    ConcatShapeError,
    DuplicateConnectionError,
    PortError,
    ReshapeError,
    TransposeIndexError,
    TransposeShapeError,
)
from .ports import AbstractPort, AbstractRVPort, InPort, OutPort, RefPort, VarPort, to_list

_TARGETS: dict[type, tuple[type, ...]] = {
    OutPort: (InPort, OutPort),
    InPort: (InPort,),
    RefPort: (RefPort, VarPort),
    VarPort: (VarPort,),
}


class AbstractVirtualPort(AbstractPort):
    """Base of virtual ports; subclasses give the function each way (picklable callables of one array)."""

    def __init__(self, new_shape: tuple[int, ...]) -> None:
        super().__init__(new_shape)

    @property
    def root(self) -> AbstractPort | None:
        """Real port that this one stands behind."""
        port: AbstractPort = self
        while isinstance(port, AbstractVirtualPort):
            if not port.in_connections:
                return None
            port = port.in_connections[0]
        return port

    def seen_from(self, neighbour: AbstractPort) -> AbstractVirtualPort:  # noqa: ARG002
        """Return what a path that comes from `neighbour` passes here."""
        return self

    @property
    def process(self) -> Any:  # type: ignore[override]
        """Process of the real port that this one stands behind."""
        root = self.root
        return root.process if root is not None else None

    @process.setter
    def process(self, value: Any) -> None:
        if value is not None:
            raise AttributeError("The process of a virtual port follows from the port it was made from.")

    @property
    def path(self) -> str:
        root = self.root
        return f"{root.path}.{type(self).__name__}" if root is not None else type(self).__name__

    def connect(self, ports: Any, connection_configs: Any = None) -> None:
        """Connect to real ports that the port behind which this one stands could be connected to."""
        ports = to_list(ports)
        root = self.root
        kinds = next((targets for kind, targets in _TARGETS.items() if isinstance(root, kind)), None)
        if kinds is None:
            raise PortError(f"{self.path} stands behind no real port.")
        self._check(ports, kinds, "connect")
        for each in _roots(self):
            if isinstance(each, AbstractRVPort):
                each._check_single(ports)
        self._connect_forward(ports, AbstractPort, connection_configs, assert_same_shape=False)

    @abstractmethod
    def get_transform_func_fwd(self) -> Callable[[Any], Any]:
        """Return the function applied from source to destination."""

    @abstractmethod
    def get_transform_func_bwd(self) -> Callable[[Any], Any]:
        """Return its inverse, applied when a RefPort reads."""


class ReshapePort(AbstractVirtualPort):
    """Shows a port with another shape, in C order."""

    def __init__(self, new_shape: tuple[int, ...], old_shape: tuple[int, ...]) -> None:
        if not isinstance(new_shape, tuple):
            raise ArgumentTypeError(f"reshape() takes a tuple such as (3, 4), not {new_shape!r}.")
        if any(n < 0 for n in new_shape) or math.prod(new_shape) != math.prod(old_shape):
            raise ReshapeError(old_shape, new_shape)
        super().__init__(new_shape)
        self.old_shape = old_shape

    def get_transform_func_fwd(self) -> Callable[[Any], Any]:
        return partial(_reshape, shape=self.shape)

    def get_transform_func_bwd(self) -> Callable[[Any], Any]:
        return partial(_reshape, shape=self.old_shape)


class TransposePort(AbstractVirtualPort):
    """Shows a port with permuted axes."""

    def __init__(self, new_shape: tuple[int, ...], axes: Sequence[int]) -> None:
        super().__init__(new_shape)
        self.axes = tuple(axes)

    @classmethod
    def of(cls, old_shape: tuple[int, ...], axes: Sequence[int] | None) -> TransposePort:
        """Make a port that shows one of shape `old_shape` with its axes in the order `axes`."""
        n = len(old_shape)
        given = tuple(range(n))[::-1] if axes is None else axes
        if not isinstance(given, Sequence | np.ndarray) or not all(hasattr(a, "__index__") for a in given):
            raise ArgumentTypeError(f"transpose() takes axes such as (1, 0), not {axes!r}.")
        given = tuple(given)
        if len(given) != n:
            raise TransposeShapeError(old_shape, given)
        for axis in given:
            if not -n <= axis < n:
                raise TransposeIndexError(old_shape, given, axis)
        normal = tuple(axis % n for axis in given)
        if len(set(normal)) != n:
            raise TransposeShapeError(old_shape, given)
        return cls(tuple(old_shape[axis] for axis in normal), normal)

    def get_transform_func_fwd(self) -> Callable[[Any], Any]:
        return partial(np.transpose, axes=self.axes)

    def get_transform_func_bwd(self) -> Callable[[Any], Any]:
        return partial(np.transpose, axes=tuple(int(k) for k in np.argsort(self.axes)))


class ConcatPort(AbstractVirtualPort):
    """Shows several ports as one, joined along an axis in the order given.

    Nothing waits for the parts to come together: each path through a ConcatPort places its message in an
    array of the full shape that is neutral elsewhere (-0.0, 0 or False), and the InPort adds what it
    receives, as always. A RefPort reads its part of the Var and writes that part only.

    Parameters
    ----------
    ports : list of AbstractPort
        Two or more different ports of one kind (real or virtual), of equal shape but for `axis`.
    axis : int
        Negative axes count from the end.

    Raises
    ------
    PortError, ArgumentTypeError
        No ports, or of different kinds; `axis` is no integer.
    DuplicateConnectionError
        A port is given twice.
    ConcatIndexError, ConcatShapeError
        There is no such axis, or other axes differ.
    """

    def __init__(self, ports: Sequence[AbstractPort], axis: int) -> None:
        kinds = [_kind(port) for port in ports]
        for port, kind in zip(ports, kinds, strict=True):
            if kind is not kinds[0]:
                raise PortError(
                    f"concat_with() joins ports of one kind; '{ports[0].path}' is of kind {kinds[0].__name__}, "
                    f"'{port.path}' of kind {kind.__name__}."
                )
        for k, port in enumerate(ports):
            if any(port is other for other in ports[:k]):
                raise DuplicateConnectionError(f"concat_with(): '{port.path}' is given twice.")
        if issubclass(kinds[0], AbstractRVPort):
            _check_distinct([root for port in ports for root in _roots(port)])
        if isinstance(axis, bool) or not hasattr(axis, "__index__"):
            raise ArgumentTypeError(
                f"'{ports[0].path}'.concat_with(): axis must be an integer, not {axis!r}."
            )
        first = ports[0].shape
        if not -len(first) <= axis < len(first):
            raise ConcatIndexError(first, axis)
        self.axis = operator.index(axis) % len(first)
        shapes = [port.shape for port in ports]
        if len({(len(s), s[: self.axis], s[self.axis + 1 :]) for s in shapes}) > 1:
            raise ConcatShapeError(shapes, self.axis)
        lengths = [shape[self.axis] for shape in shapes]
        super().__init__((*first[: self.axis], sum(lengths), *first[self.axis + 1 :]))
        self._starts = list(accumulate(lengths, initial=0))

    def get_transform_func_fwd(self) -> Callable[[Any], Any]:
        """Return the function that joins a list of arrays, one per port."""
        return partial(np.concatenate, axis=self.axis)

    def get_transform_func_bwd(self) -> Callable[[Any], Any]:
        """Return the function that cuts an array into a list of arrays, one per port."""
        return partial(np.split, indices_or_sections=self._starts[1:-1], axis=self.axis)

    def seen_from(self, neighbour: AbstractPort) -> ConcatInput:
        k = next(k for k, port in enumerate(self.in_connections) if port is neighbour)
        part = slice(self._starts[k], self._starts[k + 1])
        return ConcatInput(self, (*(slice(None),) * self.axis, part), neighbour)


class ConcatInput(AbstractVirtualPort):
    """One of the ways through a ConcatPort, as part of a path."""

    def __init__(self, whole: ConcatPort, part: tuple[slice, ...], neighbour: AbstractPort) -> None:
        super().__init__(whole.shape)
        self._part = part
        self._place = _place_masked if issubclass(_kind(neighbour), AbstractRVPort) else _place
        self.in_connections = [neighbour]

    def get_transform_func_fwd(self) -> Callable[[Any], Any]:
        return partial(self._place, shape=self.shape, part=self._part)

    def get_transform_func_bwd(self) -> Callable[[Any], Any]:
        return partial(_cut, part=self._part)


def _roots(port: AbstractPort) -> list[AbstractPort]:
    """Return the real ports that a port stands behind: several behind a concatenation."""
    if not isinstance(port, AbstractVirtualPort):
        return [port]
    return [root for before in port.in_connections for root in _roots(before)]


def _check_distinct(roots: list[AbstractPort]) -> None:
    """Refuse two ways from one RefPort into one concatenation: it reaches one part of one Var."""
    for k, root in enumerate(roots):
        if root in roots[:k]:
            raise DuplicateConnectionError(f"concat_with(): '{root.path}' is given twice.")


def _kind(port: Any) -> type:
    """Return the class of the real port that a port stands behind."""
    root = port.root if isinstance(port, AbstractVirtualPort) else port
    kind = next((kind for kind in _TARGETS if isinstance(root, kind)), None)
    if kind is None:
        what = port.path if isinstance(port, AbstractPort) else repr(port)
        raise PortError(f"concat_with() joins ports of Processes, not {what}.")
    return kind


def _place(x: Any, shape: tuple[int, ...], part: tuple[slice, ...]) -> Any:
    """Return `x` as part of an array that leaves any number as it is when added to it."""
    whole = np.full(shape, -0.0 if x.dtype.kind in "fc" else 0, x.dtype)
    if x.dtype.kind == "c":
        whole.imag = -0.0
    whole[part] = x
    return whole


def _place_masked(x: Any, shape: tuple[int, ...], part: tuple[slice, ...]) -> Any:
    """Return `x` as part of an array that is masked elsewhere: what is masked is not written."""
    x = np.ma.asarray(x)
    whole = np.ma.masked_all(shape, x.dtype)
    whole[part] = x
    return whole


def _cut(x: Any, part: tuple[slice, ...]) -> Any:
    return x[part]


def _reshape(x: Any, shape: tuple[int, ...]) -> Any:
    return np.reshape(x, shape)
