"""The controller's programming commands on any front end: the specification in numpy.

Every cell is a small state machine of integers (`celosia.golden.crossbar.cells`), and nothing
passes between cells. So those that gateware takes one after the other all advance together here,
by one read and at most one pulse in a step, and meet the same pulses, codes and results. Only on a
front end whose cells change each other are they taken one after the other.

The rules follow published practice: the incremental step pulses and the coarse word-line, fine
line steps of RADAR (Le et al., IEEE Trans. Electron Devices 68, 2021; its measurements at
https://github.com/akashlevy/RRAM-RADAR-Tuning), the confirming read and the limit of pulses at the
end of a ramp of NeuRRAM (Wan et al., Nature 608, 2022, s41586-022-04992-8).
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np
from numpy.typing import ArrayLike

from celosia.golden.crossbar.cells import Cells, Integers
from celosia.golden.crossbar.commands import Result
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import CellAccess
from celosia.golden.crossbar.settings import Ramp, Settings, WindowField
from celosia.golden.errors import CelosiaError


@dataclass(frozen=True)
class CellResults:
    """How a command ended for each of its n cells; all arrays are [n] and in the cells' order.

    Attributes:
        rows, columns: the cells.
        result: `Result` of each; READ says CONVERGED.
        code: the last read: the mean of its conversions, halves rounded up.
        pulses: pulses of all kinds.
        set_pulses: those of SET and FORM.
        reads: conversions.
    """

    rows: Integers
    columns: Integers
    result: Integers
    code: Integers
    pulses: Integers
    set_pulses: Integers
    reads: Integers


def region(first_row: int, rows: int, first_column: int, columns: int) -> tuple[Integers, Integers]:
    """Rows and columns of a rectangle's cells, row by row: the order of targets and results."""
    row, column = np.divmod(np.arange(rows * columns, dtype=np.int64), max(columns, 1))
    return first_row + row, first_column + column


class Programmer:
    """FORM, PROGRAM, READ, SCRUB and BIST on a front end.

    Cells are given as rows [n] and columns [n], no cell twice. A pulse beyond a limit of the
    configuration (or of no width) isn't made: it ends its cell as ABORTED.

    Args:
        front_end: what the pulses and reads go to.
        config: sizes and limits.
        settings: how to program.

    Methods raise CelosiaError if tile, rows, columns or levels are outside of the configuration.
    """

    def __init__(self, front_end: CellAccess, config: CrossbarConfig, settings: Settings) -> None:
        self._front_end = front_end
        self._config = config
        self._scalars = settings.scalars
        self._ramps = np.array(
            [[value for _, value in settings.ramps[ramp].values()] for ramp in Ramp], np.int64
        )
        self._windows = np.array(
            [[value for _, value in window.values()] for window in settings.windows], np.int64
        ).reshape(-1, len(WindowField))

    def form(self, tile: int, rows: ArrayLike, columns: ArrayLike) -> CellResults:
        """Form cells; RESET each at least once, and on to the lowest level's window."""
        cells = self._cells(tile, rows, columns, np.zeros(np.shape(rows), np.int64))
        if self._in_turn(cells):
            return _in_turn(cells, lambda row, column, _: self.form(tile, row, column))
        cells.form()
        cells.program()
        return _results(cells)

    def program(
        self, tile: int, rows: ArrayLike, columns: ArrayLike, levels: ArrayLike
    ) -> CellResults:
        """Bring cells to their levels [n]."""
        cells = self._cells(tile, rows, columns, levels)
        if self._in_turn(cells):
            return _in_turn(cells, partial(self.program, tile), levels)
        cells.program()
        return _results(cells)

    def scrub(
        self, tile: int, rows: ArrayLike, columns: ArrayLike, levels: ArrayLike
    ) -> CellResults:
        """Program those cells again that a read finds outside of their level's read window."""
        cells = self._cells(tile, rows, columns, levels)
        if self._in_turn(cells):
            return _in_turn(cells, partial(self.scrub, tile), levels)
        cells.trusting[:] = True
        cells.program()
        return _results(cells)

    def read(self, tile: int, rows: ArrayLike, columns: ArrayLike) -> CellResults:
        """Read cells."""
        cells = self._cells(tile, rows, columns, None)
        cells.read(np.arange(len(cells.rows)))
        cells.result[:] = Result.CONVERGED
        return _results(cells)

    def bist(self, tile: int, rows: ArrayLike, columns: ArrayLike) -> CellResults:
        """Program cells to the highest, then to the lowest level.

        The result is the first of the two that isn't CONVERGED; pulses and reads are those of both.
        """
        cells = self._cells(tile, rows, columns, None)
        if self._in_turn(cells):
            return _in_turn(cells, lambda row, column, _: self.bist(tile, row, column))
        top = np.full(np.shape(rows), self._config.levels - 1, np.int64)
        high = self.program(tile, rows, columns, top)
        low = self.program(tile, rows, columns, np.zeros_like(top))
        return CellResults(
            low.rows,
            low.columns,
            np.where(high.result != Result.CONVERGED, high.result, low.result),
            low.code,
            high.pulses + low.pulses,
            high.set_pulses + low.set_pulses,
            high.reads + low.reads,
        )

    def _in_turn(self, cells: Cells) -> bool:
        """Whether these must be taken one after the other, as gateware does."""
        return len(cells.rows) > 1 and getattr(self._front_end, "interacting", False)

    def _cells(
        self, tile: int, rows: ArrayLike, columns: ArrayLike, levels: ArrayLike | None
    ) -> Cells:
        config = self._config
        if not 0 <= tile < config.tiles:
            raise CelosiaError(f"tile must be from 0 to {config.tiles - 1}, not {tile!r}")
        row = _checked("rows", rows, config.rows - 1)
        column = _checked("columns", columns, config.columns - 1, len(row))
        windows = np.zeros((len(row), len(WindowField)), np.int64)
        if levels is not None:
            if len(self._windows) < config.levels:
                raise CelosiaError(
                    f"settings must hold windows for {config.levels} levels, "
                    f"not {len(self._windows)}"
                )
            windows = self._windows[_checked("levels", levels, config.levels - 1, len(row))]
        return Cells(
            self._front_end, config, self._scalars, self._ramps, tile, row, column, windows
        )


def _results(cells: Cells) -> CellResults:
    return CellResults(
        cells.rows,
        cells.columns,
        cells.result,
        cells.code,
        cells.pulses,
        cells.set_pulses,
        cells.reads,
    )


def _in_turn(
    cells: Cells,
    command: Callable[[Integers, Integers, Integers], CellResults],
    levels: ArrayLike | None = None,
) -> CellResults:
    """The results of a command on one cell after the other."""
    targets = np.zeros(len(cells.rows), np.int64) if levels is None else np.asarray(levels)
    each = [slice(place, place + 1) for place in range(len(targets))]
    return together([command(cells.rows[one], cells.columns[one], targets[one]) for one in each])


def together(parts: Sequence[CellResults]) -> CellResults:
    """The results of several commands as those of one, in order."""
    names = [field.name for field in fields(CellResults)]
    return CellResults(*(np.concatenate([getattr(p, name) for p in parts]) for name in names))


def _checked(name: str, values: ArrayLike, highest: int, count: int | None = None) -> Integers:
    """Values as an array [n], each from 0 to highest, n as given."""
    array = np.asarray(values)
    if array.ndim != 1 or not np.issubdtype(array.dtype, np.integer):
        raise CelosiaError(f"{name} must be a list of integers, not {values!r}")
    if count is not None and len(array) != count:
        raise CelosiaError(f"{name} must be {count} values, one for each cell, not {len(array)}")
    if len(array) and not (array.min() >= 0 and array.max() <= highest):
        raise CelosiaError(
            f"{name} must be from 0 to {highest}, not from {array.min()} to {array.max()}"
        )
    return array.astype(np.int64)
