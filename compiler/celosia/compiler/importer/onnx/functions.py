"""Functions of one value: applied to the 256 values that a byte can stand for."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.onnx.activation import lookup, quantised
from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.evaluation import evaluate
from celosia.compiler.importer.onnx.values import (
    BYTES,
    UNSIGNED_OFFSET,
    Bytes,
    Pending,
    Reals,
    Value,
)
from celosia.golden.ops.float_formulas import logistic

Function = Callable[[NDArray[np.float32]], NDArray[np.float32]]

_BY_REFERENCE = (
    *("Abs", "Acos", "Asin", "Atan", "Ceil", "Celu", "Cos", "Cosh", "Elu", "Erf", "Exp", "Floor"),
    *("Gelu", "HardSigmoid", "Log", "Mish", "Neg", "Reciprocal", "Round", "Selu", "Sign", "Sin"),
    *("Sinh", "Softplus", "Softsign", "Sqrt", "Swish", "Tan", "Tanh", "ThresholdedRelu"),
)
"""Functions that `onnx`'s own definition of the operator computes."""


def _sigmoid(context: NodeContext) -> Function:
    return logistic


def _hard_swish(context: NodeContext) -> Function:
    sixth = np.float32(1 / 6)
    return lambda v: v * np.clip(v * sixth + np.float32(0.5), np.float32(0), np.float32(1))


def _leaky_relu(context: NodeContext) -> Function:
    alpha = np.float32(context.attribute("alpha", 0.01))
    return lambda v: np.where(v >= 0, v, alpha * v)


def _prelu(context: NodeContext) -> Function:
    slope = context.constant(1, "slope")
    context.require(slope.size == 1, f"its slope must be one number, not {slope.size}")
    alpha = np.float32(slope.reshape(-1)[0])
    return lambda v: np.where(v >= 0, v, alpha * v)


def _by_reference(context: NodeContext) -> Function:
    return lambda v: np.asarray(evaluate(context, [v]), np.float32)


_FUNCTIONS: Mapping[str, Callable[[NodeContext], Function]] = {
    "Sigmoid": _sigmoid,
    "HardSwish": _hard_swish,
    "LeakyRelu": _leaky_relu,
    "PRelu": _prelu,
    **dict.fromkeys(_BY_REFERENCE, _by_reference),
}


def apply(context: NodeContext, value: Reals, function: Function) -> Reals:
    """The function of every value that a byte stands for."""
    with np.errstate(all="ignore"):
        values = np.asarray(function(value.values), np.float32)
    return Reals(value.tensor, value.view, value.scale, values)


def function(context: NodeContext) -> Value:
    """An elementwise function between DequantizeLinear and QuantizeLinear."""
    value = context.value(0)
    if not isinstance(value, Reals):
        context.reals(0)
        context.fail(
            f"input '{context.input_name(0)}' must be quantised: a QuantizeLinear and "
            "DequantizeLinear must stand in front"
        )
    return apply(context, value, _FUNCTIONS[context.node.kind](context))


def qlinear_function(context: NodeContext) -> Value:
    """QLinearSigmoid and QLinearLeakyRelu."""
    kind = context.node.kind.removeprefix("QLinear")
    result = apply(context, context.bytes(0, 1), _FUNCTIONS[kind](context))
    return requantised(context, result, 3)


def requantised(context: NodeContext, value: Reals, scale_at: int) -> Bytes:
    """A function of bytes as bytes: a LOOKUP, or nothing where no byte changes."""
    scale = context.scale(scale_at)
    builder = context.builder
    table = quantised(value.values, scale)
    same = (value.scale.scale, value.scale.zero_point) == (scale.scale, scale.zero_point)
    if same and np.array_equal(table, BYTES):
        return Bytes(value.tensor, value.view, scale.unsigned)
    shape = builder.tensor(value.tensor).shape
    output = builder.add_tensor(context.name, shape, scale=scale)
    return Bytes(lookup(builder, value.tensor, table, output), value.view, scale.unsigned)


def _bounds(context: NodeContext) -> tuple[float, float]:
    """What Relu or Clip clamps to."""
    if context.node.kind == "Relu":
        return 0.0, np.inf
    bounds = []
    for position, (name, default) in enumerate((("min", -np.inf), ("max", np.inf)), 1):
        if context.has(position):
            given = context.constant(position, name)
            context.require(given.size == 1, f"its {name} must be one number")
            bounds.append(float(given.reshape(-1)[0]))
        else:
            bounds.append(float(context.attribute(name, default)))
    context.require(bounds[0] <= bounds[1], f"its min must not exceed its max, not {bounds}")
    return bounds[0], bounds[1]


def clamp(context: NodeContext) -> Value:
    """Relu or Clip, of real numbers or of the bytes themselves."""
    value = context.value(0)
    low, high = _bounds(context)
    match value:
        case Pending():
            return value.clamped(low, high)
        case Reals():
            return apply(context, value, lambda v: np.clip(v, np.float32(low), np.float32(high)))
        case Bytes():
            return _clamped_bytes(context, value, low, high)
        case _:
            return context.reals(0)


def _clamped_bytes(context: NodeContext, value: Bytes, low: float, high: float) -> Bytes:
    """A clamp of the numbers that bytes hold, whatever they mean."""
    offset = UNSIGNED_OFFSET if value.unsigned else 0
    table = np.clip(np.clip(BYTES + offset, low, high) - offset, -128, 127).astype(np.int8)
    if np.array_equal(table, BYTES):
        return value
    builder = context.builder
    output = builder.alike(value.tensor, context.name, builder.tensor(value.tensor).shape)
    return Bytes(lookup(builder, value.tensor, table, output), value.view, value.unsigned)


FUNCTIONS: dict[str, Callable[[NodeContext], Any]] = {
    **dict.fromkeys(_FUNCTIONS, function),
    "Relu": clamp,
    "Clip": clamp,
    "QLinearSigmoid": qlinear_function,
    "QLinearLeakyRelu": qlinear_function,
}
