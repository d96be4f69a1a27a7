"""Processes with RefPorts, and owners of what they refer to."""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, RefPort, Var, VarPort
from lahar.processes.model import LavaPyType, Phase, PyLoihiProcessModel, PyRefPort, PyVarPort

from .actions import fail
from .declaring import model_of


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
