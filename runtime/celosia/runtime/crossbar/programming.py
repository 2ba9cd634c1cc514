"""What the host does to an NPU's crossbar before and after the runs of a program."""

from collections import Counter as Tally
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.program import CrossbarTile
from celosia.compiler.program_file import AnyProgram
from celosia.golden.crossbar.commands import Command, Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.controller import Answer, RegionCommand
from celosia.golden.crossbar.corrections import CorrectionField, table
from celosia.golden.crossbar.mapping import levels_of
from celosia.golden.crossbar.mvm import plain_correction
from celosia.golden.crossbar.settings import PULSE_COUNT_BITS, Settings
from celosia.golden.crossbar.telemetry import Counter, StatusRegion, status_regions
from celosia.golden.crossbar.window import answers_of
from celosia.golden.errors import CelosiaError
from celosia.golden.memory_map import CROSSBAR_QUEUE
from celosia.sim.crossbar_script import CrossbarScript
from celosia.sim.host_script import HostScript

_CELL_CYCLES = 200 << PULSE_COUNT_BITS
"""More than a cell takes: 200 cycles for each of its pulses, with their reads."""

Answers = NDArray[np.uint32]


@dataclass(frozen=True)
class Outcome:
    """How cells or columns ended: how many by the name of their `Result`, and pulses in all."""

    results: dict[str, int]
    pulses: int

    @property
    def count(self) -> int:
        """Cells or columns."""
        return sum(self.results.values())

    @property
    def converged(self) -> float:
        """The share that ended well."""
        return self.results.get("converged", 0) / max(1, self.count)


def outcome_of(answers: list[Answer]) -> Outcome:
    """What a controller's answers come to."""
    tally = Tally(Result(answer.result).name.lower() for answer in answers)
    ordered = {r.name.lower(): tally[r.name.lower()] for r in Result if tally[r.name.lower()]}
    return Outcome(ordered, sum(answer.pulses for answer in answers))


class ProgrammingScript:
    """Appends to a script: settings and tables of a program's tiles, then what its methods say.

    `at_once` is how many cells a command has at most; hardware has room for `CROSSBAR_QUEUE`
    results.
    """

    def __init__(
        self,
        script: HostScript,
        program: AnyProgram,
        settings: Settings,
        *,
        at_once: int = CROSSBAR_QUEUE,
    ) -> None:
        sizes = program.config.crossbar
        assert sizes is not None
        self._sizes: CrossbarConfig = sizes
        self._tiles = program.crossbar
        self._at_once = at_once
        self._crossbar = CrossbarScript(script)
        self._script = script
        self._begin_answers = script.answers
        self._cells: list[slice] = []
        self._columns: list[slice] = []
        self._crossbar.settings(settings)
        for number, tile in enumerate(self._tiles):
            correction = plain_correction(sizes, tile.adc_gain)
            self._crossbar.corrections(correction.writes(number))
            sums = levels_of(tile.weights, sizes).sum(axis=0)
            self._crossbar.corrections(table(CorrectionField.LEVELS, number, sums.tolist()))

    def program(self, *, whole: bool) -> None:
        """PROGRAM the cells of every tile that products use, or with `whole` all."""
        for number, tile in enumerate(self._tiles):
            rows, columns = self._extent(tile, whole)
            levels = levels_of(tile.weights, self._sizes)
            wide = min(columns, self._at_once)
            high = self._at_once // wide
            for row in range(0, rows, high):
                for column in range(0, columns, wide):
                    size = min(high, rows - row), min(wide, columns - column)
                    some = levels[row : row + size[0], column : column + size[1]]
                    asked = RegionCommand(
                        Command.PROGRAM, number, row, size[0], column, size[1], number & 0xFF
                    )
                    self._crossbar.command(asked, some.ravel().tolist())
                    limit = min(some.size * _CELL_CYCLES, (1 << 32) - 1)
                    self._cells.append(self._crossbar.results(some.size, limit))

    def write_cells(self, conductance: NDArray[np.int64]) -> None:
        """Put conductances [tiles, rows, columns] into the cells, past all physics."""
        self._crossbar.cells(conductance[: len(self._tiles)])

    def calibrate(self) -> None:
        """CALIBRATE every tile.

        Raises:
            CelosiaError: a tile has more columns than results may wait.
        """
        columns = self._sizes.columns
        if columns > CROSSBAR_QUEUE:
            raise CelosiaError(
                f"tiles must have at most {CROSSBAR_QUEUE} columns to be calibrated in a run, "
                f"not {columns}"
            )
        for number in range(len(self._tiles)):
            self._crossbar.command(RegionCommand(Command.CALIBRATE, number, tag=number & 0xFF))
            self._columns.append(self._crossbar.results(columns, (1 << 32) - 1))

    def count(self, script: HostScript | None = None) -> slice:
        """Read the controller's counters, in another script where one is given."""
        crossbar = self._crossbar if script is None else CrossbarScript(script)
        return crossbar.status(status_regions(self._sizes)[StatusRegion.COUNTERS])

    @property
    def read(self) -> slice:
        """The place of everything so far among the script's answers."""
        return slice(self._begin_answers, self._script.answers)

    def cells(self, answers: Answers) -> list[Answer]:
        """What became of each cell that was programmed."""
        return [answer for place in self._cells for answer in answers_of(answers[place])]

    def columns(self, answers: Answers) -> list[Answer]:
        """What became of each column that was calibrated, spare ones left out."""
        spare = self._sizes.outputs * self._sizes.output_columns
        return [
            answer
            for place in self._columns
            for answer in answers_of(answers[place])
            if not spare <= answer.column < self._sizes.reference
        ]

    def _extent(self, tile: CrossbarTile, whole: bool) -> tuple[int, int]:
        if whole or self._sizes.reference < self._sizes.columns:
            return self._sizes.rows, self._sizes.columns  # weight 0 isn't level 0 there
        return tile.driven, self._sizes.outputs * self._sizes.output_columns


@dataclass(frozen=True)
class ProductCounts:
    """What products took: input bits issued again, and columns that stayed saturated."""

    products: int
    reissues: int
    saturations: int


def product_counts(before: Answers, after: Answers) -> ProductCounts:
    """From the counters before and after the runs."""
    spent = (after - before).astype(np.uint32)  # modulo 2^32, as they are
    return ProductCounts(
        *(int(spent[c]) for c in (Counter.PRODUCTS, Counter.REISSUES, Counter.SATURATIONS))
    )
