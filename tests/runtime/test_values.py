"""Values of Vars: reading, assigning, undoing, and the way over the wire."""

from __future__ import annotations

from types import SimpleNamespace

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp
from scipy.sparse import csr_matrix, random_array

from lahar.compiler.plan import VarSpec
from lahar.processes.errors import DtypeError, RemoteProtocolError, ShapeError
from lahar.runtime import values

DTYPES = ["?", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f2", "f4", "f8", "c8", "c16", ">i4", ">f8"]


@st.composite
def bit_patterns(draw):
    """An array of any numeric dtype whose elements are arbitrary bits, in any memory order."""
    dtype = np.dtype(draw(st.sampled_from(DTYPES)))
    shape = draw(hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5))
    size = int(np.prod(shape))
    raw = draw(st.binary(min_size=size * dtype.itemsize, max_size=size * dtype.itemsize))
    if dtype.kind == "b":
        raw = bytes(b & 1 for b in raw)
    array = np.frombuffer(raw, dtype).reshape(shape)
    order = draw(st.sampled_from(["C", "F", "strided", "transposed"]))
    if order == "strided" and array.ndim:
        return np.repeat(array, 2, axis=0)[::2]
    return array.T if order == "transposed" else np.array(array, order="F" if order == "F" else "C")


def over_the_wire(value):
    header, buffers = values.encode(value)
    header = msgpack.unpackb(msgpack.packb(header))
    return values.decode(header, [bytes(b) for b in buffers])


def same_bits(a, b):
    return (
        a.dtype == b.dtype
        and a.shape == b.shape
        and np.ascontiguousarray(a).tobytes() == np.ascontiguousarray(b).tobytes()
    )


@given(bit_patterns())
def test_arrays_keep_every_bit(array):
    got = over_the_wire(array)
    assert same_bits(got, array)


@pytest.mark.parametrize("value", [-0.0, np.nan, -np.nan, np.inf, 5e-324])
def test_special_floats_keep_their_sign_and_payload(value):
    array = np.array([value, 1.0])
    assert same_bits(over_the_wire(array), array)


def test_nan_payloads_travel():
    array = np.array([0x7FF8_0000_0000_1234, 0xFFF0_0000_0000_0001], dtype="u8").view("f8")
    assert same_bits(over_the_wire(array), array)


def test_fortran_order_survives():
    array = np.asfortranarray(np.arange(6).reshape(2, 3))
    assert over_the_wire(array).flags.f_contiguous
    _, buffers = values.encode(array)
    assert len(buffers) == 1
    assert np.shares_memory(np.frombuffer(buffers[0], np.uint8), array)


def test_large_arrays_are_not_copied_for_sending():
    array = np.zeros(1 << 16)
    _, (buffer,) = values.encode(array)
    assert np.shares_memory(np.frombuffer(buffer, np.uint8), array)


@pytest.mark.parametrize("value", ["", "abc", "Grüße", None])
def test_text_and_none(value):
    assert over_the_wire(value) == value


@given(st.integers(0, 2**32 - 1), st.sampled_from(["f8", "i4", "f4"]), st.floats(0, 1))
def test_sparse_matrices(seed, dtype, density):
    rng = np.random.default_rng(seed)
    matrix = csr_matrix(random_array((5, 7), density=density, rng=rng)).astype(dtype)
    got = over_the_wire(matrix)
    assert got.shape == matrix.shape
    for name in ("data", "indices", "indptr"):
        assert same_bits(getattr(got, name), getattr(matrix, name))


def test_explicit_zeros_of_sparse_matrices_are_kept():
    matrix = csr_matrix((np.array([0.0, -0.0]), ([0, 1], [1, 0])), shape=(2, 2))
    assert over_the_wire(matrix).nnz == 2


# --- what a peer may send -------------------------------------------------------------------------

scalars = st.none() | st.booleans() | st.integers(-(2**40), 2**63) | st.text(max_size=6) | st.floats()
trees = st.recursive(
    scalars, lambda t: st.lists(t, max_size=4) | st.dictionaries(st.text(max_size=3), t), max_leaves=10
)
headers = (
    trees
    | st.tuples(st.sampled_from(["array", "csr", "text"]), trees, trees, trees).map(list)
    | st.tuples(
        st.just("array"),
        st.sampled_from([*DTYPES, "O", "V8", "M8[s]", "S3", "f8,i4", "(2,)f8", "x", "(", "f8,(", ""]),
        st.lists(st.integers(-2, 2**62), max_size=40),
        scalars,
    ).map(list)
)


@given(headers, st.lists(st.binary(max_size=64), max_size=4))
def test_anything_else_is_refused_as_a_protocol_error(header, buffers):
    try:
        value = values.decode(header, buffers)
    except RemoteProtocolError:
        return
    assert value is None or isinstance(value, (str, np.ndarray)) or hasattr(value, "tocsr")


@given(st.data())
def test_mutated_values_are_refused_or_are_values(data):
    header, buffers = values.encode(data.draw(bit_patterns()))
    frames = [bytes(b) for b in buffers]
    packed = bytearray(msgpack.packb(header))
    for _ in range(data.draw(st.integers(1, 3))):
        packed[data.draw(st.integers(0, len(packed) - 1))] = data.draw(st.integers(0, 255))
    try:
        header = msgpack.unpackb(bytes(packed), strict_map_key=False)
    except Exception:
        return  # refused with the message that carries it
    try:
        value = values.decode(header, frames)
    except RemoteProtocolError:
        return
    if isinstance(value, np.ndarray):
        assert value.nbytes == sum(map(len, frames))


def test_sizes_are_checked_before_anything_is_allocated():
    with pytest.raises(RemoteProtocolError, match="8 bytes for shape"):
        values.decode(["array", "<f8", [1 << 40, 1 << 40], False], [b"\0" * 8])


def test_sparse_matrices_with_indices_out_of_range_are_refused():
    header, buffers = values.encode(csr_matrix(np.eye(3)))
    wild = np.array([0, 9, 2], dtype=np.int32).tobytes()
    with pytest.raises(RemoteProtocolError, match="not a value"):
        values.decode(header, [bytes(buffers[0]), wild, bytes(buffers[2])])


# --- reading and assigning --------------------------------------------------------------------------


def held(value, shape, type_class=np.ndarray, dtype=float):
    """Return a model holding `value` as Var ``v`` and the specification of that Var."""
    model = SimpleNamespace(process_name="p", v=value)
    return model, VarSpec(0, "v", shape, value, type_class, dtype, None)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3, np.array([3])),
        (2.5, np.array([2.5])),
        (True, np.array([True])),
        (np.float32(1.5), np.array([1.5], dtype=np.float32)),
        ([1, 2], np.array([1, 2])),
        (np.array(4), np.array(4)),
    ],
)
def test_numbers_are_read_as_arrays_of_the_shape_of_the_var(value, expected):
    got = values.read(*held(value, (1,)))
    assert same_bits(got, expected)


def test_a_number_fills_the_shape_of_its_var():
    assert same_bits(values.read(*held(3, (2, 2))), np.full((2, 2), 3))


@pytest.mark.parametrize("value", ["abc", None])
def test_text_and_none_are_read_as_they_are(value):
    assert values.read(*held(value, (1,))) is value


@pytest.mark.parametrize("value", [object(), {"a": 1}, ["a"], np.array("x")[()]])
def test_what_is_not_a_value_cannot_be_read(value):
    if isinstance(value, str):
        assert values.read(*held(value, (1,))) == "x"
    else:
        with pytest.raises(DtypeError, match=r"Var 'p\.v' holds a"):
            values.read(*held(value, (1,)))


def test_as_array_is_what_references_see():
    dense = values.as_array(*held(csr_matrix(np.eye(2)), (2, 2)))
    assert same_bits(dense, np.eye(2))
    assert same_bits(values.as_array(*held(7, (2,))), np.array([7, 7]))
    for value in ("abc", None):
        with pytest.raises(DtypeError, match="not numeric"):
            values.as_array(*held(value, (1,)))


def assigned(present, value, shape=None, **spec):
    """Assign and return what the model holds then."""
    model, var = held(present, np.shape(present) if shape is None else shape, **spec)
    values.assign(model, var, value)
    return model.v


@pytest.mark.parametrize(
    ("dtype", "value", "expected"),
    [
        (np.int64, [1.9, -1.9], [1, -1]),
        (np.int8, [300, -1], [44, -1]),
        (np.uint8, [-1, 256], [255, 0]),
        (bool, [0.5, 0], [True, False]),
        (np.float32, [1, 2], [1.0, 2.0]),
    ],
)
def test_values_are_cast_as_by_numpy_assignment(dtype, value, expected):
    present = np.zeros(2, dtype)
    got = assigned(present, np.array(value))
    assert got is present
    assert got.dtype == dtype
    assert got.tolist() == expected


def test_one_element_fills_the_whole_var():
    assert assigned(np.zeros((2, 2)), 5).tolist() == [[5, 5], [5, 5]]
    assert assigned(np.zeros((2, 2)), np.array([[[6]]])).tolist() == [[6, 6], [6, 6]]


def test_the_layout_in_memory_does_not_matter():
    for present in (np.zeros((2, 3), order="F"), np.zeros((2, 6))[:, ::2]):
        assert assigned(present, np.arange(6).reshape(2, 3)).tolist() == [[0, 1, 2], [3, 4, 5]]


def test_an_attribute_of_another_shape_is_filled_in_order():
    assert assigned(np.zeros(6), np.arange(6).reshape(2, 3), shape=(2, 3)).tolist() == [0, 1, 2, 3, 4, 5]


@pytest.mark.parametrize(
    ("type_class", "present", "value", "expected"),
    [
        (int, 3, np.array([4.7]), 4),
        (float, 2.5, np.array([4]), 4.0),
        (bool, True, np.array([0]), False),
        (int, True, 5, 5),
        (float, None, 5, 5.0),
    ],
)
def test_scalar_vars_keep_their_declared_type(type_class, present, value, expected):
    got = assigned(present, value, shape=(1,), type_class=type_class)
    assert type(got) is type_class
    assert got == expected


def test_numpy_scalars_keep_their_type():
    got = assigned(np.int32(3), np.array([4.0]), shape=(1,), type_class=np.int32)
    assert type(got) is np.int32


@pytest.mark.parametrize("dtype", [float, np.int32])
def test_masked_elements_keep_their_value(dtype):
    part = np.ma.MaskedArray([[9.0, -1.5, 9.0]], [[True, False, True]])
    model = assigned(np.array([[1, 2, 3]], dtype), part, (1, 3))
    assert model.tolist() == [[1, int(-1.5) if dtype is np.int32 else -1.5, 3]]
    assert assigned(np.array([1, 2, 3], dtype), part, (1, 3)).tolist() == model[0].tolist()
    assert assigned(np.array([1, 2], dtype), np.ma.MaskedArray([7], [True])).tolist() == [1, 2]
    assert assigned(np.array([1, 2], dtype), np.ma.MaskedArray([[7]], [[False]])).tolist() == [7, 7]
    assert assigned(5, np.ma.MaskedArray([7], [True]), (1,)) == 5
    assert assigned(5, np.ma.MaskedArray([7], [False]), (1,)) == 7


@given(bit_patterns(), st.data())
def test_masks_travel(array, data):
    mask = data.draw(hnp.arrays(bool, array.shape))
    got = over_the_wire(np.ma.MaskedArray(array, mask))
    assert same_bits(got.data, array)
    assert np.array_equal(np.ma.getmaskarray(got), mask)


@pytest.mark.parametrize(("dtype", "shape"), [("|u1", [3]), ("|b1", [1, 3]), ("|b1", [2])])
def test_masks_that_do_not_fit_are_refused(dtype, shape):
    parts = [["array", "<f8", [3], False], ["array", dtype, shape, False]]
    with pytest.raises(RemoteProtocolError, match="a mask that does not fit"):
        values.decode(["masked", parts], [b"\0" * 24, b"\0" * int(np.prod(shape))])


def test_text():
    assert assigned("abc", "x", shape=(1,), type_class=str) == "x"
    with pytest.raises(DtypeError, match="holds a string, not ndarray"):
        assigned("abc", np.array([1]), shape=(1,), type_class=str)
    with pytest.raises(DtypeError, match="holds numbers, not 'abc'"):
        assigned(np.zeros(1), "abc")


REFUSED = [
    (np.zeros(3), ShapeError, r"Var 'p\.v' has shape \(2,\); the value given has shape \(3,\)"),
    (np.zeros((2, 1)), ShapeError, "shape"),
    (np.zeros((0,)), ShapeError, "shape"),
    (np.array(["a", "b"]), DtypeError, "holds numbers"),
    (np.array([object(), None]), DtypeError, "holds numbers"),
    (csr_matrix(np.eye(2)), DtypeError, r"Var \'p\.v\' is not sparse: pass value\.toarray"),
    (None, DtypeError, "holds numbers, not None"),
]


@pytest.mark.parametrize(("value", "error", "text"), REFUSED)
def test_values_that_do_not_fit_change_nothing(value, error, text):
    present = np.array([1.0, 2.0])
    with pytest.raises(error, match=text):
        assigned(present, value)
    assert present.tolist() == [1.0, 2.0]


@pytest.mark.parametrize("present", [np.zeros(1), np.zeros(5)], ids=len)
def test_an_array_of_another_size_takes_one_number_only(present):
    with pytest.raises(
        ShapeError, match=rf"shape \(2,\), but its model has put an array of shape \({len(present)},\)"
    ):
        assigned(present, np.array([3, 4]), shape=(2,))
    assert not present.any()
    assert set(assigned(present, 7, shape=(2,))) == {7}


@pytest.mark.parametrize("present", [[1, 2], object(), None])
def test_what_is_no_number_cannot_be_set(present):
    with pytest.raises(DtypeError, match=rf"holds a {type(present).__name__}; it cannot be set"):
        assigned(present, np.array([3, 4]), shape=(2,))


def test_one_number_for_all_elements_is_set_to_one_number():
    assert assigned(3, np.array([4, 4]), shape=(2,), type_class=int) == 4
    with pytest.raises(ShapeError, match=r"shape \(2,\), but its model holds one number for all elements"):
        assigned(3, np.array([4, 5]), shape=(2,), type_class=int)
    assert assigned(3, np.zeros(0), shape=(0,), type_class=int) == 3
    with pytest.raises(ShapeError, match="is one number in its model: a part of it cannot be written"):
        assigned(3, np.ma.MaskedArray([4, 5], [True, False]), shape=(2,), type_class=int)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_what_is_no_integer_is_refused_for_a_python_integer(value):
    with pytest.raises(DtypeError, match=r"Var 'p\.v' holds numbers of type int, not"):
        assigned(3, np.array([value]), shape=(1,), type_class=int)


# --- sparse Vars ------------------------------------------------------------------------------------

INITIAL = csr_matrix((np.array([1.5, 0.0, -2.0]), ([0, 1, 2], [1, 0, 2])), shape=(3, 3))  # one stored zero


def held_sparse(present=None, initial=INITIAL):
    """Return a model holding a matrix, and the specification of its Var."""
    model = SimpleNamespace(process_name="p", v=initial.copy() if present is None else present)
    return model, VarSpec(0, "v", initial.shape, initial, csr_matrix, float, None)


def entries(matrix):
    coo = matrix.tocoo()
    return list(zip(coo.row.tolist(), coo.col.tolist(), coo.data.tolist(), strict=True))


@pytest.mark.parametrize("form", ["csr", "csc", "coo"])
def test_a_sparse_var_is_set_to_a_matrix_with_its_entries(form):
    model, var = held_sparse()
    present = model.v
    new = INITIAL.copy()
    new.data[:] = [0.0, 7.0, 8.0]  # zeros and former zeros
    values.assign(model, var, new.asformat(form))
    assert model.v is present
    assert entries(values.read(model, var)) == [(0, 1, 0.0), (1, 0, 7.0), (2, 2, 8.0)]
    new.data[:] = 5
    values.assign(model, var, new)  # after one with zeros
    assert values.read(model, var).data.tolist() == [5, 5, 5]


def test_values_of_a_sparse_var_are_cast_to_what_the_model_holds():
    model, var = held_sparse(INITIAL.astype(np.int32))
    new = INITIAL.copy()
    new.data[:] = [1.9, -1.9, 3]
    values.assign(model, var, new)
    assert model.v.dtype == np.int32
    assert model.v.data.tolist() == [1, -1, 3]


def test_entries_that_a_model_dropped_are_read_as_zeros_and_come_back_when_set():
    model, var = held_sparse(csr_matrix((np.array([4]), ([2], [2])), shape=(3, 3)))
    got = values.read(model, var)
    assert entries(got) == [(0, 1, 0), (1, 0, 0), (2, 2, 4)]
    assert got.dtype == model.v.dtype
    values.assign(model, var, got)
    assert entries(model.v) == entries(got)


def test_a_matrix_with_entries_that_it_did_not_have_at_first_is_read_as_it_is():
    model, var = held_sparse(csr_matrix(np.eye(3)))
    assert entries(values.read(model, var)) == entries(csr_matrix(np.eye(3)))


def test_a_sparse_var_filled_with_a_number_has_all_entries():
    model = SimpleNamespace(process_name="p", v=csr_matrix(np.full((2, 2), 3.0)))
    var = VarSpec(0, "v", (2, 2), 3, csr_matrix, float, None)
    values.assign(model, var, csr_matrix(np.array([[1.0, 2.0], [3.0, 4.0]])))
    assert model.v.toarray().tolist() == [[1, 2], [3, 4]]


@pytest.mark.parametrize(
    ("value", "error", "text"),
    [
        (
            csr_matrix(np.eye(3)),
            ShapeError,
            r"'p\.v' stores 3 entries, the value given 3, 2 of them elsewhere",
        ),
        (INITIAL[:, :2], ShapeError, r"has shape \(3, 3\); the value given has shape \(3, 2\)"),
        (csr_matrix((3, 3)), ShapeError, "the value given 0, 0 of them elsewhere"),
        (np.eye(3), DtypeError, r"'p\.v' is sparse.*not to ndarray"),
        (2.0, DtypeError, "is sparse"),
        ("abc", DtypeError, "holds numbers"),
    ],
)
def test_other_entries_are_refused_and_change_nothing(value, error, text):
    model, var = held_sparse()
    with pytest.raises(error, match=text):
        values.assign(model, var, value)
    assert entries(model.v) == entries(INITIAL)


@given(st.integers(0, 2**32 - 1), st.floats(0, 1), st.sampled_from(["f8", "i4"]))
def test_what_was_read_can_be_set(seed, density, dtype):
    rng = np.random.default_rng(seed)
    initial = csr_matrix(random_array((4, 5), density=density, rng=rng))
    model, var = held_sparse((initial * 100).astype(dtype), initial)
    new = over_the_wire(values.read(model, var))
    new.data = rng.integers(-1, 2, new.nnz).astype(float)
    values.assign(model, var, over_the_wire(new))
    got = values.read(model, var)
    assert got.dtype == np.dtype(dtype)
    assert (got != new).nnz == 0
    assert got.nnz == initial.nnz


@pytest.mark.parametrize("present", [np.array([1, 2]), 3, "abc", None, csr_matrix(np.eye(2))])
def test_an_assignment_can_be_undone(present):
    model, var = held(present, (2,), type_class=str if isinstance(present, str) else np.ndarray)
    saved = values.snapshot(model, var)
    if isinstance(present, np.ndarray):
        values.assign(model, var, np.array([8, 9]))
        values.restore(model, var, saved)
        assert model.v is present
        assert present.tolist() == [1, 2]
    else:
        model.v = np.zeros(2)
        values.restore(model, var, saved)
        if hasattr(present, "tocsr"):
            assert (model.v != present).nnz == 0
        else:
            assert model.v == present
