"""Sparse vector ports: a message lists the elements that are there, as (data, indices).

One `send` is one message, which carries data of any numeric dtype and the positions of the elements in
the flattened port (C order). Elements that are not listed are absent, not zero: what they mean is up to
the models.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from ..errors import ArgumentTypeError, DtypeError, PortError, ShapeError, ValidationError
from .ports import PyInPort, PyOutPort, Transform

INDEX = np.dtype(np.int64)
WORD = np.dtype(np.int32)


@dataclass(frozen=True)
class SparseMessage:
    """A message on a channel between sparse ports.

    Attributes
    ----------
    data : ndarray, shape (n,)
    indices : ndarray of int64, shape (n,)
        Positions; int32 words if `packed`.
    size : int
        Number of elements of the port; positions are below it, and n is at most that.
    packed : bool
        `indices` holds words of a compressed message, not positions.
    """

    data: Any
    indices: Any
    size: int
    packed: bool = False

    def copy(self) -> SparseMessage:
        """Return a message that shares no memory with this one."""
        return replace(self, data=self.data.copy(), indices=self.indices.copy())


class IndexMap:
    """Virtual ports as a table: where each element of the sender is found at the receiver.

    Parameters
    ----------
    transforms : sequence of callables
        Of the virtual ports, from sender to receiver; applied once, to numbered elements.
    shape : tuple of int
        Of the sending port.

    Raises
    ------
    PortError
        The transforms do more than moving elements, so positions cannot follow.
    """

    def __init__(self, transforms: Sequence[Transform], shape: tuple[int, ...]) -> None:
        numbers: Any = np.arange(1, math.prod(shape) + 1, dtype=INDEX).reshape(shape)
        for transform in transforms:
            numbers = transform(numbers)
        moved = np.asarray(numbers).reshape(-1)
        where = np.flatnonzero(moved)  # a concatenation leaves zeros where other inputs are
        every = np.arange(1, math.prod(shape) + 1)
        if moved.dtype.kind not in "iu" or not np.array_equal(np.sort(moved[where]), every):
            raise PortError("these virtual ports do more than moving elements; sparse messages cannot pass.")
        self.table = np.empty(where.size, INDEX)
        self.table[moved[where] - 1] = where
        self.size = moved.size

    def __call__(self, message: SparseMessage) -> SparseMessage:
        if message.packed:
            raise PortError("packed words are no positions; they cannot pass virtual ports.")
        return replace(message, indices=self.table[message.indices], size=self.size)


class PyInPortVectorSparse(PyInPort):
    """Receives the listed elements of one message per call and connection."""

    sparse = True

    def __init__(self, name: str, shape: tuple[int, ...], d_type: Any) -> None:
        super().__init__(name, shape, d_type)
        self._transforms: list[tuple[Transform, ...]] = []

    def attach(self, channel: Any, transforms: Sequence[Transform], dtype: Any) -> None:  # noqa: ARG002
        """Add a connection; the order of calls is the order of concatenation."""
        self.csp_ports.append(channel)
        self._transforms.append(tuple(transforms))

    def recv(self) -> tuple[Any, Any]:
        """Take one message of every connection.

        Returns
        -------
        data : ndarray, shape (n,)
            Elements of all messages one after the other, in the order of the connections; dtype by numpy
            promotion of the port's and the senders' dtypes. The caller owns both arrays.
        indices : ndarray of int64, shape (n,)
            Their positions in this port, flattened in C order. An element that several connections list
            comes several times. int32 words if the sender used `send_packed`.

        Both are empty if nothing is connected.

        Raises
        ------
        PortError
            Packed words of several connections, or behind virtual ports.
        """
        return self._join(channel.get() for channel in self.csp_ports)

    def peek(self) -> tuple[Any, Any]:
        """Return what `recv` would, without taking the messages."""
        return self._join(channel.peek() for channel in self.csp_ports)

    def probe(self) -> bool:
        """Whether every connection has a message waiting."""
        return all(channel.probe() for channel in self.csp_ports)

    def _join(self, messages: Iterable[SparseMessage]) -> tuple[Any, Any]:
        parts = []
        for message, transforms in zip(messages, self._transforms, strict=True):
            try:
                for transform in transforms:
                    message = transform(message)  # noqa: PLW2901
            except PortError as error:
                raise PortError(f"'{self.name}': {error}") from None
            parts.append(message)
        if len(parts) == 1:
            data, indices = parts[0].data, parts[0].indices
            return data.astype(np.result_type(self.dtype, data.dtype), copy=False), indices
        if any(message.packed for message in parts):
            raise PortError(f"'{self.name}': packed words of several connections cannot be told apart.")
        data = [np.empty(0, self.dtype), *(message.data for message in parts)]
        return np.concatenate(data), np.concatenate([np.empty(0, INDEX), *(m.indices for m in parts)])


class PyOutPortVectorSparse(PyOutPort):
    """Sends listed elements to every connection, one message per call."""

    sparse = True

    def __init__(self, name: str, shape: tuple[int, ...], d_type: Any) -> None:
        super().__init__(name, shape, d_type)
        self._size = math.prod(shape)
        self._puts: list[Callable[[Any], None]] = []

    def attach(self, channel: Any) -> None:
        self.csp_ports.append(channel)
        self._puts.append(channel.put)

    def send(self, data: Any, indices: Any) -> None:
        """Send a copy of `data` and `indices` to every connection.

        Parameters
        ----------
        data : array_like, n elements
            Cast to the port's dtype as by numpy assignment.
        indices : array_like of int, n elements
            Position of each in the flattened port; any order, repeated positions are kept.

        Raises
        ------
        ShapeError
            Different numbers of data and indices, or more than the port has elements.
        DtypeError, ArgumentTypeError
            Indices that are no integers, data that are no numbers.
        ValidationError
            An index below 0 or not below the size of the port.
        """
        if self._puts:
            data, indices = self._checked(data, indices)
            if indices.size and not (indices.min() >= 0 and indices.max() < self._size):
                wrong = indices[(indices < 0) | (indices >= self._size)][0]
                raise ValidationError(
                    f"index {wrong} in a port of {self._size} elements; indices run from 0 to {self._size - 1}.",
                    f"'{self.name}'.send()",
                )
            self._put(data, indices, INDEX, packed=False)

    def send_packed(self, data: Any, words: Any) -> None:
        """Send a compressed message: `words` are no positions, but 32 bits each of any meaning.

        The receiver gets both as they are, over one direct connection (no virtual ports).

        Raises
        ------
        ShapeError, DtypeError, ArgumentTypeError, ValidationError
            As for `send`; words must fit into int32.
        """
        if self._puts:
            data, words = self._checked(data, words)
            limits = np.iinfo(WORD)
            if words.size and not (limits.min <= words.min() and words.max() <= limits.max):
                raise ValidationError(
                    "words beyond 32 bits (signed); pack four bytes into one.",
                    f"'{self.name}'.send_packed()",
                )
            self._put(data, words, WORD, packed=True)

    def _checked(self, data: Any, indices: Any) -> tuple[Any, Any]:
        data, indices = np.asarray(data).reshape(-1), np.asarray(indices).reshape(-1)
        where = f"'{self.name}'.send()"
        if data.dtype.kind not in "biufc":
            raise ArgumentTypeError(f"{where}: data must be numbers, not {data.dtype}.")
        if indices.dtype.kind not in "iu" and indices.size:
            raise DtypeError(f"{where}: indices must be integers, not {indices.dtype}.")
        if data.size != indices.size:
            raise ShapeError(
                f"{where}: {data.size} data, but {indices.size} indices; each element needs both."
            )
        if data.size > self._size:
            raise ShapeError(f"{where}: {data.size} elements, but the port has {self._size}.")
        return data, indices

    def _put(self, data: Any, indices: Any, dtype: Any, packed: bool) -> None:
        for put in self._puts:
            put(SparseMessage(np.array(data, self.dtype), np.array(indices, dtype), self._size, packed))


PyInPort.VEC_SPARSE = PyInPortVectorSparse
PyOutPort.VEC_SPARSE = PyOutPortVectorSparse
