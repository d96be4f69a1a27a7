"""Values of Vars: how they are read from a model, assigned, and put on the wire.

A model may hold an array, a number, a string, None or a sparse matrix. What a RefPort behind a concatenated
port writes is a masked array: masked elements are left alone. Arrays travel as one raw buffer
in their own memory order; nothing is ever sent element by element.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from lahar.compiler.plan import VarSpec
from lahar.processes.errors import DtypeError, RemoteProtocolError, ShapeError
from lahar.processes.sparse_matrix import canonical_csr, find_entries, on_entries, same_entries

_NUMERIC = "biufc"
_MAX_DIMENSIONS = 32


def read(model: Any, var: VarSpec) -> Any:
    """Return the value of a Var: an array for anything numeric, else str, None or a CSR matrix.

    The array is the model's own; callers that keep it must copy. A sparse matrix has the entries of the
    initial value even if the model has dropped some, so that it can be given to `assign`.
    """
    value = getattr(model, var.name)
    if isinstance(value, np.ndarray) or value is None or isinstance(value, str):
        return value
    if hasattr(value, "tocsr"):
        return on_entries(value.tocsr(), _initial_entries(var))
    array = np.asarray(value)
    if array.dtype.kind not in _NUMERIC:
        raise DtypeError(
            f"Var '{model.process_name}.{var.name}' holds a {type(value).__name__}; it cannot be read."
        )
    return np.full(var.shape, array) if array.ndim == 0 else array


def as_array(model: Any, var: VarSpec) -> Any:
    """Return the value of a numeric Var as an array of the Var's shape (sparse matrices made dense)."""
    value = getattr(model, var.name)
    if type(value) is np.ndarray:
        return value
    if hasattr(value, "tocsr"):
        return value.toarray()
    value = read(model, var)
    if not isinstance(value, np.ndarray):
        raise DtypeError(f"Var '{model.process_name}.{var.name}' is not numeric; a RefPort cannot reach it.")
    return value


def assign(model: Any, var: VarSpec, value: Any) -> None:
    """Set a Var in place, cast as by numpy assignment; masked elements keep their value.

    A sparse Var takes a sparse matrix with exactly the entries of its initial value, of which any may be zero;
    the model keeps the dtype that its matrix has.

    Raises
    ------
    ShapeError, DtypeError
        `value` does not fit; the model is unchanged.
    """
    present = getattr(model, var.name)
    where = f"Var '{model.process_name}.{var.name}'"
    if isinstance(value, str) or value is None:
        if var.type_class is not str:
            raise DtypeError(f"{where} holds numbers, not {value!r}.")
        setattr(model, var.name, value)
        return
    if var.type_class is str:
        raise DtypeError(f"{where} holds a string, not {type(value).__name__}.")
    if hasattr(present, "tocsr"):
        _assign_sparse(model, var, value, where)
        return
    if hasattr(value, "tocsr"):
        raise DtypeError(f"{where} is not sparse: pass value.toarray().")
    array = np.asarray(value)
    if array.dtype.kind not in _NUMERIC:
        raise DtypeError(f"{where} holds numbers, not {array.dtype}: {value!r}.")
    if array.dtype.kind == "c" and np.asarray(present).dtype.kind != "c":
        raise DtypeError(f"{where} holds real numbers, not {array.dtype}. Pass value.real.")
    if array.shape != var.shape and array.size != 1:
        raise ShapeError(f"{where} has shape {var.shape}; the value given has shape {array.shape}.")
    mask = np.ma.getmask(value)
    if isinstance(present, np.ndarray):
        if array.size not in (1, present.size):
            raise ShapeError(
                f"{where} has shape {var.shape}, but its model has put an array of shape {present.shape} in its "
                "place: only one number can be set, for all elements."
            )
        fitting = array.shape if array.shape == present.shape or array.size == 1 else present.shape
        if mask is np.ma.nomask:
            present[...] = array.reshape(fitting)
        else:
            present[...] = np.where(
                mask.reshape(fitting), present, array.reshape(fitting).astype(present.dtype)
            )
    elif array.size and not np.all(mask):
        if np.any(mask):
            raise ShapeError(f"{where} is one number in its model: a part of it cannot be written.")
        setattr(model, var.name, _number(present, var, array.reshape(-1), where))


def _number(present: Any, var: VarSpec, values: np.ndarray, where: str) -> Any:
    """Return what a Var becomes that its model holds as a single number."""
    declared = var.type_class in (int, float, bool)
    if not declared and not isinstance(present, (int, float, complex, np.generic)):
        raise DtypeError(f"{where} holds a {type(present).__name__}; it cannot be set.")
    if not np.array_equal(values, np.full_like(values, values[0]), equal_nan=True):
        raise ShapeError(
            f"{where} has shape {var.shape}, but its model holds one number for all elements; the value given has "
            "different ones."
        )
    kind = var.type_class if declared else type(present)
    try:
        return kind(values[0])
    except (TypeError, ValueError, OverflowError) as error:
        raise DtypeError(
            f"{where} holds numbers of type {kind.__name__}, not {values[0]!r}: {error}."
        ) from None


def _initial_entries(var: VarSpec) -> Any:
    """Return a CSR matrix with the entries that a sparse Var had at first."""
    if not hasattr(var.init, "tocsr"):
        return canonical_csr(np.ones(var.shape))
    entries = var.init.tocsr()
    return entries if entries.has_canonical_format else canonical_csr(entries)


def _assign_sparse(model: Any, var: VarSpec, value: Any, where: str) -> None:
    if not hasattr(value, "tocsr"):
        raise DtypeError(
            f"{where} is sparse: it is set to a sparse matrix with the entries that it has, for example one "
            f"made from get(), not to {type(value).__name__}."
        )
    if value.shape != var.shape:
        raise ShapeError(f"{where} has shape {var.shape}; the value given has shape {value.shape}.")
    given, initial = canonical_csr(value), _initial_entries(var)
    if not same_entries(given, initial):
        strange = np.count_nonzero(find_entries(initial, given) < 0)
        raise ShapeError(
            f"{where} stores {initial.nnz} entries, the value given {given.nnz}, {strange} of them elsewhere. "
            "The entries are fixed (their values may be zero): change the data of what get() returns."
        )
    present = getattr(model, var.name)
    if not same_entries(present, initial):  # the model has dropped some
        present = initial.astype(present.dtype)
        setattr(model, var.name, present)
    present.data[...] = given.data


def snapshot(model: Any, var: VarSpec) -> Any:
    """Return what is needed to undo an assignment."""
    value = getattr(model, var.name)
    return value.copy() if hasattr(value, "copy") else value


def restore(model: Any, var: VarSpec, saved: Any) -> None:
    """Undo an assignment."""
    present = getattr(model, var.name)
    if isinstance(present, np.ndarray) and isinstance(saved, np.ndarray) and present.shape == saved.shape:
        present[...] = saved
    else:
        setattr(model, var.name, saved)


# --- wire -----------------------------------------------------------------------------------

Header = list[Any]


def encode(value: Any) -> tuple[Header, list[Any]]:
    """Return a msgpack-able header and the raw buffers of a value."""
    if value is None or isinstance(value, str):
        return ["text", value], []
    if hasattr(value, "tocsr"):
        csr = value.tocsr()
        parts = [encode(a) for a in (csr.data, csr.indices, csr.indptr)]
        return ["csr", list(csr.shape), [h for h, _ in parts]], [b for _, bs in parts for b in bs]
    if isinstance(value, np.ma.MaskedArray):
        parts = [encode(a) for a in (value.data, np.ma.getmaskarray(value))]
        return ["masked", [h for h, _ in parts]], [b for _, bs in parts for b in bs]
    array = np.asarray(value)
    fortran = array.flags.f_contiguous and not array.flags.c_contiguous
    flat = array.T if fortran else np.ascontiguousarray(array)
    return ["array", array.dtype.str, list(array.shape), fortran], [flat.reshape(-1).view(np.uint8).data]


def decode(header: Any, buffers: list[Any]) -> Any:
    """Rebuild a value; arrays share the memory of the buffers.

    Raises
    ------
    RemoteProtocolError
        Header and buffers do not describe a value.
    """
    try:
        kind = header[0]
        if kind == "text":
            text = header[1]
            if text is not None and not isinstance(text, str):
                raise ValueError("no text")
            return text
        if kind == "csr":
            from scipy.sparse import csr_matrix

            shape, headers = header[1], header[2]
            if len(headers) != 3 or any(
                h[0] != "array" for h in headers
            ):  # SciPy takes other things for shapes
                raise ValueError("three arrays expected")
            if len(shape) != 2 or any(type(n) is not int or n < 0 for n in shape):
                raise ValueError(f"shape {shape}")
            parts = [decode(h, [b]) for h, b in zip(headers, buffers, strict=True)]
            if any(part.ndim != 1 for part in parts) or len(parts[2]) != shape[0] + 1:
                raise ValueError(f"arrays that are no matrix of shape {shape}")
            matrix = csr_matrix(tuple(parts), shape=tuple(shape))
            matrix.check_format(full_check=True)  # SciPy's compiled code trusts the indices
            return matrix
        if kind == "masked":
            data, mask = (decode(h, [b]) for h, b in zip(header[1], buffers, strict=True))
            if mask.dtype != bool or mask.shape != data.shape:
                raise ValueError("a mask that does not fit")
            return np.ma.MaskedArray(data, mask)
        if kind != "array":
            raise ValueError(f"unknown kind {kind!r}")
        dtype, shape, fortran = np.dtype(header[1]), tuple(header[2]), header[3]
        if dtype.kind not in _NUMERIC or dtype.hasobject or len(shape) > _MAX_DIMENSIONS:
            raise ValueError(f"dtype {dtype}")
        if any(type(n) is not int or n < 0 for n in shape):
            raise ValueError(f"shape {shape}")
        (buffer,) = buffers
        if len(buffer) != math.prod(shape) * dtype.itemsize:
            raise ValueError(f"{len(buffer)} bytes for shape {shape} of {dtype}")
        flat = np.frombuffer(buffer, dtype)
        if dtype.kind == "b" and (flat.view(np.uint8) > 1).any():
            raise ValueError("booleans that are neither True nor False")
        if not flat.flags.aligned:  # a small message inside a receive buffer
            flat = flat.copy()
        return flat.reshape(shape[::-1]).T if fortran else flat.reshape(shape)
    except RemoteProtocolError:
        raise
    except Exception as error:  # NumPy parses dtypes as Python and raises even SyntaxError
        raise RemoteProtocolError(f"not a value: {error}") from error
