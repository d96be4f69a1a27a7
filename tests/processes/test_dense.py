"""Dense: numerics against numpy formulas, preparation of weights, validation."""

import warnings

import numpy as np
import pytest
import scipy.sparse
from support.connections import Experiment, outputs, wrap32

from lahar.processes import Dense, SignMode, SourceRingBuffer
from lahar.processes.dense import PyDenseModelBitAcc, PyDenseModelFloat
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ShapeError, ValidationError
from lahar.processes.parameters import refuse_unknown_keywords
from lahar.processes.weights import clip_weights, truncate_weights

# --- floating point ------------------------------------------------------------------------


@pytest.mark.parametrize("shape", [(3, 5), (1, 5), (3, 1), (1, 1), (70, 200)])
@pytest.mark.parametrize("bits", [0, 8, -1])
def test_float_output_is_the_weighted_sum_one_step_later(shape, bits):
    rng = np.random.default_rng(0)
    weights = rng.normal(size=shape)
    data = rng.normal(size=(shape[1], 6)) * (rng.random((shape[1], 6)) < 0.4)
    got = outputs(Dense(weights=weights, num_message_bits=bits), data, "floating_pt")
    inputs = data if bits > 0 else (data != 0).astype(float)
    np.testing.assert_allclose(got, (weights @ inputs).T, rtol=1e-12, atol=1e-14)


def test_float_output_has_the_bits_of_a_plain_loop():
    rng = np.random.default_rng(5)
    weights = rng.normal(size=(4, 300))
    data = (rng.random((300, 3)) < 0.5).astype(float)
    got = outputs(Dense(weights=weights), data, "floating_pt")
    for t in range(3):
        for i in range(4):
            total = 0.0
            for j in range(300):
                if data[j, t]:
                    total += weights[i, j]
            assert got[t, i] == total


def test_float_ignores_the_fixed_point_options():
    dense = Dense(weights=[[0.3, -700]], weight_exp=3, num_weight_bits=4, sign_mode=SignMode.EXCITATORY)
    assert outputs(dense, np.array([[1], [1]]), "floating_pt").tolist() == [[0.3 - 700]]


def test_opposite_spikes_of_two_sources_cancel_before_they_are_counted():
    dense = Dense(weights=[[1.0, 10.0]])
    other = SourceRingBuffer(data=np.array([[-1.0], [1.0]]))
    other.s_out.connect(dense.s_in)
    assert outputs(dense, np.array([[1.0], [1.0]]), "floating_pt").tolist() == [[10.0]]


# --- fixed point ---------------------------------------------------------------------------


@pytest.mark.parametrize("mode", [None, *SignMode])
@pytest.mark.parametrize("bits", [8, 5, 1, 0])
def test_fixed_weights_are_clipped_and_truncated_in_the_first_step(mode, bits):
    weights = np.random.default_rng(1).integers(-400, 400, size=(4, 6))
    options = {} if mode is None else {"sign_mode": mode}
    dense = Dense(weights=weights, num_weight_bits=bits, **options)
    held = truncate_weights(clip_weights(weights, mode or SignMode.MIXED, 8), mode or SignMode.MIXED, bits)
    data = np.eye(6, dtype=int)
    with Experiment(dense, data, "fixed_pt") as experiment:
        with pytest.warns(LaharWarning, match="clipped"):
            got = experiment.run(7)
        np.testing.assert_array_equal(dense.weights.get(), held)
    np.testing.assert_array_equal(got[1:], held.T)


@pytest.mark.parametrize(
    ("weights", "held"),
    [
        ([[3, 5]], [[3, 5]]),
        ([[-3, -5]], [[-3, -5]]),
        ([[-3, 5]], [[-4, 4]]),
        ([[-0.9, 5.9]], [[0, 5]]),  # cast to integers first: no negative weight is left
    ],
)
def test_sign_mode_is_determined_from_integer_weights(weights, held):
    dense = Dense(weights=np.array(weights))
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "Var 'Process")  # that digits are lost
        assert outputs(dense, np.eye(2, dtype=int), "fixed_pt").T.tolist() == held


def test_nine_bits_keep_odd_mixed_weights():
    dense = Dense(weights=[[-3, 5]], num_weight_bits=9)
    assert outputs(dense, np.eye(2, dtype=int), "bit_accurate_loihi").T.tolist() == [[-3, 5]]


@pytest.mark.parametrize("exponent", [3, 24, 28, 40, 70, -1, -3, -40, -70])
def test_fixed_binary_exponent(exponent):
    rng = np.random.default_rng(2)
    weights = 2 * rng.integers(-128, 128, size=(5, 8))
    data = (rng.random((8, 6)) < 0.7).astype(int) * rng.integers(-9, 9, size=(8, 6))
    exact = (weights @ (data != 0)).T.astype(object)
    expected = exact * 2**exponent if exponent > 0 else exact // 2**-exponent
    with Experiment(Dense(weights=weights, weight_exp=exponent), data, "fixed_pt") as experiment:
        got = experiment.run(6)
        buffered = experiment.connection.a_buff.get()
    assert got[1:].tolist() == [[wrap32(x) for x in row] for row in expected[:5].tolist()]
    assert buffered.tolist() == [(x + 2**63) % 2**64 - 2**63 for x in expected[5].tolist()]  # not yet wrapped


@pytest.mark.parametrize("exponent", [0, 5, 40, -5, -40])
def test_fixed_graded_wraps_in_32_bits_at_every_stage(exponent):
    rng = np.random.default_rng(3)
    weights = 2 * rng.integers(-128, 128, size=(5, 7))
    data = rng.integers(-(2**31), 2**31, size=(7, 6)) * (rng.random((7, 6)) < 0.6)
    total = [[wrap32(x) for x in row] for row in (weights.astype(object) @ data.astype(object)).T.tolist()]
    expected = [[wrap32(x << exponent) if exponent >= 0 else x >> -exponent for x in row] for row in total]
    got = outputs(Dense(weights=weights, num_message_bits=8, weight_exp=exponent), data, "fixed_pt")
    assert got.tolist() == expected


def test_fixed_graded_refuses_floating_input():
    model = PyDenseModelBitAcc({})
    model.process_name, model.time_step = "syn", 2
    model.a_buff, model.num_message_bits = np.zeros(1, np.int64), np.array([8])
    model.weights = np.ones((1, 1), np.int32)
    model.a_out = type("Out", (), {"send": lambda self, data: None})()
    model.s_in = type("In", (), {"recv": lambda self: np.array([1.5])})()
    with pytest.raises(TypeError, match="'syn' is fixed point and graded, but receives float64"):
        model.run_spk()


def test_a_part_of_the_rows_uses_the_sign_mode_of_the_whole_matrix():
    weights = np.array([[3, 5], [-3, 7]])
    model = PyDenseModelBitAcc({"weights": weights})
    model.time_step, model.weights = 1, weights[:1].astype(np.int32)
    model.prepare_weights()
    assert model.sign_mode is SignMode.MIXED
    assert model.weights.tolist() == [[2, 4]]


# --- state at a pause ----------------------------------------------------------------------


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt"])
def test_buffer_survives_a_pause_and_can_be_set(select_tag):
    with Experiment(Dense(weights=[[2, 4], [6, 8]]), [[1], [0]], select_tag) as experiment:
        assert experiment.run(2).tolist() == [[0, 0], [2, 6]]
        assert experiment.connection.a_buff.get().tolist() == [2, 6]
        assert experiment.run(1).tolist() == [[2, 6]]
        experiment.connection.a_buff.set(np.array([-7, 9]))
        assert experiment.run(2).tolist() == [[-7, 9], [2, 6]]


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt"])
def test_weights_set_at_a_pause_act_on_the_next_input(select_tag):
    with Experiment(Dense(weights=[[2, 4], [6, 8]]), [[1], [0]], select_tag) as experiment:
        experiment.run(1)
        experiment.connection.weights.set(np.array([[10, 0], [20, 0]]))
        assert experiment.run(2).tolist() == [[2, 6], [10, 20]]
        assert experiment.connection.weights.get().tolist() == [[10, 0], [20, 0]]


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt"])
def test_number_of_message_bits_is_read_every_step(select_tag):
    with Experiment(Dense(weights=[[2]]), [[3]], select_tag) as experiment:
        assert experiment.run(2).tolist() == [[0], [2]]
        experiment.connection.num_message_bits.set(np.array([8]))
        assert experiment.run(2).tolist() == [[2], [6]]
        experiment.connection.num_message_bits.set(np.array([-1]))
        assert experiment.run(2).tolist() == [[6], [2]]


def test_weights_set_outside_the_grid_are_used_with_one_warning():
    with Experiment(Dense(weights=[[-2, 4]], name="syn"), [[1], [0]], "fixed_pt") as experiment:
        experiment.run(1)
        with pytest.warns(LaharWarning, match=r"'syn': 2 of 2 weights that were set.*worst is 999"):
            experiment.connection.weights.set(np.array([[999, 3]]))
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            experiment.connection.weights.set(np.array([[1001, 3]]))
        assert experiment.run(2)[1].tolist() == [1001]


def test_legal_weights_are_set_without_a_warning():
    with Experiment(Dense(weights=[[-2, 4]]), [[1], [0]], "fixed_pt") as experiment:
        experiment.run(1)
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            experiment.connection.weights.set(np.array([[-256, 254]]))


# --- warnings of the first step ------------------------------------------------------------


def test_clipping_is_reported_with_count_and_worst_weight():
    dense = Dense(weights=[[300, -260, 100, 900]], name="syn")
    message = r"'syn': 3 of 4 weights are outside \[-256, 255\].*MIXED.*the worst is 900"
    with pytest.warns(LaharWarning, match=message):
        outputs(dense, np.ones((4, 1), int), "fixed_pt")


def test_a_forced_sign_mode_that_loses_signs_is_reported():
    dense = Dense(weights=[[3, -5]], sign_mode=SignMode.EXCITATORY)
    with pytest.warns(LaharWarning, match=r"1 of 2 weights are outside \[0, 255\].*the worst is -5"):
        assert outputs(dense, np.ones((2, 1), int), "fixed_pt").tolist() == [[3]]


def test_fractions_that_all_vanish_are_reported():
    dense = Dense(weights=[[0.5, -0.2]], name="syn")
    with pytest.warns(LaharWarning, match="'syn': all weights are fractions below 1"):
        assert outputs(dense, np.ones((2, 1), int), "fixed_pt").tolist() == [[0]]


def test_ordinary_weights_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs(Dense(weights=[[3, -5]]), np.ones((2, 1), int), "fixed_pt")


# --- validation ----------------------------------------------------------------------------


@pytest.mark.parametrize("weights", [[1, 2], 3, np.zeros((2, 2, 2)), [[1, 2], [3]]])
def test_weights_must_be_a_matrix(weights):
    with pytest.raises(ShapeError, match=r"Dense\.weights"):
        Dense(weights=weights)


def test_sparse_weights_are_sent_to_sparse():
    with pytest.raises(ValidationError, match="use the Process Sparse"):
        Dense(weights=scipy.sparse.eye(3, format="csr"))


def test_weights_must_be_real():
    with pytest.raises(ArgumentTypeError, match="real numbers"):
        Dense(weights=np.eye(2) * 1j)


def test_lists_are_accepted_and_an_array_is_kept_as_it_is():
    assert Dense(weights=[[1, 2, 3]]).weights.shape == (1, 3)
    weights = np.eye(3)
    dense = Dense(weights=weights)
    assert dense.weights.init is weights
    assert dense.proc_params["weights"] is weights
    assert (dense.s_in.shape, dense.a_out.shape) == ((3,), (3,))


@pytest.mark.parametrize(
    ("keyword", "hint"),
    [
        ("sign_mod", "sign_mode"),
        ("weight_expo", "weight_exp"),
        ("weigths", "weights"),
        ("frobnicate", "It takes: weights"),
    ],
)
def test_unknown_keywords_are_refused_with_a_hint(keyword, hint):
    with pytest.raises(TypeError, match=rf"Dense has no argument '{keyword}'.*{hint}"):
        Dense(weights=np.eye(2), **{keyword: 1})


def test_a_subclass_may_take_further_keywords():
    class Own(Dense):
        pass

    assert Own(weights=np.eye(2), frobnicate=3).proc_params["frobnicate"] == 3
    with pytest.raises(ArgumentTypeError, match="'weight_exp'"):
        Own(weights=np.eye(2), weight_exponent=3)
    refuse_unknown_keywords(Own(weights=np.eye(2)), ["alpha"], ["alpha"], ["alpha"])


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"sign_mode": 1}, ArgumentTypeError, "SignMode"),
        ({"weight_exp": 0.5}, ArgumentTypeError, r"Dense\.weight_exp"),
        ({"num_weight_bits": "8"}, ArgumentTypeError, r"Dense\.num_weight_bits"),
        ({"num_weight_bits": 9}, ValidationError, r"Dense\.num_weight_bits.*EXCITATORY"),
        ({"num_weight_bits": -1}, ValidationError, "not -1"),
        ({"num_message_bits": 1.5}, ArgumentTypeError, r"Dense\.num_message_bits"),
    ],
)
def test_options_are_validated_on_construction(options, error, match):
    with pytest.raises(error, match=match):
        Dense(weights=np.eye(2), **options)


def test_sign_mode_none_means_not_given():
    dense = Dense(weights=np.eye(2), sign_mode=None, weight_exp=2.0)
    assert "sign_mode" not in dense.proc_params
    assert dense.proc_params["weight_exp"] == 2
    assert isinstance(dense.proc_params["weight_exp"], int)


def test_models_send_before_they_receive():
    assert PyDenseModelFloat.min_delay == PyDenseModelBitAcc.min_delay == 1


def test_errors_of_a_model_of_the_user_name_the_option():
    with pytest.raises(ArgumentTypeError, match="weight_exp"):
        PyDenseModelBitAcc({"weight_exp": 1.5})


def test_weights_of_the_wrong_shape_cannot_be_set():
    with Experiment(Dense(weights=[[-2, 4]]), [[1], [0]], "fixed_pt") as experiment:
        experiment.run(1)
        with pytest.raises(ShapeError):
            experiment.connection.weights.set(np.ones((3, 3)))
