"""Sends 20 beats through `FaultyStage`."""

from typing import Any

import cocotb

from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall


@cocotb.test()
async def beats_arrive(dut: Any) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=500)
    source, sink = bench.source("i"), bench.sink("o", Stall.HALF)
    beats = [16 + index for index in range(20)]
    cocotb.start_soon(source.send(beats))
    await sink.check(beats)
    await sink.check_quiet(10)


@cocotb.test()
async def no_such_stream(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    bench.source("x")
