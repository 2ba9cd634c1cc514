"""Transcendental functions in int32 fixed point, as the TFLite kernels take them from gemmlowp.

`Qn` is a signed 32-bit number with n integer bits: its real value is `raw / 2**(31 - n)`. Arrays
are int64 holding int32 values. The constants are these numbers in fixed point: exp(-1/8), 1/3,
exp(-2**k), 48/17 and 32/17.
"""

import math

import numpy as np

from celosia.golden.quantization import (
    INT32_MAX,
    INT32_MIN,
    FixedPointScaler,
    Int64Array,
    RoundingMode,
    quantize_multiplier,
)

Q0_ONE = INT32_MAX
_EXP_MINUS_EIGHTH = 1895147668
_ONE_THIRD = 715827883
_EXP_OF_POWERS = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
_48_OVER_17_Q2 = 1515870810
_MINUS_32_OVER_17_Q2 = -1010580540


def high_multiply(a: Int64Array, b: Int64Array | int) -> Int64Array:
    """Upper half of the doubled product, rounded half up: Qm times Qn is Q(m+n)."""
    return np.asarray((a * b + (1 << 30)) >> 31)


def divide_by_power(a: Int64Array, places: int | Int64Array) -> Int64Array:
    """`a / 2**places`, half away from zero."""
    half = (np.int64(1) << np.asarray(places, np.int64)) >> 1
    magnitude = (np.abs(a) + half) >> places
    return np.asarray(np.where(a < 0, -magnitude, magnitude), np.int64)


def shift_up(a: Int64Array, places: int) -> Int64Array:
    """`a << places`, saturated to int32."""
    return np.asarray(np.clip(a << places, INT32_MIN, INT32_MAX), np.int64)


def exp_of_negative(a: Int64Array, integer_bits: int) -> Int64Array:
    """exp(a) in Q0 of `a <= 0` in Q4 or Q5 (`integer_bits`)."""
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    # a = (something in [-1/4, 0)) - (a multiple of 1/4): a polynomial times tabulated powers.
    near = (a & (quarter - 1)) - quarter
    x = shift_up(near, integer_bits) + (1 << 28)
    square = high_multiply(x, x)
    cube = high_multiply(square, x)
    fourth = divide_by_power(high_multiply(square, square), 2)
    series = divide_by_power(high_multiply(fourth + cube, _ONE_THIRD) + square, 1)
    result = _EXP_MINUS_EIGHTH + high_multiply(x + series, _EXP_MINUS_EIGHTH)
    multiples = near - a
    for place, factor in enumerate(_EXP_OF_POWERS, fraction_bits - 2):
        result = np.where((multiples >> place) & 1 == 1, high_multiply(result, factor), result)
    return np.where(a == 0, Q0_ONE, result)


def _twice_reciprocal(a: Int64Array) -> Int64Array:
    """2 / (1 + a) in Q2 for `a` in [0, 1] in Q0, by three Newton steps."""
    half_denominator = (a + Q0_ONE + 1) >> 1
    x = _48_OVER_17_Q2 + high_multiply(half_denominator, _MINUS_32_OVER_17_Q2)
    for _ in range(3):
        error = (1 << 29) - high_multiply(half_denominator, x)
        x = x + shift_up(high_multiply(x, error), 2)
    return x


def reciprocal_of_one_plus(a: Int64Array) -> Int64Array:
    """1 / (1 + a) in Q0 for `a` in [0, 1] in Q0."""
    return shift_up(_twice_reciprocal(a), 1)


def logistic(a: Int64Array) -> Int64Array:
    """1 / (1 + exp(-a)) in Q0 of `a` in Q4."""
    positive = reciprocal_of_one_plus(exp_of_negative(-np.abs(a), 4))
    result = np.where(a > 0, positive, Q0_ONE - positive)
    return np.where(a == 0, 1 << 30, result)


def tanh(a: Int64Array) -> Int64Array:
    """tanh(a) in Q0 of `a` in Q4."""
    # (1 - e) / (1 + e) = 2 / (1 + e) - 1 with e = exp(-2|a|): |a| in Q4 is 2|a| in Q5.
    twice = _twice_reciprocal(exp_of_negative(-np.abs(a), 5))
    positive = shift_up(twice - (1 << 29), 2)
    return np.where(a < 0, -positive, np.where(a == 0, 0, positive))


def scaler_to(real: float, integer_bits: int) -> tuple[FixedPointScaler, int]:
    """Scaler from centred int8 values of scale `real` to Qn, and the largest |value| that fits.

    `integer_bits` is n; up to the radius the scaled value stays inside Qn.
    """
    factor = min(real * (1 << (31 - integer_bits)), float(INT32_MAX))
    multiplier, exponent = quantize_multiplier(factor)
    fits = ((1 << integer_bits) - 1) * 2.0 ** (31 - integer_bits - int(exponent))
    return FixedPointScaler(multiplier, exponent, RoundingMode.DOUBLE), math.floor(fits)
