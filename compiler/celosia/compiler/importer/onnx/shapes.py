"""Reshape, Transpose and what else moves values: mostly views of the same memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from celosia.compiler.importer.onnx.activation import lookup, quantised
from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.values import (
    BYTES,
    UNSIGNED_OFFSET,
    Bytes,
    Constant,
    Floats,
    Pending,
    Reals,
    Scale,
    Value,
)
from celosia.compiler.importer.onnx.view import View, channels_last, fresh
from celosia.golden.graph import MAX_RANK, OpKind

Tensor = Bytes | Reals | Floats | Pending


def _tensor(context: NodeContext) -> Tensor:
    value = context.value(0)
    assert not isinstance(value, Constant), "nodes of constants alone have been computed"
    return value


def _reshaped(context: NodeContext, value: Tensor, shape: Sequence[int]) -> Value:
    context.require(
        len(shape) <= MAX_RANK and math.prod(shape) == math.prod(value.view.shape),
        f"its output of shape {tuple(shape)} must have as many elements as its input of shape "
        f"{value.view.shape}",
    )
    view = value.view.reshaped(shape)
    if view is not None:
        return replace(value, view=view)
    if isinstance(value, Pending):
        context.fail(f"input '{context.input_name(0)}' must be quantised before it is reshaped")
    plain = context.builder.in_order(value, range(len(value.view.shape)))
    target = View.plain(shape)
    tensor = context.builder.regroup(plain, target)
    return replace(plain, tensor=tensor, view=target)


def reshape(context: NodeContext) -> Value:
    """Reshape."""
    value = _tensor(context)
    shape = value.view.shape
    wanted = context.integers(1, "shape")
    context.require(wanted is not None, "its shape is missing")
    assert wanted is not None
    sizes = list(wanted)
    if not context.attribute("allowzero", 0):
        for axis, size in enumerate(sizes):
            if size == 0:
                context.require(axis < len(shape), f"its shape must fit {shape}, not {wanted}")
                sizes[axis] = shape[axis]
    if sizes.count(-1) == 1:
        known = -math.prod(sizes)
        context.require(
            known > 0 and math.prod(shape) % known == 0, f"its shape must fit {shape}, not {wanted}"
        )
        sizes[sizes.index(-1)] = math.prod(shape) // known
    context.require(min(sizes, default=1) > 0, f"its shape must fit {shape}, not {wanted}")
    return _reshaped(context, value, sizes)


def flatten(context: NodeContext) -> Value:
    """Flatten."""
    value = _tensor(context)
    shape = value.view.shape
    axis = context.attribute("axis", 1)
    rank = len(shape)
    context.require(-rank <= axis <= rank, f"its axis must be from {-rank} to {rank}, not {axis}")
    if axis < 0:
        axis += rank
    return _reshaped(context, value, (math.prod(shape[:axis]), math.prod(shape[axis:])))


def transpose(context: NodeContext) -> Value:
    """Transpose."""
    value = _tensor(context)
    rank = len(value.view.shape)
    permutation = context.numbers("perm", reversed(range(rank)))
    context.require(
        sorted(permutation) == list(range(rank)),
        f"its perm must order {rank} axes, not {permutation}",
    )
    return replace(value, view=value.view.transposed(permutation))


def squeeze(context: NodeContext) -> Value:
    """Squeeze."""
    value = _tensor(context)
    shape = value.view.shape
    given = context.integers(1, "axes")
    axes = (
        [axis for axis, size in enumerate(shape) if size == 1]
        if given is None
        else [context.axis(axis, len(shape)) for axis in given]
    )
    context.require(
        all(shape[axis] == 1 for axis in axes), f"its axes must be of size 1, not {axes} of {shape}"
    )
    return _reshaped(context, value, [size for axis, size in enumerate(shape) if axis not in axes])


def unsqueeze(context: NodeContext) -> Value:
    """Unsqueeze."""
    value = _tensor(context)
    given = context.integers(1, "axes") or ()
    rank = len(value.view.shape) + len(given)
    axes = {context.axis(axis, rank) for axis in given}
    context.require(len(axes) == len(given), f"its axes must differ, not {given}")
    rest = iter(value.view.shape)
    return _reshaped(context, value, [1 if axis in axes else next(rest) for axis in range(rank)])


def identity(context: NodeContext) -> Value:
    """Identity, and Dropout when not training."""
    return _tensor(context)


def shape_of(context: NodeContext) -> Value:
    """Shape, known at import."""
    shape = np.array(_tensor(context).view.shape, np.int64)
    start, end = context.attribute("start", 0), context.attribute("end", len(shape))
    return Constant(shape[start:end])


def pad(context: NodeContext) -> Value:
    """Pad with the value that stands for 0."""
    value = _tensor(context)
    mode = context.attribute("mode", b"constant")
    context.require(
        mode == b"constant", f"its mode must be constant, not {mode.decode(errors='replace')}"
    )
    shape = value.view.shape
    rank = len(shape)
    amounts = context.integers(1, "pads") or ()
    axes = tuple(range(rank))
    if context.has(3):
        axes = tuple(context.axis(int(axis), rank) for axis in context.constant(3, "axes"))
    context.require(
        len(amounts) == 2 * len(axes) and min(amounts, default=0) >= 0,
        f"its pads must be two whole numbers for each axis, not negative, not {amounts}",
    )
    number = context.attribute("value", 0.0)
    if context.has(2):
        given = context.constant(2, "constant value")
        context.require(given.size == 1, "its constant value must be one number")
        number = float(given.reshape(-1)[0])
    pairs = [(0, 0)] * rank
    for position, axis in enumerate(axes):
        pairs[axis] = (amounts[position], amounts[len(axes) + position])
    if not any(map(any, pairs)):
        return value
    if isinstance(value, Pending | Floats):
        context.reals(0)
    assert isinstance(value, Bytes | Reals)
    _check_padding(context, value, number)
    order = value.view.axis_order() or channels_last(rank)
    moved = context.builder.in_order(value, order)
    padded = [size + sum(pair) for size, pair in zip(shape, pairs, strict=True)]
    view = fresh(padded, order)
    output = context.builder.alike(moved.tensor, context.name, view.stored_shape)
    context.builder.add_operator(
        OpKind.PAD, (moved.tensor,), output, {"pads": tuple(pairs[axis] for axis in order)}
    )
    return replace(moved, tensor=output, view=view)


def _check_padding(context: NodeContext, value: Bytes | Reals, number: float) -> None:
    """Padding is the zero point, which the constant must be."""
    scale = context.builder.scale(value.tensor)
    if scale is None:
        context.fail("its input must have a scale by then: a QuantizeLinear must stand in front")
    if isinstance(value, Reals):
        held = float(value.values[scale.zero_point + 128])
    else:
        held = scale.zero_point + (UNSIGNED_OFFSET if value.unsigned else 0)
    context.require(
        number == held,
        f"its constant value must be what stands for 0, {held:.6g}, not {number:.6g}",
    )


def concat(context: NodeContext) -> Value:
    """Concat of bytes of one scale, or of dequantised tensors that are quantised alike."""
    count = len(context.node.inputs)
    parts = [context.value(position) for position in range(count)]
    if all(isinstance(part, Bytes) for part in parts):
        tensors = [part for part in parts if isinstance(part, Bytes)]
        scale = next((s for t in tensors if (s := context.builder.scale(t.tensor))), None)
        context.require(
            len({part.unsigned for part in tensors}) == 1,
            "its inputs must be all int8 or all uint8",
        )
        if scale is None:
            context.fail(
                "its inputs must have a scale by then: a QuantizeLinear must stand in front"
            )
        pending = _concat(context, [context.dequantised(tensor, scale) for tensor in tensors])
        return context.builder.finish_pending(pending, scale, context.name)
    reals = []
    for position, part in enumerate(parts):
        reals.append(part if isinstance(part, Reals) else context.reals(position))
    return _concat(context, reals)


def _concat(context: NodeContext, parts: Sequence[Reals]) -> Pending:
    builder = context.builder
    shapes = [part.view.shape for part in parts]
    rank = len(shapes[0])
    context.require("axis" in context.node.attributes, "its axis is missing")
    axis = context.axis(context.attribute("axis", 0), rank)
    for shape in shapes:
        context.require(
            len(shape) == rank
            and shape[:axis] + shape[axis + 1 :] == shapes[0][:axis] + shapes[0][axis + 1 :],
            f"its inputs must have the same shape but for axis {axis}, not {shapes[0]} and {shape}",
        )
    joined = [*shapes[0][:axis], sum(shape[axis] for shape in shapes), *shapes[0][axis + 1 :]]
    orders = [order for part in parts if (order := part.view.axis_order()) is not None]
    order = max(orders, key=orders.count) if orders else channels_last(rank)
    view = fresh(joined, order)
    moved = [builder.in_order(part, order) for part in parts]

    def emit(scale: Scale, low: float, high: float, name: str) -> int:
        tensors = []
        for number, part in enumerate(moved):
            assert isinstance(part, Reals)
            table = quantised(np.clip(part.values, np.float32(low), np.float32(high)), scale)
            tensor = part.tensor
            context.ratio(float(part.scale.scale) / float(scale.scale))
            same = (part.scale.scale, part.scale.zero_point) == (scale.scale, scale.zero_point)
            if not (same and np.array_equal(table, BYTES)):
                shape = builder.tensor(tensor).shape
                output = builder.add_tensor(f"{name}/input{number}", shape, scale=scale)
                tensor = lookup(builder, tensor, table, output)
            tensors.append(tensor)
        output = builder.add_tensor(name, view.stored_shape, scale=scale)
        attributes: dict[str, Any] = {"axis": order.index(axis)}
        return builder.add_operator(OpKind.CONCATENATION, tensors, output, attributes)

    return Pending(view, emit)


def qlinear_concat(context: NodeContext) -> Value:
    """QLinearConcat: the output's scale and zero point, then three inputs for each part."""
    count = len(context.node.inputs) - 2
    context.require(count >= 3 and count % 3 == 0, "it must have three inputs for each part")
    parts = [context.bytes(2 + start, 3 + start) for start in range(0, count, 3)]
    return context.builder.finish_pending(_concat(context, parts), context.scale(0), context.name)


SHAPES: dict[str, Callable[[NodeContext], Value]] = {
    "Reshape": reshape,
    "Flatten": flatten,
    "Transpose": transpose,
    "Squeeze": squeeze,
    "Unsqueeze": unsqueeze,
    "Identity": identity,
    "Dropout": identity,
    "Shape": shape_of,
    "Pad": pad,
    "Concat": concat,
    "QLinearConcat": qlinear_concat,
}
