"""ADD: a table of rescaled values for each operand, then one requantisation of the sum."""

from typing import Any

import numpy as np

from celosia.compiler.layers import AddLayer, Finish
from celosia.compiler.lowering.context import LoweringContext
from celosia.compiler.names import short_name
from celosia.golden.config import NpuConfig
from celosia.golden.ops.elementwise import add_constants
from celosia.golden.ops.stage import scale_of, zero_point_of
from celosia.golden.quantization import Int64Array, activation_range, mode_for


def lower_addition(context: LoweringContext) -> AddLayer:
    """An ADD of two stored tensors of one shape."""
    a, b, output = context.input(0), context.input(1), context.output
    attributes: Any = context.node.attributes
    owner_a, layout = context.source(0)
    owner_b, layout_b = context.source(1)
    if layout != layout_b:
        context.fail(
            f"'{short_name(a.name)}' and '{short_name(b.name)}' are stored in pixels of different "
            f"sizes; the reshape in front of it must be avoided"
        )
    mode = mode_for(context.profile, context.node.kind)
    table_a, table_b, multiplier, exponent = add_constants(a, b, output, mode)
    zero_point = zero_point_of(output)
    low, high = activation_range(attributes["activation"], scale_of(output), zero_point)
    index = context.node.outputs[0]
    context.layouts[index] = layout
    return AddLayer(
        operator=context.operator,
        name=output.name,
        kind=context.node.kind,
        a=owner_a,
        b=owner_b,
        output=index,
        finish=Finish(mode=mode, zero_point=zero_point, low=low, high=high),
        macs=0,
        count=layout.vectors(context.config.rows),
        tables=(_table(context.config, table_a), _table(context.config, table_b)),
        multiplier=multiplier,
        exponent=exponent,
    )


def _table(config: NpuConfig, values: Int64Array) -> bytes:
    """Bytes of a table, from the entries of -128 to 127."""
    by_unsigned_byte = np.roll(values, 128)
    entries = np.zeros((config.table_vectors, config.table_entries_per_vector), "<i4")
    entries.reshape(-1)[: by_unsigned_byte.size] = by_unsigned_byte
    image = np.zeros((config.table_vectors, config.columns), np.uint8)
    image[:, : 4 * config.table_entries_per_vector] = entries.view(np.uint8)
    return image.tobytes()
