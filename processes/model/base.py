"""Base classes of ProcessModels."""

from __future__ import annotations

import dataclasses
import logging
from abc import ABC, abstractmethod
from typing import Any

from ..process import AbstractProcess, attributes


class AbstractProcessModel:
    """Base of all ProcessModels; the class attributes are set by the decorators.

    Attributes
    ----------
    implements_process : type
        The Process class whose behaviour this model gives.
    implements_protocol : type
    required_resources : list of type
    tags : list of str
    min_delay : int
        Number of time steps between an input and the first output that depends on it. 0: an output of
        step t depends on inputs of step t. Models that send before they receive declare at least 1;
        the compiler uses it to find loops without a delay and how far workers may run ahead.
    casts_inputs : bool
        Whether the model casts what it receives to a dtype of its own, so that senders of a wider dtype may be
        connected (with a warning).
    """

    implements_process: type | None = None
    implements_protocol: type | None = None
    required_resources: list[Any] = []
    tags: list[str] = []
    min_delay: int = 0
    casts_inputs: bool = False

    def __init__(self, proc_params: Any = None, loglevel: int = logging.WARNING) -> None:
        self.proc_params = proc_params if proc_params is not None else {}
        self.log = logging.getLogger(f"lahar.models.{type(self).__name__}")
        if loglevel != logging.WARNING:
            self.log.setLevel(loglevel)

    @classmethod
    def suits(cls, process: AbstractProcess) -> bool:  # noqa: ARG003
        """Whether this model can run `process` with the arguments it was given; only such models are chosen."""
        return True

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimated compute time of one time step in microseconds, for the partitioner.

        Parameters
        ----------
        process : AbstractProcess
            The Process that this model would run.
        """
        return 6.0 + 0.002 * sum(var.size for var in process.vars)

    def __repr__(self) -> str:
        process = self.implements_process.__name__ if self.implements_process else None
        resources = [r.__name__ for r in self.required_resources if isinstance(r, type)]
        return f"<{type(self).__name__} of {process}, requires {resources}, tags {self.tags}>"


class AbstractSubProcessModel(AbstractProcessModel, ABC):
    """Base of models that realise a Process by a network of other Processes.

    The constructor takes the Process only, creates sub processes as attributes, and connects and aliases
    them with the ports and Vars of the Process.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import LIF, AbstractProcess, Dense, OutPort, Var
    >>> from lahar.processes.model import AbstractSubProcessModel, LoihiProtocol, implements
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> class Pair(AbstractProcess):
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.v = Var(shape=(1,))
    >>> @implements(proc=Pair, protocol=LoihiProtocol)
    ... class PairModel(AbstractSubProcessModel):
    ...     def __init__(self, proc):
    ...         self.first, self.second = LIF(shape=(1,), bias_mant=11), LIF(shape=(1,), vth=100)
    ...         self.synapse = Dense(weights=[[5]])
    ...         self.first.s_out.connect(self.synapse.s_in)
    ...         self.synapse.a_out.connect(self.second.a_in)
    ...         proc.v.alias(self.second.v)
    >>> with Pair() as pair:
    ...     pair.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(pair.v.get())
    [15.]
    """

    @abstractmethod
    def __init__(self, proc: AbstractProcess) -> None: ...

    def find_sub_procs(self) -> dict[str, AbstractProcess]:
        """Return the sub processes held as attributes (also inside dataclasses), by name."""
        found: dict[str, AbstractProcess] = {}
        for name, value in attributes(self):
            if isinstance(value, AbstractProcess):
                found[name] = value
            elif dataclasses.is_dataclass(value) and not isinstance(value, type):
                for field in dataclasses.fields(value):
                    inner = getattr(value, field.name)
                    if isinstance(inner, AbstractProcess):
                        found[type(inner).__name__] = inner
        return found
