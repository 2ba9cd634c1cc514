"""Functions that only clamp become the clamp of the layer that makes their operand."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from celosia.compiler.layers import AnyLayer, Finish, PoolLayer
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.functions import ByteFunction
from celosia.golden.ops.tables import ALL_INT8


def clamp_before(
    context: LoweringContext, function: ByteFunction, body: Sequence[int], outputs: Sequence[int]
) -> bool:
    """Let the layer that makes a function's operand store the function instead, if it can.

    It can where the function is a clamp, and nothing else of the body or behind it takes what
    stands between the operand and the function, or the operand itself.
    """
    low, high = int(function.table.min()), int(function.table.max())
    if not np.array_equal(function.table, np.clip(ALL_INT8, low, high)):
        return False
    made = [layer.output for layer in context.layers]
    if function.tensor not in made or not _alone(context, function.tensor, body, outputs):
        return False
    index = made.index(function.tensor)
    output = context.node.outputs[0]
    context.layouts[output] = context.layouts[function.tensor]
    context.layers[index] = replace(
        _clamped(context.layers[index], low, high), output=output, name=context.output.name
    )
    return True


def _alone(
    context: LoweringContext, tensor: int, body: Sequence[int], outputs: Sequence[int]
) -> bool:
    operators = [context.graph.operators[index] for index in body]
    while tensor != context.node.outputs[0]:
        users = [node for node in operators for taken in node.inputs if taken == tensor]
        if len(users) != 1 or tensor in outputs:
            return False
        tensor = users[0].outputs[0]
    return True


def _clamped(layer: AnyLayer, low: int, high: int) -> AnyLayer:
    def narrowed(finish: Finish) -> Finish:
        ends = np.clip([finish.low, finish.high], low, high).tolist()
        return replace(finish, low=ends[0], high=ends[1])

    if isinstance(layer, PoolLayer):
        regions = tuple(replace(each, finish=narrowed(each.finish)) for each in layer.regions)
        return replace(layer, regions=regions)
    return replace(layer, finish=narrowed(layer.finish))
