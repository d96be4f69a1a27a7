"""Vars: what they hold before, while and after a network runs, aliases, and values that do not fit."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.sparse import csr_matrix

from lahar.processes import LIF, AbstractProcess, InPort, Var
from lahar.processes.errors import (
    ArgumentTypeError,
    DtypeError,
    LaharWarning,
    ShapeError,
    StateError,
    UnstartedError,
)
from lahar.processes.model import (
    AbstractSubProcessModel,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    implements,
)
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps


class Holder(AbstractProcess):
    """Vars of every type that a model can declare, initialised by keyword."""

    def __init__(self, **init):
        super().__init__(name=init.pop("name", "holder"))
        self.array = Var((2, 3), init.get("array", 0))
        self.small = Var((2,), init.get("small", 0))
        self.flags = Var((2,), init.get("flags", 0))
        self.integer = Var((1,), init.get("integer", 3))
        self.real = Var((1,), init.get("real", 0.5))
        self.text = Var((8,), init.get("text", "x0 + 1"))
        self.big = Var((1,), init.get("big", 0))


@implements(proc=Holder, protocol=LoihiProtocol)
class PyHolderModel(PyLoihiProcessModel):
    array: np.ndarray = LavaPyType(np.ndarray, float)
    small: np.ndarray = LavaPyType(np.ndarray, np.int8)
    flags: np.ndarray = LavaPyType(np.ndarray, bool)
    integer: int = LavaPyType(int, int)
    real: float = LavaPyType(float, float)
    text: str = LavaPyType(str, str)
    big: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        self.array += 1

    def on_var_update(self):
        if self.array.min() < -99:
            raise ValueError("too cold")


class Outer(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(name="outer")
        self.state = Var((2, 3), 0)
        self.lost = Var((1,), 4)


@implements(proc=Outer, protocol=LoihiProtocol)
class OuterModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.middle = Middle()
        proc.state.alias(self.middle.state)


class Middle(AbstractProcess):
    def __init__(self):
        super().__init__(name="middle")
        self.state = Var((2, 3), 0)


@implements(proc=Middle, protocol=LoihiProtocol)
class MiddleModel(AbstractSubProcessModel):
    def __init__(self, proc):
        self.holder = Holder(array=[[1, 2, 3]])
        proc.state.alias(self.holder.array)


def inline():
    return Loihi2SimCfg(launcher="inline")


def started(process, steps=0):
    process.run(RunSteps(steps), inline())
    return process


# --- before the network runs --------------------------------------------------------------


@pytest.mark.parametrize("shape", [3, [3], None, "3", np.array([3])])
def test_a_shape_must_be_a_tuple(shape):
    with pytest.raises(ArgumentTypeError, match="Var: shape must be a tuple such as"):
        Var(shape)


@pytest.mark.parametrize("shape", [(-1,), (2.0,), (True,), ("2",), (None,)])
def test_a_shape_holds_non_negative_integers(shape):
    with pytest.raises(ArgumentTypeError, match="must hold non-negative integers"):
        Var(shape)


@pytest.mark.parametrize(("shape", "size"), [((), 1), ((0,), 0), ((2, 3), 6), ((np.int64(4),), 4)])
def test_size_is_the_product_of_the_shape(shape, size):
    assert Var(shape).size == size


def test_ids_are_unique_and_count_up():
    first, second = Var((1,)), Var((1,))
    assert second.id == first.id + 1


def test_before_the_run_get_gives_the_object_given():
    init = np.arange(3)
    var = Var((3,), init)
    assert var.get() is init
    assert var.init is init
    assert var.get(1) == 1


def test_before_the_run_a_var_cannot_be_set():
    process = Holder(name="it")
    with pytest.raises(UnstartedError, match=r"'it\.array' cannot be set before.*create_runtime"):
        process.array.set(3)
    with pytest.raises(UnstartedError, match=r"'\?\.Unnamed variable'"):
        Var((1,)).set(3)


def test_repr_tells_name_shape_and_initial_value():
    assert repr(Holder().integer) == "<Var integer shape=(1,) init=3 shareable=True>"


# --- initial values -----------------------------------------------------------------------


def test_initial_values_are_broadcast_and_cast():
    process = started(Holder(array=[1, 2, 3], small=-2, flags=[0, 7]))
    assert process.array.get().tolist() == [[1, 2, 3], [1, 2, 3]]
    assert process.array.get().dtype == np.float64
    assert process.small.get().tolist() == [-2, -2]
    assert process.small.get().dtype == np.int8
    assert process.flags.get().tolist() == [False, True]
    assert process.flags.get().dtype == bool


def test_leading_axes_of_length_one_are_dropped_as_in_assignment():
    process = started(Holder(array=[[[1, 2, 3], [4, 5, 6]]]))
    assert process.array.get().tolist() == [[1, 2, 3], [4, 5, 6]]


@pytest.mark.parametrize("init", [[1, 2], np.zeros((3, 2)), np.zeros((2, 2, 3)), []])
def test_an_initial_value_that_does_not_fit_names_both_shapes(init):
    with pytest.raises(ShapeError) as caught:
        started(Holder(array=init, name="it"))
    assert f"'it.array' has shape (2, 3), but its initial value has shape {np.shape(init)}" in str(
        caught.value
    )


@pytest.mark.parametrize("init", ["text", None, 1j, object(), csr_matrix((2, 3))])
def test_an_initial_value_of_another_kind_names_the_dtypes(init):
    with pytest.raises(
        DtypeError, match=r"Var 'it\.array': an initial value of dtype \S+ cannot become float64"
    ):
        started(Holder(array=init, name="it"))


def test_a_ragged_initial_value_is_refused():
    with pytest.raises(DtypeError, match=r"Var 'it\.array': the initial value .* is no array"):
        started(Holder(array=[[1, 2], [3]], name="it"))


@pytest.mark.parametrize(("init", "value"), [(1.75, 1), ([3, -1.5], -1)])
def test_fractions_are_cut_with_a_warning(init, value):
    process = Holder(small=init, name="it")
    with pytest.warns(LaharWarning, match=r"Var 'it\.small': 1 initial value\(s\) lose digits in int8"):
        started(process)
    assert process.small.get()[-1] == value


def test_integers_that_wrap_around_are_cast_with_a_warning():
    process = Holder(small=[300, 5], name="it")
    with pytest.warns(
        LaharWarning, match=r"'it\.small': 1 initial value\(s\) wrap around in int8, for example 300"
    ):
        started(process)
    assert process.small.get().tolist() == [44, 5]


@pytest.mark.filterwarnings("error")
def test_a_lossless_cast_does_not_warn():
    process = started(Holder(small=[2.0, -128.0], array=np.int8(3), flags=2.5))
    assert process.small.get().tolist() == [2, -128]


# --- while the network is paused ----------------------------------------------------------


def test_get_gives_a_copy_with_the_dtype_of_the_model():
    process = started(Holder(array=1), steps=2)
    value = process.array.get()
    value[:] = -7
    assert process.array.get().tolist() == [[3, 3, 3]] * 2
    assert process.array.get((0, slice(1, 3))).tolist() == [3, 3]
    assert process.array.get(0).tolist() == [3, 3, 3]


def test_large_integers_keep_all_digits():
    process = started(Holder(big=2**53 + 1))
    assert process.big.get()[0] == 2**53 + 1
    process.big.set(np.array([2**62 + 1]))
    assert process.big.get()[0] == 2**62 + 1


def test_scalars_that_the_model_holds_as_python_numbers():
    process = started(Holder())
    assert process.integer.get().tolist() == [3]
    assert process.real.get().tolist() == [0.5]
    process.integer.set(np.float64(8))
    process.real.set(2)
    assert process.integer.get().tolist() == [8]
    assert process.integer.get().dtype.kind == "i"
    assert process.real.get().dtype == np.float64
    process.integer.set(np.array([9]))
    assert process.integer.get().tolist() == [9]


def test_strings_are_read_and_set():
    process = started(Holder())
    assert process.text.get() == "x0 + 1"
    process.text.set("y0")
    assert process.text.get() == "y0"


def test_set_casts_in_place_and_the_run_goes_on_from_there():
    process = started(Holder())
    process.array.set(np.arange(6).reshape(2, 3))
    process.small.set([1.75, -1.75])
    process.run(RunSteps(2))
    assert process.array.get().tolist() == [[2, 3, 4], [5, 6, 7]]
    assert process.small.get().tolist() == [1, -1]


@pytest.mark.parametrize(
    ("idx", "value", "expected"),
    [
        (0, 5, [[5, 5, 5], [0, 0, 0]]),
        ((1, 2), 7, [[0, 0, 0], [0, 0, 7]]),
        (np.array([[True, False, False], [False, False, True]]), [1, 2], [[1, 0, 0], [0, 0, 2]]),
        ((slice(None), -1), [8, 9], [[0, 0, 8], [0, 0, 9]]),
    ],
)
def test_a_part_is_set_as_in_numpy(idx, value, expected):
    process = started(Holder())
    process.array.set(value, idx)
    assert process.array.get().tolist() == expected


@pytest.mark.parametrize("value", [np.zeros(3), np.zeros((3, 2)), [[1, 2], [3, 4]], np.zeros((1, 2, 3))])
def test_a_value_of_another_shape_is_refused_and_nothing_changes(value):
    process = started(Holder(array=4, name="it"))
    with pytest.raises(ShapeError) as caught:
        process.array.set(value)
    assert f"'it.array' has shape (2, 3); the value given has shape {np.shape(value)}" in str(caught.value)
    assert (process.array.get() == 4).all()


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("array", "text", r"(?s)'it\.array'.*numbers, not 'text'"),
        ("array", None, r"'it\.array' holds numbers, not None"),
        ("text", np.zeros(8), r"'it\.text' holds a string, not ndarray"),
        ("array", csr_matrix((2, 3)), r"'it\.array' is not sparse: pass value\.toarray\(\)"),
        ("array", np.array([object()] * 6).reshape(2, 3), r"(?s)'it\.array'.*numbers"),
    ],
)
def test_a_value_of_another_kind_is_refused(name, value, message):
    process = started(Holder(name="it"))
    before = getattr(process, name).get()
    with pytest.raises(DtypeError, match=message):
        getattr(process, name).set(value)
    assert np.array_equal(getattr(process, name).get(), before)


def test_a_model_may_refuse_a_value():
    process = started(Holder(array=1))
    with pytest.raises(Exception, match="too cold"):
        process.array.set(-100)
    assert (process.array.get() == 1).all()


def test_a_var_is_not_reached_while_the_network_runs():
    process = Holder(name="it")
    process.run(RunContinuous(), inline())
    try:
        with pytest.raises(
            StateError, match=r"Cannot read Var 'it\.array' while the network is running: call pause"
        ):
            process.array.get()
        with pytest.raises(StateError, match=r"Cannot set Var 'it\.array' while"):
            process.array.set(1)
    finally:
        process.stop()


def test_after_stop_a_var_is_read_but_not_set():
    process = started(Holder(array=1, name="it"), steps=1)
    process.stop()
    assert (process.array.get() == 2).all()
    assert process.text.get() == "x0 + 1"
    with pytest.raises(StateError, match=r"Cannot set a Var: the network was stopped"):
        process.array.set(3)


# --- aliases ------------------------------------------------------------------------------


def test_an_alias_is_read_and_set_through_all_levels():
    process = started(Outer(), steps=1)
    assert process.state.get().tolist() == [[2, 3, 4]] * 2
    process.state.set(np.full((2, 3), 7))
    process.run(RunSteps(1))
    assert (process.state.get() == 8).all()
    assert (process.state.get((1, 2))) == 8
    process.stop()
    assert (process.state.get() == 8).all()


def test_an_unaliased_var_of_a_hierarchical_process_says_so_and_the_network_lives_on():
    process = started(Outer(), steps=1)
    with pytest.raises(StateError, match=r"'?outer\.lost'?.*must alias"):
        process.lost.get()
    with pytest.raises(StateError, match=r"'?outer\.lost'?.*must alias"):
        process.lost.set(1)
    process.run(RunSteps(1))
    assert process.state.get()[0].tolist() == [3, 4, 5]


def test_before_the_run_an_alias_gives_the_initial_value_of_the_other():
    outer, inner = Var((2,), 1), Var((2,), 9)
    outer.alias(inner)
    assert outer.get() == 9
    with pytest.raises(UnstartedError):
        outer.set(3)


def test_an_alias_may_be_replaced():
    outer, first, second = Var((2,), 1), Var((2,), 2), Var((2,), 3)
    outer.alias(first)
    outer.alias(second)
    assert outer.aliased_var is second


@pytest.mark.parametrize("other", [3, "v", InPort((2,)), None])
def test_only_a_var_can_be_aliased(other):
    process = Holder(name="it")
    with pytest.raises(ArgumentTypeError, match=r"'it\.small' can only alias a Var, not"):
        process.small.alias(other)


@pytest.mark.parametrize(("shape", "shareable"), [((3,), True), ((2,), False)])
def test_an_alias_must_agree_in_shape_and_shareability(shape, shareable):
    process = Holder(name="it")
    with pytest.raises(ShapeError) as caught:
        process.small.alias(Var(shape, shareable=shareable))
    assert "'it.small' (shape (2,), shareable=True)" in str(caught.value)
    assert f"(shape {shape}, shareable={shareable})" in str(caught.value)
    assert process.small.aliased_var is None


def test_an_alias_must_be_a_var_of_a_sub_process():
    outer, stranger = Holder(name="outer"), Holder(name="stranger")
    outer.array.alias(stranger.array)
    with pytest.raises(
        ArgumentTypeError, match=r"'outer\.array' aliases 'stranger\.array', which is not a Var of one"
    ):
        outer.validate_var_aliases()
    outer.register_sub_procs({"stranger": stranger})
    outer.validate_var_aliases()


def test_an_alias_without_a_process_is_refused():
    outer = Holder(name="outer")
    outer.small.alias(Var((2,)))
    with pytest.raises(ArgumentTypeError, match=r"'outer\.small' aliases '\?"):
        outer.small.validate_alias()


def test_a_var_of_its_own_process_is_no_alias():
    lif = LIF(shape=(2,), name="lif")
    lif.u.alias(lif.v)
    with pytest.raises(ArgumentTypeError, match=r"'lif\.u' aliases 'lif\.v'"):
        lif.run(RunSteps(1), Loihi2SimCfg(launcher="inline"))


class Sparse(AbstractProcess):
    def __init__(self, weights, **kwargs):
        super().__init__(**kwargs)
        self.s_in = InPort((2,))
        self.weights = Var((2, 3), weights)


@implements(proc=Sparse, protocol=LoihiProtocol)
class PySparseModel(PyLoihiProcessModel):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    weights: csr_matrix = LavaPyType(csr_matrix, float)


def test_sparse_vars_are_read_as_csr():
    weights = csr_matrix([[0, 1.5, 0], [2, 0, 0]])
    process = started(Sparse(weights))
    value = process.weights.get()
    assert isinstance(value, csr_matrix)
    assert (value != weights).nnz == 0
    value.data[:] = 0
    assert process.weights.get().sum() == 3.5


def test_a_number_fills_a_sparse_var():
    assert started(Sparse(4)).weights.get().toarray().tolist() == [[4, 4, 4], [4, 4, 4]]
