"""How often a network on crossbar tiles is right, under some conditions and with some remedies.

Tiles are written as whole programmings leave them, and all samples run at once. The golden machine
gives the same bytes on the same tiles.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.crossbar import converters_for, peak_sums
from celosia.compiler.crossbar_batch import CrossbarBatch
from celosia.compiler.program import Program
from celosia.golden.crossbar.array.lines import Lines
from celosia.golden.crossbar.calibration import (
    Measurement,
    calibrate,
    drift_compensated,
    measure_unsaturated,
)
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.converters import Converters
from celosia.golden.crossbar.devices.device import Device
from celosia.golden.crossbar.mapping import Levels, levels_of
from celosia.golden.crossbar.mvm import (
    Integers,
    Multiplier,
    TileCorrection,
    gain_for,
    plain_correction,
)
from celosia.golden.crossbar.physics import Physics
from celosia.golden.crossbar.remapping import FREE, levels_around, outputs_around
from celosia.golden.crossbar.repair import placed, repaired
from celosia.golden.crossbar.writing import leak_of, write_levels
from celosia.golden.graph import Graph
from celosia.golden.machine import AnalogTiles

FIRST_S = 1.0
"""Seconds after programming at which tiles are calibrated, and drift is measured from."""


@dataclass(frozen=True, kw_only=True)
class Conditions:
    """What the tiles are made of, and when they are used: `seconds` after programming.

    `spares` are spare outputs of each tile; those of its configuration where None. `lines` and
    `converters` are the device's own where None.
    """

    device: Device
    cell_bits: int = 4
    adc_bits: int = 8
    spares: int | None = None
    lines: Lines | None = None
    converters: Converters | None = None
    seconds: float = FIRST_S


@dataclass(frozen=True, kw_only=True)
class Remedies:
    """What is done about it.

    Attributes:
        fitted_range: converters' ranges are those of the sums that occur, else of any sum.
        columns: gain and offset of each column are measured, one second after programming.
        drift: each tile's scale follows what the tile has lost since then.
        spares: REPAIR puts spare outputs in the place of those with most stuck cells.
        remapped: outputs are where stuck cells matter least, and the other cells of a weight make
            up for the stuck ones.
    """

    fitted_range: bool = True
    columns: bool = False
    drift: bool = False
    spares: bool = False
    remapped: bool = False


class Network:
    """A network with layers on the crossbar, samples for it, and what is right for each.

    Args:
        graph: the network.
        program: compiled with `chosen` on the crossbar.
        chosen: outputs of the operators that are there.
        inputs: samples of each input, stacked along dimension 0.
        labels: the right class of each sample [samples].
        calibration: samples that set the converters' ranges.

    Raises:
        CelosiaError: the network can't run in crossbar batches.
    """

    def __init__(
        self,
        graph: Graph,
        program: Program,
        chosen: Collection[str],
        inputs: Sequence[NDArray[Any]],
        labels: NDArray[np.int64],
        calibration: Sequence[Sequence[NDArray[Any]]],
    ) -> None:
        self._program, self._inputs, self._labels = program, inputs, labels
        self._calibration = calibration
        self._batch = CrossbarBatch(graph, program, chosen, len(labels))
        self._weights = [tile.weights for tile in program.crossbar]
        self._peaks: dict[int, list[int]] = {}

    def accuracy(self, conditions: Conditions, remedies: Remedies, seed: int) -> float:
        """The share of the samples that are right, with all draws from this seed.

        Raises:
            CelosiaError: the sizes can't be.
        """
        outputs = self._batch.run(self._inputs, self.tiles(conditions, remedies, seed))
        guesses = outputs[0].reshape(len(self._labels), -1).argmax(axis=1)
        return float((guesses == self._labels).mean())

    def tiles(self, conditions: Conditions, remedies: Remedies, seed: int) -> AnalogTiles:
        """The tiles as they are used.

        Raises:
            CelosiaError: the sizes can't be.
        """
        config = self._sizes(conditions)
        physics = Physics(
            config,
            conditions.device,
            seed,
            lines=conditions.lines,
            converters=conditions.converters,
        )
        places, levels = self._written(physics, remedies)
        write_levels(physics, levels)
        multiplier = Multiplier(physics, config)
        peaks = [config.rows * (config.levels - 1)] * config.tiles
        if remedies.fitted_range:
            peaks = self._peaks_of(config)
        corrections = [
            replace(plain_correction(config, gain_for(peak, config)), outputs=outputs)
            for peak, outputs in zip(peaks, places, strict=True)
        ]
        physics.cells.wait(min(FIRST_S, conditions.seconds))
        if remedies.columns:
            corrections = [
                self._calibrated(multiplier, tile, correction, levels[tile])
                for tile, correction in enumerate(corrections)
            ]
        before = self._measured(multiplier, corrections) if remedies.drift else None
        physics.cells.wait(max(conditions.seconds - FIRST_S, 0.0))
        if before is not None:
            now = self._measured(multiplier, corrections)
            corrections = [
                drift_compensated(correction, then, today, config)
                for correction, then, today in zip(corrections, before, now, strict=True)
            ]
        return AnalogTiles(multiplier, corrections)

    def _sizes(self, conditions: Conditions) -> CrossbarConfig:
        sizes = self._program.config.crossbar
        assert sizes is not None
        resized = replace(
            sizes,
            tiles=len(self._weights),
            cell_bits=conditions.cell_bits,
            adc_bits=conditions.adc_bits,
            spares=sizes.spares if conditions.spares is None else conditions.spares,
            adcs=1,
        )
        columns = resized.columns
        adcs = converters_for(columns) if columns % sizes.adcs else sizes.adcs
        return replace(resized, adcs=adcs)

    def _written(self, physics: Physics, remedies: Remedies) -> tuple[list[Integers], list[Levels]]:
        """Physical outputs of each tile, and levels of its cells."""
        config, cells = physics.config, physics.cells
        held = np.full(len(cells), FREE)
        held[cells.stuck_low] = 0
        held[cells.stuck_high] = config.levels - 1
        places, levels = [], []
        for weights, stuck in zip(
            self._weights, held.reshape(config.tiles, config.rows, config.columns), strict=True
        ):
            if remedies.remapped:
                outputs = outputs_around(weights, stuck, config)
                around = levels_around(weights, stuck, outputs, config)
                # What stuck cells hold is meant: the calibration of columns is to leave it.
                wanted = np.where(stuck == FREE, around, stuck)
            else:
                outputs = np.arange(config.outputs)
                if remedies.spares:
                    outputs = repaired(stuck != FREE, config)
                wanted = placed(levels_of(weights, config), outputs, config)
            places.append(outputs)
            levels.append(wanted)
        return places, levels

    def _peaks_of(self, config: CrossbarConfig) -> list[int]:
        if config.cell_bits not in self._peaks:
            sized = replace(self._program, config=replace(self._program.config, crossbar=config))
            self._peaks[config.cell_bits] = peak_sums(sized, self._calibration)
        return self._peaks[config.cell_bits]

    def _calibrated(
        self, multiplier: Multiplier, tile: int, correction: TileCorrection, levels: Levels
    ) -> TileCorrection:
        assert isinstance(multiplier.front_end, Physics)
        found = measure_unsaturated(multiplier, tile, correction.adc_gain)
        leak = leak_of(multiplier.front_end.device, multiplier.front_end.config)
        return calibrate(correction, found, levels, leak=leak)[0]

    def _measured(
        self, multiplier: Multiplier, corrections: Sequence[TileCorrection]
    ) -> list[Measurement]:
        return [
            measure_unsaturated(multiplier, tile, correction.adc_gain)
            for tile, correction in enumerate(corrections)
        ]
