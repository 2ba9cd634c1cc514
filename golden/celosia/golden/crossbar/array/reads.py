"""What a read of one cell finds: its own current through its lines, or what sneaks past it as well.

Its row is driven, its column is at virtual ground. In a 1T1R array the transistors of all other
rows are off. In a passive one the other lines are held at ground, or float: then current finds its
way through other rows and columns.
"""

import numpy as np
from numpy.typing import NDArray
from scipy.sparse.csgraph import connected_components

from celosia.golden.crossbar.array.lines import FloatArray, Lines
from celosia.golden.crossbar.array.nodal import Network


def rows_alone(cells: FloatArray, rows: NDArray[np.int64], count: int, lines: Lines) -> FloatArray:
    """Siemens [n, columns] that reads find in rows [n], of `count`, of a 1T1R array.

    `cells` [n, columns] are what their cells have, in siemens. The cells of a row load it together:
    all its columns are at virtual ground. Its line is a ladder of resistors, solved from its far
    end to its source.
    """
    columns = cells.shape[1]
    to_ground = lines.sense + lines.column * (count - rows)
    cells = cells / (1 + cells * to_ground[:, None])
    behind = np.zeros((len(rows), columns + 1))  # admittance of a node and all behind it
    for column in reversed(range(columns)):
        after = behind[:, column + 1]
        behind[:, column] = cells[:, column] + after / (1 + lines.row * after)
    volts = np.empty_like(cells)
    now = 1 / (1 + (lines.driver + lines.row) * behind[:, 0])
    for column in range(columns):
        volts[:, column] = now
        now = now / (1 + lines.row * behind[:, column + 1])
    return np.asarray(cells * volts)


def floating(conductance: FloatArray, lines: Lines) -> FloatArray:
    """Siemens [rows, columns] between the ends of each row and column while all others float."""
    rows, columns = conductance.shape
    admittance = _admittance(conductance, lines)
    found = np.zeros((rows, columns))
    linked = np.abs(admittance) > 0
    count, part = connected_components(linked, directed=False)
    for number in range(count):
        ends = np.flatnonzero(part == number)
        here, there = ends[ends < rows], ends[ends >= rows]
        if not (here.size and there.size):
            continue
        block = admittance[np.ix_(ends, ends)]
        # Its null space is a common voltage; a conductance to ground there changes no difference.
        common = np.trace(block) / ends.size**2
        inverse = np.linalg.inv(block + common)
        own = np.diag(inverse)
        ohm = own[:, None] + own[None, :] - 2 * inverse
        found[np.ix_(here, there - rows)] = 1 / ohm[: here.size, here.size :]
    return found


def _admittance(conductance: FloatArray, lines: Lines) -> FloatArray:
    """Currents into the ends of all rows and columns, of one volt at each [ends, ends]."""
    rows, columns = conductance.shape
    size = rows + columns
    if lines.ideal:
        found = np.zeros((size, size))
        found[:rows, rows:] = -conductance
        found += found.T
        return found - np.diag(found.sum(axis=1))
    network = Network(lines, np.ones(rows, bool), np.ones(columns, bool))
    one = np.eye(size)
    nodes = network.solve(conductance, one[:, :rows], one[:, rows:])
    found = np.hstack([nodes.row_currents, -nodes.column_currents])
    return np.asarray((found + found.T) / 2)
