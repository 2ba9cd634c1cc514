"""Bench of the controller's commands and status on the emulator, against the golden controller.

`celosia.sim.benches.controller_bench` has both units at work at once; here everything that the
controller answers, counts and finds is compared.
"""

import dataclasses
import itertools
from typing import Any

import cocotb
import numpy as np

from celosia.golden.crossbar.commands import (
    MAINTENANCE,
    ON_CELLS,
    TARGETED,
    Command,
    Result,
    Scheme,
)
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.controller import Answer, Controller, RegionCommand
from celosia.golden.crossbar.corrections import CorrectionField, CorrectionWrite, table
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.front_end import BiasMode, FrontEnd
from celosia.golden.crossbar.mvm import Telemetry
from celosia.golden.crossbar.programming import CellResults
from celosia.golden.crossbar.settings import Setting
from celosia.golden.crossbar.telemetry import (
    PULSE_COUNTERS,
    STATUS_LATENCY,
    Counter,
    StatusRegion,
    status_regions,
)
from celosia.hdl.crossbar.access import pulse_event
from celosia.hdl.crossbar.programmer import cell_result, region_command
from celosia.hdl.crossbar.settings_store import SETTING_WRITE
from celosia.sim.benches.emulator_bench import pack, sizes
from celosia.sim.benches.mvm_bench import pack_correction, pack_request, random_correction
from celosia.sim.benches.programmer_bench import default_settings, packed, unpacked
from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall
from celosia.sim.streams import StreamSource

ROUNDS = 36
REPAIRS = 60
VECTORS = 60


class Session:
    """The DUT's streams and status port, and the golden controller beside it.

    It is on the emulator's twin, or on the front end that is given.
    """

    def __init__(
        self, dut: Any, bench: BlockBench, *, stalls: bool, front_end: FrontEnd | None = None
    ) -> None:
        self.config = CrossbarConfig(**bench.parameters["config"])
        self.twin: EmulatorTwin | None = None
        if front_end is None:
            front_end = self.twin = EmulatorTwin(*sizes(bench.parameters))
        self.dut, self.bench = dut, bench
        self.rng = np.random.default_rng(bench.rng.getrandbits(32))
        self.base = default_settings(self.config)
        self.golden = Controller(front_end, self.config, self.base)
        stall = Stall.HALF if stalls else Stall.NEVER
        names = ("commands", "targets", "requests", "settings", "corrections")
        self.sources = {name: bench.source(name, stall) for name in names}
        self.results, self.sums = bench.sink("results", stall), bench.sink("sums", stall)
        dut.abort.value, dut.interlock.value, dut.status_address.value = 0, 1, 0

    async def configure(self, **scalars: int) -> None:
        """Change scalar settings, named as `Setting`, of both."""
        changed = {Setting[name.upper()]: value for name, value in scalars.items()}
        scalars_now = {**self.base.scalars, **changed}
        self.golden.settings = dataclasses.replace(self.base, scalars=scalars_now)
        await self.sources["settings"].send(
            packed(SETTING_WRITE, address=address, value=value)
            for address, value in self.golden.settings.writes()
        )

    async def correct(self, tile: int) -> None:
        """Send random tables for a tile to both."""
        correction = dataclasses.replace(
            random_correction(self.rng, self.config, tile),
            adc_gain=(40000, 4096, 65535)[tile],  # two of them saturate
        )
        highest = self.config.rows * (self.config.levels - 1)
        sums = self.rng.integers(highest + 1, size=self.config.columns).tolist()
        await self.write([*correction.writes(tile), *table(CorrectionField.LEVELS, tile, sums)])

    async def write(self, entries: list[CorrectionWrite]) -> None:
        """Send entries of the correction tables to both."""
        for entry in entries:
            self.golden.write(entry)
        beats = [pack_correction(self.config, entry) for entry in entries]
        await self.sources["corrections"].send(beats)

    async def fill(self, door: StreamSource) -> None:
        """Random conductances in all cells of the emulator, none of them stuck any more."""
        config, twin = self.config, self.twin
        assert twin is not None
        twin.conductance[:] = self.rng.integers(0, 1024, twin.conductance.shape)
        twin.stuck_low[:] = twin.stuck_high[:] = False
        lines = twin.conductance.reshape(-1, config.columns)
        await door.send(
            pack(config, 1, line, column, int(lines[line, column]))
            for line, column in np.ndindex(*lines.shape)
        )

    def region(self) -> dict[str, int]:
        """Some cells of some tile."""
        config, rng = self.config, self.rng
        first_row, first_column = int(rng.integers(config.rows)), int(rng.integers(config.columns))
        return {
            "tile": int(rng.integers(config.tiles)),
            "first_row": first_row,
            "rows": int(rng.integers(1, min(4, config.rows - first_row) + 1)),
            "first_column": first_column,
            "columns": int(rng.integers(1, min(8, config.columns - first_column) + 1)),
        }

    async def send(self, asked: RegionCommand) -> list[Answer]:
        """Send a command, with random levels if it needs some; gives what must be answered."""
        count = asked.rows * asked.columns
        levels = self.rng.integers(0, self.config.levels, count)
        expected = self.golden.execute(asked, levels)
        if asked.command in TARGETED and len(expected) == count:
            cocotb.start_soon(self.sources["targets"].send(levels.tolist()))
        await self.sources["commands"].send(
            [packed(region_command(self.config), **asked._asdict())]
        )
        return expected

    async def answers(self, asked: RegionCommand, count: int) -> list[Answer]:
        """The next results, which must be those of a command."""
        layout = cell_result(self.config)
        beats = [unpacked(layout, bits) for bits in await self.results.receive(count)]
        assert {(int(beat.command), int(beat.tag)) for beat in beats} == {
            (asked.command, asked.tag)
        }
        assert [int(beat.last) for beat in beats] == [0] * (count - 1) + [1]
        return [Answer(*(int(getattr(beat, name)) for name in Answer._fields)) for beat in beats]

    async def check(self, asked: RegionCommand) -> list[Answer]:
        """Execute a command, whose answers must be the golden ones."""
        return await self.expect(asked, await self.send(asked))

    async def expect(self, asked: RegionCommand, expected: list[Answer]) -> list[Answer]:
        """The answers of a command that was sent, which must be these."""
        answers = await self.answers(asked, len(expected))
        for answer, golden in zip(answers, expected, strict=True):
            assert answer == golden, f"{asked}: {answer}, not {golden}"
        return answers

    async def multiply(self, tile: int, count: int) -> None:
        """Products, compared with the golden ones."""
        lowest = self.rng.choice([-128, 100])  # many rows at once saturate
        inputs = self.rng.integers(lowest, 128, (count, self.config.rows)).astype(np.int8)
        expected = self.golden.multiply(tile, inputs, True)
        cocotb.start_soon(
            self.sources["requests"].send(
                [pack_request(self.config, tile, True, vector) for vector in inputs]
            )
        )
        await self.sums.check([as_beat(row) for row in expected])

    async def status(self) -> dict[StatusRegion, list[int]]:
        """Every word behind the status port, a word each cycle."""
        found = {}
        for region, places in status_regions(self.config).items():
            words = []
            for address in [*places, *[0] * STATUS_LATENCY]:
                self.dut.status_address.value = address
                await self.bench.cycles(1)
                words.append(int(self.dut.status_word.value))
            found[region] = words[STATUS_LATENCY:]
        return found

    async def check_status(self, context: str) -> None:
        """Every word is the golden one."""
        await self.bench.cycles(4)
        found = await self.status()
        for region, words in self.golden.words().items():
            for place, (word, golden) in enumerate(zip(found[region], words, strict=True)):
                assert word == golden, (
                    f"{region.name} {place} after {context}: {word:#x}, not {golden:#x}"
                )

    def check_safe(self) -> None:
        """No rule of the port was broken."""
        assert int(self.dut.broken.value) == 0, f"rules {int(self.dut.broken.value):#b} broken"
        assert not self.dut.tripped.value


def as_beat(sums: Any) -> int:
    """Sums of a product as they come."""
    return sum((int(value) & 0xFFFF_FFFF) << (32 * place) for place, value in enumerate(sums))


@cocotb.test()
async def answers_sums_and_status_are_the_golden_ones(dut: Any) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    session = Session(dut, bench, stalls=bench.parameters["stalls"])
    rng = session.rng
    await session.configure()
    for tile in range(session.config.tiles):
        await session.correct(tile)
    seen: set[int] = set()
    taken_out = 0
    others = [*ON_CELLS, *MAINTENANCE]
    region = session.region()
    for number in range(ROUNDS):
        # In each three, cells that were given up for too few pulses are tested with more.
        step = number % 3
        command = [Command(rng.choice(others)), Command.PROGRAM, Command.BIST][step]
        await session.configure(
            scheme=int(rng.choice(list(Scheme))),
            read_shift=int(rng.choice([0, 1])),
            maximum_pulses=[int(rng.choice([5, 60])), 5, 60][step],
            maximum_flips=[int(rng.choice([1, 6])), 1, 6][step],
            calibration_parts=int(rng.integers(5)),
            calibration_average=int(rng.integers(4)),
            leak=int(rng.integers(256)),
        )
        if command is not Command.BIST:
            region = session.region()
        if number % 8 == 7:
            region["rows"] = session.config.rows  # hardly ever a region
        asked = RegionCommand(int(command), tag=number, **region)
        entered = session.golden.telemetry.defects.copy()
        answers = await session.check(asked)
        if command is Command.BIST:
            taken_out += int((entered & ~session.golden.telemetry.defects).sum())
        seen |= {answer.result for answer in answers}
        tile = int(rng.integers(session.config.tiles))
        await session.multiply(tile, int(rng.integers(4)))
        await session.check_status(str(asked))
        session.check_safe()
    # RENEW of a tile leaves the wear of the next one, whose first row lies behind its last.
    worn = {"first_row": 0, "rows": 1, "first_column": 0, "columns": 8}
    await session.configure(maximum_pulses=60)
    await session.check(RegionCommand(int(Command.PROGRAM), 1, **worn))
    assert session.golden.telemetry.wear[1, 0] > 0
    await session.check(RegionCommand(int(Command.RENEW), 0))
    await session.check_status("RENEW of tile 0")
    session.check_safe()
    print("results seen:", sorted(Result(value).name for value in seen))
    assert len(seen) >= 4
    assert taken_out > 0


@cocotb.test()
async def repairs_are_the_golden_ones(dut: Any) -> None:
    """Many maps, from none to full ones: every output's place, and products with it."""
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    session = Session(dut, bench, stalls=bench.parameters["stalls"])
    rng, config = session.rng, session.config
    seen: set[int] = set()
    await session.fill(bench.source("memory"))
    for tile in range(config.tiles):
        await session.correct(tile)
    await session.configure(maximum_pulses=2)
    for number in range(REPAIRS):
        region = session.region() | {"tile": number % config.tiles}
        if number % 12 < config.tiles:
            await session.check(RegionCommand(Command.RENEW, region["tile"]))
        if rng.random() < 0.4:  # a cell of every column of all outputs: equal ones
            region |= {"first_column": 0, "columns": config.outputs * config.output_columns}
            region["rows"] = 1
        if number == REPAIRS // 2:
            await session.configure(maximum_pulses=60)
        waiting = int(rng.integers(4))
        if waiting:
            await session.check(RegionCommand(Command.BIST, **region))
        asked = RegionCommand(Command.REPAIR, region["tile"], tag=number)
        expected = await session.send(asked)
        # Products that wait for the repair find its tables.
        multiplying = cocotb.start_soon(session.multiply(region["tile"], waiting))
        seen |= {answer.result for answer in await session.expect(asked, expected)}
        await multiplying
        session.check_safe()
    await session.check_status("repairs")
    assert seen == {Result.CONVERGED, Result.MOVED}
    products = session.golden.multiplier.telemetry
    assert 0 < products.reissues < 8 * products.products


@cocotb.test()
async def what_aborts_leave_is_counted(dut: Any) -> None:
    """Counts and map are those of the pulses, results and products that there were."""
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    session = Session(dut, bench, stalls=bench.parameters["stalls"])
    rng, config, golden = session.rng, session.config, session.golden
    await session.configure()
    await session.correct(0)
    for asked in (
        *(RegionCommand(Command.RENEW, tile) for tile in range(config.tiles)),
        RegionCommand(Command.CLEAR),
    ):
        await session.check(asked)
    products = Telemetry()
    watching = cocotb.start_soon(watch(dut, bench, session, products))
    levels = (int(rng.integers(config.levels)) for _ in itertools.count())
    cocotb.start_soon(session.sources["targets"].send(levels))
    vectors = rng.integers(-128, 128, (VECTORS, config.rows)).astype(np.int8)
    beats = [pack_request(config, 0, True, vector) for vector in vectors]
    multiplying = cocotb.start_soon(session.sources["requests"].send(beats))
    for number in range(ROUNDS):
        command = Command(rng.choice(ON_CELLS))
        asked = RegionCommand(int(command), tag=number, **session.region())
        await session.sources["commands"].send([packed(region_command(config), **asked._asdict())])
        name = rng.choice(["abort", "interlock", "nothing"])
        if name != "nothing":
            await bench.cycles(int(rng.integers(1, 3000)))
            getattr(dut, name).value = int(name == "abort")
            await bench.cycles(int(rng.integers(1, 40)))
            getattr(dut, name).value = int(name != "abort")
        answers = await session.answers(asked, asked.rows * asked.columns)
        columns = [np.array(values, np.int64) for values in zip(*answers, strict=True)]
        row, column, result, code, pulses, set_pulses = columns
        results = CellResults(row, column, result, code, pulses, set_pulses, reads=pulses)
        golden.telemetry.cells(command, asked.tile, results)
        session.check_safe()
    await multiplying
    while dut.busy.value:
        await bench.cycles(1)
    await bench.cycles(4)
    watching.cancel()
    counters = golden.telemetry.counters
    print(f"{counters[Counter.ABORTED]} cells and {counters[Counter.DROPPED]} products aborted")
    assert counters[Counter.ABORTED] > 0
    assert counters[Counter.DROPPED] > 0
    assert products.products + counters[Counter.DROPPED] == VECTORS
    found = await session.status()
    for region, words in golden.telemetry.words(products).items():
        assert found[region] == words.tolist(), region.name


async def watch(dut: Any, bench: BlockBench, session: Session, products: Telemetry) -> None:
    """Count what the controller's strobes say, as long as it isn't ended."""
    telemetry = session.golden.telemetry
    layout = pulse_event(session.config)
    while True:
        await bench.cycles(1)
        if dut.pulsed.value:
            event = unpacked(layout, int(dut.event.value))
            telemetry.counters[PULSE_COUNTERS[BiasMode(int(event.mode))]] += 1
            telemetry.drive += int(event.drive)
            telemetry.wear[int(event.tile), int(event.row)] += 1
        telemetry.counters[Counter.READS] += int(dut.converted.value)
        telemetry.counters[Counter.DROPPED] += int(dut.dropped.value)
        products.products += int(dut.multiplied.value)
        products.integrations += int(dut.issued.value)
        products.reissues += int(dut.reissued.value)
        products.saturations += int(dut.clipped.value)
