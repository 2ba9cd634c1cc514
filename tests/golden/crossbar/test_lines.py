"""Line resistance, against ngspice and a dense solve of the nodal equations."""

import importlib.util
import shutil

import numpy as np
import pytest
from scipy.linalg import solve
from support.scripts import load_script
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


@pytest.mark.parametrize(("size", "row", "column"), [(5, 1.0, 1.0), (5, 30.0, 2.0), (64, 1.0, 1.0)])
def test_badcrossbar_finds_the_same_currents(size, row, column):
    if importlib.util.find_spec("badcrossbar") is None:
        pytest.skip("badcrossbar isn't installed (pip install celosia[badcrossbar])")
    referee = load_script("badcrossbar_currents")
    conductance, volts = an_array(size, size, size)
    expected = referee.column_currents(conductance, volts, row, column)
    found = transfer(conductance, Lines(row=row, column=column)) @ volts
    assert relative(found, expected) < 1e-9
    longer = Lines(row=row, column=column, sense=column)
    assert relative(transfer(conductance, longer) @ volts, expected) > 1e-6


def dense(conductance, lines):
    """The transfer matrix from the nodal equations, as dense matrices: a row's nodes by themselves
    (no row touches another), then all nodes of all columns at once."""
    rows, columns = conductance.shape
    along = ladder(columns, lines.row, lines.row + lines.driver)
    row_nodes = np.linalg.inv(along + np.eye(columns) * conductance[:, None, :])
    matrix = np.zeros((rows, columns, rows, columns))
    source = np.zeros((rows, columns, rows))
    for r, siemens in enumerate(conductance):
        matrix[r, :, r] = np.diag(siemens) - siemens[:, None] * row_nodes[r] * siemens
        source[r, :, r] = siemens * row_nodes[r][:, 0] / (lines.row + lines.driver)
    down = ladder(rows, lines.column, lines.column + lines.sense)[::-1, ::-1]
    for c in range(columns):
        matrix[:, c, :, c] += down
    size = rows * columns
    nodes = solve(matrix.reshape(size, size), source.reshape(size, rows), assume_a="pos")
    return nodes[-columns:] / (lines.column + lines.sense)


def ladder(nodes, between, first):
    """The nodal matrix of a line: `first` ohm to the source, `between` ohm between neighbours."""
    links = np.diag(np.full(nodes - 1, 1 / between), 1)
    links += links.T
    matrix = np.diag(links.sum(axis=0)) - links
    matrix[0, 0] += 1 / first
    return matrix


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
