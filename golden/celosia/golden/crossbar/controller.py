"""The whole controller on any front end: commands, products, and the status port, in numpy."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.commands import MAINTENANCE, ON_CELLS, TARGETED, Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import FrontEnd
from celosia.golden.crossbar.mvm import Multiplier, Telemetry, TileCorrection
from celosia.golden.crossbar.programming import CellResults, Programmer, region
from celosia.golden.crossbar.settings import Settings
from celosia.golden.crossbar.telemetry import CountedFrontEnd, StatusRegion, TelemetryTwin

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


class Controller:
    """Executes what is sent to `celosia.hdl.crossbar.controller.Controller`, with equal results.

    Args:
        front_end, config: the tiles.
        settings: may be exchanged between commands.

    Attributes:
        telemetry: what is counted and found.
        multiplier: makes the products.
    """

    def __init__(self, front_end: FrontEnd, config: CrossbarConfig, settings: Settings) -> None:
        self._config = config
        self.settings = settings
        self.telemetry = TelemetryTwin(config)
        self._front_end = CountedFrontEnd(front_end, self.telemetry)
        self.multiplier = Multiplier(self._front_end, config)
        self._cleared = Telemetry()

    def execute(self, asked: RegionCommand, levels: Integers | None = None) -> list[Answer]:
        """The results of a command, with its targets [n] if it has some."""
        if asked.command not in MAINTENANCE:
            return self._on_cells(asked, levels)
        if asked.tile >= self._config.tiles:
            return [Answer(0, 0, Result.ABORTED)]
        match asked.command:
            case Command.CLEAR:
                self.telemetry.clear()
                self._cleared = Telemetry(**vars(self.multiplier.telemetry))
            case Command.RENEW:
                self.telemetry.renew(asked.tile)
        return [Answer(0, 0, Result.CONVERGED)]

    def multiply(
        self, tile: int, correction: TileCorrection, inputs: NDArray[np.int8], unsigned: bool
    ) -> NDArray[np.int32]:
        """Sums [n, outputs] of int8 vectors [n, rows] by a tile."""
        return self.multiplier.multiply(tile, correction, inputs, unsigned)

    def words(self) -> dict[StatusRegion, Integers]:
        """Every word of each region of the status port."""
        now, then = vars(self.multiplier.telemetry), vars(self._cleared)
        since = {name: now[name] - then[name] for name in now}
        return self.telemetry.words(Telemetry(**since))

    def _on_cells(self, asked: RegionCommand, levels: Integers | None) -> list[Answer]:
        config = self._config
        if not (
            asked.command in ON_CELLS
            and asked.tile < config.tiles
            and asked.rows > 0
            and asked.columns > 0
            and asked.first_row + asked.rows <= config.rows
            and asked.first_column + asked.columns <= config.columns
        ):
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


_FIELDS = ("rows", "columns", "result", "code", "pulses", "set_pulses")
"""What an answer tells of `CellResults`, in its order."""
