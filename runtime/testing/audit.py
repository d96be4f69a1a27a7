"""Independent accounts: of what was put into each channel and came out, and of what models asked for."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from lahar.compiler.plan import Plan
from lahar.runtime.pipes import PipeInbox, PipeOutbox
from lahar.runtime.sequencer import Need

from .processes import AskerModel
from .world import SimulationFailure


class ChannelAudit:
    """Watches all channels of a Plan at the ports of the models (G1).

    Parameters
    ----------
    plan : Plan

    Attributes
    ----------
    taken : int
        Messages that have been received.
    """

    def __init__(self, plan: Plan) -> None:
        self.taken = 0
        self._plan = plan
        self._accounts = {c.id: _Account(plan.channel_name(c), c.capacity) for c in plan.channels}

    def watch(self, engine: Any) -> None:
        """Put an account between the ports and the channels of a worker."""
        actors = {actor.number: actor.model for actor in engine.actors}
        for number, model in actors.items():
            outgoing: dict[str, list[_Account]] = {}
            incoming: dict[str, list[_Account]] = {}
            for channel in self._plan.channels:
                account = self._accounts[channel.id]
                if channel.source[0] == number:
                    outgoing.setdefault(channel.source[1], []).append(account)
                if channel.destination[0] == number:
                    incoming.setdefault(channel.destination[1], []).append(account)
            for name, accounts in outgoing.items():
                _watch_sender(getattr(model, name), accounts)
            for name, accounts in incoming.items():
                self._watch_receiver(getattr(model, name), accounts)

    def _watch_receiver(self, port: Any, accounts: list[_Account]) -> None:
        plain = port._get is not None
        k = 0
        for n, channel in enumerate(port.csp_ports):
            if not isinstance(channel, PipeInbox):
                port.csp_ports[n] = _WatchedReceiver(channel, accounts[k], self)
                k += 1
        if plain:
            port._get = port.csp_ports[0].get


class RequestAudit:
    """Watches what models ask for: a run ends with a pause if one was asked for, and no stop is forgotten."""

    def __init__(self) -> None:
        self._made: list[str] = []
        self._open_stop = False

    def watch(self, engine: Any) -> None:
        """Note what the models of a worker ask for from now on."""
        for actor in engine.actors:
            if isinstance(actor.model, AskerModel):
                actor.model.asked = self._made

    def check_end(self, wish: Need) -> None:
        """Compare how a run has ended with what was asked for in it, and with what was open before.

        Raises
        ------
        SimulationFailure
            Something else was served, or nothing.
        """
        made = {*self._made, *(["stop"] if self._open_stop else [])}
        self._made.clear()
        expected = Need.PAUSE if "pause" in made else Need.STOP if made else Need.NOTHING
        self._open_stop = len(made) == 2
        if wish is not expected:
            raise SimulationFailure(f"the run ended with {wish!r}, models asked for {sorted(made)}")


def _watch_sender(port: Any, accounts: list[_Account]) -> None:
    k = 0
    for n, channel in enumerate(port.csp_ports):
        if not isinstance(channel, PipeOutbox):
            port._puts[n] = accounts[k].watched(port._puts[n])
            k += 1


class _Account:
    """Messages that were put into a channel and have not been taken."""

    def __init__(self, name: str, capacity: int) -> None:
        self.name = name
        self._capacity = capacity
        self._messages: deque[bytes] = deque()

    def watched(self, put: Callable[[Any], None]) -> Callable[[Any], None]:
        def watched_put(message: Any) -> None:
            self._messages.append(message.tobytes())
            put(message)
            if len(self._messages) > self._capacity:
                raise SimulationFailure(
                    f"{self.name}: {len(self._messages)} messages in a channel for {self._capacity}"
                )

        return watched_put

    def check(self, message: Any, take: bool) -> None:
        if not self._messages:
            raise SimulationFailure(f"{self.name}: a message came out that was never put in")
        expected = self._messages.popleft() if take else self._messages[0]
        if message.tobytes() != expected:
            raise SimulationFailure(f"{self.name}: {message!r} came out, which is not the oldest message")


class _WatchedReceiver:
    """A channel as its receiver sees it."""

    def __init__(self, channel: Any, account: _Account, audit: ChannelAudit) -> None:
        self._channel = channel
        self._account = account
        self._audit = audit
        self.probe = channel.probe

    def get(self) -> Any:
        message = self._channel.get()
        self._account.check(message, take=True)
        self._audit.taken += 1
        return message

    def peek(self) -> Any:
        message = self._channel.peek()
        self._account.check(message, take=False)
        return message
