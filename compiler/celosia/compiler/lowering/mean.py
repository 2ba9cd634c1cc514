"""MEAN over neighbouring dimensions: of pixels by POOL, of channels by the array."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from celosia.compiler.layers import Finish, Image, MatrixLayer, OutputImage, PoolLayer, Window
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.matrix import Scales, column_tiles
from celosia.compiler.lowering.pooling import copy_region, pool_layer
from celosia.golden.graph import Activation
from celosia.golden.isa import Reduction
from celosia.golden.ops.pooling import mean_constants
from celosia.golden.ops.stage import scale_of, zero_point_of
from celosia.golden.quantization import activation_range, mode_for


def lower_mean(context: LoweringContext) -> PoolLayer | MatrixLayer:
    """A MEAN: one window, requantised with the count in its scale."""
    attributes: Any = context.node.attributes
    x, output = context.input(0), context.output
    axes: tuple[int, ...] = attributes["axes"]
    sizes = [x.shape[axis] for axis in axes]
    mode = mode_for(context.profile, context.node.kind)
    multiplier, exponent = mean_constants(x, output, prod(sizes), mode)
    if axes[-1] == len(x.shape) - 1:
        return _mean_of_channels(context, prod(x.shape[: axes[0]]), multiplier, exponent)
    outer, inner = prod(x.shape[: axes[0]]), prod(x.shape[axes[-1] + 1 : -1])
    # An image for each of the outer positions. Two dimensions are rows and columns of the window,
    # unless there are columns that stay.
    height = prod(sizes) if inner > 1 else sizes[0]
    width = prod(sizes) // height
    region = replace(
        copy_region(0, 0, 1, inner),
        finish=_finish(context),
        multiplier=multiplier,
        exponent=exponent,
        bias=-zero_point_of(x) * prod(sizes),
    )
    window = Window(size=(height, width), stride=(1, 1), dilation=(1, 1), origin=(0, 0))
    image = (outer, height, width * inner)
    return pool_layer(context, image, window, (1, inner), Reduction.SUM, 0, (region,))


def _mean_of_channels(
    context: LoweringContext, count: int, multiplier: int, exponent: int
) -> MatrixLayer:
    """`count` means, each over all channels of neighbouring pixels: a product with ones."""
    config = context.config
    x, output = context.input(0), context.output
    channels = x.shape[-1]
    owner, layout = context.pixels(channels)
    joined = layout.pixels // count
    finish = _finish(context)
    scales = Scales(finish.mode, np.array([multiplier], np.int64), np.array([exponent], np.int64))
    bias = np.array([-zero_point_of(x) * joined * channels], np.int64)
    return MatrixLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        source=owner,
        output=context.define(1),
        finish=finish,
        macs=0,
        image=Image(
            count=1,
            height=1,
            width=layout.pixels,
            column_step=context.step(owner, channels),
            padding=0,
        ),
        window=Window(size=(1, joined), stride=(1, joined), dilation=(1, 1), origin=(0, 0)),
        result=OutputImage(height=1, width=count, vectors=1),
        tiles=column_tiles(config, np.ones((1, 1, joined, channels), np.int8), bias, scales, count),
        scale=scales.uniform,
    )


def _finish(context: LoweringContext) -> Finish:
    output = context.output
    zero_point = zero_point_of(output)
    low, high = activation_range(Activation.NONE, scale_of(output), zero_point)
    return Finish(
        mode=mode_for(context.profile, context.node.kind),
        zero_point=zero_point,
        low=low,
        high=high,
    )
