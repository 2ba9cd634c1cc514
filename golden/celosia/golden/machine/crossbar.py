"""The crossbar of the golden machine: PRODUCT, on tiles that are exact or have physics in them."""

from collections.abc import Sequence
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from celosia.golden.config import NpuConfig
from celosia.golden.crossbar.config import UNDRIVEN
from celosia.golden.crossbar.mvm import Multiplier, TileCorrection
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import Product
from celosia.golden.machine.loops import Handlers, LoopNest, chunk_at
from celosia.golden.quantization import Int64Array, wrap_int32


class TileEngine(Protocol):
    """Multiplies by tiles that were programmed before."""

    def multiply(self, tile: int, inputs: NDArray[np.int8]) -> Int64Array:
        """Sums [n, C] of x + 128 for int8 vectors [n, rows of the tile]."""
        ...


class ExactTiles:
    """Tiles of whole numbers: what a crossbar without any error gives.

    Args:
        weights: int8 [tiles, rows, C].
    """

    def __init__(self, weights: NDArray[np.int8]) -> None:
        self._weights = weights.astype(np.float64)  # exact: sums stay below 2^24

    def multiply(self, tile: int, inputs: NDArray[np.int8]) -> Int64Array:
        """Sums [n, C] of x + 128 for int8 vectors [n, rows of the tile]."""
        driven = inputs.astype(np.float64) + 128
        sums: Int64Array = (driven @ self._weights[tile]).astype(np.int64)
        return sums


class AnalogTiles:
    """Tiles on a front end: the emulator's twin, or physics."""

    def __init__(self, multiplier: Multiplier, corrections: Sequence[TileCorrection]) -> None:
        self.multiplier = multiplier
        self._corrections = corrections

    @property
    def products(self) -> int:
        """Products so far: the number of the next one."""
        return self.multiplier.telemetry.products

    def multiply(self, tile: int, inputs: NDArray[np.int8]) -> Int64Array:
        """Sums [n, C] of x + 128 for int8 vectors [n, rows of the tile]."""
        return self.multiply_numbered(tile, inputs, None)

    def multiply_numbered(
        self, tile: int, inputs: NDArray[np.int8], numbers: Int64Array | None
    ) -> Int64Array:
        """The same, with the numbers of the products [n] where they aren't made in their order."""
        correction = self._corrections[tile]
        sums = self.multiplier.multiply(tile, correction, inputs, unsigned=True, numbers=numbers)
        return sums.astype(np.int64)


class CrossbarUnit:
    """Executes PRODUCT on the machine's memories."""

    def __init__(
        self,
        config: NpuConfig,
        nest: LoopNest,
        scratchpad: NDArray[np.int8],
        accumulators: NDArray[np.int32],
        engine: TileEngine | None,
    ) -> None:
        self._config = config
        self._nest = nest
        self._scratchpad = scratchpad
        self._accumulators = accumulators
        self._engine = engine
        self._filled: slice | None = None

    @property
    def handlers(self) -> Handlers:
        """What executes the instruction."""
        return {Product: self.product}

    def product(self, instruction: Product) -> None:
        """One tile's share of a chunk."""
        tiles = self._config.crossbar
        if tiles is None or self._engine is None:
            raise CelosiaError(f"configuration '{self._config.name}' must have a crossbar")
        if instruction.tile >= tiles.tiles:
            raise CelosiaError(f"tile must be below {tiles.tiles}, not {instruction.tile}")
        counts = (
            instruction.vectors,
            instruction.kernel_columns,
            *(self._nest.count(level) for level in (2, 3, 4)),
        )
        taken = counts[0] * counts[1] * counts[2]
        most = tiles.rows // self._config.rows
        if not 1 <= taken <= most:
            raise CelosiaError(f"vectors of a tile must be 1 to {most}, not {taken}")
        chunk = chunk_at(instruction.accumulator, counts[3] * counts[4], len(self._accumulators))
        if instruction.accumulate and chunk != self._filled:
            raise CelosiaError(
                "the last sums before it must have been left in the same accumulators"
            )
        vectors = self._nest.gather(
            self._scratchpad, (instruction.address, instruction.y, instruction.x), counts
        )
        pixels = counts[3] * counts[4]
        inputs = np.full((pixels, tiles.rows), UNDRIVEN, np.int8)
        inputs[:, : taken * self._config.rows] = vectors.reshape(pixels, -1)
        sums = self._engine.multiply(instruction.tile, inputs)
        if instruction.accumulate:
            sums = sums + self._accumulators[chunk]
        self._accumulators[chunk] = wrap_int32(sums)
        self._filled = chunk
