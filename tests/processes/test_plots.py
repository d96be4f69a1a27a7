"""Figures: what is drawn where, and that neither a display nor pyplot is needed."""

import subprocess
import sys

import numpy as np
import pytest
from matplotlib.figure import Figure

from lahar.processes.errors import ArgumentTypeError, MissingExtraError, ValidationError
from lahar.processes.plots import draw_raster, draw_traces, new_figure, raster_plot

SPIKES = np.random.default_rng(0).random((13, 40)) < 0.2


@pytest.fixture(autouse=True)
def _close_figures():
    yield
    if sys.modules.get("matplotlib.pyplot") is not None:
        sys.modules["matplotlib.pyplot"].close("all")


def dots(ax):
    """Return (time, neuron) of everything that is drawn."""
    return {tuple(map(int, dot)) for line in ax.lines for dot in zip(*line.get_data(), strict=True)}


def spikes_of(neurons):
    return {(int(t), n) for n in neurons for t in SPIKES[n].nonzero()[0]}


@pytest.mark.parametrize("spikes", [SPIKES, SPIKES.astype(int), SPIKES.astype(float), SPIKES.tolist()])
def test_every_sixth_neuron_is_drawn_at_its_number(spikes):
    fig = raster_plot(spikes)
    assert isinstance(fig, Figure)
    (ax,) = fig.axes
    assert dots(ax) == spikes_of([0, 6, 12])
    assert (ax.get_xlim(), list(ax.get_yticks())) == ((-1, 40), [])
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("Time Steps", "Neurons")
    assert {line.get_linestyle() for line in ax.lines} == {"None"}
    assert tuple(fig.get_size_inches()) == (10, 5)


def test_few_neurons_are_all_drawn():
    assert dots(raster_plot(SPIKES[:5]).axes[0]) == spikes_of(range(5))
    assert dots(raster_plot(SPIKES, stride=5).axes[0]) == spikes_of([0, 5, 10])


def test_two_rasters_on_one_figure():
    fig = Figure()
    assert raster_plot(SPIKES, fig=fig, color="r", marker="x", alpha=0.5) is fig
    raster_plot(~SPIKES, fig=fig, xlabel="t", ylabel="n")
    (ax,) = fig.axes
    assert [line.get_color() for line in ax.lines] == ["r"] * 3 + ["b"] * 3
    assert (ax.lines[0].get_marker(), ax.lines[0].get_alpha()) == ("x", 0.5)
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("t", "n")
    assert tuple(raster_plot(SPIKES, figsize=(3, 2)).get_size_inches()) == (3, 2)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"spikes": SPIKES[0]}, r"spikes: an array \(neurons, steps\)"),
        ({"spikes": np.zeros((0, 3))}, r"not one of shape \(0, 3\)"),
        ({"spikes": 2 * SPIKES.astype(int), "stride": 50}, "0 .no spike. and 1"),
        ({"spikes": SPIKES.astype(str)}, "0 .no spike. and 1"),
        ({"spikes": SPIKES, "stride": 14, "fig": Figure(), "figsize": (1, 1)}, "stride: 14 exceeds .* 13"),
        ({"spikes": SPIKES, "stride": 0}, "stride: must be positive"),
        ({"spikes": SPIKES, "fig": Figure(), "figsize": (1, 1)}, "give fig or figsize"),
    ],
    ids=range(7),
)
def test_what_is_no_raster_is_refused(arguments, message):
    with pytest.raises(ValidationError, match=message):
        raster_plot(**arguments)


def test_raster_into_given_axes():
    ax = Figure().subplots()
    assert draw_raster(SPIKES, ax, stride=1, markersize=4) is ax
    assert dots(ax) == spikes_of(range(13))
    assert dots(draw_raster(SPIKES)) == spikes_of([0, 6, 12])


def test_traces_are_drawn_over_time_steps():
    values = np.arange(12.0).reshape(4, 3)
    ax = draw_traces(values, labels=["a", "b", "c"], title="T", ylabel="y", color="k")
    assert [line.get_xdata().tolist() for line in ax.lines] == [[1, 2, 3, 4]] * 3
    np.testing.assert_array_equal([line.get_ydata() for line in ax.lines], values.T)
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["a", "b", "c"]
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("T", "Time Steps", "y")


def test_traces_of_one_element_and_of_several_axes():
    ax = draw_traces([1, 4, 2], start=5, step=True)
    (line,) = ax.lines
    assert (line.get_xdata().tolist(), line.get_ydata().tolist()) == ([5, 6, 7], [1, 4, 2])
    assert line.get_drawstyle() == "steps-pre"
    assert draw_traces(np.zeros((5, 2, 3)), ax) is ax
    assert len(ax.lines) == 7
    assert ax.get_legend() is None


@pytest.mark.parametrize(
    ("values", "labels", "error", "message"),
    [
        ([], None, ValidationError, r"not one of shape \(0,\)"),
        (3.0, None, ValidationError, r"not one of shape \(\)"),
        (["a"], None, ArgumentTypeError, "real numbers"),
        ([[1, 2]], ["a"], ValidationError, "1 labels for 2 lines"),
    ],
)
def test_what_is_no_trace_is_refused(values, labels, error, message):
    with pytest.raises(error, match=message):
        draw_traces(values, labels=labels)


SCRIPT = """
import sys
import numpy as np
from lahar.processes.plots import draw_traces, raster_plot
assert not any(name.startswith("matplotlib") for name in sys.modules)
fig = raster_plot(np.eye(8))
draw_traces(np.eye(3)).figure.savefig("traces.png")
fig.savefig("raster.png")
assert "matplotlib.pyplot" not in sys.modules
"""


def test_no_display_is_needed(tmp_path):
    environment = {"MPLBACKEND": "TkAgg", "PATH": ""}
    subprocess.run([sys.executable, "-c", SCRIPT], cwd=tmp_path, env=environment, check=True, timeout=60)
    assert {path.name for path in tmp_path.iterdir()} == {"traces.png", "raster.png"}


def test_a_program_with_pyplot_gets_figures_of_pyplot():
    import matplotlib as mpl

    mpl.use("Agg")
    import matplotlib.pyplot as plt

    fig = new_figure()
    assert plt.gcf() is fig
    plt.close(fig)


def test_the_missing_package_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    monkeypatch.setitem(sys.modules, "matplotlib.figure", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib: pip install 'lahar\[plot\]'"):
        raster_plot(SPIKES)
