"""Pruning: zeros where the array can leave out whole weight tiles."""

from celosia.compiler.pruning.blocks import BlockedLayer, blocked_layers
from celosia.compiler.pruning.mask_files import read_masks, write_masks
from celosia.compiler.pruning.masks import Masks, magnitude_masks, masked
from celosia.compiler.pruning.refit import refitted

__all__ = [
    "BlockedLayer",
    "Masks",
    "blocked_layers",
    "magnitude_masks",
    "masked",
    "read_masks",
    "refitted",
    "write_masks",
]
