"""The physics behind the front-end port: tiles of device cells.

Cell (row, column) of a tile is number (tile * rows + row) * columns + column of the device's cells,
which is what its draws depend on.
"""

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import VOLTS_PER_CODE, CrossbarConfig
from celosia.golden.crossbar.devices.cells import DeviceCells, Polarity
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.front_end import BiasMode
from celosia.golden.errors import CelosiaError

POLARITIES = {
    BiasMode.SET: Polarity.SET,
    BiasMode.RESET: Polarity.RESET,
    BiasMode.FORM: Polarity.FORM,
}
"""What a bias mode does to the selected cell."""


class CellFrontEnd:
    """The writes and single-cell reads of a front end, on device cells.

    Args:
        config: sizes of the tiles and bits of the converter.
        device: what the cells are made of.
        seed: of everything that is drawn.

    Attributes:
        cells: state of all cells of all tiles.
    """

    def __init__(self, config: CrossbarConfig, device: Device, seed: int) -> None:
        self.config = config
        self.device = device
        self.cells = DeviceCells(device, config.tiles * config.rows * config.columns, seed)

    def numbers(
        self, tile: int, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """Numbers of cells (rows [n], columns [n]) of a tile."""
        return (tile * self.config.rows + rows) * self.config.columns + columns

    def pulse(
        self,
        tile: int,
        rows: NDArray[np.int64],
        columns: NDArray[np.int64],
        mode: BiasMode,
        word_line: NDArray[np.int64],
        line: NDArray[np.int64],
        width: int,
    ) -> None:
        """One write pulse to each of the cells (rows [n], columns [n], no cell twice).

        Raises:
            CelosiaError: mode is no write.
        """
        if mode not in POLARITIES:
            raise CelosiaError(f"mode must be SET, RESET or FORM for a pulse, not {mode.name}")
        self.cells.pulse(
            POLARITIES[mode],
            self.numbers(tile, rows, columns),
            word_line.astype(np.float64) * VOLTS_PER_CODE,
            line.astype(np.float64) * VOLTS_PER_CODE,
            width * self.device.window.width_unit_s,
        )

    def read(
        self, tile: int, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """One conversion of each cell (rows [n], columns [n], no cell twice): codes [n]."""
        found = self.cells.read(self.numbers(tile, rows, columns))
        return codes(found, self.device, self.config)


def codes(
    conductances: NDArray[np.float64], device: Device, config: CrossbarConfig
) -> NDArray[np.int64]:
    """Codes of range CELL for conductances in uS, of an ideal converter."""
    highest = (1 << config.adc_bits) - 1
    scaled = np.rint(conductances * (highest / device.window.full_scale_us))
    return np.clip(scaled, 0, highest).astype(np.int64)
