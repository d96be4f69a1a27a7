"""Docstrings of what `lahar.processes` exports: complete, and their examples run."""

import doctest
import enum
import importlib
import inspect
import pkgutil
import re
import warnings

import pytest
from support.catalogue import ABSTRACT, PROCESSES, construct

import lahar.processes as library
from lahar.processes import LoihiLearningRule
from lahar.processes.errors import LaharWarning
from lahar.processes.learning.neuron import LearningNeuronModelFloat
from lahar.processes.lif import AbstractPyLifModelFixed, AbstractPyLifModelFloat
from lahar.processes.model import (
    AbstractPyProcessModel,
    AbstractSubProcessModel,
    PyAsyncProcessModel,
    PyLoihiProcessModel,
)

MODULES = sorted(info.name for info in pkgutil.walk_packages(library.__path__, "lahar.processes."))
CLASSES = [name for name in library.__all__ if isinstance(getattr(library, name), type)]
ENUMS = [name for name in CLASSES if issubclass(getattr(library, name), enum.Enum)]
RULES = [name for name in CLASSES if issubclass(getattr(library, name), LoihiLearningRule)]

# No example: why not.
WITHOUT_EXAMPLE = {
    **dict.fromkeys(ENUMS, "the examples of the classes that take them show them"),
    "LearningConnectionProcess": "a base of library classes, which have examples",
    "Receiver32Bit": "has no model",
    "MnistDataset": "needs a download; DigitsDataset, which is used alike, has one",
}


def examples(name):
    found = doctest.DocTestFinder().find(importlib.import_module(name))
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", [name for name in MODULES if examples(name)])
def test_examples_do_what_they_say(name):
    for test in examples(name):
        result = doctest.DocTestRunner().run(test)
        assert result.failed == 0, test.name


@pytest.mark.parametrize("name", CLASSES)
def test_every_class_has_an_example_that_prints_something(name):
    shown = examples_of(getattr(library, name))
    assert (name in WITHOUT_EXAMPLE) == (not any(example.want for example in shown))


# What authors of models derive from.
MODEL_BASES = [
    *(PyLoihiProcessModel, PyAsyncProcessModel, AbstractSubProcessModel, AbstractPyLifModelFloat),
    *(AbstractPyLifModelFixed, LearningNeuronModelFloat),
]


@pytest.mark.parametrize("cls", MODEL_BASES)
def test_every_base_of_models_has_an_example_that_prints_something(cls):
    assert any(example.want for example in examples_of(cls))


def examples_of(cls):
    return doctest.DocTestParser().get_examples(cls.__doc__ or "")


# --- sections --------------------------------------------------------------------------------


def sections(text):
    """Return the sections of a numpydoc text by title; the first part has the title ''."""
    parts = re.split(r"^([A-Z][a-z]+)\n-+\n", inspect.cleandoc(text or ""), flags=re.MULTILINE)
    return dict(zip(["", *parts[1::2]], parts[::2], strict=True))


def entries(section):
    """Return the names that head the entries of a section."""
    heads = [line.partition(" : ")[0] for line in section.splitlines() if re.match(r"\S", line)]
    return {name.strip(" `*\\") for head in heads for name in head.split(",")}


def arguments(cls):
    """Return the constructor's arguments; of `**kwargs` the documentation may list the keywords instead."""
    parameters = list(inspect.signature(cls.__init__).parameters.values())[1:]
    return {p.name for p in parameters if p.kind not in (p.VAR_POSITIONAL, p.VAR_KEYWORD)}


def test_sections_of_a_docstring_are_found():
    found = sections("""Sums.

    Parameters
    ----------
    a, b : int
        Two numbers: : or more.
    **kwargs
        More.

    Raises
    ------
    ValueError
    """)
    assert list(found) == ["", "Parameters", "Raises"]
    assert entries(found["Parameters"]) == {"a", "b", "kwargs"}


@pytest.mark.parametrize("name", [name for name in CLASSES if name not in ENUMS])
def test_every_argument_is_documented(name):
    cls = getattr(library, name)
    documented = entries(sections(cls.__doc__).get("Parameters", ""))
    assert arguments(cls) - documented == set()
    variadic = any(
        p.kind in (p.VAR_KEYWORD, p.VAR_POSITIONAL) for p in inspect.signature(cls).parameters.values()
    )
    assert variadic or documented - arguments(cls) == set()


@pytest.mark.parametrize("name", PROCESSES)
def test_every_port_and_var_is_documented(name):
    process = construct(name)
    documented = set().union(
        *(entries(sections(cls.__doc__).get("Attributes", "")) for cls in type(process).__mro__[:-1])
    )
    members = {
        member.name
        for members in (process.in_ports, process.out_ports, process.ref_ports, process.vars)
        for member in members
        if not member.name.startswith("_")
    }
    assert members - documented == set()
    assert "Attributes" in sections(type(process).__doc__) or not members


@pytest.mark.parametrize("name", [name for name in [*PROCESSES, *RULES] if name != "Monitor"])
def test_errors_are_documented(name):
    cls = getattr(library, name)
    assert any("Raises" in sections(base.__doc__) for base in cls.__mro__)


@pytest.mark.parametrize("name", ENUMS)
def test_every_member_of_an_enumeration_is_documented(name):
    cls = getattr(library, name)
    assert entries(sections(cls.__doc__).get("Attributes", "")) == set(cls.__members__)


# These move data or watch it; all others compute, and say what as code.
MOVES_DATA = (
    *("BitCheck", "Extractor", "IdBroadcast", "Injector", "Monitor", "Read", "Receiver", "Receiver32Bit"),
    *("Reset", "SinkRingBuffer", "SourceRingBuffer", "SpikeDataloader", "Spiker32bit", "StateDataloader"),
    "VarWire",
)


@pytest.mark.parametrize("name", [name for name in [*PROCESSES, *RULES] if name not in MOVES_DATA])
def test_what_is_computed_is_written_as_a_formula(name):
    code = re.findall(r"``[^`]*``|(?<=::\n\n)(?:    .*\n?|\n)*", sections(getattr(library, name).__doc__)[""])
    assert any(re.search(r"[\w\])] = \S", part) for part in code)


# Nothing to cite: these pass numbers on, or compare them with a threshold.
NOT_FROM_LITERATURE = (*MOVES_DATA, "GradedReluVec", "GradedVec", "NormVecDelay", "Spiker")


@pytest.mark.parametrize("name", [*PROCESSES, *RULES])
def test_the_source_of_a_formula_is_cited(name):
    cited = re.search(r"\b(19|20)\d\d\b", sections(getattr(library, name).__doc__)[""])
    assert (name in NOT_FROM_LITERATURE) == (cited is None)


def models():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LaharWarning)
        for name in MODULES:
            for attribute, value in vars(importlib.import_module(name)).items():
                if (
                    isinstance(value, type)
                    and issubclass(value, AbstractPyProcessModel)
                    and value.__module__ == name
                ):
                    yield pytest.param(value, id=attribute)


@pytest.mark.parametrize("cls", list(models()))
def test_every_model_says_what_it_is(cls):
    assert cls.__name__.startswith("_") or cls.__dict__.get("__doc__")


def test_what_has_no_example_is_exported():
    assert set(WITHOUT_EXAMPLE) <= set(CLASSES)
    assert set(ABSTRACT) <= set(CLASSES)
