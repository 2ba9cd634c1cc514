"""Chunks: which output pixels one half of the accumulators takes at a time.

Large chunks waste nothing on the array, small ones leave less to drain when a layer ends and keep
MATRIX and POST busy at once. The candidates are few: each one's pipeline is played through.
"""

from dataclasses import dataclass

from celosia.compiler.costs import drain_cycles, matmul_cycles, pipelined_cycles
from celosia.compiler.layers import MatrixLayer
from celosia.compiler.layout import ceil_div
from celosia.golden.config import NpuConfig
from celosia.golden.isa import Drain

_EXTENT = Drain.limits("rows")[1]  # as of its columns, and of MATMUL's
_CHUNK_OVERHEAD = 4  # cycles between MATMULs, so that equal candidates prefer fewer chunks


@dataclass(frozen=True)
class Chunk:
    """A rectangle of output pixels of one image."""

    image: int
    row: int
    column: int
    rows: int
    columns: int

    @property
    def pixels(self) -> int:
        """Accumulators that it takes."""
        return self.rows * self.columns


@dataclass(frozen=True)
class Tiling:
    """A layer's chunks, the same for every column tile, and its estimated cycles."""

    chunks: tuple[Chunk, ...]
    cycles: int


def tile_layer(layer: MatrixLayer, config: NpuConfig) -> Tiling:
    """The chunks that finish a layer soonest."""
    half = config.accumulator_depth // 2
    height, width = layer.result.height, layer.result.width
    best: Tiling | None = None
    for rows, columns in _shapes(height, width, half):
        chunks = _chunks(layer.image.count, height, width, rows, columns)
        cycles = pipelined_cycles(
            (
                matmul_cycles(config, tile.passes, chunk.pixels) + _CHUNK_OVERHEAD,
                drain_cycles(config, chunk.pixels, tile.output_vectors),
            )
            for tile in layer.tiles
            for chunk in chunks
        )
        if best is None or cycles < best.cycles:
            best = Tiling(chunks, cycles)
    assert best is not None
    return best


def _shapes(height: int, width: int, half: int) -> list[tuple[int, int]]:
    """Candidates (rows, columns): whole rows in equal shares, or parts of one row."""
    most_columns = min(half, _EXTENT)
    if width <= most_columns:
        most = min(half // width, height, _EXTENT)
        shares = {ceil_div(height, rows) for rows in range(1, most + 1)}
        shapes = [(ceil_div(height, share), width) for share in sorted(shares)]
    else:
        shapes = []
    if width > most_columns or height == 1:
        shares = {ceil_div(width, columns) for columns in range(1, min(width, most_columns) + 1)}
        fewest = min(shares)
        shapes += [(1, ceil_div(width, share)) for share in sorted(shares) if share <= 8 * fewest]
    return shapes


def _chunks(images: int, height: int, width: int, rows: int, columns: int) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(image, row, column, min(rows, height - row), min(columns, width - column))
        for image in range(images)
        for row in range(0, height, rows)
        for column in range(0, width, columns)
    )
