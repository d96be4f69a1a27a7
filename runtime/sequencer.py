"""The order of phases in a run: a pure state machine, used by the service (lockstep) and by workers.

========== ==========================================================================================
phase      who takes part
========== ==========================================================================================
SPK        every actor, every time step
PRE_MGMT   if an actor had both `lrn_guard` and `pre_guard`; then every actor whose `pre_guard` is true
LRN        after PRE_MGMT, or if an actor's `lrn_guard` was true
POST_MGMT  if an actor's `post_guard` was true
========== ==========================================================================================

What actors ask for is remembered until it is served, in this order: PRE_MGMT, LRN, POST_MGMT, pause,
stop. An actor that asks for pause or stop gives up its own wish for phases of that step.

A request for pause or stop ends the run for all sync domains and asynchronous actors, whoever made it. If both
are asked for in one run, it ends with a pause, and the next run executes no step and stops (`Wishes`).
"""

from __future__ import annotations

from enum import IntFlag

from lahar.processes.model import Phase


class Need(IntFlag):
    """What actors ask for at the end of a phase."""

    NOTHING = 0
    PRE = 1
    LRN = 2
    POST = 4
    PAUSE = 8
    STOP = 16


class Wishes:
    """Requests for pause and stop, of all sync domains and asynchronous actors of a network.

    They ask independently of each other, so that several requests may meet in one run. A pause is served before a
    stop, which then is open when the next run begins.
    """

    def __init__(self) -> None:
        self._open = Need.NOTHING

    def add(self, wishes: Need) -> None:
        """Note what was asked for, ``PAUSE | STOP`` for both."""
        self._open |= wishes

    @property
    def next(self) -> Need:
        """What is served at the end of the run; NOTHING if nothing is open."""
        return Need.PAUSE if self._open & Need.PAUSE else self._open

    def serve(self) -> Need:
        """Return what is served now and forget it."""
        served = self.next
        self._open &= ~served
        return served


# Plain integers for the code that runs in every phase: arithmetic with flags costs a microsecond each.
PRE, LRN, POST, PAUSE, STOP = (int(need) for need in (Need.PRE, Need.LRN, Need.POST, Need.PAUSE, Need.STOP))
_SERVED = ((PRE, Phase.PRE_MGMT), (LRN, Phase.LRN), (POST, Phase.POST_MGMT))


class Sequencer:
    """Decides which phase comes next.

    Attributes
    ----------
    step : int
        Present time step; 0 before the first.
    limit : int
        Last time step to execute.
    """

    def __init__(self) -> None:
        self.step = 0
        self.limit = 0
        self._open = 0

    def add(self, needs: int) -> None:
        """Remember what was asked for at the end of a phase."""
        self._open |= needs

    def take_wishes(self) -> Need:
        """Return the requests for pause and stop and forget them."""
        wishes = self._open & (PAUSE | STOP)
        self._open ^= wishes
        return Need(wishes)

    @property
    def may_begin_step(self) -> bool:
        """Whether the next phase, if there is one, begins a time step."""
        return not self._open and self.step < self.limit

    def next(self) -> Phase | None:
        """Return the next phase, having advanced `step` if it is SPK; None when the run halts here."""
        needs = self._open
        if needs:
            for need, phase in _SERVED:
                if needs & need:
                    self._open = needs & ~need
                    return phase
            return None
        if self.step >= self.limit:
            return None
        self.step += 1
        return Phase.SPK
