"""Spiker, IdBroadcast, and Spiker32bit as far as it goes."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.populations import Trial

from lahar.processes import IdBroadcast, Spiker, Spiker32bit
from lahar.processes.errors import ArgumentTypeError, NoProcessModelFound, ShapeError, ValidationError

TAGS = [None, "floating_pt", "fixed_pt", "bit_accurate_loihi"]


@pytest.mark.parametrize("tag", TAGS)
def test_period_and_payload_of_each_neuron(tag):
    process = Spiker(shape=(4,), period=[1, 2, 3, 0], payload=[1, -2, 2**30, 5])
    with Trial(process, {}, tag) as trial:
        sent, state = trial.run(8).sent(), trial.state()
    hits = np.array(
        [[0, 1, 1, 1, 1, 1, 1, 1], [0, 0, 1, 0, 1, 0, 1, 0], [0, 0, 0, 1, 0, 0, 1, 0], [1] + [0] * 7]
    )
    assert sent.tolist() == (hits * np.array([[1], [-2], [2**30], [5]])).tolist()
    assert state["counter"].tolist() == [1, 2, 2, 8]
    assert {value.dtype.type for value in state.values()} == {np.int64}


def test_defaults():
    with Trial(Spiker(), {}, "fixed_pt") as trial:
        assert trial.run(21).sent().nonzero()[1].tolist() == [10, 20]
        assert trial.process.proc_params.keys() == {"shape", "name", "log_config"}


def test_parameters_must_fit():
    with pytest.raises(ShapeError, match="'cell': period has shape"):
        Spiker(shape=(2,), period=[1, 2, 3], name="cell")


@pytest.mark.parametrize("tag", TAGS)
def test_ids_are_passed_on_and_shown(tag):
    sender = Spiker(period=2, payload=7)
    with Trial(IdBroadcast(), {}, tag) as trial:
        sender.s_out.connect(trial.process.a_in)
        assert trial.run(5).sent().tolist() == [[0, 0, 7, 0, 7]]
        assert trial.state()["val"].tolist() == [7]


@pytest.mark.parametrize("cls", [Spiker, IdBroadcast])
def test_any_other_tag_will_do(cls):
    with Trial(cls(), {}, "anything", outputs=[]) as trial:
        trial.run(3)


@given(st.lists(st.integers(-(2**31), 2**31 - 1), min_size=1, max_size=5))
def test_sign_of_32_bit_payloads(payload):
    process = Spiker32bit(shape=(len(payload),), payload=payload)
    assert process.proc_params["signed"] == (min(payload) < 0)
    assert process.proc_params["payload"].tolist() == payload
    assert process.proc_params["period"].tolist() == [1]


@pytest.mark.parametrize("payload", [2**32, -(2**31) - 1, [-1, 2**31]])
def test_payloads_of_more_than_32_bits_are_refused(payload):
    with pytest.raises(ValidationError, match=r"Spiker32bit\.payload: must lie in \[-2\*\*31, \d+\]"):
        Spiker32bit(payload=payload)


def test_largest_payloads():
    assert not Spiker32bit(payload=2**32 - 1).proc_params["signed"]
    assert Spiker32bit(payload=-(2**31)).proc_params["signed"]
    with pytest.raises(ArgumentTypeError, match=r"Spiker32bit\.period must hold integers"):
        Spiker32bit(period="often")


def test_there_is_no_model_for_32_bits():
    with Trial(Spiker32bit(), {}) as trial, pytest.raises(NoProcessModelFound):
        trial.run(1)
