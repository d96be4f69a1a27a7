"""Two-dimensional convolution of channels-last arrays, with stride, padding, dilation and groups.

With P the zero-padded input and g the group of output channel k,

``o[x, y, k] = sum_{i, j, c} P[x s_x + (K_x-1-i) d_x, y s_y + (K_y-1-j) d_y, g C_in/groups + c] w[k, i, j, c]``

For every output, contributions are added in ascending index of the flattened input, one after the other from
zero, whether the sum is computed window by window or from the active inputs only.
"""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from .errors import ArgumentTypeError, ShapeError, ValidationError
from .fan_out import add_up

# Contributions that are computed at once, and the share of active inputs up to which that is faster.
_BLOCK = 1 << 20
_SPARSE = 0.125

Pair = tuple[int, int]


def make_tuple(value: Any) -> tuple[Any, Any]:
    """Return a pair (x, y): of a scalar or of one element, that twice.

    Raises
    ------
    ValidationError
        `value` has another length than 1 or 2.
    """
    if np.isscalar(value):
        return value, value
    pair = tuple(value)
    if len(pair) not in (1, 2):
        raise ValidationError(f"one or two numbers (x, y) expected, not {value!r}.", "make_tuple.value")
    return pair[0], pair[-1]


def signed_clamp(x: Any, bits: int) -> Any:
    """Return `x` wrapped to signed integers of `bits` bits: ``(x + 2**(bits-1)) mod 2**bits - 2**(bits-1)``.

    Parameters
    ----------
    x : int, float or ndarray
    bits : int
        At least 1, and at most 62 for arrays of integers.

    Returns
    -------
    int, float or ndarray
        Of the type of `x`.
    """
    half, full = 2 ** (bits - 1), 2**bits
    if isinstance(x, (int, float)):
        return (x + half) % full - half
    x = np.asarray(x)
    if x.dtype.kind == "f":
        return ((x + half) % full - half).astype(x.dtype)[()]
    wrapped = ((x.astype(np.int64) + half) & (full - 1)) - half
    return wrapped.astype(x.dtype)[()]


def output_shape(
    input_shape: Sequence[int],
    out_channels: int,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
) -> tuple[int, int, int]:
    """Return the shape (X_o, Y_o, out_channels) of the result of a convolution.

    ``X_o = floor((X + 2 p_x - d_x (K_x - 1) - 1) / s_x + 1)``, and the same for y.

    Raises
    ------
    ValidationError
        The kernel is larger than the padded input.
    """
    sizes = []
    for axis, name in enumerate("xy"):
        extent = dilation[axis] * (kernel_size[axis] - 1) + 1
        size = (input_shape[axis] + 2 * padding[axis] - extent) // stride[axis] + 1
        if size < 1:
            raise ValidationError(
                f"in {name} the kernel reaches over {extent} of {input_shape[axis] + 2 * padding[axis]} padded "
                f"inputs, so that nothing remains (input_shape {tuple(input_shape)}, kernel_size "
                f"{tuple(kernel_size)}, stride {tuple(stride)}, padding {tuple(padding)}, dilation "
                f"{tuple(dilation)}). Pad more, or use a smaller kernel.",
                "convolution",
            )
        sizes.append(size)
    return sizes[0], sizes[1], out_channels


@dataclass(frozen=True)
class Geometry:
    """What a convolution connects; pairs are (x, y).

    Attributes
    ----------
    input_shape, output_shape : tuple of int
        (X, Y, channels)
    kernel_size, stride, padding, dilation : tuple of int
    groups : int
    """

    input_shape: tuple[int, int, int]
    output_shape: tuple[int, int, int]
    kernel_size: Pair
    stride: Pair
    padding: Pair
    dilation: Pair
    groups: int

    @classmethod
    def of(
        cls,
        input_shape: Any,
        weight_shape: Sequence[int],
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: Any = 1,
        owner: str = "convolution",
    ) -> Geometry:
        """Return the geometry of a kernel of `weight_shape` (C_out, K_x, K_y, C_in/groups).

        Raises
        ------
        ValidationError, ShapeError, ArgumentTypeError
            Sizes that do not fit together; `owner` is named in the message.
        """
        if len(input_shape) != 3:
            raise ShapeError(f"{owner}.input_shape must be (X, Y, channels), not {input_shape!r}.")
        if not np.isscalar(groups):
            raise ValidationError(f"must be one number, not {groups!r}.", f"{owner}.groups")
        shape = tuple(_whole(n, f"{owner}.input_shape", 1) for n in input_shape)
        groups = _whole(groups, f"{owner}.groups", 1)
        for channels, what in ((shape[2], "input"), (weight_shape[0], "output")):
            if channels % groups:
                raise ValidationError(
                    f"must divide the {channels} {what} channels, but is {groups}.", f"{owner}.groups"
                )
        pairs = {}
        for name, value, least in (("padding", padding, 0), ("stride", stride, 1), ("dilation", dilation, 1)):
            x, y = make_tuple(value)
            where = f"{owner}.{name}"
            pairs[name] = (_whole(x, where, least), _whole(y, where, least))
        if weight_shape[3] != shape[2] // groups:
            raise ShapeError(
                f"{owner}.weight has {weight_shape[3]} input channels (its last axis), but input_shape "
                f"{shape} with groups = {groups} has {shape[2] // groups}."
            )
        kernel_size = (weight_shape[1], weight_shape[2])
        result = output_shape(shape, weight_shape[0], kernel_size, **pairs)
        return cls(shape, result, kernel_size, groups=groups, **pairs)

    @property
    def group_channels(self) -> Pair:
        """Input and output channels of one group."""
        return self.input_shape[2] // self.groups, self.output_shape[2] // self.groups


def _whole(value: Any, where: str, least: int) -> int:
    try:
        number = operator.index(value)
    except TypeError:
        raise ArgumentTypeError(f"{where} must consist of integers, not {value!r}.") from None
    if number < least:
        raise ValidationError(f"must be at least {least}, not {number}.", where)
    return number


class Convolution:
    """A convolution with given weights.

    Parameters
    ----------
    geometry : Geometry
    weight : ndarray, shape (C_out, K_x, K_y, C_in/groups)
    """

    def __init__(self, geometry: Geometry, weight: np.ndarray) -> None:
        self.geometry = geometry
        channels_in, channels_out = geometry.group_channels
        grouped = weight[:, ::-1, ::-1].reshape(
            geometry.groups, channels_out, *geometry.kernel_size, channels_in
        )
        # group, offset in x, offset in y, input channel, output channel
        self._taps = np.ascontiguousarray(grouped.transpose(0, 2, 3, 4, 1))
        self._finite = bool(np.isfinite(weight).all())

    def sum(self, x: np.ndarray, graded: bool, dtype: Any) -> np.ndarray:
        """Return the convolution of `x`, an array of `input_shape`.

        Parameters
        ----------
        x : ndarray
            An input is active if it is not zero.
        graded : bool
            Whether the inputs multiply the weights; if not, an active input counts as 1.
        dtype : dtype_like
            Type in which to multiply and add; integers wrap.
        """
        active = x.ravel().nonzero()[0]
        if len(active) <= _SPARSE * x.size or not self._finite:
            return self._of_active(active, x.ravel()[active].astype(dtype) if graded else None, dtype)
        return self._of_windows((x if graded else x != 0).astype(dtype))

    def _of_windows(self, x: np.ndarray) -> np.ndarray:
        """Add input after input of the window that each output sees."""
        geometry = self.geometry
        (p_x, p_y), (s_x, s_y), (d_x, d_y) = geometry.padding, geometry.stride, geometry.dilation
        x_out, y_out, _ = geometry.output_shape
        channels_in, channels_out = geometry.group_channels
        padded = np.pad(x, ((p_x, p_x), (p_y, p_y), (0, 0)))
        total = np.zeros(geometry.output_shape, x.dtype)
        for (group, a, b, c), taps in zip(
            np.ndindex(self._taps.shape[:4]), self._taps.reshape(-1, channels_out), strict=True
        ):
            channel = padded[:, :, group * channels_in + c]
            window = channel[a * d_x :, b * d_y :][: s_x * x_out : s_x, : s_y * y_out : s_y]
            if window.any():
                target = total[:, :, group * channels_out : (group + 1) * channels_out]
                target += window[:, :, None] * taps.astype(x.dtype, copy=False)
        return total

    def _of_active(self, active: np.ndarray, payload: np.ndarray | None, dtype: Any) -> np.ndarray:
        """Add what each active input contributes to the outputs that see it."""
        geometry = self.geometry
        size = np.prod(geometry.output_shape).item()
        taps = geometry.kernel_size[0] * geometry.kernel_size[1] * geometry.group_channels[1]
        step = max(1, _BLOCK // taps)
        if len(active) <= step:
            total = add_up(*self._contributions(active, payload, dtype), size, dtype)
        else:
            total = np.zeros(size, dtype)
            for start in range(0, len(active), step):
                part = slice(start, start + step)
                places, values = self._contributions(
                    active[part], None if payload is None else payload[part], dtype
                )
                np.add.at(total, places, values)
        return total.reshape(geometry.output_shape)

    def _contributions(
        self, active: np.ndarray, payload: np.ndarray | None, dtype: Any
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return flat output indices and contributions of some inputs, input after input."""
        geometry = self.geometry
        channels_in, channels_out = geometry.group_channels
        x, y, channel = np.unravel_index(active, geometry.input_shape)
        x_out, sees_x = self._outputs(x, 0)
        y_out, sees_y = self._outputs(y, 1)
        source, a, b = (sees_x[:, :, None] & sees_y[:, None, :]).nonzero()
        group, c = np.divmod(channel[source], channels_in)
        pixel = x_out[source, a] * geometry.output_shape[1] + y_out[source, b]
        first = pixel * geometry.output_shape[2] + group * channels_out
        values = self._taps[group, a, b, c]
        if payload is not None:
            values = values.astype(dtype, copy=False) * payload[source, None]
        return (first[:, None] + np.arange(channels_out)).ravel(), values.ravel()

    def _outputs(self, position: np.ndarray, axis: int) -> tuple[np.ndarray, np.ndarray]:
        """Return, for inputs and offsets in the kernel, the output along an axis, and whether there is one."""
        geometry = self.geometry
        offsets = np.arange(geometry.kernel_size[axis]) * geometry.dilation[axis]
        shifted = position[:, None] + geometry.padding[axis] - offsets
        output, rest = np.divmod(shifted, geometry.stride[axis])
        return output, (rest == 0) & (output >= 0) & (output < geometry.output_shape[axis])


def conv_scipy(
    input_: np.ndarray,
    weight: np.ndarray,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """Return the convolution of an array, in float64.

    Parameters
    ----------
    input_ : ndarray, shape (X, Y, C_in)
    weight : ndarray, shape (C_out, K_x, K_y, C_in/groups)
    kernel_size, stride, padding, dilation : pair of int
        (x, y); `kernel_size` is that of `weight`.
    groups : int
        Number of groups into which the channels are split.

    Returns
    -------
    ndarray, shape (X_o, Y_o, C_out)

    Raises
    ------
    ValidationError, ShapeError
        Channels cannot be split, the shapes do not fit, or the kernel is larger than the padded input.
    """
    if tuple(kernel_size) != weight.shape[1:3]:
        raise ShapeError(f"kernel_size {tuple(kernel_size)} is not that of a weight of shape {weight.shape}.")
    geometry = Geometry.of(input_.shape, weight.shape, stride, padding, dilation, groups)
    return Convolution(geometry, weight).sum(input_, True, np.float64)


def conv(
    input_: np.ndarray,
    weight: np.ndarray,
    kernel_size: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> np.ndarray:
    """Return the convolution of an array, cast to the dtype of `weight`; see `conv_scipy`."""
    return conv_scipy(input_, weight, kernel_size, stride, padding, dilation, groups).astype(weight.dtype)
