"""Decorators and base classes of ProcessModels: what they set, what is inherited, what is refused."""

from __future__ import annotations

from dataclasses import dataclass

import pytest

from lahar.processes import LIF, AbstractProcess
from lahar.processes.errors import ArgumentTypeError
from lahar.processes.model import (
    CPU,
    ECPU,
    GPU,
    AbstractProcessModel,
    AbstractPyProcessModel,
    AbstractResource,
    AbstractSubProcessModel,
    AbstractSyncProtocol,
    AsyncProtocol,
    HostCPU,
    LavaPyType,
    Loihi1NeuroCore,
    Loihi2NeuroCore,
    LoihiProtocol,
    NeuroCore,
    Phase,
    PyAsyncProcessModel,
    PyLoihiProcessModel,
    SyncDomain,
    implements,
    requires,
    tag,
)
from lahar.processes.model.resources import LMT, PB


class Cell(AbstractProcess):
    pass


class OtherCell(AbstractProcess):
    pass


def settings(model):
    return (model.implements_process, model.implements_protocol, model.required_resources, model.tags)


def test_a_plain_model_implements_nothing():
    class Model(PyLoihiProcessModel):
        pass

    assert settings(Model) == (None, None, [], [])
    assert Model.min_delay == 0


def test_decorators_set_their_attributes_and_return_the_class():
    class Model(PyLoihiProcessModel):
        pass

    assert tag("one", "two")(requires(CPU, [GPU, ECPU])(implements(Cell, LoihiProtocol)(Model))) is Model
    assert settings(Model) == (Cell, LoihiProtocol, [CPU, [GPU, ECPU]], ["one", "two"])


def test_implements_sets_only_what_is_given():
    @implements(protocol=LoihiProtocol)
    class Base(PyLoihiProcessModel):
        pass

    @implements(proc=Cell)
    class Model(Base):
        pass

    assert settings(Base) == (None, LoihiProtocol, [], [])
    assert settings(Model) == (Cell, LoihiProtocol, [], [])


def test_subclasses_inherit_and_add_without_changing_the_base():
    @implements(Cell, LoihiProtocol)
    @requires(CPU)
    @tag("one")
    class Base(PyLoihiProcessModel):
        pass

    @requires(GPU)
    @tag("two")
    class Derived(Base):
        pass

    class Plain(Base):
        pass

    assert settings(Derived) == (Cell, LoihiProtocol, [CPU, GPU], ["one", "two"])
    assert settings(Plain) == settings(Base) == (Cell, LoihiProtocol, [CPU], ["one"])
    assert PyLoihiProcessModel.tags == AbstractProcessModel.tags == []
    assert PyLoihiProcessModel.required_resources == []


def test_decorators_may_be_repeated():
    @tag("one")
    @tag("two")
    @implements(Cell)
    @implements(Cell, LoihiProtocol)
    class Model(PyLoihiProcessModel):
        pass

    assert settings(Model) == (Cell, LoihiProtocol, [], ["two", "one"])


@pytest.mark.parametrize("argument", ["proc", "protocol"])
@pytest.mark.parametrize("value", [3, "Cell", LoihiProtocol()])
def test_implements_takes_classes(argument, value):
    with pytest.raises(ArgumentTypeError, match="@implements takes classes, not"):
        implements(**{argument: value})


def test_implements_takes_classes_of_the_right_kind():
    with pytest.raises(ArgumentTypeError, match="LoihiProtocol is not a subclass of AbstractProcess"):
        implements(proc=LoihiProtocol)
    with pytest.raises(ArgumentTypeError, match="Cell is not a subclass of AbstractSyncProtocol"):
        implements(protocol=Cell)


@pytest.mark.parametrize("decorator", [implements(Cell), requires(CPU), tag("one")])
@pytest.mark.parametrize("decorated", [Cell, LIF, 3, lambda: None])
def test_only_models_are_decorated(decorator, decorated):
    with pytest.raises(
        ArgumentTypeError, match=r"@(implements|requires|tag) decorates ProcessModel classes, not"
    ):
        decorator(decorated)


def test_a_model_implements_one_process_and_one_protocol():
    @implements(Cell, LoihiProtocol)
    class Model(PyLoihiProcessModel):
        pass

    class Derived(Model):
        pass

    for model in (Model, Derived):
        message = f"{model.__name__} would implement OtherCell, but it or a base implements Cell"
        with pytest.raises(ArgumentTypeError, match=message):
            implements(proc=OtherCell)(model)
        with pytest.raises(
            ArgumentTypeError, match="AsyncProtocol, but it or a base implements LoihiProtocol"
        ):
            implements(protocol=AsyncProtocol)(model)
        assert settings(model) == (Cell, LoihiProtocol, [], [])


@pytest.mark.parametrize("resource", [(CPU, GPU), "CPU", CPU(), [CPU, "GPU"]])
def test_requires_takes_classes(resource):
    with pytest.raises(ArgumentTypeError, match="@requires takes resource classes, not"):
        requires(resource)


def test_requires_takes_resources():
    with pytest.raises(ArgumentTypeError, match="@requires: Cell is not a resource"):
        requires(CPU, Cell)


@pytest.mark.parametrize("name", [3, None, CPU, ["one"]])
def test_tags_are_strings(name):
    with pytest.raises(ArgumentTypeError, match="@tag takes strings, not"):
        tag("one", name)


# --- resources and protocols --------------------------------------------------------------


def test_the_hierarchy_of_resources():
    for resource in (CPU, HostCPU, GPU, ECPU, NeuroCore):
        assert issubclass(resource, AbstractResource)
    assert issubclass(Loihi1NeuroCore, NeuroCore)
    assert issubclass(Loihi2NeuroCore, NeuroCore)
    assert issubclass(LMT, ECPU)
    assert issubclass(PB, ECPU)


def test_phases_are_numbered_in_their_order():
    assert [p.name for p in sorted(Phase)] == ["SPK", "PRE_MGMT", "LRN", "POST_MGMT", "HOST"]
    assert LoihiProtocol.phases == sorted(Phase)
    assert AsyncProtocol.phases == []
    assert AsyncProtocol.proc_functions == []
    members = {name for pair in LoihiProtocol.proc_functions for name in pair if name is not None}
    assert {name for name in members if not hasattr(PyLoihiProcessModel, name)} == {
        "host_guard",
        "run_host_mgmt",
    }
    assert issubclass(LoihiProtocol, AbstractSyncProtocol)


def test_sync_domains():
    one, two, three = Cell(), Cell(), Cell()
    domain = SyncDomain("all", LoihiProtocol(), [one])
    domain.add_process(two)
    domain.add_process([three])
    assert domain.processes == [one, two, three]
    assert isinstance(domain.protocol, LoihiProtocol)
    assert SyncDomain("empty").protocol is None


@pytest.mark.parametrize("protocol", [LoihiProtocol, "LoihiProtocol", 3])
def test_a_sync_domain_needs_an_instance(protocol):
    with pytest.raises(ArgumentTypeError, match=r"SyncDomain 'all': the protocol must be an instance"):
        SyncDomain("all", protocol)


# --- base classes -------------------------------------------------------------------------


def test_a_model_shows_what_it_is():
    @implements(Cell, LoihiProtocol)
    @requires(CPU)
    @tag("one")
    class Model(PyLoihiProcessModel):
        pass

    assert repr(Model()) == "<Model of Cell, requires ['CPU'], tags ['one']>"
    assert Model({"a": 1}).proc_params == {"a": 1}
    assert repr(PyLoihiProcessModel()).startswith("<PyLoihiProcessModel of None")


def test_models_log_at_their_level():
    class Chatty(PyLoihiProcessModel):
        pass

    assert Chatty({}, loglevel=10).log.level == 10


def test_defaults_of_the_loihi_protocol():
    model = PyLoihiProcessModel()
    assert model.time_step == 0
    assert not any((model.pre_guard(), model.lrn_guard(), model.post_guard()))
    for method in (model.run_spk, model.run_pre_mgmt, model.run_lrn, model.run_post_mgmt, model.on_build):
        assert method() is None


def test_requests_can_be_made_and_taken_back():
    model = PyLoihiProcessModel()
    assert not model._req_pause
    assert not model._req_stop
    model._req_pause = model._req_stop = True
    model._req_pause = True
    assert model._req_pause
    assert model._req_stop
    model._req_pause = False
    assert not model._req_pause
    assert model._req_stop


def test_an_asynchronous_model_must_say_what_it_does():
    class Lazy(PyAsyncProcessModel):
        pass

    with pytest.raises(NotImplementedError, match=r"Lazy must define run_async\(\)"):
        Lazy().run_async()
    assert issubclass(Lazy, AbstractPyProcessModel)


def test_a_sub_process_model_needs_a_constructor():
    class Model(AbstractSubProcessModel):
        pass

    with pytest.raises(TypeError, match="abstract"):
        Model(Cell())


def test_sub_processes_are_attributes_or_fields_of_dataclasses():
    @dataclass
    class Group:
        cell: Cell
        number: int

    class Model(AbstractSubProcessModel):
        def __init__(self, proc):
            self.beta = Cell()
            self.alpha = Cell()
            self.group = Group(OtherCell(), 3)
            self.listed = [Cell()]
            self.number = 5

    model = Model(Cell())
    found = model.find_sub_procs()
    assert list(found) == ["alpha", "beta", "OtherCell"]
    assert found == {"alpha": model.alpha, "beta": model.beta, "OtherCell": model.group.cell}


def test_the_estimated_cost_grows_with_the_size():
    small, large = LIF(shape=(1,)), LIF(shape=(10_000,))
    assert 0 < PyLoihiProcessModel.step_cost(small) < PyLoihiProcessModel.step_cost(large)


def test_lava_py_type_keeps_what_is_declared():
    declared = LavaPyType(int, float, precision=8)
    assert (declared.cls, declared.d_type, declared.precision) == (int, float, 8)
    assert LavaPyType(int, float) == LavaPyType(int, float, None)
