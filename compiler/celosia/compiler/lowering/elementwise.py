"""Elementwise operators: a table of 256 int32 for each operand, a sum, one requantisation."""

from typing import Any

import numpy as np

from celosia.compiler.layers import ElementwiseLayer, Finish
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.lowering.functions import ByteFunction, identity
from celosia.compiler.lowering.pooling import IDENTITY
from celosia.compiler.names import short_name
from celosia.golden.config import NpuConfig
from celosia.golden.ops.elementwise import add_constants
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
    owner = context.origin(function.tensor)
    layout = context.layouts[owner]
    index = context.node.outputs[0]
    context.layouts[index] = layout
    tables = (function.table.astype(np.int64), np.zeros(256, np.int64))
    return ElementwiseLayer(
        operator=context.operator,
        name=context.output.name,
        kind=context.node.kind,
        a=owner,
        b=owner,
        output=index,
        finish=Finish(mode=RoundingMode.DOUBLE, zero_point=0, low=INT8_MIN, high=INT8_MAX),
        macs=0,
        count=layout.vectors(context.config.rows),
        tables=(_image(context.config, tables[0]), _image(context.config, tables[1])),
        multiplier=IDENTITY[0],
        exponent=IDENTITY[1],
    )


def lower_addition(context: LoweringContext) -> ElementwiseLayer:
    """An ADD of functions of two stored tensors of one shape."""
    a, b, output = context.input(0), context.input(1), context.output
    attributes: Any = context.node.attributes
    functions = [context.functions.get(t) or identity(t) for t in context.node.inputs[:2]]
    owner_a, owner_b = (context.origin(function.tensor) for function in functions)
    layout = context.layouts[owner_a]
    if layout != context.layouts[owner_b]:
        context.fail(
            f"'{short_name(a.name)}' and '{short_name(b.name)}' are stored in pixels of different "
            f"sizes; the reshape in front of it must be avoided"
        )
    mode = mode_for(context.profile, context.node.kind)
    *terms, multiplier, exponent = add_constants(a, b, output, mode)
    table_a, table_b = (
        _image(context.config, term[function.table.astype(np.intp) + 128])
        for term, function in zip(terms, functions, strict=True)
    )
    zero_point = zero_point_of(output)
    low, high = activation_range(attributes["activation"], scale_of(output), zero_point)
    index = context.node.outputs[0]
    context.layouts[index] = layout
    return ElementwiseLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        a=owner_a,
        b=owner_b,
        output=index,
        finish=Finish(mode=mode, zero_point=zero_point, low=low, high=high),
        macs=0,
        count=layout.vectors(context.config.rows),
        tables=(table_a, table_b),
        multiplier=multiplier,
        exponent=exponent,
    )


def _image(config: NpuConfig, values: Int64Array) -> bytes:
    """Bytes of a table, from the entries of -128 to 127."""
    by_unsigned_byte = np.roll(values, 128)
    entries = np.zeros((config.table_vectors, config.table_entries_per_vector), "<i4")
    entries.reshape(-1)[: by_unsigned_byte.size] = by_unsigned_byte
    image = np.zeros((config.table_vectors, config.columns), np.uint8)
    image[:, : 4 * config.table_entries_per_vector] = entries.view(np.uint8)
    return image.tobytes()
