"""How a run ended, and the exception that tells the user."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

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

    @cached_property
    def exception(self) -> LaharError | None:
        """What describes the failure, chained to the original exception; None if there is none."""
        return self.error or (to_exception(self.failures) if self.failures else None)

    def raise_if_failed(self) -> None:
        """Raise the exception that describes the failure."""
        if self.exception is not None:
            raise self.exception


def to_exception(failures: list[Failure]) -> ModelError:
    """Return one exception that tells of all failures, about the first and with the others attached.

    It is chained to the original exception of the first, and behind that to the others, so that a printed
    traceback shows them all.
    """
    first = failures[0]
    lines = [f"{len(failures)} Exception(s) occurred in process models.", *map(_locate, failures)]
    others = tuple(_to_single(failure) for failure in failures[1:])
    error = _make([*lines, "", *_trace(first)], first, others)
    last: BaseException = error
    for other in others:
        last = _append(last, other)
    return error


def _locate(failure: Failure) -> str:
    return (
        f"Process '{failure.process}' ({failure.process_class}), phase {failure.phase}, "
        f"time step {failure.time_step}: {failure.summary}"
    )


def _trace(failure: Failure) -> list[str]:
    return [f"Traceback in process '{failure.process}':", failure.traceback.rstrip()]


def _to_single(failure: Failure) -> ModelError:
    return _make([_locate(failure), "", *_trace(failure)], failure)


def _make(lines: list[str], failure: Failure, others: tuple[ModelError, ...] = ()) -> ModelError:
    place = (failure.process, failure.phase, failure.time_step)
    error = ModelError("\n".join(lines), *place, failure.traceback, others)
    error.__cause__ = failure.error
    return error


def _append(error: BaseException, other: ModelError) -> BaseException:
    """Chain `other` behind whatever `error` is chained to; return where the next one goes.

    Two models may raise the same object; nothing is chained that would close a circle.
    """
    chain = _chain(error)
    if {id(e) for e in chain} & {id(e) for e in _chain(other)}:
        return error
    chain[-1].__context__ = other
    chain[-1].__suppress_context__ = False
    return other


def _chain(error: BaseException) -> list[BaseException]:
    """Return an exception and those that are printed above it, the innermost last."""
    chain = [error]
    while True:
        last = chain[-1]
        above = last.__cause__ or (None if last.__suppress_context__ else last.__context__)
        if above is None or any(above is e for e in chain):
            return chain
        chain.append(above)
