"""Messages between sparse ports: the same in one worker and between two."""

from __future__ import annotations

import numpy as np
import pytest
from setups import config, every_setup
from support.sparse_nodes import Lister, Listing, PeekingListing

from lahar.processes.errors import ModelError
from lahar.runtime import RunSteps

STEPS, SIZE = 20, 40


def rows(seed, tag):
    rng = np.random.default_rng(seed)
    data = (
        rng.standard_normal((STEPS, SIZE)) if tag == "floating_pt" else rng.integers(-999, 999, (STEPS, SIZE))
    )
    return {
        "data": data,
        "indices": rng.integers(0, SIZE, (STEPS, SIZE)),
        "counts": rng.integers(0, SIZE + 1, STEPS),
    }


@pytest.mark.usefixtures("pool")
@every_setup
@pytest.mark.parametrize("tag", ["floating_pt", "fixed_pt"])
@pytest.mark.parametrize("capacity", [1, 3, 64])
def test_listed_elements_arrive_with_every_bit(setup, tag, capacity):
    """Two senders, one of them over virtual ports; the receiver peeks or not."""
    a, b = rows(1, tag), rows(2, tag)
    first, second = Lister(shape=(SIZE,), **a), Lister(shape=(8, 5), **b)
    kind = PeekingListing if setup.endswith("lockstep") else Listing
    sink = kind(shape=(SIZE,), steps=STEPS, width=2 * SIZE)
    first.s_out.connect(sink.s_in)
    second.s_out.transpose().flatten().connect(sink.s_in)
    with sink:
        sink.run(
            RunSteps(STEPS), config(setup, select_tag=tag), compile_config={"pypy_channel_size": capacity}
        )
        counts, data, indices = sink.counts.get(), sink.data.get(), sink.indices.get()
    table = np.argsort(np.arange(SIZE).reshape(8, 5).T.ravel())
    assert counts.tolist() == (a["counts"] + b["counts"]).tolist()
    for t in range(STEPS):
        m, n = a["counts"][t], b["counts"][t]
        assert data[t, : m + n].tolist() == [*a["data"][t, :m], *b["data"][t, :n]]
        assert indices[t, : m + n].tolist() == [*a["indices"][t, :m], *table[b["indices"][t, :n]]]


@pytest.mark.usefixtures("pool")
@every_setup
def test_packed_words_arrive_as_they_are(setup):
    rng = np.random.default_rng(3)
    data, words = rng.integers(-(2**15), 2**15, (5, 4)), rng.integers(-(2**31), 2**31, (5, 4))
    source = Lister(shape=(4,), data=data, indices=words, counts=[4, 0, 1, 2, 3], packed=True)
    sink = Listing(shape=(4,), steps=5)
    source.s_out.connect(sink.s_in)
    with sink:
        sink.run(RunSteps(5), config(setup, select_tag="fixed_pt"))
        for t, count in enumerate([4, 0, 1, 2, 3]):
            assert sink.counts.get()[t] == count
            assert sink.data.get()[t, :count].tolist() == data[t, :count].tolist()
            assert sink.indices.get()[t, :count].tolist() == words[t, :count].tolist()


@pytest.mark.usefixtures("pool")
@every_setup
def test_a_wrong_index_is_an_error_of_its_model(setup):
    source = Lister(shape=(4,), data=[[1.0], [1.0]], indices=[[3], [4]], counts=[1, 1], name="source")
    sink = Listing(shape=(4,), steps=2)
    source.s_out.connect(sink.s_in)
    with pytest.raises(
        ModelError, match=r"'source\.s_out'\.send\(\): index 4 in a port of 4 elements"
    ) as caught:
        sink.run(RunSteps(2), config(setup, select_tag="floating_pt"))
    assert caught.value.time_step == 2
    sink.stop()
