"""How long a network runs."""

from __future__ import annotations

from lahar.processes.errors import ValidationError

_MOST = 2**63 - 1  # counted in 64 bits; RunContinuous has no limit


class AbstractRunCondition:
    """Base of run conditions.

    Attributes
    ----------
    blocking : bool
        Whether `run` returns only when the run has ended.
    """

    def __init__(self, blocking: bool) -> None:
        self.blocking = blocking


class RunSteps(AbstractRunCondition):
    """Run a number of time steps.

    Parameters
    ----------
    num_steps : int
        0 or more.
    blocking : bool
        Return from `run` at once if False; `wait` waits for the end.

    Raises
    ------
    ValidationError
        `num_steps` is negative, no integer, or does not fit into 64 bits.
    """

    def __init__(self, num_steps: int, blocking: bool = True) -> None:
        if isinstance(num_steps, bool) or not hasattr(num_steps, "__index__") or num_steps < 0:
            raise ValidationError(
                f"a non-negative integer expected, not {num_steps!r}.", "RunSteps.num_steps"
            )
        super().__init__(blocking)
        self.num_steps = int(num_steps)
        if self.num_steps > _MOST:
            raise ValidationError(
                f"at most {_MOST} steps can be counted, not {num_steps}; RunContinuous() has no end.",
                "RunSteps.num_steps",
            )


class RunContinuous(AbstractRunCondition):
    """Run until `pause` or `stop`; never blocks."""

    def __init__(self) -> None:
        super().__init__(blocking=False)
