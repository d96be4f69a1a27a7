"""Connections between a source and a sink, to be run in pieces."""

from __future__ import annotations

import numpy as np

from lahar.processes import SinkRingBuffer, SourceRingBuffer
from lahar.runtime import Loihi2SimCfg, RunSteps


def config(select_tag):
    return Loihi2SimCfg(select_tag=select_tag, launcher="inline")


class Experiment:
    """Source -> connection -> sink, run in pieces."""

    def __init__(self, connection, data, select_tag):
        self.connection, self.select_tag = connection, select_tag
        self.source = SourceRingBuffer(data=np.asarray(data))
        self.sink = SinkRingBuffer(shape=connection.a_out.shape, buffer=100)
        self.source.s_out.connect(connection.s_in)
        connection.a_out.connect(self.sink.a_in)
        self.steps = 0

    def run(self, steps):
        """Return what arrived in these steps, with time as the first axis."""
        self.connection.run(condition=RunSteps(num_steps=steps), run_cfg=config(self.select_tag))
        self.steps += steps
        return self.sink.data.get()[:, self.steps - steps : self.steps].T

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.connection.stop()


def outputs(connection, data, select_tag):
    """Return the outputs in the steps after each input."""
    data = np.asarray(data)
    with Experiment(
        connection, np.hstack([data, np.zeros((len(data), 1), data.dtype)]), select_tag
    ) as experiment:
        received = experiment.run(data.shape[1] + 1)
    assert not received[0].any()  # the first message is the initial buffer
    return received[1:]


def wrap32(x):
    return (x + 2**31) % 2**32 - 2**31
