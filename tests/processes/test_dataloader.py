"""Data loaders: which sample and label are sent or written when."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lahar.processes import LIF, SinkRingBuffer, SpikeDataloader, StateDataloader
from lahar.processes.dataloader import AbstractPyDataloader
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ShapeError, StateError, ValidationError
from lahar.runtime import Loihi2SimCfg, RunSteps

pytestmark = pytest.mark.filterwarnings("ignore:.*ground_truth' sends float64")


def record(loader, runs, tag):
    """Return what was sent, time first: samples (None if there is no such port) and labels."""
    sinks = []
    for port in (getattr(loader, "s_out", None), loader.ground_truth):
        sink = None
        if port is not None:
            sink = SinkRingBuffer(shape=port.shape, buffer=sum(runs))
            port.connect(sink.a_in)
        sinks.append(sink)
    with loader:
        for steps in runs:
            loader.run(RunSteps(steps), Loihi2SimCfg(select_tag=tag, launcher="inline"))
        return [sink and np.moveaxis(sink.data.get(), -1, 0) for sink in sinks]


@settings(deadline=None, max_examples=30)
@given(
    st.integers(0, 2**32 - 1),
    st.lists(st.integers(0, 6), min_size=1, max_size=3),
    st.integers(1, 5),
    st.integers(-3, 9),
    st.sampled_from(["floating_pt", "fixed_pt", None]),
)
@pytest.mark.filterwarnings("ignore:.*ground_truth' sends float64")
def test_samples_are_cut_or_padded_and_start_over(seed, lengths, interval, offset, tag):
    rng = np.random.default_rng(seed)
    dataset = [(rng.integers(-9, 9, (2, 3, length)), int(rng.integers(1, 9))) for length in lengths]
    loader = SpikeDataloader(dataset=dataset, interval=interval, offset=offset)
    sent, labels = record(loader, [5, 12], tag)
    loaded = offset % interval + 1  # at the end of this time step, and then every interval
    for t in range(1, 18):
        number, position = divmod(t - loaded - 1, interval)
        sample, label = dataset[number % len(dataset)] if number >= 0 else (np.zeros((2, 3, 0)), 0)
        np.testing.assert_array_equal(
            sent[t - 1], sample[..., position] if position < sample.shape[-1] else 0
        )
        assert labels[t - 1].tolist() == [label]


@settings(deadline=None, max_examples=30)
@given(
    st.integers(1, 3),
    st.integers(1, 5),
    st.integers(-3, 9),
    st.sampled_from(["floating_pt", "fixed_pt", None]),
)
@pytest.mark.filterwarnings("ignore:.*ground_truth' sends float64")
def test_states_are_written_at_the_end_of_a_step(number, interval, offset, tag):
    dataset = [(np.array([k + 1, -k]), k + 5) for k in range(number)]
    lif = LIF(shape=(2,), du=0, dv=0, vth=99)
    loader = StateDataloader(dataset=dataset, interval=interval, offset=offset)
    loader.connect_var(lif.v)
    expected, label, count, labels = np.zeros(2), 0, 0, []
    sink = SinkRingBuffer(shape=(1,), buffer=12)
    loader.ground_truth.connect(sink.a_in)
    with lif:
        for t in range(1, 13):
            lif.run(RunSteps(1), Loihi2SimCfg(select_tag=tag, launcher="inline"))
            labels.append(label)
            if (t - 1) % interval == offset % interval:
                expected, label = dataset[count % number]
                count += 1
            assert lif.v.get().tolist() == expected.tolist()
        assert lif.v.get().dtype == (np.int32 if tag == "fixed_pt" else np.float64)
        assert sink.data.get()[0].tolist() == labels


def test_the_sample_keeps_its_type_and_is_a_copy():
    sample = np.array([[1.5, 2.5, 3.5]])
    loader = SpikeDataloader(dataset=[(sample, 1)], interval=2)
    sent, _ = record(loader, [4], "fixed_pt")
    assert loader.data.get().tolist() == [[1.5, 2.5]]
    assert sent.ravel().tolist() == [0, 1, 2, 1]
    assert sample.tolist() == [[1.5, 2.5, 3.5]]


def test_padding_has_the_type_of_the_port():
    dataset = [(np.array([[True]]), 1), (np.array([[7, 8, 9]]), 2)]
    loader = SpikeDataloader(dataset=dataset, interval=2)
    sent, _ = record(loader, [5], "fixed_pt")
    assert sent.ravel().tolist() == [0, 1, 0, 7, 8]


def test_the_data_can_be_set():
    loader = SpikeDataloader(dataset=[(np.array([[1, 2]]), 1)], interval=2)
    sink = SinkRingBuffer(shape=(1,), buffer=5)
    loader.s_out.connect(sink.a_in)
    cfg = Loihi2SimCfg(launcher="inline")
    with loader:
        loader.run(RunSteps(2), cfg)
        loader.data.set(np.array([[8, 9]]))
        loader.run(RunSteps(3), cfg)
        assert sink.data.get().ravel().tolist() == [0, 1, 9, 1, 2]


def test_labels_may_be_arrays():
    loader = SpikeDataloader(dataset=[(np.ones((1, 1)), np.array([[0.5, 2], [3, 4]]))])
    assert loader.ground_truth.shape == (2, 2)
    _, labels = record(loader, [2], "floating_pt")
    assert labels.tolist() == [[[0, 0], [0, 0]], [[0.5, 2], [3, 4]]]


def test_labels_that_change_their_shape_are_refused():
    loader = SpikeDataloader(dataset=[(np.ones((1, 1)), 1), (np.ones((1, 1)), [1, 2])], name="loader")
    with pytest.raises(RuntimeError, match=r"'loader': the label of sample 1 has shape \(2,\)"):
        record(loader, [3], "floating_pt")


def test_samples_that_change_their_shape_are_refused():
    loader = SpikeDataloader(dataset=[(np.ones((1, 1)), 1), (np.ones((2, 1)), 1)], name="loader")
    with pytest.raises(RuntimeError, match=r"'loader': sample 1 has shape \(2, 1\), but \(1,\) and time"):
        record(loader, [3], "floating_pt")
    lif = LIF(shape=(1,))
    loader = StateDataloader(dataset=[(np.ones(1), 1), (np.ones(2), 1)], name="loader")
    loader.connect_var(lif.v)
    with pytest.raises(RuntimeError, match=r"'loader': sample 1 has shape \(2,\), the Var \(1,\)"):
        record(loader, [3], "floating_pt")


def test_a_state_loader_without_a_var_warns_and_sends_labels():
    loader = StateDataloader(dataset=[(np.ones(3), 4)], name="loader")
    with pytest.warns(LaharWarning, match="'loader' is connected to no Var"):
        _, labels = record(loader, [2], "floating_pt")
    assert labels.ravel().tolist() == [0, 4]


def test_samples_must_fit_the_var():
    loader, lif = StateDataloader(dataset=[(np.ones(3), 4)], name="loader"), LIF(shape=(2,), name="lif")
    with pytest.raises(
        ShapeError, match=r"'loader': samples have shape \(3,\), Var 'lif\.v' has shape \(2,\)"
    ):
        loader.connect_var(lif.v)
    with pytest.raises(ArgumentTypeError, match="takes exactly one Var"):
        loader.connect_var(None)


def test_a_started_loader_cannot_be_connected():
    loader, lif = StateDataloader(dataset=[(np.ones(2), 4)], name="loader"), LIF(shape=(2,))
    with lif:
        lif.run(RunSteps(1), Loihi2SimCfg(launcher="inline"))
        with pytest.raises(StateError, match="StateDataloader 'loader' cannot be connected"):
            loader.connect_var(lif.v)


@pytest.mark.parametrize("cls", [SpikeDataloader, StateDataloader])
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"dataset": []}, ValidationError, "dataset: holds no sample"),
        ({"dataset": [3]}, ArgumentTypeError, r"dataset\[0\] must be a pair \(array, label\), not a int"),
        ({"dataset": [(1, 2, 3)]}, ArgumentTypeError, r"dataset\[0\] must be a pair"),
        ({"dataset": [(np.array([["a"]]), 1)]}, ArgumentTypeError, r"dataset\[0\] must hold real numbers"),
        ({"dataset": [(np.ones((1, 1)), "x")]}, ArgumentTypeError, r"dataset\[0\] must hold real numbers"),
        ({"interval": 0}, ValidationError, "interval"),
        ({"offset": 0.5}, ArgumentTypeError, "offset"),
    ],
)
def test_arguments_are_validated_on_construction(cls, arguments, error, match):
    with pytest.raises(error, match=match):
        cls(**{"dataset": [(np.ones((1, 1)), 1)], **arguments})


def test_spikes_need_a_time_axis():
    with pytest.raises(ShapeError, match=r"dataset\[0\] has shape \(3,\)"):
        SpikeDataloader(dataset=[(np.ones(3), 1)])


def test_a_model_says_what_it_does_with_a_sample():
    with pytest.raises(NotImplementedError, match="AbstractPyDataloader must define use"):
        AbstractPyDataloader({}).use(None, 0)
