"""One of each Process of the library, constructed with no more than it needs."""

from __future__ import annotations

import numpy as np

import lahar.processes as library
from lahar.processes import LIF, AbstractProcess, ChannelConfig, ReceiveEmpty, STDPLoihi

RF_ARGUMENTS = {"shape": (2,), "period": 5, "alpha": 0.1, "decay_bits": 12}
WEIGHTS = np.array([[2, 4, 6], [8, 10, 12]])
DATASET = [(np.ones((2, 3), int), 1), (np.zeros((2, 3), int), 2)]


def rule(t_epoch=1):
    return STDPLoihi(
        learning_rate=1, A_plus=1, A_minus=-1, tau_plus=10, tau_minus=10, t_epoch=t_epoch, rng_seed=1
    )


# What classes need besides a shape.
ARGUMENTS = {
    "BitCheck": {"layerid": 1},
    "Allocator": {"n_protos": 2},
    "Conv": {"weight": np.ones((1, 2, 2, 1)), "input_shape": (3, 3, 1)},
    "ConvInTime": {"weights": np.ones((2, 2, 3), int)},
    "DelayDense": {"weights": WEIGHTS, "delays": 1},
    "DelaySparse": {"weights": WEIGHTS, "delays": 1},
    "Delta": {"shape": (2,), "vth": 1},
    "DeltaEncoder": {"shape": (2,), "vth": 1},
    "Dense": {"weights": WEIGHTS},
    "Injector": {
        "shape": (2,),
        "channel_config": ChannelConfig(receive_empty=ReceiveEmpty.NON_BLOCKING_ZEROS),
    },
    "InvSqrt": {"shape": (1,)},
    "LearningDense": {"weights": WEIGHTS},
    "LearningSparse": {"weights": WEIGHTS},
    "NoveltyDetector": {"t_wait": 1},
    "RF": RF_ARGUMENTS,
    "RF_IZ": RF_ARGUMENTS,
    "RFZero": {"shape": (2,), "freqs": 5.0, "decay_tau": 1.0},
    "Read": {"buffer": 2},
    "Readout": {"n_protos": 2},
    "S4d": {"shape": (2,), "a": 0.5, "b": 1, "c": 1},
    "SigmaDelta": {"shape": (2,), "vth": 1},
    "SigmaS4dDelta": {"shape": (2,), "vth": 1, "a": 0.5, "b": 1, "c": 1},
    "SigmaS4dDeltaLayer": {"shape": (2,), "vth": 1, "a": 0.5, "b": 1, "c": 1},
    "SinkRingBuffer": {"shape": (2,), "buffer": 3},
    "SourceRingBuffer": {"data": np.ones((2, 3), int)},
    "Sparse": {"weights": WEIGHTS},
    "SpikeDataloader": {"dataset": DATASET, "interval": 3},
    "StateDataloader": {"dataset": [(np.array([1, 2]), 1)], "interval": 3},
}
NO_ARGUMENTS = (
    *("IdBroadcast", "Monitor", "Receiver", "Receiver32Bit", "Reset", "Spiker", "Spiker32bit"),
    "VarWire",
)

# What users subclass, and what has no members of its own.
ABSTRACT = ("AbstractProcess", "LearningConnectionProcess", "LearningNeuronProcess")
# These watch or write a Var of another Process, given by connect_var().
WATCHING = ("BitCheck", "Read", "Reset", "StateDataloader", "VarWire")

PROCESSES = [
    name
    for name in library.__all__
    if isinstance(getattr(library, name), type)
    and issubclass(getattr(library, name), AbstractProcess)
    and name not in ABSTRACT
]


def construct(name, **more):
    """Return a new Process of the exported class `name`."""
    arguments = {} if name in NO_ARGUMENTS else ARGUMENTS.get(name, {"shape": (2,)})
    arguments = {**arguments, **more}
    if name.startswith("Learning") and "weights" in arguments:
        arguments.setdefault("learning_rule", rule())
    process = getattr(library, name)(**arguments)
    if name in WATCHING:
        process.connect_var(LIF(shape=(2,)).v)
    return process
