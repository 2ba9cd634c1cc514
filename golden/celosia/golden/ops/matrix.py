"""CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED: exact int32 sums from float matrix products.

numpy has fast matrix products for floats only. A float32 sum of int8 products is exact while every
partial sum stays below 2**24, that is up to 1024 products of 128 x 128; longer sums are cut into
chunks that are added as integers. The input's zero point is folded into the bias, so that the
products take raw int8 values.
"""

from typing import Any, Protocol, cast

import numpy as np
from numpy.lib.stride_tricks import as_strided
from numpy.typing import NDArray

from celosia.golden.graph import Activation, Tensor
from celosia.golden.ops.stage import (
    Int8Array,
    Kernel,
    OutputStage,
    quantization_of,
    scale_of,
    zero_point_of,
)
from celosia.golden.quantization import INT32_MAX, Int64Array, RoundingMode, wrap_int32

EXACT_PRODUCTS = 1024
"""Products of two int8 whose float32 sum is exact: 1024 * 128 * 128 == 2**24."""
Pair = tuple[int, int]
Padding = tuple[Pair, Pair]


class MatrixProduct(Protocol):
    """What computes the sums of a CONV_2D or FULLY_CONNECTED."""

    def compute(self, x: NDArray[np.float32]) -> Int64Array:
        """int32 accumulators (held in int64) [m, n] of float32 rows [m, k] of int8 values."""
        ...


class Accumulators:
    """The matrix product with a constant: `acc = x @ weights + bias - zero_point * sum(weights)`.

    `weights` is int8 [k, n], `bias` int32 [n] or None, `zero_point` the input's.
    """

    def __init__(self, weights: Int8Array, bias: NDArray[Any] | None, zero_point: int) -> None:
        depth = weights.shape[0]
        self._chunks = [
            np.ascontiguousarray(weights[start : start + EXACT_PRODUCTS], np.float32)
            for start in range(0, depth, EXACT_PRODUCTS)
        ]
        self._offset = folded_bias(weights, bias, zero_point)
        self._may_wrap = int(np.abs(self._offset).max()) + depth * 128 * 128 > INT32_MAX

    def compute(self, x: NDArray[np.float32]) -> Int64Array:
        """int32 accumulators (held in int64) of float32 rows [m, k] of int8 values."""
        if len(self._chunks) == 1:
            acc = (x @ self._chunks[0]).astype(np.int64)
        else:
            acc = np.zeros((x.shape[0], self._offset.size), np.int64)
            for index, chunk in enumerate(self._chunks):
                start = index * EXACT_PRODUCTS
                acc += (x[:, start : start + EXACT_PRODUCTS] @ chunk).astype(np.int64)
        acc += self._offset
        return wrap_int32(acc) if self._may_wrap else acc


def folded_bias(weights: Int8Array, bias: NDArray[Any] | None, zero_point: int) -> Int64Array:
    """`bias - zero_point * sum(weights)` over all but the last axis, int64 per output channel."""
    sums = weights.astype(np.int64).sum(axis=tuple(range(weights.ndim - 1)))
    folded: Int64Array = -zero_point * sums
    if bias is not None:
        folded += bias
    return folded


def padded(x: Int8Array, padding: Padding, value: int, dtype: type = np.float32) -> NDArray[Any]:
    """A copy of NHWC `x` in `dtype` with `value` around height and width."""
    (top, bottom), (left, right) = padding
    batch, height, width, channels = x.shape
    out = np.full((batch, top + height + bottom, left + width + right, channels), value, dtype)
    out[:, top : top + height, left : left + width] = x
    return out


def output_size(size: int, before_after: Pair, window: int, stride: int, dilation: int = 1) -> int:
    """Output positions along one dimension."""
    return (size + sum(before_after) - ((window - 1) * dilation + 1)) // stride + 1


def windows(x: NDArray[Any], window: Pair, stride: Pair, dilation: Pair = (1, 1)) -> NDArray[Any]:
    """View of padded NHWC `x` as [batch, out_h, out_w, window_h, window_w, channels]."""
    batch, height, width, channels = x.shape
    out_h = output_size(height, (0, 0), window[0], stride[0], dilation[0])
    out_w = output_size(width, (0, 0), window[1], stride[1], dilation[1])
    by_batch, by_row, by_column, by_channel = x.strides
    return as_strided(
        x,
        (batch, out_h, out_w, *window, channels),
        (
            by_batch,
            by_row * stride[0],
            by_column * stride[1],
            by_row * dilation[0],
            by_column * dilation[1],
            by_channel,
        ),
        writeable=False,
    )


def conv_2d(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    output: Tensor,
    *,
    stride: Pair,
    dilation: Pair,
    padding: Padding,
    activation: Activation,
    mode: RoundingMode,
    product: MatrixProduct | None = None,
) -> Kernel:
    """CONV_2D with constant weights [out, kh, kw, in] and int32 bias [out] or none.

    `product` computes the sums, bias and zero point included, in place of the exact one: each row
    that it is given is what lies under a window [kh, kw, in].
    """
    kernel = constant(weights)
    out_channels, *window_list, _ = kernel.shape
    window = (window_list[0], window_list[1])
    zero_point = zero_point_of(x)
    matrix = kernel.reshape(out_channels, -1).T
    if product is None:
        product = Accumulators(matrix, None if bias is None else bias.data, zero_point)
    sums = product.compute
    stage = OutputStage(scale_of(x), quantization_of(weights).scale, output, activation, mode)

    def run(values: Int8Array) -> Int8Array:
        patches = windows(padded(values, padding, zero_point), window, stride, dilation)
        acc = sums(patches.reshape(-1, matrix.shape[0]))
        return stage.finish(acc).reshape(*patches.shape[:3], out_channels)

    return run


def depthwise_conv_2d(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    output: Tensor,
    *,
    stride: Pair,
    dilation: Pair,
    padding: Padding,
    multiplier: int,
    activation: Activation,
    mode: RoundingMode,
) -> Kernel:
    """DEPTHWISE_CONV_2D with constant weights [1, kh, kw, channels]; each input channel feeds
    `multiplier` neighbouring output channels."""
    kernel = constant(weights)[0]
    window = (kernel.shape[0], kernel.shape[1])
    zero_point = zero_point_of(x)
    taps = kernel.shape[0] * kernel.shape[1]
    dtype = np.float32 if taps <= EXACT_PRODUCTS else np.float64
    kernel_float = kernel.astype(dtype)
    offset = folded_bias(kernel, None if bias is None else bias.data, zero_point)
    may_wrap = int(np.abs(offset).max()) + taps * 128 * 128 > INT32_MAX
    stage = OutputStage(scale_of(x), quantization_of(weights).scale, output, activation, mode)

    def run(values: Int8Array) -> Int8Array:
        image = padded(values, padding, zero_point, dtype)
        if multiplier > 1:
            image = np.repeat(image, multiplier, axis=3)
        patches = windows(image, window, stride, dilation)
        total = patches[:, :, :, 0, 0] * kernel_float[0, 0]
        term = np.empty_like(total)
        for row, column in np.ndindex(window):
            if row or column:
                np.multiply(patches[:, :, :, row, column], kernel_float[row, column], out=term)
                total += term
        acc = total.astype(np.int64)
        acc += offset
        return stage.finish(wrap_int32(acc) if may_wrap else acc)

    return run


def fully_connected(
    x: Tensor,
    weights: Tensor,
    bias: Tensor | None,
    output: Tensor,
    *,
    activation: Activation,
    mode: RoundingMode,
    product: MatrixProduct | None = None,
) -> Kernel:
    """FULLY_CONNECTED with constant weights [out, in]; the input is taken as rows of `in`.

    `product` is as in `conv_2d`.
    """
    matrix = constant(weights).T
    if product is None:
        product = Accumulators(matrix, None if bias is None else bias.data, zero_point_of(x))
    sums = product.compute
    stage = OutputStage(scale_of(x), quantization_of(weights).scale, output, activation, mode)

    def run(values: Int8Array) -> Int8Array:
        rows = values.reshape(-1, matrix.shape[0]).astype(np.float32)
        return stage.finish(sums(rows)).reshape(output.shape)

    return run


def constant(tensor: Tensor) -> Int8Array:
    """Data of a constant int8 tensor (the importer has checked that it is one)."""
    return cast(Int8Array, tensor.data)
