"""Matrices of fixed-point numbers with 8 bits, as connections of graded spikes."""

from __future__ import annotations

from typing import Any

import numpy as np

from .. import Dense, Sparse
from ..parameters import as_integer
from ..weights import WEIGHT_BITS, is_sparse
from .algebra import AlgebraicMatrix

_MESSAGE_BITS = 24


class _GradedMatrix(AlgebraicMatrix):
    """Weights times graded spikes, one time step later.

    In fixed point the weights become integers ``W = trunc(weights * 2**exp)``, limited to 8 bits, and
    ``a_out = floor(W @ s_in / 2**exp)`` in 32 bits. With weights of both signs `W` is even and lies in
    [-256, 254]: 0.9 is 114/128 for `exp` 7.

    Parameters
    ----------
    weights : array_like or sparse matrix, shape (m, n)
        Factors, in ``[-2**(8 - exp), 2**(8 - exp))``; what lies outside is clipped, with a LaharWarning when
        the network is built.
    exp : int
        Binary digits after the point.
    num_weight_bits : int
        Bits per weight, 8 by default.
    **kwargs
        `name`, `log_config` and `sign_mode` of the connection.

    Attributes
    ----------
    main : AbstractProcess
        The connection.
    exp : int
    shape : tuple of int
        (m,)
    in_port : InPort, shape (n,)
    out_port : OutPort, shape (m,)

    Raises
    ------
    ArgumentTypeError
        `exp` is no integer, or a keyword is unknown.
    ShapeError
        `weights` is not two-dimensional.
    """

    _connection: type

    def __init__(
        self, weights: Any, exp: int = 7, *, num_weight_bits: int = WEIGHT_BITS, **kwargs: Any
    ) -> None:
        self.exp = as_integer(exp, f"{type(self).__name__}.exp")
        if not is_sparse(weights):
            weights = np.asarray(weights)
        self.main = self._connection(
            weights=self._scaled(weights * 2.0**self.exp),
            num_message_bits=_MESSAGE_BITS,
            num_weight_bits=num_weight_bits,
            weight_exp=-self.exp,
            **kwargs,
        )
        self.in_port = self.main.s_in
        self.out_port = self.main.a_out
        self.shape = self.out_port.shape

    def _scaled(self, weights: Any) -> Any:
        return weights


class GradedDense(_GradedMatrix):
    __doc__ = _GradedMatrix.__doc__
    _connection = Dense

    def _scaled(self, weights: np.ndarray) -> np.ndarray:
        # What the fixed-point model does anyway; it would warn of a loss that is meant here. (Sparse does not
        # warn, and looks at fractions for the sign mode.)
        return np.trunc(weights)


class GradedSparse(_GradedMatrix):
    __doc__ = _GradedMatrix.__doc__
    _connection = Sparse


def identity(size: int) -> GradedSparse:
    """Return the identity matrix: passes its input on, one time step later."""
    from scipy.sparse import csr_matrix, eye

    return GradedSparse(weights=csr_matrix(eye(size)))
