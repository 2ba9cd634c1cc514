"""The host's address space folded into a window of a system-on-chip's bus.

A region of the memory map has 256 MiB, whatever it holds. The window gives every region the same,
smallest power of two that all of them fit in: region r begins at `r << offset_bits`, and offsets in
a region are those of the memory map.
"""

from celosia.golden.config import NpuConfig
from celosia.golden.memory_map import (
    MEMORIES,
    REGION_SHIFT,
    WORD_BYTES,
    Counter,
    Region,
    Register,
    memory_geometry,
)

REGION_BITS = (len(Region) - 1).bit_length()
"""Bits of a region's number in a window's address."""


def offset_bits(config: NpuConfig) -> int:
    """Bits of a byte's address in a region of the window."""
    if config.crossbar is not None:
        return REGION_SHIFT  # its tables' addresses have fields up to the top
    sizes = [Register.COUNTERS + len(Counter) * WORD_BYTES]
    for region in MEMORIES:
        geometry = memory_geometry(config, region)
        sizes.append(geometry.depth * geometry.stride_words * WORD_BYTES)
    return (max(sizes) - 1).bit_length()


def window_bytes(config: NpuConfig) -> int:
    """Size of the window, to which its base on the bus must be aligned."""
    return 1 << (offset_bits(config) + REGION_BITS)


def window_address(config: NpuConfig, address: int) -> int:
    """Where in the window the byte at `address` of the memory map stands."""
    region, offset = divmod(address, 1 << REGION_SHIFT)
    return region << offset_bits(config) | offset
