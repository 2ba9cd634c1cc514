"""Bench of `celosia.hdl.npu.lane_collector.LaneCollector` against vectors cut into beats."""

from typing import Any

import cocotb

from celosia.golden.config import config_from_mapping
from celosia.golden.isa import ADDRESS_BITS
from celosia.hdl.npu.interfaces import MemoryWriteSignature
from celosia.hdl.npu.lane_feed import feed_tag
from celosia.hdl.npu.requantizer_steps import RequantizerOutput
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall

VECTORS = 200


class Traffic:
    """Random vectors, cut into beats, and the writes that they become."""

    def __init__(self, bench: BlockBench) -> None:
        config = config_from_mapping(bench.parameters, default_name="bench")
        rng = bench.rng
        lanes, slices = config.requantizer_lanes, config.tile_slices
        self.beats_per_vector = config.rows // lanes
        tag_layout = feed_tag(config)
        layout = RequantizerOutput(lanes=lanes, tag=tag_layout)
        self.write_layout = MemoryWriteSignature(config.rows).members["payload"].shape
        self.beats: list[int] = []
        self.writes: list[int] = []
        self.is_last: list[bool] = []
        for _ in range(VECTORS):
            values = [rng.randrange(-128, 128) for _ in range(config.rows)]
            tag = {"address": rng.getrandbits(ADDRESS_BITS), "last": rng.getrandbits(1)}
            written = range(config.rows)
            if slices > 1:
                tag["slice"] = rng.randint(0, slices)  # `slices` is all of them
                if tag["slice"] < slices:
                    start = tag["slice"] * config.columns
                    written = range(start, min(start + config.columns, config.rows))
            for first in range(0, config.rows, lanes):
                end = first + lanes == config.rows
                beat = {"vector": values[first : first + lanes], "tag": {**tag, "vector_end": end}}
                self.beats.append(pack_fields(layout, beat))
            mask = sum(1 << lane for lane in written)
            write = {"address": tag["address"], "vector": values, "mask": mask}
            self.writes.append(pack_fields(self.write_layout, write))
            self.is_last.append(bool(tag["last"]))

    def decode(self, payload: int) -> object:
        """Fields of a write, for messages."""
        return fields_of(self.write_layout, payload)


async def watch_done(dut: Any, bench: BlockBench, traffic: Traffic) -> None:
    """`done` in exactly those cycles in which a last vector is accepted."""
    is_last = iter(traffic.is_last)
    while True:
        await bench.cycles(1)
        accepted = dut.write__valid.value and dut.write__ready.value
        assert bool(dut.done.value) == (bool(accepted) and next(is_last))


@cocotb.test()
@cocotb.parametrize(i_stall=list(Stall), write_stall=list(Stall))
async def vectors_are_put_together(dut: Any, i_stall: Stall, write_stall: Stall) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    sink = bench.sink("write", write_stall)
    cocotb.start_soon(watch_done(dut, bench, traffic))
    cocotb.start_soon(bench.source("i", i_stall).send(traffic.beats))
    await sink.check(traffic.writes, traffic.decode)
    await sink.check_quiet(10)


@cocotb.test()
async def a_beat_passes_every_cycle(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    traffic = Traffic(bench)
    sink = bench.sink("write")
    await bench.cycles(1)
    start = bench.cycle
    cocotb.start_soon(bench.source("i").send(traffic.beats))
    for number in range(1, VECTORS + 1):
        await sink.receive(1)
        expected = number * traffic.beats_per_vector + 1
        assert bench.cycle - start == expected, f"vector {number} after {bench.cycle - start}"


@cocotb.test()
async def reset_forgets_what_was_collected(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    source, sink = bench.source("i", Stall.HALF), bench.sink("write", Stall.BURSTS)
    for _ in range(20):
        traffic = Traffic(bench)
        task = cocotb.start_soon(source.send(traffic.beats))
        await bench.cycles(bench.rng.randrange(2, 40))
        task.cancel()
        await bench.reset()
        await sink.check_quiet(3)
        beats, writes = traffic.beats_per_vector * 3, traffic.writes[:3]
        await source.send(traffic.beats[:beats])
        await sink.check(writes, traffic.decode)
        await sink.check_quiet(3)
