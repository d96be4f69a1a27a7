"""What leads out of a worker: channels to other workers, pipes to the host, messages of references."""

from __future__ import annotations

from typing import Any

import numpy as np

from lahar.compiler.plan import ChannelSpec, PipeSpec, Plan
from lahar.processes.errors import RemoteProtocolError

from .channels import Inbox, Outbox
from .deadlock import HOST
from .peers import Peer
from .pipes import PipeInbox, PipeOutbox
from .scheduler import Scheduler
from .sockets import HOST_NUMBER
from .wire import ChannelFormat, decode_batch


class WorkerLinks:
    """The ends of channels in one worker; satisfies `engine.Links`.

    Parameters
    ----------
    plan : Plan
    number : int
        The partition of this worker.
    peers : dict of int to Peer
        By partition; `HOST_NUMBER` for the host.

    Attributes
    ----------
    outboxes, inboxes : dict
        By id of the channel or pipe.
    """

    def __init__(self, plan: Plan, number: int, scheduler: Scheduler, peers: dict[int, Peer]) -> None:
        self._plan = plan
        self._number = number
        self._scheduler = scheduler
        self._peers = peers
        self.outboxes: dict[int, Outbox] = {}
        self.inboxes: dict[int, Inbox] = {}
        self._formats: dict[int, ChannelFormat] = {}

    def make_outbox(self, channel: ChannelSpec, source: str, destination: str) -> Outbox:
        peer = self._peers[self._plan.partition[channel.destination[0]]]
        peer.add_channel(channel.capacity)
        eager = self._is_async(channel.source[0])
        outbox = Outbox(self._scheduler, peer, channel.id, source, destination, channel.capacity, eager)
        self.outboxes[channel.id] = outbox
        return outbox

    def make_inbox(self, channel: ChannelSpec, source: str, destination: str) -> Inbox:
        peer = self._peers[self._plan.partition[channel.source[0]]]
        dtype = np.dtype(channel.dtype)
        inbox = Inbox(
            self._scheduler, peer, channel.id, source, destination, channel.capacity, channel.shape, dtype
        )
        self.inboxes[channel.id] = inbox
        self._formats[channel.id] = ChannelFormat(channel.shape, dtype, channel.sparse, channel.capacity)
        return inbox

    def make_pipe_inbox(self, pipe: PipeSpec, name: str) -> PipeInbox:
        dtype = np.dtype(pipe.dtype)
        inbox = PipeInbox(
            self._scheduler, self._peers[HOST_NUMBER], pipe.id, HOST, name, pipe.capacity, pipe.shape, dtype
        )
        self.inboxes[pipe.id] = inbox
        self._formats[pipe.id] = ChannelFormat(pipe.shape, dtype, capacity=pipe.capacity)
        return inbox

    def make_pipe_outbox(self, pipe: PipeSpec, name: str) -> PipeOutbox:
        eager = self._is_async(pipe.process)
        outbox = PipeOutbox(
            self._scheduler, self._peers[HOST_NUMBER], pipe.id, name, HOST, pipe.capacity, eager
        )
        self.outboxes[pipe.id] = outbox
        return outbox

    def _is_async(self, process: int) -> bool:
        return self._plan.domains[self._plan.domain[process]].is_async

    def post(self, worker: int, frames: list[Any]) -> None:
        self._peers[worker].post(frames)

    def deliver(self, frames: list[Any]) -> None:
        """Put the messages and credits of a batch where they belong.

        Raises
        ------
        RemoteProtocolError
            The frames are no batch, or more came than there is room for.
        """
        batch = decode_batch(frames, self._formats)
        for channel, message in batch.messages:
            inbox = self.inboxes[channel]
            if inbox.full:
                raise RemoteProtocolError(f"partition {batch.sender} overran channel {channel}")
            inbox.deliver(message)
        for channel, count in batch.credits:
            if channel not in self.outboxes:
                raise RemoteProtocolError(f"partition {batch.sender} returned credit of channel {channel}")
            self.outboxes[channel].add_credit(count)

    def relieve(self) -> None:
        """Return credit that senders wait for."""
        for inbox in self.inboxes.values():
            inbox.relieve()
