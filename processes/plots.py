"""Figures of what a network did: spikes as a raster, Vars as traces.

Matplotlib is imported when a figure is made. No display is needed: a figure belongs to pyplot (and is shown
by ``plt.show()``) only if the program has imported pyplot itself.
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from .errors import ArgumentTypeError, MissingExtraError, ValidationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_STRIDE = 6
_FIGSIZE = (10, 5)


def raster_plot(
    spikes: Any,
    stride: int | None = None,
    fig: Figure | None = None,
    figsize: tuple[float, float] | None = None,
    marker: str = "o",
    markersize: float = 1.5,
    color: Any = "b",
    alpha: float = 1,
    xlabel: str = "Time Steps",
    ylabel: str = "Neurons",
) -> Figure:
    """Draw spikes as dots, time to the right and neurons upwards.

    Parameters
    ----------
    spikes : array_like, shape (neurons, steps)
        0 and 1, or booleans.
    stride : int, optional
        Only every stride-th neuron is drawn; by default every sixth, or all if there are fewer than six.
    fig : Figure, optional
        Draw into the axes of this figure that were used last, instead of making a figure.
    figsize : tuple of float, optional
        Size of a new figure in inches, 10 x 5 by default.
    marker, markersize, color, alpha
        As for ``Axes.plot``.
    xlabel, ylabel : str

    Returns
    -------
    Figure
        ``figure.gca()`` are the axes; `draw_raster` draws into axes of one's own.

    Raises
    ------
    ValidationError
        `spikes` is not two-dimensional, is empty, or holds something but 0 and 1; `stride` is not positive or
        exceeds the number of neurons; or both `fig` and `figsize` are given.
    MissingExtraError
        Matplotlib is not installed.
    """
    spikes, stride = _checked(spikes, stride, "raster_plot")
    if fig is not None and figsize is not None:
        raise ValidationError(
            "has no effect on a figure that exists: give fig or figsize.", "raster_plot.figsize"
        )
    figure = new_figure(figsize or _FIGSIZE) if fig is None else fig
    draw_raster(
        spikes,
        figure.gca(),
        stride,
        marker=marker,
        markersize=markersize,
        color=color,
        alpha=alpha,
        xlabel=xlabel,
        ylabel=ylabel,
    )
    return figure


def draw_raster(
    spikes: Any,
    ax: Axes | None = None,
    stride: int | None = None,
    *,
    xlabel: str = "Time Steps",
    ylabel: str = "Neurons",
    **style: Any,
) -> Axes:
    """Draw spikes as dots into axes.

    Parameters
    ----------
    spikes : array_like, shape (neurons, steps)
        0 and 1, or booleans. (What a Monitor recorded is (steps, neurons): pass its transpose.)
    ax : Axes, optional
        New ones by default.
    stride : int, optional
        As for `raster_plot`.
    xlabel, ylabel : str
    **style
        As for ``Axes.plot``.

    Returns
    -------
    Axes

    Raises
    ------
    ValidationError, MissingExtraError
        As for `raster_plot`.
    """
    spikes, stride = _checked(spikes, stride, "draw_raster")
    ax = new_figure(_FIGSIZE).gca() if ax is None else ax
    style = {"marker": "o", "markersize": 1.5, "color": "b", **style, "linestyle": "None"}
    for neuron in range(0, len(spikes), stride):
        times = spikes[neuron].nonzero()[0]
        ax.plot(times, np.full(len(times), neuron), **style)
    ax.set_xlim(-1, spikes.shape[1])
    ax.set_yticks([])
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return ax


def draw_traces(
    values: Any,
    ax: Axes | None = None,
    *,
    start: int = 1,
    labels: Sequence[str] | None = None,
    step: bool = False,
    title: str = "",
    xlabel: str = "Time Steps",
    ylabel: str = "",
    **style: Any,
) -> Axes:
    """Draw values over time, one line per element.

    Parameters
    ----------
    values : array_like, shape (steps,) or (steps, ...)
        As a Monitor returns them.
    ax : Axes, optional
        New ones by default.
    start : int
        Time step of the first value.
    labels : sequence of str, optional
        Name of each line, in C order of the elements; makes a legend.
    step : bool
        Whether a value is drawn as lasting from the previous time step to its own.
    title, xlabel, ylabel : str
    **style
        As for ``Axes.plot``.

    Returns
    -------
    Axes

    Raises
    ------
    ValidationError
        There are no values, or not as many labels as lines.
    ArgumentTypeError
        `values` are not real numbers.
    MissingExtraError
        Matplotlib is not installed.
    """
    values = np.asarray(values)
    if values.dtype.kind not in "biuf":
        raise ArgumentTypeError(f"draw_traces.values must hold real numbers, not {values.dtype}.")
    if values.ndim == 0 or values.size == 0:
        raise ValidationError(
            f"an array (steps, ...) is needed, not one of shape {values.shape}.", "draw_traces.values"
        )
    lines = values.reshape(len(values), -1)
    if labels is not None and len(labels) != lines.shape[1]:
        raise ValidationError(f"{len(labels)} labels for {lines.shape[1]} lines.", "draw_traces.labels")
    ax = new_figure(_FIGSIZE).gca() if ax is None else ax
    if step:
        style.setdefault("drawstyle", "steps-pre")
    drawn = ax.plot(np.arange(start, start + len(lines)), lines, **style)
    if labels is not None:
        ax.legend(drawn, labels)
    ax.set_title(title)
    ax.set_xlabel(xlabel)
    ax.set_ylabel(ylabel)
    return ax


def new_figure(figsize: tuple[float, float] = _FIGSIZE) -> Figure:
    """Return a new figure: one of pyplot's if the program uses pyplot, else one without a window.

    Raises
    ------
    MissingExtraError
        Matplotlib is not installed.
    """
    pyplot = sys.modules.get("matplotlib.pyplot")
    if pyplot is not None:
        return pyplot.figure(figsize=figsize)
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("Drawing a figure", "matplotlib", "plot") from error
    return Figure(figsize=figsize)


def _checked(spikes: Any, stride: int | None, function: str) -> tuple[np.ndarray, int]:
    spikes = np.asarray(spikes)
    where = f"{function}.spikes"
    if spikes.ndim != 2 or spikes.size == 0:
        raise ValidationError(f"an array (neurons, steps) is needed, not one of shape {spikes.shape}.", where)
    if spikes.dtype.kind not in "biuf" or not np.isin(spikes, (0, 1)).all():
        raise ValidationError("a raster holds 0 (no spike) and 1 (a spike) only.", where)
    if stride is None:
        stride = _STRIDE if len(spikes) >= _STRIDE else 1
    if stride < 1:
        raise ValidationError(f"must be positive, not {stride}.", f"{function}.stride")
    if stride > len(spikes):
        raise ValidationError(f"{stride} exceeds the number of neurons, {len(spikes)}.", f"{function}.stride")
    return spikes, int(stride)
