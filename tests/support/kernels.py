"""Running tests with one kind of kernels, whatever the sizes."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from unittest import mock

import pytest

from lahar.processes import kernels


@contextlib.contextmanager
def only(name: str) -> Iterator[set[str]]:
    """Use the kernels `name` of this OS process in all work, however small; yield the set of loops in use."""
    if name == "numba":
        pytest.importorskip("numba")
    used: set[str] = set()
    for_work = kernels.Kernel.for_work

    def noted(kernel, elements):
        loop = for_work(kernel, elements)
        if loop is not None:
            used.add(kernel.name)
        return loop

    before = kernels._selected
    with (
        mock.patch.dict(os.environ, {kernels.VARIABLE: name}),
        mock.patch.object(kernels.Kernel, "always", name == "numba"),
        mock.patch.object(kernels.Kernel, "for_work", noted),
    ):
        kernels.choose(name)
        try:
            yield used
        finally:
            kernels._selected = before
