"""Run configurations: arguments, environment variables, and the choice of models by tag."""

from __future__ import annotations

import numpy as np
import pytest

from lahar.compiler import Loihi1SimCfg, Loihi2SimCfg, RunConfig
from lahar.compiler.run_configs import AbstractLoihiRunCfg, AbstractLoihiSimRunCfg
from lahar.processes import AbstractProcess
from lahar.processes.errors import ArgumentTypeError, CompileError, ValidationError
from lahar.processes.model import (
    AbstractProcessModel,
    AbstractSubProcessModel,
    LoihiProtocol,
    PyLoihiProcessModel,
    SyncDomain,
    tag,
)


class Cell(AbstractProcess):
    pass


class OtherCell(AbstractProcess):
    pass


class Leaf(PyLoihiProcessModel):
    pass


@tag("floating_pt")
class FloatLeaf(PyLoihiProcessModel):
    pass


@tag("fixed_pt", "exact")
class FixedLeaf(PyLoihiProcessModel):
    pass


@tag("bit_accurate_loihi")
class OldNameLeaf(PyLoihiProcessModel):
    pass


class Sub(AbstractSubProcessModel):
    def __init__(self, proc):
        pass


@tag("floating_pt")
class FloatSub(Sub):
    pass


@tag("fixed_pt")
class FixedSub(Sub):
    pass


class Strange(AbstractProcessModel):
    pass


# --- arguments ----------------------------------------------------------------------------


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("LAHAR_PARTITIONS", "LAHAR_SYNC", "LAHAR_LAUNCHER"):
        monkeypatch.delenv(name, raising=False)


def test_defaults():
    config = RunConfig()
    assert (config.partitions, config.sync, config.launcher) == ("auto", "auto", "local")
    assert (config.placement, config.shards, config.progress) == ({}, "auto", "auto")
    assert config.custom_sync_domains == []


def test_both_simulators_are_the_same():
    assert issubclass(Loihi2SimCfg, Loihi1SimCfg)
    assert issubclass(Loihi1SimCfg, AbstractLoihiSimRunCfg)
    assert issubclass(AbstractLoihiSimRunCfg, AbstractLoihiRunCfg)
    config = Loihi2SimCfg(select_tag="fixed_pt")
    assert (config.select_tag, config.select_sub_proc_model, config.exception_proc_model_map) == (
        "fixed_pt",
        False,
        {},
    )


def test_arguments_may_be_given_by_position_as_far_as_the_interface_has_them():
    domains, exceptions = [SyncDomain("all", LoihiProtocol())], {Cell: Leaf}
    config = Loihi2SimCfg(domains, "fixed_pt", True, exceptions, 10, partitions=2)
    assert config.custom_sync_domains is domains
    assert (config.select_tag, config.select_sub_proc_model, config.loglevel) == ("fixed_pt", True, 10)
    assert config.exception_proc_model_map == exceptions


@pytest.mark.parametrize("domains", [SyncDomain("all"), [3], ["all"], (SyncDomain("all"),)])
def test_sync_domains_are_a_list(domains):
    with pytest.raises(ArgumentTypeError, match="custom_sync_domains must be a list of SyncDomain"):
        RunConfig(custom_sync_domains=domains)


@pytest.mark.parametrize(("given", "kept"), [(1, 1), ("auto", "auto"), ("3", 3), (np.int64(2), 2)])
def test_partitions_are_a_number_or_auto(given, kept):
    config = Loihi2SimCfg(partitions=given)
    assert config.partitions == kept
    assert type(config.partitions) is type(kept)


@pytest.mark.parametrize("value", [0, -3, "0"])
def test_at_least_one_partition(value):
    with pytest.raises(ValidationError, match=rf"partitions: at least 1 is needed, not {value}"):
        Loihi2SimCfg(partitions=value)


@pytest.mark.parametrize("value", [2.5, True, None, "many", "2.5", [2]])
def test_partitions_of_another_type(value):
    with pytest.raises(ValidationError, match=r"partitions: 'auto' or a positive integer expected, not"):
        Loihi2SimCfg(partitions=value)


@pytest.mark.parametrize(
    ("argument", "value", "listed"),
    [
        ("sync", "loose", "'auto', 'lockstep', 'elastic'"),
        ("sync", None, "'auto', 'lockstep', 'elastic'"),
        ("launcher", "slurm", "'local', 'inline'"),
        ("launcher", 3, "'local', 'inline'"),
    ],
)
def test_choices_are_listed(argument, value, listed):
    with pytest.raises(ValidationError) as caught:
        Loihi2SimCfg(**{argument: value})
    assert str(caught.value) == f"{argument}: one of {listed} expected, not {value!r}."


@pytest.mark.parametrize("value", ["yes", None, 3])
def test_progress_is_a_bool_or_auto(value):
    with pytest.raises(ValidationError, match="progress: True, False or 'auto' expected"):
        Loihi2SimCfg(progress=value)


def test_no_process_is_split():
    with pytest.raises(ValidationError, match="shards: only 'auto'"):
        Loihi2SimCfg(shards={Cell(): 2})


@pytest.mark.parametrize("value", [3, ["fixed_pt"], PyLoihiProcessModel])
def test_a_tag_is_a_string(value):
    with pytest.raises(ArgumentTypeError, match="select_tag must be a string, not"):
        Loihi2SimCfg(select_tag=value)


def test_misspelt_arguments_are_refused():
    with pytest.raises(TypeError, match="partition"):
        Loihi2SimCfg(partition=2)


# --- environment variables ----------------------------------------------------------------


def test_variables_take_the_place_of_defaults(monkeypatch):
    monkeypatch.setenv("LAHAR_PARTITIONS", "3")
    monkeypatch.setenv("LAHAR_SYNC", "lockstep")
    monkeypatch.setenv("LAHAR_LAUNCHER", "inline")
    config = Loihi2SimCfg()
    assert (config.partitions, config.sync, config.launcher) == (3, "lockstep", "inline")


def test_arguments_win_over_variables(monkeypatch):
    monkeypatch.setenv("LAHAR_PARTITIONS", "3")
    monkeypatch.setenv("LAHAR_SYNC", "lockstep")
    config = Loihi2SimCfg(partitions=2, sync="elastic")
    assert (config.partitions, config.sync) == (2, "elastic")


@pytest.mark.parametrize(
    ("variable", "value", "expected"),
    [
        ("LAHAR_PARTITIONS", "0", "at least 1"),
        ("LAHAR_PARTITIONS", "-1", "at least 1"),
        ("LAHAR_PARTITIONS", "two", "'auto' or a positive integer"),
        ("LAHAR_PARTITIONS", "1.5", "'auto' or a positive integer"),
        ("LAHAR_PARTITIONS", "", "'auto' or a positive integer"),
        ("LAHAR_SYNC", "sometimes", "'auto', 'lockstep', 'elastic'"),
        ("LAHAR_SYNC", "", "'auto', 'lockstep', 'elastic'"),
        ("LAHAR_LAUNCHER", "Local", "'local', 'inline'"),
    ],
)
def test_a_bad_variable_is_named_with_what_is_expected(monkeypatch, variable, value, expected):
    monkeypatch.setenv(variable, value)
    with pytest.raises(ValidationError) as caught:
        Loihi2SimCfg()
    assert str(caught.value).startswith(f"environment variable {variable}: ")
    assert expected in str(caught.value)
    assert f"not {value}" in str(caught.value) or f"not {value!r}" in str(caught.value)


def test_a_bad_variable_does_not_matter_where_the_argument_is_given(monkeypatch):
    monkeypatch.setenv("LAHAR_PARTITIONS", "two")
    assert Loihi2SimCfg(partitions=2).partitions == 2


# --- selection ----------------------------------------------------------------------------

LEAVES = [FloatLeaf, FixedLeaf]


@pytest.mark.parametrize(
    ("arguments", "candidates", "chosen"),
    [
        # by tag among leaves
        ({}, LEAVES, FloatLeaf),
        ({}, LEAVES[::-1], FixedLeaf),
        ({"select_tag": "fixed_pt"}, LEAVES, FixedLeaf),
        ({"select_tag": "exact"}, LEAVES, FixedLeaf),
        ({"select_tag": "fixed_pt"}, [FixedLeaf, FixedSub, type("Later", (FixedLeaf,), {})], FixedLeaf),
        # one candidate
        ({"select_tag": "anything"}, [Leaf], Leaf),
        ({"select_tag": "fixed_pt"}, [FixedLeaf], FixedLeaf),
        ({}, [Sub], Sub),
        ({"select_tag": "anything"}, [Sub], Sub),
        ({"select_tag": "fixed_pt"}, [FixedSub], FixedSub),
        # a model without tags matches where no other does
        ({"select_tag": "fixed_pt"}, [Leaf, FixedLeaf], FixedLeaf),
        ({"select_tag": "unheard_of"}, [FixedLeaf, Leaf], Leaf),
        # names of the same numerics
        ({"select_tag": "bit_accurate_loihi"}, LEAVES, FixedLeaf),
        ({"select_tag": "bit_accurate_loihi"}, [FixedLeaf, OldNameLeaf], OldNameLeaf),
        # leaves are preferred, or sub models on request
        ({}, [FloatSub, FloatLeaf], FloatLeaf),
        ({"select_sub_proc_model": True}, [FloatLeaf, FloatSub], FloatSub),
        ({"select_sub_proc_model": True}, [FixedLeaf, FloatLeaf], FixedLeaf),
        ({"select_sub_proc_model": True, "select_tag": "fixed_pt"}, [FixedLeaf, FloatSub], FloatSub),
        ({"select_sub_proc_model": True}, [FloatLeaf, FloatSub, FixedSub], FloatSub),
        (
            {"select_sub_proc_model": True, "select_tag": "fixed_pt"},
            [FloatLeaf, FixedLeaf, FloatSub, FixedSub],
            FixedSub,
        ),
        (
            {"select_sub_proc_model": True, "select_tag": "fixed_pt"},
            [FloatSub, FixedSub, FloatLeaf],
            FixedSub,
        ),
        # sub models only
        ({"select_tag": "fixed_pt"}, [FloatSub, FixedSub], FixedSub),
        # what cannot be run here is passed over
        ({}, [Strange, Leaf], Leaf),
        ({"select_sub_proc_model": True}, [Strange, Sub], Sub),
    ],
)
def test_selection(arguments, candidates, chosen):
    assert Loihi2SimCfg(**arguments).select(Cell(), candidates) is chosen


@pytest.mark.parametrize("config", [Loihi1SimCfg, Loihi2SimCfg, AbstractLoihiRunCfg])
def test_every_configuration_selects_by_tag(config):
    assert config(select_tag="fixed_pt").select(Cell(), LEAVES) is FixedLeaf


@pytest.mark.parametrize(
    ("arguments", "candidates"),
    [
        ({}, LEAVES),
        ({"select_sub_proc_model": True}, [FixedLeaf]),
        ({"select_sub_proc_model": True}, [FloatLeaf, FloatSub, FixedSub]),
        ({}, [FixedSub]),
    ],
)
def test_an_unknown_tag_lists_the_models_and_their_tags(arguments, candidates):
    with pytest.raises(CompileError) as caught:
        Loihi2SimCfg(select_tag="decimal", **arguments).select(Cell(name="it"), candidates)
    text = str(caught.value)
    assert "Process 'it' (Cell) has no model with tag 'decimal'" in text
    looked_at = [m for m in candidates if issubclass(m, Sub)] or candidates
    for model in looked_at:
        assert f"{model.__name__} (tags: {', '.join(model.tags)})" in text
    assert f"Use one of {sorted({t for m in looked_at for t in m.tags})}" in text
    assert "exception_proc_model_map" in text


@pytest.mark.parametrize("candidates", [[Strange], []])
def test_models_that_cannot_be_run_are_named(candidates):
    listed = ", ".join(m.__name__ for m in candidates) or "none"
    with pytest.raises(
        CompileError, match=rf"'it' \(Cell\): none of its models \({listed}\) is a Python or sub"
    ):
        Loihi2SimCfg().select(Cell(name="it"), candidates)


def test_exceptions_by_class_come_before_tags():
    config = Loihi2SimCfg(select_tag="fixed_pt", exception_proc_model_map={Cell: FloatSub})
    assert config.select(Cell(), LEAVES) is FloatSub
    assert config.select(OtherCell(), LEAVES) is FixedLeaf


def test_the_exception_map_is_copied():
    exceptions = {Cell: FloatLeaf}
    config = Loihi2SimCfg(exception_proc_model_map=exceptions)
    exceptions.clear()
    assert config.exception_proc_model_map == {Cell: FloatLeaf}


def test_the_base_selects_nothing_and_says_what_to_use():
    with pytest.raises(CompileError) as caught:
        RunConfig().select(Cell(name="it"), LEAVES)
    text = str(caught.value)
    assert (
        "RunConfig does not define select(), so none of FloatLeaf, FixedLeaf is chosen for process 'it'"
        in text
    )
    assert "use Loihi2SimCfg" in text


@pytest.mark.parametrize("argument", ["placement", "exception_proc_model_map"])
@pytest.mark.parametrize("value", [5, [("a", 1)], "ab"])
def test_maps_are_dictionaries(argument, value):
    with pytest.raises(ArgumentTypeError, match=f"{argument} must be a dictionary, not "):
        Loihi2SimCfg(**{argument: value})
