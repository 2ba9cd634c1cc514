"""Tables that give the bytes of float formulas: every pair, for drawn scales."""

import numpy as np
import pytest

from celosia.compiler.lowering.exact import exact_product, exact_sum
from celosia.golden.graph import Activation, OpKind, Quantization, Tensor
from celosia.golden.ops.elementwise import add, mul, sub
from celosia.golden.quantization import (
    FixedPointScaler,
    RoundingMode,
    RoundingProfile,
    requantize_float32_integer,
)

SEED = 20_262
EVERY = np.arange(-128, 128).astype(np.int8)


def tensor(scale, zero_point):
    quantization = Quantization(np.array([scale], np.float32), np.array([zero_point], np.int32))
    return Tensor("t", (256,), np.dtype(np.int8), quantization)


def draw(rng, kind):
    scale = np.float32(np.exp(rng.uniform(-5, -1)))
    first, second = (np.float32(scale * f) for f in np.exp(rng.uniform(-1.5, 0.7, 2)))
    if kind == "equal":
        second = first
    if kind == "powers of two":
        first, second = (np.float32(scale * 2.0 ** -int(n)) for n in rng.integers(0, 3, 2))
    if kind == "multiples":
        first, second, scale = (np.float32(scale * int(n)) for n in rng.integers(1, 13, 3))
    if kind == "large":
        first, second = (np.float32(scale * f) for f in np.exp(rng.uniform(-2, 14, 2)))
    zero_points = (int(z) for z in rng.integers(-128, 128, 3))
    scales = (first, second, scale)
    return [tensor(s, z) for s, z in zip(scales, zero_points, strict=True)]


def kernel_of(kind, a, b, output, unsigned):
    common = {"activation": Activation.NONE, "mode": RoundingMode.FLOAT32}
    if kind is OpKind.MUL:
        return mul(a, b, output, profile=RoundingProfile.FLOAT32, unsigned=unsigned, **common)
    if kind is OpKind.SUB:
        return sub(a, b, output, **common)
    return add(a, b, output, unsigned=unsigned, **common)


def finished(found, values):
    total = values + found.bias
    if found.finish.mode is RoundingMode.FLOAT32:
        rounded = requantize_float32_integer(total, found.multiplier, found.exponent)
    else:
        scaler = FixedPointScaler(found.multiplier, found.exponent, found.finish.mode)
        rounded = scaler.scale(total)
    shifted = rounded.astype(np.int64) + found.finish.zero_point
    return np.clip(shifted, found.finish.low, found.finish.high)


CASES = [
    *(
        (kind, draws, unsigned)
        for kind in (OpKind.ADD, OpKind.MUL)
        for draws in ("any", "equal", "powers of two")
        for unsigned in (False, True)
    ),
    (OpKind.SUB, "any", False),
    (OpKind.SUB, "equal", False),
    (OpKind.ADD, "multiples", True),
    *((kind, "large", unsigned) for kind, unsigned in ((OpKind.ADD, True), (OpKind.SUB, False))),
    (OpKind.ADD, "large", False),
]


@pytest.mark.parametrize(("kind", "draws", "unsigned"), CASES)
def test_every_pair_gives_the_formulas_byte(kind, draws, unsigned):
    rng = np.random.default_rng(SEED)
    for number in range(12):
        a, b, output = draw(rng, draws)
        if kind is OpKind.MUL:
            scale = output.quantization.scale[0] * a.quantization.scale[0] * 64
            output = tensor(scale, int(output.quantization.zero_point[0]))
        kernel = kernel_of(kind, a, b, output, unsigned)
        exact = exact_product if kind is OpKind.MUL else exact_sum
        found = exact(kind, a, b, output, kernel, -128, 127)
        assert found is not None, f"draw {number} of seed {SEED}"
        left, right = (terms.astype("<i4") for terms in found.terms)
        combined = (
            np.multiply.outer(left, right) if kind is OpKind.MUL else np.add.outer(left, right)
        )
        want = kernel(*np.meshgrid(EVERY, EVERY, indexing="ij"))
        np.testing.assert_array_equal(finished(found, combined.astype(np.int64)), want)


def test_most_sums_of_scales_that_are_whole_multiples_have_tables():
    rng = np.random.default_rng(SEED)
    found = 0
    for _ in range(30):
        a, b, output = draw(rng, "multiples")
        kernel = kernel_of(OpKind.ADD, a, b, output, False)
        found += exact_sum(OpKind.ADD, a, b, output, kernel, -128, 127) is not None
    assert found >= 27


@pytest.mark.parametrize(
    ("kind", "scales"),
    [
        (OpKind.ADD, ((0.034917086, 83), (0.019045684, -63), (0.012697123, -24))),
        (OpKind.SUB, ((0.018342376, -4), (0.0733695, -99), (0.110054255, 123))),
    ],
)
def test_formulas_without_tables_are_refused(kind, scales):
    """Scales that are whole multiples make ties that float noise breaks one way or the other."""
    a, b, output = (tensor(scale, zero_point) for scale, zero_point in scales)
    kernel = kernel_of(kind, a, b, output, False)
    assert exact_sum(kind, a, b, output, kernel, -128, 127) is None
