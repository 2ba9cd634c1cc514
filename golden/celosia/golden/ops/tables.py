"""Operators of one int8 input and no memory: each is a table of 256 bytes."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import Activation, OpKind, Tensor
from celosia.golden.ops import fixed_point
from celosia.golden.ops.stage import Int8Array, Kernel, clamp_int8, scale_of, zero_point_of
from celosia.golden.quantization import (
    INT8_MAX,
    INT8_MIN,
    FixedPointScaler,
    Int64Array,
    RoundingMode,
    RoundingProfile,
    activation_range,
    quantize_multiplier,
    rescale_factor,
)

ALL_INT8 = np.arange(INT8_MIN, INT8_MAX + 1, dtype=np.int64)


def lookup(table: NDArray[Any]) -> Kernel:
    """Kernel of a table: entry `value + 128` replaces `value`."""

    def run(values: Int8Array) -> NDArray[Any]:
        return table[values.astype(np.intp) + 128]

    return run


def table_for(
    kind: OpKind, x: Tensor, output: Tensor, mode: RoundingMode, profile: RoundingProfile
) -> Int8Array:
    """The 256 outputs of RELU, RELU6, LOGISTIC, TANH, HARD_SWISH or QUANTIZE (int8 to int8)."""
    if kind is OpKind.LOGISTIC:
        return _logistic(x)
    if kind is OpKind.TANH:
        return _tanh(x)
    if kind is OpKind.HARD_SWISH:
        return _hard_swish(x, output, profile)
    if kind is OpKind.RELU6 and profile == RoundingProfile.TFLM:
        return _clamp_only(x)
    return _rescale(kind, x, output, mode, profile)


def _centred(x: Tensor) -> Int64Array:
    return ALL_INT8 - zero_point_of(x)


def _clamp_only(x: Tensor) -> Int8Array:
    """RELU6 of TensorFlow Lite Micro, which takes both scales for equal."""
    low, high = activation_range(Activation.RELU6, scale_of(x), zero_point_of(x))
    return np.clip(ALL_INT8, low, high).astype(np.int8)


def _rescale(
    kind: OpKind, x: Tensor, output: Tensor, mode: RoundingMode, profile: RoundingProfile
) -> Int8Array:
    scale, zero_point = scale_of(output), zero_point_of(output)
    if kind is OpKind.QUANTIZE:
        real = float(scale_of(x)) / float(scale)
    else:
        real = rescale_factor(profile, scale_of(x), np.float32(1), scale)
    activation = {OpKind.RELU: Activation.RELU, OpKind.RELU6: Activation.RELU6}.get(
        kind, Activation.NONE
    )
    scaler = FixedPointScaler(*quantize_multiplier(real), mode)
    bounds = activation_range(activation, scale, zero_point)
    return clamp_int8(scaler.scale(_centred(x)), zero_point, *bounds)


def leaky_relu(x: Tensor, output: Tensor, mode: RoundingMode, *, alpha: float) -> Int8Array:
    """LEAKY_RELU: both slopes have their multiplier, from float32 quotients of the scales."""
    slope = np.float32(alpha)
    centred = _centred(x)
    positive, negative = (
        FixedPointScaler(*quantize_multiplier(float(real)), mode).scale(centred.copy())
        for real in (scale_of(x) / scale_of(output), scale_of(x) * slope / scale_of(output))
    )
    values = np.where(centred < 0, negative, positive)
    return clamp_int8(values, zero_point_of(output), INT8_MIN, INT8_MAX)


def _logistic(x: Tensor) -> Int8Array:
    """Output scale 1/256, zero point -128 by definition of the operator."""
    scaler, radius = fixed_point.scaler_to(float(scale_of(x)), 4)
    centred = _centred(x)
    q = fixed_point.logistic(scaler.scale(np.clip(centred, -radius, radius)))
    values = np.minimum(fixed_point.divide_by_power(q, 23), 255) + INT8_MIN
    values = np.where(centred <= -radius, INT8_MIN, np.where(centred >= radius, INT8_MAX, values))
    return values.astype(np.int8)


def _tanh(x: Tensor) -> Int8Array:
    """Output scale 1/128, zero point 0 by definition of the operator."""
    scaler, radius = fixed_point.scaler_to(float(scale_of(x)), 4)
    centred = _centred(x)
    q = fixed_point.tanh(scaler.scale(np.clip(centred, -radius, radius)))
    values = np.clip(fixed_point.divide_by_power(q, 24), INT8_MIN, INT8_MAX)
    values = np.where(centred <= -radius, INT8_MIN, np.where(centred >= radius, INT8_MAX, values))
    return values.astype(np.int8)


def _int16_multiplier(real: float) -> tuple[int, int]:
    """A 16-bit multiplier with its exponent, from the 32-bit one by rounding half up."""
    multiplier, exponent = quantize_multiplier(real)
    return min((int(multiplier) + (1 << 15)) >> 16, (1 << 15) - 1), int(exponent)


def _hard_swish(x: Tensor, output: Tensor, profile: RoundingProfile) -> Int8Array:
    """x * relu6(x + 3) / 6 in the int16 steps of the TFLite reference kernel.

    Seven fraction bits are added to the input; `gate` is x in units of 3/2**15, saturated, so that
    moved from [-1, 1] to [0, 1] it is relu6(x + 3) / 6.
    """
    step, gate_scale = np.float32(1 / 128), np.float32(3 / 32768)
    out_multiplier, out_exponent = _int16_multiplier(
        rescale_factor(profile, step, scale_of(x), scale_of(output))
    )
    gate_multiplier, gate_exponent = _int16_multiplier(
        rescale_factor(profile, step, scale_of(x), gate_scale)
    )

    fine = _centred(x) << 7
    gate = fine
    if gate_exponent > 0:
        gate = _saturate_int16(gate << (gate_exponent - 1))
    gate = _high_multiply_int16(gate, gate_multiplier)
    if gate_exponent > 0:
        gate = _saturate_int16(gate << 1)
    elif gate_exponent < 0:
        gate = fixed_point.divide_by_power(gate, -gate_exponent)
    gate = (gate + (1 << 15)) >> 1
    product = gate * _high_multiply_int16(fine, out_multiplier)
    truncated = np.where(product < 0, -(-product >> 15), product >> 15)
    values = fixed_point.divide_by_power(truncated, -out_exponent)
    return clamp_int8(values, zero_point_of(output), INT8_MIN, INT8_MAX)


def _saturate_int16(values: Int64Array) -> Int64Array:
    return np.clip(values, -(1 << 15), (1 << 15) - 1)


def _high_multiply_int16(a: Int64Array, b: int) -> Int64Array:
    return _saturate_int16((a * b + (1 << 14)) >> 15)
