"""DelayDense and DelaySparse: what leaves when, delays that change, validation."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csr_matrix
from support.connections import Experiment, outputs

from lahar.processes import DelayDense, DelaySparse, Dense, SignMode, Sparse
from lahar.processes.delay_dense import PyDelayDenseModelBitAcc, PyDelayDenseModelFloat
from lahar.processes.delay_sparse import PyDelaySparseModelBitAcc, PyDelaySparseModelFloat
from lahar.processes.delays import DelayLineModel
from lahar.processes.errors import ArgumentTypeError, DtypeError, LaharWarning, ShapeError, ValidationError
from lahar.runtime import Loihi2SimCfg, RunSteps

TAGS = ["floating_pt", "fixed_pt"]
KINDS = [DelayDense, DelaySparse]


def build(kind, weights, delays, **options):
    """Construct a connection; for DelaySparse, with just the non-zero weights stored."""
    if kind is DelaySparse:
        weights = csr_matrix(np.asarray(weights))
        if np.ndim(delays):
            rows, cols = weights.nonzero()
            delays = csr_matrix((np.asarray(delays)[rows, cols], (rows, cols)), shape=weights.shape)
    return kind(weights=weights, delays=delays, **options)


@st.composite
def networks(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, n = draw(st.sampled_from([(1, 1), (1, 6), (4, 5)]))
    weights = 2 * rng.integers(-100, 100, (m, n)) * (rng.random((m, n)) < 0.7)
    data = rng.integers(-9, 9, (n, 12)) * (rng.random((n, 12)) < 0.5)
    return weights, rng.integers(0, 5, (m, n)), data


@settings(deadline=None, max_examples=40)
@given(
    networks(),
    st.sampled_from(KINDS),
    st.sampled_from(TAGS),
    st.sampled_from([0, 8]),
    st.sampled_from([0, 7]),
)
def test_input_leaves_one_step_and_its_delay_later(network, kind, tag, bits, max_delay):
    weights, delays, data = network
    synapses = build(
        kind, weights, delays, num_message_bits=bits, max_delay=max_delay, sign_mode=SignMode.MIXED
    )
    x = data if bits else data != 0
    expected = np.zeros((data.shape[1], len(weights)))
    for t in range(data.shape[1]):
        for (i, j), delay in np.ndenumerate(delays):
            if t >= delay:
                expected[t, i] += weights[i, j] * x[j, t - delay]
    np.testing.assert_array_equal(outputs(synapses, data, tag), expected)


@settings(deadline=None, max_examples=40)
@given(
    networks(),
    st.sampled_from([(DelayDense, Dense), (DelaySparse, Sparse)]),
    st.sampled_from(TAGS),
    st.integers(0, 4),
    st.sampled_from([0, 8]),
    st.sampled_from([0, 3, -2]),
)
def test_one_delay_for_all_is_a_connection_that_comes_later(network, kinds, tag, delay, bits, exponent):
    weights, _, data = network
    if tag == "floating_pt":
        weights = weights * 0.1
    delayed, plain = kinds
    options = {"weights": weights, "num_message_bits": bits, "weight_exp": exponent}
    got = outputs(delayed(delays=delay, **options), data, tag)
    expected = outputs(plain(**options), data, tag)
    np.testing.assert_array_equal(got[delay:], expected[: len(expected) - delay])
    assert not got[:delay].any()


def wrapped(value, bits):
    return (value + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("exponent", [0, 21, 40, -3, -40])
def test_fixed_point_wraps_where_the_reference_does(kind, exponent):
    rng = np.random.default_rng(4)
    weights = 2 * rng.integers(-128, 128, (5, 30))
    data = rng.integers(-(2**31), 2**31, (30, 3))
    got = outputs(build(kind, weights, 0, num_message_bits=32, weight_exp=exponent), data, "fixed_pt")
    for t in range(3):
        for i in range(5):
            total = sum(wrapped(int(w) * int(x), 32) for w, x in zip(weights[i], data[:, t], strict=True))
            total = total if kind is DelayDense else wrapped(total, 32)
            assert got[t, i] == wrapped(total << exponent if exponent > 0 else total >> -exponent, 32)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tag", TAGS)
def test_delays_that_are_set_count_from_the_next_input_on(kind, tag):
    synapses = build(kind, [[2, 4]], [[3, 1]], num_message_bits=8)
    data = [[1, 10, 100, 1000, 0, 0, 0, 0], [0] * 8]
    with Experiment(synapses, data, tag) as experiment:
        first = experiment.run(2)
        delays = synapses.delays.get()
        if kind is DelaySparse:
            delays.data[:] = [0, 2]
        else:
            delays = np.array([[0, 2]])
        synapses.delays.set(delays)
        got = np.vstack([first, experiment.run(6)]).ravel()
    assert got.tolist() == [0, 0, 0, 200, 2002, 20, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tag", TAGS)
def test_the_buffer_can_be_set(kind, tag):
    synapses = build(kind, [[2, 4], [6, 8]], 2)
    with Experiment(synapses, [[1, 0, 0], [0, 0, 0]], tag) as experiment:
        experiment.run(1)
        assert synapses.a_buff.get().tolist() == [[0, 0, 2], [0, 0, 6]]
        synapses.a_buff.set(np.array([[1, 2, 3], [4, 5, 6]]))
        assert experiment.run(2).tolist() == [[1, 4], [2, 5]]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tag", TAGS)
def test_synapses_beyond_the_buffer_are_silent_and_reported(kind, tag):
    with pytest.warns(
        LaharWarning, match=r"'syn': 1 of 2 delays are longer than max_delay = 1 \(the longest is 4"
    ):
        synapses = build(kind, [[2, 4]], [[4, 1]], max_delay=1, name="syn")
    assert synapses.a_buff.shape == (1, 2)
    with Experiment(synapses, [[1], [1]], tag) as experiment:
        assert experiment.run(6).ravel().tolist() == [0, 0, 4, 4, 4, 4]
        delays = synapses.delays.get()
        with pytest.warns(LaharWarning, match="'syn': 2 of 2 delays are longer than max_delay = 1"):
            synapses.delays.set(delays * 0 + 9 if kind is DelayDense else delays + delays * 2)
        assert experiment.run(4).ravel().tolist() == [4, 4, 0, 0]


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("tag", TAGS)
def test_negative_delays_cannot_be_set(kind, tag):
    synapses = build(kind, [[2, 4]], [[1, 1]], name="syn")
    with Experiment(synapses, [[1], [1]], tag) as experiment:
        experiment.run(1)
        with pytest.raises(ValidationError, match=r"syn\.delays: must not be negative, as -1 is"):
            synapses.delays.set(-synapses.delays.get())
        assert experiment.run(3).ravel().tolist() == [0, 6, 6]


@pytest.mark.parametrize("kind", KINDS)
def test_fixed_point_reaches_63_steps(kind):
    got = outputs(build(kind, [[2]], 63), np.eye(1, 70, dtype=int), "fixed_pt")
    assert got.ravel().nonzero()[0].tolist() == [63]
    too_long = build(kind, [[2]], 64, name="syn")
    outputs(too_long, [[1]], "floating_pt")
    too_long = build(kind, [[2]], 64, name="syn")
    with pytest.raises(
        RuntimeError, match=r"syn\.delays: the longest delay in fixed point is 63 time steps, not 64"
    ):
        too_long.run(RunSteps(1), Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))


@pytest.mark.parametrize("kind", KINDS)
def test_weights_are_prepared_in_the_first_step(kind):
    synapses = build(kind, [[-3, 5, 900]], 1, name="syn")
    with Experiment(synapses, np.ones((3, 1), int), "fixed_pt") as experiment:
        with pytest.warns(LaharWarning, match=rf"{kind.__name__} 'syn': 1 of 3 weights are outside"):
            experiment.run(1)
        got = synapses.weights.get()
        assert (got.toarray() if kind is DelaySparse else got).tolist() == [[-4, 4, 254]]


# --- the entries of DelaySparse ----------------------------------------------------------------


def test_a_synapse_without_a_stored_delay_has_none():
    weights = csr_matrix(np.array([[2, 4, 8]]))
    delays = coo_matrix((np.array([2, 1, 3]), ([0, 0, 1], [1, 0, 1])), shape=(2, 3))
    weights = csr_matrix((weights.data, weights.indices, [0, 3, 3]), shape=(2, 3))
    got = outputs(
        DelaySparse(weights=weights, delays=delays), np.eye(1, 5, dtype=int).repeat(3, 0), "fixed_pt"
    )
    assert got.tolist() == [[8, 0], [2, 0], [4, 0], [0, 0], [0, 0]]
    with Experiment(
        DelaySparse(weights=weights, delays=csr_matrix((2, 3), dtype=int)), [[1]] * 3, TAGS[0]
    ) as e:
        assert e.run(2)[1].tolist() == [14, 0]
        assert e.connection.delays.get().nnz == 0


def test_one_delay_is_stored_where_weights_are():
    weights = csr_matrix(np.array([[0.0, 4.5], [0, 0]]))
    for delay in (2, np.int32(2), 0):
        delays = DelaySparse(weights=weights, delays=delay).delays.init
        assert delays.data.tolist() == [delay]
        assert delays.dtype == np.int64


def test_a_row_of_delays():
    assert DelaySparse(weights=np.array([1, 2]), delays=[3, 4]).delays.init.toarray().tolist() == [[3, 4]]


# --- validation --------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("delays", [np.array([[1, 2]], np.int32), np.array([[1, 2]], np.uint8), [[1, 2]]])
def test_every_type_of_integer_is_taken(kind, delays):
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        synapses = kind(weights=np.ones((1, 2)), delays=delays)
    assert synapses.a_buff.shape == (1, 3)
    assert synapses.proc_params["max_delay"] == 2


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"delays": -1}, ValidationError, r"delays: must not be negative, as -1 is"),
        ({"delays": np.array([[0, -2]])}, ValidationError, r"delays: must not be negative, as -2 is"),
        ({"delays": np.ones((2, 2), int)}, ShapeError, r"delays must have the shape \(1, 2\) of the weights"),
        (
            {"delays": np.array([[0.5, 1]])},
            DtypeError,
            r"delays must be integers \(time steps\), not float64",
        ),
        ({"delays": [[1], [1, 2]]}, ShapeError, r"delays: not an array"),
        ({"delays": 1, "max_delay": -1}, ValidationError, r"max_delay: must not be negative"),
        ({"delays": 1, "max_delay": 1.5}, ArgumentTypeError, r"max_delay must be an integer"),
        ({"delays": 1, "max_delai": 3}, ArgumentTypeError, "'max_delai'. Did you mean 'max_delay'"),
        ({"delays": 1, "weight_expo": 3}, ArgumentTypeError, "'weight_expo'. Did you mean 'weight_exp'"),
    ],
)
def test_arguments_are_validated_on_construction(kind, arguments, error, match):
    with pytest.raises(error, match=match):
        kind(weights=np.ones((1, 2)), **arguments)


def test_sparse_delays_are_validated():
    with pytest.raises(ShapeError, match=r"DelaySparse\.delays must have the shape \(1, 2\)"):
        DelaySparse(weights=np.ones((1, 2)), delays=csr_matrix((2, 2), dtype=int))
    with pytest.raises(DtypeError, match="not float64"):
        DelaySparse(weights=np.ones((1, 2)), delays=csr_matrix(np.ones((1, 2))))


@pytest.mark.parametrize("method", ["synapses", "contributions", "sum_types"])
def test_a_model_with_delays_says_what_its_synapses_are(method):
    arguments = {"synapses": 0, "contributions": 4, "sum_types": 2}[method]
    with pytest.raises(NotImplementedError, match=f"DelayLineModel must define {method}"):
        getattr(DelayLineModel({}), method)(*[None] * arguments)


@pytest.mark.parametrize(
    "model",
    [
        PyDelayDenseModelBitAcc,
        PyDelayDenseModelFloat,
        PyDelaySparseModelBitAcc,
        PyDelaySparseModelFloat,
    ],
)
def test_models_send_before_they_receive(model):
    assert model.min_delay == 1
