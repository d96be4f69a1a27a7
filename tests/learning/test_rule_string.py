"""Rule strings: what they mean, and what is said about those that mean nothing."""

from __future__ import annotations

import json
import pickle
from pathlib import Path

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from lahar.processes.errors import ArgumentTypeError, RuleError
from lahar.processes.learning.products import Factor, Product, ProductSeries
from lahar.processes.learning.rule import Loihi2FLearningRule
from lahar.processes.learning.rule_string import common_decimate_exponent, parse_rule

GOLDEN = json.loads((Path(__file__).parents[1] / "golden/learning/rule_strings.json").read_text())["rules"]


def as_plain_data(series):
    return [
        {
            "dependency": product.dependency,
            "s_mantissa": product.s_mantissa,
            "s_exp": product.s_exp,
            "decimate_exponent": product.decimate_exponent,
            "factors": [
                {
                    "state_var": factor.state_var,
                    "const": factor.const,
                    "is_sgn": factor.is_sgn,
                    "factor_type": factor.factor_type,
                }
                for factor in product.factors
            ],
        }
        for product in series.products
    ]


@pytest.mark.parametrize("case", [c for c in GOLDEN if "products" in c], ids=lambda c: str(c["rules"]))
def test_products_are_those_of_the_reference(case):
    rule = Loihi2FLearningRule(**case["rules"], rng_seed=0)
    assert {name: as_plain_data(s) for name, s in rule.active_product_series.items()} == case["products"]
    assert rule.decimate_exponent == case["decimate_exponent"]
    assert rule.active_traces == set(case["active_traces"])
    expected = {name: set(traces) for name, traces in case["active_traces_per_dependency"].items()}
    assert rule.active_traces_per_dependency == expected


@pytest.mark.parametrize("case", [c for c in GOLDEN if c.get("error")], ids=lambda c: str(c["rules"]))
def test_what_the_reference_refuses_is_a_rule_error(case):
    with pytest.raises(RuleError) as caught:
        Loihi2FLearningRule(**case["rules"], rng_seed=0)
    assert caught.value.rule in case["rules"].values()


@pytest.mark.parametrize(
    ("misread", "meaning"),
    [
        ("x0*(-y1)", "-x0*y1"),
        ("x0*((y1+2))", "x0*(y1+2)"),
        ("x0*(y1+2+3)", "x0*(y1+5)"),
        ("x0*(1-y1-2^-1)", "-x0*(y1-2^-1)"),
        ("y0*(x0)*x1", "y0*x0*x1"),
        ("(u0)*(-u0)*y1", "-u0*y1"),
        ("u 0*x1", "u0*x1"),
        ("u0 2^-2 w", "u0*2^-2*w"),
        ("x0 * (2 - (w-3))", "-x0*(w-5)"),
        ("x0y1(w+1)sgn(t)", "x0*y1*(w+1)*sgn(t)"),
    ],
)
def test_brackets_signs_and_blanks_are_read_as_meant(misread, meaning):
    assert parse_rule("dw", misread) == parse_rule("dw", meaning)


@pytest.mark.parametrize(
    ("text", "column", "hint"),
    [
        ("x0 * 0.5*y1", 5, "write 2^-1 instead of 0.5"),
        ("x0*1.5", 3, "write 3*2^-1 instead of 1.5"),
        ("x0*10.", 3, "write 10 instead of 10."),
        ("x0*.3", 3, "5*2^-4 = 0.3125"),
        ("x0*(y1+0.25)", 7, "write 2^-2 instead of 0.25"),
        ("x0*1e3", 3, "write 1000 instead of 1e3"),
        ("x0*1e-300", 3, "m*2^e"),
        ("x0*-1*y1", 3, "bracket the literal: (-1)"),
        ("x0 * -2^-1", 5, "bracket the literal: (-2^-1)"),
        ("x0*-y1", 3, "'-' cannot follow '*'"),
        ("--x0*y1", 1, "write one sign"),
        ("x0*y1+-y0*x1", 6, "write one sign"),
        ("x0*y1+", 6, "ends after '+'"),
        ("x0*", 3, "ends after '*'"),
        ("", 0, "empty"),
        ("   ", 3, "empty"),
        ("x0**y1", 3, "several times"),
        ("*x0", 0, "expected before '*'"),
        ("x0*y1^2", 5, "y1*y1 instead of y1^2"),
        ("x0*(w)^2", 6, "several times"),
        ("x0*3^2", 4, "powers of two"),
        ("x0*2^(-3)", 4, "write 2^-3"),
        ("x0*y1/2", 5, "'*2^-1' instead of '/2'"),
        ("x0*y1)", 5, "without '('"),
        ("x0*()", 3, "Empty bracket"),
        ("x0*sgn()", 6, "Empty bracket"),
        ("x0*(y1", 3, "not closed"),
        ("x0*sgn(w", 3, "not closed"),
        ("x0*(y1+y2)", 3, "only one variable"),
        ("x0*(w+x0)", 3, "only one variable"),
        ("x0*(y1*2)", 3, "without brackets"),
        ("x0*(2*y1)", 3, "without brackets"),
        ("x0*(2*3)*y1", 3, "without brackets"),
        ("x0*(y1 y2)", 3, "without brackets"),
        ("x0*(2 y1)", 3, "without brackets"),
        ("x0*(2+3)", 3, "write 5"),
        ("x0*(u0+1)", 3, "cannot be added"),
        ("x0*y1 + x0*u0", 11, "depends on x0 already"),
        ("x0*(u0)*y1", 3, "depends on x0 already"),
        ("sgn(-w)*x0", 0, "write (-1)*sgn(w)"),
        ("x0*sgn(2-w)", 3, "write (-1)*sgn(w-2)"),
        ("x0*sgn(y1)", 3, "takes w, d or t"),
        ("x0*sgn(w+d)", 3, "takes w, d or t"),
        ("x0*sgn*w", 3, "sgn needs a bracket"),
        ("u12*x1", 0, "one digit"),
        ("u*x1", 0, "one digit"),
        ("x0*x3", 3, "x1, x2, y1, y2, y3"),
        ("x0*Y1", 3, "lower case"),
        ("x0*weight", 3, "names are"),
        ("x0*C", 3, "names are"),
        ("x0*\ty1", 3, "neither tabs"),
        ("x0*y1\n", 5, "neither tabs"),
        ("x0*y1$", 5, "'$' cannot occur"),
        ("x0*010*y1", 3, "leading zero: write 10"),
        ("x0*2^100", 3, "too large"),
        ("x0*y1 - y1", 8, "depends on nothing"),
        ("x0*y1 + 9*x0", 8, "scale 9*2^0"),
        ("x0*2^9*y1", 0, "1*2^9"),
        ("0*2^-9*x0", 0, "0*2^-9"),
        ("(" * 30, 20, "inside each other"),
    ],
)
def test_errors_point_at_the_offending_text_and_say_what_to_write(text, column, hint):
    with pytest.raises(RuleError) as caught:
        parse_rule("dt", text)
    error = caught.value
    assert (error.rule, error.column, error.target) == (text, column, "dt")
    assert hint in error.what
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.column) == (str(error), column)


def test_the_message_marks_the_column():
    with pytest.raises(RuleError) as caught:
        parse_rule("dw", "x0 * y1 / 2")
    lines = str(caught.value).splitlines()
    assert lines[-1].index("^") == lines[-2].index("/")


def test_different_uk_are_refused_across_rules():
    with pytest.raises(RuleError) as caught:
        common_decimate_exponent({"dw": "u0*x1", "dd": None, "dt": "x0 + u 1*t"})
    assert (caught.value.target, caught.value.column) == ("dt", 5)
    assert common_decimate_exponent({"dw": "u3*x1 + u 3*w", "dd": None, "dt": "x0"}) == 3
    assert common_decimate_exponent({"dw": "x0", "dd": None, "dt": None}) is None


def test_a_rule_must_be_a_string():
    with pytest.raises(ArgumentTypeError, match="int"):
        parse_rule("dw", 5)


def test_constants_keep_their_fraction():
    (product,) = parse_rule("dw", "x0*(y1 + 3*2^-2)*(2^3 - w)").products
    assert product.factors == (Factor("y1", 0.75), Factor("w", -8))
    assert product.s_mantissa == -1


# --- properties -----------------------------------------------------------------------------

blanks = st.text(" ", max_size=2)
variables = st.sampled_from(["x1", "x2", "y1", "y2", "y3", "w", "d", "t"])
constants = st.integers(-9, 9)


@st.composite
def written_products(draw):
    """Return a product and one of the ways to write it."""
    dependency, k = draw(st.sampled_from([("x0", None), ("y0", None), ("u", 2)]))
    mantissa, exponent = draw(st.integers(-8, 7)), draw(st.integers(-7, 8))
    sign = draw(st.sampled_from([1, -1]))
    factors, pieces = [], []
    for _ in range(draw(st.integers(0, 3))):
        name, const = draw(variables), draw(constants)
        form = draw(st.integers(0, 3))
        if form == 0:
            factors.append(Factor(name))
            pieces.append(name)
        elif form == 1:
            factors.append(Factor(name, const))
            pieces.append(f"({name}{const:+})")
        elif form == 2:
            factors.append(Factor(name, const))
            pieces.append(f"({const}+{name})")
        else:
            name = draw(st.sampled_from("wdt"))
            factors.append(Factor(name, const, is_sgn=True))
            pieces.append(f"sgn({name}{const:+})")
    extra = [f"u{k}" if k is not None else dependency, f"({mantissa})", f"2^{exponent}"]
    order = [*pieces]
    for item in extra:
        order.insert(draw(st.integers(0, len(order))), item)
    text = draw(blanks).join("*".join(order))
    scale = sign * mantissa
    while abs(scale) > 7 and scale % 2 == 0 and exponent < 8:
        scale, exponent = scale // 2, exponent + 1
    return sign, text, (dependency, scale, exponent + 7, tuple(factors), k)


@given(st.lists(written_products(), min_size=1, max_size=4))
def test_written_products_are_read_back(products):
    assume(all(scale <= 7 for _, _, (_, scale, *_) in products))  # 8 * 2^8 has no representation
    text = "".join(f"{'+' if sign > 0 else '-'}{text}" for sign, text, _ in products)
    expected = [
        Product("dw", dependency, scale, exponent, factors, k)
        for _, _, (dependency, scale, exponent, factors, k) in products
    ]
    assert parse_rule("dw", text) == ProductSeries("dw", expected)


@given(st.text(st.sampled_from("x0y1u2wdtsgn()+-*^. /3C\t"), max_size=30))
def test_any_text_is_read_or_refused_in_place(text):
    series = refusal = None
    try:
        series = parse_rule("dw", text)
    except RuleError as error:
        refusal = error
    if series is None:
        assert refusal.rule == text
        assert 0 <= refusal.column <= len(text)
        return
    assert series.products
    for product in series.products:
        assert -8 <= product.s_mantissa <= 7
        assert 0 <= product.s_exp <= 15
