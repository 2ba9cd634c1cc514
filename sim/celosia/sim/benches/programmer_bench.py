"""Bench of `celosia.hdl.crossbar.programmer.Programmer` on the emulator, against the golden one.

The safety monitor watches the port throughout.
"""

import dataclasses
import itertools
from random import Random
from typing import Any

import cocotb
import numpy as np

from celosia.golden.crossbar.commands import Command, Result, Scheme
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.emulation import EmulatorConfig
from celosia.golden.crossbar.emulator import EmulatorTwin
from celosia.golden.crossbar.programming import CellResults, Programmer, region
from celosia.golden.crossbar.settings import LevelWindow, Ramp, RampSettings, Setting, Settings
from celosia.hdl.crossbar.access import write_request
from celosia.hdl.crossbar.programmer import cell_result, region_command
from celosia.hdl.crossbar.settings_store import SETTING_WRITE
from celosia.sim.block_bench import BlockBench
from celosia.sim.stalls import Stall

FUZZ_CYCLES = 100_000
_METHODS = {
    Command.FORM: "form",
    Command.PROGRAM: "program",
    Command.READ: "read",
    Command.SCRUB: "scrub",
    Command.BIST: "bist",
}
_TARGETED = (Command.PROGRAM, Command.SCRUB)


def ramp(
    word_line: tuple[int, int, int],
    line: tuple[int, int, int],
    width: int,
    *,
    line_first: bool = False,
) -> RampSettings:
    """A ramp: start, stop and step of word line and line."""
    return RampSettings(
        word_line_start=word_line[0],
        word_line_stop=word_line[1],
        word_line_step=word_line[2],
        line_start=line[0],
        line_stop=line[1],
        line_step=line[2],
        width=width,
        line_first=line_first,
    )


def default_settings(config: CrossbarConfig) -> Settings:
    """Settings that bring most of the emulator's cells to their levels, in codes of 8 bits."""
    step = 255 // (config.levels - 1)
    windows = tuple(
        LevelWindow(
            read_low=max(level * step - step // 4, 0),
            read_high=level * step + step // 4,
            write_low=max(level * step - step // 6, 0),
            write_high=level * step + step // 6,
        )
        for level in range(config.levels)
    )
    ramps = {
        Ramp.FORM: ramp((280, 320, 20), (440, 540, 20), 3),
        Ramp.SET: ramp((190, 540, 12), (400, 400, 0), 2),
        Ramp.RESET: ramp((500, 500, 0), (190, 540, 12), 2),
        Ramp.SET_FINE: ramp((240, 540, 8), (300, 310, 7), 1, line_first=True),
        Ramp.RESET_FINE: ramp((500, 500, 0), (240, 540, 6), 1, line_first=True),
    }
    scalars = {
        Setting.MAXIMUM_PULSES: 60,
        Setting.MAXIMUM_FLIPS: 6,
        Setting.END_PULSES: 2,
        Setting.FORMED_CODE: 40,
    }
    return Settings(scalars=scalars, ramps=ramps, windows=windows)


def around_the_limits(base: Settings, config: CrossbarConfig, rng: Random) -> Settings:
    """The same with ramps some of whose pulses are allowed, and others a few codes too high."""
    ramps = {}
    for kind, usual in base.ramps.items():
        word_line = (config.max_word_line + rng.randint(-30, 3), 1023, 9)
        line = (config.max_line + rng.randint(-30, 3), 1023, 9)
        ramps[kind] = ramp(word_line, line, usual.width, line_first=rng.random() < 0.5)
    return dataclasses.replace(base, ramps=ramps)


def packed(layout: Any, **values: int) -> int:
    """The bits of a structure."""
    return int(layout.const(values).as_bits())


def unpacked(layout: Any, bits: int) -> Any:
    """A structure, its fields as attributes."""
    return layout.from_bits(bits)


class Log:
    """A front end that notes, for each cell, the pulses it passes on."""

    def __init__(self, twin: EmulatorTwin) -> None:
        self._twin = twin
        self.pulses: dict[tuple[int, int], list[tuple[int, ...]]] = {}

    def pulse(
        self, tile: int, rows: Any, columns: Any, mode: Any, word_line: Any, line: Any, width: int
    ) -> None:
        """Note, and pass on."""
        for row, column, word, level in zip(rows, columns, word_line, line, strict=True):
            noted = (int(mode), int(word), int(level), width)
            self.pulses.setdefault((int(row), int(column)), []).append(noted)
        self._twin.pulse(tile, rows, columns, mode, word_line, line, width)

    def read(self, tile: int, rows: Any, columns: Any) -> Any:
        """Pass on."""
        return self._twin.read(tile, rows, columns)


class Session:
    """The DUT's streams, in the words of the specification."""

    def __init__(self, dut: Any, bench: BlockBench, *, stalls: bool) -> None:
        self.config = CrossbarConfig(**bench.parameters["config"])
        self.emulator = EmulatorConfig(**bench.parameters.get("emulator", {}))
        stall = Stall.HALF if stalls else Stall.NEVER
        self.bench, self.dut = bench, dut
        self.commands, self.targets = (bench.source(n, stall) for n in ("commands", "targets"))
        self.settings = bench.source("settings")
        self.results, self.asked = bench.sink("results", stall), bench.sink("asked")
        dut.abort.value, dut.interlock.value = 0, 1

    async def configure(self, settings: Settings) -> None:
        """Send all settings."""
        await self.settings.send(
            packed(SETTING_WRITE, address=address, value=value)
            for address, value in settings.writes()
        )

    async def command(self, command: int, tile: int, place: tuple[int, ...], tag: int = 0) -> None:
        """Send a command; ``place`` is first row, rows, first column, columns."""
        names = ("first_row", "rows", "first_column", "columns")
        fields = {"command": int(command), "tile": tile, "tag": tag}
        fields |= dict(zip(names, place, strict=True))
        await self.commands.send([packed(region_command(self.config), **fields)])

    async def answers(self, count: int) -> list[Any]:
        """The next results."""
        layout = cell_result(self.config)
        return [unpacked(layout, bits) for bits in await self.results.receive(count)]

    def check_safe(self) -> None:
        """No rule of the port was broken."""
        assert int(self.dut.broken.value) == 0, f"rules {int(self.dut.broken.value):#b} broken"
        assert not self.dut.tripped.value


def expected_of(
    front_end: Any,
    config: CrossbarConfig,
    settings: Settings,
    command: Command,
    tile: int,
    place: tuple[int, ...],
    levels: list[int],
) -> CellResults:
    """What the golden programmer answers."""
    method = getattr(Programmer(front_end, config, settings), _METHODS[command])
    arguments = [np.array(levels)] if command in _TARGETED else []
    outcome: CellResults = method(tile, *region(*place), *arguments)
    return outcome


def as_tuple(answer: Any) -> tuple[int, ...]:
    """Row, column, result, code, pulses, SET pulses of an answer."""
    names = ("row", "column", "result", "code", "pulses", "set_pulses")
    return tuple(int(getattr(answer, name)) for name in names)


def tuples(outcome: CellResults) -> list[tuple[int, ...]]:
    """The same of golden results."""
    names = ("rows", "columns", "result", "code", "pulses", "set_pulses")
    return list(zip(*(getattr(outcome, name).tolist() for name in names), strict=True))


@cocotb.test()
@cocotb.parametrize(stalls=[False, True])
async def pulses_codes_and_results_are_the_golden_ones(dut: Any, stalls: bool) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    session = Session(dut, bench, stalls=stalls)
    config, rng = session.config, bench.rng
    base = default_settings(config)
    twin = EmulatorTwin(config, session.emulator)
    # The emulator's cells outlive reset, so a second test of a run begins with what the first left.
    tile = int(stalls)
    seen: set[int] = set()
    drawn = [rng.choice(list(_METHODS)) for _ in range(6)]
    plan = [Command.FORM, Command.PROGRAM, *drawn, Command.PROGRAM, Command.BIST]
    for number, command in enumerate(plan):
        ramps = dict(base.ramps)
        if number % 4 == 3:  # some pulses beyond the limit
            ramps[Ramp.SET] = dataclasses.replace(
                ramps[Ramp.SET], word_line_start=690, word_line_stop=1000
            )
        if number % 4 == 2:
            ramps[Ramp.RESET] = dataclasses.replace(
                ramps[Ramp.RESET], line_first=True, word_line_start=430, word_line_step=70
            )
        settings = dataclasses.replace(
            base,
            ramps=ramps,
            scalars={
                **base.scalars,
                Setting.SCHEME: rng.choice(list(Scheme)),
                Setting.READ_SHIFT: rng.choice([0, 0, 1, 3]),
                Setting.CONFIRMS: rng.choice([0, 1, 1, 3]),
                Setting.MAXIMUM_FLIPS: rng.choice([1, 2, 3, 3, 6]),
                Setting.MAXIMUM_PULSES: rng.choice([5, 40, 60]),
            },
        )
        if number == 1:  # cells enough that turn once, and are the last that may
            settings = dataclasses.replace(
                settings,
                scalars={
                    **settings.scalars,
                    Setting.SCHEME: Scheme.STEP,
                    Setting.MAXIMUM_FLIPS: 1,
                    Setting.MAXIMUM_PULSES: 60,
                },
            )
        first_row, first_column = rng.randrange(config.rows), rng.randrange(config.columns)
        rows = rng.randint(1, min(4, config.rows - first_row))
        columns = rng.randint(1, min(7, config.columns - first_column))
        if number < 2:
            first_row, rows, first_column, columns = 0, config.rows // 2, 0, config.columns
        place = (first_row, rows, first_column, columns)
        levels = [rng.randrange(config.levels) for _ in range(rows * columns)]
        log = Log(twin)
        expected = expected_of(log, config, settings, command, tile, place, levels)
        await session.configure(settings)
        sender = cocotb.start_soon(session.targets.send(levels if command in _TARGETED else []))
        await session.command(command, tile, place, tag=number)
        answers = await session.answers(rows * columns)
        await sender
        context = f"{command.name} of {place} on tile {tile}"
        for answer, golden in zip(answers, tuples(expected), strict=True):
            assert as_tuple(answer) == golden, f"{context}: {as_tuple(answer)}, not {golden}"
            assert (int(answer.command), int(answer.tag)) == (command, number)
            seen.add(int(answer.result))
        assert [int(answer.last) for answer in answers] == [0] * (len(answers) - 1) + [1]
        made: dict[tuple[int, int], list[tuple[int, ...]]] = {}
        count = sum(len(pulses) for pulses in log.pulses.values())
        refused = sum(result == Result.ABORTED for result in expected.result.tolist())
        layout = write_request(config)
        requests = await session.asked.receive(count + refused)
        for request in (unpacked(layout, bits) for bits in requests):
            fields = (request.mode, request.word_line, request.line, request.width)
            if int(request.word_line) <= config.max_word_line:
                place_of = (int(request.row), int(request.column))
                made.setdefault(place_of, []).append(tuple(int(item) for item in fields))
        assert made == log.pulses, context
        session.check_safe()
    print("results seen:", sorted(Result(value).name for value in seen))
    assert len(seen) >= 4


@cocotb.test()
@cocotb.parametrize(cause=["abort", "interlock"])
async def an_abort_ends_the_command_and_answers_every_cell(dut: Any, cause: str) -> None:
    bench = await BlockBench.start(dut, timeout_cycles=3_000_000)
    session = Session(dut, bench, stalls=True)
    config, rng = session.config, bench.rng
    settings = dataclasses.replace(default_settings(config))
    await session.configure(settings)
    tile = 2 + (cause == "interlock")
    cut = 0
    for row in range(config.rows):
        # Each command has a row of its own: the cut-off cell of one doesn't matter for the next.
        place = (row, 1, 0, config.columns)
        command = Command.FORM
        twin = EmulatorTwin(config, session.emulator)
        expected = tuples(expected_of(twin, config, settings, command, tile, place, []))
        await session.command(command, tile, place)
        await bench.cycles(rng.randrange(1, 9000))
        value = getattr(dut, cause)
        value.value = int(cause == "abort")
        await bench.cycles(rng.randrange(1, 200))
        value.value = int(cause != "abort")
        answers = [as_tuple(answer) for answer in await session.answers(config.columns)]
        aborted = [answer[2] == Result.ABORTED for answer in answers]
        finished = aborted.index(True) if any(aborted) else len(answers)
        assert answers[:finished] == expected[:finished]
        assert all(aborted[finished:])
        assert all(answer[4] == 0 for answer in answers[finished + 1 :])
        cut += 0 < finished < len(answers)
        session.check_safe()
    assert cut > 0


@cocotb.test()
async def regions_that_are_not_there_are_answered(dut: Any) -> None:
    bench = await BlockBench.start(dut)
    session = Session(dut, bench, stalls=True)
    config = session.config
    for command, tile, place in (
        (Command.READ, 0, (0, 0, 0, 1)),
        (Command.READ, 0, (0, 1, 0, 0)),
        (Command.PROGRAM, 0, (config.rows - 1, 2, 0, 1)),
        (Command.PROGRAM, 0, (0, 1, config.columns - 1, 2)),
        (Command.MVM, 0, (0, 1, 0, 1)),
    ):
        await session.command(command, tile, place, tag=9)
        (answer,) = await session.answers(1)
        assert (int(answer.result), int(answer.last), int(answer.tag)) == (Result.ABORTED, 1, 9)
    await session.command(Command.READ, 0, (0, 1, 0, 1))
    (answer,) = await session.answers(1)
    assert int(answer.result) == Result.CONVERGED


@cocotb.test()
async def fuzz(dut: Any) -> None:
    """Commands, settings, aborts, interlock and resets at random for 100,000 cycles."""
    bench = await BlockBench.start(dut, timeout_cycles=10 * FUZZ_CYCLES)
    session = Session(dut, bench, stalls=False)
    config, rng = session.config, bench.rng
    base = default_settings(config)
    addresses = [address for address, _ in base.writes()]
    dut.abort.value, dut.interlock.value = 0, 1
    start = bench.cycle
    rises = 0
    tasks: list[Any] = []

    def feed() -> Any:
        levels = (rng.randrange(config.levels) for _ in itertools.count())
        return cocotb.start_soon(session.targets.send(levels))

    feeding = feed()
    await session.configure(base)
    while bench.cycle - start < FUZZ_CYCLES:
        action = rng.random()
        if action < 0.02:
            for task in (*tasks, feeding):
                task.cancel()
            await bench.reset(rng.randint(2, 4))
            tasks, feeding = [cocotb.start_soon(session.configure(base))], feed()
        elif action < 0.08:
            dut.abort.value = 1
            await bench.cycles(rng.randint(1, 12))
            dut.abort.value = 0
        elif action < 0.14:
            dut.interlock.value = 0
            await bench.cycles(rng.randint(1, 40))
            dut.interlock.value = 1
        elif action < 0.3 and all(task.done() for task in tasks):
            # Any value to any setting, within its width or not; codes about the limits; the usual.
            wild = [(rng.choice(addresses), rng.getrandbits(16)) for _ in range(rng.randint(1, 6))]
            edges = around_the_limits(base, config, rng).writes()
            writes = rng.choices([wild, list(edges), list(base.writes())], [5, 2, 3])[0]
            bits = [packed(SETTING_WRITE, address=a, value=v) for a, v in writes]
            tasks = [cocotb.start_soon(session.settings.send(bits))]
        elif all(task.done() for task in tasks):
            place = (
                rng.randrange(config.rows),
                rng.randint(0, 4),
                rng.randrange(config.columns),
                rng.randint(0, 4),
            )
            command = rng.choice([*_METHODS, Command.PROGRAM, rng.randrange(16)])
            tile = rng.randrange(config.tiles)
            tasks = [cocotb.start_soon(session.command(command, tile, place))]
        for _ in range(rng.randint(1, 120)):
            before = int(dut.pulse.value)
            await bench.cycles(1)
            rises += not before and int(dut.pulse.value)
        session.check_safe()
    print(f"{bench.cycle - start} cycles, {rises} pulses")
    assert rises > 100
