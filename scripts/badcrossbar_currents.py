"""Currents of an array with line resistance as badcrossbar solves it, which we didn't write."""

import logging

import badcrossbar
import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]


def column_currents(
    conductance: FloatArray, volts: FloatArray, row: float, column: float
) -> FloatArray:
    """A [columns] out of cells [rows, columns] in siemens on rows at `volts` [rows]; a segment of
    a row and of a column has `row` and `column` ohm."""
    logging.getLogger("badcrossbar").setLevel(logging.WARNING)  # it reports every step
    solution = badcrossbar.compute(
        volts[:, None],
        1 / conductance,
        r_i_word_line=row,
        r_i_bit_line=column,
        node_voltages=False,
        all_currents=False,
    )
    return np.ravel(solution.currents.output)
