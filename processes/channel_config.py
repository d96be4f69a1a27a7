"""What the external pipes of `Injector`, `Extractor` and `VarWire` do when they are full, empty or not empty.

The functions work on both ends of a pipe: objects with `send`, `recv`, `probe` and `pending` (the number of
messages that can be taken at once).
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from enum import IntEnum, auto
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, LaharWarning, ValidationError

Send = Callable[[Any, np.ndarray], bool]
Receive = Callable[..., np.ndarray]


class SendFull(IntEnum):
    """What sending does when the pipe is full.

    Attributes
    ----------
    BLOCKING
        Wait for room.
    NON_BLOCKING_DROP
        Drop the new message, count it, and warn.
    """

    BLOCKING = auto()
    NON_BLOCKING_DROP = auto()


class ReceiveEmpty(IntEnum):
    """What receiving does when the pipe is empty.

    Attributes
    ----------
    BLOCKING
        Wait for a message.
    NON_BLOCKING_ZEROS
        Give zeros.
    """

    BLOCKING = auto()
    NON_BLOCKING_ZEROS = auto()


class ReceiveNotEmpty(IntEnum):
    """What receiving does when messages are waiting.

    Attributes
    ----------
    FIFO
        Take the oldest message.
    ACCUMULATE
        Take all messages and give their sum.
    """

    FIFO = auto()
    ACCUMULATE = auto()


@dataclass
class ChannelConfig:
    """Policies of an external pipe.

    Parameters
    ----------
    send_full : SendFull
        BLOCKING waits for room; NON_BLOCKING_DROP drops the new message, counts it and warns.
    receive_empty : ReceiveEmpty
        BLOCKING waits for a message; NON_BLOCKING_ZEROS gives zeros.
    receive_not_empty : ReceiveNotEmpty
        FIFO takes the oldest message; ACCUMULATE takes all that are there and gives their sum.

    Examples
    --------
    >>> from lahar.processes import ChannelConfig, Injector, ReceiveEmpty, SinkRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> policies = ChannelConfig(receive_empty=ReceiveEmpty.NON_BLOCKING_ZEROS)
    >>> injector, sink = Injector(shape=(1,), channel_config=policies), SinkRingBuffer(shape=(1,), buffer=3)
    >>> injector.out_port.connect(sink.a_in)
    >>> with sink:
    ...     sink.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get())  # nothing was sent: the network ran on with zeros
    [[0. 0. 0.]]
    """

    send_full: SendFull = SendFull.BLOCKING
    receive_empty: ReceiveEmpty = ReceiveEmpty.BLOCKING
    receive_not_empty: ReceiveNotEmpty = ReceiveNotEmpty.FIFO

    def get_send_full_function(self) -> Send:
        return SEND_FULL_FUNCTIONS[self.send_full]

    def get_receive_empty_function(self) -> Receive:
        return RECEIVE_EMPTY_FUNCTIONS[self.receive_empty]

    def get_receive_not_empty_function(self) -> Receive:
        return RECEIVE_NOT_EMPTY_FUNCTIONS[self.receive_not_empty]

    def receive(self, pipe: Any, shape: tuple[int, ...]) -> np.ndarray:
        """Take a message of `pipe` as the policies say."""
        zeros = np.zeros(shape)
        pending = pipe.pending
        if pending:
            return self.get_receive_not_empty_function()(pipe, zeros, pending)
        return self.get_receive_empty_function()(pipe, zeros)

    def send(self, pipe: Any, data: np.ndarray) -> bool:
        """Send over `pipe` as the policy says; return whether the message was sent (else it was dropped)."""
        return self.get_send_full_function()(pipe, data)


def send_full_blocking(port: Any, data: np.ndarray) -> bool:
    """Send, waiting for room."""
    port.send(data)
    return True


def send_full_non_blocking_drop(port: Any, data: np.ndarray) -> bool:
    """Send if there is room; else drop the message with a warning."""
    if port.probe():
        port.send(data)
        return True
    warnings.warn(f"'{port.name}': the pipe is full, a message was dropped.", LaharWarning, stacklevel=4)
    return False


def receive_empty_blocking(port: Any, zeros: np.ndarray) -> np.ndarray:
    """Wait for a message."""
    del zeros
    message: np.ndarray = port.recv()
    return message


def receive_empty_non_blocking_zeros(port: Any, zeros: np.ndarray) -> np.ndarray:
    """Return zeros."""
    del port
    return zeros


def receive_not_empty_fifo(port: Any, zeros: np.ndarray, num_elements: int) -> np.ndarray:
    """Take the oldest message."""
    del zeros, num_elements
    message: np.ndarray = port.recv()
    return message


def receive_not_empty_accumulate(port: Any, zeros: np.ndarray, num_elements: int) -> np.ndarray:
    """Take `num_elements` messages and return their sum, added in the order in which they were sent."""
    total = zeros
    for _ in range(num_elements):
        total = total + port.recv()
    return total


SEND_FULL_FUNCTIONS: dict[SendFull, Send] = {
    SendFull.BLOCKING: send_full_blocking,
    SendFull.NON_BLOCKING_DROP: send_full_non_blocking_drop,
}
RECEIVE_EMPTY_FUNCTIONS: dict[ReceiveEmpty, Receive] = {
    ReceiveEmpty.BLOCKING: receive_empty_blocking,
    ReceiveEmpty.NON_BLOCKING_ZEROS: receive_empty_non_blocking_zeros,
}
RECEIVE_NOT_EMPTY_FUNCTIONS: dict[ReceiveNotEmpty, Receive] = {
    ReceiveNotEmpty.FIFO: receive_not_empty_fifo,
    ReceiveNotEmpty.ACCUMULATE: receive_not_empty_accumulate,
}


def validate_shape(shape: Any) -> None:
    """Refuse anything but a tuple of positive integers.

    Raises
    ------
    ArgumentTypeError
        `shape` is no tuple, or holds something that is no integer.
    ValidationError
        It holds an integer that is not positive.
    """
    if not isinstance(shape, tuple):
        raise ArgumentTypeError(f"shape must be a tuple such as (3,), not {shape!r}.")
    for n in shape:
        _check_count(n, "shape")


def validate_buffer_size(buffer_size: Any) -> None:
    """Refuse anything but a positive integer; raises as `validate_shape` does."""
    _check_count(buffer_size, "buffer_size")


def _check_count(n: Any, where: str) -> None:
    if isinstance(n, bool) or not isinstance(n, (int, np.integer)):
        raise ArgumentTypeError(f"{where}: a positive integer expected, not {n!r}.")
    if n <= 0:
        raise ValidationError(f"a positive integer expected, not {n}.", where)


def checked_config(
    channel_config: ChannelConfig | None, buffer_size: Any, shape: Any = (1,)
) -> ChannelConfig:
    """Check the arguments of a process with a pipe; return the configuration, the default one for None.

    Raises
    ------
    ArgumentTypeError, ValidationError
        See the validating functions.
    """
    config = channel_config if channel_config is not None else ChannelConfig()
    validate_shape(shape)
    validate_buffer_size(buffer_size)
    validate_channel_config(config)
    return config


def validate_channel_config(channel_config: Any) -> None:
    """Refuse anything but a ChannelConfig whose fields are members of their enumerations.

    Raises
    ------
    ArgumentTypeError
    """
    if not isinstance(channel_config, ChannelConfig):
        raise ArgumentTypeError(f"channel_config must be a ChannelConfig, not {channel_config!r}.")
    for name, kind in (
        ("send_full", SendFull),
        ("receive_empty", ReceiveEmpty),
        ("receive_not_empty", ReceiveNotEmpty),
    ):
        value = getattr(channel_config, name)
        if not isinstance(value, kind):
            raise ArgumentTypeError(
                f"channel_config.{name} must be a member of {kind.__name__}, not {value!r}."
            )
