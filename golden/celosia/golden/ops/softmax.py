"""SOFTMAX over the last dimension: in the fixed point of TFLite, or as ONNX Runtime has it."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import Tensor
from celosia.golden.ops import fixed_point
from celosia.golden.ops.stage import Int8Array, Kernel, scale_of, zero_point_of
from celosia.golden.quantization import INT8_MAX, INT8_MIN, Int64Array

_DIFFERENCE_BITS = 5  # differences to the largest value are held in Q5
_SUM_BITS = 12  # and the sum of their exponentials in Q12


def softmax(x: Tensor, *, beta: float) -> Kernel:
    """SOFTMAX; the output's scale 1/256 and zero point -128 belong to the operator."""
    scaler, radius = fixed_point.scaler_to(beta * float(scale_of(x)), _DIFFERENCE_BITS)

    def run(values: Int8Array) -> Int8Array:
        wide = values.astype(np.int64)
        difference: Int64Array = wide - wide.max(axis=-1, keepdims=True)
        counted = difference >= -radius
        scaled = scaler.scale(np.where(counted, difference, 0))
        power = np.where(counted, fixed_point.exp_of_negative(scaled, _DIFFERENCE_BITS), 0)
        total = fixed_point.divide_by_power(power, _SUM_BITS).sum(axis=-1, keepdims=True)
        # Normalise the sum to [1, 2): frexp gives its bit length exactly.
        length = np.frexp(total.astype(np.float64))[1].astype(np.int64)
        reciprocal = fixed_point.reciprocal_of_one_plus((total << (32 - length)) - (1 << 31))
        places = _SUM_BITS - (32 - length) + 31 - 8
        share = fixed_point.high_multiply(reciprocal, power)
        result = fixed_point.divide_by_power(share, places) + INT8_MIN
        return np.clip(np.where(counted, result, INT8_MIN), INT8_MIN, INT8_MAX).astype(np.int8)

    return run


def softmax_of_table(x: Tensor, output: Tensor) -> Kernel:
    """SOFTMAX of ONNX Runtime's QLinearSoftmax: a table of exponentials, and one division.

    The table holds exp(-steps * scale) in units that let the sum of a row fit 32 bits, rounded to
    whole numbers; the output's scale counts as one over a whole number.
    """
    count = x.shape[-1]
    steps = np.arange(-255, 1, dtype=np.float64)
    table = np.rint(np.exp(float(scale_of(x)) * steps + np.log((2.0**32 - 1) / count)))
    units = np.floor(np.float32(1) / scale_of(output)).astype(np.float64)
    zero_point = zero_point_of(output)

    def run(values: Int8Array) -> Int8Array:
        wide = values.astype(np.intp)
        power = table[wide - wide.max(axis=-1, keepdims=True) + 255]
        share = np.rint(power * units / power.sum(axis=-1, keepdims=True))
        return np.asarray(np.clip(share + zero_point, INT8_MIN, INT8_MAX), np.int8)

    return run


def softmax_of_reals() -> Kernel:
    """SOFTMAX of float32, computed in float64."""

    def run(values: NDArray[np.float32]) -> NDArray[Any]:
        wide = values.astype(np.float64)
        power = np.exp(wide - wide.max(axis=-1, keepdims=True))
        return np.asarray(power / power.sum(axis=-1, keepdims=True), np.float32)

    return run
