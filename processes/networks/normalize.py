"""A network that brings a vector to a given length."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import Dense, GradedVec, InvSqrt, NormVecDelay, ProdNeuron
from ..parameters import as_integer
from .algebra import AlgebraicVector
from .matrices import identity

_MESSAGE_BITS = 24


class NormalizeNet(AlgebraicVector):
    """Scales a vector x to the length ``2**18``: ``x * 2**18 / |x|``.

    The sum of squares and its inverse root take two time steps, while `NormVecDelay` remembers its input for
    one: what is sent in step t is ``x(t-1) * 2**18 / |x(t-2)|``. That is a normalised vector where the input
    was the same in both steps, and 0 for an input that lasts a single step. With `matched_delays` the input
    waits one step longer, and every vector is divided by its own length: ``x(t-2) * 2**18 / |x(t-2)|``.

    Parameters
    ----------
    shape : tuple of int
        (n,)
    exp : int
        Handed on to `main` and `fp_inv_neuron`, which always compute with 12 digits after the point; another number
        has no effect but a LaharWarning.
    matched_delays : bool
        Whether single vectors are normalised, too.
    **kwargs
        Of the process `main`.

    Attributes
    ----------
    main : NormVecDelay
        Multiplies.
    vfp_dense, fpv_dense : Dense
        Add up the squares, and distribute the factor.
    fp_inv_neuron : InvSqrt
    shape : tuple of int
    fpb : int
        `exp`.
    in_port, out_port

    Examples
    --------
    >>> from lahar.processes.networks import InputVec, NormalizeNet, OutputVec
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> net, out = NormalizeNet(shape=(2,), matched_delays=True), OutputVec(shape=(2,), buffer=5)
    >>> net.in_port.connect_from(InputVec([[30, 0, 0, 0, 0], [40, 0, 0, 0, 0]]).out_port)
    >>> out = out << net
    >>> out.run(condition=RunSteps(num_steps=5), run_cfg=Loihi2SimCfg(select_tag="fixed_pt", launcher="inline"))
    >>> (out.get_data()[:, 2] / 2**18).round(2)
    array([0.6, 0.8])
    >>> out.stop()
    """

    def __init__(
        self, shape: tuple[int, ...], exp: int = 12, *, matched_delays: bool = False, **kwargs: Any
    ) -> None:
        self.shape = shape
        self.fpb = as_integer(exp, "NormalizeNet.exp")
        (size,) = shape
        options = {"num_message_bits": _MESSAGE_BITS, "weight_exp": 0}
        self.vfp_dense = Dense(weights=np.ones((1, size)), **options)
        self.fpv_dense = Dense(weights=np.ones((size, 1)), **options)
        self.main = NormVecDelay(shape=shape, vth=1, exp=self.fpb, **kwargs)
        self.fp_inv_neuron = InvSqrt(shape=(1,), fp_base=self.fpb)
        self.in_port = self.main.a_in1
        squares = self.main.s2_out
        if matched_delays:
            squares = self._delay_input()
        squares.connect(self.vfp_dense.s_in)
        self.vfp_dense.a_out.connect(self.fp_inv_neuron.a_in)
        self.fp_inv_neuron.s_out.connect(self.fpv_dense.s_in)
        self.fpv_dense.a_out.connect(self.main.a_in2)
        self.out_port = self.main.s_out

    def _delay_input(self) -> Any:
        """Let the input reach `main` one step later, but be squared at once; return the squares."""
        self.entry = GradedVec(shape=self.shape, vth=0)
        self.square = ProdNeuron(shape=self.shape, vth=0, exp=0)
        self.wait_matrix = identity(self.shape[0])
        self.entry.s_out.connect([self.square.a_in1, self.square.a_in2, self.wait_matrix.in_port])
        self.wait_matrix.out_port.connect(self.main.a_in1)
        self.in_port = self.entry.a_in
        return self.square.s_out
