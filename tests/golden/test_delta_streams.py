"""What the reference's DeltaEncoder sent over its sparse port, message by message."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from support.netlist import Netlist
from support.stream_recorder import StreamRecorder

from lahar.processes import Compression, DeltaEncoder, SourceRingBuffer
from lahar.runtime import Loihi2SimCfg, RunSteps

CASES = {path.stem: Netlist.load(path) for path in sorted((Path(__file__).parent / "streams").glob("*.npz"))}
SPREADS = [
    {"launcher": "inline"},
    {"partitions": 3, "sync": "elastic"},
    {"partitions": 3, "sync": "lockstep"},
]

pytestmark = pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")  # values cut to 8 bits


def test_cases_are_there():
    assert {Compression[c.case["compression"]] for c in CASES.values()} == set(Compression) - {
        Compression.DENSE
    }


@pytest.mark.parametrize("spread", SPREADS, ids=lambda s: "-".join(map(str, s.values())))
@pytest.mark.parametrize("name", CASES)
def test_a_stream_agrees_with_the_reference(name, spread):
    case, arrays = CASES[name].case, CASES[name].arrays
    kwargs = {**case["kwargs"], "shape": tuple(case["kwargs"]["shape"])}
    source = SourceRingBuffer(data=arrays["in:data"])
    encoder = DeltaEncoder(**kwargs, compression=Compression[case["compression"]])
    recorder = StreamRecorder(shape=kwargs["shape"], steps=case["steps"])
    source.s_out.connect(encoder.a_in)
    encoder.s_out.connect(recorder.a_in)
    with source:
        source.run(RunSteps(case["steps"]), Loihi2SimCfg(select_tag=case["tag"], **spread))
        np.testing.assert_array_equal(recorder.length.get(), arrays["out:length"])
        np.testing.assert_array_equal(recorder.data.get(), arrays["out:data"])
        np.testing.assert_array_equal(recorder.index.get(), arrays["out:index"])
        np.testing.assert_array_equal(encoder.act.get(), arrays["final:enc.act"])
        np.testing.assert_array_equal(encoder.residue.get(), arrays["final:enc.residue"])
