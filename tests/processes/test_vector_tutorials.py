"""The vector-algebra networks that tutorials of Lava use, with the numbers that they print in simulation."""

import numpy as np
import pytest

from lahar.processes.networks import (
    AlgebraicVector,
    GradedDense,
    GradedSparse,
    GradedVec,
    InputVec,
    NormalizeNet,
    OutputVec,
    ProductVec,
)
from lahar.runtime import Loihi2SimCfg, RunSteps

# that weights are cut to 8 bits is no reason to warn
pytestmark = pytest.mark.filterwarnings("error::lahar.processes.errors.LaharWarning")

W1 = np.array([[8, 9, 8, 8], [9, 8, -10, -10], [-7, -5, -4, -3]]) / 10
W2 = np.array([[3, 0, 6, -5], [-5, -2, 8, 7], [4, -10, -4, -7]]) / 10


def pulses(vector, columns, factors, steps):
    """Multiples of a vector at some columns, zeros elsewhere."""
    data = np.zeros((len(vector), steps))
    data[:, columns] = np.outer(vector, factors)
    return InputVec(data)


def outcome(vec, shape, steps, run):
    out = OutputVec(shape=shape, buffer=steps)
    out << vec
    run.run(
        condition=RunSteps(num_steps=steps), run_cfg=Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    )
    run.stop()
    return out.get_data()


def inputs(vector):
    return pulses(vector, [1, 3, 5, 7, 9], 4 ** np.arange(5), 16)


@pytest.mark.parametrize("kind", [GradedDense, GradedSparse])
def test_dot_product(kind):
    vec = GradedVec(shape=(3,), vth=1)
    vec << kind(weights=W1, exp=7) @ inputs([40, 30, 20, 10])
    found = outcome(vec, (3,), 16, vec)
    assert found[:, [2, 4, 6, 8, 10]].tolist() == [
        [82, 330, 1320, 5280, 21120],
        [29, 118, 472, 1890, 7560],
        [-55, -217, -868, -3470, -13880],
    ]
    assert np.count_nonzero(found) == 15


def test_sum_of_dot_products():
    vec = GradedVec(shape=(3,), vth=1)
    first, second = inputs([40, 30, 20, 10]), inputs([50, -50, 20, -20])
    vec << GradedDense(weights=W1) @ first + GradedDense(weights=W2) @ second
    assert outcome(vec, (3,), 16, vec)[:, [2, 4, 6, 8, 10]].tolist() == [
        [118, 476, 1907, 7630, 30520],
        [16, 67, 269, 1080, 4320],
        [20, 84, 339, 1360, 5440],
    ]


FACTORS = np.array([[2, 6, 10, -2, -6], [4, 8, 12, -4, 8]]) / 16


def test_product():
    vec = ProductVec(shape=(5,), vth=1, exp=0)
    d1, d2 = (GradedDense(weights=f[:, None], exp=7) for f in FACTORS)
    vec << (d1 @ pulses([16], [2, 6], [1, 2], 10), d2 @ pulses([16], [2, 6], [1, 2], 10))
    found = outcome(vec, (5,), 10, vec)
    assert found[:, [3, 7]].T.tolist() == [[8, 48, 120, 8, -48], [32, 192, 480, 32, -192]]


def test_product_of_vectors():
    v1, v2, out = (GradedVec(shape=(5,), vth=1, exp=0) for _ in range(3))
    for vec, factors in ((v1, FACTORS[0]), (v2, FACTORS[1])):
        vec << GradedDense(weights=factors[:, None], exp=7) @ pulses([16], [2, 6], [1, 2], 10)
    out << v1 * v2
    found = outcome(out, (5,), 10, out)
    assert found[:, [5, 9]].T.tolist() == [[8, 48, 120, 8, -48], [32, 192, 480, 32, -192]]


def test_isolated_vectors_are_not_normalised():
    weights = np.random.default_rng(0).integers(-60, 60, (10, 1)) / 128
    for matched, expected in ((False, 0), (True, 4)):
        net = NormalizeNet(shape=(10,), matched_delays=matched)
        net << GradedDense(weights=weights) @ pulses([160], [2, 5, 8, 11], [1, 2, 4, 8], 20)
        found = outcome(net, (10,), 20, net)
        assert np.count_nonzero(found.any(axis=0)) == expected


class MemoryBuffer(AlgebraicVector):
    """A shift register."""

    def __init__(self, shape):
        self.shape = shape
        self.main = GradedVec(shape=shape, vth=1)
        self.buf_weights = GradedSparse(weights=np.roll(np.eye(shape[0]), 1, axis=0))
        self.main << self.buf_weights @ self.main
        self.in_port, self.out_port = self.main.in_port, self.main.out_port


def test_memory():
    memory = MemoryBuffer(shape=(50,))
    first = np.zeros((50, 1))
    first[0] = 1
    memory << GradedDense(weights=first, exp=6) @ pulses([1], [1, 3, 5, 7, 9, 11], 2 ** np.arange(1, 7), 20)
    found = outcome(memory, (50,), 20, memory)
    assert found[[17, 15, 13, 11, 9, 7], -1].tolist() == [2, 4, 8, 16, 32, 64]
    assert np.count_nonzero(found[:, -1]) == 6
