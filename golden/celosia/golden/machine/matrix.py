"""LOAD and MATRIX of the golden machine: weight tiles, and the sums that MATMUL leaves."""

from collections import deque

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError
from celosia.golden.isa import COORDINATE_BITS, LoadWeights, Matmul, MatrixInput, MatrixLoop
from celosia.golden.machine.engine import MatrixEngine
from celosia.golden.machine.loops import Handlers, LoopNest, chunk_of
from celosia.golden.quantization import wrap_int32


class MatrixUnit:
    """Executes the instructions of LOAD and MATRIX on the machine's memories, DEPTHWISE's aside.

    Attributes:
        nest: MATRIX's loop nest.
    """

    def __init__(
        self,
        scratchpad: NDArray[np.int8],
        weights: NDArray[np.uint8],
        accumulators: NDArray[np.int32],
        engine: MatrixEngine,
        coordinate_bits: int = COORDINATE_BITS,
    ) -> None:
        self._scratchpad = scratchpad
        self._weights = weights.view(np.int8)
        self._accumulators = accumulators
        self._engine = engine
        self.nest = LoopNest(coordinate_bits)
        self._tiles: deque[int] = deque()
        self._filled: slice | None = None

    @property
    def handlers(self) -> Handlers:
        """What executes each instruction of these units."""
        return {
            LoadWeights: self.load_weights,
            MatrixLoop: self.nest.set_level,
            MatrixInput: self.nest.set_image,
            Matmul: self.matmul,
        }

    @property
    def waiting_tiles(self) -> int:
        """Tiles that were loaded and not yet used."""
        return len(self._tiles)

    def load_weights(self, instruction: LoadWeights) -> None:
        """Queue tiles, by their addresses (the weight memory doesn't change while running)."""
        rows = self._scratchpad.shape[1]
        end = instruction.address + instruction.tiles * rows
        if instruction.tiles < 1 or end > len(self._weights):
            raise CelosiaError(
                f"tiles must be at least 1 and end at weight vector {len(self._weights)} at the "
                f"latest, not be {instruction.tiles} and end at {end}"
            )
        self._tiles.extend(range(instruction.address, end, rows))

    def matmul(self, instruction: Matmul) -> None:
        """All passes of a chunk."""
        rows, columns = self._scratchpad.shape[1], self._accumulators.shape[1]
        pixels = instruction.rows * instruction.columns
        chunk = chunk_of(instruction, len(self._accumulators))
        kernel = tuple(self.nest.count(level) for level in (2, 3, 4))
        passes = kernel[0] * kernel[1] * kernel[2]
        if len(self._tiles) < passes:
            raise CelosiaError(
                f"{passes} weight tiles must be loaded before this instruction, "
                f"not {len(self._tiles)}"
            )
        if instruction.accumulate and chunk != self._filled:
            raise CelosiaError(
                "the last sums before it must have been left in the same accumulators"
            )
        vectors = self.nest.gather(
            self._scratchpad,
            (instruction.address, instruction.y, instruction.x),
            (instruction.columns, instruction.rows, *kernel),
        )
        addresses = np.array([self._tiles.popleft() for _ in range(passes)])
        tiles = self._weights[addresses[:, None] + np.arange(rows)]
        sums = self._engine.multiply(
            vectors.reshape(passes, pixels, rows), tiles.reshape(passes, rows, columns)
        )
        if instruction.accumulate:
            sums += self._accumulators[chunk]
        self._accumulators[chunk] = wrap_int32(sums)
        self._filled = chunk
