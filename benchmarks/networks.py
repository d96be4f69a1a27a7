"""The networks that the benchmarks run."""

from __future__ import annotations

from typing import Any

import numpy as np

from lahar.processes import LIF, Dense, LearningDense, Monitor, SourceRingBuffer, STDPLoihi


def tutorial(tag: str, steps: int) -> dict[str, Any]:
    """Return the STDP tutorial network with its five monitors."""
    rng = np.random.default_rng(123)
    decay = 1 if tag == "floating_pt" else 4095
    net: dict[str, Any] = {}
    for side in ("pre", "post"):
        raster = (rng.random((1, 200)) < 0.03).astype(int)
        net[f"pattern_{side}"] = SourceRingBuffer(data=raster)
        net[f"conn_{side}"] = Dense(weights=np.eye(1) * 250, name=f"conn_{side}")
        net[f"lif_{side}"] = LIF(shape=(1,), du=decay, dv=decay, vth=240, name=f"lif_{side}")
        net[f"pattern_{side}"].s_out.connect(net[f"conn_{side}"].s_in)
        net[f"conn_{side}"].a_out.connect(net[f"lif_{side}"].a_in)
    rule = STDPLoihi(
        learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=4, rng_seed=1959667321
    )
    plastic = LearningDense(weights=np.array([[50.0]]), learning_rule=rule, name="plastic_dense")
    net["plastic"] = plastic
    net["lif_pre"].s_out.connect(plastic.s_in)
    plastic.a_out.connect(net["lif_post"].a_in)
    net["lif_post"].s_out.connect(plastic.s_in_bap)
    for target in (plastic.x1, plastic.y1, net["lif_pre"].s_out, net["lif_post"].s_out, plastic.weights):
        monitor = Monitor(name=f"monitor_{target.process.name}_{target.name}")
        monitor.probe(target, steps)
        net[monitor.name] = monitor
    return net


def chain(processes: int, neurons: int = 100) -> list[Any]:
    """Return LIF - Dense - LIF - ... with `processes` members; about one neuron in fifty spikes per step."""
    rng = np.random.default_rng(0)
    members: list[Any] = []
    for k in range(processes):
        if k % 2 == 0:
            lif = LIF(shape=(neurons,), vth=10.0, du=0.1, dv=0.1, bias_mant=1.0 + 0.2 * rng.random(neurons))
            members.append(lif)
            if k:
                members[-2].a_out.connect(lif.a_in)
        else:
            dense = Dense(weights=rng.normal(0, 0.01, (neurons, neurons)))
            members[-1].s_out.connect(dense.s_in)
            members.append(dense)
    return members


def bare_chain(processes: int, steps: int, neurons: int = 100) -> int:
    """Compute the chain with nothing but greenlets and numpy, the least an actor runtime can do.

    Every actor is a greenlet that waits for its input in a list and is switched to once per step.
    Returns the number of spikes of the last LIF, so that nothing is optimised away.
    """
    from greenlet import greenlet

    rng = np.random.default_rng(0)
    queues: list[list[Any]] = [[] for _ in range(processes + 1)]
    hub: Any = None
    spikes = 0

    def lif(k: int) -> None:
        nonlocal spikes
        bias = 1.0 + 0.2 * rng.random(neurons)
        u, v = np.zeros(neurons), np.zeros(neurons)
        while True:
            a = queues[k].pop() if k else 0.0
            u[:] = u * 0.9 + a
            v[:] = v * 0.9 + u + bias
            s = v > 10.0
            v[s] = 0.0
            if k == processes - 1:
                spikes += int(np.count_nonzero(s))
            queues[k + 1].append(s.astype(float))
            hub.switch()

    def dense(k: int) -> None:
        weights = rng.normal(0, 0.01, (neurons, neurons))
        buffered = np.zeros(neurons)
        while True:
            queues[k + 1].append(buffered)
            where = np.flatnonzero(queues[k].pop())
            buffered = weights[:, where].sum(axis=1) if where.size else np.zeros(neurons)
            hub.switch()

    actors = [greenlet(dense if k % 2 else lif) for k in range(processes)]

    def run() -> None:
        for k, actor in enumerate(actors):
            actor.switch(k)
        for _ in range(steps - 1):
            for actor in actors:
                actor.switch()
            queues[-1].clear()

    hub = greenlet(run)
    hub.switch()
    return spikes
