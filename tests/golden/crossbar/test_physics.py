"""Physics behind the front-end port: pulses, reads and products."""

import dataclasses

import numpy as np
import pytest

from celosia.golden.crossbar.array.lines import Lines
from celosia.golden.crossbar.array.nodal import Network
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.devices.load import device_from_mapping, load_device
from celosia.golden.crossbar.front_end import BiasMode
from celosia.golden.crossbar.physics import CellFrontEnd, Physics
from celosia.golden.crossbar.programming import region
from celosia.golden.crossbar.recipe import limits_for
from celosia.golden.errors import CelosiaError

RADAR = load_device("hfox-radar")


def config_for(device, cell_bits=2, adc_bits=12, **sizes):
    return CrossbarConfig(
        **{"rows": 16, "outputs": 2, "spares": 0, "adcs": 1, **limits_for(device), **sizes},
        cell_bits=cell_bits,
        adc_bits=adc_bits,
    )


def test_a_front_end_of_cells():
    front_end = CellFrontEnd(config_for(RADAR, tiles=2), RADAR, 1)
    rows, columns = np.array([3, 5]), np.array([0, 9])
    assert (front_end.read(1, rows, columns) < 20).all()
    volts = np.full(2, 800)
    front_end.pulse(1, rows, columns, BiasMode.FORM, volts, volts, 100)
    assert (front_end.read(1, rows, columns) > 500).all()
    assert front_end.cells.formed.sum() == 2
    assert front_end.cells.formed[front_end.numbers(1, rows, columns)].all()
    with pytest.raises(
        CelosiaError, match=r"^mode must be SET, RESET or FORM for a pulse, not READ"
    ):
        front_end.pulse(0, rows, columns, BiasMode.READ, volts, volts, 100)


def test_codes_stop_at_the_converters_end():
    bright = dataclasses.replace(
        RADAR, window=dataclasses.replace(RADAR.window, high_us=50.0, full_scale_us=60.0)
    )
    front_end = CellFrontEnd(config_for(bright, adc_bits=8), bright, 1)
    rows, columns = region(0, 16, 0, 4)
    volts = np.full(len(rows), 800)
    front_end.pulse(0, rows, columns, BiasMode.FORM, volts, volts, 100)
    assert (front_end.read(0, rows, columns) == 255).mean() > 0.9


def physics(device, seed=1, **sizes):
    """A front end whose cells are at levels drawn at random, and the levels [rows, columns]."""
    config = config_for(device, 4, **{"adc_bits": 12, "rows": 64, "tiles": 2, **sizes})
    front_end = Physics(config, device, seed)
    rng = np.random.default_rng(seed)
    levels = rng.integers(0, config.levels, (2, config.rows, config.columns))
    targets = device.window.low_us + levels.ravel() * front_end.level_step_us
    front_end.cells.write(np.arange(len(front_end.cells)), targets)
    return front_end, levels


def test_products_of_the_ideal_device_are_sums_of_levels():
    front_end, levels = physics(load_device("ideal"))
    driven = np.random.default_rng(5).random((20, 64)) < 0.5
    for tile in range(2):
        codes, saturated = front_end.product(tile, driven, 4096, np.arange(20))
        np.testing.assert_array_equal(codes, driven.astype(int) @ levels[tile])
        assert not saturated.any()
    codes, saturated = front_end.product(1, driven, 4096 * 16, np.arange(20))
    np.testing.assert_array_equal(codes, np.minimum(driven.astype(int) @ levels[1] * 16, 4095))
    np.testing.assert_array_equal(saturated, codes == 4095)
    assert saturated.any()
    # A cell that changes shows in the next product.
    one = np.zeros((1, 64), bool)
    one[0, 3] = True
    front_end.cells.write(front_end.numbers(1, np.array([3]), np.array([2])), np.array([14.0]))
    assert front_end.product(1, one, 4096, np.array([0]))[0][0, 2] == 7


def test_noise_of_products_is_that_of_their_cells_and_of_nothing_else():
    quiet = {
        "programming_error": {"polynomial": [0.0]},
        "relaxation": [],
        "faults": {"stuck_low": 0.0, "stuck_high": 0.0},
    }
    front_end, levels = physics(device_from_mapping({"base": "hfox-neurram", **quiet}), rows=32)
    driven = np.ones((4000, 32), bool)
    sequence = np.arange(4000)
    codes, _ = front_end.product(0, driven, 4096 * 6, sequence)
    # 1 % of each conductance; a code is a sixth of a step of 2.6 uS, rounded.
    cells = 1.0 + levels[0] * 2.6
    sigma = np.sqrt(((0.01 * cells) ** 2).sum(axis=0)) / (2.6 / 6)
    np.testing.assert_allclose(codes.std(axis=0), np.sqrt(sigma**2 + 1 / 12), rtol=0.06)
    some = np.random.default_rng(1).permutation(4000)[:50]
    again, _ = front_end.product(0, driven[some], 4096 * 6, sequence[some])
    np.testing.assert_array_equal(again, codes[some])


@pytest.mark.parametrize(("ohm", "equal"), [(0.0, True), (20.0, False)])
def test_products_see_their_lines(ohm, equal):
    device, lines = load_device("ideal"), Lines(row=ohm, column=ohm / 2, driver=ohm, sense=ohm)
    ideal, _ = physics(device)
    front_end = Physics(ideal.config, device, 1, lines=lines)
    cells = np.arange(len(front_end.cells))
    front_end.cells.write(cells, ideal.cells.conductances(cells))
    driven = np.random.default_rng(6).random((10, 64)) < 0.5
    codes, _ = front_end.product(1, driven, 4096, np.arange(10))
    assert np.array_equal(codes, ideal.product(1, driven, 4096, np.arange(10))[0]) is equal
    # Every node of the array, solved another way.
    shape = ideal.config.rows, ideal.config.columns
    siemens = 1e-6 * ideal.cells.conductances(shape[0] * shape[1] + np.arange(np.prod(shape)))
    network = Network(lines, np.ones(shape[0], bool), np.ones(shape[1], bool))
    nodes = network.solve(siemens.reshape(shape), driven.astype(float), np.zeros(shape[1]))
    steps = nodes.column_currents * 1e6 / ideal.level_step_us
    assert np.abs(codes - steps).max() < 0.5 + 1e-6
