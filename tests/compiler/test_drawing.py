"""Properties of the layout, and of what ends up on the axes."""

from __future__ import annotations

import pickle
import sys

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from lahar.compiler.drawing import OKABE_ITO, DrawEdge, DrawNode, draw_graph
from lahar.compiler.layout import lay_out
from lahar.processes.errors import MissingExtraError, ValidationError

pytest.importorskip("matplotlib")
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

STDP = {
    "pattern_pre": ("RingBuffer", 0),
    "conn_inp_pre": ("Dense", 0),
    "lif_pre": ("LIF", 0),
    "plastic_dense": ("LearningDense", 1),
    "lif_post": ("LIF", 2),
    "pattern_post": ("RingBuffer", 2),
    "conn_inp_post": ("Dense", 2),
    "mon_x1": ("Monitor", 2),
    "mon_y1": ("Monitor", 1),
    "mon_weights": ("Monitor", 1),
    "mon_s_pre": ("Monitor", 0),
    "mon_s_post": ("Monitor", 2),
}
STDP_SPIKES = [
    ("pattern_pre", "conn_inp_pre"),
    ("conn_inp_pre", "lif_pre"),
    ("lif_pre", "plastic_dense"),
    ("plastic_dense", "lif_post"),
    ("pattern_post", "conn_inp_post"),
    ("conn_inp_post", "lif_post"),
    ("lif_post", "plastic_dense"),
    ("lif_pre", "mon_s_pre"),
    ("lif_post", "mon_s_post"),
]
STDP_REFERENCES = [(name, "plastic_dense") for name in ("mon_x1", "mon_y1", "mon_weights")]


def stdp_network(order=None):
    names = order or list(STDP)
    nodes = [DrawNode(name, STDP[name][1], STDP[name][0]) for name in names]
    edges = [
        DrawEdge(names.index(a), names.index(b), kind, STDP[a][1] != STDP[b][1])
        for kind, pairs in (("spikes", STDP_SPIKES), ("reference", STDP_REFERENCES))
        for a, b in pairs
    ]
    return nodes, edges


def chain_network(length, parts=4):
    nodes = [DrawNode(f"lif_{i}", i * parts // length, "LIF") for i in range(length)]
    return nodes, [
        DrawEdge(i, i + 1, "spikes", nodes[i].group != nodes[i + 1].group) for i in range(length - 1)
    ]


def tangled_network():
    """A folded chain with edges that skip bands, close cycles, run parallel, and stay at one process."""
    nodes, edges = chain_network(23)
    more = [(20, 3), (5, 5), (0, 22), (0, 22), (7, 2), (11, 11)]
    references = [(9, 8), (2, 21), (4, 4)]
    return nodes, [
        *edges,
        *(DrawEdge(a, b, "spikes", nodes[a].group != nodes[b].group) for a, b in more),
        *(DrawEdge(a, b, "reference", nodes[a].group != nodes[b].group) for a, b in references),
    ]


NETWORKS = {
    "stdp": stdp_network(),
    "chain": chain_network(23),
    "tangled": tangled_network(),
    "single": ([DrawNode("net", 0, "LIF")], []),
    "unconnected": ([DrawNode(f"lif_{i}", i % 2, "LIF") for i in range(7)], []),
    "long names": (
        [
            DrawNode("the_very_long_name_of_a_process_$x_1$" * 2, i, "AnEquallyLongClassName")
            for i in range(3)
        ],
        [DrawEdge(0, 1, "spikes", True), DrawEdge(1, 2, "spikes", True)],
    ),
}


def curve(route, steps=12):
    """Points along a chain of cubic curves."""
    assert len(route) % 3 == 1
    for at in range(0, len(route) - 1, 3):
        corners = route[at : at + 4]
        for step in range(steps + 1):
            t = step / steps
            weights = ((1 - t) ** 3, 3 * t * (1 - t) ** 2, 3 * t * t * (1 - t), t**3)
            yield tuple(sum(w * p[axis] for w, p in zip(weights, corners, strict=True)) for axis in (0, 1))


def check_layout(layout, edges, soft):
    boxes = layout.boxes
    for i, a in enumerate(boxes):
        assert a.x - a.width / 2 >= 0
        assert a.x + a.width / 2 <= layout.width
        assert a.y - a.height / 2 >= 0
        assert a.y + a.height / 2 <= layout.height
        for b in boxes[:i]:
            beside = abs(a.x - b.x) >= (a.width + b.width) / 2 + 0.5
            below = abs(a.y - b.y) >= (a.height + b.height) / 2 + 0.5
            assert beside or below, "two boxes overlap or nearly touch"
    assert len(layout.routes) == len(edges) + len(soft)
    for (source, target), route in zip([*edges, *soft], layout.routes, strict=True):
        for end, node in ((route[0], source), (route[-1], target)):
            box = boxes[node]
            assert abs(abs(end[0] - box.x) - box.width / 2) < 1e-9, "an edge ends beside its box"
            assert abs(end[1] - box.y) < box.height / 2, "an edge ends above or below its box"
        for x, y in curve(route):
            assert 0 <= x <= layout.width
            assert 0 <= y <= layout.height
            for box in boxes:
                inside = abs(x - box.x) < box.width / 2 - 1e-6 and abs(y - box.y) < box.height / 2 - 1e-6
                assert not inside, "an edge passes through a box"


@st.composite
def nets(draw):
    count = draw(st.integers(1, 14))
    node = st.integers(0, count - 1)
    side = st.floats(2, 12, width=16)
    sizes = draw(st.lists(st.tuples(side, side), min_size=count, max_size=count))
    pairs = st.lists(st.tuples(node, node), max_size=2 * count)
    room = draw(st.tuples(st.floats(50, 1000), st.floats(50, 1000)))
    return sizes, draw(pairs), draw(pairs), room


@settings(max_examples=120, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(nets())
def test_boxes_do_not_overlap_and_edges_avoid_them(net):
    sizes, edges, soft, room = net
    layout = lay_out(sizes, edges, soft, room)
    assert [(box.width, box.height) for box in layout.boxes] == sizes
    check_layout(layout, edges, soft)
    assert lay_out(sizes, edges, soft, room) == layout


def test_spikes_run_to_the_right_and_probes_stand_right_of_what_they_read():
    sizes = [(4.0, 2.0)] * 4
    layout = lay_out(sizes, [(2, 0), (0, 1)], [(3, 0)], (1000, 400))
    x = [box.x for box in layout.boxes]
    assert x[2] < x[0] < x[1]
    assert x[3] > x[0]
    route = layout.routes[2]
    assert route[0][0] > route[-1][0], "the arrow points from the probe to what it reads"


def test_a_straight_chain_is_drawn_straight():
    layout = lay_out([(4.0, 2.0)] * 5, [(i, i + 1) for i in range(4)], [], (2000, 400))
    assert len({round(box.y, 6) for box in layout.boxes}) == 1
    assert all(len({round(y, 6) for _, y in route}) == 1 for route in layout.routes)


def test_a_box_stands_level_with_what_it_is_connected_to():
    # 0 -> 1 -> 2 beside 3 -> {4, 5, 6}: each row keeps its height, and 3 stands level with the middle one
    layout = lay_out([(4.0, 2.0)] * 7, [(0, 1), (1, 2), (3, 4), (3, 5), (3, 6)], [], (1000, 400))
    y = [box.y for box in layout.boxes]
    assert y[0] == pytest.approx(y[1], abs=0.2)
    assert y[1] == pytest.approx(y[2], abs=0.2)
    assert y[3] == pytest.approx(sorted(y[4:])[1], abs=0.2)


def test_parallel_edges_are_kept_apart():
    layout = lay_out([(4.0, 3.0)] * 2, [(0, 1)] * 3, [], (1000, 400))
    assert len({route[0][1] for route in layout.routes}) == 3
    assert len({route[-1][1] for route in layout.routes}) == 3


def test_crossings_are_untangled():
    # two rows of boxes connected upside down
    layout = lay_out([(4.0, 2.0)] * 6, [(0, 5), (1, 4), (2, 3)], [], (1000, 400))
    y = [box.y for box in layout.boxes]
    assert sorted((0, 1, 2), key=lambda i: y[i]) == sorted((0, 1, 2), key=lambda i: y[5 - i])


@pytest.mark.parametrize("reverse", [False, True])
def test_the_edge_that_turns_back_is_the_one_against_the_long_way(reverse):
    nodes, edges = stdp_network(list(reversed(STDP)) if reverse else None)
    names = [node.label for node in nodes]
    layout = lay_out(
        [(8.0, 3.0)] * len(nodes),
        [(e.source, e.target) for e in edges if e.kind == "spikes"],
        [(e.source, e.target) for e in edges if e.kind == "reference"],
        (2000, 400),
    )
    x = {name: layout.boxes[names.index(name)].x for name in names}
    assert x["pattern_pre"] < x["conn_inp_pre"] < x["lif_pre"] < x["plastic_dense"] < x["lif_post"]
    back = layout.routes[STDP_SPIKES.index(("lif_post", "plastic_dense"))]
    assert back[0][0] > x["lif_post"] > x["plastic_dense"] > back[-1][0], "it leaves and arrives by a turn"


def test_a_long_chain_is_folded_only_where_text_would_be_unreadable():
    edges = [(i, i + 1) for i in range(22)]
    narrow = lay_out([(6.0, 3.0)] * 23, edges, [], (600, 250))
    assert len({round(box.y) for box in narrow.boxes}) == 4
    wide = lay_out([(6.0, 3.0)] * 23, edges, [], (3000, 250))
    assert len({round(box.y) for box in wide.boxes}) == 1
    check_layout(narrow, edges, [])


# --- what is drawn --------------------------------------------------------------------------


def drawn(network, figsize=(10, 4.5), **options):
    figure = Figure(figsize=figsize)
    FigureCanvasAgg(figure)
    ax = figure.add_subplot()
    draw_graph(ax, *network, **options)
    figure.canvas.draw()
    return ax


def by_gid(ax):
    return {artist.get_gid(): artist for artist in ax.get_children() if artist.get_gid()}


def inside(inner, outer, slack=0.5):
    return (
        inner.x0 >= outer.x0 - slack
        and inner.x1 <= outer.x1 + slack
        and inner.y0 >= outer.y0 - slack
        and inner.y1 <= outer.y1 + slack
    )


def box_texts(ax, position):
    return [text for text in ax.texts if text.get_gid() == f"node-{position}-text"]


@pytest.mark.parametrize("figsize", [(10, 4.5), (5, 5), (16, 3)])
@pytest.mark.parametrize("name", NETWORKS)
def test_nothing_is_clipped_or_overlaps(name, figsize):
    nodes, edges = NETWORKS[name]
    ax = drawn((nodes, edges), figsize)
    area, artists = ax.get_window_extent(), by_gid(ax)
    legend = ax.get_legend().get_window_extent()
    assert inside(legend, area)
    boxes = [artists[f"node-{position}"].get_window_extent() for position in range(len(nodes))]
    for position, box in enumerate(boxes):
        assert inside(box, area)
        assert box.y0 >= legend.y1 - 0.5
        assert not any(box.overlaps(other) for other in boxes[:position])
        texts = box_texts(ax, position)
        extents = [text.get_window_extent() for text in texts]
        assert all(inside(extent, box) for extent in extents)
        joined = "".join(text.get_text() for text in texts)
        assert joined == nodes[position].label + nodes[position].kind
    for position in range(len(edges)):
        assert inside(artists[f"edge-{position}"].get_window_extent(), area, slack=2)
        assert inside(artists[f"edge-{position}-head"].get_window_extent(), area, slack=2)
    assert sum(gid.startswith("edge-") for gid in artists) == 2 * len(edges)


@pytest.mark.parametrize("name", ["stdp", "chain"])
def test_text_is_readable(name):
    ax = drawn(NETWORKS[name])
    assert min(box_texts(ax, position)[0].get_fontsize() for position in range(len(NETWORKS[name][0]))) >= 7
    assert ax.get_legend().get_texts()[0].get_fontsize() >= 7


def test_boxes_are_coloured_by_worker_and_the_legend_says_so():
    ax = drawn(stdp_network())
    artists = by_gid(ax)
    fills = {}
    for position, name in enumerate(STDP):
        fills.setdefault(STDP[name][1], set()).add(artists[f"node-{position}"].get_facecolor())
    assert all(len(colours) == 1 for colours in fills.values())
    assert len(set.union(*fills.values())) == 3
    for colours in fills.values():
        assert min(next(iter(colours))[:3]) > 0.6, "fills are light, so that dark text can be read"
    legend = ax.get_legend()
    labels = [text.get_text() for text in legend.get_texts()]
    assert labels[:3] == ["worker 0", "worker 1", "worker 2"]
    for group, patch in enumerate(legend.get_patches()):
        assert {patch.get_facecolor()} == fills[group]
    assert labels[3:] == ["spikes", "spikes to another worker", "reference", "reference to another worker"]
    chain = [text.get_text() for text in drawn(chain_network(3, parts=1)).get_legend().get_texts()]
    assert chain == ["worker 0", "spikes"]


def test_more_partitions_than_colours_differ_in_their_border():
    nodes = [DrawNode(f"p{i}", i, "LIF") for i in range(2 * len(OKABE_ITO))]
    artists = by_gid(drawn((nodes, [])))
    looks = {
        (artists[f"node-{i}"].get_facecolor(), artists[f"node-{i}"].get_linestyle())
        for i in range(len(nodes))
    }
    assert len(looks) == len(nodes)


def test_crossing_edges_are_bold_and_dashed_and_references_end_open():
    nodes = [
        DrawNode("a", 0, "LIF"),
        DrawNode("b", 0, "Dense"),
        DrawNode("c", 1, "LIF"),
        DrawNode("m", 0, "Monitor"),
    ]
    edges = [
        DrawEdge(0, 1, "spikes", False),
        DrawEdge(1, 2, "spikes", True),
        DrawEdge(3, 0, "reference", False),
    ]
    artists = by_gid(drawn((nodes, edges)))
    local, crossing, reference = (artists[f"edge-{i}"] for i in range(3))
    assert crossing.get_linewidth() > 1.5 * local.get_linewidth()
    assert local.get_linestyle() in ("-", "solid")
    assert crossing.get_linestyle() not in ("-", "solid")
    assert reference.get_linestyle() not in ("-", "solid")
    white = (1.0, 1.0, 1.0, 1.0)
    assert artists["edge-2-head"].get_facecolor() == white
    assert artists["edge-0-head"].get_facecolor() != white


def test_colours_can_be_chosen():
    nodes = [DrawNode("a", 0, "LIF"), DrawNode("b", 1, "LIF")]
    artists = by_gid(drawn((nodes, []), colours=["#ff0000", "#0000ff"]))
    red, blue = artists["node-0"].get_facecolor(), artists["node-1"].get_facecolor()
    assert red[0] == max(red[:3]) > red[1]
    assert blue[2] == max(blue[:3]) > blue[1]
    assert all(to_rgb(colour) for colour in OKABE_ITO)


def test_the_same_network_gives_the_same_picture():
    def picture():
        return bytes(drawn(tangled_network()).figure.canvas.buffer_rgba())

    assert picture() == picture()


def test_a_layout_engine_may_move_the_axes_first():
    figure = Figure(figsize=(10, 4.5), layout="constrained")
    ax = figure.add_subplot()
    draw_graph(ax, *stdp_network())
    before = ax.get_window_extent().bounds
    figure.canvas.draw()
    assert ax.get_window_extent().bounds == pytest.approx(before, abs=1)
    for position in range(len(STDP)):
        box = by_gid(ax)[f"node-{position}"].get_window_extent()
        assert all(inside(text.get_window_extent(), box, slack=1) for text in box_texts(ax, position))


def test_no_processes_leave_the_axes_empty():
    ax = drawn(([], []))
    assert not ax.patches
    assert not ax.axison


def test_bad_edges_and_colours_are_rejected():
    ax = Figure().add_subplot()
    nodes = [DrawNode("a", 0, "LIF")]
    with pytest.raises(ValidationError, match=r"edges\[0\].*0 -> 1 leaves the graph"):
        draw_graph(ax, nodes, [DrawEdge(0, 1, "spikes")])
    with pytest.raises(ValidationError, match="neither 'spikes' nor 'reference'"):
        draw_graph(ax, nodes, [DrawEdge(0, 0, "voltage")])
    with pytest.raises(ValidationError, match="at least one colour"):
        draw_graph(ax, nodes, [], colours=[])


def test_a_missing_matplotlib_names_the_extra(monkeypatch):
    ax = Figure().add_subplot()
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(MissingExtraError, match=r"matplotlib: pip install 'lahar\[plot\]'") as caught:
        draw_graph(ax, [DrawNode("a", 0, "LIF")], [])
    assert isinstance(caught.value, ImportError)
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)
