"""Constants with which POST's integers give exactly the bytes of a float32 formula.

ADD and SUB add two table entries and round once; the golden operator rounds floats on the way. But
all that there can be are 65,536 pairs of bytes, and what they must give is known. For every pair
the sum of its entries has to lie between two whole numbers: a system of difference constraints,
whose least solution above rounded real values Bellman and Ford's relaxation finds, if it has any.
MUL has one scale for all products, which is tried.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.layers import Finish
from celosia.golden.graph import OpKind, Tensor
from celosia.golden.isa import PostOutput, PostScale
from celosia.golden.ops.stage import Int8Array, Kernel, scale_of, zero_point_of
from celosia.golden.ops.tables import ALL_INT8
from celosia.golden.quantization import (
    INT8_MAX,
    INT32_MAX,
    FixedPointScaler,
    Int64Array,
    RoundingMode,
    effective_scale_float32,
    float32_scale_parts,
    quantize_multiplier,
    requantize_float32_integer,
)

_UNBOUNDED = 1 << 40
_ROUNDS = 1024
_MOST_PLACES = 23
"""More don't leave 8 bits and a sign for what stands above them."""
_UNSIGNED = 128
"""How much higher than ours the bytes are that an unsigned kernel adds."""
_BEYOND = 512
"""Further from zero than any two results are apart."""
_NEAR = 24
"""How far from the float scale's mantissa those of MUL are tried."""


@dataclass(frozen=True)
class BinaryConstants:
    """Tables of an operator's terms or factors, and how their sum or product is finished."""

    terms: tuple[Int64Array, Int64Array]
    multiplier: int
    exponent: int
    bias: int
    finish: Finish


@dataclass(frozen=True)
class _Rounding:
    """Sums in units of 2**-places, rounded to whole numbers by a mode with constants.

    Sums are `moved` above the results, which matters where they are first rounded to 24 bits.
    """

    mode: RoundingMode
    places: int
    moved: int = 0

    @property
    def constants(self) -> tuple[int, int]:
        """Multiplier and exponent."""
        if self.mode is RoundingMode.FLOAT32:
            return 1 << 23, -23 - self.places
        return 1 << 30, 1 - self.places

    def least(self, results: Int64Array) -> Int64Array:
        """The least sum that gives at least each of `results`."""
        values = results + self.moved
        half = np.int64(1) << (self.places - 1)
        if self.mode is RoundingMode.FLOAT32:
            ties = (2 * values - 1) * half
            # Of a longer sum than 24 bits what is near the tie becomes the tie, which goes to even.
            dropped = np.maximum(np.frexp(np.abs(ties).astype(np.float64))[1] - 24, 0)
            near = (np.int64(1) << dropped.astype(np.int64)) >> 1
            return np.asarray(ties + np.where(values & 1, near + 1, -near))
        # DOUBLE drops one place, halves up, and then rounds halves away from zero.
        nearer = (values << (self.places - 1)) - (half >> 1)
        return np.asarray(2 * (nearer + (values <= 0)) - 1)


def _roundings(kind: OpKind, largest: float) -> Iterator[_Rounding]:
    """Candidates for sums of at most `largest`, likely ones first; 32 bits must hold the entries.

    With up to 17 places 24 bits hold what isn't clamped, so that sums are rounded once. Scales that
    are multiples of each other have ties, and sums that float32 makes ties: more places are rounded
    as ADD's formula rounds them, for unsigned bytes 128 higher. SUB divides.
    """
    most = int(30 - np.ceil(np.log2(largest)))
    if most < 1:
        return
    yield _Rounding(RoundingMode.FLOAT32, min(17, most))
    yield _Rounding(RoundingMode.DOUBLE, most)
    for places in range(18, min(_MOST_PLACES, most + 1) + 1) if kind is OpKind.ADD else ():
        yield _Rounding(RoundingMode.FLOAT32, places)
        yield _Rounding(RoundingMode.FLOAT32, places, moved=_UNSIGNED)


def exact_sum(
    kind: OpKind, a: Tensor, b: Tensor, output: Tensor, kernel: Kernel, low: int, high: int
) -> BinaryConstants | None:
    """Tables of ADD or SUB, None where there are none; outputs lie from `low` to `high`."""
    wanted = _all_pairs(kernel)
    scale = float(scale_of(output))
    real_a, real_b = (
        float(scale_of(tensor)) / scale * (ALL_INT8 - zero_point_of(tensor)) for tensor in (a, b)
    )
    # The zero point is in the table: halves are rounded to even with it, not before it.
    real_a = real_a + zero_point_of(output)
    if kind is OpKind.SUB:
        real_b = -real_b
    # What no entry of the other brings back into range needn't be larger.
    real_a, real_b = (
        np.clip(real, -np.abs(other).max() - _BEYOND, np.abs(other).max() + _BEYOND)
        for real, other in ((real_a, real_b), (real_b, real_a))
    )
    for rounding in _roundings(kind, np.abs(real_a).max() + np.abs(real_b).max() + 1):
        terms = _solve(wanted, real_a, real_b, rounding, low, high)
        if terms is None:
            continue
        sums = terms[0][:, None] + terms[1]
        if max(np.abs(values).max() for values in (*terms, sums)) > INT32_MAX:
            continue
        multiplier, exponent = rounding.constants
        finish = Finish(mode=rounding.mode, zero_point=-rounding.moved, low=low, high=high)
        found = BinaryConstants(terms, multiplier, exponent, 0, finish)
        if np.array_equal(_finished(found, sums), wanted):
            return found
    return None


def _all_pairs(kernel: Kernel) -> Int64Array:
    every = ALL_INT8.astype(np.int8)
    a, b = np.meshgrid(every, every, indexing="ij")
    return np.asarray(kernel(a, b), np.int64)


def _solve(
    wanted: Int64Array,
    real_a: NDArray[Any],
    real_b: NDArray[Any],
    rounding: _Rounding,
    low: int,
    high: int,
) -> tuple[Int64Array, Int64Array] | None:
    """Entries whose sums are rounded to `wanted` [256, 256]."""
    least = np.where(wanted > low, rounding.least(wanted), -_UNBOUNDED)
    most = np.where(wanted < high, rounding.least(wanted + 1) - 1, _UNBOUNDED)
    unit = float(1 << rounding.places)
    entries = np.rint((real_a + rounding.moved) * unit).astype(np.int64)
    # With b's entries negated every constraint bounds a difference.
    negated = -np.rint(real_b * unit).astype(np.int64)
    for _ in range(_ROUNDS):
        higher = np.maximum(entries, (negated + least).max(axis=1))
        higher_negated = np.maximum(negated, (higher[:, None] - most).max(axis=0))
        if np.array_equal(higher, entries) and np.array_equal(higher_negated, negated):
            return entries, -negated
        entries, negated = higher, higher_negated
    return None


def exact_product(
    kind: OpKind, a: Tensor, b: Tensor, output: Tensor, kernel: Kernel, low: int, high: int
) -> BinaryConstants | None:
    """Scale of MUL, None where none was found; outputs lie from `low` to `high`."""
    wanted = _all_pairs(kernel)
    factors = (ALL_INT8 - zero_point_of(a), ALL_INT8 - zero_point_of(b))
    products = factors[0][:, None] * factors[1]
    products, places = np.unique(products, return_index=True)
    wanted = wanted.reshape(-1)[places]
    zero_point = zero_point_of(output)
    for mode, multiplier, exponent, bias, moved in _candidates(a, b, output):
        finish = Finish(mode=mode, zero_point=zero_point - moved, low=low, high=high)
        candidate = BinaryConstants(factors, multiplier, exponent, bias, finish)
        if np.array_equal(_finished(candidate, products), wanted):
            return candidate
    return None


def _finished(constants: BinaryConstants, values: Int64Array) -> Int8Array:
    """What POST makes of whole numbers."""
    total = values + constants.bias
    finish = constants.finish
    scale = (constants.multiplier, constants.exponent)
    if finish.mode is RoundingMode.FLOAT32:
        rounded = requantize_float32_integer(total, *scale).astype(np.int64)
    else:
        rounded = FixedPointScaler(*scale, finish.mode).scale(total)
    return np.clip(rounded + finish.zero_point, finish.low, finish.high).astype(np.int8)


def _candidates(
    a: Tensor, b: Tensor, output: Tensor
) -> Iterator[tuple[RoundingMode, int, int, int, int]]:
    """(mode, multiplier, exponent, bias, what the bias adds to the result), likely ones first.

    ONNX Runtime adds the zero point before it rounds halves to even. An odd zero point makes them
    odd, unless a bias of an odd number of output steps stands for it.
    """
    scale = effective_scale_float32(scale_of(a), scale_of(b), scale_of(output))
    mantissas, exponents = float32_scale_parts(np.asarray(scale))
    mantissa, exponent = int(mantissas), int(exponents)
    twos = (mantissa & -mantissa).bit_length() - 1
    steps, bias = mantissa >> twos, 1 << max(-exponent - twos, 0)
    biases = [(0, 0)]
    if bias <= PostScale.limits("bias")[1] and steps <= INT8_MAX:
        biases = [(0, 0), (bias, steps), (-bias, -steps)]
    zero_points = PostOutput.limits("zero_point")
    for added, moved in biases:
        if zero_points[0] <= zero_point_of(output) - moved <= zero_points[1]:
            yield RoundingMode.FLOAT32, mantissa, exponent, added, moved
    multipliers, powers = quantize_multiplier(
        float(scale_of(a)) * float(scale_of(b)) / float(scale_of(output))
    )
    for change in sorted(range(-_NEAR, _NEAR + 1), key=abs):
        near = mantissa + change
        if 1 << 23 <= near < 1 << 24:
            yield RoundingMode.FLOAT32, near, exponent, 0, 0
        if 1 << 30 <= multipliers + 16 * change < 1 << 31:
            yield RoundingMode.DOUBLE, int(multipliers) + 16 * change, int(powers), 0, 0
