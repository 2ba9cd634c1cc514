"""Batches: one graph that does what N runs of another do, on inputs stacked along dimension 0.

Every value of the batched graph is the N values of N runs, one behind the other in memory. An
operator may be run on such stacks if it gives the stack of its results: if it treats the parts of
dimension 0 alike and each by itself. RESHAPE does whatever its shapes are, as it moves nothing.
"""

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from celosia.compiler.names import short_name
from celosia.compiler.partition import describe
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import (
    BINARY_KINDS,
    MATRIX_KINDS,
    UNARY_KINDS,
    Graph,
    Operator,
    OpKind,
    Tensor,
)

_ALWAYS = frozenset(
    {*MATRIX_KINDS, *UNARY_KINDS, OpKind.DEQUANTIZE, OpKind.RESHAPE}
    | {OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D, OpKind.MEAN_POOL_2D}
)
"""Operators that give the stack of their results whatever their attributes are."""


def batched(graph: Graph, count: int) -> Graph:
    """The graph of `count` inferences at once: all but constants grow `count` times in dimension 0.

    Raises:
        CelosiaError: `count` isn't positive, or an operator would mix inferences; the message names
            it.
    """
    if count < 1:
        raise CelosiaError(f"batch must be at least 1, not {count}")
    if count == 1:
        return graph
    for index, operator in enumerate(graph.operators):
        reason = _obstacle(graph, operator)
        if reason is not None:
            raise CelosiaError(f"{describe(graph, index)} can't run in batches: {reason}")
    for index in (*graph.inputs, *graph.outputs):
        _check_rank(graph.tensors[index])
    return replace(
        graph,
        tensors=tuple(_grown(tensor, count) for tensor in graph.tensors),
        operators=tuple(_taking_all(operator, count) for operator in graph.operators),
    )


def _taking_all(operator: Operator, count: int) -> Operator:
    """A slice of the whole of dimension 0 takes more of it."""
    if operator.kind is not OpKind.STRIDED_SLICE:
        return operator
    attributes: Any = operator.attributes
    first, *rest = attributes["size"]
    return replace(operator, attributes={**attributes, "size": (count * first, *rest)})


def _grown(tensor: Tensor, count: int) -> Tensor:
    if tensor.data is not None or not tensor.shape:
        return tensor
    return replace(tensor, shape=(count * tensor.shape[0], *tensor.shape[1:]))


def _check_rank(tensor: Tensor) -> None:
    if not tensor.shape:
        raise CelosiaError(
            f"tensor '{short_name(tensor.name)}' must have at least one dimension to be batched"
        )


def _obstacle(graph: Graph, operator: Operator) -> str | None:
    """Why an operator's result on stacks isn't the stack of its results; None where it is."""
    variable = [graph.tensors[i] for i in operator.inputs if i >= 0]
    variable = [tensor for tensor in variable if tensor.data is None]
    if not variable:
        return "all of its inputs are constants"
    for tensor in (*variable, graph.tensors[operator.outputs[0]]):
        if not tensor.shape:
            return f"tensor '{short_name(tensor.name)}' has no dimension that counts inferences"
    if operator.kind in _ALWAYS:
        return None
    check = _OBSTACLES.get(operator.kind)
    return "nothing is known of its batches" if check is None else check(graph, operator)


def _of_binary(graph: Graph, operator: Operator) -> str | None:
    output = graph.tensors[operator.outputs[0]]
    for tensor in (graph.tensors[index] for index in operator.inputs[:2]):
        spread = len(tensor.shape) < len(output.shape)
        if tensor.data is None and (spread or tensor.shape[0] != output.shape[0]):
            return f"'{short_name(tensor.name)}' is used again along dimension 0"
        if tensor.data is not None and not spread and tensor.shape[0] != 1:
            return f"constant '{short_name(tensor.name)}' differs along dimension 0"
    return None


def _of_mean(graph: Graph, operator: Operator) -> str | None:
    attributes: Any = operator.attributes
    return "it reduces dimension 0" if 0 in attributes["axes"] else None


def _of_padding(graph: Graph, operator: Operator) -> str | None:
    attributes: Any = operator.attributes
    return "it pads dimension 0" if any(attributes["pads"][0]) else None


def _of_transpose(graph: Graph, operator: Operator) -> str | None:
    attributes: Any = operator.attributes
    return "it moves dimension 0" if attributes["permutation"][0] != 0 else None


def _of_slice(graph: Graph, operator: Operator) -> str | None:
    attributes: Any = operator.attributes
    whole = attributes["size"][0] == graph.tensors[operator.inputs[0]].shape[0]
    kept = len(graph.tensors[operator.outputs[0]].shape) == len(attributes["size"])
    return None if whole and kept else "it takes a part of dimension 0"


def _of_concatenation(graph: Graph, operator: Operator) -> str | None:
    attributes: Any = operator.attributes
    if attributes["axis"] == 0:
        return "it joins tensors along dimension 0"
    if any(graph.tensors[index].data is not None for index in operator.inputs):
        return "one of its inputs is a constant"
    return None


def _of_softmax(graph: Graph, operator: Operator) -> str | None:
    rank = len(graph.tensors[operator.inputs[0]].shape)
    return "its input has no dimension but the one that it normalises" if rank < 2 else None


_OBSTACLES: Mapping[OpKind, Callable[[Graph, Operator], str | None]] = {
    **dict.fromkeys(BINARY_KINDS, _of_binary),
    OpKind.MEAN: _of_mean,
    OpKind.PAD: _of_padding,
    OpKind.TRANSPOSE: _of_transpose,
    OpKind.STRIDED_SLICE: _of_slice,
    OpKind.CONCATENATION: _of_concatenation,
    OpKind.SOFTMAX: _of_softmax,
}
KNOWN = _ALWAYS | _OBSTACLES.keys()
"""Kinds of operators of whose batches anything is known."""
