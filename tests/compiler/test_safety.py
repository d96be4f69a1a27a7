"""What makes running ahead unsafe, and how it is seen in a model."""

from __future__ import annotations

import functools

import pytest

from lahar.compiler.safety import elastic_hazards, names_used, overrides
from lahar.processes.model import PyLoihiProcessModel


class Quiet(PyLoihiProcessModel):
    """Neither polls nor asks for anything; says probe, peek and _req_pause in its documentation only."""

    def run_spk(self):
        self.o.send(self.i.recv())


class Prober(PyLoihiProcessModel):
    def run_spk(self):
        if self.i.probe():
            self.i.recv()


class Peeker(PyLoihiProcessModel):
    def run_spk(self):
        self.i.peek()


class InheritedProber(Prober):
    pass


class Pauser(PyLoihiProcessModel):
    def run_post_mgmt(self):
        self._req_pause = True


class Stopper(PyLoihiProcessModel):
    def run_spk(self):
        self.finish()

    def finish(self):
        self._req_stop = self.time_step > 5


class LambdaProber(PyLoihiProcessModel):
    def run_spk(self):
        return any(map(lambda port: port.probe(), self.py_ports))  # noqa: C417


class ByName(PyLoihiProcessModel):
    def run_spk(self):
        return getattr(self.i, "probe")()  # noqa: B009


class StaticProber(PyLoihiProcessModel):
    @staticmethod
    def look(port):
        return port.probe()


class ClassProber(PyLoihiProcessModel):
    @classmethod
    def look(cls, port):
        return port.probe()


class PropertyProber(PyLoihiProcessModel):
    @property
    def ready(self):
        return self.i.probe()


class SetterPauser(PyLoihiProcessModel):
    @property
    def ready(self):
        return 1

    @ready.setter
    def ready(self, value):
        self._req_pause = value


def logged(method):
    @functools.wraps(method)
    def wrapper(self):
        return method(self)

    return wrapper


class DecoratedProber(PyLoihiProcessModel):
    @logged
    def run_spk(self):
        self.i.probe()


class PreGuarded(PyLoihiProcessModel):
    def pre_guard(self):
        return True


POLLING = [
    Prober,
    InheritedProber,
    LambdaProber,
    ByName,
    StaticProber,
    ClassProber,
    PropertyProber,
    DecoratedProber,
]


def hazards(*models, references=()):
    placed = [(f"p{k}", model, part) for k, (model, part) in enumerate(models)]
    return elastic_hazards(placed, list(references))


def test_models_that_only_send_and_receive_are_safe():
    assert hazards((Quiet, 0), (Quiet, 1), (PyLoihiProcessModel, 2)) == []


@pytest.mark.parametrize("model", POLLING)
def test_polling_is_seen_wherever_it_is_written(model):
    assert "probe" in names_used(model)
    (reason,) = hazards((Quiet, 0), (model, 1))
    assert reason == "p1 polls (probe): what it sees depends on timing"


def test_peeking_is_polling():
    assert hazards((Peeker, 0), (Quiet, 1)) == ["p0 polls (peek): what it sees depends on timing"]


@pytest.mark.parametrize("model", [Pauser, Stopper, SetterPauser])
def test_requests_for_pause_and_stop_are_seen(model):
    (reason,) = hazards((model, 0), (Quiet, 1))
    assert reason == "p0 may ask for pause or stop, which must happen in one step for all"


def test_one_partition_is_always_safe():
    assert hazards((Prober, 0), (Pauser, 0), (PreGuarded, 0)) == []


def test_pre_management_in_several_partitions_depends_on_all_learners():
    (reason,) = hazards((PreGuarded, 0), (Quiet, 1), (PreGuarded, 1))
    assert reason == "pre-management of p0, p2 depends on learners in other partitions"
    assert hazards((PreGuarded, 0), (PreGuarded, 0), (Quiet, 1)) == []


def test_references_across_partitions_are_named():
    (reason,) = hazards((Quiet, 0), (Quiet, 1), references=[("reader.ref", "lif.v")])
    assert reason == "RefPort reader.ref and Var lif.v are in different partitions"


def test_all_reasons_are_given():
    assert len(hazards((Prober, 0), (Peeker, 1), (Stopper, 1), references=[("a.r", "b.x")])) == 4


def test_overrides():
    class Derived(PreGuarded):
        pass

    assert overrides(Derived, "pre_guard")
    assert not overrides(Derived, "lrn_guard")
    assert not overrides(PyLoihiProcessModel, "run_spk")
    assert overrides(Prober, "run_spk")
