"""The output stage that most operators end in: requantise, add the zero point, clamp to int8."""

from collections.abc import Callable
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from celosia.golden.graph import Activation, Quantization, Tensor
from celosia.golden.quantization import (
    FixedPointScaler,
    Int64Array,
    RoundingMode,
    activation_range,
    effective_scale,
    effective_scale_float32,
    quantize_multiplier,
    requantize_float32,
    requantize_float64,
)

Int8Array: TypeAlias = NDArray[np.int8]
Kernel: TypeAlias = Callable[..., NDArray[Any]]


def quantization_of(tensor: Tensor) -> Quantization:
    """The quantisation of a tensor that the importer has checked to have one."""
    assert tensor.quantization is not None
    return tensor.quantization


def scale_of(tensor: Tensor) -> np.float32:
    """Scale of a per-tensor quantised tensor."""
    return np.float32(quantization_of(tensor).scale[0])


def zero_point_of(tensor: Tensor) -> int:
    """Zero point of a per-tensor quantised tensor."""
    return int(quantization_of(tensor).zero_point[0])


class OutputStage:
    """From int32 accumulators to int8: requantise, add the output's zero point, clamp.

    `input_scale`, `weight_scale` (one value or one per channel) and `output_scale` are float32;
    channels are the last dimension of what is finished.
    """

    def __init__(
        self,
        input_scale: np.float32,
        weight_scale: ArrayLike,
        output: Tensor,
        activation: Activation,
        mode: RoundingMode,
    ) -> None:
        output_scale = scale_of(output)
        self._zero_point = zero_point_of(output)
        self._low, self._high = activation_range(activation, output_scale, self._zero_point)
        self._requantize: Callable[[Int64Array], NDArray[Any]]
        if mode is RoundingMode.FLOAT32:
            scale32 = effective_scale_float32(input_scale, weight_scale, output_scale)
            self._requantize = lambda acc: requantize_float32(acc, scale32)
        else:
            scale64 = effective_scale(input_scale, weight_scale, output_scale)
            if mode is RoundingMode.FLOAT64:
                self._requantize = lambda acc: requantize_float64(acc, scale64)
            else:
                self._requantize = FixedPointScaler(*quantize_multiplier(scale64), mode).scale

    def finish(self, acc: Int64Array) -> Int8Array:
        """int8 outputs of accumulators, which are overwritten."""
        values = self._requantize(acc)
        return clamp_int8(values, self._zero_point, self._low, self._high)


def clamp_int8(values: NDArray[Any], zero_point: int, low: int, high: int) -> Int8Array:
    """`clip(values + zero_point, low, high)` as int8; `values` are int32 or wider, overwritten."""
    # Clamp first: the sum could leave int32.
    np.clip(values, low - zero_point, high - zero_point, out=values)
    values += zero_point
    return values.astype(np.int8)
