"""Estimated cycles: when MATRIX and POST, side by side, are through with what they are given.

Small pieces are paid for in instructions and parameters, which are read from the memory that the
weights come from. The estimate decides how layers are cut; what the result takes is for
`celosia.golden.timing` to say.
"""

from collections.abc import Iterable
from copy import copy

import numpy as np

from celosia.compiler.layers import (
    AnyLayer,
    Chunk,
    ColumnTile,
    DepthwiseLayer,
    ElementwiseLayer,
    MatmulWork,
    MatrixLayer,
    PoolLayer,
    SumTile,
    Window,
)
from celosia.compiler.strips import strip_of
from celosia.golden.config import NpuConfig
from celosia.golden.timing import product_cycles

_START = 6
"""From a semaphore that is raised to the first vector of the MATMUL that waits for it."""
_SUMS = 10
"""From a MATMUL's last vector to its DRAIN, beside the array's R + C; from a DEPTHWISE's last step,
with the engine's pipeline, it is about the same."""
_STRIP = 6
"""From the last vector of a window's columns to the first step."""
_POST_PIPELINE = 18
"""From a POST instruction's start to its end, beside its vectors; a DRAIN that follows another
may start while that one's last vectors are under way."""
_DRAIN_GAP = 2
"""Between the vectors of such DRAINs."""
_LOAD_LATENCY = 4
"""Of parameters and tables, beside their vectors or entries."""
_TABLES = 2 * (256 + _LOAD_LATENCY)
_FETCH = 3
"""Of an instruction, beside its vectors."""
_AROUND = 3
"""Instructions of a chunk and tile beside MATRIX's: weights, parameters and a DRAIN."""
_AHEAD = 3
"""Chunks and tiles that the units' queues hold while one is at work."""


def matmul_cycles(config: NpuConfig, work: MatmulWork, pixels: int, constants: int = 0) -> int:
    """Cycles of a tile's MATMULs: a pass streams its pixels, but at least as long as a tile loads.

    Instructions are fetched meanwhile, and `constants` read, from the memory that the weights come
    from: at one time, so that only what a single pass leaves of it hides them.
    """
    vectors = config.instruction_vectors
    late = max(constants - max(pixels - config.rows, 0), 0)
    return max(
        work.passes * max(pixels, config.rows) + work.settings + late,
        work.passes * config.rows + work.instructions * vectors + constants,
        work.instructions * (vectors + _FETCH),
    )


class Timeline:
    """Cycles from the program's start, as far as instructions have been added.

    Attributes:
        matrix: when MATRIX has streamed the last MATMUL.
        post: when POST has stored the last vector.
    """

    def __init__(self, config: NpuConfig) -> None:
        self._config = config
        self._groups = config.vector_cycles
        self.matrix = 0
        self.post = 0
        self._drainable = 0  # when the next DRAIN may start
        self._engine = 0  # when the depthwise engine has taken its last step
        self._fetched = 0  # when the last chunk's instructions were
        self._begun = (0,) * _AHEAD  # when MATRIX began the last chunks
        self._freed = (0, 0)  # when the halves are free, the next one first
        # A view of pixels with something between them reaches beyond the last of them.
        self._stored = np.zeros(2 * config.scratchpad_depth, np.int64)

    def fork(self) -> "Timeline":
        """A copy, to try something on."""
        fork = copy(self)
        fork._stored = self._stored.copy()
        return fork

    def add_sums(
        self,
        layer: MatrixLayer | DepthwiseLayer,
        source: int,
        output: int,
        work: Iterable[tuple[Chunk, SumTile]],
        *,
        tables: bool,
    ) -> None:
        """A layer of MATRIX's between two tensors' addresses, its chunks and tiles in their order.

        `tables` says that those of an elementwise layer are loaded before the first DRAIN.
        """
        config = self._config
        loaded: SumTile | None = None
        self._drainable = self.post + (_TABLES if tables else 0)
        for chunk, tile in work:
            read = layer.read_box(chunk, tile)
            image = self._view(source, chunk.image, layer.image.step, layer.image.shape)
            needed = int(image[read].max(initial=0))
            instructions = _AROUND + (tile.work.instructions if isinstance(tile, ColumnTile) else 1)
            self._fetched = max(self._fetched, self._begun[0]) + instructions * (
                config.instruction_vectors + _FETCH
            )
            start = max(self.matrix, max(needed, self._freed[0]) + _START, self._fetched)
            self._begun = (*self._begun[1:], start)
            planes = len(tile.parameters) // config.columns if tile is not loaded else 0
            if isinstance(layer, MatrixLayer) and layer.crossbar:
                assert isinstance(tile, ColumnTile)
                products = chunk.pixels * len(tile.boxes)
                summed = self._matmul(start, products * product_cycles(config))
            elif isinstance(tile, ColumnTile):
                constants = _AROUND * config.instruction_vectors + planes
                cycles = matmul_cycles(config, tile.work, chunk.pixels, constants)
                summed = self._matmul(start, cycles)
            else:
                summed = self._depthwise(start, layer.window, chunk)
            if tile is not loaded:
                self._drainable = max(self._drainable, self.post + planes + _LOAD_LATENCY)
                loaded = tile
            begin = max(self._drainable, summed)
            end = begin + chunk.pixels * tile.output_vectors * self._groups
            self._drainable = end + _DRAIN_GAP
            self.post = end + _POST_PIPELINE
            self._freed = (self._freed[1], self.post)
            result = self._view(output, chunk.image, layer.result.step, layer.result.shape)
            result[layer.written_box(chunk, tile)] = self.post

    def _matmul(self, start: int, cycles: int) -> int:
        """A MATMUL; returns when its sums are there."""
        latency = self._config.rows + self._config.columns
        # The accumulators take sums in program order.
        self.matrix = max(start, self._engine - latency) + cycles
        return self.matrix + latency + _SUMS

    def _depthwise(self, start: int, window: Window, chunk: Chunk) -> int:
        """A DEPTHWISE; returns when its sums are there."""
        strip = strip_of(self._config, window, turned=chunk.turned)
        outputs = strip.outputs(chunk)
        rows, columns = strip.size(outputs)
        column_steps = outputs[0] * strip.steps
        begin = max(self._engine, start + rows * strip.kernel[1] + _STRIP)
        self._engine = max(
            begin + outputs[1] * column_steps, start + rows * columns + _STRIP + column_steps
        )
        # Columns that wait in the buffer while the last steps are taken.
        waiting = (self._config.depthwise_columns - strip.kernel[1]) // strip.stride[1] + 1
        self.matrix = max(start + rows * columns, self._engine - waiting * column_steps)
        return self._engine + _SUMS

    def add_elementwise(self, layer: ElementwiseLayer, output: int) -> None:
        """An elementwise layer."""
        for run in layer.runs:
            self.post += run.count * max(2, self._groups) + _POST_PIPELINE
            first = output + run.output
            self._stored[first : first + run.count] = self.post

    def add_pool(self, layer: PoolLayer, output: int) -> None:
        """A pooling layer."""
        taps = layer.window.size[0] * layer.window.size[1]
        for region in layer.regions:
            vectors = region.rows * region.columns * layer.vectors
            cycles = vectors * max(taps, self._groups) + _POST_PIPELINE
            self.post += layer.image.count * cycles
        self._stored[output : output + layer.image.count * layer.result.step] = self.post

    def _view(self, base: int, number: int, step: int, shape: tuple[int, int, int]) -> "_Times":
        """When the vectors of an image are stored: [height, width, vectors]."""
        return self._stored[base + number * step : base + (number + 1) * step].reshape(shape)


_Times = np.ndarray[tuple[int, int, int], np.dtype[np.int64]]


def layer_passes(layer: AnyLayer) -> int:
    """Weight tiles that one chunk of every column tile takes; 0 where the array isn't used."""
    return sum(tile.passes for tile in layer.tiles) if isinstance(layer, MatrixLayer) else 0
