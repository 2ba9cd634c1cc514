"""Bench of the requantiser's arithmetic, stopped and moved on at random, in all its stages at once.

`PipelinedMultiplier`, and `Normalizer` and both `ProductRounder` of `float_requantizer`, side by
side behind one `enable`; against Python's integers.
"""

from collections import deque
from collections.abc import Callable
from fractions import Fraction
from typing import Any

import cocotb

from celosia.hdl.npu.float_requantizer import Normalizer, ProductRounder
from celosia.hdl.npu.pipelined_multiplier import PipelinedMultiplier
from celosia.sim.block_bench import BlockBench

VALUES = 8000

Inputs = dict[str, int]


def sparse(bench: BlockBench, bits: int) -> int:
    """A number of few ones or few zeros, where carries run far, or any."""
    value = 0
    for _ in range(bench.rng.randint(0, 3)):
        value |= 1 << bench.rng.randrange(bits)
    return bench.rng.choice([value, ~value % (1 << bits), bench.rng.getrandbits(bits)])


def half_even(value: int, places: int) -> int:
    """value / 2^places, rounded half to even, as Python rounds fractions."""
    return round(Fraction(value, 1 << places))


class Multiplication:
    """One multiplier: random operands, and their product."""

    latency = PipelinedMultiplier.LATENCY

    def __init__(self, bench: BlockBench, prefix: str, a_bits: int, b_bits: int) -> None:
        self._bench, self._prefix = bench, prefix
        self._a_bits, self._b_bits = a_bits, b_bits

    def inputs(self) -> Inputs:
        """Values of its ports."""
        a, b = sparse(self._bench, self._a_bits), sparse(self._bench, self._b_bits)
        return {f"{self._prefix}__a": a, f"{self._prefix}__b": b}

    def check(self, dut: Any, inputs: Inputs) -> None:
        """Compare the product with that of the inputs."""
        a, b = inputs[f"{self._prefix}__a"], inputs[f"{self._prefix}__b"]
        a -= (a >> self._a_bits - 1) << self._a_bits
        got = getattr(dut, f"{self._prefix}__product").value.to_signed()
        assert got == a * b, f"{self._prefix}: {a} * {b} is {got}, expected {a * b}"


class Normalization:
    """The normaliser: random magnitudes, most with a half below 24 bits."""

    latency = Normalizer.LATENCY

    def __init__(self, bench: BlockBench) -> None:
        self._bench = bench

    def inputs(self) -> Inputs:
        """Values of its ports."""
        rng = self._bench.rng
        dropped = rng.randint(1, 7)
        half = rng.randrange(1 << 23, 1 << 24) << dropped | 1 << dropped - 1
        corner = rng.choice([0, 1, 1 << 31, (1 << 31) - 1])
        magnitude = rng.choice([corner, half, half, half + 1, half - 1, rng.getrandbits(31)])
        return {"normalizer__magnitude": magnitude}

    def check(self, dut: Any, inputs: Inputs) -> None:
        """Compare; rounding was decided in the cycle before."""
        magnitude = inputs["normalizer__magnitude"]
        zeros = 32 - magnitude.bit_length()
        operand = magnitude << zeros
        if inputs["normalizer__to_float32"]:
            operand = half_even(operand, 8)
        got = dut.normalizer__operand.value.to_unsigned()
        assert got == operand, f"operand of {magnitude} is {got}, expected {operand}"
        if magnitude:
            assert dut.normalizer__zeros.value.to_unsigned() == zeros


class Rounding:
    """A rounder: random products, most with a half at one rounding or the other."""

    latency = ProductRounder.LATENCY

    def __init__(
        self, bench: BlockBench, prefix: str, product_bits: int, bits: int, *, ties_to_even: bool
    ) -> None:
        self._bench, self._prefix = bench, prefix
        self._product_bits, self._bits, self._ties_to_even = product_bits, bits, ties_to_even

    def inputs(self) -> Inputs:
        """Values of its ports."""
        rng, bits = self._bench.rng, self._bits
        length = self._product_bits - rng.randint(0, 1)
        few_bits = rng.randrange(1 << 10, 1 << 11) << bits - 11  # a half for some scales
        carries = (1 << bits) - 1
        kept = rng.choice([few_bits] * 4 + [carries, rng.randrange(1 << bits - 1, 1 << bits)])
        kept = min(max(kept + rng.choice([-1, 0, 0, 1]), 1 << bits - 1), (1 << bits) - 1)
        dropped = length - bits
        quarters = rng.choice([0, 1, 2, 2, 3]) << dropped - 2
        rest = min(max(quarters + rng.choice([-1, 0, 0, 1]), 0), (1 << dropped) - 1)
        product = rng.choice([kept << dropped | rest] * 20 + [0])
        scale = rng.choice(
            [rng.randint(-3, 13) - self._product_bits] * 3 + [rng.randint(-200, 150)]
        )
        values = {"product": product, "scale": scale % (1 << 10), "negative": rng.getrandbits(1)}
        return {f"{self._prefix}__{name}": value for name, value in values.items()}

    def check(self, dut: Any, inputs: Inputs) -> None:
        """Compare where the result is exact, else its sign and that it is far away."""
        product, scale, negative = (
            inputs[f"{self._prefix}__{name}"] for name in ("product", "scale", "negative")
        )
        scale -= scale >> 9 << 10
        dropped = max(0, product.bit_length() - self._bits)
        value = half_even(product, dropped) * Fraction(2) ** (dropped + scale)
        magnitude = round(value) if self._ties_to_even else int(value + Fraction(1, 2))
        got = getattr(dut, f"{self._prefix}__result").value.to_signed()
        if magnitude < 512:
            expected = -magnitude if negative else magnitude
            assert got == expected, f"{self._prefix}: {inputs} gives {got}, expected {expected}"
        else:
            assert abs(got) >= 512, f"{self._prefix}: {inputs} gives {got}, not {magnitude}"
            assert (got < 0) == negative, f"{self._prefix}: {inputs} gives {got}"


BLOCKS: dict[str, Callable[[BlockBench], Any]] = {
    "multiplier_small": lambda bench: Multiplication(bench, "multiplier_small", 32, 31),
    "multiplier_large": lambda bench: Multiplication(bench, "multiplier_large", 33, 53),
    "normalizer": Normalization,
    "rounder_float32": lambda bench: Rounding(bench, "rounder_float32", 48, 24, ties_to_even=True),
    "rounder_float64": lambda bench: Rounding(bench, "rounder_float64", 85, 53, ties_to_even=False),
}


@cocotb.test()
@cocotb.parametrize(block=list(BLOCKS), moving=[0.5, 1.0])
async def results_come_after_the_latency_in_enabled_cycles(
    dut: Any, block: str, moving: float
) -> None:
    bench = await BlockBench.start(dut)
    model = BLOCKS[block](bench)
    inside: deque[Inputs] = deque()
    due: Inputs | None = None
    for _ in range(VALUES):
        enable = bench.rng.random() < moving
        inputs = model.inputs()
        to_float32 = bench.rng.getrandbits(1)
        for name, value in inputs.items():
            getattr(dut, name).value = value
        dut.normalizer__to_float32.value = to_float32
        # Primitives have an enable of their own.
        for port in (dut.enable, dut.multiplier_small__enable, dut.multiplier_large__enable):
            port.value = enable
        await bench.cycles(1)  # sees what stood before this edge
        if due is not None:
            model.check(dut, due)
        if enable:
            inside.append(inputs)
            if len(inside) == model.latency:
                due = {**inside.popleft(), "normalizer__to_float32": to_float32}
