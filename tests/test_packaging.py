"""The wheel: holds every module, and runs a network from outside the checkout."""

from __future__ import annotations

import importlib.metadata
import os
import shutil
import subprocess
import sys
import textwrap
import zipfile
from pathlib import Path

import pytest

CHECKOUT = Path(__file__).resolve().parents[1]
FOLDERS = ("processes", "compiler", "runtime")
BUILDER = 77  # first setuptools that reads the licence as pyproject.toml gives it


def run(*command, **kwargs):
    done = subprocess.run(
        [sys.executable, *map(str, command)],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
        **kwargs,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def has_builder():
    try:
        return int(importlib.metadata.version("setuptools").split(".")[0]) >= BUILDER
    except importlib.metadata.PackageNotFoundError:
        return False


@pytest.fixture(scope="module")
def wheel(tmp_path_factory):
    """Build a wheel of a copy, so that nothing is left in the checkout."""
    source, out = tmp_path_factory.mktemp("source"), tmp_path_factory.mktemp("wheel")
    for folder in FOLDERS:
        shutil.copytree(CHECKOUT / folder, source / folder, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(CHECKOUT / name, source / name)
    options = ["--no-build-isolation"] if has_builder() else []
    run("-m", "pip", "wheel", source, "--no-deps", "--quiet", "-w", out, *options, cwd=out)
    (path,) = out.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def target(wheel, tmp_path_factory):
    """Install the wheel, without what it depends on, into a directory of its own."""
    path = tmp_path_factory.mktemp("target")
    run("-m", "pip", "install", wheel, "--no-deps", "--quiet", "--target", path, cwd=path)
    return path


def test_the_wheel_holds_every_module_and_nothing_else(wheel):
    with zipfile.ZipFile(wheel) as archive:
        held = {name for name in archive.namelist() if ".dist-info/" not in name}
    files = [path for folder in FOLDERS for path in (CHECKOUT / folder).rglob("*.py")]
    modules = {f"lahar/{path.relative_to(CHECKOUT).as_posix()}" for path in files}
    assert held == modules | {f"lahar/{folder}/py.typed" for folder in FOLDERS}


def test_lahar_is_a_namespace_package(wheel):
    with zipfile.ZipFile(wheel) as archive:
        assert "lahar/__init__.py" not in archive.namelist()


def test_the_wheel_tells_what_it_needs(wheel):
    with zipfile.ZipFile(wheel) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        metadata = archive.read(name).decode()
    for package in ("numpy", "scipy", "pyzmq", "msgpack", "greenlet", "cloudpickle", "rich"):
        assert f"Requires-Dist: {package}>=" in metadata
    assert "Requires-Python: >=3.10" in metadata
    assert "License-Expression: BSD-3-Clause" in metadata


SCRIPT = """
    import os, sys
    import numpy as np
    import lahar.compiler, lahar.processes, lahar.runtime
    from lahar.processes import AbstractProcess, InPort, SinkRingBuffer, SourceRingBuffer, OutPort, Var
    from lahar.processes.model import (
        LavaPyType, LoihiProtocol, PyInPort, PyLoihiProcessModel, PyOutPort, implements
    )
    from lahar.runtime import Loihi2SimCfg, RunSteps

    class Relay(AbstractProcess):
        def __init__(self):
            super().__init__(name="relay")
            self.i = InPort((2,))
            self.o = OutPort((2,))
            self.path = Var((400,), "")
            self.pid = Var((1,), 0)

    @implements(proc=Relay, protocol=LoihiProtocol)
    class RelayModel(PyLoihiProcessModel):
        i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
        o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
        path: str = LavaPyType(str, str)
        pid: np.ndarray = LavaPyType(np.ndarray, int)
        def run_spk(self):
            import lahar.runtime.worker
            self.path, self.pid[0] = lahar.runtime.worker.__file__, os.getpid()
            self.o.send(2 * self.i.recv())

    source = SourceRingBuffer(data=np.arange(6.0).reshape(2, 3))
    relay = Relay()
    sink = SinkRingBuffer(shape=(2,), buffer=3)
    source.s_out.connect(relay.i)
    relay.o.connect(sink.a_in)
    config = Loihi2SimCfg(select_tag="floating_pt", partitions=2, placement={source: 0, relay: 1})
    source.run(RunSteps(3), config)
    assert source.runtime.plan.partitions == 2
    assert relay.pid.get()[0] != os.getpid()
    source.stop()
    for path in (lahar.processes.__file__, lahar.compiler.__file__, lahar.runtime.__file__, relay.path.get()):
        print(path)
    print(sink.data.get().tolist())
"""


def test_an_installed_wheel_runs_a_network_over_os_processes(target, tmp_path):
    (tmp_path / "script.py").write_text(textwrap.dedent(SCRIPT))
    environment = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LAHAR", "COV_"))}
    environment["PYTHONPATH"] = str(target)
    *paths, data = run("script.py", cwd=tmp_path, env=environment).strip().split("\n")
    assert [Path(path).relative_to(target / "lahar").parts[0] for path in paths] == [*FOLDERS, "runtime"]
    assert data == "[[0.0, 2.0, 4.0], [6.0, 8.0, 10.0]]"
