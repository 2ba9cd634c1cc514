"""Tiles as whole programmings leave them, for those who don't care about pulses."""

from collections.abc import Sequence

import numpy as np

from celosia.golden.crossbar.calibration import LEAK_FRACTION
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.mapping import Levels
from celosia.golden.crossbar.physics import Physics


def write_levels(physics: Physics, levels: Sequence[Levels]) -> None:
    """Put tiles, from tile 0 on, at their levels [rows, columns], with the device's error.

    Levels lie `level_step_us` apart from the window's low end on, whatever windows are published.
    """
    for tile, wanted in enumerate(levels):
        cells = tile * wanted.size + np.arange(wanted.size)
        targets = (
            physics.device.window.low_us + wanted.ravel().astype(np.float64) * physics.level_step_us
        )
        physics.cells.write(cells, targets)


def leak_of(device: Device, config: CrossbarConfig) -> int:
    """What a cell of level 0 conducts, in the unit that calibration takes it in."""
    window = device.window
    steps = window.low_us / (window.high_us - window.low_us) * (config.levels - 1)
    return round(steps * (1 << LEAK_FRACTION))
