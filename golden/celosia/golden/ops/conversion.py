"""QUANTIZE from float32 and DEQUANTIZE: the edges between real numbers and int8."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import Tensor
from celosia.golden.ops.stage import Int8Array, Kernel, scale_of, zero_point_of
from celosia.golden.quantization import INT8_MAX, INT8_MIN, round_half_away

_FAR = 1024


def quantize(output: Tensor) -> Kernel:
    """QUANTIZE of float32: `zero_point + round(x / scale)`, half away from zero, in float32."""
    scale, zero_point = scale_of(output), zero_point_of(output)

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
