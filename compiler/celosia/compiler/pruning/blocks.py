"""Blocks: which weights of a network share a weight tile of the array.

The lowering itself tells: it is given the network with every weight replaced by its own position.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.compile import lower_model
from celosia.compiler.layers import MatrixLayer
from celosia.golden.config import NpuConfig
from celosia.golden.graph import Graph, OpKind

_KINDS = (OpKind.CONV_2D, OpKind.FULLY_CONNECTED)


@dataclass(frozen=True)
class BlockedLayer:
    """A layer whose weights are cut into blocks.

    Attributes:
        operator, weights: indices of the operator and of its weights tensor in the graph.
        blocks: the block of each weight, in the shape of the tensor, from 0 up.
        columns: the column tile of each block, in ascending order.
    """

    operator: int
    weights: int
    blocks: NDArray[np.int32]
    columns: NDArray[np.int32]

    @property
    def count(self) -> int:
        """How many blocks there are."""
        return len(self.columns)

    def in_blocks(self, values: NDArray[np.float64]) -> NDArray[np.float64]:
        """The sum of every block over values in the tensor's shape."""
        sums: NDArray[np.float64] = np.bincount(
            self.blocks.reshape(-1), values.reshape(-1), self.count
        ).astype(np.float64)
        return sums

    def empty(self, mask: NDArray[np.bool_]) -> NDArray[np.bool_]:
        """Which blocks hold nothing that `mask` keeps."""
        return np.asarray(self.in_blocks(mask.astype(np.float64)) == 0)


def blocked_layers(graph: Graph, config: NpuConfig) -> list[BlockedLayer]:
    """The convolutions and matrix products that the NPU runs, but for depthwise ones, in order.

    A depthwise convolution has no tiles of its own, and weights that several operators share lie in
    tiles of each: both are left out.

    Raises:
        CelosiaError: the graph can't run on this NPU, or doesn't fit its scratchpad.
    """
    users = Counter(index for operator in graph.operators for index in operator.inputs)
    tensors = list(graph.tensors)
    for operator in graph.operators:
        if operator.kind in _KINDS and users[operator.inputs[1]] == 1:
            tensor = tensors[operator.inputs[1]]
            positions = np.arange(1, np.prod(tensor.shape) + 1).reshape(tensor.shape)
            tensors[operator.inputs[1]] = replace(tensor, data=positions)
    body = lower_model(replace(graph, tensors=tuple(tensors)), config)
    layers = []
    for layer in body.layers:
        operator = graph.operators[layer.operator]
        # Layers that only bring an operator's input into order bear its number, too.
        if isinstance(layer, MatrixLayer) and layer.kind is operator.kind in _KINDS:
            weights = operator.inputs[1]
            if tensors[weights] is not graph.tensors[weights]:
                layers.append(_blocked(layer, weights, graph.tensors[weights].shape))
    return layers


def _blocked(layer: MatrixLayer, weights: int, shape: tuple[int, ...]) -> BlockedLayer:
    blocks = np.full(int(np.prod(shape)), -1, np.int32)
    columns: list[int] = []
    for number, tile in enumerate(layer.tiles):
        for positions in tile.weights.astype(np.int64):
            if positions.any():
                blocks[positions[positions > 0] - 1] = len(columns)
                columns.append(number)
    assert blocks.min() >= 0
    return BlockedLayer(layer.operator, weights, blocks.reshape(shape), np.array(columns, np.int32))
