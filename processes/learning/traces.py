"""Traces over one learning epoch.

A trace decays in every time step and jumps at spikes, but within an epoch only the last spike of a neuron
is known, and traces are brought up to date at the epoch's end. The history of an epoch is needed only at
the time steps in which somebody spiked, and at its end.

All traces of a connection (x1, x2 of every presynaptic, y1, y2, y3 of every postsynaptic neuron) lie one
after the other in one float64 vector, so that a time step of decay is one operation. Fixed-point traces are
whole numbers in that vector.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from .constants import POST_TRACES, PRE_TRACES, TRACE_MAX, TRACES, W_TRACE_FRACTIONAL_PART


class TraceLayout:
    """Where each trace lies in the vector of all traces.

    Parameters
    ----------
    num_pre, num_post : int
        Numbers of neurons.
    """

    def __init__(self, num_pre: int, num_post: int) -> None:
        self.num_pre, self.num_post = num_pre, num_post
        sizes = [num_pre] * len(PRE_TRACES) + [num_post] * len(POST_TRACES)
        starts = np.cumsum([0, *sizes]).tolist()
        self.size = starts[-1]
        self.num_x = starts[len(PRE_TRACES)]
        self.place = {name: slice(a, b) for name, a, b in zip(TRACES, starts, starts[1:], strict=False)}
        self.owner = np.repeat(np.arange(len(TRACES)), sizes)
        """Number of the trace that each element belongs to."""

    def gather(self, traces: list[np.ndarray]) -> np.ndarray:
        """Copy x1, x2, y1, y2, y3 into one float64 vector."""
        return np.concatenate(traces, dtype=np.float64, casting="unsafe")

    def spike_times(self, tx: np.ndarray, ty: np.ndarray) -> np.ndarray:
        """Return the time step of the last spike (0: none) for each element of the vector."""
        return np.concatenate((tx, tx, ty, ty, ty))


def decay_factor(tau: float) -> float:
    """Return ``exp(-1/tau)``; 0, full decay, for a time constant of 0."""
    return math.exp(-1.0 / tau) if tau > 0 else 0.0


def split_impulse(impulse: float) -> tuple[int, int]:
    """Return the whole part of an impulse and its fraction in 1/256, rounded half to even."""
    whole = math.floor(impulse)
    return whole, round((impulse - whole) * 2**W_TRACE_FRACTIONAL_PART)


def whole_impulse(impulse: float, random: int) -> int:
    """Return an impulse as the whole number that is added in fixed point.

    Parameters
    ----------
    impulse : float
        At least 0.
    random : int
        0..127. The impulse is rounded up if it lies below the fraction in 1/256, that is with twice the
        probability of the fraction; 0 rounds every fraction up.

    Returns
    -------
    int
    """
    whole, fraction = split_impulse(impulse)
    return whole + (random < fraction)


class History:
    """Traces of one epoch, at the time steps in which somebody spiked and at its end.

    Parameters
    ----------
    layout : TraceLayout
    tx, ty : ndarray of int64, shapes (num_pre,) and (num_post,)
        Time step within the epoch of the last spike of each neuron; 0: none.

    Attributes
    ----------
    pre, post : ndarray of int64
        Neurons that spiked, ascending.
    pre_rows, post_rows : ndarray of int64
        Row of `table` that holds the time step of the spike of each of them.
    table : ndarray, shape (rows, layout.size)
        Traces at the needed time steps; the last row is the end of the epoch.
    cache : dict
        For tables derived from `table`.
    """

    __slots__ = ("cache", "layout", "post", "post_rows", "pre", "pre_rows", "table", "tx", "ty")

    def __init__(self, layout: TraceLayout, tx: np.ndarray, ty: np.ndarray) -> None:
        self.layout, self.tx, self.ty = layout, tx, ty
        self.pre = tx.nonzero()[0]
        self.post = ty.nonzero()[0]
        self.cache: dict[Any, np.ndarray] = {}

    def of(self, trace: str) -> np.ndarray:
        """Return the part of `table` that belongs to one trace, shape (rows, neurons)."""
        return self.table[:, self.layout.place[trace]]


def evolve_float(
    history: History, traces: np.ndarray, t_epoch: int, decay: np.ndarray, *, impulses: np.ndarray
) -> None:
    """Fill `history`: ``H[k] = decay * H[k-1]``, plus the impulse where the spike time is k.

    Parameters
    ----------
    history : History
        Gets its table.
    traces : ndarray of float64, shape (size,)
        Values at the start of the epoch; overwritten by those at its end.
    t_epoch : int
        Length of the epoch.
    decay : ndarray, shape (size,)
        Factor per time step of each element.
    impulses : ndarray, shape (5,)
        Impulse of each trace.
    """

    def step() -> None:
        np.multiply(traces, decay, out=traces)

    def add(where: np.ndarray, owner: np.ndarray) -> None:
        traces[where] += impulses[owner]

    _evolve(history, traces, t_epoch, step, add)


def evolve_fixed(
    history: History,
    traces: np.ndarray,
    t_epoch: int,
    decay: np.ndarray,
    *,
    impulses: np.ndarray,
    random: np.ndarray,
) -> None:
    """Fill `history` in fixed point, rounding stochastically with one random number per side.

    Parameters
    ----------
    history, traces, t_epoch, decay
        As for `evolve_float`; traces hold whole numbers.
    impulses : ndarray, shape (5,)
        Whole impulse of each trace, rounded with this epoch's random number.
    random : ndarray, shape (size,)
        Random number in [0, 1) of each element: a decayed value is rounded up where it lies below the
        fraction.
    """
    fraction = np.empty_like(traces)

    def step() -> None:
        np.multiply(traces, decay, out=fraction)
        np.floor(fraction, out=traces)
        np.subtract(fraction, traces, out=fraction)
        np.add(traces, random < fraction, out=traces)

    def add(where: np.ndarray, owner: np.ndarray) -> None:
        traces[where] = np.minimum(np.maximum(traces[where] + impulses[owner], 0), TRACE_MAX)

    _evolve(history, traces, t_epoch, step, add)


def _evolve(history: History, traces: np.ndarray, t_epoch: int, step: Any, add: Any) -> None:
    if not len(history.pre) and not len(history.post):
        if traces.any():
            for _ in range(t_epoch):
                step()
        history.table = traces[None, :]
        history.pre_rows, history.post_rows = history.pre, history.post
        return
    layout, tx, ty = history.layout, history.tx, history.ty
    wanted = np.zeros(t_epoch + 1, bool)
    wanted[tx] = True
    wanted[ty] = True
    wanted[0] = False
    has_spikes = wanted.tolist()
    wanted[-1] = True
    rows = wanted.cumsum() - 1
    table = np.empty((int(rows[-1]) + 1, layout.size))
    when = layout.spike_times(tx, ty)
    row = 0
    for k in range(1, t_epoch + 1):
        step()
        if has_spikes[k]:
            where = (when == k).nonzero()[0]
            add(where, layout.owner[where])
            table[row] = traces
            row += 1
    table[-1] = traces
    history.table = table
    history.pre_rows = rows[tx[history.pre]]
    history.post_rows = rows[ty[history.post]]
