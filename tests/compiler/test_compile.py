"""Compilation: arguments, synchronisation, plans that can be pickled, compiling again."""

from __future__ import annotations

import threading

import cloudpickle
import numpy as np
import pytest
from support.cells import Cell, PyCellModel, channel_names, inline, local, nested, row, sink, source

from lahar.compiler import Plan, compile  # noqa: A004
from lahar.processes import LIF, AbstractProcess, Var
from lahar.processes.errors import (
    ArgumentTypeError,
    CompileError,
    LaharWarning,
    StateError,
    UnpicklableError,
    ValidationError,
)
from lahar.processes.model import (
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyLoihiProcessModel,
    SyncDomain,
    implements,
)
from lahar.runtime import Loihi2SimCfg, RunSteps

# --- arguments ----------------------------------------------------------------------------


@pytest.mark.parametrize("process", [None, 3, LIF])
def test_compile_takes_a_process(process):
    with pytest.raises(ArgumentTypeError, match=r"compile\(\) takes a Process, not"):
        compile(process, inline())


@pytest.mark.parametrize("config", [None, 3, Loihi2SimCfg, "inline"])
def test_compile_takes_a_run_config(config):
    with pytest.raises(ArgumentTypeError, match="run_cfg must be a run configuration such as Loihi2SimCfg"):
        compile(LIF(shape=(1,)), config)


def test_channels_have_the_capacity_asked_for():
    src, out = source([1, 2]), sink()
    src.s_out.connect(out.a_in)
    assert [c.capacity for c in compile(src, inline()).channels] == [64]
    assert [c.capacity for c in compile(src, inline(), {"pypy_channel_size": 3}).channels] == [3]


@pytest.mark.parametrize("size", [0, -1, 2.5, True, "64", None])
def test_the_capacity_is_a_positive_integer(size):
    with pytest.raises(
        ValidationError, match=r"compile_config\['pypy_channel_size'\]: a positive integer expected"
    ):
        compile(LIF(shape=(1,)), inline(), {"pypy_channel_size": size})


def test_options_that_do_nothing_are_named():
    given = {"use_watchdog": True, "chanel_size": 3}
    with pytest.warns(LaharWarning) as caught:
        compile(LIF(shape=(1,)), inline(), given)
    assert [str(warning.message) for warning in caught] == [
        "compile_config: option 'use_watchdog' has no effect.",
        "compile_config: option 'chanel_size' is unknown.",
    ]
    assert given == {"use_watchdog": True, "chanel_size": 3}


# --- sync ---------------------------------------------------------------------------------


def test_auto_is_elastic_where_it_is_safe():
    plan = compile(row()[0], local(partitions=2))
    assert (plan.sync, plan.sync_reasons) == ("elastic", [])


class Polling(PyCellModel):
    def run_spk(self):
        if self.i.probe():
            super().run_spk()


def test_auto_is_lockstep_where_it_is_not_and_says_why():
    cells = row()
    exceptions = {cells[1]: Polling}
    plan = compile(cells[0], local(partitions=2, exception_proc_model_map=exceptions))
    assert plan.sync == "lockstep"
    assert "c1 polls (probe)" in plan.sync_reasons[0]
    with pytest.warns(LaharWarning, match=r"sync='elastic' could change results.*lockstep: c1 polls"):
        plan = compile(cells[0], local(partitions=2, sync="elastic", exception_proc_model_map=exceptions))
    assert plan.sync == "lockstep"


def test_lockstep_can_be_asked_for():
    plan = compile(row()[0], local(partitions=2, sync="lockstep"))
    assert (plan.sync, plan.sync_reasons) == ("lockstep", [])


# --- sync domains -------------------------------------------------------------------------


def test_sync_domains_of_the_right_protocol_are_accepted():
    cells = row()
    domains = [SyncDomain("one", LoihiProtocol(), cells[:2]), SyncDomain("two", LoihiProtocol(), cells[2:])]
    assert len(compile(cells[0], inline(custom_sync_domains=domains)).processes) == 4


def test_a_sync_domain_of_another_protocol_is_refused():
    cells = row()
    for protocol in (AsyncProtocol(), None):
        domain = SyncDomain("free", protocol, [cells[1]])
        with pytest.raises(CompileError, match=r"'c1'.*SyncDomain 'free'.*LoihiProtocol"):
            compile(cells[0], inline(custom_sync_domains=[domain]))


def test_names_of_sync_domains_are_unique():
    domains = [SyncDomain("same", LoihiProtocol()), SyncDomain("same", LoihiProtocol())]
    with pytest.raises(CompileError, match="two SyncDomains are named 'same'"):
        compile(row()[0], inline(custom_sync_domains=domains))


def test_a_process_is_in_one_sync_domain():
    cells = row()
    domains = [SyncDomain(name, LoihiProtocol(), [cells[0]]) for name in ("one", "two")]
    with pytest.raises(CompileError, match="'c0' is in SyncDomains 'one' and 'two'"):
        compile(cells[0], inline(custom_sync_domains=domains))


# --- pickling -----------------------------------------------------------------------------


def test_an_argument_that_cannot_be_pickled_is_named():
    cell = Cell(name="it", lock=threading.Lock(), harmless=3)
    with pytest.raises(UnpicklableError) as caught:
        cell.run(RunSteps(1), local())
    text = str(caught.value)
    assert "Process 'it' (Cell): argument 'lock' of type lock cannot be sent to a worker process" in text
    assert "launcher='inline'" in text


def test_what_cannot_be_pickled_runs_inline():
    cell = Cell(name="it", lock=threading.Lock())
    cell.run(RunSteps(1), inline())
    cell.stop()
    assert cell.x.get().tolist() == [0, 0]


def test_a_model_class_that_cannot_be_pickled_is_named():
    lock = threading.Lock()

    class Holding(PyCellModel):
        held = lock

    cell = Cell(name="it")
    with pytest.raises(UnpicklableError, match=r"Process 'it' \(Cell\): model class Holding"):
        cell.run(RunSteps(1), local(exception_proc_model_map={cell: Holding}))


def test_after_that_error_the_network_can_be_run():
    cell = Cell(name="it", lock=threading.Lock())
    with pytest.raises(UnpicklableError):
        cell.run(RunSteps(1), local())
    assert cell.runtime is None
    cell.run(RunSteps(1), inline())
    cell.stop()


def test_a_plan_survives_pickling():
    src, _, _ = nested()
    plan = compile(src, local(partitions=2))
    again = cloudpickle.loads(cloudpickle.dumps(plan))
    assert isinstance(again, Plan)
    assert channel_names(again) == channel_names(plan)
    assert again.partition == plan.partition


def test_classes_of_a_function_run_in_workers():
    class Local(AbstractProcess):
        def __init__(self):
            super().__init__()
            self.x = Var((1,), 1)

    @implements(proc=Local, protocol=LoihiProtocol)
    class LocalModel(PyLoihiProcessModel):
        x: np.ndarray = LavaPyType(np.ndarray, float)

        def run_spk(self):
            self.x *= 2

    process = Local()
    process.run(RunSteps(5), Loihi2SimCfg(launcher="local"))
    process.stop()
    assert process.x.get().tolist() == [32]


# --- stop, compile, run again -------------------------------------------------------------


def test_compile_while_the_network_is_started_is_refused():
    src, nest, _ = nested()
    src.create_runtime(inline())
    with src, pytest.raises(StateError, match="has been started"):
        nest.compile(inline())
    assert len(nest.compile(inline()).processes) == 5


def test_in_ports_that_nobody_feeds_are_logged(caplog):
    a, b = LIF(shape=(2,), name="a"), LIF(shape=(2,), name="b")
    a.s_out.connect(b.a_in)
    with caplog.at_level("INFO", logger="lahar.compiler"):
        compile(a, inline())
    assert "L201 a.a_in: not connected, so it reads zeros." in caplog.messages
    assert not any("b.a_in" in message for message in caplog.messages)
