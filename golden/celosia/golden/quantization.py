"""Requantisation: how an int32 accumulator becomes an int8 value, in every rounding we know.

An int8 kernel leaves an accumulator whose real value is `acc * d * output_scale`, where `d` is the
quotient of input, weight and output scales. The interpreters in the field compute `round(acc * d)`
differently, and the differences reach the output, so the way is always named: a profile names an
interpreter, and gives each operator one mode.

The integer modes share one data path of two stages, where `M` and `e` are the multiplier and the
exponent of `quantize_multiplier`, `>>` is arithmetic, `LS = max(e, 0)` and `RS = max(-e, 0)`:

    x = wrap32(acc << LS);  P = x * M
    h = (P + (nudge << 30)) >> 31
    y = (h + (1 << (RS - 1)) - (away & (h < 0))) >> RS        (y = h where RS = 0)

`DOUBLE` is {nudge 1, away 1}, `SINGLE` {0, 0} (nudge 1 where RS = 0), `AVERAGE` {0, 1}. The scheme
is that of the TFLite reference kernels (`MultiplyByQuantizedMultiplier`, with and without
`TFLITE_SINGLE_ROUNDING`).
"""

from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from celosia.golden.graph import MATRIX_KINDS, Activation, OpKind
from celosia.golden.rounding import RoundingMode as RoundingMode
from celosia.golden.rounding import RoundingProfile as RoundingProfile

INT32_MIN = -(1 << 31)
INT32_MAX = (1 << 31) - 1
INT8_MIN = -128
INT8_MAX = 127

Int32Array: TypeAlias = NDArray[np.int32]
Int64Array: TypeAlias = NDArray[np.int64]
_Float = TypeVar("_Float", np.float32, np.float64)


_FLOAT_KINDS = (OpKind.ADD, OpKind.SUB, OpKind.MUL, OpKind.MEAN)


def mode_for(profile: RoundingProfile, kind: OpKind) -> RoundingMode:
    """Rounding mode that the operators of `kind` have under `profile`.

    AVERAGE_POOL_2D divides by a tap count, half away from zero, under every profile.
    """
    if kind is OpKind.AVERAGE_POOL_2D:
        return RoundingMode.AVERAGE
    if profile == RoundingProfile.SINGLE:
        return RoundingMode.SINGLE
    if profile == RoundingProfile.LITERT and kind is OpKind.FULLY_CONNECTED:
        return RoundingMode.FLOAT64
    if profile == RoundingProfile.FLOAT32 and kind in (*MATRIX_KINDS, *_FLOAT_KINDS):
        return RoundingMode.FLOAT32
    return RoundingMode.DOUBLE


def effective_scale(
    input_scale: ArrayLike, weight_scale: ArrayLike, output_scale: ArrayLike
) -> NDArray[np.float64]:
    """`input_scale * weight_scale / output_scale` in float64, from float32 scales."""
    product = np.asarray(input_scale, np.float64) * np.asarray(weight_scale, np.float64)
    return np.asarray(product / np.asarray(output_scale, np.float64))


def effective_scale_float32(
    input_scale: ArrayLike, weight_scale: ArrayLike, output_scale: ArrayLike
) -> NDArray[np.float32]:
    """`input_scale * weight_scale / output_scale`, each step rounded to float32."""
    product = np.asarray(input_scale, np.float32) * np.asarray(weight_scale, np.float32)
    return np.asarray(product / np.asarray(output_scale, np.float32))


def rescale_factor(
    profile: RoundingProfile, a: np.float32, b: np.float32, output: np.float32
) -> float:
    """`a * b / output` as MUL, RELU, RELU6 and HARD_SWISH take it from float32 scales.

    LiteRT's kernels compute it in float32, those of TensorFlow Lite Micro in float64.
    """
    if profile == RoundingProfile.LITERT:
        return float(effective_scale_float32(a, b, output))
    return float(effective_scale(a, b, output))


def quantize_multiplier(real: ArrayLike) -> tuple[Int64Array, Int32Array]:
    """Fixed-point form of positive float64 factors: `real ~ multiplier * 2**(exponent - 31)`.

    Returns `(multiplier, exponent)` in the shape of `real`; a multiplier lies in [2**30, 2**31),
    or is 0 (with exponent 0) where the factor is 0 or below 2**-32. Same values as
    `QuantizeMultiplier` of TFLite. Exponents above 30 have no meaning in hardware; the importer
    refuses them.
    """
    mantissa, exponent = np.frexp(np.asarray(real, np.float64))
    # mantissa * 2**31 is exact in float64, and so is adding a half: floor rounds half away.
    multiplier = np.floor(mantissa * 2.0**31 + 0.5).astype(np.int64)
    carried = multiplier == 1 << 31
    multiplier = np.where(carried, multiplier >> 1, multiplier)
    exponent = np.where(carried, exponent + 1, exponent)
    vanished = (exponent < -31) | (multiplier == 0)
    return (
        np.where(vanished, 0, multiplier).astype(np.int64),
        np.where(vanished, 0, exponent).astype(np.int32),
    )


def wrap_int32(values: Int64Array) -> Int64Array:
    """int64 values reduced to their low 32 bits, read as two's complement."""
    return ((values - INT32_MIN) & 0xFFFFFFFF) + INT32_MIN


class FixedPointScaler:
    """The two-stage integer data path with its constants prepared, for repeated use.

    `multiplier` and `exponent` broadcast against the last dimensions of what is scaled (one per
    channel, or one). `mode` is DOUBLE, SINGLE or AVERAGE.
    """

    def __init__(self, multiplier: ArrayLike, exponent: ArrayLike, mode: RoundingMode) -> None:
        self._multiplier = np.asarray(multiplier, np.int64)
        exponents = np.asarray(exponent, np.int64)
        left = np.maximum(exponents, 0)
        self._left = left if left.any() else None
        self._right = np.maximum(-exponents, 0)
        half = np.where(self._right > 0, np.int64(1) << np.maximum(self._right - 1, 0), 0)
        self._half = half.astype(np.int64)
        one_stage = self._right == 0
        if mode is RoundingMode.DOUBLE:
            nudge: NDArray[np.bool_] = np.ones_like(one_stage)
            away = ~one_stage
        elif mode is RoundingMode.SINGLE:
            nudge = one_stage
            away = np.zeros_like(one_stage)
        elif mode is RoundingMode.AVERAGE:
            nudge = np.zeros_like(one_stage)
            away = ~one_stage
        else:
            raise ValueError(f"mode must be an integer rounding mode, not {mode!r}")
        self._nudge = nudge.astype(np.int64) << 30
        self._away = away
        self._any_away = bool(away.any())

    def scale(self, acc: Int64Array) -> Int64Array:
        """Scale int32 accumulators held in int64, **in place**; returns `acc`."""
        if self._left is not None:
            acc[...] = wrap_int32(acc << self._left)
        acc *= self._multiplier
        acc += self._nudge
        acc >>= 31
        if self._any_away:
            negative = acc < 0
            negative &= self._away
            acc += self._half
            acc -= negative
        else:
            acc += self._half
        acc >>= self._right
        return acc


def requantize(
    acc: ArrayLike,
    multiplier: ArrayLike,
    exponent: ArrayLike,
    mode: RoundingMode,
    real_scale: ArrayLike | None = None,
) -> Int32Array:
    """Requantise int32 accumulators; zero point and clamp are the caller's.

    `multiplier` and `exponent` (of `quantize_multiplier`) serve the integer modes, `real_scale` the
    float modes: float32 values of `effective_scale_float32` for FLOAT32, float64 values of
    `effective_scale` for FLOAT64. All broadcast against the last dimension of `acc`. Results beyond
    int32 saturate in the float modes (the integer modes can't leave int32).
    """
    if mode is RoundingMode.FLOAT32:
        return requantize_float32(acc, np.asarray(real_scale, np.float32))
    if mode is RoundingMode.FLOAT64:
        return requantize_float64(acc, np.asarray(real_scale, np.float64))
    work = np.array(acc, np.int64)
    work = np.broadcast_to(work, np.broadcast_shapes(work.shape, np.shape(multiplier))).copy()
    return FixedPointScaler(multiplier, exponent, mode).scale(work).astype(np.int32)


def requantize_float32(acc: ArrayLike, scale: NDArray[np.float32]) -> Int32Array:
    """`rint(float32(acc) * scale)`, half to even, as XNNPACK and ONNX Runtime compute it."""
    with np.errstate(over="ignore"):
        product = np.asarray(acc, np.int32).astype(np.float32) * scale
    return np.rint(_saturate_int32(product)).astype(np.int32)


def requantize_float64(acc: ArrayLike, scale: NDArray[np.float64]) -> Int32Array:
    """`round(float64(acc) * scale)`, half away from zero, as LiteRT's reference FULLY_CONNECTED."""
    with np.errstate(over="ignore"):
        product = np.asarray(acc, np.float64) * scale
    return round_half_away(_saturate_int32(product)).astype(np.int32)


def _saturate_int32(values: NDArray[np.floating]) -> NDArray[np.float64]:
    return np.clip(np.asarray(values, np.float64), INT32_MIN, INT32_MAX)


def round_half_away(values: NDArray[_Float]) -> NDArray[_Float]:
    """Round to the nearest whole number, halves away from zero, in the values' own precision.

    Adding a half and truncating would be wrong next to a half, so the fraction is compared.
    """
    whole = np.trunc(values)
    away = np.copysign(np.abs(values - whole) >= 0.5, values)
    return np.asarray(whole + away, values.dtype)


def float32_scale_parts(scale: NDArray[np.float32]) -> tuple[Int64Array, Int32Array]:
    """float32 scales as integers: `scale = mantissa * 2**exponent`, mantissa in [2**23, 2**24)."""
    fraction, exponent = np.frexp(scale.astype(np.float64))
    return (fraction * 2.0**24).astype(np.int64), (exponent - 24).astype(np.int32)


def float64_scale_parts(scale: NDArray[np.float64]) -> tuple[Int64Array, Int32Array]:
    """float64 scales as integers: `scale = mantissa * 2**exponent`, mantissa in [2**52, 2**53)."""
    fraction, exponent = np.frexp(scale)
    return (fraction * 2.0**53).astype(np.int64), (exponent - 53).astype(np.int32)


def requantize_float32_integer(
    acc: ArrayLike, mantissa: ArrayLike, exponent: ArrayLike
) -> Int32Array:
    """`requantize_float32` in integers, step by step as hardware does it.

    |acc| is rounded to 24 significant bits, multiplied by the 24-bit mantissa, the 48-bit product
    is rounded to 24 significant bits, and what remains below the point is rounded: always half to
    even. The sign is put back last and the result saturates to int32. Scales whose products would
    be subnormal are fine: such products round to zero either way.
    """
    values = np.asarray(acc, np.int64)
    magnitude, dropped = _round_to_bits(np.abs(values), 24)
    product, dropped_again = _round_to_bits(magnitude * np.asarray(mantissa, np.int64), 24)
    shift = np.asarray(exponent, np.int64) + dropped + dropped_again
    # 24 significant bits: 26 places down nothing is left, 9 places up int32 is exceeded.
    down = np.clip(-shift, 0, 26)
    result = _shift_half_even(product, down) << np.clip(shift, 0, 32)
    signed = np.where(values < 0, -result, result)
    return np.asarray(np.clip(signed, INT32_MIN, INT32_MAX), np.int32)


def _round_to_bits(magnitude: Int64Array, bits: int) -> tuple[Int64Array, Int64Array]:
    """Round to `bits` significant bits, half to even: `(rounded, places dropped)`."""
    length = np.frexp(magnitude.astype(np.float64))[1].astype(np.int64)
    # Conversion to float64 may round up to the next power of two; magnitudes below 2**53 can't.
    drop = np.maximum(length - bits, 0)
    return _shift_half_even(magnitude, drop), drop


def _shift_half_even(magnitude: Int64Array, places: Int64Array) -> Int64Array:
    """`magnitude / 2**places` rounded to the nearest whole number, half to even."""
    quotient = magnitude >> places
    remainder = magnitude - (quotient << places)
    half = np.where(places > 0, np.int64(1) << np.maximum(places - 1, 0), 1)
    up = (remainder > half) | ((remainder == half) & (quotient & 1 == 1))
    return np.asarray(quotient + up, np.int64)


def requantize_float64_integer(
    acc: ArrayLike, mantissa: ArrayLike, exponent: ArrayLike
) -> Int32Array:
    """`requantize_float64` in integers, step by step as hardware does it.

    |acc| (32 bits) times the 53-bit mantissa gives 85 bits, rounded to 53 significant bits half to
    even, then below the point half away from zero. The result saturates to int32. Computed with
    Python's integers, one value at a time: a reference, not a kernel.
    """
    one = np.frompyfunc(_requantize_float64_scalar, 3, 1)
    return np.asarray(one(np.asarray(acc, np.int64), mantissa, exponent)).astype(np.int32)


def _requantize_float64_scalar(acc: int, mantissa: int, exponent: int) -> int:
    product, shift = abs(int(acc)) * int(mantissa), int(exponent)
    drop = max(product.bit_length() - 53, 0)
    if drop:
        quotient, remainder = product >> drop, product & ((1 << drop) - 1)
        half = 1 << (drop - 1)
        product = quotient + (remainder > half or (remainder == half and quotient & 1 == 1))
        shift += drop
    # Half away from zero on a magnitude is half up.
    magnitude = product << shift if shift >= 0 else ((product >> (-shift - 1)) + 1) >> 1
    return max(-magnitude, INT32_MIN) if acc < 0 else min(magnitude, INT32_MAX)


def quantize_value(value: float, scale: np.float32, zero_point: int) -> int:
    """`zero_point + round(value / scale)`, half away from zero, the division in float32."""
    quotient = np.asarray(np.float32(value) / np.float32(scale))
    return zero_point + int(np.clip(round_half_away(quotient), INT32_MIN, INT32_MAX))


def activation_range(activation: Activation, scale: np.float32, zero_point: int) -> tuple[int, int]:
    """Inclusive int8 range `(low, high)` that a fused activation leaves to an output."""
    bounds: dict[Activation, tuple[float | None, float | None]] = {
        Activation.NONE: (None, None),
        Activation.RELU: (0.0, None),
        Activation.RELU6: (0.0, 6.0),
        Activation.RELU_N1_TO_1: (-1.0, 1.0),
    }
    low, high = bounds[activation]
    return (
        INT8_MIN if low is None else max(INT8_MIN, quantize_value(low, scale, zero_point)),
        INT8_MAX if high is None else min(INT8_MAX, quantize_value(high, scale, zero_point)),
    )
