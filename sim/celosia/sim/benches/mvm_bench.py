"""Bench of `celosia.hdl.crossbar.mvm_unit.MvmUnit`, behind the limiter, on the emulator."""

from typing import Any

import cocotb
import numpy as np

from celosia.golden.crossbar.config import INPUT_BITS, CrossbarConfig
from celosia.golden.crossbar.corrections import CorrectionWrite
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.mvm import Multiplier, TileCorrection
from celosia.sim.benches.emulator_bench import pack, sizes
from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall

VECTORS = 24


def random_correction(
    rng: np.random.Generator, config: CrossbarConfig, tile: int
) -> TileCorrection:
    """Any tables, most often with sums that mean something."""
    gain = rng.integers(1, 1 << 14, config.columns)
    physical = rng.permutation(config.outputs + config.spares)[: config.outputs]
    return TileCorrection(
        adc_gain=(12000, 4096, 200)[tile],  # the first saturates
        scale=int(rng.integers(1, 1 << 16)),
        shift=int(rng.choice([22, 25, 27, 34, 40])),  # few sums beyond 32 bits
        gain=gain,
        offset=rng.integers(-(1 << 19), 1 << 19, config.columns),
        outputs=physical,
    )


def pack_correction(config: CrossbarConfig, entry: CorrectionWrite) -> int:
    """A beat of the corrections."""
    tile_bits = max(1, (config.tiles - 1).bit_length())
    place_bits = max(1, (max(config.columns, 2) - 1).bit_length())
    word = int(entry.field)
    word |= entry.tile << 3
    word |= entry.place << (3 + tile_bits)
    return word | entry.value << (3 + tile_bits + place_bits)


def pack_request(config: CrossbarConfig, tile: int, unsigned: bool, inputs: Any) -> int:
    """A beat of the requests."""
    tile_bits = max(1, (config.tiles - 1).bit_length())
    word = tile | int(unsigned) << tile_bits
    for row, value in enumerate(inputs):
        word |= (int(value) & 0xFF) << (tile_bits + 1 + INPUT_BITS * row)
    return word


@cocotb.test()
@cocotb.parametrize(request_stall=[Stall.NEVER, Stall.BURSTS], sums_stall=[Stall.NEVER, Stall.LONG])
async def sums_are_the_twin_s(dut: Any, request_stall: Stall, sums_stall: Stall) -> None:
    """Random tables, conductances and vectors: every sum, and every count."""
    bench = await BlockBench.start(dut, timeout_cycles=400_000)
    config, emulator = sizes(bench.parameters)
    rng = np.random.default_rng(bench.rng.getrandbits(32))
    twin = EmulatorTwin(config, emulator)
    twin.conductance[:] = rng.integers(0, 1024, twin.conductance.shape)
    twin.conductance[rng.random(twin.conductance.shape) < 0.4] = 0
    door, entries = bench.source("memory"), bench.source("corrections")
    cells = [
        (1, tile * config.rows + row, column, int(twin.conductance[tile, row, column]))
        for tile in range(config.tiles)
        for row in range(config.rows)
        for column in range(config.columns)
    ]
    await door.send([pack(config, *cell) for cell in cells])
    corrections = [random_correction(rng, config, tile) for tile in range(config.tiles)]
    await entries.send(
        [
            pack_correction(config, entry)
            for tile, correction in enumerate(corrections)
            for entry in correction.writes(tile)
        ]
    )
    multiplier = Multiplier(twin, config)
    source, sink = bench.source("requests", request_stall), bench.sink("sums", sums_stall)
    beats, expected = [], []
    for _ in range(VECTORS):
        tile, unsigned = int(rng.integers(config.tiles)), bool(rng.integers(2))
        inputs = rng.integers(-128, 128, (1, config.rows)).astype(np.int8)
        beats.append(pack_request(config, tile, unsigned, inputs[0]))
        sums = multiplier.multiply(tile, corrections[tile], inputs, unsigned)[0]
        expected.append(
            sum((int(value) & 0xFFFF_FFFF) << (32 * place) for place, value in enumerate(sums))
        )
    counts = cocotb.start_soon(count(dut, bench))
    cocotb.start_soon(source.send(beats))
    await sink.check(expected)
    await sink.check_quiet(50)
    counts.cancel()
    telemetry = multiplier.telemetry
    assert {
        "issued": telemetry.integrations,
        "reissued": telemetry.reissues,
        "clipped": telemetry.saturations,
        "dropped": 0,
    } == COUNTS
    assert telemetry.reissues > 0


COUNTS: dict[str, int] = {}


async def count(dut: Any, bench: BlockBench) -> None:
    """Add up what the unit reports."""
    COUNTS.update(issued=0, reissued=0, clipped=0, dropped=0)
    signals = {name: getattr(dut, name) for name in COUNTS}
    while True:
        await bench.cycles(1)
        for name, signal in signals.items():
            COUNTS[name] += int(signal.value)
