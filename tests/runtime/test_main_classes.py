"""Processes and models that are defined in the program itself work over several workers."""

from __future__ import annotations

import subprocess
import sys
import textwrap

import pytest

DEFINITIONS = """
import numpy as np
from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.errors import ModelError
from lahar.processes.model import (
    CPU, LavaPyType, LoihiProtocol, PyInPort, PyLoihiProcessModel, PyOutPort, implements, requires)
from lahar.runtime import Loihi2SimCfg, RunSteps

FACTOR = 10


class NotAllowed(Exception):
    def __init__(self, step):
        super().__init__(step)
        self.step = step


def scale(x):
    return FACTOR * x


class Source(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = OutPort((3,))


class Sink(AbstractProcess):
    def __init__(self, limit=10**9, **kwargs):
        super().__init__(limit=limit, **kwargs)
        self.into = InPort((3,))
        self.total = Var((3,), 0)


class Base(PyLoihiProcessModel):
    def value(self):
        return scale(self.time_step)


@implements(proc=Source, protocol=LoihiProtocol)
@requires(CPU)
class SourceModel(Base):
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)

    def value(self):
        return super().value() + 1

    def run_spk(self):
        self.out.send(np.full(3, self.value()))


@implements(proc=Sink, protocol=LoihiProtocol)
@requires(CPU)
class SinkModel(PyLoihiProcessModel):
    into: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    total: np.ndarray = LavaPyType(np.ndarray, int)

    def run_spk(self):
        if self.time_step > self.proc_params["limit"]:
            raise NotAllowed(self.time_step)
        self.total += self.into.recv()


def network(**kwargs):
    source, sink = Source(name="source"), Sink(name="sink", **kwargs)
    source.out.connect(sink.into)
    return source, sink
"""

RUN = """
source, sink = network()
cfg = Loihi2SimCfg(partitions=2, sync=SYNC)
source.run(RunSteps(4), run_cfg=cfg)
assert len(source.runtime.worker_pids()) == 2
source.run(RunSteps(1))
print(sink.total.get().tolist(), SinkModel.__module__)
source.stop()
"""


def run(source, directory, *, name="program.py", arguments=()):
    """Run a program in a fresh interpreter; return its output."""
    path = directory / name
    path.write_text(textwrap.dedent(source))
    command = [sys.executable, *(arguments or [str(path)])]
    done = subprocess.run(command, capture_output=True, text=True, timeout=50, cwd=directory, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


@pytest.mark.parametrize("sync", ["lockstep", "elastic"])
def test_classes_of_a_script_without_a_main_guard(tmp_path, sync):
    assert run(DEFINITIONS + RUN.replace("SYNC", repr(sync)), tmp_path) == "[155, 155, 155] __main__\n"


def test_classes_inside_a_function(tmp_path):
    body = textwrap.indent(DEFINITIONS + RUN.replace("SYNC", "'elastic'"), "    ")
    body = body.replace("FACTOR = 10", "global FACTOR\n    FACTOR = 10")
    assert run(f"def main():\n{body}\nmain()\n", tmp_path).startswith("[155, 155, 155]")


def test_classes_of_a_program_given_on_the_command_line(tmp_path):
    source = DEFINITIONS + RUN.replace("SYNC", "'elastic'")
    assert run(source, tmp_path, arguments=["-c", source]) == "[155, 155, 155] __main__\n"


def test_classes_of_a_module_beside_the_script(tmp_path):
    (tmp_path / "parts.py").write_text(DEFINITIONS)
    output = run("from parts import *\n" + RUN.replace("SYNC", "'elastic'"), tmp_path)
    assert output == "[155, 155, 155] parts\n"


def test_classes_of_a_package_run_with_m(tmp_path):
    package = tmp_path / "program"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "parts.py").write_text(DEFINITIONS)
    (package / "__main__.py").write_text("from .parts import *\n" + RUN.replace("SYNC", "'elastic'"))
    assert run("", tmp_path, arguments=["-m", "program"]) == "[155, 155, 155] program.parts\n"


def test_classes_are_changed_between_two_networks(tmp_path):
    """As in a notebook: a cell is edited and run again; each network uses the class as it is then."""
    source = (
        DEFINITIONS
        + """
def total():
    source, sink = network()
    with source:
        source.run(RunSteps(2), run_cfg=Loihi2SimCfg(partitions=2))
        return sink.total.get()[0]

print(total())
FACTOR = 100
print(total())
Base.value = lambda self: 0
print(total())
"""
    )
    assert run(source, tmp_path).split() == ["32", "302", "2"]


def test_exceptions_of_the_script_come_back_as_the_same_class(tmp_path):
    source = (
        DEFINITIONS
        + """
source, sink = network(limit=2)
try:
    source.run(RunSteps(9), run_cfg=Loihi2SimCfg(partitions=2))
except ModelError as error:
    print(type(error.__cause__) is NotAllowed, error.__cause__.step, error.process, "NotAllowed: 3" in str(error))
"""
    )
    assert run(source, tmp_path) == "True 3 sink True\n"
