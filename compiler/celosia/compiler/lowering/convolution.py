"""CONV_2D: implicit im2col over the image, or over rows that the host has packed."""

from typing import Any

import numpy as np

from celosia.compiler.layers import Finish, Image, MatrixLayer, OutputImage, Window
from celosia.compiler.layout import RowPackedLayout, ceil_div
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.matrix import channel_scales, column_tiles
from celosia.golden.graph import Graph, Operator, Tensor
from celosia.golden.ops.matrix import constant, folded_bias
from celosia.golden.ops.stage import scale_of, zero_point_of
from celosia.golden.quantization import RoundingMode, activation_range, mode_for


def lower_convolution(context: LoweringContext) -> MatrixLayer:
    """A CONV_2D as a matrix layer."""
    x, output = context.input(0), context.output
    attributes: Any = context.node.attributes
    weights = constant(context.input(1))
    out, kernel_h, kernel_w, channels = weights.shape
    images, height, width, _ = x.shape
    (top, _), (left, _) = attributes["padding"]
    window = Window(
        size=(kernel_h, kernel_w),
        stride=attributes["stride"],
        dilation=attributes["dilation"],
        origin=(-top, -left),
    )
    owner, layout = context.source()
    shaped = weights
    if isinstance(layout, RowPackedLayout):
        width, channels = layout.columns, kernel_w * channels
        shaped = weights.reshape(out, kernel_h, 1, channels)
        window = Window(
            size=(kernel_h, 1),
            stride=(window.stride[0], 1),
            dilation=(window.dilation[0], 1),
            origin=(-top, 0),
        )
    else:
        context.pixels(channels)
    finish = matrix_finish(context, attributes["activation"])
    bias = context.optional_input(2)
    folded = folded_bias(
        weights.transpose(1, 2, 3, 0), None if bias is None else bias.data, zero_point_of(x)
    )
    scales = channel_scales(x, context.input(1), output, out, finish.mode)
    return MatrixLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        source=owner,
        output=context.define(out),
        finish=finish,
        macs=int(np.prod(output.shape)) * weights[0].size,
        image=Image(
            count=images,
            height=height,
            width=width,
            column_step=ceil_div(channels, context.config.rows),
            padding=zero_point_of(x),
        ),
        window=window,
        result=OutputImage(
            height=output.shape[1],
            width=output.shape[2],
            vectors=ceil_div(out, context.config.rows),
        ),
        tiles=column_tiles(context.config, shaped, folded, scales),
    )


def matrix_finish(context: LoweringContext, activation: Any) -> Finish:
    """Rounding mode, zero point and clamp of the matrix operator at hand."""
    output = context.output
    zero_point = zero_point_of(output)
    low, high = activation_range(activation, scale_of(output), zero_point)
    mode: RoundingMode = mode_for(context.profile, context.node.kind)
    return Finish(mode=mode, zero_point=zero_point, low=low, high=high)


def row_packing(graph: Graph, operator: Operator, rows: int) -> RowPackedLayout | None:
    """The packed layout of a CONV_2D's input where that saves passes, else None."""
    tensors = graph.tensors
    x: Tensor = tensors[operator.inputs[0]]
    _, _, kernel_w, channels = tensors[operator.inputs[1]].shape
    attributes: Any = operator.attributes
    plain, packed = kernel_w * ceil_div(channels, rows), ceil_div(kernel_w * channels, rows)
    if packed >= plain:
        return None
    images, height, width, _ = x.shape
    return RowPackedLayout(
        images=images,
        height=height,
        width=width,
        channels=channels,
        kernel=kernel_w,
        stride=attributes["stride"][1],
        dilation=attributes["dilation"][1],
        left=attributes["padding"][1][0],
        columns=tensors[operator.outputs[0]].shape[2],
        padding=zero_point_of(x),
    )
