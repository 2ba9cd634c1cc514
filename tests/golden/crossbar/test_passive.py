"""Passive arrays and single cells on real lines: what reads find, and what writes do elsewhere."""

import dataclasses
import shutil

import numpy as np
import pytest
from support.spice import NGSPICE, node_volts

from celosia.golden.crossbar.array.bias import cell_volts, line_volts
from celosia.golden.crossbar.array.lines import Lines, transfer
from celosia.golden.crossbar.array.reads import floating, rows_alone
from celosia.golden.crossbar.commands import Scheme
from celosia.golden.crossbar.config import VOLTS_PER_CODE, CrossbarConfig
from celosia.golden.crossbar.devices.cells import DeviceCells, Polarity
from celosia.golden.crossbar.devices.load import device_from_mapping, load_device
from celosia.golden.crossbar.front_end import Biasing, BiasMode
from celosia.golden.crossbar.physics import CellFrontEnd
from celosia.golden.crossbar.programming import CellResults, Programmer, region
from celosia.golden.crossbar.recipe import limits_for, settings_for
from celosia.golden.crossbar.settings import Setting

LINES = Lines(row=3.0, column=2.0, driver=20.0, sense=10.0)
NONE = Lines(row=0.0, column=0.0)
PASSIVE = [Biasing.HALF, Biasing.THIRD]


def an_array(rows, columns, seed):
    print(f"seed {seed}")
    return np.random.default_rng(seed).uniform(1e-6, 100e-6, (rows, columns))


def dense(conductance, row_volts, column_volts, lines):
    """V [rows, columns] of each cell's two ends from the whole nodal matrix; NaN: a line floats."""
    rows, columns = conductance.shape
    cells = rows * columns
    on_row, on_column = np.arange(2 * cells).reshape(2, rows, columns)
    matrix, into = np.zeros((2 * cells, 2 * cells)), np.zeros(2 * cells)

    def link(a, b, siemens):
        for i, j in ((a, b), (b, a)):
            matrix[i, i] += siemens
            matrix[i, j] -= siemens

    def hold(node, volts, siemens):
        if not np.isnan(volts):
            matrix[node, node] += siemens
            into[node] += siemens * volts

    for r in range(rows):
        hold(on_row[r, 0], row_volts[r], 1 / (lines.row + lines.driver))
        for c in range(columns):
            link(on_row[r, c], on_column[r, c], conductance[r, c])
            if c:
                link(on_row[r, c - 1], on_row[r, c], 1 / lines.row)
            if r:
                link(on_column[r - 1, c], on_column[r, c], 1 / lines.column)
    for c in range(columns):
        hold(on_column[-1, c], column_volts[c], 1 / (lines.column + lines.sense))
    volts = np.linalg.solve(matrix, into)
    return volts[on_row], volts[on_column]


def sensed(conductance, cell, lines, others):
    """Siemens that a read of a cell finds by `dense`: others at ground, or floating."""
    shape = conductance.shape
    row_volts, column_volts = (np.full(size, others) for size in shape)
    row_volts[cell[0]], column_volts[cell[1]] = 1.0, 0.0
    _, columns = dense(conductance, row_volts, column_volts, lines)
    return columns[-1, cell[1]] / (lines.column + lines.sense)


@pytest.mark.parametrize("cell", [(0, 0), (8, 6), (3, 5)])
def test_reads_are_those_of_a_dense_solve(cell):
    conductance = an_array(9, 7, 1)
    found = floating(conductance, LINES)[cell]
    assert found == pytest.approx(sensed(conductance, cell, LINES, np.nan), rel=1e-9)
    assert found > 1.3 * conductance[cell] or conductance[cell] > 50e-6
    grounded = transfer(conductance, LINES).T[cell]
    assert grounded == pytest.approx(sensed(conductance, cell, LINES, 0.0), rel=1e-9)
    # 1T1R: the cells of all other rows are cut off, those of its own row aren't.
    alone = rows_alone(conductance[[cell[0]]], np.array([cell[0]]), 9, LINES)[0, cell[1]]
    off = np.where(np.arange(9)[:, None] == cell[0], conductance, 1e-18)
    assert alone == pytest.approx(sensed(off, cell, LINES, 0.0), rel=1e-9)
    assert alone != pytest.approx(grounded, rel=1e-6)


@pytest.mark.parametrize("lines", [Lines(row=0.0, column=2.0), Lines(row=3.0, column=0.0), NONE])
def test_lines_without_resistance_are_the_limit_of_small_ones(lines):
    conductance = an_array(6, 5, 2)
    small = Lines(row=lines.row or 1e-6, column=lines.column or 1e-6)
    rows = np.arange(6)
    np.testing.assert_allclose(
        floating(conductance, lines), floating(conductance, small), rtol=1e-8
    )
    np.testing.assert_allclose(
        rows_alone(conductance, rows, 6, lines), rows_alone(conductance, rows, 6, small), rtol=1e-8
    )


def test_cells_that_conduct_nothing_part_a_floating_array():
    conductance = np.zeros((4, 5))
    conductance[:2, :2] = [[1e-6, 2e-6], [3e-6, 4e-6]]
    conductance[2, 3] = 7e-6
    found = floating(conductance, NONE)
    assert found[2, 3] == pytest.approx(7e-6, rel=1e-12)
    sneak = 1 / (1 / 2e-6 + 1 / 3e-6 + 1 / 4e-6)
    assert found[0, 0] == pytest.approx(1e-6 + sneak, rel=1e-12)
    linked = np.zeros((4, 5), bool)
    linked[:2, :2] = linked[2, 3] = True
    assert np.array_equal(found > 0, linked)


@pytest.mark.parametrize("what", ["floating", Biasing.HALF, Biasing.THIRD])
def test_ngspice_finds_the_same(what, tmp_path):
    if shutil.which(NGSPICE) is None:
        pytest.skip("ngspice isn't installed (Debian: apt install ngspice)")
    conductance, cell = an_array(16, 16, 3), (2, 11)
    if what == "floating":
        volts = [np.full(16, np.nan), np.full(16, np.nan)]
        volts[0][cell[0]], volts[1][cell[1]] = 1.0, 0.0
    else:
        volts = line_volts((16, 16), what, BiasMode.SET, cell, 2.0)
    rows, columns = node_volts(conductance, *volts, 3.0, 2.0, 20.0, 10.0, tmp_path)
    if what == "floating":
        current = columns[-1, cell[1]] / (LINES.column + LINES.sense)
        assert floating(conductance, LINES)[cell] == pytest.approx(current, rel=1e-9)
    else:
        found = cell_volts(conductance, LINES, what, BiasMode.SET, cell, 2.0)
        np.testing.assert_allclose(found, columns - rows, rtol=0, atol=2e-9)
        assert np.abs(found).max() < 2.0


# On the front end.

IDEAL = load_device("ideal")


def front_end(device, lines=NONE, rows=8, **sizes):
    config = CrossbarConfig(
        rows=rows, outputs=2, spares=0, cell_bits=4, adcs=1, adc_bits=12, tiles=2,
        **{**limits_for(device), **sizes},
    )  # fmt: skip
    found = CellFrontEnd(config, device, 3, lines=lines)
    found.cells.form()
    return found


def biased(biasing, base="ideal", **changes):
    return device_from_mapping({"base": base, "biasing": biasing.name.lower(), **changes})


def one(value):
    return np.array([value])


def pulse(found, row, column, mode, gate, line, width=100):
    codes = (one(round(volts / VOLTS_PER_CODE)) for volts in (gate, line))
    found.pulse(1, one(row), one(column), mode, *codes, width)


def test_half_of_a_strong_pulse_moves_the_cells_of_both_lines():
    found = front_end(biased(Biasing.HALF))
    shape = found.config.rows, found.config.columns
    pulse(found, 2, 5, BiasMode.SET, 2.5, 2.0)
    left = found.cells.conductances().reshape(2, *shape)
    expected = np.zeros((2, *shape))
    # Half of 2.5 V on the gate aims at level 2.5 of 0 to 15, which is 5 uS.
    expected[1, 2] = expected[1, :, 5] = 5.0
    expected[1, 2, 5] = 30.0
    np.testing.assert_allclose(left, expected, rtol=1e-12)
    # Half of a RESET of 2.4 V aims at level 13: only the selected cell is above.
    pulse(found, 2, 5, BiasMode.RESET, 3.0, 2.4)
    expected[1, 2, 5] = 2.0
    np.testing.assert_allclose(found.cells.conductances().reshape(2, *shape), expected, rtol=1e-12)


def test_a_third_is_seen_backwards_by_the_rest():
    found = front_end(biased(Biasing.THIRD))
    everything = np.arange(len(found.cells))
    found.cells.write(everything, np.full(len(everything), 20.0))
    shape = found.config.rows, found.config.columns
    # A third of 3.3 V is 1.1 V: a RESET to level 14 does nothing, a SET to level 1 neither.
    pulse(found, 2, 5, BiasMode.SET, 2.1, 3.3)
    expected = np.full((2, *shape), 20.0)
    expected[1, 2, 5] = 22.0
    np.testing.assert_allclose(found.cells.conductances().reshape(2, *shape), expected, rtol=1e-12)
    # In a RESET of 5.1 V others see a SET of 1.7 V, half-selected ones a RESET to level 8.
    pulse(found, 2, 5, BiasMode.RESET, 5.1, 5.1)
    expected[1, 2], expected[1, :, 5] = 16.0, 16.0
    expected[1, 2, 5] = 0.0
    np.testing.assert_allclose(found.cells.conductances().reshape(2, *shape), expected, rtol=1e-12)


@pytest.mark.parametrize("biasing", PASSIVE)
@pytest.mark.parametrize("lines", [NONE, LINES])
@pytest.mark.parametrize("mode", [BiasMode.SET, BiasMode.RESET])
def test_each_cell_answers_to_the_voltage_across_it(mode, lines, biasing):
    """The law of the device, cell by cell, with the voltages of the nodal solve."""
    found = front_end(biased(biasing, "hfox-neurram"), lines)
    count = len(found.cells)
    generator = np.random.default_rng(4)
    found.cells.write(np.arange(count), generator.uniform(2, 38, count))
    twin = DeviceCells(found.device, count, 3)
    twin.form()
    twin.write(np.arange(count), np.zeros(count))
    twin.programmed[:] = found.cells.programmed
    shape, cell = (found.config.rows, found.config.columns), (2, 5)
    first = shape[0] * shape[1]
    siemens = 1e-6 * found.cells.conductances()[first:].reshape(shape)
    volts = cell_volts(siemens, lines, biasing, mode, cell, 3.0).ravel()
    pulse(found, *cell, mode, 2.75, 3.0)
    for number, across in enumerate(volts):
        if abs(across) > 1e-9:
            polarity = Polarity.RESET if across < 0 else Polarity.SET
            twin.disturbances[first + number] += number != cell[0] * shape[1] + cell[1]
            twin.pulses[first + number] -= number != cell[0] * shape[1] + cell[1]
            width = 100 * found.device.window.width_unit_s
            twin.pulse(polarity, one(first + number), one(2.75), one(abs(across)), width)
    np.testing.assert_allclose(found.cells.programmed, twin.programmed, rtol=1e-9)
    moved = (found.cells.programmed != found.cells.programmed[0])[first:]
    assert moved.sum() > shape[0]


def test_what_a_pulse_leaves_alone_has_not_noticed_it():
    found = front_end(biased(Biasing.HALF, "hfox-neurram"))
    cells = np.arange(len(found.cells))
    found.cells.write(cells, np.full(len(cells), 30.0))
    found.cells.wait(10.0)
    before, cycles = found.cells.conductances(), found.cells.cycles.copy()
    pulse(found, 2, 5, BiasMode.RESET, 5.0, 1.3)  # half of it is below any cell's threshold
    changed = np.flatnonzero(found.cells.conductances() != before)
    number = int(found.numbers(1, 2, 5))
    assert set(changed) <= {number}
    assert np.array_equal(np.delete(found.cells.cycles, number), np.delete(cycles, number))
    assert found.cells.disturbances.sum() == found.config.rows + found.config.columns - 2


def test_draws_of_disturbances_differ_from_each_other_and_from_pulses():
    """Many half pulses creep further than one, and what one didn't move another does."""
    found = front_end(biased(Biasing.HALF, "hfox-neurram"), rows=64)
    cells = np.arange(len(found.cells))
    found.cells.write(cells, np.full(len(cells), 10.0))
    column = found.numbers(1, np.delete(np.arange(64), 2), np.full(63, 5))
    states = [found.cells.programmed[column]]
    for _ in range(6):
        pulse(found, 2, 5, BiasMode.SET, 2.2, 3.0)
        states.append(found.cells.programmed[column])
    moved = np.diff(states, axis=0) > 0
    assert (~moved[:-1] & moved[1:]).any()
    means = [state.mean() for state in states[1:]]
    assert means[0] > 10.5
    assert means == sorted(means)
    assert means[-1] > means[0] + 0.1


def test_forming_disturbs_formed_cells_and_forms_no_others():
    device = biased(Biasing.HALF, "hfox-neurram")
    config = CrossbarConfig(rows=8, outputs=2, spares=0, cell_bits=4, adcs=1, **limits_for(device))
    found = CellFrontEnd(config, device, 3)
    codes = one(1000)
    found.pulse(0, one(1), one(1), BiasMode.FORM, codes, one(800), 100)
    formed = int(found.numbers(0, 1, 1))
    assert np.flatnonzero(found.cells.formed).tolist() == [formed]
    found.cells.write(one(formed), one(2.0))
    found.pulse(0, one(1), one(3), BiasMode.FORM, codes, one(800), 100)
    assert found.cells.formed.sum() == 2
    assert found.cells.conductances(one(formed))[0] > 10.0
    # Twice a cell's own forming voltage forms its neighbours as well.
    low = dataclasses.replace(device, forming=dataclasses.replace(device.forming, mean_v=1.8))
    found = CellFrontEnd(config, low, 3)
    found.pulse(0, one(1), one(1), BiasMode.FORM, codes, one(800), 100)
    assert 10 < found.cells.formed.sum() < 23


@pytest.mark.parametrize("lines", [NONE, LINES])
def test_reads_see_lines_and_what_sneaks(lines):
    rows, columns = region(0, 8, 0, 8)
    read = {}
    for name, device in {
        "1t1r": IDEAL,
        "grounded": biased(Biasing.HALF),
        "floating": biased(Biasing.HALF, floating_reads=True),
    }.items():
        found = front_end(device, lines)
        cells = np.arange(len(found.cells))
        found.cells.write(cells, np.random.default_rng(5).integers(1, 6, len(cells)) * 1.0)
        read[name] = found.read(1, rows, columns) * (30.0 / 4095)
        conductance = found.cells.conductances()[64:].reshape(8, 8)
        scaled = Lines(**{key: value * 1e-6 for key, value in vars(lines).items()})
        expected = {
            "1t1r": rows_alone(conductance, np.arange(8), 8, scaled),
            "grounded": transfer(conductance, scaled).T,
            "floating": floating(conductance, scaled),
        }[name]
        np.testing.assert_allclose(read[name], expected.ravel(), atol=0.51 * 30 / 4095)
    assert (read["floating"] > read["grounded"] + 1).all()
    # A write shows in the next read of its neighbours.
    before = found.read(1, one(0), one(0))
    found.cells.write(np.array([64 + 9]), one(30.0))
    assert found.read(1, one(0), one(0)) > before


def test_lines_take_voltage_from_a_write():
    """1T1R: what a cell's own current drops along its lines."""
    lines = Lines(row=100.0, column=100.0)
    near, far = front_end(IDEAL), front_end(IDEAL, lines)
    for found in (near, far):
        found.cells.write(np.arange(128), np.full(128, 30.0))
        pulse(found, 0, 7, BiasMode.RESET, 3.0, 2.0)
    cell = 64 + 7
    # 2 V less 30 uS times 1,600 ohm: the RESET stops 2 V / 1.048 / 0.1 V levels below the top.
    assert near.cells.conductances(one(cell))[0] == pytest.approx(10.0)
    volts = 2.0 / (1 + 30e-6 * 1600)
    assert far.cells.conductances(one(cell))[0] == pytest.approx(30 - (volts - 1.0) * 20)


def programmed(device, rows, columns, levels):
    found = front_end(device)
    settings = settings_for(device, found.config, Scheme.STEP)
    assert settings.scalars[Setting.BIASING] == device.biasing
    results = Programmer(found, found.config, settings).program(1, rows, columns, levels)
    return found, results


def test_a_third_of_ideal_cells_is_as_good_as_transistors():
    rows, columns = region(0, 8, 0, 8)
    levels = np.random.default_rng(6).integers(0, 16, 64)
    transistor, expected = programmed(IDEAL, rows, columns, levels)
    third, results = programmed(biased(Biasing.THIRD), rows, columns, levels)
    for name in CellResults.__dataclass_fields__:
        assert np.array_equal(getattr(results, name), getattr(expected, name)), name
    assert np.array_equal(third.cells.conductances(), transistor.cells.conductances())
    half, results = programmed(biased(Biasing.HALF), rows, columns, levels)
    assert (results.result == 0).all()
    off = np.abs(half.cells.conductances()[64:] - 2.0 * levels)
    assert 0.1 < (off > 0.5).mean() < 0.9


@pytest.mark.parametrize("command", ["form", "program", "scrub", "bist"])
def test_cells_that_change_each_other_are_taken_in_turn(command):
    device = biased(Biasing.HALF, "hfox-neurram")
    rows, columns = region(0, 4, 0, 4)
    levels = np.random.default_rng(7).integers(0, 16, 16)
    both = [front_end(device), front_end(device)]
    settings = settings_for(device, both[0].config, Scheme.STEP)
    together, alone = (Programmer(found, found.config, settings) for found in both)

    def given(which):
        targets = (levels[which],) if command in ("program", "scrub") else ()
        return (1, rows[which], columns[which], *targets)

    results = getattr(together, command)(*given(slice(None)))
    for number in range(16):
        result = getattr(alone, command)(*given(slice(number, number + 1)))
        for name in CellResults.__dataclass_fields__:
            assert getattr(result, name)[0] == getattr(results, name)[number], name
    assert np.array_equal(both[0].cells.conductances(), both[1].cells.conductances())
