"""Virtual ports: transformations between two real ports, carried out by the receiver."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, PortError, ReshapeError, TransposeIndexError, TransposeShapeError
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
        if isinstance(root, AbstractRVPort):
            root._check_single(ports)
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
        given = tuple(range(n))[::-1] if axes is None else tuple(axes)
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
    """Concatenation of ports; named by the interface, refused by `AbstractPort.concat_with`."""

    def get_transform_func_fwd(self) -> Callable[[Any], Any]:
        raise NotImplementedError("Concatenated ports are not supported.")

    def get_transform_func_bwd(self) -> Callable[[Any], Any]:
        raise NotImplementedError("Concatenated ports are not supported.")


def _reshape(x: Any, shape: tuple[int, ...]) -> Any:
    return np.reshape(x, shape)
