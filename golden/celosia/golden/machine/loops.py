"""What MATRIX and POST share: nested loops over addresses and coordinates, and chunks of sums."""

import math
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError
from celosia.golden.isa import (
    ADDRESS_BITS,
    COORDINATE_BITS,
    LOOP_LEVELS,
    Depthwise,
    Drain,
    ImageBounds,
    Instruction,
    LoopLevel,
    Matmul,
)
from celosia.golden.quantization import Int64Array

Handlers = Mapping[type[Instruction], Callable[[Any], None]]
"""A unit's methods by the instruction that each executes."""
MAX_VECTORS = 1 << 26
"""Vectors that one instruction may visit: more than any real layer has, less than fills a host."""


class LoopNest:
    """Loop levels, 0 innermost, and the image that they walk over.

    Coordinates have `bits`, their sign included, and so have sides and iterations.
    """

    def __init__(self, bits: int = COORDINATE_BITS) -> None:
        self._bits = bits
        self._levels: dict[int, LoopLevel] = {}
        self._image: ImageBounds | None = None

    def set_level(self, setting: LoopLevel) -> None:
        """Set one level. Raises CelosiaError for a level or a count that doesn't exist."""
        level = setting.level
        if level >= LOOP_LEVELS:
            raise CelosiaError(f"loop level must be 0 to {LOOP_LEVELS - 1}, not {level}")
        if setting.count < 1:
            raise CelosiaError(f"count of loop level {level} must be at least 1, not 0")
        if setting.count >> self._bits:
            raise CelosiaError(
                f"count of loop level {level} must be below {1 << self._bits}, not {setting.count}"
            )
        self._levels[level] = setting

    def set_image(self, bounds: ImageBounds) -> None:
        """Set the image's bounds and padding value. Raises CelosiaError where it is too large."""
        longest = max(bounds.height, bounds.width)
        if longest >> self._bits:
            raise CelosiaError(
                f"height and width of the image must be below {1 << self._bits}, not {longest}"
            )
        self._image = bounds

    @property
    def image(self) -> ImageBounds:
        """The image. Raises CelosiaError where none was set."""
        if self._image is None:
            raise CelosiaError("the input image must be set before this instruction")
        return self._image

    def count(self, level: int) -> int:
        """Iterations of a level. Raises CelosiaError where it was not set."""
        return self._level(level).count

    def gather(
        self,
        memory: NDArray[np.int8],
        start: tuple[int, int, int],
        counts: tuple[int, ...],
    ) -> NDArray[np.int8]:
        """Vectors that the nest visits: [levels, the outermost first, R].

        `start` is (address, y, x); `counts` holds the iterations of the levels from 0 on, and
        those above are left out. Outside the image a vector is padding in all lanes, and its
        address doesn't matter.
        """
        if math.prod(counts) > MAX_VECTORS:
            raise CelosiaError(
                f"an instruction must visit at most {MAX_VECTORS} vectors, not {math.prod(counts)}"
            )
        levels = [self._level(level) for level in range(len(counts))]
        address = _ramp(start[0], [level.address_step for level in levels], counts)
        address &= (1 << ADDRESS_BITS) - 1
        y = self._wrapped(_ramp(start[1], [level.y_step for level in levels], counts))
        x = self._wrapped(_ramp(start[2], [level.x_step for level in levels], counts))
        image = self.image
        inside = (y >= 0) & (y < image.height) & (x >= 0) & (x < image.width)
        beyond = inside & (address >= len(memory))
        if beyond.any():
            raise CelosiaError(
                f"scratchpad address must be below {len(memory)}, not {int(address[beyond][0])}"
            )
        vectors = memory[np.where(inside, address, 0)]
        if not inside.all():
            vectors[~inside] = image.padding
        return vectors

    def _wrapped(self, values: Int64Array) -> Int64Array:
        """Two's complement value of the low bits of coordinates."""
        half = 1 << (self._bits - 1)
        return ((values + half) & ((1 << self._bits) - 1)) - half

    def _level(self, level: int) -> LoopLevel:
        if level not in self._levels:
            raise CelosiaError(f"loop level {level} must be set before this instruction")
        return self._levels[level]


def chunk_of(instruction: Matmul | Depthwise | Drain, depth: int) -> slice:
    """The accumulators that a MATMUL or DEPTHWISE fills or a DRAIN empties, of `depth` in all.

    Raises CelosiaError where there are none, or some lie beyond the memory.
    """
    return chunk_at(instruction.accumulator, instruction.rows * instruction.columns, depth)


def chunk_at(first: int, pixels: int, depth: int) -> slice:
    """`pixels` accumulators from a first one on, of `depth` in all.

    Raises CelosiaError where there are none, or some lie beyond the memory.
    """
    end = first + pixels
    if pixels < 1 or end > depth:
        raise CelosiaError(
            f"rows x columns must be at least 1 and end at accumulator {depth} at the latest, "
            f"not end at {end}"
        )
    return slice(first, end)


def _ramp(start: int, steps: list[int], counts: tuple[int, ...]) -> Int64Array:
    """start + sum of index * step over all levels, with the outermost as the first axis."""
    total = np.full((1,) * len(counts), start, np.int64)
    for level, (step, count) in enumerate(zip(steps, counts, strict=True)):
        shape = [1] * len(counts)
        shape[len(counts) - 1 - level] = count
        total = total + (np.arange(count, dtype=np.int64) * step).reshape(shape)
    return total
