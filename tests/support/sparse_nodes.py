"""User-defined processes with sparse ports.

In a module of its own, so that workers can import it without the test tools.
"""

from __future__ import annotations

import numpy as np

from lahar.processes import AbstractProcess, InPort, OutPort, Var
from lahar.processes.model import (
    CPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
    tag,
)

ROWS = 64


class Lister(AbstractProcess):
    """Sends listed elements: in step t the first ``counts[t - 1]`` of a row of `data` and `indices`."""

    def __init__(self, *, shape, data, indices, counts, packed=False, **kwargs):
        super().__init__(packed=packed, **kwargs)
        self.s_out = OutPort(shape)
        self.data = Var(np.shape(data), data)
        self.indices = Var(np.shape(indices), indices)
        self.counts = Var(np.shape(counts), counts)


class Listing(AbstractProcess):
    """Writes down the messages it takes: how many elements, which, where."""

    def __init__(self, *, shape, steps, width=ROWS, **kwargs):
        super().__init__(**kwargs)
        self.s_in = InPort(shape)
        self.counts = Var((steps,), -1)
        self.data = Var((steps, width), 0)
        self.indices = Var((steps, width), 0)


class PeekingListing(Listing):
    """Looks at each message before it takes it."""


# --- models ---------------------------------------------------------------------------------


class ListerModel(PyLoihiProcessModel):
    indices: np.ndarray = LavaPyType(np.ndarray, np.int64)
    counts: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        t = self.time_step - 1
        count = self.counts[t]
        data, indices = self.data[t, :count], self.indices[t, :count]
        if self.proc_params["packed"]:
            self.s_out.send_packed(data, indices)
        else:
            self.s_out.send(data, indices=indices)


@implements(proc=Lister, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatListerModel(ListerModel):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_SPARSE, float)
    data: np.ndarray = LavaPyType(np.ndarray, float)


@implements(proc=Lister, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedListerModel(ListerModel):
    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_SPARSE, np.int16)
    data: np.ndarray = LavaPyType(np.ndarray, np.int64)


class ListingModel(PyLoihiProcessModel):
    counts: np.ndarray = LavaPyType(np.ndarray, np.int64)
    indices: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def run_spk(self):
        t = self.time_step - 1
        data, indices = self.take()
        self.counts[t] = len(data)
        self.data[t, : len(data)] = data
        self.indices[t, : len(data)] = indices

    def take(self):
        return self.s_in.recv()


class PeekingModel(PyLoihiProcessModel):
    def take(self):
        before = self.s_in.peek()
        assert self.s_in.probe()
        data, indices = self.s_in.recv()
        np.testing.assert_array_equal(before[0], data)
        np.testing.assert_array_equal(before[1], indices)
        assert not np.shares_memory(before[0], data) or not data.size
        return data, indices


class FloatListing(ListingModel):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_SPARSE, float)
    data: np.ndarray = LavaPyType(np.ndarray, float)


class FixedListing(ListingModel):
    s_in: PyInPort = LavaPyType(PyInPort.VEC_SPARSE, np.int16)
    data: np.ndarray = LavaPyType(np.ndarray, np.int64)


@implements(proc=Listing, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatListingModel(FloatListing):
    pass


@implements(proc=Listing, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedListingModel(FixedListing):
    pass


@implements(proc=PeekingListing, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class FloatPeekingModel(PeekingModel, FloatListing):
    pass


@implements(proc=PeekingListing, protocol=LoihiProtocol)
@requires(CPU)
@tag("fixed_pt")
class FixedPeekingModel(PeekingModel, FixedListing):
    pass
