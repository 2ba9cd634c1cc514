"""The crossbar's time: a product after the other, on the emulator."""

from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.config import INPUT_BITS

ROWS_PER_CYCLE = 8
"""Rows that the NPU's emulator sums in a cycle."""
INTEGRATE_CYCLES = 6
"""From a bit to its first conversion, beside the rows' sums."""
CONVERT_CYCLES = 4
"""Of a group, from strobe to strobe."""
PRODUCT_CYCLES = 2
"""Of a product beside its bits and the vectors that it takes."""
FIRST_PRODUCT_CYCLES = 57
"""Of an instruction's first product: its tile is looked up, and the sums of the last one before it
are corrected."""


def product_cycles(config: NpuConfig) -> int:
    """Cycles of a product whose bits are all issued once, beside the vectors that it takes."""
    tiles = config.crossbar
    assert tiles is not None
    bit = -(-tiles.rows // ROWS_PER_CYCLE) + INTEGRATE_CYCLES + tiles.groups * CONVERT_CYCLES
    return INPUT_BITS * bit + PRODUCT_CYCLES
