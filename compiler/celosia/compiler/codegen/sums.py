"""What MATMUL and DEPTHWISE share: the image they read, and the DRAIN that takes their sums."""

from collections.abc import Mapping

from celosia.compiler.codegen.addressing import Steps
from celosia.compiler.codegen.emitter import Emitter
from celosia.compiler.codegen.post import load_tables, set_output
from celosia.compiler.layers import (
    Chunk,
    DepthwiseLayer,
    ElementwiseLayer,
    Image,
    SumLayer,
    SumTile,
)
from celosia.golden.isa import (
    Drain,
    LoadParameters,
    MatrixInput,
    MatrixLoop,
    PostScale,
    Semaphore,
)


def set_image(out: Emitter, image: Image, steps: Mapping[int, Steps]) -> None:
    """Settings for `image`, read by the loops of levels 0 and 1."""
    out.set(
        "matrix input",
        MatrixInput(height=image.height, width=image.width, padding=image.padding),
    )
    for level in (0, 1):
        set_loop(out, level, steps[level])


def set_loop(out: Emitter, level: int, setting: Steps) -> None:
    """The setting of one of MATRIX's loops."""
    count, step, y_step, x_step = setting
    out.set(
        ("matrix", level),
        MatrixLoop(level=level, count=count, address_step=step, y_step=y_step, x_step=x_step),
    )


def finish(
    out: Emitter, layer: SumLayer, tile: SumTile, chunk: Chunk, tables: ElementwiseLayer | None
) -> None:
    """Requantise and store a chunk's sums."""
    if layer.scale is not None:
        multiplier, exponent = layer.scale
        out.set("scale", PostScale(multiplier=multiplier, exponent=exponent))
    parameters = out.image.add(tile.parameters, layer.name)
    planes = len(tile.parameters) // out.config.columns
    out.set("parameters", LoadParameters(address=parameters, planes=planes))
    if tables is not None:
        # POST has nothing to do while the first chunk is computed.
        load_tables(out, tables)
    _drain(out, layer, tile, chunk)


def _drain(out: Emitter, layer: SumLayer, tile: SumTile, chunk: Chunk) -> None:
    result = layer.result
    pixel = (chunk.image * result.height + chunk.row) * result.width + chunk.column
    rows, columns = chunk.rows, chunk.columns
    row_step, column_step = result.width * result.vectors, result.vectors
    if isinstance(layer, DepthwiseLayer) and not chunk.turned:
        # Sums come column by column.
        rows, columns, row_step, column_step = columns, rows, column_step, row_step
    set_output(out, layer.finish, row_step, column_step)
    out.emit(
        Drain(
            accumulator=half(out),
            output=out.addresses[layer.output] + pixel * result.vectors + tile.output_vector,
            rows=rows,
            columns=columns,
            vectors=tile.output_vectors,
            slice=tile.slice,
            uniform=int(layer.scale is not None),
            wait=Semaphore.ACCUMULATED,
        )
    )
    out.drains.append(out.last_post)


def half(out: Emitter) -> int:
    """First accumulator of the chunk at hand: chunks take turns at the halves."""
    return len(out.drains) % 2 * (out.config.accumulator_depth // 2)


def half_free(out: Emitter) -> Semaphore:
    """What the chunk at hand waits for to have its half."""
    return Semaphore.DRAINED if len(out.drains) >= 2 else Semaphore.NONE
