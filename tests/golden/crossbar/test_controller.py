"""The golden controller: commands that go beyond single cells, and what they leave."""

import numpy as np
import pytest
from support.exact_tiles import ExactTiles

from celosia.golden.crossbar.calibration import calibrate, measure
from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.controller import Answer, Controller, RegionCommand
from celosia.golden.crossbar.corrections import CorrectionField, CorrectionWrite, table
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import Multiplier, plain_correction
from celosia.golden.crossbar.settings import Setting, Settings
from celosia.golden.crossbar.telemetry import Counter, StatusRegion

SEED = 31
CONFIG = CrossbarConfig(tiles=2, rows=16, outputs=4, spares=2, adc_bits=10, adcs=8)
TILE = 1


@pytest.fixture
def bank():
    """A controller on exact tiles with weights, its tables written, and the tiles."""
    print(f"seed {SEED}")
    rng = np.random.default_rng(SEED)
    weights = rng.integers(-128, 128, (CONFIG.rows, CONFIG.outputs)).astype(np.int8)
    tiles = ExactTiles(CONFIG, np.stack([levels_of(weights, CONFIG)] * CONFIG.tiles))
    settings = Settings(
        scalars={Setting.CALIBRATION_PARTS: 1, Setting.CALIBRATION_AVERAGE: 2, Setting.LEAK: 3}
    )
    controller = Controller(tiles, CONFIG, settings)
    for entry in plain_correction(CONFIG).writes(TILE):
        controller.write(entry)
    levels = tiles.levels[TILE].sum(axis=0).tolist()
    for entry in table(CorrectionField.LEVELS, TILE, levels):
        controller.write(entry)
    return controller, tiles


def execute(controller, command):
    return controller.execute(RegionCommand(command, TILE))


def equal(one, other):
    return list(one.writes(0)) == list(other.writes(0))


def test_tables_are_those_that_were_written():
    controller = Controller(ExactTiles(CONFIG, []), CONFIG, Settings())
    correction = plain_correction(CONFIG, 300)
    correction.offset[3] = -77
    for entry in correction.writes(TILE):
        controller.write(entry)
    assert equal(controller.corrections[TILE], correction)


def test_calibrate_is_measure_and_calibrate(bank):
    controller, tiles = bank
    tiles.levels[TILE, :, 5] = 0  # a column that conducts nothing where levels should be
    found = measure(Multiplier(tiles, CONFIG), TILE, 4096, parts=2, average=2)
    levels = np.zeros((CONFIG.rows, CONFIG.columns), np.int64)
    levels[0] = controller._level_sums[TILE]
    expected, failed = calibrate(plain_correction(CONFIG), found, levels, leak=3)
    answers = execute(controller, Command.CALIBRATE)
    assert equal(controller.corrections[TILE], expected)
    assert [answer.column for answer in answers] == list(range(CONFIG.columns))
    assert [answer.result == Result.UNCALIBRATED for answer in answers] == failed.tolist()
    assert failed.tolist() == [column == 5 for column in range(CONFIG.columns)]
    words = controller.words()
    lines = words[StatusRegion.MAP].reshape(CONFIG.tiles, CONFIG.rows + 1, -1)
    assert lines[TILE, -1, 0] == 1 << 5
    record = words[StatusRegion.CALIBRATION]
    assert record[: 2 * CONFIG.columns : 2].tolist() == expected.gain.tolist()
    assert record[-2:].tolist() == [expected.scale, expected.shift]
    assert words[StatusRegion.COUNTERS][Counter.PROBES] == 3 << 2


def test_compensation_starts_from_what_was_written(bank):
    controller, tiles = bank
    execute(controller, Command.CALIBRATE)
    written = controller.corrections[TILE]
    tiles.levels = tiles.levels // 2
    for _ in range(2):  # the second time finds no more loss
        assert execute(controller, Command.COMPENSATE) == [Answer(0, 0, Result.CONVERGED)]
        now = controller.corrections[TILE]
        factor = now.scale / written.scale * 2.0 ** (written.shift - now.shift)
        assert 1.9 < factor < 2.3
    # The gains take over what the scale had made up for.
    execute(controller, Command.CALIBRATE)
    now = controller.corrections[TILE]
    assert (now.scale, now.shift) == (written.scale, written.shift)
    assert now.gain.max() > 1.9 * written.gain.max()


@pytest.mark.parametrize("field", [CorrectionField.ADC_GAIN, CorrectionField.OUTPUT])
def test_what_was_measured_otherwise_is_no_reference(bank, field):
    controller, _ = bank
    assert execute(controller, Command.COMPENSATE) == [Answer(0, 0, Result.UNCALIBRATED)]
    execute(controller, Command.CALIBRATE)
    assert execute(controller, Command.COMPENSATE)[0].result == Result.CONVERGED
    controller.write(CorrectionWrite(field, TILE, 0, 1))
    assert execute(controller, Command.COMPENSATE)[0].result == Result.UNCALIBRATED


def test_tiles_that_conduct_nothing_are_not_compensated(bank):
    controller, tiles = bank
    execute(controller, Command.CALIBRATE)
    before = controller.corrections[TILE]
    tiles.levels = tiles.levels * 0
    assert execute(controller, Command.COMPENSATE)[0].result == Result.UNCALIBRATED
    assert equal(controller.corrections[TILE], before)


def test_repair_says_what_moved(bank):
    controller, _ = bank
    controller.telemetry.defects[TILE, 2, CONFIG.output_columns] = True  # of output 1
    answers = execute(controller, Command.REPAIR)
    assert [answer.code for answer in answers] == [0, 4, 2, 3]
    assert [answer.result == Result.MOVED for answer in answers] == [False, True, False, False]
    assert controller.corrections[TILE].outputs.tolist() == [0, 4, 2, 3]
    again = execute(controller, Command.REPAIR)
    assert {answer.result for answer in again} == {Result.CONVERGED}
    assert [answer.code for answer in again] == [0, 4, 2, 3]


def test_commands_that_cannot_be(bank):
    controller, _ = bank
    for command in (Command.CALIBRATE, Command.REPAIR, Command.NOP):
        answers = controller.execute(RegionCommand(command, CONFIG.tiles))
        assert answers == [Answer(0, 0, Result.ABORTED)]
    controller.settings = Settings(scalars={Setting.CALIBRATION_PARTS: 5})
    assert execute(controller, Command.CALIBRATE) == [Answer(0, 0, Result.ABORTED)]
    for asked in (
        RegionCommand(Command.READ, 0, 1, 0, 2, 1),
        RegionCommand(Command.READ, 0, 15, 2, 0, 1),
        RegionCommand(Command.MVM, 0, 0, 1, 0, 1),
    ):
        answers = controller.execute(asked)
        assert answers == [Answer(asked.first_row, asked.first_column, Result.ABORTED)]
    counters = controller.words()[StatusRegion.COUNTERS]
    assert counters[Counter.ABORTED] == 3
    assert counters[Counter.PROBES] == 0
