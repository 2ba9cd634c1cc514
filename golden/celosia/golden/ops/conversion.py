"""QUANTIZE and DEQUANTIZE at the edges: between int8 and float32 or uint8."""

from functools import partial
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import Tensor
from celosia.golden.ops.float_formulas import quantize_half_even
from celosia.golden.ops.stage import Int8Array, Kernel, scale_of, zero_point_of
from celosia.golden.quantization import INT8_MAX, INT8_MIN, RoundingProfile, round_half_away

_FAR = 1024


def quantize(output: Tensor, profile: RoundingProfile) -> Kernel:
    """QUANTIZE of float32: `zero_point + round(x / scale)`, the division in float32.

    Halves are rounded away from zero, by ONNX Runtime to even.
    """
    scale, zero_point = scale_of(output), zero_point_of(output)
    if profile == RoundingProfile.FLOAT32:
        return partial(
            quantize_half_even, scale=scale, zero_point=zero_point, low=INT8_MIN, high=INT8_MAX
        )

    def run(values: NDArray[np.float32]) -> Int8Array:
        with np.errstate(over="ignore"):
            quotient = np.asarray(values / scale, np.float32)
        # Infinities have no fraction to round; so far out every zero point leads to saturation.
        steps = round_half_away(np.clip(quotient, -_FAR, _FAR)).astype(np.float64)
        return np.clip(steps + zero_point, INT8_MIN, INT8_MAX).astype(np.int8)

    return run


def dequantize(x: Tensor) -> Kernel:
    """DEQUANTIZE to float32: `scale * (q - zero_point)`."""
    scale, zero_point = scale_of(x), zero_point_of(x)

    def run(values: Int8Array) -> NDArray[Any]:
        return (values.astype(np.int32) - zero_point).astype(np.float32) * scale

    return run


def shift(by: int, dtype: type) -> Kernel:
    """QUANTIZE between int8 and uint8: the same numbers, held 128 apart."""

    def run(values: NDArray[Any]) -> NDArray[Any]:
        return (values.astype(np.int16) + by).astype(dtype)

    return run
