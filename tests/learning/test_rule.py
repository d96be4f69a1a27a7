"""Rule objects, ready-made rules, literals and random streams."""

from __future__ import annotations

import copy
import inspect
import json
import math
import pickle
import warnings
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lahar.processes.errors import ArgumentTypeError, LaharWarning, RuleError, ValidationError
from lahar.processes.learning.literals import apply_mask, float_to_literal, stochastic_round
from lahar.processes.learning.products import Factor, Product, ProductSeries
from lahar.processes.learning.random import ConnVarRandom, TraceRandom
from lahar.processes.learning.rule import Loihi2FLearningRule, Loihi3FLearningRule, LoihiLearningRule
from lahar.processes.learning.stdp import RewardModulatedSTDP, STDPLoihi

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/learning/rule_strings.json").read_text())
NUMBERS = [f"{t}_{what}" for t in ("x1", "x2", "y1", "y2", "y3") for what in ("impulse", "tau")]


# --- rule objects ---------------------------------------------------------------------------


def test_positional_order_and_defaults():
    rule = LoihiLearningRule("x0", "y0", "u0", 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12)
    assert [getattr(rule, name) for name in NUMBERS] == list(range(1, 11))
    assert (rule.dw_str, rule.dd_str, rule.dt_str, rule.t_epoch, rule.rng_seed) == ("x0", "y0", "u0", 11, 12)
    assert list(rule.active_product_series) == ["dw", "dd", "dt"]
    plain = LoihiLearningRule(dt="x0")
    assert all(getattr(plain, name) == 0 for name in NUMBERS)
    assert (plain.dw, plain.dd, plain.t_epoch) == (None, None, 1)
    assert list(plain.active_product_series) == ["dt"]


def test_three_factor_rule_has_no_postsynaptic_parameters():
    rule = Loihi3FLearningRule("u0*y1", None, None, 1, 2, 3, 4, 5, 6)
    assert (rule.x1_impulse, rule.x1_tau, rule.x2_impulse, rule.x2_tau) == (1, 2, 3, 4)
    assert (rule.t_epoch, rule.rng_seed) == (5, 6)
    for trace in ("y1", "y2", "y3"):
        assert getattr(rule, f"{trace}_impulse") == 0
        assert getattr(rule, f"{trace}_tau") == 65535
    with pytest.raises(TypeError):
        Loihi3FLearningRule(dw="x0", y1_tau=5)


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", [-1, -0.5, math.nan])
def test_negative_numbers_are_refused_and_change_nothing(name, value):
    with pytest.raises(ValidationError, match=name):
        Loihi2FLearningRule(dw="x0", **{name: value})
    rule = Loihi2FLearningRule(dw="x0", **{name: 3.5})
    with pytest.raises(ValueError, match=name):
        setattr(rule, name, value)
    assert getattr(rule, name) == 3.5


def test_infinite_tau_but_no_infinite_impulse():
    assert Loihi2FLearningRule(dw="x0", x1_tau=math.inf).x1_tau == math.inf
    with pytest.raises(ValidationError):
        Loihi2FLearningRule(dw="x0", x1_impulse=math.inf)


@pytest.mark.parametrize("value", ["5", None, [1.0]])
def test_parameters_must_be_numbers(value):
    with pytest.raises(ArgumentTypeError, match="x1_tau"):
        Loihi2FLearningRule(dw="x0", x1_tau=value)
    with pytest.raises(TypeError):
        Loihi2FLearningRule(dw=5)


@pytest.mark.parametrize("value", [0, -1, 2.5, math.inf])
def test_epochs_are_whole_positive_numbers(value):
    with pytest.raises(ValidationError, match="t_epoch"):
        Loihi2FLearningRule(dw="x0", t_epoch=value)
    assert Loihi2FLearningRule(dw="x0", t_epoch=np.float64(4)).t_epoch == 4


@pytest.mark.parametrize("value", [-1, 0.5])
def test_seeds_are_whole_numbers(value):
    with pytest.raises(ValidationError, match="rng_seed"):
        Loihi2FLearningRule(dw="x0", rng_seed=value)


def test_at_least_one_rule():
    with pytest.raises(ValidationError, match="dw, dd and dt"):
        LoihiLearningRule(x1_tau=5)
    rule = LoihiLearningRule(dw="x0")
    with pytest.raises(ValidationError):
        rule.dw_str = None
    assert rule.dw_str == "x0"


def test_setting_a_string_rebuilds_everything_or_nothing():
    rule = LoihiLearningRule(dw="x0*y1", dt="u1*t")
    with pytest.raises(RuleError):
        rule.dw_str = "u2*w"
    with pytest.raises(RuleError):
        rule.set_rules(dw="x0", dt="x0*0.5")
    assert (rule.dw_str, rule.dt_str, rule.decimate_exponent) == ("x0*y1", "u1*t", 1)
    rule.dt_str = None
    rule.dd_str = "u2*d"
    rule.dw_str = "y0*x2"
    assert rule.decimate_exponent == 2
    assert rule.active_traces == {"x2"}
    assert list(rule.active_product_series) == ["dw", "dd"]
    assert rule.dw.products[0].dependency == "y0"
    with pytest.raises(AttributeError):
        rule.dw = "x0"


def test_the_seed_comes_from_the_global_state():
    np.random.seed(123)  # noqa: NPY002
    np.random.rand(2, 200)  # noqa: NPY002
    assert STDPLoihi(1, 1, -1, 10, 10, t_epoch=4).rng_seed == 1959667321
    state = np.random.get_state()[1].copy()  # noqa: NPY002
    LoihiLearningRule(dw="x0", rng_seed=4)
    assert np.array_equal(np.random.get_state()[1], state)  # noqa: NPY002


def test_rules_survive_pickling_and_copying():
    rule = STDPLoihi(1, 2, -2, 10, 12, t_epoch=3)
    for twin in (pickle.loads(pickle.dumps(rule)), copy.copy(rule)):
        assert (twin.rng_seed, twin.dw_str, twin.x1_tau, twin.A_plus) == (
            rule.rng_seed,
            rule.dw_str,
            10,
            "(2)",
        )
        assert twin.dw == rule.dw
        twin.x1_impulse = 0
        assert rule.x1_impulse == 16


def test_numbers_beyond_the_chip_are_warned_of():
    with pytest.warns(LaharWarning, match="x1_impulse = 200"):
        LoihiLearningRule(dw="x0", x1_impulse=200)
    with pytest.warns(LaharWarning, match="t_epoch = 64"):
        LoihiLearningRule(dw="x0", t_epoch=64)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        LoihiLearningRule(dw="x0", x1_impulse=127, t_epoch=63)


# --- products -------------------------------------------------------------------------------


def test_products_check_themselves():
    with pytest.raises(ValidationError):
        Factor("z1")
    with pytest.raises(ValidationError):
        Factor("x1", is_sgn=True)
    with pytest.raises(ValidationError):
        Product("dx", "x0", 1, 7)
    with pytest.raises(ValidationError):
        Product("dw", "x1", 1, 7)
    with pytest.raises(ValidationError):
        Product("dw", "u", 1, 7)
    with pytest.raises(ValidationError):
        Product("dw", "x0", 1, 7, (), 2)
    with pytest.raises(ValidationError):
        ProductSeries("dw", [Product("dw", "u", 1, 7, (), k) for k in (1, 2)])


@pytest.mark.parametrize(
    ("rule", "bits"), [("x0*y1", 0), ("x0*x1*y1", 3), ("u0*t*y2", 5), ("x0*y1*sgn(w)", 5), ("x0*y0*y1", 0)]
)
def test_bits_lost_in_fixed_point_are_reported(rule, bits):
    assert LoihiLearningRule(dw=rule).dw.products[0].uncompensated_shift == bits


# --- ready-made rules -----------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
@pytest.mark.parametrize("rule_class", [STDPLoihi, RewardModulatedSTDP])
def test_ready_made_rules_are_those_of_the_reference(rule_class):
    cases = GOLDEN[rule_class.__name__]
    assert cases
    for case in cases:
        rule = rule_class(**case["kwargs"])
        for name, value in case.items():
            if name != "kwargs":
                assert getattr(rule, f"{name}_str" if name in ("dw", "dd", "dt") else name) == value, name


def test_the_older_stdp_convention_swaps_the_coefficients():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        old = STDPLoihi(1, -1, 2, 10, 10, convention="lava-0.5")
    with pytest.warns(LaharWarning, match='convention="lava-0.5"'):
        wrong = STDPLoihi(1, -1, 2, 10, 10)
    new = STDPLoihi(1, 2, -1, 10, 10)
    assert old.dw == new.dw != wrong.dw
    assert (old.A_plus, old.A_minus) == ("(-1)", "(2)")
    with pytest.raises(ValidationError, match="standard"):
        STDPLoihi(1, 1, -1, 10, 10, convention="lava-0.4")


def test_surplus_arguments_are_refused():
    with pytest.raises(TypeError):
        STDPLoihi(1, 1, -1, 10, 10, "x0")
    with pytest.raises(TypeError):
        STDPLoihi(1, 1, -1, 10, 10, dw="x0")
    with pytest.raises(TypeError):
        RewardModulatedSTDP(1, 1, -1, 10, 10, 16, 16, 0.5, y1_tau=3)


def test_stdp_passes_other_arguments_on():
    rule = STDPLoihi(1, 1, -1, 10, 12, y1_impulse=5, x2_tau=3, dd="x0*d", t_epoch=2, rng_seed=8)
    assert (rule.x1_impulse, rule.y1_impulse, rule.x2_tau, rule.dd_str) == (16, 5, 3, "x0*d")
    assert (rule.tau_plus, rule.tau_minus, rule.rng_seed) == (10, 12, 8)


# --- literals -------------------------------------------------------------------------------


@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
@pytest.mark.parametrize(("value", "literal"), GOLDEN["float_to_literal"])
def test_literals_are_those_of_the_reference(value, literal):
    assert float_to_literal(value) == literal


@given(st.floats(1e-6, 1e6), st.sampled_from([1, -1]))
def test_coarse_literals_are_warned_of(size, sign):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        literal = float_to_literal(sign * size)
    meant = eval(literal.replace("^", "**"))
    assert (meant > 0) == (sign > 0)
    assert bool(caught) == (abs(meant - sign * size) > 0.05 * size)


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf])
def test_only_finite_numbers_become_literals(value):
    with pytest.raises(ValidationError):
        float_to_literal(value)


def test_rounding_and_masks():
    assert stochastic_round([1, 2, 3], 0.5, [0.2, 0.5, 0.9]).tolist() == [1, 2, 4]
    assert apply_mask(0b11011, 3) == 0b011


# --- random streams -------------------------------------------------------------------------


def test_streams_start_with_the_documented_numbers():
    trace, conn = TraceRandom(), ConnVarRandom()
    uniform, integer, rounding = [], [], []
    for _ in range(8):
        uniform.append(trace.random_trace_decay)
        integer.append(trace.random_impulse_addition)
        rounding.append(conn.random_stochastic_round)
        trace.advance()
        conn.advance()
    assert uniform[:3] == [0.6369616873214543, 0.2697867137638703, 0.04097352393619469]
    assert integer == [60, 65, 96, 121, 4, 18, 105, 121]
    assert rounding[:4] == [0.2616121342493164, 0.2984911434141233, 0.8142257405942803, 0.0919159421350969]


@given(st.integers(0, 2**31), st.lists(st.integers(0, 1000), min_size=1, max_size=8))
def test_a_number_depends_on_its_index_only(seed, indices):
    stream = TraceRandom(seed, seed)
    decay, impulse = np.random.default_rng(seed), np.random.default_rng(seed)
    decays = [decay.random(1)[0] for _ in range(1001)]
    impulses = [impulse.integers(0, 128, size=1, dtype=int)[0] for _ in range(1001)]
    assert [stream.decay[i] for i in indices] == [decays[i] for i in indices]
    assert [stream.impulse[i] for i in indices] == [impulses[i] for i in indices]


def test_a_rule_shows_its_seed():
    rule = Loihi2FLearningRule(dw="x0 * y1", rng_seed=17)
    assert repr(rule) == "Loihi2FLearningRule(dw='x0 * y1', t_epoch=1, rng_seed=17)"


@pytest.mark.parametrize("value", [None, "2", [1], 1j])
@pytest.mark.parametrize("name", ["learning_rate", "A_plus", "A_minus"])
@pytest.mark.parametrize("rule_class", [STDPLoihi, RewardModulatedSTDP])
def test_coefficients_are_numbers(rule_class, name, value):
    arguments = {"learning_rate": 1, "A_plus": 1, "A_minus": -1}
    places = (10, 10) if rule_class is STDPLoihi else (10, 10, 16, 16, 0.5)
    names = list(inspect.signature(rule_class).parameters)[3 : 3 + len(places)]
    arguments |= dict(zip(names, places, strict=True))
    with pytest.raises(ArgumentTypeError, match=rf"{rule_class.__name__}\.{name}: a number is expected"):
        rule_class(**arguments | {name: value})
    with pytest.raises(ValidationError, match=rf"{rule_class.__name__}\.{name}: inf cannot be written"):
        rule_class(**arguments | {name: np.inf})
