"""Concatenated ports: the same bits however the network is spread."""

from __future__ import annotations

import numpy as np
import pytest
from support.nodes import DelayLine, Echo, Regulator, Relay

from lahar.processes import LIF, Dense, RefPort, SinkRingBuffer
from lahar.runtime import Loihi2SimCfg, RunSteps

STEPS = 25


def run(tag, **spread):
    """Two populations joined into one layer, which drives both of them; regulators share one of its Vars."""
    steady = {"du": 0.3, "dv": 0.1} if tag == "floating_pt" else {"du": 1200, "dv": 400}
    bias = np.arange(1, 7).reshape(2, 3) * (60 if tag == "fixed_pt" else 0.25)
    left = LIF(shape=(2, 3), vth=3, bias_mant=bias, **steady)
    right = LIF(shape=(3, 3), vth=4, bias_mant=bias.max() / 5, **steady)
    weights = np.random.default_rng(1).integers(-9, 10, (4, 15)) * 2
    dense = Dense(weights=weights)
    left.s_out.transpose().concat_with(right.s_out.transpose(), -1).flatten().connect(dense.s_in)
    relay, echo, line = Relay(shape=(2, 2), lrn=2), Echo(shape=(4,)), DelayLine(shape=(8,), post=3)
    dense.a_out.connect(echo.i)
    dense.a_out.reshape((2, 2)).connect(relay.i)
    relay.o.flatten().concat_with([echo.o], 0).connect(line.i)
    sink = SinkRingBuffer(shape=(8,), buffer=STEPS)
    line.o.connect(sink.a_in)
    regulators = [Regulator(shape=(3,), post=2), Regulator(shape=(5,), post=3)]
    joined = regulators[0].target.concat_with(regulators[1].target, 0)
    joined.connect(RefPort.create_implicit_var_port(line.state))
    with sink:
        sink.run(RunSteps(STEPS), Loihi2SimCfg(select_tag=tag, progress=False, **spread))
        return [
            sink.data.get(),
            *(var.get() for var in (left.v, right.v, relay.state, echo.state, line.state)),
            *(regulator.seen.get() for regulator in regulators),
        ]


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_joined_ports_give_the_same_bits_in_every_partitioning(tag):
    inline = run(tag, launcher="inline")
    assert inline[0].any(axis=1).all(), "something arrives in both parts"
    assert all(seen.any() for seen in inline[-2:])
    for partitions in (1, 2, 3):
        for sync in ("lockstep", "elastic"):
            spread = run(tag, partitions=partitions, sync=sync)
            for a, b in zip(inline, spread, strict=True):
                assert a.dtype == b.dtype
                assert a.tobytes() == b.tobytes()
