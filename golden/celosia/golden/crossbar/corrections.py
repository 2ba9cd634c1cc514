"""The tables that turn a tile's codes into sums, as they are sent to the controller."""

from collections.abc import Iterable, Iterator
from enum import IntEnum
from typing import NamedTuple

from celosia.golden.crossbar.front_end import GAIN_BITS

CORRECTION_FRACTION = 12
"""Fractional bits of a column's gain and offset."""
CORRECTION_GAIN_BITS = 14
"""Width of a column's gain: below 4."""
CORRECTION_OFFSET_BITS = 20
"""Width of a column's offset, signed: up to 127 codes."""
SCALE_BITS = 16
"""Width of a tile's scale."""
SHIFT_BITS = 6
"""Width of a tile's shift."""
LEVEL_SUM_BITS = 12
"""Width of a column's sum of levels: 256 rows of 15."""


class CorrectionField(IntEnum):
    """What an entry is: of a column, of a tile, or of an output of it. Reset leaves all entries."""

    COLUMN_GAIN = 0
    """Q12 factor of a column's codes; `place` is the column."""
    COLUMN_OFFSET = 1
    """Q12 offset that is added for each of its conversions, two's complement."""
    ADC_GAIN = 2
    """Gain code of a tile's conversions; `place` is 0, here and below."""
    SCALE = 3
    """From corrected codes to units of input x weight."""
    SHIFT = 4
    """Places that this is shifted down by, halves rounded up."""
    OUTPUT = 5
    """Physical output that stands for logical output `place`."""
    LEVELS = 6
    """Sum of the levels that the cells of column `place` were programmed to: CALIBRATE compares
    with it. Products don't need it."""


WIDTHS: dict[CorrectionField, int] = {
    CorrectionField.COLUMN_GAIN: CORRECTION_GAIN_BITS,
    CorrectionField.COLUMN_OFFSET: CORRECTION_OFFSET_BITS,
    CorrectionField.ADC_GAIN: GAIN_BITS,
    CorrectionField.SCALE: SCALE_BITS,
    CorrectionField.SHIFT: SHIFT_BITS,
    CorrectionField.OUTPUT: 7,
    CorrectionField.LEVELS: LEVEL_SUM_BITS,
}
"""Width of each on its way to the controller."""
VALUE_BITS = max(WIDTHS.values())


class CorrectionWrite(NamedTuple):
    """One entry: the field, the tile, the place in it, and the value's bits."""

    field: CorrectionField
    tile: int
    place: int
    value: int


def bits_of(field: CorrectionField, value: int) -> int:
    """The value as it is sent."""
    return value & ((1 << WIDTHS[field]) - 1)


def table(field: CorrectionField, tile: int, values: Iterable[int]) -> Iterator[CorrectionWrite]:
    """The entries of a field, from place 0 on."""
    for place, value in enumerate(values):
        yield CorrectionWrite(field, tile, place, bits_of(field, value))
