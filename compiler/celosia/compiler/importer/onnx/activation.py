"""Clamping an output: as the operator's own activation, or as a table behind it."""

from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.onnx.builder import GraphBuilder
from celosia.compiler.importer.onnx.values import BYTES, Scale
from celosia.golden.graph import Activation, OpKind
from celosia.golden.ops.float_formulas import quantize_half_even
from celosia.golden.quantization import INT8_MAX, INT8_MIN, activation_range


def quantised(values: NDArray[np.float32], scale: Scale) -> NDArray[np.int8]:
    """Real numbers as bytes of `scale`, as QuantizeLinear computes them."""
    return quantize_half_even(values, scale.scale, scale.zero_point, INT8_MIN, INT8_MAX)


def emit_clamped(
    builder: GraphBuilder,
    emit: Callable[[Activation, int], int],
    shape: Sequence[int],
    scale: Scale,
    low: float,
    high: float,
    name: str,
    *,
    may_activate: bool = True,
) -> int:
    """Make an operator whose output is clamped to the real numbers from `low` to `high`.

    Quantising rounds monotonically, so that clamping the bytes is the same. `emit(activation,
    output)` makes the operator, which has an activation unless `may_activate` is false.
    """
    bounds = np.array([low, high], np.float32)
    least, most = (int(bound) for bound in quantised(bounds, scale))
    for activation in Activation if may_activate else (Activation.NONE,):
        if activation_range(activation, scale.scale, scale.zero_point) == (least, most):
            return emit(activation, builder.add_tensor(name, shape, scale=scale))
    inner = builder.add_tensor(f"{name}/unclamped", shape, scale=scale)
    emit(Activation.NONE, inner)
    output = builder.alike(inner, name, shape)
    return lookup(builder, inner, np.clip(BYTES, least, most).astype(np.int8), output)


def lookup(builder: GraphBuilder, source: int, table: NDArray[np.generic], output: int) -> int:
    """A LOOKUP of `table`."""
    name = builder.tensor(output).name
    constant = builder.add_weights(f"{name}/table", table, None, 0)
    return builder.add_operator(OpKind.LOOKUP, (source, constant), output)
