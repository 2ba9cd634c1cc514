"""Instructions of matrix products: for every chunk and column tile weights, sums and a DRAIN."""

from itertools import accumulate

from celosia.compiler.codegen.addressing import check_coordinates, start_of, steps_of
from celosia.compiler.codegen.emitter import Emitter
from celosia.compiler.codegen.sums import finish, half, half_free, set_image, set_loop
from celosia.compiler.layers import Chunk, ColumnTile, ElementwiseLayer, MatrixLayer
from celosia.compiler.tiling import Tiling, walk
from celosia.golden.isa import LoadWeights, Matmul, Semaphore

_TILES_AT_ONCE = LoadWeights.limits("tiles")[1]


def generate_matrix(
    out: Emitter, layer: MatrixLayer, tiling: Tiling, tables: ElementwiseLayer | None
) -> None:
    """LOAD_WEIGHTS, MATMULs and a DRAIN for every chunk of pixels and column tile."""
    check_coordinates(layer)
    set_image(out, layer.image, steps_of(layer.image, layer.window))
    weights = out.image.add(b"".join(tile.weights.tobytes() for tile in layer.tiles), layer.name)
    firsts = [
        weights + before * out.config.rows
        for before in accumulate((tile.passes for tile in layer.tiles), initial=0)
    ]
    once = len(tiling.chunks) == 1
    if once:
        # Every weight tile is used once, in the order in which they lie.
        _load_weights(out, weights, sum(tile.passes for tile in layer.tiles))
    for chunk, tile, number in walk(tiling.chunks, layer.tiles):
        if not once:
            _load_weights(out, firsts[number], tile.passes)
        _matmuls(out, layer, tile, chunk)
        finish(out, layer, tile, chunk, tables)


def _load_weights(out: Emitter, address: int, tiles: int) -> None:
    for start in range(0, tiles, _TILES_AT_ONCE):
        out.emit(
            LoadWeights(
                address=address + start * out.config.rows,
                tiles=min(_TILES_AT_ONCE, tiles - start),
            )
        )


def _matmuls(out: Emitter, layer: MatrixLayer, tile: ColumnTile, chunk: Chunk) -> None:
    """A MATMUL for each box of passes: the first one waits, the last one signals."""
    offset, y, x = start_of(layer.image, layer.window, chunk.image, chunk.row, chunk.column)
    steps = steps_of(layer.image, layer.window)
    for number, box in enumerate(tile.boxes):
        at = [offset, y, x]
        for level, first, size in zip((4, 3, 2), box.first, box.size, strict=True):
            _, *step = steps[level]
            set_loop(out, level, (size, step[0], step[1], step[2]))
            at = [start + first * by for start, by in zip(at, step, strict=True)]
        out.emit(
            Matmul(
                address=out.addresses[layer.source] + at[0],
                y=at[1],
                x=at[2],
                accumulator=half(out),
                rows=chunk.rows,
                columns=chunk.columns,
                accumulate=int(number > 0),
                wait=half_free(out) if number == 0 else Semaphore.NONE,
            )
        )
    out.signal(len(out.instructions) - 1, Semaphore.ACCUMULATED)
