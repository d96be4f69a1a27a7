"""Networks written as vector algebra: ``out << weights @ inputs + bias``.

These objects are thin containers around Processes, not Processes themselves: they have no name, no id and no
place in the graph. Operators connect the ports of what they contain. Graded vectors and matrices run in fixed
point.

Examples
--------
>>> from lahar.processes.networks import GradedDense, GradedVec, InputVec, OutputVec
>>> from lahar.runtime import Loihi2SimCfg, RunSteps
>>> inputs = InputVec([[8, 0, 0], [4, 0, 0]])
>>> weights = GradedDense(weights=[[0.5, 1.0], [-0.25, 0.0]])
>>> vec, out = GradedVec(shape=(2,), vth=1), OutputVec(shape=(2,), buffer=3)
>>> vec = vec << weights @ inputs
>>> out = out << vec
>>> out.run(condition=RunSteps(num_steps=3), run_cfg=Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))
>>> out.get_data()
array([[ 0,  8,  0],
       [ 0, -2,  0]], dtype=int32)
>>> out.stop()
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
