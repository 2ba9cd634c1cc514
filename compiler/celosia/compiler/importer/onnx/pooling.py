"""Pools and means over an image."""

import math
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np

from celosia.compiler.importer.onnx.activation import emit_clamped
from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.geometry import window_geometry
from celosia.compiler.importer.onnx.values import Bytes, Floats, Pending, Reals, Scale, Value
from celosia.compiler.importer.onnx.view import View, fresh
from celosia.golden.graph import Activation, OpKind

Sizes = tuple[int, int]


def _pooled_view(source: View, rank: int, batch: int, size: Sizes) -> View:
    """The image's view with other height and width; channels keep their order."""
    sizes = size if rank == 4 else size[1:]
    view = fresh((batch, 1, *sizes), (0, *range(2, rank), 1))
    return View(
        (view.logical[0], source.logical[1], *view.logical[2:]),
        (*view.stored[:-1], source.stored[-1]),
    )


def max_pool(context: NodeContext) -> Value:
    """MaxPool, of bytes or of what grows with them."""
    context.require(len(context.node.outputs) == 1, "its second output isn't supported")
    value = context.value(0)
    if isinstance(value, Reals):
        context.require(
            bool((np.diff(value.values) >= 0).all()),
            f"input '{context.input_name(0)}' must grow with the bytes that it comes from",
        )
    elif not isinstance(value, Bytes | Pending):
        context.reals(0)
    assert isinstance(value, Reals | Bytes | Pending)
    shape = value.view.shape
    batch, channels, height, width = context.image_size(shape)
    rank = len(shape)
    if context.node.kind == "GlobalMaxPool":
        geometry = _whole((height, width))
    else:
        geometry = window_geometry(
            context,
            (height, width),
            _kernel(context, rank),
            rank - 2,
            ceil_mode=bool(context.attribute("ceil_mode", 0)),
        )
    window, stride, dilation, padding, size = geometry
    context.require(dilation == (1, 1), f"its dilations must be 1, not {dilation}")
    for axis in range(2):
        context.require(
            max(padding[axis]) < window[axis], "its padding must be smaller than its window"
        )
    attributes = {
        "window": window,
        "stride": stride,
        "padding": padding,
        "activation": Activation.NONE,
    }
    builder = context.builder

    def operator(tensor: int, name: str) -> int:
        output = builder.alike(tensor, name, (batch, *size, channels))
        return builder.add_operator(OpKind.MAX_POOL_2D, (tensor,), output, attributes)

    if isinstance(value, Pending):
        source = value.view
        context.require(
            source.axis_order() is not None and len(source.stored) == 4,
            f"input '{context.input_name(0)}' must be quantised",
        )
        return value.then(_pooled_view(source, rank, batch, size), operator)
    moved = builder.image(value, any_channel_order=True)
    view = _pooled_view(moved.view, rank, batch, size)
    return replace(moved, tensor=operator(moved.tensor, context.name), view=view)


def _kernel(context: NodeContext, rank: int) -> tuple[int, ...]:
    return context.pair("kernel_shape", (0,) * (rank - 2))


def _whole(size: Sizes) -> tuple[Sizes, Sizes, Sizes, tuple[Sizes, Sizes], Sizes]:
    return size, (1, 1), (1, 1), ((0, 0), (0, 0)), (1, 1)


def _mean(context: NodeContext, x: Reals) -> Pending:
    """The mean over a whole image, which stays an image of one pixel."""
    shape = x.view.shape
    batch, channels, _, _ = context.image_size(shape)
    source = context.builder.image(x, any_channel_order=True)
    attributes = {"axes": (1, 2), "keep_dims": True}
    return _pending(
        context,
        source.tensor,
        x.scale,
        OpKind.MEAN,
        attributes,
        (batch, 1, 1, channels),
        _pooled_view(source.view, len(shape), batch, (1, 1)),
    )


def _pending(
    context: NodeContext,
    tensor: int,
    source_scale: Scale,
    kind: OpKind,
    attributes: dict[str, Any],
    shape: tuple[int, ...],
    view: View,
) -> Pending:
    builder = context.builder

    def emit(scale: Scale, low: float, high: float, name: str) -> int:
        context.ratio(float(source_scale.scale) / float(scale.scale))

        def operator(activation: Activation, output: int) -> int:
            return builder.add_operator(kind, (tensor,), output, attributes)

        return emit_clamped(builder, operator, shape, scale, low, high, name, may_activate=False)

    return Pending(view, emit)


def _average(context: NodeContext, x: Reals) -> Pending:
    shape = x.view.shape
    batch, channels, height, width = context.image_size(shape)
    rank = len(shape)
    ceil_mode = bool(context.attribute("ceil_mode", 0))
    window, stride, dilation, padding, size = window_geometry(
        context, (height, width), _kernel(context, rank), rank - 2, ceil_mode=ceil_mode
    )
    counted = bool(context.attribute("count_include_pad", 0))
    context.require(dilation == (1, 1), f"its dilations must be 1, not {dilation}")
    context.require(
        not (ceil_mode and counted), "ceil_mode and count_include_pad must not both be set"
    )
    for axis in range(2):
        context.require(
            max(padding[axis]) < window[axis], "its padding must be smaller than its window"
        )
    if window == (height, width) and not np.any(padding):
        return _mean(context, x)
    source = context.builder.image(x, any_channel_order=True)
    attributes = {
        "window": window,
        "stride": stride,
        "padding": padding,
        "count_padding": counted and bool(np.any(padding)),
    }
    return _pending(
        context,
        source.tensor,
        x.scale,
        OpKind.MEAN_POOL_2D,
        attributes,
        (batch, *size, channels),
        _pooled_view(source.view, rank, batch, size),
    )


def average_pool(context: NodeContext) -> Value:
    """AveragePool of a dequantised tensor."""
    return _average(context, context.reals(0))


def global_average_pool(context: NodeContext) -> Value:
    """GlobalAveragePool of a dequantised tensor."""
    return _mean(context, context.reals(0))


def qlinear_pool(context: NodeContext) -> Value:
    """QLinearAveragePool and QLinearGlobalAveragePool."""
    x = context.bytes(0, 1)
    rank = len(x.view.shape)
    last = bool(context.attribute("channels_last", 0))
    if last:
        x = replace(x, view=x.view.transposed((0, rank - 1, *range(1, rank - 1))))
    whole = context.node.kind == "QLinearGlobalAveragePool"
    pending = _mean(context, x) if whole else _average(context, x)
    result = context.builder.finish_pending(pending, context.scale(3), context.name)
    if last:
        result = replace(result, view=result.view.transposed((0, *range(2, rank), 1)))
    return result


def reduce_mean(context: NodeContext) -> Value:
    """ReduceMean over the pixels of an image."""
    x = context.reals(0)
    rank = len(x.view.shape)
    given = context.integers(1, "axes")
    axes = range(rank) if given is None else given
    over = sorted(context.axis(axis, rank) for axis in axes)
    context.require(
        rank in (3, 4) and over == list(range(2, rank)),
        "it must be over the pixels of an image [batch, channels, height, width], not axes "
        f"{tuple(over)} of {rank} dimensions",
    )
    pending = _mean(context, x)
    if context.attribute("keepdims", 1):
        return pending
    view = pending.view
    return replace(pending, view=View(view.logical[:2], view.stored))


def softmax(context: NodeContext) -> Value:
    """Softmax of real numbers, on the host, whether its output is quantised or not."""
    builder = context.builder
    source = _last_axis(context, context.reals(0), -1 if context.opset >= 13 else 1)
    stored = source.view.stored_shape

    def floats() -> Floats:
        reals = builder.add_tensor(f"{context.name}/input", stored, np.float32)
        builder.add_operator(OpKind.DEQUANTIZE, (source.tensor,), reals)
        output = builder.add_tensor(context.name, stored, np.float32)
        builder.add_operator(OpKind.SOFTMAX, (reals,), output, {"beta": 1.0})
        return Floats(output, source.view)

    def emit(scale: Scale, low: float, high: float, name: str) -> int:
        def operator(activation: Activation, output: int) -> int:
            return builder.add_operator(OpKind.QUANTIZE, (floats().tensor,), output)

        return emit_clamped(builder, operator, stored, scale, low, high, name, may_activate=False)

    return Pending(source.view, emit, floats=floats)


def _last_axis(context: NodeContext, x: Reals, default: int) -> Reals:
    """The tensor with the axis of a softmax stored last."""
    shape = x.view.shape
    rank = len(shape)
    axis = context.axis(context.attribute("axis", default), rank)
    if context.opset < 13 and context.node.kind == "Softmax":
        context.require(
            math.prod(shape[axis:]) == shape[axis],
            "it must be over one axis: newer operator sets say which",
        )
    order = (*(other for other in range(rank) if other != axis), axis)
    moved = context.builder.in_order(x, order)
    assert isinstance(moved, Reals)
    return moved


def qlinear_softmax(context: NodeContext) -> Value:
    """QLinearSoftmax."""
    builder = context.builder
    source = _last_axis(context, context.bytes(0, 1), -1)
    scale = context.scale(3)
    output = builder.add_tensor(context.name, source.view.stored_shape, scale=scale)
    builder.add_operator(OpKind.SOFTMAX, (source.tensor,), output, {"beta": 1.0})
    return Bytes(output, source.view, scale.unsigned)


POOLING: dict[str, Callable[[NodeContext], Value]] = {
    "MaxPool": max_pool,
    "GlobalMaxPool": max_pool,
    "AveragePool": average_pool,
    "GlobalAveragePool": global_average_pool,
    "QLinearAveragePool": qlinear_pool,
    "QLinearGlobalAveragePool": qlinear_pool,
    "ReduceMean": reduce_mean,
    "Softmax": softmax,
    "QLinearSoftmax": qlinear_softmax,
}
