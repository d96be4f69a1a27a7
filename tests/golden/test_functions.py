"""Every function call that the reference recorded: the same result, or an exception of the same kind."""

from __future__ import annotations

import builtins
from enum import Enum
from pathlib import Path

import numpy as np
import pytest
from support.netlist import Netlist

import lahar.processes
from lahar.processes import (
    SignMode,
    conv_matrix,
    convolution,
    delta_encoding,
    inv_sqrt,
    sparse_matrix,
    weights,
)
from lahar.processes.weights import OptimizedWeights

CASES = [Netlist.load(path) for path in sorted((Path(__file__).parent / "functions").glob("*.npz"))]
CALLS = [(case, call) for case in CASES for call in case.case["calls"]]
MODULES = {
    "weightutils": [weights],
    "sparse": [sparse_matrix],
    "conv.utils": [convolution, conv_matrix],
    "io.encoder": [delta_encoding],
    "graded.models": [inv_sqrt],
}


def find(name):
    place, _, function = name.rpartition(".")
    return next(getattr(module, function) for module in MODULES[place] if hasattr(module, function))


def argument(case, written):
    """Return what a value stands for; enums are written by name, sign modes also without their class."""
    if isinstance(written, str) and not written.startswith("@"):
        if "." not in written:
            return SignMode[written]
        name, member = written.split(".")
        return getattr(lahar.processes, name)[member]
    return case.value(written)


def assert_agree(got, expected):
    if isinstance(got, OptimizedWeights):
        got = [got.weights, got.num_weight_bits, got.weight_exp]
    if isinstance(expected, list):
        assert len(got) == len(expected)
        for one, other in zip(got, expected, strict=True):
            assert_agree(one, other)
    elif isinstance(expected, Enum):
        assert got is expected
    else:
        got, expected = (v.toarray() if hasattr(v, "toarray") else np.asarray(v) for v in (got, expected))
        assert got.dtype.kind == expected.dtype.kind
        np.testing.assert_allclose(got, expected, rtol=1e-12 if got.dtype.kind == "f" else 0)


def test_calls_are_there():
    assert len(CALLS) > 280


@pytest.mark.parametrize(
    ("case", "call"), CALLS, ids=[f"{call['fn']}-{k}" for k, (_, call) in enumerate(CALLS)]
)
def test_a_call_agrees_with_the_reference(case, call):
    function = find(call["fn"])
    arguments = {key: argument(case, value) for key, value in call["args"].items()}
    if "raises" in call:
        with pytest.raises(getattr(builtins, call["raises"])):
            function(**arguments)
    else:
        expected = call["out"]
        if "num_weight_bits" in call:
            expected = [expected, call["num_weight_bits"], call["weight_exp"]]
        expected = (
            [argument(case, v) for v in expected] if isinstance(expected, list) else argument(case, expected)
        )
        assert_agree(function(**arguments), expected)
