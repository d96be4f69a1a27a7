"""Reset and Read: when they act, on what, and with which numbers."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lahar.processes import LIF, Monitor, Read, Reset
from lahar.processes.errors import (
    ArgumentTypeError,
    LaharWarning,
    PortError,
    StateError,
    ValidationError,
)
from lahar.processes.lif import PyLifModelFloat
from lahar.runtime import Loihi2SimCfg, RunSteps

TAGS = ["floating_pt", "fixed_pt", None]


def counter(shape=(2,)):
    """Return neurons whose voltage grows by 64 in each step and which never spike."""
    return LIF(shape=shape, du=0, dv=0, bias_mant=1, bias_exp=6, vth=10**5)


def run(process, steps, select_tag="floating_pt"):
    process.run(RunSteps(steps), Loihi2SimCfg(select_tag=select_tag, launcher="inline"))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 6), st.integers(-7, 9), st.integers(-5, 5), st.lists(st.integers(1, 5), max_size=3))
def test_reset_acts_every_interval_over_all_runs(interval, offset, value, runs):
    lif, reset, monitor = counter(), Reset(reset_value=value, interval=interval, offset=offset), Monitor()
    reset.connect_var(lif.v)
    monitor.probe(lif.v, sum(runs) + 1)
    expected, v = [], 0
    with lif:
        for steps in [*runs, 1]:
            run(lif, steps, "fixed_pt")
            for _ in range(steps):
                t = len(expected) + 1
                expected.append(v + 64)  # a monitor reads before resets are written
                v = value if (t - 1) % interval == offset % interval else v + 64
            assert lif.v.get().tolist() == [v, v]
        recorded = monitor.get_data()[lif.name]["v"]
    np.testing.assert_array_equal(recorded, np.transpose([expected, expected]))


@settings(deadline=None, max_examples=25)
@given(st.integers(1, 5), st.integers(0, 9), st.integers(1, 4), st.lists(st.integers(1, 5), max_size=3))
def test_read_keeps_the_last_values(interval, offset, buffer, runs):
    lif, read = counter((2, 1)), Read(buffer=buffer, interval=interval, offset=offset)
    read.connect_var(lif.v)
    with lif:
        for steps in [*runs, 1]:
            run(lif, steps)
        got = read.data.get()
    expected = np.zeros(buffer)
    times = [t for t in range(1, sum(runs) + 2) if (t - 1) % interval == offset % interval]
    for k, t in enumerate(times):
        expected[k % buffer] = t  # the bias exponent is of fixed point only
    np.testing.assert_array_equal(got, np.broadcast_to(expected, (2, 1, buffer)))
    assert got.shape == (2, 1, buffer)


@pytest.mark.parametrize("tag", TAGS)
@pytest.mark.parametrize("var", ["v", "u"])
def test_a_reset_keeps_the_type_of_its_target(tag, var):
    lif, reset = counter(), Reset(reset_value=-7)
    target = getattr(lif, var)
    reset.connect_var(target)
    with lif:
        lif.create_runtime(Loihi2SimCfg(select_tag=tag, launcher="inline"))
        before = target.get().dtype
        run(lif, 2, tag)
        assert target.get().dtype == before
        assert target.get().tolist() == [-7, -7]


@pytest.mark.parametrize("tag", ["floating_pt", None, "some_other"])
def test_fractions_are_written_and_read_in_floating_point(tag):
    lif, reset, read = counter(), Reset(reset_value=0.75), Read(buffer=2)
    reset.connect_var(lif.v)
    read.connect_var(lif.v)
    models = {LIF: PyLifModelFloat}
    with lif:
        run_cfg = Loihi2SimCfg(select_tag=tag, exception_proc_model_map=models, launcher="inline")
        lif.run(RunSteps(2), run_cfg)
        assert lif.v.get().tolist() == [0.75, 0.75]
        assert read.data.get().tolist() == [[1, 1.75]] * 2  # before the reset of the same step


def test_fixed_point_cuts_a_fraction_with_a_warning():
    lif, reset = counter(), Reset(reset_value=-1.5, name="res")
    reset.connect_var(lif.v)
    with lif:
        with pytest.warns(LaharWarning, match=r"'res\.reset_value': 1 initial value"):
            run(lif, 1, "fixed_pt")
        assert lif.v.get().tolist() == [-1, -1]


@pytest.mark.parametrize("tag", TAGS)
def test_vars_of_a_reset_can_be_set(tag):
    lif, reset = counter((1,)), Reset(reset_value=5, interval=100)
    reset.connect_var(lif.v)
    with lif:
        run(lif, 1, tag)
        reset.interval.set(2)
        reset.offset.set(0)
        reset.reset_value.set(9)
        run(lif, 2, tag)
        assert lif.v.get().tolist() == [9]
        with pytest.raises(
            ValidationError, match=r"interval: must be a number of time steps, at least 1, not 0"
        ):
            reset.interval.set(0)
        run(lif, 2, tag)
        assert lif.v.get().tolist() == [9]


@pytest.mark.parametrize("process", [Reset(name="lost"), Read(buffer=3, name="lost")])
def test_without_a_var_there_is_no_effect_and_a_warning(process):
    with process, pytest.warns(LaharWarning, match="'lost' is connected to no Var"):
        run(process, 3)


# --- connecting and validation -----------------------------------------------------------------


def test_only_one_var_can_be_connected():
    lif, read = counter(), Read(buffer=1, name="read")
    read.connect_var(lif.v)
    with pytest.raises(PortError, match=rf"Read 'read' has been connected to Var '{lif.name}\.v' already"):
        read.connect_var(lif.u)


def test_connecting_something_else_is_refused_and_changes_nothing():
    read = Read(buffer=2)
    for wrong in (3, None, counter()):
        with pytest.raises(ArgumentTypeError, match="takes exactly one Var"):
            read.connect_var(wrong)
    with pytest.raises(ArgumentTypeError, match="same Process"):
        read.connect_var(read.interval)
    assert (read.state.shape, read.data.shape) == ((1,), (1, 2))
    lif = counter()
    read.connect_var(lif.v)
    assert (read.state.shape, read.data.shape) == ((2,), (2, 2))


def test_a_started_network_cannot_be_connected():
    lif, read = counter(), Read(buffer=1, name="read")
    with lif:
        run(lif, 1)
        with pytest.raises(StateError, match=r"Read 'read' cannot be connected.*has been started"):
            read.connect_var(lif.v)


@pytest.mark.parametrize(
    ("build", "error", "match"),
    [
        (lambda: Reset(interval=0), ValidationError, r"Reset\.interval: must be a number of time steps"),
        (lambda: Reset(interval=1.5), ArgumentTypeError, r"Reset\.interval must be an integer"),
        (lambda: Reset(offset="a"), ArgumentTypeError, r"Reset\.offset must be an integer"),
        (lambda: Reset(reset_value=[1, 2]), ArgumentTypeError, r"Reset\.reset_value must be one number"),
        (lambda: Reset(reset_value="x"), ArgumentTypeError, r"Reset\.reset_value must be one number"),
        (lambda: Read(buffer=0), ValidationError, r"Read\.buffer: must be the number of time steps"),
        (lambda: Read(buffer=2.5), ArgumentTypeError, r"Read\.buffer must be an integer"),
        (lambda: Read(buffer=1, interval=-1), ValidationError, r"Read\.interval"),
    ],
)
def test_arguments_are_validated(build, error, match):
    with pytest.raises(error, match=match):
        build()


def test_the_offset_is_taken_modulo_the_interval():
    assert Reset(interval=3, offset=-1).offset.init == 2
    assert Read(buffer=1, interval=4, offset=9).offset.init == 1
