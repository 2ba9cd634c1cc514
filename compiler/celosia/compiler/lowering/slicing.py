"""STRIDED_SLICE: read where it lies, if all that use it can do that, or else copied."""

from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from celosia.compiler.layers import Window
from celosia.compiler.layout import PixelLayout, ceil_div
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.images import pixel_image
from celosia.compiler.lowering.pooling import copy_region, window_layer
from celosia.compiler.lowering.selection import selection_layer
from celosia.compiler.lowering.views import View
from celosia.golden.isa import Reduction


def lower_slice(context: LoweringContext) -> None:
    """A STRIDED_SLICE: a view, or else a layer that copies."""
    attributes: Any = context.node.attributes
    shape, index = context.input(0).shape, context.node.outputs[0]
    begin, size, strides = (attributes[name] for name in ("begin", "size", "strides"))
    channels, rows = size[-1], context.config.rows
    owner, _ = context.pixels(shape[-1])
    # Images are taken by the place alone; so are channels, where they begin with a vector.
    images, height, width = pixel_image(shape)
    skipped = _flat(begin[:-3], shape[:-3])
    step = context.step(owner, shape[-1])
    base = context.views.get(owner) or View(owner, 0, step, spaced=False)
    images = prod(size[:-3])
    top, left = (0, 0, *begin[:-1])[-2:]
    result = pixel_image(size)[1:]
    stride = (1, 1, *strides[:-1])[-2:]
    whole = begin[-1] % rows == 0 and strides[-1] == 1
    first = base.first + skipped * height * width * step + (begin[-1] // rows if whole else 0)
    one_run = stride == (1, 1) or prod(result) == 1
    full_rows = result[1] == width or result[0] == 1
    together = images == 1 or result == (height, width)
    place = View(
        owner=base.owner,
        first=first + (top * width + left) * step,
        step=step,
        spaced=prod(size[:-1]) > 1 and step != ceil_div(channels, rows),
    )
    layout = PixelLayout(prod(size[:-1]), channels)
    in_place = whole and one_run and full_rows and together
    if in_place and index not in context.views and context.uses.may_be_read(index, place):
        context.views[index] = place
        context.layouts[index] = layout
        return
    source = context.scratch(replace(context.input(0), shape=size), layout)
    context.views[source] = View(base.owner, first, step, spaced=True)
    window = Window(size=(1, 1), stride=stride, dilation=(1, 1), origin=(top, left))
    context.layers.append(
        window_layer(
            context,
            (images, height, width),
            window,
            result,
            Reduction.MAXIMUM,
            0,
            (copy_region(0, 0, *result),),
            source=source,
            output=context.define(channels),
            channels=channels,
        )
        if whole
        else selection_layer(
            context,
            np.arange(shape[-1]) == (begin[-1] + np.arange(channels) * strides[-1])[:, None],
            0,
            source=source,
            image=(images, height, width),
            result=result,
            origin=(top, left),
            stride=stride,
        )
    )


def _flat(index: tuple[int, ...], shape: tuple[int, ...]) -> int:
    """Position of an index in the flat order of a shape."""
    position = 0
    for each, size in zip(index, shape, strict=True):
        position = position * size + each
    return position
