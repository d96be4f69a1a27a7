"""Layered layout of a process graph, from left to right, in units of the font size.

The steps are those of layered graph drawing [1]_: find the edges that close cycles, give every box a layer by its
longest path, put a lane into each layer that an edge passes, order the layers by barycentres, and align what is
connected. Long drawings are folded into bands, like lines of text. Edges run in lanes and in the gaps between
layers only, so that none passes through a box.

References
----------
.. [1] K. Sugiyama, S. Tagawa and M. Toda, "Methods for visual understanding of hierarchical system structures",
   1981.

"""

from __future__ import annotations

import math
from bisect import bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from .layers import find_layers

STUB = 1.0  # straight piece at either end of an edge: room for the arrow head
PORT = 0.75  # between edges at a box; a box may be too low for this
_BULGE = 1.4  # how far a turning edge reaches into the gap
_GAP = 3.7  # between layers
_LANE = 0.9  # between parallel edges
_SEPARATION = 0.8  # between boxes of a layer
_SWEEPS = 24
_READABLE = 7.0  # points: a drawing with text of this size is not folded

Point = tuple[float, float]


@dataclass(frozen=True)
class Box:
    """A rectangle, given by its centre and its size."""

    x: float
    y: float
    width: float
    height: float


@dataclass(frozen=True)
class Layout:
    """Where everything is; the y axis points up and all coordinates are positive.

    Attributes
    ----------
    width, height : float
        Size of the drawing.
    boxes : list of Box
        One for each size that was given.
    routes : list of list of (float, float)
        For each edge the control points of a chain of cubic Bezier curves, ``[start, c1, c2, end, c1, ...]``, from
        its source to its target. The first and last pieces are straight and horizontal.
    """

    width: float
    height: float
    boxes: list[Box]
    routes: list[list[Point]]


def lay_out(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    soft_edges: Sequence[tuple[int, int]],
    room: tuple[float, float],
) -> Layout:
    """Lay out boxes and edges.

    Parameters
    ----------
    sizes : sequence of (float, float)
        Width and height of every box.
    edges : sequence of (int, int)
        Source and target box. Those that close a cycle turn back.
    soft_edges : sequence of (int, int)
        Edges whose source is put to the right of the target where this contradicts no other edge.
    room : (float, float)
        Width and height of the area to be filled, in points. The drawing is folded where its text would be too
        small otherwise.

    Returns
    -------
    Layout
        The routes are those of `edges`, then those of `soft_edges`.
    """
    net = _Net(sizes, edges, soft_edges)
    net.order()
    best = net.draw(1)
    across, up = room[0] / best.width, room[1] / best.height
    # n bands are about n times as high and an nth as wide
    square = math.sqrt(up / across)
    scale = min(across, up)
    last = min(len(net.layers), int(1.4 * square) + 1) if scale < _READABLE else 0
    for bands in range(max(2, int(0.6 * square)), last + 1):
        layout = net.draw(bands)
        folded = min(room[0] / layout.width, room[1] / layout.height)
        if folded > scale * 1.02:
            best, scale = layout, folded
    return best


# --- the layered graph --------------------------------------------------------------------


@dataclass
class _Vertex:
    """A box, or the lane of an edge in a layer."""

    layer: int
    width: float
    height: float
    anchor: int = -1  # the box that an edge leaves or enters by a turn in this lane
    lane: bool = False
    left: list[int] = field(default_factory=list)
    right: list[int] = field(default_factory=list)
    x: float = 0.0
    y: float = 0.0


@dataclass
class _Chain:
    """The vertices of an edge from left to right; a turning edge runs in lanes only."""

    source: int
    target: int
    vertices: list[int]
    turning: bool
    to_left: bool


class _Net:
    def __init__(
        self,
        sizes: Sequence[tuple[float, float]],
        edges: Sequence[tuple[int, int]],
        soft: Sequence[tuple[int, int]],
    ) -> None:
        layer = find_layers(len(sizes), edges, soft)
        self.boxes = len(sizes)
        self.vertices = [_Vertex(at, *size) for at, size in zip(layer, sizes, strict=True)]
        self.chains = [self._chain(s, t, False) for s, t in edges] + [
            self._chain(s, t, True) for s, t in soft
        ]
        self.layers: list[list[int]] = [[] for _ in range(max(layer, default=-1) + 1)]
        for index, vertex in enumerate(self.vertices):
            self.layers[vertex.layer].append(index)

    def _chain(self, source: int, target: int, soft: bool) -> _Chain:
        first, last = self.vertices[source].layer, self.vertices[target].layer
        turning, to_left = False, False
        if first < last:
            chain = [source, *(self._lane(at) for at in range(first + 1, last)), target]
        elif soft and last < first:
            chain = [target, *(self._lane(at) for at in range(last + 1, first)), source]
            to_left = True
        else:
            chain = [self._lane(at) for at in range(last, first + 1)]
            self.vertices[chain[0]].anchor, self.vertices[chain[-1]].anchor = target, source
            turning = to_left = True
        for a, b in pairwise(chain):
            self.vertices[a].right.append(b)
            self.vertices[b].left.append(a)
        return _Chain(source, target, chain, turning, to_left)

    def _lane(self, layer: int) -> int:
        self.vertices.append(_Vertex(layer, 0.0, _LANE / 2, lane=True))
        return len(self.vertices) - 1

    # --- order within the layers ---

    def order(self) -> None:
        """Order the layers so that few edges cross."""
        best, fewest = self.layers, math.inf
        rank: dict[int, float] = {}
        for layer in self.layers:
            rank.update(_ranks(layer))
        for sweep in range(_SWEEPS):
            if fewest == 0:
                break
            downward = sweep % 2 == 0
            for layer in self.layers if downward else reversed(self.layers):
                self._sort(layer, rank, downward)
            crossings = self._crossings(rank)
            if crossings < fewest:
                best, fewest = [layer.copy() for layer in self.layers], crossings
        self.layers = best

    def _sort(self, layer: list[int], rank: dict[int, float], by_left: bool) -> None:
        def barycentre(index: int) -> float:
            vertex = self.vertices[index]
            others = vertex.left if by_left else vertex.right
            return sum(rank[o] for o in others) / len(others) if others else rank[index]

        def key(index: int) -> tuple[float, float, bool, int]:
            anchor = self.vertices[index].anchor
            at = anchor if anchor >= 0 else index  # a turn stays beside its box
            return barycentre(at), rank[at], anchor >= 0, index

        layer.sort(key=key)
        rank.update(_ranks(layer))

    def _crossings(self, rank: dict[int, float]) -> int:
        crossings = 0
        for layer in self.layers:
            ends: list[float] = []
            for index in layer:
                mine = sorted(rank[other] for other in self.vertices[index].right)
                crossings += sum(len(ends) - bisect_right(ends, end) for end in mine)
                for end in mine:
                    insort(ends, end)
        return crossings

    # --- coordinates ---

    def draw(self, bands: int) -> Layout:
        """Place everything in at most `bands` bands."""
        widths = [max(self.vertices[index].width for index in layer) for layer in self.layers]
        starts = _fold(widths, bands)
        ends = {*starts, *(start - 1 for start in starts), len(widths) - 1}
        outside = any(vertex.anchor >= 0 and vertex.layer in ends for vertex in self.vertices)
        # a turn bulges by three quarters of the distance of its control points
        turns = STUB + 0.8 * _BULGE if outside else 0.3
        wraps = [sum(len(self.vertices[i].right) for i in self.layers[at - 1]) for at in starts[1:]]
        margin = turns + (max(wraps) + 1) * _LANE if wraps else turns
        edges: list[tuple[float, float]] = []  # left and right edge of each layer
        wide = 0.0
        for start, stop in zip(starts, (*starts[1:], len(widths)), strict=True):
            x = margin
            for at in range(start, stop):
                edges.append((x, x + widths[at]))
                x += widths[at] + _GAP
            wide = max(wide, x - _GAP + margin)
        top = 0.0
        gutters = []
        for number, start in enumerate(starts):
            stop = starts[number + 1] if number + 1 < len(starts) else len(widths)
            band = self.layers[start:stop]
            self._align(band)
            upper = max(self.vertices[i].y + self.vertices[i].height / 2 for layer in band for i in layer)
            lower = min(self.vertices[i].y - self.vertices[i].height / 2 for layer in band for i in layer)
            for layer in band:
                for index in layer:
                    self.vertices[index].x = sum(edges[self.vertices[index].layer]) / 2
                    self.vertices[index].y += top - upper
            gutters.append(top + lower - upper - _LANE / 2)
            if number < len(wraps):
                top = gutters[-1] - (wraps[number] + 1) * _LANE
        high = 0.3 - gutters[-1]
        for vertex in self.vertices:
            vertex.y += high
        routing = _Routing(self, edges, starts, [gutter + high for gutter in gutters], wide - margin, margin)
        boxes = [Box(v.x, v.y, v.width, v.height) for v in self.vertices[: self.boxes]]
        return Layout(
            wide, high + 0.3, boxes, [routing.route(*numbered) for numbered in enumerate(self.chains)]
        )

    def _align(self, band: list[list[int]]) -> None:
        """Move vertices to the height of their neighbours, as far as the order allows."""
        present = {index for layer in band for index in layer}
        for layer in band:
            _stack(self.vertices, layer, [0.0] * len(layer))
        for sweep in range(_SWEEPS):
            final = sweep >= _SWEEPS - 4
            for layer in band if sweep % 2 == 0 else reversed(band):
                wanted = []
                for index in layer:
                    vertex = self.vertices[index]
                    sides = vertex.left + vertex.right if final else (vertex.left, vertex.right)[sweep % 2]
                    others = [o for o in sides if o in present]
                    weights = [4.0 if vertex.lane and self.vertices[o].lane else 1.0 for o in others]
                    if vertex.anchor >= 0 and len(others) < 2:
                        wanted.append(self.vertices[vertex.anchor].y)
                    elif others:
                        heights = (w * self.vertices[o].y for w, o in zip(weights, others, strict=True))
                        wanted.append(sum(heights) / sum(weights))
                    else:
                        wanted.append(vertex.y)
                _stack(self.vertices, layer, wanted)


def _ranks(layer: Sequence[int]) -> dict[int, float]:
    """Height of every vertex of a layer, between 0 and 1."""
    return {index: (position + 0.5) / len(layer) for position, index in enumerate(layer)}


def _fold(widths: Sequence[float], bands: int) -> list[int]:
    """Return the first layer of each band, such that the widest band is as narrow as possible."""
    low, high = max(widths), sum(widths) + _GAP * len(widths)

    def starts(limit: float) -> list[int]:
        found, used = [0], -_GAP
        for at, width in enumerate(widths):
            if used + _GAP + width > limit and at > found[-1]:
                found.append(at)
                used = -_GAP
            used += _GAP + width
        return found

    for _ in range(40):
        middle = (low + high) / 2
        low, high = (low, middle) if len(starts(middle)) <= bands else (middle, high)
    return starts(high)


def _stack(vertices: list[_Vertex], layer: Sequence[int], wanted: Sequence[float]) -> None:
    """Place a layer from top to bottom, without overlap, with the least sum of squared distances from `wanted`."""
    offsets, offset = [], 0.0
    for above, index in zip((None, *layer), layer, strict=False):
        if above is not None:
            a, b = vertices[above], vertices[index]
            offset += (a.height + b.height) / 2 + (_LANE / 2 if a.lane or b.lane else _SEPARATION)
        offsets.append(offset)
    blocks: list[tuple[float, int]] = []  # mean and size: isotonic regression by pooling violators
    for want, offset in zip(wanted, offsets, strict=True):
        mean, size = want + offset, 1
        while blocks and blocks[-1][0] < mean:
            other, count = blocks.pop()
            mean, size = (mean * size + other * count) / (size + count), size + count
        blocks.append((mean, size))
    heights = [mean for mean, size in blocks for _ in range(size)]
    for index, height, offset in zip(layer, heights, offsets, strict=True):
        vertices[index].y = height - offset


# --- routes -------------------------------------------------------------------------------


class _Routing:
    """Turns chains of vertices into curves."""

    def __init__(
        self,
        net: _Net,
        edges: list[tuple[float, float]],
        starts: list[int],
        gutters: list[float],
        right: float,
        left: float,
    ) -> None:
        self.net, self.edges, self.gutters, self.right, self.left = net, edges, gutters, right, left
        self.band = {start: number for number, start in enumerate(starts)}
        self.port: dict[tuple[int, int, int], float] = {}  # (chain, box, side) -> height
        self.lane: dict[tuple[int, int], tuple[int, int]] = {}  # wrapped pair of vertices -> number, out of
        self._spread_ports()
        for start in starts[1:]:
            pairs = [(a, b) for a in net.layers[start - 1] for b in net.vertices[a].right]
            pairs.sort(key=lambda pair: (net.vertices[pair[0]].y, net.vertices[pair[1]].y))
            for number, pair in enumerate(pairs):
                self.lane[pair] = (number, len(pairs))

    def _spread_ports(self) -> None:
        ends: dict[tuple[int, int], list[tuple[float, int]]] = {}
        vertices = self.net.vertices
        for number, chain in enumerate(self.net.chains):
            first, last = vertices[chain.vertices[0]], vertices[chain.vertices[-1]]
            if chain.turning:
                for box, side, lane in ((chain.source, 1, last), (chain.target, -1, first)):
                    outside = 1e6 if lane.y > vertices[box].y else -1e6
                    ends.setdefault((box, side), []).append((outside, number))
            else:
                beyond = vertices[chain.vertices[1]], vertices[chain.vertices[-2]]
                for box, side, other in (
                    (chain.vertices[0], 1, beyond[0]),
                    (chain.vertices[-1], -1, beyond[1]),
                ):
                    wrapped = (other.layer if side > 0 else vertices[box].layer) in self.band
                    height = (-1e5 * side if wrapped else 0.0) + other.y
                    ends.setdefault((box, side), []).append((height, number))
        for (box, side), found in ends.items():
            step = min(PORT, 0.85 * vertices[box].height / len(found))
            for position, (_, number) in enumerate(sorted(found)):
                self.port[number, box, side] = vertices[box].y + step * (position - (len(found) - 1) / 2)

    def route(self, number: int, chain: _Chain) -> list[Point]:
        """Return the control points of a chain, in the direction of its edge."""
        vertices, path = self.net.vertices, _Path()
        for index, following in zip(chain.vertices, (*chain.vertices[1:], None), strict=True):
            vertex = vertices[index]
            left, right = self.edges[vertex.layer]
            if vertex.lane:
                path.line((left, vertex.y))
                path.line((right, vertex.y))
            elif index == chain.vertices[0]:
                height = self.port[number, index, 1]
                path.line((vertex.x + vertex.width / 2, height))
                path.line((right + STUB, height))
            else:
                height = self.port[number, index, -1]
                path.line((left - STUB, height))
                path.line((vertex.x - vertex.width / 2, height))
            if following is not None:
                self._cross(path, number, index, following)
        if chain.turning:
            self._turn(path, chain, number)
        return path.points[::-1] if chain.to_left else path.points

    def _cross(self, path: _Path, number: int, index: int, following: int) -> None:
        """Cross the gap to the next vertex, by way of the gutter if that is in the next band."""
        target = self.net.vertices[following]
        height = target.y if target.lane else self.port[number, following, -1]
        x = self.edges[target.layer][0] - (0.0 if target.lane else STUB)
        if target.layer not in self.band:
            path.curve((x, height))
            return
        lane, lanes = self.lane[index, following]
        out = self.right + STUB + (lane + 0.6) * _LANE
        back = self.left - (lanes - lane) * _LANE - STUB
        gutter = self.gutters[self.band[target.layer] - 1] - (lane + 0.5) * _LANE
        start = path.points[-1]
        path.corners([start, (out, start[1]), (out, gutter), (back, gutter), (back, height), (x, height)])

    def _turn(self, path: _Path, chain: _Chain, number: int) -> None:
        """Join the lanes of a turning edge to its boxes."""
        vertices = self.net.vertices
        for box, side in ((chain.target, -1), (chain.source, 1)):
            vertex, height = vertices[box], self.port[number, box, side]
            edge = self.edges[vertex.layer][side > 0]
            if side < 0:
                path.points.reverse()
            path.line((edge + side * STUB, path.points[-1][1]))
            path.turn(side * _BULGE, height)
            path.line((vertex.x + side * vertex.width / 2, height))
            if side < 0:
                path.points.reverse()


class _Path:
    """Control points of a chain of cubic curves."""

    def __init__(self) -> None:
        self.points: list[Point] = []

    def line(self, end: Point) -> None:
        if not self.points:
            self.points.append(end)
        elif (start := self.points[-1]) != end:
            third = ((end[0] - start[0]) / 3, (end[1] - start[1]) / 3)
            self.points += [
                (start[0] + third[0], start[1] + third[1]),
                (end[0] - third[0], end[1] - third[1]),
                end,
            ]

    def curve(self, end: Point) -> None:
        """Leave and arrive horizontally."""
        start = self.points[-1]
        middle = (start[0] + end[0]) / 2
        self.points += [(middle, start[1]), (middle, end[1]), end]

    def turn(self, bulge: float, height: float) -> None:
        """Turn round to another height."""
        x, y = self.points[-1]
        self.points += [(x + bulge, y), (x + bulge, height), (x, height)]

    def corners(self, corners: Sequence[Point]) -> None:
        """Follow a polyline with rounded corners."""
        radius = 0.4 * _LANE
        for before, corner, after in zip(corners, corners[1:], corners[2:], strict=False):
            start, end = _towards(corner, before, radius), _towards(corner, after, radius)
            self.line(start)
            self.points += [corner, corner, end]
        self.line(corners[-1])


def _towards(start: Point, end: Point, distance: float) -> Point:
    length = abs(end[0] - start[0]) + abs(end[1] - start[1])  # one of the two is zero
    part = min(0.5, distance / length) if length else 0.0
    return start[0] + part * (end[0] - start[0]), start[1] + part * (end[1] - start[1])
