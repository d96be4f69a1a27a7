"""Plans: what they tell about a compiled network."""

from __future__ import annotations

import pickle

import numpy as np
import pytest
from matplotlib.figure import Figure

from lahar.compiler import Plan, compile  # noqa: A004
from lahar.compiler.plan import channel_bytes
from lahar.processes import LIF, Dense, Monitor, SinkRingBuffer, SourceRingBuffer
from lahar.runtime import Loihi2SimCfg


@pytest.fixture
def plan():
    """A source in partition 0, a synapse, neurons with a monitor and a sink in partition 1."""
    source = SourceRingBuffer(data=np.ones((3, 1)), name="source")
    dense = Dense(weights=np.ones((5, 3)), name="dense")
    lif = LIF(shape=(5,), name="lif")
    sink = SinkRingBuffer(shape=(5,), buffer=1, name="sink")
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    monitor = Monitor(name="monitor")
    monitor.probe(lif.v, 1)
    placement = {source: 0, dense: 1, lif: 1, sink: 1, monitor: 1}
    return compile(source, Loihi2SimCfg(select_tag="floating_pt", partitions=2, placement=placement))


def by_name(plan):
    return {plan.channel_name(c): c for c in plan.channels}


def test_a_plan_names_its_channels_and_those_that_cross(plan):
    assert set(by_name(plan)) == {
        "source.s_out -> dense.s_in",
        "dense.a_out -> lif.a_in",
        "lif.s_out -> sink.a_in",
    }
    assert [plan.channel_name(c) for c in plan.crossing()] == ["source.s_out -> dense.s_in"]


def test_channels_know_shape_and_size(plan):
    channel = by_name(plan)["dense.a_out -> lif.a_in"]
    assert (channel.shape, channel.dtype) == ((5,), "<f8")
    assert channel_bytes(channel) == 40
    assert channel_bytes(by_name(plan)["source.s_out -> dense.s_in"]) == 24


def test_processes_carry_what_a_worker_needs(plan):
    spec = next(p for p in plan.processes if p.name == "lif")
    assert (spec.class_name, spec.model.__name__, spec.recorder) == ("LIF", "PyLifModelFloat", False)
    assert [p.name for p in spec.in_ports] == ["a_in"]
    assert {v.name: v.shape for v in spec.vars}["v"] == (5,)
    assert spec.proc_params["shape"] == (5,)
    assert spec.load > 0
    assert next(p for p in plan.processes if p.name == "monitor").recorder


def test_references_and_their_order(plan):
    (reference,) = plan.references
    names = [p.name for p in plan.processes]
    assert (names[reference.port[0]], reference.port[1]) == ("monitor", "source")
    assert (names[reference.owner], reference.var) == ("lif", "v")
    order = [names[k] for k in plan.management_order]
    assert order.index("lif") < order.index("monitor")


def test_lookahead_is_given_for_pairs_of_partitions(plan):
    assert plan.lookahead == {(0, 1): None}


def test_describe_shows_every_process_in_its_partition(plan):
    text = plan.describe()
    lines = text.split("\n")
    assert "5 processes in 2 partition(s), sync: elastic" in lines[0]
    first = next(
        k
        for k, line in enumerate(lines)
        if "source (SourceRingBuffer)" in line or "source (RingBuffer)" in line
    )
    others = [
        k for k, line in enumerate(lines) for name in ("dense (Dense)", "lif (LIF)", "sink (") if name in line
    ]
    assert len(others) == 3
    assert all(k > first for k in others)
    row = lines[first]
    assert [cell.strip() for cell in row.strip("│┃ ").split("│")][3:] == ["0", "1", "24"]


def test_describe_gives_reasons_and_notes(plan):
    plan.sync_reasons, plan.notes = ["lif polls (probe)"], ["4 partitions were asked for"]
    text = plan.describe()
    assert "not elastic: lif polls (probe)" in text
    assert "note: 4 partitions were asked for" in text


def test_a_plan_survives_pickling(plan):
    again = pickle.loads(pickle.dumps(plan))
    assert isinstance(again, Plan)
    assert again.describe() == plan.describe()
    assert list(by_name(again)) == list(by_name(plan))


def test_draw_shows_every_process_by_name(plan):
    ax = Figure().add_subplot()
    assert plan.draw(ax) is ax
    written = " ".join(text.get_text() for text in ax.texts)
    for name in ("source", "dense", "lif", "sink", "monitor"):
        assert name in written
