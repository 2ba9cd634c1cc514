"""Line resistance, against ngspice, badcrossbar and a dense solve of the nodal equations."""

import logging
import shutil

import numpy as np
import pytest
from scipy.linalg import solve
from support.spice import NGSPICE, column_currents

from celosia.golden.crossbar.array.lines import Lines, transfer
from celosia.golden.errors import CelosiaError

RESISTANCES = [
    Lines(row=0.1, column=0.1),
    Lines(row=1.0, column=1.0),
    Lines(row=5.6, column=1.9),  # 22 nm of the notes' list
    Lines(row=2.0, column=50.0, driver=100.0, sense=30.0),
]


def an_array(rows, columns, seed):
    print(f"seed {seed}")
    generator = np.random.default_rng(seed)
    return (
        generator.uniform(1e-6, 100e-6, (rows, columns)),
        generator.uniform(0, 0.2, rows),
    )


def relative(found, expected):
    return np.abs(found / expected - 1).max()


@pytest.mark.parametrize("size", [16, 32])
@pytest.mark.parametrize("lines", RESISTANCES, ids=str)
def test_ngspice_finds_the_same_currents(size, lines, tmp_path):
    if shutil.which(NGSPICE) is None:
        pytest.skip("ngspice isn't installed (Debian: apt install ngspice)")
    conductance, volts = an_array(size, size, size)
    expected = column_currents(
        conductance, volts, lines.row, lines.column, lines.driver, lines.sense, tmp_path
    )
    assert relative(transfer(conductance, lines) @ volts, expected) < 1e-9
    # The comparison notices one segment more or less.
    without = Lines(row=lines.row, column=lines.column, driver=lines.driver + lines.row)
    assert relative(transfer(conductance, without) @ volts, expected) > 1e-6


@pytest.mark.parametrize("size", [16, 64])
def test_badcrossbar_finds_the_same_currents(size):
    badcrossbar = pytest.importorskip("badcrossbar", reason="badcrossbar isn't installed")
    logging.getLogger().setLevel(logging.WARNING)  # it logs to standard output
    conductance, volts = an_array(size, size, size)
    solution = badcrossbar.compute(
        volts[:, None],
        1 / conductance,
        r_i_word_line=1.5,
        r_i_bit_line=0.7,
        node_voltages=False,
        all_currents=False,
    )
    found = transfer(conductance, Lines(row=1.5, column=0.7)) @ volts
    assert relative(found, np.ravel(solution.currents.output)) < 1e-9


def dense(conductance, lines):
    """The transfer matrix from the nodal equations as a textbook has them, solved densely."""
    rows, columns = conductance.shape
    size = rows * columns
    matrix = np.zeros((2 * size, 2 * size))

    def resistor(ohm, a, b=None):
        matrix[a, a] += 1 / ohm
        if b is not None:
            matrix[b, b] += 1 / ohm
            matrix[a, b] -= 1 / ohm
            matrix[b, a] -= 1 / ohm

    for r in range(rows):
        for c in range(columns):
            word = r * columns + c
            bit = size + word
            resistor(1 / conductance[r, c], word, bit)
            if c == 0:
                resistor(lines.row + lines.driver, word)
            else:
                resistor(lines.row, word, word - 1)
            if r == rows - 1:
                resistor(lines.column + lines.sense, bit)
            else:
                resistor(lines.column, bit, bit + columns)
    source = np.zeros((2 * size, rows))
    source[np.arange(rows) * columns, np.arange(rows)] = 1 / (lines.row + lines.driver)
    nodes = solve(matrix, source, assume_a="pos", overwrite_a=True)
    return nodes[size + (rows - 1) * columns :] / (lines.column + lines.sense)


@pytest.mark.parametrize(("rows", "columns"), [(1, 1), (1, 9), (9, 1), (5, 7), (20, 36), (40, 33)])
def test_any_shape_equals_a_dense_solve(rows, columns):
    conductance, _ = an_array(rows, columns, rows + columns)
    lines = Lines(row=3.0, column=2.0, driver=20.0, sense=10.0)
    assert relative(transfer(conductance, lines), dense(conductance, lines)) < 1e-9


def test_64_by_64_equals_a_dense_solve():
    conductance, _ = an_array(64, 64, 64)
    assert relative(transfer(conductance, Lines()), dense(conductance, Lines())) < 1e-9


def test_cells_that_conduct_nothing_change_nothing():
    conductance, _ = an_array(20, 12, 3)
    conductance[:, 8:] = 0
    conductance[:4] = 0
    lines = Lines(row=3.0, column=2.0)
    found = transfer(conductance, lines)
    assert not found[8:].any()
    assert not found[:, :4].any()
    np.testing.assert_allclose(found[:8, 4:], transfer(conductance[4:, :8], lines), rtol=1e-12)


def test_lines_without_resistance_are_a_product_and_the_limit_of_small_ones():
    conductance, _ = an_array(40, 24, 5)
    ideal = transfer(conductance, Lines(row=0.0, column=0.0))
    np.testing.assert_array_equal(ideal, conductance.T)
    for lines in (
        Lines(row=1e-12, column=0.0),
        Lines(row=0.0, column=1e-12),
        Lines(row=0.0, column=0.0, driver=1e-12, sense=1e-12),
    ):
        assert relative(transfer(conductance, lines), ideal) < 1e-12


@pytest.mark.parametrize("value", [-1.0, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["row", "column", "driver", "sense"])
def test_resistances_are_checked(name, value):
    with pytest.raises(
        CelosiaError, match=f"^{name} resistance must be 0 ohm or more, not {value!r}$"
    ):
        Lines(**{name: value})
