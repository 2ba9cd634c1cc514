"""Every node of an array under any bias: the sparse nodal equations, solved directly.

Products need only what goes in and out of an array (`lines`). What each cell sees, and where
current goes when some lines float or several are driven, takes all nodes.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import coo_array, csc_array
from scipy.sparse.csgraph import connected_components
from scipy.sparse.linalg import splu

from celosia.golden.crossbar.array.lines import FloatArray, Lines
from celosia.golden.errors import CelosiaError

CellCurrents: TypeAlias = Callable[[FloatArray], tuple[FloatArray, FloatArray]]
"""Currents [rows, columns] in A through the cells under voltages [rows, columns] in V, row minus
column, and their derivatives in S, all positive."""

_STEPS = 100
_SETTLED = 1e-9
"""Newton has settled once a step moves no node by more than this share of the largest voltage: as
its errors square, nothing is left of this one."""


@dataclass(frozen=True)
class Nodes:
    """A solved array.

    Attributes:
        rows, columns: V [..., rows, columns] of each cell's two ends.
        currents: A [..., rows, columns] through each cell, from its row to its column.
    """

    rows: FloatArray
    columns: FloatArray
    currents: FloatArray

    @property
    def across(self) -> FloatArray:
        """V [..., rows, columns] across each cell, row minus column."""
        return self.rows - self.columns

    @property
    def row_currents(self) -> FloatArray:
        """A [..., rows] out of the sources into the rows."""
        return np.asarray(self.currents.sum(axis=-1))

    @property
    def column_currents(self) -> FloatArray:
        """A [..., columns] out of the columns."""
        return np.asarray(self.currents.sum(axis=-2))


class Network:
    """An array's wires, and which lines a source holds (rows at the left, columns at the bottom).

    `held_rows` [rows] and `held_columns` [columns] are boolean; the other lines float. Nodes that
    no resistance parts are taken as one, so that lines without resistance lose nothing.
    """

    def __init__(
        self, lines: Lines, held_rows: NDArray[np.bool_], held_columns: NDArray[np.bool_]
    ) -> None:
        rows, columns = held_rows.size, held_columns.size
        count = rows + columns + 2 * rows * columns
        source = np.arange(rows + columns)
        row, column = np.arange(rows + columns, count).reshape(2, rows, columns)
        wires = [
            (row[:, 1:], row[:, :-1], lines.row),
            (column[1:], column[:-1], lines.column),
            (source[:rows][held_rows], row[held_rows, 0], lines.row + lines.driver),
            (source[rows:][held_columns], column[-1, held_columns], lines.column + lines.sense),
        ]
        tied = [np.stack([a.ravel(), b.ravel()]) for a, b, ohm in wires if ohm == 0]
        ends = np.concatenate(tied, axis=1) if tied else np.empty((2, 0), int)
        links = coo_array((np.ones(ends.shape[1]), tuple(ends)), shape=(count, count))
        self._count, label = connected_components(links, directed=False)
        self._row, self._column = label[row].ravel(), label[column].ravel()
        self._shape = rows, columns
        self._held = np.concatenate([held_rows, held_columns])
        self._fixed = label[source[self._held]]
        self._free = np.setdiff1d(np.concatenate([self._row, self._column]), self._fixed)
        self._wires = _laplacian(
            self._count,
            np.concatenate([label[a].ravel() for a, _, ohm in wires if ohm] or [_NONE]),
            np.concatenate([label[b].ravel() for _, b, ohm in wires if ohm] or [_NONE]),
            np.concatenate([np.full(a.size, 1 / ohm) for a, _, ohm in wires if ohm] or [_NONE]),
        )

    def solve(
        self, conductance: FloatArray, row_volts: FloatArray, column_volts: FloatArray
    ) -> Nodes:
        """Linear cells of `conductance` [rows, columns] in siemens.

        `row_volts` [..., rows] and `column_volts` [..., columns] are the sources'; those of lines
        that float are ignored.

        Raises:
            CelosiaError: a line floats and no cell connects it with anything.
        """
        volts = self._sources(row_volts, column_volts)
        matrix = self._matrix(conductance)
        volts[:, self._free] += self._correction(matrix, -volts @ matrix)
        across = self._across(volts)
        lead = np.broadcast_shapes(row_volts.shape[:-1], column_volts.shape[:-1])
        return self._nodes(volts, conductance * across, lead)

    def solve_curves(
        self, curves: CellCurrents, row_volts: FloatArray, column_volts: FloatArray
    ) -> Nodes:
        """Cells with any rising current-voltage curve, by Newton's method, for one bias.

        Raises:
            CelosiaError: as `solve`; or Newton's method doesn't settle.
        """
        volts = self._sources(row_volts, column_volts)
        matrix = self._matrix(curves(np.zeros(self._shape))[1])
        volts[:, self._free] += self._correction(matrix, -volts @ matrix)
        largest = np.abs(volts).max()
        for _ in range(_STEPS):
            currents, slope = curves(self._across(volts)[0])
            into = volts @ self._wires
            np.add.at(into[0], self._row, currents.ravel())
            np.subtract.at(into[0], self._column, currents.ravel())
            step = self._correction(self._matrix(slope), -into)
            volts[:, self._free] += step
            if np.abs(step).max(initial=0) <= _SETTLED * largest:
                across = self._across(volts)
                return self._nodes(volts, curves(across[0])[0][None], ())
        raise CelosiaError(
            f"the cells' current-voltage curves must let the array settle in {_STEPS} steps, "
            "and don't"
        )

    def _sources(self, row_volts: FloatArray, column_volts: FloatArray) -> FloatArray:
        """Potentials [biases, nodes] with the sources' in place, 0 elsewhere."""
        rows, columns = self._shape
        lead = np.broadcast_shapes(row_volts.shape[:-1], column_volts.shape[:-1])
        given = np.concatenate(
            [
                np.broadcast_to(row_volts, (*lead, rows)),
                np.broadcast_to(column_volts, (*lead, columns)),
            ],
            axis=-1,
        ).reshape(-1, rows + columns)
        volts = np.zeros((len(given), self._count))
        volts[:, self._fixed] = given[:, self._held]
        return volts

    def _matrix(self, conductance: FloatArray) -> csc_array:
        return self._wires + _laplacian(self._count, self._row, self._column, conductance.ravel())

    def _correction(self, matrix: csc_array, into: FloatArray) -> FloatArray:
        """Potentials [biases, free nodes] that let currents `into` [biases, nodes] flow."""
        if not self._free.size:
            return np.zeros((len(into), 0))
        try:
            # Twice as fast as the default order, and the matrix is symmetric and positive.
            factors = splu(
                csc_array(matrix[self._free][:, self._free]),
                permc_spec="MMD_AT_PLUS_A",
                diag_pivot_thresh=0,
                options={"SymmetricMode": True},
            )
        except RuntimeError:
            raise CelosiaError(
                "every line must be held by a source or connected by a cell; one isn't"
            ) from None
        return np.asarray(factors.solve(into[:, self._free].T).T)

    def _across(self, volts: FloatArray) -> FloatArray:
        return (volts[:, self._row] - volts[:, self._column]).reshape(-1, *self._shape)

    def _nodes(self, volts: FloatArray, currents: FloatArray, lead: tuple[int, ...]) -> Nodes:
        shape = (*lead, *self._shape)
        return Nodes(
            volts[:, self._row].reshape(shape),
            volts[:, self._column].reshape(shape),
            currents.reshape(shape),
        )


_NONE = np.empty(0, int)


def _laplacian(
    count: int, a: NDArray[np.int64], b: NDArray[np.int64], siemens: FloatArray
) -> csc_array:
    """The nodal matrix [count, count] of conductances between nodes `a` and nodes `b`."""
    values = np.concatenate([siemens, siemens, -siemens, -siemens])
    where = np.concatenate([a, b, a, b]), np.concatenate([a, b, b, a])
    return csc_array(coo_array((values, where), shape=(count, count)))
