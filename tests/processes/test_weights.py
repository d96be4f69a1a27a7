"""Sign modes, clipping, truncation and optimisation of weights."""

import numpy as np
import pytest
import scipy.sparse
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from lahar.processes import Dense, Sparse
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ValidationError
from lahar.processes.weights import (
    OptimizedWeights,
    SignMode,
    check_weight_options,
    clip_weights,
    determine_sign_mode,
    in_blocks,
    optimize_weight_bits,
    to_int32,
    truncate_weights,
    weight_range,
)
from lahar.runtime import Loihi2SimCfg, RunSteps

MODES = st.sampled_from(SignMode)
MATRICES = hnp.arrays(
    np.int64, hnp.array_shapes(min_dims=2, max_dims=2, max_side=5), elements=st.integers(-600, 600)
)
FORMATS = [scipy.sparse.csr_matrix, scipy.sparse.csc_matrix, scipy.sparse.coo_matrix, scipy.sparse.lil_matrix]


def test_sign_mode_numbers():
    assert [(m.name, m.value) for m in SignMode] == [
        ("NULL", 0),
        ("MIXED", 1),
        ("EXCITATORY", 2),
        ("INHIBITORY", 3),
    ]


@pytest.mark.parametrize(
    ("weights", "mode"),
    [
        ([[0, 3]], SignMode.EXCITATORY),
        ([[0, 0]], SignMode.EXCITATORY),
        ([[0, -3]], SignMode.INHIBITORY),
        ([[-1, 1]], SignMode.MIXED),
        (np.zeros((0, 3)), SignMode.EXCITATORY),
    ],
)
def test_sign_mode_is_the_narrowest_that_holds_all(weights, mode):
    assert determine_sign_mode(np.array(weights)) is mode
    assert determine_sign_mode(scipy.sparse.csr_matrix(np.array(weights))) is mode


def test_implicit_zeros_count_for_the_sign_mode():
    assert (
        determine_sign_mode(scipy.sparse.csr_matrix(([5], ([0], [1])), shape=(2, 2))) is SignMode.EXCITATORY
    )
    assert (
        determine_sign_mode(scipy.sparse.csr_matrix(([-5], ([0], [1])), shape=(2, 2))) is SignMode.INHIBITORY
    )


@given(MATRICES, MODES, st.integers(1, 9))
def test_clip_is_the_nearest_legal_weight_and_idempotent(weights, mode, bits):
    low, high = weight_range(mode, bits)
    clipped = clip_weights(weights, mode, bits)
    assert clipped.dtype == np.int32
    assert clipped.tolist() == [[min(max(w, low), high) for w in row] for row in weights.tolist()]
    np.testing.assert_array_equal(clip_weights(clipped, mode, bits), clipped)


def test_clip_limits():
    weights = np.array([-1000, -1, 0, 1, 1000])
    assert clip_weights(weights, SignMode.MIXED, 8).tolist() == [-256, -1, 0, 1, 255]
    assert clip_weights(weights, SignMode.MIXED, 8, learning_simulation=True).tolist() == [
        -256,
        -1,
        0,
        1,
        254,
    ]
    assert clip_weights(weights, SignMode.EXCITATORY, 8, learning_simulation=True).tolist() == [
        0,
        0,
        0,
        1,
        255,
    ]
    assert clip_weights(weights, SignMode.NULL, 8).tolist() == [0, 0, 0, 1, 255]
    assert clip_weights(weights, SignMode.INHIBITORY, 8).tolist() == [-255, -1, 0, 0, 0]


@given(MATRICES, MODES, st.integers(0, 9))
def test_truncation_rounds_to_the_grid(weights, mode, bits):
    grid = 2 ** (8 - bits + (mode is SignMode.MIXED)) if bits <= 8 + (mode is SignMode.MIXED) else None

    def expected(w):
        if grid is None:
            return 0
        return -(-w // grid * grid) if mode is SignMode.INHIBITORY else w // grid * grid

    truncated = truncate_weights(weights, mode, bits)
    assert truncated.dtype == np.int32
    assert truncated.tolist() == [[expected(w) for w in row] for row in weights.tolist()]
    np.testing.assert_array_equal(truncate_weights(truncated, mode, bits), truncated)


def test_truncation_examples():
    assert truncate_weights(np.array([-1, 1, 3, 255]), SignMode.MIXED, 8).tolist() == [-2, 0, 2, 254]
    assert truncate_weights(np.array([-1, 1, 255]), SignMode.MIXED, 9).tolist() == [-1, 1, 255]
    assert truncate_weights(np.array([-3, -1]), SignMode.INHIBITORY, 7).tolist() == [-2, 0]
    assert truncate_weights(np.array([-3.9, 3.9]), SignMode.MIXED, 9).tolist() == [-3, 3]
    assert truncate_weights(np.array([-1, 300]), SignMode.MIXED, 10).tolist() == [0, 0]


@pytest.mark.parametrize("convert", FORMATS)
@given(weights=MATRICES, mode=MODES, bits=st.integers(0, 9))
def test_sparse_agrees_with_dense(convert, weights, mode, bits):
    sparse = convert(weights)
    kept = sparse.toarray().copy()
    np.testing.assert_array_equal(
        truncate_weights(sparse, mode, bits).toarray(), truncate_weights(weights, mode, bits)
    )
    np.testing.assert_array_equal(
        clip_weights(sparse, mode, bits).toarray(), clip_weights(weights, mode, bits)
    )
    np.testing.assert_array_equal(sparse.toarray(), kept)


def test_truncation_stores_no_zeros():
    sparse = scipy.sparse.csr_matrix(np.array([[1, 2], [0, 3]]))
    assert truncate_weights(sparse, SignMode.MIXED, 8).nnz == 2


def test_duplicate_entries_are_summed_before_they_are_truncated():
    sparse = scipy.sparse.coo_matrix(([1, 1], ([0, 0], [1, 1])), shape=(1, 2))
    assert truncate_weights(sparse, SignMode.EXCITATORY, 7).toarray().tolist() == [[0, 2]]


def test_cast_to_int32():
    assert to_int32(np.array([1.9, -1.9, 3e9, -3e9, np.nan])).tolist() == [
        1,
        -1,
        -(2**31),
        -(2**31),
        -(2**31),
    ]
    assert to_int32(np.array([2**31, 2**32 + 5])).tolist() == [-(2**31), 5]


# --- optimize_weight_bits ------------------------------------------------------------------


def test_optimum_of_small_excitatory_weights():
    result = optimize_weight_bits(np.array([[1, 2], [4, 6]]), SignMode.EXCITATORY)
    # 255 / 6 = 42.5: five bits to the left; 1 is odd, hence all of the remaining 8 - 5 = 3 bits.
    assert isinstance(result, OptimizedWeights)
    assert (result.weight_exp, result.num_weight_bits) == (-5, 3)
    assert result.weights.tolist() == [[32, 64], [128, 192]]


def test_optimum_of_mixed_weights_and_second_generation():
    weights = np.array([[-8, 4], [6, 0]])
    result = optimize_weight_bits(weights, SignMode.MIXED)
    # min(127/6, -128/-8) = 16: 4 + 1 bits; the common factor 2 takes one bit off, the sign adds one.
    assert (result.weight_exp, result.num_weight_bits) == (-5, 3)
    assert result.weights.tolist() == [[-256, 128], [192, 0]]
    packed = optimize_weight_bits(weights, SignMode.MIXED, loihi2=True)
    assert packed.weights.tolist() == [[-4, 2], [3, 0]]


@given(MATRICES.map(lambda w: w % 255), st.sampled_from([SignMode.EXCITATORY, SignMode.INHIBITORY]))
def test_optimised_weights_are_the_given_ones_scaled(weights, mode):
    weights = -weights if mode is SignMode.INHIBITORY else weights
    result = optimize_weight_bits(weights, mode)
    assert result.weight_exp <= 0
    np.testing.assert_array_equal(result.weights, weights * 2**-result.weight_exp)
    np.testing.assert_array_equal(clip_weights(result.weights, mode, 8), result.weights)
    np.testing.assert_array_equal(
        truncate_weights(result.weights, mode, result.num_weight_bits), result.weights
    )


@pytest.mark.parametrize(
    ("value", "mode"),
    [
        (256, SignMode.MIXED),
        (-257, SignMode.MIXED),
        (-1, SignMode.EXCITATORY),
        (1, SignMode.INHIBITORY),
        (1, SignMode.NULL),
    ],
)
def test_out_of_range_weights_are_named(value, mode):
    with pytest.raises(ValidationError, match=rf"the weight {value} "):
        optimize_weight_bits(np.array([[0, value]]), mode)


def test_mixed_255_is_refused_instead_of_becoming_zero():
    with pytest.raises(ValidationError, match=r"the weight 255 "):
        optimize_weight_bits(np.array([[-1, 255]]), SignMode.MIXED)


def test_nine_bits_are_refused_for_the_second_generation():
    weights = np.array([[-3, 200]])
    assert optimize_weight_bits(weights, SignMode.MIXED).num_weight_bits == 9
    with pytest.raises(ValidationError, match=r"the weight -3 is odd"):
        optimize_weight_bits(weights, SignMode.MIXED, loihi2=True)


@pytest.mark.parametrize("loihi2", [False, True])
def test_sparse_argument_is_not_changed(loihi2):
    sparse = scipy.sparse.csr_matrix(np.array([[2, 0], [4, 6]]))
    result = optimize_weight_bits(sparse, SignMode.EXCITATORY, loihi2)
    dense = optimize_weight_bits(sparse.toarray(), SignMode.EXCITATORY, loihi2)
    assert sparse.data.tolist() == [2, 4, 6]
    np.testing.assert_array_equal(result.weights.toarray(), dense.weights)
    assert (result.num_weight_bits, result.weight_exp) == (dense.num_weight_bits, dense.weight_exp)


@pytest.mark.parametrize("mode", [1, "MIXED", None])
def test_only_sign_modes_are_accepted(mode):
    for call in (
        lambda: clip_weights(np.eye(2), mode, 8),
        lambda: truncate_weights(np.eye(2), mode, 8),
        lambda: optimize_weight_bits(np.eye(2), mode),
    ):
        with pytest.raises(ArgumentTypeError, match=r"SignMode\.MIXED"):
            call()


# --- options of connections ----------------------------------------------------------------


def test_weight_options():
    assert check_weight_options("Dense") == (0, 8)
    assert check_weight_options("Dense", np.int64(-3), 5.0) == (-3, 5)
    assert check_weight_options("Dense", 0, 9, SignMode.MIXED) == (0, 9)
    assert check_weight_options("Dense", 0, 9, None, np.array([[-1, 1]])) == (0, 9)


@pytest.mark.parametrize(
    ("bits", "mode", "weights"),
    [
        (9, None, None),
        (9, SignMode.EXCITATORY, None),
        (9, None, [[1, 2]]),
        (10, SignMode.MIXED, None),
        (-1, None, None),
    ],
)
def test_impossible_numbers_of_bits(bits, mode, weights):
    with pytest.raises(ValidationError, match=rf"Dense\.num_weight_bits.*not {bits}"):
        check_weight_options("Dense", 0, bits, mode, weights)


@pytest.mark.parametrize("value", [0.5, "3", None])
def test_non_integer_options(value):
    with pytest.raises(ArgumentTypeError, match=r"Dense\.weight_exp"):
        check_weight_options("Dense", value)
    with pytest.raises(ArgumentTypeError, match=r"Dense\.num_weight_bits"):
        check_weight_options("Dense", 0, value)


@pytest.mark.parametrize("shape", [(), (0,), (3, 0), (200_000,), (3, 100_000), (100_000, 3), (2, 3, 40_000)])
@pytest.mark.parametrize("order", "CF")
def test_blocks_are_small_views_that_cover_an_array(shape, order):
    values = np.zeros(shape, np.int32, order)
    for part in in_blocks(values):
        assert part.size <= 1 << 16
        part[...] += 1
    assert (values == 1).all()


def test_an_array_with_gaps_is_one_block():
    values = np.zeros((4, 6), np.int32)
    for part in in_blocks(values[:, ::2]):
        part[...] += 1
    assert values.tolist() == [[1, 0] * 3] * 4


@pytest.mark.parametrize("shape", [(300, 700), (2, 100_000)])
def test_large_weights_are_prepared_like_small_ones(shape):
    weights = np.random.default_rng(0).integers(-256, 256, shape)
    for process, held in ((Dense, np.asarray), (Sparse, lambda m: m.toarray())):
        synapses = process(weights=weights, num_weight_bits=6)
        synapses.run(RunSteps(1), Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))
        expected = truncate_weights(weights, SignMode.MIXED, 6)
        np.testing.assert_array_equal(held(synapses.weights.get()), expected)
        synapses.stop()


@pytest.mark.parametrize("exponent", [513, -513, 10**30])
def test_an_exponent_beyond_all_words_is_refused(exponent):
    with pytest.raises(ValidationError, match=r"Dense\.weight_exp: must be -512 to 512"):
        Dense(weights=[[1]], weight_exp=exponent)
    Dense(weights=[[1]], weight_exp=512 if exponent > 0 else -512)


@pytest.mark.parametrize("connection", [Dense, Sparse])
def test_infinite_weights_are_warned_of(connection):
    weights = np.array([[1.0, np.inf], [0.0, -np.inf]])
    with pytest.warns(LaharWarning, match=rf"{connection.__name__}\.weights: 2 of \d are infinite") as caught:
        connection(weights=weights if connection is Dense else scipy.sparse.csr_matrix(weights))
    assert caught[0].filename == __file__
