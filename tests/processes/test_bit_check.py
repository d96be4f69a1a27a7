"""BitCheck: when a value does not fit."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lahar.processes import LIF, BitCheck
from lahar.processes.errors import ArgumentTypeError, LaharWarning, ValidationError
from lahar.processes.lif import PyLifModelFloat
from lahar.runtime import Loihi2SimCfg, RunSteps


def neurons(values):
    """Return neurons whose voltage is `values` in the first step."""
    return LIF(shape=np.shape(values), v=np.array(values), vth=2**16, du=0, dv=0, name="lif")


def run(process, steps=1, tag="fixed_pt"):
    process.run(RunSteps(steps), Loihi2SimCfg(select_tag=tag, launcher="inline"))


@settings(deadline=None, max_examples=30)
@given(st.integers(1, 31), st.lists(st.integers(-(2**31), 2**16), min_size=1, max_size=4))
@pytest.mark.filterwarnings("ignore::lahar.processes.errors.LaharWarning")
def test_the_limits_are_those_of_signed_integers(bits, values):
    lif, check = neurons(values), BitCheck(bits=bits)
    check.connect_var(lif.v)
    with lif:
        run(lif, tag=None)
        held = lif.v.get()
        wrong = (held < -(2 ** (bits - 1))) | (held > 2 ** (bits - 1) - 1)
        assert check.overflow_steps.get().tolist() == wrong.astype(int).tolist()
        assert check.overflowed.tolist() == [int(wrong.any())] + [0] * (len(values) - 1)
    assert check.shape == (len(values),)


@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt", "some_tag", None])
def test_the_first_step_is_remembered_for_each_element(tag):
    lif = LIF(shape=(2, 2), bias_mant=np.array([[1, 0], [-2, 9]]), vth=99, du=0, dv=0)
    check = BitCheck(bits=4)
    check.connect_var(lif.v)
    cfg = Loihi2SimCfg(select_tag=tag, exception_proc_model_map={LIF: PyLifModelFloat}, launcher="inline")
    with lif:
        lif.run(RunSteps(4), cfg)
        assert check.overflow_steps.get().tolist() == [[0, 0], [0, 1]]
        lif.run(RunSteps(5), cfg)
        assert check.overflow_steps.get().tolist() == [[8, 0], [5, 1]]
        assert check.overflowed.tolist() == [[1, 0], [0, 0]]


def test_the_number_of_bits_can_be_set():
    lif, check = neurons([100]), BitCheck(bits=8, layerid=3)
    check.connect_var(lif.v)
    with lif:
        run(lif)
        assert check.overflowed.tolist() == [0]
        check.bits.set(7)
        with pytest.raises(ValidationError, match=r"bits: must be 1 to 31, not 0"):
            check.bits.set(0)
        run(lif)
        assert check.overflowed.tolist() == [1]
        assert check.layerid.get().tolist() == [3]


def test_debugging_prints_values_and_limits(capsys):
    lif, check = neurons([100, -3]), BitCheck(bits=5, debug=1, layerid=7, name="check")
    check.connect_var(lif.v)
    with lif:
        run(lif)
    assert capsys.readouterr().out.splitlines() == [
        "BitCheck 'check' (layer 7), time step 1: [100  -3]",
        "BitCheck 'check' (layer 7), time step 1: 1 of 2 values do not fit into 5 bits: they are -3 to 100, "
        "the limits -16 to 15.",
    ]


def test_without_a_layer_there_is_none():
    check = BitCheck()
    with check:
        with pytest.warns(LaharWarning, match="connected to no Var"):
            run(check)
        assert check.layerid.get() is None
        assert check.overflowed.tolist() == [0]


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"bits": 0}, ValidationError, r"BitCheck\.bits: must be 1 to 31, not 0"),
        ({"bits": 32}, ValidationError, "not 32"),
        ({"bits": "a"}, ArgumentTypeError, r"BitCheck\.bits"),
        ({"layerid": 1.5}, ArgumentTypeError, r"BitCheck\.layerid"),
        ({"debug": None}, ArgumentTypeError, r"BitCheck\.debug"),
        ({"bit": 3}, ArgumentTypeError, "Did you mean 'bits'"),
    ],
)
def test_arguments_are_validated_on_construction(arguments, error, match):
    with pytest.raises(error, match=match):
        BitCheck(**arguments)
