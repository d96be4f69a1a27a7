"""Fixed-point numbers stay in the widths of the hardware, whatever arrives and whatever the parameters are."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.populations import Trial

import lahar.processes as library
from lahar.processes import (
    Allocator,
    GradedSpikeCfg,
    LearningDense,
    LearningSparse,
    Loihi2FLearningRule,
    Loihi3FLearningRule,
    NoveltyDetector,
    Readout,
    SignMode,
)

pytestmark = pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")

TAG, SIZE, STEPS = "fixed_pt", 4, 10
M = 2**23  # states of 24 bits lie between -M and M
INT32 = np.array([-(2**31), 2**31 - 1, -1, 0, 1])
INT16 = np.array([-(2**15), 2**15 - 1, -1, 0, 1])
# An activation is shifted by 6 bits, and a current wraps once: within 18 bits it cannot leave the 24.
ACTIVATIONS = np.array([-(2**18), 2**18, -(2**17), 2**17, 2**17 - 1, 0, 1, -1])
seeds = st.integers(0, 2**32 - 1)


def numbers(rng, extremes, low, high, shape=SIZE):
    """Draw numbers, among them extremes."""
    return np.where(rng.random(shape) < 0.5, rng.choice(extremes, shape), rng.integers(low, high, shape))


def run(process, data, observe):
    """Run step by step, with `observe` called on the state after each."""
    with Trial(process, data, TAG) as trial:
        for _ in range(STEPS):
            observe(trial.run(1).state())


def lif_arguments(rng):
    return {
        "u": rng.integers(1 - M, M, SIZE),
        "v": rng.integers(1 - M, M, SIZE),
        "du": numbers(rng, [-1, 0, 4095], 0, 4096),
        "dv": numbers(rng, [0, 4095, 4096], 0, 4096),
        "bias_mant": numbers(rng, INT16, -4096, 4096),
        "bias_exp": numbers(rng, [0, 7, 31, -31], -8, 8),
    }


@pytest.mark.parametrize(
    ("name", "thresholds"),
    [
        ("LIF", ("vth",)),
        ("LIFReset", ("vth",)),
        ("LearningLIF", ("vth",)),
        ("PrototypeLIF", ("vth",)),
        ("TernaryLIF", ("vth_hi", "vth_lo")),
    ],
)
@settings(max_examples=25)
@given(seed=seeds)
def test_currents_and_voltages_have_24_bits(name, thresholds, seed):
    rng = np.random.default_rng(seed)
    vth = np.sort([numbers(rng, [-(2**17), 2**17 - 1], -(2**17), 2**17) for _ in thresholds], axis=0)[::-1]
    process = getattr(library, name)(
        shape=(SIZE,), **lif_arguments(rng), **dict(zip(thresholds, vth, strict=True))
    )
    data = {"a_in": numbers(rng, ACTIVATIONS, -(2**18), 2**18, (SIZE, STEPS))}
    if name == "PrototypeLIF":
        data["reset_in"] = rng.integers(0, 2, (SIZE, STEPS))
        data["a_third_factor_in"] = rng.integers(0, SIZE + 1, (SIZE, STEPS))

    def observe(state):
        assert np.all((state["u"] > -M) & (state["u"] <= M))
        assert np.all(np.abs(state["v"].astype(np.int64)) < M)
        if name == "PrototypeLIF":
            assert np.all((state["y1"] == 0) | (state["y1"] == 127))

    run(process, data, observe)


@pytest.mark.parametrize("name", ["LIF", "LIFReset", "TernaryLIF", "ATRLIF", "LearningLIF"])
@settings(max_examples=10)
@given(seed=seeds)
def test_voltages_have_24_bits_whatever_arrives(name, seed):
    rng = np.random.default_rng(seed)
    process = getattr(library, name)(shape=(SIZE,), bias_mant=numbers(rng, INT16, -4096, 4096), bias_exp=7)
    data = {"a_in": numbers(rng, INT32, -(2**31), 2**31, (SIZE, STEPS))}
    run(process, data, lambda state: within(state["v"], M - 1))


def within(values, limit):
    assert np.all(np.abs(values.astype(np.int64)) <= limit), values


@settings(max_examples=25)
@given(seed=seeds)
def test_currents_of_atrlif_have_24_bits(seed):
    rng = np.random.default_rng(seed)
    deltas = {f"delta_{x}": rng.choice([0.0, 1.0, rng.random()], SIZE) for x in ("i", "v", "theta", "r")}
    process = library.ATRLIF(
        shape=(SIZE,), i=rng.integers(1 - M, M, SIZE), v=rng.integers(1 - M, M, SIZE), **deltas
    )
    data = {"a_in": numbers(rng, ACTIVATIONS, -(2**18), 2**18, (SIZE, STEPS))}

    def observe(state):
        assert np.all((state["i"] > -M) & (state["i"] <= M))
        within(state["v"], M - 1)

    run(process, data, observe)


@pytest.mark.parametrize("name", ["RF", "RF_IZ"])
@settings(max_examples=25)
@given(seed=seeds, state_exp=st.integers(0, 8), decay_bits=st.integers(1, 14))
def test_resonators_have_24_bits(name, seed, state_exp, decay_bits):
    rng = np.random.default_rng(seed)
    process = getattr(library, name)(
        shape=(SIZE,),
        period=numbers(rng, [1, 2, 3, 1000], 1, 50),
        alpha=rng.choice([0.0, 1.0, rng.random()], SIZE),
        state_exp=state_exp,
        decay_bits=decay_bits,
        vth=rng.integers(1, 2**14),
    )
    data = {port: numbers(rng, INT32, -(2**31), 2**31, (SIZE, STEPS)) for port in ("a_real_in", "a_imag_in")}

    def observe(state):
        within(state["real"], M - 1)
        within(state["imag"], M - 1)

    run(process, data, observe)


@settings(max_examples=15)
@given(seed=seeds)
def test_states_of_rfzero_have_24_bits(seed):
    rng = np.random.default_rng(seed)
    process = library.RFZero((SIZE,), freqs=rng.random(SIZE) * 500, decay_tau=rng.random(SIZE) + 1e-3)
    data = {port: numbers(rng, INT32, -(2**31), 2**31, (SIZE, STEPS)) for port in ("u_in", "v_in")}

    def observe(state):
        within(state["u"], M - 1)
        within(state["v"], M - 1)

    run(process, data, observe)


@pytest.mark.parametrize("name", ["Sigma", "Delta", "SigmaDelta"])
@settings(max_examples=15)
@given(seed=seeds, cum_error=st.booleans())
def test_sigma_delta_states_are_the_exact_ones_in_32_bits(name, seed, cum_error):
    """They have no limit of their own: what does not fit wraps, and nothing turns into a float."""
    rng = np.random.default_rng(seed)
    arguments = {} if name == "Sigma" else {"vth": rng.integers(0, 2**20, SIZE), "cum_error": cum_error}
    data = {"a_in": numbers(rng, INT32, -(2**31), 2**31, (SIZE, STEPS))}
    process = getattr(library, name)(shape=(SIZE,), **arguments)
    total = np.zeros(SIZE, np.int64)
    with Trial(process, data, TAG) as trial:
        for t in range(STEPS):
            state = trial.run(1).state()
            total += data["a_in"][:, t]
            if name != "Delta":
                np.testing.assert_array_equal(state["sigma"], (total + 2**31) % 2**32 - 2**31)
            for state_name in {"sigma", "act", "residue", "error"} & set(state):
                assert state[state_name].dtype == np.int32
        assert trial.sent().dtype == np.int32


@settings(max_examples=25)
@given(seed=seeds)
def test_prototype_learning_counts_within_its_limits(seed):
    rng = np.random.default_rng(seed)
    spikes = rng.integers(-1, 2, (SIZE, STEPS)) * (rng.random((SIZE, STEPS)) < 0.3)
    labels = numbers(rng, [0, 1, 2**31 - 1], 0, 5, (1, STEPS))
    with Trial(Readout(n_protos=SIZE), {"inference_in": spikes, "label_in": labels}, TAG) as trial:
        for _ in range(STEPS):
            state = trial.run(1).state()
            assert 0 <= state["last_winner_id"].item() < SIZE
            # pseudo labels are -1 to -n, others are those of the user
            assert set(state["proto_labels"].tolist()) <= {*range(-SIZE, 1), *labels.ravel().tolist()}
        assert set(trial.sent("feedback").ravel().tolist()) <= {-1, 0, 1}
        assert set(trial.sent("trigger_alloc").ravel().tolist()) <= {0, 1}
    with Trial(Allocator(n_protos=SIZE), {"trigger_in": labels}, TAG) as trial:
        ids = trial.run(STEPS).sent("allocate_out").ravel()
    assert ids[ids > 0].tolist() == list(range(1, np.count_nonzero(labels) + 1))
    detector = NoveltyDetector(t_wait=int(rng.integers(0, 4)))
    inputs = {"input_aval_in": labels, "output_aval_in": rng.integers(0, 2, (1, STEPS))}
    with Trial(detector, inputs, TAG) as trial:
        assert set(trial.run(STEPS).sent("novelty_detected_out").ravel().tolist()) <= {0, 1}


# --- connections that learn -------------------------------------------------------------------

WEIGHTS = {SignMode.MIXED: (-256, 255), SignMode.EXCITATORY: (0, 255), SignMode.INHIBITORY: (-255, 0)}
PRODUCTS = [
    "x0*y1*2^8",
    "-7*y0*x1*2^4",
    "u0*(-8)*2^8",
    "u0*7*2^8",
    "x0*w*2^3",
    "-y0*d*t",
    "u0*x1*x2",
    "y0*sgn(w)*t",
]
rule_strings = st.lists(st.sampled_from(PRODUCTS), min_size=1, max_size=3).map(
    lambda products: " + ".join(products).replace("+ -", "- ")
)


@settings(max_examples=60)
@given(
    cls=st.sampled_from([LearningDense, LearningSparse]),
    mode=st.sampled_from(list(WEIGHTS)),
    strings=st.tuples(rule_strings, rule_strings, rule_strings),
    three_factors=st.booleans(),
    cfg=st.sampled_from([GradedSpikeCfg.USE_REGULAR_IMPULSE, GradedSpikeCfg.OVERWRITE]),
    seed=seeds,
)
def test_weights_tags_and_traces_have_their_widths(cls, mode, strings, three_factors, cfg, seed):
    rng = np.random.default_rng(seed)
    parameters = {f"{x}_impulse": float(rng.integers(0, 128)) + 0.5 for x in ("x1", "x2")}
    parameters.update({f"{x}_tau": float(rng.choice([0, 1, 30, 65535])) for x in ("x1", "x2")})
    if not three_factors:
        parameters.update({f"{y}_impulse": float(rng.integers(0, 128)) for y in ("y1", "y2", "y3")})
        parameters.update({f"{y}_tau": float(rng.choice([0, 2, 65535])) for y in ("y1", "y2", "y3")})
    of_rule = Loihi3FLearningRule if three_factors else Loihi2FLearningRule
    dw, dd, dt = strings
    low, high = WEIGHTS[mode]
    process = cls(
        weights=numbers(rng, [low, high], low, high + 1, (3, SIZE)),
        tag_1=numbers(rng, [-257, 255], -257, 256, (3, SIZE)),
        tag_2=numbers(rng, [0, 255], 0, 256, (3, SIZE)),
        learning_rule=of_rule(dw=dw, dd=dd, dt=dt, t_epoch=int(rng.integers(1, 4)), rng_seed=1, **parameters),
        sign_mode=mode,
        graded_spike_cfg=cfg,
        num_message_bits=8,
    )
    data = {
        "s_in": rng.integers(0, 256, (SIZE, STEPS)) * (rng.random((SIZE, STEPS)) < 0.6),
        "s_in_bap": rng.random((3, STEPS)) < 0.6,
    }
    if three_factors:
        data["s_in_y2"] = numbers(rng, INT32, -200, 200, (3, STEPS))

    def observe(state):
        for name, (least, most) in {"weights": (low, high), "tag_1": (-257, 255), "tag_2": (0, 255)}.items():
            values = state[name].data if hasattr(state[name], "tocsr") else state[name]
            assert np.all((values >= least) & (values <= most)), (name, values)
        largest = 255 if cfg is GradedSpikeCfg.OVERWRITE else 127
        traces = ["x1", "x2"] if three_factors else ["x1", "x2", "y1", "y2", "y3"]
        for name in traces:
            assert np.all((state[name] >= 0) & (state[name] <= (largest if name == "x1" else 127))), name

    run(process, data, observe)


@pytest.mark.parametrize("mode", list(WEIGHTS))
@pytest.mark.parametrize("name", ["Dense", "Sparse", "DelayDense", "DelaySparse"])
@settings(max_examples=10)
@given(seed=seeds, bits=st.integers(1, 8))
def test_static_weights_have_as_many_bits_as_asked_for(name, mode, seed, bits):
    rng = np.random.default_rng(seed)
    weights = numbers(rng, [-(2**31), 2**31 - 1, 0], -600, 600, (3, SIZE))
    weights[0, 0] = 1
    delays = {"delays": 1} if name.startswith("Delay") else {}
    process = getattr(library, name)(weights=weights, num_weight_bits=bits, sign_mode=mode, **delays)
    with Trial(process, {"s_in": np.zeros((SIZE, 1), int)}, TAG) as trial:
        held = trial.run(1).state()["weights"]
    held = held.data if hasattr(held, "tocsr") else held
    unit, (low, high) = 2 ** (8 - bits + (mode is SignMode.MIXED)), WEIGHTS[mode]
    assert np.all((held >= low) & (held <= high) & (held % unit == 0))
