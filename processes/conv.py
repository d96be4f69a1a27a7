"""Conv: synapses that share a kernel, with a delay of one time step."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from .convolution import Convolution, Geometry, signed_clamp
from .errors import ArgumentTypeError, LaharWarning, ShapeError, ValidationError
from .model import (
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
from .parameters import as_integer
from .ports import InPort, OutPort
from .process import AbstractProcess
from .var import Var

_OUTPUT_BITS = 24
_GEOMETRY = ("kernel_size", "padding", "stride", "dilation", "groups")


class Conv(AbstractProcess):
    """Convolves images: ``a_out[t + 1] = convolution of s_in[t] with weight`` (the kernel is flipped).

    With P the input of time step t (or which of its elements are not 0) between zeros of `padding`, the group
    ``g = k // (C_out / groups)`` of output channel k, and stride (s_x, s_y) and dilation (d_x, d_y)::

        a_out[x, y, k] = sum_{c, i, j} P[x s_x + (K_x - 1 - i) d_x, y s_y + (K_y - 1 - j) d_y, g C_in / groups + c]
                                       * weight[k, i, j, c]

    Dumoulin & Visin, "A guide to convolution arithmetic for deep learning" (2016), draws all options.

    Parameters
    ----------
    weight : array_like, shape (C_out, K_x, K_y, C_in/groups)
        Kernel; see `lahar.processes.convolution` for the formula.
    weight_exp, num_weight_bits : int
        Accepted, without effect.
    input_shape : tuple of int
        (X, Y, C_in)
    padding, stride, dilation : int or tuple of int
        Of both axes, or (x, y).
    groups : int
        Number of groups into which the channels are split.
    num_message_bits : int
        0 (or less): every non-zero input is one spike, also in floating point. Above 0: inputs multiply the
        weights; the number of bits itself has no effect.
    name : str, optional
    log_config : LogConfig, optional

    Attributes
    ----------
    input_shape, output_shape : tuple of int
    s_in : InPort, shape (X, Y, C_in)
    a_out : OutPort, shape (X_o, Y_o, C_out)
        Fixed point wraps to 24 bits.
    weight : Var
        float64, or int32 (fractions are cut, nothing is clipped).
    a_buf : Var, shape (X_o, Y_o, C_out)
        What is sent in the next time step.
    kernel_size, padding, stride, dilation : Var, shape (2,)
        (x, y); cannot be set to anything else.
    groups, weight_exp, num_weight_bits : Var, shape (1,)
    num_message_bits : Var, shape (1,)
        Read in every time step.

    Raises
    ------
    ValidationError, ShapeError, ArgumentTypeError
        The shapes do not fit together, the kernel is larger than the padded input, or an argument has the
        wrong type.

    Warns
    -----
    LaharWarning
        `weight_exp` or `num_weight_bits` is given although it has no effect.

    Examples
    --------
    >>> import numpy as np
    >>> from lahar.processes import Conv, SinkRingBuffer, SourceRingBuffer
    >>> from lahar.runtime import Loihi2SimCfg, RunSteps
    >>> image = np.eye(3)[:, :, np.newaxis, np.newaxis]  # x, y, channel, time
    >>> convolution = Conv(weight=np.ones((1, 2, 2, 1)), input_shape=(3, 3, 1), padding=(1, 0), stride=2)
    >>> source, sink = SourceRingBuffer(data=image), SinkRingBuffer(shape=convolution.output_shape, buffer=2)
    >>> source.s_out.connect(convolution.s_in)
    >>> convolution.a_out.connect(sink.a_in)
    >>> with convolution:
    ...     convolution.run(condition=RunSteps(num_steps=2), run_cfg=Loihi2SimCfg(launcher="inline"))
    ...     print(sink.data.get()[..., 0, 1])
    [[1.]
     [1.]]
    """

    def __init__(
        self,
        *,
        weight: Any,
        weight_exp: int = 0,
        input_shape: tuple[int, int, int] = (1, 1, 1),
        padding: Any = 0,
        stride: Any = 1,
        dilation: Any = 1,
        groups: int = 1,
        num_weight_bits: int = 8,
        num_message_bits: int = 0,
        name: str | None = None,
        log_config: Any = None,
    ) -> None:
        owner = type(self).__name__
        try:
            weight = np.asarray(weight)
        except ValueError as error:
            raise ShapeError(f"{owner}.weight: not an array ({error}).") from None
        if weight.ndim != 4:
            raise ShapeError(
                f"{owner}.weight must have four axes (output channels, x, y, input channels), not shape "
                f"{weight.shape}."
            )
        if weight.dtype.kind not in "biuf":
            raise ArgumentTypeError(f"{owner}.weight must hold real numbers, not {weight.dtype}.")
        geometry = Geometry.of(input_shape, weight.shape, stride, padding, dilation, groups, owner)
        weight_exp = as_integer(weight_exp, f"{owner}.weight_exp")
        num_weight_bits = as_integer(num_weight_bits, f"{owner}.num_weight_bits")
        num_message_bits = as_integer(num_message_bits, f"{owner}.num_message_bits")
        super().__init__(
            weight=weight,
            weight_exp=weight_exp,
            geometry=geometry,
            num_weight_bits=num_weight_bits,
            num_message_bits=num_message_bits,
            name=name,
            log_config=log_config,
        )
        for argument, value, default in (
            ("weight_exp", weight_exp, 0),
            ("num_weight_bits", num_weight_bits, 8),
        ):
            if value != default:
                warnings.warn(
                    f"{owner} '{self.name}': {argument} = {value} has no effect; scale the weights.",
                    LaharWarning,
                    stacklevel=3,  # past the metaclass
                )
        self.input_shape = geometry.input_shape
        self.output_shape = geometry.output_shape
        self.s_in = InPort(shape=self.input_shape)
        self.a_out = OutPort(shape=self.output_shape)
        self.weight = Var(shape=weight.shape, init=weight)
        self.a_buf = Var(shape=self.output_shape, init=0)
        self.kernel_size = Var(shape=(2,), init=np.array(geometry.kernel_size))
        self.padding = Var(shape=(2,), init=np.array(geometry.padding))
        self.stride = Var(shape=(2,), init=np.array(geometry.stride))
        self.dilation = Var(shape=(2,), init=np.array(geometry.dilation))
        self.groups = Var(shape=(1,), init=geometry.groups)
        self.num_message_bits = Var(shape=(1,), init=num_message_bits)
        self.weight_exp = Var(shape=(1,), init=weight_exp)
        self.num_weight_bits = Var(shape=(1,), init=num_weight_bits)


class AbstractPyConvModel(PyLoihiProcessModel):
    """Conv in any numerics, to be subclassed; has neither a Process nor tags."""

    min_delay = 1

    s_in: PyInPort
    a_out: PyOutPort
    weight: np.ndarray
    a_buf: np.ndarray
    kernel_size: np.ndarray = LavaPyType(np.ndarray, np.int64)
    padding: np.ndarray = LavaPyType(np.ndarray, np.int64)
    stride: np.ndarray = LavaPyType(np.ndarray, np.int64)
    dilation: np.ndarray = LavaPyType(np.ndarray, np.int64)
    groups: np.ndarray = LavaPyType(np.ndarray, np.int64)
    num_message_bits: np.ndarray = LavaPyType(np.ndarray, np.int64)
    weight_exp: np.ndarray = LavaPyType(np.ndarray, np.int64)
    num_weight_bits: np.ndarray = LavaPyType(np.ndarray, np.int64)

    @classmethod
    def step_cost(cls, process: Any) -> float:
        """Estimate in microseconds, with one input in twenty active."""
        taps = process.weight.size / process.weight.shape[-1]
        return 60.0 + 6e-4 * process.s_in.size * taps

    def on_build(self) -> None:
        super().on_build()
        self.geometry: Geometry = self.proc_params["geometry"]
        self.convolution = Convolution(self.geometry, self.weight)
        self._warned = False

    def on_var_update(self) -> None:
        super().on_var_update()
        for name in _GEOMETRY:
            fixed = np.ravel(getattr(self.geometry, name))
            if not np.array_equal(getattr(self, name), fixed):
                raise ValidationError(
                    f"is {fixed.tolist()} and cannot be changed: the shapes of the ports depend on it.",
                    f"{self.process_name}.{name}",
                )
        self.convolution = Convolution(self.geometry, self.weight)

    def run_spk(self) -> None:
        self.a_out.send(self.a_buf)
        self.a_buf = self.activation(self.s_in.recv(), self.num_message_bits.item() > 0)

    def activation(self, spikes: np.ndarray, graded: bool) -> np.ndarray:
        """Return what is sent one time step later; must be defined."""
        raise NotImplementedError(f"{type(self).__name__} must define activation().")

    def warn_once(self, text: str) -> None:
        """Warn of the first loss of information; later ones are alike."""
        self._warned = True
        warnings.warn(f"Conv '{self.process_name}': {text}", LaharWarning, stacklevel=3)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("floating_pt")
class PyConvModelFloat(AbstractPyConvModel):
    """Floating-point Conv: sums in float64, in ascending input index."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, float)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, float)
    weight: np.ndarray = LavaPyType(np.ndarray, float)
    a_buf: np.ndarray = LavaPyType(np.ndarray, float)

    def activation(self, spikes: np.ndarray, graded: bool) -> np.ndarray:
        """Return the convolution of what was received."""
        if not graded and not self._warned:
            lost = spikes[(spikes != 0) & (spikes != 1)]
            if lost.size:
                self.warn_once(
                    f"receives {lost[0]} and treats it as a spike, since num_message_bits is 0. Pass "
                    "num_message_bits=8 to convolve the numbers themselves."
                )
        return self.convolution.sum(spikes, graded, np.float64)


@implements(proc=Conv, protocol=LoihiProtocol)
@requires(CPU)
@tag("bit_accurate_loihi", "fixed_pt")
class PyConvModelFixed(AbstractPyConvModel):
    """Fixed-point Conv: exact integer sums, wrapped to 24 bits."""

    s_in: PyInPort = LavaPyType(PyInPort.VEC_DENSE, np.int32)
    a_out: PyOutPort = LavaPyType(PyOutPort.VEC_DENSE, np.int32, precision=_OUTPUT_BITS)
    weight: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=8)
    a_buf: np.ndarray = LavaPyType(np.ndarray, np.int32, precision=_OUTPUT_BITS)

    def activation(self, spikes: np.ndarray, graded: bool) -> np.ndarray:
        """Return the convolution of what was received; of fractions, the whole part of the sum."""
        fractions = graded and spikes.dtype.kind == "f"
        total = self.convolution.sum(spikes, graded, np.float64 if fractions else np.int64).astype(np.int64)
        wrapped = signed_clamp(total, _OUTPUT_BITS)
        if not self._warned and not np.array_equal(wrapped, total):
            worst = total.flat[np.abs(total).argmax()]
            self.warn_once(
                f"{np.count_nonzero(wrapped != total)} of {total.size} sums do not fit into {_OUTPUT_BITS} bits "
                f"and wrap; the worst is {worst}. Use smaller weights or inputs."
            )
        return wrapped.astype(np.int32)
