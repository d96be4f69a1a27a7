"""How a run ended, and the exception that tells the user."""

from __future__ import annotations

from dataclasses import dataclass, field

from lahar.processes.errors import LaharError, ModelError

from .engine import Failure
from .sequencer import Need


@dataclass
class Outcome:
    """End of a run (or of building).

    Attributes
    ----------
    step : int
        Time step that every actor has completed.
    wish : Need
        Whether a model asked for pause or stop.
    failures : list of Failure
        Exceptions of models, the first one raised first.
    error : LaharError, optional
        Anything else that ended the run.
    """

    step: int
    wish: Need = Need.NOTHING
    failures: list[Failure] = field(default_factory=list)
    error: LaharError | None = None

    @property
    def failed(self) -> bool:
        return bool(self.failures) or self.error is not None

    def raise_if_failed(self) -> None:
        """Raise the exception that describes the failure, chained to the original one."""
        if self.error is not None:
            raise self.error
        if self.failures:
            raise to_exception(self.failures) from self.failures[0].error


def to_exception(failures: list[Failure]) -> ModelError:
    """Return one exception that tells of all failures; the first is the one it is about."""
    first = failures[0]
    lines = [f"{len(failures)} Exception(s) occurred in process models."]
    lines += [
        f"Process '{f.process}' ({f.process_class}), phase {f.phase}, time step {f.time_step}: {f.summary}"
        for f in failures
    ]
    lines += ["", f"Traceback in process '{first.process}':", first.traceback.rstrip()]
    return ModelError("\n".join(lines), first.process, first.phase, first.time_step, first.traceback)
