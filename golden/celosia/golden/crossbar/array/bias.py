"""How lines are biased in a write, and what that does to every cell.

Voltages are counted from row to column: FORM and SET hold the selected column at the write voltage
and the selected row at ground, RESET the other way round.
"""

import numpy as np

from celosia.golden.crossbar.array.lines import FloatArray, Lines
from celosia.golden.crossbar.array.nodal import Network
from celosia.golden.crossbar.front_end import Biasing, BiasMode

_SHARES = {Biasing.HALF: (1 / 2, 1 / 2), Biasing.THIRD: (2 / 3, 1 / 3)}
"""Of the write voltage: lines that cross the selected line that is at the write voltage, and lines
beside it."""


def cell_volts(
    conductance: FloatArray,
    lines: Lines,
    biasing: Biasing,
    mode: BiasMode,
    cell: tuple[int, int],
    volts: float,
) -> FloatArray:
    """V [rows, columns] across every cell while one is written, column minus row.

    Positive in FORM and SET, negative in RESET. `conductance` is [rows, columns] in siemens,
    `cell` the selected row and column, `volts` what its lines are driven with. Drops along the
    lines, and those that half-selected cells cause, are in it. In a 1T1R array only the cells of
    the selected row conduct, and all lines but the selected ones are at ground.
    """
    rows, columns = conductance.shape
    row, column = cell
    sign = -1 if mode is BiasMode.RESET else 1
    if biasing is Biasing.TRANSISTOR:
        across = np.zeros_like(conductance)
        series = lines.series(rows, columns)[row, column]
        across[row, column] = sign * volts / (1 + conductance[row, column] * series)
        return across
    sources = line_volts((rows, columns), biasing, mode, cell, volts)
    if lines.ideal:
        return np.asarray(sources[1] - sources[0][:, None])
    network = Network(lines, np.ones(rows, bool), np.ones(columns, bool))
    return -network.solve(conductance, *sources).across


def line_volts(
    shape: tuple[int, int],
    biasing: Biasing,
    mode: BiasMode,
    cell: tuple[int, int],
    volts: float,
) -> tuple[FloatArray, FloatArray]:
    """V of the rows and of the columns of a passive array (`shape` rows x columns) in a write."""
    crossing, beside = _SHARES[biasing]
    rows, columns = (np.empty(size) for size in shape)
    high, low = (rows, columns) if mode is BiasMode.RESET else (columns, rows)
    (at_high, at_low) = cell if mode is BiasMode.RESET else cell[::-1]
    high[:], low[:] = beside * volts, crossing * volts
    high[at_high], low[at_low] = volts, 0
    return rows, columns
