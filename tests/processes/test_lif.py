"""LIF: numerics against formulas in plain Python, parameters, and the surface for model authors."""

import warnings

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from support.kernels import only

from lahar.processes import ATRLIF, LIF, Monitor, SinkRingBuffer, SourceRingBuffer, kernels
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ModelError, ShapeError
from lahar.processes.lif import (
    AbstractLIF,
    AbstractPyLifModelFixed,
    AbstractPyLifModelFloat,
    DecayFactor,
    PyLifModelBitAcc,
    PyLifModelFloat,
    scaled_threshold,
)
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyLoihiProcessModel,
    implements,
    requires,
    tag,
)
from lahar.processes.var import Var
from lahar.runtime import Loihi2SimCfg, RunSteps


@pytest.fixture(params=kernels.CHOICES, scope="module", autouse=True)
def _kernels(request):
    """Run all tests with both implementations."""
    with only(request.param):
        yield


M = 2**23


def config(select_tag):
    return Loihi2SimCfg(select_tag=select_tag, launcher="inline")


def network(lif, data):
    """Source -> lif -> sink, with monitors of u and v."""
    source = SourceRingBuffer(data=data)
    sink = SinkRingBuffer(shape=lif.s_out.shape, buffer=data.shape[-1])
    source.s_out.connect(lif.a_in)
    lif.s_out.connect(sink.a_in)
    monitors = []
    for var in (lif.u, lif.v):
        monitor = Monitor()
        monitor.probe(var, data.shape[-1])
        monitors.append((monitor, var.name))
    return sink, monitors


def run(lif, data, select_tag):
    """Return spikes, u and v, each with time as the first axis."""
    sink, monitors = network(lif, data)
    lif.run(condition=RunSteps(num_steps=data.shape[-1]), run_cfg=config(select_tag))
    spikes = np.moveaxis(sink.data.get(), -1, 0)
    states = [monitor.get_data()[lif.name][name] for monitor, name in monitors]
    lif.stop()
    return spikes, *states


def float_reference(data, u, v, du, dv, bias, vth):
    """The recurrence for one neuron, in Python floats."""
    spikes, us, vs = [], [], []
    for a in data:
        u = u * (1 - du) + a
        v = (v * (1 - dv) + u) + bias
        spikes.append(v > vth)
        v = 0.0 if v > vth else v
        us.append(u)
        vs.append(v)
    return spikes, us, vs


def wrap32(x):
    return (x + 2**31) % 2**32 - 2**31


def toward_zero(product):
    """Divide by 4096."""
    return abs(product) // 4096 * (1 if product >= 0 else -1)


def fixed_reference(data, u, v, du, dv, mant, exp, vth):
    """The recurrence for one neuron, in exact Python integers that wrap where the hardware wraps."""
    bias = wrap32(mant << exp) if exp >= 0 else mant >> -exp
    spikes, us, vs = [], [], []
    for a in data:
        u = wrap32(wrap32(toward_zero(u * (4096 - (du + 1)))) + wrap32(a << 6))
        u = u - 2**24 if u > M else u + 2**24 if u <= -M else u
        v = wrap32(wrap32(wrap32(toward_zero(v * (4096 - dv))) + u) + bias)
        v = max(-(M - 1), min(M - 1, v))
        spikes.append(v > vth << 6)
        v = 0 if spikes[-1] else v
        us.append(u)
        vs.append(v)
    return spikes, us, vs


# --- numerics ------------------------------------------------------------------------------

unit = st.floats(0, 1)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(st.integers(0, 2**32 - 1), unit, unit, st.floats(-2, 3), st.floats(-1, 1))
def test_float_recurrence(seed, du, dv, vth, bias):
    rng = np.random.default_rng(seed)
    data, u, v = rng.normal(size=(3, 12)), rng.normal(size=3), rng.normal(size=3)
    lif = LIF(shape=(3,), u=u, v=v, du=du, dv=dv, vth=vth, bias_mant=bias, bias_exp=3)
    spikes, us, vs = run(lif, data, "floating_pt")
    for i in range(3):
        expected = float_reference(data[i].tolist(), float(u[i]), float(v[i]), du, dv, bias, vth)
        for got, want in zip((spikes, us, vs), expected, strict=True):
            assert got[:, i].tolist() == want  # same bits, not just close


states = st.lists(st.integers(-(2**31), 2**31 - 1), min_size=3, max_size=3)


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.integers(0, 2**32 - 1),
    st.sampled_from([3, 9, 18, 24]),
    st.one_of(st.integers(-1, 4095), st.sampled_from([-1, 0, 4095, 4096, 8000, -5000, 20000])),
    st.one_of(st.integers(0, 4096), st.sampled_from([0, 4095, 4096, -3, 9000])),
    st.integers(-(2**15), 2**15 - 1),
    st.integers(-40, 40),
    st.integers(-(2**17), 2**17),
    states,
    states,
)
def test_fixed_recurrence(seed, bits, du, dv, mant, exp, vth, u, v):
    data = np.random.default_rng(seed).integers(-(2**bits), 2**bits, size=(3, 12))
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LaharWarning)
        lif = LIF(shape=(3,), u=u, v=v, du=du, dv=dv, vth=vth, bias_mant=mant, bias_exp=exp)
        spikes, us, vs = run(lif, data, "fixed_pt")
    for i in range(3):
        expected = fixed_reference(data[i].tolist(), u[i], v[i], du, dv, mant, exp, vth)
        for got, want in zip((spikes, us, vs), expected, strict=True):
            assert got[:, i].tolist() == want


def test_du_minus_one_keeps_the_current_and_zero_leaks():
    data = np.zeros((2, 3), int)
    _, us, _ = run(LIF(shape=(2,), u=[4095, -4095], du=-1, vth=1000), data, "fixed_pt")
    assert us[-1].tolist() == [4095, -4095]
    _, us, _ = run(LIF(shape=(2,), u=[4095, -4095], du=0, vth=1000), data, "fixed_pt")
    assert us[:, 0].tolist() == [4094, 4093, 4092]
    assert us[:, 1].tolist() == [-4094, -4093, -4092]  # toward zero, not down


def test_current_wraps_once_and_keeps_plus_2_to_23():
    u = [M, M + 1, -M, 3 * M + 5]
    _, us, _ = run(LIF(shape=(4,), u=u, du=-1, vth=131071), np.zeros((4, 1), int), "fixed_pt")
    assert us[0].tolist() == [M, -M + 1, M, M + 5]


def test_input_is_shifted_in_its_own_dtype_and_wrapped_to_int32():
    model = PyLifModelBitAcc({})
    model.u, model.v = np.zeros(1, np.int32), np.zeros(1, np.int32)
    model.du, model.dv = np.array([4095], np.int32), np.array([0], np.int32)
    for dtype, value, current in (
        (np.int64, 2**26 + 3, 192),
        (np.int64, 3, 192),
        (np.int32, 2**26 + 3, 192),
        (np.int16, 2**10 + 3, 192),  # shifted in its own 16 bits
    ):
        model.subthr_dynamics(np.array([value], dtype))
        assert (model.u.dtype, model.u.tolist()) == (np.int32, [current])


def test_arrays_of_parameters_act_per_neuron():
    du, dv, vth = np.array([0.0, 0.5, 1.0]), np.array([0.2, 0.0, 0.9]), np.array([0.1, 5.0, 1.0])
    data = np.random.default_rng(3).normal(size=(3, 10))
    lif = LIF(shape=(3,), du=du, dv=dv, vth=vth)
    spikes, us, vs = run(lif, data, "floating_pt")
    for i in range(3):
        expected = float_reference(data[i].tolist(), 0.0, 0.0, du[i], dv[i], 0.0, vth[i])
        for got, want in zip((spikes, us, vs), expected, strict=True):
            assert got[:, i].tolist() == [float(x) for x in want]


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt"])
def test_parameters_broadcast_over_two_dimensions(select_tag):
    lif = LIF(shape=(2, 3), du=[[1], [0]], bias_mant=[1, 2, 3], vth=[100, 200, 300], v=[[1], [2]])
    assert lif.du.shape == lif.vth.shape == (2, 3)
    assert lif.dv.shape == (1,)
    lif.run(condition=RunSteps(num_steps=1), run_cfg=config(select_tag))
    assert lif.du.get().tolist() == [[1, 1, 1], [0, 0, 0]]
    assert lif.vth.get().tolist() == [[100, 200, 300]] * 2
    assert lif.v.get().tolist() == [[2, 3, 4], [3, 4, 5]]
    lif.stop()


def test_bit_accurate_tag_is_fixed_point():
    lif = LIF(shape=(1,), bias_mant=3, bias_exp=2, vth=100)
    lif.run(condition=RunSteps(num_steps=2), run_cfg=config("bit_accurate_loihi"))
    assert lif.v.get().tolist() == [24]
    assert lif.model_class is PyLifModelBitAcc
    lif.stop()


def test_no_tag_runs_the_floating_point_model():
    lif = LIF(shape=(1,), bias_mant=0.5)
    lif.run(condition=RunSteps(num_steps=2), run_cfg=config(None))
    assert lif.v.get().tolist() == [1.0]
    assert lif.model_class is PyLifModelFloat
    lif.stop()


# --- setting Vars at a pause ---------------------------------------------------------------


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt"])
def test_threshold_set_at_a_pause_acts(select_tag):
    lif = LIF(shape=(2,), bias_mant=64, dv=0, vth=1000)
    lif.run(condition=RunSteps(num_steps=3), run_cfg=config(select_tag))
    assert lif.v.get().tolist() == [192, 192]
    lif.vth.set(np.array([1]))
    lif.run(condition=RunSteps(num_steps=1))
    assert lif.v.get().tolist() == [0, 0]
    lif.stop()


@pytest.mark.parametrize(
    ("select_tag", "half", "none"), [("floating_pt", 0.5, 1.0), ("fixed_pt", 2047, 4095)]
)
def test_decay_set_at_a_pause_acts(select_tag, half, none):
    lif = LIF(shape=(1,), u=64, du=half, vth=100000)
    lif.run(condition=RunSteps(num_steps=2), run_cfg=config(select_tag))
    assert lif.u.get().tolist() == [16]
    lif.du.set(np.array([none]))
    lif.run(condition=RunSteps(num_steps=1))
    assert lif.u.get().tolist() == [0]
    assert lif.du.get().tolist() == [none]
    lif.stop()


def test_bias_set_at_a_pause_acts():
    lif = LIF(shape=(1,), bias_mant=3, bias_exp=1, vth=100000)
    lif.run(condition=RunSteps(num_steps=1), run_cfg=config("fixed_pt"))
    lif.bias_exp.set(np.array([-1]))
    lif.run(condition=RunSteps(num_steps=1))
    assert lif.v.get().tolist() == [6 + 1]
    lif.bias_mant.set(np.array([-3]))
    lif.run(condition=RunSteps(num_steps=1))
    assert lif.v.get().tolist() == [6 + 1 - 2]  # shifting right rounds down
    lif.stop()


# --- validation ----------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["u", "v", "du", "dv", "vth", "bias_mant", "bias_exp"])
def test_shapes_that_do_not_broadcast_are_named(name):
    with pytest.raises(ShapeError, match=rf"'cell': {name} has shape \(4,\).*\(3,\)"):
        LIF(shape=(3,), name="cell", **{name: [1, 2, 3, 4]})


@pytest.mark.parametrize("name", ["u", "du", "vth"])
@pytest.mark.parametrize("value", ["1", None, 1j, [None]])
def test_values_that_are_no_real_numbers_are_named(name, value):
    with pytest.raises(ArgumentTypeError, match=rf"'cell': {name} must hold real numbers"):
        LIF(shape=(3,), name="cell", **{name: value})


def test_ragged_lists_are_refused():
    with pytest.raises(ShapeError, match="v is not an array"):
        LIF(shape=(2, 2), v=[[1, 2], [3]])


@pytest.mark.parametrize("shape", [3, [3], None])
def test_shape_must_be_a_tuple(shape):
    with pytest.raises(AssertionError, match="tuple"):
        LIF(shape=shape)


@pytest.mark.parametrize(
    ("name", "value"),
    [("du", 0.1), ("dv", [1, 2.5]), ("vth", 1.5), ("du", np.array([np.nan])), ("vth", np.array([1e10]))],
)
@pytest.mark.filterwarnings("ignore:Var 'cell")  # that digits are lost: said when the network is compiled
def test_fixed_point_refuses_fractions(name, value):
    lif = LIF(shape=(2,), name="cell", **{name: value})
    with pytest.raises(ModelError, match=rf"'cell': {name} is an integer of 32 bits"):
        lif.run(condition=RunSteps(num_steps=1), run_cfg=config("fixed_pt"))


def test_fixed_point_accepts_integral_floats():
    lif = LIF(shape=(1,), du=4095.0, dv=np.array([0.0]), vth=10.0, bias_mant=641)
    lif.run(condition=RunSteps(num_steps=1), run_cfg=config("fixed_pt"))
    assert lif.v.get().tolist() == [0]
    lif.stop()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("du", 5000, r"du = 5000 is outside \[-1, 4095\]"),
        ("dv", [0, -7], r"dv = -7 is outside \[0, 4096\].*1 of 2"),
        ("vth", 131072, r"vth = 131072 is outside \[-131072, 131071\]"),
        ("bias_mant", np.array(40000), r"bias_mant = 40000 does not fit into 16 bits"),
        ("u", [0, 2**23 + 1], r"u = 8388609 is outside \[-8388608, 8388608\].*1 of 2"),
        ("v", -(2**30), r"v = -1073741824 is outside"),
    ],
)
def test_fixed_point_warns_of_useless_values(name, value, message):
    lif = LIF(shape=(2,), name="cell", **{name: value})
    with pytest.warns(LaharWarning, match=rf"'cell': {message}"):
        lif.run(condition=RunSteps(num_steps=1), run_cfg=config("fixed_pt"))
    lif.stop()


@pytest.mark.parametrize("cls", [LIF, ATRLIF])
def test_a_bias_that_does_not_fit_is_reported(cls):
    neurons = cls(shape=(3,), name="cell", bias_mant=[3, -1, 2**14], bias_exp=[5, 31, 17])
    message = r"'cell': the bias 16384 \* 2\*\*17 does not fit into 32 bits and wraps \(1 of 3 values\)"
    with neurons, pytest.warns(LaharWarning, match=message):
        neurons.run(condition=RunSteps(num_steps=1), run_cfg=config("fixed_pt"))


def test_usual_values_do_not_warn():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        lif = LIF(shape=(2,), du=-1, dv=4095, vth=-5, bias_mant=[25000, -3], bias_exp=-2, custom=1)
        lif.run(condition=RunSteps(num_steps=1), run_cfg=config("fixed_pt"))
        lif.stop()


def test_misspelt_keyword_is_pointed_out():
    with pytest.warns(LaharWarning, match="'v_th'.*'vth'"):
        lif = LIF(shape=(1,), v_th=3)
    assert lif.proc_params["v_th"] == 3


def test_proc_params_hold_the_arguments():
    lif = LIF(shape=(1,), du=3, name="cell", anything=7)
    assert [lif.proc_params[k] for k in ("shape", "du", "name", "anything")] == [(1,), 3, "cell", 7]
    lif.proc_params["vth"] = 1  # a key of the user's own, not taken


def test_fixed_point_refuses_floating_input():
    with pytest.raises(TypeError, match=r"'cell' is fixed point, but receives float64"):
        PyLifModelBitAccUnderTest().subthr_dynamics(np.zeros(1))


class PyLifModelBitAccUnderTest(AbstractPyLifModelFixed):
    process_name = "cell"

    def __init__(self):
        super().__init__({})
        self.u = self.v = np.zeros(1, np.int32)
        self.du = self.dv = np.zeros(1, np.int32)


# --- what model authors use ----------------------------------------------------------------


class Soft(AbstractLIF):
    """A neuron of a user: subtracts the threshold instead of resetting to zero."""

    def __init__(self, *, shape, vth, du=0, dv=0, name=None, log_config=None):
        super().__init__(
            shape=shape, u=0, v=0, du=du, dv=dv, bias_mant=0, bias_exp=0, name=name, log_config=log_config
        )
        self.vth = Var(shape=(1,), init=vth)


@implements(proc=Soft, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class SoftModel(AbstractPyLifModelFloat):
    vth: float = LavaPyType(float, float)

    def spiking_activation(self):
        return self.v > self.vth

    def reset_voltage(self, spike_vector):
        self.v[spike_vector] -= self.vth


@implements(proc=Soft, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class SoftModelFixed(AbstractPyLifModelFixed):
    vth: int = LavaPyType(int, int)

    def __init__(self, proc_params):
        super().__init__(proc_params)
        self.ds_offset = 0  # du = 0 does not leak
        self.effective_vth = 0

    def scale_threshold(self):
        self.effective_vth = scaled_threshold(self.vth, self.vth_shift)
        self.isthrscaled = True

    def spiking_activation(self):
        return self.v > self.effective_vth

    def reset_voltage(self, spike_vector):
        self.v[spike_vector] -= self.effective_vth


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt"])
def test_hooks_of_a_derived_model_are_used(select_tag):
    neuron = Soft(shape=(1,), vth=10, du=1 if select_tag == "floating_pt" else 4095)
    spikes, _, vs = run(neuron, np.array([[7, 7, 7, 0]]), select_tag)
    scale = 1 if select_tag == "floating_pt" else 64
    assert (vs[:, 0] / scale).tolist() == [7, 4, 1, 1]
    assert spikes[:, 0].tolist() == [0, 1, 1, 0]


def test_bases_name_the_hook_that_is_missing():
    for base, hooks in (
        (AbstractPyLifModelFloat, ["spiking_activation"]),
        (AbstractPyLifModelFixed, ["spiking_activation", "scale_threshold"]),
    ):
        for hook in hooks:
            with pytest.raises(NotImplementedError, match=hook):
                getattr(base({}), hook)()


def test_attributes_of_the_fixed_base():
    model = AbstractPyLifModelFixed({})
    assert (model.ds_offset, model.dm_offset) == (1, 0)
    assert (model.isbiasscaled, model.isthrscaled) == (False, False)
    assert (model.uv_bitwidth, model.max_uv_val) == (24, M)
    assert (model.decay_shift, model.decay_unity, model.vth_shift, model.act_shift) == (12, 4096, 6, 6)


class Noisy(LIF):
    pass


@implements(proc=Noisy, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class NoisyModel(AbstractPyLifModelFixed):
    """Adds to the effective bias of this time step only."""

    vth: np.ndarray = LavaPyType(np.ndarray, np.int32)

    def scale_threshold(self):
        self.isthrscaled = True

    def spiking_activation(self):
        return self.v > scaled_threshold(self.vth, self.vth_shift)

    def scale_bias(self):
        super().scale_bias()
        self.effective_bias += self.time_step


def test_changes_of_the_effective_bias_last_one_step():
    lif = Noisy(shape=(1,), bias_mant=100, dv=4096, du=4095, vth=100000)
    _, _, vs = run(lif, np.zeros((1, 4), int), "fixed_pt")
    assert vs[:, 0].tolist() == [101, 102, 103, 104]


class Mixin(PyLoihiProcessModel):
    def run_spk(self):
        self.mixin_ran = True


class Cooperative(PyLifModelFloat, Mixin):
    implements_process = None


def test_float_base_runs_the_next_class_first():
    class Port:
        def recv(self):
            return np.array([2.0, 0.5])

        def send(self, data):
            self.sent = data

    model = Cooperative({})
    model.u, model.v, model.bias_mant = np.zeros((3, 2))
    model.du, model.dv, model.vth = np.array([[0.0], [0.0], [1.0]])
    model.a_in = model.s_out = Port()
    model.run_spk()
    assert model.mixin_ran
    assert model.s_out_buff.dtype == bool
    assert model.s_out_buff.tolist() == model.s_out.sent.tolist() == [True, False]
    assert model.v.tolist() == [0.0, 0.5]


def test_input_array_is_left_alone():
    model = PyLifModelBitAccUnderTest()
    activation = np.array([3], np.int32)
    model.subthr_dynamics(activation)
    assert activation.tolist() == [3]


def test_decay_factor_follows_changes_in_place():
    factor, decay = DecayFactor(), np.array([0.25])
    assert factor.of(decay, 1.0) == 0.75
    decay[0] = 0.5
    assert factor.of(decay, 1.0) == 0.5
    assert factor.of(0.0, 1.0) is None
    assert factor.of(np.array([1, 2]), 3, 2.0).tolist() == [1.0, 0.5]


def test_thresholds_beyond_int32_are_limited():
    assert scaled_threshold([2**30, -(2**30), 3], 6).tolist() == [2**31 - 1, -(2**31), 192]
    assert scaled_threshold([5], 6).shape == ()


@pytest.mark.parametrize("select_tag", ["floating_pt", "fixed_pt"])
@pytest.mark.parametrize("every", [2, 50])
def test_large_populations_are_reset_where_they_spike(select_tag, every):
    lif = LIF(shape=(1000,), vth=np.where(np.arange(1000) % every, 1000, 5))
    spikes, _, v = run(lif, np.full((1000, 1), 7), select_tag)
    expected = np.arange(1000) % every == 0
    assert (spikes[0] != 0).tolist() == expected.tolist()
    assert (v[0] == 0).tolist() == expected.tolist()
