"""Pixels of one number of channels made of pixels of another, by the array.

A reshaped tensor lies as its origin does. Where its channels don't divide into vectors that way,
neighbouring pixels are joined by a kernel over them and cut again by the order of the outputs.
"""

from math import lcm

import numpy as np

from celosia.compiler.layers import Finish, Image, MatrixLayer, OutputImage, Window
from celosia.compiler.layout import PixelLayout, ceil_div
from celosia.compiler.lowering.matrix import IDENTITY, Scales, column_tiles, whole_vectors
from celosia.golden.config import NpuConfig
from celosia.golden.graph import OpKind
from celosia.golden.quantization import INT8_MAX, INT8_MIN, RoundingMode


def regroup_layer(
    config: NpuConfig,
    layout: PixelLayout,
    channels: int,
    *,
    operator: int,
    name: str,
    source: int,
    output: int,
) -> MatrixLayer:
    """Tensor `source` of `layout` into tensor `output` of pixels of `channels`."""
    rows = config.rows
    values = lcm(layout.channels, channels)
    joined = values // layout.channels
    count = layout.pixels // joined
    one_hot = np.eye(values, dtype=np.int8).reshape(values, 1, joined, layout.channels)
    kernel = whole_vectors(one_hot, channels, rows)
    out = len(kernel)
    multiplier, exponent = (np.full(out, each, np.int64) for each in IDENTITY)
    scales = Scales(RoundingMode.DOUBLE, multiplier, exponent)
    return MatrixLayer(
        operator=operator,
        name=name,
        kind=OpKind.RESHAPE,
        source=source,
        output=output,
        finish=Finish(mode=RoundingMode.DOUBLE, zero_point=0, low=INT8_MIN, high=INT8_MAX),
        macs=0,
        image=Image(
            count=1,
            height=1,
            width=layout.pixels,
            column_step=ceil_div(layout.channels, rows),
            padding=0,
        ),
        window=Window(size=(1, joined), stride=(1, joined), dilation=(1, 1), origin=(0, 0)),
        result=OutputImage(height=1, width=count, vectors=out // rows),
        tiles=column_tiles(config, kernel, np.zeros(out, np.int64), scales, count),
        scale=scales.uniform,
    )
