"""Every node of an array: Kirchhoff's law, sneak paths, and what a write does to other cells."""

import numpy as np
import pytest

from celosia.golden.crossbar.array.bias import cell_volts, line_volts
from celosia.golden.crossbar.array.lines import Lines, transfer
from celosia.golden.crossbar.array.nodal import Network
from celosia.golden.crossbar.front_end import Biasing, BiasMode
from celosia.golden.errors import CelosiaError

LINES = Lines(row=3.0, column=2.0, driver=20.0, sense=10.0)


def an_array(rows, columns, seed):
    print(f"seed {seed}")
    return np.random.default_rng(seed).uniform(1e-6, 100e-6, (rows, columns))


def imbalance(nodes, currents, row_volts, column_volts, held_rows, held_columns):
    """Largest current that gets lost at a node, as a share of the largest one."""
    along = np.empty((*currents.shape[:1], currents.shape[1] + 1))
    along[:, 0] = (row_volts - nodes.rows[:, 0]) / (LINES.row + LINES.driver) * held_rows
    along[:, 1:-1] = -np.diff(nodes.rows, axis=1) / LINES.row
    along[:, -1] = 0
    down = np.empty((currents.shape[0] + 1, currents.shape[1]))
    down[0] = 0
    down[1:-1] = -np.diff(nodes.columns, axis=0) / LINES.column
    down[-1] = (nodes.columns[-1] - column_volts) / (LINES.column + LINES.sense) * held_columns
    lost = [-np.diff(along, axis=1) - currents, np.diff(down, axis=0) - currents]
    return np.abs(lost).max() / np.abs(along).max()


@pytest.mark.parametrize("curved", [False, True])
def test_no_current_gets_lost_and_all_held_lines_multiply(curved):
    conductance = an_array(9, 7, 1)
    generator = np.random.default_rng(2)
    volts, ground = generator.uniform(-1, 1, 9), generator.uniform(-0.1, 0.1, 7)
    held_rows, held_columns = generator.random(9) < 0.7, generator.random(7) < 0.7
    network = Network(LINES, held_rows, held_columns)

    def curves(across):
        return conductance * np.sinh(3 * across) / 3, conductance * np.cosh(3 * across)

    if curved:
        nodes = network.solve_curves(curves, volts, ground)
        currents = curves(nodes.across)[0]
    else:
        nodes = network.solve(conductance, volts, ground)
        currents = conductance * nodes.across
    np.testing.assert_allclose(nodes.currents, currents, rtol=1e-12)
    assert imbalance(nodes, currents, volts, ground, held_rows, held_columns) < 1e-11
    floating = nodes.row_currents[~held_rows], nodes.column_currents[~held_columns]
    assert np.abs(np.concatenate(floating)).max() < 1e-11 * np.abs(currents).max()


@pytest.mark.parametrize("row", [0.0, 2.0])
@pytest.mark.parametrize("column", [0.0, 3.0])
@pytest.mark.parametrize("ends", [0.0, 50.0])
def test_all_lines_held_is_the_product_of_lines(row, column, ends):
    lines = Lines(row=row, column=column, driver=ends, sense=2 * ends)
    conductance = an_array(12, 10, 3)
    volts = np.random.default_rng(4).uniform(0, 0.2, (5, 12))
    network = Network(lines, np.ones(12, bool), np.ones(10, bool))
    nodes = network.solve(conductance, volts, np.zeros(10))
    np.testing.assert_allclose(
        nodes.column_currents, volts @ transfer(conductance, lines).T, rtol=1e-10
    )
    assert nodes.across.shape == (5, 12, 10)


def test_floating_lines_of_a_passive_array_let_current_sneak():
    # Two by two, no line resistance: the selected cell, and three others in series beside it.
    conductance = np.array([[1e-6, 40e-6], [50e-6, 60e-6]])
    held = np.array([True, False])
    network = Network(Lines(row=0.0, column=0.0), held, held)
    nodes = network.solve(conductance, np.array([0.2, 9.0]), np.zeros(2))
    sneak = 1 / (1 / 40e-6 + 1 / 50e-6 + 1 / 60e-6)
    assert nodes.row_currents[0] == pytest.approx(0.2 * (1e-6 + sneak), rel=1e-12)
    # Held at ground, the unselected row and column take nothing from what is sensed.
    grounded = Network(Lines(row=0.0, column=0.0), np.ones(2, bool), np.ones(2, bool))
    nodes = grounded.solve(conductance, np.array([0.2, 0.0]), np.zeros(2))
    assert nodes.column_currents[0] == pytest.approx(0.2 * 1e-6, rel=1e-12)


def test_a_line_that_nothing_holds_is_refused():
    conductance = np.zeros((2, 2))
    network = Network(LINES, np.array([True, False]), np.array([True, True]))
    with pytest.raises(CelosiaError, match=r"^every line must be held by a source or connected"):
        network.solve(conductance, np.ones(2), np.zeros(2))


def test_curves_that_never_settle_are_refused():
    def jumping(across):
        return np.where(across > 0.05, 1e-3, -1e-3), np.full_like(across, 1e-6)

    network = Network(Lines(row=1e3), np.ones(3, bool), np.ones(3, bool))
    with pytest.raises(CelosiaError, match=r"curves must let the array settle in 100 steps"):
        network.solve_curves(jumping, np.full(3, 0.2), np.zeros(3))


@pytest.mark.parametrize("mode", [BiasMode.SET, BiasMode.RESET])
@pytest.mark.parametrize(
    ("biasing", "crossed", "others"),
    [(Biasing.HALF, 1 / 2, 0), (Biasing.THIRD, 1 / 3, -1 / 3), (Biasing.TRANSISTOR, 0, 0)],
)
def test_shares_of_the_write_voltage_without_line_resistance(mode, biasing, crossed, others):
    conductance = an_array(5, 6, 5)
    lines = Lines(row=0.0, column=0.0)
    found = cell_volts(conductance, lines, biasing, mode, (3, 2), 1.5)
    expected = np.full((5, 6), float(others))
    expected[3], expected[:, 2], expected[3, 2] = crossed, crossed, 1
    sign = -1 if mode is BiasMode.RESET else 1
    np.testing.assert_allclose(found, 1.5 * sign * expected, atol=1e-12)


def test_half_selected_cells_lower_what_the_selected_one_gets():
    lines = Lines(row=5.0, column=5.0)
    far = (0, 31)
    for biasing in (Biasing.HALF, Biasing.THIRD):
        volts = [
            cell_volts(np.full((32, 32), siemens), lines, biasing, BiasMode.SET, far, 2.0)[far]
            for siemens in (1e-6, 30e-6, 100e-6)
        ]
        assert 2.0 > volts[0] > volts[1] > volts[2] > 1.0
    # In a 1T1R array only the cell's own current flows.
    only = cell_volts(np.full((32, 32), 1e-4), lines, Biasing.TRANSISTOR, BiasMode.RESET, far, 2.0)
    assert only[far] == pytest.approx(-2.0 / (1 + 1e-4 * 5.0 * 64), rel=1e-12)


def test_line_voltages_of_a_reset():
    rows, columns = line_volts((3, 2), Biasing.THIRD, BiasMode.RESET, (1, 0), 3.0)
    np.testing.assert_allclose(rows, [1, 3, 1])
    np.testing.assert_allclose(columns, [0, 2])
