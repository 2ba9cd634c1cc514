"""CONV_2D: implicit im2col over the image, or over pixels that the host has packed."""

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.layers import Finish, Image, MatrixLayer, OutputImage, Window
from celosia.compiler.layout import Layout, PackedLayout, PixelLayout, Taps
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.matrix import channel_scales, column_tiles
from celosia.golden.graph import Graph, Operator, Tensor
from celosia.golden.ops.matrix import constant, folded_bias
from celosia.golden.ops.stage import scale_of, zero_point_of
from celosia.golden.quantization import RoundingMode, activation_range, mode_for

MOST_LAYOUTS = 3
"""Layouts that `input_layouts` gives at most."""


def lower_convolution(context: LoweringContext) -> MatrixLayer:
    """A CONV_2D as a matrix layer."""
    weights = constant(context.input(1))
    out, kernel_h, kernel_w, channels = weights.shape
    size = context.input(0).shape[1:3]
    window = convolution_window(context, (kernel_h, kernel_w))
    _, layout = context.source()
    shaped = weights
    if isinstance(layout, PackedLayout):
        size = (layout.vertical.outputs, layout.horizontal.outputs)
        whole = layout.vertical == _taps(context.graph, context.node, 0)
        left = 1 if whole else kernel_h  # kernel rows that are not packed
        shaped = weights.reshape(out, left, 1, -1)
        window = Window(
            size=(left, 1),
            stride=(1 if whole else window.stride[0], 1),
            dilation=(window.dilation[0], 1),
            origin=(0 if whole else window.origin[0], 0),
        )
    else:
        context.pixels(channels)
    return convolution_layer(context, shaped, window, size=size, macs=weights[0].size)


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
    size: tuple[int, ...],
    macs: int,
) -> MatrixLayer:
    """The matrix layer of weights [out, kh, kw, in] over images of `size`, height and width.

    `macs` counts those of one output value.
    """
    x, output = context.input(0), context.output
    attributes: Any = context.node.attributes
    images, (height, width) = x.shape[0], size
    out, _, _, channels = weights.shape
    owner, _ = context.source()
    finish = matrix_finish(context, attributes["activation"])
    bias = context.optional_input(2)
    folded = folded_bias(
        weights.transpose(1, 2, 3, 0),
        None if bias is None else bias.data,
        zero_point_of(x) + context.input_offset,
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
        tiles=column_tiles(
            context.config,
            weights,
            folded,
            scales,
            result_height * output.shape[2],
            crossbar=context.on_crossbar,
        ),
        scale=scales.uniform,
        crossbar=context.on_crossbar,
    )


def matrix_finish(context: LoweringContext, activation: Any) -> Finish:
    """Rounding mode, zero point and clamp of the matrix operator at hand."""
    output = context.output
    zero_point = zero_point_of(output)
    low, high = activation_range(activation, scale_of(output), zero_point)
    mode: RoundingMode = mode_for(context.profile, context.node.kind)
    return Finish(mode=mode, zero_point=zero_point, low=low, high=high)


def input_layouts(graph: Graph, operator: Operator, rows: int) -> list[Layout]:
    """Layouts for an input that only a CONV_2D reads, those with fewest passes first.

    At most `MOST_LAYOUTS`, each of which takes less of the scratchpad than those before it.
    """
    x: Tensor = graph.tensors[operator.inputs[0]]
    images, height, width, channels = x.shape
    _, kernel_h, kernel_w, _ = graph.tensors[operator.inputs[1]].shape
    rows_apart = Taps(kernel=1, stride=1, dilation=1, before=0, outputs=height)
    plain = PixelLayout(images * height * width, channels)
    found: list[tuple[int, Layout]] = [
        (kernel_h * kernel_w * plain.pixel_vectors(rows), plain),
    ]
    for vertical in (_taps(graph, operator, 0), rows_apart):
        layout = PackedLayout(
            images=images,
            height=height,
            width=width,
            channels=channels,
            vertical=vertical,
            horizontal=_taps(graph, operator, 1),
            padding=zero_point_of(x),
        )
        passes = kernel_h // vertical.kernel * layout.packed.pixel_vectors(rows)
        found.append((passes, layout))
    found.sort(key=lambda item: (item[0], item[1].vectors(rows)))
    layouts: list[Layout] = []
    for _, choice in found:
        if not layouts or choice.vectors(rows) < layouts[-1].vectors(rows):
            layouts.append(choice)
    return layouts


def _taps(graph: Graph, operator: Operator, axis: int) -> Taps:
    """A CONV_2D's taps along height (0) or width (1)."""
    attributes: Any = operator.attributes
    return Taps(
        kernel=graph.tensors[operator.inputs[1]].shape[1 + axis],
        stride=attributes["stride"][axis],
        dilation=attributes["dilation"][axis],
        before=attributes["padding"][axis][0],
        outputs=graph.tensors[operator.outputs[0]].shape[1 + axis],
    )
