"""Drawing of a process network with matplotlib."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from lahar.processes.errors import MissingExtraError, ValidationError

from .layout import PORT, STUB, Layout, Point, lay_out

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OKABE_ITO = ("#0072B2", "#E69F00", "#009E73", "#CC79A7", "#56B4E9", "#D55E00", "#F0E442")
"""Colours that people with any colour vision tell apart (Okabe and Ito 2008, "Color universal design")."""

_INK = "#1a1a1a"
_LINES = {  # (kind, crossing) -> label, colour, width relative to the font size, dashes relative to the width
    ("spikes", False): ("spikes", "#4d4d4d", 0.11, None),
    ("spikes", True): ("spikes to another worker", "#000000", 0.21, (3.4, 1.4)),
    ("reference", False): ("reference", "#4d4d4d", 0.13, (1.0, 1.3)),
    ("reference", True): ("reference to another worker", "#000000", 0.24, (1.0, 1.0)),
}
_BORDERS = ("-", "--", ":", "-.")  # when there are more partitions than colours
_LARGEST_FONT = 11.0
_KIND_SIZE = 0.82  # of the second line, relative to the first
_LINE_HEIGHT = 1.25
_PADDING = (0.7, 0.45)


@dataclass(frozen=True)
class DrawNode:
    """A box of the drawing.

    Parameters
    ----------
    label : str
        Name of the process.
    group : int
        Partition, which gives the colour.
    kind : str
        Class of the process, written below the name.
    """

    label: str
    group: int
    kind: str


@dataclass(frozen=True)
class DrawEdge:
    """An arrow of the drawing.

    Parameters
    ----------
    source, target : int
        Positions in the list of nodes.
    kind : str
        ``"spikes"`` or ``"reference"``.
    crossing : bool
        Whether it crosses partitions.
    """

    source: int
    target: int
    kind: str
    crossing: bool = False


def draw_graph(
    ax: Axes, nodes: Sequence[DrawNode], edges: Sequence[DrawEdge], *, colours: Sequence[str] | None = None
) -> None:
    """Draw a process network from left to right.

    Boxes and text are fitted to the size that the axes have now, so set the size of the figure before. Every
    artist has a group id: ``node-0``, ``edge-0`` and so on.

    Parameters
    ----------
    ax : matplotlib.axes.Axes
        Where to draw. Its limits become its size in points.
    nodes : sequence of DrawNode
        The processes.
    edges : sequence of DrawEdge
        The connections. Solid lines stay within a worker, bold dashed ones go to another; references are dotted
        and end in an open arrow head.
    colours : sequence of str, optional
        Colours of partitions 0, 1, ...; by default those of Okabe and Ito.

    Raises
    ------
    MissingExtraError
        If matplotlib is not installed.
    ValidationError
        If an edge names a node that does not exist or a kind that is unknown, or `colours` is empty.
    """
    try:
        import matplotlib.patches  # noqa: F401
    except ImportError as error:
        raise MissingExtraError("Drawing a network", "matplotlib", "plot") from error
    _check(nodes, edges, colours)
    ax.set_axis_off()
    canvas = ax.figure.canvas
    if canvas.figure.get_layout_engine() is not None:
        canvas.figure.draw_without_rendering()  # lets the layout engine move the axes before they are measured
    extent = ax.get_window_extent()
    points = 72.0 / ax.figure.dpi
    width, height = extent.width * points, extent.height * points
    ax.set_xlim(0, width)
    ax.set_ylim(0, height)
    if not nodes:
        return
    palette = _Palette(colours or OKABE_ITO)
    below = _draw_legend(ax, nodes, edges, palette, (width, height), points)
    texts = [(_wrap(node.label), _wrap(node.kind)) for node in nodes]
    hard = [position for position, edge in enumerate(edges) if edge.kind != "reference"]
    soft = [position for position, edge in enumerate(edges) if edge.kind == "reference"]
    layout = lay_out(
        [_box_size(*text, ends) for text, ends in zip(texts, _ends(len(nodes), edges), strict=True)],
        [(edges[position].source, edges[position].target) for position in hard],
        [(edges[position].source, edges[position].target) for position in soft],
        (width, height - below),
    )
    scale = min(width / layout.width, (height - below) / layout.height, _LARGEST_FONT)
    frame = _Frame(
        scale, (width - scale * layout.width) / 2, below + (height - below - scale * layout.height) / 2
    )
    for position, route in zip((*hard, *soft), layout.routes, strict=True):
        _draw_edge(ax, frame, edges[position], route, f"edge-{position}")
    for position, (node, text) in enumerate(zip(nodes, texts, strict=True)):
        _draw_node(ax, frame, layout, position, node, text, palette)


def _check(nodes: Sequence[DrawNode], edges: Sequence[DrawEdge], colours: Sequence[str] | None) -> None:
    if colours is not None and not len(colours):
        raise ValidationError("give at least one colour, or None for the default ones.", "draw_graph.colours")
    for position, edge in enumerate(edges):
        where = f"draw_graph.edges[{position}]"
        if not (0 <= edge.source < len(nodes) and 0 <= edge.target < len(nodes)):
            raise ValidationError(
                f"{edge.source} -> {edge.target} leaves the graph; its {len(nodes)} nodes count from 0.",
                where,
            )
        if (edge.kind, False) not in _LINES:
            raise ValidationError(f"kind {edge.kind!r} is neither 'spikes' nor 'reference'.", where)


# --- colours and text ---------------------------------------------------------------------


class _Palette:
    def __init__(self, colours: Sequence[str]) -> None:
        from matplotlib.colors import to_rgb

        self.colours = [to_rgb(colour) for colour in colours]

    def box(self, group: int) -> dict[str, Any]:
        """Light fill and coloured border."""
        r, g, b = self.colours[group % len(self.colours)]
        return {
            "facecolor": tuple(1 - 0.28 * (1 - channel) for channel in (r, g, b)),
            "edgecolor": tuple(0.85 * channel for channel in (r, g, b)),
            "linestyle": _BORDERS[group // len(self.colours) % len(_BORDERS)],
        }


def _wrap(text: str, width: int = 18) -> list[str]:
    """Break a long name after punctuation and before capitals."""
    lines = [""]
    for word in re.findall(r".+?(?:[_.\-/ \[\]]+|(?<=[a-z0-9])(?=[A-Z])|$)", text):
        if lines[-1] and len(lines[-1]) + len(word.rstrip()) > width:
            lines.append("")
        lines[-1] += word
    return [line.rstrip() for line in lines]


def _text_width(text: str, weight: str) -> float:
    """Width of a text, relative to the font size."""
    from matplotlib.font_manager import FontProperties
    from matplotlib.textpath import text_to_path

    width, _, _ = text_to_path.get_text_width_height_descent(
        text, FontProperties(size=100, weight=weight), ismath=False
    )
    return float(width) / 100


def _text_height(label: list[str], kind: list[str]) -> float:
    return _LINE_HEIGHT * (len(label) + _KIND_SIZE * len(kind))


def _ends(count: int, edges: Sequence[DrawEdge]) -> list[int]:
    """Count the edges at the fuller side of every box; references are drawn from right to left."""
    sides = [[0, 0] for _ in range(count)]
    for edge in edges:
        sides[edge.source][edge.kind != "reference"] += 1
        sides[edge.target][edge.kind == "reference"] += 1
    return [max(pair) for pair in sides]


def _box_size(label: list[str], kind: list[str], ends: int) -> tuple[float, float]:
    """Room for the text, and for the arrow heads at a side."""
    width = max(
        *(_text_width(line, "bold") for line in label),
        *(_KIND_SIZE * _text_width(line, "normal") for line in kind),
    )
    height = max(_text_height(label, kind) + 2 * _PADDING[1], ends * PORT / 0.85)
    return width + 2 * _PADDING[0], height


# --- artists ------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Frame:
    """From the layout's units to points."""

    scale: float
    x: float
    y: float

    def at(self, point: Point) -> Point:
        return self.x + self.scale * point[0], self.y + self.scale * point[1]


def _draw_node(
    ax: Axes,
    frame: _Frame,
    layout: Layout,
    position: int,
    node: DrawNode,
    text: tuple[list[str], list[str]],
    palette: _Palette,
) -> None:
    from matplotlib.patches import FancyBboxPatch

    box, scale = layout.boxes[position], frame.scale
    left, bottom = frame.at((box.x - box.width / 2, box.y - box.height / 2))
    ax.add_patch(
        FancyBboxPatch(
            (left, bottom),
            box.width * scale,
            box.height * scale,
            boxstyle=f"round,pad=0,rounding_size={0.35 * scale}",
            linewidth=0.14 * scale,
            zorder=3,
            gid=f"node-{position}",
            **palette.box(node.group),
        )
    )
    label, kind = text
    x, y = frame.at((box.x, box.y + _text_height(label, kind) / 2))
    lines = [(line, 1.0, "bold", _INK) for line in label]
    lines += [(line, _KIND_SIZE, "normal", "#333333") for line in kind]
    for line, size, weight, colour in lines:
        y -= _LINE_HEIGHT * size * scale
        # the baseline is put where capitals appear centred in the line
        ax.text(
            x,
            y + 0.26 * _LINE_HEIGHT * size * scale,
            line,
            fontsize=size * scale,
            fontweight=weight,
            color=colour,
            ha="center",
            va="baseline",
            zorder=4,
            parse_math=False,
            gid=f"node-{position}-text",
        )


def _draw_edge(ax: Axes, frame: _Frame, edge: DrawEdge, route: list[Point], gid: str) -> None:
    from matplotlib.patches import PathPatch, Polygon
    from matplotlib.path import Path

    _, colour, width, dashes = _LINES[edge.kind, edge.crossing]
    tip = frame.at(route[-1])
    ahead = 1 if route[-1][0] > route[-4][0] else -1
    length, half = (0.95 * STUB, 0.36) if edge.crossing else (0.8 * STUB, 0.28)
    base = tip[0] - ahead * length * frame.scale
    vertices = [*(frame.at(point) for point in route[:-1]), (base, tip[1])]
    codes = [Path.MOVETO] + [Path.CURVE4] * (len(route) - 1)
    line = width * frame.scale
    ax.add_patch(
        PathPatch(
            Path(vertices, codes),
            facecolor="none",
            edgecolor=colour,
            linewidth=line,
            linestyle=(0, dashes) if dashes else "-",
            capstyle="butt",
            zorder=2 if edge.crossing else 1.5,
            gid=gid,
        )
    )
    ax.add_patch(
        Polygon(
            [tip, (base, tip[1] + half * frame.scale), (base, tip[1] - half * frame.scale)],
            closed=True,
            facecolor="white" if edge.kind == "reference" else colour,
            edgecolor=colour,
            linewidth=min(line, 0.11 * frame.scale),
            joinstyle="miter",
            zorder=2.5,
            gid=f"{gid}-head",
        )
    )


def _draw_legend(
    ax: Axes,
    nodes: Sequence[DrawNode],
    edges: Sequence[DrawEdge],
    palette: _Palette,
    room: tuple[float, float],
    points: float,
) -> float:
    """Draw the legend at the bottom, as flat as the width allows; return its height."""
    from matplotlib.lines import Line2D
    from matplotlib.patches import Patch

    handles: list[Any] = [
        Patch(label=f"worker {group}", linewidth=1.2, **palette.box(group))
        for group in sorted({node.group for node in nodes})
    ]
    used = {(edge.kind, edge.crossing) for edge in edges}
    handles += [
        Line2D(
            [], [], color=colour, linewidth=9 * width, linestyle=(0, dashes) if dashes else "-", label=label
        )
        for line, (label, colour, width, dashes) in _LINES.items()
        if line in used
    ]
    one_row = [(size, len(handles)) for size in (9.0, 8.25, 7.5)]
    rows = [(9.0 * 0.85**step, columns) for step in range(12) for columns in range(len(handles), 0, -1)]
    for size, columns in one_row + rows:
        legend = ax.legend(
            handles=handles,
            loc="lower center",
            ncols=columns,
            fontsize=size,
            frameon=False,
            borderaxespad=0.0,
            borderpad=0.2,
            columnspacing=1.6,
            handlelength=2.6,
            bbox_to_anchor=(0.5, 0.0),
        )
        extent = legend.get_window_extent()
        if extent.width * points <= room[0] and extent.height * points <= 0.4 * room[1]:
            break
    return float(extent.height) * points
