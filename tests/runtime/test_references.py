"""RefPorts: when a read sees what, and in which order writes take effect."""

import numpy as np
import pytest
import runtime_models as rm

from lahar.processes import AbstractProcess, Monitor, RefPort, Var, VarPort
from lahar.processes.errors import DeadlockError, ModelError, StateError
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyLoihiProcessModel,
    PyRefPort,
    PyVarPort,
    implements,
    requires,
)
from lahar.runtime import Loihi2SimCfg, RunSteps

WAYS = [{"launcher": "inline"}, {"partitions": 1}]


class Cell(AbstractProcess):
    """Reads `ref` into `seen`, then counts `x` up, then writes `value` if it is not None; all in POST_MGMT."""

    def __init__(self, *, value=None, wait=False, at="post", **kwargs):
        super().__init__(value=value, wait=wait, at=at, **kwargs)
        self.ref = RefPort((2,))
        self.x = Var((2,), 0)
        self.seen = Var((2,), -1)
        self.door = VarPort(self.x)


@implements(proc=Cell, protocol=LoihiProtocol)
@requires(CPU)
class CellModel(PyLoihiProcessModel):
    ref: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    door: PyVarPort = LavaPyType(PyVarPort.VEC_DENSE, int)
    x: np.ndarray = LavaPyType(np.ndarray, int)
    seen: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        if self.proc_params["at"] == "spk":
            self.ref.read()

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.seen[:] = self.ref.read()
        self.x += 1
        value = self.proc_params["value"]
        if value is not None:
            self.ref.write(np.full(2, value))
            if self.proc_params["wait"]:
                self.ref.wait()
                self.seen[:] = self.ref.read()


def run(process, steps, **options):
    process.run(RunSteps(steps), Loihi2SimCfg(**options))


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("reader_first", [True, False])
def test_a_read_sees_the_owner_after_its_own_handler(options, reader_first):
    cells = [Cell(), Cell()]
    reader, owner = cells if reader_first else cells[::-1]
    reader.ref.connect_var(owner.x)
    run(reader, 3, **options)
    assert reader.seen.get().tolist() == [3, 3]
    reader.stop()


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_chain_of_reads_resolves_in_order(options):
    a, b, c = Cell(), Cell(), Cell()
    a.ref.connect_var(b.seen)
    b.ref.connect_var(c.x)
    run(a, 4, **options)
    assert a.seen.get().tolist() == b.seen.get().tolist() == [4, 4]
    a.stop()


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("order", [(0, 1, 2), (2, 0, 1), (1, 2, 0)])
def test_of_several_writes_in_a_phase_the_one_of_the_last_process_holds(options, order):
    owner = Cell()
    writers = [Cell(value=10 * k) for k in order]
    for writer in reversed(writers):  # creation order counts, not that of connect
        writer.ref.connect(owner.door)
    run(owner, 1, **options)
    assert owner.x.get().tolist() == [10 * order[-1]] * 2
    owner.stop()


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_writes_take_effect_after_all_reads_and_keep_the_dtype(options):
    owner, writer, reader = Cell(), Cell(value=7.9), Cell()
    writer.ref.connect_var(owner.x)
    reader.ref.connect_var(owner.x)
    run(owner, 1, **options)
    assert reader.seen.get().tolist() == [1, 1]
    assert owner.x.get().tolist() == [7, 7]
    assert owner.x.get().dtype == np.int64
    run(owner, 1)
    assert reader.seen.get().tolist() == [8, 8]
    owner.stop()


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_after_wait_the_writer_reads_what_it_wrote(options):
    owner, writer = Cell(), Cell(value=5, wait=True)
    writer.ref.connect_var(owner.x)
    run(owner, 1, **options)
    assert writer.seen.get().tolist() == [5, 5]
    owner.stop()


def test_an_unconnected_refport_reads_zeros():
    cell = Cell(value=3)
    run(cell, 1, launcher="inline")
    assert cell.seen.get().tolist() == [0, 0]
    cell.stop()


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_read_in_the_spiking_phase_is_refused(options):
    owner, reader = Cell(), Cell(at="spk", name="reader")
    reader.ref.connect_var(owner.x)
    with pytest.raises(ModelError, match=r"'reader\.ref'\.read\(\) of Var '.*\.x' in phase SPK") as caught:
        run(owner, 1, **options)
    assert isinstance(caught.value.__cause__, StateError)
    owner.stop()


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_processes_that_read_each_other_in_one_phase_are_reported(options):
    a, b = Cell(name="a"), Cell(name="b")
    a.ref.connect_var(b.x)
    b.ref.connect_var(a.x)
    with pytest.raises(DeadlockError, match="refer to each other's Vars in the same phase"):
        run(a, 1, **options)
    a.stop()


def test_coupled_processes_may_be_placed_apart():
    owner, reader = Cell(name="owner"), Cell(name="reader")
    reader.ref.connect_var(owner.x)
    run(owner, 3, partitions=2, placement={owner: 0, reader: 1})
    assert reader.seen.get().tolist() == [3, 3]
    assert owner.runtime.plan.partition[0] != owner.runtime.plan.partition[1]
    owner.stop()


# --- which phases, which Vars ---------------------------------------------------------------------------


def owner_and(*actions, guards="post", var="v", options=None, steps=3, **reader_options):
    """Run an Owner with one Reader per action string; return them."""
    owner = rm.Owner(name="owner", guards=guards)
    readers = [rm.Reader(name=f"r{k}", action=a, **reader_options) for k, a in enumerate(actions)]
    for reader in readers:
        reader.ref.connect_var(getattr(owner, var))
    try:
        run(owner, steps, **(options or {"launcher": "inline"}))
    finally:
        owner.stop()
    return (owner, *readers)


def seen(reader):
    return reader.seen.get()[: int(reader.n.get()[0]), 0].tolist()


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("phase", ["SPK", "LRN"])
@pytest.mark.parametrize(("action", "verb"), [("r", "read"), ("q", "wait")])
def test_reading_and_waiting_are_refused_outside_of_management(options, phase, action, verb):
    with pytest.raises(
        ModelError, match=rf"'r0\.ref'\.{verb}\(\) of Var 'owner\.v' in phase {phase}"
    ) as caught:
        owner_and(action, phase=phase, options=options)
    assert caught.value.time_step == 1
    assert "run_pre_mgmt and run_post_mgmt only" in str(caught.value)


@pytest.mark.parametrize("options", WAYS, ids=str)
@pytest.mark.parametrize("phase", ["SPK", "LRN"])
def test_writes_outside_of_management_are_applied_at_the_end_of_the_phase(options, phase):
    """In the order in which the writers were created; management of the same step sees them."""
    owner = rm.Owner(name="owner", guards="")
    writers = [rm.Reader(action="w", phase=phase, value=k) for k in (1, 2, 3)]
    reader = rm.Reader(action="r")
    for other in (reader, *reversed(writers)):
        other.ref.connect_var(owner.v)
    run(owner, 3, **options)
    owner.stop()
    assert seen(reader) == [13, 23, 33]
    assert owner.v.get().tolist() == [33, 33]
    assert owner.v.get().dtype == np.int32


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_reads_in_pre_management(options):
    owner, reader = owner_and("r", guards="pre lrn", phase="PRE_MGMT", options=options)
    assert seen(reader) == [10, 20, 30]
    assert owner.v.get().tolist() == [30, 30]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_an_owner_without_a_handler_in_the_phase_can_be_read_at_once(options):
    _, reader = owner_and("rr", guards="", options=options)
    assert seen(reader) == [-1] * 6


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_write_without_wait_is_there_after_the_run(options):
    owner, _ = owner_and("w", guards="", value=0.75, options=options)
    assert owner.v.get().tolist() == [30, 30]
    assert owner.v.get().dtype == np.int32


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_the_last_of_several_writes_of_one_port_holds_and_a_read_sees_it(options):
    _, reader = owner_and("wwr", guards="", options=options)
    assert seen(reader) == [10, 20, 30]


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_readers_of_a_phase_see_the_value_before_any_write(options):
    _, first, writer, last = owner_and("r", "w", "r", guards="", options=options)
    assert seen(first) == seen(last) == [-1, 10, 20]
    assert seen(writer) == []


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_monitor_samples_before_writes_and_sees_them_in_the_next_step(options):
    owner, writer, monitor = rm.Owner(guards=""), rm.Reader(action="w"), Monitor()
    writer.ref.connect_var(owner.v)
    monitor.probe(owner.v, 3)
    run(owner, 3, **options)
    owner.stop()
    assert monitor.get_data()[owner.name]["v"][:, 0].tolist() == [-1, 10, 20]


def test_what_was_read_belongs_to_the_reader():
    _, reader = owner_and("rr", guards="")
    assert not np.shares_memory(reader.seen.get(), reader.seen.get())


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_transforms_apply_backward_to_reads(options):
    owner, reader = rm.Grid(name="owner"), rm.Reader(name="r", action="r", shape=(3, 2))
    reader.ref.transpose(axes=(1, 0)).connect(owner.door)
    run(owner, 1, **options)
    assert reader.seen.get()[0].tolist() == np.arange(6).reshape(2, 3).T.tolist()
    owner.stop()


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_a_text_cannot_be_read_through_a_reference(options):
    with pytest.raises(ModelError, match=r"'owner\.text' is not numeric"):
        owner_and("r", var="text", shape=(1,), options=options)


@pytest.mark.parametrize("options", WAYS, ids=str)
def test_two_processes_that_wait_for_each_other_are_named(options):
    a, b = rm.Peeping(name="a"), rm.Peeping(name="b")
    a.ref.connect_var(b.v)
    b.ref.connect_var(a.v)
    with pytest.raises(DeadlockError) as caught:
        run(a, 1, **options)
    assert "a.ref waits in read() for b.v" in str(caught.value)
    assert "b.ref waits in read() for a.v" in str(caught.value)
    assert "phase POST_MGMT" in str(caught.value)
    a.stop()
