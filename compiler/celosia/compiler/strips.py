"""Strips: how the depthwise engine sees a window, and the chunks that it can take at a time.

A strip's columns are columns of the image or, turned, its rows: the engine takes T columns of a
window at a time, and so does better with one long side along them, or fits only so.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.layers import Chunk, Pair, Window
from celosia.compiler.layout import ceil_div
from celosia.golden.config import DEPTHWISE_STRIP_ROWS, DEPTHWISE_WORDS, NpuConfig
from celosia.golden.isa import Depthwise, DepthwiseWindow


@dataclass(frozen=True)
class Strip:
    """A window in the engine's terms: pairs are (along a strip's column, from column to column)."""

    turned: bool
    kernel: Pair
    stride: Pair
    groups: int

    @property
    def steps(self) -> int:
        """Cycles that an output takes."""
        return self.kernel[0] * self.groups

    def outputs(self, chunk: Chunk) -> Pair:
        """Rows and columns of a chunk's outputs."""
        return self.along((chunk.rows, chunk.columns))

    def along(self, pair: Pair) -> Pair:
        """A pair (along the image's columns, along its rows) in the strip's order; its inverse."""
        return (pair[1], pair[0]) if self.turned else pair

    def size(self, outputs: Pair) -> Pair:
        """Rows and columns of the strip under some outputs."""
        return (
            (outputs[0] - 1) * self.stride[0] + self.kernel[0],
            (outputs[1] - 1) * self.stride[1] + self.kernel[1],
        )

    def most_outputs(self, config: NpuConfig) -> Pair:
        """Largest outputs of an instruction along each side; their product is limited as well."""
        rows = (DEPTHWISE_STRIP_ROWS - self.kernel[0]) // self.stride[0] + 1
        columns = (Depthwise.limits("strip_columns")[1] - self.kernel[1]) // self.stride[1] + 1
        half = config.accumulator_depth // 2
        return min(rows, half), min(columns, half, Depthwise.limits("columns")[1])

    def words(self, config: NpuConfig, weights: NDArray[np.int8]) -> bytes:
        """Weights [kernel height, kernel width, C] as LOAD_DEPTHWISE takes them."""
        taps = config.depthwise_taps
        grid = weights.transpose(1, 0, 2) if self.turned else weights
        missing = self.groups * taps - grid.shape[1]
        grid = np.pad(grid, ((0, 0), (0, missing), (0, 0)))
        return grid.reshape(len(grid), self.groups, taps, -1).transpose(1, 0, 2, 3).tobytes()


def strip_of(config: NpuConfig, window: Window, *, turned: bool) -> Strip:
    """The strip of a window, whether or not the engine can take it."""
    kernel, stride = window.size, window.stride
    if turned:
        kernel, stride = kernel[::-1], stride[::-1]
    return Strip(turned, kernel, stride, ceil_div(kernel[1], config.depthwise_taps))


def possible_strips(config: NpuConfig, window: Window, multiplier: int) -> Sequence[Strip]:
    """The strips of a window that the engine can take."""
    if not config.depthwise_taps or window.dilation != (1, 1):
        return []
    if multiplier > DepthwiseWindow.limits("multiplier")[1]:
        return []
    strips = (strip_of(config, window, turned=turned) for turned in (True, False))
    return [
        strip
        for strip in strips
        if strip.kernel[0] <= DEPTHWISE_STRIP_ROWS
        and strip.kernel[1] <= config.depthwise_columns
        and strip.steps <= DEPTHWISE_WORDS
        and max(strip.stride) <= DepthwiseWindow.limits("stride_y")[1]
    ]
