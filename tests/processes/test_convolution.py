"""Convolution: against a plain loop, and as a sparse matrix."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from lahar.processes import TensorOrder, convolution
from lahar.processes.conv_matrix import conv_to_sparse
from lahar.processes.convolution import (
    Convolution,
    Geometry,
    conv,
    conv_scipy,
    make_tuple,
    output_shape,
    signed_clamp,
)
from lahar.processes.errors import ArgumentTypeError, ShapeError, ValidationError


@st.composite
def problems(draw):
    """A geometry, a kernel and an image."""
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pair = st.tuples(st.integers(1, 3), st.integers(1, 3))
    groups = draw(st.sampled_from([1, 1, 2, 3]))
    channels_in, channels_out = groups * draw(st.integers(1, 2)), groups * draw(st.integers(1, 2))
    kernel_size, stride, dilation = draw(pair), draw(pair), draw(pair)
    padding = draw(st.tuples(st.integers(0, 3), st.integers(0, 3)))
    extent = [d * (k - 1) + 1 for d, k in zip(dilation, kernel_size, strict=True)]
    size = [max(1, e - 2 * p) + draw(st.integers(0, 4)) for e, p in zip(extent, padding, strict=True)]
    weight = rng.normal(size=(channels_out, *kernel_size, channels_in // groups))
    geometry = Geometry.of((*size, channels_in), weight.shape, stride, padding, dilation, groups)
    density = draw(st.sampled_from([0.0, 0.05, 0.5, 1.0]))
    image = rng.normal(size=geometry.input_shape) * (rng.random(geometry.input_shape) < density)
    return geometry, weight, image


def loop(geometry, weight, image):
    """The formula of the module, one product at a time, in ascending index of the input."""
    (p_x, p_y), (s_x, s_y), (d_x, d_y) = geometry.padding, geometry.stride, geometry.dilation
    channels_in, channels_out = geometry.group_channels
    padded = np.pad(image, ((p_x, p_x), (p_y, p_y), (0, 0)))
    k_x, k_y = geometry.kernel_size
    result = np.zeros(geometry.output_shape)
    for x, y, k in np.ndindex(geometry.output_shape):
        for a, b, c in np.ndindex(k_x, k_y, channels_in):
            value = padded[x * s_x + a * d_x, y * s_y + b * d_y, k // channels_out * channels_in + c]
            result[x, y, k] += value * weight[k, k_x - 1 - a, k_y - 1 - b, c]
    return result


@settings(deadline=None, max_examples=60)
@given(problems(), st.sampled_from([0.0, 0.125, 1.0]), st.sampled_from([1, 1 << 20]))
def test_the_sum_has_the_bits_of_a_loop(problem, sparse, block):
    geometry, weight, image = problem
    with pytest.MonkeyPatch.context() as patch:  # all ways to add meet small images
        patch.setattr(convolution, "_SPARSE", sparse)
        patch.setattr(convolution, "_BLOCK", block)
        got = Convolution(geometry, weight).sum(image, True, np.float64)
        spikes = Convolution(geometry, weight).sum(image, False, np.float64)
    np.testing.assert_array_equal(got, loop(geometry, weight, image))
    np.testing.assert_array_equal(spikes, loop(geometry, weight, image != 0))


@settings(deadline=None, max_examples=60)
@given(problems())
def test_the_matrix_gives_the_convolution(problem):
    geometry, weight, image = problem
    dst, src, values = conv_to_sparse(
        geometry.input_shape,
        geometry.output_shape,
        weight,
        geometry.stride,
        geometry.padding,
        geometry.dilation,
        geometry.groups,
    )
    matrix = csr_matrix((values, (dst, src)), shape=(np.prod(geometry.output_shape), image.size))
    assert len(set(zip(dst.tolist(), src.tolist(), strict=True))) == len(dst)
    assert dst.dtype == src.dtype == np.int64
    got = (matrix @ image.ravel()).reshape(geometry.output_shape)
    np.testing.assert_allclose(got, loop(geometry, weight, image), rtol=1e-12, atol=1e-12)


@settings(deadline=None, max_examples=40)
@given(problems(), st.sampled_from([TensorOrder.NCHW, TensorOrder.HWCN]))
def test_the_other_orders_are_correlations(problem, order):
    geometry, weight, image = problem
    # W is x and H is y here, as in the order of Conv
    to_tensor = (2, 1, 0) if order is TensorOrder.NCHW else (1, 0, 2)
    to_kernel = (0, 3, 2, 1) if order is TensorOrder.NCHW else (2, 1, 3, 0)
    flipped = weight[:, ::-1, ::-1]
    dst, src, values = conv_to_sparse(
        [geometry.input_shape[k] for k in to_tensor],
        [geometry.output_shape[k] for k in to_tensor],
        flipped.transpose(to_kernel),
        geometry.stride[::-1],
        geometry.padding[::-1],
        geometry.dilation[::-1],
        geometry.groups,
        order,
    )
    matrix = csr_matrix((values, (dst, src)), shape=(np.prod(geometry.output_shape), image.size))
    expected = loop(geometry, weight, image).transpose(to_tensor)
    got = (matrix @ image.transpose(to_tensor).ravel()).reshape(expected.shape)
    np.testing.assert_allclose(got, expected, rtol=1e-12, atol=1e-12)


def test_a_weight_that_is_not_finite_only_meets_active_inputs():
    geometry = Geometry.of((4, 1, 1), (1, 1, 1, 1))
    weight = np.full((1, 1, 1, 1), np.inf)
    got = Convolution(geometry, weight).sum(np.array([0, 2.0, 3, 4]).reshape(4, 1, 1), True, float)
    assert got.ravel().tolist() == [0, np.inf, np.inf, np.inf]


@settings(deadline=None, max_examples=30)
@given(problems())
def test_the_function_casts_to_the_type_of_the_weight(problem):
    geometry, weight, image = problem
    weight, image = np.round(3 * weight).astype(np.int32), np.round(3 * image)
    arguments = (geometry.kernel_size, geometry.stride, geometry.padding, geometry.dilation, geometry.groups)
    got = conv(image, weight, *arguments)
    assert got.dtype == np.int32
    np.testing.assert_array_equal(got, loop(geometry, weight, image))
    assert conv_scipy(image, weight, *arguments).dtype == np.float64


@given(st.integers(-(2**40), 2**40), st.integers(1, 30))
def test_signed_clamp_wraps(value, bits):
    got = signed_clamp(value, bits)
    assert -(2 ** (bits - 1)) <= got < 2 ** (bits - 1)
    assert (got - value) % 2**bits == 0
    array = signed_clamp(np.array([[value]]), bits)
    assert array.dtype == np.int64
    assert array.tolist() == [[got]]


@pytest.mark.parametrize("dtype", [np.int8, np.int32, np.uint8, np.float64])
def test_signed_clamp_keeps_the_type(dtype):
    got = signed_clamp(np.array([1, 100, 127], dtype), 24)
    assert got.dtype == dtype
    assert got.tolist() == [1, 100, 127]
    assert signed_clamp(2.5, 2) == -1.5


def test_make_tuple():
    assert [make_tuple(v) for v in (3, [4], (1, 2), np.array([5, 6]))] == [(3, 3), (4, 4), (1, 2), (5, 6)]
    for wrong in ((), (1, 2, 3)):
        with pytest.raises(ValidationError, match="one or two numbers"):
            make_tuple(wrong)


# --- validation --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"input_shape": (4, 4)}, ShapeError, r"input_shape must be \(X, Y, channels\)"),
        ({"input_shape": (4, 4.5, 2)}, ArgumentTypeError, "input_shape must consist of integers"),
        ({"input_shape": (4, 0, 2)}, ValidationError, "input_shape: must be at least 1, not 0"),
        ({"groups": (1, 1)}, ValidationError, "groups: must be one number"),
        ({"groups": np.array(1)}, ValidationError, "groups: must be one number"),
        ({"groups": 0}, ValidationError, "groups: must be at least 1"),
        ({"groups": 4}, ValidationError, "groups: must divide the 2 input channels, but is 4"),
        ({"groups": 2}, ValidationError, "groups: must divide the 3 output channels, but is 2"),
        ({"stride": 0}, ValidationError, "stride: must be at least 1"),
        ({"stride": (1, 2, 3)}, ValidationError, "one or two numbers"),
        ({"padding": -1}, ValidationError, "padding: must be at least 0"),
        ({"dilation": (1, 1.5)}, ArgumentTypeError, "dilation must consist of integers"),
        (
            {"input_shape": (4, 4, 3)},
            ShapeError,
            r"weight has 2 input channels \(its last axis\), but .* has 3",
        ),
        ({"dilation": (1, 9)}, ValidationError, "in y the kernel reaches over 19 of 4 padded inputs"),
    ],
)
def test_geometries_that_do_not_fit_are_refused(arguments, error, match):
    with pytest.raises(error, match=match):
        Geometry.of(**{"input_shape": (4, 4, 2), "weight_shape": (3, 3, 3, 2), **arguments})


def test_an_output_without_size_is_refused():
    with pytest.raises(ValidationError, match=r"in x the kernel reaches over 5 of 4 padded inputs.*Pad more"):
        output_shape((4, 9, 1), 1, (5, 1), (1, 1), (0, 0), (1, 1))


def test_a_wrong_kernel_size_is_refused():
    with pytest.raises(
        ShapeError, match=r"kernel_size \(2, 2\) is not that of a weight of shape \(1, 3, 3, 1\)"
    ):
        conv(np.ones((4, 4, 1)), np.ones((1, 3, 3, 1)), (2, 2), (1, 1), (0, 0), (1, 1), 1)


@pytest.mark.parametrize(
    ("arguments", "error", "match"),
    [
        ({"group": 2}, AssertionError, "3 input and 2 output channels cannot be split into 2 groups"),
        ({"order": TensorOrder.CHWN}, ValidationError, "NWHC, NCHW or HWCN expected, not 'CHWN'"),
        ({"order": 9}, ValidationError, "expected, not 9"),
        (
            {"kernel": np.ones((2, 1, 1, 2))},
            ShapeError,
            r"kernel of shape \(2, 1, 1, 2\) does not have 2 output and 3",
        ),
    ],
)
def test_matrices_that_cannot_be_made_are_refused(arguments, error, match):
    given = {"kernel": np.ones((2, 1, 1, 3)), "group": 1, **arguments}
    with pytest.raises(error, match=match):
        conv_to_sparse((4, 4, 3), (4, 4, 2), stride=(1, 1), padding=(0, 0), dilation=(1, 1), **given)
