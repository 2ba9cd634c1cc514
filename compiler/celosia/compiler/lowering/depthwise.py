"""DEPTHWISE_CONV_2D: on the depthwise engine, or on the array where the engine can't take it."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.layers import (
    DepthwiseLayer,
    DepthwiseTile,
    Image,
    MatrixLayer,
    OutputImage,
    Window,
)
from celosia.compiler.layout import ceil_div
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.convolution import (
    convolution_layer,
    convolution_window,
    matrix_finish,
)
from celosia.compiler.lowering.matrix import channel_scales, parameter_planes
from celosia.compiler.strips import possible_strips
from celosia.golden.config import NpuConfig
from celosia.golden.ops.matrix import constant, folded_bias
from celosia.golden.ops.stage import zero_point_of


def lower_depthwise(context: LoweringContext) -> DepthwiseLayer | MatrixLayer:
    """A DEPTHWISE_CONV_2D."""
    attributes: Any = context.node.attributes
    weights = constant(context.input(1))[0]
    window = convolution_window(context, weights.shape[:2])
    context.pixels(context.input(0).shape[3])
    if possible_strips(context.config, window, attributes["multiplier"]):
        return _on_the_engine(context, weights, window)
    return _on_the_array(context, weights, window)


def _on_the_array(
    context: LoweringContext, weights: NDArray[np.int8], window: Window
) -> MatrixLayer:
    """A convolution whose weight tiles are diagonal.

    The array's other products are zeros: it is exact, and as slow as a full convolution of one
    input vector, as tiles of zeros are skipped.
    """
    attributes: Any = context.node.attributes
    x = context.input(0)
    diagonal = np.repeat(np.eye(x.shape[3], dtype=np.int8), attributes["multiplier"], axis=0)
    spread = weights.transpose(2, 0, 1)[..., None] * diagonal[:, None, None]
    return convolution_layer(
        context, spread, window, size=x.shape[1:3], macs=math.prod(window.size)
    )


def _on_the_engine(
    context: LoweringContext, weights: NDArray[np.int8], window: Window
) -> DepthwiseLayer:
    x, output, config = context.input(0), context.output, context.config
    attributes: Any = context.node.attributes
    images, height, width, channels = x.shape
    out = weights.shape[2]
    owner, _ = context.source()
    finish = matrix_finish(context, attributes["activation"])
    bias = context.optional_input(2)
    folded = folded_bias(weights, None if bias is None else bias.data, zero_point_of(x))
    scales = channel_scales(x, context.input(1), output, out, finish.mode)
    return DepthwiseLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        source=owner,
        output=context.define(out),
        finish=finish,
        macs=math.prod(output.shape) * math.prod(window.size),
        image=Image(
            count=images,
            height=height,
            width=width,
            column_step=context.step(owner, channels),
            padding=zero_point_of(x),
        ),
        window=window,
        result=OutputImage(
            height=output.shape[1],
            width=output.shape[2],
            vectors=context.step(context.node.outputs[0], out),
        ),
        tiles=_tiles(config, weights, parameter_planes(folded, scales), attributes["multiplier"]),
        scale=scales.uniform,
    )


def _tiles(
    config: NpuConfig, weights: NDArray[np.int8], planes: NDArray[np.uint8], multiplier: int
) -> tuple[DepthwiseTile, ...]:
    """A tile for each vector of outputs, or for each slice of one where C < R.

    The outputs of an input vector are whole vectors, so that no tile reads two of them.
    """
    rows, lanes = config.rows, config.depthwise_lanes
    out = weights.shape[2]
    # One more output channel, of zeros, stands for the unused columns.
    padded = np.pad(weights, ((0, 0), (0, 0), (0, 1)))
    column = np.arange(config.columns)
    tiles = []
    for vector in range(ceil_div(out, rows)):
        for slice_ in range(config.tile_slices):
            first = vector * rows + slice_ * lanes
            if first >= out:
                break
            end = min(first + lanes, (vector + 1) * rows, out)
            channel = np.where(first + column < end, first + column, out)
            input_channel, phase = divmod(first, multiplier)
            tiles.append(
                DepthwiseTile(
                    weights=padded[..., channel],
                    parameters=planes[:, channel].tobytes(),
                    input_vector=input_channel // rows,
                    output_vector=vector,
                    slice=slice_,
                    multiplier=multiplier,
                    lane=input_channel % rows,
                    phase=phase,
                )
            )
    return tuple(tiles)
