"""Channels moved by the array: a 1 x 1 convolution whose weights are ones and zeros, at scale 1."""

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.layers import Finish, Image, MatrixLayer, OutputImage, Pair, Window
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.matrix import IDENTITY, Scales, column_tiles
from celosia.golden.quantization import INT8_MAX, INT8_MIN, RoundingMode


def selection_layer(
    context: LoweringContext,
    selected: NDArray[np.bool_],
    fill: int,
    *,
    source: int,
    image: tuple[int, int, int],
    result: tuple[int, int],
    origin: Pair = (0, 0),
    stride: Pair = (1, 1),
    output: int | None = None,
) -> MatrixLayer:
    """The operator at hand as a choice of channels of `source`, an `image` (images, height, width).

    `selected` [out, in] holds at most one input channel for each of the output's; the others are
    `fill`, and so is what lies outside of the image. Each image of the `result` (height, width)
    shows its input's pixels from `origin` on, `stride` apart. `output` is the operator's own if it
    isn't given.
    """
    config = context.config
    images, height, width = image
    out, channels = selected.shape
    index = context.define(out) if output is None else output
    multiplier, exponent = (np.full(out, each, np.int64) for each in IDENTITY)
    scales = Scales(RoundingMode.DOUBLE, multiplier, exponent)
    bias = np.where(selected.any(axis=1), 0, fill).astype(np.int64)
    weights = selected.astype(np.int8)[:, None, None]
    return MatrixLayer(
        operator=context.operator,
        name=context.tensors[index].name,
        kind=context.node.kind,
        source=source,
        output=index,
        finish=Finish(mode=RoundingMode.DOUBLE, zero_point=0, low=INT8_MIN, high=INT8_MAX),
        macs=0,
        image=Image(
            count=images,
            height=height,
            width=width,
            column_step=context.step(source, channels),
            padding=fill,
        ),
        window=Window(size=(1, 1), stride=stride, dilation=(1, 1), origin=origin),
        result=OutputImage(height=result[0], width=result[1], vectors=context.step(index, out)),
        tiles=column_tiles(config, weights, bias, scales, result[0] * result[1]),
        scale=scales.uniform,
    )
