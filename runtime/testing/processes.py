"""Processes of the simulated networks: arithmetic in all phases, and scripts of what goes wrong when.

States are floats whose sums depend on their order, so that any other order shows in the bits.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, RefPort, Var
from lahar.processes.model import (
    CPU,
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    implements,
    requires,
)

SHAPE = (2,)
_MODULUS = 10007


class ScriptedError(Exception):
    """Raised by a model because its script says so."""


class Node(AbstractProcess):
    """One input, one output and a state.

    Parameters
    ----------
    pre, lrn, post : int
        Periods of the guards in time steps; 0: never.
    script : dict of (str, int) to str
        Phase and time step -> ``"fail"``, ``"pause"`` or ``"stop"``.
    """

    def __init__(
        self,
        *,
        pre: int = 0,
        lrn: int = 0,
        post: int = 0,
        script: dict[tuple[str, int], str] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(pre=pre, lrn=lrn, post=post, script=script or {}, **kwargs)
        self.into = InPort(SHAPE)
        self.out = OutPort(SHAPE)
        self.state = Var(SHAPE, 1)
        self.steps = Var((1,), 0)


class Relay(Node):
    """Receives, then sends."""


class Echo(Node):
    """Sends, then receives."""


class Steward(Node):
    """A Relay that takes part in pre-management."""


class Asker(Node):
    """A Relay that may ask for a pause or a stop."""


class Regulator(AbstractProcess):
    """Uses a RefPort: letters r read, w write, q wait, in order, in `phase` of every time step."""

    def __init__(self, *, actions: str = "rw", phase: str = "POST_MGMT", **kwargs: Any) -> None:
        super().__init__(actions=actions, phase=phase, **kwargs)
        self.target = RefPort(SHAPE)
        self.seen = Var(SHAPE, 0)


class Burst(AbstractProcess):
    """Sends `count` messages in every time step, except in those that `rests` divides."""

    def __init__(self, *, count: int, rests: int = 0, **kwargs: Any) -> None:
        super().__init__(count=count, rests=rests, **kwargs)
        self.out = OutPort(SHAPE)
        self.late = OutPort(SHAPE)
        self.number = Var((1,), 0)


class Log(AbstractProcess):
    """Takes one message of `late`, then `count` of `into`, in every time step."""

    def __init__(self, *, count: int, **kwargs: Any) -> None:
        super().__init__(count=count, **kwargs)
        self.late = InPort(SHAPE)
        self.into = InPort(SHAPE)
        self.digest = Var(SHAPE, 0)


class FreeSource(AbstractProcess):
    """Sends a number for each step asked for; looks for commands every `looks` messages (0: never)."""

    def __init__(self, *, looks: int = 1, most: int = 1000, **kwargs: Any) -> None:
        super().__init__(looks=looks, most=most, **kwargs)
        self.out = OutPort(SHAPE)
        self.number = Var((1,), 0)


class FreeRelay(AbstractProcess):
    """Passes messages on, as long as there are any and nobody wants it to end."""

    def __init__(self, *, polls: bool = False, **kwargs: Any) -> None:
        super().__init__(polls=polls, **kwargs)
        self.into = InPort(SHAPE)
        self.out = OutPort(SHAPE)
        self.number = Var((1,), 0)


# --- models -------------------------------------------------------------------------------------


def _model_of(process: type, protocol: type = LoihiProtocol) -> Any:
    def decorate(cls: type) -> type:
        return implements(proc=process, protocol=protocol)(requires(CPU)(cls))

    return decorate


class _NodeModel(PyLoihiProcessModel):
    into: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    state: np.ndarray = LavaPyType(np.ndarray, float)
    steps: np.ndarray = LavaPyType(np.ndarray, float)

    def change(self, value: Any) -> None:
        self.state[:] = np.fmod(value / 3, _MODULUS)

    def follow(self, phase: str) -> None:
        action = self.proc_params["script"].get((phase, self.time_step))
        if action == "fail":
            raise ScriptedError(f"{self.process_name} {phase} {self.time_step}")
        if action:
            self.ask(action)

    def ask(self, action: str) -> None:
        raise NotImplementedError

    def due(self, phase: str) -> bool:
        period = self.proc_params[phase]
        return bool(period) and self.time_step % period == 0

    def lrn_guard(self) -> bool:
        return self.due("lrn")

    def run_lrn(self) -> None:
        self.follow("LRN")
        self.change(3 * self.state - self.time_step)

    def post_guard(self) -> bool:
        return self.due("post")

    def run_post_mgmt(self) -> None:
        self.follow("POST_MGMT")
        self.change(self.state + 7 * self.steps)


class _ReceivesFirst(_NodeModel):
    def run_spk(self) -> None:
        self.steps += 1
        self.follow("SPK")
        self.change(5 * self.state + self.into.recv())
        self.out.send(self.state)


@_model_of(Relay)
class RelayModel(_ReceivesFirst):
    """Receives, then sends."""


@_model_of(Echo)
class EchoModel(_NodeModel):
    """Sends, then receives."""

    min_delay = 1

    def run_spk(self) -> None:
        self.steps += 1
        self.follow("SPK")
        self.out.send(self.state)
        self.change(5 * self.state + self.into.recv())


@_model_of(Steward)
class StewardModel(_ReceivesFirst):
    """Takes part in pre-management."""

    def pre_guard(self) -> bool:
        return self.due("pre")

    def run_pre_mgmt(self) -> None:
        self.follow("PRE_MGMT")
        self.change(self.time_step - self.state)


@_model_of(Asker)
class AskerModel(_ReceivesFirst):
    """May ask for a pause or a stop."""

    asked: list[str]

    def on_build(self) -> None:
        self.asked = []

    def ask(self, action: str) -> None:
        self.asked.append(action)
        if action == "pause":
            self._req_pause = True
        else:
            self._req_stop = True


@_model_of(Regulator)
class RegulatorModel(PyLoihiProcessModel):
    """Reads and writes."""

    target: PyRefPort = LavaPyType(PyRefPort.VEC_DENSE, float)
    seen: np.ndarray = LavaPyType(np.ndarray, float)

    def use(self, phase: str) -> None:
        if phase != self.proc_params["phase"]:
            return
        for letter in self.proc_params["actions"]:
            if letter == "r":
                self.seen[:] = (2 * self.seen + self.target.read()) % _MODULUS
            elif letter == "w":
                self.target.write((self.seen + self.time_step) % _MODULUS)
            else:
                self.target.wait()

    def run_spk(self) -> None:
        self.use("SPK")

    def lrn_guard(self) -> bool:
        return bool(self.proc_params["phase"] in ("LRN", "PRE_MGMT"))

    def run_lrn(self) -> None:
        self.use("LRN")

    def post_guard(self) -> bool:
        return bool(self.proc_params["phase"] == "POST_MGMT")

    def run_post_mgmt(self) -> None:
        self.use("POST_MGMT")


@_model_of(Burst)
class BurstModel(PyLoihiProcessModel):
    """Numbers its messages."""

    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    late: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    number: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self) -> None:
        rests = self.proc_params["rests"]
        if not rests or self.time_step % rests:
            for _ in range(self.proc_params["count"]):
                self.number += 1
                self.out.send(np.repeat(self.number, 2))
        self.late.send(np.repeat(self.number, 2))


@_model_of(Log)
class LogModel(PyLoihiProcessModel):
    """Takes the late message first, so that the channel of the others fills."""

    late: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    into: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    digest: np.ndarray = LavaPyType(np.ndarray, float)

    def run_spk(self) -> None:
        self.digest += self.late.recv()
        for _ in range(self.proc_params["count"]):
            self.digest[:] = (3 * self.digest + self.into.recv()) % _MODULUS


@_model_of(FreeSource, AsyncProtocol)
class FreeSourceModel(PyAsyncProcessModel):
    """Numbers its messages."""

    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    number: np.ndarray = LavaPyType(np.ndarray, float)

    def run_async(self) -> None:
        looks = self.proc_params["looks"]
        for k in range(min(self.num_steps, self.proc_params["most"])):
            self.number += 1
            self.out.send(np.repeat(self.number, 2))
            if looks and k % looks == 0 and (self.check_for_stop_cmd() or self.check_for_pause_cmd()):
                return


@_model_of(FreeRelay, AsyncProtocol)
class FreeRelayModel(PyAsyncProcessModel):
    """Waits in `recv`, or looks with `probe`."""

    into: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    number: np.ndarray = LavaPyType(np.ndarray, float)

    def run_async(self) -> None:
        count = 0
        while count < self.num_steps:
            if self.check_for_stop_cmd() or self.check_for_pause_cmd():
                return
            if self.proc_params["polls"] and not self.into.probe():
                continue
            message = self.into.recv()
            count += 1
            self.number[:] = message[0]
            self.out.send(message)
