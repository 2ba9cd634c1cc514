"""Elementwise operators: a table of 256 int32 for each operand, one requantisation of the result.

Tables hold terms of a sum or factors of a product. Functions that stand in front of an operator,
and the operator's own rescaling of its operands, are in them.
"""

from collections.abc import Sequence
from dataclasses import replace
from math import prod
from typing import Any

import numpy as np

from celosia.compiler.layers import ElementwiseLayer, Finish, Run
from celosia.compiler.layout import Layout, PixelLayout, ceil_div
from celosia.compiler.lowering.broadcasting import aligned, broadcast_runs
from celosia.compiler.lowering.constants import constant_layer
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.exact import BinaryConstants, exact_product, exact_sum
from celosia.compiler.lowering.functions import ByteFunction, identity
from celosia.compiler.lowering.matrix import IDENTITY
from celosia.compiler.lowering.selection import selection_layer
from celosia.golden.config import NpuConfig
from celosia.golden.graph import OpKind, Tensor
from celosia.golden.interpreter import kernel_for
from celosia.golden.ops.elementwise import add_constants, mul_constants
from celosia.golden.ops.stage import scale_of, zero_point_of
from celosia.golden.quantization import (
    INT8_MAX,
    INT8_MIN,
    Int64Array,
    RoundingMode,
    activation_range,
    mode_for,
)


def lower_lookup(context: LoweringContext, function: ByteFunction) -> ElementwiseLayer:
    """A function of one tensor: its table, plus one of zeros, at scale 1."""
    context.needs_vector_operations("a function of single values")
    owner = context.origin(function.tensor)
    layout = context.layouts[owner]
    index = context.node.outputs[0]
    context.layouts[index] = layout
    return ElementwiseLayer(
        operator=context.operator,
        name=context.output.name,
        kind=context.node.kind,
        product=False,
        a=owner,
        b=owner,
        output=index,
        finish=Finish(mode=RoundingMode.DOUBLE, zero_point=0, low=INT8_MIN, high=INT8_MAX),
        macs=0,
        runs=(_whole(context, layout),),
        tables=(
            _image(context.config, function.table.astype(np.int64)),
            _image(context.config, np.zeros(256, np.int64)),
        ),
        multiplier=IDENTITY[0],
        exponent=IDENTITY[1],
    )


def lower_binary(context: LoweringContext) -> ElementwiseLayer:
    """An ADD, SUB or MUL of functions of two tensors, of which one may be a constant."""
    context.needs_vector_operations("arithmetic of two tensors")
    a, b, output = context.input(0), context.input(1), context.output
    constants = _constants(context, a, b, output)
    functions = [context.functions.get(t) or identity(t) for t in context.node.inputs[:2]]
    owners, repeated, runs = _arrange(context, _stored(context, functions))
    # The operand that starts over is b.
    first, second = (1, 0) if repeated == 0 else (0, 1)
    tables = [
        _image(context.config, term[function.table.astype(np.intp) + 128])
        for term, function in zip(constants.terms, functions, strict=True)
    ]
    return ElementwiseLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        product=context.node.kind is OpKind.MUL,
        a=owners[first],
        b=owners[second],
        output=context.node.outputs[0],
        finish=constants.finish,
        macs=0,
        runs=runs,
        tables=(tables[first], tables[second]),
        multiplier=constants.multiplier,
        exponent=constants.exponent,
        bias=constants.bias,
    )


def _constants(context: LoweringContext, a: Tensor, b: Tensor, output: Tensor) -> BinaryConstants:
    """Tables, scale and finish with which POST computes the operator at hand."""
    attributes: Any = context.node.attributes
    kind = context.node.kind
    mode = mode_for(context.profile, kind)
    zero_point = zero_point_of(output)
    low, high = activation_range(attributes["activation"], scale_of(output), zero_point)
    if mode is RoundingMode.FLOAT32:
        kernel = kernel_for(context.graph, context.node, context.profile)
        exact = exact_product if kind is OpKind.MUL else exact_sum
        found = exact(kind, a, b, output, kernel, low, high)
        if found is None:
            context.fail(
                "no tables of whole numbers give exactly the bytes of ONNX Runtime's float "
                "formula for these scales; other scales must be chosen, or another rounding "
                "profile"
            )
        return found
    if kind is OpKind.MUL:
        *terms, multiplier, exponent = mul_constants(a, b, output, context.profile)
    else:
        *terms, multiplier, exponent = add_constants(a, b, output, mode)
    if kind is OpKind.SUB:
        terms[1] = -terms[1]
    finish = Finish(mode=mode, zero_point=zero_point, low=low, high=high)
    return BinaryConstants((terms[0], terms[1]), multiplier, exponent, 0, finish)


def _stored(context: LoweringContext, functions: list[ByteFunction]) -> list[int]:
    """The stored tensors that the operands are functions of; constants are stored."""
    tensors = [function.tensor for function in functions]
    for tensor, other in (tensors, reversed(tensors)):
        if context.graph.tensors[tensor].data is not None and tensor not in context.layouts:
            layer = constant_layer(context, tensor, source=context.origin(other))
            context.layers.append(layer)
    return tensors


def _arrange(
    context: LoweringContext, tensors: list[int]
) -> tuple[list[int], int, tuple[Run, ...]]:
    """The operands' owners, which of them starts over, and the runs; defines the output."""
    shape = context.output.shape
    shapes = [context.input(position).shape for position in (0, 1)]
    owners = [context.origin(tensor) for tensor in tensors]
    layouts = [context.layouts[owner] for owner in owners]
    if layouts[0] == layouts[1] and all(prod(each) == prod(shape) for each in shapes):
        context.layouts[context.node.outputs[0]] = layouts[0]
        return owners, 1, (_whole(context, layouts[0]),)
    channels = shape[-1] if shape else 1
    owners = [
        _with_channels(context, tensor, each, channels)
        for tensor, each in zip(tensors, shapes, strict=True)
    ]
    context.define(channels)
    pixels = [aligned(each, len(shape))[:-1] for each in shapes]
    vectors = ceil_div(channels, context.config.rows)
    return owners, *broadcast_runs(shape[:-1], pixels, vectors)


def _with_channels(
    context: LoweringContext, tensor: int, shape: Sequence[int], channels: int
) -> int:
    """Owner of an operand in pixels of `channels`; a single channel is copied to all of them."""
    own = shape[-1] if shape else 1
    owner, layout = context.regrouped(tensor, own)
    if own == channels:
        return owner
    spread = PixelLayout(layout.pixels, channels)
    output = context.scratch(
        replace(context.tensors[tensor], shape=(*shape[:-1], channels)), spread
    )
    layer = selection_layer(
        context,
        np.ones((channels, 1), np.bool_),
        0,
        source=owner,
        image=(1, 1, layout.pixels),
        result=(1, layout.pixels),
        output=output,
    )
    context.layers.append(layer)
    return output


def _whole(context: LoweringContext, layout: Layout) -> Run:
    count = layout.vectors(context.config.rows)
    return Run(a=0, b=0, output=0, count=count, b_vectors=0)


def _image(config: NpuConfig, values: Int64Array) -> bytes:
    """Bytes of a table, from the entries of -128 to 127."""
    by_unsigned_byte = np.roll(values, 128)
    entries = np.zeros((config.table_vectors, config.table_entries_per_vector), "<i4")
    entries.reshape(-1)[: by_unsigned_byte.size] = by_unsigned_byte
    image = np.zeros((config.table_vectors, config.columns), np.uint8)
    image[:, : 4 * config.table_entries_per_vector] = entries.view(np.uint8)
    return image.tobytes()
