"""ProcessModels that run in the phases of the Loihi protocol."""

from __future__ import annotations

from typing import Any

from .base import AbstractProcessModel
from .protocols import Phase


class AbstractPyProcessModel(AbstractProcessModel):
    """Base of models written in Python.

    Attributes
    ----------
    process_name : str
        Name of the Process, for messages.
    model_id : int
        Id of the Process.
    py_ports, var_ports : list
        Ports, set when the model is built.
    reads_only : bool
        A promise that the model never writes through its RefPorts, which spares the runtime to keep track
        of it.
    """

    process_name: str = "?"
    model_id: int = -1
    reads_only: bool = False

    def __init__(self, proc_params: Any = None, loglevel: int = 30) -> None:
        super().__init__(proc_params, loglevel)
        self.py_ports: list[Any] = []
        self.var_ports: list[Any] = []
        self._wishes: list[Any] = []

    def on_build(self) -> None:
        """Called once, after all Vars and ports are set and before the first time step."""

    def on_var_update(self) -> None:
        """Called after a Var of this Process was set from outside.

        If it raises, the old value is restored and the exception reaches the caller of `Var.set`.
        """

    # A request is looked at when the handler that made it has returned. Keeping requests in a list that
    # is empty nearly always spares the scheduler to look at every model in every phase.

    @property
    def _req_pause(self) -> bool:
        return "pause" in self._wishes

    @_req_pause.setter
    def _req_pause(self, value: Any) -> None:
        self._wish("pause", value)

    @property
    def _req_stop(self) -> bool:
        return "stop" in self._wishes

    @_req_stop.setter
    def _req_stop(self, value: Any) -> None:
        self._wish("stop", value)

    def _wish(self, what: str, value: Any) -> None:
        if value and what not in self._wishes:
            self._wishes.append(what)
            self._announce(self)
        elif not value and what in self._wishes:
            self._wishes.remove(what)

    def _announce(self, model: Any) -> None:
        """Tell the scheduler that `model` has a request; replaced when the model is built."""


class PyLoihiProcessModel(AbstractPyProcessModel):
    """Base of models that are stepped: one method per phase, run where its guard is true.

    A handler ends the run with the present time step by ``self._req_pause = True`` or ``self._req_stop = True``.
    The phases that others asked for in this step come first; what the model itself would have asked for is
    dropped. All sync domains and asynchronous processes end their run, each at a step of its own. If a pause and a
    stop are asked for in one run, in whatever domains, the pause is served, and the next run executes no step and
    stops. A model that asks for both asks for the stop when its next handler has ended.

    Attributes
    ----------
    time_step : int
        1 in the first time step; 0 before. Continues over runs.
    phase : Phase
        Phase being executed.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import AbstractProcess, Var
    >>> from lahar.processes.model import CPU, LavaPyType, LoihiProtocol, PyLoihiProcessModel, implements, requires
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> class Clock(AbstractProcess):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.ticks = Var(shape=(2,))
    >>> @implements(proc=Clock, protocol=LoihiProtocol)
    ... @requires(CPU)
    ... class ClockModel(PyLoihiProcessModel):
    ...     ticks: np.ndarray = LavaPyType(np.ndarray, np.int64)
    ...
    ...     def run_spk(self):
    ...         self.ticks[0] += 1
    ...
    ...     def post_guard(self):
    ...         return self.time_step % 4 == 0
    ...
    ...     def run_post_mgmt(self):
    ...         self.ticks[1] += 1
    >>> with Clock() as clock:
    ...     clock.run(condition=RunSteps(num_steps=10), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(clock.ticks.get())
    [10  2]
    """

    time_step: int = 0
    phase: Phase = Phase.SPK

    def run_spk(self) -> None:
        """Spiking phase: every model, every time step."""

    def pre_guard(self) -> Any:
        """Whether `run_pre_mgmt` wants to run (only in steps in which some model learns)."""

    def run_pre_mgmt(self) -> None:
        """Management before learning."""

    def lrn_guard(self) -> Any:
        """Whether `run_lrn` wants to run in this time step."""

    def run_lrn(self) -> None:
        """Learning phase."""

    def post_guard(self) -> Any:
        """Whether `run_post_mgmt` wants to run in this time step."""

    def run_post_mgmt(self) -> None:
        """Management at the end of a time step; RefPorts may be used here and in `run_pre_mgmt`."""
