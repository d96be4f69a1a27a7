"""Vectors: what networks of graded spikes consist of, and their inputs and outputs."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .. import LIF, ProdNeuron
from .. import GradedVec as GradedVecProcess
from ..errors import LaharWarning, ShapeError
from ..parameters import as_integer
from ..sink import RingBuffer as SinkRingBuffer
from ..source import RingBuffer as SourceRingBuffer
from .algebra import AlgebraicVector, Network, TwoInputVector
from .matrices import identity

_OUTPUT_BITS = 24


class InputVec(AlgebraicVector):
    """Sends given vectors, one per time step.

    Parameters
    ----------
    vec : array_like, shape (N, M) or (M,)
        Column t - 1 is sent in time step t, and so on in turn; one axis: one neuron. In fixed point
        fractions are cut.
    loihi2 : bool
        Has no effect but a warning: networks are simulated.
    exp : int
        `vec` is multiplied by ``2**exp``.
    name, log_config : optional
        Of the source.

    Attributes
    ----------
    inport_plug, main : SourceRingBuffer
    shape : tuple of int
        (N,)
    exp : int
    out_port : OutPort, shape (N,)

    Raises
    ------
    ArgumentTypeError
        `exp` is no integer, or `vec` does not hold real numbers.
    """

    def __init__(
        self, vec: Any, loihi2: bool = False, exp: int = 0, *, name: str | None = None, log_config: Any = None
    ) -> None:
        self.loihi2 = _simulated(self, loihi2)
        self.exp = as_integer(exp, "InputVec.exp")
        data = np.atleast_2d(np.asarray(vec))
        if self.exp and data.dtype.kind in "biuf":
            data = data * (2**self.exp if self.exp > 0 else 2.0**self.exp)
        self.inport_plug = self.main = SourceRingBuffer(data=data, name=name, log_config=log_config)
        self.out_port = self.inport_plug.s_out
        self.shape = self.out_port.shape


class OutputVec(Network):
    """Records what it receives.

    Parameters
    ----------
    shape : tuple of int
        Shape of the vectors.
    buffer : int
        Number of time steps kept.
    loihi2 : bool
        Has no effect but a warning: networks are simulated.
    num_message_bits : int
        Kept, without effect.
    name, log_config : optional
        Of the sink.

    Attributes
    ----------
    outport_plug, main : SinkRingBuffer
    in_port : InPort
    shape, buffer, num_message_bits
        As given.
    """

    def __init__(
        self,
        shape: tuple[int, ...],
        buffer: int = 1,
        loihi2: bool = False,
        num_message_bits: int = 24,
        *,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        self.shape = shape
        self.buffer = buffer
        self.loihi2 = _simulated(self, loihi2)
        self.num_message_bits = num_message_bits
        self.outport_plug = self.main = SinkRingBuffer(
            shape=shape, buffer=buffer, name=name, log_config=log_config
        )
        self.in_port = self.outport_plug.a_in

    def get_data(self) -> np.ndarray:
        """Return what was received, as numbers of 24 bits.

        Returns
        -------
        ndarray of int32, shape ``(*shape, buffer)``
            Time step t in column ``(t - 1) % buffer``.

        Warns
        -----
        LaharWarning
            Numbers do not fit into 24 bits and wrap.
        """
        received = np.asarray(self.outport_plug.data.get())
        data = np.broadcast_to(received, self.outport_plug.data.shape).astype(np.int32)
        unused = 32 - _OUTPUT_BITS
        wrapped = (data << unused) >> unused
        count = np.count_nonzero(wrapped != data)
        if count:
            worst = data.flat[np.abs(data.astype(np.int64)).argmax()]
            warnings.warn(
                f"OutputVec ({self.outport_plug.name}): {count} of {data.size} numbers do not fit into "
                f"{_OUTPUT_BITS} bits and wrap; the worst is {worst}. Scale the network down, or read "
                "outport_plug.data.",
                LaharWarning,
                stacklevel=2,
            )
        return wrapped


class LIFVec(AlgebraicVector):
    """A `LIF` population; all arguments are those of `LIF`.

    Attributes
    ----------
    main : LIF
    shape : tuple of int
    in_port : InPort
    out_port : OutPort
    """

    def __init__(self, **kwargs: Any) -> None:
        self.main = LIF(**kwargs)
        self.in_port = self.main.a_in
        self.out_port = self.main.s_out
        self.shape = self.out_port.shape


class GradedVec(AlgebraicVector):
    """Neurons that pass their input on where it exceeds a threshold: the `GradedVec` Process.

    ``v * w`` of two such vectors is their element-wise product shifted right by the first one's `exp`. It
    appears two time steps later and is a matrix (an identity), ready to be connected to a vector.

    Parameters
    ----------
    shape : tuple of int
    vth : int
        Numbers with ``|x| <= vth`` become 0.
    exp : int
        Binary digits after the point, used by ``*``.
    **kwargs
        Of the Process.

    Attributes
    ----------
    main : lahar.processes.GradedVec
    shape, vth, exp
        As given.
    in_port, out_port
    """

    def __init__(self, shape: tuple[int, ...], vth: int = 10, exp: int = 0, **kwargs: Any) -> None:
        self.shape, self.vth, self.exp = shape, vth, exp
        self.main = GradedVecProcess(shape=shape, vth=vth, exp=exp, **kwargs)
        self.in_port = self.main.a_in
        self.out_port = self.main.s_out

    def __mul__(self, other: Any) -> Any:
        if not isinstance(other, GradedVec):
            return NotImplemented
        if other.shape != self.shape:
            raise ShapeError(
                f"GradedVec * GradedVec: shapes {self.shape} and {other.shape} are incompatible."
            )
        if len(self.shape) != 1:
            raise ShapeError(f"GradedVec * GradedVec: vectors with one axis are needed, not {self.shape}.")
        size = self.shape[0]
        product = ProductVec(shape=self.shape, vth=1, exp=self.exp)
        product << (identity(size) @ self, identity(size) @ other)
        return identity(size) @ product


class ProductVec(TwoInputVector):
    """Element-wise product of two inputs: `ProdNeuron`.

    Connected by ``p << (a, b)``. Sends ``(a * b) >> exp`` where its size exceeds `vth`.

    Parameters
    ----------
    shape : tuple of int
    vth : int
        Products with ``|p| <= vth`` become 0.
    exp : int
        Binary digits after the point.
    **kwargs
        Of the Process.

    Attributes
    ----------
    main : ProdNeuron
    shape, vth, exp
        As given.
    in_port, in_port2, out_port
    """

    def __init__(self, shape: tuple[int, ...], vth: int = 10, exp: int = 0, **kwargs: Any) -> None:
        self.shape, self.vth, self.exp = shape, vth, exp
        self.main = ProdNeuron(shape=shape, vth=vth, exp=exp, **kwargs)
        self.in_port = self.main.a_in1
        self.in_port2 = self.main.a_in2
        self.out_port = self.main.s_out


def _simulated(network: Network, loihi2: bool) -> bool:
    """Warn of a wish for hardware; return it."""
    if loihi2:
        warnings.warn(
            f"{type(network).__name__}: loihi2=True has no effect; the network is simulated.",
            LaharWarning,
            stacklevel=3,
        )
    return loihi2
