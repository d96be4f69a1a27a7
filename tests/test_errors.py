"""Exceptions: what they derive from, what they say, and that they survive the way from a worker to the host."""

from __future__ import annotations

import inspect
import pickle

import pytest

from lahar.processes import errors

BUILT_IN = {
    "ArgumentTypeError": (TypeError, AssertionError),
    "CompileError": (ValueError, AssertionError),
    "ConcatIndexError": (IndexError,),
    "ConcatShapeError": (ValueError,),
    "DamagedFileError": (ValueError, pickle.UnpicklingError, errors.FileFormatError),
    "DeadlockError": (RuntimeError,),
    "DownloadError": (ConnectionError,),
    "DtypeError": (TypeError, ValueError),
    "DuplicateConnectionError": (ValueError,),
    "FileFormatError": (ValueError, AssertionError),
    "LocalProtocolError": (RuntimeError,),
    "MemberError": (AttributeError, AssertionError),
    "MissingExtraError": (ImportError,),
    "MissingFileError": (FileNotFoundError,),
    "ModelError": (RuntimeError,),
    "NoProcessModelFound": (LookupError, errors.CompileError),
    "PlacementError": (ValueError,),
    "PortError": (TypeError, AssertionError),
    "RemoteProtocolError": (RuntimeError,),
    "ReshapeError": (ValueError,),
    "RuleError": (ValueError,),
    "ShapeError": (ValueError, AssertionError),
    "StateError": (RuntimeError,),
    "TransposeIndexError": (IndexError,),
    "TransposeShapeError": (ValueError,),
    "UnpicklableError": (TypeError,),
    "VarIndexError": (IndexError,),
    "UnstartedError": (ValueError, errors.StateError),
    "ValidationError": (ValueError,),
    "VarNotSharableError": (ValueError,),
    "WorkerDiedError": (RuntimeError,),
}

EXAMPLES = [
    errors.ValidationError("must be positive", "LIF.vth"),
    errors.RuleError("unknown variable 'z1'", "2 * z1", 4, "dw"),
    errors.ReshapeError((2, 3), (4,)),
    errors.TransposeShapeError((2, 3), (0,)),
    errors.TransposeIndexError((2, 3), (0, 5), 5),
    errors.ConcatShapeError([(2, 3), (4, 4)], 0),
    errors.ConcatIndexError((2, 3), 7),
    errors.DuplicateConnectionError("'a.out' and 'b.in' are connected already."),
    errors.VarNotSharableError("secret"),
    errors.ModelError("it broke", "lif", "SPK", 7, "Traceback ..."),
    errors.ModelError("two broke", "lif", "SPK", 7, "Traceback ...", ("told as a tuple",)),
    errors.ShapeError("(2,) is not (3,)"),
    errors.MissingExtraError("Plan.draw", "matplotlib", "plot"),
]


def all_errors():
    classes = inspect.getmembers(errors, inspect.isclass)
    return {name: cls for name, cls in classes if issubclass(cls, errors.LaharError)}


@pytest.mark.parametrize("error", all_errors().values(), ids=lambda cls: cls.__name__)
def test_can_be_caught_as_a_built_in_exception(error):
    built_in = [base for base in error.__mro__ if base.__module__ == "builtins"]
    assert error is errors.LaharError or built_in[0] is not Exception


@pytest.mark.parametrize("name", sorted(BUILT_IN))
def test_derives_from_the_nearest_built_in(name):
    assert issubclass(getattr(errors, name), BUILT_IN[name])


@pytest.mark.parametrize("error", EXAMPLES, ids=lambda e: type(e).__name__)
def test_pickling_keeps_text_and_attributes(error):
    again = pickle.loads(pickle.dumps(error))
    assert type(again) is type(error)
    assert str(again) == str(error)
    assert vars(again) == vars(error)


def test_validation_error_names_class_and_attribute():
    error = errors.ValidationError("must be positive", "LIF.vth")
    assert str(error) == "LIF.vth: must be positive"
    assert error.where == "LIF.vth"
    assert str(errors.ValidationError("no place given")) == "no place given"


def test_rule_error_points_at_the_column():
    text = str(errors.RuleError("unknown variable 'z1'", "2 * z1", 4, "dw"))
    what, rule, caret = text.split("\n")
    assert what == "unknown variable 'z1'"
    assert rule.endswith("dw = 2 * z1")
    assert rule[caret.index("^") :] == "z1"


def test_rule_error_without_a_rule_is_one_line():
    assert str(errors.RuleError("a rule is needed")) == "a rule is needed"


@pytest.mark.parametrize(
    ("error", "parts"),
    [
        (errors.ReshapeError((2, 3), (4,)), ["(2, 3)", "(4,)"]),
        (errors.TransposeShapeError((2, 3), (0,)), ["(2, 3)", "(0,)", "2 axes"]),
        (errors.TransposeIndexError((2, 3), (0, 5), 5), ["(2, 3)", "(0, 5)", "no axis 5"]),
        (errors.ConcatShapeError([(2, 3), (4, 4)], 0), ["(2, 3)", "(4, 4)", "axis 0"]),
        (errors.ConcatIndexError((2, 3), 7), ["(2, 3)", "axis 7"]),
        (errors.VarNotSharableError("secret"), ["'secret'", "shareable=False"]),
        (errors.DuplicateConnectionError(), ["connected already"]),
        (errors.MissingExtraError("Plan.draw", "matplotlib", "plot"), ["Plan.draw", "matplotlib", "plot"]),
    ],
    ids=lambda x: type(x).__name__ if isinstance(x, Exception) else None,
)
def test_message_names_everything_involved(error, parts):
    assert all(part in str(error) for part in parts)


def test_model_error_tells_process_phase_and_step():
    error = errors.ModelError("it broke", "lif", "SPK", 7, "Traceback ...")
    assert (error.process, error.phase, error.time_step, error.remote_traceback) == (
        "lif",
        "SPK",
        7,
        "Traceback ...",
    )


def test_warnings_can_be_filtered_as_user_warnings():
    assert issubclass(errors.LaharWarning, UserWarning)
