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

from ..kernels import Kernel
from .constants import POST_TRACES, PRE_TRACES, SPIKE_DEPENDENCIES, TRACE_MAX, TRACES, W_TRACE_FRACTIONAL_PART

# NumPy needs 3 ns for an element and time step and as much as for `_PER_EPOCH` of them besides; compiled loops,
# in any epoch, a third or less.
_PER_EPOCH, _WORTH = 4000, 1 << 29
_FLOAT, _FIXED = (Kernel(f"evolve_{numerics}", 0, _WORTH) for numerics in ("float", "fixed"))
_NOWHERE = np.full(len(TRACES), -1)


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


class TraceDynamics:
    """How traces develop over an epoch.

    Parameters
    ----------
    layout : TraceLayout
    t_epoch : int
        Length of an epoch.
    taus : sequence of float
        Time constant of each trace in time steps.
    read : set of str
        Traces whose history is looked up.

    Attributes
    ----------
    decay : ndarray, shape (5,)
        Factor per time step of each trace.
    """

    def __init__(self, layout: TraceLayout, t_epoch: int, taus: Any, read: Any = TRACES) -> None:
        self.layout, self.t_epoch = layout, t_epoch
        self.decay = np.array([decay_factor(tau) for tau in taus])
        self.decay_of_each = self.decay[layout.owner]
        self.place: dict[str, slice] = {}
        self.columns = np.full(len(TRACES), -1)
        self.width = 0
        for number, name in enumerate(TRACES):
            if name in read:
                self.columns[number] = start = self.width
                self.width += layout.num_pre if name in PRE_TRACES else layout.num_post
                self.place[name] = slice(start, self.width)


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
    table : ndarray of float64, shape (rows, columns)
        Traces at the needed time steps; the last row is the end of the epoch.
    place : dict of str to slice
        Columns of each trace that is looked up.
    rows : ndarray of int64
        Row of `table` for each time step within the epoch in which somebody spiked, from 0, which is none.
    pre_rows, post_rows : ndarray of int64
        Row of `table` that holds the time step of the spike of each of `pre` and `post`.
    cache : dict
        For tables derived from `table`.
    """

    __slots__ = (
        "cache",
        "layout",
        "place",
        "post",
        "post_rows",
        "pre",
        "pre_rows",
        "rows",
        "table",
        "tx",
        "ty",
    )

    def __init__(self, layout: TraceLayout, tx: np.ndarray, ty: np.ndarray) -> None:
        self.layout, self.tx, self.ty = layout, tx, ty
        self.pre = tx.nonzero()[0]
        self.post = ty.nonzero()[0]
        self.place = layout.place
        self.cache: dict[Any, np.ndarray] = {}

    def of(self, name: str) -> np.ndarray:
        """Return what belongs to one trace, or 1 for who spiked (``x0``, ``y0``); shape (rows or 1, neurons)."""
        if name in SPIKE_DEPENDENCIES:
            return ((self.tx if name == "x0" else self.ty) > 0).astype(np.float64)[None, :]
        return self.table[:, self.place[name]]


def evolve_float(history: History, traces: np.ndarray, dynamics: TraceDynamics, impulses: np.ndarray) -> None:
    """Fill `history`: ``H[k] = decay * H[k-1]``, plus the impulse where the spike time is k.

    Parameters
    ----------
    history : History
        Gets its table.
    traces : ndarray of float64, shape (size,)
        Values at the start of the epoch; overwritten by those at its end.
    dynamics : TraceDynamics
    impulses : ndarray of float64, shape (5,)
        Impulse of each trace.
    """
    decay = dynamics.decay_of_each

    def step() -> None:
        np.multiply(traces, decay, out=traces)

    def add(where: np.ndarray, owner: np.ndarray) -> None:
        traces[where] += impulses[owner]

    _evolve(history, traces, dynamics, step, add, (_FLOAT, impulses, None))


def evolve_fixed(
    history: History,
    traces: np.ndarray,
    dynamics: TraceDynamics,
    impulses: np.ndarray,
    random: tuple[float, float],
) -> None:
    """Fill `history` in fixed point, rounding stochastically with one random number per side.

    Parameters
    ----------
    history, traces, dynamics
        As for `evolve_float`; traces hold whole numbers.
    impulses : ndarray of float64, shape (5,)
        Whole impulse of each trace, rounded with this epoch's random number.
    random : tuple of float
        Random number in [0, 1) of the pre- and of the postsynaptic side: a decayed value is rounded up where
        it lies below the fraction.
    """
    decay, num_x = dynamics.decay_of_each, history.layout.num_x
    fraction = chance = np.empty(0)

    def step() -> None:
        nonlocal fraction, chance
        if fraction.size != traces.size:
            fraction, chance = np.empty((2, traces.size))
            chance[:num_x], chance[num_x:] = random
        np.multiply(traces, decay, out=fraction)
        np.floor(fraction, out=traces)
        np.subtract(fraction, traces, out=fraction)
        np.add(traces, chance < fraction, out=traces)

    def add(where: np.ndarray, owner: np.ndarray) -> None:
        traces[where] = np.minimum(np.maximum(traces[where] + impulses[owner], 0), TRACE_MAX)

    _evolve(history, traces, dynamics, step, add, (_FIXED, impulses, (*random, float(TRACE_MAX))))


def _evolve(
    history: History, traces: np.ndarray, dynamics: TraceDynamics, step: Any, add: Any, compiled: Any
) -> None:
    layout, tx, ty, t_epoch = history.layout, history.tx, history.ty, dynamics.t_epoch
    kernel, impulses, fixed = compiled
    loop = kernel.for_work(layout.size * t_epoch + _PER_EPOCH)
    wanted = np.zeros(t_epoch + 1, bool)
    if not len(history.pre) and not len(history.post):
        if loop is not None:
            loop(traces, tx, ty, dynamics.decay, impulses, _NOWHERE, wanted - 1, np.empty((1, 0)), fixed)
        elif traces.any():
            for _ in range(t_epoch):
                step()
        history.table = traces[None, :]
        history.rows = history.pre_rows = history.post_rows = history.pre  # empty
        return
    wanted[tx] = True
    wanted[ty] = True
    wanted[0] = False
    has_spikes = wanted.tolist()
    wanted[-1] = True
    rows = wanted.cumsum() - 1
    count = int(rows[-1]) + 1
    if loop is not None:
        history.place = dynamics.place
        history.table = np.empty((count, dynamics.width))
        rows_of_steps = np.where(wanted, rows, -1)
        loop(traces, tx, ty, dynamics.decay, impulses, dynamics.columns, rows_of_steps, history.table, fixed)
    else:
        history.table = table = np.empty((count, layout.size))
        when = np.concatenate((tx, tx, ty, ty, ty))
        row = 0
        for k in range(1, t_epoch + 1):
            step()
            if has_spikes[k]:
                where = (when == k).nonzero()[0]
                add(where, layout.owner[where])
                table[row] = traces
                row += 1
        table[-1] = traces
    history.rows = rows
    history.pre_rows = rows[tx[history.pre]]
    history.post_rows = rows[ty[history.post]]
