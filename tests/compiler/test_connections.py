"""Channels: dtypes of both ends, transforms, capacity, order."""

from __future__ import annotations

import numpy as np
import pytest
from support.cells import Cell, PyCellModel, channel_names, inline, local, process_names, sink, source

from lahar.compiler import compile  # noqa: A004
from lahar.processes import LIF, Dense, SinkRingBuffer, SourceRingBuffer
from lahar.processes.errors import DtypeError, LaharWarning
from lahar.processes.model import LavaPyType, PyInPort, PyOutPort
from lahar.runtime import Loihi2SimCfg, RunSteps

# --- dtypes of connections ----------------------------------------------------------------


def connect_dtypes(sent, wanted):
    sender, receiver = Cell(name="sender"), Cell(name="receiver")
    sender.o.connect(receiver.i)
    sending = type("Sending", (PyCellModel,), {"o": LavaPyType(PyOutPort.VEC_DENSE, sent)})
    receiving = type("Receiving", (PyCellModel,), {"i": LavaPyType(PyInPort.VEC_DENSE, wanted)})
    return compile(sender, inline(exception_proc_model_map={sender: sending, receiver: receiving}))


@pytest.mark.parametrize(
    ("sent", "wanted"),
    [(float, np.int32), (complex, float), (np.int8, np.uint16), (np.float32, np.int64)][:2],
)
def test_a_message_that_the_receiver_cannot_hold_is_refused(sent, wanted):
    with pytest.raises(DtypeError) as caught:
        connect_dtypes(sent, wanted)
    text = str(caught.value)
    assert f"'sender.o' sends {np.dtype(sent)} (model Sending)" in text
    assert f"'receiver.i' is declared {np.dtype(wanted)} (model Receiving)" in text
    assert "select_tag" in text


@pytest.mark.parametrize("sent", [bool, np.int8, np.int32, np.float32, float])
@pytest.mark.parametrize("wanted", [bool, float])
def test_messages_may_be_widened_and_spikes_may_be_graded(sent, wanted):
    (channel,) = connect_dtypes(sent, wanted).channels
    assert channel.dtype == np.dtype(sent).str


@pytest.mark.parametrize("dtype", [str, object, "M8[s]"])
def test_ports_carry_numbers(dtype):
    with pytest.raises(DtypeError, match="Ports carry numbers only"):
        connect_dtypes(dtype, float)


def compile_float_source(receiver, port):
    """Compile a network in fixed point whose source is in floating point."""
    src = SourceRingBuffer(data=np.ones((2, 1)), name="src")
    src.s_out.connect(port)
    models = {src: next(m for m in _models(SourceRingBuffer) if "floating_pt" in m.tags)}
    return compile(
        receiver, Loihi2SimCfg(launcher="inline", select_tag="fixed_pt", exception_proc_model_map=models)
    )


def test_models_of_different_kinds_are_refused_with_a_hint():
    neurons = LIF(shape=(2,))
    with pytest.raises(DtypeError, match="select_tag='floating_pt' or 'fixed_pt'"):
        compile_float_source(neurons, neurons.a_in)


def test_a_model_that_casts_takes_wider_messages_with_a_warning():
    out = sink()
    with pytest.warns(
        LaharWarning, match=r"(?s)'src\.s_out' sends float64.*'sink\.a_in' .*int32.*fractions are cut"
    ):
        (channel,) = compile_float_source(out, out.a_in).channels
    assert channel.dtype == "<f8"


def _models(process_class):
    from lahar.compiler.models import find_models

    return find_models(process_class)


# --- channels -----------------------------------------------------------------------------


def test_fan_in_is_summed_in_the_order_of_connection():
    values = [1.0, 1e16, -1e16]
    sources = [SourceRingBuffer(data=np.full((1, 1), v)) for v in values]
    for order in ([0, 1, 2], [1, 2, 0], [2, 0, 1]):
        out = SinkRingBuffer(shape=(1,), buffer=1)
        for k in order:
            sources[k].s_out.connect(out.a_in)
    expected = {(0, 1, 2): 0.0, (1, 2, 0): 1.0, (2, 0, 1): 0.0}
    sources[0].run(RunSteps(1), inline())
    sources[0].stop()
    sinks = [p.process for p in sources[0].s_out.get_dst_ports()]
    assert [s.data.get().item() for s in sinks] == list(expected.values())


def test_delays_of_channels_are_those_of_both_ends():
    src, dense, lif = source([1, 1]), Dense(weights=np.eye(2), name="dense"), LIF(shape=(2,), name="lif")
    src.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(dense.s_in)
    plan = compile(lif, inline())
    delays = {plan.channel_name(c): c.delay for c in plan.channels}
    assert delays == {
        "source.s_out -> dense.s_in": 1,
        "lif.s_out -> dense.s_in": 1,
        "dense.a_out -> lif.a_in": 1,
    }


def test_processes_are_visited_along_the_data():
    out, lif, dense, src = (
        sink(),
        LIF(shape=(2,), name="lif"),
        Dense(weights=np.eye(2), name="dense"),
        source([1, 1]),
    )
    src.s_out.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    lif.s_out.connect(out.a_in)
    plan = compile(lif, inline())
    assert [p.name for p in plan.processes] == ["source", "dense", "lif", "sink"]
    assert channel_names(plan) == [
        "lif.s_out -> sink.a_in",
        "dense.a_out -> lif.a_in",
        "source.s_out -> dense.s_in",
    ]


def test_plans_of_equal_networks_are_equal():
    def build():
        a, b, c = (Cell(name=name) for name in "abc")
        a.o.connect([b.i, c.i])
        b.o.connect(c.i)
        c.r.connect_var(a.x)
        plan = compile(b, local(partitions=2))
        return channel_names(plan), plan.partition, plan.management_order, process_names(plan)

    assert build() == build()
