"""How the models of these tests are declared."""

from __future__ import annotations

from lahar.processes.model import CPU, AsyncProtocol, LoihiProtocol, implements, requires


def model_of(process):
    """Decorate a ProcessModel of `process` for the Loihi protocol on a CPU."""

    def decorate(cls):
        return implements(proc=process, protocol=LoihiProtocol)(requires(CPU)(cls))

    return decorate


def free_model_of(process):
    """Decorate an asynchronous ProcessModel of `process` on a CPU."""

    def decorate(cls):
        return implements(proc=process, protocol=AsyncProtocol)(requires(CPU)(cls))

    return decorate
