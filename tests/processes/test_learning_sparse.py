"""LearningSparse: the same as LearningDense at its synapses, whatever the rule."""

from unittest import mock

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix
from support.kernels import only
from support.learning_cases import engine_epoch, epochs, large_epoch, naive_epoch, sign_modes, sparse

from lahar.processes import (
    GradedSpikeCfg,
    LearningDense,
    LearningSparse,
    Loihi2FLearningRule,
    Loihi3FLearningRule,
    Monitor,
    SignMode,
    SinkRingBuffer,
    SourceRingBuffer,
    STDPLoihi,
)
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError, ShapeError, ValidationError
from lahar.processes.kernels import CHOICES
from lahar.processes.learning import sparse_update
from lahar.processes.learning.rule_float import FloatRuleUpdate
from lahar.processes.learning.sparse_update import Synapses, apply_to_synapses
from lahar.processes.learning.traces import History, TraceLayout
from lahar.processes.learning_dense import PyLearningDenseModelFloat
from lahar.runtime import Loihi2SimCfg, RunSteps

TAGS = ["floating_pt", "fixed_pt"]
RULE = Loihi2FLearningRule(
    dw="x0*(-1)*y1 + y0*x1*2^-1 + u1*sgn(w)*t - x0*y0*(w+3)",
    dt="x0*y2*2^-1 - y0*w",
    dd="y0*x1*d*2^-4 + u1*3",
    x1_impulse=16,
    x1_tau=8,
    x2_impulse=5,
    y1_impulse=20,
    y1_tau=11,
    y2_impulse=12,
    y2_tau=7,
    t_epoch=3,
    rng_seed=4,
)


# --- one epoch ------------------------------------------------------------------------------------


@pytest.mark.parametrize(("loops", "chunk"), [("numpy", 1), ("numpy", 4), ("numpy", 1 << 16), ("numba", 4)])
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "float"])
def test_an_epoch_has_the_bits_of_the_dense_formulas(fixed, loops, chunk):
    """In pieces of any size. Each variable has entries of its own; where it has none it is zero for the others."""

    @given(epochs(fixed), sign_modes, st.integers(0, 2**32 - 1), st.booleans())
    @settings(max_examples=200, deadline=None)
    def check(epoch, sign_mode, seed, shared):
        compare_on_entries(*epoch, sign_mode, seed, shared)

    with only(loops) as used, mock.patch.object(sparse_update, "CHUNK", chunk):
        check()
    compiled = {"evolve_fixed", "learn_entries_int32"} if fixed else {"evolve_float", "learn_entries_float64"}
    assert used == (compiled if loops == "numba" else set())


def compare_on_entries(rule, case, sign_mode, seed, shared):
    fixed = case.matrices["tag_1"].dtype.kind == "i"
    rng = np.random.default_rng(seed)
    entries = {}
    for name, matrix in case.matrices.items():
        stored = rng.random(matrix.shape) < rng.choice([0.3, 0.8])
        entries[name] = next(iter(entries.values())) if shared and entries else stored
        matrix[~entries[name]] = 0
    expected, _ = naive_epoch(rule, case, sign_mode, fixed)
    lost = rng.random(np.count_nonzero(entries["weights"])) < rng.choice([0, 0.3])
    before = sparse(case.matrices["weights"], entries["weights"]).data
    result, _, _ = engine_epoch(
        rule, case, sign_mode, fixed, entries=entries, lost=lost if lost.any() else None
    )
    expected["weights"][entries["weights"]] = np.where(
        lost, before, sparse(expected["weights"], entries["weights"]).data
    )
    for name, matrix in expected.items():
        np.testing.assert_array_equal(result[name].data, sparse(matrix, entries[name]).data, err_msg=name)
        assert result[name].nnz == np.count_nonzero(entries[name])


@pytest.mark.parametrize("rate", [0.0, 0.1, 1.0])
@pytest.mark.parametrize("k", [1, 2])
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "float"])
def test_loops_agree_where_entries_are_worked_on_in_pieces(fixed, k, rate):
    """NumPy and compiled loops; with k = 2 products with dependency u do not count."""
    dw = f"x0*(-1)*y1 + y0*x1*2^-1 + u{k}*sgn(w)*t*2^-3 + y0*(w+3)*2^-5"
    rule = Loihi2FLearningRule(
        dw=dw, dt="x0*y2*2^-1 - y0*w*2^-4", x1_impulse=16, y1_impulse=9, t_epoch=3, rng_seed=0
    )
    case = large_epoch((150, 120), rate, fixed)
    stored = np.random.default_rng(1).random((150, 120)) < 0.6
    found = []
    for loops in CHOICES:
        with only(loops) as used:
            result, _, _ = engine_epoch(
                rule, case, SignMode.MIXED, fixed, entries=dict.fromkeys(case.matrices, stored)
            )
        assert (f"learn_entries_{'int32' if fixed else 'float64'}" in used) == (loops == "numba")
        found.append(result)
    for name, matrix in found[0].items():
        np.testing.assert_array_equal(found[1][name].data, matrix.data, err_msg=name)


class Counted(Synapses):
    """Counts the values that are read for a rule."""

    count = 0

    def read(self, target, entries):
        self.count += len(entries)
        return super().read(target, entries)


@pytest.mark.parametrize("dw", ["x0*y1", "y0*x1", "x0*y1 + y0*x1", "u0*x1"])
def test_an_epoch_touches_only_synapses_whose_dependency_fired(dw):
    stored = np.random.default_rng(1).random((40, 50)) < 0.1
    tx, ty = np.zeros(50, int), np.zeros(40, int)
    tx[[3, 4]] = 1
    ty[[7, 20, 39]] = 1
    layout = TraceLayout(50, 40)
    history = History(layout, tx, ty)
    history.table = np.ones((1, layout.size))
    history.pre_rows, history.post_rows = np.zeros(2, int), np.zeros(3, int)
    update = FloatRuleUpdate(Loihi2FLearningRule(dw=dw, rng_seed=0), SignMode.MIXED)
    weights = Counted(sparse(np.zeros(stored.shape), stored))
    tags = {name: Synapses(sparse(np.zeros(stored.shape), stored), weights) for name in ("tag_1", "tag_2")}
    with only("numpy"):
        apply_to_synapses(update, {"weights": weights, **tags}, history, with_u=False, everything=False)
    fired = (("x0" in dw) & (tx[None, :] > 0)) | (("y0" in dw) & (ty[:, None] > 0))
    assert weights.count == np.count_nonzero(stored & fired)
    np.testing.assert_array_equal(weights.matrix.toarray() > 0, stored & fired)


# --- whole networks -------------------------------------------------------------------------------


def run(connection, tag, steps=20, graded=False, seed=3, three_factor=False):
    """Return weights and tags after the run, and everything that was sent and recorded."""
    rng = np.random.default_rng(seed)
    num_post, num_pre = connection.weights.shape
    pre = rng.integers(1, 200, (num_pre, steps)) * (rng.random((num_pre, steps)) < 0.4)
    SourceRingBuffer(data=pre if graded else pre > 0).s_out.connect(connection.s_in)
    SourceRingBuffer(data=rng.random((num_post, steps)) < 0.4).s_out.connect(connection.s_in_bap)
    if three_factor:
        SourceRingBuffer(data=rng.integers(-50, 50, (num_post, steps))).s_out.connect(connection.s_in_y2)
    sink = SinkRingBuffer(shape=(num_post,), buffer=steps)
    connection.a_out.connect(sink.a_in)
    monitor = Monitor()
    for var in (connection.weights, connection.tag_1, connection.tag_2, connection.x1, connection.y1):
        monitor.probe(var, steps)
    with connection:
        connection.run(RunSteps(steps), Loihi2SimCfg(select_tag=tag, launcher="inline"))
    recorded = monitor.get_data()[connection.name]
    return {"sent": sink.data.get(), **recorded}


def matrices(seed=1, shape=(4, 6)):
    rng = np.random.default_rng(seed)
    stored = rng.random(shape) < 0.5
    weights = rng.integers(-60, 60, shape) * 2 * stored
    weights[stored & (weights == 0)] = 2
    return weights, stored


@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize(
    "options",
    [
        {},
        {"sign_mode": SignMode.EXCITATORY},
        {"sign_mode": SignMode.INHIBITORY, "weight_exp": 2},
        {"num_message_bits": 8, "weight_exp": -1, "rounding_seed": 9},
        {"num_message_bits": 8, "graded_spike_cfg": GradedSpikeCfg.ADD_WITHOUT_SATURATION},
    ],
    ids=str,
)
def test_a_network_learns_as_with_dense_synapses(tag, options):
    weights, stored = matrices()
    if options.get("sign_mode") is SignMode.EXCITATORY:
        weights = abs(weights)
    elif options.get("sign_mode") is SignMode.INHIBITORY:
        weights = -abs(weights)
    ones = stored.astype(int)
    tags = {"tag_1": 7 * ones, "tag_2": 20 * ones}
    found = []
    for process, as_stored in ((LearningDense, np.asarray), (LearningSparse, lambda m: sparse(m, stored))):
        arguments = {name: as_stored(m) for name, m in {"weights": weights, **tags}.items()}
        connection = process(**arguments, learning_rule=RULE, **options)
        found.append(run(connection, tag, graded="num_message_bits" in options))
    dense, ours = found
    mask = stored[None]
    for name in ("weights", "tag_1", "tag_2"):
        np.testing.assert_array_equal(ours[name], np.where(mask, dense[name], 0), err_msg=name)
        assert (ours[name][-1] != ours[name][0]).any()
        assert ours[name].dtype == dense[name].dtype
    for name in ("x1", "y1"):
        np.testing.assert_array_equal(ours[name], dense[name], err_msg=name)


@pytest.mark.parametrize("tag", TAGS)
def test_a_full_matrix_gives_all_that_dense_gives(tag):
    weights = np.random.default_rng(0).integers(1, 50, (3, 5)) * 2
    found = [
        run(process(weights=weights, learning_rule=RULE), tag) for process in (LearningDense, LearningSparse)
    ]
    for name, values in found[0].items():
        np.testing.assert_array_equal(found[1][name], values, err_msg=name)


@pytest.mark.parametrize("tag", TAGS)
def test_third_factors_reach_sparse_synapses(tag):
    rule = Loihi3FLearningRule(dw="u0*t*y2*2^-2", dt="x0*2", t_epoch=2, rng_seed=0)
    weights, stored = matrices()
    results = [
        run(LearningDense(weights=weights, tag_1=3 * stored, learning_rule=rule), tag, three_factor=True),
        run(
            LearningSparse(weights=csr_matrix(weights), tag_1=3 * stored, learning_rule=rule),
            tag,
            three_factor=True,
        ),
    ]
    np.testing.assert_array_equal(results[1]["weights"], results[0]["weights"] * stored)


def sparse_network(weights, tag="fixed_pt", dw="u0*2", **kwargs):
    rule = Loihi2FLearningRule(dw=dw, rng_seed=0)
    connection = LearningSparse(weights=weights, learning_rule=rule, **kwargs)
    connection.run(RunSteps(2), Loihi2SimCfg(select_tag=tag, launcher="inline"))
    return connection


@pytest.mark.parametrize("tag", TAGS)
def test_stored_zeros_learn_and_absent_synapses_do_not(tag):
    stored = np.array([[True, True], [False, True]])
    with sparse_network(sparse(np.array([[0, 8], [0, 0]]), stored), tag) as connection:
        found = connection.weights.get()
        assert (found.nnz, found.toarray().tolist()) == (3, [[4, 12], [0, 4]])
        assert connection.tag_1.get().nnz == 3


def test_a_weight_lost_to_truncation_learns_again_when_it_is_set():
    with sparse_network(np.array([[1, 8]])) as connection:  # mixed signs: the lowest bit is dropped
        found = connection.weights.get()
        assert found.toarray().tolist() == [[0, 12]]
        found.data[:] = [5, 0]
        connection.weights.set(found)
        connection.run(RunSteps(1))
        assert connection.weights.get().toarray().tolist() == [[7, 2]]


@pytest.mark.parametrize("tag", TAGS)
def test_set_takes_the_same_entries_only_and_keeps_the_type(tag):
    with sparse_network(csr_matrix(np.array([[1, 8], [0, 4]])) * 2, tag) as connection:
        value = connection.weights.get()
        value.data[:] = 10
        connection.weights.set(value.astype(float))
        connection.run(RunSteps(1))
        found = connection.weights.get()
        assert found.toarray().tolist() == [[12, 12], [0, 12]]
        assert found.dtype == (np.int32 if tag == "fixed_pt" else np.float64)
        with pytest.raises(ShapeError, match="entries"):
            connection.tag_1.set(csr_matrix(np.eye(2)))


@pytest.mark.parametrize("weights", [np.array([[1.0, 0, 4]]), np.array([[1, 0, 4]]), csr_matrix([[1, 0, 4]])])
def test_floating_point_learns_fractions_whatever_the_type_of_the_weights(weights):
    with sparse_network(weights, "floating_pt", dw="u0*2^-2") as connection:
        assert connection.weights.get().toarray().tolist() == [[1.5, 0, 4.5]]


def test_constant_rules_and_scalar_tags():
    with sparse_network(np.array([[2, 0], [2, 2]]), "floating_pt", dw="u0*t", tag_1=3) as connection:
        assert connection.weights.get().toarray().tolist() == [[8, 0], [8, 8]]


def test_an_empty_matrix_learns_nothing():
    with sparse_network(csr_matrix((2, 3)), "floating_pt", dw="u0+x0*y1") as connection:
        assert connection.weights.get().nnz == 0


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"learning_rule": None}, ValidationError, "LearningSparse.learning_rule: is None"),
        ({"weights": 3}, ShapeError, "LearningSparse.weights"),
        ({"weights": np.ones((1, 2, 3))}, ArgumentTypeError, "two dimensions"),
        ({"tag_1": np.ones((3, 2))}, ShapeError, r"LearningSparse\.tag_1 must have the shape \(2, 3\)"),
        ({"tag_2": np.array([["a"]])}, ArgumentTypeError, "LearningSparse.tag_2 must hold real numbers"),
        ({"sign_mode": SignMode.NULL}, ValidationError, "sign_mode"),
        ({"num_weight_bits": 10}, ValidationError, "num_weight_bits"),
        ({"weight_expo": 1}, ArgumentTypeError, "Did you mean 'weight_exp'"),
    ],
    ids=str,
)
def test_what_cannot_work_is_refused_at_construction(change, error, message):
    arguments = {"weights": np.ones((2, 3)), "learning_rule": STDPLoihi(1, 1, -1, 10, 10), **change}
    with pytest.raises(error, match=message):
        LearningSparse(**arguments)


def test_graded_input_must_be_whole_in_fixed_point():
    rule = Loihi2FLearningRule(dw="x0*y1", rng_seed=0)
    connection = LearningSparse(weights=np.ones((1, 1)), learning_rule=rule, num_message_bits=8, name="s")
    source = LearningDense(weights=np.ones((1, 1)), learning_rule=rule)
    source.a_out.connect(connection.s_in)
    config = Loihi2SimCfg(
        select_tag="fixed_pt",
        launcher="inline",
        exception_proc_model_map={LearningDense: PyLearningDenseModelFloat},
    )
    SourceRingBuffer(data=np.ones((1, 1))).s_out.connect(source.s_in)
    with pytest.raises(
        ModelError, match="LearningSparse 's' is fixed point and graded, but receives float64"
    ):
        connection.run(RunSteps(3), config)


def test_binary_spikes_with_a_graded_configuration_are_warned_of():
    with pytest.warns(LaharWarning, match="LearningSparse: OVERWRITE needs payloads"):
        LearningSparse(
            weights=np.ones((1, 1)),
            learning_rule=STDPLoihi(1, 1, -1, 10, 10),
            graded_spike_cfg=GradedSpikeCfg.OVERWRITE,
        )


def test_what_reaches_the_model_is_documented():
    sparse_process = LearningSparse(weights=np.eye(2), learning_rule=RULE, weight_exp=2)
    params = sparse_process.proc_params
    assert (params["shape"], params["learning_rule"], params["weight_exp"]) == ((2, 2), RULE, 2)
    assert "weights" not in params
    assert sparse_process.weights.init.nnz == sparse_process.tag_1.init.nnz == 2


def test_tags_have_the_entries_of_the_weights_and_cannot_change_them():
    connection = LearningSparse(weights=np.eye(2), learning_rule=RULE, tag_2=3)
    assert connection.tag_2.init.toarray().tolist() == [[3, 0], [0, 3]]
    assert np.shares_memory(connection.tag_1.init.indices, connection.weights.init.indices)
    with pytest.raises(ValueError, match="read-only"):
        connection.tag_1.get().eliminate_zeros()
    assert connection.weights.init.toarray().tolist() == [[1, 0], [0, 1]]


@pytest.mark.parametrize("tag", TAGS)
def test_tags_that_no_rule_touches_are_still_there_to_be_read_and_set(tag):
    with sparse_network(np.array([[2, 0], [4, 2]]), tag, dw="u0*t") as connection:
        assert connection.tag_2.get().nnz == 3
        value = connection.tag_1.get()
        value.data[:] = [1, 2, 3]
        connection.tag_1.set(value)
        connection.run(RunSteps(1))
        assert connection.weights.get().toarray().tolist() == [[3, 0], [6, 5]]
