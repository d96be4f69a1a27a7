"""Networks written as vector algebra: ``out << weights @ inputs + bias``.

These objects are thin containers around Processes, not Processes themselves: they have no name, no id and no
place in the graph. Operators connect the ports of what they contain.
"""

from .algebra import AlgebraicMatrix, AlgebraicVector, Network, NetworkList
from .matrices import GradedDense, GradedSparse
from .normalize import NormalizeNet
from .resfire import ResFireVec
from .vectors import GradedVec, InputVec, LIFVec, OutputVec, ProductVec

__all__ = [
    "AlgebraicMatrix",
    "AlgebraicVector",
    "GradedDense",
    "GradedSparse",
    "GradedVec",
    "InputVec",
    "LIFVec",
    "Network",
    "NetworkList",
    "NormalizeNet",
    "OutputVec",
    "ProductVec",
    "ResFireVec",
]
