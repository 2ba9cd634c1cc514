"""Importers of operators that move values and change none."""

import math

import numpy as np

from celosia.compiler.importer.context import Attributes, OperatorContext
from celosia.golden.graph import Activation, Tensor


def pad(context: OperatorContext) -> Attributes:
    context.count_inputs(2, 2)
    (x,), output = context.activations("input")
    amounts = context.constant(1, "paddings", "INT32", "INT64")
    context.shape(amounts, "paddings", (len(x.shape), 2))
    data = np.asarray(amounts.data).astype(object)
    pads = tuple((int(before), int(after)) for before, after in data)
    context.require(
        all(amount >= 0 for pair in pads for amount in pair),
        f"paddings tensor '{amounts.name}' must not be negative",
    )
    shape = tuple(size + sum(pair) for size, pair in zip(x.shape, pads, strict=True))
    context.shape(output, "output", shape)
    _check_same_quantization(context, x, output)
    return {"pads": pads}


def reshape(context: OperatorContext) -> Attributes:
    context.count_inputs(1, 2)
    (x,), output = context.activations("input")
    context.require(
        math.prod(x.shape) == math.prod(output.shape),
        f"output tensor '{output.name}' of shape {output.shape} must have as many elements as "
        f"input tensor '{x.name}' of shape {x.shape}",
    )
    return {}


def concatenation(context: OperatorContext) -> Attributes:
    count = len(context.operator.inputs)
    context.require(count >= 1, "it must have at least one input")
    parts, output = context.activations(*["input"] * count)
    rank = len(output.shape)
    axis = int(context.option("ConcatenationOptions", "Axis"))
    context.require(
        -rank <= axis < rank, f"its axis must be from {-rank} to {rank - 1}, not {axis}"
    )
    axis %= rank
    shape = list(output.shape)
    shape[axis] = 0
    for part in parts:
        _check_same_quantization(context, part, output)
        context.require(
            len(part.shape) == rank,
            f"input tensor '{part.name}' must have {rank} dimensions, not shape {part.shape}",
        )
        expected = (*output.shape[:axis], part.shape[axis], *output.shape[axis + 1 :])
        context.shape(part, "input", expected)
        shape[axis] += part.shape[axis]
    context.shape(output, "output", tuple(shape))
    activation = context.activation("ConcatenationOptions")
    context.require(
        activation is Activation.NONE,
        f"its fused activation must be NONE, not {activation.name}",
    )
    return {"axis": axis, "activation": activation}


def _check_same_quantization(context: OperatorContext, x: Tensor, output: Tensor) -> None:
    a, b = x.quantization, output.quantization
    assert a is not None
    assert b is not None
    context.require(
        a.scale[0] == b.scale[0] and a.zero_point[0] == b.zero_point[0],
        f"input tensor '{x.name}' must have scale and zero point of output tensor '{output.name}'",
    )


def transpose(context: OperatorContext) -> Attributes:
    context.count_inputs(2, 2)
    x, output = _moved(context)
    rank = len(x.shape)
    order = context.constant(1, "permutation", "INT32")
    permutation = _numbers(order)
    context.require(
        sorted(permutation) == list(range(rank)),
        f"permutation tensor '{order.name}' must hold each of 0 to {rank - 1} once, "
        f"not {permutation}",
    )
    context.shape(output, "output", tuple(x.shape[axis] for axis in permutation))
    return {"permutation": permutation}


def strided_slice(context: OperatorContext) -> Attributes:
    table = "StridedSliceOptions"
    context.count_inputs(4, 4)
    x, output = _moved(context)
    begins, ends, strides = (
        _bounds(context, position, role)
        for position, role in enumerate(("begin", "end", "strides"), start=1)
    )
    context.require(min(strides, default=1) >= 1, f"its strides must be positive, not {strides}")
    for field in ("EllipsisMask", "NewAxisMask"):
        mask = context.option(table, field)
        context.require(mask == 0, f"its {field} must be 0, not {mask}")
    first, last, shrunk = (
        int(context.option(table, field)) for field in ("BeginMask", "EndMask", "ShrinkAxisMask")
    )
    begin, size = [], []
    for axis, extent in enumerate(x.shape):
        start = 0 if first >> axis & 1 else _position(begins[axis], extent)
        stop = extent if last >> axis & 1 else _position(ends[axis], extent)
        if shrunk >> axis & 1:
            start = min(start, extent - 1)
            stop = start + 1
        begin.append(start)
        size.append(max(0, -(-(stop - start) // strides[axis])))
    kept = tuple(count for axis, count in enumerate(size) if not shrunk >> axis & 1)
    context.shape(output, "output", kept)
    return {"begin": tuple(begin), "size": tuple(size), "strides": strides}


def slice_(context: OperatorContext) -> Attributes:
    context.count_inputs(3, 3)
    x, output = _moved(context)
    begin, sizes = _bounds(context, 1, "begin"), _bounds(context, 2, "size")
    size = tuple(
        extent - start if count == -1 else count
        for start, count, extent in zip(begin, sizes, x.shape, strict=True)
    )
    for axis, (start, count, extent) in enumerate(zip(begin, size, x.shape, strict=True)):
        context.require(
            start >= 0 and 0 <= count <= extent - start,
            f"its slice of dimension {axis} must lie within 0 to {extent}, "
            f"not begin at {start} and have {count} elements",
        )
    context.shape(output, "output", size)
    return {"begin": begin, "size": size, "strides": (1,) * len(size)}


def _moved(context: OperatorContext) -> tuple[Tensor, Tensor]:
    """Input and output, which share a quantisation."""
    (x,), output = context.activations("input")
    _check_same_quantization(context, x, output)
    return x, output


def _numbers(tensor: Tensor) -> tuple[int, ...]:
    return tuple(int(value) for value in np.asarray(tensor.data).reshape(-1))


def _bounds(context: OperatorContext, position: int, role: str) -> tuple[int, ...]:
    """A constant with a number for each of the input's dimensions."""
    tensor = context.constant(position, role, "INT32", "INT64")
    context.shape(tensor, role, (len(context.input(0, "input").shape),))
    return _numbers(tensor)


def _position(value: int, extent: int) -> int:
    """A position that may count from the end, and may lie beyond either."""
    return min(max(value + extent if value < 0 else value, 0), extent)
