"""Injector, Extractor and VarWire: what goes between the program and a running network, with every policy."""

from __future__ import annotations

import threading

import numpy as np
import pytest
from support.deadline import until

from lahar.processes import (
    LIF,
    AbstractProcess,
    ChannelConfig,
    Dense,
    Extractor,
    Injector,
    InPort,
    OutPort,
    ReceiveEmpty,
    ReceiveNotEmpty,
    SendFull,
    SinkRingBuffer,
    SourceRingBuffer,
    VarWire,
)
from lahar.processes import channel_config as cc
from lahar.processes.errors import (
    ArgumentTypeError,
    DtypeError,
    LaharWarning,
    ShapeError,
    StateError,
    UnstartedError,
    ValidationError,
)
from lahar.processes.extractor import PyLoihiExtractorModelAsync
from lahar.processes.injector import PyLoihiInjectorModelAsync
from lahar.processes.model import (
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
)
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps, WorkerPool

WAYS = [{"launcher": "inline"}, {"partitions": 1}, {"partitions": 2}]
every_way = pytest.mark.parametrize("options", WAYS, ids=str)
DROP = ChannelConfig(send_full=SendFull.NON_BLOCKING_DROP)
ZEROS = ChannelConfig(receive_empty=ReceiveEmpty.NON_BLOCKING_ZEROS)
ZEROS_SUM = ChannelConfig(
    receive_empty=ReceiveEmpty.NON_BLOCKING_ZEROS, receive_not_empty=ReceiveNotEmpty.ACCUMULATE
)


@pytest.fixture(scope="module", autouse=True)
def _warm_workers():
    with WorkerPool():
        yield


def array(*values):
    return np.array(values, float)


def send_all(injector, *values):
    for value in values:
        injector.send(array(value))


def started(process, options, **more):
    process.create_runtime(run_cfg=Loihi2SimCfg(**options, **more))
    return process


def injected(options, config=None, buffer_size=50, steps=8):
    """Return an Injector that feeds a sink, started."""
    injector = Injector((1,), buffer_size, config, name="injector")
    sink = SinkRingBuffer(shape=(1,), buffer=steps, name="sink")
    injector.out_port.connect(sink.a_in)
    return started(injector, options), sink


def extracted(options, config=None, buffer_size=50):
    """Return a source that counts from 1 and an Extractor, started."""
    source = SourceRingBuffer(data=np.arange(1.0, 101.0)[np.newaxis], name="source")
    extractor = Extractor((1,), buffer_size, config, name="extractor")
    source.s_out.connect(extractor.in_port)
    return started(source, options, select_tag="floating_pt"), extractor


# --- arguments ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [Injector, Extractor])
@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (([3],), ArgumentTypeError),
        ((3,), ArgumentTypeError),
        (((3.0,),), ArgumentTypeError),
        (((True,),), ArgumentTypeError),
        (((0,),), ValidationError),
        (((2, -1),), ValidationError),
        (((1,), 2.5), ArgumentTypeError),
        (((1,), None), ArgumentTypeError),
        (((1,), True), ArgumentTypeError),
        (((1,), 0), ValidationError),
        (((1,), 5, "fifo"), ArgumentTypeError),
        (((1,), 5, ChannelConfig(send_full=1)), ArgumentTypeError),
        (((1,), 5, ChannelConfig(receive_empty=2)), ArgumentTypeError),
        (((1,), 5, ChannelConfig(receive_not_empty=ReceiveEmpty.BLOCKING)), ArgumentTypeError),
    ],
)
def test_wrong_arguments_are_refused(kind, arguments, error):
    with pytest.raises(error):
        kind(*arguments)


@pytest.mark.parametrize(("arguments", "error"), [((0,), ValidationError), ((5, 7), ArgumentTypeError)])
def test_wrong_arguments_of_a_var_wire_are_refused(arguments, error):
    with pytest.raises(error):
        VarWire(*arguments)


def test_by_default_everything_blocks_and_is_first_in_first_out():
    config = ChannelConfig()
    assert (config.send_full, config.receive_empty, config.receive_not_empty) == (1, 1, 1)
    assert config.get_send_full_function() is cc.send_full_blocking
    assert config.get_receive_empty_function() is cc.receive_empty_blocking
    assert config.get_receive_not_empty_function() is cc.receive_not_empty_fifo


def test_nothing_can_be_exchanged_before_there_is_a_runtime():
    with pytest.raises(UnstartedError, match="Injector 'i': create_runtime"):
        Injector((1,), name="i").send(array(1))
    with pytest.raises(UnstartedError, match="Extractor 'e': create_runtime"):
        Extractor((1,), name="e").receive()


@every_way
def test_what_is_no_array_of_the_shape_is_refused_and_changes_nothing(options):
    injector, sink = injected(options, ZEROS)
    with pytest.raises(ArgumentTypeError, match="'injector' takes an array, not list"):
        injector.send([1.0])
    with pytest.raises(ShapeError, match=r"'injector\.in_port' takes arrays of shape \(1,\), not \(2,\)"):
        injector.send(array(1, 2))
    for values in (["a"], [1j], [None]):
        with pytest.raises(DtypeError, match=r"'injector\.in_port' takes numbers of type \w+, not "):
            injector.send(np.array(values))
    injector.run(RunSteps(2))
    assert not sink.data.get().any()
    injector.stop()


# --- policies ---------------------------------------------------------------------------------------------


@every_way
def test_fifo_and_zeros(options):
    injector, sink = injected(options, ZEROS)
    injector.send(array(1))
    injector.send(array(2))
    injector.run(RunSteps(3))
    injector.send(array(5))
    injector.run(RunSteps(2))
    assert sink.data.get()[0, :5].tolist() == [1, 2, 0, 5, 0]
    injector.stop()


@every_way
def test_accumulate_adds_all_that_is_there(options):
    injector, sink = injected(options, ZEROS_SUM)
    injector.send(array(1))
    injector.send(array(2))
    injector.run(RunSteps(1))
    injector.send(array(5))
    injector.run(RunSteps(3))
    assert sink.data.get()[0, :4].tolist() == [3, 5, 0, 0]
    injector.stop()


@every_way
def test_a_full_injector_that_drops_says_so_and_counts(options):
    config = ChannelConfig(SendFull.NON_BLOCKING_DROP, ReceiveEmpty.NON_BLOCKING_ZEROS)
    injector, sink = injected(options, config, buffer_size=2)
    with pytest.warns(LaharWarning, match=r"'injector\.in_port': the pipe is full") as caught:
        send_all(injector, 1, 2, 3, 4)
    assert len(caught) == injector.dropped == 2
    injector.run(RunSteps(4))
    assert sink.data.get()[0, :4].tolist() == [1, 2, 0, 0]
    injector.send(array(7))  # there is room again
    injector.run(RunSteps(1))
    assert sink.data.get()[0, 4] == 7
    injector.stop()


@every_way
def test_a_full_extractor_that_drops_goes_on_and_counts(options):
    source, extractor = extracted(options, DROP, buffer_size=3)
    if options == {"launcher": "inline"}:
        with pytest.warns(LaharWarning, match=r"'extractor\.out_port': the pipe is full"):
            source.run(RunSteps(8))
    else:
        source.run(RunSteps(8))
    assert extractor.dropped.get().tolist() == [5]
    assert [extractor.receive()[0] for _ in range(3)] == [1, 2, 3]
    source.run(RunSteps(1))
    assert extractor.receive()[0] == 9
    source.stop()


@every_way
def test_receive_takes_all_or_gives_zeros(options):
    source, extractor = extracted(options, ZEROS_SUM)
    assert extractor.receive().tolist() == [0]
    source.run(RunSteps(4))
    assert extractor.receive().tolist() == [10]
    assert extractor.receive().tolist() == [0]
    source.stop()


@every_way
def test_a_var_wire_hands_over_the_var_of_every_step(options):
    lif = LIF(shape=(2,), bias_mant=array(1, 2), vth=100, du=0, dv=0, name="lif")
    wire = VarWire()
    wire.connect_var(lif.v)
    lif.run(RunSteps(3), Loihi2SimCfg(select_tag="floating_pt", **options))
    assert [wire.receive().tolist() for _ in range(3)] == [[1, 2], [2, 4], [3, 6]]
    lif.run(RunSteps(1))
    lif.stop()
    assert wire.receive().tolist() == [4, 8]  # what has arrived outlives the network
    with pytest.raises(StateError, match="was stopped"):
        wire.receive()


# --- blocking -----------------------------------------------------------------------------------------


@every_way
@pytest.mark.parametrize(
    "condition",
    [RunSteps(50), RunSteps(50, blocking=False), RunContinuous()],
    ids=["blocking", "non-blocking", "continuous"],
)
def test_fifty_items_in_order_through_small_buffers(options, condition):
    injector, extractor = Injector((1,), buffer_size=10), Extractor((1,), buffer_size=10)
    dense = Dense(weights=np.eye(1), num_message_bits=24)
    injector.out_port.connect(dense.s_in)
    dense.a_out.connect(extractor.in_port)
    started(injector, options)
    got = []

    def exchange():
        feeder = threading.Thread(target=lambda: [injector.send(array(k)) for k in range(50)])
        feeder.start()
        got.extend(extractor.receive()[0] for _ in range(50))
        feeder.join()

    if condition.blocking:
        other = threading.Thread(target=exchange)
        other.start()
        injector.run(condition)
        other.join()
    else:
        injector.run(condition)
        exchange()
        injector.pause()
    injector.wait()
    assert got == [0.0, *range(49)]  # the Dense is one step of delay
    injector.stop()


@every_way
def test_a_network_that_waits_for_input_can_be_paused_between_steps(options):
    injector, sink = injected(options)
    injector.run(RunContinuous())
    for k in (3, 4):
        injector.send(array(k))
    injector.pause()
    done = injector.runtime.step
    assert sink.data.get()[0, :done].tolist() == [3, 4][:done]
    injector.run(RunSteps(2 - done))
    assert sink.data.get()[0, :2].tolist() == [3, 4]
    injector.stop()


@every_way
def test_a_network_whose_extractor_is_full_can_be_paused_and_goes_on(options):
    source, extractor = extracted(options, buffer_size=2)
    source.run(RunSteps(5, blocking=False))
    assert extractor.receive()[0] == 1
    source.pause()
    assert source.runtime.step <= 3
    left = 5 - source.runtime.step
    source.run(RunSteps(left, blocking=False))
    assert [extractor.receive()[0] for _ in range(4)] == [2, 3, 4, 5]
    source.wait()
    assert source.runtime.step == 5
    source.stop()


@every_way
def test_stop_from_another_thread_ends_a_run_that_waits_for_input(options):
    injector, _ = injected(options)
    stopper = threading.Timer(0.1, injector.stop)
    stopper.start()
    injector.run(RunSteps(3))  # nobody sends
    stopper.join()
    assert injector.runtime.is_closed
    with pytest.raises(StateError, match=r"Cannot send over the pipe of 'injector\.in_port'"):
        injector.send(array(1))


class Relay(AbstractProcess):
    """Passes on what it receives over pipes at both ports, in the middle of a step."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a_in = InPort((1,))
        self.s_out = OutPort((1,))
        self.a_in.flag_external_pipe(buffer_size=5)
        self.s_out.flag_external_pipe(buffer_size=2)


@implements(proc=Relay, protocol=LoihiProtocol)
class RelayModel(PyLoihiProcessModel):
    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def run_spk(self):
        self.s_out.send(self.a_in.recv())


def relay(options):
    process = started(Relay(name="relay"), options)
    return process, process.a_in.external_pipe_csp_send_port, process.s_out.external_pipe_csp_recv_port


@pytest.mark.parametrize("options", WAYS[:2], ids=str)
def test_pipes_of_a_model_of_ones_own(options):
    process, entry, exit_ = relay(options)
    assert (entry.size, entry.shape, entry.d_type) == (5, (1,), np.int32)
    assert (exit_.size, exit_.probe(), exit_.pending) == (2, False, 0)
    process.run(RunSteps(5, blocking=False))
    feeder = threading.Thread(target=lambda: [entry.send(np.array([k + 0.7])) for k in range(5)])
    feeder.start()
    assert exit_.peek().tolist() == [0]
    got = [exit_.recv() for _ in range(5)]
    assert [g.tolist() for g in got] == [[k] for k in range(5)]
    assert got[0].dtype == np.int32
    feeder.join()
    process.wait()
    assert entry.probe()
    process.stop()


@pytest.mark.parametrize("options", WAYS[:2], ids=str)
def test_a_pause_in_the_middle_of_a_step_says_what_it_waits_for_and_ends_with_the_step(options):
    process, entry, exit_ = relay(options)
    process.run(RunContinuous())
    until(process.runtime._network.waits_for_host)
    with pytest.raises(StateError, match=r"Cannot pause: 'relay\.a_in' waits for the host"):
        process.pause()
    with pytest.raises(StateError, match="The network is running"):
        process.run(RunSteps(1))
    entry.send(np.array([8]))
    process.wait()
    assert process.runtime.step == 1
    assert exit_.recv().tolist() == [8]
    process.stop()


@pytest.mark.parametrize("options", WAYS[:2], ids=str)
def test_stop_in_the_middle_of_a_step_does_not_wait(options):
    process, _, exit_ = relay(options)
    process.run(RunContinuous())
    until(process.runtime._network.waits_for_host)
    process.stop()
    assert process.runtime.is_closed
    with pytest.raises(StateError, match=r"Cannot receive over the pipe of 'relay\.s_out'"):
        exit_.recv()


def test_a_pipe_has_room_for_something():
    with pytest.raises(ValidationError, match="a positive integer expected"):
        OutPort((1,)).flag_external_pipe(0)


# --- asynchronous -----------------------------------------------------------------------------------------


@every_way
def test_asynchronous_models_handle_as_many_messages_as_steps_in_every_run(options):
    injector, extractor = Injector((1,)), Extractor((1,))
    injector.out_port.connect(extractor.in_port)
    models = {Injector: PyLoihiInjectorModelAsync, Extractor: PyLoihiExtractorModelAsync}
    started(injector, options, exception_proc_model_map=models)
    for first in (0, 4):
        for k in range(first, first + 4):
            injector.send(array(k))
        injector.run(RunSteps(4))
        assert [extractor.receive()[0] for _ in range(4)] == list(range(first, first + 4))
    injector.stop()
