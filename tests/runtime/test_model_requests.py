"""What models ask for: pause, stop, and phases of a time step."""

from __future__ import annotations

import pytest
import runtime_models as rm
from ramps import flags
from setups import config, every_setup
from support.phase_probe import PhaseProbe

from lahar.processes.errors import StateError
from lahar.processes.model import Phase
from lahar.runtime import RunContinuous, RunSteps

pytestmark = [
    pytest.mark.usefixtures("pool"),
    pytest.mark.filterwarnings("ignore:sync='elastic' could change results"),
]


def asking(setup, guards, script, *, learner=False):
    """Return two processes in a ring; the first obeys `script`, the second may learn."""
    first = rm.Asking(name="first", guards=guards, script=script)
    second = rm.Asking(name="second", guards="lrn" if learner else "")
    rm.ring(first, second)
    return first, second, config(setup)


PHASES = {"SPK": "", "PRE_MGMT": "pre lrn", "LRN": "lrn", "POST_MGMT": "post"}


@every_setup
@pytest.mark.parametrize("phase", list(PHASES))
def test_a_model_may_pause_in_every_phase(setup, phase):
    first, second, cfg = asking(setup, PHASES[phase], {(phase, 4): rm.ask_pause})
    with first:
        first.run(RunSteps(50), run_cfg=cfg)
        assert flags(first.runtime) == (True, True, False)
        assert first.t.get() == second.t.get() == 4
        assert first.runtime.step == 4
        first.run(RunSteps(3))
        assert first.t.get() == second.t.get() == 7


@every_setup
@pytest.mark.parametrize("phase", list(PHASES))
def test_a_model_may_stop_in_every_phase(setup, phase):
    first, second, cfg = asking(setup, PHASES[phase], {(phase, 4): rm.ask_stop})
    first.run(RunSteps(50), run_cfg=cfg)
    assert flags(first.runtime) == (False, False, False)
    assert first.t.get() == second.t.get() == 4
    with pytest.raises(StateError, match="was stopped by a model"):
        first.run(RunSteps(1))
    first.stop()


@every_setup
def test_a_model_ends_a_continuous_run(setup):
    first, second, cfg = asking(setup, "", {("SPK", 9): rm.ask_pause, ("SPK", 12): rm.ask_stop})
    first.run(RunContinuous(), run_cfg=cfg)
    first.wait()
    assert first.t.get() == second.t.get() == 9
    first.run(RunContinuous())
    first.wait()
    assert first.runtime.is_closed
    assert first.t.get() == second.t.get() == 12


@every_setup
@pytest.mark.parametrize("action", [rm.ask_pause, rm.ask_stop])
def test_a_request_in_the_last_step(setup, action):
    first, second, cfg = asking(setup, "", {("SPK", 4): action})
    first.run(RunSteps(4), run_cfg=cfg)
    assert first.runtime.is_closed == (action is rm.ask_stop)
    assert first.t.get() == second.t.get() == 4
    if action is rm.ask_pause:
        first.run(RunSteps(2))
        assert second.t.get() == 6
    first.stop()


@every_setup
@pytest.mark.parametrize("when", ["build", "on_build"])
def test_a_request_made_while_building_is_served_in_the_first_step(setup, when):
    first, second, cfg = asking(setup, "", {(when, 0): rm.ask_pause})
    with first:
        first.run(RunSteps(5), run_cfg=cfg)
        assert first.t.get() == second.t.get() == 1
        first.run(RunSteps(5))
        assert second.t.get() == 6


@every_setup
def test_a_pause_costs_the_asking_process_its_own_learning_only(setup):
    first, second, cfg = asking(setup, "lrn post", {("SPK", 2): rm.ask_pause})
    with first:
        first.run(RunSteps(5), run_cfg=cfg)
        assert trace(first) == [(1, 1), (3, 1), (4, 1), (1, 2)]
        assert trace(second) == [(1, 1), (1, 2)]


@every_setup
def test_a_pausing_process_takes_part_in_the_learning_of_others(setup):
    first, second, cfg = asking(setup, "lrn", {("SPK", 2): rm.ask_pause}, learner=True)
    with first:
        first.run(RunSteps(5), run_cfg=cfg)
        assert trace(first) == trace(second) == [(1, 1), (3, 1), (1, 2), (3, 2)]


def trace(process):
    return [tuple(row) for row in process.trace.get().tolist() if row[0]]


@every_setup
def test_one_process_asks_for_both(setup):
    """Pause is served; stop stays pending until the next handler of that process has ended."""
    first, second, cfg = asking(setup, "", {("SPK", 3): rm.ask_both})
    first.run(RunSteps(9), run_cfg=cfg)
    assert first.t.get() == second.t.get() == 3
    assert not first.runtime.is_closed
    first.run(RunSteps(9))
    assert first.runtime.is_closed
    assert first.t.get() == second.t.get() == 4


@every_setup
def test_one_process_asks_for_pause_and_another_for_stop(setup):
    """Pause is served; the next run executes no step and stops."""
    first = rm.Asking(name="first", script={("SPK", 3): rm.ask_pause})
    second = rm.Asking(name="second", script={("SPK", 3): rm.ask_stop})
    rm.ring(first, second)
    first.run(RunSteps(9), run_cfg=config(setup))
    assert first.t.get() == second.t.get() == 3
    assert not first.runtime.is_closed
    first.run(RunSteps(9))
    assert first.runtime.is_closed
    assert first.t.get() == second.t.get() == 3


@every_setup
def test_a_request_that_is_withdrawn_changes_nothing(setup):
    first, second, cfg = asking(setup, "lrn", {("SPK", 2): rm.change_mind})
    with first:
        first.run(RunSteps(3), run_cfg=cfg)
        assert first.t.get() == second.t.get() == 3
        assert trace(first) == [(1, 1), (3, 1), (1, 2), (3, 2), (1, 3), (3, 3)]


@pytest.mark.parametrize("step", [1, 7, 30])
def test_a_request_that_the_compiler_could_not_foresee_still_gives_a_consistent_cut(step):
    members = rm.ring(
        rm.Plain(name="p0"), rm.Plain(name="p1", script={("SPK", step): rm.ask_secretly}), rm.Plain(name="p2")
    )
    with members[0]:
        members[0].run(RunSteps(10**6), run_cfg=config("local-2-elastic", partitions=3))
        assert members[0].runtime.plan.sync == "elastic"
        (n,) = {int(m.t.get()[0]) for m in members}
        assert step <= n <= step + 3 * 64
        members[0].run(RunSteps(5))
        assert {int(m.t.get()[0]) for m in members} == {n + 5}


def test_pause_and_stop_that_the_compiler_could_not_foresee():
    """Their workers run ahead of each other, and both come to the step: pause is served, then stop."""
    members = rm.ring(
        rm.Plain(name="p0", script={("SPK", 5): rm.ask_secretly}),
        rm.Plain(name="p1", script={("SPK", 5): rm.ask_secretly_for_stop}),
    )
    with members[0]:
        members[0].run(RunSteps(10**6), run_cfg=config("local-2-elastic"))
        assert members[0].runtime.plan.sync == "elastic"
        assert not members[0].runtime.is_closed
        n = int(members[0].t.get()[0])
        assert n == members[1].t.get() >= 5
        members[0].run(RunSteps(5))
        assert members[0].runtime.closed_because == "was stopped by a model"
        assert members[0].t.get() == members[1].t.get() == n


@every_setup
def test_a_user_pause_and_a_pause_of_a_model_together(setup):
    first, second, cfg = asking(setup, "", {("SPK", 5): rm.ask_pause})
    with first:
        first.run(RunContinuous(), run_cfg=cfg)
        first.pause()
        n = int(first.t.get()[0])
        assert n <= 5
        assert second.t.get() == n
        first.run(RunSteps(10))
        end = 5 if n < 5 else 15
        assert first.t.get() == second.t.get() == end


# --- phases -------------------------------------------------------------------------------------------------


@every_setup
def test_guards_and_phases_across_partitions(setup):
    """Whoever asks brings the phase for all; everybody's own guard decides whether it takes part."""
    probes = [
        PhaseProbe(name="a", pre=2, lrn=0, post=3),
        PhaseProbe(name="b", pre=2, lrn=2, post=0),
        PhaseProbe(name="c", pre=0, lrn=4, post=0),
    ]
    for k, probe in enumerate(probes):
        probe.o.connect(probes[(k + 1) % 3].i)
    with probes[0]:
        probes[0].run(RunSteps(6), run_cfg=config(setup))
        expected = {"a": [], "b": [], "c": []}
        for t in range(1, 7):
            for phases in expected.values():
                phases.append((int(Phase.SPK), t))
            learning = t % 2 == 0
            if learning:
                expected["a"].append((int(Phase.PRE_MGMT), t))
                expected["b"].append((int(Phase.PRE_MGMT), t))
                expected["b"].append((int(Phase.LRN), t))
                if t % 4 == 0:
                    expected["c"].append((int(Phase.LRN), t))
            if t % 3 == 0:
                expected["a"].append((int(Phase.POST_MGMT), t))
        for probe in probes:
            rows = probe.trace.get()[: int(probe.n.get()[0])]
            assert [tuple(r) for r in rows.tolist()] == expected[probe.name]


@every_setup
def test_pre_management_alone_never_happens(setup):
    probe = PhaseProbe(pre=1)
    probe.o.connect(probe.i)
    cfg = config(setup, partitions=1) if setup != "inline" else config(setup)
    with probe:
        probe.run(RunSteps(3), run_cfg=cfg)
        assert probe.n.get() == 3
