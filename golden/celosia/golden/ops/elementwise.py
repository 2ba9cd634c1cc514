"""ADD, SUB and MUL of two int8 tensors, with numpy's broadcasting."""

import numpy as np

from celosia.golden.graph import Activation, Tensor
from celosia.golden.ops import float_formulas
from celosia.golden.ops.stage import Int8Array, Kernel, clamp_int8, scale_of, zero_point_of
from celosia.golden.quantization import (
    FixedPointScaler,
    Int64Array,
    RoundingMode,
    RoundingProfile,
    activation_range,
    quantize_multiplier,
    rescale_factor,
)

ADD_LEFT_SHIFT = 20  # fraction bits that both operands get before they are rescaled


def add_constants(
    a: Tensor, b: Tensor, output: Tensor, mode: RoundingMode
) -> tuple[Int64Array, Int64Array, int, int]:
    """Constants of ADD and SUB: `(table_a, table_b, multiplier, exponent)`.

    A table holds the rescaled int32 value of each int8 operand, at index `value + 128`; the sum, or
    difference, of one entry of each is requantised by multiplier and exponent.
    """
    scale_a, scale_b = scale_of(a), scale_of(b)
    twice_larger = 2.0 * float(max(scale_a, scale_b))
    tables = []
    for tensor, scale in ((a, scale_a), (b, scale_b)):
        operand = FixedPointScaler(*quantize_multiplier(float(scale) / twice_larger), mode)
        centred = np.arange(-128, 128, dtype=np.int64) - zero_point_of(tensor)
        tables.append(operand.scale(centred << ADD_LEFT_SHIFT))
    multiplier, exponent = quantize_multiplier(
        twice_larger / (float(1 << ADD_LEFT_SHIFT) * float(scale_of(output)))
    )
    return tables[0], tables[1], int(multiplier), int(exponent)


def add(
    a: Tensor,
    b: Tensor,
    output: Tensor,
    *,
    activation: Activation,
    mode: RoundingMode,
    unsigned: bool = False,
) -> Kernel:
    """ADD: both operands rescaled to a common scale of 20 more bits, added, requantised.

    Mode FLOAT32 has a formula of its own, `float_formulas.add`, which alone needs `unsigned`.
    """
    if mode is RoundingMode.FLOAT32:
        bounds = activation_range(activation, scale_of(output), zero_point_of(output))
        return float_formulas.add(a, b, output, *bounds, unsigned=unsigned)
    table_a, table_b, multiplier, exponent = add_constants(a, b, output, mode)
    scaler = FixedPointScaler(multiplier, exponent, mode)
    return _sum_of(table_a, table_b, scaler, output, activation)


def sub(
    a: Tensor, b: Tensor, output: Tensor, *, activation: Activation, mode: RoundingMode
) -> Kernel:
    """SUB: as ADD, with the second operand's share taken away."""
    if mode is RoundingMode.FLOAT32:
        bounds = activation_range(activation, scale_of(output), zero_point_of(output))
        return float_formulas.sub(a, b, output, *bounds)
    table_a, table_b, multiplier, exponent = add_constants(a, b, output, mode)
    scaler = FixedPointScaler(multiplier, exponent, mode)
    return _sum_of(table_a, -table_b, scaler, output, activation)


def _sum_of(
    table_a: Int64Array,
    table_b: Int64Array,
    scaler: FixedPointScaler,
    output: Tensor,
    activation: Activation,
) -> Kernel:
    zero_point = zero_point_of(output)
    low, high = activation_range(activation, scale_of(output), zero_point)

    def run(left: Int8Array, right: Int8Array) -> Int8Array:
        total = np.asarray(
            table_a[left.astype(np.intp) + 128] + table_b[right.astype(np.intp) + 128]
        )
        return clamp_int8(scaler.scale(total), zero_point, low, high)

    return run


def mul_constants(
    a: Tensor, b: Tensor, output: Tensor, profile: RoundingProfile
) -> tuple[Int64Array, Int64Array, int, int]:
    """Constants of MUL: `(table_a, table_b, multiplier, exponent)`.

    A table holds the centred value of each int8 operand, at index `value + 128`; the product of one
    entry of each is requantised by multiplier and exponent.
    """
    real = rescale_factor(profile, scale_of(a), scale_of(b), scale_of(output))
    multiplier, exponent = quantize_multiplier(real)
    table_a, table_b = (
        np.arange(-128, 128, dtype=np.int64) - zero_point_of(tensor) for tensor in (a, b)
    )
    return table_a, table_b, int(multiplier), int(exponent)


def mul(
    a: Tensor,
    b: Tensor,
    output: Tensor,
    *,
    activation: Activation,
    mode: RoundingMode,
    profile: RoundingProfile,
    unsigned: bool = False,
) -> Kernel:
    """MUL: the product of the centred operands, requantised.

    Mode FLOAT32 has a formula of its own, `float_formulas.mul`, which alone needs `unsigned`.
    """
    zero_a, zero_b, zero_point = zero_point_of(a), zero_point_of(b), zero_point_of(output)
    low, high = activation_range(activation, scale_of(output), zero_point)
    if mode is RoundingMode.FLOAT32:
        return float_formulas.mul(a, b, output, low, high, unsigned=unsigned)
    _, _, multiplier, exponent = mul_constants(a, b, output, profile)
    scaler = FixedPointScaler(multiplier, exponent, mode)

    def run(left: Int8Array, right: Int8Array) -> Int8Array:
        product = np.asarray((left.astype(np.int64) - zero_a) * (right.astype(np.int64) - zero_b))
        return clamp_int8(scaler.scale(product), zero_point, low, high)

    return run
