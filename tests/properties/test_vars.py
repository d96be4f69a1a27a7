"""Every Var of every Process of the library holds what it was set to, in the dtype that it had."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from support.catalogue import PROCESSES, construct
from support.comparison import bits

from lahar.processes import Monitor
from lahar.processes.errors import CompileError
from lahar.runtime import Loihi2SimCfg, RunSteps

pytestmark = pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")

# Values that not every Var of that type may have, by name.
STRINGS = {"dw": "x0*y1 - 2*x0", "dd": "u0*2^-1", "dt": "y0*x1"}
UNCHANGEABLE = ("kernel_size", "stride", "padding", "dilation", "groups")  # ports depend on them
ONE_NUMBER = ("bits", "debug", "layerid", "_overflowed")  # in the shape of what is watched
LARGEST = {
    "delays": 1,
    "interval": 9,
    "offset": 0,
    "bits": 31,
    "spike_exp": 3,
    "state_exp": 3,
    "exp": 3,
    "tx": 1,
    "ty": 1,
}
LEAST = {"interval": 1, "bits": 1, "decay_bits": 1}
TAGS = ["floating_pt", "fixed_pt"]
MODELLED = [name for name in PROCESSES if name not in ("Monitor", "Receiver32Bit", "Spiker32bit")]


def start(name, tag):
    """Return a Process that is ready to run, or None if it has no model of that tag."""
    process = construct(name)
    try:
        process.create_runtime(Loihi2SimCfg(select_tag=tag, launcher="inline"))
    except CompileError:
        return None
    return process


def legal(var, present, rng):
    """Return a value that a Var may have."""
    if var.name in STRINGS:
        return STRINGS[var.name]
    if var.name in UNCHANGEABLE:
        return present
    if hasattr(present, "tocsr"):
        value = present.copy()
        value.data[:] = legal_numbers(var.name, present.data, rng)
        return value
    present = np.zeros(var.shape, int) if present is None else np.asarray(present)
    value = legal_numbers(var.name, present, rng)
    if var.name in ONE_NUMBER:
        value[...] = value.flat[0]
    return value


def legal_numbers(name, present, rng):
    kind, shape = present.dtype.kind, present.shape
    if kind == "b":
        return rng.integers(0, 2, shape).astype(bool)
    parameter_of_a_rule = name.endswith(("_tau", "_impulse"))
    if kind == "f":
        numbers = rng.normal(scale=10, size=shape)
        return np.abs(numbers) if parameter_of_a_rule else numbers
    if kind == "c":
        return rng.normal(size=shape) + 1j * rng.normal(size=shape)
    low, high = -100, 100
    if parameter_of_a_rule or name in LARGEST or name in LEAST:
        low, high = LEAST.get(name, 0), LARGEST.get(name, 20)
    return rng.integers(low, high, shape, endpoint=True).astype(present.dtype)


def check_vars(process, rng):
    for var in process.vars:
        if not process.runtime.holds(var.id) and var.aliased_var is None:  # of a hierarchical Process
            assert same(np.asarray(var.get()), np.asarray(var.init))
            continue
        present = var.get()
        value = legal(var, present, rng)
        expected = value.copy() if hasattr(value, "copy") else value
        var.set(value)
        if isinstance(value, np.ndarray):
            value[...] = 0  # the Var holds a copy
        found = var.get()
        assert same(found, expected), (var.path, found, expected)
        if isinstance(found, np.ndarray) and found.dtype.kind != "U":
            found[...] = 0  # which is a copy as well
            assert same(var.get(), expected), var.path


def same(found, expected):
    if hasattr(expected, "tocsr"):
        assert np.array_equal(found.indices, expected.indices)
        found, expected = found.data, expected.data
    return bits(found) == bits(expected)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", MODELLED)
@settings(max_examples=3)
@given(seed=st.integers(0, 2**32 - 1))
def test_what_is_set_can_be_got(name, tag, seed):
    process, rng = start(name, tag), np.random.default_rng(seed)
    if process is None:
        return
    with process:
        check_vars(process, rng)
        for _ in range(2):
            process.run(RunSteps(2))
            check_vars(process, rng)


@pytest.mark.parametrize("name", MODELLED)
def test_every_process_has_a_model_of_some_tag(name):
    started = [process for process in (start(name, tag) for tag in TAGS) if process is not None]
    for process in started:
        process.stop()
    assert started


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("name", MODELLED)
def test_every_var_can_be_recorded(name, tag):
    """A Monitor takes any Var but text; what it has of the last step is what the Var holds."""
    process, monitor = construct(name), Monitor()
    recorded = [var for var in process.vars if var.name not in STRINGS and not of_nobody(process, var)]
    for var in recorded:
        monitor.probe(var, num_steps=3)
    try:
        process.create_runtime(Loihi2SimCfg(select_tag=tag, launcher="inline"))
    except CompileError:
        return
    with process:
        process.run(RunSteps(3))
        values = {var.name: var.get() for var in recorded}
    data = monitor.get_data().get(process.name, {})
    assert set(data) == set(values)
    for var_name, value in values.items():
        whole = value.toarray() if hasattr(value, "tocsr") else value
        assert data[var_name].shape == (3, *whole.shape)
        np.testing.assert_array_equal(data[var_name][-1], whole, err_msg=var_name)


def of_nobody(process, var):
    """Whether a Var of a hierarchical Process stands for none of an inner one."""
    return type(process).__name__ == "SigmaS4dDeltaLayer" and var.name not in ("a", "b", "c", "s4_state")
