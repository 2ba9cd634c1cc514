"""PAD as a copy: pixels by POOL with windows of one, channels by the array."""

from typing import Any

import numpy as np

from celosia.compiler.layers import MatrixLayer, PoolLayer, Window
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.images import pixel_image
from celosia.compiler.lowering.pooling import copy_region, pool_layer
from celosia.compiler.lowering.selection import selection_layer
from celosia.golden.isa import Reduction
from celosia.golden.ops.stage import zero_point_of


def lower_pad(context: LoweringContext) -> MatrixLayer | PoolLayer:
    """A PAD over height, width and channels, with the zero point."""
    attributes: Any = context.node.attributes
    x, output = context.input(0), context.output
    (top, _), (left, _), (before, after) = ((0, 0), (0, 0), *attributes["pads"])[-3:]
    zero_point = zero_point_of(x)
    image, (_, *shape) = pixel_image(x.shape), pixel_image(output.shape)
    result = (shape[0], shape[1])
    if before or after:
        channels = x.shape[-1]
        selected = np.eye(output.shape[-1], channels, -before, dtype=np.bool_)
        source, _ = context.pixels(channels)
        return selection_layer(
            context,
            selected,
            zero_point,
            source=source,
            image=image,
            result=result,
            origin=(-top, -left),
        )
    return pool_layer(
        context,
        image,
        Window(size=(1, 1), stride=(1, 1), dilation=(1, 1), origin=(-top, -left)),
        result,
        Reduction.MAXIMUM,
        zero_point,
        (copy_region(0, 0, *result),),
    )
