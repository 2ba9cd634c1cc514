"""TRANSPOSE: the dimensions that move are the channels of a pixel, which the array reorders."""

from math import prod
from typing import Any

import numpy as np

from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.selection import selection_layer
from celosia.compiler.partition import fixed_dimensions


def lower_transpose(context: LoweringContext) -> None:
    """A TRANSPOSE; no layer where the values keep their order."""
    attributes: Any = context.node.attributes
    permutation: tuple[int, ...] = attributes["permutation"]
    fixed = fixed_dimensions(permutation)
    moved = context.input(0).shape[fixed:]
    order = np.arange(prod(moved)).reshape(moved)
    order = order.transpose([axis - fixed for axis in permutation[fixed:]]).reshape(-1)
    if np.array_equal(order, np.arange(order.size)):
        context.origins[context.node.outputs[0]] = context.origin(context.node.inputs[0])
        return
    source, layout = context.pixels(order.size)
    layer = selection_layer(
        context,
        np.arange(order.size) == order[:, None],
        0,
        source=source,
        image=(1, 1, layout.pixels),
        result=(1, layout.pixels),
    )
    context.layers.append(layer)
