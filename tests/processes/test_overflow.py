"""What fixed-point connections say of sums that do not fit into 32 bits."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from support.catalogue import rule
from support.connections import Experiment, outputs

from lahar.processes import DelayDense, DelaySparse, Dense, LearningDense, LearningSparse, SignMode, Sparse
from lahar.processes.errors import LaharWarning
from lahar.processes.overflow import OverflowWatch, largest_row_sum

KINDS = [Dense, Sparse, DelayDense, DelaySparse, LearningDense, LearningSparse]


def build(kind, weights, **options):
    if kind in (DelayDense, DelaySparse):
        options["delays"] = 1
    elif kind in (LearningDense, LearningSparse):
        options["learning_rule"] = rule(t_epoch=63)
    return kind(weights=np.asarray(weights), name="syn", **options)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "data", "worst"),
    [
        ({"weight_exp": 24}, [[1], [1]], 250 * 2**24),
        ({"weight_exp": 70}, [[1], [0]], 200 * 2**70),
        ({"num_message_bits": 32}, [[2**24], [-1]], 200 * 2**24 - 50),
        ({"num_message_bits": 32, "weight_exp": -3}, [[-(2**31)], [0]], -200 * 2**31),
    ],
)
def test_the_first_overflow_is_reported(kind, options, data, worst):
    synapses = build(kind, [[200, 50], [2, 2]], **options)
    message = (
        rf"{kind.__name__} 'syn': [12] of \d sums do not fit into 32 bits and wrap; the worst is {worst}\."
    )
    with Experiment(synapses, data, "fixed_pt") as experiment:
        with pytest.warns(LaharWarning, match=message):
            experiment.run(1)
        with warnings.catch_warnings():  # not again
            warnings.simplefilter("error")
            experiment.run(3)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("options", "data"),
    [
        ({"weight_exp": 23}, [[1], [1]]),
        ({"num_message_bits": 32}, [[2**31 // 255], [0]]),
        ({"num_message_bits": 32, "weight_exp": -3}, [[2**23], [2**23]]),
        ({"num_message_bits": 32, "sign_mode": SignMode.EXCITATORY}, [[2**23], [-(2**24)]]),  # cancels
    ],
)
def test_sums_that_fit_are_not(kind, options, data):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs(build(kind, [[200, 50]], **options), np.array(data), "fixed_pt")


@pytest.mark.parametrize(
    ("number", "fits"), [(2**24, False), (2**24 - 1, True), (-(2**24), True), (-(2**24) - 1, False)]
)
def test_the_limits_are_those_of_signed_integers(number, fits):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        outputs(build(Dense, [[128]], num_message_bits=32), [[number]], "fixed_pt")
    assert len(caught) == (not fits)


@pytest.mark.parametrize("kind", KINDS)
def test_weights_that_are_set_are_looked_at(kind):
    synapses = build(kind, [[200]], num_message_bits=32)
    with Experiment(synapses, [[10**6] * 4], "fixed_pt") as experiment:
        experiment.run(2)
        synapses.weights.set(
            csr_matrix([[254 * 20]]) if "Sparse" in kind.__name__ else np.array([[254 * 20]])
        )
        with pytest.warns(LaharWarning, match="1 of . sums do not fit"):
            experiment.run(1)


@settings(deadline=None)
@given(st.integers(0, 2**32 - 1), st.integers(0, 5), st.integers(0, 5))
def test_largest_row_sum(seed, m, n):
    rng = np.random.default_rng(seed)
    weights = rng.integers(-(2**31), 2**31, (m, n)).astype(np.int32)
    expected = max((sum(abs(w) for w in row) for row in weights.tolist()), default=0)
    assert largest_row_sum(weights) == expected
    assert largest_row_sum(np.asfortranarray(weights)) == expected
    assert largest_row_sum(csr_matrix(weights)) == expected


def test_sums_are_formed_again_only_for_inputs_that_could_overflow():
    asked = []

    def sums(dtype):
        asked.append(dtype)
        return np.zeros(1, dtype)

    watch = OverflowWatch(lambda: "Dense 'syn'", 1)
    for spikes, graded in (([2**29 - 1], True), ([1 - 2**29], True), ([2**31 - 1], False), ([], True)):
        watch.look(np.array(spikes), graded, lambda: 2, sums)
    assert not asked
    watch.look(np.array([2**29]), True, lambda: 2, sums)
    assert asked == [np.float64]
