"""Masks: which weights of a network stay, chosen by magnitude, block by block."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.pruning.blocks import BlockedLayer
from celosia.golden.graph import Graph
from celosia.golden.ops.matrix import constant
from celosia.golden.ops.stage import quantization_of

Masks = Mapping[int, NDArray[np.bool_]]
"""By weights tensor: True for each weight that stays."""


def magnitude_masks(
    graph: Graph, layers: Sequence[BlockedLayer], sparsity: float, masks: Masks
) -> dict[int, NDArray[np.bool_]]:
    """`masks`, and of each layer the share `sparsity` of its blocks that weigh least.

    A block weighs what its weights, as real numbers, have for squares in sum: the error that
    leaving it out makes of inputs of equal strength. Blocks are ranked within their layer, so that
    each layer has the share, rounded to whole blocks. Blocks that are zero are the first to go. The
    heaviest block of each column tile stays: a column tile without any is run with zeros, which
    takes as long.
    """
    chosen = dict(masks)
    for layer in layers:
        tensor = graph.tensors[layer.weights]
        mask = chosen.get(layer.weights, np.ones(tensor.shape, np.bool_))
        scale = quantization_of(tensor).scale.astype(np.float64)
        by_channel = scale.reshape(-1, *[1] * (len(tensor.shape) - 1))
        weight = layer.in_blocks(np.square(constant(tensor) * by_channel) * mask)
        order = np.argsort(weight, kind="stable")
        # The last of a column tile in this order.
        heaviest = layer.count - 1 - np.unique(layer.columns[order[::-1]], return_index=True)[1]
        order = np.delete(order, heaviest)
        dropped = order[: int(sparsity * layer.count + 0.5)]
        chosen[layer.weights] = mask & ~np.isin(layer.blocks, dropped)
    return chosen


def masked(graph: Graph, masks: Masks) -> Graph:
    """The graph with zeros where a mask keeps nothing."""
    tensors = list(graph.tensors)
    for index, mask in masks.items():
        data = np.where(mask, constant(tensors[index]), np.int8(0))
        tensors[index] = replace(tensors[index], data=data)
    return replace(graph, tensors=tuple(tensors))
