"""Weights that are left take over what was pruned: least squares on calibration samples."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.pruning.masks import Masks, masked
from celosia.golden.graph import Graph, Operator, OpKind
from celosia.golden.interpreter import Interpreter
from celosia.golden.ops.matrix import constant, padded, windows
from celosia.golden.ops.stage import zero_point_of
from celosia.golden.quantization import INT8_MAX, INT32_MAX
from celosia.golden.rounding import RoundingProfile

_RIDGE = 1e-2
"""Of the mean square of the inputs: how much a weight is held to what it was."""

Float = NDArray[np.float64]
Values = dict[int, NDArray[Any]]


def refitted(
    graph: Graph,
    masks: Masks,
    samples: Sequence[Sequence[NDArray[Any]]],
    profile: RoundingProfile = RoundingProfile.TFLM,
) -> Graph:
    """The pruned graph, with the remaining weights and the biases refitted, layer after layer.

    In each convolution and matrix product but for depthwise ones, kept weights and bias become
    those whose sums on `samples`, run through the pruned layers before, come closest to the
    original network's: ridge regression in float64, rounded to int8 at the tensor's scale.
    """
    graph, original = masked(graph, masks), graph
    pairs = [_initial(original, sample) for sample in samples]
    last_use = {index: n for n, node in enumerate(graph.operators) for index in node.inputs}
    for number, node in enumerate(graph.operators):
        if node.kind in (OpKind.CONV_2D, OpKind.FULLY_CONNECTED):
            graph = _refit(original, graph, node, masks, pairs)
        for network, values in ((original, 0), (graph, 1)):
            step = Interpreter(_alone(network, node), profile)
            for pair in pairs:
                inputs = [pair[values][index] for index in step.graph.inputs]
                pair[values].update(zip(node.outputs, step.run(inputs), strict=True))
        for pair in pairs:
            for index in {i for i in node.inputs if last_use[i] == number}:
                pair[0].pop(index, None)
                pair[1].pop(index, None)
    return graph


def _initial(graph: Graph, sample: Sequence[NDArray[Any]]) -> tuple[Values, Values]:
    values = dict(zip(graph.inputs, sample, strict=True))
    return values, dict(values)


def _alone(graph: Graph, node: Operator) -> Graph:
    """The operator as a network of its own."""
    inputs = [i for i in dict.fromkeys(node.inputs) if i >= 0 and graph.tensors[i].data is None]
    return replace(graph, operators=(node,), inputs=tuple(inputs), outputs=node.outputs)


def _refit(
    original: Graph,
    graph: Graph,
    node: Operator,
    masks: Masks,
    pairs: Sequence[tuple[Values, Values]],
) -> Graph:
    index = node.inputs[1]
    before = constant(original.tensors[index])
    kept = masks.get(index, np.ones(before.shape, np.bool_)).reshape(len(before), -1)
    rows = before.reshape(len(before), -1).astype(np.float64)
    bias = _own_bias(graph, node)
    moments = _Moments(rows)
    for first, second in pairs:
        x, y = (_taps(graph, node, values[node.inputs[0]]) for values in (first, second))
        moments.add(x, y)
    fitted = np.rint(moments.solve(kept, centred=bias is not None))
    fitted = np.clip(fitted, -INT8_MAX, INT8_MAX)
    tensors = list(graph.tensors)
    tensors[index] = replace(tensors[index], data=fitted.astype(np.int8).reshape(before.shape))
    if bias is not None:
        data = tensors[bias].data
        assert data is not None
        moved = np.rint(data.astype(np.float64) + moments.offset(fitted))
        moved = np.clip(moved, -INT32_MAX, INT32_MAX)
        tensors[bias] = replace(tensors[bias], data=moved.astype(data.dtype))
    return replace(graph, tensors=tuple(tensors))


def _own_bias(graph: Graph, node: Operator) -> int | None:
    """The bias tensor, unless there is none or another operator has it too."""
    if len(node.inputs) < 3 or node.inputs[2] < 0:
        return None
    users = sum(node.inputs[2] in other.inputs for other in graph.operators)
    return node.inputs[2] if users == 1 else None


def _taps(graph: Graph, node: Operator, x: NDArray[Any]) -> Float:
    """Inputs of every sum, without their zero point: [outputs, weights of a channel]."""
    zero_point = zero_point_of(graph.tensors[node.inputs[0]])
    shape = graph.tensors[node.inputs[1]].shape
    if node.kind is OpKind.CONV_2D:
        attributes: Mapping[str, Any] = node.attributes
        image = padded(x, attributes["padding"], zero_point, np.float64)
        x = windows(image, (shape[1], shape[2]), attributes["stride"], attributes["dilation"])
    return x.reshape(-1, int(np.prod(shape[1:]))).astype(np.float64) - zero_point


class _Moments:
    """Sums over samples of what a least-squares fit takes.

    `rows` are the original weights [channels, weights of a channel].
    """

    def __init__(self, rows: Float) -> None:
        channels, depth = rows.shape
        self._rows = rows
        self._count = 0
        self._inputs = np.zeros(depth)
        self._sums = np.zeros(channels)
        self._squares = np.zeros((depth, depth))
        self._products = np.zeros((depth, channels))

    def add(self, x: Float, y: Float) -> None:
        """Inputs of the original sums and of the same sums in the pruned network."""
        wanted = x @ self._rows.T
        self._count += len(x)
        self._inputs += y.sum(axis=0)
        self._sums += wanted.sum(axis=0)
        self._squares += y.T @ y
        self._products += y.T @ wanted

    def solve(self, kept: NDArray[np.bool_], *, centred: bool) -> Float:
        """Weights, zero where not `kept`; `centred` where a bias takes up the means."""
        squares, products = self._squares, self._products
        if centred:
            squares = squares - np.outer(self._inputs, self._inputs) / self._count
            products = products - np.outer(self._inputs, self._sums) / self._count
        ridge = _RIDGE * np.trace(squares) / len(squares) + 1
        fitted = np.zeros(self._rows.shape)
        # Channels of one column tile keep the same weights: they are solved for together.
        patterns, group = np.unique(kept, axis=0, return_inverse=True)
        for number, pattern in enumerate(patterns):
            columns, channels = np.flatnonzero(pattern), np.flatnonzero(group == number)
            held = ridge * self._rows[np.ix_(channels, columns)].T
            left = squares[np.ix_(columns, columns)] + ridge * np.eye(columns.size)
            right = products[np.ix_(columns, channels)] + held
            fitted[np.ix_(channels, columns)] = np.linalg.solve(left, right).T
        return fitted

    def offset(self, rows: Float) -> Float:
        """What the bias of every channel must grow by for the means of the sums to be the same."""
        return (self._sums - rows @ self._inputs) / self._count
