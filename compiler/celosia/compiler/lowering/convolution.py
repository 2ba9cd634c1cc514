"""Convolutions: implicit im2col over the image, or over rows that the host has packed."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

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
    weights = constant(context.input(1))
    out, kernel_h, kernel_w, channels = weights.shape
    _, _, width, _ = context.input(0).shape
    window = convolution_window(context, (kernel_h, kernel_w))
    _, layout = context.source()
    shaped = weights
    if isinstance(layout, RowPackedLayout):
        width, channels = layout.columns, kernel_w * channels
        shaped = weights.reshape(out, kernel_h, 1, channels)
        window = Window(
            size=(kernel_h, 1),
            stride=(window.stride[0], 1),
            dilation=(window.dilation[0], 1),
            origin=(window.origin[0], 0),
        )
    else:
        context.pixels(channels)
    return convolution_layer(
        context, shaped, window, width=width, macs=weights[0].size, connected=None
    )


def lower_depthwise(context: LoweringContext) -> MatrixLayer:
    """A DEPTHWISE_CONV_2D as a convolution whose weight tiles are diagonal.

    The array's other products are zeros: it is exact, and as slow as a full convolution of one
    input vector.
    """
    attributes: Any = context.node.attributes
    weights = constant(context.input(1))[0]
    kernel_h, kernel_w, _ = weights.shape
    channels = context.input(0).shape[3]
    context.pixels(channels)
    connected = np.repeat(np.eye(channels, dtype=np.bool_), attributes["multiplier"], axis=0)
    spread = weights.transpose(2, 0, 1)[..., None] * connected[:, None, None].astype(np.int8)
    return convolution_layer(
        context,
        spread,
        convolution_window(context, (kernel_h, kernel_w)),
        width=context.input(0).shape[2],
        macs=kernel_h * kernel_w,
        connected=connected,
    )


def convolution_window(context: LoweringContext, size: tuple[int, int]) -> Window:
    """The window of a convolution's attributes."""
    attributes: Any = context.node.attributes
    (top, _), (left, _) = attributes["padding"]
    return Window(
        size=size,
        stride=attributes["stride"],
        dilation=attributes["dilation"],
        origin=(-top, -left),
    )


def convolution_layer(
    context: LoweringContext,
    weights: NDArray[np.int8],
    window: Window,
    *,
    width: int,
    macs: int,
    connected: NDArray[np.bool_] | None,
) -> MatrixLayer:
    """The matrix layer of weights [out, kh, kw, in] over an image of `width`.

    `macs` counts those of one output value; `connected` as in `column_tiles`.
    """
    x, output = context.input(0), context.output
    attributes: Any = context.node.attributes
    images, height, _, _ = x.shape
    out, _, _, channels = weights.shape
    owner, _ = context.source()
    finish = matrix_finish(context, attributes["activation"])
    bias = context.optional_input(2)
    folded = folded_bias(
        weights.transpose(1, 2, 3, 0), None if bias is None else bias.data, zero_point_of(x)
    )
    scales = channel_scales(x, context.input(1), output, out, finish.mode)
    result_height = output.shape[1]
    if window.size == window.stride == (1, 1) and (height, width) == output.shape[1:3]:
        # No window reaches beyond its pixel: the images are one, and share each weight tile.
        images, height, result_height = 1, images * height, images * height
    return MatrixLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        source=owner,
        output=context.define(out),
        finish=finish,
        macs=math.prod(output.shape) * macs,
        image=Image(
            count=images,
            height=height,
            width=width,
            column_step=context.step(owner, channels),
            padding=zero_point_of(x),
        ),
        window=window,
        result=OutputImage(
            height=result_height,
            width=output.shape[2],
            vectors=context.step(context.node.outputs[0], out),
        ),
        tiles=column_tiles(context.config, weights, folded, scales, connected),
        scale=scales.uniform,
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
