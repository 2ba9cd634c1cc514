"""Bench of `celosia.hdl.crossbar.controller.Controller` on the emulator, both units at work.

Products are made on tile 0 while others are programmed: what comes out doesn't depend on the
order, so that golden programmer and multiplier, one after the other, say what it must be.
"""

import itertools
from dataclasses import replace
from typing import Any

import cocotb
import numpy as np

from celosia.golden.crossbar.commands import MAINTENANCE, Command, Result
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.mvm import Multiplier
from celosia.hdl.crossbar.programmer import cell_result, region_command
from celosia.hdl.crossbar.settings_store import SETTING_WRITE
from celosia.sim.benches.emulator_bench import pack, sizes
from celosia.sim.benches.mvm_bench import pack_correction, pack_request, random_correction
from celosia.sim.benches.programmer_bench import (
    as_tuple,
    default_settings,
    expected_of,
    packed,
    tuples,
    unpacked,
)
from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall

VECTORS = 60
FUZZ_CYCLES = 100_000
PLAN = (Command.PROGRAM, Command.READ, Command.SCRUB, Command.BIST, Command.PROGRAM, Command.READ)


class Bank:
    """The DUT, its streams, and the twin that it must equal.

    ``tile`` is the one that is programmed; tile 0 gets conductances of its own.
    """

    def __init__(self, dut: Any, bench: BlockBench, tile: int, *, stalls: bool) -> None:
        self.config, self.emulator = sizes(bench.parameters)
        self.dut, self.bench, self.tile = dut, bench, tile
        self.rng = np.random.default_rng(bench.rng.getrandbits(32))
        self.twin = EmulatorTwin(self.config, self.emulator)
        self.settings = default_settings(self.config)
        stall = Stall.HALF if stalls else Stall.NEVER
        names = ("commands", "targets", "requests", "settings", "corrections", "memory")
        self.sources = {name: bench.source(name, stall) for name in names}
        self.results, self.sums = bench.sink("results", stall), bench.sink("sums", stall)
        dut.abort.value, dut.interlock.value = 0, 1

    async def prepare(self) -> None:
        """Settings, tables, and the conductances of tile 0."""
        config, rng = self.config, self.rng
        cells = rng.integers(0, 1024, (config.rows, config.columns))
        self.twin.conductance[0] = cells
        # What is written here isn't stuck any more.
        self.twin.stuck_low[0] = self.twin.stuck_high[0] = False
        await self.sources["memory"].send(
            pack(config, 1, row, column, int(cells[row, column]))
            for row in range(config.rows)
            for column in range(config.columns)
        )
        await self.sources["settings"].send(
            packed(SETTING_WRITE, address=address, value=value)
            for address, value in self.settings.writes()
        )
        # Sums inside of 32 bits, so that each code shows.
        self.correction = replace(random_correction(rng, config, 0), scale=40000, shift=21)
        await self.sources["corrections"].send(
            pack_correction(config, entry) for entry in self.correction.writes(0)
        )

    def products(self, count: int) -> tuple[list[int], list[int]]:
        """Requests of tile 0, and the sums that they must give."""
        config = self.config
        inputs = self.rng.integers(-128, 128, (count, config.rows)).astype(np.int8)
        multiplier = Multiplier(self.twin, config)
        sums = multiplier.multiply(0, self.correction, inputs, True)
        assert (np.abs(sums.astype(np.int64)) < 2**31 - 1).mean() > 0.9
        beats = [pack_request(config, 0, True, vector) for vector in inputs]
        return beats, [
            sum((int(value) & 0xFFFF_FFFF) << (32 * place) for place, value in enumerate(row))
            for row in sums
        ]

    def commands(self) -> tuple[list[int], list[int], list[tuple[int, ...]]]:
        """Beats of commands and targets on the tile, and what must be answered."""
        config, rng = self.config, self.rng
        beats, targets, expected = [], [], []
        for tag, command in enumerate(PLAN):
            place = (int(rng.integers(config.rows - 1)), 2, int(rng.integers(4)), 5)
            levels = [int(level) for level in rng.integers(0, config.levels, 10)]
            outcome = expected_of(
                self.twin, config, self.settings, command, self.tile, place, levels
            )
            expected += tuples(outcome)
            targets += levels if command in (Command.PROGRAM, Command.SCRUB) else []
            names = ("first_row", "rows", "first_column", "columns")
            fields = {"command": int(command), "tile": self.tile, "tag": tag}
            fields |= dict(zip(names, place, strict=True))
            beats.append(packed(region_command(config), **fields))
        return beats, targets, expected

    async def answers(self, count: int) -> list[tuple[int, ...]]:
        """The next results."""
        layout = cell_result(self.config)
        return [as_tuple(unpacked(layout, bits)) for bits in await self.results.receive(count)]

    def check_safe(self) -> None:
        """No rule of the port was broken."""
        assert int(self.dut.broken.value) == 0, f"rules {int(self.dut.broken.value):#b} broken"
        assert not self.dut.tripped.value


@cocotb.test()
@cocotb.parametrize(stalls=[False, True])
async def both_units_give_what_each_gives_alone(dut: Any, stalls: bool) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    bank = Bank(dut, bench, 1 + stalls, stalls=stalls)
    await bank.prepare()
    requests, sums = bank.products(VECTORS)
    commands, targets, expected = bank.commands()
    turns = cocotb.start_soon(count_turns(dut, bench))
    cocotb.start_soon(bank.sources["requests"].send(requests))
    checking = cocotb.start_soon(bank.sums.check(sums))
    cocotb.start_soon(bank.sources["targets"].send(targets))
    cells = len(expected) // len(commands)
    for number, beat in enumerate(commands):
        # Time for some products, not for all.
        await bench.cycles(bench.rng.randrange(100, 1500))
        await bank.sources["commands"].send([beat])
        golden = expected[number * cells : (number + 1) * cells]
        assert await bank.answers(cells) == golden
    await checking
    turns.cancel()
    assert TURNS[0] >= len(PLAN), f"the port changed hands {TURNS[0]} times"
    bank.check_safe()
    while dut.busy.value:
        await bench.cycles()


TURNS = [0]


async def count_turns(dut: Any, bench: BlockBench) -> None:
    """How often a product follows a conversion of the programmer, or the other way round."""
    TURNS[0], last = 0, None
    while True:
        await bench.cycles(1)
        for unit in ("issued", "converted"):
            if getattr(dut, unit).value:
                TURNS[0] += last not in (None, unit)
                last = unit


@cocotb.test()
async def aborts_leave_both_units_in_step(dut: Any) -> None:
    """Commands are answered cell by cell, and only dropped products give no sums."""
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    bank = Bank(dut, bench, 3, stalls=True)
    await bank.prepare()
    requests, sums = bank.products(VECTORS)
    commands, targets, expected = bank.commands()
    dropped = 0
    aborted_once = False
    cocotb.start_soon(bank.sources["targets"].send(targets))
    sending = cocotb.start_soon(bank.sources["requests"].send(requests))
    commanding = cocotb.start_soon(bank.sources["commands"].send(commands))
    answered: list[tuple[int, ...]] = []

    async def listen() -> None:
        answered.extend(await bank.answers(len(expected)))

    listening = cocotb.start_soon(listen())
    received: list[int] = []

    async def collect() -> None:
        while True:
            received.extend(await bank.sums.receive(1))

    collecting = cocotb.start_soon(collect())
    while not (sending.done() and commanding.done() and listening.done()):
        aborting = bench.rng.random() < 0.002
        dut.abort.value = int(aborting)
        await bench.cycles(1)
        dropped += int(dut.dropped.value)
        aborted_once |= aborting
        bank.check_safe()
    dut.abort.value = 0
    for _ in range(2000):
        await bench.cycles(1)
        dropped += int(dut.dropped.value)
    collecting.cancel()
    assert not dut.busy.value
    assert dropped > 0
    assert len(received) == len(sums) - dropped
    left = iter(sums)
    assert all(beat in left for beat in received), "sums aren't those of the products in order"
    results = [answer[2] for answer in answered]
    assert aborted_once
    assert Result.ABORTED in results
    assert Result.CONVERGED in results


@cocotb.test()
async def fuzz(dut: Any) -> None:
    """Commands, products, aborts, interlock and resets at random for 100,000 cycles."""
    bench = await BlockBench.start(dut, timeout_cycles=10 * FUZZ_CYCLES)
    bank = Bank(dut, bench, 1, stalls=False)
    await bank.prepare()
    config, rng = bank.config, bench.rng
    start = bench.cycle
    rises = products = 0
    levels = (rng.randrange(config.levels) for _ in itertools.count())
    feeding = cocotb.start_soon(bank.sources["targets"].send(levels))
    tasks: dict[str, Any] = {}
    while bench.cycle - start < FUZZ_CYCLES:
        action = rng.random()
        if action < 0.02:
            for task in (*tasks.values(), feeding):
                task.cancel()
            await bench.reset(rng.randint(2, 4))
            await bank.prepare()
            tasks = {}
            feeding = cocotb.start_soon(bank.sources["targets"].send(levels))
        elif action < 0.1:
            dut.abort.value = 1
            await bench.cycles(rng.randint(1, 12))
            dut.abort.value = 0
        elif action < 0.16:
            dut.interlock.value = 0
            await bench.cycles(rng.randint(1, 40))
            dut.interlock.value = 1
        else:
            name = rng.choice(["commands", "requests"])
            place = (rng.randrange(config.rows), rng.randint(0, 4), rng.randrange(8), 3)
            names = ("first_row", "rows", "first_column", "columns")
            command = rng.choice([*PLAN, Command.FORM, *MAINTENANCE, rng.randrange(16)])
            fields = {"command": int(command), "tile": rng.randrange(config.tiles), "tag": 0}
            fields |= dict(zip(names, place, strict=True))
            beats = [packed(region_command(config), **fields)]
            if name == "requests":
                beats = bank.products(rng.randint(1, 8))[0]
            if name not in tasks or tasks[name].done():
                tasks[name] = cocotb.start_soon(bank.sources[name].send(beats))
        for _ in range(rng.randint(1, 120)):
            before = int(dut.pulse.value)
            await bench.cycles(1)
            rises += not before and int(dut.pulse.value)
            products += int(dut.issued.value)
        bank.check_safe()
    print(f"{bench.cycle - start} cycles, {rises} pulses, {products} integrations")
    assert rises > 100
    assert products > 100
