"""Compiled loops: the same bits as NumPy on whatever numbers there are, and who uses them when."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.sparse import csr_matrix
from support.kernels import only

from lahar.processes import AbstractProcess, Dense, Var, kernels
from lahar.processes.errors import ValidationError
from lahar.processes.fan_out import FanOut
from lahar.processes.kernels import Kernel
from lahar.processes.lif import AbstractPyLifModelFixed, AbstractPyLifModelFloat
from lahar.processes.model import LavaPyType, LoihiProtocol, PyLoihiProcessModel, implements
from lahar.processes.synapses import weighted_sum
from lahar.runtime import Loihi2SimCfg, RunSteps, WorkerPool

pytest.importorskip("numba")

FLOATS = st.one_of(
    st.sampled_from([0.0, -0.0, np.inf, -np.inf, np.nan, 5e-324, -5e-324, 1e308, -1e308, 1.0, 0.1]),
    st.floats(width=64),
)
INTS = st.one_of(
    st.sampled_from([0, 1, -1, 2**31 - 1, -(2**31), 2**23, -(2**23), 2**23 - 1]),
    st.integers(-(2**31), 2**31 - 1),
)
SHAPES = st.tuples(st.integers(1, 9), st.integers(1, 9))
PASSES = pytest.mark.filterwarnings("ignore::RuntimeWarning")  # overflow, invalid value: on purpose


def bits(array):
    """Return the bits, of every NaN the same: processors choose between those of two operands."""
    array = np.array(array)
    if array.dtype.kind == "f":
        array[np.isnan(array)] = np.nan
    return array.dtype, array.shape, array.tobytes()


def with_both(compute, *loops):
    """Compute with NumPy and with compiled loops, of which `loops` must have been used."""
    with only("numpy") as used:
        plain = compute()
    assert not used
    with only("numba") as used:
        compiled = compute()
    assert used >= set(loops)
    return plain, compiled


# --- the same bits ---------------------------------------------------------------------------


@st.composite
def sums(draw, elements, dtype, payloads):
    shape = draw(SHAPES)
    weights = draw(arrays(dtype, shape, elements=elements))
    spikes = draw(arrays(payloads, shape[0], elements=elements))
    spikes[:2] = 1  # a single active input takes a short cut
    return weights, spikes


@PASSES
@pytest.mark.parametrize("graded", [False, True])
@given(data=st.data())
def test_dense_float_sums(graded, data):
    weights, spikes = data.draw(sums(FLOATS, np.float64, np.float64))
    loops = [("dense_graded_float" if graded else "dense_float")] if len(spikes) > 1 else []
    plain, compiled = with_both(lambda: weighted_sum(weights, spikes, graded, np.float64), *loops)
    assert bits(compiled) == bits(plain)


@pytest.mark.parametrize(("graded", "dtype"), [(False, np.int64), (True, np.int32), (True, np.int64)])
@given(data=st.data())
def test_dense_integer_sums(graded, dtype, data):
    weights, spikes = data.draw(sums(INTS, np.int32, np.int32))
    name = f"dense_graded_{np.dtype(dtype)}" if graded else "dense_int"
    loops = [name] if len(spikes) > 1 else []
    plain, compiled = with_both(lambda: weighted_sum(weights, spikes, graded, dtype), *loops)
    assert bits(compiled) == bits(plain)


@PASSES
@pytest.mark.parametrize("graded", [False, True])
@given(data=st.data(), kept=st.booleans())
def test_sparse_float_sums(graded, data, kept):
    weights, spikes = data.draw(sums(FLOATS, np.float64, np.float64))
    weights = csr_matrix(weights.T)
    fan_out, name = FanOut(weights), "sparse_graded_float" if graded else "sparse_float"
    if kept:
        fan_out.keep(weights.data)
    plain, compiled = with_both(
        lambda: fan_out.weighted_sum(weights.data, spikes, graded, np.float64), *[name]
    )
    assert bits(compiled) == bits(plain)


@pytest.mark.parametrize(("graded", "dtype"), [(False, np.int64), (True, np.int32), (True, np.int64)])
@given(data=st.data(), kept=st.booleans())
def test_sparse_integer_sums(graded, dtype, data, kept):
    weights, spikes = data.draw(sums(INTS, np.int32, np.int32))
    weights = csr_matrix(weights.T)
    fan_out, name = FanOut(weights), f"sparse_graded_{np.dtype(dtype)}" if graded else "sparse_int"
    if kept:
        fan_out.keep(weights.data)
    plain, compiled = with_both(lambda: fan_out.weighted_sum(weights.data, spikes, graded, dtype), *[name])
    assert bits(compiled) == bits(plain)


def neurons(base, u, v, **others):
    """Return a model outside any network, with its state."""
    model = base({})
    for name, value in {"u": u.copy(), "v": v.copy(), **others}.items():
        setattr(model, name, value)
    return model


@PASSES
@given(data=st.data())
def test_float_neurons(data):
    shape = data.draw(SHAPES)
    u, v, bias, activation = (data.draw(arrays(np.float64, shape, elements=FLOATS)) for _ in range(4))
    decays = [data.draw(arrays(np.float64, data.draw(st.sampled_from([(1,), shape])), elements=FLOATS))]
    decays.append(np.zeros(1))
    du, dv = data.draw(st.permutations(decays))

    def step():
        model = neurons(AbstractPyLifModelFloat, u, v, bias_mant=bias, du=du, dv=dv)
        model.subthr_dynamics(activation)
        return model

    plain, compiled = with_both(step, "lif_float")
    assert bits(compiled.u) == bits(plain.u)
    assert bits(compiled.v) == bits(plain.v)


@PASSES
@given(data=st.data())
def test_fixed_neurons(data):
    shape = data.draw(SHAPES)
    u, v, bias = (data.draw(arrays(np.int32, shape, elements=INTS)) for _ in range(3))
    dtype = data.draw(st.sampled_from([np.int16, np.int32, np.int64]))
    activation = data.draw(arrays(np.int32, shape, elements=INTS)).astype(dtype)
    legal = st.one_of(st.integers(-1, 4095), st.sampled_from([8191, 8192]))  # those turn the sign
    du, dv = (
        data.draw(arrays(np.int32, data.draw(st.sampled_from([(1,), shape])), elements=legal))
        for _ in range(2)
    )
    du, dv = np.minimum(du, 8191), np.maximum(dv, 0)

    def step():
        model = neurons(AbstractPyLifModelFixed, u, v, du=du, dv=dv, effective_bias=bias)
        model.subthr_dynamics(activation)
        return model

    plain, compiled = with_both(step, "lif_fixed")
    assert bits(compiled.u) == bits(plain.u)
    assert bits(compiled.v) == bits(plain.v)


def test_blocks_meet():
    """Populations and rows longer than a block."""
    rng = np.random.default_rng(0)
    weights, spikes = rng.normal(size=(7, 5000)), np.ones(7)
    plain, compiled = with_both(lambda: weighted_sum(weights, spikes, False, float), "dense_float")
    assert bits(compiled) == bits(plain)
    u, v, bias, activation = rng.normal(size=(4, 5000))

    def step():
        model = neurons(
            AbstractPyLifModelFloat, u, v, bias_mant=bias, du=np.full(5000, 0.3), dv=np.full(1, 0.1)
        )
        model.subthr_dynamics(activation)
        return np.array([model.u, model.v])

    plain, compiled = with_both(step, "lif_float")
    assert bits(compiled) == bits(plain)


# --- what a compiled loop cannot take stays with NumPy ------------------------------------------


@pytest.mark.parametrize("weights", [np.ones((3, 4), np.float32), np.ones((4, 3)).T])
def test_other_weights(weights):
    with only("numba") as used:
        assert weighted_sum(weights, np.ones(3), False, np.float64).tolist() == [3.0] * 4
    assert not used


def test_spikes_that_do_not_fit_are_an_error_and_not_a_look_beyond_the_weights():
    with only("numba"):
        with pytest.raises(IndexError):
            weighted_sum(np.ones((3, 4)), np.ones(5), False, np.float64)
        fan_out = FanOut(csr_matrix(np.ones((4, 3))))
        with pytest.raises(IndexError):
            fan_out.weighted_sum(np.ones(12), np.ones(5), False, np.float64)
        with pytest.raises(IndexError):
            fan_out.weighted_sum(np.ones(2), np.ones(3), False, np.float64)


def test_read_only_input():
    u, v, bias, activation = np.ones((4, 3))
    for array in (bias, activation):
        array.flags.writeable = False
    with only("numba") as used:
        model = neurons(AbstractPyLifModelFloat, u, v, bias_mant=bias, du=np.zeros(1), dv=np.zeros(1))
        model.subthr_dynamics(activation)
    assert used == {"lif_float"}
    assert model.v.tolist() == [4.0] * 3


@pytest.mark.parametrize("du", [-5, 9000])
def test_growing_states_need_64_bits(du):
    u = np.array([2**30, -(2**30)], np.int32)

    def step():
        model = neurons(
            AbstractPyLifModelFixed,
            u,
            np.zeros(2, np.int32),
            du=np.full(1, du, np.int32),
            dv=np.zeros(1, np.int32),
            effective_bias=np.zeros(2, np.int32),
        )
        model.subthr_dynamics(np.zeros(2, np.int32))
        return model.u

    plain, compiled = with_both(step)
    assert bits(compiled) == bits(plain)


# --- choice ---------------------------------------------------------------------------------------


@pytest.fixture
def _restored(monkeypatch):
    monkeypatch.setattr(kernels, "_selected", kernels._selected)


@pytest.mark.usefixtures("_restored")
@pytest.mark.parametrize(("value", "expected"), [("numpy", "numpy"), ("numba", "numba"), ("", "numba")])
def test_the_environment_chooses(monkeypatch, value, expected):
    monkeypatch.setenv("LAHAR_KERNELS", value)
    assert kernels.choose_by_environment() == kernels.selected() == expected


@pytest.mark.usefixtures("_restored")
def test_an_unknown_choice_is_refused_when_a_network_starts(monkeypatch):
    monkeypatch.setenv("LAHAR_KERNELS", "fortran")
    dense = Dense(weights=np.ones((1, 1)))
    with pytest.raises(ValidationError, match="LAHAR_KERNELS: must be 'numpy' or 'numba', not 'fortran'"):
        dense.run(RunSteps(1), Loihi2SimCfg(launcher="inline"))


@pytest.mark.usefixtures("_restored")
def test_without_numba(monkeypatch):
    monkeypatch.setattr(kernels.importlib.util, "find_spec", lambda name: None)
    assert kernels.choose(None) == "numpy"
    with pytest.raises(ValidationError, match=r"pip install lahar\[fast\]"):
        kernels.choose("numba")


class Witness(AbstractProcess):
    """Tells which kernels its OS process uses."""

    def __init__(self):
        super().__init__(name="witness")
        self.kernels = Var((10,), "")
        self.pid = Var((1,), 0)


@implements(proc=Witness, protocol=LoihiProtocol)
class WitnessModel(PyLoihiProcessModel):
    kernels: str = LavaPyType(str, str)
    pid: np.ndarray = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.kernels, self.pid[0] = kernels.selected(), os.getpid()


@pytest.mark.usefixtures("_restored")
def test_workers_use_what_the_host_uses(monkeypatch):
    with WorkerPool():  # a fork server older than the choice
        for name in ("numba", "numpy", "numba"):
            monkeypatch.setenv("LAHAR_KERNELS", name)
            witness = Witness()
            with witness:
                witness.run(RunSteps(1), Loihi2SimCfg(partitions=1))
                assert witness.kernels.get() == name
                assert witness.pid.get()[0] != os.getpid()


# --- when it pays -----------------------------------------------------------------------------


@pytest.mark.usefixtures("_restored")
def test_a_loop_is_loaded_when_numpy_has_worked_enough():
    kernels.choose("numba")
    kernel = Kernel("lif_float", least=10, worth=100)
    assert [kernel.for_work(9) for _ in range(50)] == [None] * 50  # too small to count
    assert [kernel.for_work(30) for _ in range(3)] == [None] * 3
    assert callable(kernel.for_work(30))
    assert kernel.for_work(9) is None
    kernels.choose("numpy")
    assert kernel.for_work(1000) is None


def run(code, **environment):
    command = [sys.executable, "-c", code]
    return subprocess.Popen(command, env={**os.environ, **environment}, stdout=subprocess.PIPE, text=True)


SMALL = """
import sys
import numpy as np
from lahar.processes import LIF, Dense
from lahar.runtime import Loihi2SimCfg, RunSteps
lif, dense = LIF(shape=(100,), bias_mant=20), Dense(weights=np.ones((100, 100)))
lif.s_out.connect(dense.s_in)
lif.run(RunSteps(20), Loihi2SimCfg(launcher="inline"))
lif.stop()
print("numba" in sys.modules)
"""


def test_a_small_network_does_not_import_numba():
    assert run(SMALL, LAHAR_KERNELS="numba").communicate()[0] == "False\n"


RACE = """
import numpy as np
from lahar.processes import kernels
from lahar.processes.kernels import compiled
weights, total = np.arange(6, dtype=np.int32).reshape(2, 3), np.zeros(3, np.int32)
compiled.dense_graded_int32(weights, np.arange(2), np.arange(2, dtype=np.int32), total)
wide = np.zeros(3, np.int64)
compiled.dense_graded_int64(weights, np.arange(2), np.arange(2), wide)
print(total.tolist(), wide.tolist())
"""


def test_processes_that_compile_at_the_same_time_do_not_mix_up_machine_code(tmp_path):
    for _ in range(2):  # compile together, then load together
        racing = [run(RACE, NUMBA_CACHE_DIR=str(tmp_path)) for _ in range(3)]
        assert [process.communicate()[0] for process in racing] == ["[3, 4, 5] [3, 4, 5]\n"] * 3
    names = [path.name.split("-")[0] for path in tmp_path.rglob("*.nbi")]
    assert sorted(names) == ["compiled.dense_graded_int32", "compiled.dense_graded_int64"]


def test_loops_are_compiled_where_nothing_can_be_kept(tmp_path):
    code = (
        "import numba.core.caching as c\n"
        "c.CacheImpl._locator_classes = []\n"
        "[setattr(k, '_locator_classes', []) for k in c.CacheImpl.__subclasses__()]\n" + RACE
    )
    assert run(code, NUMBA_CACHE_DIR=str(tmp_path)).communicate()[0] == "[3, 4, 5] [3, 4, 5]\n"
    assert not list(tmp_path.rglob("*.nbi"))


def test_an_unknown_loop():
    from lahar.processes.kernels import compiled

    with pytest.raises(AttributeError, match="no attribute 'conv'"):
        compiled.conv  # noqa: B018
