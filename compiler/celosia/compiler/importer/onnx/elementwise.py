"""Add and Mul (and what is one of these): of two tensors, or of a tensor and constants."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any, TypeAlias

import numpy as np

from celosia.compiler.importer.onnx.activation import emit_clamped
from celosia.compiler.importer.onnx.builder import GraphBuilder
from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.functions import apply
from celosia.compiler.importer.onnx.values import (
    Constant,
    Pending,
    QuantisedData,
    Reals,
    Scale,
    Value,
)
from celosia.compiler.importer.onnx.view import View, channels_last, fresh
from celosia.golden.graph import OpKind

Operand: TypeAlias = Reals | QuantisedData
_KINDS = {"Add": OpKind.ADD, "Mul": OpKind.MUL}
_UFUNCS: dict[str, Callable[..., Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Mul": np.multiply,
    "Div": np.divide,
    "Pow": np.power,
    "Max": np.maximum,
    "Min": np.minimum,
}


def arithmetic(context: NodeContext) -> Value:
    """Add, Sub, Mul, Div, Pow, Max or Min of float values."""
    kind = context.node.kind
    context.require(len(context.node.inputs) == 2, "it must have two inputs")
    a, b = context.value(0), context.value(1)
    for value, other, swapped in ((a, b, False), (b, a, True)):
        if isinstance(value, Pending) and isinstance(other, Constant):
            return _folded(context, value, other, swapped=swapped)
        if isinstance(value, Reals) and isinstance(other, Constant) and other.data.size == 1:
            # A quantised number is an operand like any other.
            if other.quantised is not None and kind in _KINDS:
                continue
            return _of_number(context, value, other, swapped=swapped)
    if isinstance(a, Reals) and isinstance(b, Reals) and _same_bytes(a, b):
        values = _UFUNCS[kind](a.values, b.values)
        return apply(context, a, lambda _: values)
    if kind not in _KINDS:
        context.fail("it must have one input that is a single constant number")
    operands = [_operand(context, position) for position in range(2)]
    return binary(context, _KINDS[kind], *operands)


def _same_bytes(a: Reals, b: Reals) -> bool:
    """Whether both are functions of the same bytes, which makes anything of them one, too."""
    return a.tensor == b.tensor and a.view == b.view


def _of_number(context: NodeContext, value: Reals, other: Constant, *, swapped: bool) -> Reals:
    number = np.float32(other.data.reshape(-1)[0])
    function = _UFUNCS[context.node.kind]
    return apply(context, value, lambda v: function(number, v) if swapped else function(v, number))


def _folded(context: NodeContext, value: Pending, other: Constant, *, swapped: bool) -> Value:
    """A factor or an offset for each channel goes into the product in front of it."""
    kind, shape, data = context.node.kind, value.view.shape, other.data
    channel_axis = value.channel_axis
    aligned = (1,) * (len(shape) - data.ndim) + data.shape
    per_channel = all(
        size == 1 or (axis == channel_axis and size == shape[axis])
        for axis, size in enumerate(aligned)
    )
    if value.affine is None or not per_channel or kind not in ("Add", "Sub", "Mul", "Div"):
        context.fail(
            f"input '{context.input_name(int(swapped))}' must be quantised: only a number for each "
            "channel can be folded into the operator in front of it"
        )
    numbers = data.reshape(-1).astype(np.float64)
    one, zero = np.ones(1), np.zeros(1)
    if kind == "Add":
        return value.affine(one, numbers)
    if kind == "Sub":
        return value.affine(-one, numbers) if swapped else value.affine(one, -numbers)
    if kind == "Mul":
        return value.affine(numbers, zero)
    context.require(not swapped and bool(numbers.all()), "it must divide by numbers other than 0")
    return value.affine(1 / numbers, zero)


def _operand(context: NodeContext, position: int) -> Operand:
    value = context.value(position)
    if isinstance(value, Constant) and value.quantised is not None:
        return value.quantised
    return context.reals(position)


def qlinear_arithmetic(context: NodeContext) -> Value:
    """QLinearAdd and QLinearMul."""
    kind = _KINDS[context.node.kind.removeprefix("QLinear")]
    operands: list[Operand] = []
    for position in (0, 3):
        value = context.value(position)
        if isinstance(value, Constant):
            operands.append(context.quantised(value.data, position + 1, 0))
        else:
            operands.append(context.bytes(position, position + 1))
    pending = binary(context, kind, *operands)
    return context.builder.finish_pending(pending, context.scale(6), context.name)


def binary(context: NodeContext, kind: OpKind, a: Operand, b: Operand) -> Pending:
    """ADD or MUL with broadcasting; one operand at least is a tensor."""
    shapes = [_shape(operand) for operand in (a, b)]
    try:
        shape = np.broadcast_shapes(*shapes)
    except ValueError:
        context.fail(f"its inputs must have shapes that broadcast, not {shapes[0]} and {shapes[1]}")
    if kind is OpKind.ADD and _is_spread(*shapes):
        # ONNX Runtime adds a spread number second; the order matters to float32 sums.
        a, b = b, a
    rank = len(shape)
    operands = [_with_rank(operand, rank) for operand in (a, b)]
    tensors = [operand for operand in operands if isinstance(operand, Reals)]
    context.require(bool(tensors), "one of its inputs must be a tensor that isn't constant")
    largest = max(tensors, key=lambda tensor: np.prod(tensor.view.shape))
    order = largest.view.axis_order() or channels_last(rank)
    inputs = [_placed(context, operand, order) for operand in operands]
    scales = [_scale(context, operand) for operand in operands]
    unsigned = [scale.unsigned for scale in scales]
    context.require(len(set(unsigned)) == 1, "its inputs must be both int8 or both uint8")
    view = fresh(shape, order)
    builder = context.builder

    def emit(scale: Scale, low: float, high: float, name: str) -> int:
        context.require(
            scale.unsigned == unsigned[0], "its output must have the type of its inputs"
        )
        larger, smaller = sorted((float(s.scale) for s in scales), reverse=True)
        factor = larger * smaller if kind is OpKind.MUL else 2 * larger
        context.ratio(factor / float(scale.scale))
        attributes = {"unsigned": True} if scale.unsigned else {}

        def operator(activation: Any, output: int) -> int:
            return builder.add_operator(
                kind, inputs, output, {"activation": activation, **attributes}
            )

        return emit_clamped(builder, operator, view.stored_shape, scale, low, high, name)

    return Pending(view, emit)


def _shape(operand: Operand) -> tuple[int, ...]:
    return operand.view.shape if isinstance(operand, Reals) else operand.data.shape


def _is_spread(a: tuple[int, ...], b: tuple[int, ...]) -> bool:
    """Whether single numbers of `a` meet runs of `b` along the last axis that isn't 1."""
    rank = max(len(a), len(b))
    pairs = zip((1,) * (rank - len(a)) + a, (1,) * (rank - len(b)) + b, strict=True)
    for size_a, size_b in reversed(list(pairs)):
        if size_a != 1 or size_b != 1:
            return size_a == 1
    return False


def _with_rank(operand: Operand, rank: int) -> Operand:
    """Axes of size 1 in front, as broadcasting wants them."""
    missing = rank - len(_shape(operand))
    if isinstance(operand, Reals):
        view = operand.view
        logical = ((),) * missing + view.logical
        return replace(operand, view=View(logical, view.stored))
    data = operand.data.reshape((1,) * missing + operand.data.shape)
    return replace(operand, data=data, axis=operand.axis + missing)


def _placed(context: NodeContext, operand: Operand, order: tuple[int, ...]) -> int:
    """The operand with its stored dimensions in `order`."""
    builder: GraphBuilder = context.builder
    if isinstance(operand, Reals):
        return builder.in_order(operand, order).tensor
    scale = _scale(context, operand)
    data = np.ascontiguousarray(operand.data.transpose(order))
    return builder.add_quantised(f"{context.name}/constant", data, scale)


def _scale(context: NodeContext, operand: Operand) -> Scale:
    if isinstance(operand, Reals):
        return operand.scale
    context.require(
        operand.scale.size == 1 and operand.data.dtype == np.int8,
        "its constant input must be int8 or uint8 with one scale",
    )
    return Scale(operand.scale[0], int(operand.zero_point[0]), operand.unsigned)


ELEMENTWISE: dict[str, Callable[[NodeContext], Value]] = {
    **dict.fromkeys(_UFUNCS, arithmetic),
    "QLinearAdd": qlinear_arithmetic,
    "QLinearMul": qlinear_arithmetic,
}
