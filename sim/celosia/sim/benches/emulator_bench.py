"""Bench of `celosia.hdl.crossbar.emulator.Emulator` against its twin."""

from typing import Any

import cocotb
import numpy as np

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.front_end import WRITE_MODES, BiasMode
from celosia.sim.block_bench import BlockBench
from celosia.sim.front_end_driver import FrontEndDriver

ACCESSES = 500
NO_WRITES = (BiasMode.SAFE, BiasMode.READ)


def sizes(parameters: dict[str, Any]) -> tuple[CrossbarConfig, EmulatorConfig]:
    """What the bench's parameters describe."""
    return CrossbarConfig(**parameters["config"]), EmulatorConfig(**parameters["emulator"])


def one(value: int) -> Any:
    """An array of one element."""
    return np.array([value], np.int64)


@cocotb.test()
async def accesses_are_the_twin_s(dut: Any) -> None:
    """Random pulses, reads and products: every code, and all cells in the end.

    Some pulses come in modes in which they mean nothing, some strobes in SAFE.
    """
    bench = await BlockBench.start(dut, timeout_cycles=2_000_000)
    config, emulator = sizes(bench.parameters)
    twin, driver, rng = (
        EmulatorTwin(config, emulator),
        FrontEndDriver(dut, config, bench.clk),
        bench.rng,
    )
    products = 0
    for _ in range(ACCESSES):
        tile, row = rng.randrange(config.tiles), rng.randrange(config.rows)
        column = rng.randrange(config.columns)
        kind = rng.random()
        if kind < 0.6:
            mode = rng.choice(WRITE_MODES if rng.random() < 0.9 else NO_WRITES)
            levels = rng.choice([0, 150, rng.randint(180, 560), 1023]), rng.randint(150, 1023)
            width = rng.choice([1, 1, 2, 3, 7, 20])
            await driver.pulse(tile, row, column, mode, *levels, width)
            word_line, line = (one(level) for level in levels)
            twin.pulse(tile, one(row), one(column), mode, word_line, line, width)
        elif kind < 0.85:
            expected = int(twin.read(tile, one(row), one(column))[0])
            got = await driver.read(tile, row, column)
            assert got == expected, f"cell ({tile}, {row}, {column}): {got}, not {expected}"
        else:
            driven = np.array([[rng.random() < 0.6 for _ in range(config.rows)]])
            gain = rng.choice([4096, 1024, 300, rng.randrange(1, 65536)])
            sequence = rng.choice([products << 5, rng.getrandbits(32)])
            products += 1
            rows = sum(1 << i for i, on in enumerate(driven[0]) if on)
            if rng.random() < 0.3:
                await driver.strobe_in_safe(rng.choice(["integrate", "convert"]))
            codes, saturated = await driver.product(tile, rows, gain, sequence)
            expected_codes, expected_full = twin.product(tile, driven, gain, one(sequence))
            assert codes == expected_codes[0].tolist()
            assert saturated == expected_full[0].tolist()
    await compare_cells(dut, bench, config, emulator, twin)


@cocotb.test()
async def the_back_door_reaches_every_cell(dut: Any) -> None:
    """What is written there is what products are made of."""
    bench = await BlockBench.start(dut, timeout_cycles=2_000_000)
    config, emulator = sizes(bench.parameters)
    driver, rng = FrontEndDriver(dut, config, bench.clk), bench.rng
    source = bench.source("memory")
    twin = EmulatorTwin(config, emulator)
    twin.conductance[:] = [
        [[rng.randrange(1024) for _ in range(config.columns)] for _ in range(config.rows)]
        for _ in range(config.tiles)
    ]
    twin.formed[:] = True
    twin.stuck_low[:] = False
    twin.stuck_high[:] = False
    changed = bool(emulator.unformed)
    cells = [
        (
            1,
            tile * config.rows + row,
            column,
            int(twin.conductance[tile, row, column]) | changed << 10,
        )
        for tile in range(config.tiles)
        for row in range(config.rows)
        for column in range(config.columns)
    ]
    await source.send([pack(config, *cell) for cell in cells])
    for _ in range(5):
        tile = rng.randrange(config.tiles)
        driven = np.array([[rng.random() < 0.5 for _ in range(config.rows)]])
        rows = sum(1 << i for i, on in enumerate(driven[0]) if on)
        sequence = rng.getrandbits(32)
        codes, _ = await driver.product(tile, rows, 1000, sequence)
        expected, _ = twin.product(tile, driven, 1000, one(sequence))
        assert codes == expected[0].tolist()


def pack(config: CrossbarConfig, write: int, line: int, column: int, value: int) -> int:
    """A beat of the back door."""
    line_bits = max(1, (config.tiles * config.rows - 1).bit_length())
    column_bits = (config.columns - 1).bit_length()
    return write | line << 1 | column << (1 + line_bits) | value << (1 + line_bits + column_bits)


async def compare_cells(
    dut: Any,
    bench: BlockBench,
    config: CrossbarConfig,
    emulator: EmulatorConfig,
    twin: EmulatorTwin,
) -> None:
    """Every cell through the back door."""
    source, sink = bench.source("memory"), bench.sink("answer")
    places = [
        (line, column)
        for line in range(config.tiles * config.rows)
        for column in range(config.columns)
    ]
    cocotb.start_soon(source.send([pack(config, 0, *place, 0) for place in places]))
    initially = not emulator.unformed
    for line, column in places:
        (cell,) = await sink.receive(1)
        where = (line // config.rows, line % config.rows, column)
        got = (cell & 0x3FF, bool(cell >> 10 & 1) != initially, cell >> 11 & 1, cell >> 12 & 1)
        wanted = (
            int(twin.conductance[where]),
            bool(twin.formed[where]),
            int(twin.stuck_low[where]),
            int(twin.stuck_high[where]),
        )
        assert got == wanted, f"cell {where} holds {got}, not {wanted}"
