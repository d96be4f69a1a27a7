"""A connection that learns computes what a loop over neurons and synapses gives, whatever its rule and options."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.learning_cases import rule_strings
from support.plain_learning import PlainLearning
from support.populations import Trial

from lahar.processes import GradedSpikeCfg, LearningDense, Loihi2FLearningRule, Loihi3FLearningRule, SignMode
from lahar.processes.errors import LaharWarning

pytestmark = pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")

STEPS = 11
# In floating point values that grow without bound would make the comparison depend on the last bit.
TAME = [
    "x0*y1",
    "-y0*x1*2^-2",
    "u1*2^-1",
    "x0*(y2-3)*2^-4",
    "-y0*w*2^-3",
    "u1*t*2^-1",
    "x0*y0*2",
    "y0*(x2+1)*d*2^-5",
]
tame_strings = st.lists(st.sampled_from(TAME), min_size=1, max_size=3).map(
    lambda products: " + ".join(products).replace("+ -", "- ")
)
taus = st.sampled_from([0, 0.4, 3, 10.5, 65535])
impulses = st.sampled_from([0, 0.2, 5, 13.3, 60, 127.9])


@st.composite
def cases(draw):
    tag = draw(st.sampled_from(["floating_pt", "fixed_pt"]))
    strings = rule_strings() if tag == "fixed_pt" else tame_strings
    names = draw(st.sets(st.sampled_from(["dw", "dd", "dt"]), min_size=1))
    three_factors = draw(st.booleans())
    traces = ("x1", "x2") if three_factors else ("x1", "x2", "y1", "y2", "y3")
    numbers = {f"{t}_tau": draw(taus) for t in traces} | {f"{t}_impulse": draw(impulses) for t in traces}
    of_rule = Loihi3FLearningRule if three_factors else Loihi2FLearningRule
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LaharWarning)
        learning_rule = of_rule(
            **{name: draw(strings) for name in sorted(names)},
            **numbers,
            t_epoch=draw(st.sampled_from([1, 2, 3, 5])),
            rng_seed=draw(st.integers(0, 2**31)),
        )
    mode = draw(st.sampled_from([SignMode.MIXED, SignMode.EXCITATORY, SignMode.INHIBITORY]))
    cfg = draw(st.sampled_from(list(GradedSpikeCfg)))
    options = {
        "sign_mode": mode,
        "graded_spike_cfg": cfg,
        "num_message_bits": draw(st.sampled_from([0, 8])),
        "weight_exp": draw(st.sampled_from([0, 3, -2])),
        "num_weight_bits": draw(st.sampled_from([8, 5])),
    }
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shape = draw(st.sampled_from([(1, 1), (2, 3), (3, 2)]))
    low, high = {SignMode.MIXED: (-200, 200), SignMode.EXCITATORY: (0, 200)}.get(mode, (-200, 0))
    matrices = {
        "weights": rng.integers(low, high, shape, endpoint=True),
        "tag_1": rng.integers(-99, 99, shape),
        "tag_2": rng.integers(0, 99, shape),
    }
    density = draw(st.sampled_from([0.2, 0.7]))
    pre = rng.integers(1, 256, (shape[1], STEPS)) * (rng.random((shape[1], STEPS)) < density)
    post = rng.random((shape[0], STEPS)) < density
    third = rng.integers(-150, 150, (3, shape[0], STEPS)) if three_factors else None
    return learning_rule, matrices, tag, options, pre, post, third


def agree(found, expected, exact):
    for name, value in expected.items():
        if exact:
            np.testing.assert_array_equal(found[name], value, err_msg=name)
        else:
            np.testing.assert_allclose(found[name], value, rtol=1e-9, atol=1e-9, err_msg=name)


@settings(max_examples=120)
@given(cases(), st.data())
def test_a_network_learns_what_loops_give(case, data):
    """Also after parameters, traces, weights or the rule were set at a pause."""
    learning_rule, matrices, tag, options, pre, post, third = case
    plain = PlainLearning(learning_rule, **matrices, tag=tag, **options)
    inputs = {"s_in": pre, "s_in_bap": post}
    if third is not None:
        inputs.update(s_in_y1=third[0], s_in_y2=third[1], s_in_y3=third[2])
    process = LearningDense(learning_rule=learning_rule, **matrices, **options)
    pause = data.draw(st.integers(1, STEPS - 1), "pause after")
    exact, sent = tag == "fixed_pt", []
    with Trial(process, inputs, tag) as trial:
        for t in range(STEPS):
            if t == pause:
                change(process, plain, data)
            factors = None if third is None else third[:, :, t].tolist()
            sent.append(plain.step(pre[:, t].tolist(), post[:, t].tolist(), factors))
            agree(trial.run(1).state(), plain.state(), exact)
        agree({"sent": trial.sent("a_out").T}, {"sent": sent}, exact)


def change(process, plain, data):
    """Set some Vars, and the same of the plain connection."""
    for name in data.draw(st.sets(st.sampled_from(["x1_tau", "x2_impulse", "dw", "weights", "x1"])), "set"):
        if name == "dw":
            plain.rule.dw_str = "x0*y1 - u1*2"
            process.dw.set("x0*y1 - u1*2")
        elif name == "weights":
            low, high = {SignMode.MIXED: (-99, 99), SignMode.EXCITATORY: (0, 99)}.get(plain.mode, (-99, 0))
            shape = plain.matrices["weights"].shape
            new = np.random.default_rng(1).integers(low, high, shape)
            plain.matrices["weights"] = new.astype(plain.matrices["weights"].dtype)
            process.weights.set(new)
        elif name == "x1":
            new = np.arange(len(plain.tx))
            plain.traces["x1"] = [type(plain.traces["x1"][0])(x) for x in new]
            process.x1.set(new)
        else:
            setattr(plain.rule, name, 2.5)
            getattr(process, name).set(2.5)
