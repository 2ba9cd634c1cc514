"""ADD, MUL and mean pooling as ONNX Runtime computes them: in float32, step by step.

The formulas are those of its CPU kernels QLinearAdd, QLinearMul and QLinearAveragePool, found by
running them on all pairs of bytes; every step is rounded to float32 where the kernels round it.
Where a kernel works on unsigned bytes (`unsigned`), so does the formula: tensors are held 128 lower
here, and sums of float32 depend on that.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import Tensor
from celosia.golden.ops.matrix import Padding, Pair, padded, windows
from celosia.golden.ops.stage import Int8Array, Kernel, scale_of, zero_point_of
from celosia.golden.quantization import INT8_MAX, INT8_MIN

Float32Array = NDArray[np.float32]
_UNSIGNED_OFFSET = 128


def quantize_half_even(
    values: Float32Array, scale: np.float32, zero_point: int, low: int, high: int
) -> Int8Array:
    """`zero_point + rint(values / scale)`, clamped: QuantizeLinear; NaN becomes the zero point."""
    with np.errstate(over="ignore"):
        steps = np.rint(np.asarray(values / scale, np.float64))
    return np.asarray(np.clip(np.nan_to_num(steps) + zero_point, low, high), np.int8)


def add(
    a: Tensor, b: Tensor, output: Tensor, low: int, high: int, *, unsigned: bool = False
) -> Kernel:
    """`rint(a * ra + (b * rb + offset))` with `ra` and `rb` the quotients of scales.

    Both multiply-adds are fused: rounded once.
    """
    bias = _UNSIGNED_OFFSET if unsigned else 0
    scale = scale_of(output)
    ratio_a, ratio_b = scale_of(a) / scale, scale_of(b) / scale
    zero_a, zero_b, zero = (np.float32(zero_point_of(t) + bias) for t in (a, b, output))
    offset = zero - _fused(ratio_a, zero_a, np.asarray(ratio_b * zero_b))
    terms_b = _fused(np.arange(-128, 128, dtype=np.float32) + bias, ratio_b, offset)

    def run(left: Int8Array, right: Int8Array) -> Int8Array:
        wide = left.astype(np.float32) + np.float32(bias)
        total = _fused(wide, ratio_a, terms_b[right.astype(np.intp) + 128])
        return np.asarray(np.clip(np.rint(total) - bias, low, high), np.int8)

    return run


def sub(a: Tensor, b: Tensor, output: Tensor, low: int, high: int) -> Kernel:
    """The difference of the dequantised operands, quantised: no kernel does it in one step."""
    scale_a, scale_b, scale = (scale_of(tensor) for tensor in (a, b, output))
    zero_a, zero_b, zero_point = (zero_point_of(tensor) for tensor in (a, b, output))

    def run(left: Int8Array, right: Int8Array) -> Int8Array:
        real_a = (left.astype(np.int32) - zero_a).astype(np.float32) * scale_a
        real_b = (right.astype(np.int32) - zero_b).astype(np.float32) * scale_b
        return quantize_half_even(real_a - real_b, scale, zero_point, low, high)

    return run


def mul(
    a: Tensor, b: Tensor, output: Tensor, low: int, high: int, *, unsigned: bool = False
) -> Kernel:
    """`rint(product * ratio + zero_point)` of the product of the centred operands."""
    zero_a, zero_b = zero_point_of(a), zero_point_of(b)
    finish = MulStage(a, b, output, low, high, unsigned=unsigned)

    def run(left: Int8Array, right: Int8Array) -> Int8Array:
        return finish((left.astype(np.int32) - zero_a) * (right.astype(np.int32) - zero_b))

    return run


class MulStage:
    """The output bytes of products of centred operands (whole numbers below 2**24)."""

    def __init__(
        self, a: Tensor, b: Tensor, output: Tensor, low: int, high: int, *, unsigned: bool
    ) -> None:
        self._bias = _UNSIGNED_OFFSET if unsigned else 0
        self._ratio = np.float32(scale_of(a) * scale_of(b)) / scale_of(output)
        self._zero_point = np.float32(zero_point_of(output) + self._bias)
        self._range = (low, high)

    def __call__(self, products: NDArray[Any]) -> Int8Array:
        with np.errstate(over="ignore"):
            total = products.astype(np.float32) * self._ratio + self._zero_point
        return np.asarray(np.clip(np.rint(total) - self._bias, *self._range), np.int8)


def mean_pool_2d(
    x: Tensor,
    output: Tensor,
    *,
    window: Pair,
    stride: Pair,
    padding: Padding,
    count_padding: bool,
) -> Kernel:
    """MEAN_POOL_2D: the sum of dequantised taps, row by row, over their count, quantised."""
    scale, zero_point = scale_of(x), zero_point_of(x)
    output_scale, output_zero = scale_of(output), np.float32(zero_point_of(output))
    ones = padded(np.ones((1, x.shape[1], x.shape[2], 1), np.int8), padding, int(count_padding))
    counts = windows(ones, window, stride).sum(axis=(3, 4))

    def run(values: Int8Array) -> Int8Array:
        image = (padded(values, padding, zero_point) - np.float32(zero_point)) * scale
        taps = windows(image, window, stride)
        total = np.zeros((*taps.shape[:3], taps.shape[5]), np.float32)
        for row, column in np.ndindex(window):
            total += taps[:, :, :, row, column]
        steps = total / counts / output_scale + output_zero
        return np.asarray(np.clip(np.rint(steps), INT8_MIN, INT8_MAX), np.int8)

    return run


def _fused(a: Any, b: Any, c: Any) -> Float32Array:
    """`a * b + c` rounded to float32 once: a product of two float32 is exact in float64."""
    return np.asarray(np.float64(a) * np.float64(b) + np.float64(c)).astype(np.float32)


_LOGISTIC_LIMIT = np.float32(18)
_LOGISTIC_NUMERATOR = (
    4.37031012579801e-11,
    1.15627324459942e-07,
    6.08574864600143e-05,
    8.51377133304701e-03,
    2.48287947061529e-01,
)
_LOGISTIC_DENOMINATOR = (
    6.10247389755681e-13,
    5.76102136993427e-09,
    6.29106785017040e-06,
    1.70198817374094e-03,
    1.16817656904453e-01,
    9.93151921023180e-01,
)


def logistic(values: Float32Array) -> Float32Array:
    """1 / (1 + exp(-x)) as the rational function that ONNX Runtime takes from Eigen.

    A numerator in odd powers up to the ninth over a denominator in even powers up to the tenth, by
    fused multiply-adds, plus a half.
    """
    x = np.clip(values, -_LOGISTIC_LIMIT, _LOGISTIC_LIMIT)
    square = np.asarray(x * x, np.float32)
    top, bottom = (
        _polynomial(square, coefficients)
        for coefficients in (_LOGISTIC_NUMERATOR, _LOGISTIC_DENOMINATOR)
    )
    shares = top * x / bottom + np.float32(0.5)
    return np.asarray(np.clip(shares, 0, 1), np.float32)


def _polynomial(x: Float32Array, coefficients: tuple[float, ...]) -> Float32Array:
    total = np.full_like(x, coefficients[0])
    for coefficient in coefficients[1:]:
        total = _fused(total, x, np.float32(coefficient))
    return total
