"""Random numbers of the fixed-point engine.

One number per stream and step serves all neurons, synapses, traces and targets of a connection. A stream is
addressed by its index (0, 1, ...), so that the numbers of a time step do not depend on what was drawn before
and are the same in every shard of a connection.
"""

from __future__ import annotations

import numpy as np

_BLOCK = 128


class _Stream:
    """Draws of one seeded generator, by index; cheap when the index grows slowly."""

    def __init__(self, seed: int) -> None:
        self._seed = seed
        self._block = -1
        self._values: list = []
        self._generator = np.random.default_rng(seed)

    def __getitem__(self, index: int):
        block, offset = divmod(index, _BLOCK)
        if block != self._block:
            self._move_to(block)
        return self._values[offset]

    def _move_to(self, block: int) -> None:
        if block < self._block:
            self._generator = np.random.default_rng(self._seed)
            self._block = -1
        while self._block < block:
            self._values = self._draw(_BLOCK).tolist()
            self._block += 1

    def _draw(self, count: int) -> np.ndarray:
        raise NotImplementedError


class _Uniform(_Stream):
    def _draw(self, count: int) -> np.ndarray:
        return self._generator.random(count)


class _SevenBits(_Stream):
    def _draw(self, count: int) -> np.ndarray:
        return self._generator.integers(0, 128, size=count, dtype=np.int64)


class AbstractRandomGenerator:
    """Base of the generators of a connection.

    Attributes
    ----------
    index : int
        Number of draws already passed by; 0 after construction.
    """

    def __init__(self) -> None:
        self.index = 0

    def advance(self) -> None:
        """Go on to the next number of every stream."""
        self.index += 1


class TraceRandom(AbstractRandomGenerator):
    """Random numbers for the traces of one side, pre- or postsynaptic.

    Parameters
    ----------
    seed_trace_decay, seed_impulse_addition : int
        Seeds of `numpy.random.default_rng`, not negative.
    """

    def __init__(self, seed_trace_decay: int = 0, seed_impulse_addition: int = 1) -> None:
        super().__init__()
        self.decay = _Uniform(seed_trace_decay)
        self.impulse = _SevenBits(seed_impulse_addition)

    @property
    def random_trace_decay(self) -> float:
        """Uniform in [0, 1)."""
        return self.decay[self.index]

    @property
    def random_impulse_addition(self) -> int:
        """Integer in 0..127."""
        return self.impulse[self.index]


class ConnVarRandom(AbstractRandomGenerator):
    """Random numbers for rounding weights and tags.

    Parameters
    ----------
    seed_stochastic_rounding : int
        Seed of `numpy.random.default_rng`, not negative.
    """

    def __init__(self, seed_stochastic_rounding: int = 2) -> None:
        super().__init__()
        self.rounding = _Uniform(seed_stochastic_rounding)

    @property
    def random_stochastic_round(self) -> float:
        """Uniform in [0, 1)."""
        return self.rounding[self.index]
