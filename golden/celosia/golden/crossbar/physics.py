"""The physics behind the front-end port: device cells on lines with or without resistance.

Cell (row, column) of a tile is number (tile * rows + row) * columns + column of the device's cells,
which is what its draws depend on.
"""

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.array.lines import Lines, transfer
from celosia.golden.crossbar.config import VOLTS_PER_CODE, CrossbarConfig
from celosia.golden.crossbar.converters import IDEAL_CONVERTERS, ConverterBank, Converters
from celosia.golden.crossbar.devices.cells import DeviceCells, Polarity
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.devices.draws import Purpose, normals
from celosia.golden.crossbar.front_end import GAIN_ONE, BiasMode
from celosia.golden.errors import CelosiaError

FloatArray = NDArray[np.float64]

POLARITIES = {
    BiasMode.SET: Polarity.SET,
    BiasMode.RESET: Polarity.RESET,
    BiasMode.FORM: Polarity.FORM,
}
"""What a bias mode does to the selected cell."""

NO_RESISTANCE = Lines(row=0.0, column=0.0)


class CellFrontEnd:
    """The writes and single-cell reads of a front end, on device cells.

    Args:
        config: sizes of the tiles and bits of the converter.
        device: what the cells are made of.
        seed: of everything that is drawn.
        converters: errors of its ADCs and drivers.

    Attributes:
        cells: state of all cells of all tiles.
    """

    def __init__(
        self,
        config: CrossbarConfig,
        device: Device,
        seed: int,
        *,
        converters: Converters = IDEAL_CONVERTERS,
    ) -> None:
        self.config = config
        self.device = device
        self._bank = ConverterBank(config, converters, seed)
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
        """One conversion of each cell (rows [n], columns [n], no cell twice): codes [n].

        The word lines of the other rows are off: their drivers don't show.
        """
        numbers = self.numbers(tile, rows, columns)
        access = self.cells.reads[numbers]
        highest = (1 << self.config.adc_bits) - 1
        currents = self.cells.read(numbers) * self._bank.selected(tile, rows)
        exact = currents * (highest / self.device.window.full_scale_us)
        return self._bank.reads(tile, exact, columns, numbers, access)


class Physics(CellFrontEnd):
    """A whole front end: the sums of cells, with their noise, as its converters give them.

    Args are those of `CellFrontEnd`, and the resistances of each tile's lines, which products see
    exactly; single cells are read and written as if there were none. A level step, the unit of a
    product's codes, is the window of the device divided by the levels of a cell less one.
    """

    def __init__(
        self,
        config: CrossbarConfig,
        device: Device,
        seed: int,
        *,
        lines: Lines = NO_RESISTANCE,
        converters: Converters = IDEAL_CONVERTERS,
    ) -> None:
        super().__init__(config, device, seed, converters=converters)
        # Conductances are in uS, so that resistances must be in megaohm.
        self._megaohm = Lines(
            **{field.name: getattr(lines, field.name) * 1e-6 for field in fields(lines)}
        )
        window = device.window
        self.level_step_us = (window.high_us - window.low_us) / (config.levels - 1)
        self._matrices: dict[int, tuple[int, FloatArray, FloatArray]] = {}

    def product(
        self,
        tile: int,
        driven: NDArray[np.bool_],
        gain: int,
        sequence: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """INTEGRATE of each row mask (driven [n, rows]) and CONVERT of all columns.

        The noise of a column is that of its driven cells together, drawn by (column, sequence);
        lines don't weaken it.
        Returns codes [n, columns] and whether each was saturated: at the converter's last code.
        """
        active = driven.any(axis=1)
        if not self._bank.quiet or active.all():
            found = self._codes(tile, driven, gain, sequence)
        else:
            found = np.zeros((len(driven), self.config.columns), np.int64)
            found[active] = self._codes(tile, driven[active], gain, sequence[active])
        return found, found == (1 << self.config.adc_bits) - 1

    def _codes(
        self,
        tile: int,
        driven: NDArray[np.bool_],
        gain: int,
        sequence: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        conductances, variances = self._matrix(tile)
        volts = self._bank.voltages(tile, driven)
        sums = volts @ conductances
        if variances.any():
            column = tile * self.config.columns + np.arange(self.config.columns)
            deviates = normals(self.cells.seed, Purpose.PRODUCT, column, sequence[:, None])
            sums += np.sqrt(volts**2 @ variances) * deviates
        sums *= gain / GAIN_ONE / self.level_step_us
        return self._bank.products(tile, sums, sequence)

    def _matrix(self, tile: int) -> tuple[FloatArray, FloatArray]:
        """What a driven row adds to each column, and its read variance, both [rows, columns] of a
        tile, kept until a cell changes."""
        if tile not in self._matrices or self._matrices[tile][0] != self.cells.changes:
            shape = (self.config.rows, self.config.columns)
            cells = tile * shape[0] * shape[1] + np.arange(shape[0] * shape[1])
            values = self.cells.conductances(cells)
            sigma = self.cells.read_sigma(cells, values)
            self._matrices[tile] = (
                self.cells.changes,
                np.ascontiguousarray(transfer(values.reshape(shape), self._megaohm).T),
                (sigma**2).reshape(shape),
            )
        return self._matrices[tile][1:]
