"""Windows as address arithmetic: steps of nested loops, and where the first tap stands."""

from celosia.compiler.layers import Image, PoolLayer, SumLayer, Window
from celosia.golden.isa import Pool

_LAST_COORDINATE = Pool.limits("y")[1]  # and x, and of MATMUL's

Steps = tuple[int, int, int, int]
"""Count, address step, y step and x step of a loop."""


def check_coordinates(layer: SumLayer | PoolLayer) -> None:
    """Positions inside the image must not wrap around to become outside of it, or ValueError."""
    for axis, count in enumerate((layer.result.height, layer.result.width)):
        window = layer.window
        last = window.origin[axis] + (count - 1) * window.stride[axis]
        last += (window.size[axis] - 1) * window.dilation[axis]
        if last > _LAST_COORDINATE:
            raise ValueError(f"coordinates must be at most {_LAST_COORDINATE}, not {last}")


def steps_of(image: Image, window: Window) -> dict[int, Steps]:
    """The steps of MATRIX's levels."""
    (stride_y, stride_x), (dilation_y, dilation_x) = window.stride, window.dilation
    return {
        0: (1, stride_x * image.column_step, 0, stride_x),
        1: (1, stride_y * image.row_step, stride_y, 0),
        2: (image.column_step, 1, 0, 0),
        3: (window.size[1], dilation_x * image.column_step, 0, dilation_x),
        4: (window.size[0], dilation_y * image.row_step, dilation_y, 0),
    }


def start_of(
    image: Image, window: Window, number: int, row: int, column: int
) -> tuple[int, int, int]:
    """Address offset, y and x of the first tap of an output pixel."""
    y = window.origin[0] + row * window.stride[0]
    x = window.origin[1] + column * window.stride[1]
    return number * image.step + y * image.row_step + x * image.column_step, y, x
