"""Comparing recorded values: to the reference, and bit by bit to another run."""

from __future__ import annotations

from typing import Any

import numpy as np

RTOL, ATOL = 1e-10, 1e-12


def bits(value: Any) -> tuple[Any, ...]:
    """Return what two runs must agree in: dtype, shape and every bit of an array, or a text."""
    if value is None or isinstance(value, str):
        return ("text", value)
    array = np.asarray(value)
    return (array.dtype.str, array.shape, array.tobytes())


def assert_same_bits(found: dict[str, Any], expected: dict[str, Any], where: str = "") -> None:
    """Fail with the first difference of each array that differs."""
    assert found.keys() == expected.keys(), where
    different = [key for key in expected if bits(found[key]) != bits(expected[key])]
    if different:
        lines = [f"  {key}: {_describe(found[key], expected[key])}" for key in different]
        raise AssertionError("\n".join([f"{where}: {len(different)} values differ in their bits:", *lines]))


def assert_close(found: dict[str, Any], expected: dict[str, Any], exact: bool) -> None:
    """Fail unless every value equals that of the reference: exactly, or within the tolerance for floats."""
    assert found.keys() == expected.keys()
    for key, wanted in expected.items():
        value = np.asarray(found[key])
        assert value.shape == wanted.shape, key
        if exact or value.dtype.kind not in "fc":
            np.testing.assert_array_equal(value, wanted, err_msg=key)
        else:
            np.testing.assert_allclose(value, wanted, rtol=RTOL, atol=ATOL, err_msg=key)


def _describe(found: Any, expected: Any) -> str:
    a, b = np.asarray(found), np.asarray(expected)
    if a.dtype != b.dtype or a.shape != b.shape:
        return f"{a.dtype} {a.shape} instead of {b.dtype} {b.shape}"
    if a.dtype.kind in "US":
        return f"{found!r} instead of {expected!r}"
    flat_a, flat_b = np.ravel(a), np.ravel(b)
    unequal = [k for k in range(flat_a.size) if flat_a[k].tobytes() != flat_b[k].tobytes()]
    index = tuple(int(i) for i in np.unravel_index(unequal[0], a.shape)) if a.shape else ()
    return f"{len(unequal)} of {a.size} elements, first at {index}: {a[index]!r} instead of {b[index]!r}"
