"""ProcessModels that run freely, without time steps."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from ..errors import ArgumentTypeError
from .loihi import AbstractPyProcessModel, PyLoihiProcessModel
from .protocols import AsyncProtocol, Phase


class PyAsyncProcessModel(AbstractPyProcessModel):
    """Base of models that run freely, coupled to others by their channels only.

    Each run of the network calls `run_async` once. It may receive and send; it should look for commands now
    and then (`check_for_stop_cmd`, `check_for_pause_cmd`) and return when there is one. After a pause the
    next run calls it again, or, if it was waiting for a message when the network paused, lets it go on.

    Each asynchronous process has an OS process of its own, so that one that never looks for commands holds up
    nobody, and `stop` can end it. With ``launcher="inline"`` all share one thread: there it must look.

    Attributes
    ----------
    num_steps : int
        Number of steps asked for in the present run (``sys.maxsize`` in a continuous run); what it means is
        up to the model.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import AbstractProcess, Var
    >>> from lahar.processes.model import AsyncProtocol, CPU, LavaPyType, PyAsyncProcessModel, implements, requires
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> class Worker(AbstractProcess):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.done = Var(shape=(1,))
    >>> @implements(proc=Worker, protocol=AsyncProtocol)
    ... @requires(CPU)
    ... class WorkerModel(PyAsyncProcessModel):
    ...     done: np.ndarray = LavaPyType(np.ndarray, np.int64)
    ...
    ...     def run_async(self):
    ...         while self.done[0] < self.num_steps and not self.check_for_stop_cmd():
    ...             self.done += 1
    >>> with Worker() as worker:
    ...     worker.run(condition=RunSteps(num_steps=7), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(worker.done.get())
    [7]
    """

    num_steps: int = 0

    def __init__(self, proc_params: Any = None) -> None:
        super().__init__(proc_params)

    def run_async(self) -> None:
        """Do the work of one run; must be overridden."""
        raise NotImplementedError(f"{type(self).__name__} must define run_async().")

    def check_for_stop_cmd(self) -> bool:
        """Whether the host wants the network to stop; lets other actors and messages go on."""
        return self._look() == "stop"

    def check_for_pause_cmd(self) -> bool:
        """Whether the host wants the network to pause; lets other actors and messages go on."""
        return self._look() == "pause"

    def _look(self) -> str:
        """Return the command of the host, ``""`` if there is none; replaced when the model is built."""
        return ""


def PyLoihiModelToPyAsyncModel(py_loihi_model: type) -> type:  # noqa: N802 - the name is part of the interface
    """Return an asynchronous model that executes the phases of a Loihi model without a common time step.

    The new class is derived from the given one, so that private members and ``super()`` work as before. Each
    run executes `num_steps` time steps, counted on over runs, and ends early when the host asks for pause or
    stop. A step is SPK and POST_MGMT; PRE_MGMT comes first, or, in a model that learns, before LRN.

    Parameters
    ----------
    py_loihi_model : type
        Derived from `PyLoihiProcessModel`.

    Raises
    ------
    ArgumentTypeError
        It is no such class.
    """
    if not (isinstance(py_loihi_model, type) and issubclass(py_loihi_model, PyLoihiProcessModel)):
        raise ArgumentTypeError(f"A subclass of PyLoihiProcessModel expected, not {py_loihi_model!r}.")
    members = {
        "__doc__": f"{py_loihi_model.__name__} without a common time step.",
        "__module__": py_loihi_model.__module__,
        "implements_protocol": AsyncProtocol,
        "run_async": _run_phases,
        "_execute": _execute,
    }
    return type(f"{py_loihi_model.__name__}Async", (py_loihi_model, PyAsyncProcessModel), members)


def _run_phases(self: Any) -> None:
    """Execute the time steps of one run."""
    learns = type(self).lrn_guard is not PyLoihiProcessModel.lrn_guard
    for _ in range(self.num_steps):
        if self._look():
            return
        self.time_step += 1
        if not learns and self.pre_guard():
            self._execute(Phase.PRE_MGMT, self.run_pre_mgmt)
        self._execute(Phase.SPK, self.run_spk)
        if self.lrn_guard():
            if self.pre_guard():
                self._execute(Phase.PRE_MGMT, self.run_pre_mgmt)
            self._execute(Phase.LRN, self.run_lrn)
        if self.post_guard():
            self._execute(Phase.POST_MGMT, self.run_post_mgmt)


def _execute(self: Any, phase: Phase, handler: Callable[[], None]) -> None:
    self.phase = phase
    handler()
