"""NoveltyDetector, Readout, Allocator and PrototypeLIF."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.populations import Trial

from lahar.processes import LIF, Allocator, NoveltyDetector, PrototypeLIF, Readout
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError, ShapeError, ValidationError

TAG = "fixed_pt"
flags = st.lists(st.integers(0, 1), min_size=25, max_size=25)


# --- NoveltyDetector -----------------------------------------------------------------------


@settings(max_examples=25)
@given(flags, flags, st.integers(0, 6))
def test_novelty_is_an_input_that_waits(inputs, outputs, t_wait):
    outputs = [a & b for a, b in zip(outputs, outputs[1:] + outputs[:1], strict=True)]  # rarer
    process = NoveltyDetector(t_wait=t_wait)
    with Trial(process, {"input_aval_in": [inputs], "output_aval_in": [outputs]}, TAG) as trial:
        found = trial.run().sent("novelty_detected_out")[0].tolist()
    since = None  # step of the input that waits
    for step in range(25):
        since = step if inputs[step] else since
        if outputs[step]:
            since, novel = None, 0
        elif since is not None and step - since > t_wait:
            since, novel = None, 1
        else:
            novel = 0
        assert found[step] == novel, step


@pytest.mark.parametrize("tag", ["fixed_pt", "bit_accurate_loihi"])
def test_waiting_time_can_be_set(tag):
    with Trial(NoveltyDetector(t_wait=50), {"input_aval_in": [[1] + [0] * 7]}, tag) as trial:
        trial.run(3).process.t_wait.set(3)
        assert trial.run(5).sent("novelty_detected_out").tolist() == [[0, 0, 0, 0, 1, 0, 0, 0]]


def test_waiting_time_is_checked():
    with pytest.raises(ValidationError, match=r"NoveltyDetector\.t_wait: must be at least 0, not -1"):
        NoveltyDetector(t_wait=-1)
    with pytest.raises(ArgumentTypeError, match=r"NoveltyDetector\.t_wait must be an integer"):
        NoveltyDetector(t_wait=[3])


# --- Readout and Allocator -----------------------------------------------------------------


def read_out(spikes, labels, **kwargs):
    """Return outputs per step as (user_output, feedback, trigger_alloc), and the Vars in the end."""
    spikes = np.array(spikes).T
    process = Readout(n_protos=len(spikes), **kwargs)
    with Trial(process, {"inference_in": spikes, "label_in": [labels]}, TAG) as trial:
        trial.run()
        rows = [trial.sent(port)[0].tolist() for port in ("user_output", "feedback", "trigger_alloc")]
        return list(zip(*rows, strict=True)), trial.state()


def test_pseudo_label_is_replaced_by_the_label_of_the_user():
    rows, state = read_out([[0, 0, 1], [0, 0, 0], [0, 1, 1]], [0, 9, 0])
    assert rows == [(-3, 0, 0), (9, 0, 0), (-2, 0, 0)]
    assert state["proto_labels"].tolist() == [0, -2, 9]
    assert state["last_winner_id"].tolist() == [1]


def test_feedback_tells_right_from_wrong():
    rows, state = read_out([[1, 0], [1, 0], [0, 0]], [5, 4, 5], proto_labels=[5, 0])
    assert rows == [(5, 1, 0), (5, -1, 1), (0, 1, 0)]
    assert state["proto_labels"].tolist() == [5, 0]


def test_a_label_without_any_winner_changes_nothing():
    rows, state = read_out([[0, 0]], [7])
    assert rows == [(0, 0, 0)]
    assert state["proto_labels"].tolist() == [0, 0]


def test_labels_may_be_given_as_a_row():
    rows, _ = read_out([[0, 1]], [0], proto_labels=np.array([[3, 4]]))
    assert rows == [(4, 0, 0)]


def test_allocator_counts_and_warns_beyond_the_last_prototype():
    process = Allocator(n_protos=2, next_alloc_id=1, name="alloc")
    with (
        Trial(process, {"trigger_in": [[1, 0, -1, 1, 1]]}, TAG) as trial,
        pytest.warns(
            LaharWarning, match=r"'alloc': all 2 prototypes are taken.*id 3 \(time step 4\)"
        ) as said,
    ):
        assert trial.run().sent("allocate_out").tolist() == [[1, 0, 2, 3, 4]]
    assert len(said) == 1
    assert process.next_alloc_id.get().tolist() == [5]


@pytest.mark.parametrize("cls", [Readout, Allocator])
def test_number_of_prototypes_is_checked(cls):
    with pytest.raises(ValidationError, match=rf"{cls.__name__}\.n_protos: must be at least 1, not 0"):
        cls(n_protos=0)


def test_labels_and_ids_are_checked():
    with pytest.raises(ShapeError, match="proto_labels has shape"):
        Readout(n_protos=2, proto_labels=[1, 2, 3])
    with pytest.raises(ArgumentTypeError, match=r"Allocator\.next_alloc_id must be an integer"):
        Allocator(n_protos=2, next_alloc_id=1.5)


# --- PrototypeLIF --------------------------------------------------------------------------


def test_without_third_factor_and_reset_it_is_a_lif():
    data = np.random.default_rng(0).integers(-20, 60, (3, 20))
    parameters = {"shape": (3,), "du": 900, "dv": 300, "vth": 70, "bias_mant": 3, "bias_exp": 4}
    with Trial(PrototypeLIF(**parameters), {"a_in": data}, TAG) as trial:
        spikes, state = trial.run().sent(), trial.state()
        assert not trial.sent("s_out_bap").any()
    assert spikes.any()
    with Trial(LIF(**parameters), {"a_in": data}, TAG) as plain:
        np.testing.assert_array_equal(plain.run().sent(), spikes)
        for name in ("u", "v"):
            assert plain.state()[name].tolist() == state[name].tolist()


def test_allocation_replaces_spikes_and_traces():
    ids = np.zeros((3, 4), int)
    ids[0] = [0, 3, 0, 1]
    process = PrototypeLIF(shape=(3,), bias_mant=[0, 100, 0], vth=1, dv=0)
    with Trial(process, {"a_third_factor_in": ids}, TAG) as trial:
        voltage = [trial.run(1).state()["v"].tolist()[1] for _ in range(4)]
        assert trial.sent().T.tolist() == [[0, 1, 0], [0, 0, 1], [0, 1, 0], [1, 0, 0]]
        assert trial.sent("s_out_bap").T.tolist() == [[0, 0, 0], [0, 0, 1], [0, 0, 0], [1, 0, 0]]
        traces = [[0, 0, 0], [0, 0, 127], [0, 0, 127], [127, 0, 0]]
        assert trial.sent("s_out_y1").T.tolist() == traces
        assert not trial.sent("s_out_y2").any()
        assert not trial.sent("s_out_y3").any()
    assert voltage == [0, 100, 0, 100]  # above the threshold, but not reset while another is allocated


def test_reset_clears_the_state_before_the_threshold():
    data = np.full((2, 2), 5)
    process = PrototypeLIF(shape=(2,), vth=2)
    with Trial(process, {"a_in": data, "reset_in": [[0, 1], [0, -1]]}, TAG) as trial:
        assert trial.run().sent().tolist() == [[1, 0], [1, 1]]
        assert trial.state()["u"].tolist()[0] == 0


@pytest.mark.parametrize("number", [3, -1])
def test_an_id_without_a_neuron_is_named(number):
    process = PrototypeLIF(shape=(2,), name="proto")
    with (
        Trial(process, {"a_third_factor_in": [[number]] * 2}, TAG) as trial,
        pytest.raises(ModelError, match=rf"'proto'.*there is no neuron {number} to allocate: ids are 1 to 2"),
    ):
        trial.run()


def test_prototypes_are_a_vector():
    with pytest.raises(ShapeError, match=r"PrototypeLIF\.shape must have one axis"):
        PrototypeLIF(shape=(2, 2))
