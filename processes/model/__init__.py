"""What an author of ProcessModels needs."""

from . import sparse_ports as _sparse_ports  # noqa: F401 - sets PyInPort.VEC_SPARSE and PyOutPort.VEC_SPARSE
from .asynchronous import PyAsyncProcessModel, PyLoihiModelToPyAsyncModel
from .base import AbstractProcessModel, AbstractSubProcessModel
from .decorators import implements, requires, tag
from .loihi import AbstractPyProcessModel, PyLoihiProcessModel
from .ports import PyInPort, PyOutPort, PyRefPort, PyVarPort
from .protocols import AbstractSyncProtocol, AsyncProtocol, LoihiProtocol, Phase, SyncDomain
from .resources import CPU, ECPU, GPU, AbstractResource, HostCPU, Loihi1NeuroCore, Loihi2NeuroCore, NeuroCore
from .types import LavaPyType, SparseMatrix

__all__ = [
    "CPU",
    "ECPU",
    "GPU",
    "AbstractProcessModel",
    "AbstractPyProcessModel",
    "AbstractResource",
    "AbstractSubProcessModel",
    "AbstractSyncProtocol",
    "AsyncProtocol",
    "HostCPU",
    "LavaPyType",
    "Loihi1NeuroCore",
    "Loihi2NeuroCore",
    "LoihiProtocol",
    "NeuroCore",
    "Phase",
    "PyAsyncProcessModel",
    "PyInPort",
    "PyLoihiModelToPyAsyncModel",
    "PyLoihiProcessModel",
    "PyOutPort",
    "PyRefPort",
    "PyVarPort",
    "SparseMatrix",
    "SyncDomain",
    "implements",
    "requires",
    "tag",
]
