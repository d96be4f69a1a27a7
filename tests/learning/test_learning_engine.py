"""The learning engine against its formulas, written out synapse by synapse."""

from __future__ import annotations

import copy
import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.kernels import only
from support.learning_cases import (
    engine_epoch,
    epochs,
    large_epoch,
    legal_weights,
    naive_epoch,
    sign_modes,
)

import lahar.processes.learning.regions as regions_module
from lahar.processes.errors import (
    ArgumentTypeError,
    LaharWarning,
    ModelError,
    RuleError,
    ShapeError,
    ValidationError,
)
from lahar.processes.kernels import CHOICES
from lahar.processes.learning.constants import TRACES, GradedSpikeCfg
from lahar.processes.learning.regions import regions
from lahar.processes.learning.rule import Loihi2FLearningRule, Loihi3FLearningRule, LoihiLearningRule
from lahar.processes.learning.rule_fixed import FixedRuleUpdate
from lahar.processes.learning.stdp import STDPLoihi
from lahar.processes.learning.traces import (
    History,
    TraceDynamics,
    TraceLayout,
    evolve_float,
)
from lahar.processes.learning_dense import LearningDense
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyLoihiProcessModel,
    PyRefPort,
    implements,
    requires,
)
from lahar.processes.ports import RefPort
from lahar.processes.process import AbstractProcess
from lahar.processes.sink import RingBuffer as Sink
from lahar.processes.source import RingBuffer as Source
from lahar.processes.weights import SignMode
from lahar.runtime import Loihi2SimCfg, RunSteps


def compare(rule, case, sign_mode, fixed):
    if case.legal:
        case.matrices["weights"] = legal_weights(case.matrices["weights"], sign_mode)
    expected, histories = naive_epoch(rule, case, sign_mode, fixed)
    result, traces, layout = engine_epoch(rule, case, sign_mode, fixed)
    for name, matrix in expected.items():
        np.testing.assert_array_equal(result[name], matrix, err_msg=name)
    for name, place in layout.place.items():
        assert traces[place].tolist() == [values[-1] for values in histories[name]], name
    return result


@pytest.mark.parametrize("loops", CHOICES)
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "float"])
def test_synapses_have_the_bits_of_the_dense_formulas(fixed, loops):
    @given(epochs(fixed), sign_modes)
    @settings(max_examples=300, deadline=None)
    def check(epoch, sign_mode):
        compare(*epoch, sign_mode, fixed)

    with only(loops) as used:
        check()
    compiled = {"evolve_fixed", "learn_int32"} if fixed else {"evolve_float", "learn_float64"}
    assert used == (compiled if loops == "numba" else set())


@pytest.mark.parametrize("shape", [(40000, 2), (70, 600), (1, 40000), (600, 70)])
@pytest.mark.parametrize("fixed", [True, False], ids=["fixed", "float"])
def test_loops_agree_where_a_matrix_is_worked_on_in_pieces(fixed, shape):
    """Populations too large to be compared synapse by synapse: NumPy and compiled loops, all dependencies."""
    rule = LoihiLearningRule(
        dw="x0*y1*(w-3)*2^-4 - y0*x1*sgn(t+1) + y0*y2*x2*2^-6 + u0*w*2^-5",
        dt="y0*x1*(x2+2)*2^-5",
        dd="x0*2 - y0*t*y3*2^-7 + x0*x2*2^-3",
        **{f"{trace}_tau": 5 + number for number, trace in enumerate(TRACES)},
        **{f"{trace}_impulse": 20 for trace in TRACES},
        t_epoch=3,
        rng_seed=0,
    )
    quiet = copy.copy(rule)
    quiet.set_rules(dw=rule.dw_str.replace("+ u0*w*2^-5", ""), dd=rule.dd_str, dt=rule.dt_str)
    for each, rate in itertools.product((rule, quiet), (0.05, 0.6)):
        case = large_epoch(shape, rate, fixed)
        results = []
        for loops in CHOICES:
            with only(loops):
                matrices, traces, _ = engine_epoch(each, case, SignMode.MIXED, fixed)
            results.append([*(matrices[name].tobytes() for name in sorted(matrices)), traces.tobytes()])
        assert results[0] == results[1]


@given(epochs(fixed=True), sign_modes, st.booleans())
@settings(max_examples=100, deadline=None)
def test_the_cut_into_parts_changes_no_bit(epoch, sign_mode, fixed):
    """Neither the size of the parts in which a matrix is worked on nor splitting it by rows matters."""
    rule, case = epoch
    if not fixed:
        case.matrices = {name: matrix * 0.37 for name, matrix in case.matrices.items()}
        case.traces = {name: values * 0.61 for name, values in case.traces.items()}
    whole = engine_epoch(rule, case, sign_mode, fixed)[0]
    original = regions_module.CHUNK, regions_module._DENSE
    try:
        for regions_module.CHUNK, regions_module._DENSE in ((1, 0.4), (3, 10.0), (7, 0.0)):
            parts = engine_epoch(rule, case, sign_mode, fixed)[0]
            for name, matrix in whole.items():
                np.testing.assert_array_equal(parts[name], matrix)
    finally:
        regions_module.CHUNK, regions_module._DENSE = original
    shards = [
        engine_epoch(rule, case, sign_mode, fixed, rows=slice(j, j + 1))[0] for j in range(len(case.ty))
    ]
    for name, matrix in whole.items():
        np.testing.assert_array_equal(np.concatenate([shard[name] for shard in shards]), matrix)


def test_an_epoch_touches_only_rows_and_columns_with_spikes():
    tx, ty = np.zeros(100, int), np.zeros(80, int)
    tx[[3, 50]], ty[[7, 8, 60]] = 1, 2
    history = History(TraceLayout(100, 80), tx, ty)
    history.pre_rows, history.post_rows = np.array([0, 0]), np.array([1, 1, 1])
    touched = np.zeros((100, 80), int)
    for region in regions(history, with_u=False):
        region.write(touched, region.read(touched) + 1)
    expected = (tx[:, None] > 0) | (ty > 0)
    np.testing.assert_array_equal(touched, expected)
    whole = list(regions(history, with_u=True))
    assert sum(math.prod(region.shape) for region in whole) == 8000


def test_without_spikes_nothing_is_touched_but_by_u():
    history = History(TraceLayout(4, 3), np.zeros(4, int), np.zeros(3, int))
    assert list(regions(history, with_u=False)) == []
    assert [region.shape for region in regions(history, with_u=True)] == [(4, 3)]


def test_long_epochs_keep_only_the_time_steps_with_spikes():
    layout = TraceLayout(2, 1)
    history = History(layout, np.array([900, 0]), np.array([5]))
    dynamics = TraceDynamics(layout, 1000, [1 / math.log(2)] * 5)
    evolve_float(history, np.ones(layout.size), dynamics, np.full(5, 8.0))
    assert history.table.shape == (3, layout.size)
    assert history.of("x1")[1, 0] == 8.0 + 0.5**900
    assert history.pre_rows.tolist() == [1]
    assert history.post_rows.tolist() == [0]


def test_tag_1_below_the_accumulator_is_not_settled():
    rule = LoihiLearningRule(dt="x0*2", rng_seed=0)
    update = FixedRuleUpdate(rule, SignMode.MIXED)
    ok = {"tag_1": np.array([[-256, 255]])}
    assert update.settled(ok)
    assert not update.settled({"tag_1": np.array([[-257, 255]])})


# --- whole networks -------------------------------------------------------------------------------


def network(rule, weights, pre, post=None, tag="floating_pt", steps=None, **kwargs):
    """Run LearningDense on given spikes; the Process is returned paused."""
    pre = np.atleast_2d(pre)
    dense = LearningDense(weights=np.atleast_2d(weights), learning_rule=rule, name="plastic", **kwargs)
    Source(data=pre).s_out.connect(dense.s_in)
    if post is not None:
        Source(data=np.atleast_2d(post)).s_out.connect(dense.s_in_bap)
    dense.run(RunSteps(steps or pre.shape[1]), Loihi2SimCfg(select_tag=tag, launcher="inline"))
    return dense


def test_the_stdp_tutorial_weight():
    pre, post = np.zeros((2, 80), int)
    pre[75] = post[[41, 59, 73]] = 1
    rule = STDPLoihi(1, 1, -1, 10, 10, t_epoch=4, rng_seed=1959667321)
    with network(rule, [[50]], pre, post) as dense:
        np.testing.assert_allclose(dense.weights.get(), 33.135991, rtol=1e-7)


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_tau_zero_forgets_at_once(tag):
    rule = Loihi2FLearningRule(dw="x0*x1 + u0*y1", x1_impulse=20, t_epoch=2, rng_seed=1)
    with network(rule, [[0]], [1, 0, 0, 0, 0, 0], tag=tag) as dense:
        assert dense.weights.get().item() == 20
        assert dense.x1.get().item() == 0


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_spikes_may_be_factors(tag):
    rule = Loihi2FLearningRule(dw="x0*y0*3", rng_seed=1)
    with network(rule, [[0, 0]], [[1, 0, 1], [0, 1, 0]], [1, 0, 0], tag=tag) as dense:
        assert dense.weights.get().tolist() == [[3, 0]]


def test_a_plain_rule_is_a_two_factor_rule():
    rule = LoihiLearningRule(dw="y0*x1", x1_impulse=8, x1_tau=math.inf, rng_seed=0)
    with network(rule, [[1]], [1, 0, 0], [0, 0, 1]) as dense:
        assert dense.weights.get().item() == 9


def test_a_two_factor_rule_refuses_connected_traces():
    dense = LearningDense(weights=np.ones((1, 1)), learning_rule=STDPLoihi(1, 1, -1, 10, 10))
    Source(data=np.ones((1, 4))).s_out.connect(dense.s_in_y2)
    with pytest.raises(ModelError, match=r"s_in_y2.*Loihi3FLearningRule"):
        dense.run(RunSteps(1), Loihi2SimCfg(launcher="inline"))


def test_third_factors_arrive_over_ports():
    rule = Loihi3FLearningRule(dw="u0*y2*2^-1", t_epoch=2, rng_seed=0)
    dense = LearningDense(weights=np.zeros((2, 1)), learning_rule=rule)
    Source(data=np.array([[1.0, 5, 1, -7], [2, 4, 2, 4]])).s_out.connect(dense.s_in_y2)
    with dense:
        dense.run(RunSteps(4), Loihi2SimCfg(launcher="inline"))
        np.testing.assert_allclose(dense.weights.get()[:, 0], [-1.0, 4.0], atol=1e-3)
        assert dense.y2.get().tolist() == [-7, 4]
        assert dense.y1.get().tolist() == [0, 0]


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_the_rule_of_the_caller_is_left_alone(tag):
    rule = Loihi2FLearningRule(dw="x0*x1", x1_impulse=16, x1_tau=math.inf, rng_seed=0)
    cfg = GradedSpikeCfg.OVERWRITE
    graded = network(rule, [[0]], [100, 0], tag=tag, num_message_bits=8, graded_spike_cfg=cfg)
    with graded:
        assert graded.x1.get().item() == 50
        assert rule.x1_impulse == 16
    with network(rule, [[0]], [100, 0], tag=tag) as regular:
        assert regular.x1.get().item() == 16
        rule.x1_impulse = 1
        regular.run(RunSteps(2))
        assert regular.x1.get().item() == 32


@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
@pytest.mark.parametrize("seed", [1, 2, 3, 4])
def test_a_second_spike_in_an_epoch_adds_its_impulse_at_once(tag, seed):
    rule = Loihi2FLearningRule(
        dw="x0*x1", x1_impulse=5.25, x2_impulse=7, y1_impulse=5.25, y3_impulse=130, t_epoch=8, rng_seed=seed
    )
    spikes = np.array([[1, 0, 1, 0]])
    with network(rule, [[0]], spikes, spikes, tag=tag) as dense:
        assert (dense.tx.get().item(), dense.ty.get().item()) == (3, 3)
        assert (dense.x0.get().item(), dense.y0.get().item()) == (False, True)
        found = [getattr(dense, trace).get().item() for trace in TRACES]
        # the draw of the postsynaptic side in time step 3, before the epoch's own draws
        draw = np.random.default_rng(seed + 3).integers(0, 128, 8)[2 * 3 - 1]
        fixed = [6, 7, 5 + (draw < 64), 0, 127]
        assert found == (fixed if tag == "fixed_pt" else [5.25, 7, 5.25, 0, 130])
        dense.run(RunSteps(4))
        assert (dense.tx.get().item(), dense.ty.get().item()) == (0, 0)
        assert not dense.y0.get().item()


@pytest.mark.parametrize(
    ("cfg", "tag", "x1", "tx"),
    [
        (GradedSpikeCfg.OVERWRITE, "fixed_pt", [50, 100, 128], [1, 2, 3]),
        (GradedSpikeCfg.OVERWRITE, "floating_pt", [50, 100, 127.5], [1, 2, 3]),
        (GradedSpikeCfg.ADD_WITH_SATURATION, "fixed_pt", [50, 127, 127], [1, 2, 3]),
        (GradedSpikeCfg.ADD_WITH_SATURATION, "floating_pt", [50, 150, 277.5], [1, 2, 3]),
        (GradedSpikeCfg.ADD_WITHOUT_SATURATION, "fixed_pt", [50, 23, 24], [0, 2, 3]),
        (GradedSpikeCfg.ADD_WITHOUT_SATURATION, "floating_pt", [50, 150, 277.5], [1, 2, 3]),
    ],
)
@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
def test_payloads_change_x1_as_configured(cfg, tag, x1, tx):
    rule = Loihi2FLearningRule(dw="x0*x1", x1_impulse=16, t_epoch=9, rng_seed=0)
    kwargs = {"tag": tag, "num_message_bits": 8, "graded_spike_cfg": cfg}
    with network(rule, [[0]], [100, 200, 255], steps=1, **kwargs) as dense:
        for step in range(3):
            if step:
                dense.run(RunSteps(1))
            assert (dense.x1.get().item(), dense.tx.get().item()) == (x1[step], tx[step])


def test_payloads_out_of_range_are_refused_in_fixed_point():
    rule = Loihi2FLearningRule(dw="x0*x1", rng_seed=0)
    cfg = GradedSpikeCfg.ADD_WITH_SATURATION
    with pytest.raises(ModelError, match=r"payload 300 in time step 2.*0 to 255"):
        network(rule, [[0]], [255, 300], tag="fixed_pt", num_message_bits=9, graded_spike_cfg=cfg)


def test_binary_spikes_with_a_graded_configuration_are_warned_of():
    with pytest.warns(LaharWarning, match="num_message_bits"):
        LearningDense(
            weights=np.ones((1, 1)),
            learning_rule=STDPLoihi(1, 1, -1, 10, 10),
            graded_spike_cfg=GradedSpikeCfg.OVERWRITE,
        )


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_initial_values_beyond_the_limits_are_limited_in_the_first_epoch(tag):
    rule = Loihi2FLearningRule(dw="x0", dd="x0", t_epoch=2, rng_seed=0)
    kwargs = {"sign_mode": SignMode.EXCITATORY, "tag_2": np.full((1, 2), -5)}
    with network(rule, [[-8, 4]], np.zeros((2, 2)), tag=tag, **kwargs) as dense:
        assert dense.weights.get().tolist() == [[0, 4]]
        assert dense.tag_2.get().tolist() == [[0, 0]]


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
def test_rule_vars_can_be_read_and_set(tag):
    rule = Loihi2FLearningRule(dw="u0*2", x1_tau=10.5, x1_impulse=2.25, rng_seed=0)
    with network(rule, [[0]], [0, 0], tag=tag) as dense:
        assert (dense.dw.get(), dense.dd.get(), dense.dt.get()) == ("u0*2", None, None)
        assert dense.x1_tau.get().item() == 10.5
        dense.dt.set("u0*3")
        dense.dw.set("u0*4" + " " * 300)
        dense.run(RunSteps(1))
        assert (dense.weights.get().item(), dense.tag_1.get().item()) == (8, 3)
        assert len(dense.dw.get()) == 304
        assert (dense.x1_tau.get().item(), dense.x1_impulse.get().item()) == (10.5, 2.25)
    assert rule.dw_str == "u0*2"


@pytest.mark.parametrize(
    ("var", "value"),
    [
        ("dw", "u0*0.5"),
        ("dw", "u1*2"),
        ("dt", ""),
        ("x1_tau", [-1.0]),
        ("y3_impulse", [math.nan]),
        ("tx", [9]),
        ("ty", [-1]),
    ],
)
def test_illegal_values_are_refused_and_change_nothing(var, value):
    rule = Loihi2FLearningRule(dw="u0*2", dd="u0*d", x1_tau=5, rng_seed=0)
    with network(rule, [[0]], [0, 0]) as dense:
        before = getattr(dense, var).get()
        with pytest.raises((RuleError, ValidationError)):
            getattr(dense, var).set(value if isinstance(value, str) else np.array(value))
        np.testing.assert_array_equal(getattr(dense, var).get(), before)
        dense.run(RunSteps(2))
        assert dense.weights.get().item() == 8


def test_a_weight_learned_in_one_step_counts_in_the_next():
    rule = Loihi2FLearningRule(dw="u0", t_epoch=2, rng_seed=0)
    dense = LearningDense(weights=np.array([[10]]), learning_rule=rule, weight_exp=1)
    source, sink = Source(data=np.ones((1, 1), int)), Sink(shape=(1,), buffer=6)
    source.s_out.connect(dense.s_in)
    dense.a_out.connect(sink.a_in)
    with dense:
        dense.run(RunSteps(6), Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))
        assert sink.data.get().tolist() == [[0, 20, 20, 22, 22, 24]]


def test_connections_round_alike_unless_they_have_their_own_seed():
    def weights(**kwargs):
        rule = Loihi2FLearningRule(dw="u0*2^-1", rng_seed=5)
        with network(rule, [[0]], np.zeros((1, 40)), tag="fixed_pt", **kwargs) as dense:
            return dense.weights.get().item()

    def ups(seed):
        return sum(np.random.default_rng(seed).random(41)[1:] < 0.5)

    assert weights() == weights(rounding_seed=2) == ups(2)
    assert weights(rounding_seed=8) == ups(8) != ups(2)


@pytest.mark.parametrize(
    ("change", "error", "message"),
    [
        ({"learning_rule": None}, ValidationError, "is None: pass a rule"),
        ({"learning_rule": "x0*y1"}, ArgumentTypeError, "expected a learning rule"),
        ({"weights": np.ones(3)}, ShapeError, "two dimensions"),
        ({"tag_1": np.ones((3, 2))}, ShapeError, "tag_1"),
        ({"sign_mode": None}, ValidationError, "sign_mode"),
        ({"sign_mode": SignMode.NULL}, ValidationError, "sign_mode"),
        ({"graded_spike_cfg": 1}, ArgumentTypeError, "GradedSpikeCfg"),
        ({"num_weight_bits": 10}, ValidationError, "num_weight_bits"),
        ({"weight_exp": 0.5}, ArgumentTypeError, "weight_exp"),
        ({"rounding_seed": -1}, ValidationError, "rounding_seed"),
        ({"rounding_seed": "a"}, ArgumentTypeError, "rounding_seed"),
        ({"sign_mod": SignMode.MIXED}, ArgumentTypeError, "Did you mean 'sign_mode'"),
        ({"num_mesage_bits": 8}, ArgumentTypeError, "Did you mean 'num_message_bits'"),
    ],
)
def test_what_cannot_work_is_refused_at_construction(change, error, message):
    arguments = {"weights": np.ones((2, 3)), "learning_rule": STDPLoihi(1, 1, -1, 10, 10), **change}
    with pytest.raises(error, match=message):
        LearningDense(**arguments)


def test_what_reaches_the_model_is_documented():
    rule = STDPLoihi(1, 1, -1, 10, 10)
    dense = LearningDense(weights=np.ones((2, 3)), learning_rule=rule, tag_2=np.ones((2, 3)), weight_exp=2)
    params = dense.proc_params
    assert params["shape"] == (2, 3)
    assert params["learning_rule"] is rule
    assert params["weight_exp"] == 2
    assert params["graded_spike_cfg"] is GradedSpikeCfg.USE_REGULAR_IMPULSE
    assert dense.dw.init == rule.dw_str
    assert (dense.x1.shape, dense.y1.shape, dense.tag_1.shape) == ((3,), (2,), (2, 3))


class Teacher(AbstractProcess):
    """Writes `value` to a Var of another process at the end of time step 2."""

    def __init__(self, *, value, **kwargs):
        super().__init__(value=value, **kwargs)
        self.target = RefPort((1,))


@implements(proc=Teacher, protocol=LoihiProtocol)
@requires(CPU)
class TeacherModel(PyLoihiProcessModel):
    target: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)

    def post_guard(self):
        return self.time_step == 2

    def run_post_mgmt(self):
        self.target.write(np.array([self.proc_params["value"]]))


def taught(value, steps):
    """A connection whose x1 grows by its impulse in each step, and whose impulse is written by a Teacher."""
    rule = Loihi2FLearningRule(dw="u0*x1", x1_impulse=2, x1_tau=0, rng_seed=0)
    dense = LearningDense(weights=np.zeros((1, 1)), learning_rule=rule, name="plastic")
    Source(data=np.ones((1, steps))).s_out.connect(dense.s_in)
    Teacher(value=value).target.connect_var(dense.x1_impulse)
    dense.run(RunSteps(steps), Loihi2SimCfg(launcher="inline"))
    return dense


def test_a_parameter_written_through_a_ref_port_acts_from_the_next_step_on():
    with taught(5.5, 4) as dense:
        assert dense.weights.get().item() == 2 + 2 + 5.5 + 5.5


def test_an_illegal_parameter_written_through_a_ref_port_ends_the_run():
    with pytest.raises(Exception, match=r"x1_impulse: must be a number >= 0, got -1"):
        taught(-1.0, 4)


def test_the_sign_of_zero_is_no_state():
    """Where a rule adds nothing, a weight of -0.0 would keep its sign or lose it, by which loop comes there."""
    rule = Loihi2FLearningRule(dw="x0*y1 + y0*x1", x1_impulse=4, y1_impulse=4, rng_seed=0)
    spikes = np.array([[1, 0, 0, 1], [0, 0, 0, 0]])
    results = []
    for loops in CHOICES:
        with only(loops), network(rule, np.full((2, 2), -0.0), spikes, spikes) as dense:
            results.append(dense.weights.get().tobytes())
    assert results == [np.array([[16.0, 0.0], [0.0, 0.0]]).tobytes()] * 2


def test_other_types_of_weights_stay_with_numpy():
    rule = LoihiLearningRule(dw="x0*2", t_epoch=3, rng_seed=0)
    case = large_epoch((3, 4), 0.9, False)
    case.matrices = {name: matrix.astype(np.float32) for name, matrix in case.matrices.items()}
    with only("numba") as used:
        engine_epoch(rule, case, SignMode.MIXED, False)
    assert used == {"evolve_float"}
