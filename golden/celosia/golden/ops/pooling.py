"""AVERAGE_POOL_2D, MAX_POOL_2D and MEAN."""

import math
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import Activation, Tensor
from celosia.golden.ops.matrix import Padding, Pair, padded, windows
from celosia.golden.ops.stage import Int8Array, Kernel, clamp_int8, scale_of, zero_point_of
from celosia.golden.quantization import (
    INT8_MIN,
    FixedPointScaler,
    Int64Array,
    RoundingMode,
    activation_range,
    float32_scale_parts,
    quantize_multiplier,
    requantize_float32,
)


def tap_counts(shape: Pair, window: Pair, stride: Pair, padding: Padding) -> NDArray[np.int32]:
    """How many taps of each output position lie inside an image of `shape`: [out_h, out_w]."""
    ones = padded(np.ones((1, *shape, 1), np.int8), padding, 0, np.int32)
    return np.asarray(windows(ones, window, stride).sum(axis=(3, 4, 5), dtype=np.int32)[0])


def average_pool_2d(
    x: Tensor,
    output: Tensor,
    *,
    window: Pair,
    stride: Pair,
    padding: Padding,
    activation: Activation,
) -> Kernel:
    """AVERAGE_POOL_2D: the mean of the taps inside the image, half away from zero."""
    low, high = activation_range(activation, scale_of(output), zero_point_of(output))
    counts = tap_counts((x.shape[1], x.shape[2]), window, stride, padding)[None, :, :, None]

    def run(values: Int8Array) -> Int8Array:
        image = padded(values, padding, 0, np.int32)
        total = np.asarray(windows(image, window, stride).sum(axis=(3, 4), dtype=np.int32))
        magnitude = (np.abs(total) + counts // 2) // counts
        return clamp_int8(np.where(total < 0, -magnitude, magnitude), 0, low, high)

    return run


def max_pool_2d(
    x: Tensor,
    output: Tensor,
    *,
    window: Pair,
    stride: Pair,
    padding: Padding,
    activation: Activation,
) -> Kernel:
    """MAX_POOL_2D: the largest of the taps inside the image, clamped."""
    low, high = activation_range(activation, scale_of(output), zero_point_of(output))

    def run(values: Int8Array) -> Int8Array:
        image = padded(values, padding, INT8_MIN, np.int8)
        largest = windows(image, window, stride).max(axis=(3, 4))
        return np.asarray(np.clip(largest, low, high), np.int8)

    return run


def mean_constants(x: Tensor, output: Tensor, count: int, mode: RoundingMode) -> tuple[int, int]:
    """Multiplier and exponent that turn a centred sum of `count` values into their mean."""
    if mode is RoundingMode.FLOAT32:
        parts = float32_scale_parts(np.asarray(_float32_mean_scale(x, output, count)))
        return int(parts[0]), int(parts[1])
    multiplier, exponent = quantize_multiplier(float(scale_of(x)) / float(scale_of(output)))
    shift = min(int(math.log2(count)), 32, 31 + int(exponent))
    return (int(multiplier) << shift) // count, int(exponent) - shift


def mean(
    x: Tensor, output: Tensor, *, axes: tuple[int, ...], keep_dims: bool, mode: RoundingMode
) -> Kernel:
    """MEAN over `axes`: the centred sum, requantised with the count inside the multiplier."""
    count = math.prod(x.shape[axis] for axis in axes)
    requantize: Callable[[Int64Array], NDArray[Any]]
    if mode is RoundingMode.FLOAT32:
        scale = np.asarray(_float32_mean_scale(x, output, count))
        requantize = partial(requantize_float32, scale=scale)
    else:
        requantize = FixedPointScaler(*mean_constants(x, output, count, mode), mode).scale
    offset = zero_point_of(x) * count
    zero_point = zero_point_of(output)
    low, high = activation_range(Activation.NONE, scale_of(output), zero_point)

    def run(values: Int8Array) -> Int8Array:
        total: Int64Array = np.asarray(
            values.sum(axis=axes, dtype=np.int64, keepdims=keep_dims) - offset
        )
        means = np.asarray(requantize(total))
        return clamp_int8(means, zero_point, low, high).reshape(output.shape)

    return run


def _float32_mean_scale(x: Tensor, output: Tensor, count: int) -> np.float32:
    """The scale of a sum of `count` values in ONNX Runtime's QLinearGlobalAveragePool."""
    return np.float32(scale_of(x) / np.float32(scale_of(output) * np.float32(count)))
