"""The interface of every Process: arguments with their defaults, ports and Vars, as users know them."""

import inspect

import numpy as np
import pytest
from support.catalogue import PROCESSES, WEIGHTS, construct, rule

import lahar.processes as library
from lahar.processes import (
    Loihi2FLearningRule,
    Loihi3FLearningRule,
    LoihiLearningRule,
    RewardModulatedSTDP,
    STDPLoihi,
)

LIF_ARGUMENTS = "*, shape, u=0, v=0, du=0, dv=0, bias_mant=0, bias_exp=0"
LIF_VARS = "u v bias_exp bias_mant du:1 dv:1"
LEARNING_LIF_PORTS = "a_third_factor_in -> s_out s_out_bap s_out_y1 s_out_y2 s_out_y3"
WEIGHTED = "num_message_bits=0, log_config=None"
CONNECTION = f"*, weights, name=None, {WEIGHTED}, **kwargs"
DELAYED = f"*, weights, delays, max_delay=0, name=None, {WEIGHTED}, **kwargs"
LEARNING = (
    f"*, weights, tag_2=None, tag_1=None, name=None, {WEIGHTED}, learning_rule=None, "
    "graded_spike_cfg=USE_REGULAR_IMPULSE, **kwargs"
)
LEARNING_PORTS = "s_in:3 s_in_bap s_in_y1 s_in_y2 s_in_y3 -> a_out"
LEARNING_VARS = (
    "weights:2,3 a_buff num_message_bits:1 x0:3 tx:3 x1:3 x2:3 y0 ty y1 y2 y3 tag_1:2,3 tag_2:2,3 dw:256 dd:256 dt:256 "
    "x1_tau:1 x1_impulse:1 x2_tau:1 x2_impulse:1 y1_tau:1 y1_impulse:1 y2_tau:1 y2_impulse:1 y3_tau:1 y3_impulse:1"
)
DELTA_VARS = "act error residue sigma cum_error:1 spike_exp:1 state_exp:1 vth:1"

# Arguments without name and log_config unless they stand elsewhere than at the end; ports; Vars. Shapes
# are (2,) unless they are given.
INTERFACES = {
    "LIF": (
        f"{LIF_ARGUMENTS}, vth=10, name=None, log_config=None, **kwargs",
        "a_in -> s_out",
        f"{LIF_VARS} vth:1",
    ),
    "LIFReset": (
        f"{LIF_ARGUMENTS}, vth=10, reset_interval=1, reset_offset=0",
        "a_in -> s_out",
        f"{LIF_VARS} vth:1",
    ),
    "LIFRefractory": (
        f"{LIF_ARGUMENTS}, vth=10, refractory_period=1",
        "a_in -> s_out",
        f"{LIF_VARS} vth:1 refractory_period_end",
    ),
    "TernaryLIF": (
        f"{LIF_ARGUMENTS}, vth_hi=10, vth_lo=-10",
        "a_in -> s_out",
        f"{LIF_VARS} vth_hi:1 vth_lo:1",
    ),
    "LearningLIF": (
        f"{LIF_ARGUMENTS}, vth=10, name=None, log_config=None, learning_rule=None, **kwargs",
        f"a_in {LEARNING_LIF_PORTS}",
        f"{LIF_VARS} vth:1 y1 y2 y3",
    ),
    "PrototypeLIF": (
        f"{LIF_ARGUMENTS}, vth=10, name=None, log_config=None, learning_rule=None, **kwargs",
        f"a_in reset_in {LEARNING_LIF_PORTS}",
        f"{LIF_VARS} vth:1 y1 y2 y3",
    ),
    "Sigma": ("*, shape", "a_in -> s_out", "sigma"),
    "Delta": ("*, shape, vth, cum_error=False, spike_exp=0, state_exp=0", "a_in -> s_out", DELTA_VARS),
    "SigmaDelta": (
        "*, shape, vth, bias=0, act_mode=RELU, cum_error=False, spike_exp=0, state_exp=0, **kwargs",
        "a_in -> s_out",
        f"{DELTA_VARS} bias",
    ),
    **dict.fromkeys(
        ("RF", "RF_IZ"),
        (
            "shape, period, alpha, state_exp=0, decay_bits=0, vth=1",
            "a_real_in a_imag_in -> s_out",
            "real imag sin_decay:1 cos_decay:1 state_exp:1 decay_bits:1 vth:1",
        ),
    ),
    "RFZero": ("shape, freqs, decay_tau, dt=0.001, uth=1", "u_in v_in -> s_out", "u v lct lst uth:1"),
    "ATRLIF": (
        "*, shape, i=0, v=0, theta=5, r=0, s=0, delta_i=0.4, delta_v=0.4, delta_theta=0.2, delta_r=0.2, theta_0=5, "
        "theta_step=3.75, bias_mant=0, bias_exp=0",
        "a_in -> s_out",
        "i v theta r s bias_mant bias_exp delta_i:1 delta_v:1 delta_theta:1 delta_r:1 theta_0:1 theta_step:1",
    ),
    "ProdNeuron": ("shape, vth=1, exp=0", "a_in1 a_in2 -> s_out", "vth:1 exp:1 v"),
    "GradedVec": ("shape, vth=1, exp=0", "a_in -> s_out", "vth:1 exp:1 v"),
    "GradedReluVec": ("shape, vth=1, exp=0", "a_in -> s_out", "vth:1 exp:1 v"),
    "NormVecDelay": ("shape, vth=1, exp=0", "a_in1 a_in2 -> s_out s2_out", "vth:1 exp:1 v v2"),
    "InvSqrt": ("shape, fp_base=12", "a_in:1 -> s_out:1", "fp_base:1"),
    "Spiker": ("*, shape=(1,), period=10, payload=1", "-> s_out:1", "rate:1 counter:1 payload:1"),
    "Spiker32bit": ("*, shape=(1,), period=1, payload=1", "-> s_out:1", "counter:1"),
    "S4d": (
        "shape, a, b, c, s4_state=0, s4_exp=0, inp_exp=0",
        "a_in -> s_out",
        "a b c s4_state s4_exp:1 inp_exp:1",
    ),
    "SigmaS4dDelta": (
        "shape, vth, a, b, c, state_exp=0, s4_exp=0",
        "a_in -> s_out",
        f"{DELTA_VARS} bias a b c s4_state s4_exp:1",
    ),
    "SigmaS4dDeltaLayer": (
        "shape, vth, a, b, c, d_states=1, s4_exp=0, num_message_bits=24, state_exp=0",
        "s_in -> a_out",
        "a b c s4_state state_exp:1 S4_exp:1 num_message_bits:1 conn_weights:2,2",
    ),
    "NoveltyDetector": (
        "*, t_wait",
        "input_aval_in:1 output_aval_in:1 -> novelty_detected_out:1",
        "t_wait:1",
    ),
    "Readout": (
        "*, n_protos, proto_labels=None",
        "inference_in label_in:1 -> user_output:1 feedback:1 trigger_alloc:1",
        "proto_labels last_winner_id:1",
    ),
    "Allocator": (
        "*, n_protos, next_alloc_id=1",
        "trigger_in:1 -> allocate_out:1",
        "next_alloc_id:1 n_protos:1",
    ),
    "IdBroadcast": ("*, shape=(1,)", "a_in:1 -> s_out:1", "val:1"),
    "Dense": (CONNECTION, "s_in:3 -> a_out", "weights:2,3 a_buff num_message_bits:1"),
    "Sparse": (CONNECTION, "s_in:3 -> a_out", "weights:2,3 a_buff num_message_bits:1"),
    "DelayDense": (DELAYED, "s_in:3 -> a_out", "weights:2,3 delays:2,3 a_buff:2,2 num_message_bits:1"),
    "DelaySparse": (DELAYED, "s_in:3 -> a_out", "weights:2,3 delays:2,3 a_buff:2,2 num_message_bits:1"),
    "LearningDense": (LEARNING, LEARNING_PORTS, LEARNING_VARS),
    "LearningSparse": (LEARNING, LEARNING_PORTS, LEARNING_VARS),
    "Conv": (
        "*, weight, weight_exp=0, input_shape=(1, 1, 1), padding=0, stride=1, dilation=1, groups=1, num_weight_bits=8, "
        "num_message_bits=0",
        "s_in:3,3,1 -> a_out:2,2,1",
        "weight:1,2,2,1 a_buf:2,2,1 kernel_size padding stride dilation groups:1 num_message_bits:1 "
        "num_weight_bits:1 weight_exp:1",
    ),
    "ConvInTime": (CONNECTION, "s_in:3 -> a_out", "weights:2,2,3 a_buff:2,2 num_message_bits:1"),
    "SourceRingBuffer": ("*, data", "-> s_out", "data:2,3"),
    "SinkRingBuffer": ("*, shape, buffer", "a_in ->", "data:2,3"),
    "Read": ("*, buffer, interval=1, offset=0", "-> state", "data:2,2 interval:1 offset:1"),
    "Reset": ("*, reset_value=0, interval=1, offset=0", "-> state", "reset_value:1 interval:1 offset:1"),
    "Receiver": ("*, shape=(1,)", "a_in:1 ->", "payload:1"),
    "Receiver32Bit": ("*, shape=(1,)", "a_in:1 ->", "payload_last_bytes:1 payload_first_byte:1"),
    "BitCheck": (
        "*, layerid=None, debug=0, bits=24, name=None, log_config=None, **kwargs",
        "-> state",
        "layerid debug bits _overflowed overflow_steps",
    ),
    "DeltaEncoder": (
        "*, shape, vth, spike_exp=0, num_bits=None, compression=DENSE",
        "a_in -> s_out",
        "vth:1 act residue spike_exp:1 a_min:1 a_max:1",
    ),
    "SpikeDataloader": (
        "*, dataset, interval=1, offset=0",
        "-> s_out ground_truth:1",
        "data:2,3 interval:1 offset:1",
    ),
    "StateDataloader": ("*, dataset, interval=1, offset=0", "-> state ground_truth:1", "interval:1 offset:1"),
    "Injector": ("shape, buffer_size=50, channel_config=None, **kwargs", "in_port -> out_port", ""),
    "Extractor": ("shape, buffer_size=50, channel_config=None, **kwargs", "in_port -> out_port", "dropped:1"),
    "VarWire": ("buffer_size=50, channel_config=None, **kwargs", "-> wire_tap out_port", "dropped:1"),
    "Monitor": ("**proc_params", "->", ""),
}


def members(text):
    """Return shapes by name."""
    pairs = (word.partition(":")[::2] for word in text.split())
    return {name: tuple(int(n) for n in shape.split(",")) if shape else (2,) for name, shape in pairs}


def arguments(callable_):
    """Return the signature as text, without annotations; enumerations by name."""
    parts = []
    for p in inspect.signature(callable_).parameters.values():
        if p.kind is p.KEYWORD_ONLY and "*" not in parts and not any(part.startswith("*") for part in parts):
            parts.append("*")
        default = getattr(p.default, "name", p.default)
        prefix = {p.VAR_POSITIONAL: "*", p.VAR_KEYWORD: "**"}.get(p.kind, "")
        parts.append(prefix + p.name + ("" if default is p.empty else f"={default}"))
    return ", ".join(parts)


def test_every_process_is_in_the_table():
    assert set(INTERFACES) == set(PROCESSES)


@pytest.mark.parametrize("name", INTERFACES)
def test_arguments(name):
    expected = INTERFACES[name][0]
    if "log_config" not in expected and "**" not in expected:
        expected += ", name=None, log_config=None"
    assert arguments(getattr(library, name)) == expected


@pytest.mark.parametrize("name", INTERFACES)
def test_ports_and_vars(name):
    process = construct(name)
    _, ports, variables = INTERFACES[name]
    inputs, _, others = ports.partition("->")
    assert {p.name: p.shape for p in process.in_ports} == members(inputs)
    assert {p.name: p.shape for kind in (process.out_ports, process.ref_ports) for p in kind} == members(
        others
    )
    assert {v.name: v.shape for v in process.vars} == members(variables)


TRACES = "x1_impulse=0.0, x1_tau=0.0, x2_impulse=0.0, x2_tau=0.0"
POST_TRACES = "y1_impulse=0.0, y1_tau=0.0, y2_impulse=0.0, y2_tau=0.0, y3_impulse=0.0, y3_tau=0.0"


@pytest.mark.parametrize(
    ("cls", "expected"),
    [
        (LoihiLearningRule, f"dw=None, dd=None, dt=None, {TRACES}, {POST_TRACES}, t_epoch=1, rng_seed=None"),
        (
            Loihi2FLearningRule,
            f"dw=None, dd=None, dt=None, {TRACES}, {POST_TRACES}, t_epoch=1, rng_seed=None",
        ),
        (Loihi3FLearningRule, f"dw=None, dd=None, dt=None, {TRACES}, t_epoch=1, rng_seed=None"),
        (STDPLoihi, "learning_rate, A_plus, A_minus, tau_plus, tau_minus, *, convention=standard, **kwargs"),
        (
            RewardModulatedSTDP,
            "learning_rate, A_plus, A_minus, pre_trace_decay_tau, post_trace_decay_tau, pre_trace_kernel_magnitude, "
            "post_trace_kernel_magnitude, eligibility_trace_decay_tau, **kwargs",
        ),
    ],
)
def test_arguments_of_rules(cls, expected):
    assert arguments(cls) == expected


# --- process parameters: what a model of the user finds ------------------------------------------

ALL_ARGUMENTS = [
    *("ATRLIF", "LIF", "LIFReset", "LIFRefractory", "SigmaDelta", "Delta", "S4d", "SigmaS4dDelta"),
    "SigmaS4dDeltaLayer",
]


@pytest.mark.parametrize("name", ALL_ARGUMENTS)
def test_arguments_are_process_parameters(name):
    process = construct(name)
    left_out = {"name", "log_config", "kwargs", "vth"} if "LIF" in name else {"name", "log_config", "kwargs"}
    wanted = set(inspect.signature(type(process)).parameters) - left_out
    assert wanted <= set(process.proc_params.keys())


@pytest.mark.parametrize(
    "name", ["Sigma", "RFZero", "ProdNeuron", "GradedVec", "GradedReluVec", "NormVecDelay", "InvSqrt"]
)
def test_only_the_shape_is_a_process_parameter(name):
    assert set(construct(name).proc_params.keys()) == {"shape"}


def test_process_parameters_of_a_learning_connection():
    learning_rule = rule()
    params = library.LearningDense(weights=WEIGHTS, learning_rule=learning_rule).proc_params
    assert params["learning_rule"] is learning_rule
    assert params["shape"] == (2, 3)
    np.testing.assert_array_equal(params["weights"], WEIGHTS)
