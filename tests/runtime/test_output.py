"""What models print and log in a worker arrives in the host, with process, time step and worker."""

from __future__ import annotations

import logging

import pytest
import runtime_models as rm
from setups import config, every_local_setup

from lahar.runtime import RunSteps
from lahar.runtime import messages as m
from lahar.runtime.worker_output import Forwarder, show

pytestmark = pytest.mark.usefixtures("pool")


@every_local_setup
def test_everything_arrives_before_the_run_ends(setup, capsys, caplog):
    members = rm.ring(rm.Plain(name="a", script={("SPK", 3): rm.talk}), rm.Plain(name="b"))
    with caplog.at_level(logging.INFO), members[0]:
        members[0].run(RunSteps(5), run_cfg=config(setup))
        worker = members[0].runtime.plan.partition[
            [p.name for p in members[0].runtime.plan.processes].index("a")
        ]
        where = f"[a, step 3, worker {worker}]"
        out, err = capsys.readouterr()
        assert out.splitlines() == [f"{where} one line", f"{where} half a line"]
        assert f"{where} an error" in err.splitlines()
        found = [(r.name, r.levelno, r.getMessage()) for r in caplog.records if r.name != "lahar.compiler"]
        assert ("lahar.models.PyPlainModel", logging.WARNING, f"{where} of the model: 7") in found
        assert ("mine", logging.INFO, f"{where} of a logger of one's own") in found
        assert ("mine", logging.WARNING, f"[worker {worker}] from another thread") in found
        (odd,) = [text for name, _, text in found if name == "py.warnings"]
        assert odd.startswith(where)
        assert "UserWarning: something odd" in odd
        assert "never wanted" not in caplog.text
        (record,) = [r for r in caplog.records if "of the model" in r.getMessage()]
        assert (record.worker, record.lahar_process, record.time_step) == (worker, "a", 3)


def test_levels_that_nobody_wants_do_not_travel(caplog):
    members = rm.ring(rm.Plain(name="a", script={("SPK", 1): rm.talk}))
    with caplog.at_level(logging.ERROR), members[0]:
        members[0].run(RunSteps(1), run_cfg=config("local-1-elastic"))
    assert [r for r in caplog.records if r.name == "mine"] == []


def test_inline_models_print_and_log_as_they_are(capsys):
    members = rm.ring(rm.Plain(name="a", script={("SPK", 2): rm.talk}))
    with members[0], pytest.warns(UserWarning, match="something odd"):
        members[0].run(RunSteps(2), run_cfg=config("inline"))
    assert capsys.readouterr().out.splitlines() == ["one line", "half a line"]


def test_an_unfinished_line_is_kept_until_it_is_flushed():
    sent = []
    forwarder = Forwarder(sent.append)
    from lahar.runtime.worker_output import _Lines

    stream = _Lines(forwarder, "stdout")
    stream.write("a\nb")
    assert [s.text for s in sent] == ["a"]
    stream.write("c\n")
    stream.write("d")
    stream.flush()
    stream.flush()
    assert [s.text for s in sent] == ["a", "bc", "d"]


@pytest.mark.parametrize(
    ("process", "step", "where"),
    [("lif", 4, "[lif, step 4, worker 2]"), ("lif", 0, "[lif, worker 2]"), ("", 0, "[worker 2]")],
)
def test_who_said_it(process, step, where, capsys):
    show(2, m.Log(0, "stdout", "hello", process, step))
    assert capsys.readouterr().out == f"{where} hello\n"
