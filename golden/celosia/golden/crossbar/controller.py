"""The whole controller on any front end: commands, products, and the status port, in numpy."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.calibration import (
    Measurement,
    calibrate_columns,
    drift_compensated,
    measure,
)
from celosia.golden.crossbar.commands import MAINTENANCE, ON_CELLS, TARGETED, Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.corrections import (
    CORRECTION_OFFSET_BITS,
    CorrectionField,
    CorrectionWrite,
)
from celosia.golden.crossbar.front_end import FrontEnd
from celosia.golden.crossbar.mvm import Multiplier, Telemetry, TileCorrection
from celosia.golden.crossbar.programming import CellResults, Programmer, region
from celosia.golden.crossbar.repair import repaired
from celosia.golden.crossbar.settings import Setting, Settings
from celosia.golden.crossbar.telemetry import CountedFrontEnd, StatusRegion, TelemetryTwin
from celosia.golden.errors import CelosiaError

Integers = NDArray[np.int64]


class RegionCommand(NamedTuple):
    """A command as it is sent: what, the tile, a rectangle of its cells, and the results' tag.

    Commands that aren't on cells take no notice of the rectangle.
    """

    command: int
    tile: int = 0
    first_row: int = 0
    rows: int = 0
    first_column: int = 0
    columns: int = 0
    tag: int = 0


class Answer(NamedTuple):
    """A result: the place (row, column), how it ended, the code, and the pulses."""

    row: int
    column: int
    result: int
    code: int = 0
    pulses: int = 0
    set_pulses: int = 0


class _Reference(NamedTuple):
    """What COMPENSATE compares with: the masks and the measurement of the last CALIBRATE."""

    parts: int
    measurement: Measurement


class Controller:
    """Executes what is sent to `celosia.hdl.crossbar.controller.Controller`, with equal results.

    Args:
        front_end, config: the tiles.
        settings: may be exchanged between commands.

    Attributes:
        config: the sizes.
        telemetry: what is counted and found.
        multiplier: makes the products.
        corrections: the tables of each tile, as they were written.
    """

    def __init__(self, front_end: FrontEnd, config: CrossbarConfig, settings: Settings) -> None:
        self.config = config
        self.settings = settings
        self.telemetry = TelemetryTwin(config)
        self._front_end = CountedFrontEnd(front_end, self.telemetry)
        self.multiplier = Multiplier(self._front_end, config)
        self.corrections = [_blank(config) for _ in range(config.tiles)]
        self._level_sums = np.zeros((config.tiles, config.columns), np.int64)
        self._scales = [(0, 0)] * config.tiles  # as software wrote them, with the shifts
        self._references: dict[int, _Reference] = {}
        self._cleared = Telemetry()

    def execute(self, asked: RegionCommand, levels: Integers | None = None) -> list[Answer]:
        """The results of a command, with its targets [n] if it has some."""
        if asked.command not in MAINTENANCE:
            return self._on_cells(asked, levels)
        if asked.tile >= self.config.tiles:
            return [Answer(0, 0, Result.ABORTED)]
        match asked.command:
            case Command.CLEAR:
                self.telemetry.clear()
                self._cleared = Telemetry(**vars(self.multiplier.telemetry))
            case Command.RENEW:
                self.telemetry.renew(asked.tile)
            case Command.REPAIR:
                return self._repair(asked.tile)
            case Command.CALIBRATE:
                return self._calibrate(asked.tile)
            case Command.COMPENSATE:
                return self._compensate(asked.tile)
        return [Answer(0, 0, Result.CONVERGED)]

    def accepts(self, asked: RegionCommand) -> bool:
        """Whether a command on cells is one, of a region that is on its tile."""
        config = self.config
        return (
            asked.command in ON_CELLS
            and asked.tile < config.tiles
            and asked.rows > 0
            and asked.columns > 0
            and asked.first_row + asked.rows <= config.rows
            and asked.first_column + asked.columns <= config.columns
        )

    def multiply(self, tile: int, inputs: NDArray[np.int8], unsigned: bool) -> NDArray[np.int32]:
        """Sums [n, outputs] of int8 vectors [n, rows] by a tile."""
        return self.multiplier.multiply(tile, self.corrections[tile], inputs, unsigned)

    def write(self, entry: CorrectionWrite) -> None:
        """An entry of the correction tables, from software.

        SCALE and SHIFT are what CALIBRATE goes back to, and COMPENSATE starts from. A tile whose
        ADC_GAIN or OUTPUT is written has to be calibrated before COMPENSATE.
        """
        if entry.field in (CorrectionField.ADC_GAIN, CorrectionField.OUTPUT):
            self._references.pop(entry.tile, None)
        correction, value = self.corrections[entry.tile], entry.value
        match entry.field:
            case CorrectionField.COLUMN_GAIN:
                correction.gain[entry.place] = value
            case CorrectionField.COLUMN_OFFSET:
                sign = 1 << (CORRECTION_OFFSET_BITS - 1)
                correction.offset[entry.place] = (value ^ sign) - sign
            case CorrectionField.OUTPUT:
                correction.outputs[entry.place] = value
            case CorrectionField.LEVELS:
                self._level_sums[entry.tile, entry.place] = value
            case CorrectionField.ADC_GAIN:
                self.corrections[entry.tile] = replace(correction, adc_gain=value)
            case CorrectionField.SCALE:
                self.corrections[entry.tile] = replace(correction, scale=value)
                self._scales[entry.tile] = (value, self._scales[entry.tile][1])
            case CorrectionField.SHIFT:
                self.corrections[entry.tile] = replace(correction, shift=value)
                self._scales[entry.tile] = (self._scales[entry.tile][0], value)

    def words(self) -> dict[StatusRegion, Integers]:
        """Every word of each region of the status port."""
        now, then = vars(self.multiplier.telemetry), vars(self._cleared)
        since = {name: now[name] - then[name] for name in now}
        return self.telemetry.words(Telemetry(**since))

    def _calibrate(self, tile: int) -> list[Answer]:
        config, scalars = self.config, self.settings.scalars
        parts, average = (
            1 << scalars[Setting.CALIBRATION_PARTS],
            scalars[Setting.CALIBRATION_AVERAGE],
        )
        if parts > config.rows:
            return [Answer(0, 0, Result.ABORTED)]
        now = self._as_written(tile)
        found = measure(self.multiplier, tile, now.adc_gain, parts=parts, average=average)
        self.corrections[tile], failed = calibrate_columns(
            now, found, self._level_sums[tile], config.rows, scalars[Setting.LEAK]
        )
        self.telemetry.corrected(self.corrections[tile].writes(tile))
        self._references[tile] = _Reference(parts, found)
        self.telemetry.uncalibrated[tile] = failed
        half = (1 << average) >> 1
        return [
            Answer(
                row=0,
                column=column,
                result=Result.UNCALIBRATED if failed[column] else Result.CONVERGED,
                code=(int(zero) + half) >> average,
            )
            for column, zero in enumerate(found.zero)
        ]

    def _compensate(self, tile: int) -> list[Answer]:
        reference = self._references.get(tile)
        if reference is None:
            return [Answer(0, 0, Result.UNCALIBRATED)]
        written, before = self._as_written(tile), reference.measurement
        now = measure(
            self.multiplier,
            tile,
            written.adc_gain,
            parts=reference.parts,
            average=before.average,
        )
        try:
            self.corrections[tile] = drift_compensated(written, before, now, self.config)
        except CelosiaError:
            return [Answer(0, 0, Result.UNCALIBRATED)]
        scale = (CorrectionField.SCALE, CorrectionField.SHIFT)
        entries = self.corrections[tile].writes(tile)
        self.telemetry.corrected(entry for entry in entries if entry.field in scale)
        return [Answer(0, 0, Result.CONVERGED)]

    def _as_written(self, tile: int) -> TileCorrection:
        """The tables of a tile, with the scale that software wrote."""
        scale, shift = self._scales[tile]
        return replace(self.corrections[tile], scale=scale, shift=shift)

    def _repair(self, tile: int) -> list[Answer]:
        self._references.pop(tile, None)
        before = self.corrections[tile].outputs
        now = repaired(self.telemetry.defects[tile], self.config)
        self.corrections[tile] = replace(self.corrections[tile], outputs=now)
        results = np.where(now == before, Result.CONVERGED, Result.MOVED)
        return [
            Answer(0, output, int(result), int(physical))
            for output, (result, physical) in enumerate(zip(results, now, strict=True))
        ]

    def _on_cells(self, asked: RegionCommand, levels: Integers | None) -> list[Answer]:
        config = self.config
        if not self.accepts(asked):
            self.telemetry.refused()
            return [Answer(asked.first_row, asked.first_column, Result.ABORTED)]
        command = Command(asked.command)
        execute = getattr(Programmer(self._front_end, config, self.settings), command.name.lower())
        place = region(asked.first_row, asked.rows, asked.first_column, asked.columns)
        results: CellResults = execute(
            asked.tile, *place, *([levels] if command in TARGETED else [])
        )
        self.telemetry.cells(command, asked.tile, results)
        columns = (getattr(results, name).tolist() for name in _FIELDS)
        return [Answer(*values) for values in zip(*columns, strict=True)]


def _blank(config: CrossbarConfig) -> TileCorrection:
    """Tables that nothing was written to."""
    columns = np.zeros(config.columns, np.int64)
    outputs = np.zeros(config.outputs, np.int64)
    return TileCorrection(0, 0, 0, columns, columns.copy(), outputs)


_FIELDS = ("rows", "columns", "result", "code", "pulses", "set_pulses")
"""What an answer tells of `CellResults`, in its order."""
