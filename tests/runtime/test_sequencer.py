"""The order of phases, against the rules of the specification."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lahar.processes.model import Phase
from lahar.runtime.sequencer import Need, Sequencer, Wishes

SPK, PRE, LRN, POST = Phase.SPK, Phase.PRE_MGMT, Phase.LRN, Phase.POST_MGMT


def run(limit, asks):
    """Return the phases that a sequencer runs when `asks` maps (phase, step) to needs."""
    sequencer = Sequencer()
    sequencer.limit = limit
    return continue_run(sequencer, asks), sequencer


def continue_run(sequencer, asks):
    phases = []
    while (phase := sequencer.next()) is not None:
        phases.append((phase, sequencer.step))
        sequencer.add(asks.get((phase, sequencer.step), 0))
    return phases


def test_steps_without_needs_are_spiking_phases_only():
    phases, sequencer = run(3, {})
    assert phases == [(SPK, 1), (SPK, 2), (SPK, 3)]
    assert sequencer.step == 3
    assert sequencer.take_wishes() is Need.NOTHING


def test_no_steps_no_phases():
    assert run(0, {})[0] == []


@pytest.mark.parametrize(
    ("asked", "phases"),
    [
        (Need.PRE, [SPK, PRE]),
        (Need.LRN, [SPK, LRN]),
        (Need.POST, [SPK, POST]),
        (Need.PRE | Need.POST, [SPK, PRE, POST]),
        (Need.LRN | Need.POST, [SPK, LRN, POST]),
        (Need.PRE | Need.LRN | Need.POST, [SPK, PRE, LRN, POST]),
    ],
)
def test_phases_that_are_asked_for_follow_in_the_fixed_order(asked, phases):
    got, _ = run(2, {(SPK, 1): asked})
    assert got == [*((p, 1) for p in phases), (SPK, 2)]


def test_learning_after_pre_management_and_post_after_learning():
    asks = {(SPK, 1): Need.PRE, (PRE, 1): Need.LRN, (LRN, 1): Need.POST}
    assert run(1, asks)[0] == [(SPK, 1), (PRE, 1), (LRN, 1), (POST, 1)]


def test_pause_waits_until_the_phases_of_others_are_done():
    asks = {(SPK, 2): Need.PAUSE | Need.LRN, (LRN, 2): Need.POST}
    phases, sequencer = run(9, asks)
    assert phases == [(SPK, 1), (SPK, 2), (LRN, 2), (POST, 2)]
    assert sequencer.take_wishes() is Need.PAUSE
    assert sequencer.take_wishes() is Need.NOTHING


def test_pause_and_stop_end_the_run_until_they_are_taken():
    phases, sequencer = run(9, {(SPK, 3): Need.PAUSE | Need.STOP})
    assert phases[-1] == (SPK, 3)
    assert sequencer.next() is None
    assert sequencer.take_wishes() == Need.PAUSE | Need.STOP
    assert continue_run(sequencer, {})[0] == (SPK, 4)


@pytest.mark.parametrize(
    "asked", [[Need.PAUSE, Need.STOP], [Need.STOP, Need.PAUSE], [Need.PAUSE | Need.STOP, Need.STOP]]
)
def test_pause_is_served_before_stop(asked):
    wishes = Wishes()
    for wish in asked:
        wishes.add(wish)
    assert wishes.next is Need.PAUSE
    assert [wishes.serve() for _ in range(3)] == [Need.PAUSE, Need.STOP, Need.NOTHING]


def test_a_lower_limit_ends_the_run_after_the_phases_of_the_step():
    sequencer = Sequencer()
    sequencer.limit = 100
    assert sequencer.next() is SPK
    sequencer.limit = 0
    sequencer.add(Need.LRN)
    assert sequencer.next() is LRN
    assert sequencer.next() is None
    assert sequencer.step == 1


NEEDS = {
    SPK: st.sampled_from([0, Need.PRE, Need.LRN, Need.POST, Need.PRE | Need.POST, Need.PAUSE, Need.STOP]),
    PRE: st.sampled_from([Need.LRN, Need.LRN | Need.PAUSE, Need.LRN | Need.STOP, Need.PAUSE | Need.STOP]),
    LRN: st.sampled_from([0, Need.POST, Need.PAUSE, Need.POST | Need.STOP]),
    POST: st.sampled_from([0, Need.PAUSE, Need.STOP]),
}


def expected_run(step, steps, flags, ask):
    """The loop of the specification: sticky flags, served in a fixed order; returns events and flags."""
    events = []
    done = 0
    while True:
        wanted = [pair for pair in ((Need.PRE, PRE), (Need.LRN, LRN), (Need.POST, POST)) if flags & pair[0]]
        if wanted:
            need, phase = wanted[0]
            flags &= ~need
        else:
            if flags & Need.PAUSE:
                return [*events, "pause"], flags & ~Need.PAUSE, step
            if flags & Need.STOP:
                return [*events, "stop"], flags & ~Need.STOP, step
            if done == steps:
                return [*events, "done"], flags, step
            done += 1
            step += 1
            phase = SPK
        events.append((phase, step))
        flags |= ask(phase)


@given(st.data(), st.lists(st.integers(0, 5), min_size=1, max_size=4))
def test_runs_follow_the_rules_of_the_specification(data, lengths):
    answers: list[int] = []

    def ask(phase):
        answers.append(int(data.draw(NEEDS[phase])))
        return answers[-1]

    sequencer, wishes = Sequencer(), Wishes()
    flags, step = 0, 0
    for length in lengths:
        answers.clear()
        expected, flags, step = expected_run(step, length, flags, ask)
        recorded = iter(answers)
        got = []
        wish = wishes.serve()  # open when the run begins
        if not wish:
            sequencer.limit = sequencer.step + length
            while (phase := sequencer.next()) is not None:
                got.append((phase, sequencer.step))
                sequencer.add(next(recorded))
            wishes.add(sequencer.take_wishes())
            wish = wishes.serve()
        got.append({Need.PAUSE: "pause", Need.STOP: "stop", Need.NOTHING: "done"}[wish])
        assert got == expected
        assert sequencer.step == step
