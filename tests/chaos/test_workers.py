"""Real signals and real exceptions at random moments, in random small networks over real worker processes.

Every round checks that the failure is reported in time (G7) and says where, that nothing is left behind
(G8), and that the next network in the same interpreter works. A round is repeated by its seed, up to the
moment at which the operating system lets each process run: ``CHAOS_SEED=17 pytest tests/chaos -k 17``.
"""

from __future__ import annotations

import os
import random
import re
import signal
import tempfile
import threading
import time
from contextlib import nullcontext, suppress
from pathlib import Path

import psutil
import pytest
from support.deadline import runs, wait_until_gone
from support.endangered import random_blow, random_network, state_of
from support.fragile import EXIT_STATUS
from support.traces import traces

from lahar.processes.errors import LaharError, ModelError, WorkerDiedError
from lahar.runtime import RunContinuous, RunSteps, WorkerPool

pytestmark = pytest.mark.filterwarnings("ignore:sync='elastic' could change results")
PROMPT = 2.0  # seconds within which a failure must be reported
STOPPED = 2.5  # the same for a worker that was stopped and not continued
HANGS = 60
ENDLESS = 10**9
PLACE = r"It was last in time step \d+(, phase (SPK|PRE_MGMT|LRN|POST_MGMT))?\. "


@pytest.fixture(autouse=True)
def _alarm():
    def ring(*_):
        raise TimeoutError(f"the round has not ended within {HANGS} s")

    before = signal.signal(signal.SIGALRM, ring)
    signal.alarm(HANGS)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture
def temp(monkeypatch):
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as path:
        monkeypatch.setattr(tempfile, "tempdir", path)
        yield Path(path)


class Round:
    """A random network and the ways in which it is used; leaves nothing behind, which it checks."""

    def __init__(self, seed, temp):
        self.rng = random.Random(seed)
        self.network = random_network(self.rng)
        self.log = ""
        self.members = []
        self.use = self.rng.choice([self.run_blocking, self.run_often, self.run_and_wait, self.pause_often])
        self.step = self.rng.choice([1, 2, 3, 5, 10, 30, 100])
        self.delay = self.rng.choice([0, 0, self.rng.random() * 0.02])
        self._temp = temp
        self._pool = WorkerPool() if self.rng.random() < 0.6 else nullcontext()

    def __str__(self):
        return f"{self.network}, {self.use.__name__}, step {self.step}, delay {self.delay:.4f}"

    def __enter__(self):
        self._before = traces(self._temp)
        self._pool.__enter__()
        return self

    def __exit__(self, kind, *rest):
        if kind is None:
            self.check_next_network()
        self._pool.__exit__(kind, *rest)
        if kind is None:
            assert traces(self._temp) == self._before, self

    def build(self, blows=()):
        self.log = str(self._temp.parent / f"{self._temp.name}.log")
        self.members = self.network.build(blows, self.log)
        self._options = self.network.options(self.members)

    @property
    def top(self):
        return self.members[0]

    def start(self, condition):
        self.top.run(condition, *self._options)

    # --- ways to use a network until it fails ---------------------------------------------------

    def run_blocking(self):
        self.start(RunSteps(ENDLESS))

    def run_often(self):
        while True:
            self.start(RunSteps(7))
            self.top.state.set(self.members[-1].state.get())

    def run_and_wait(self):
        self.start(RunContinuous())
        self.top.wait()

    def pause_often(self):
        while True:
            self.start(RunContinuous())
            self.top.pause()

    # --- attacks ----------------------------------------------------------------------------------

    def attack(self, strike):
        """Call `strike(runtime)` from another thread once the network has reached a random moment."""

        def body():
            while self.top.runtime is None or self.top.runtime._network.step < self.step:
                time.sleep(0.0005)
            time.sleep(self.delay)
            strike(self.top.runtime)

        thread = threading.Thread(target=body, name="attacker", daemon=True)
        thread.start()
        return thread

    # --- checks -----------------------------------------------------------------------------------

    def fail(self, kind):
        """Use the network until it fails; return the exception and when it came."""
        try:
            self.use()
        except kind as error:
            when = time.monotonic()
            self.after_failure()
            return error, when
        raise AssertionError(f"no failure: {self}")

    def after_failure(self):
        runtime = self.top.runtime
        if runtime is not None:
            with suppress(LaharError):
                self.top.stop()  # a call for a Var may have been the first to see it
            assert runtime.is_closed
            wait_until_gone(runtime.worker_pids().values())

    def check_next_network(self):
        self.build()
        self.start(RunSteps(12))
        self.top.stop()
        assert state_of(self.members) == self.network.expected(12), self

    def check_death(self, error, hows, pids=None):
        """The message must name worker, pid, processes, how it ended, and where it was."""
        text = str(error)
        found = re.match(r"Worker (\d+) \(pid (\d+), processes ([^)]*)\) (.*?)\. It was last in ", text)
        assert found, (text, str(self))
        worker, pid = int(found[1]), int(found[2])
        assert sorted(found[3].split(", ")) == self.network.names_on(worker), (text, str(self))
        assert found[4] in hows, (text, str(self))
        assert re.search(PLACE, text), text
        if pids is not None:
            assert pids[worker] == pid
        return worker

    def blows_fell_at(self):
        return [float(line) for line in Path(self.log).read_text().split()]


def describe(number):
    return f"was killed by signal {number:d} ({number.name})"


# --- from outside -----------------------------------------------------------------------------------


class Attacker:
    """Kills, stops or interrupts a random worker, and notes when."""

    def __init__(self, round_, number):
        self.victim = round_.rng.randrange(round_.network.partitions)
        self.number = number
        self.pids = {}
        self.when = 0.0

    def __call__(self, runtime):
        self.pids = runtime.worker_pids()
        self.when = time.monotonic()
        os.kill(self.pids[self.victim], self.number)


@pytest.mark.rounds(5)
def test_a_worker_killed_by_a_signal(seed, temp):
    with Round(f"signal{seed}", temp) as round_:
        number = round_.rng.choice(
            [signal.SIGKILL, signal.SIGKILL, signal.SIGSEGV, signal.SIGABRT, signal.SIGTERM]
        )
        attacker = Attacker(round_, number)
        round_.build()
        thread = round_.attack(attacker)
        error, when = round_.fail(WorkerDiedError)
        thread.join()
        assert when - attacker.when < PROMPT, round_
        assert round_.check_death(error, {describe(number)}, attacker.pids) == attacker.victim


@pytest.mark.rounds(1)
def test_a_worker_stopped_for_ever(seed, temp):
    with Round(f"stop{seed}", temp) as round_:
        attacker = Attacker(round_, signal.SIGSTOP)
        round_.build()
        thread = round_.attack(attacker)
        error, when = round_.fail(WorkerDiedError)
        thread.join()
        assert when - attacker.when < STOPPED, round_
        hows = {"was stopped by signal 19 (SIGSTOP) and did not go on within 1 s"}
        assert round_.check_death(error, hows, attacker.pids) == attacker.victim


@pytest.mark.rounds(2)
def test_a_worker_stopped_for_a_while_changes_nothing(seed, temp):
    with Round(f"continue{seed}", temp) as round_:
        attacker = Attacker(round_, signal.SIGSTOP)
        pause, steps = round_.rng.random() * 0.4, 3 * round_.step + 50

        def strike(runtime):
            attacker(runtime)
            time.sleep(pause)
            os.kill(attacker.pids[attacker.victim], signal.SIGCONT)

        round_.build()
        thread = round_.attack(strike)
        round_.start(RunSteps(steps, blocking=round_.rng.random() < 0.5))
        thread.join()
        round_.top.wait()
        round_.top.stop()
        assert state_of(round_.members) == round_.network.expected(steps), round_


@pytest.mark.rounds(1)
def test_the_fork_server_killed(seed, temp):
    with Round(f"server{seed}", temp) as round_:
        struck = {}

        def strike(runtime):
            launcher = runtime._network._launcher
            struck.update(pid=launcher.pid, when=time.monotonic(), directory=launcher.directory)
            os.kill(launcher.pid, signal.SIGKILL)

        round_.build()
        thread = round_.attack(strike)
        error, when = round_.fail(WorkerDiedError)
        thread.join()
        assert when - struck["when"] < PROMPT, round_
        assert f"fork server (pid {struck['pid']})" in str(error) or round_.check_death(
            error,
            {describe(signal.SIGKILL)},  # the kernel may end a worker before its end is noticed
        ) in range(round_.network.partitions)
        assert not os.path.exists(struck["directory"])


@pytest.mark.rounds(2)
def test_a_process_killed_while_the_network_is_built(seed, temp):
    with Round(f"build{seed}", temp) as round_:
        victims = {"when": 0.0, "pid": 0}
        known = {p.pid for p in psutil.Process().children(recursive=True)}
        fresh = round_.rng.randint(1, 1 + round_.network.partitions)

        def body():
            while True:
                born = [p.pid for p in psutil.Process().children(recursive=True) if p.pid not in known]
                if len(born) >= fresh:
                    break
                time.sleep(0.0005)
            time.sleep(round_.delay)
            victims.update(when=time.monotonic(), pid=round_.rng.choice(born))
            os.kill(victims["pid"], signal.SIGKILL)

        round_.build()
        thread = threading.Thread(target=body, name="attacker", daemon=True)
        thread.start()
        error, when = round_.fail(WorkerDiedError)
        thread.join()
        assert when - victims["when"] < PROMPT, round_
        assert f"(pid {victims['pid']}" in str(error) or "fork server" in str(error), (
            str(error),
            str(round_),
        )
        assert not runs(victims["pid"])


# --- from inside ------------------------------------------------------------------------------------


@pytest.mark.rounds(4)
def test_models_that_raise(seed, temp):
    with Round(f"raise{seed}", temp) as round_:
        count = round_.rng.choice([1, 1, 2, 3])
        blows = [random_blow(round_.rng, round_.network, "raise", round_.step) for _ in range(count)]
        round_.build(blows)
        error, when = round_.fail(ModelError)
        assert when - min(round_.blows_fell_at()) < PROMPT, round_
        told = {(e.process, e.phase) for e in (error, *error.others)}
        assert told <= {(f"m{b.member}", b.phase) for b in blows}, round_
        for each in (error, *error.others):
            assert isinstance(each.__cause__, ArithmeticError)
            assert f"{each.process} comes to grief" in str(error)
            number = next(b.number for b in blows if (f"m{b.member}", b.phase) == (each.process, each.phase))
            assert each.time_step == (0 if each.phase == "ASYNC" else number), round_


@pytest.mark.rounds(3)
def test_models_that_end_their_os_process(seed, temp):
    with Round(f"end{seed}", temp) as round_:
        kind = round_.rng.choice(["exit", "SIGSEGV", "SIGKILL", "SIGABRT"])
        blow = random_blow(round_.rng, round_.network, kind, round_.step)
        how = f"ended with exit status {EXIT_STATUS}" if kind == "exit" else describe(signal.Signals[kind])
        round_.build([blow])
        error, when = round_.fail(WorkerDiedError)
        assert when - min(round_.blows_fell_at()) < PROMPT, round_
        assert round_.check_death(error, {how}) == round_.network.placement[blow.member]


@pytest.mark.rounds(1)
def test_a_model_that_stops_its_os_process(seed, temp):
    with Round(f"self{seed}", temp) as round_:
        blow = random_blow(round_.rng, round_.network, "SIGSTOP", round_.step)
        round_.build([blow])
        error, when = round_.fail(WorkerDiedError)
        assert when - min(round_.blows_fell_at()) < STOPPED, round_
        hows = {"was stopped by signal 19 (SIGSTOP) and did not go on within 1 s"}
        assert round_.check_death(error, hows) == round_.network.placement[blow.member]


@pytest.mark.rounds(1)
def test_a_model_that_exhausts_its_memory(seed, temp):
    with Round(f"memory{seed}", temp) as round_:
        blow = random_blow(round_.rng, round_.network, "memory", round_.step)
        round_.build([blow])
        error, when = round_.fail((ModelError, WorkerDiedError))
        assert when - min(round_.blows_fell_at()) < PROMPT, round_
        if isinstance(error, ModelError):
            assert error.process == f"m{blow.member}"
            assert "MemoryError" in str(error)
        else:
            # with no memory left to describe the exception, or killed by a library that found none
            hows = {"ended with exit status 70", describe(signal.SIGABRT), describe(signal.SIGSEGV)}
            assert round_.check_death(error, hows) == round_.network.placement[blow.member]
