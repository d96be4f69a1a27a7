"""Whether what a simulated network did is what it had to do, by comparison with an inline run."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from lahar.processes.errors import DeadlockError
from lahar.runtime.engine import Failure
from lahar.runtime.sequencer import Need

from .networks import Sample
from .reference import Reference, bits
from .world import SimulationFailure

_FAR = 60  # time steps within which whatever is to fail has failed


class Verdict:
    """Takes down what happened between runs; compares it in the end (G3, G5, G6).

    Parameters
    ----------
    sample : Sample
    """

    def __init__(self, sample: Sample) -> None:
        self._sample = sample
        self._notes: list[Callable[[Reference], None]] = []
        self._comparable = sample.settled
        self._runs = 0
        self._any_halt = False

    def spoil(self) -> None:
        """Note that something happened that cannot happen inline: compare no further."""
        self._notes.append(_end)

    # --- what happened --------------------------------------------------------------------------------

    def note_run(self, steps: int | None, reached: tuple[int, ...], wish: Need, halted: bool) -> None:
        """A run has ended."""
        self._runs += 1
        self._any_halt |= halted

        def check(reference: Reference) -> None:
            if steps == 0:
                return
            if halted or steps is None or (wish and len(reached) > 1):
                reference.reach(reached)  # where nobody can tell in which step the end was noticed
                return
            targets = tuple(step + steps for step in reference.steps)
            outcome = reference.run(targets)
            if outcome.failed or (reference.steps, outcome.wish) != (reached, wish):
                raise SimulationFailure(
                    f"the run ended at {reached} with {wish!r}, inline it ends at {reference.steps} with "
                    f"{outcome.wish!r} {outcome.failures} {outcome.error}"
                )

        self._notes.append(check)

    def note_set(self, var: int, value: Any) -> None:
        """A Var was set."""
        self._notes.append(lambda reference: reference.set(var, value))

    def note_get(self, var: int, value: Any) -> None:
        """A Var was read."""
        found = bits(value)
        self._notes.append(lambda reference: self._compare(var, found, reference.get(var)))

    def note_end(self, values: dict[int, Any], partial: bool) -> None:
        """All Vars were read, or those of workers that still live."""
        found = {var: bits(value) for var, value in values.items()}

        def check(reference: Reference) -> None:
            expected = reference.snapshot()
            if not partial and found.keys() != expected.keys():
                raise SimulationFailure(f"Vars {sorted(expected.keys() - found.keys())} could not be read")
            for var, value in found.items():
                self._compare(var, value, expected[var])

        self._notes.append(check)

    def note_failures(self, failures: list[Failure], disturbed: bool) -> None:
        """Models have raised."""
        named = {(f.process, f.phase, f.time_step) for f in failures}
        if not named <= self._sample.scripted or len(named) != len(failures):
            raise SimulationFailure(
                f"failures are reported that no script asks for: "
                f"{[(f.process, f.phase, f.time_step, f.summary, f.traceback[-900:]) for f in failures]}"
            )
        whole = self._sample.plan.sync == "lockstep" and not disturbed

        def check(reference: Reference) -> None:
            outcome = reference.fail(_FAR)
            expected = {(f.process, f.phase, f.time_step) for f in outcome.failures}
            if not expected or (whole and named != expected):
                raise SimulationFailure(f"failures {named} were reported, inline {expected} happen")

        self._notes += [check, _end]

    def note_deadlock(self, steps: int | None, text: str) -> None:
        """A DeadlockError was reported."""
        sample = self._sample
        if not sample.settled and not self._may_starve(steps):
            raise SimulationFailure(f"not a deadlock: {text}")

        def check(reference: Reference) -> None:
            outcome = reference.fail(_FAR)
            if not isinstance(outcome.error, DeadlockError):
                raise SimulationFailure(
                    f"inline there is no deadlock, it comes to {reference.steps}. Reported: {text}"
                )

        self._notes += [check, _end]

    def _may_starve(self, steps: int | None) -> bool:
        """Whether asynchronous actors may really wait for ever: not in a first run that nobody disturbs."""
        most = [
            p.proc_params._parameters["most"]
            for p in self._sample.plan.processes
            if "most" in p.proc_params._parameters
        ]
        return bool(self._runs or steps is None or steps > min(most))

    # --- comparison -----------------------------------------------------------------------------------

    def compare(self, extracted: dict[int, list[Any]]) -> bool:
        """Repeat everything inline; return whether anything could be compared.

        Raises
        ------
        SimulationFailure
            Something differs.
        """
        if not self._comparable:
            return False
        from .simulation import letter

        reference = Reference(self._sample.whole, letter)
        try:
            for note in self._notes:
                note(reference)
        except _EndOfComparison:
            return True
        finally:
            reference.close()
        for pipe, found in extracted.items():
            expected = reference.received.get(pipe, [])
            if len(found) > len(expected) or any(
                not np.array_equal(a, b) for a, b in zip(found, expected, strict=False)
            ):
                raise SimulationFailure(f"pipe {pipe} gave {found}, inline {expected}")
        return True

    def _compare(self, var: int, found: Any, value: Any) -> None:
        expected = bits(value)
        if found != expected:
            name = next(
                f"{p.name}.{v.name}" for p in self._sample.plan.processes for v in p.vars if v.id == var
            )
            raise SimulationFailure(f"{name} is {_shown(found)}, inline it is {_shown(expected)}")


class _EndOfComparison(Exception):
    """What follows cannot be compared."""


def _end(reference: Reference) -> None:
    del reference
    raise _EndOfComparison


def _shown(value: Any) -> Any:
    if not isinstance(value, tuple):
        return repr(value)
    dtype, shape, data = value
    return np.frombuffer(data, dtype).reshape(shape).tolist()
