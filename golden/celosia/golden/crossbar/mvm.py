"""The product of a tile and int8 vectors, in the controller's integers, on any front end.

Inputs are driven bit by bit; each bit is one INTEGRATE of the rows whose bit is set and one
conversion of every column. A bit of which a column in use saturates is issued
again in two halves of the rows, whose codes add up. Per column a code is corrected,

    corrected = code * gain + offset          (Q12; `offset` counts once for each conversion)

and per output the corrected codes of all bits and slices add up, positive columns less negative
ones, or those of the output less those of the reference (`mapping`),

    partial = sum over bits b and slices s of +-2^b * 2^(cell_bits * s) * (added - subtracted)

which a scale brings to units of input x weight, halves rounded up:
(partial * scale + half) >> shift.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import INPUT_BITS, CrossbarConfig
from celosia.golden.crossbar.corrections import (
    CORRECTION_FRACTION,
    SCALE_BITS,
    CorrectionField,
    CorrectionWrite,
    table,
)
from celosia.golden.crossbar.front_end import GAIN_BITS, GAIN_ONE, FrontEnd, Part
from celosia.golden.crossbar.mapping import columns_of, sides_of

Integers = NDArray[np.int64]

PRODUCT_SHIFT = 5
"""Bits of `sequence` below the number of the product: input bit (3) and part (2)."""

_CHUNK = 1 << 16  # codes at a time: what is computed of them stays in a processor's cache


@dataclass(frozen=True)
class TileCorrection:
    """What turns a tile's codes into sums.

    Attributes:
        adc_gain: gain code of its conversions.
        scale, shift: from corrected codes to units of input x weight.
        gain, offset: of every column [columns], Q12.
        outputs: physical output that stands for each logical one [outputs].
    """

    adc_gain: int
    scale: int
    shift: int
    gain: Integers
    offset: Integers
    outputs: Integers

    def writes(self, tile: int) -> Iterator[CorrectionWrite]:
        """What is sent to the controller for a tile."""
        for field_, values in (
            (CorrectionField.COLUMN_GAIN, self.gain.tolist()),
            (CorrectionField.COLUMN_OFFSET, self.offset.tolist()),
            (CorrectionField.ADC_GAIN, [self.adc_gain]),
            (CorrectionField.SCALE, [self.scale]),
            (CorrectionField.SHIFT, [self.shift]),
            (CorrectionField.OUTPUT, self.outputs.tolist()),
        ):
            yield from table(field_, tile, values)


@dataclass
class Telemetry:
    """Counts of products and of what they took; `probes` of the products were row masks."""

    products: int = 0
    probes: int = 0
    integrations: int = 0
    conversions: int = 0
    reissues: int = 0
    saturations: int = 0


@dataclass
class Multiplier:
    """Products on a front end, numbered from 0 on.

    Attributes:
        front_end, config: the tiles.
        telemetry: counts so far.
    """

    front_end: FrontEnd
    config: CrossbarConfig
    telemetry: Telemetry = field(default_factory=Telemetry)

    def multiply(
        self,
        tile: int,
        correction: TileCorrection,
        inputs: NDArray[np.int8],
        unsigned: bool,
        numbers: Integers | None = None,
    ) -> NDArray[np.int32]:
        """Sums [n, outputs] of int8 vectors [n, rows] by a tile.

        With `unsigned` the inputs are driven as x + 128. Sums beyond int32 end at its limits.
        `numbers` [n] are those of the products, where they aren't made in their order.
        """
        if numbers is None:
            numbers = self.telemetry.products + np.arange(len(inputs))
        at_once = max(1, _CHUNK // (INPUT_BITS * self.config.columns))
        parts = [
            self._multiply(
                tile,
                correction,
                inputs[first : first + at_once],
                unsigned,
                numbers[first : first + at_once],
            )
            for first in range(0, len(inputs), at_once)
        ]
        if not parts:
            return np.empty((0, self.config.outputs), np.int32)
        return np.concatenate(parts)

    def probe(
        self, tile: int, adc_gain: int, driven: NDArray[np.bool_]
    ) -> tuple[Integers, NDArray[np.bool_]]:
        """Codes [n, columns] of row masks [n, rows] as they are, and whether each saturated.

        Each counts as a product of which only the first bit is driven.
        """
        counts = self.telemetry
        number = counts.products + np.arange(len(driven))
        counts.products += len(driven)
        counts.probes += len(driven)
        counts.integrations += len(driven)
        counts.conversions += len(driven) * self.config.columns
        sequence = (number << PRODUCT_SHIFT) & 0xFFFF_FFFF
        return self.front_end.product(tile, driven, adc_gain, sequence | Part.WHOLE)

    def _multiply(
        self,
        tile: int,
        correction: TileCorrection,
        inputs: NDArray[np.int8],
        unsigned: bool,
        numbers: Integers,
    ) -> NDArray[np.int32]:
        bits = driven_bits(inputs, unsigned)
        number = numbers[:, None] * INPUT_BITS + np.arange(INPUT_BITS)
        # The number of a product has as many bits as the port's `sequence` leaves it.
        sequence = (number << 2) & 0xFFFF_FFFF
        codes, conversions = self._convert(
            tile, correction, bits.reshape(-1, self.config.rows), sequence.reshape(-1)
        )
        self.telemetry.products += len(inputs)
        corrected = codes * correction.gain
        if correction.offset.any():
            corrected += conversions[:, None] * correction.offset
        return combine(
            corrected.reshape(len(inputs), INPUT_BITS, -1), correction, self.config, unsigned
        )

    def _convert(
        self, tile: int, correction: TileCorrection, driven: NDArray[np.bool_], sequence: Integers
    ) -> tuple[Integers, Integers]:
        """Codes [n, columns] of row masks [n, rows], and how many conversions made each mask's."""
        counts, used = self.telemetry, used_columns(correction, self.config)
        codes, saturated = self.front_end.product(
            tile, driven, correction.adc_gain, sequence | Part.WHOLE
        )
        again: NDArray[np.bool_] = np.zeros(len(driven), bool)
        if saturated.any():
            again = np.logical_or.reduce(saturated[:, used], axis=1)
        issues = len(driven) + 2 * int(again.sum())
        counts.integrations += issues
        counts.conversions += issues * self.config.columns
        counts.reissues += int(again.sum())
        if again.any():
            half = self.config.rows // 2
            codes = codes.copy()
            codes[again] = 0
            for part, rows in ((Part.LOWER, slice(0, half)), (Part.UPPER, slice(half, None))):
                masked = np.zeros_like(driven[again])
                masked[:, rows] = driven[again][:, rows]
                more, saturated = self.front_end.product(
                    tile, masked, correction.adc_gain, sequence[again] | part
                )
                codes[again] += more
                counts.saturations += int(saturated[:, used].sum())
        return codes, np.where(again, 2, 1)


def driven_bits(inputs: NDArray[np.int8], unsigned: bool) -> NDArray[np.bool_]:
    """The rows that each bit of vectors [n, rows] drives: [n, bits, rows]."""
    raw = inputs.view(np.uint8) ^ (0x80 if unsigned else 0)
    return (raw[:, None, :] >> np.arange(INPUT_BITS, dtype=np.uint8)[:, None] & 1).astype(bool)


def used_columns(correction: TileCorrection, config: CrossbarConfig) -> NDArray[np.bool_]:
    """Whether each column belongs to an output in use, or to the reference [columns]."""
    used = np.arange(config.columns) >= config.reference
    for output in correction.outputs:
        used[columns_of(int(output), config)] = True
    return used


def combine(
    corrected: Integers, correction: TileCorrection, config: CrossbarConfig, unsigned: bool
) -> NDArray[np.int32]:
    """Sums [n, outputs] of corrected codes [n, bits, columns]."""
    columns = corrected[:, -1] if unsigned else -corrected[:, -1]
    for bit in reversed(range(INPUT_BITS - 1)):
        columns = 2 * columns + corrected[:, bit]
    added, subtracted = sides_of(columns, config)
    weight = 1 << (config.cell_bits * np.arange(config.slices))
    partial = ((added - subtracted)[:, correction.outputs] * weight).sum(axis=2)
    half = 1 << correction.shift >> 1
    scaled = (partial * correction.scale + half) >> correction.shift
    limits = np.iinfo(np.int32)
    sums: NDArray[np.int32] = np.clip(scaled, limits.min, limits.max).astype(np.int32)
    return sums


def plain_correction(config: CrossbarConfig, adc_gain: int = GAIN_ONE) -> TileCorrection:
    """The correction of a tile whose converters are ideal: only the gain is taken back.

    Codes are level sums x adc_gain / GAIN_ONE, so that partials, in Q12, are products x adc_gain.
    """
    shift = SCALE_BITS - 1 + (adc_gain - 1).bit_length()
    return TileCorrection(
        adc_gain=adc_gain,
        scale=min(((1 << shift) + adc_gain // 2) // adc_gain, (1 << SCALE_BITS) - 1),
        shift=shift,
        gain=np.full(config.columns, 1 << CORRECTION_FRACTION, np.int64),
        offset=np.zeros(config.columns, np.int64),
        outputs=np.arange(config.outputs),
    )


def gain_for(peak: float, config: CrossbarConfig) -> int:
    """The gain code at which a level sum of `peak` just doesn't saturate, at most GAIN_ONE.

    Above GAIN_ONE there is nothing to be resolved: level sums are whole numbers.
    """
    highest = (1 << config.adc_bits) - 2
    return max(1, min(GAIN_ONE, int(GAIN_ONE * highest / max(peak, 1)), (1 << GAIN_BITS) - 1))
