# amaranth: UnusedElaboratable=no
"""Wear counters stay at their end, which simulations of the whole controller don't reach."""

from amaranth.sim import Simulator
from support.mutants import mutated

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.hdl.crossbar import row_wear


def test_a_full_count_stays():
    narrow = ("from celosia.golden.crossbar.telemetry import WEAR_BITS", "WEAR_BITS = 3")
    wear = mutated(row_wear, narrow).RowWear(CrossbarConfig(rows=4))

    async def bench(ctx):
        ctx.set(wear.event.row, 2)
        ctx.set(wear.address, 2)
        for pulse in range(1, 11):
            ctx.set(wear.pulsed, 1)
            await ctx.tick()
            ctx.set(wear.pulsed, 0)
            await ctx.tick().repeat(3)
            assert ctx.get(wear.word) == min(pulse, 7)

    simulator = Simulator(wear)
    simulator.add_clock(1e-6)
    simulator.add_testbench(bench)
    simulator.run()
