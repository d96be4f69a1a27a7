"""What fixed-point connections share; most of it is tested with Dense and Sparse."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from support.connections import Experiment, outputs

from lahar.processes import Dense, SignMode, Sparse
from lahar.processes.errors import LaharWarning
from lahar.processes.fixed_connection import AbstractFixedConnectionModel


def test_a_model_says_how_it_adds():
    model = AbstractFixedConnectionModel({})
    with pytest.raises(NotImplementedError, match="AbstractFixedConnectionModel must define weighted_sum"):
        model.weighted_sum(None, False, int)


# --- sums that wrap ------------------------------------------------------------------------


@st.composite
def sums(draw):
    """Return weights, inputs of one time step, exponent, and whether inputs are graded."""
    pre, post = draw(st.integers(1, 4)), draw(st.integers(1, 3))
    weights = draw(st.lists(st.integers(-128, 127), min_size=pre * post, max_size=pre * post))
    graded = draw(st.booleans())
    edge = 2**31 // 256 if graded else 1
    inputs = st.one_of(st.integers(-3, 3), st.integers(edge - 9, edge + 9), st.integers(-(2**31), 2**31 - 1))
    data = draw(st.lists(inputs, min_size=pre, max_size=pre))
    exponent = draw(st.integers(-4, 4) if graded else st.integers(18, 26))
    return 2 * np.array(weights).reshape(post, pre), np.array(data), exponent, graded


@settings(max_examples=60)
@given(sums(), st.sampled_from([Dense, Sparse]))
def test_sums_that_wrap_are_pointed_out_and_no_others(case, kind):
    weights, inputs, exponent, graded = case
    connection = kind(
        weights=csr_matrix(weights) if kind is Sparse else weights,
        weight_exp=exponent,
        num_message_bits=24 * graded,
        sign_mode=SignMode.MIXED,
        name="synapses",
    )
    exact = weights.astype(object) @ (inputs if graded else inputs != 0).astype(object)
    exact = exact * 2 ** max(exponent, 0)
    wraps = any(not -(2**31) <= int(x) < 2**31 for x in exact)
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        outputs(connection, np.stack([inputs, inputs], axis=1), "fixed_pt")
    found = [str(w.message) for w in said if "do not fit into 32 bits" in str(w.message)]
    assert len(found) == wraps
    if wraps:
        assert found[0].startswith(f"{kind.__name__} 'synapses': ")


def test_weights_that_were_set_count():
    dense = Dense(weights=[[2, -2]], num_message_bits=24, name="synapses")
    with Experiment(dense, [[2**20] * 3, [0] * 3], "fixed_pt") as experiment:
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            experiment.run(2)
        dense.weights.set(np.array([[4096, 0]]))
        with pytest.warns(LaharWarning, match="the worst is 4294967296"):
            experiment.run(1)
