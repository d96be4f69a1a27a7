"""Sparse: the same as Dense at the cost of its synapses; entries of the Var; validation."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import coo_matrix, csc_matrix, csr_array, csr_matrix
from support.connections import Experiment, config, outputs

from lahar.processes import Dense, Monitor, Read, Reset, SignMode, Sparse
from lahar.processes.errors import (
    ArgumentTypeError,
    DtypeError,
    LaharWarning,
    ModelError,
    ShapeError,
    ValidationError,
)
from lahar.processes.model import LoihiProtocol, implements, tag
from lahar.processes.sparse import (
    AbstractPySparseModelBitAcc,
    AbstractPySparseModelFloat,
    PySparseModelBitAcc,
    PySparseModelFloat,
)
from lahar.runtime import RunSteps

TAGS = ["floating_pt", "fixed_pt"]


@st.composite
def networks(draw):
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    m, n = draw(st.sampled_from([(1, 1), (1, 9), (4, 7), (6, 2)]))
    tag = draw(st.sampled_from(TAGS))
    weights = rng.normal(scale=9, size=(m, n)) if tag == "floating_pt" else rng.integers(-300, 300, (m, n))
    weights = weights * (rng.random((m, n)) < draw(st.sampled_from([0.3, 1.0])))
    data = rng.integers(-(2**20), 2**20, (n, 5)) * (rng.random((n, 5)) < 0.5)
    options = {
        "num_message_bits": draw(st.sampled_from([0, 8])),
        "weight_exp": draw(st.sampled_from([0, 3, 30, -4])),
        "num_weight_bits": draw(st.sampled_from([8, 5])),
    }
    return weights, data, options, tag


@settings(deadline=None, max_examples=40)
@given(networks())
@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
def test_sparse_has_the_bits_of_dense(network):
    weights, data, options, tag = network
    got = outputs(Sparse(weights=csr_matrix(weights), **options), data, tag)
    np.testing.assert_array_equal(got, outputs(Dense(weights=weights, **options), data, tag))


def test_signs_are_determined_before_the_weights_become_integers():
    weights = np.array([[-0.4, 3.7]])
    data = np.eye(2, dtype=int)
    assert outputs(Sparse(weights=weights), data, "fixed_pt").T.tolist() == [[0, 2]]  # mixed: even
    with pytest.warns(LaharWarning, match="lose digits"):
        assert outputs(Dense(weights=weights), data, "fixed_pt").T.tolist() == [[0, 3]]


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_float_computes_in_the_type_of_the_weights(dtype):
    weights = np.array([[0.1, 0.2, 1e9]], dtype)
    got = outputs(Sparse(weights=weights), np.ones((3, 1)), "floating_pt")
    assert got[0, 0] == (1e9 if dtype is np.float32 else 0.1 + 0.2 + 1e9)


def test_integer_weights_are_added_as_integers_in_floating_point():
    big = 2**53
    assert outputs(Sparse(weights=np.array([[big, 1, 1]])), np.ones((3, 1)), "floating_pt") == big + 2


# --- the Var ---------------------------------------------------------------------------------


STORED = csr_matrix((np.array([3.0, 0.0, -300.0, 0.5]), ([0, 0, 1, 1], [0, 2, 1, 2])), shape=(2, 3))


def coordinates(matrix):
    coo = matrix.tocoo()
    return list(zip(coo.row.tolist(), coo.col.tolist(), strict=True))


def test_weights_are_copied_and_not_handed_on():
    weights = STORED.copy()
    sparse = Sparse(weights=weights)
    weights.data[:] = 0
    assert sparse.weights.get().data.tolist() == [3.0, 0.0, -300.0, 0.5]
    assert "weights" not in sparse.proc_params
    assert (sparse.s_in.shape, sparse.a_out.shape) == ((3,), (2,))


@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
def test_weights_that_became_zero_are_still_entries():
    with Experiment(Sparse(weights=STORED), np.ones((3, 2), int), "fixed_pt") as experiment:
        experiment.run(1)
        got = experiment.connection.weights.get()
        assert coordinates(got) == coordinates(STORED)
        assert got.data.tolist() == [2, 0, -256, 0]
        assert got.dtype == np.int32


@pytest.mark.parametrize("weights", [csr_matrix((2, 3)), np.zeros((2, 3))])
@pytest.mark.parametrize("tag", TAGS)
def test_a_matrix_without_entries(weights, tag):
    with Experiment(Sparse(weights=weights), np.ones((3, 2), int), tag) as experiment:
        assert not experiment.run(3).any()
        got = experiment.connection.weights.get()
        assert got.nnz == 0
        experiment.connection.weights.set(got)


@pytest.mark.parametrize("tag", TAGS)
def test_weights_are_set_again_and_again(tag):
    weights = csr_matrix(np.array([[2.0, 0.0], [4.0, 6.0]]))
    with Experiment(Sparse(weights=weights), [[1], [1]], tag) as experiment:
        experiment.run(1)
        for data in ([0.0, 8.0, 0.0], [2.0, 0.0, 4.0]):
            new = experiment.connection.weights.get().astype(float)
            new.data[:] = data
            experiment.connection.weights.set(new)
            assert experiment.run(2)[1].tolist() == [data[0], data[1] + data[2]]
            assert experiment.connection.weights.get().data.tolist() == data


@pytest.mark.parametrize("tag", TAGS)
def test_buffered_input_was_weighted_by_the_old_weights(tag):
    weights = csr_matrix(np.array([[2.0, 4.0]]))
    with Experiment(Sparse(weights=weights), [[1], [1]], tag) as experiment:
        experiment.run(1)
        experiment.connection.weights.set(weights * 10)
        experiment.connection.a_buff.set(experiment.connection.a_buff.get() + 1)
        assert experiment.run(2).tolist() == [[7], [60]]


@pytest.mark.parametrize("tag", TAGS)
def test_other_entries_are_refused_and_the_run_goes_on(tag):
    with Experiment(
        Sparse(weights=np.array([[2, 0, 4]]), name="syn"), np.ones((3, 1), int), tag
    ) as experiment:
        experiment.run(1)
        with pytest.raises(
            ShapeError, match=r"'syn\.weights' stores 2 entries, the value given 3, 1 of them"
        ):
            experiment.connection.weights.set(csr_matrix(np.array([[2, 1, 4]])))
        with pytest.raises(DtypeError, match=r"'syn\.weights' is sparse"):
            experiment.connection.weights.set(np.array([[2, 0, 4]]))
        assert experiment.run(1).tolist() == [[6]]


def test_weights_set_outside_the_grid_are_used_with_one_warning():
    with Experiment(Sparse(weights=np.array([[-2, 4]]), name="syn"), [[1], [0]], "fixed_pt") as experiment:
        experiment.run(1)
        with pytest.warns(LaharWarning, match=r"Sparse 'syn': 2 of 2 weights that were set.*worst is 999"):
            experiment.connection.weights.set(csr_matrix(np.array([[999, 3]])))
        assert experiment.run(2)[1].tolist() == [999]


def test_the_number_of_message_bits_is_read_every_step():
    with Experiment(Sparse(weights=np.array([[2]])), [[3]], "fixed_pt") as experiment:
        assert experiment.run(2).tolist() == [[0], [2]]
        experiment.connection.num_message_bits.set(np.array([8]))
        assert experiment.run(2).tolist() == [[2], [6]]


def test_others_see_sparse_weights_as_a_full_array():
    sparse, monitor, read = Sparse(weights=STORED, name="syn"), Monitor(), Read(buffer=1)
    monitor.probe(sparse.weights, 1)
    read.connect_var(sparse.weights)
    with sparse:
        sparse.run(RunSteps(1), config("floating_pt"))
        for got in (monitor.get_data()["syn"]["weights"][0], read.data.get()[..., 0]):
            np.testing.assert_array_equal(got, STORED.toarray())


def test_a_full_array_cannot_be_written_into_sparse_weights():
    sparse, reset = Sparse(weights=STORED, name="syn"), Reset()
    reset.connect_var(sparse.weights)
    with pytest.raises(ModelError, match=r"'syn\.weights' is sparse"):
        sparse.run(RunSteps(1), config("floating_pt"))


# --- warnings and validation -----------------------------------------------------------------


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ([[300, 0, -260, 900]], r"Sparse 'syn': 3 of 3 weights are outside \[-256, 255\].*the worst is 900"),
        ([[0.5, -0.25, 0, 0]], "Sparse 'syn': all weights are fractions below 1"),
    ],
)
def test_losses_are_reported(weights, message):
    with pytest.warns(LaharWarning, match=message):
        outputs(Sparse(weights=np.array(weights), name="syn"), np.ones((4, 1), int), "fixed_pt")


def test_ordinary_weights_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        outputs(Sparse(weights=[[3, -5]]), np.ones((2, 1), int), "fixed_pt")


@pytest.mark.parametrize("form", [np.array, csr_matrix, csc_matrix, coo_matrix, csr_array, np.ndarray.tolist])
def test_every_form_of_matrix_is_taken(form):
    sparse = Sparse(weights=form(np.array([[0, 2], [4, 0], [6, 8]])))
    assert type(sparse.weights.init) is csr_matrix
    assert outputs(sparse, np.eye(2, dtype=int), "fixed_pt").T.tolist() == [[0, 2], [4, 0], [6, 8]]


def test_a_vector_is_one_row():
    assert Sparse(weights=np.array([1, 0, 2])).weights.shape == (1, 3)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"weights": np.zeros((2, 2, 2))}, TypeError, r"Sparse\.weights must have two dimensions"),
        ({"weights": 3}, ShapeError, r"Sparse\.weights.*number"),
        ({"weights": [[1], [1, 2]]}, ShapeError, r"Sparse\.weights: not a matrix"),
        ({"weights": np.eye(2) * 1j}, ArgumentTypeError, "real numbers"),
        ({"weights": csr_matrix(np.eye(2) * 1j)}, ArgumentTypeError, "real numbers"),
        ({"weights": np.eye(2), "sign_mod": None}, TypeError, "Sparse has no argument 'sign_mod'.*sign_mode"),
        ({"weights": np.eye(2), "sign_mode": 1}, ArgumentTypeError, "SignMode"),
        ({"weights": np.eye(2), "num_weight_bits": 9}, ValidationError, "num_weight_bits.*EXCITATORY"),
        ({"weights": np.eye(2), "num_message_bits": 1.5}, ArgumentTypeError, r"Sparse\.num_message_bits"),
    ],
)
def test_arguments_are_validated_on_construction(arguments, error, match):
    with pytest.raises(error, match=match):
        Sparse(**arguments)


def test_nine_bits_keep_odd_mixed_weights():
    assert outputs(
        Sparse(weights=[[-3, 5]], num_weight_bits=9), np.eye(2, dtype=int), "fixed_pt"
    ).tolist() == [
        [-3],
        [5],
    ]


def test_a_model_without_a_given_sign_mode_finds_it():
    model = PySparseModelBitAcc({})
    model.weights = csr_matrix(np.array([[-0.5, 3.0]]))
    model.on_build()
    assert model.sign_mode is SignMode.MIXED


def test_models_send_before_they_receive():
    assert PySparseModelFloat.min_delay == PySparseModelBitAcc.min_delay == 1


class GrowingSparse(Sparse):
    """Weights grow by one in every time step."""


@implements(proc=GrowingSparse, protocol=LoihiProtocol)
@tag("floating_pt")
class GrowingModelFloat(AbstractPySparseModelFloat):
    def run_spk(self):
        super().run_spk()
        self.weights.data += 1


@implements(proc=GrowingSparse, protocol=LoihiProtocol)
@tag("fixed_pt")
class GrowingModelFixed(AbstractPySparseModelBitAcc):
    def run_spk(self):
        super().run_spk()
        self.weights.data += 1


@pytest.mark.parametrize("select_tag", TAGS)
def test_a_subclass_may_change_weights_in_place(select_tag):
    got = outputs(GrowingSparse(weights=np.array([[2.0, 4.0]])), np.ones((2, 4), int), select_tag)
    assert got.tolist() == [[6], [8], [10], [12]]
