"""Plain functions that the reference evaluated: same results, or an exception of the same kind."""

from __future__ import annotations

import builtins
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from lahar.processes import SignMode
from lahar.processes.inv_sqrt import inv_sqrt
from lahar.processes.weights import (
    OptimizedWeights,
    clip_weights,
    determine_sign_mode,
    optimize_weight_bits,
    truncate_weights,
)

FUNCTIONS = {
    "graded.models.inv_sqrt": inv_sqrt,
    "weightutils.clip_weights": clip_weights,
    "weightutils.determine_sign_mode": determine_sign_mode,
    "weightutils.optimize_weight_bits": optimize_weight_bits,
    "weightutils.truncate_weights": truncate_weights,
}

with np.load(Path(__file__).parent / "functions" / "networks.npz") as _file:
    ARRAYS = {key: _file[key] for key in _file.files}
CALLS = json.loads(str(ARRAYS["case"]))["calls"]


def value(written: Any) -> Any:
    if isinstance(written, str):
        return ARRAYS[written[1:]] if written.startswith("@") else SignMode[written]
    return written


def test_calls_are_there():
    assert len(CALLS) == 98
    assert {call["fn"] for call in CALLS} == FUNCTIONS.keys()


@pytest.mark.parametrize("call", CALLS, ids=lambda call: call["fn"].rpartition(".")[2])
def test_functions_give_what_the_reference_gave(call):
    arguments = {name: value(written) for name, written in call["args"].items()}
    if "raises" in call:
        with pytest.raises(getattr(builtins, call["raises"])):
            FUNCTIONS[call["fn"]](**arguments)
        return
    found, expected = FUNCTIONS[call["fn"]](**arguments), value(call["out"])
    if isinstance(found, OptimizedWeights):
        assert (found.num_weight_bits, found.weight_exp) == (call["num_weight_bits"], call["weight_exp"])
        found = found.weights
    if isinstance(expected, np.ndarray):
        assert found.dtype == expected.dtype
    np.testing.assert_array_equal(found, expected)
