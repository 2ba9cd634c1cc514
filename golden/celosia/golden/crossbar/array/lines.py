"""Line resistance, exactly: the matrix that a crossbar of linear cells multiplies by.

Rows are driven from their left end, columns are sensed at their bottom end, and there is a segment
of line before a row's first cell, between neighbours, and behind a column's last cell, as in
badcrossbar (Joksas and Mehonic, SoftwareX 12, 2020).
"""

import math
from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.array.dissection import cells, whole
from celosia.golden.errors import CelosiaError

FloatArray = NDArray[np.float64]


@dataclass(frozen=True, kw_only=True)
class Lines:
    """Resistances in ohm.

    Attributes:
        row, column: one segment of a row, and of a column.
        driver: what drives a row, in series with its first segment.
        sense: what holds a column at virtual ground, in series with its last segment.

    Raises:
        CelosiaError: one of them is negative or not finite.
    """

    row: float = 1.0
    column: float = 1.0
    driver: float = 0.0
    sense: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            value = getattr(self, field.name)
            number = isinstance(value, int | float) and not isinstance(value, bool)
            if not number or not (math.isfinite(value) and value >= 0):
                raise CelosiaError(f"{field.name} resistance must be 0 ohm or more, not {value!r}")

    @property
    def ideal(self) -> bool:
        """No resistance anywhere."""
        return not any(getattr(self, field.name) for field in fields(self))

    def series(self, rows: int, columns: int) -> FloatArray:
        """Ohm [rows, columns] in series with each cell, where no other one conducts."""
        along_row = self.driver + self.row * np.arange(1, columns + 1)
        down_column = self.sense + self.column * np.arange(rows, 0, -1)
        return np.asarray(down_column[:, None] + along_row)


NO_RESISTANCE = Lines(row=0.0, column=0.0)


def transfer(conductance: FloatArray, lines: Lines) -> FloatArray:
    """Siemens [columns, rows]: `transfer @ voltages` are the currents out of the columns.

    `conductance` is [rows, columns] in siemens, none negative. All rows are driven, those at 0 V
    too. Two neighbouring blocks of cells become one by eliminating the nodes between them, until
    there is one block left (nested dissection). docs/crossbar-physics.md has its times.
    """
    if lines.ideal:
        return np.ascontiguousarray(conductance.T)
    rows, columns = conductance.shape
    # Blocks are counted from the bottom left corner, where voltages come from.
    block = whole(cells(*_segments(conductance[::-1], lines)))
    return np.ascontiguousarray(block.matrix[:columns, :rows][:, ::-1])


def _segments(conductance: FloatArray, lines: Lines) -> tuple[FloatArray, FloatArray, FloatArray]:
    """Of each cell: its conductance, and the resistance of the row before and the column below."""
    row = np.full(conductance.shape, float(lines.row))
    row[:, 0] += lines.driver
    column = np.full(conductance.shape, float(lines.column))
    column[0] += lines.sense
    return conductance, row, column
