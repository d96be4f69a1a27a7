"""Monitors: what is recorded and when, several probes, runs of any length, and what is refused."""

from __future__ import annotations

import numpy as np
import pytest
from matplotlib.figure import Figure

from lahar.processes import (
    LIF,
    AbstractProcess,
    Dense,
    InPort,
    LearningDense,
    Monitor,
    OutPort,
    SinkRingBuffer,
    SourceRingBuffer,
    STDPLoihi,
    Var,
)
from lahar.processes.errors import (
    ArgumentTypeError,
    CompileError,
    DtypeError,
    StateError,
    ValidationError,
    VarNotSharableError,
)
from lahar.processes.model import (
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
)
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps


class Counter(AbstractProcess):
    """Counts in every phase; sends the count of the spiking phase."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.o = OutPort((2,))
        self.n = Var((2,), 0)
        self.number = Var((1,), 0)
        self.huge = Var((1,), 2**53)
        self.text = Var((4,), "x0")
        self.secret = Var((2,), 0, shareable=False)


@implements(proc=Counter, protocol=LoihiProtocol)
class PyCounterModel(PyLoihiProcessModel):
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)
    n: np.ndarray = LavaPyType(np.ndarray, np.int32)
    number: int = LavaPyType(int, int)
    huge: np.ndarray = LavaPyType(np.ndarray, np.int64)
    text: str = LavaPyType(str, str)
    secret: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self):
        self.n += 1
        self.number += 2
        self.huge += 1
        self.o.send(self.n)

    def lrn_guard(self):
        return True

    def run_lrn(self):
        self.n += 10

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.n += 100


class Wrapped(AbstractProcess):
    """A hierarchical process with a Var that stands for text."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.words = Var((4,), 0)


@implements(proc=Wrapped, protocol=LoihiProtocol)
class WrappedModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.inner = Counter(name="inner")
        proc.words.alias(self.inner.text)


class Shell(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.out = OutPort((2,))
        self.state = Var((2,), 0)


@implements(proc=Shell, protocol=LoihiProtocol)
class ShellModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.counter = Counter(name="inner")
        self.counter.o.connect(proc.out)
        proc.state.alias(self.counter.n)


def inline():
    return Loihi2SimCfg(launcher="inline", select_tag="floating_pt")


def local(**kwargs):
    return Loihi2SimCfg(select_tag="floating_pt", **kwargs)


def probing(target, num_steps=4, **kwargs):
    monitor = Monitor(**kwargs)
    monitor.probe(target, num_steps)
    return monitor


def data_of(monitor, target):
    return monitor.get_data()[target.process.name][target.name]


# --- what is recorded ---------------------------------------------------------------------


def test_a_var_is_recorded_after_all_phases_of_each_step():
    counter = Counter(name="counter")
    monitor = probing(counter.n, 3)
    counter.run(RunSteps(3), inline())
    counter.stop()
    assert monitor.get_data().keys() == {"counter"}
    assert monitor.get_data()["counter"].keys() == {"n"}
    assert data_of(monitor, counter.n).tolist() == [[111, 111], [222, 222], [333, 333]]


def test_a_port_is_recorded_message_by_message():
    counter = Counter(name="counter")
    monitor = probing(counter.o, 3)
    counter.run(RunSteps(3), inline())
    counter.stop()
    assert data_of(monitor, counter.o).tolist() == [[1, 1], [112, 112], [223, 223]]


def test_data_have_the_dtype_of_what_is_recorded():
    counter = Counter(name="counter")
    monitor = Monitor()
    for target in (counter.n, counter.o, counter.huge):
        monitor.probe(target, 2)
    counter.run(RunSteps(2), inline())
    counter.stop()
    assert data_of(monitor, counter.n).dtype == np.int32
    assert data_of(monitor, counter.o).dtype == np.int32
    assert data_of(monitor, counter.huge).dtype == np.int64
    assert data_of(monitor, counter.huge).tolist() == [[2**53 + 1], [2**53 + 2]]


def test_a_var_that_the_model_holds_as_a_number():
    counter = Counter(name="counter")
    monitor = probing(counter.number, 3)
    counter.run(RunSteps(3), inline())
    counter.stop()
    assert data_of(monitor, counter.number).tolist() == [[2], [4], [6]]


def test_rows_of_steps_not_yet_executed_are_zero_and_go_on_over_runs():
    counter = Counter(name="counter")
    monitor = probing(counter.o, 4)
    counter.run(RunSteps(1), inline())
    assert data_of(monitor, counter.o)[:, 0].tolist() == [1, 0, 0, 0]
    counter.run(RunSteps(2))
    assert data_of(monitor, counter.o)[:, 0].tolist() == [1, 112, 223, 0]
    counter.stop()
    assert data_of(monitor, counter.o).shape == (4, 2)


def test_one_monitor_probes_many_things():
    counter, lif = Counter(name="counter"), LIF(shape=(3,), bias_mant=0.5, vth=10, name="lif")
    dense = Dense(weights=np.ones((3, 2)), num_message_bits=8, name="dense")
    counter.o.connect(dense.s_in)
    dense.a_out.connect(lif.a_in)
    monitor = Monitor(name="monitor")
    for target in (lif.v, lif.s_out, counter.n, dense.weights, lif.u):
        monitor.probe(target, 2)
    lif.run(RunSteps(2), inline())
    lif.stop()
    data = monitor.get_data()
    assert {name: set(found) for name, found in data.items()} == {
        "lif": {"v", "s_out", "u"},
        "counter": {"n"},
        "dense": {"weights"},
    }
    assert data["lif"]["v"].tolist() == [[0.5] * 3, [3.0] * 3]
    assert data["dense"]["weights"].shape == (2, 3, 2)


def test_several_monitors_record_the_same():
    counter = Counter(name="counter")
    monitors = [probing(counter.n, 2), probing(counter.n, 3), probing(counter.o, 2)]
    counter.run(RunSteps(2), inline())
    counter.stop()
    first, second, third = (m.get_data()["counter"] for m in monitors)
    assert np.array_equal(first["n"], second["n"][:2])
    assert third["o"][1, 0] == 112


def test_parts_of_different_length():
    counter = Counter(name="counter")
    monitor = Monitor()
    monitor.probe(counter.n, 2)
    monitor.probe(counter.o, 5)
    counter.run(RunSteps(2), inline())
    counter.stop()
    assert data_of(monitor, counter.n).shape == (2, 2)
    assert data_of(monitor, counter.o).shape == (5, 2)


def test_hierarchical_processes_are_probed():
    shell = Shell(name="shell")
    monitor = Monitor()
    monitor.probe(shell.state, 2)
    monitor.probe(shell.out, 2)
    shell.run(RunSteps(2), inline())
    shell.stop()
    assert monitor.get_data()["shell"]["state"].tolist() == [[111, 111], [222, 222]]
    assert monitor.get_data()["shell"]["out"].tolist() == [[1, 1], [112, 112]]


def test_learned_weights_of_a_step_are_seen_in_its_row():
    rule = STDPLoihi(learning_rate=1, A_plus=2, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=2)
    spikes = SourceRingBuffer(data=np.ones((1, 8)))
    plastic = LearningDense(weights=np.full((1, 1), 50.0), learning_rule=rule, name="plastic")
    lif = LIF(shape=(1,), vth=10, du=1, dv=1, name="lif")
    spikes.s_out.connect(plastic.s_in)
    plastic.a_out.connect(lif.a_in)
    lif.s_out.connect(plastic.s_in_bap)
    monitor = probing(plastic.weights, 8)
    lif.run(RunSteps(7), inline())
    now = plastic.weights.get()
    lif.run(RunSteps(1))
    after = plastic.weights.get()
    lif.stop()
    rows = data_of(monitor, plastic.weights)
    assert np.array_equal(rows[6], now)
    assert np.array_equal(rows[7], after)
    assert not np.array_equal(rows[7], rows[6])
    changes = np.flatnonzero(np.diff(rows[:, 0, 0])) + 2
    assert set(changes) <= {2, 4, 6, 8}


@pytest.mark.parametrize("sync", ["lockstep", "elastic"])
def test_the_same_is_recorded_in_several_os_processes(sync):
    def run(config):
        counter, sink = Counter(name="counter"), SinkRingBuffer(shape=(2,), buffer=4)
        counter.o.connect(sink.a_in)
        monitor = Monitor()
        monitor.probe(counter.n, 4)
        monitor.probe(counter.o, 4)
        counter.run(RunSteps(4), config)
        paused = monitor.get_data()
        counter.stop()
        stopped = monitor.get_data()
        return [d["counter"][k].tolist() for d in (paused, stopped) for k in ("n", "o")]

    assert run(local(partitions=2, sync=sync)) == run(inline())


# --- when data can be read ----------------------------------------------------------------


def test_before_the_run_data_are_zeros():
    counter = Counter(name="counter")
    assert data_of(probing(counter.n, 3), counter.n).tolist() == [[0, 0]] * 3


def test_a_monitor_without_probes_has_no_data():
    assert Monitor().get_data() == {}


def test_while_the_network_runs_data_cannot_be_read():
    counter = Counter(name="counter")
    monitor = probing(counter.n, 3)
    counter.run(RunContinuous(), inline())
    try:
        with pytest.raises(StateError, match="while the network is running"):
            monitor.get_data()
    finally:
        counter.stop()


def test_data_read_earlier_do_not_change():
    counter = Counter(name="counter")
    monitor = probing(counter.o, 3)
    counter.run(RunSteps(1), inline())
    before = data_of(monitor, counter.o)
    counter.run(RunSteps(2))
    counter.stop()
    assert before[:, 0].tolist() == [1, 0, 0]


# --- runs longer than the probe -----------------------------------------------------------


@pytest.mark.parametrize("config", [inline, local], ids=["inline", "local"])
def test_a_run_that_is_too_long_is_refused_and_nothing_is_lost(config):
    counter = Counter(name="counter")
    monitor = probing(counter.o, 4, name="watch")
    counter.run(RunSteps(3), config())
    with pytest.raises(ValidationError) as caught:
        counter.run(RunSteps(2))
    text = str(caught.value)
    assert "Monitor 'watch' records 'counter.o' for 4 time steps" in text
    assert "this run would end at step 5" in text
    assert "Run at most 1 more steps, or probe with num_steps=5" in text
    assert data_of(monitor, counter.o)[:, 0].tolist() == [1, 112, 223, 0]
    counter.run(RunSteps(1))
    counter.stop()
    assert data_of(monitor, counter.o)[:, 0].tolist() == [1, 112, 223, 334]


def test_the_first_run_can_be_too_long_as_well():
    counter = Counter(name="counter")
    monitor = probing(counter.n, 2)
    with pytest.raises(ValidationError, match="Run at most 2 more steps"):
        counter.run(RunSteps(3), inline())
    counter.run(RunSteps(2))
    counter.stop()
    assert data_of(monitor, counter.n)[:, 0].tolist() == [111, 222]


def test_a_continuous_run_may_add_rows():
    counter = Counter(name="counter")
    monitor = probing(counter.o, 1)
    counter.run(RunContinuous(), inline())
    while counter.runtime._network.step < 5:
        pass
    counter.pause()
    rows = data_of(monitor, counter.o)[:, 0]
    steps = counter.runtime.step
    counter.stop()
    assert steps >= 5
    assert rows.tolist() == [1 + 111 * k for k in range(steps)]


# --- what is refused ----------------------------------------------------------------------


@pytest.mark.parametrize(
    "target", [None, 3, "lif.v", InPort((1,)), OutPort((1,)), Var((1,)), LIF(shape=(1,))]
)
def test_only_vars_and_out_ports_of_processes_are_probed(target):
    with pytest.raises(
        ArgumentTypeError, match=rf"Monitor 'watch' can probe a Var or an OutPort.*{type(target).__name__}"
    ):
        Monitor(name="watch").probe(target, 3)


def test_in_ports_are_not_probed():
    with pytest.raises(ArgumentTypeError, match=r"not InPort <InPort lif\.a_in"):
        Monitor().probe(LIF(shape=(1,), name="lif").a_in, 3)


@pytest.mark.parametrize("steps", [0, -1, 2.5, True, "3", None])
def test_the_number_of_steps_is_positive(steps):
    with pytest.raises(ValidationError, match=r"Monitor\.probe\.num_steps: a positive integer expected, not"):
        Monitor().probe(Counter().n, steps)


def test_a_target_is_probed_once_per_monitor():
    counter = Counter(name="counter")
    monitor = probing(counter.n, 3, name="watch")
    with pytest.raises(ValidationError, match=r"Monitor 'watch' probes 'counter\.n' already"):
        monitor.probe(counter.n, 3)


def test_two_processes_of_one_name_are_refused():
    one, other = Counter(name="twin"), Counter(name="twin")
    monitor = probing(one.n, 3, name="watch")
    with pytest.raises(
        ValidationError, match=r"Monitor 'watch' probes two processes named 'twin'.*use two monitors"
    ):
        monitor.probe(other.o, 3)
    monitor.probe(one.o, 3)
    probing(other.o, 3)


def test_a_var_that_is_not_shareable_is_refused_and_others_can_be_probed():
    counter = Counter(name="counter")
    monitor = Monitor()
    with pytest.raises(VarNotSharableError, match="'secret'"):
        monitor.probe(counter.secret, 3)
    monitor.probe(counter.n, 2)
    counter.run(RunSteps(2), inline())
    counter.stop()
    assert list(monitor.get_data()["counter"]) == ["n"]


def test_after_the_start_nothing_is_probed():
    counter = Counter(name="counter")
    monitor = probing(counter.n, 3, name="watch")
    counter.run(RunSteps(1), inline())
    with pytest.raises(StateError, match=r"Monitor 'watch' cannot probe 'counter\.o'.*has been\s+started"):
        monitor.probe(counter.o, 3)
    with pytest.raises(StateError, match="before the first run"):
        Monitor().probe(counter.o, 3)
    counter.run(RunSteps(2))
    counter.stop()
    assert data_of(monitor, counter.n)[:, 0].tolist() == [111, 222, 333]


def test_after_stop_more_can_be_probed_and_run_anew():
    counter = Counter(name="counter")
    monitor = probing(counter.n, 2)
    counter.run(RunSteps(2), inline())
    counter.stop()
    monitor.probe(counter.o, 2)
    counter.create_runtime(inline())
    counter.run(RunSteps(2))
    counter.stop()
    assert monitor.get_data()["counter"]["n"][:, 0].tolist() == [111, 222]
    assert monitor.get_data()["counter"]["o"][:, 0].tolist() == [1, 112]


def test_a_var_that_holds_text_is_refused():
    counter, monitor = Counter(name="counter"), Monitor(name="watch")
    with pytest.raises(DtypeError, match=r"Monitor 'watch' cannot probe 'counter\.text', which holds text"):
        monitor.probe(counter.text, 3)
    monitor.probe(counter.number, 3)  # it is as if the other had not been tried
    with counter:
        counter.run(RunSteps(3), Loihi2SimCfg(launcher="inline"))
    assert monitor.get_data()["counter"].keys() == {"number"}


def plastic():
    rule = STDPLoihi(learning_rate=1, A_plus=1, A_minus=-1, tau_plus=2, tau_minus=2)
    return LearningDense(weights=np.eye(2), learning_rule=rule, name="plastic")


def test_a_learning_rule_is_refused():
    with pytest.raises(DtypeError, match=r"'plastic\.dw', which holds text"):
        Monitor().probe(plastic().dw, 3)


def test_a_learning_rule_that_is_not_set_is_refused_when_compiling():
    synapses, monitor = plastic(), Monitor(name="watch")
    monitor.probe(synapses.dd, 3)
    with pytest.raises(
        CompileError, match=r"L403 watch\.source -> plastic\.dd: Var 'plastic\.dd' holds text"
    ):
        synapses.compile(Loihi2SimCfg())


def test_text_that_a_hierarchical_process_stands_for_is_refused_when_compiling():
    outer, monitor = Wrapped(name="outer"), Monitor(name="watch")
    monitor.probe(outer.words, 3)
    with pytest.raises(
        CompileError, match=r"L403 watch\.source -> inner\.text: Var 'inner\.text' holds text"
    ):
        outer.compile(Loihi2SimCfg())


# --- plotting -----------------------------------------------------------------------------


def test_plot_draws_the_record_over_time():
    counter = Counter(name="counter")
    monitor = probing(counter.o, 3)
    counter.run(RunSteps(3), inline())
    counter.stop()
    ax = Figure().add_subplot()
    monitor.plot(ax, counter.o, color="red")
    assert (ax.get_title(), ax.get_xlabel(), ax.get_ylabel()) == ("counter", "Time step", "o")
    first, second = ax.lines
    assert first.get_ydata().tolist() == second.get_ydata().tolist() == [1, 112, 223]
    assert first.get_color() == "red"


def test_plot_takes_what_is_probed():
    counter = Counter(name="counter")
    monitor = probing(counter.o, 3, name="watch")
    with pytest.raises(ValidationError, match=r"Monitor 'watch' does not probe 'counter\.n'.*counter\.o"):
        monitor.plot(Figure().add_subplot(), counter.n)
    with pytest.raises(ArgumentTypeError, match="can probe a Var or an OutPort"):
        monitor.plot(Figure().add_subplot(), "counter.o")


# --- names of members ---------------------------------------------------------------------


def test_members_of_a_monitor_have_the_names_of_the_interface():
    counter = Counter(name="counter")
    monitor = probing(counter.n, 2)
    monitor.probe(counter.o, 2)
    assert monitor.ref_ports.member_names == ["ref_port_0"]
    assert monitor.in_ports.member_names == ["in_port_1"]
    assert set(monitor.vars.member_names) == {"var_read_0", "out_read_1"}
    assert monitor.ref_port_0.get_dst_vars() == [counter.n]
    assert monitor.in_port_1.get_src_ports() == [counter.o]


@pytest.mark.parametrize("options", [{"launcher": "inline"}, {"partitions": 2}], ids=str)
@pytest.mark.parametrize("stride", [2, 3, 7])
def test_a_stride_records_every_so_many_steps(options, stride):
    data = np.arange(1.0, 8.0)[np.newaxis]
    source, sink = (
        SourceRingBuffer(data=data, name="source"),
        SinkRingBuffer(shape=(1,), buffer=7, name="sink"),
    )
    source.s_out.connect(sink.a_in)
    monitor = Monitor()
    monitor.probe(source.s_out, 7, stride=stride)
    monitor.probe(sink.data, 7, stride=stride)
    source.run(RunSteps(4), Loihi2SimCfg(select_tag="floating_pt", **options))
    source.run(RunSteps(3))
    source.stop()
    recorded = monitor.get_data()
    assert recorded["source"]["s_out"][:, 0].tolist() == list(range(1, 8, stride))
    filled = np.count_nonzero(recorded["sink"]["data"][:, 0], axis=1)
    assert filled.tolist() == list(range(1, 8, stride))


@pytest.mark.parametrize("stride", [0, -1, 1.5, True])
def test_a_stride_is_a_positive_integer(stride):
    with pytest.raises(ValidationError, match=r"Monitor\.probe\.stride"):
        Monitor().probe(LIF(shape=(1,)).v, 3, stride=stride)
