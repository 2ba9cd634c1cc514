"""Bench of `celosia.hdl.npu.address_generator.AddressGenerator` against nested loops."""

import itertools
import random
from typing import Any

import cocotb
from amaranth.hdl import unsigned

from celosia.golden.isa import ADDRESS_BITS, COORDINATE_BITS, LOOP_LEVELS
from celosia.hdl.npu.address_generator import Bounds, LoopSetting, position_layout, run_layout
from celosia.sim.block_bench import BlockBench
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall

RUNS = 25
STALLS = [Stall.NEVER, Stall.HALF, Stall.BURSTS]


class Nest:
    """The settings as they stand, and the positions that a run must give with them."""

    def __init__(self, bench: BlockBench) -> None:
        self.rng: random.Random = bench.rng
        self.run_levels: list[int] = bench.parameters["run_levels"]
        self.tag: int = bench.parameters["tag"]
        self.address_bits: int = bench.parameters.get("address_bits", ADDRESS_BITS)
        self.coordinate_bits: int = bench.parameters.get("coordinate_bits", COORDINATE_BITS)
        self.levels = [{"count": 1, "address_step": 0, "y_step": 0, "x_step": 0}] * LOOP_LEVELS
        self.size = (0, 0)
        self.positions = position_layout(unsigned(self.tag))

    def setting(self, level: int) -> int:
        """Give a level new values."""
        self.levels[level] = {
            "count": self.rng.randint(1, 4),
            "address_step": self.rng.randrange(1 << ADDRESS_BITS),
            "y_step": self.rng.randint(-2, 3),
            "x_step": self.rng.randint(-2, 3),
        }
        return pack_fields(LoopSetting, {"level": level, **self.levels[level]})

    def bounds(self) -> int:
        """Give the image a new size."""
        sizes = [*range(7), (1 << self.coordinate_bits) - 1]
        self.size = (self.rng.choice(sizes), self.rng.choice(sizes))
        return pack_fields(Bounds, {"height": self.size[0], "width": self.size[1]})

    def run(self) -> tuple[int, list[int]]:
        """A run from a random point, and its positions."""
        address = self.rng.randrange(1 << ADDRESS_BITS)
        y, x, tag = self.rng.randint(-4, 5), self.rng.randint(-4, 5), self.rng.getrandbits(self.tag)
        counts = [self.rng.randint(1, 4) for _ in self.run_levels]
        run = {"address": address, "y": y, "x": x, "counts": counts, "tag": tag}
        limits = [level["count"] for level in self.levels]
        for level, count in zip(self.run_levels, counts, strict=True):
            limits[level] = count
        positions = []
        for reversed_index in itertools.product(*(range(n) for n in reversed(limits))):
            index = reversed_index[::-1]
            at = {"address": address, "y": y, "x": x}
            for axis in at:
                at[axis] += sum(
                    i * level[f"{axis}_step"] for i, level in zip(index, self.levels, strict=True)
                )
            inside = 0 <= at["y"] < self.size[0] and 0 <= at["x"] < self.size[1]
            position = {
                "address": at["address"] % (1 << self.address_bits) if inside else 0,
                "inside": int(inside),
                "first": sum((i == 0) << level for level, i in enumerate(index)),
                "last": sum(
                    (i == n - 1) << level
                    for level, (i, n) in enumerate(zip(index, limits, strict=True))
                ),
                "tag": tag,
            }
            positions.append(pack_fields(self.positions, position))
        return pack_fields(run_layout(unsigned(self.tag)), run), positions

    def decode(self, payload: int) -> object:
        """Fields of a position, for messages."""
        return fields_of(self.positions, payload)


@cocotb.test()
@cocotb.parametrize(input_stall=STALLS, positions_stall=STALLS)
async def runs_walk_the_nest(dut: Any, input_stall: Stall, positions_stall: Stall) -> None:
    bench = await BlockBench.start(dut)
    nest = Nest(bench)
    settings, bounds = bench.source("settings", input_stall), bench.source("bounds", input_stall)
    runs, positions = bench.source("runs", input_stall), bench.sink("positions", positions_stall)
    await settings.send([nest.setting(level) for level in range(LOOP_LEVELS)])
    await bounds.send([nest.bounds()])
    expected: list[int] = []
    for _ in range(RUNS):
        # Settings are offered while the run before is under way.
        for level in bench.rng.sample(range(LOOP_LEVELS), bench.rng.randint(0, 2)):
            await settings.send([nest.setting(level)])
        if bench.rng.random() < 0.5:
            await bounds.send([nest.bounds()])
        run, of_run = nest.run()
        await runs.send([run])
        expected += of_run
    await positions.check(expected, nest.decode)
    await positions.check_quiet(10)
    assert not dut.busy.value, "busy without a run"


@cocotb.test()
async def runs_follow_without_a_gap(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    nest = Nest(bench)
    await bench.source("settings").send([nest.setting(level) for level in range(LOOP_LEVELS)])
    await bench.source("bounds").send([nest.bounds()])
    runs = [nest.run() for _ in range(RUNS)]
    positions = bench.sink("positions")
    cocotb.start_soon(bench.source("runs").send([run for run, _ in runs]))
    expected = [position for _, of_run in runs for position in of_run]
    start = bench.cycle
    await positions.receive(1)
    latency = bench.cycle - start
    assert latency == 2 + bench.parameters.get("registered", True), (
        f"the first position was taken in cycle {latency}"
    )
    await positions.check(expected[1:], nest.decode)
    cycles = bench.cycle - start - latency
    assert cycles == len(expected) - 1, f"{len(expected)} positions took {cycles} cycles"
