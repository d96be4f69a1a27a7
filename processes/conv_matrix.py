"""A convolution as a sparse matrix."""

from __future__ import annotations

from collections.abc import Sequence
from enum import IntEnum
from typing import Any

import numpy as np

from .errors import ShapeError, ValidationError


class TensorOrder(IntEnum):
    """Order of the axes of kernels (N: output channels) and, without N, of inputs and outputs.

    Attributes
    ----------
    NCHW, HWCN
        Correlations, as elsewhere in machine learning.
    CHWN
        Refused: its meaning was never settled.
    NWHC
        The order of the Process `Conv`, a convolution.
    """

    NCHW = 1
    CHWN = 2
    HWCN = 3
    NWHC = 4


def conv_to_sparse(
    input_shape: Sequence[int],
    output_shape: Sequence[int],
    kernel: np.ndarray,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    group: int,
    order: TensorOrder = TensorOrder.NWHC,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the matrix of a convolution of flattened (C order) inputs and outputs.

    Parameters
    ----------
    input_shape, output_shape : sequence of int
        (W, H, C) for NWHC, the order of the Process `Conv`; (C, H, W) for NCHW; (H, W, C) for HWCN.
    kernel : ndarray
        With axes as `order` says; C counts the channels of one group.
    stride, padding, dilation : sequence of int
        Along W and H for NWHC; along H and W for the other orders.
    group : int
        Number of groups into which the channels are split.
    order : TensorOrder
        NWHC is a convolution (the kernel is flipped); NCHW and HWCN are correlations.

    Returns
    -------
    dst, src : ndarray of int64
        Flat indices of outputs and inputs, sorted by group, y and x of the output, y and x in the kernel,
        output channel and input channel.
    weights : ndarray
        In the dtype of `kernel`, zeros included.

    Raises
    ------
    ShapeError
        Channels cannot be split into `group` groups, or the kernel does not have them.
    ValidationError
        `order` is CHWN or unknown.
    """
    if order == TensorOrder.NWHC:
        taps = kernel[:, ::-1, ::-1]  # k, a, b, c
        axes, along = "xyc", (0, 1)
    elif order == TensorOrder.NCHW:
        taps = kernel.transpose(0, 3, 2, 1)
        axes, along = "cyx", (1, 0)
    elif order == TensorOrder.HWCN:
        taps = kernel.transpose(3, 1, 0, 2)
        axes, along = "yxc", (1, 0)
    else:
        raise ValidationError(
            f"NWHC, NCHW or HWCN expected, not {getattr(order, 'name', order)!r}.", "conv_to_sparse.order"
        )
    sources, targets = _sizes_and_steps(input_shape, axes), _sizes_and_steps(output_shape, axes)
    channels_in, channels_out = sources["c"][0], targets["c"][0]
    if channels_in % group or channels_out % group:
        raise ShapeError(
            f"conv_to_sparse: {channels_in} input and {channels_out} output channels cannot be split into "
            f"{group} groups."
        )
    per_group_in, per_group_out = channels_in // group, channels_out // group
    if (taps.shape[0], taps.shape[3]) != (channels_out, per_group_in):
        raise ShapeError(
            f"conv_to_sparse: the kernel of shape {kernel.shape} does not have {channels_out} output and "
            f"{per_group_in} input channels where order {TensorOrder(order).name} expects them."
        )
    position: dict[str, Any] = {}
    for axis, number in zip("xy", along, strict=True):
        outputs = np.arange(targets[axis][0])
        offsets = np.arange(taps.shape[1 + "xy".index(axis)])
        position[axis] = outputs[:, None] * stride[number] + offsets * dilation[number] - padding[number]
    inside = {axis: (p >= 0) & (p < sources[axis][0]) for axis, p in position.items()}
    # y and x of the output, y and x in the kernel, for all inputs that are not padding
    y, x, b, a = (inside["y"][:, None, :, None] & inside["x"][None, :, None, :]).nonzero()
    dst = y * targets["y"][1] + x * targets["x"][1]
    src = position["y"][y, b] * sources["y"][1] + position["x"][x, a] * sources["x"][1]
    parts = []
    for g in range(group):
        k = np.arange(g * per_group_out, (g + 1) * per_group_out)[:, None]
        c = np.arange(g * per_group_in, (g + 1) * per_group_in)
        shape = (len(dst), per_group_out, per_group_in)
        parts.append(
            (
                np.broadcast_to(dst[:, None, None] + k * targets["c"][1], shape).ravel(),
                np.broadcast_to(src[:, None, None] + c * sources["c"][1], shape).ravel(),
                taps[k[:, 0]][:, a, b].transpose(1, 0, 2).ravel(),
            )
        )
    dst, src, weights = map(np.concatenate, zip(*parts, strict=True))
    return dst.astype(np.int64), src.astype(np.int64), weights


def _sizes_and_steps(shape: Sequence[int], axes: str) -> dict[str, tuple[int, int]]:
    """Return for each axis its length and the distance of neighbours in the flattened array."""
    return {axis: (shape[k], int(np.prod(shape[k + 1 :], dtype=np.int64))) for k, axis in enumerate(axes)}
