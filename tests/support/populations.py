"""Running one population with given inputs, and what is left of it in the end."""

from __future__ import annotations

import numpy as np

from lahar.processes import SinkRingBuffer, SourceRingBuffer
from lahar.runtime import Loihi2SimCfg, RunSteps


class Trial:
    """A Process between sources and sinks, run inline.

    Parameters
    ----------
    process : AbstractProcess
    inputs : dict of str to array_like, shape (*S, T)
        By name of the in-port.
    tag : str or None
    outputs : list of str, optional
        Out-ports to record; all by default.
    """

    def __init__(self, process, inputs, tag="floating_pt", outputs=None):
        self.process = process
        self.config = Loihi2SimCfg(select_tag=tag, launcher="inline")
        self.steps = max(np.shape(data)[-1] for data in inputs.values()) if inputs else 1
        for port, data in inputs.items():
            SourceRingBuffer(data=data).s_out.connect(getattr(process, port))
        self.sinks = {}
        for port in process.out_ports if outputs is None else map(process.out_ports.__getitem__, outputs):
            self.sinks[port.name] = SinkRingBuffer(shape=port.shape, buffer=256)
            port.connect(self.sinks[port.name].a_in)

    def run(self, steps=None):
        """Run on, for as long as there is input unless `steps` says otherwise."""
        self.process.run(condition=RunSteps(num_steps=steps or self.steps), run_cfg=self.config)
        return self

    def sent(self, port="s_out"):
        """Return all messages of an out-port, with time as the last axis."""
        return self.sinks[port].data.get()[..., : self.process.runtime.step]

    def state(self):
        """Return all Vars by name."""
        return {var.name: var.get() for var in self.process.vars}

    def __enter__(self):
        return self

    def __exit__(self, *exc_info):
        self.process.stop()
