"""FULLY_CONNECTED: rows of the input are pixels; a flattened image is a kernel over its pixels."""

from dataclasses import replace
from typing import Any

import numpy as np

from celosia.compiler.layers import Image, MatrixLayer, OutputImage, Window
from celosia.compiler.layout import PixelLayout, ceil_div
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.convolution import matrix_finish
from celosia.compiler.lowering.matrix import channel_scales, column_tiles, whole_vectors
from celosia.golden.ops.matrix import constant, folded_bias
from celosia.golden.ops.stage import zero_point_of


def lower_fully_connected(context: LoweringContext) -> MatrixLayer:
    """A FULLY_CONNECTED as a matrix layer of one image row."""
    x, output = context.input(0), context.output
    attributes: Any = context.node.attributes
    weights = constant(context.input(1))
    out, depth = weights.shape
    owner, layout = context.source()
    # Each row of the product is `joined` neighbouring pixels: a kernel along the width.
    joined = 1
    if isinstance(layout, PixelLayout) and depth % layout.channels == 0:
        joined = depth // layout.channels
        channels = layout.channels
    else:
        owner, layout = context.pixels(depth)
        channels = depth
    finish = matrix_finish(context, attributes["activation"])
    bias = context.optional_input(2)
    offset = zero_point_of(x) + context.input_offset
    folded = folded_bias(weights.T, None if bias is None else bias.data, offset)
    scales = channel_scales(x, context.input(1), output, out, finish.mode)
    rows = context.config.rows
    pixel = context.pixel_channels.get(context.node.outputs[0]) or out
    kernel = whole_vectors(weights.reshape(out, 1, joined, channels), pixel, rows)
    folded = whole_vectors(folded, pixel, rows)
    scales = replace(
        scales,
        multiplier=whole_vectors(scales.multiplier, pixel, rows, "edge"),
        exponent=whole_vectors(scales.exponent, pixel, rows, "edge"),
    )
    return MatrixLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        source=owner,
        output=context.define(pixel),
        finish=finish,
        macs=int(np.prod(output.shape)) * depth,
        image=Image(
            count=1,
            height=1,
            width=layout.pixels,
            column_step=ceil_div(channels, rows),
            padding=zero_point_of(x),
        ),
        window=Window(size=(1, joined), stride=(1, joined), dilation=(1, 1), origin=(0, 0)),
        result=OutputImage(height=1, width=layout.pixels // joined, vectors=len(kernel) // rows),
        tiles=column_tiles(
            context.config,
            kernel,
            folded,
            scales,
            layout.pixels // joined,
            crossbar=context.on_crossbar,
        ),
        scale=scales.uniform,
        crossbar=context.on_crossbar,
    )
