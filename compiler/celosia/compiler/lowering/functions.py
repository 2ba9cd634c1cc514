"""Functions of one byte: elementwise operators of one tensor, composed to a table of 256 entries.

An operator whose variable operands are all functions of one stored tensor is one itself, and its
golden kernel says which: it is run on all 256 bytes. So `x * relu6(x + 3) / 6` is one table,
whatever it was exported as, and what only elementwise operators use is never stored.
"""

from dataclasses import dataclass

import numpy as np

from celosia.golden.graph import BINARY_KINDS, Graph, Operator
from celosia.golden.interpreter import kernel_for
from celosia.golden.ops.stage import Int8Array
from celosia.golden.ops.tables import ALL_INT8
from celosia.golden.rounding import RoundingProfile


@dataclass(frozen=True)
class ByteFunction:
    """A value that is, byte by byte, `table[byte + 128]` of a stored tensor; the table is int8."""

    tensor: int
    table: Int8Array


def identity(tensor: int) -> ByteFunction:
    """A stored tensor as a function of itself."""
    return ByteFunction(tensor, ALL_INT8.astype(np.int8))


def elementwise_operands(operator: Operator) -> tuple[int, ...]:
    """The tensors that an elementwise operator works on, constants among them."""
    return operator.inputs[: 2 if operator.kind in BINARY_KINDS else 1]


def function_of_one(
    graph: Graph,
    operator: Operator,
    profile: RoundingProfile,
    functions: dict[int, ByteFunction],
) -> ByteFunction | None:
    """An elementwise operator as a function of one stored tensor, None where it isn't one.

    `functions` has the operands that aren't stored. A constant must be a single number.
    """
    operands: list[Int8Array] = []
    tensors: set[int] = set()
    for index in elementwise_operands(operator):
        data = graph.tensors[index].data
        if data is None:
            function = functions.get(index) or identity(index)
            tensors.add(function.tensor)
            operands.append(function.table)
        elif data.size == 1:
            operands.append(data.astype(np.int8).reshape(1))
        else:
            return None
    if len(tensors) != 1:
        return None
    (tensor,) = tensors
    return ByteFunction(tensor, kernel_for(graph, operator, profile)(*operands))
