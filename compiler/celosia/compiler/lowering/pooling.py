"""AVERAGE_POOL_2D and MAX_POOL_2D as POOL instructions, exact for every count.

An NPU without POOL sums windows on the array, by weights of ones, where all hold equally many taps.

The mean of n taps is their sum divided by n, half away from zero. One multiply and two rounding
stages do it exactly, with 1/n ~ M * 2**-(31 + RS):

- n odd has no ties. The sum is made positive by a bias of 128 n, taken back by a zero point of
  -128, and AVERAGE rounds sum * M / 2**(31 + RS) half up.
- n even: DOUBLE rounds twice. Its first stage adds half of its last place, 2**-(RS + 1) of the
  result, and its second takes twice as much from negative values: ties move away from zero, and no
  other value crosses a tie, as those are 1/n apart and 2**(RS + 1) > n.

`average_is_exact` proves it for the constants at hand.
"""

from dataclasses import replace
from itertools import groupby, product
from typing import Any

import numpy as np

from celosia.compiler.layers import (
    Finish,
    Image,
    MatrixLayer,
    OutputImage,
    PoolLayer,
    PoolRegion,
    Window,
)
from celosia.compiler.layout import ceil_div
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.images import pixel_image
from celosia.compiler.lowering.matrix import IDENTITY, Scales, column_tiles
from celosia.golden.graph import OpKind
from celosia.golden.isa import Reduction
from celosia.golden.ops.stage import scale_of, zero_point_of
from celosia.golden.quantization import (
    INT8_MAX,
    INT8_MIN,
    FixedPointScaler,
    RoundingMode,
    activation_range,
)


def lower_pooling(context: LoweringContext) -> PoolLayer | MatrixLayer:
    """An AVERAGE_POOL_2D or MAX_POOL_2D."""
    x, output = context.input(0), context.output
    attributes: Any = context.node.attributes
    (top, _), (left, _) = attributes["padding"]
    low, high = activation_range(attributes["activation"], scale_of(output), zero_point_of(output))
    window = Window(
        size=attributes["window"],
        stride=attributes["stride"],
        dilation=(1, 1),
        origin=(-top, -left),
    )
    shape = (output.shape[1], output.shape[2])
    finish = Finish(mode=RoundingMode.DOUBLE, zero_point=0, low=low, high=high)
    image = pixel_image(x.shape)
    if context.node.kind is OpKind.MAX_POOL_2D:
        region = replace(copy_region(0, 0, *shape), finish=finish)
        return pool_layer(context, image, window, shape, Reduction.MAXIMUM, INT8_MIN, (region,))
    regions = _average_regions(context, window, image[1:], shape, finish)
    return pool_layer(context, image, window, shape, Reduction.SUM, 0, regions)


def copy_region(row: int, column: int, rows: int, columns: int) -> PoolRegion:
    """A region whose values stay as they are."""
    return PoolRegion(
        row=row,
        column=column,
        rows=rows,
        columns=columns,
        finish=Finish(mode=RoundingMode.DOUBLE, zero_point=0, low=INT8_MIN, high=INT8_MAX),
        multiplier=IDENTITY[0],
        exponent=IDENTITY[1],
        bias=0,
    )


def pool_layer(
    context: LoweringContext,
    image: tuple[int, int, int],
    window: Window,
    shape: tuple[int, int],
    reduction: Reduction,
    padding: int,
    regions: tuple[PoolRegion, ...],
) -> PoolLayer | MatrixLayer:
    """The operator at hand as windows over its input: `image` is (images, height, width)."""
    channels = context.input(0).shape[-1]
    source, _ = context.pixels(channels)
    return window_layer(
        context,
        image,
        window,
        shape,
        reduction,
        padding,
        regions,
        source=source,
        output=context.define(channels),
        channels=channels,
    )


def window_layer(
    context: LoweringContext,
    image: tuple[int, int, int],
    window: Window,
    shape: tuple[int, int],
    reduction: Reduction,
    padding: int,
    regions: tuple[PoolRegion, ...],
    *,
    source: int,
    output: int,
    channels: int,
) -> PoolLayer | MatrixLayer:
    """Windows over any tensor in pixels of `channels`, for the operator at hand."""
    images, height, width = image
    common: dict[str, Any] = {
        "operator": context.operator,
        "name": context.tensors[output].name,
        "kind": context.node.kind,
        "source": source,
        "output": output,
        "macs": 0,
        "image": Image(
            count=images,
            height=height,
            width=width,
            column_step=context.step(source, channels),
            padding=padding,
        ),
        "window": window,
        "result": OutputImage(
            height=shape[0], width=shape[1], vectors=context.step(output, channels)
        ),
    }
    if context.config.vector_operations:
        vectors = ceil_div(channels, context.config.rows)
        return PoolLayer(**common, vectors=vectors, reduction=reduction, regions=regions)
    if len(regions) > 1:
        context.needs_vector_operations("windows with a different number of taps")
    if reduction is Reduction.MAXIMUM and window.size != (1, 1):
        context.needs_vector_operations("a maximum")
    (region,) = regions
    ones = np.eye(channels, dtype=np.int8)[:, None, None]
    multiplier, exponent = (
        np.full(channels, each, np.int64) for each in (region.multiplier, region.exponent)
    )
    scales = Scales(region.finish.mode, multiplier, exponent)
    return MatrixLayer(
        **common,
        finish=region.finish,
        tiles=column_tiles(
            context.config,
            np.tile(ones, (1, *window.size, 1)),
            np.full(channels, region.bias, np.int64),
            scales,
            shape[0] * shape[1],
        ),
        scale=scales.uniform,
        alike=True,
    )


def _average_regions(
    context: LoweringContext,
    window: Window,
    shape: tuple[int, int],
    output_shape: tuple[int, int],
    finish: Finish,
) -> tuple[PoolRegion, ...]:
    spans = [_spans(count, window, shape[axis], axis) for axis, count in enumerate(output_shape)]
    regions = []
    for (row, rows, taps_y), (column, columns, taps_x) in product(*spans):
        taps = taps_y * taps_x
        mode, multiplier, exponent, bias, zero_point = average_constants(taps)
        if not average_is_exact(taps):
            context.fail(f"a mean of {taps} values can't be exact; its window must be smaller")
        regions.append(
            PoolRegion(
                row=row,
                column=column,
                rows=rows,
                columns=columns,
                finish=replace(finish, mode=mode, zero_point=zero_point),
                multiplier=multiplier,
                exponent=exponent,
                bias=bias,
            )
        )
    return tuple(regions)


def _spans(count: int, window: Window, size: int, axis: int) -> list[tuple[int, int, int]]:
    """Runs of output positions along an axis with equally many taps: (first, positions, taps)."""
    start = window.origin[axis] + np.arange(count) * window.stride[axis]
    taps = np.minimum(start + window.size[axis], size) - np.maximum(start, 0)
    spans, first = [], 0
    for value, run in groupby(taps.tolist()):
        length = len(list(run))
        spans.append((first, length, int(value)))
        first += length
    return spans


def average_constants(taps: int) -> tuple[RoundingMode, int, int, int, int]:
    """(mode, multiplier, exponent, bias, zero point) for the mean of `taps` values."""
    shift = taps.bit_length() - 1
    if taps == 1:
        return RoundingMode.DOUBLE, *IDENTITY, 0, 0
    if taps % 2:
        multiplier = ceil_div(1 << (31 + shift), taps)
        return RoundingMode.AVERAGE, multiplier, -shift, 128 * taps, -128
    multiplier = min(ceil_div(1 << (31 + shift), taps), (1 << 31) - 1)
    return RoundingMode.DOUBLE, multiplier, -shift, 0, 0


def average_is_exact(taps: int) -> bool:
    """Whether `average_constants` gives the exact mean of every possible sum.

    Both are monotonic in the sum, so that agreeing around every rounding threshold is enough.
    """
    mode, multiplier, exponent, bias, zero_point = average_constants(taps)
    thresholds = (2 * np.arange(-128, 128, dtype=np.int64) + 1) * taps // 2
    sums = (thresholds[:, None] + np.arange(-2, 3)).reshape(-1)
    sums = np.clip(sums, -128 * taps, 127 * taps)
    magnitude = (np.abs(sums) + taps // 2) // taps
    wanted = np.where(sums < 0, -magnitude, magnitude)
    scaler = FixedPointScaler(multiplier, exponent, mode)
    return bool((scaler.scale(sums + bias) + zero_point == wanted).all())
