"""Every kind of channel as a pair for `check_channel`."""

from __future__ import annotations

import tempfile
from collections import deque
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import zmq
from greenlet import getcurrent

from lahar.compiler.plan import PipeSpec
from lahar.runtime.channels import Inbox, LocalChannel, Outbox
from lahar.runtime.peers import Peer
from lahar.runtime.pipes import HostReceiver, HostSender, PipeInbox, PipeOutbox
from lahar.runtime.scheduler import Scheduler, Wait
from lahar.runtime.sockets import Mailbox, open_socket, unseal
from lahar.runtime.wire import ChannelFormat, decode_batch

SHAPE, DTYPE = (2,), np.dtype(np.int64)
SECRET = b"8 bytes!"
CHANNEL = 7
FORMATS = {CHANNEL: ChannelFormat(SHAPE, DTYPE)}
PATIENCE = 10_000  # ms for a message that is certain to come


class Pair:
    """Two ends with one scheduler."""

    moves = None
    copies = False

    def __init__(self):
        self.scheduler = Scheduler()


@contextmanager
def local(capacity):
    pair = Pair()
    pair.sender = pair.receiver = LocalChannel(pair.scheduler, "a.out", "b.in", capacity)
    yield pair


class Wires:
    """Two one-way connections that keep frames until somebody fetches them."""

    def __init__(self):
        self.under_way = (deque(), deque())

    def outlet(self, way):
        return Wire(self.under_way[way])

    def fetch(self, way):
        return self.under_way[way].popleft() if self.under_way[way] else None


class Wire:
    def __init__(self, frames):
        self._frames = frames

    def send_multipart(self, frames, flags=0, copy=True):
        self._frames.append([bytes(frame) for frame in frames])


class Sockets:
    """The same with ZeroMQ over ipc."""

    def __init__(self, directory):
        self._context = zmq.Context()
        self._boxes = [Mailbox(self._context), Mailbox(self._context)]
        self._outlets = []
        self._expected = [0, 0]
        for way, box in enumerate(self._boxes):
            box.bind(f"ipc://{directory}/{way}")
            socket = open_socket(self._context, zmq.PUSH)
            socket.connect(f"ipc://{directory}/{way}")
            self._outlets.append(socket)

    def outlet(self, way):
        return Counted(self._outlets[way], self._expected, way)

    def fetch(self, way):
        if not self._expected[way]:
            return None
        self._expected[way] -= 1
        frames = self._boxes[way].receive(PATIENCE)
        assert frames is not None, "a message was lost"
        return frames

    def close(self):
        self._context.destroy(linger=0)


class Counted:
    def __init__(self, socket, expected, way):
        self._socket, self._expected, self._way = socket, expected, way

    def send_multipart(self, frames, flags=0, copy=True):
        self._expected[self._way] += 1
        self._socket.send_multipart(frames, flags, copy=copy)


class RemotePair(Pair):
    """Ends that are joined by two Peers; batches leave and arrive when chance wants it."""

    def __init__(self, wires, capacity, outbox=Outbox, inbox=Inbox):
        super().__init__()
        self.wires = wires
        self.peers = [Peer(k, wires.outlet(k), SECRET, None) for k in (0, 1)]
        names = (CHANNEL, "a.out", "b.in", capacity)
        self.sender = outbox(self.scheduler, self.peers[0], *names) if outbox else None
        self.receiver = inbox(self.scheduler, self.peers[1], *names, SHAPE, DTYPE) if inbox else None

    def moves(self, random):
        ways = [0, 1]
        random.shuffle(ways)
        return any(self.move(way, random) for way in ways)

    def flush(self, way):
        if way == 1 and isinstance(self.receiver, Inbox):
            self.receiver.relieve()
        self.peers[way].flush()

    def move(self, way, random):
        if random.random() < 0.5:
            self.flush(way)
        frames = self.wires.fetch(way)
        if frames is None:
            self.flush(way)
            frames = self.wires.fetch(way)
        if frames is None:
            return False
        unseal(frames, SECRET)
        batch = decode_batch(frames, FORMATS)
        for _, message in batch.messages:
            assert not getattr(self.receiver, "full", False), "more than there is room for"
            self.receiver.deliver(message)
        for _, count in batch.credits:
            self.sender.add_credit(count)
        return True


@contextmanager
def remote(capacity):
    yield RemotePair(Wires(), capacity)


@contextmanager
def over_sockets(capacity):
    with tempfile.TemporaryDirectory(prefix="t-", dir="/tmp") as directory:
        sockets = Sockets(Path(directory))
        try:
            yield RemotePair(sockets, capacity)
        finally:
            sockets.close()


class Patient:
    """The host's end of a pipe, whose waits are those of an actor instead of a thread."""

    def __init__(self, end, scheduler, operation):
        self._end, self._scheduler, self._operation = end, scheduler, operation
        self._sleeper = None

    def _wait(self):
        while not self._end.probe():
            self._sleeper = getcurrent()
            self._scheduler.block(Wait("host", self._operation, "peer"))

    def _wake(self):
        self._scheduler.wake(self._sleeper)

    def put(self, message):
        self._wait()
        self._end.send(message)

    def get(self):
        self._wait()
        return self._end.recv()

    def peek(self):
        self._wait()
        return self._end.peek()

    def probe(self):
        return self._end.probe()

    def add_credit(self, count):
        self._end.add_credit(count)
        self._wake()

    def deliver(self, message):
        assert self._end.pending < self._end.size, "more than there is room for"
        self._end.deliver(message)
        self._wake()


def pipe(inward, capacity):
    return PipeSpec(CHANNEL, 0, "port", inward, SHAPE, str(DTYPE), capacity)


class Direct:
    """Stands for the Outbox where the host sends: the peer asks for no more than these."""

    channel = CHANNEL
    sent_bytes = 0


@contextmanager
def from_host(capacity):
    pair = RemotePair(Wires(), capacity, outbox=None, inbox=PipeInbox)
    end = HostSender(pipe(True, capacity), "a.in", lambda _, message: pair.peers[0].add(Direct(), message))
    pair.sender, pair.copies = Patient(end, pair.scheduler, "send"), True
    yield pair


@contextmanager
def to_host(capacity):
    pair = RemotePair(Wires(), capacity, outbox=PipeOutbox, inbox=None)
    end = HostReceiver(pipe(False, capacity), "a.out", pair.peers[1].return_credit)
    pair.receiver = Patient(end, pair.scheduler, "recv")
    pair.sender.put, pair.copies = pair.sender.put, False
    yield pair


EVERY_KIND = [local, remote, over_sockets, from_host, to_host]
