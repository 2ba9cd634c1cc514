"""Constants in the scratchpad: a product of zeros whose biases are the values.

Only POST writes to the scratchpad, and its parameters are the way from the weight memory to it.
"""

from math import prod

import numpy as np

from celosia.compiler.layers import Finish, Image, MatrixLayer, OutputImage, Window
from celosia.compiler.layout import PixelLayout, ceil_div
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.matrix import IDENTITY, Scales, column_tiles
from celosia.golden.ops.matrix import constant
from celosia.golden.quantization import INT8_MAX, INT8_MIN, RoundingMode


def constant_layer(context: LoweringContext, index: int, source: int) -> MatrixLayer:
    """Stores constant tensor `index`. `source` is any stored tensor: it is read, to no effect."""
    tensor = context.graph.tensors[index]
    rows = context.config.rows
    channels = tensor.shape[-1] if tensor.shape else 1
    layout = PixelLayout(prod(tensor.shape) // channels, channels)
    context.layouts[index] = layout
    values = layout.pack(constant(tensor), rows).reshape(-1).astype(np.int64)
    multiplier, exponent = (np.full(values.size, each, np.int64) for each in IDENTITY)
    scales = Scales(RoundingMode.DOUBLE, multiplier, exponent)
    return MatrixLayer(
        operator=context.operator,
        name=tensor.name,
        kind=context.node.kind,
        source=source,
        output=index,
        finish=Finish(mode=RoundingMode.DOUBLE, zero_point=0, low=INT8_MIN, high=INT8_MAX),
        macs=0,
        image=Image(count=1, height=1, width=1, column_step=1, padding=0),
        window=Window(size=(1, 1), stride=(1, 1), dilation=(1, 1), origin=(0, 0)),
        result=OutputImage(height=1, width=1, vectors=ceil_div(values.size, rows)),
        tiles=column_tiles(
            context.config, np.zeros((values.size, 1, 1, 1), np.int8), values, scales, 1
        ),
        scale=scales.uniform,
    )
