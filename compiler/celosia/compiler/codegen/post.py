"""Instructions of what POST does alone, tables included: element-wise operators and pools."""

from celosia.compiler.codegen.addressing import check_coordinates, start_of, steps_of
from celosia.compiler.codegen.emitter import Emitter
from celosia.compiler.layers import ElementwiseLayer, Finish, PoolLayer
from celosia.golden.isa import (
    Add,
    LoadTable,
    Mul,
    Pool,
    PostInput,
    PostLoop,
    PostOutput,
    PostScale,
)

_VECTORS_AT_ONCE = Add.limits("count")[1]
_EXTENT = Pool.limits("rows")[1]  # as of its columns


def set_output(out: Emitter, finish: Finish, row_step: int, column_step: int) -> None:
    """How results are finished, and the steps in vectors from one to the next."""
    out.set(
        "output",
        PostOutput(
            column_step=column_step,
            row_step=row_step,
            mode=finish.mode,
            zero_point=finish.zero_point,
            low=finish.low,
            high=finish.high,
        ),
    )


def load_tables(out: Emitter, layer: ElementwiseLayer) -> None:
    """The tables of a layer, unless they are loaded."""
    for table, data in enumerate(layer.tables):
        address = out.image.add(data, layer.name)
        out.set(("table", table), LoadTable(address=address, table=table))


def generate_elementwise(out: Emitter, layer: ElementwiseLayer) -> None:
    """ADDs or MULs."""
    load_tables(out, layer)
    set_output(out, layer.finish, 0, 0)
    out.set(
        "scale",
        PostScale(multiplier=layer.multiplier, exponent=layer.exponent, bias=layer.bias),
    )
    a, b, output = (out.addresses[t] for t in (layer.a, layer.b, layer.output))
    kind = Mul if layer.product else Add
    for run in layer.runs:
        # Where b starts over, an instruction ends with a whole round of it.
        round_ = run.b_vectors or 1
        most = max(_VECTORS_AT_ONCE // round_, 1) * round_
        for start in range(0, run.count, most):
            out.emit(
                kind(
                    a=a + run.a + start,
                    b=b + run.b + (0 if run.b_vectors else start),
                    output=output + run.output + start,
                    count=min(most, run.count - start),
                    b_vectors=run.b_vectors,
                )
            )


def generate_pool(out: Emitter, layer: PoolLayer) -> None:
    """POOLs, image by image and region by region."""
    check_coordinates(layer)
    image, window, result = layer.image, layer.window, layer.result
    out.set(
        "post input",
        PostInput(
            height=image.height,
            width=image.width,
            padding=image.padding,
            reduction=layer.reduction,
        ),
    )
    steps = steps_of(image, window)
    # POST's nest has the window inside and the pixels outside, MATRIX's the other way round.
    for level, (count, step, y_step, x_step) in (
        (0, steps[3]),
        (1, steps[4]),
        (2, (layer.vectors, 1, 0, 0)),
        (3, steps[0]),
        (4, steps[1]),
    ):
        out.set(
            ("post", level),
            PostLoop(level=level, count=count, address_step=step, y_step=y_step, x_step=x_step),
        )
    for region in layer.regions:
        set_output(out, region.finish, result.width * result.vectors, result.vectors)
        out.set(
            "scale",
            PostScale(multiplier=region.multiplier, exponent=region.exponent, bias=region.bias),
        )
        for number in range(image.count):
            _pool_image(out, layer, number, region.row, region.column, region.rows, region.columns)


def _pool_image(
    out: Emitter, layer: PoolLayer, number: int, row: int, column: int, rows: int, columns: int
) -> None:
    result = layer.result
    for y_out in range(row, row + rows, _EXTENT):
        for x_out in range(column, column + columns, _EXTENT):
            offset, y, x = start_of(layer.image, layer.window, number, y_out, x_out)
            pixel = (number * result.height + y_out) * result.width + x_out
            out.emit(
                Pool(
                    address=out.addresses[layer.source] + offset,
                    y=y,
                    x=x,
                    output=out.addresses[layer.output] + pixel * result.vectors,
                    rows=min(_EXTENT, row + rows - y_out),
                    columns=min(_EXTENT, column + columns - x_out),
                )
            )
