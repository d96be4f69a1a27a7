"""What connections with a delay per synapse share: a buffer of the sums that later time steps will send."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .errors import DtypeError, LaharWarning, ShapeError, ValidationError
from .fan_out import add_up
from .model import LavaPyType, PyLoihiProcessModel
from .overflow import OverflowWatch
from .parameters import as_integer

# Time steps by which the hardware can delay a spike.
LONGEST_DELAY = 63


def check_delays(delays: np.ndarray, shape: tuple[int, ...], owner: str) -> np.ndarray:
    """Return `delays` as int64.

    Parameters
    ----------
    delays : ndarray
        One number, or as many as `shape` says.
    shape : tuple of int
        Shape of the weights.
    owner : str
        Class, for messages.

    Raises
    ------
    DtypeError, ShapeError, ValidationError
        They are no integers, of another shape, or negative.
    """
    where = f"{owner}.delays"
    if delays.dtype.kind not in "iu":
        raise DtypeError(f"{where} must be integers (time steps), not {delays.dtype}.")
    if delays.size and delays.min() < 0:
        raise ValidationError(f"must not be negative, as {delays.min()} is.", where)
    if delays.shape not in ((), shape):
        raise ShapeError(f"{where} must have the shape {shape} of the weights, not {delays.shape}.")
    return delays.astype(np.int64)


def check_max_delay(max_delay: Any, delays: np.ndarray, process: Any) -> int:
    """Return the number of time steps that the buffer must reach; `delays` are the longest by default.

    Raises
    ------
    ArgumentTypeError, ValidationError
        `max_delay` is no integer, or negative.

    Warns
    -----
    LaharWarning
        Some delays are longer than `max_delay`.
    """
    owner = type(process).__name__
    max_delay = as_integer(max_delay, f"{owner}.max_delay")
    if max_delay < 0:
        raise ValidationError(f"must not be negative, as {max_delay} is.", f"{owner}.max_delay")
    if max_delay == 0:
        return int(delays.max()) if delays.size else 0
    _warn_of_silence(f"{owner} '{process.name}'", delays, max_delay)
    return max_delay


def _warn_of_silence(where: str, delays: np.ndarray, max_delay: int) -> None:
    count = np.count_nonzero(delays > max_delay)
    if count:
        warnings.warn(
            f"{where}: {count} of {delays.size} delays are longer than max_delay = {max_delay} (the longest is "
            f"{delays.max()}); these synapses transmit nothing. Construct it with a larger max_delay.",
            LaharWarning,
            stacklevel=3,
        )


class DelayLineModel(PyLoihiProcessModel):
    """Mixin of models whose synapses have delays; stands before the model of the connection without delays.

    In each time step ``a_buff[:, 0]`` is sent, the columns move left by one, and what arrived is added to
    the column of each synapse's delay.

    Attributes
    ----------
    a_buff : ndarray, shape (m, max_delay + 1)
        In Fortran order, so that each column is contiguous.
    longest_delay : int or None
        Longest delay that is accepted.
    """

    longest_delay: int | None = None
    a_buff: np.ndarray

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        return 8.0 + 2e-3 * process.a_buff.size + super().step_cost(process)

    def on_build(self) -> None:
        super().on_build()
        self.a_buff = np.asfortranarray(self.a_buff)
        self._place_synapses(warn=False)

    def on_var_update(self) -> None:
        self._place_synapses(warn=True)
        super().on_var_update()

    def _place_synapses(self, warn: bool) -> None:
        """Find out where each synapse adds to `a_buff`; where it is too short, to a place behind its end."""
        rows, delays = self.synapses()
        num_post, length = self.a_buff.shape
        where = f"{self.process_name}.delays"
        longest = int(delays.max()) if delays.size else 0
        if delays.size and delays.min() < 0:
            raise ValidationError(f"must not be negative, as {delays.min()} is.", where)
        if self.longest_delay is not None and longest > self.longest_delay:
            raise ValidationError(
                f"the longest delay in fixed point is {self.longest_delay} time steps, not {longest}. Chain two "
                "connections, or run with floating_pt models.",
                where,
            )
        if warn and longest >= length:
            _warn_of_silence(f"'{self.process_name}'", delays, length - 1)
        self.places = np.where(delays < length, delays * num_post + rows, length * num_post)

    def synapses(self) -> tuple[np.ndarray, np.ndarray]:
        """Return output and delay of each synapse, in the order of the contributions; must be defined."""
        raise NotImplementedError(f"{type(self).__name__} must define synapses().")

    def contributions(
        self, spikes: np.ndarray, active: np.ndarray, graded: bool, dtype: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the places in `a_buff` of the synapses of active inputs, and what they add; must be defined."""
        raise NotImplementedError(f"{type(self).__name__} must define contributions().")

    def sum_types(self, spikes: np.ndarray, graded: bool) -> tuple[Any, Any]:
        """Return the dtypes in which payloads multiply weights, and in which contributions are added."""
        raise NotImplementedError(f"{type(self).__name__} must define sum_types().")

    def watch(self, spikes: np.ndarray, active: np.ndarray, graded: bool) -> None:
        """Look for sums that do not fit; floating point has none."""

    def scale(self, total: np.ndarray) -> np.ndarray:
        """Return what is added to the buffer, given the sums of a time step."""
        return total

    def run_spk(self) -> None:
        buffer = self.a_buff
        self.a_out.send(buffer[:, 0])
        spikes = self.s_in.recv()
        buffer[:, :-1] = buffer[:, 1:]
        buffer[:, -1] = 0
        active = spikes.nonzero()[0]
        if not len(active):
            return
        graded = self.num_message_bits.item() > 0
        product_dtype, sum_dtype = self.sum_types(spikes, graded)
        self.watch(spikes, active, graded)
        places, values = self.contributions(spikes, active, graded, product_dtype)
        total = add_up(places, values, buffer.size + 1, sum_dtype)[:-1]
        buffer += self.scale(total).reshape(buffer.shape, order="F").astype(buffer.dtype, copy=False)


class FixedDelayLineModel(DelayLineModel):
    """Delay line in fixed point; stands before the fixed-point model of the connection without delays."""

    longest_delay = LONGEST_DELAY

    _watch: OverflowWatch
    weights: Any
    a_buff: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=16)

    def watch(self, spikes: np.ndarray, active: np.ndarray, graded: bool) -> None:
        """Warn of sums of this time step that do not fit into 32 bits."""

        def sums(dtype: Any) -> np.ndarray:
            places, values = self.contributions(spikes, active, graded, dtype)
            return add_up(places, values.astype(dtype), self.a_buff.size + 1, dtype)[:-1]

        self._watch.look(spikes, graded, self.row_sum, sums)

    def scale(self, total: np.ndarray) -> np.ndarray:
        """Apply `weight_exp`."""
        return self.shift(total)

    def run_spk(self) -> None:
        if self.time_step == 1:
            self.prepare_weights()
        super().run_spk()
