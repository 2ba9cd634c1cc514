"""The two roundings of the requantiser's float modes, next to halves above all.

Halves are so rare among random accumulators that the requantiser's bench hardly meets them.
"""

import random

import pytest
from amaranth.sim import Simulator

from celosia.hdl.npu.float_requantizer import Normalizer, ProductRounder

SEED = 1
CASES = 4000


def round_half_even(value, places):
    """value / 2^places, to the nearest whole number, half to even."""
    if places <= 0:
        return value << -places
    quotient, rest = divmod(value, 1 << places)
    half = 1 << places - 1
    return quotient + (rest > half or (rest == half and quotient & 1))


def simulate(dut, cases, drive, sample):
    """What `sample` gives for each case, `dut.LATENCY` cycles after it was driven."""
    results = []

    async def bench(ctx):
        for number in range(len(cases) + dut.LATENCY):
            if number < len(cases):
                drive(ctx, cases[number])
            await ctx.tick()
            if number >= dut.LATENCY - 1:
                results.append(sample(ctx))

    simulator = Simulator(dut)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
    return results


def near_half(rng, kept, dropped):
    """kept, then exactly or nearly some quarters in `dropped` bits, most often two."""
    rest = rng.choice([0, 1, 2, 2, 2, 3]) << dropped >> 2
    return max(0, (kept << dropped) + rest + rng.choice([-1, 0, 0, 0, 1]))


def test_normalizer():
    rng = random.Random(SEED)
    print(f"seed={SEED}")
    cases = [0, 1, 1 << 31, (1 << 31) - 1, (1 << 24) - 1, 1 << 24, (1 << 24) + 1]
    for _ in range(CASES):
        dropped = rng.randint(1, 7)
        cases.append(near_half(rng, rng.randrange(1 << 23, 1 << 24), dropped))
        cases.append(rng.getrandbits(rng.randint(1, 31)))
    # Whether to round is looked at in the last stage only, so that it may be constant here.
    for single in (0, 1):
        dut = Normalizer(rounds=True)

        def drive(ctx, magnitude, dut=dut, single=single):
            ctx.set(dut.magnitude, magnitude)
            ctx.set(dut.to_float32, single)

        got = simulate(dut, cases, drive, lambda ctx, d=dut: (ctx.get(d.operand), ctx.get(d.zeros)))
        for magnitude, (operand, zeros) in zip(cases, got, strict=False):
            if magnitude:
                assert zeros == 32 - magnitude.bit_length(), magnitude
            normal = magnitude << 32 - magnitude.bit_length()
            assert operand == (round_half_even(normal, 8) if single else normal), magnitude


@pytest.mark.parametrize(
    ("product_bits", "significant_bits", "ties_to_even"), [(48, 24, True), (85, 53, False)]
)
def test_product_rounder(product_bits, significant_bits, ties_to_even):
    rng = random.Random(SEED)
    print(f"seed={SEED}")
    cases = []
    for _ in range(CASES):
        length = product_bits - rng.randint(0, 1)
        # Few bits at the top, so that the second rounding meets halves as well.
        top = rng.randrange(1 << 10) | 1 << 10
        kept = top << significant_bits - 11
        kept += rng.choice([0, 0, -1, 1, rng.getrandbits(significant_bits - 11)])
        kept = min(max(kept, 1 << significant_bits - 1), (1 << significant_bits) - 1)
        if rng.random() < 0.1:
            kept = (1 << significant_bits) - 1
        product = near_half(rng, kept, length - significant_bits)
        product = min(max(product, 1 << product_bits - 2), (1 << product_bits) - 1)
        if rng.random() < 0.02:
            product = 0
        near = -product_bits + rng.randint(-3, 13)
        scale = rng.choice([near, near, near, rng.randint(-200, 150)])
        cases.append((product, scale, rng.getrandbits(1)))
    dut = ProductRounder(
        product_bits=product_bits, significant_bits=significant_bits, ties_to_even=ties_to_even
    )

    def drive(ctx, case):
        for port, value in zip((dut.product, dut.scale, dut.negative), case, strict=True):
            ctx.set(port, value)

    got = simulate(dut, cases, drive, lambda ctx: ctx.get(dut.result))
    for case, result in zip(cases, got, strict=False):
        product, scale, negative = case
        dropped = max(0, product.bit_length() - significant_bits)
        significand, places = round_half_even(product, dropped), -(scale + dropped)
        if ties_to_even or places <= 0:
            magnitude = round_half_even(significand, places)
        else:
            magnitude = (significand + (1 << places - 1)) >> places
        if magnitude < 512:
            assert result == (-magnitude if negative else magnitude), case
        else:
            assert abs(result) >= 512, case
            assert (result < 0) == negative, case
