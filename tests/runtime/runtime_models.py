"""Processes of the runtime tests, in a module of their own so that workers can import them."""

from __future__ import annotations

import os
import signal
import threading
import time
import weakref

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, RefPort, Var, VarPort
from lahar.processes.model import (
    CPU,
    AsyncProtocol,
    LavaPyType,
    LoihiProtocol,
    Phase,
    PyAsyncProcessModel,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    PyRefPort,
    PyVarPort,
    implements,
    requires,
)


def model_of(process):
    """Decorate a ProcessModel of `process` for the Loihi protocol on a CPU."""

    def decorate(cls):
        return implements(proc=process, protocol=LoihiProtocol)(requires(CPU)(cls))

    return decorate


def free_model_of(process):
    """Decorate an asynchronous ProcessModel of `process` on a CPU."""

    def decorate(cls):
        return implements(proc=process, protocol=AsyncProtocol)(requires(CPU)(cls))

    return decorate


# --- a feed-forward pair ------------------------------------------------------------------------


class Ramp(AbstractProcess):
    """Sends `gain` * time step."""

    def __init__(self, *, shape=(2,), gain=1, **kwargs):
        super().__init__(shape=shape, **kwargs)
        self.out = OutPort(shape)
        self.t = Var((1,), 0)
        self.gain = Var((1,), gain)


@model_of(Ramp)
class PyRampModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    gain = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        self.out.send(np.full(self.out.shape, self.gain[0] * self.time_step))


class Total(AbstractProcess):
    """Adds up what it receives."""

    def __init__(self, *, shape=(2,), **kwargs):
        super().__init__(shape=shape, **kwargs)
        self.into = InPort(shape)
        self.t = Var((1,), 0)
        self.total = Var(shape, 0)


@model_of(Total)
class PyTotalModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    total = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        self.total += self.into.recv()


def pair(**kwargs):
    """Return a connected Ramp and Total."""
    ramp, total = Ramp(name="ramp", **kwargs), Total(name="total")
    ramp.out.connect(total.into)
    return ramp, total


# --- processes that do what a script says ---------------------------------------------------------


class Scripted(AbstractProcess):
    """Member of a ring that obeys a script.

    Parameters
    ----------
    script : dict of (str, int) to callable
        Phase name and time step -> function of the model, called in the handler (or in the guard, for
        names such as ``"lrn_guard"``; in the constructor for ``("build", 0)``).
    guards : str
        Which of the phases ``pre``, ``lrn`` and ``post`` take place, in every step.
    """

    def __init__(self, *, script=None, guards="", **kwargs):
        super().__init__(script=script or {}, guards=guards.split(), **kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))
        self.t = Var((1,), 0)
        self.x = Var((1,), 1)
        self.trace = Var((64, 2), 0)


class ScriptedBase(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    x = LavaPyType(np.ndarray, int)
    trace = LavaPyType(np.ndarray, int)
    min_delay = 1

    def __init__(self, proc_params=None):
        super().__init__(proc_params)
        self.entries = 0
        self.act("build", 0)

    def on_build(self):
        self.act("on_build", 0)

    def act(self, when, step):
        action = self.proc_params["script"].get((when, step))
        if action is not None:
            action(self)

    def handle(self, phase):
        if self.entries < len(self.trace):
            self.trace[self.entries] = phase, self.time_step
            self.entries += 1
        self.act(phase.name, self.time_step)

    def guard(self, phase):
        self.act(f"{phase}_guard", self.time_step)
        return phase in self.proc_params["guards"]

    def run_spk(self):
        self.t[:] = self.time_step
        self.handle(Phase.SPK)
        self.out.send(self.x)
        self.x[:] = (3 * self.x + self.into.recv() + 1) % 10007

    def pre_guard(self):
        return self.guard("pre")

    def run_pre_mgmt(self):
        self.handle(Phase.PRE_MGMT)

    def lrn_guard(self):
        return self.guard("lrn")

    def run_lrn(self):
        self.handle(Phase.LRN)

    def post_guard(self):
        return self.guard("post")

    def run_post_mgmt(self):
        self.handle(Phase.POST_MGMT)


@model_of(Scripted)
class PyScriptedModel(ScriptedBase):
    pass


class Plain(AbstractProcess):
    """Member of a ring without any guard, so that the compiler lets it run ahead."""

    def __init__(self, *, script=None, **kwargs):
        super().__init__(script=script or {}, **kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))
        self.t = Var((1,), 0)
        self.x = Var((1,), 1)


@model_of(Plain)
class PyPlainModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)
    x = LavaPyType(np.ndarray, int)
    min_delay = 1

    def run_spk(self):
        self.t[:] = self.time_step
        action = self.proc_params["script"].get(("SPK", self.time_step))
        if action is not None:
            action(self)
        self.out.send(self.x)
        self.x[:] = (3 * self.x + self.into.recv() + 1) % 10007


class Asking(Scripted):
    """A scripted process that may ask for pause and stop; its idle ports only join networks."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.idle = OutPort((1,))
        self.idle_in = InPort((1,))


@model_of(Asking)
class PyAskingModel(ScriptedBase):
    idle = LavaPyType(PyOutPort.VEC_DENSE, int)
    idle_in = LavaPyType(PyInPort.VEC_DENSE, int)

    def ask_pause(self):
        self._req_pause = True

    def ask_stop(self):
        self._req_stop = True

    def ask_both(self):
        self.ask_pause()
        self.ask_stop()

    def change_mind(self):
        self._req_pause = True
        self._req_pause = False


def ring(*members):
    """Connect processes into a ring, and return them."""
    for k, member in enumerate(members):
        member.out.connect(members[(k + 1) % len(members)].into)
    return members


# --- actions --------------------------------------------------------------------------------------


class RebuildError(Exception):
    """Pickles, but cannot be rebuilt: the constructor takes other arguments."""

    def __init__(self, code, place):
        super().__init__(f"code {code} at {place}")


class LockError(Exception):
    """Cannot be pickled: it holds a lock."""

    def __init__(self, text):
        super().__init__(text)
        self.lock = threading.Lock()


def fail(model):
    raise ZeroDivisionError(f"{model.process_name} fails on purpose")


def fail_to_rebuild(model):
    raise RebuildError(5, model.process_name)


def fail_to_pickle(model):
    raise LockError("holds a lock")


class ExhaustedError(MemoryError):
    """Says whether the array that filled the memory is still there while the exception is reported."""

    def __init__(self, array):
        super().__init__()
        self.array = weakref.ref(array)

    def __str__(self):
        return "memory is full" if self.array() is not None else "memory was freed"

    def __reduce__(self):
        return MemoryError, (str(self),)


def exhaust(model):
    array = np.zeros(3)
    raise ExhaustedError(array)


def system_exit(model):
    raise SystemExit(3)


def exit_at_once(model):
    os._exit(7)


def kill_itself(model):
    os.kill(os.getpid(), signal.SIGKILL)


def ask_pause(model):
    model.ask_pause()


def ask_stop(model):
    model.ask_stop()


def ask_both(model):
    model.ask_both()


def change_mind(model):
    model.change_mind()


def compute_for_ever(model):
    with open("stuck", "w"):
        pass
    while True:
        pass


def ask_secretly(model):
    """Ask for a pause in a way that the compiler does not see."""
    model._wish("pause", True)


def ask_secretly_for_stop(model):
    model._wish("stop", True)


class Gate:
    """An action that announces itself with one file and goes on when another exists."""

    def __init__(self, directory, name="gate"):
        self.reached = str(directory / f"{name}.reached")
        self.opened = str(directory / f"{name}.opened")

    def __call__(self, model):
        with open(self.reached, "w"):
            pass
        end = time.monotonic() + 30
        while not os.path.exists(self.opened):
            if time.monotonic() > end:
                raise TimeoutError("nobody opened the gate")
            time.sleep(0.001)

    def is_reached(self):
        return os.path.exists(self.reached)

    def open(self):
        with open(self.opened, "w"):
            pass


class Rendezvous:
    """An action that raises once all of `names` have got this far; none of them hears of the others."""

    def __init__(self, directory, name, names):
        self.directory, self.name, self.names = str(directory), name, names

    def _path(self, name):
        return os.path.join(self.directory, f"{name}.here")

    def __call__(self, model):
        with open(self._path(self.name), "w"):
            pass
        end = time.monotonic() + 30
        while not all(os.path.exists(self._path(name)) for name in self.names):
            if time.monotonic() > end:
                raise TimeoutError("the others do not come")
            time.sleep(0.001)
        fail(model)


# --- Vars of every kind ---------------------------------------------------------------------------


class Shelf(AbstractProcess):
    """Holds Vars of many kinds and does nothing with them."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ints = Var((2, 3), np.arange(6).reshape(2, 3))
        self.small = Var((4,), 7)
        self.floats = Var((3,), 0.5)
        self.bools = Var((3,), False)
        self.complexes = Var((2,), 1 + 2j)
        self.fortran = Var((2, 3), np.arange(6.0).reshape(2, 3))
        self.strided = Var((3,), np.arange(3))
        self.number = Var((1,), 3)
        self.real = Var((1,), 2.5)
        self.flag = Var((1,), True)
        self.text = Var((1,), "abc")
        self.guarded = Var((2,), 1)
        self.updates = Var((1,), 0)
        self.steps = Var((1,), 0)


@model_of(Shelf)
class PyShelfModel(PyLoihiProcessModel):
    ints = LavaPyType(np.ndarray, np.int64)
    small = LavaPyType(np.ndarray, np.int8)
    floats = LavaPyType(np.ndarray, np.float32)
    bools = LavaPyType(np.ndarray, bool)
    complexes = LavaPyType(np.ndarray, complex)
    fortran = LavaPyType(np.ndarray, float)
    strided = LavaPyType(np.ndarray, int)
    number = LavaPyType(int, int)
    real = LavaPyType(float, float)
    flag = LavaPyType(bool, bool)
    text = LavaPyType(str, str)
    guarded = LavaPyType(np.ndarray, int)
    updates = LavaPyType(np.ndarray, int)
    steps = LavaPyType(np.ndarray, int)

    def on_build(self):
        self.fortran = np.asfortranarray(self.fortran)
        self.strided = np.repeat(self.strided, 2)[::2]

    def on_var_update(self):
        if (self.guarded < 0).any():
            raise OverflowError("guarded must not be negative")
        self.updates += 1

    def run_spk(self):
        self.steps += 1
        assert type(self.number) is int
        assert type(self.real) is float
        assert type(self.flag) is bool
        assert self.fortran.flags.f_contiguous


class Loose(AbstractProcess):
    """Its model puts something into a Var that cannot be read."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.a_good = Var((1,), 4)
        self.odd = Var((1,), 0)
        self.z_good = Var((1,), 5)


@model_of(Loose)
class PyLooseModel(PyLoihiProcessModel):
    a_good = LavaPyType(np.ndarray, int)
    odd = LavaPyType(np.ndarray, int)
    z_good = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.odd = object()


# --- references -----------------------------------------------------------------------------------


class Owner(AbstractProcess):
    """Writes 10 * time step into `v` in its own management handlers; its model puts words into `text`."""

    def __init__(self, *, guards="post", **kwargs):
        super().__init__(guards=guards.split(), **kwargs)
        self.v = Var((2,), -1)
        self.text = Var((1,), 0)


@model_of(Owner)
class PyOwnerModel(PyLoihiProcessModel):
    v = LavaPyType(np.ndarray, np.int32)
    text = LavaPyType(np.ndarray, int)

    def on_build(self):
        self.text = "abc"

    def pre_guard(self):
        return "pre" in self.proc_params["guards"]

    def lrn_guard(self):
        return "lrn" in self.proc_params["guards"]

    def post_guard(self):
        return "post" in self.proc_params["guards"]

    def run_pre_mgmt(self):
        self.v[:] = 10 * self.time_step

    def run_post_mgmt(self):
        self.v[:] = 10 * self.time_step + self.v % 10


class Reader(AbstractProcess):
    """Calls `action` of its RefPort in a given phase; see `PyReaderModel`.

    Parameters
    ----------
    action : str
        Letters: r read, w write, q wait.
    value : float
        What is written.
    """

    def __init__(self, *, action="r", phase="POST_MGMT", value=0, shape=(2,), **kwargs):
        super().__init__(action=action, phase=phase, value=value, **kwargs)
        self.ref = RefPort(shape)
        self.seen = Var((8, *shape), 0)
        self.n = Var((1,), 0)


@model_of(Reader)
class PyReaderModel(PyLoihiProcessModel):
    ref = LavaPyType(PyRefPort.VEC_DENSE, float)
    seen = LavaPyType(np.ndarray, float)
    n = LavaPyType(np.ndarray, int)

    def use(self, phase):
        if phase is not Phase[self.proc_params["phase"]]:
            return
        for letter in self.proc_params["action"]:
            if letter == "r":
                self.seen[self.n[0]] = self.ref.read()
                self.n += 1
            elif letter == "w":
                self.ref.write(np.full(self.ref.shape, self.proc_params["value"] + 10 * self.time_step))
            else:
                self.ref.wait()

    def run_spk(self):
        self.use(Phase.SPK)

    def lrn_guard(self):
        return self.proc_params["phase"] == "LRN"

    def run_lrn(self):
        self.use(Phase.LRN)

    def pre_guard(self):
        return self.proc_params["phase"] == "PRE_MGMT"

    def run_pre_mgmt(self):
        self.use(Phase.PRE_MGMT)

    def post_guard(self):
        return self.proc_params["phase"] == "POST_MGMT"

    def run_post_mgmt(self):
        self.use(Phase.POST_MGMT)


class Grid(AbstractProcess):
    """Holds a matrix."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.v = Var((2, 3), np.arange(6).reshape(2, 3))
        self.door = VarPort(self.v)


@model_of(Grid)
class PyGridModel(PyLoihiProcessModel):
    v = LavaPyType(np.ndarray, int)
    door = LavaPyType(PyVarPort.VEC_DENSE, int)


class Peeping(AbstractProcess):
    """Two of them that read each other's `v` after their own handler cannot get on."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ref = RefPort((1,))
        self.v = Var((1,), 0)


@model_of(Peeping)
class PyPeepingModel(PyLoihiProcessModel):
    ref = LavaPyType(PyRefPort.VEC_DENSE, int)
    v = LavaPyType(np.ndarray, int)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.v[:] = self.ref.read()


class Refusing(AbstractProcess):
    """Refuses values of `v` above `above`."""

    def __init__(self, *, above, **kwargs):
        super().__init__(above=above, **kwargs)
        self.v = Var((1,), 0)


@model_of(Refusing)
class PyRefusingModel(PyLoihiProcessModel):
    v = LavaPyType(np.ndarray, int)

    def on_var_update(self):
        if self.v[0] > self.proc_params["above"]:
            raise OverflowError(f"the owner refuses {self.v[0]}")


# --- traffic --------------------------------------------------------------------------------------


class Burst(AbstractProcess):
    """Sends `count` messages in every time step: 0, 1, 2, ... over all steps."""

    def __init__(self, *, count, **kwargs):
        super().__init__(count=count, **kwargs)
        self.out = OutPort((1,))
        self.after = OutPort((1,))


@model_of(Burst)
class PyBurstModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    after = LavaPyType(PyOutPort.VEC_DENSE, int)

    def on_build(self):
        self.number = 0

    def run_spk(self):
        for _ in range(self.proc_params["count"]):
            self.out.send(np.array([self.number]))
            self.number += 1
        self.after.send(np.array([self.number]))


class Sip(AbstractProcess):
    """Takes `before` messages, then one from `late`, then `rest` more, in every time step."""

    def __init__(self, *, before, rest=0, **kwargs):
        super().__init__(before=before, rest=rest, **kwargs)
        self.into = InPort((1,))
        self.late = InPort((1,))
        self.seen = Var((64,), -1)
        self.n = Var((1,), 0)


@model_of(Sip)
class PySipModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    late = LavaPyType(PyInPort.VEC_DENSE, int)
    seen = LavaPyType(np.ndarray, int)
    n = LavaPyType(np.ndarray, int)

    def take(self, count):
        for _ in range(count):
            self.seen[self.n] = self.into.recv()
            self.n += 1

    def run_spk(self):
        self.take(self.proc_params["before"])
        self.late.recv()
        self.take(self.proc_params["rest"])


class ReceiveFirst(AbstractProcess):
    """Receives before it sends: a loop of these cannot begin."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))
        self.got = Var((1,), 0)


@model_of(ReceiveFirst)
class PyReceiveFirstModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    got = LavaPyType(np.ndarray, int)

    def run_spk(self):
        message = self.into.recv()
        self.got += 1
        self.out.send(message)


class Unwinding(AbstractProcess):
    """Member of a ring that notes the time step in which its handler is unwound."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))


@model_of(Unwinding)
class PyUnwindingModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    min_delay = 1

    def run_spk(self):
        self.out.send(np.array([1]))
        received = False
        try:
            self.into.recv()
            received = True
        finally:
            if not received:
                with open(self.proc_params["log"], "w") as log:
                    log.write(str(self.time_step))


# --- asynchronous processes -----------------------------------------------------------------------


class Maker(AbstractProcess):
    """Sends `first` + 0, 1, ... until it has sent `count` (None: num_steps) messages in a run."""

    def __init__(self, *, count=None, shape=(1,), **kwargs):
        super().__init__(count=count, shape=shape, **kwargs)
        self.out = OutPort(shape)
        self.sent = Var((1,), 0)
        self.runs = Var((1,), 0)


@free_model_of(Maker)
class PyMakerModel(PyAsyncProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    sent = LavaPyType(np.ndarray, int)
    runs = LavaPyType(np.ndarray, int)

    def run_async(self):
        self.runs += 1
        count = self.proc_params["count"]
        for _ in range(self.num_steps if count is None else count):
            if self.check_for_stop_cmd() or self.check_for_pause_cmd():
                return
            self.out.send(np.full(self.out.shape, self.sent[0]))
            self.sent += 1


class Taker(AbstractProcess):
    """Receives `count` (None: num_steps) messages in a run, without ever looking for commands."""

    def __init__(self, *, count=None, shape=(1,), **kwargs):
        super().__init__(count=count, shape=shape, **kwargs)
        self.into = InPort(shape)
        self.other = InPort(shape)  # only joins networks
        self.got = Var((128,), -1)
        self.n = Var((1,), 0)
        self.runs = Var((1,), 0)


@free_model_of(Taker)
class PyTakerModel(PyAsyncProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    other = LavaPyType(PyInPort.VEC_DENSE, int)
    got = LavaPyType(np.ndarray, int)
    n = LavaPyType(np.ndarray, int)
    runs = LavaPyType(np.ndarray, int)

    def run_async(self):
        self.runs += 1
        count = self.proc_params["count"]
        for _ in range(self.num_steps if count is None else count):
            value = self.into.recv()
            self.got[self.n[0] % 128] = value[0]
            self.n += 1


class Polling(AbstractProcess):
    """Computes until it is told to pause or stop; `polls` False: for ever."""

    def __init__(self, *, polls=True, **kwargs):
        super().__init__(polls=polls, **kwargs)
        self.out = OutPort((1,))
        self.turns = Var((1,), 0)
        self.told = Var((2,), 0)


@free_model_of(Polling)
class PyPollingModel(PyAsyncProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    turns = LavaPyType(np.ndarray, int)
    told = LavaPyType(np.ndarray, int)

    def run_async(self):
        while True:
            self.turns += 1
            if not self.proc_params["polls"]:
                continue
            if self.check_for_pause_cmd():
                self.told[0] += 1
                return
            if self.check_for_stop_cmd():
                self.told[1] += 1
                return


class Failing(AbstractProcess):
    """Raises in run_async; or asks for something and returns."""

    def __init__(self, *, ask="", **kwargs):
        super().__init__(ask=ask, **kwargs)
        self.out = OutPort((1,))
        self.also = OutPort((1,))
        self.runs = Var((1,), 0)


@free_model_of(Failing)
class PyFailingModel(PyAsyncProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    also = LavaPyType(PyOutPort.VEC_DENSE, int)
    runs = LavaPyType(np.ndarray, int)

    def run_async(self):
        self.runs += 1
        ask = self.proc_params["ask"]
        if not ask:
            raise ZeroDivisionError(f"{self.process_name} fails on purpose")
        if "pause" in ask:
            self._req_pause = True
        if "stop" in ask:
            self._req_stop = True


class Player(AbstractProcess):
    """Receives, then sends."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.into = InPort((1,))
        self.out = OutPort((1,))


@free_model_of(Player)
class PyPlayerModel(PyAsyncProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)

    def run_async(self):
        for _ in range(self.num_steps):
            self.out.send(self.into.recv() + 1)


class Hop(AbstractProcess):
    """Loihi process: receives and sends on in every time step."""

    def __init__(self, *, shape=(1,), **kwargs):
        super().__init__(**kwargs)
        self.into = InPort(shape)
        self.out = OutPort(shape)
        self.t = Var((1,), 0)


@model_of(Hop)
class PyHopModel(PyLoihiProcessModel):
    into = LavaPyType(PyInPort.VEC_DENSE, int)
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        self.out.send(self.into.recv())


class Clock(AbstractProcess):
    """Loihi process on its own that counts time steps, and may ask for a pause in one of them."""

    def __init__(self, *, ask="", at=3, **kwargs):
        super().__init__(ask=ask, at=at, **kwargs)
        self.out = OutPort((1,))
        self.t = Var((1,), 0)


@model_of(Clock)
class PyClockModel(PyLoihiProcessModel):
    out = LavaPyType(PyOutPort.VEC_DENSE, int)
    t = LavaPyType(np.ndarray, int)

    def run_spk(self):
        self.t[:] = self.time_step
        if self.time_step == self.proc_params["at"]:
            if self.proc_params["ask"] == "pause":
                self._req_pause = True
            elif self.proc_params["ask"] == "stop":
                self._req_stop = True


# --- references over worker boundaries ----------------------------------------------------------------


class Link(AbstractProcess):
    """Reads `ref` in POST_MGMT, and sets `x` to one more; where `ref` leads nowhere, to the time step."""

    def __init__(self, *, fail_at=0, **kwargs):
        super().__init__(fail_at=fail_at, **kwargs)
        self.ref = RefPort((1,))
        self.x = Var((1,), 0)


@model_of(Link)
class PyLinkModel(PyLoihiProcessModel):
    ref = LavaPyType(PyRefPort.VEC_DENSE, int)
    x = LavaPyType(np.ndarray, int)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        if self.time_step == self.proc_params["fail_at"]:
            fail(self)
        got = self.ref.read()
        self.x[:] = got + 1 if got.any() else self.time_step


class Ramper(AbstractProcess):
    """Writes 0, 1, 2 ... in the shape of its port."""

    def __init__(self, *, shape, **kwargs):
        super().__init__(**kwargs)
        self.ref = RefPort(shape)


@model_of(Ramper)
class PyRamperModel(PyLoihiProcessModel):
    ref = LavaPyType(PyRefPort.VEC_DENSE, int)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        self.ref.write(np.arange(np.prod(self.ref.shape)).reshape(self.ref.shape))


class Changer(AbstractProcess):
    """Changes what it has read in place."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.ref = RefPort((2,))
        self.seen = Var((2,), 0)


@model_of(Changer)
class PyChangerModel(PyLoihiProcessModel):
    ref = LavaPyType(PyRefPort.VEC_DENSE, np.int32)
    seen = LavaPyType(np.ndarray, np.int32)

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        got = self.ref.read()
        got[:] = 99
        self.seen[:] = got


class NonNegative(AbstractProcess):
    """Refuses negative values of `v`."""

    def __init__(self, **kwargs):
        super().__init__(**kwargs)
        self.v = Var((2,), 1)


@model_of(NonNegative)
class PyNonNegativeModel(PyLoihiProcessModel):
    v = LavaPyType(np.ndarray, int)

    def on_var_update(self):
        if (self.v < 0).any():
            raise OverflowError("v must not be negative")


class Hub(AbstractProcess):
    """Reads up to two Vars in every step, and never writes."""

    def __init__(self, *, count, **kwargs):
        super().__init__(count=count, **kwargs)
        self.ref0 = RefPort((2,))
        self.ref1 = RefPort((2,))
        self.seen = Var((8, 2), 0)


@model_of(Hub)
class PyHubModel(PyLoihiProcessModel):
    ref0 = LavaPyType(PyRefPort.VEC_DENSE, float)
    ref1 = LavaPyType(PyRefPort.VEC_DENSE, float)
    seen = LavaPyType(np.ndarray, float)
    reads_only = True

    def post_guard(self):
        return True

    def run_post_mgmt(self):
        for k in range(self.proc_params["count"]):
            self.seen[2 * (self.time_step - 1) + k] = (self.ref0, self.ref1)[k].read()


# --- output -----------------------------------------------------------------------------------------------


def talk(model):
    """Print and log in every way there is."""
    import logging
    import sys
    import warnings

    print("one line")
    print("half a", end=" ")
    print("line")
    print("an error", file=sys.stderr)
    model.log.warning("of the model: %d", 7)
    logging.getLogger("mine").info("of a logger of one's own")
    logging.getLogger("mine").debug("never wanted")
    warnings.warn("something odd", stacklevel=1)
    thread = threading.Thread(target=logging.getLogger("mine").warning, args=("from another thread",))
    thread.start()
    thread.join()
