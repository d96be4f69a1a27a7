"""Processes: registration of members, collections, names, parameters, logging."""

from __future__ import annotations

import gc
import logging
from abc import ABC, abstractmethod

import pytest

from lahar.processes import LIF, AbstractProcess, InPort, LogConfig, OutPort, RefPort, Var, VarPort
from lahar.processes.errors import ArgumentTypeError, MemberError, ValidationError
from lahar.processes.process import Collection, ProcessParameters, ProcessServer


class Everything(AbstractProcess):
    """Members of every kind, defined in no particular order."""

    at_the_class = Var((4,), 1)

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.zeta = Var((2,), 5, name="another name")
        self.alpha = Var((3,), 7)
        self.s_out = OutPort((2,))
        self.b_in = InPort((2,))
        self.a_in = InPort((2,))
        self.ref = RefPort((2,))
        self.port = VarPort(self.zeta)
        self.hidden = [Var((1,), 0), InPort((1,))]


class Nest(AbstractProcess):
    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.inner = Everything(name="own name")


# --- registration of members --------------------------------------------------------------


def test_members_are_collected_by_kind_and_in_alphabetical_order():
    process = Everything()
    assert process.in_ports.member_names == ["a_in", "b_in"]
    assert process.out_ports.member_names == ["s_out"]
    assert process.ref_ports.member_names == ["ref"]
    assert process.var_ports.member_names == ["port"]
    assert process.vars.member_names == ["alpha", "at_the_class", "zeta"]
    assert process.procs.is_empty()


def test_members_get_the_name_of_the_attribute_and_know_their_process():
    process = Everything(name="it")
    assert process.zeta.name == "zeta"
    assert (process.a_in.name, process.a_in.process) == ("a_in", process)
    assert (process.a_in.path, process.zeta.path) == ("it.a_in", "it.zeta")


def test_members_inside_containers_are_not_found():
    var, port = Everything().hidden
    assert var.process is None
    assert port.process is None


def test_the_same_member_under_two_names_has_the_last():
    process = Everything()
    process.zz = process.alpha
    process._post_init()
    assert process.alpha.name == "zz"
    assert process.vars.zz is process.vars.alpha


def test_a_process_as_attribute_is_renamed_and_has_no_parent():
    nest = Nest()
    assert nest.procs.inner is nest.inner
    assert nest.inner.name == "inner"
    assert nest.inner.process is nest
    assert nest.inner.parent_proc is None


def test_members_made_before_the_base_constructor_are_registered():
    class Early(AbstractProcess):
        def __init__(self):
            self.x = Var((1,), 0)
            super().__init__()

    assert Early().vars.member_names == ["x"]


def test_members_made_by_a_derived_constructor_are_registered():
    class Derived(Everything):
        def __init__(self):
            super().__init__()
            self.more = Var((1,), 0)

    assert "more" in Derived().vars


def test_members_added_later_are_registered_on_request():
    process = Everything()
    process.late = Var((1,), 0)
    assert "late" not in process.vars
    found = process._find_attr_by_type(Var)
    process._init_proc_member_obj(found)
    process.vars.add_members(found)
    assert process.vars.late.path == f"{process.name}.late"


def test_a_constructor_that_forgets_the_base_is_told():
    class Forgetful(AbstractProcess):
        def __init__(self):
            self.x = Var((1,), 0)

    with pytest.raises(ValidationError, match=r"Forgetful.*super\(\).__init__"):
        Forgetful()


def test_positional_arguments_are_refused():
    with pytest.raises(TypeError):
        AbstractProcess(3)


def test_processes_may_be_abstract():
    class Shape(AbstractProcess, ABC):
        @abstractmethod
        def area(self): ...

    class Square(Shape):
        def area(self):
            return 1

    with pytest.raises(TypeError, match="Shape"):
        Shape()
    assert Square().area() == 1


# --- names, ids, parameters ---------------------------------------------------------------


def test_ids_count_up_and_give_the_default_name():
    first, second = Everything(), Everything()
    assert second.id == first.id + 1
    assert second.name == f"Process_{second.id}"


@pytest.mark.parametrize("name", [None, ""])
def test_an_empty_name_is_replaced(name):
    process = Everything(name=name)
    assert process.name == f"Process_{process.id}"


def test_names_are_kept_assignable_and_need_not_be_unique():
    one, other = Everything(name="same"), Everything(name="same")
    assert one.name == other.name == "same"
    other.name = "other"
    assert other.s_out.path == "other.s_out"


def test_parameters_are_what_reached_the_base_constructor():
    process = Everything(name="it", du=0.5)
    assert list(process.proc_params) == ["name", "du"]
    assert process.proc_params["du"] == 0.5


def test_attributes_of_a_new_process():
    process = Everything()
    assert process.runtime is None
    assert process.model_class is None
    assert process.is_compiled is False
    assert process.parent_proc is None
    assert (process.folded_view, process.folded_view_inst_id) == (None, -1)


def test_folded_views_are_inherited_by_parts():
    nest = Nest()
    nest.folded_view, nest.folded_view_inst_id = Nest, 3
    nest.propagate_folded_views()
    assert (nest.inner.folded_view, nest.inner.folded_view_inst_id) == (Nest, 3)


def test_process_parameters_read_like_a_dict():
    given = {"a": 1, "b": None}
    parameters = ProcessParameters(given)
    assert parameters._parameters is given
    assert parameters["a"] == 1
    assert "a" in parameters
    assert "c" not in parameters
    assert list(parameters) == list(parameters.keys()) == ["a", "b"]
    assert len(parameters) == 2
    assert repr(parameters) == "ProcessParameters({'a': 1, 'b': None})"
    assert parameters.get("b", 5) is None
    assert parameters.get("c", 5) == 5
    with pytest.raises(KeyError):
        parameters["c"]


def test_process_parameters_are_not_replaced_by_accident():
    parameters = ProcessParameters({"a": 1})
    parameters["b"] = 2
    with pytest.raises(KeyError, match=r"'a' exists already; use overwrite"):
        parameters["a"] = 3
    assert parameters["a"] == 1
    parameters.overwrite("a", 3)
    assert (parameters["a"], parameters["b"]) == (3, 2)


# --- collections --------------------------------------------------------------------------


def test_collections_are_read_by_attribute_index_and_name():
    process = Everything()
    assert process.vars.alpha is process.vars[0] is process.vars["alpha"] is process.alpha
    assert process.vars[-1] is process.zeta
    assert process.vars.members == [process.alpha, process.at_the_class, process.zeta]
    assert process.vars.process is process
    assert process.vars.name == "vars"


def test_collections_have_a_length_and_can_be_empty():
    process = Everything()
    assert len(process.vars) == 3
    assert not process.vars.is_empty()
    assert process.procs.is_empty()
    assert len(process.procs) == 0


def test_iterators_over_one_collection_are_independent():
    ports = Everything().in_ports
    pairs = [(a.name, b.name) for a in ports for b in ports]
    assert pairs == [("a_in", "a_in"), ("a_in", "b_in"), ("b_in", "a_in"), ("b_in", "b_in")]


def test_a_loop_that_was_left_early_starts_anew():
    ports = Everything().in_ports
    for _ in ports:
        break
    assert [p.name for p in ports] == ["a_in", "b_in"]


def test_a_collection_may_grow_while_it_is_iterated():
    process = Everything()
    for var in process.vars:
        process.vars.add_members({f"copy_of_{var.name}": var})
    assert len(process.vars) == 6


def test_membership_is_by_name_or_identity():
    process, other = Everything(), Everything()
    assert "alpha" in process.vars
    assert process.alpha in process.vars
    assert "s_out" not in process.vars
    assert other.alpha not in process.vars
    assert [1] not in process.vars


def test_has_compares_names():
    process, other = Everything(), Everything()
    assert process.vars.has(other.alpha)
    assert not process.vars.has(process.s_out)
    with pytest.raises(ArgumentTypeError, match=r"vars\.has\(\) takes a port, Var or Process, not int"):
        process.vars.has(3)


def test_an_unknown_member_is_named_with_a_near_one():
    process = Everything(name="it")
    with pytest.raises(MemberError, match=r"'it' has no member 'alfa' in vars\. Did you mean 'alpha'\?"):
        process.vars.alfa  # noqa: B018
    assert not hasattr(process.vars, "alfa")


def test_private_names_are_plain_attribute_errors():
    with pytest.raises(AttributeError, match=r"^_lava$"):
        Everything().vars._lava  # noqa: B018
    assert not hasattr(Everything().vars, "__array__")


def test_an_unknown_member_lists_what_there_is():
    process = Everything(name="it")
    with pytest.raises(MemberError, match=r"no member 'xyz' in in_ports\. It has: a_in, b_in"):
        process.in_ports.xyz  # noqa: B018
    with pytest.raises(MemberError, match="It has: none"):
        process.procs.xyz  # noqa: B018


def test_collections_show_their_members():
    assert repr(Everything(name="it").in_ports) == "<in_ports of it: a_in, b_in>"
    assert repr(Everything(name="it")) == "<Everything 'it'>"


def test_collections_are_usable_on_their_own():
    collection = Collection(Everything(name="it"), "things")
    collection.add_members({"b": 1, "a": 2})
    assert collection.members == [1, 2]


# --- sub processes ------------------------------------------------------------------------


def test_registered_sub_processes_know_their_ancestors():
    top, middle, leaf = Everything(), Everything(), Everything()
    top.register_sub_procs({"middle": middle})
    middle.register_sub_procs({"leaf": leaf})
    assert leaf.parent_proc is middle
    assert top.procs.middle is middle
    assert leaf.is_sub_proc_of(middle)
    assert leaf.is_sub_proc_of(top)
    assert not top.is_sub_proc_of(leaf)
    assert not leaf.is_sub_proc_of(leaf)
    assert not leaf.is_sub_proc_of(Everything())


def test_only_processes_can_be_sub_processes():
    top = Everything(name="top")
    with pytest.raises(ArgumentTypeError, match="Sub process 'odd' of 'top' is a int"):
        top.register_sub_procs({"odd": 3})


# --- the server ---------------------------------------------------------------------------


def test_the_process_server_lists_living_processes():
    server = ProcessServer()
    assert ProcessServer() is server
    gc.collect()  # of other tests, so that none goes meanwhile
    before = server.num_processes
    process = Everything()
    assert server.processes[-1] is process
    assert server.num_processes == before + 1


def test_the_process_server_keeps_no_process_alive():
    process = LIF(shape=(1,))
    number = process.id
    del process
    gc.collect()
    assert number not in [p.id for p in ProcessServer().processes]


def test_only_processes_can_be_registered():
    with pytest.raises(ArgumentTypeError, match="Only a Process can be registered, not str"):
        ProcessServer().register("lif")


def test_ids_restart_after_a_reset(monkeypatch):
    monkeypatch.setattr(ProcessServer, "_instance", None)
    ProcessServer().reset_server()
    assert Everything().id == 0
    Everything()
    ProcessServer().reset_server()
    assert ProcessServer().num_processes == 0
    assert Everything().id == 0


# --- logging ------------------------------------------------------------------------------


def test_defaults_of_log_config():
    config = LogConfig()
    assert (config.file, config.level, config.level_console) == ("", logging.WARNING, logging.ERROR)
    assert config.logs_to_file is False


def test_logging_to_a_file_needs_its_name():
    with pytest.raises(ValidationError, match=r"LogConfig\.file: logs_to_file=True needs"):
        LogConfig(logs_to_file=True)


def test_processes_add_no_handlers_to_the_root_logger():
    before = list(logging.getLogger().handlers)
    Everything()
    Everything()
    assert logging.getLogger().handlers == before


def test_records_reach_the_file_once_for_many_processes(tmp_path):
    path = tmp_path / "net.log"
    config = LogConfig(file=str(path), logs_to_file=True, level=logging.INFO)
    library = logging.getLogger("lahar")
    before = list(library.handlers)
    try:
        processes = [Everything(log_config=config) for _ in range(3)]
        processes[0].log.warning("volcano")
        assert path.read_text().count("volcano") == 1
    finally:
        for handler in set(library.handlers) - set(before):
            library.removeHandler(handler)
            handler.close()


@pytest.mark.parametrize("name", [5, b"lif", ["lif"]])
def test_a_name_is_a_string(name):
    with pytest.raises(ArgumentTypeError, match="LIF: name must be a string, not "):
        LIF(shape=(1,), name=name)
