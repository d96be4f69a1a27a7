"""How long it takes until a program learns that its network has failed.

For each kind of failure, the time from the fault to the exception in the program that runs the network:
median and maximum over many networks. By then the workers have ended and what can still be read was saved.
Other load on the machine makes the figures larger, never smaller.

Usage: python benchmarks/faults.py [--trials N] [--stops N]
"""

from __future__ import annotations

import argparse
import os
import random
import signal
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.errors import DeadlockError, ModelError, WorkerDiedError
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
)
from lahar.runtime import Loihi2SimCfg, RunContinuous, RunSteps, WorkerPool

MS = 1e3
LONGEST_PAUSE = 0.02  # seconds that a network has run at most before a signal hits it


class Member(AbstractProcess):
    """Sends its state and receives that of its neighbour, until something happens to it.

    Parameters
    ----------
    fault : str
        ``silent`` (sends nothing any more), ``raise``, or nothing.
    at : int
        First time step of the fault.
    log : str
        File that receives the moment of the fault.
    """

    def __init__(self, *, fault: str = "", at: int = 0, log: str = "", **kwargs: Any) -> None:
        super().__init__(fault=fault, at=at, log=log, **kwargs)
        self.i = InPort((1,))
        self.o = OutPort((1,))
        self.state = Var((1,), 1)


@implements(proc=Member, protocol=LoihiProtocol)
@requires(CPU)
class PyMemberModel(PyLoihiProcessModel):
    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, int)
    o: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, int)
    state: np.ndarray = LavaPyType(np.ndarray, int)
    min_delay = 1

    def run_spk(self) -> None:
        fault = self.proc_params["fault"]
        faulty = bool(fault) and self.time_step >= self.proc_params["at"]
        if faulty and self.time_step == self.proc_params["at"]:
            Path(self.proc_params["log"]).write_text(str(time.monotonic()))
        if faulty and fault == "raise":
            raise ArithmeticError("on purpose")
        if not faulty:
            self.o.send(self.state)
        self.state[:] = (self.state + self.i.recv()) % 10007


def pair(**fault: Any) -> list[Member]:
    """Return two members of a ring, the first of which meets a fault."""
    first, second = Member(name="first", **fault), Member(name="second")
    first.o.connect(second.i)
    second.o.connect(first.i)
    return [first, second]


def model_fault(fault: str, error: type[Exception], options: dict[str, Any]) -> float:
    """Return the seconds from a fault in a model to its exception."""
    with tempfile.TemporaryDirectory() as folder:
        log = os.path.join(folder, "moment")
        entry, _ = pair(fault=fault, at=random.randint(2, 200), log=log)
        try:
            entry.run(RunSteps(10**9), Loihi2SimCfg(progress=False, **options))
        except error:
            return time.monotonic() - float(Path(log).read_text())
    raise AssertionError("the network has not failed")


def worker_fault(number: signal.Signals, options: dict[str, Any]) -> float:
    """Return the seconds from a signal to a worker until the end of the run is reported."""
    entry, _ = pair()
    entry.run(RunContinuous(), Loihi2SimCfg(progress=False, **options))
    victim = random.choice(list(entry.runtime.worker_pids().values()))
    time.sleep(LONGEST_PAUSE * random.random())
    moment = time.monotonic()
    os.kill(victim, number)
    try:
        entry.wait()
    except WorkerDiedError:
        return time.monotonic() - moment
    raise AssertionError("the network has not failed")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, default=100, help="networks per row")
    parser.add_argument("--stops", type=int, default=20, help="the same for a stopped worker (1 s each)")
    arguments = parser.parse_args()
    print(f"{os.cpu_count()} cores, Python {sys.version.split()[0]}")
    print(f"{'from the fault to the exception (ms)':52s} trials   median      max")
    one = {"partitions": 1}
    two = {sync: {"partitions": 2, "sync": sync} for sync in ("elastic", "lockstep")}
    rows: list[tuple[str, Callable[[], float]]] = [
        ("deadlock, 1 worker", lambda: model_fault("silent", DeadlockError, one))
    ]
    for sync, options in two.items():
        rows += [
            (
                f"deadlock across 2 workers, {sync}",
                lambda options=options: model_fault("silent", DeadlockError, options),  # type: ignore[misc]
            ),
            (
                f"exception in a model, 2 workers, {sync}",
                lambda options=options: model_fault("raise", ModelError, options),  # type: ignore[misc]
            ),
            (
                f"SIGKILL of one of 2 workers, {sync}",
                lambda options=options: worker_fault(signal.SIGKILL, options),  # type: ignore[misc]
            ),
        ]
    rows.append(
        (
            "SIGSTOP of one of 2 workers, elastic",
            lambda: worker_fault(signal.SIGSTOP, two["elastic"]),
        )
    )
    with WorkerPool():
        for name, measure in rows:
            count = arguments.stops if name.startswith("SIGSTOP") else arguments.trials
            times = [MS * measure() for _ in range(count)]
            print(f"{name:52s} {count:6d} {statistics.median(times):8.1f} {max(times):8.1f}", flush=True)


if __name__ == "__main__":
    main()
