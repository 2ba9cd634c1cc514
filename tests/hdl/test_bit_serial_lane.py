# amaranth: UnusedElaboratable=no
"""The bit-serial lane against the golden model, with operands that networks never have."""

import random

import numpy as np
from amaranth.sim import Simulator

from celosia.golden.quantization import requantize
from celosia.golden.rounding import RoundingMode
from celosia.hdl.npu.bit_serial_lane import BitSerialLane

MODES = (RoundingMode.DOUBLE, RoundingMode.SINGLE, RoundingMode.AVERAGE)
LEAST, MOST = -(1 << 31), (1 << 31) - 1


class Feeder:
    """Goes through the phases, with cycles in which the lane isn't enabled."""

    def __init__(self, ctx, lane, rng):
        self._ctx, self._lane, self._rng = ctx, lane, rng

    async def phase(self, cycles, name, end=None, bits=None, of=0):
        """A phase: its signal, the one in its last cycle, and a port with the bits of a number."""
        ctx, lane = self._ctx, self._lane
        got = 0
        for cycle in range(cycles):
            ctx.set(getattr(lane, name), 1)
            if end is not None:
                ctx.set(getattr(lane, end), int(cycle == cycles - 1))
            if bits is not None:
                ctx.set(getattr(lane, bits), of >> cycle & 1)
            got |= ctx.get(lane.o) << cycle
            ctx.set(lane.enable, 0)
            while self._rng.random() < 0.1:
                await ctx.tick()
            ctx.set(lane.enable, 1)
            await ctx.tick()
        ctx.set(getattr(lane, name), 0)
        if end is not None:
            ctx.set(getattr(lane, end), 0)
        return got


def drawn(rng):
    """Operands of an output, often close to a half."""
    right = rng.choice((0, 1, 2, 8, 31, rng.randint(0, 31)))
    multiplier = rng.choice((1 << 30, MOST, 0, rng.randint(1 << 30, MOST), rng.randint(0, MOST)))
    acc = rng.choice((LEAST, MOST, 0, -1, rng.randint(LEAST, MOST) >> rng.randint(0, 30)))
    if rng.random() < 0.3:  # an exact half
        acc, multiplier = rng.choice((-1, 1)) * rng.randint(0, 40) << min(right, 25), 1 << 30
    low, high = sorted((rng.randint(-128, 127), rng.randint(-128, 127)))
    if rng.random() < 0.5:
        low, high = -128, 127
    return acc, multiplier, right, rng.randint(-128, 127), low, high


def test_results_are_those_of_the_golden_model():
    lane = BitSerialLane(modes=MODES)
    rng = random.Random(5)

    async def bench(ctx):
        feeder = Feeder(ctx, lane, rng)
        for _ in range(500):
            mode = rng.choice(MODES)
            acc, multiplier, right, zero_point, low, high = drawn(rng)
            settings = {"mode": mode, "zero_point": zero_point, "low": low, "high": high}
            ctx.set(lane.settings, settings)
            ctx.set(lane.sets, 1)
            await ctx.tick()
            ctx.set(lane.sets, 0)
            ctx.set(lane.exponent, -right)
            await feeder.phase(32, "gathers", "clears", "operand", acc)
            await feeder.phase(31, "multiplies", "begins", "multiplier", multiplier)
            # The last eight cycles are those of the next product as well, as early as it may be.
            await feeder.phase(33, "rounds")
            await feeder.phase(1, "rounds", "clears")
            ctx.set(lane.multiplies, 1)
            await feeder.phase(8, "rounds", "ends", "multiplier", rng.getrandbits(8))
            ctx.set(lane.multiplies, 0)
            got = await feeder.phase(8, "sends")
            scaled = requantize(np.array([acc]), np.array([multiplier]), np.array([-right]), mode)
            (expected,) = np.clip(scaled.astype(np.int64) + zero_point, low, high)
            shown = f"{acc} * {multiplier} >> {right}, {settings}"
            assert got == expected & 0xFF, f"{shown} is {got}, expected {expected & 0xFF}"

    simulator = Simulator(lane)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
