"""The progress bar: when there is one, and what it shows."""

from __future__ import annotations

import io
import sys
import threading
from types import SimpleNamespace

import pytest
import runtime_models as rm
from setups import config
from support.deadline import until

from lahar.runtime import RunSteps, progress
from lahar.runtime.progress import progress_bar


class Screen(io.StringIO):
    """Standard error that is a terminal or not."""

    def __init__(self, terminal):
        super().__init__()
        self.terminal = terminal

    def isatty(self):
        return self.terminal


@pytest.fixture
def screen(monkeypatch):
    def make(terminal):
        shown = Screen(terminal)
        monkeypatch.setattr(sys, "stderr", shown)
        return shown

    return make


def threads():
    return [t for t in threading.enumerate() if t.name == "lahar-progress"]


@pytest.mark.parametrize(
    ("wanted", "steps", "terminal"),
    [(False, 10, True), (True, None, True), ("auto", None, True), ("auto", 10, False)],
)
def test_no_bar(screen, wanted, steps, terminal):
    shown = screen(terminal)
    with progress_bar(wanted, SimpleNamespace(step=0), steps):
        assert threads() == []
    assert shown.getvalue() == ""


def test_a_bar_that_is_wanted_counts_from_the_beginning_of_the_run(screen):
    shown = screen(False)
    network = SimpleNamespace(step=5)
    with progress_bar(True, network, 20):
        assert len(threads()) == 1
        network.step = 25
    assert threads() == []
    assert "time step" in shown.getvalue()
    assert "20/20" in shown.getvalue()


def test_a_bar_moves_while_the_run_goes_on(screen):
    shown = screen(True)
    network = SimpleNamespace(step=0)
    with progress_bar(True, network, 8):
        network.step = 3
        until(lambda: "3/8" in shown.getvalue())
        network.step = 6
        until(lambda: "6/8" in shown.getvalue())


def test_auto_waits_before_it_draws(screen, monkeypatch):
    shown = screen(True)
    network = SimpleNamespace(step=0)
    with progress_bar("auto", network, 8):
        assert len(threads()) == 1
    assert shown.getvalue() == ""
    monkeypatch.setattr(progress, "_PATIENCE", 0.0)
    with progress_bar("auto", network, 8):
        until(lambda: "0/8" in shown.getvalue())


def test_the_bar_ends_with_an_exception(screen):
    screen(True)
    with pytest.raises(KeyError), progress_bar(True, SimpleNamespace(step=0), 8):
        raise KeyError
    assert threads() == []


@pytest.mark.usefixtures("pool")
@pytest.mark.parametrize("setup", ["inline", "local-2-elastic", "local-2-lockstep"])
def test_a_run_shows_its_steps(screen, setup):
    shown = screen(False)
    ramp, total = rm.pair()
    with ramp:
        ramp.run(RunSteps(30), run_cfg=config(setup, progress=True))
        ramp.run(RunSteps(12))
        assert total.t.get() == 42
    assert "30/30" in shown.getvalue()
    assert "12/12" in shown.getvalue()
    assert threads() == []
