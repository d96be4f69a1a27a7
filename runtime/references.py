"""RefPorts: access to a Var of another actor in the same worker."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from greenlet import getcurrent

from lahar.processes.errors import StateError
from lahar.processes.model import Phase

from .scheduler import Wait
from .values import as_array, assign

if TYPE_CHECKING:
    from .actors import Actor
    from .engine import Engine

_MANAGEMENT = (Phase.PRE_MGMT, Phase.POST_MGMT)
Transform = Callable[[Any], Any]


class Reference:
    """What a RefPort holds: reads at once, writes at the end of the phase.

    In each management phase all reads come first (each after the owner's own handler), then all writes
    in the order in which their processes were created. That order is the same for every schedule.
    """

    def __init__(
        self,
        engine: Engine,
        number: int,
        reader: Actor,
        port: str,
        owner: Actor,
        var: str,
        forward: tuple[Transform, ...],
        backward: tuple[Transform, ...],
    ) -> None:
        self.number = number
        self._engine = engine
        self.reader = reader
        self._port = port
        self._owner = owner
        self._var = var
        self._forward = forward
        self._backward = backward
        self._writes: list[Any] = []
        self._waiting: Any = None

    @property
    def _target(self) -> str:
        return f"{self._owner.name}.{self._var}"

    def _check_phase(self, operation: str) -> None:
        phase = self.reader.model.phase
        if phase not in _MANAGEMENT:
            raise StateError(
                f"'{self._port}'.{operation}() of Var '{self._target}' in phase {phase.name}: Vars of other "
                "Processes are reachable in run_pre_mgmt and run_post_mgmt only."
            )

    def read(self) -> Any:
        self._check_phase("read")
        if self._writes:
            self.wait()
        while self._owner.busy:
            self._owner.observers.append(getcurrent())
            self._engine.scheduler.block(Wait(self._port, "read", self._target))
        value = as_array(self._owner.model, self._owner.vars[self._var])
        for transform in self._backward:
            value = transform(value)
        return np.array(value)

    def write(self, data: Any) -> None:
        self._check_phase("write")
        for transform in self._forward:
            data = transform(data)
        self._writes.append(data)
        self._engine.written.append(self)

    def wait(self) -> None:
        self._check_phase("wait")
        while self._writes:
            self._waiting = getcurrent()
            self._engine.scheduler.block(Wait(self._port, "wait", self._target))

    def apply(self) -> None:
        """Carry out the writes of this phase; called by the engine when all reads are done."""
        for data in self._writes:
            assign(self._owner.model, self._owner.vars[self._var], data)
        self._writes.clear()
        self._owner.model.on_var_update()
        if self._waiting is not None:
            self._engine.scheduler.wake(self._waiting)
            self._waiting = None
