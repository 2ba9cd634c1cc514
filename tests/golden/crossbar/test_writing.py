"""Whole programmings of tiles."""

import numpy as np

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.devices.load import device_from_mapping, load_device
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.writing import leak_of, write_levels

CONFIG = CrossbarConfig(tiles=3, rows=16, outputs=2, spares=1, adcs=1)


def test_cells_are_at_their_levels():
    rng = np.random.default_rng(1)
    levels = rng.integers(0, CONFIG.levels, (2, CONFIG.rows, CONFIG.columns))
    device = device_from_mapping(
        {"base": "ideal", "window": {"low_us": 3.0, "high_us": 33.0, "full_scale_us": 40.0}}
    )
    physics = Physics(CONFIG, device, 1)
    write_levels(physics, list(levels))
    found = physics.cells.conductances().reshape(3, CONFIG.rows, CONFIG.columns)
    assert np.allclose(found[:2], 3 + 2 * levels)
    assert not physics.cells.formed[2 * levels[0].size :].any()
    assert leak_of(physics.device, physics.config) == 3 * 256 // 2


def test_errors_are_the_devices():
    device = load_device("sonos")
    physics = Physics(CONFIG, device, 1)
    levels = np.full((CONFIG.rows, CONFIG.columns), 15)
    write_levels(physics, [levels] * 3)
    found = physics.cells.conductances()
    sigma = float(device.programming_error(np.array([16.0]))[0])
    good = ~(physics.cells.stuck_low | physics.cells.stuck_high)
    assert abs(found[good].mean() - 16) < 0.05
    assert 0.8 * sigma < found[good].std() < 1.2 * sigma
    assert leak_of(physics.device, physics.config) == 0
