"""CONCATENATION by placement: what makes a part writes it to where the whole has it.

Along channels a part's vectors lie between those of the others, so that each part must begin with
a vector: where channels don't fill their vectors, the parts stand in a tensor that has them padded,
and the array takes the gaps out. A part that can't be made in place is copied there by POOL.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from math import prod
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.layers import Window
from celosia.compiler.layout import PixelLayout, ceil_div
from celosia.compiler.lowering.constants import constant_layer
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.images import pixel_image
from celosia.compiler.lowering.pooling import copy_region, window_layer
from celosia.compiler.lowering.selection import selection_layer
from celosia.compiler.lowering.views import View
from celosia.golden.graph import OpKind
from celosia.golden.isa import Reduction
from celosia.golden.ops.stage import zero_point_of


@dataclass(frozen=True)
class Joint:
    """Where the parts of a concatenation lie.

    Attributes:
        places: of each part.
        padded: the tensor that has the parts with gaps, if there is one.
        broken: rows of one part lie between rows of another.
    """

    places: tuple[View, ...]
    padded: int | None
    broken: bool


def plan_joints(context: LoweringContext, body: Sequence[int]) -> dict[int, Joint]:
    """The joints of the body's concatenations by operator; enters views for parts made in place.

    Outer concatenations come first, since the places of inner ones depend on theirs.
    """
    uses = context.uses
    joints = {}
    for index in reversed(body):
        context.operator = index
        if context.node.kind is OpKind.CONCATENATION:
            joints[index] = joint = _joint(context)
            for part, place in zip(context.node.inputs, joint.places, strict=True):
                alone = context.node.inputs.count(part) == 1 and not joint.broken
                if part not in context.views and alone and uses.may_lie(part, place):
                    context.views[part] = place
    return joints


def _joint(context: LoweringContext) -> Joint:
    rows = context.config.rows
    node, shape = context.node, context.output.shape
    attributes: Any = node.attributes
    axis: int = attributes["axis"]
    shapes = [context.graph.tensors[part].shape for part in node.inputs]
    sizes = [each[axis] for each in shapes]
    output = node.outputs[0]
    whole = context.views.get(output) or View(output, 0, ceil_div(shape[-1], rows), spaced=False)
    padded = None
    if axis == len(shape) - 1:
        firsts = list(accumulate((ceil_div(size, rows) for size in sizes), initial=0))
        if any(size % rows for size in sizes[:-1]):
            padded_shape = (prod(shape[:-1]), firsts[-1] * rows)
            padded = context.scratch(
                replace(context.output, shape=padded_shape), PixelLayout(*padded_shape)
            )
            whole = View(padded, 0, firsts[-1], spaced=False)
    else:
        inner = prod(shape[axis + 1 : -1])
        firsts = [first * inner * whole.step for first in accumulate(sizes, initial=0)]
    places = tuple(
        View(
            owner=whole.owner,
            first=whole.first + first,
            step=whole.step,
            spaced=whole.step != ceil_div(each[-1], rows) and prod(each[:-1]) > 1,
        )
        for first, each in zip(firsts, shapes, strict=False)
    )
    return Joint(places, padded, broken=axis < len(shape) - 1 and prod(shape[:axis]) > 1)


def lower_concatenation(context: LoweringContext, joint: Joint) -> None:
    """A CONCATENATION: copies of the parts that aren't in place, and the gaps taken out."""
    output = context.output
    if joint.padded is None:
        context.define(output.shape[-1])
    for position, (part, place) in enumerate(zip(context.node.inputs, joint.places, strict=True)):
        if context.views.get(part) != place:
            _copy(context, position, place)
    if joint.padded is not None:
        layer = selection_layer(
            context,
            _without_gaps(context),
            zero_point_of(output),
            source=joint.padded,
            image=pixel_image(output.shape),
            result=pixel_image(output.shape)[1:],
        )
        context.layers.append(layer)


def _without_gaps(context: LoweringContext) -> NDArray[np.bool_]:
    """Which lane of the padded tensor each channel comes from: [out, in]."""
    rows = context.config.rows
    columns: list[int] = []
    first = 0
    for part in context.node.inputs:
        size = context.graph.tensors[part].shape[-1]
        columns += range(first, first + size)
        first += ceil_div(size, rows) * rows
    return np.asarray(np.arange(first) == np.array(columns)[:, None])


def _copy(context: LoweringContext, position: int, place: View) -> None:
    """A part, copied to its place."""
    node, part = context.node, context.input(position)
    attributes: Any = node.attributes
    axis: int = attributes["axis"]
    index = node.inputs[position]
    if part.data is not None and index not in context.layouts:
        variable = next(t for t in node.inputs if context.graph.tensors[t].data is None)
        source = context.origin(variable)
        context.layers.append(constant_layer(context, index, source))
    owner, layout = context.regrouped(index, part.shape[-1])
    copied = context.scratch(part, layout)
    context.views[copied] = place
    images, height, width = pixel_image(part.shape)
    result_height, result_width = height, width
    if axis < len(part.shape) - 1:
        # Rows are the dimension along which parts are joined, or columns, if there are none in it.
        outer, size = prod(part.shape[:axis]), part.shape[axis]
        inner, total = prod(part.shape[axis + 1 : -1]), context.output.shape[axis]
        images, height, width = (1, outer, size) if inner == 1 else (outer, size, inner)
        result_height, result_width = (outer, total) if inner == 1 else (total, inner)
    context.layers.append(
        window_layer(
            context,
            (images, height, width),
            Window(size=(1, 1), stride=(1, 1), dilation=(1, 1), origin=(0, 0)),
            (result_height, result_width),
            Reduction.MAXIMUM,
            0,
            (copy_region(0, 0, height, width),),
            source=owner,
            output=copied,
            channels=part.shape[-1],
        )
    )
