"""What simulations have found, as small tests of what was wrong."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lahar import compiler
from lahar.compiler import Loihi2SimCfg
from lahar.processes.errors import WorkerDiedError
from lahar.processes.model import LoihiProtocol, SyncDomain
from lahar.runtime import messages as m
from lahar.runtime import service_protocol as sp
from lahar.runtime.inline import InlineNetwork
from lahar.runtime.scheduler import Scheduler, Strand, Wait
from lahar.runtime.testing import Simulation
from lahar.runtime.testing.networks import COUNT, sample
from lahar.runtime.testing.processes import Echo, EchoModel, FreeRelay, FreeSource, Relay


def numbers(kind, partitions):
    """Return the networks of a kind that are spread over so many workers."""
    found = [k for k in range(COUNT) if sample(k).kind == kind and sample(k).plan.partitions == partitions]
    assert found
    return found


# --- a call that looks at messages on its way is not stuck ------------------------------------------


def test_a_scheduler_whose_call_asks_is_not_stuck():
    """With several strands, one could answer Ask while it ran: the others waited, so a deadlock was seen."""
    scheduler = Scheduler()
    answers = []

    def wait():
        scheduler.block(Wait("a.into", "recv", "b.out"))

    def look():
        answers.append(scheduler.stuck)

    def strand(call):
        calls = iter([[(call, call)]])
        return Strand(lambda: next(calls, None))

    scheduler.run([strand(wait), strand(look)], lambda: answers.append(scheduler.stuck))
    assert answers == [False, True]
    scheduler.abandon()


# --- answers that arrive after the death of their worker --------------------------------------------


def test_an_answer_of_a_worker_that_is_known_to_be_dead_is_ignored():
    """The fork server's news can overtake it; the service failed with a RemoteProtocolError."""
    simulation = Simulation(0, number=numbers("graph", 2)[0], fault="none")
    service, world = simulation.service, simulation.world
    while not service.ready.done():
        world.step()
    asked = simulation.host.get(0)
    worker = simulation.host.owner(0)
    while not service._requests:
        world.step()
    service.hear(["exited", simulation.host.workers[worker].pid, -9])
    assert isinstance(asked.exception(0), WorkerDiedError)
    service._take_message(worker, m.Values(0, [], [], [], ()))  # nothing is raised
    for each in simulation.host.workers:
        each.forget()


# --- sync domains that need each other ----------------------------------------------------------------


def test_inline_a_pause_lets_a_domain_go_on_that_another_one_needs(monkeypatch):
    """The second domain had begun a step for which the first was halted too early: a false deadlock."""
    first, second = Echo(name="first", lrn=1, post=1), Relay(name="second")
    first.out.connect(second.into)
    first.out.connect(first.into)
    domains = [SyncDomain("a", LoihiProtocol(), [first]), SyncDomain("b", LoihiProtocol(), [second])]
    plan = compiler.compile(first, Loihi2SimCfg(custom_sync_domains=domains, launcher="inline"))
    network = InlineNetwork(plan)
    assert not network.open().failed
    ahead = []

    def halt(model):
        if model.time_step == 3:
            steps = network.engine.steps
            ahead.append(steps[1] - steps[0])
            network.halt()

    monkeypatch.setattr(EchoModel, "run_post_mgmt", halt)
    network.start(None, blocking=True)
    outcome = network.join()
    assert outcome is not None
    assert outcome.error is None
    assert ahead == [1]  # else nothing was tested
    assert network.engine.steps == {0: 4, 1: 4}
    network.close()


def halted_run():
    """Return the protocol of two workers, a domain each, in a run that has been halted at (3, 5)."""
    protocol = sp.ServiceProtocol(2, 2, {"a": 0, "b": 1})
    for worker in (0, 1):
        protocol.receive(worker, m.Hello(worker, ""))
    for worker in (0, 1):
        protocol.receive(worker, m.Built())
    protocol.tell(sp.Run(10))
    protocol.tell(sp.HaltRun("pause"))
    protocol.receive(0, m.Holding([[0, 3]]))
    assert protocol.receive(1, m.Holding([[1, 5]])) == [sp.ToAll(m.Grant([3, 5], 0, 1))]
    assert protocol.halting
    return protocol


def judge(protocol, waits, ended):
    """Let both workers say that they are stuck; return what follows."""
    (ask,) = protocol.receive(1, m.Waiting())
    number = ask.message.round
    assert protocol.receive(0, m.Condition(number, 1, [[1, 4]], [[1, 2]], [], ended)) == []
    return protocol.receive(1, m.Condition(number, 1, [[0, 2]], [[0, 4]], waits, []))


WAITS = ["b.into", "recv", "a.out", "SPK", 5, "model.py:1", 0.1, 0]


def test_a_domain_that_is_needed_is_granted_one_step_more():
    protocol = halted_run()
    assert protocol.receive(0, m.Reached([[0, 3]], 0)) == []
    assert judge(protocol, [WAITS], ["a"]) == [sp.ToAll(m.Grant([4, 5], 0, 2))]
    assert judge(protocol, [WAITS], ["a"]) == [sp.ToAll(m.Grant([5, 5], 0, 3))]
    assert protocol.receive(0, m.Reached([[0, 4]], 0)) == []  # sent before it saw the last grant
    assert protocol.receive(1, m.Reached([[1, 5]], 0)) == []
    (ended,) = protocol.receive(0, m.Reached([[0, 5]], 0))
    assert ended.steps == (5, 5)
    assert not protocol.halting


def test_a_domain_gets_no_further_than_the_run_would_have_taken_it():
    protocol = halted_run()
    for step in range(4, 11):
        assert judge(protocol, [WAITS], ["a"]) == [sp.ToAll(m.Grant([step, 5], 0, step - 2))]
    abort, broken = judge(protocol, [WAITS], ["a"])
    assert abort == sp.ToAll(m.Abort(0, 0))
    assert "'a' has ended its run" in broken.deadlock


def test_asynchronous_actors_may_wait_when_a_run_has_been_halted():
    protocol = halted_run()
    assert judge(protocol, [["free.into", "recv", "a.out", "ASYNC", 0, "model.py:1", 0.1, 0]], ["a"]) == []
    assert protocol.halting


def test_an_asynchronous_actor_may_return_by_itself_before_it_is_told_to_rest():
    """The second Reached was taken for an error."""
    protocol = halted_run()
    assert protocol.receive(0, m.Reached([[0, 3]], 1)) == []
    assert protocol.receive(0, m.Reached([[0, 3]], 0)) == []
    (ended,) = protocol.receive(1, m.Reached([[1, 5]], 0))
    assert ended.steps == (3, 5)


# --- Abort at once ------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", numbers("graph", 2)[:4])
def test_a_run_can_be_given_up_before_its_first_phase(number):
    """Abort at once was taken for one that waits for the end of phase 0, which never comes."""
    for seed in range(20):
        simulation = Simulation(seed, number=number, fault="none")
        service, world, host = simulation.service, simulation.world, simulation.host
        while not service.ready.done():
            world.step()
        run = host.begin(None)
        host.tell(sp.Abandon())
        while not run.done():
            world.step()
        assert service.quiet == {0, 1}
        for worker in host.workers:
            worker.forget()


# --- a process that polls in vain -----------------------------------------------------------------------


def test_a_time_step_that_waits_for_a_process_that_polls_in_vain_can_be_given_up():
    """Nobody knew whom the step was waiting for: neither a worker that was silent nor a deadlock."""
    source, relay = FreeSource(name="source", looks=1, most=3), FreeRelay(name="relay", polls=True)
    echo, log = Relay(name="echo"), FreeRelay(name="log")
    source.out.connect(relay.into)
    relay.out.connect(echo.into)
    echo.out.connect(log.into)
    network = InlineNetwork(compiler.compile(source, Loihi2SimCfg(launcher="inline")))
    network.open()
    network.start(9, blocking=False)
    while network.step < 4:
        network.join(0.001)
    network.halt("stop")
    while network.ignoring() != ["relay"]:
        assert network.join(0.001) is None
    network.abandon()
    assert network.join(10).step == 4
    network.close()


# --- whole simulations of the networks in which most was found -----------------------------------------


@given(st.integers(0, 10**9), st.sampled_from(["domains", "free", "piped"]), st.integers(2, 3))
def test_networks_with_several_strands(seed, kind, partitions):
    found = numbers(kind, partitions)
    Simulation(seed, number=found[seed % len(found)]).run()


def test_a_plan_in_one_partition_is_the_same_network():
    plan = sample(numbers("graph", 3)[0]).plan
    whole = sample(numbers("graph", 3)[0]).whole
    assert replace(whole, partition=plan.partition, partitions=3, lookahead=plan.lookahead) == plan
    assert np.all(np.array(whole.partition) == 0)
