"""ProdNeuron, the graded vectors, NormVecDelay and InvSqrt."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.integers import wrap32
from support.populations import Trial

from lahar.processes import GradedReluVec, GradedVec, InvSqrt, NormVecDelay, ProdNeuron, Spiker
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError, ValidationError
from lahar.processes.graded import clz, inv_sqrt, loihi2round, make_fpinv_table

int32 = st.integers(-(2**31), 2**31 - 1)
rows = st.lists(st.tuples(int32, int32), min_size=3, max_size=8)
TAG = "fixed_pt"


def absolute(x):
    """Of the smallest integer there is none, and the comparison is made with that integer itself."""
    return x if x == -(2**31) else abs(x)


@settings(max_examples=15)
@given(rows, st.integers(0, 2**20), st.integers(0, 12))
def test_prodneuron(pairs, vth, exp):
    first, second = np.array(pairs).T
    with Trial(ProdNeuron((1,), vth=vth, exp=exp), {"a_in1": [first], "a_in2": [second]}, TAG) as trial:
        sent = trial.run().sent()[0].tolist()
        assert trial.state()["v"].tolist() == [0]
    products = [wrap32(a * b) >> exp for a, b in pairs]
    assert sent == [x if absolute(x) > vth else 0 for x in products]


@pytest.mark.parametrize("cls", [ProdNeuron, GradedVec, GradedReluVec, NormVecDelay])
def test_only_what_exceeds_the_threshold_is_sent(cls):
    inputs = {"a_in": [[6, 6, 7]]}
    if cls in (ProdNeuron, NormVecDelay):
        inputs = {"a_in1": [[6, 6, 7]] if cls is ProdNeuron else [[6, 7, 0]], "a_in2": [[1, 1, 1]]}
    with Trial(cls((1,), vth=6), inputs, TAG) as trial:
        assert trial.run().sent().tolist() == [[0, 0, 7]]


def test_exponent_of_prodneuron_is_checked():
    with pytest.raises(ValidationError, match=r"ProdNeuron\.exp: must be at least 0, not -3"):
        ProdNeuron((1,), exp=-3)


@settings(max_examples=10)
@given(st.lists(int32, min_size=3, max_size=8), st.integers(-50, 2**20))
@pytest.mark.parametrize("cls", [GradedVec, GradedReluVec])
def test_graded_vectors(cls, values, vth):
    size = absolute if cls is GradedVec else int
    with Trial(cls((1,), vth=vth), {"a_in": [values]}, TAG) as trial:
        assert trial.run().sent()[0].tolist() == [x if size(x) > vth else 0 for x in values]
        assert trial.state()["v"].tolist() == [0]


@pytest.mark.parametrize("cls", [GradedVec, GradedReluVec])
def test_a_value_that_is_set_is_added_once(cls):
    with Trial(cls((1,)), {"a_in": [[5, 6, 7]]}, TAG) as trial:
        trial.run(1).process.v.set(100)
        assert trial.run(2).sent()[0].tolist() == [5, 106, 7]


def test_several_senders_of_64_bits_are_summed():
    spikers = [Spiker(shape=(1,), period=1, payload=value) for value in (2**31, 5)]
    with Trial(GradedVec((1,)), {}, TAG) as trial:
        for spiker in spikers:
            spiker.s_out.connect(trial.process.a_in)
        assert trial.run(3).sent()[0].tolist() == [0, wrap32(2**31 + 5), wrap32(2**31 + 5)]


@settings(max_examples=15)
@given(rows, st.integers(0, 2**20))
def test_normvecdelay(pairs, vth):
    first, second = np.array(pairs).T
    with Trial(NormVecDelay((1,), vth=vth), {"a_in1": [first], "a_in2": [second]}, TAG) as trial:
        sent = trial.run().sent()[0].tolist()
        assert trial.sent("s2_out")[0].tolist() == [wrap32(a * a) for a, _ in pairs]
        state = trial.state()
    before = [0, *first.tolist()]
    products = [wrap32(v * b) for v, (_, b) in zip(before, pairs, strict=False)]
    assert sent == [x if absolute(x) > vth else 0 for x in products]
    assert (state["v"].item(), state["v2"].item()) == (before[-1], before[-2])


@pytest.mark.parametrize("cls", [GradedVec, GradedReluVec, NormVecDelay, ProdNeuron])
def test_exponents_must_be_integers(cls):
    with pytest.raises(ArgumentTypeError, match=rf"{cls.__name__}\.exp must be an integer, not 0.5"):
        cls((1,), exp=0.5)


# --- InvSqrt -------------------------------------------------------------------------------


def reference_inv_sqrt(x, n_iters=5, digits=12):
    """The recurrence in Python integers; numbers of 24 bits never overflow."""
    m = x.bit_length() - 1
    guess = 2 * int(2**digits / (2 ** ((m - digits) / 2) * 1.238982962))
    y, b = guess // 2, x
    for _ in range(n_iters):
        b = (((b * guess) >> (digits + 1)) * guess) >> (digits + 1)
        guess = (3 << digits) - b
        y = (y * guess) >> (digits + 1)
    return y


@given(st.integers(1, 2**24 - 1), st.integers(0, 6), st.sampled_from([10, 12]))
def test_inverse_square_root_recurrence(x, n_iters, digits):
    assert inv_sqrt(x, n_iters, digits) == reference_inv_sqrt(x, n_iters, digits)


@given(st.integers(2, 2**20))
def test_inverse_square_root_is_close(x):
    assert inv_sqrt(x) == pytest.approx(2**18 / math.sqrt(x), rel=0.02, abs=2)


def test_large_numbers_take_their_guess_from_the_end_of_the_table():
    assert inv_sqrt(2**24, 0) == make_fpinv_table(12)[-1] // 2


@pytest.mark.parametrize("x", [0, -4])
def test_only_positive_numbers_have_an_inverse_square_root(x):
    for function in (inv_sqrt, clz):
        with pytest.raises(ValidationError, match=f"a positive integer expected, not {x}"):
            function(x)


@given(st.integers(1, 2**24 - 1))
def test_leading_zeros(x):
    assert len(f"{x:b}") + clz(x) == 24


def test_table_of_first_guesses():
    table = make_fpinv_table(12)
    assert table.shape == (24,)
    assert table[23 - 12] == 2 * int(4096 / 1.238982962)
    assert (np.diff(table) > 0).all()


@given(st.floats(-1e6, 1e6))
def test_rounding_half_away_from_zero(x):
    rounded = loihi2round(x)
    assert rounded.dtype.kind == "i"
    assert rounded == (int(x + 0.5) if x > 0 else int(x - 0.5))
    assert loihi2round(np.array([x, -x])).tolist() == [rounded, -rounded]


def test_invsqrt_works_element_by_element():
    data = np.array([[0, 1, 9], [1024, 0, 2**24 - 1]])
    with Trial(InvSqrt((2,)), {"a_in": data}, TAG) as trial:
        sent = trial.run().sent()
    assert sent.tolist() == [[reference_inv_sqrt(x) if x else 0 for x in row] for row in data.tolist()]


def test_invsqrt_in_floating_point():
    with Trial(InvSqrt((1,), fp_base=3), {"a_in": [[4.0, 0.0, -1.0]]}) as trial:
        sent = trial.run().sent()[0]
    assert sent[:2].tolist() == [0.5, np.inf]
    assert np.isnan(sent[2])


def test_negative_numbers_are_named():
    with (
        Trial(InvSqrt((2,), name="cell"), {"a_in": [[4], [-9]]}, TAG) as trial,
        pytest.raises(ModelError, match="InvSqrt 'cell': receives -9; there is no square root"),
    ):
        trial.run()


def test_numbers_of_more_than_24_bits_are_pointed_out_once():
    with (
        Trial(InvSqrt((1,), name="cell"), {"a_in": [[2**24, 2**25]]}, TAG) as trial,
        pytest.warns(
            LaharWarning, match="InvSqrt 'cell' receives 16777216: of numbers of more than 24"
        ) as said,
    ):
        trial.run()
    assert len(said) == 1


def test_base_of_invsqrt_must_be_an_integer():
    with pytest.raises(ArgumentTypeError, match=r"InvSqrt\.fp_base must be an integer"):
        InvSqrt((1,), fp_base=None)


def test_another_base_has_no_effect_and_says_so():
    process = InvSqrt((1,), fp_base=10, name="cell")
    with (
        pytest.warns(LaharWarning, match=r"'cell': fp_base=10 has no effect.*2\*\*18 / sqrt"),
        Trial(process, {"a_in": [[1024]]}, TAG) as trial,
    ):
        assert trial.run().sent().tolist() == [[reference_inv_sqrt(1024)]]
