"""QuantizeLinear and DequantizeLinear: where float values begin and end."""

from collections.abc import Callable

import numpy as np

from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.functions import requantised
from celosia.compiler.importer.onnx.values import (
    UNSIGNED_OFFSET,
    Bytes,
    Constant,
    Floats,
    Pending,
    Reals,
    Value,
)
from celosia.golden.graph import OpKind


def _axis(context: NodeContext, rank: int) -> int:
    """The axis of several scales."""
    context.require(
        not context.attribute("block_size", 0), "scales of blocks aren't supported: block_size"
    )
    return context.axis(context.attribute("axis", 1), rank) if rank > 1 else 0


def quantize(context: NodeContext) -> Value:
    """QuantizeLinear."""
    value = context.value(0)
    if isinstance(value, Constant):
        return _quantised_constant(context, value)
    context.require(
        context.has(2) or not context.attribute("output_dtype", 0),
        "its output's type must be that of a zero point",
    )
    if isinstance(value, Reals):
        context.ratio(float(value.scale.scale) / float(context.scale(1).scale))
        return requantised(context, value, 1)
    scale = context.scale(1)
    if isinstance(value, Pending):
        return context.builder.finish_pending(value, scale, context.name)
    if not isinstance(value, Floats):
        context.fail(f"input '{context.input_name(0)}' must be float")
    builder = context.builder
    shape = builder.tensor(value.tensor).shape
    output = builder.add_tensor(context.name, shape, scale=scale)
    builder.add_operator(OpKind.QUANTIZE, (value.tensor,), output)
    return Bytes(output, value.view, scale.unsigned)


def _quantised_constant(context: NodeContext, value: Constant) -> Constant:
    """Weights that the file holds as float numbers."""
    data = value.data
    context.require(
        data.dtype == np.float32,
        f"constant '{context.input_name(0)}' must be float32, not {data.dtype.name}",
    )
    zero_type = context.constant(2, "zero point").dtype if context.has(2) else np.dtype(np.uint8)
    axis = _axis(context, data.ndim)
    described = context.quantised(np.zeros(data.shape, zero_type), 1, axis)
    shape = [1] * data.ndim
    if described.scale.size > 1:
        shape[axis] = -1
    limits = np.iinfo(zero_type)
    offset = UNSIGNED_OFFSET if described.unsigned else 0
    steps = np.rint(data / described.scale.reshape(shape)).astype(np.float64)
    whole = np.clip(steps + described.zero_point.reshape(shape) + offset, limits.min, limits.max)
    return Constant(whole.astype(zero_type))


def dequantize(context: NodeContext) -> Value:
    """DequantizeLinear."""
    value = context.value(0)
    if isinstance(value, Constant):
        axis = _axis(context, value.data.ndim)
        data = context.quantised(value.data, 1, axis)
        return Constant(data.reals(), data)
    if not isinstance(value, Bytes):
        context.fail(f"input '{context.input_name(0)}' must be a quantised tensor")
    return context.dequantised(value, context.scale(1))


QUANTISATION: dict[str, Callable[[NodeContext], Value]] = {
    "QuantizeLinear": quantize,
    "DequantizeLinear": dequantize,
}
