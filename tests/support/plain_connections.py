"""Static connections in plain Python integers and floats, one synapse at a time, to compare models with."""

from __future__ import annotations

import numpy as np

from lahar.processes import SignMode

EIGHT_BITS = {SignMode.MIXED: (-256, 255), SignMode.EXCITATORY: (0, 255), SignMode.INHIBITORY: (-255, 0)}


def wrap(number, bits=32):
    """Return what remains of an integer in two's complement."""
    return (number + 2 ** (bits - 1)) % 2**bits - 2 ** (bits - 1)


def shifted(total, exponent, bits):
    """Shift a sum in a word of `bits` bits: left it wraps, right it rounds down."""
    return wrap(total << exponent, bits) if exponent > 0 else total >> -exponent


def sign_mode_of(values):
    if min(values, default=0) >= 0:
        return SignMode.EXCITATORY
    return SignMode.INHIBITORY if max(values) <= 0 else SignMode.MIXED


def held(weight, mode, num_weight_bits, clips):
    """Return what the hardware holds of a weight."""
    weight = int(weight)
    if clips:
        low, high = EIGHT_BITS.get(mode, (0, 255))
        weight = min(max(weight, low), high)
    unit = 2 ** (8 - num_weight_bits + (mode is SignMode.MIXED))
    return -(-weight // unit * unit) if mode is SignMode.INHIBITORY else weight // unit * unit


class PlainConnection:
    """A connection of any kind.

    Parameters
    ----------
    kind : str
        Name of the Process class.
    weights : ndarray, shape (m, n)
    delays : ndarray of int, shape (m, n)
    stored : ndarray of bool, shape (m, n)
        Which synapses exist.
    tag : str
    options : dict
        Keyword arguments of the Process.
    """

    def __init__(self, kind, weights, delays, stored, tag, options):
        self.kind, self.delays, self.stored = kind, delays, stored
        self.fixed = tag != "floating_pt"
        self.exponent = options.get("weight_exp", 0)
        self.graded = options.get("num_message_bits", 0) > 0
        self.depth = options.get("max_delay", 0) or (int(delays.max()) if delays.size else 0)
        self.buffer = [[0] * weights.shape[0] for _ in range(self.depth + 1)]
        learns = kind.startswith("Learning")
        if self.fixed:
            exact = weights if "Sparse" in kind else np.trunc(weights)
            mode = options.get("sign_mode") or (
                SignMode.MIXED if learns else sign_mode_of(exact.ravel().tolist())
            )
            bits = options.get("num_weight_bits", 8)
            self.weights = [[held(w, mode, bits, not learns) for w in row] for row in weights.tolist()]
        else:
            self.weights = weights.tolist()

    def step(self, spikes):
        """Return what is sent, and take note of `spikes` (a list)."""
        sent, *self.buffer = [*self.buffer, [0] * len(self.weights)]
        for delay in sorted(set(self.delays.ravel().tolist())):
            if delay <= self.depth:
                for i in range(len(self.weights)):
                    self.buffer[delay][i] = self.added(self.buffer[delay][i], self.total(i, delay, spikes))
        return [wrap(value) for value in sent] if self.fixed else sent

    def total(self, i, delay, spikes):
        """Return what arrives at output i over the synapses of one delay."""
        total, word = 0, self.word()
        for j, spike in enumerate(spikes):
            if spike and self.stored[i, j] and self.delays[i, j] == delay:
                product = self.weights[i][j] * (spike if self.graded else 1)
                if self.fixed:
                    product = wrap(product, 32 if self.graded else word)
                total = wrap(total + product, word) if self.fixed else total + product
        return shifted(total, self.exponent, word) if self.fixed else total

    def word(self):
        """Return in how many bits sums are formed and shifted."""
        if self.kind == "DelaySparse":
            return 32
        return 64 if self.kind == "DelayDense" or not self.graded else 32

    def added(self, buffered, total):
        if not self.fixed:
            return buffered + total
        return wrap(buffered + total) if self.kind.startswith("Delay") else total
