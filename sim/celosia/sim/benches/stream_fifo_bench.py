"""Bench of `celosia.hdl.stream.StreamFifo`: its contract, sentence by sentence."""

from typing import Any

import cocotb

from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall

BEATS = 300


def random_beats(bench: BlockBench) -> list[int]:
    return [bench.rng.getrandbits(bench.parameters["shape"]) for _ in range(BEATS)]


@cocotb.test()
@cocotb.parametrize(i_stall=list(Stall), o_stall=list(Stall))
async def every_beat_arrives_in_order(dut: Any, i_stall: Stall, o_stall: Stall) -> None:
    bench = await BlockBench.start(dut)
    source, sink = bench.source("i", i_stall), bench.sink("o", o_stall)
    beats = random_beats(bench)
    cocotb.start_soon(source.send(beats))
    await sink.check(beats)
    await sink.check_quiet(10)


@cocotb.test()
async def a_beat_passes_every_cycle(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    source, sink = bench.source("i"), bench.sink("o")
    period, latency = {1: (2, 1), 2: (2, 2)}.get(bench.parameters["depth"], (1, 2))
    beats = random_beats(bench)
    start = bench.cycle
    cocotb.start_soon(source.send(beats))
    await sink.check(beats)
    assert bench.cycle - start == period * (BEATS - 1) + latency + 1


@cocotb.test()
async def it_holds_its_depth(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    source, depth = bench.source("i"), bench.parameters["depth"]
    dut.o__ready.value = 0
    beats = random_beats(bench)[: depth + 1]
    cocotb.start_soon(source.send(beats))
    await bench.cycles(2 * depth + 5)
    assert not dut.i__ready.value
    assert dut.level.value == depth
    assert source.status() == f"i offers beat {depth} and waits for ready"


@cocotb.test()
async def reset_empties_it(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    source, sink = bench.source("i"), bench.sink("o", Stall.BURSTS)
    sending = cocotb.start_soon(source.send(random_beats(bench)))
    await bench.cycles(BEATS // 2)
    sending.cancel()
    await bench.reset()
    assert dut.level.value == 0
    beats = random_beats(bench)
    cocotb.start_soon(source.send(beats))
    await sink.check(beats)
    await sink.check_quiet(10)
