"""One importer per operator: checks it against its tensors and returns its attributes."""

import math
from collections.abc import Mapping

import numpy as np

from celosia.compiler.importer import layout
from celosia.compiler.importer.context import (
    MAX_SCALE,
    Attributes,
    Importer,
    OperatorContext,
)
from celosia.golden.graph import Activation, OpKind, Tensor


def _weights(context: OperatorContext, rank: int) -> Tensor:
    weights = context.constant(1, "weights")
    context.require(
        len(weights.shape) == rank and math.prod(weights.shape) > 0,
        f"weights tensor '{weights.name}' must have {rank} dimensions, not shape {weights.shape}",
    )
    return weights


def _check_matrix(
    context: OperatorContext, x: Tensor, weights: Tensor, output: Tensor, channels: int
) -> None:
    """Scales, zero points and bias of an operator with weights for `channels` outputs."""
    quantization = weights.quantization
    assert quantization is not None
    context.require(
        quantization.scale.size in (1, channels),
        f"weights tensor '{weights.name}' must have 1 or {channels} scales, "
        f"not {quantization.scale.size}",
    )
    context.require(
        not quantization.zero_point.any(),
        f"weights tensor '{weights.name}' must have zero point 0",
    )
    product = context.per_tensor(x, "input") * float(quantization.scale.max())
    context.require(
        product <= MAX_SCALE,
        f"scales of input tensor '{x.name}' and weights tensor '{weights.name}' must have a "
        f"product of at most {MAX_SCALE:.3g}, not {product:.3g}",
    )
    context.ratio(product / context.per_tensor(output, "output"), output)
    if context.optional_input(2) is not None:
        bias = context.constant(2, "bias", "INT32")
        context.shape(bias, "bias", (channels,))


def conv_2d(context: OperatorContext) -> Attributes:
    table = "Conv2DOptions"
    context.count_inputs(2, 3)
    x, output, weights = context.input(0, "input"), context.output(), _weights(context, 4)
    batch, _, _, depth = context.image(x, "input")
    channels, height, width, inner = weights.shape
    context.require(
        inner == depth,
        f"weights tensor '{weights.name}' must have {depth} input channels as input tensor "
        f"'{x.name}', not {inner}",
    )
    _check_matrix(context, x, weights, output, channels)
    dilation = _dilation(context, table)
    stride, padding, size = context.geometry(table, x, (height, width), dilation)
    context.shape(output, "output", (batch, *size, channels))
    return {
        "stride": stride,
        "dilation": dilation,
        "padding": padding,
        "activation": context.activation(table),
    }


def depthwise_conv_2d(context: OperatorContext) -> Attributes:
    table = "DepthwiseConv2DOptions"
    context.count_inputs(2, 3)
    x, output, weights = context.input(0, "input"), context.output(), _weights(context, 4)
    batch, _, _, depth = context.image(x, "input")
    ones, height, width, channels = weights.shape
    context.require(
        ones == 1 and depth > 0 and channels % depth == 0,
        f"weights tensor '{weights.name}' must have shape (1, height, width, a multiple of "
        f"{depth}), not {weights.shape}",
    )
    _check_matrix(context, x, weights, output, channels)
    dilation = _dilation(context, table)
    stride, padding, size = context.geometry(table, x, (height, width), dilation)
    context.shape(output, "output", (batch, *size, channels))
    return {
        "stride": stride,
        "dilation": dilation,
        "padding": padding,
        "multiplier": channels // depth,
        "activation": context.activation(table),
    }


def _dilation(context: OperatorContext, table: str) -> tuple[int, int]:
    return (
        int(context.option(table, "DilationHFactor")),
        int(context.option(table, "DilationWFactor")),
    )


def fully_connected(context: OperatorContext) -> Attributes:
    table = "FullyConnectedOptions"
    context.count_inputs(2, 3)
    x, output, weights = context.input(0, "input"), context.output(), _weights(context, 2)
    channels, depth = weights.shape
    elements = math.prod(x.shape)
    context.require(
        elements % depth == 0,
        f"input tensor '{x.name}' must have a multiple of {depth} elements, not {elements}",
    )
    context.require(
        output.shape[-1:] == (channels,)
        and math.prod(output.shape) == elements // depth * channels,
        f"output tensor '{output.name}' must have {elements // depth} rows of {channels}, "
        f"not shape {output.shape}",
    )
    _check_matrix(context, x, weights, output, channels)
    activation = context.activation(table)
    if context.operator.options:
        order = context.option(table, "WeightsFormat")
        context.require(order == 0, f"its weights format must be DEFAULT, not number {order}")
    return {"activation": activation}


def _binary(context: OperatorContext, table: str) -> tuple[Tensor, Tensor, Tensor, Activation]:
    context.count_inputs(2, 2)
    (a, b), output = context.activations("first", "second")
    try:
        shape = np.broadcast_shapes(a.shape, b.shape)
    except ValueError:
        context.fail(
            f"tensors '{a.name}' and '{b.name}' must have shapes that broadcast, "
            f"not {a.shape} and {b.shape}"
        )
    context.shape(output, "output", shape)
    return a, b, output, context.activation(table)


def add(context: OperatorContext) -> Attributes:
    return _sum(context, "AddOptions")


def sub(context: OperatorContext) -> Attributes:
    return _sum(context, "SubOptions")


def _sum(context: OperatorContext, table: str) -> Attributes:
    a, b, output, activation = _binary(context, table)
    larger = max(context.per_tensor(a, "first"), context.per_tensor(b, "second"))
    context.ratio(2 * larger / context.per_tensor(output, "output"), output)
    return {"activation": activation}


def mul(context: OperatorContext) -> Attributes:
    a, b, output, activation = _binary(context, "MulOptions")
    product = context.per_tensor(a, "first") * context.per_tensor(b, "second")
    context.ratio(product / context.per_tensor(output, "output"), output)
    return {"activation": activation}


def pool_2d(context: OperatorContext) -> Attributes:
    table = "Pool2DOptions"
    context.count_inputs(1, 1)
    (x,), output = context.activations("input")
    batch, _, _, channels = context.image(x, "input")
    window = (
        int(context.option(table, "FilterHeight")),
        int(context.option(table, "FilterWidth")),
    )
    stride, padding, size = context.geometry(table, x, window, (1, 1))
    context.shape(output, "output", (batch, *size, channels))
    return {
        "window": window,
        "stride": stride,
        "padding": padding,
        "activation": context.activation(table),
    }


def mean(context: OperatorContext) -> Attributes:
    context.count_inputs(2, 2)
    x, output = context.input(0, "input"), context.output()
    context.ratio(context.per_tensor(x, "input") / context.per_tensor(output, "output"), output)
    indices = context.constant(1, "axes", "INT32")
    rank = len(x.shape)
    given = [int(axis) for axis in np.asarray(indices.data).reshape(-1)]
    for axis in given:
        context.require(
            -rank <= axis < rank,
            f"axes tensor '{indices.name}' must hold axes of input tensor '{x.name}' of shape "
            f"{x.shape}, not {axis}",
        )
    axes = tuple(sorted({axis % rank for axis in given}))
    keep_dims = bool(context.option("ReducerOptions", "KeepDims"))
    kept = tuple(
        1 if axis in axes else size
        for axis, size in enumerate(x.shape)
        if keep_dims or axis not in axes
    )
    context.shape(output, "output", kept)
    return {"axes": axes, "keep_dims": keep_dims}


def _fixed_output(context: OperatorContext, output: Tensor, scale: float, zero_point: int) -> None:
    quantization = output.quantization
    assert quantization is not None
    actual = (float(quantization.scale[0]), int(quantization.zero_point[0]))
    context.require(
        math.isclose(actual[0], scale, rel_tol=1e-3) and actual[1] == zero_point,
        f"output tensor '{output.name}' must have scale {scale} and zero point {zero_point}, "
        f"not {actual[0]:.6g} and {actual[1]}",
    )


def _same_shape(context: OperatorContext) -> tuple[Tensor, Tensor]:
    context.count_inputs(1, 1)
    (x,), output = context.activations("input")
    context.shape(output, "output", x.shape)
    return x, output


def rescaled(context: OperatorContext) -> Attributes:
    """RELU, RELU6 and HARD_SWISH."""
    x, output = _same_shape(context)
    ratio = context.per_tensor(x, "input") / context.per_tensor(output, "output")
    context.ratio(ratio, output)
    if context.operator.kind == "HARD_SWISH":
        context.require(
            ratio < 128,
            f"scale of input tensor '{x.name}' must be below 128 times that of output tensor "
            f"'{output.name}'",
        )
    return {}


def leaky_relu(context: OperatorContext) -> Attributes:
    x, output = _same_shape(context)
    alpha = float(context.option("LeakyReluOptions", "Alpha"))
    # A negative slope would need a negative multiplier.
    context.require(
        math.isfinite(alpha) and alpha >= 0, f"its alpha must be at least 0, not {alpha:.3g}"
    )
    ratio = context.per_tensor(x, "input") / context.per_tensor(output, "output")
    context.ratio(ratio * max(alpha, 1.0), output)
    return {"alpha": alpha}


def logistic(context: OperatorContext) -> Attributes:
    _, output = _same_shape(context)
    _fixed_output(context, output, 1 / 256, -128)
    return {}


def tanh(context: OperatorContext) -> Attributes:
    _, output = _same_shape(context)
    _fixed_output(context, output, 1 / 128, 0)
    return {}


def softmax(context: OperatorContext) -> Attributes:
    x, output = _same_shape(context)
    context.require(len(x.shape) >= 1, f"input tensor '{x.name}' must have at least one dimension")
    _fixed_output(context, output, 1 / 256, -128)
    beta = float(context.option("SoftmaxOptions", "Beta"))
    # The kernel holds differences with 26 fraction bits and can't scale them down.
    context.require(
        math.isfinite(beta) and beta * context.per_tensor(x, "input") * 2**26 >= 1,
        f"its beta times the scale of input tensor '{x.name}' must be at least 2**-26, "
        f"not {beta:.3g} times {context.per_tensor(x, 'input'):.3g}",
    )
    return {"beta": beta}


def quantize(context: OperatorContext) -> Attributes:
    context.count_inputs(1, 1)
    x, output = context.input(0, "input", "INT8", "FLOAT32"), context.output()
    scale = context.per_tensor(output, "output")
    if x.dtype == np.int8:
        context.ratio(context.per_tensor(x, "input") / scale, output)
    context.shape(output, "output", x.shape)
    return {}


def dequantize(context: OperatorContext) -> Attributes:
    context.count_inputs(1, 1)
    x, output = context.input(0, "input"), context.output("FLOAT32")
    context.per_tensor(x, "input")
    context.shape(output, "output", x.shape)
    return {}


_KINDS: Mapping[OpKind, Importer] = {
    OpKind.CONV_2D: conv_2d,
    OpKind.DEPTHWISE_CONV_2D: depthwise_conv_2d,
    OpKind.FULLY_CONNECTED: fully_connected,
    OpKind.ADD: add,
    OpKind.SUB: sub,
    OpKind.MUL: mul,
    OpKind.AVERAGE_POOL_2D: pool_2d,
    OpKind.MAX_POOL_2D: pool_2d,
    OpKind.MEAN: mean,
    OpKind.PAD: layout.pad,
    OpKind.RESHAPE: layout.reshape,
    OpKind.TRANSPOSE: layout.transpose,
    OpKind.STRIDED_SLICE: layout.strided_slice,
    OpKind.CONCATENATION: layout.concatenation,
    OpKind.RELU: rescaled,
    OpKind.RELU6: rescaled,
    OpKind.LEAKY_RELU: leaky_relu,
    OpKind.HARD_SWISH: rescaled,
    OpKind.LOGISTIC: logistic,
    OpKind.TANH: tanh,
    OpKind.SOFTMAX: softmax,
    OpKind.QUANTIZE: quantize,
    OpKind.DEQUANTIZE: dequantize,
}
IMPORTERS: Mapping[str, tuple[OpKind, Importer]] = {
    **{kind.value: (kind, importer) for kind, importer in _KINDS.items()},
    "EXPAND_DIMS": (OpKind.RESHAPE, layout.reshape),
    "SQUEEZE": (OpKind.RESHAPE, layout.reshape),
    "SLICE": (OpKind.STRIDED_SLICE, layout.slice_),
}
"""By the names in the TFLite schema: what each operator becomes, and who imports it."""
