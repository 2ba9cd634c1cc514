"""Which operators run on the NPU, and which on the host before and after it.

Operators that the NPU doesn't have may stand at the ends of a network: the host runs them exactly,
with the golden interpreter. Between operators of the NPU they can't run.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from math import prod
from typing import Any

import numpy as np

from celosia.compiler.names import short_name
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import (
    BINARY_KINDS,
    ELEMENTWISE_KINDS,
    MATRIX_KINDS,
    UNARY_KINDS,
    Graph,
    Operator,
    OpKind,
)

DEVICE_KINDS = (
    MATRIX_KINDS
    | ELEMENTWISE_KINDS
    | {OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D, OpKind.MEAN}
    | {OpKind.PAD, OpKind.CONCATENATION, OpKind.STRIDED_SLICE, OpKind.TRANSPOSE}
)
"""Operators that the NPU executes; RESHAPE, which mostly moves nothing, may stand between them."""


MAX_TRANSPOSED = 4096
"""Values that a transposition may move among each other: the array takes one row for each."""


@dataclass(frozen=True)
class Partition:
    """Operator indices of each part, in execution order."""

    prologue: tuple[int, ...]
    body: tuple[int, ...]
    epilogue: tuple[int, ...]


def partition(graph: Graph) -> Partition:
    """Split a graph into host prologue, device body and host epilogue.

    What no output of the network needs is left out.

    Raises:
        CelosiaError: an operator that the NPU doesn't have stands between two that it has, or
            there is nothing for it to do.
    """
    operators = graph.operators
    live = _live(graph)
    known = set(graph.inputs)
    prologue = []
    for index in live:
        operator = operators[index]
        if not _on_device(graph, operator) and known.issuperset(_inputs(graph, operator)):
            prologue.append(index)
            known.update(operator.outputs)
    needed: set[int] = set()
    epilogue = []
    for index in reversed(live):
        operator = operators[index]
        if index in prologue:
            continue
        if not _on_device(graph, operator) and needed.isdisjoint(operator.outputs):
            epilogue.append(index)
        else:
            needed.update(_inputs(graph, operator))
    hosted = {*prologue, *epilogue}
    body = tuple(index for index in live if index not in hosted)
    for index in body:
        operator = operators[index]
        if operator.kind is not OpKind.RESHAPE and not _on_device(graph, operator):
            raise CelosiaError(
                f"{describe(graph, index)} can't run: the NPU has no such operator and it stands "
                f"between operators of the NPU; it must be replaced in the model, or be moved to "
                f"the model's beginning or end, where the host runs it"
            )
    if not body:
        raise CelosiaError(
            f"model '{graph.name}' must have at least one operator that the NPU runs "
            f"({', '.join(sorted(kind.value for kind in DEVICE_KINDS))})"
        )
    return Partition(tuple(prologue), body, tuple(reversed(epilogue)))


def describe(graph: Graph, index: int) -> str:
    """An operator as error messages name it: index, kind and output tensor."""
    operator = graph.operators[index]
    output = short_name(graph.tensors[operator.outputs[0]].name)
    return f"operator {index} ({operator.kind.value}, output '{output}')"


def variable_inputs(graph: Graph, operators: Sequence[int]) -> list[int]:
    """Tensors that a run of operators takes from outside of it, in the order of their use."""
    made: set[int] = set()
    taken: list[int] = []
    for index in operators:
        operator = graph.operators[index]
        for tensor in _inputs(graph, operator):
            if tensor not in made and tensor not in taken:
                taken.append(tensor)
        made.update(operator.outputs)
    return taken


def _live(graph: Graph) -> list[int]:
    """Operators that an output of the network depends on."""
    needed = set(graph.outputs)
    live = []
    for index in reversed(range(len(graph.operators))):
        operator = graph.operators[index]
        if not needed.isdisjoint(operator.outputs):
            live.append(index)
            needed.update(_inputs(graph, operator))
    return live[::-1]


def _on_device(graph: Graph, operator: Operator) -> bool:
    if operator.kind in BINARY_KINDS:
        return bool(_inputs(graph, operator))
    if operator.kind in UNARY_KINDS:
        types = {graph.tensors[index].dtype for index in (operator.inputs[0], *operator.outputs)}
        return types == {np.dtype(np.int8)}
    attributes: Any = operator.attributes
    if operator.kind is OpKind.MEAN:
        # Dimensions that stand apart make no window.
        axes = attributes["axes"]
        return bool(axes) and axes == tuple(range(axes[0], axes[-1] + 1))
    if operator.kind is OpKind.CONCATENATION:
        return bool(_inputs(graph, operator))
    if operator.kind is OpKind.STRIDED_SLICE:
        return bool(_inputs(graph, operator)) and _takes_a_run_of_images(graph, operator)
    if operator.kind is OpKind.TRANSPOSE:
        shape = graph.tensors[operator.inputs[0]].shape
        moved = prod(shape[fixed_dimensions(attributes["permutation"]) :])
        return bool(_inputs(graph, operator)) and moved <= MAX_TRANSPOSED
    if operator.kind is OpKind.PAD:
        # Height, width and channels.
        return not any(sum(pair) for pair in attributes["pads"][:-3])
    return operator.kind in DEVICE_KINDS


def _takes_a_run_of_images(graph: Graph, operator: Operator) -> bool:
    """Whether a slice takes images one behind the other: what stands before height and width."""
    attributes: Any = operator.attributes
    sizes, strides = attributes["size"][:-3], attributes["strides"][:-3]
    shape = graph.tensors[operator.inputs[0]].shape
    several = [axis for axis, size in enumerate(sizes) if size > 1]
    return not several or (
        strides[several[0]] == 1
        and all(sizes[axis] == shape[axis] for axis in range(several[0] + 1, len(sizes)))
    )


def fixed_dimensions(permutation: tuple[int, ...]) -> int:
    """How many dimensions at the beginning a transposition leaves where they are."""
    moved = [axis for axis, source in enumerate(permutation) if axis != source]
    return moved[0] if moved else len(permutation)


def _inputs(graph: Graph, operator: Operator) -> tuple[int, ...]:
    return tuple(i for i in operator.inputs if i >= 0 and graph.tensors[i].data is None)
