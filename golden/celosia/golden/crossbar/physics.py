"""The physics behind the front-end port: device cells on lines with or without resistance.

Cell (row, column) of a tile is number (tile * rows + row) * columns + column of the device's cells,
which is what its draws depend on.
"""

from dataclasses import fields

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.array.bias import cell_volts
from celosia.golden.crossbar.array.lines import Lines, transfer
from celosia.golden.crossbar.array.reads import floating, rows_alone
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.converters import ConverterBank, Converters
from celosia.golden.crossbar.devices.cells import DeviceCells, Polarity
from celosia.golden.crossbar.devices.device import Device, Law
from celosia.golden.crossbar.devices.draws import Purpose, normals
from celosia.golden.crossbar.front_end import GAIN_ONE, Biasing, BiasMode
from celosia.golden.errors import CelosiaError

FloatArray = NDArray[np.float64]

POLARITIES = {
    BiasMode.SET: Polarity.SET,
    BiasMode.RESET: Polarity.RESET,
    BiasMode.FORM: Polarity.FORM,
}
"""What a bias mode does to the selected cell."""


class CellFrontEnd:
    """The writes and single-cell reads of a front end, on device cells.

    Cells see their lines as they are at the beginning of a pulse. A read drives the cell's row and
    has the columns at virtual ground; in a 1T1R array all other rows are off, in a passive one they
    are at ground, or float with the other columns if the device says so. In a passive array a write
    is a weaker pulse for cells that aren't selected, of the polarity that they see: with the same
    compliance (`word_line`) in the law `filament`, with a share of the gate voltage in the law
    `direct`, whose SET depends on nothing else.

    Args:
        config: sizes of the tiles and bits of the converter.
        device: what the cells are made of, and whether their array has transistors.
        seed: of everything that is drawn.
        lines: resistances of each tile's lines; the device's by default.
        converters: errors of its converters and drivers; the device's by default.

    Attributes:
        cells: state of all cells of all tiles.
        interacting: a write changes other cells too: the order of cells matters.
    """

    def __init__(
        self,
        config: CrossbarConfig,
        device: Device,
        seed: int,
        *,
        lines: Lines | None = None,
        converters: Converters | None = None,
    ) -> None:
        lines = device.lines if lines is None else lines
        converters = device.converters if converters is None else converters
        self.config = config
        self.device = device
        self.interacting = device.biasing != Biasing.TRANSISTOR
        self._bank = ConverterBank(config, converters, seed)
        # Conductances are in uS, so that resistances must be in megaohm.
        self._lines = Lines(
            **{field.name: getattr(lines, field.name) * 1e-6 for field in fields(lines)}
        )
        self.cells = DeviceCells(device, config.tiles * config.rows * config.columns, seed)
        self._reads: dict[int, tuple[int, FloatArray]] = {}

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
        """One write pulse to each of the cells (rows [n], columns [n], no cell twice), in a passive
        array one after the other.

        Raises:
            CelosiaError: mode is no write.
        """
        if mode not in POLARITIES:
            raise CelosiaError(f"mode must be SET, RESET or FORM for a pulse, not {mode.name}")
        gate_v, line_v = self._bank.write_volts(tile, word_line, line)
        width_s = width * self.device.window.width_unit_s
        if self.interacting:
            for row, column, gate, volts in zip(rows, columns, gate_v, line_v, strict=True):
                self._passive_pulse(tile, (row, column), mode, gate, volts, width_s)
            return
        cells = self.numbers(tile, rows, columns)
        if not self._lines.ideal:
            series = self._lines.series(self.config.rows, self.config.columns)[rows, columns]
            line_v = line_v / (1 + self.cells.conductances(cells) * series)
        self.cells.pulse(POLARITIES[mode], cells, gate_v, line_v, width_s)

    def read(
        self, tile: int, rows: NDArray[np.int64], columns: NDArray[np.int64]
    ) -> NDArray[np.int64]:
        """One conversion of each cell (rows [n], columns [n], no cell twice): codes [n].

        Drivers of other rows don't show: their word lines are off, or their errors are small.
        """
        numbers = self.numbers(tile, rows, columns)
        access = self.cells.reads[numbers]
        found = self.cells.read(numbers)
        if self.device.floating_reads or not self._lines.ideal:
            noise = found - self.cells.conductances(numbers)
            found = np.maximum(self._seen(tile, rows, columns) + noise, 0.0)
        highest = (1 << self.config.adc_bits) - 1
        currents = found * self._bank.selected(tile, rows)
        exact = currents * (highest / self.device.window.full_scale_us)
        return self._bank.reads(tile, exact, columns, numbers, access)

    def _passive_pulse(
        self,
        tile: int,
        cell: tuple[int, int],
        mode: BiasMode,
        gate_v: float,
        line_v: float,
        width_s: float,
    ) -> None:
        """A pulse to one cell, and what it is for all others of its tile."""
        # Only lines with resistance ask what cells conduct.
        known = (
            np.zeros((self.config.rows, self.config.columns))
            if self._lines.ideal
            else self._conductances(tile)
        )
        across = cell_volts(known, self._lines, self.device.biasing, mode, cell, line_v)
        volts = np.abs(across).ravel()
        gates = np.full(volts.size, gate_v)
        if self.device.law == Law.DIRECT and line_v:
            gates *= volts / line_v
        first = tile * volts.size
        chosen = cell[0] * across.shape[1] + cell[1]
        selected = np.arange(volts.size) == chosen
        self.cells.pulse(
            POLARITIES[mode],
            np.array([first + chosen]),
            np.array([gate_v]),
            volts[selected],
            width_s,
        )
        rising = Polarity.FORM if mode == BiasMode.FORM else Polarity.SET
        for polarity, which in ((rising, across > 0), (Polarity.RESET, across < 0)):
            others = np.flatnonzero(which.ravel() & ~selected)
            self.cells.disturb(polarity, first + others, gates[others], volts[others], width_s)

    def _seen(self, tile: int, rows: NDArray[np.int64], columns: NDArray[np.int64]) -> FloatArray:
        """What reads of cells [n] find, without noise, uS."""
        if not self.interacting:
            distinct, place = np.unique(rows, return_inverse=True)
            alone = rows_alone(
                self._conductances(tile)[distinct], distinct, self.config.rows, self._lines
            )
            return np.asarray(alone[place, columns])
        if tile not in self._reads or self._reads[tile][0] != self.cells.changes:
            conductances = self._conductances(tile)
            if self.device.floating_reads:
                found = floating(conductances, self._lines)
            else:
                found = transfer(conductances, self._lines).T
            self._reads[tile] = self.cells.changes, found
        return np.asarray(self._reads[tile][1][rows, columns])

    def _conductances(self, tile: int) -> FloatArray:
        """Of all cells of a tile [rows, columns], uS."""
        shape = self.config.rows, self.config.columns
        cells = tile * shape[0] * shape[1] + np.arange(shape[0] * shape[1])
        return self.cells.conductances(cells).reshape(shape)


class Physics(CellFrontEnd):
    """A whole front end: the sums of cells, with their noise, as its converters give them.

    Args are those of `CellFrontEnd`. In a product all rows are driven, those that are off to
    ground. A level step, the unit of a product's codes, is the window of the device divided by the
    levels of a cell less one.
    """

    def __init__(
        self,
        config: CrossbarConfig,
        device: Device,
        seed: int,
        *,
        lines: Lines | None = None,
        converters: Converters | None = None,
    ) -> None:
        super().__init__(config, device, seed, lines=lines, converters=converters)
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
            values = self._conductances(tile)
            cells = tile * values.size + np.arange(values.size)
            sigma = self.cells.read_sigma(cells, values.ravel())
            self._matrices[tile] = (
                self.cells.changes,
                np.ascontiguousarray(transfer(values, self._lines).T),
                (sigma**2).reshape(values.shape),
            )
        return self._matrices[tile][1:]
