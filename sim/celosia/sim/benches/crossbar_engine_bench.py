"""Bench of `celosia.hdl.crossbar.engine.CrossbarEngine`: host and products at once, with a twin.

The host's accesses are those of a script, which the golden window carries out as well; products
come vector by vector, as MATRIX sends them. Products have no noise, so that their sums don't depend
on how many measurements came before them.
"""

from collections.abc import Iterator
from typing import Any

import cocotb
import numpy as np
from numpy.typing import NDArray

from celosia.golden.config import NpuConfig, config_from_mapping
from celosia.golden.crossbar.commands import MAINTENANCE, ON_CELLS, TARGETED, Command, Result
from celosia.golden.crossbar.config import UNDRIVEN
from celosia.golden.crossbar.controller import Controller, RegionCommand
from celosia.golden.crossbar.corrections import CorrectionField, CorrectionWrite, table
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.mvm import plain_correction
from celosia.golden.crossbar.settings import Setting
from celosia.golden.crossbar.telemetry import status_regions
from celosia.golden.crossbar.window import CrossbarWindow, answers_of
from celosia.golden.memory_map import (
    CROSSBAR_QUEUE,
    RESULT_WORDS,
    WORD_BYTES,
    CrossbarControl,
    CrossbarPort,
    CrossbarRegister,
    CrossbarState,
)
from celosia.hdl.npu.interfaces import CrossbarEngineSignature, HostRequest
from celosia.sim.benches.programmer_bench import default_settings
from celosia.sim.block_bench import BlockBench
from celosia.sim.crossbar_script import CrossbarScript, crossbar_address, play_on_twin
from celosia.sim.host_script import AccessKind, HostScript
from celosia.sim.packing import fields_of, pack_fields
from celosia.sim.stalls import Stall

ROUNDS = 24
PIXELS = 40
STATE = crossbar_address(CrossbarPort.REGISTERS, CrossbarRegister.STATE // WORD_BYTES)
DROP, LEVELS = (
    crossbar_address(CrossbarPort.REGISTERS, register // WORD_BYTES)
    for register in (CrossbarRegister.DROP, CrossbarRegister.LEVELS)
)
CONTROL = crossbar_address(CrossbarPort.REGISTERS, CrossbarRegister.CONTROL // WORD_BYTES)


class Engine:
    """The DUT, and the golden window and controller that it must equal."""

    def __init__(self, dut: Any, bench: BlockBench, *, stalls: bool) -> None:
        self.dut, self.bench = dut, bench
        self.config: NpuConfig = config_from_mapping(
            bench.parameters["config"], default_name="bench"
        )
        assert self.config.crossbar is not None
        self.tiles = self.config.crossbar
        self.rng = np.random.default_rng(bench.rng.getrandbits(32))
        self.twin = EmulatorTwin(self.tiles, self.tiles.emulator)
        self.settings = default_settings(self.tiles)
        self.golden = Controller(self.twin, self.tiles, self.settings)
        self.window = CrossbarWindow(self.golden, self.twin)
        stall = Stall.HALF if stalls else Stall.NEVER
        self.request, self.response = bench.source("request", stall), bench.sink("response", stall)
        self.vectors, self.sums = bench.source("vectors", stall), bench.sink("sums", stall)
        dut.restart.value, dut.interlock.value = 0, 1
        engine = CrossbarEngineSignature(self.config.rows, self.config.columns)
        self._vector = engine.members["vectors"].signature.members["payload"].shape
        self._sums = engine.members["sums"].signature.members["payload"].shape

    async def play(self, script: HostScript) -> NDArray[np.uint32]:
        """The DUT's answers to a script."""
        answers: list[int] = []
        for access in script.accesses():
            if access.kind is AccessKind.WRITE:
                for number, word in enumerate(access.words.tolist()):
                    await self.write(access.address + number * WORD_BYTES, word)
            elif access.kind is AccessKind.READ:
                for number in range(access.count):
                    answers.append(await self.read(access.address + number * WORD_BYTES))
            else:
                while not await self.read(access.address) & access.mask:
                    await self.bench.cycles(20)
        return np.array(answers, np.uint32)

    async def both(self, script: HostScript) -> NDArray[np.uint32]:
        """Play a script on the DUT and on the twin; the same answers."""
        got, want = await self.play(script), play_on_twin(script, self.window)
        different = np.flatnonzero(got != want)
        assert not len(different), (
            f"word {different[0]} of {len(want)}: {got[different[0]]:#x}, not "
            f"{want[different[0]]:#x}"
        )
        return got

    async def write(self, address: int, value: int) -> None:
        """One word."""
        beat = {"write": 1, "address": address, "data": value}
        await self.request.send([pack_fields(HostRequest, beat)])

    async def read(self, address: int) -> int:
        """One word."""
        await self.request.send([pack_fields(HostRequest, {"write": 0, "address": address})])
        return (await self.response.receive(1))[0]

    def script(self) -> CrossbarScript:
        """An empty script."""
        return CrossbarScript(HostScript(self.config))

    async def prepare(self) -> None:
        """Settings, tables of all tiles, and cells of the first two."""
        script, tiles = self.script(), self.tiles
        script.settings(self.settings)
        for tile in range(tiles.tiles):
            script.corrections(plain_correction(tiles, 3000).writes(tile))
            script.corrections(self.level_sums(tile))
        script.cells(self.rng.integers(0, 1024, (2, tiles.rows, tiles.columns)))
        await self.both(script.script)

    def level_sums(self, tile: int) -> Iterator[CorrectionWrite]:
        """Random sums of levels, which CALIBRATE holds its columns to."""
        tiles = self.tiles
        highest = tiles.rows * (tiles.levels - 1)
        sums = self.rng.integers(highest // 2, highest, tiles.columns).tolist()
        return table(CorrectionField.LEVELS, tile, sums)

    def command(self, tile: int, tag: int) -> tuple[RegionCommand, list[int], int]:
        """A random command, its levels, and how many results it has."""
        rng, tiles = self.rng, self.tiles
        known = [int(command) for command in (*ON_CELLS, *MAINTENANCE)]
        command = int(rng.choice([*known, int(rng.integers(16))]))
        if rng.random() < 0.1:
            tile = 3  # which isn't there
        asked = RegionCommand(
            command,
            tile,
            int(rng.integers(tiles.rows - 1)),
            int(rng.integers(0, 4)),
            int(rng.integers(tiles.columns - 4)),
            int(rng.integers(1, 5)),
            tag,
        )
        cells = asked.rows * asked.columns
        levels = [int(level) for level in rng.integers(0, tiles.levels, cells)]
        fits = self.golden.accepts(asked)
        if command not in TARGETED or not fits:
            levels = []
        count = cells if fits else 1
        if command in MAINTENANCE and tile < tiles.tiles:
            count = {
                Command.REPAIR: tiles.outputs,
                Command.CALIBRATE: tiles.columns,
            }.get(Command(command), 1)
        return asked, levels, count

    def pixels(self, count: int, tile: int) -> tuple[list[int], list[int]]:
        """Vectors of pixels, of one to all slots each, and the sums that they must give."""
        rows, most = self.config.rows, self.tiles.rows // self.config.rows
        beats, inputs = [], np.full((count, self.tiles.rows), UNDRIVEN, np.int8)
        for pixel in range(count):
            slots = int(self.rng.integers(1, most + 1))
            drawn = self.rng.integers(-128, 128, (slots, rows)).astype(np.int8)
            inputs[pixel, : slots * rows] = drawn.reshape(-1)
            beats += [
                pack_fields(
                    self._vector,
                    {
                        "vector": [int(value) for value in vector],
                        "tile": tile,
                        "pixel_end": int(slot == slots - 1),
                    },
                )
                for slot, vector in enumerate(drawn)
            ]
        sums = self.golden.multiply(tile, inputs, True)
        return beats, [pack_fields(self._sums, [int(v) for v in row]) for row in sums]

    def decode(self, bits: int) -> str:
        """Sums to read."""
        return str(fields_of(self._sums, bits))

    async def settle(self) -> int:
        """Wait until nothing is under way; the state."""
        while not (state := await self.read(STATE)) & CrossbarState.IDLE:
            await self.bench.cycles(20)
        return state


@cocotb.test()
@cocotb.parametrize(stalls=[False, True])
async def commands(dut: Any, stalls: bool) -> None:
    """Random commands, settings and products in turn; results, sums and all of the status."""
    bench = await BlockBench.start(dut, timeout_cycles=4_000_000)
    engine = Engine(dut, bench, stalls=stalls)
    await engine.prepare()
    seen = set()
    for number in range(ROUNDS):
        script = engine.script()
        asked, levels, count = engine.command(int(engine.rng.integers(3)), number)
        seen.add(asked.command)
        script.command(asked, levels)
        script.results(count, 1_000_000)
        script.script.read_words(STATE, 1)
        if number % 3 == 0:
            value = int(engine.rng.integers(1, 4))
            address = crossbar_address(CrossbarPort.SETTING, Setting.CONFIRMS)
            script.script.write_words(address, [value])
        if number % 6 == 5:
            for places in status_regions(engine.tiles).values():
                script.status(places)
        await engine.both(script.script)
        beats, sums = engine.pixels(3, int(engine.rng.integers(3)))
        cocotb.start_soon(engine.vectors.send(beats))
        await engine.sums.check(sums, engine.decode)
        await engine.settle()
    assert len(seen) > 5, seen


@cocotb.test()
@cocotb.parametrize(stalls=[False, True])
async def turns(dut: Any, stalls: bool) -> None:
    """Products on tile 0 go on while the others are programmed and measured."""
    bench = await BlockBench.start(dut, timeout_cycles=4_000_000)
    engine = Engine(dut, bench, stalls=stalls)
    await engine.prepare()
    beats, sums = engine.pixels(4 * PIXELS, 0)
    cocotb.start_soon(engine.vectors.send(beats))
    checking = cocotb.start_soon(engine.sums.check(sums, engine.decode))
    beside = 0
    for number in range(8):
        asked, levels, count = engine.command(1 + number % 2, number)
        script = engine.script()
        script.command(asked, levels)
        await engine.both(script.script)
        # Products go on, so the results are what tells the command's end.
        words: list[int] = []
        while len(words) < RESULT_WORDS * count:
            waiting = await engine.read(STATE) >> 16
            taken = min(waiting, int(engine.rng.integers(1, 6)))
            for word in range(RESULT_WORDS * taken):
                words.append(await engine.read(crossbar_address(CrossbarPort.RESULT, word)))
            await engine.write(DROP, taken)
        script = engine.script()
        script.results(count, 0)
        want = play_on_twin(script.script, engine.window)
        assert words == want.tolist()
        beside += not checking.done()
    assert beside >= 3, f"products were over after {beside} commands"
    await checking
    assert not await engine.settle() & CrossbarState.LOST


@cocotb.test()
async def aborts(dut: Any) -> None:
    """An abort answers all cells, drops products, and leaves everything working."""
    bench = await BlockBench.start(dut, timeout_cycles=4_000_000)
    engine = Engine(dut, bench, stalls=True)
    await engine.prepare()
    results = set()
    for number in range(12):
        beats, sums = engine.pixels(8, 0)
        received: list[int] = []
        feeding = cocotb.start_soon(engine.vectors.send(beats))

        async def collect(into: list[int] = received) -> None:
            while True:
                into += await engine.sums.receive(1)

        collecting = cocotb.start_soon(collect())
        levels = engine.rng.integers(0, engine.tiles.levels, 20).tolist()
        asked = RegionCommand(Command.PROGRAM, 1, 1, 4, 2, 5, number)
        await engine.play(_commanded(engine, asked, levels))
        await bench.cycles(bench.rng.randrange(1, 12_000))
        await engine.write(CONTROL, CrossbarControl.ABORT)
        await bench.cycles(bench.rng.randrange(1, 100))
        assert await engine.read(STATE) & CrossbarState.ABORT
        await engine.write(CONTROL, 0)
        await feeding
        await engine.settle()
        await bench.cycles(200)
        collecting.cancel()
        script = engine.script()
        script.results(20, 1_000_000)
        answers = answers_of(await engine.play(script.script))
        assert len(answers) == 20
        results |= {answer.result for answer in answers}
        left = iter(sums)
        assert all(beat in left for beat in received), "sums aren't those of products in order"
    assert {Result.ABORTED, Result.CONVERGED} <= results, results
    beats, sums = engine.pixels(4, 0)
    cocotb.start_soon(engine.vectors.send(beats))
    await engine.sums.check(sums, engine.decode)


@cocotb.test()
async def restarts(dut: Any) -> None:
    """A restart forgets what is under way and waits; settings, tables and cells stay."""
    bench = await BlockBench.start(dut, timeout_cycles=4_000_000)
    engine = Engine(dut, bench, stalls=False)
    await engine.prepare()
    for number in range(10):
        beats, _ = engine.pixels(2, 0)
        feeding = cocotb.start_soon(engine.vectors.send(beats[:-1]))
        asked = RegionCommand(Command.PROGRAM, 1, 0, 4, 0, 5, number)
        await engine.play(_commanded(engine, asked, [1] * (1 + number)))  # too few
        await engine.write(CONTROL, CrossbarControl.ABORT)
        await bench.cycles(bench.rng.randrange(1, 400))
        feeding.cancel()
        engine.vectors.withdraw()
        dut.restart.value = 1
        await bench.cycles(1)
        dut.restart.value = 0
        await bench.cycles(bench.rng.randrange(1, 30))
        assert await engine.settle() == CrossbarState.IDLE | CrossbarState.INTERLOCK
        assert await engine.read(crossbar_address(CrossbarPort.RESULT)) == 0
        # With the settings from before, on a tile that nothing was done to.
        script = engine.script()
        script.command(RegionCommand(Command.SCRUB, 2, 1, 2, 3, 4, number), [2] * 8)
        script.results(8, 1_000_000)
        await engine.both(script.script)
        beats, sums = engine.pixels(3, 0)
        cocotb.start_soon(engine.vectors.send(beats))
        await engine.sums.check(sums, engine.decode)
        await engine.settle()


@cocotb.test()
async def tables(dut: Any) -> None:
    """Products wait for a command on their own tile: each finds the tables from before it or from
    behind it, and none while it writes them."""
    bench = await BlockBench.start(dut, timeout_cycles=4_000_000)
    engine = Engine(dut, bench, stalls=False)
    await engine.prepare()
    parted = 0
    for number in range(4):
        script = engine.script()
        script.corrections(engine.level_sums(0))
        await engine.both(script.script)
        state = engine.rng.bit_generator.state
        beats, before = engine.pixels(PIXELS, 0)
        cocotb.start_soon(engine.vectors.send(beats))
        await bench.cycles(bench.rng.randrange(1, 2000))
        script = engine.script()
        script.command(RegionCommand(Command.CALIBRATE, 0, tag=number))
        await engine.both(script.script)
        engine.rng.bit_generator.state = state
        same, behind = engine.pixels(PIXELS, 0)
        assert same == beats
        got = await engine.sums.receive(PIXELS)
        found = [i for i in range(PIXELS + 1) if got == before[:i] + behind[i:]]
        assert found, f"{got} aren't {before} up to one of them, and then {behind}"
        parted += before != behind and 0 < found[0] < PIXELS
        await engine.settle()
        script = engine.script()
        script.results(engine.tiles.columns, 0)
        await engine.both(script.script)
    assert parted >= 2, f"only {parted} commands were between products"


@cocotb.test()
async def backlog(dut: Any) -> None:
    """A command with more results than may wait goes on when some of them are dropped."""
    bench = await BlockBench.start(dut, timeout_cycles=4_000_000)
    engine = Engine(dut, bench, stalls=False)
    await engine.prepare()
    tiles = engine.tiles
    count = tiles.rows * tiles.columns
    assert count > CROSSBAR_QUEUE
    script = engine.script()
    script.command(RegionCommand(Command.READ, 1, 0, tiles.rows, 0, tiles.columns, 9))
    await engine.both(script.script)
    while await engine.read(STATE) >> 16 < CROSSBAR_QUEUE:
        await bench.cycles(100)
    await bench.cycles(1000)
    assert await engine.read(STATE) == CrossbarState.INTERLOCK | CROSSBAR_QUEUE << 16
    words: list[int] = []
    while len(words) < RESULT_WORDS * count:
        taken = min(await engine.read(STATE) >> 16, int(engine.rng.integers(1, 100)))
        for word in range(RESULT_WORDS * taken):
            words.append(await engine.read(crossbar_address(CrossbarPort.RESULT, word)))
        await engine.write(DROP, taken)
    script = engine.script()
    script.results(count, 0)
    assert words == play_on_twin(script.script, engine.window).tolist()
    assert await engine.settle() == CrossbarState.INTERLOCK | CrossbarState.IDLE


@cocotb.test()
async def losses(dut: Any) -> None:
    """What would have to wait is lost, and told; an open interlock too."""
    bench = await BlockBench.start(dut, timeout_cycles=4_000_000)
    engine = Engine(dut, bench, stalls=False)
    await engine.prepare()
    busy = RegionCommand(Command.PROGRAM, 1, 0, 4, 0, 5, 1)
    quiet = CrossbarState.INTERLOCK

    async def forget() -> None:
        assert await engine.read(STATE) & CrossbarState.LOST
        await engine.write(CONTROL, CrossbarControl.FORGET)
        assert not await engine.read(STATE) & CrossbarState.LOST

    # While PROGRAM waits for its levels nothing else is taken.
    await engine.play(_commanded(engine, busy, []))
    assert await engine.read(STATE) == quiet
    for port in (CrossbarPort.SETTING, CrossbarPort.CORRECTION, CrossbarPort.CELL):
        await engine.write(crossbar_address(port, Setting.MAXIMUM_PULSES), 1)
        await forget()
    # A second command waits, a third one is lost.
    nop = RegionCommand(Command.NOP, 0, tag=7)
    await engine.play(_commanded(engine, nop, []))
    assert await engine.read(STATE) == quiet
    await engine.play(_commanded(engine, nop, []))
    await forget()
    # Levels for the 20 cells, each written twice, some of them first wrong; and some behind them.
    target = crossbar_address(CrossbarPort.TARGET)
    for number in (*range(20), *range(0, 30, 3), *range(20)):
        await engine.write(target + WORD_BYTES * number, number % 4)
    await engine.write(LEVELS, 20)
    await engine.settle()
    assert not await engine.read(STATE) & CrossbarState.LOST
    # As many as there is room for, and one more.
    levels = engine.rng.integers(0, engine.tiles.levels, CROSSBAR_QUEUE).tolist()
    for number, level in enumerate(levels):
        await engine.write(target + WORD_BYTES * number, level)
    await engine.write(LEVELS, CROSSBAR_QUEUE + 1)
    await forget()
    await engine.write(LEVELS, CROSSBAR_QUEUE)
    assert not await engine.read(STATE) & CrossbarState.LOST, "there was room for all"
    await engine.write(LEVELS, 1)
    await forget()
    # Reading changes nothing, dropping more than there are leaves none.
    script = engine.script()
    again = script.script.read_words(crossbar_address(CrossbarPort.RESULT), 21 * RESULT_WORDS)
    script.results(21, 1_000_000)
    script.script.read_words(STATE, 1)
    words = await engine.play(script.script)
    assert np.array_equal(words[again], words[again.stop : -1])
    answers = answers_of(words[again])
    assert len(answers) == 21
    assert answers[-1].result == Result.CONVERGED
    assert int(words[80]) >> 23 & 15 == Command.NOP
    assert int(words[81]) & 0xFF == 7
    assert words[-1] == quiet | CrossbarState.IDLE
    await engine.write(DROP, CROSSBAR_QUEUE)
    assert await engine.read(STATE) == quiet | CrossbarState.IDLE
    # The levels that are left over are those of the next command,
    script, golden = engine.script(), engine.script()
    script.command(busy._replace(tile=2))
    golden.command(busy._replace(tile=2), levels[:20])
    for each in (script, golden):
        each.results(20, 1_000_000)
    got, want = await engine.play(script.script), play_on_twin(golden.script, engine.window)
    assert np.array_equal(got, want), f"{answers_of(got)} aren't {answers_of(want)}"
    # and of one behind it, which pulses nothing without an interlock.
    dut.interlock.value = 0
    script = engine.script()
    script.command(busy._replace(tile=2))
    script.results(20, 1_000_000)
    script.script.read_words(STATE, 1)
    words = await engine.play(script.script)
    assert Result.ABORTED in {answer.result for answer in answers_of(words[:-1])}
    assert not any(answer.pulses for answer in answers_of(words[:-1]))
    assert words[-1] == CrossbarState.IDLE


def _commanded(engine: Engine, asked: RegionCommand, levels: list[int]) -> HostScript:
    script = engine.script()
    script.command(asked, levels)
    return script.script
