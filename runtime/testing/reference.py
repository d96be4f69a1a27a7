"""The same commands in one OS process: what the results of a simulation must be, bit by bit."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lahar.compiler.plan import Plan
from lahar.processes.errors import DeadlockError
from lahar.runtime.inline import InlineNetwork
from lahar.runtime.outcome import Outcome
from lahar.runtime.pipes import HostReceiver, HostSender

from .world import SimulationFailure


class Reference:
    """Runs a Plan inline, in step with what a simulation has done.

    Parameters
    ----------
    plan : Plan
        With one partition.
    letter : callable
        Returns the k-th message of the host's program, see `letter`.
    """

    def __init__(self, plan: Plan, letter: Callable[[int, Any], Any]) -> None:
        self.received: dict[int, list[Any]] = {}
        self._plan = plan
        self._letter = letter
        self._sent: dict[int, int] = {}
        self._network = InlineNetwork(plan)
        outcome = self._network.open()
        if outcome.failed:
            outcome.raise_if_failed()
        self._network._letters = _Letters()  # type: ignore[assignment]

    @property
    def steps(self) -> tuple[int, ...]:
        """Time step of each domain."""
        steps = self._network.engine.steps
        return tuple(steps.get(d, 0) for d in range(len(self._plan.domains)))

    def run(self, targets: tuple[int, ...]) -> Outcome:
        """Run to a time step of each domain, or until a model asks for an end or fails."""
        if not self._plan.pipes:
            return self._run(dict(enumerate(targets)))
        outcome = Outcome(0)
        for step in range(self.steps[0] + 1, targets[0] + 1):
            self._exchange()
            outcome = self._run({0: step})
            self._exchange()
            if outcome.failed or outcome.wish:
                break
        return outcome

    def _run(self, limits: dict[int, int]) -> Outcome:
        if self._network.prepare(limits, 1):
            self._network._run()
        outcome = self._network._outcome
        assert outcome is not None
        return outcome

    def _exchange(self) -> None:
        """Fill all pipes to the network, and empty those from it."""
        for pipe, end in self._network.pipes.items():
            if isinstance(end, HostSender):
                while end.probe():
                    number = self._sent[pipe] = self._sent.get(pipe, 0) + 1
                    end.send(self._letter(number, end))
            elif isinstance(end, HostReceiver):
                while end.probe():
                    self.received.setdefault(pipe, []).append(end.recv())

    def reach(self, targets: tuple[int, ...]) -> None:
        """Run at least once and until every domain is at its target, whatever models ask for.

        Raises
        ------
        SimulationFailure
            It cannot be reached.
        """
        while True:
            before = self.steps
            outcome = self.run(targets)
            if outcome.failed:
                raise SimulationFailure(
                    f"the simulation came to {targets}, but inline the run fails: {_why(outcome)}"
                )
            if self.steps == targets:
                return
            if self.steps == before and not outcome.wish:
                raise SimulationFailure(f"the simulation came to {targets}, inline it ends at {self.steps}")

    def fail(self, most: int) -> Outcome:
        """Return how the run fails if it goes on for at most so many time steps."""
        targets = tuple(step + most for step in self.steps)
        for _ in range(most):
            outcome = self.run(targets)
            if outcome.failed or self.steps == targets:
                return outcome
        return outcome

    def get(self, var: int) -> Any:
        """Return the value of a Var."""
        return self._network.get(var)

    def set(self, var: int, value: Any) -> None:
        """Set a Var."""
        self._network.set(var, value)

    def snapshot(self) -> dict[int, Any]:
        """Return the values of all Vars."""
        return self._network.snapshot()

    def close(self) -> None:
        """Forget the network."""
        self._network.engine.scheduler.abandon()
        self._network.close()


class _Letters:
    """What pipes have for the engine; nobody would ever answer a wait for more."""

    def __init__(self) -> None:
        self._letters: list[Any] = []

    def put(self, letter: Any) -> None:
        self._letters.append(letter)

    def get(self) -> Any:
        if not self._letters:
            raise DeadlockError("the inline network waits for the host")
        return self._letters.pop(0)

    def empty(self) -> bool:
        return not self._letters


def bits(value: Any) -> Any:
    """Return what must be equal: dtype, shape and every bit of an array."""
    if value is None or isinstance(value, str):
        return value
    if hasattr(value, "tocsr"):
        value = value.toarray()
    array = np.asarray(value)
    return array.dtype.str, array.shape, array.tobytes()


def _why(outcome: Outcome) -> str:
    if outcome.failures:
        return "; ".join(f"{f.process} {f.phase} {f.time_step}" for f in outcome.failures)
    return str(outcome.error)
