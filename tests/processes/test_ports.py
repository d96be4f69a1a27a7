"""Ports: what may be connected to what, in which order it is checked, implicit VarPorts, and queries."""

from __future__ import annotations

import numpy as np
import pytest

from lahar.processes import LIF, AbstractProcess, InPort, OutPort, RefPort, Var, VarPort
from lahar.processes.errors import (
    ArgumentTypeError,
    DuplicateConnectionError,
    PortError,
    ShapeError,
    VarNotSharableError,
)
from lahar.processes.ports import ImplicitVarPort, create_port_id


class Box(AbstractProcess):
    """Two ports of each kind, of one shape."""

    def __init__(self, shape=(2,), **kwargs):
        super().__init__(**kwargs)
        self.in_1 = InPort(shape)
        self.in_2 = InPort(shape)
        self.out_1 = OutPort(shape)
        self.out_2 = OutPort(shape)
        self.ref_1 = RefPort(shape)
        self.ref_2 = RefPort(shape)
        self.x = Var(shape, 0)
        self.secret = Var(shape, 0, shareable=False)
        self.var_1 = VarPort(self.x)
        self.var_2 = VarPort(self.x)


@pytest.fixture
def a():
    return Box(name="a")


@pytest.fixture
def b():
    return Box(name="b")


@pytest.fixture
def wide():
    return Box(shape=(3,), name="wide")


def connections(*processes):
    """All connections of some processes, as pairs of paths, and whether both ends know them."""
    ports = [
        p for process in processes for kind in ("in", "out", "ref", "var") for p in ports_of(process, kind)
    ]
    forward = {(p.path, q.path) for p in ports for q in p.out_connections}
    backward = {(q.path, p.path) for p in ports for q in p.in_connections}
    assert forward == backward
    return forward


def ports_of(process, kind):
    return getattr(process, f"{kind}_ports").members


# --- construction -------------------------------------------------------------------------


@pytest.mark.parametrize("kind", [InPort, OutPort, RefPort])
@pytest.mark.parametrize("shape", [3, [3], (-1,), (1.5,), None])
def test_a_port_needs_a_shape(kind, shape):
    with pytest.raises(ArgumentTypeError, match=f"{kind.__name__}: shape"):
        kind(shape)


def test_shape_and_size():
    assert (OutPort((2, 3)).shape, OutPort((2, 3)).size) == ((2, 3), 6)
    assert InPort((), reduce_op=None).size == 1


def test_a_var_port_has_the_shape_of_its_var(a):
    assert a.var_1.var is a.x
    assert a.var_1.shape == (2,)


@pytest.mark.parametrize("var", [3, InPort((2,)), None])
def test_a_var_port_needs_a_var(var):
    with pytest.raises(ArgumentTypeError, match=f"VarPort takes a Var, not {type(var).__name__}"):
        VarPort(var)


def test_a_var_port_needs_a_shareable_var(a):
    with pytest.raises(VarNotSharableError, match="Var 'secret' is declared shareable=False"):
        VarPort(a.secret)


def test_a_port_shows_its_place(a):
    assert repr(a.in_1) == "<InPort a.in_1 shape=(2,)>"
    assert InPort((2,)).path == "?.unnamed"
    assert create_port_id(7, "a_in") == "7_a_in"


# --- what may be connected ----------------------------------------------------------------

ALLOWED = [
    ("out_1", "connect", "in_1"),
    ("out_1", "connect", "out_1"),
    ("out_1", "connect_from", "out_1"),
    ("in_1", "connect", "in_1"),
    ("in_1", "connect_from", "in_1"),
    ("in_1", "connect_from", "out_1"),
    ("ref_1", "connect", "ref_1"),
    ("ref_1", "connect", "var_1"),
    ("ref_1", "connect_from", "ref_1"),
    ("var_1", "connect", "var_1"),
    ("var_1", "connect_from", "ref_1"),
    ("var_1", "connect_from", "var_1"),
]
PORTS = ("in_1", "out_1", "ref_1", "var_1")
KINDS = {"in_1": "InPort", "out_1": "OutPort", "ref_1": "RefPort", "var_1": "VarPort"}
REFUSED = [
    (own, verb, other)
    for own in PORTS
    for verb in ("connect", "connect_from")
    for other in PORTS
    if (own, verb, other) not in ALLOWED
]


@pytest.mark.parametrize(("own", "verb", "other"), ALLOWED)
def test_allowed_connections_are_known_to_both_ends(a, b, own, verb, other):
    assert getattr(getattr(a, own), verb)(getattr(b, other)) is None
    pair = (f"a.{own}", f"b.{other}")
    assert connections(a, b) == {pair if verb == "connect" else pair[::-1]}


@pytest.mark.parametrize(("own", "verb", "other"), REFUSED)
def test_ports_of_the_wrong_kind_are_refused(a, b, own, verb, other):
    with pytest.raises(PortError) as caught:
        getattr(getattr(a, own), verb)(getattr(b, other))
    assert f"{KINDS[own]} 'a.{own}'.{verb}() takes " in str(caught.value)
    assert f"not {KINDS[other]} 'b.{other}'" in str(caught.value)
    assert not connections(a, b)


@pytest.mark.parametrize("own", PORTS)
@pytest.mark.parametrize("verb", ["connect", "connect_from"])
@pytest.mark.parametrize("other", [3, None, "b.in_1"])
def test_something_that_is_no_port_is_refused(a, own, verb, other):
    with pytest.raises(PortError, match=f"'a.{own}'.{verb}"):
        getattr(getattr(a, own), verb)(other)
    assert not connections(a)


def test_a_var_or_process_is_no_port(a, b):
    with pytest.raises(PortError, match=r"not Var"):
        a.ref_1.connect(b.x)
    with pytest.raises(PortError, match=r"takes InPort or OutPort, not Box '<Box 'b'>'"):
        a.out_1.connect(b)


@pytest.mark.parametrize(("own", "verb", "other"), ALLOWED)
def test_shapes_must_be_equal(a, wide, own, verb, other):
    with pytest.raises(ShapeError) as caught:
        getattr(getattr(a, own), verb)(getattr(wide, other))
    assert f"'a.{own}' of shape (2,) with 'wide.{other}' of shape (3,)" in str(caught.value)
    assert "reshape()" in str(caught.value)
    assert not connections(a, wide)


@pytest.mark.parametrize("first", ["connect", "connect_from"])
@pytest.mark.parametrize("second", ["connect", "connect_from"])
def test_the_same_ports_are_connected_once(a, b, first, second):
    def connect(verb):
        if verb == "connect":
            a.out_1.connect(b.in_1)
        else:
            b.in_1.connect_from(a.out_1)

    connect(first)
    with pytest.raises(DuplicateConnectionError) as caught:
        connect(second)
    assert "'a.out_1'" in str(caught.value)
    assert "'b.in_1'" in str(caught.value)
    assert len(a.out_1.out_connections) == len(b.in_1.in_connections) == 1


def test_a_process_may_be_connected_to_itself(a):
    a.out_1.connect(a.in_1)
    assert connections(a) == {("a.out_1", "a.in_1")}


def test_connections_keep_the_order_in_which_they_were_made(a, b):
    b.in_1.connect_from([a.out_2, b.out_2])
    a.out_1.connect([b.in_1, a.in_1])
    assert b.in_1.in_connections == [a.out_2, b.out_2, a.out_1]
    assert a.out_1.out_connections == [b.in_1, a.in_1]


# --- lists, and what is left after an error -----------------------------------------------


@pytest.mark.parametrize("own", PORTS)
@pytest.mark.parametrize("verb", ["connect", "connect_from"])
def test_an_empty_list_is_refused(a, own, verb):
    with pytest.raises(ArgumentTypeError, match=f"a.{own}.{verb}: an empty list"):
        getattr(getattr(a, own), verb)([])


def test_a_tuple_counts_as_one_port(a, b):
    with pytest.raises(PortError, match="not tuple"):
        a.out_1.connect((b.in_1, b.in_2))


@pytest.mark.parametrize(
    ("second", "error"),
    [
        (lambda b, wide: wide.in_1, ShapeError),
        (lambda b, wide: b.var_1, PortError),
        (lambda b, wide: b.out_1, PortError),
        (lambda b, wide: None, PortError),
        (lambda b, wide: b.in_1, DuplicateConnectionError),
    ],
    ids=["shape", "kind", "mixed kinds", "no port", "twice"],
)
def test_one_bad_port_in_a_list_leaves_nothing_connected(a, b, wide, second, error):
    with pytest.raises(error):
        a.out_1.connect([b.in_1, second(b, wide)])
    with pytest.raises(error):
        a.in_1.connect([b.in_1, second(b, wide)])
    with pytest.raises(error):
        a.in_1.connect_from([b.in_1, second(b, wide)])
    assert not connections(a, b, wide)


def test_ports_of_one_call_are_of_one_kind(a, b):
    with pytest.raises(
        PortError, match=r"'a\.out_1'\.connect\(\): all ports of one call must be of one kind"
    ):
        a.out_1.connect([b.in_1, b.out_1])


def test_the_kind_is_checked_before_the_shape_and_the_shape_before_duplicates(a, b, wide):
    with pytest.raises(PortError):
        a.out_1.connect(wide.var_1)
    a.out_1.connect(b.in_1)
    with pytest.raises(ShapeError):
        a.out_1.connect([b.in_1, wide.in_1])
    assert connections(a, b, wide) == {("a.out_1", "b.in_1")}


def test_connection_configs_are_stored_at_both_ends(a, b):
    one, two = object(), object()
    a.out_1.connect([b.in_1, b.in_2], [one, two])
    assert a.out_1.connection_configs[b.in_1] is b.in_1.connection_configs[a.out_1] is one
    assert a.out_1.connection_configs[b.in_2] is two
    b.out_1.connect([a.in_1, a.in_2], one)
    assert b.out_1.connection_configs[a.in_1] is b.out_1.connection_configs[a.in_2] is one


@pytest.mark.parametrize("verb", ["connect", "connect_from"])
def test_there_must_be_as_many_configs_as_ports(a, b, verb):
    with pytest.raises(ArgumentTypeError, match="1 connection_configs for 2 ports"):
        getattr(a.in_1, verb)([b.in_1, b.in_2], [object()])
    assert not connections(a, b)


# --- references: one destination ----------------------------------------------------------


def test_a_ref_port_has_one_destination(a, b):
    with pytest.raises(PortError, match=r"RefPort 'a\.ref_1' can be connected to one Var only"):
        a.ref_1.connect([b.var_1, b.var_2])
    assert not connections(a, b)
    a.ref_1.connect(b.var_1)
    for connect in (
        lambda: a.ref_1.connect(b.var_2),
        lambda: a.ref_1.connect(b.ref_1),
        lambda: a.ref_1.connect_var(b.x),
        lambda: b.var_2.connect_from(a.ref_1),
        lambda: b.ref_1.connect_from(a.ref_1),
    ):
        with pytest.raises(PortError, match=r"'a\.ref_1'"):
            connect()
    assert connections(a, b) == {("a.ref_1", "b.var_1")}
    assert len(b.var_ports) == 2


def test_a_var_port_leads_to_one_var_port(a, b):
    a.var_1.connect(b.var_1)
    with pytest.raises(PortError, match=r"VarPort 'a\.var_1' can be connected to one Var only"):
        a.var_1.connect(b.var_2)
    with pytest.raises(PortError, match=r"VarPort 'a\.var_2'"):
        a.var_2.connect([b.var_1, b.var_2])
    with pytest.raises(PortError, match=r"'a\.var_1' .*one Var only"):
        b.var_2.connect_from(a.var_1)
    assert connections(a, b) == {("a.var_1", "b.var_1")}


def test_several_references_to_one_var_port(a, b):
    a.ref_1.connect(b.var_1)
    b.var_1.connect_from(a.ref_2)
    assert b.var_1.in_connections == [a.ref_1, a.ref_2]
    with pytest.raises(PortError):
        b.var_1.connect_from([a.ref_1, b.ref_1])
    assert connections(a, b) == {("a.ref_1", "b.var_1"), ("a.ref_2", "b.var_1")}


def test_a_reference_may_reach_a_var_port_of_its_own_process(a):
    a.ref_1.connect(a.var_1)
    assert a.ref_1.get_dst_vars() == [a.x]


def test_references_through_parents_in_any_order(a, b):
    outer, target = Box(name="outer"), Box(name="target")
    a.ref_1.connect(outer.ref_1)
    outer.ref_1.connect(target.var_1)
    outer.ref_2.connect(target.var_1)
    outer.ref_2.connect_from(b.ref_1)
    assert a.ref_1.get_dst_vars() == b.ref_1.get_dst_vars() == [target.x]


@pytest.mark.parametrize("verb", ["virtual", "real"])
def test_a_reference_behind_a_virtual_port_has_one_destination_too(a, b, verb):
    first = a.ref_1.flatten()
    second = a.ref_1.flatten() if verb == "virtual" else a.ref_1
    first.connect(b.var_1)
    with pytest.raises(PortError, match=r"'a\.ref_1' .*one Var only"):
        second.connect(b.var_2)
    assert a.ref_1.get_dst_vars() == [b.x]
    with pytest.raises(PortError, match="one Var only"):
        b.ref_1.flatten().connect([a.var_1, a.var_2])
    assert a.var_1.in_connections == []


# --- implicit VarPorts --------------------------------------------------------------------


def test_connect_var_makes_a_var_port_in_the_other_process(a, b):
    a.ref_1.connect_var(b.x)
    port = b._x_implicit_port
    assert isinstance(port, ImplicitVarPort)
    assert (port.name, port.process, port.var) == ("_x_implicit_port", b, b.x)
    assert b.var_ports._x_implicit_port is port
    assert a.ref_1.get_dst_ports() == [port]
    assert a.ref_1.get_dst_vars() == [b.x]
    assert ("a.ref_1", "b._x_implicit_port") in connections(a, b)


def test_every_reference_to_a_var_has_an_implicit_port_of_its_own(a, b):
    a.ref_1.connect_var(b.x)
    a.ref_2.connect_var(b.x)
    Box(name="c").ref_1.connect_var(b.x)
    names = [p.name for p in b.var_ports if isinstance(p, ImplicitVarPort)]
    assert names == ["_x_implicit_port", "_x_implicit_port_1", "_x_implicit_port_2"]


def test_a_port_for_a_var_without_process_has_none():
    port = RefPort((2,)).create_implicit_var_port(Var((2,), name="loose"))
    assert (port.name, port.process) == ("_loose_implicit_port", None)


@pytest.mark.parametrize("target", [3, [], "both", "port"])
def test_connect_var_takes_one_var(a, b, target):
    given = (
        {"both": [b.x, b.secret], "port": b.var_1}.get(target, target) if isinstance(target, str) else target
    )
    with pytest.raises(ArgumentTypeError, match=r"'a\.ref_1'\.connect_var\(\) takes exactly one Var, not"):
        a.ref_1.connect_var(given)


def test_connect_var_refuses_a_var_of_the_own_process(a):
    with pytest.raises(
        ArgumentTypeError, match=r"'a\.ref_1'\.connect_var\(\): 'a\.x' belongs to the same Process"
    ):
        a.ref_1.connect_var(a.x)


def test_connect_var_refuses_another_shape_and_makes_no_port(a, wide):
    with pytest.raises(ShapeError, match=r"'a\.ref_1' of shape \(2,\) with Var 'wide\.x' of shape \(3,\)"):
        a.ref_1.connect_var(wide.x)
    assert len(wide.var_ports) == 2
    assert not connections(a, wide)


def test_connect_var_refuses_too_many_configs_and_makes_no_port(a, wide):
    with pytest.raises(ArgumentTypeError, match="2 connection_configs for 1 ports"):
        RefPort(shape=wide.x.shape).connect_var(wide.x, connection_configs=[object(), object()])
    assert len(wide.var_ports) == 2
    assert not connections(a, wide)


def test_connect_var_stores_the_config_at_both_ends(a, b):
    config = object()
    a.ref_1.connect_var(b.x, connection_configs=config)
    (port,) = a.ref_1.get_dst_ports()
    assert a.ref_1.connection_configs == {port: config}
    assert port.connection_configs == {a.ref_1: config}


def test_connect_var_refuses_a_var_that_is_not_shareable(a, b):
    with pytest.raises(VarNotSharableError, match="'secret'"):
        a.ref_1.connect_var(b.secret)
    assert len(b.var_ports) == 2
    assert not connections(a, b)


# --- queries ------------------------------------------------------------------------------


def test_ends_are_found_through_parents_depth_first(a, b):
    parent, other = Box(name="parent"), Box(name="other")
    a.out_1.connect(parent.out_1)
    b.out_1.connect(parent.out_1)
    parent.out_1.connect([other.in_1, other.in_2])
    other.in_1.connect([Box(name="deep").in_1, Box(name="deeper").in_2])
    assert [p.path for p in a.out_1.get_dst_ports()] == ["deep.in_1", "deeper.in_2", "other.in_2"]
    assert other.in_2.get_src_ports() == [a.out_1, b.out_1]


def test_unconnected_ports_have_no_ends(a):
    assert a.out_1.get_dst_ports() == a.in_1.get_src_ports() == a.ref_1.get_dst_vars() == []


def test_a_port_reached_over_two_paths_is_listed_twice(a, b):
    a.out_1.connect(b.in_1)
    a.out_1.flatten().connect(b.in_1)
    assert a.out_1.get_dst_ports() == [b.in_1, b.in_1]
    assert b.in_1.get_src_ports() == [a.out_1, a.out_1]


def test_a_virtual_port_that_leads_nowhere_is_no_destination(a, b):
    a.out_1.flatten()
    a.out_1.connect(b.in_1)
    assert a.out_1.get_dst_ports() == [b.in_1]
    assert [p for p, _ in a.out_1.forward_paths()] == [b.in_1]


def test_transforms_are_listed_by_port_id(a, b):
    grid = LIF(shape=(2, 3), name="grid")
    flat = LIF(shape=(6,), name="flat")
    grid.s_out.transpose().flatten().connect(flat.a_in)
    (functions,) = flat.a_in.get_incoming_transform_funcs().values()
    assert list(flat.a_in.get_incoming_transform_funcs()) == [f"{grid.id}_s_out"]
    value = np.arange(6).reshape(2, 3)
    for function in functions:
        value = function(value)
    assert value.tolist() == [0, 3, 1, 4, 2, 5]
    (back,) = grid.s_out.get_outgoing_transform_funcs().values()
    assert list(grid.s_out.get_outgoing_transform_funcs()) == [f"{flat.id}_a_in"]
    for function in back:
        value = function(value)
    assert value.tolist() == [[0, 1, 2], [3, 4, 5]]


def test_direct_connections_have_no_transforms(a, b):
    a.out_1.connect(b.in_1)
    assert b.in_1.get_incoming_transform_funcs() == {}
    assert a.out_1.get_outgoing_transform_funcs() == {f"{b.id}_in_1": []}


@pytest.mark.parametrize("verb", ["connect", "connect_from"])
def test_connections_of_ports_alone_form_no_loop(a, b, verb):
    """A loop without a Process in it has no first or last port, and could not be compiled."""
    with pytest.raises(PortError, match="back to itself"):
        getattr(a.out_1, verb)(a.out_1)
    a.out_1.connect(b.out_1)
    b.out_1.connect(a.out_2)
    with pytest.raises(PortError, match=r"'a\.out_2' and 'a\.out_1' .* pass through a Process"):
        a.out_2.connect(a.out_1) if verb == "connect" else a.out_1.connect_from(a.out_2)
    assert connections(a, b) == {("a.out_1", "b.out_1"), ("b.out_1", "a.out_2")}
    a.out_2.connect(a.in_1)
    assert a.out_1.get_dst_ports() == [a.in_1]
