"""Conv, Gemm and MatMul with constant weights, in both ways of writing them."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.context import MAX_SCALE
from celosia.compiler.importer.onnx.activation import emit_clamped
from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.geometry import window_geometry
from celosia.compiler.importer.onnx.values import (
    Constant,
    Pending,
    QuantisedData,
    Reals,
    Scale,
    Value,
)
from celosia.compiler.importer.onnx.view import View, fresh
from celosia.golden.graph import MAX_ELEMENTS, Activation, OpKind
from celosia.golden.quantization import INT32_MAX, INT32_MIN

Int32Array = NDArray[np.int32]


@dataclass(frozen=True)
class Product:
    """A matrix product before its output is quantised.

    Attributes:
        weights: output channels on axis `axis`, as the golden operator wants them; int16 where
            a zero point has taken them out of int8.
        scale: float32 of each output channel.
        bias: int32 of each output channel, in units of input scale times weight scale; or None.
        channel_order: for each output channel as stored its index in ONNX's order.
    """

    context: NodeContext
    kind: OpKind
    x: Reals
    weights: NDArray[np.int8] | NDArray[np.int16]
    axis: int
    scale: NDArray[np.float32]
    bias: Int32Array | None
    view: View
    shape: tuple[int, ...]
    attributes: dict[str, Any]
    channel_order: NDArray[np.intp]

    def pending(self) -> Pending:
        """The operator, waiting for its output's scale."""
        convolution = self.kind is not OpKind.FULLY_CONNECTED
        channel_axis = 1 if convolution else len(self.shape) - 1
        return Pending(self.view, self._emit, affine=self._affine, channel_axis=channel_axis)

    def _emit(self, scale: Scale, low: float, high: float, name: str) -> int:
        builder = self.context.builder
        product = float(self.x.scale.scale) * float(self.scale.max())
        self.context.require(
            product <= MAX_SCALE,
            f"scales of its input and weights must have a product of at most {MAX_SCALE:.3g}, "
            f"not {product:.3g}",
        )
        self.context.ratio(product / float(scale.scale))
        uniform = bool((self.scale == self.scale[0]).all())
        scales = self.scale[:1] if uniform else self.scale
        parts = int8_parts(self.weights)
        if len(parts) > 1 and self.kind is OpKind.DEPTHWISE_CONV_2D:
            self.context.fail(
                "weights of a depthwise convolution must fit int8 without their zero point"
            )
        weights = np.concatenate(parts, axis=-1)
        inputs = [
            self._repeated(len(parts), name),
            builder.add_weights(f"{name}/weights", weights, scales, self.axis),
        ]
        if self.bias is not None:
            inputs.append(builder.add_weights(f"{name}/bias", self.bias, None, 0))

        def emit(activation: Any, output: int) -> int:
            return builder.add_operator(
                self.kind, inputs, output, {**self.attributes, "activation": activation}
            )

        return emit_clamped(builder, emit, self.shape, scale, low, high, name)

    def _repeated(self, times: int, name: str) -> int:
        """The input with its channels `times` times side by side, a set for each part."""
        builder, x = self.context.builder, self.x.tensor
        if times == 1:
            return x
        shape, depth = builder.tensor(x).shape, self.weights.shape[-1]
        if shape[-1] != depth:
            rows = builder.alike(x, f"{name}/rows", (math.prod(shape) // depth, depth))
            x = builder.add_operator(OpKind.RESHAPE, (x,), rows)
            shape = builder.tensor(x).shape
        wide = builder.alike(x, f"{name}/repeated", (*shape[:-1], times * depth))
        axis = {"axis": len(shape) - 1, "activation": Activation.NONE}
        return builder.add_operator(OpKind.CONCATENATION, (x,) * times, wide, axis)

    def _affine(self, factor: NDArray[Any], offset: NDArray[Any]) -> Pending:
        """Scales and signs go into the weights, the offset into the bias."""
        channels = self.scale.size
        factor = np.broadcast_to(np.asarray(factor, np.float64), channels)[self.channel_order]
        offset = np.broadcast_to(np.asarray(offset, np.float64), channels)[self.channel_order]
        dead = factor == 0
        self.context.require(
            not (self.weights == -128).any() or bool((factor >= 0).all()),
            "weights of -128 can't be negated, which folding a negative factor into them takes",
        )
        shape = [1] * self.weights.ndim
        shape[self.axis] = -1
        signs = np.sign(factor).astype(np.int8).reshape(shape)
        scale = np.where(dead, self.scale, self.scale * np.abs(factor)).astype(np.float32)
        units = float(self.x.scale.scale) * self.scale.astype(np.float64)
        bias = np.zeros(channels) if self.bias is None else self.bias * units * factor
        folded = replace(
            self,
            weights=self.weights * signs,
            scale=scale,
            bias=whole_bias(self.context, bias + offset, self.x.scale.scale, scale),
        )
        return folded.pending()


def int8_parts(weights: NDArray[np.int8] | NDArray[np.int16]) -> list[NDArray[np.int8]]:
    """As few int8 arrays as have `weights` for their sum: a product of each, added, is exact."""
    parts: list[NDArray[np.int8]] = []
    rest = weights.astype(np.int16)
    while not parts or rest.any():
        part = np.clip(rest, -128, 127).astype(np.int8)
        parts.append(part)
        rest = rest - part
    return parts


def whole_bias(
    context: NodeContext, bias: NDArray[Any], input_scale: np.float32, scale: NDArray[np.float32]
) -> Int32Array:
    """A real bias in units of input scale times weight scale."""
    units = np.rint(bias / (float(input_scale) * scale.astype(np.float64)))
    context.require(
        bool(((units >= INT32_MIN) & (units <= INT32_MAX)).all()),
        "its bias must fit 32 bits in units of its input's scale times its weights' scale",
    )
    return units.astype(np.int32)


def _bias(
    context: NodeContext, position: int, x: Reals, scale: NDArray[np.float32], order: Any
) -> Int32Array | None:
    """The bias of output channels in `order`: whole numbers as they are where their scale fits."""
    if not context.has(position):
        return None
    value = context.value(position)
    name = context.input_name(position)
    if not isinstance(value, Constant):
        context.fail(f"bias '{name}' must be a constant")
    channels = scale.size
    data = value.data
    context.require(
        data.size in (1, channels), f"bias '{name}' must have {channels} values, not {data.size}"
    )
    quantised = value.quantised
    if data.dtype == np.int32 and quantised is None:
        whole = data
    elif quantised is not None and _fits(quantised, x, scale, order):
        whole = quantised.data
    else:
        context.require(
            data.dtype == np.float32, f"bias '{name}' must be int32 or float32, not {data.dtype}"
        )
        real = np.broadcast_to(data.reshape(-1), channels)[order]
        return whole_bias(context, real, x.scale.scale, scale)
    return np.ascontiguousarray(np.broadcast_to(whole.reshape(-1), channels)[order], np.int32)


def _fits(quantised: QuantisedData, x: Reals, scale: NDArray[np.float32], order: Any) -> bool:
    """Whether int32 numbers are in the units of the accumulators."""
    if quantised.data.dtype != np.int32 or quantised.zero_point.any():
        return False
    given = np.broadcast_to(quantised.scale, scale.size)[order].astype(np.float64)
    return bool(np.allclose(given, float(x.scale.scale) * scale.astype(np.float64), 1e-5, 0))


def _convolution(context: NodeContext, x: Reals, data: QuantisedData, bias_at: int) -> Pending:
    weights = context.weights(3 if context.node.kind == "QLinearConv" else 1, data).data
    shape = x.view.shape
    batch, channels, height, width = context.image_size(shape)
    context.require(
        weights.ndim == len(shape) and weights.size > 0,
        f"weights must have {len(shape)} dimensions as its input, not shape {weights.shape}",
    )
    out, inner, *kernel = weights.shape
    groups = context.attribute("group", 1)
    context.require(
        groups >= 1 and inner * groups == channels and out % groups == 0,
        f"weights of shape {weights.shape} in {groups} groups must fit an input of {channels} "
        "channels",
    )
    window, stride, dilation, padding, size = window_geometry(
        context, (height, width), tuple(kernel), len(shape) - 2
    )
    weights = weights.reshape(out, inner, *window)
    depthwise = groups == channels > 1
    multiplier = out // groups
    source = context.builder.image(x, any_channel_order=not depthwise or multiplier == 1)
    assert isinstance(source, Reals)
    order = source.view.channel_order(1)
    out_order = np.arange(out)
    attributes: dict[str, Any] = {"stride": stride, "dilation": dilation, "padding": padding}
    sizes = size if len(shape) == 4 else size[1:]
    view = fresh((batch, out, *sizes), (0, *range(2, len(shape)), 1))
    if depthwise:
        kind, axis = OpKind.DEPTHWISE_CONV_2D, 3
        attributes["multiplier"] = multiplier
        if multiplier == 1:
            out_order = order
            kept = source.view.logical[1]
            stored = source.view.stored[3]
            view = View((view.logical[0], kept, *view.logical[2:]), (*view.stored[:-1], stored))
        arranged = weights[out_order].transpose(1, 2, 3, 0)
    else:
        kind, axis = OpKind.CONV_2D, 0
        if groups > 1:
            weights = _dense(context, weights, groups)
        arranged = weights.transpose(0, 2, 3, 1)[..., order]
    scale = np.broadcast_to(data.scale, out)[out_order]
    return Product(
        context=context,
        kind=kind,
        x=source,
        weights=np.ascontiguousarray(arranged),
        axis=axis,
        scale=np.ascontiguousarray(scale),
        bias=_bias(context, bias_at, x, scale, out_order),
        view=view,
        shape=(batch, *size, out),
        attributes=attributes,
        channel_order=out_order,
    ).pending()


def _dense(context: NodeContext, weights: NDArray[Any], groups: int) -> NDArray[Any]:
    """Weights of a grouped convolution as those of a full one, zero between groups."""
    out, inner, *window = weights.shape
    context.require(
        out * inner * groups * math.prod(window) <= MAX_ELEMENTS,
        f"its {groups} groups make more than {MAX_ELEMENTS} weights",
    )
    dense = np.zeros((out, inner * groups, *window), weights.dtype)
    for group in range(groups):
        rows = slice(group * out // groups, (group + 1) * out // groups)
        dense[rows, group * inner : (group + 1) * inner] = weights[rows]
    return dense


def _fully_connected(
    context: NodeContext, x: Reals, data: QuantisedData, columns_at: int, bias_at: int
) -> Pending:
    """`data` has rows and columns, outputs along axis `columns_at`."""
    weights = data.data if columns_at == 0 else data.data.T
    out, depth = weights.shape
    shape = x.view.shape
    context.require(
        len(shape) >= 1 and shape[-1] == depth,
        f"input '{context.input_name(0)}' of shape {shape} must have {depth} columns",
    )
    front = tuple(atom for group in x.view.logical[:-1] for atom in group)
    if x.view.memory[: len(front)] != front:
        moved = context.builder.in_order(x, range(len(shape)))
        assert isinstance(moved, Reals)
        x = moved
    order = x.view.channel_order(len(shape) - 1)
    output_shape = (*shape[:-1], out)
    scale = np.ascontiguousarray(np.broadcast_to(data.scale, out))
    return Product(
        context=context,
        kind=OpKind.FULLY_CONNECTED,
        x=x,
        weights=np.ascontiguousarray(weights[:, order]),
        axis=0,
        scale=scale,
        bias=_bias(context, bias_at, x, scale, np.arange(out)),
        view=View.plain(output_shape),
        shape=output_shape,
        attributes={},
        channel_order=np.arange(out),
    ).pending()


def _of_constant(context: NodeContext, position: int) -> QuantisedData:
    value = context.value(position)
    if not isinstance(value, Constant):
        context.fail(
            f"weights '{context.input_name(position)}' must be a constant: products of two "
            "computed tensors aren't supported"
        )
    return context.weights(position, value.quantised)


def conv(context: NodeContext) -> Value:
    """Conv of dequantised tensors."""
    return _convolution(context, context.reals(0), _of_constant(context, 1), 2)


def qlinear_conv(context: NodeContext) -> Value:
    """QLinearConv."""
    x = context.bytes(0, 1)
    data = context.quantised(context.constant(3, "weights"), 4, 0)
    pending = _convolution(context, x, data, 8)
    return context.builder.finish_pending(pending, context.scale(6), context.name)


def _matrix(context: NodeContext, data: QuantisedData) -> QuantisedData:
    """Weights of two dimensions; ones in front are dropped."""
    array = data.data
    while array.ndim > 2 and array.shape[0] == 1:
        array = array[0]
    context.require(
        array.ndim == 2 and array.size > 0,
        f"its weights must be a matrix, not of shape {data.data.shape}",
    )
    return replace(data, data=array, axis=data.axis - (data.data.ndim - array.ndim))


def _columns(context: NodeContext, data: QuantisedData, axis: int) -> QuantisedData:
    context.require(
        data.scale.size == 1 or data.axis == axis,
        "its weights must have one scale, or one for each output channel",
    )
    return data


def matmul(context: NodeContext) -> Value:
    """MatMul of a dequantised tensor and constant weights."""
    data = _columns(context, _matrix(context, _of_constant(context, 1)), 1)
    return _fully_connected(context, context.reals(0), data, 1, len(context.node.inputs))


def qlinear_matmul(context: NodeContext) -> Value:
    """QLinearMatMul."""
    x = context.bytes(0, 1)
    raw = context.constant(3, "weights")
    data = context.quantised(raw, 4, max(raw.ndim - 1, 0))
    data = _matrix(context, context.weights(3, data))
    pending = _fully_connected(context, x, data, 1, len(context.node.inputs))
    return context.builder.finish_pending(pending, context.scale(6), context.name)


def _gemm_axis(context: NodeContext) -> int:
    """The axis of the output channels in Gemm's weights."""
    context.require(not context.attribute("transA", 0), "its first input must not be transposed")
    for name in ("alpha", "beta"):
        factor = context.attribute(name, 1.0)
        context.require(factor == 1, f"its {name} must be 1, not {factor:.6g}")
    return 0 if context.attribute("transB", 0) else 1


def gemm(context: NodeContext) -> Value:
    """Gemm of a dequantised tensor and constant weights."""
    axis = _gemm_axis(context)
    data = _columns(context, _matrix(context, _of_constant(context, 1)), axis)
    return _fully_connected(context, context.reals(0), data, axis, 2)


def qgemm(context: NodeContext) -> Value:
    """QGemm, of which only the form with int8 output is a layer."""
    axis = _gemm_axis(context)
    x = context.bytes(0, 1)
    data = context.quantised(context.constant(3, "weights"), 4, axis)
    context.require(context.has(7), "its output must be quantised: its scale is missing")
    data = _matrix(context, context.weights(3, data))
    pending = _fully_connected(context, x, data, axis, 6)
    return context.builder.finish_pending(pending, context.scale(7), context.name)


def batch_normalization(context: NodeContext) -> Value:
    """BatchNormalization, folded into the weights of the product in front of it."""
    value = context.value(0)
    context.require(
        len(context.node.outputs) == 1 and not context.attribute("training_mode", 0),
        "it must be exported for inference",
    )
    gamma, beta, mean, variance = (
        context.constant(position, role).astype(np.float64)
        for position, role in enumerate(("scale", "bias", "mean", "variance"), 1)
    )
    if not isinstance(value, Pending) or value.affine is None:
        context.fail(
            "it must follow a Conv or Gemm directly, into whose weights it is folded; 'celosia "
            "quantize' folds it in a float model"
        )
    context.require(
        value.channel_axis == 1, "it must follow a Conv, or a Gemm with rows of two dimensions"
    )
    channels = value.view.shape[1]
    context.require(
        all(item.shape == (channels,) for item in (gamma, beta, mean, variance))
        and bool((variance >= 0).all()),
        f"its constants must have {channels} values, variances of at least 0",
    )
    factor = gamma / np.sqrt(variance + context.attribute("epsilon", 1e-5))
    return value.affine(factor, beta - mean * factor)


MATRIX: dict[str, Callable[[NodeContext], Value]] = {
    "Conv": conv,
    "QLinearConv": qlinear_conv,
    "MatMul": matmul,
    "QLinearMatMul": qlinear_matmul,
    "Gemm": gemm,
    "QGemm": qgemm,
    "BatchNormalization": batch_normalization,
}
