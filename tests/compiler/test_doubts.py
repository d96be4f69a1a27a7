"""Warnings of the compiler: they name the line of the program that called Lahar."""

from __future__ import annotations

import numpy as np
import pytest

from lahar import compiler
from lahar.processes import AbstractProcess, OutPort, SinkRingBuffer, Var
from lahar.processes.errors import LaharWarning
from lahar.processes.model import LavaPyType, LoihiProtocol, PyLoihiProcessModel, PyOutPort, implements
from lahar.runtime import Loihi2SimCfg, RunSteps


class Quiet(AbstractProcess):
    """Never sends, and begins with digits that are lost."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = OutPort((1,))
        self.x = Var((1,), 1.5)


@implements(proc=Quiet, protocol=LoihiProtocol)
class QuietModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, float)
    x = LavaPyType(np.ndarray, int)


def quiet():
    process, sink = Quiet(name="quiet"), SinkRingBuffer(shape=(1,), buffer=1, name="sink")
    process.out.connect(sink.a_in)
    return process


def run(process):
    process.run(RunSteps(0), Loihi2SimCfg(launcher="inline"))


CALLS = {
    "run": run,
    "create_runtime": lambda process: process.create_runtime(Loihi2SimCfg(launcher="inline")),
    "compile": lambda process: process.compile(Loihi2SimCfg()),
    "compiler.compile": lambda process: compiler.compile(process, Loihi2SimCfg(), {"loihi_gen": 1}),
}


@pytest.mark.parametrize("call", list(CALLS))
def test_warnings_name_the_line_of_the_program(call):
    process = quiet()
    with process, pytest.warns(LaharWarning) as caught:
        CALLS[call](process)
    texts = [str(warning.message) for warning in caught]
    assert any("'quiet.x': 1 initial value(s) lose digits" in text for text in texts)
    assert any("never sends on it" in text for text in texts)
    assert {warning.filename for warning in caught} == {__file__}
