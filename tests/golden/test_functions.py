"""Plain functions of the library: arguments and results that the reference recorded."""

from __future__ import annotations

import builtins
import json
from pathlib import Path

import numpy as np
import pytest

from lahar.processes import SignMode, graded, weights

FOLDER = Path(__file__).parent / "functions"
MODULES = {"weightutils": weights, "graded.models": graded, "graded.process": graded}


def recorded_calls():
    calls = []
    for path in sorted(FOLDER.glob("*.npz")):
        with np.load(path) as file:
            arrays = {key: file[key] for key in file.files}
        for number, call in enumerate(json.loads(str(arrays.pop("case")))["calls"]):
            name = f"{path.stem}-{number}-{call['fn'].rpartition('.')[2]}"
            calls.append(pytest.param(call, arrays, id=name))
    return calls


def value(written, arrays):
    """Return what a JSON value stands for."""
    if isinstance(written, str) and written.startswith("@"):
        return arrays[written[1:]]
    if isinstance(written, str):
        return SignMode[written.rpartition(".")[2]]
    return written


@pytest.mark.parametrize(("call", "arrays"), recorded_calls())
def test_function_agrees_with_the_reference(call, arrays):
    module, _, name = call["fn"].rpartition(".")
    function = getattr(MODULES[module], name)
    arguments = {key: value(given, arrays) for key, given in call["args"].items()}
    if "raises" in call:
        with pytest.raises(getattr(builtins, call["raises"])):
            function(**arguments)
        return
    result, expected = function(**arguments), value(call["out"], arrays)
    for extra in ("num_weight_bits", "weight_exp"):
        if extra in call:
            assert getattr(result, extra) == call[extra]
    result = getattr(result, "weights", result)
    if isinstance(expected, SignMode):
        assert result is expected
    else:
        np.testing.assert_array_equal(result, expected)


def test_functions_are_there():
    called = {param.values[0]["fn"] for param in recorded_calls()}
    assert {"graded.models.inv_sqrt", "weightutils.optimize_weight_bits"} <= called
