"""Chunks: which output pixels one half of the accumulators takes at a time.

Large chunks waste nothing on the array; small ones let the next layer begin early, and keep MATRIX
and POST busy at once. The candidates of a layer are few: each one is played through, with the layer
after it.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeVar

from celosia.compiler.costs import Timeline
from celosia.compiler.layers import (
    AnyLayer,
    Chunk,
    DepthwiseLayer,
    ElementwiseLayer,
    MatrixLayer,
    PoolLayer,
    SumTile,
)
from celosia.compiler.layout import ceil_div
from celosia.compiler.strips import possible_strips
from celosia.golden.config import NpuConfig
from celosia.golden.isa import Drain

_EXTENT = Drain.limits("rows")[1]  # as of its columns, and of MATMUL's
_MOST_SHARES = 6  # times as many chunks as there must be
_MOST_WIDTHS = 3  # of chunks
_TRIED = 3  # ways to cut the next layer

Tile = TypeVar("Tile", bound=SumTile)


@dataclass(frozen=True)
class Tiling:
    """A layer's chunks, the same for every column tile, none where POST runs it alone.

    `cycles` is what the layer is estimated to add to the program.
    """

    chunks: tuple[Chunk, ...]
    cycles: int


def tile_layers(
    layers: Sequence[AnyLayer], addresses: Mapping[int, int], config: NpuConfig
) -> list[Tiling]:
    """The chunks of all layers, chosen one layer after another."""
    timeline = Timeline(config)
    candidates = [_candidates(layer, config) for layer in layers]
    tilings = []
    for index, choices in enumerate(candidates):
        chunks = choices[0]
        if len(choices) > 1:
            following = candidates[index + 1][:_TRIED] if index + 1 < len(layers) else []
            costs = [_cost(timeline, layers, index, each, following, addresses) for each in choices]
            chunks = choices[costs.index(min(costs))]
        began = timeline.post
        _play(timeline, layers, index, chunks, addresses)
        tilings.append(Tiling(chunks, timeline.post - began))
    return tilings


def _cost(
    timeline: Timeline,
    layers: Sequence[AnyLayer],
    index: int,
    chunks: tuple[Chunk, ...],
    following: Sequence[tuple[Chunk, ...]],
    addresses: Mapping[int, int],
) -> int:
    """How late MATRIX and POST are through with a layer, cut so, and with the one after it.

    `following` holds the ways to cut that one, of which the best counts.
    """
    trial = timeline.fork()
    _play(trial, layers, index, chunks, addresses)
    ends = []
    for choice in following:
        end = trial.fork()
        _play(end, layers, index + 1, choice, addresses)
        ends.append(end.matrix + end.post)
    return min(ends, default=trial.matrix + trial.post)


def most_rows(layer: MatrixLayer | DepthwiseLayer, config: NpuConfig) -> int:
    """Rows of the highest chunk that a layer may be cut into."""
    return max(chunks[0].rows for chunks in _candidates(layer, config))


def walk(chunks: Sequence[Chunk], tiles: Sequence[Tile]) -> Iterator[tuple[Chunk, Tile, int]]:
    """Every chunk with every tile and the tile's number, in the order of execution.

    Every other chunk goes backwards through the tiles: the parameters of the one at the turn stay.
    """
    numbered = list(enumerate(tiles))
    for index, chunk in enumerate(chunks):
        for number, tile in numbered if index % 2 == 0 else reversed(numbered):
            yield chunk, tile, number


def _play(
    timeline: Timeline,
    layers: Sequence[AnyLayer],
    index: int,
    chunks: tuple[Chunk, ...],
    addresses: Mapping[int, int],
) -> None:
    """Add a layer."""
    layer = layers[index]
    output = addresses[layer.output]
    match layer:
        case MatrixLayer() | DepthwiseLayer():
            work = ((chunk, tile) for chunk, tile, _ in walk(chunks, layer.tiles))
            tables = tables_loaded_in(layers, index) is not None
            timeline.add_sums(layer, addresses[layer.source], output, work, tables=tables)
        case ElementwiseLayer():
            timeline.add_elementwise(layer, output)
        case PoolLayer():
            timeline.add_pool(layer, output)


def tables_loaded_in(layers: Sequence[AnyLayer], index: int) -> ElementwiseLayer | None:
    """The elementwise layer whose tables POST loads while MATRIX begins a layer, if any.

    Of the layers between an elementwise layer and the one before it, that which keeps MATRIX busy
    longest hides the load best.
    """
    before = after = index
    while before > 0 and not isinstance(layers[before - 1], ElementwiseLayer):
        before -= 1
    while after < len(layers) and not isinstance(layers[after], ElementwiseLayer):
        after += 1
    layer = layers[after] if after < len(layers) else None
    if not isinstance(layer, ElementwiseLayer) or after == index:
        return None
    works = [_work(each) for each in layers[before:after]]
    return layer if works.index(max(works)) == index - before else None


def _work(layer: AnyLayer) -> int:
    """A measure of MATRIX's work."""
    match layer:
        case MatrixLayer():
            passes = sum(tile.passes for tile in layer.tiles)
        case DepthwiseLayer():
            passes = len(layer.tiles) * layer.window.size[0]
        case _:
            return 0
    return passes * layer.image.count * layer.result.height * layer.result.width


def _candidates(layer: AnyLayer, config: NpuConfig) -> list[tuple[Chunk, ...]]:
    if not isinstance(layer, (MatrixLayer, DepthwiseLayer)):
        return [()]
    height, width = layer.result.height, layer.result.width
    if isinstance(layer, DepthwiseLayer):
        strips = _strip_shapes(layer, config)
        return [
            _chunks(layer.image.count, height, width, *shape, turned=turned)
            for shape, turned in strips
        ]
    shapes = _shapes(height, width, config.accumulator_depth // 2)
    return [_chunks(layer.image.count, height, width, *shape) for shape in shapes]


def _strip_shapes(layer: DepthwiseLayer, config: NpuConfig) -> list[tuple[tuple[int, int], bool]]:
    """Candidates ((rows, columns), turned) of a depthwise layer."""
    shapes = []
    for strip in possible_strips(config, layer.window, layer.tiles[0].multiplier):
        most_rows, most_columns = strip.along(strip.most_outputs(config))
        for columns in _shares(layer.result.width, most_columns)[:_MOST_WIDTHS]:
            most = min(most_rows, config.accumulator_depth // 2 // columns)
            for rows in _shares(layer.result.height, most):
                shapes.append(((rows, columns), strip.turned))
    return shapes


def _shapes(height: int, width: int, half: int) -> list[tuple[int, int]]:
    """Candidates (rows, columns): whole rows in equal shares, or parts of rows.

    Large ones first, as far as whole rows fit.
    """
    most_columns = min(half, _EXTENT)
    shapes = []
    if width <= most_columns:
        shapes = [(rows, width) for rows in _shares(height, min(half // width, _EXTENT))]
        # Parts of rows where they fill the half better.
        for columns in _shares(width, most_columns)[1:_MOST_WIDTHS]:
            rows = _shares(height, min(half // columns, _EXTENT))[0]
            if rows * columns > shapes[0][0] * width:
                shapes.append((rows, columns))
    if width > most_columns or height == 1:
        shapes += [(1, columns) for columns in _shares(width, most_columns)]
    return list(dict.fromkeys(shapes))


def _shares(count: int, most: int) -> list[int]:
    """Sizes up to `most` that cut `count` into equal shares but for the last, large ones first."""
    fewest = ceil_div(count, most)
    shares = {ceil_div(count, size) for size in range(1, min(count, most) + 1)}
    return [ceil_div(count, n) for n in sorted(shares) if n <= _MOST_SHARES * fewest]


def _chunks(
    images: int, height: int, width: int, rows: int, columns: int, *, turned: bool = False
) -> tuple[Chunk, ...]:
    return tuple(
        Chunk(image, row, column, min(rows, height - row), min(columns, width - column), turned)
        for image in range(images)
        for row in range(0, height, rows)
        for column in range(0, width, columns)
    )
