"""Requantisation: integer identities against arithmetic in Python's own integers and fractions."""

from fractions import Fraction

import numpy as np
import pytest

from celosia.golden.graph import Activation, OpKind
from celosia.golden.quantization import (
    INT32_MAX,
    INT32_MIN,
    FixedPointScaler,
    RoundingMode,
    RoundingProfile,
    activation_range,
    effective_scale,
    effective_scale_float32,
    float32_scale_parts,
    float64_scale_parts,
    mode_for,
    quantize_multiplier,
    requantize,
    requantize_float32,
    requantize_float32_integer,
    requantize_float64,
    requantize_float64_integer,
    round_half_away,
)

SEED = 20260
_BIG = 1 << 24  # above it float32 drops bits
EXTREME_ACC = np.array(
    [
        *(
            *range(-3, 4),
            127,
            -128,
            _BIG,
            _BIG + 1,
            -_BIG - 1,
            _BIG + 3,
            2 * _BIG + 2,
            2 * _BIG + 6,
        ),
        *(INT32_MAX, INT32_MIN, INT32_MIN + 1, 1073741952, -1073741952),
    ],
    np.int32,
)


def random_accumulators(rng: np.random.Generator, count: int) -> np.ndarray:
    """int32 values of every magnitude, ends and small ties among them."""
    bits = rng.integers(0, 32, count)
    values = rng.integers(INT32_MIN, INT32_MAX, count, endpoint=True) >> bits
    return np.concatenate([values.astype(np.int32), EXTREME_ACC])


def wrap(value: int) -> int:
    return (value + (1 << 31)) % (1 << 32) - (1 << 31)


def tflm_scalar(acc: int, multiplier: int, exponent: int) -> int:
    """Double rounding in gemmlowp's terms: nudge, truncate, then mask, remainder, threshold."""
    x = wrap(acc << max(exponent, 0))
    product = x * multiplier
    total = product + ((1 << 30) if product >= 0 else 1 - (1 << 30))
    high = abs(total) // (1 << 31) * (1 if total >= 0 else -1)
    shift = max(-exponent, 0)
    mask = (1 << shift) - 1
    return (high >> shift) + ((high & mask) > (mask >> 1) + (high < 0))


def single_scalar(acc: int, multiplier: int, exponent: int) -> int:
    """One rounding, half up, of the exact product."""
    x = wrap(acc << max(exponent, 0))
    shift = 31 + max(-exponent, 0)
    return (x * multiplier + (1 << (shift - 1))) >> shift


def average_scalar(acc: int, multiplier: int, exponent: int) -> int:
    """Floor of the product, then half away from zero."""
    high = (wrap(acc << max(exponent, 0)) * multiplier) >> 31
    shift = max(-exponent, 0)
    magnitude = (abs(high) + ((1 << shift) >> 1)) >> shift
    return -magnitude if high < 0 else magnitude


@pytest.mark.parametrize(
    ("mode", "scalar"),
    [
        (RoundingMode.DOUBLE, tflm_scalar),
        (RoundingMode.SINGLE, single_scalar),
        (RoundingMode.AVERAGE, average_scalar),
    ],
    ids=lambda value: getattr(value, "name", ""),
)
def test_integer_modes_equal_their_scalar_definition(mode, scalar):
    rng = np.random.default_rng(SEED)
    acc = random_accumulators(rng, 20000)
    multiplier = rng.integers(1 << 30, 1 << 31, acc.size)
    multiplier[::7] = 1 << 30  # ties
    exponent = rng.integers(-31, 4, acc.size).astype(np.int32)
    expected = [scalar(*map(int, row)) for row in zip(acc, multiplier, exponent, strict=True)]
    actual = requantize(acc, multiplier, exponent, mode)
    assert actual.dtype == np.int32
    np.testing.assert_array_equal(actual, expected, err_msg=f"seed {SEED}")


def test_channels_broadcast_over_the_last_dimension():
    acc = np.arange(-12, 12, dtype=np.int32).reshape(2, 3, 4) * 1000
    multiplier, exponent = quantize_multiplier(np.array([0.01, 0.5, 1.5, 3.0]))
    whole = requantize(acc, multiplier, exponent, RoundingMode.DOUBLE)
    for channel in range(4):
        one = requantize(
            acc[..., channel], multiplier[channel], exponent[channel], RoundingMode.DOUBLE
        )
        np.testing.assert_array_equal(whole[..., channel], one)


def test_integer_scaler_refuses_a_float_mode():
    with pytest.raises(ValueError, match=r"^mode must be an integer rounding mode, not "):
        FixedPointScaler(1 << 30, 0, RoundingMode.FLOAT32)


def test_multiplier_rounds_half_away_and_carries():
    just_below_one = np.nextafter(1.0, 0.0)
    real = [0.5, 1.0, just_below_one, 2.0**-31, 2.0**-32, 2.0**-33, 0.0, 3.5, 2.0**-32 * 0.999]
    multiplier, exponent = quantize_multiplier(real)
    half = 1 << 30
    assert multiplier.tolist() == [half] * 5 + [0, 0, 0b111 << 28, 0]
    assert exponent.tolist() == [0, 1, 1, -30, -31, 0, 0, 2, 0]


def test_multiplier_equals_exact_rounding():
    rng = np.random.default_rng(SEED)
    real = np.exp2(rng.uniform(-31, 20, 5000))
    multiplier, exponent = quantize_multiplier(real)
    for value, m, e in zip(real, multiplier, exponent, strict=True):
        exact = Fraction(value) * Fraction(2) ** (31 - int(e))
        assert (1 << 30) <= m < (1 << 31)
        assert abs(exact - int(m)) <= Fraction(1, 2)


def random_scales(rng: np.random.Generator, count: int) -> np.ndarray:
    scale = np.exp2(rng.uniform(-34, 6, count)) * rng.uniform(0.5, 1.0, count)
    scale[::5] = np.exp2(rng.integers(-32, 3, scale[::5].size))  # powers of two: ties
    scale[1::10] = 1.5 * np.exp2(rng.integers(-32, 3, scale[1::10].size))
    return scale


def test_float32_integer_emulation_equals_float32():
    rng = np.random.default_rng(SEED)
    acc = random_accumulators(rng, 1_000_000)
    scale = random_scales(rng, acc.size).astype(np.float32)
    mantissa, exponent = float32_scale_parts(scale)
    assert mantissa.min() >= 1 << 23
    assert mantissa.max() < 1 << 24
    np.testing.assert_array_equal(
        requantize_float32_integer(acc, mantissa, exponent),
        requantize_float32(acc, scale),
        err_msg=f"seed {SEED}",
    )


@pytest.mark.parametrize("scale", [2.0**-149, 2.0**-126, 3e38, 0.5, 0.25, 1.0, 2.0**-24, 2.0**-31])
def test_float32_integer_emulation_at_extremes(scale):
    scales = np.full(EXTREME_ACC.shape, scale, np.float32)
    np.testing.assert_array_equal(
        requantize_float32_integer(EXTREME_ACC, *float32_scale_parts(scales)),
        requantize_float32(EXTREME_ACC, scales),
    )


def test_float32_ties_go_to_even():
    acc = np.array([1, 3, 5, 7, -1, -3, -5], np.int32)
    half = np.float32(0.5)
    assert requantize_float32(acc, half).tolist() == [0, 2, 2, 4, 0, -2, -2]
    assert requantize_float32_integer(acc, *float32_scale_parts(half)).tolist() == [
        *[0, 2, 2, 4, 0, -2, -2]
    ]


def test_float64_integer_emulation_equals_float64():
    rng = np.random.default_rng(SEED)
    acc = random_accumulators(rng, 200_000)
    scale = random_scales(rng, acc.size)
    mantissa, exponent = float64_scale_parts(scale)
    np.testing.assert_array_equal(
        requantize_float64_integer(acc, mantissa, exponent),
        requantize_float64(acc, scale),
        err_msg=f"seed {SEED}",
    )


@pytest.mark.parametrize("scale", [5e-324, 1e-300, 1e300, 0.5, 0.25, 1.0, 2.0**-31, 2.0**-32])
def test_float64_integer_emulation_at_extremes(scale):
    scales = np.full(EXTREME_ACC.shape, scale, np.float64)
    np.testing.assert_array_equal(
        requantize_float64_integer(EXTREME_ACC, *float64_scale_parts(scales)),
        requantize_float64(EXTREME_ACC, scales),
    )


def test_float64_product_is_rounded_before_the_half():
    """The exact product lies just under a half; rounded to 53 bits it is the half, going away."""
    third = np.float64(1 / 6)  # 3 * (1/6) is just below 0.5 exactly, 0.5 in float64
    assert 3 * Fraction(float(third)) < Fraction(1, 2)
    assert requantize_float64(np.int32(3), third) == 1
    assert requantize_float64_integer(np.int32(3), *float64_scale_parts(third)) == 1
    assert requantize_float64_integer(np.int32(-3), *float64_scale_parts(third)) == -1


def test_float_modes_take_the_real_scale():
    acc = np.array([3, -3, 5, 1000], np.int32)
    assert requantize(acc, 0, 0, RoundingMode.FLOAT32, np.float32(0.5)).tolist() == [2, -2, 2, 500]
    assert requantize(acc, 0, 0, RoundingMode.FLOAT64, 0.5).tolist() == [2, -2, 3, 500]


def test_round_half_away_next_to_a_half():
    below = np.nextafter(np.float32(0.5), np.float32(0))
    values = np.array([0.5, -0.5, 1.5, -2.5, below, -below, 8388609.0], np.float32)
    assert round_half_away(values).tolist() == [1, -1, 2, -3, 0, 0, 8388609]


def test_scales_in_float32_differ_from_float64():
    scales = (np.float32(0.1), np.array([0.3, 0.7], np.float32), np.float32(0.9))
    single = effective_scale_float32(*scales)
    assert single.dtype == np.float32
    assert (effective_scale(*scales) != single).all()


def test_profiles_name_their_modes():
    modes = {
        profile: [
            mode_for(profile, kind).name
            for kind in (OpKind.CONV_2D, OpKind.FULLY_CONNECTED, OpKind.ADD, OpKind.MEAN)
        ]
        for profile in RoundingProfile
    }
    assert modes == {
        "tflm": ["DOUBLE", "DOUBLE", "DOUBLE", "DOUBLE"],
        "litert": ["DOUBLE", "FLOAT64", "DOUBLE", "DOUBLE"],
        "single": ["SINGLE", "SINGLE", "SINGLE", "SINGLE"],
        "float32": ["FLOAT32", "FLOAT32", "FLOAT32", "FLOAT32"],
    }
    for profile in RoundingProfile:
        assert mode_for(profile, OpKind.AVERAGE_POOL_2D) is RoundingMode.AVERAGE


@pytest.mark.parametrize(
    ("activation", "scale", "zero_point", "expected"),
    [
        (Activation.NONE, 0.1, 5, (-128, 127)),
        (Activation.RELU, 0.1, 5, (5, 127)),
        (Activation.RELU, 0.1, -128, (-128, 127)),
        (Activation.RELU6, 0.1, -100, (-100, -40)),
        (Activation.RELU6, 0.01, -100, (-100, 127)),
        (Activation.RELU_N1_TO_1, 0.1, 3, (-7, 13)),
        (Activation.RELU_N1_TO_1, 0.4, 3, (0, 6)),  # 2.5 in float32: halves go away from zero
        (Activation.RELU6, 1e-30, 0, (0, 127)),
    ],
)
def test_activation_ranges(activation, scale, zero_point, expected):
    assert activation_range(activation, np.float32(scale), zero_point) == expected
