"""Bench of CALIBRATE and COMPENSATE on columns of any gain, offset and noise.

The emulator's converters have no offsets, so that a Python model stands behind the port; the golden
controller has the same one.
"""

from dataclasses import replace
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.controller import RegionCommand
from celosia.golden.crossbar.corrections import CorrectionField, CorrectionWrite, table
from celosia.golden.crossbar.front_end import GAIN_ONE, BiasMode
from celosia.golden.crossbar.mvm import plain_correction
from celosia.golden.crossbar.telemetry import Counter, StatusRegion
from celosia.hdl.crossbar.programmer import region_command
from celosia.sim.benches.maintenance_bench import Session
from celosia.sim.benches.programmer_bench import packed
from celosia.sim.block_bench import BlockBench
from celosia.sim.front_end_bridge import FrontEndBridge

Integers = NDArray[np.int64]

ROUNDS = 150


class DistortedTiles:
    """Level sums through columns and converters of some gain and offset, and noise of a seed."""

    def __init__(self, config: CrossbarConfig, rng: np.random.Generator) -> None:
        self._config, self._rng = config, rng
        self.levels = np.zeros((config.tiles, config.rows, config.columns))
        self._gain = np.ones((config.tiles, config.columns))
        self._offset = np.zeros((config.tiles, config.columns))

    def draw(self, tile: int) -> Integers:
        """Other cells and columns for a tile; gives the sums of the levels [columns]."""
        rng, shape = self._rng, self.levels.shape[1:]
        levels = rng.integers(self._config.levels, size=shape)
        levels[:, rng.random(shape[1]) < 0.2] = 0
        self.levels[tile] = levels
        self._gain[tile] = rng.uniform(0.2, 1.5, shape[1])
        self._offset[tile] = rng.choice([-2, 0, 3, 100, 127, 200], size=shape[1])
        sums: Integers = levels.sum(axis=0)
        return sums

    def product(
        self, tile: int, driven: NDArray[np.bool_], gain: int, sequence: Integers
    ) -> tuple[Integers, NDArray[np.bool_]]:
        """Codes [n, columns] of row masks [n, rows], and whether each was saturated."""
        exact = driven.astype(float) @ self.levels[tile] * self._gain[tile] * gain / GAIN_ONE
        noise = [np.random.default_rng(int(s)).normal(0, 0.6, exact.shape[1]) for s in sequence]
        highest = (1 << self._config.adc_bits) - 1
        found = np.floor(exact + self._offset[tile] + noise + 0.5).astype(np.int64)
        return np.clip(found, 0, highest), found >= highest

    def pulse(
        self,
        tile: int,
        rows: Integers,
        columns: Integers,
        mode: BiasMode,
        word_line: Integers,
        line: Integers,
        width: int,
    ) -> None:
        """Nothing is programmed here."""
        raise AssertionError("a pulse while calibrating")

    def read(self, tile: int, rows: Integers, columns: Integers) -> Integers:
        """Nor read."""
        raise AssertionError("a read of a cell while calibrating")


class Tiles:
    """A session, and the model behind both its controllers."""

    def __init__(self, dut: Any, bench: BlockBench) -> None:
        config = CrossbarConfig(**bench.parameters["config"])
        self.rng = np.random.default_rng(bench.rng.getrandbits(32))
        self.model = DistortedTiles(config, self.rng)
        self.session = Session(dut, bench, stalls=True, front_end=self.model)
        FrontEndBridge(dut, config, bench.clk, self.model)

    async def draw(self, tile: int, shift: int | None = None) -> None:
        """Another array in the place of a tile, with tables for it, sometimes for another gain."""
        config, rng = self.session.config, self.rng
        adc_gain = int(rng.choice([400, GAIN_ONE, 3 * GAIN_ONE, 12 * GAIN_ONE]))
        correction = plain_correction(config, adc_gain)
        physical = rng.permutation(config.outputs + config.spares)[: config.outputs]
        correction = replace(
            correction,
            outputs=physical,
            # Sums with more places than there are, so that entries show in them.
            shift=correction.shift - 8 if shift is None else shift,
        )
        levels = [int(value) for value in self.model.draw(tile)]
        await self.session.write(
            [*correction.writes(tile), *table(CorrectionField.LEVELS, tile, levels)]
        )


@cocotb.test()
async def tables_are_the_golden_ones(dut: Any) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    tiles = Tiles(dut, bench)
    session, rng, config = tiles.session, tiles.rng, tiles.session.config
    await session.configure()
    seen: set[tuple[int, int]] = set()
    shifts = 0
    for tile in range(config.tiles):
        await tiles.draw(tile)
    for number in range(ROUNDS):
        tile = int(rng.integers(config.tiles))
        kind = rng.choice(["draw", "draw", "settings", "gain", "lose", "lose"])
        match kind:
            case "draw":
                await tiles.draw(tile, shift=0 if rng.random() < 0.2 else None)
            case "settings":
                await session.configure(
                    calibration_parts=int(rng.integers(6)),
                    calibration_average=int(rng.integers(3)),
                    leak=int(rng.choice([0, 60])),
                )
            case "gain":
                gain = int(rng.integers(1, 9000))
                await session.write([CorrectionWrite(CorrectionField.ADC_GAIN, tile, 0, gain)])
            case "lose":
                tiles.model.levels[tile] *= rng.choice([0.9, 0.5, 0.1, 1.1])
        command = Command(rng.choice([Command.CALIBRATE, Command.COMPENSATE]))
        before = session.golden.corrections[tile].shift
        answers = await session.check(RegionCommand(int(command), tile, tag=number))
        shifts += session.golden.corrections[tile].shift < before
        seen |= {(command, answer.result) for answer in answers}
        await session.multiply(tile, int(rng.integers(2)))
        await session.check_status(f"{command.name} {number}, {kind}")
        session.check_safe()
    print(sorted((Command(command).name, Result(result).name) for command, result in seen))
    assert len(seen) == 5  # COMPENSATE isn't aborted here
    assert shifts > 0
    assert session.golden.multiplier.telemetry.saturations > 0


@cocotb.test()
async def aborts_leave_the_tables(dut: Any) -> None:
    """A measurement that was ended changes nothing; one that was complete is answered."""
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    tiles = Tiles(dut, bench)
    session, rng = tiles.session, tiles.rng
    await session.configure(calibration_parts=1, calibration_average=1)
    # Counts and map outlive the reset before this test, a product's number doesn't.
    await session.check(RegionCommand(Command.CLEAR))
    for tile in range(session.config.tiles):
        await session.check(RegionCommand(Command.RENEW, tile))
        await tiles.draw(tile)
        await session.check(RegionCommand(Command.CALIBRATE, tile))
    ends = {True: 0, False: 0}
    for number in range(ROUNDS):
        tile = int(rng.integers(session.config.tiles))
        tiles.model.levels[tile] *= 0.95
        command = Command(rng.choice([Command.CALIBRATE, Command.COMPENSATE]))
        asked = RegionCommand(int(command), tile, tag=number)
        await session.sources["commands"].send(
            [packed(region_command(session.config), **asked._asdict())]
        )
        await bench.cycles(int(rng.integers(1, 900)))
        dut.abort.value = 1
        await bench.cycles(int(rng.integers(1, 9)))
        dut.abort.value = 0
        count = session.config.columns if command is Command.CALIBRATE else 1
        answers = await session.answers(asked, count)
        aborted = answers[0].result == Result.ABORTED
        ends[aborted] += 1
        if aborted:
            assert {answer.result for answer in answers} == {Result.ABORTED}
            assert [answer.column for answer in answers] == list(range(count))
            counters = (await session.status())[StatusRegion.COUNTERS]
            counts = session.golden.multiplier.telemetry
            counts.products = counters[Counter.PRODUCTS] + counters[Counter.PROBES]
            counts.probes = counters[Counter.PROBES]
            counts.integrations = counters[Counter.INTEGRATIONS]
        else:
            assert answers == session.golden.execute(asked)
        await session.multiply(tile, int(rng.integers(2)))
        await session.check_status(str(asked))
        session.check_safe()
    print(f"{ends[True]} aborted, {ends[False]} complete")
    assert min(ends.values()) > 5
