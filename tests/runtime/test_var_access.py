"""Vars and Monitors of a network that runs, is paused or has ended."""

from __future__ import annotations

import numpy as np
import pytest
import runtime_models as rm
from ramps import sums
from setups import both_syncs, config, every_setup

from lahar.processes import LIF, Monitor
from lahar.processes.errors import DtypeError, ShapeError, StateError, VarIndexError
from lahar.runtime import RunSteps

pytestmark = [
    pytest.mark.usefixtures("pool"),
    pytest.mark.filterwarnings("ignore:sync='elastic' could change results"),
]


@pytest.fixture(params=["inline", "local-1-elastic"])
def shelf(request):
    shelf = rm.Shelf(name="shelf")
    shelf.create_runtime(run_cfg=config(request.param))
    yield shelf
    shelf.stop()


WHOLE = {
    "ints": (np.int64, [[9, 8, 7], [6, 5, 4]]),
    "small": (np.int8, [1, -2, 3, -4]),
    "floats": (np.float32, [0.25, -0.5, 1e30]),
    "bools": (np.bool_, [True, False, True]),
    "complexes": (np.complex128, [1j, 2.5]),
    "fortran": (np.float64, [[0.5, 1, 2], [3, 4, 5]]),
    "strided": (np.int64, [5, 6, 7]),
    "number": (np.int64, [42]),
    "real": (np.float64, [0.125]),
    "flag": (np.bool_, [False]),
}


@pytest.mark.parametrize("name", list(WHOLE))
def test_whole_arrays_keep_dtype_and_survive_a_run(shelf, name):
    dtype, value = WHOLE[name]
    var = getattr(shelf, name)
    before = var.get()
    assert before.dtype == dtype
    assert before.shape == var.shape
    var.set(np.array(value))
    for _ in range(2):
        got = var.get()
        assert got.dtype == dtype
        assert np.array_equal(got, np.array(value, dtype))
        got[...] = 0  # the caller owns it
        shelf.run(RunSteps(1))
    shelf.stop()
    assert np.array_equal(var.get(), np.array(value, dtype))


def test_initial_values_by_declared_type(shelf):
    assert shelf.ints.get().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert shelf.small.get().tolist() == [7] * 4
    assert shelf.strided.get().tolist() == [0, 1, 2]
    assert shelf.fortran.get().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert [shelf.number.get().tolist(), shelf.real.get().tolist(), shelf.flag.get().tolist()] == [
        [3],
        [2.5],
        [True],
    ]
    assert shelf.text.get() == "abc"


def test_lists_and_numbers_can_be_set(shelf):
    shelf.floats.set([1, 2, 3])
    assert shelf.floats.get().tolist() == [1, 2, 3]
    shelf.ints.set(-1)
    assert shelf.ints.get().tolist() == [[-1] * 3] * 2


def test_large_and_empty_integers_are_exact(shelf):
    shelf.ints.set(np.full((2, 3), 2**62 + 1))
    assert shelf.ints.get()[1, 2] == 2**62 + 1


def test_text_is_set_whole(shelf):
    shelf.text.set("something longer")
    shelf.run(RunSteps(1))
    assert shelf.text.get() == "something longer"
    with pytest.raises(DtypeError, match="holds a string"):
        shelf.text.set(np.array([1]))
    with pytest.raises(DtypeError, match="holds numbers"):
        shelf.ints.set("abc")


def test_get_with_an_index_has_numpy_meaning(shelf):
    full = shelf.ints.get()
    for idx in (0, 1, (1, 2), (slice(None), 1), [1, 0], full > 2, np.array([0, 0])):
        assert np.array_equal(shelf.ints.get(idx), full[idx])
    with pytest.raises(IndexError):
        shelf.ints.get(5)


@pytest.mark.parametrize("name", ["ints", "fortran"])
@pytest.mark.parametrize(
    ("idx", "value"),
    [
        (0, [7, 8, 9]),
        (1, 5),
        ((1, 2), 5),
        ((slice(None), 1), [5, 6]),
        ([1, 0], [[1, 2, 3], [4, 5, 6]]),
        (np.array([[True, False, True], [False, False, False]]), [8, 9]),
        (Ellipsis, 3),
    ],
)
def test_set_with_an_index_has_numpy_meaning(shelf, name, idx, value):
    var = getattr(shelf, name)
    expected = var.get()
    expected[idx] = value
    var.set(np.array(value), idx)
    assert np.array_equal(var.get(), expected)
    shelf.run(RunSteps(1))
    assert np.array_equal(var.get(), expected)


def test_set_with_an_index_into_scalars(shelf):
    shelf.number.set(8, idx=0)
    assert shelf.number.get().tolist() == [8]
    shelf.run(RunSteps(1))


@pytest.mark.parametrize(
    ("value", "idx", "error"),
    [
        (np.zeros(3), None, ShapeError),
        (np.zeros((3, 2)), None, ShapeError),
        (np.zeros((1, 2, 3)), None, ShapeError),
        (np.zeros(0), None, ShapeError),
        (np.zeros(2), 0, ShapeError),
        (np.zeros((2, 2)), slice(None), ShapeError),
        (1, 7, IndexError),
        ("abc", None, DtypeError),
        (np.array(["a"] * 6).reshape(2, 3), None, DtypeError),
        ({"a": 1}, None, DtypeError),
    ],
)
def test_values_that_do_not_fit_change_nothing(shelf, value, idx, error):
    with pytest.raises(error) as caught:
        shelf.ints.set(value, idx)
    if error is not IndexError:
        assert "shelf.ints" in str(caught.value)
    assert shelf.ints.get().tolist() == [[0, 1, 2], [3, 4, 5]]
    assert shelf.updates.get() == 0
    shelf.run(RunSteps(1))


def test_the_model_hears_of_every_set(shelf):
    shelf.ints.set(1)
    shelf.floats.set(2)
    assert shelf.updates.get() == 2


@pytest.mark.parametrize("idx", [None, 1])
def test_a_model_may_refuse_a_value(shelf, idx):
    with pytest.raises(OverflowError, match="guarded must not be negative"):
        shelf.guarded.set(-5, idx)
    assert shelf.guarded.get().tolist() == [1, 1]
    assert shelf.updates.get() == 0
    shelf.guarded.set(5, idx)
    assert shelf.guarded.get().tolist() == ([5, 5] if idx is None else [1, 5])
    shelf.run(RunSteps(1))


@pytest.mark.parametrize("setup", ["inline", "local-1-elastic"])
def test_one_var_that_cannot_be_read_does_not_hide_the_others(setup):
    loose = rm.Loose(name="loose")
    loose.run(RunSteps(1), run_cfg=config(setup))
    with pytest.raises(DtypeError, match=r"loose\.odd"):
        loose.odd.get()
    assert loose.z_good.get() == 5
    loose.stop()
    assert loose.a_good.get() == 4
    assert loose.z_good.get() == 5
    with pytest.raises(StateError, match=r"loose\.odd"):
        loose.odd.get()


@every_setup
def test_a_large_array(setup):
    ramp = rm.Ramp(shape=(700, 700))
    total = rm.Total(shape=(700, 700))
    ramp.out.connect(total.into)
    with ramp:
        ramp.run(RunSteps(3), run_cfg=config(setup))
        assert (total.total.get() == 6).all()
        value = np.arange(490_000).reshape(700, 700)
        total.total.set(value)
        ramp.run(RunSteps(1))
        assert np.array_equal(total.total.get(), value + 4)


# --- monitors -------------------------------------------------------------------------------------------------


@every_setup
def test_monitored_data_between_runs_and_after_stop(network, setup):
    ramp, total = network
    monitor = Monitor()
    monitor.probe(total.total, 6)
    monitor.probe(ramp.out, 6)
    assert (monitor.get_data()["total"]["total"] == 0).all()
    expected = np.zeros((6, 2), dtype=int)
    for n in (2, 6):
        ramp.run(RunSteps(n - (ramp.runtime.step if ramp.runtime else 0)), run_cfg=config(setup))
        expected[:n] = [sums(t) for t in range(1, n + 1)]
        assert np.array_equal(monitor.get_data()["total"]["total"], expected)
    ramp.stop()
    assert np.array_equal(monitor.get_data()["total"]["total"], expected)
    assert monitor.get_data()["ramp"]["out"].tolist() == [[t, t] for t in range(1, 7)]


@both_syncs
def test_results_do_not_depend_on_the_capacity_of_channels(sync):
    results = []
    for capacity in (1, 2, 3, 64):
        members = rm.ring(*(rm.Plain(name=f"p{k}") for k in range(3)))
        with members[0]:
            members[0].run(
                RunSteps(100),
                run_cfg=config("local-2-elastic", sync=sync, partitions=3),
                compile_config={"pypy_channel_size": capacity},
            )
            results.append([int(m.x.get()[0]) for m in members])
    assert results == [results[0]] * 4


@pytest.mark.parametrize("idx", [7, "x", 0.5, [0, 9]])
def test_an_index_that_selects_nothing_names_the_var(shelf, idx):
    before = shelf.ints.get()
    with pytest.raises(VarIndexError, match=r"Var 'shelf\.ints' has no part"):
        shelf.ints.get(idx)
    with pytest.raises(VarIndexError, match=r"Var 'shelf\.ints' has no part"):
        shelf.ints.set(1, idx)
    assert np.array_equal(shelf.ints.get(), before)


def test_a_var_that_is_not_running_has_parts_too():
    lif = LIF(shape=(2,), u=[3, 4], name="lif")
    assert lif.u.get(1) == 4
    with pytest.raises(VarIndexError, match=r"Var 'lif\.u' has no part 5"):
        lif.u.get(5)


def test_complex_numbers_are_not_cut(shelf):
    with pytest.raises(DtypeError, match=r"holds real numbers, not complex128. Pass value\.real"):
        shelf.ints.set(np.full((2, 3), 1j))
