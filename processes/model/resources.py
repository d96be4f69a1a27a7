"""Compute resources a ProcessModel can require: markers, never checked in simulation."""

from __future__ import annotations


class AbstractResource:
    """Base of all resources."""


class AbstractComputeResource(AbstractResource):
    """Something that computes."""


class CPU(AbstractComputeResource):
    """A processor core."""


class HostCPU(AbstractComputeResource):
    """A processor core of the host."""


class GPU(AbstractComputeResource):
    """A graphics processor."""


class ECPU(AbstractComputeResource):
    """An embedded processor of a neuromorphic chip."""


class LMT(ECPU):
    """Lakemont processor."""


class PB(ECPU):
    """Programmable-bus processor."""


class NeuroCore(AbstractComputeResource):
    """A neuro core."""


class Loihi1NeuroCore(NeuroCore):
    """A neuro core of Loihi 1."""


class Loihi2NeuroCore(NeuroCore):
    """A neuro core of Loihi 2."""
