"""DeltaEncoder: sends how much its input has changed."""

from __future__ import annotations

import warnings
from enum import Enum
from typing import Any

import numpy as np

from .delta_encoding import encode_delta_sparse_8, encode_packed_4, encode_sparse
from .errors import ArgumentTypeError, LaharWarning, ValidationError
from .model import (
    HostCPU,
    LavaPyType,
    LoihiProtocol,
    PyInPort,
    PyLoihiProcessModel,
    PyOutPort,
    implements,
    requires,
)
from .parameters import as_integer
from .ports import InPort, OutPort
from .process import AbstractProcess
from .var import Var


class Compression(Enum):
    """What a DeltaEncoder sends: all values, or in one of the forms of `delta_encoding`.

    Attributes
    ----------
    DENSE
        All values.
    SPARSE
        Values and positions of the changes.
    PACKED_4
        The low bytes of all values, four to a word of 32 bits.
    DELTA_SPARSE_8
        The low bytes of the changes and the gaps between them, four to a word.
    """

    DENSE = 0
    SPARSE = 1
    PACKED_4 = 2
    DELTA_SPARSE_8 = 3


class DeltaEncoder(AbstractProcess):
    """Sends changes of its input that reach a threshold, one time step later, in integers.

    With ``a = a_in << spike_exp``, each time step computes ``d = a - act + residue`` and ``s = d`` where
    ``|d| >= vth``, else 0, limited to `num_bits` bits; ``residue = d - s`` and ``act = a`` are kept.

    O'Connor & Welling, "Sigma delta quantized networks" (2016).

    Parameters
    ----------
    shape : tuple of int
        Shape S of the input.
    vth : float
        Threshold in units of the input.
    spike_exp : int
        Number of binary digits after the point; the input is shifted left by it.
    num_bits : int, optional
        Bits of a change, with its sign; None: no limit.
    compression : Compression
        What is sent: all values, or one of the forms that list changes.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    shape : tuple of int
    a_in : InPort, shape S
    s_out : OutPort, shape S
        int32; except for Compression.DENSE it sends pairs of data and index.
    vth : Var, shape (1,)
        Threshold, shifted by `spike_exp`.
    act, residue : Var, shape S
        Last input, and what has not been sent of its changes.
    spike_exp : Var, shape (1,)
    a_min, a_max : Var, shape (1,)
        Limits of what is sent; both -1 without a limit.

    Raises
    ------
    ArgumentTypeError
        An argument has the wrong type.
    ValidationError
        `spike_exp` is negative or `num_bits` not positive.

    Examples
    --------
    >>> from lahar.processes import DeltaEncoder, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> source, sink = SourceRingBuffer(data=[[5, 6, 8, 1, 1]]), SinkRingBuffer(shape=(1,), buffer=6)
    >>> encoder = DeltaEncoder(shape=(1,), vth=2, num_bits=4)
    >>> source.s_out.connect(encoder.a_in)
    >>> encoder.s_out.connect(sink.a_in)
    >>> with encoder:
    ...     run_cfg = Loihi2SimCfg(select_tag="fixed_pt", launcher="inline")
    ...     encoder.run(condition=RunSteps(num_steps=6), run_cfg=run_cfg)
    ...     print(sink.data.get())
    [[ 0  5  0  3 -7  0]]
    """

    def __init__(
        self,
        *,
        shape: tuple[int, ...],
        vth: float,
        spike_exp: int = 0,
        num_bits: int | None = None,
        compression: Compression = Compression.DENSE,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        a_in = InPort(shape=shape)
        spike_exp = as_integer(spike_exp, "DeltaEncoder.spike_exp")
        if spike_exp < 0:
            raise ValidationError(f"must not be negative, as {spike_exp} is.", "DeltaEncoder.spike_exp")
        if np.ndim(vth) or np.asarray(vth).dtype.kind not in "biuf":
            raise ArgumentTypeError(f"DeltaEncoder.vth must be one number, not {vth!r}.")
        if not isinstance(compression, Compression):
            raise ArgumentTypeError(
                f"DeltaEncoder.compression must be a Compression such as Compression.DENSE, not {compression!r}."
            )
        a_min = a_max = -1
        if num_bits is not None:
            num_bits = as_integer(num_bits, "DeltaEncoder.num_bits")
            if num_bits < 1:
                raise ValidationError(f"must be at least 1, not {num_bits}.", "DeltaEncoder.num_bits")
            a_min = -(1 << (num_bits - 1)) << spike_exp
            a_max = ((1 << (num_bits - 1)) - 1) << spike_exp
        super().__init__(
            shape=shape,
            vth=vth,
            spike_exp=spike_exp,
            num_bits=num_bits,
            compression=compression,
            name=name,
            log_config=log_config,
        )
        self.shape = shape
        self.a_in = a_in
        self.s_out = OutPort(shape=shape)
        self.vth = Var(shape=(1,), init=int(vth * 2**spike_exp))
        self.act = Var(shape=shape, init=0)
        self.residue = Var(shape=shape, init=0)
        self.spike_exp = Var(shape=(1,), init=spike_exp)
        self.a_min = Var(shape=(1,), init=a_min)
        self.a_max = Var(shape=(1,), init=a_max)


class AbstractPyDeltaEncoderModel(PyLoihiProcessModel):
    """Computes changes; subclasses send them.

    Attributes
    ----------
    compressions : tuple of Compression
        What the model can send.
    """

    compressions: tuple[Compression, ...] = ()
    min_delay = 1

    a_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    s_out: PyOutPort
    vth: np.ndarray = LavaPyType(np.ndarray, np.int64)
    act: np.ndarray = LavaPyType(np.ndarray, np.int64)
    residue: np.ndarray = LavaPyType(np.ndarray, np.int64)
    spike_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)
    a_min: np.ndarray = LavaPyType(np.ndarray, np.int64)
    a_max: np.ndarray = LavaPyType(np.ndarray, np.int64)

    def __init__(self, proc_params: Any) -> None:
        super().__init__(proc_params)
        self.compression: Compression = self.proc_params["compression"]
        if self.compression not in self.compressions:
            raise ValidationError(
                f"{type(self).__name__} cannot send {self.compression}; let the run configuration choose the "
                "model of a DeltaEncoder."
            )

    @classmethod
    def suits(cls, process: Any) -> bool:
        """Whether the model can send what the Process is to send."""
        return process.proc_params["compression"] in cls.compressions

    def on_build(self) -> None:
        super().on_build()
        self._changes = np.zeros(self.act.shape, np.int64)

    def run_spk(self) -> None:
        self.transmit(self._changes)
        inputs = np.left_shift(self.a_in.recv().astype(np.int64), self.spike_exp.item())
        delta = inputs - self.act + self.residue
        changes = np.where(np.abs(delta) >= self.vth.item(), delta, 0)
        if self.a_max.item() >= 0:
            changes = changes.clip(self.a_min.item(), self.a_max.item())
        self.residue = delta - changes
        self.act = inputs
        self._changes = changes

    def transmit(self, changes: np.ndarray) -> None:
        """Send changes in the form asked for; must be defined."""
        raise NotImplementedError(f"{type(self).__name__} must define transmit().")


@implements(proc=DeltaEncoder, protocol=LoihiProtocol)
@requires(HostCPU)
class PyDeltaEncoderModelDense(AbstractPyDeltaEncoderModel):
    """Sends all values, as int32."""

    compressions = (Compression.DENSE,)

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32)

    def transmit(self, changes: np.ndarray) -> None:
        """Send an array."""
        self.s_out.send(changes)


@implements(proc=DeltaEncoder, protocol=LoihiProtocol)
@requires(HostCPU)
class PyDeltaEncoderModelSparse(AbstractPyDeltaEncoderModel):
    """Sends changes in a form of `delta_encoding`; in the first time step a single zero.

    Forms of 8 bits keep the low byte of each change and warn of the first one that does not fit.
    """

    compressions = (Compression.SPARSE, Compression.PACKED_4, Compression.DELTA_SPARSE_8)

    s_out: PyOutPort = LavaPyType(PyOutPort.VEC_SPARSE, np.int32)

    def on_build(self) -> None:
        super().on_build()
        self._warned = False

    def transmit(self, changes: np.ndarray) -> None:
        """Send data and index."""
        if self.time_step == 1:
            self.s_out.send(np.zeros(1, np.int32), np.zeros(1, np.int32))
        elif self.compression is Compression.SPARSE:
            self.s_out.send(*encode_sparse(changes))
        else:
            self._warn_of_lost_digits(changes)
            packed = self.compression is Compression.PACKED_4
            self.s_out.send_packed(*(encode_packed_4 if packed else encode_delta_sparse_8)(changes))

    def _warn_of_lost_digits(self, changes: np.ndarray) -> None:
        outside = changes[(changes < -128) | (changes > 127)]
        if outside.size and not self._warned:
            self._warned = True
            warnings.warn(
                f"DeltaEncoder '{self.process_name}': {outside.size} of {changes.size} changes do not fit into 8 "
                f"bits and lose their high bits; the worst is {outside[np.abs(outside).argmax()]}. Pass num_bits=8, "
                "or another compression.",
                LaharWarning,
                stacklevel=3,
            )
