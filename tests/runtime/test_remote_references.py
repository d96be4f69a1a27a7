"""RefPorts over worker boundaries: the same values, moments and errors as within one worker."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import runtime_models as rm
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from lahar.processes import Monitor
from lahar.processes.errors import DeadlockError, ModelError, RemoteProtocolError, StateError
from lahar.runtime import Loihi2SimCfg, RunSteps
from lahar.runtime.remote_references import READ, REFUSED, SETTLED, VALUE, WRITE, pack, unpack

pytestmark = pytest.mark.usefixtures("pool")
partitions = pytest.mark.parametrize("parts", [2, 3])


def spread(parts, *processes):
    """Return a configuration that puts the processes into partitions in turn."""
    placement = {p: k % parts for k, p in enumerate(processes)}
    return Loihi2SimCfg(partitions=parts, placement=placement, sync="lockstep", progress=False)


def run(steps, cfg, *processes):
    process = processes[0]
    try:
        process.run(RunSteps(steps), run_cfg=cfg)
    finally:
        if process.runtime is not None:
            process.runtime.stop()


def seen(reader):
    return reader.seen.get()[: int(reader.n.get()[0]), 0].tolist()


def owner_and(parts, *actions, guards="post", var="v", steps=3, **options):
    """Run an Owner with one Reader per action string, all in partitions in turn; return them."""
    owner = rm.Owner(name="owner", guards=guards)
    readers = [rm.Reader(name=f"r{k}", action=a, **options) for k, a in enumerate(actions)]
    for reader in readers:
        reader.ref.connect_var(getattr(owner, var))
    # the first reader is apart from the owner, and so are others from each other
    run(steps, spread(parts, owner, *readers), owner)
    assert owner.runtime.plan.sync == "lockstep"
    return (owner, *readers)


# --- reads ----------------------------------------------------------------------------------------------


@partitions
@pytest.mark.parametrize("reader_first", [True, False])
def test_a_read_sees_the_owner_after_its_own_handler(parts, reader_first):
    """Whoever was created first; -1 % 10 is 9, and is kept by the handler."""
    kinds = [rm.Reader, rm.Owner, rm.Reader] if reader_first else [rm.Owner, rm.Reader, rm.Reader]
    cells = [kind() for kind in kinds]
    owner = next(c for c in cells if isinstance(c, rm.Owner))
    readers = [c for c in cells if c is not owner]
    for reader in readers:
        reader.ref.connect_var(owner.v)
    run(3, spread(parts, *cells), owner)
    assert [seen(reader) for reader in readers] == [[19, 29, 39]] * 2


@partitions
def test_reads_in_pre_management(parts):
    owner, reader, _ = owner_and(parts, "r", "", guards="pre lrn", phase="PRE_MGMT")
    assert seen(reader) == [10, 20, 30]
    assert owner.v.get().tolist() == [30, 30]


@partitions
def test_an_owner_without_a_handler_in_the_phase_can_be_read_at_once(parts):
    _, reader, other = owner_and(parts, "rr", "r", guards="")
    assert seen(reader) == [-1] * 6
    assert seen(other) == [-1] * 3


def test_a_chain_of_reads_over_three_workers_resolves_in_order():
    """a sees what b saw of c in the same phase."""
    cells = [rm.Link(name=name) for name in "abc"]
    for a, b in itertools.pairwise(cells):
        a.ref.connect_var(b.x)
    run(4, spread(3, *cells), cells[0])
    assert [c.x.get().tolist() for c in cells] == [[4 + 2], [4 + 1], [4]]


@partitions
def test_transforms_apply_backward_to_reads_and_forward_to_writes(parts):
    owner = rm.Grid(name="owner")
    reader, writer = rm.Reader(action="r", shape=(3, 2)), rm.Ramper(shape=(3, 2))
    reader.ref.transpose(axes=(1, 0)).connect(owner.door)
    writer.ref.transpose(axes=(1, 0)).connect(owner.door)
    run(1, spread(parts, owner, reader, writer), owner)
    assert reader.seen.get()[0].tolist() == np.arange(6).reshape(2, 3).T.tolist()
    assert owner.v.get().tolist() == np.arange(6).reshape(3, 2).T.tolist()


def test_what_was_read_may_be_changed():
    """It is the reader's own, also where it came in a message."""
    owner, changer = rm.Owner(name="owner", guards=""), rm.Changer(name="changer")
    changer.ref.connect_var(owner.v)
    run(2, spread(2, owner, changer), owner)
    assert changer.seen.get().tolist() == [99, 99]
    assert owner.v.get().tolist() == [-1, -1]


# --- writes ---------------------------------------------------------------------------------------------


@partitions
def test_a_write_without_wait_is_there_after_the_run_and_keeps_the_dtype(parts):
    owner, _, _ = owner_and(parts, "w", "", guards="", value=0.75)
    assert owner.v.get().tolist() == [30, 30]
    assert owner.v.get().dtype == np.int32


@partitions
def test_the_last_of_several_writes_of_one_port_holds_and_a_read_sees_it(parts):
    _, reader, idle = owner_and(parts, "wwr", "", guards="")
    assert seen(reader) == [10, 20, 30]
    assert seen(idle) == []


@partitions
def test_readers_of_a_phase_see_the_value_before_any_write(parts):
    _, first, writer, last = owner_and(parts, "r", "w", "r", guards="")
    assert seen(first) == seen(last) == [-1, 10, 20]
    assert seen(writer) == []


@partitions
@pytest.mark.parametrize("phase", ["POST_MGMT", "SPK", "LRN"])
@pytest.mark.parametrize("turned", [False, True])
def test_of_several_writes_in_a_phase_the_one_of_the_process_created_last_holds(parts, phase, turned):
    owner = rm.Owner(name="owner", guards="")
    writers = [rm.Reader(action="w", phase=phase, value=k) for k in (1, 2, 3)]
    for writer in reversed(writers):
        writer.ref.connect_var(owner.v)
    order = [owner, *(reversed(writers) if turned else writers)]
    run(3, spread(parts, *order), owner)
    assert owner.v.get().tolist() == [33, 33]


@partitions
@pytest.mark.parametrize("phase", ["SPK", "LRN"])
def test_writes_outside_of_management_are_there_in_management_of_the_same_step(parts, phase):
    owner = rm.Owner(name="owner", guards="")
    writer, reader = rm.Reader(action="w", phase=phase, value=4), rm.Reader(action="r")
    for other in (reader, writer):
        other.ref.connect_var(owner.v)
    run(3, spread(parts, owner, writer, reader), owner)
    assert seen(reader) == [14, 24, 34]


@partitions
def test_after_wait_everybody_sees_what_was_written(parts):
    _, writer, other = owner_and(parts, "wqr", "rwqr", guards="", value=1)
    # both write 11, 21, 31; the other reads before its first write is applied
    assert seen(writer) == [11, 21, 31]
    assert seen(other) == [-1, 11, 11, 21, 21, 31]


@partitions
def test_several_rounds_in_one_phase(parts):
    owner, a, b = owner_and(parts, "wqrwqr", "rwqrr", guards="", steps=1, value=1)
    assert seen(a) == [11, 11]
    assert seen(b) == [-1, 11, 11]
    assert owner.v.get().tolist() == [11, 11]


def test_a_monitor_samples_before_writes_and_sees_them_in_the_next_step():
    owner, writer, monitor = rm.Owner(name="owner", guards=""), rm.Reader(action="w"), Monitor()
    writer.ref.connect_var(owner.v)
    monitor.probe(owner.v, 3)
    run(3, spread(2, owner, writer), owner)
    assert monitor.get_data()["owner"]["v"][:, 0].tolist() == [-1, 10, 20]


def test_runs_of_several_lengths_count_on():
    owner, reader = rm.Owner(name="owner", guards=""), rm.Reader(action="wqr", value=1)
    reader.ref.connect_var(owner.v)
    cfg = spread(2, owner, reader)
    for steps in (1, 2):
        owner.run(RunSteps(steps), run_cfg=cfg)
        assert int(reader.n.get()[0]) == (1 if steps == 1 else 3)
        owner.v.set(np.array([7, 7]))
    owner.stop()
    assert seen(reader) == [11, 21, 31]


# --- errors ---------------------------------------------------------------------------------------------


@partitions
@pytest.mark.parametrize("phase", ["SPK", "LRN"])
@pytest.mark.parametrize(("action", "verb"), [("r", "read"), ("q", "wait")])
def test_reading_and_waiting_are_refused_outside_of_management(parts, phase, action, verb):
    pattern = rf"'r0\.ref'\.{verb}\(\) of Var 'owner\.v' in phase {phase}"
    with pytest.raises(ModelError, match=pattern) as caught:
        owner_and(parts, action, "", phase=phase)
    assert caught.value.time_step == 1
    assert isinstance(caught.value.__cause__, StateError)


@partitions
def test_a_text_cannot_be_read_through_a_reference(parts):
    with pytest.raises(ModelError, match=r"'owner\.text' is not numeric") as caught:
        owner_and(parts, "r", "", var="text", shape=(1,))
    assert caught.value.process == "r0"


def test_processes_that_read_each_other_are_named():
    a, b = rm.Peeping(name="a"), rm.Peeping(name="b")
    a.ref.connect_var(b.v)
    b.ref.connect_var(a.v)
    with pytest.raises(DeadlockError, match="refer to each other's Vars in the same phase") as caught:
        run(1, spread(2, a, b), a)
    assert "a.ref waits in read() for b.v" in str(caught.value)
    assert "b.ref waits in read() for a.v" in str(caught.value)
    assert "phase POST_MGMT" in str(caught.value)


def test_a_ring_of_reads_over_three_workers_is_a_deadlock():
    cells = [rm.Link(name=name) for name in "abc"]
    for a, b in zip(cells, [*cells[1:], cells[0]], strict=True):
        a.ref.connect_var(b.x)
    with pytest.raises(DeadlockError, match="refer to each other's Vars in the same phase"):
        run(1, spread(3, *cells), cells[0])


@pytest.mark.parametrize("cfg", [None, 2], ids=["inline", "two workers"])
def test_a_model_that_refuses_a_written_value_fails_the_run_and_the_writer_is_named(cfg):
    owner, writer = rm.NonNegative(name="owner"), rm.Reader(action="w", value=-1000, name="writer")
    writer.ref.connect_var(owner.v)
    where = Loihi2SimCfg(launcher="inline") if cfg is None else spread(2, owner, writer)
    with pytest.raises(ModelError, match="must not be negative") as caught:
        run(3, where, owner)
    assert (caught.value.process, caught.value.phase, caught.value.time_step) == ("writer", "POST_MGMT", 1)


@pytest.mark.parametrize("who", ["owner", "reader"])
def test_a_failure_beside_a_reference_is_the_only_thing_reported(who):
    owner = rm.Scripted(
        name="owner", guards="post", script={("POST_MGMT", 2): rm.fail} if who == "owner" else {}
    )
    reader = rm.Link(name="reader", fail_at=2 if who == "reader" else 0)
    reader.ref.connect_var(owner.x)
    with pytest.raises(ModelError, match=f"{who} fails on purpose") as caught:
        run(9, spread(2, owner, reader), owner)
    assert (caught.value.process, caught.value.time_step) == (who, 2)


# --- the same as within one worker ------------------------------------------------------------------------


@st.composite
def couplings(draw):
    """Owners, readers and writers with random actions, and where each is placed."""
    owners = draw(st.integers(1, 2))
    members = draw(
        st.lists(
            st.tuples(
                st.integers(0, owners - 1),
                st.text("rwq", max_size=5),
                st.sampled_from(["POST_MGMT", "POST_MGMT", "PRE_MGMT", "SPK", "LRN"]),
                st.integers(0, 9),
            ),
            min_size=1,
            max_size=4,
        )
    )
    members = [
        (owner, "w" * actions.count("w") if phase in ("SPK", "LRN") else actions, phase, value)
        for owner, actions, phase, value in members
    ]
    guards = [draw(st.sampled_from(["", "post", "pre lrn", "pre lrn post"])) for _ in range(owners)]
    parts = draw(st.integers(2, 3))
    count = owners + len(members)
    places = draw(st.lists(st.integers(0, parts - 1), min_size=count, max_size=count))
    return guards, members, places


def values_of(coupling, placed):
    guards, members, places = coupling
    owners = [rm.Owner(name=f"o{k}", guards=g) for k, g in enumerate(guards)]
    readers = []
    for k, (owner, action, phase, value) in enumerate(members):
        reader = rm.Reader(name=f"r{k}", action=action, phase=phase, value=value)
        reader.ref.connect_var(owners[owner].v)
        readers.append(reader)
    everybody = [*owners, *readers]
    # connected over a channel too, so that it is one network
    cfg = Loihi2SimCfg(launcher="inline")
    ordered = sorted(set(places))
    hub = rm.Hub(count=len(owners))
    for k, owner in enumerate(owners):
        getattr(hub, f"ref{k}").connect_var(owner.v)
    if placed:
        number = {place: k for k, place in enumerate(ordered)}
        cfg = Loihi2SimCfg(
            partitions=len(ordered),
            placement={hub: 0, **{p: number[w] for p, w in zip(everybody, places, strict=True)}},
            sync="lockstep",
            progress=False,
        )
    run(2, cfg, hub)
    return [
        *(o.v.get().tobytes() for o in owners),
        *(v.get().tobytes() for r in readers for v in (r.seen, r.n)),
        hub.seen.get().tobytes(),
    ]


# a worker that has done its part of a phase must wait for the last round of the others
LATE_ROUND = (["", "pre lrn"], [(1, "wq", "POST_MGMT", 1), (1, "wqw", "PRE_MGMT", 0)], [0, 0, 1, 0])


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@example(LATE_ROUND)
@given(couplings())
def test_random_couplings_give_the_same_bits_wherever_they_are_placed(coupling):
    assert values_of(coupling, placed=True) == values_of(coupling, placed=False)


# --- on the wire --------------------------------------------------------------------------------------------

numbers = st.integers(0, 2**31)


@given(st.sampled_from([READ, SETTLED]), numbers, numbers, numbers, st.integers(-1, 9))
def test_messages_without_a_value_survive_the_way(operation, cluster, reference, phase, round_):
    frames = pack(operation, cluster, reference, phase, round_)
    assert unpack(frames)[:5] == (operation, cluster, reference, phase, round_)


@pytest.mark.parametrize("operation", [VALUE, WRITE])
@pytest.mark.parametrize("dtype", ["?", "i1", "<i4", "<f8", "<c16"])
def test_values_survive_the_way_bit_by_bit(operation, dtype):
    array = np.frombuffer(bytes(range(1, 97)), np.uint8).view(dtype if dtype != "?" else "u1").reshape(-1, 2)
    array = (array > 40) if dtype == "?" else array
    frames = [bytes(f) for f in pack(operation, 3, 4, 5, 0, array)]
    got = unpack(frames)
    assert got[:5] == (operation, 3, 4, 5, 0)
    assert got[5].dtype == array.dtype
    assert got[5].tobytes() == array.tobytes()


def test_a_refusal_carries_its_reason():
    assert unpack(pack(REFUSED, 1, 2, 3, 0, "not numeric"))[5] == "not numeric"


@given(st.lists(st.binary(max_size=60), max_size=3))
def test_random_bytes_are_refused(frames):
    with pytest.raises(RemoteProtocolError, match="not a message of a reference"):
        unpack(frames)
