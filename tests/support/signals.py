"""User-defined processes that act at given moments: they ask for a pause or a stop, or tell the test.

In a module of its own, so that workers can import it without the test tools.
"""

from __future__ import annotations

from pathlib import Path

from lahar.processes import AbstractProcess, InPort, Var
from lahar.processes.model import CPU, LavaPyType, LoihiProtocol, PyInPort, implements, requires

from .nodes import CountingModel


class Signal(AbstractProcess):
    """Receives like any neuron, and acts in the phases and time steps `at`."""

    def __init__(self, *, shape, at, **kwargs):
        super().__init__(at=[list(moment) for moment in at], **kwargs)
        self.i = InPort(shape)
        self.calls = Var((4,), 0)


class Pauser(Signal):
    """Asks for a pause."""


class HiddenPauser(Signal):
    """Asks for a pause in a way that the compiler cannot see."""


class Stopper(Signal):
    """Asks for a stop."""


class Beacon(Signal):
    """Creates the file `path`."""

    def __init__(self, *, path, **kwargs):
        super().__init__(path=str(path), **kwargs)


# --- models ---------------------------------------------------------------------------------


class SignalModel(CountingModel):
    """Takes part in all phases, whether it acts there or not."""

    i: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)

    def act(self):
        raise NotImplementedError

    def handle(self):
        self.count()
        if [int(self.phase), self.time_step] in self.proc_params["at"]:
            self.act()

    def run_spk(self):
        self.i.recv()
        self.handle()

    def lrn_guard(self):
        return self.time_step % 4 == 0

    def run_lrn(self):
        self.handle()

    def post_guard(self):
        return self.time_step % 3 == 0

    def run_post_mgmt(self):
        self.handle()


@implements(proc=Pauser, protocol=LoihiProtocol)
@requires(CPU)
class PauserModel(SignalModel):
    def act(self):
        self._req_pause = True


@implements(proc=HiddenPauser, protocol=LoihiProtocol)
@requires(CPU)
class HiddenPauserModel(SignalModel):
    def act(self):
        ask_for_pause(self)


def ask_for_pause(model):
    model._req_pause = True


@implements(proc=Stopper, protocol=LoihiProtocol)
@requires(CPU)
class StopperModel(SignalModel):
    def act(self):
        self._req_stop = True


@implements(proc=Beacon, protocol=LoihiProtocol)
@requires(CPU)
class BeaconModel(SignalModel):
    def act(self):
        Path(self.proc_params["path"]).touch()
