"""The examples in the docstrings of the library."""

import doctest
import importlib
import pkgutil

import pytest

import lahar.processes

MODULES = sorted(info.name for info in pkgutil.walk_packages(lahar.processes.__path__, "lahar.processes."))


def examples(name):
    found = doctest.DocTestFinder().find(importlib.import_module(name))
    return [test for test in found if test.examples]


@pytest.mark.parametrize("name", [name for name in MODULES if examples(name)])
def test_examples_do_what_they_say(name):
    for test in examples(name):
        result = doctest.DocTestRunner().run(test)
        assert result.failed == 0, test.name


def test_every_neuron_has_an_example():
    tested = {test.name for name in MODULES for test in examples(name)}
    missing = []
    for name in lahar.processes.__all__:
        cls = getattr(lahar.processes, name)
        neurons = cls.__module__.rpartition(".")[2]
        if neurons in NEURONS and f"{cls.__module__}.{name}" not in tested:
            missing.append(name)
    assert missing == ["ActivationMode"]


NEURONS = (
    "atrlif",
    "delta",
    "graded",
    "id_broadcast",
    "inv_sqrt",
    "lif_refractory",
    "lif_reset",
    "lif_ternary",
    "novelty_detector",
    "nsm",
    "prodneuron",
    "prototype_lif",
    "resfire",
    "rf",
    "rf_iz",
    "s4d",
    "sdn",
    "spiker",
)
