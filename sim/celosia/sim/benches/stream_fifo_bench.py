"""Bench of `celosia.hdl.stream.StreamFifo`: what goes in comes out, in order, under any stall."""

from typing import Any

import cocotb

from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall

BEATS = 300


@cocotb.test()
@cocotb.parametrize(i_stall=list(Stall), o_stall=list(Stall))
async def every_beat_arrives_in_order(dut: Any, i_stall: Stall, o_stall: Stall) -> None:
    bench = await BlockBench.start(dut)
    source, sink = bench.source("i", i_stall), bench.sink("o", o_stall)
    beats = [bench.rng.getrandbits(bench.parameters["shape"]) for _ in range(BEATS)]
    cocotb.start_soon(source.send(beats))
    await sink.check(beats)
    await sink.check_quiet(10)
