"""Exceptions of several models: all are told, the first is raised, the others can be reached."""

from __future__ import annotations

import pickle
import traceback

import pytest
import runtime_models as rm
from setups import config, every_setup

from lahar.processes.errors import ModelError
from lahar.runtime import RunSteps
from lahar.runtime.engine import Failure
from lahar.runtime.outcome import to_exception

pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")


def failure(process, error, summary=None):
    text = summary or f"{type(error).__name__}: {error}"
    return Failure(process, "Plain", "SPK", 3, text, f"remote traceback of {process}", error)


def shown(error):
    return "".join(traceback.format_exception(error))


def from_cause(error, cause):
    error.__cause__ = cause
    return error


def raised(action):
    """Return the exception that an action raises, with its chain."""
    try:
        action()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


def hide_the_reason():
    try:
        raise KeyError("hidden")
    except KeyError:
        raise LookupError("shown") from None


def test_the_first_is_raised_and_the_others_are_attached():
    a, b, c = KeyError("a"), ValueError("b"), OSError("c")
    error = to_exception([failure("pa", a), failure("pb", b), failure("pc", c)])
    assert str(error).startswith("3 Exception(s) occurred")
    assert error.process == "pa"
    assert error.__cause__ is a
    assert [other.process for other in error.others] == ["pb", "pc"]
    assert [other.__cause__ for other in error.others] == [b, c]
    assert [other.others for other in error.others] == [(), ()]
    assert "Process 'pb' (Plain), phase SPK, time step 3: ValueError: b" in str(error.others[0])
    assert error.others[0].remote_traceback == "remote traceback of pb"


def test_one_exception_has_no_others():
    error = to_exception([failure("pa", KeyError("a"))])
    assert error.others == ()
    assert error.__cause__.__context__ is None


@pytest.mark.parametrize(
    "errors",
    [
        [KeyError("a"), ValueError("b"), OSError("c")],
        [None, ValueError("b"), None],  # did not survive the journey
        [None, None, None],
        [
            from_cause(KeyError("a"), RuntimeError("deep")),
            from_cause(ValueError("b"), OSError("deeper")),
            None,
        ],
        [raised(hide_the_reason), raised(hide_the_reason), KeyError("c")],
    ],
)
def test_a_printed_traceback_shows_them_all(errors):
    names = ["pa", "pb", "pc"]
    text = shown(to_exception([failure(n, e, f"summary of {n}") for n, e in zip(names, errors, strict=True)]))
    for name in names:
        assert f"remote traceback of {name}" in text
    for error in errors:
        if error is not None:
            assert str(error) in text
            assert error.__cause__ is None or str(error.__cause__) in text
    assert "hidden" not in text


def test_an_exception_that_two_models_share_does_not_chain_it_to_itself():
    same = KeyError("same")
    nested = from_cause(ValueError("b"), same)
    error = to_exception(
        [failure("pa", same), failure("pb", same), failure("pc", nested), failure("pd", OSError())]
    )
    assert [other.__cause__ for other in error.others[:2]] == [same, nested]
    seen = []
    link = error
    while link is not None:
        assert not any(link is e for e in seen)
        seen.append(link)
        link = link.__cause__ or link.__context__
    assert "remote traceback of pd" in shown(error)
    with pytest.raises(ModelError):  # the interpreter walks the chain when it raises
        raise error


def test_others_survive_pickling():
    error = to_exception([failure("pa", KeyError("a")), failure("pb", ValueError("b"))])
    again = pickle.loads(pickle.dumps(error))
    assert [(other.process, str(other)) for other in again.others] == [("pb", str(error.others[0]))]


# --- the same from running networks ------------------------------------------------------------------------


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("kind", [rm.Scripted, rm.Plain])
def test_models_that_raise_in_one_phase_are_all_reported(setup, kind, short_dir):
    """Those in different workers meet in the first step, so that each raises before it hears of the other."""
    names = ["a", "b", "c", "d"]
    meet = {name: rm.Rendezvous(short_dir, name, [] if setup == "inline" else ["a", "b"]) for name in "ab"}
    script = {"a": meet["a"], "b": meet["b"], "c": rm.fail, "d": None}
    members = rm.ring(*(kind(name=n, script={("SPK", 1): script[n]} if script[n] else {}) for n in names))
    placement = {}
    if "2" in setup:
        placement = {member: k % 2 for k, member in enumerate(members)}
    elif setup != "inline":
        meet["a"].names = meet["b"].names = []
    with pytest.raises(ModelError) as caught:
        members[0].run(RunSteps(9), run_cfg=config(setup, placement=placement))
    error = caught.value
    everyone = [error, *error.others]
    assert sorted(e.process for e in everyone) == ["a", "b", "c"]
    assert str(error).startswith("3 Exception(s) occurred")
    for each in everyone:
        assert (each.phase, each.time_step) == ("SPK", 1)
        assert isinstance(each.__cause__, ZeroDivisionError)
        assert f"{each.process} fails on purpose" in str(each)
        assert f"{each.process} fails on purpose" in str(error)
        assert "actions.py" in each.remote_traceback
        assert shown(error).count(f"Traceback in process '{each.process}'") == 1
