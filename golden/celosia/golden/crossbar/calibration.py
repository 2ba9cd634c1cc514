"""Calibration of a tile: offset and gain of its columns, the converters' range, drift.

Offset and gain come from two points, in whole numbers: nothing driven, and rows driven in `parts`
masks, each of every `parts`-th row. Together these drive every row once, and each must stay inside
the converters' range; the fewer they are, the less is rounded. With Z the sum of 2^average codes of
a column with nothing driven, S that over all masks as well, and E what its levels should give,

    measured = S - parts * Z
    gain     = E * adc_gain * 2^average / (measured * 2^8)                       (Q12, rounded)
    offset   = -(Z * gain / 2^average)                                           (Q12, rounded)

where E is in 2^-LEAK_FRACTION level steps, and 2^8 is what remains of that, of GAIN_ONE and of Q12.
"""

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.corrections import (
    CORRECTION_FRACTION,
    CORRECTION_GAIN_BITS,
    CORRECTION_OFFSET_BITS,
    SCALE_BITS,
)
from celosia.golden.crossbar.front_end import GAIN_ONE
from celosia.golden.crossbar.mvm import (
    Integers,
    Multiplier,
    TileCorrection,
    driven_bits,
    gain_for,
    plain_correction,
    used_columns,
)
from celosia.golden.crossbar.settings import AVERAGE_MAXIMUM
from celosia.golden.errors import CelosiaError

LEAK_FRACTION = 8
"""Fractional bits of what a cell of level 0 conducts, in level steps."""
SMALLEST_SUM = 16
"""Columns of fewer level steps keep a gain of one: noise would be all of what is measured, and
there is little to be corrected."""
GAIN_SHIFT = (GAIN_ONE.bit_length() - 1) + LEAK_FRACTION - CORRECTION_FRACTION
"""What remains of LEAK_FRACTION, of GAIN_ONE and of Q12 in the divisor of a gain."""
_RANGE_STEPS = 3


@dataclass(frozen=True)
class Measurement:
    """What a tile conducts.

    Attributes:
        zero: sums of 2^average codes of each column with nothing driven [columns].
        total: sums over all masks less as many zeros: 2^average times the column's code if every
            row could be driven at once [columns].
        saturated: columns that were at the converters' end [columns].
        average: logarithm of the conversions of each mask.
    """

    zero: Integers
    total: Integers
    saturated: NDArray[np.bool_]
    average: int


def measure(
    multiplier: Multiplier, tile: int, adc_gain: int, *, parts: int = 4, average: int = 3
) -> Measurement:
    """Drive nothing, then every `parts`-th row in turn, 2^average times each.

    Raises:
        CelosiaError: `parts` isn't a power of two from 1 to the number of rows, or `average` isn't
            from 0 to 6.
    """
    rows = multiplier.config.rows
    if parts not in [1 << k for k in range(rows.bit_length())]:
        raise CelosiaError(f"parts must be a power of two from 1 to {rows}, not {parts!r}")
    if average not in range(AVERAGE_MAXIMUM + 1):
        raise CelosiaError(
            f"average must be an integer from 0 to {AVERAGE_MAXIMUM}, not {average!r}"
        )
    masks = np.zeros((parts + 1, rows), bool)
    masks[1 + np.arange(rows) % parts, np.arange(rows)] = True
    codes, saturated = multiplier.probe(tile, adc_gain, np.repeat(masks, 1 << average, axis=0))
    sums = codes.reshape(parts + 1, 1 << average, -1).sum(axis=1)
    zero, driven = sums[0], sums[1:].sum(axis=0)
    at_end = np.logical_or.reduce(saturated, axis=0)
    return Measurement(zero, driven - parts * zero, at_end, average)


def measure_unsaturated(
    multiplier: Multiplier, tile: int, adc_gain: int, *, average: int = 3
) -> Measurement:
    """`measure` in as few parts as keep every column inside the converters' range.

    Raises:
        CelosiaError: as `measure` does.
    """
    parts = 1
    while True:
        found = measure(multiplier, tile, adc_gain, parts=parts, average=average)
        if not found.saturated.any() or parts == multiplier.config.rows:
            return found
        parts *= 2


def calibrate(
    correction: TileCorrection, measurement: Measurement, levels: Integers, *, leak: int = 0
) -> tuple[TileCorrection, NDArray[np.bool_]]:
    """The correction with offset and gain of every column as measured.

    Args:
        correction: of the tile when it was measured.
        measurement: from `measure`.
        levels: what the cells were programmed to [rows, columns].
        leak: what a cell of level 0 conducts, in 2^-LEAK_FRACTION level steps.

    Returns:
        The correction, and the columns [columns] that couldn't be calibrated: they saturated, or
        their gain or offset is beyond its width. These, and columns that conduct hardly anything,
        keep a gain of one, and lose their offset all the same.
    """
    return calibrate_columns(correction, measurement, levels.sum(axis=0), len(levels), leak)


def calibrate_columns(
    correction: TileCorrection, measurement: Measurement, sums: Integers, rows: int, leak: int
) -> tuple[TileCorrection, NDArray[np.bool_]]:
    """`calibrate` with the sum of the levels of each column [columns], of so many rows."""
    expected = (sums << LEAK_FRACTION) + rows * leak
    numerator = expected * correction.adc_gain << measurement.average
    divisor = np.maximum(measurement.total, 1) << GAIN_SHIFT
    gain = (2 * numerator + divisor) // (2 * divisor)
    tried = expected >= SMALLEST_SUM << LEAK_FRACTION
    good = (measurement.total > 0) & ~measurement.saturated & (gain < 1 << CORRECTION_GAIN_BITS)
    gain = np.where(tried & good, gain, 1 << CORRECTION_FRACTION)
    half = (1 << measurement.average) >> 1
    offset = -((measurement.zero * gain + half) >> measurement.average)
    lowest = -(1 << (CORRECTION_OFFSET_BITS - 1))
    failed = (tried & ~good) | (offset < lowest)
    return replace(correction, gain=gain, offset=np.maximum(offset, lowest)), failed


def range_for(
    multiplier: Multiplier,
    tile: int,
    inputs: NDArray[np.int8],
    unsigned: bool,
    outputs: Integers | None = None,
    *,
    share: float = 0.0,
) -> int:
    """The gain code at which at most a share of the conversions of these inputs saturates.

    Starts at the gain at which nothing can, and takes the codes' own range from there.

    Args:
        multiplier, tile: the programmed tile.
        inputs: int8 vectors like those to come [n, rows].
        unsigned: how they are driven.
        outputs: physical outputs in use [outputs]; those of a tile as it was made, if left out.
        share: of conversions that may saturate, and are issued again in halves of the rows.

    Raises:
        CelosiaError: there are no inputs.
    """
    config = multiplier.config
    if not len(inputs):
        raise CelosiaError("inputs must be at least one vector, not none")
    correction = plain_correction(config)
    if outputs is not None:
        correction = replace(correction, outputs=outputs)
    used = used_columns(correction, config)
    driven = driven_bits(inputs, unsigned).reshape(-1, config.rows)
    gain = gain_for(config.rows * (config.levels - 1), config)
    for _ in range(_RANGE_STEPS):
        codes, _ = multiplier.probe(tile, gain, driven)
        highest = float(np.quantile(codes[:, used], 1 - share, method="higher"))
        # Half a code more, since that is what rounding may have taken.
        gain = gain_for((highest + 0.5) * GAIN_ONE / gain, config)
    return gain


def drift_compensated(
    correction: TileCorrection, before: Measurement, now: Measurement, config: CrossbarConfig
) -> TileCorrection:
    """The correction with its scale multiplied by what the tile has lost since.

    Args:
        correction: of the tile, as it was when `before` was measured.
        before, now: of the same gain, masks and average.
        config: sizes.

    Raises:
        CelosiaError: the tile conducts nothing, or so little that the scale has no room for it.
    """
    used = used_columns(correction, config)
    then, today = int(before.total[used].sum()), int(now.total[used].sum())
    if then <= 0 or today <= 0:
        raise CelosiaError(f"a tile must conduct before and now, not {then} and {today} codes")
    scale, shift = correction.scale * then, correction.shift
    while (2 * scale + today) // (2 * today) >= 1 << SCALE_BITS:
        if not shift:
            raise CelosiaError(f"a tile must keep more of its {then} codes than {today}")
        shift -= 1
        today *= 2
    return replace(correction, scale=(2 * scale + today) // (2 * today), shift=shift)
