"""The fork server, as the host sees it, and the pool that keeps fork servers warm."""

from __future__ import annotations

import os
import signal
import stat
import tempfile
import threading

import psutil
import pytest
import runtime_models as rm
from setups import config
from support.deadline import runs, until, wait_until_gone

from lahar.processes.errors import UnpicklableError, WorkerDiedError
from lahar.runtime import RunSteps, WorkerPool
from lahar.runtime import launcher as launcher_module
from lahar.runtime.launcher import Launcher
from lahar.runtime.status import Status


@pytest.fixture
def launcher():
    launcher = Launcher()
    yield launcher
    launcher.close()


class Listener:
    """Collects what a fork server says."""

    def __init__(self, launcher):
        self.said = []
        self.end = None
        self._launcher = launcher
        self._thread = threading.Thread(target=self._listen, daemon=True)
        self._thread.start()

    def _listen(self):
        try:
            for messages in self._launcher.listen():
                self.said += messages
        except WorkerDiedError as error:
            self.end = error

    def wait_for(self, kind):
        return until(lambda: next((x for x in self.said if x[0] == kind), None), what=f"'{kind}'")

    def join(self):
        self._thread.join(10)
        assert not self._thread.is_alive()


def spawn(launcher):
    """Start a worker that waits for a host that never comes."""
    directory = launcher.new_directory()
    status = Status(4)
    status.share(f"{directory}/status")
    launcher.spawn(3, f"ipc://{directory}/control", f"ipc://{directory}/worker", b"12345678", status.path)
    status.close()
    return directory


def test_workers_are_forked_and_their_end_is_told(launcher):
    listener = Listener(launcher)
    directory = spawn(launcher)
    listener.wait_for("ready")
    _, number, pid = listener.wait_for("spawned")
    assert number == 3
    assert psutil.Process(pid).ppid() == launcher.pid
    until(lambda: os.path.exists(f"{directory}/worker"))
    launcher.kill(pid)
    assert listener.wait_for("exited") == ["exited", pid, -signal.SIGKILL]
    launcher.release()
    listener.join()
    assert listener.end is None


def test_only_own_workers_are_killed(launcher):
    listener = Listener(launcher)
    launcher.kill(os.getppid())
    spawn(launcher)
    _, _, pid = listener.wait_for("spawned")
    assert runs(os.getppid())
    launcher.kill(pid)
    listener.wait_for("exited")


def test_the_directory_is_private_and_goes_with_the_launcher():
    launcher = Launcher()
    assert os.path.dirname(launcher.directory) == tempfile.gettempdir()
    for directory in (launcher.directory, launcher.new_directory(), launcher.new_directory()):
        assert stat.S_IMODE(os.stat(directory).st_mode) == 0o700
    assert sorted(os.listdir(launcher.directory)) == ["1", "2"]
    assert launcher.alive
    launcher.close()
    assert not launcher.alive
    assert not os.path.exists(launcher.directory)
    assert not runs(launcher.pid)


def test_a_long_temp_directory_is_not_used_for_sockets(monkeypatch, tmp_path):
    long = tmp_path / ("x" * 90)
    long.mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(long))
    launcher = Launcher()
    try:
        assert os.path.dirname(launcher.directory) == "/tmp"
    finally:
        launcher.close()
    assert os.listdir(long) == []


def test_a_temp_directory_that_cannot_be_written_leaves_no_process(monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    monkeypatch.setattr(launcher_module, "_LONGEST", 1000)
    before = psutil.Process().children()
    with pytest.raises(FileNotFoundError):
        Launcher()
    assert psutil.Process().children() == before


def test_closing_ends_workers_too():
    launcher = Launcher()
    listener = Listener(launcher)
    spawn(launcher)
    _, _, pid = listener.wait_for("spawned")
    launcher.release()
    listener.join()
    launcher.close()
    assert not runs(pid)
    assert not os.path.exists(launcher.directory)


def test_the_end_of_the_fork_server_is_noticed():
    launcher = Launcher()
    listener = Listener(launcher)
    spawn(launcher)
    _, _, pid = listener.wait_for("spawned")
    os.kill(launcher.pid, signal.SIGKILL)
    listener.join()
    assert f"fork server (pid {launcher.pid}) ended with status -9" in str(listener.end)
    wait_until_gone([pid])
    with pytest.raises(WorkerDiedError, match="no worker can be started"):
        launcher.spawn(0, "ipc://a", "ipc://b", b"12345678", "status")
    launcher.close()
    assert not os.path.exists(launcher.directory)


def test_numerical_libraries_of_workers_use_one_core(launcher):
    Listener(launcher).wait_for("ready")
    environment = psutil.Process(launcher.pid).environ()
    assert environment["OMP_NUM_THREADS"] == os.environ.get("OMP_NUM_THREADS", "1")
    assert environment["OPENBLAS_NUM_THREADS"] == os.environ.get("OPENBLAS_NUM_THREADS", "1")


# --- the pool ---------------------------------------------------------------------------------------------


def run_once(**changes):
    """Run a small network over two workers; return the pids of fork server and workers."""
    ramp, total = rm.pair()
    ramp.run(RunSteps(3), run_cfg=config("local-2-elastic", **changes))
    pids = (ramp.runtime._network._launcher.pid, *ramp.runtime.worker_pids().values())
    ramp.stop()
    assert total.total.get().tolist() == [6, 6]
    return pids


@pytest.mark.usefixtures("no_pool")
def test_without_a_pool_nothing_outlives_a_network():
    pids = run_once()
    assert run_once()[0] != pids[0]
    assert not any(map(runs, pids))


@pytest.mark.usefixtures("no_pool")
def test_inside_a_pool_the_fork_server_is_used_again_and_workers_are_new():
    with WorkerPool() as pool:
        first, second = run_once(), run_once()
        assert first[0] == second[0]
        assert not set(first[1:]) & set(second[1:])
        assert not any(runs(pid) for pid in (*first[1:], *second[1:]))
        assert runs(first[0])
        assert len(pool._idle) == 1
    assert not runs(first[0])
    assert run_once()[0] != first[0]


@pytest.mark.usefixtures("no_pool")
def test_a_pool_can_be_warmed_up():
    with WorkerPool() as pool:
        pool.warm_up()
        (idle,) = pool._idle
        assert run_once()[0] == idle.pid


@pytest.mark.usefixtures("no_pool")
def test_networks_at_the_same_time_have_fork_servers_of_their_own():
    with WorkerPool() as pool:
        networks = [rm.pair()[0] for _ in range(2)]
        for ramp in networks:
            ramp.run(RunSteps(1), run_cfg=config("local-2-elastic"))
        pids = {ramp.runtime._network._launcher.pid for ramp in networks}
        assert len(pids) == 2
        for ramp in networks:
            ramp.stop()
        assert {launcher.pid for launcher in pool._idle} == pids


@pytest.mark.usefixtures("no_pool")
def test_pools_nest():
    with WorkerPool() as outer:
        first = run_once()[0]
        with WorkerPool() as inner:
            second = run_once()[0]
            assert second != first
            assert len(inner._idle) == 1
        assert not runs(second)
        assert run_once()[0] == first
        assert len(outer._idle) == 1


@pytest.mark.usefixtures("no_pool")
def test_a_network_may_outlive_its_pool():
    with WorkerPool():
        ramp, total = rm.pair()
        ramp.run(RunSteps(1), run_cfg=config("local-2-elastic"))
        pid = ramp.runtime._network._launcher.pid
    ramp.run(RunSteps(1))
    ramp.stop()
    assert total.t.get() == 2
    assert not runs(pid)


@pytest.mark.usefixtures("no_pool")
def test_a_fork_server_that_comes_back_too_late_is_closed(monkeypatch):
    """Another thread has found the pool active before it was left."""
    with WorkerPool() as pool:
        launcher = WorkerPool.take()
    monkeypatch.setattr(WorkerPool, "_active", pool)
    WorkerPool.give_back(launcher, healthy=True)
    assert not launcher.alive
    assert not os.path.exists(launcher.directory)


@pytest.mark.usefixtures("no_pool")
def test_a_fork_server_that_died_in_the_pool_is_not_used():
    with WorkerPool() as pool:
        dead = run_once()[0]
        directory = pool._idle[0].directory
        os.kill(dead, signal.SIGKILL)
        until(lambda: not pool._idle[0].alive)
        assert run_once()[0] != dead
        assert not os.path.exists(directory)


@pytest.mark.usefixtures("no_pool")
def test_what_cannot_be_sent_to_a_worker_is_named_and_leaves_nothing():
    before = set(psutil.Process().children())
    ramp, _ = rm.pair(extra=threading.Lock())
    with pytest.raises(
        UnpicklableError, match=r"Process 'ramp' \(Ramp\): argument 'extra' of type lock"
    ) as caught:
        ramp.run(RunSteps(1), run_cfg=config("local-2-elastic"))
    assert "launcher='inline'" in str(caught.value)
    assert set(psutil.Process().children()) == before
    ramp.run(RunSteps(1), run_cfg=config("inline"))
    ramp.stop()
