"""Instructions of depthwise convolutions: for every chunk and tile weights, sums and a DRAIN."""

from celosia.compiler.codegen.addressing import check_coordinates, start_of
from celosia.compiler.codegen.emitter import Emitter
from celosia.compiler.codegen.sums import finish, half, half_free, set_image
from celosia.compiler.layers import Chunk, DepthwiseLayer, DepthwiseTile, ElementwiseLayer
from celosia.compiler.strips import Strip, strip_of
from celosia.compiler.tiling import Tiling, walk
from celosia.golden.isa import Depthwise, DepthwiseWindow, LoadDepthwise, Semaphore


def generate_depthwise(
    out: Emitter, layer: DepthwiseLayer, tiling: Tiling, tables: ElementwiseLayer | None
) -> None:
    """LOAD_DEPTHWISE, DEPTHWISE and a DRAIN for every chunk of pixels and tile of channels."""
    check_coordinates(layer)
    strip = strip_of(out.config, layer.window, turned=tiling.chunks[0].turned)
    down, right = (1, layer.image.row_step, 1, 0), (1, layer.image.column_step, 0, 1)
    set_image(out, layer.image, dict(enumerate((right, down) if strip.turned else (down, right))))
    firsts = [
        out.image.add(strip.words(out.config, tile.weights), layer.name) for tile in layer.tiles
    ]
    vectors = strip.steps * out.config.depthwise_taps
    for chunk, tile, number in walk(tiling.chunks, layer.tiles):
        out.emit(LoadDepthwise(address=firsts[number], vectors=vectors))
        _depthwise_chunk(out, layer, tile, chunk, strip)
        finish(out, layer, tile, chunk, tables)


def _depthwise_chunk(
    out: Emitter, layer: DepthwiseLayer, tile: DepthwiseTile, chunk: Chunk, strip: Strip
) -> None:
    out.set(
        "window",
        DepthwiseWindow(
            rows=strip.kernel[0],
            columns=strip.kernel[1],
            groups=strip.groups,
            stride_y=strip.stride[0],
            stride_x=strip.stride[1],
            multiplier=tile.multiplier,
            lane=tile.lane,
            phase=tile.phase,
        ),
    )
    offset, y, x = start_of(layer.image, layer.window, chunk.image, chunk.row, chunk.column)
    rows, columns = strip.outputs(chunk)
    strip_rows, strip_columns = strip.size((rows, columns))
    out.emit(
        Depthwise(
            address=out.addresses[layer.source] + offset + tile.input_vector,
            y=y,
            x=x,
            accumulator=half(out),
            rows=rows,
            columns=columns,
            strip_rows=strip_rows,
            strip_columns=strip_columns,
            wait=half_free(out),
            signal=Semaphore.ACCUMULATED,
        )
    )
