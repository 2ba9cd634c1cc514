"""Channels that are constant: where one always is the zero point, weights for it have no effect."""

from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.graph import MATRIX_KINDS, Graph, Operator, OpKind, Tensor
from celosia.golden.interpreter import kernel_for
from celosia.golden.ops.matrix import constant
from celosia.golden.ops.stage import zero_point_of
from celosia.golden.rounding import RoundingProfile

Known = dict[int, NDArray[np.bool_]]
"""By tensor: which of its elements always are its zero point."""


def drop_dead_channels(graph: Graph, profile: RoundingProfile) -> Graph:
    """The graph with zeros for weights that only ever meet their input's zero point.

    An output channel without weights has the value of its bias. If that is the zero point, layers
    behind multiply it, and their padding, as a zero: their weights for it may be zero as well, so
    that tiles of zeros come about. Every value of the network stays what it is.
    """
    known: Known = {}
    tensors = list(graph.tensors)
    users = [index for operator in graph.operators for index in operator.inputs]
    for operator in graph.operators:
        if operator.kind is OpKind.RESHAPE and operator.inputs[0] in known:
            shape = tensors[operator.outputs[0]].shape
            known[operator.outputs[0]] = known[operator.inputs[0]].reshape(shape)
        if operator.kind not in MATRIX_KINDS:
            continue
        index = operator.inputs[1]
        if operator.inputs[0] in known and users.count(index) == 1:
            dead = _dead_weights(operator, known[operator.inputs[0]], tensors[index])
            data = np.where(dead, np.int8(0), constant(tensors[index]))
            tensors[index] = replace(tensors[index], data=data)
        axis = 3 if operator.kind is OpKind.DEPTHWISE_CONV_2D else 0
        weightless = ~np.moveaxis(constant(tensors[index]), axis, 0).any(
            axis=tuple(range(1, len(tensors[index].shape)))
        )
        if weightless.any():
            changed = replace(graph, tensors=tuple(tensors))
            constants = _at_zero_point(changed, operator, profile) & weightless
            if constants.any():
                known[operator.outputs[0]] = constants
    return replace(graph, tensors=tuple(tensors))


def _dead_weights(
    operator: Operator, known: NDArray[np.bool_], weights: Tensor
) -> NDArray[np.bool_]:
    """Which weights only meet elements that are known, to broadcast to the weights' shape."""
    attributes: Any = operator.attributes
    if operator.kind is OpKind.FULLY_CONNECTED:
        return np.asarray(known.reshape(-1, weights.shape[1]).all(axis=0))
    channels = np.asarray(known.all(axis=(0, 1, 2)))
    if operator.kind is OpKind.DEPTHWISE_CONV_2D:
        return np.repeat(channels, attributes["multiplier"])
    return channels


def _at_zero_point(graph: Graph, operator: Operator, profile: RoundingProfile) -> NDArray[np.bool_]:
    """Outputs that are the zero point where all inputs are theirs, by the golden operator."""
    x, output = graph.tensors[operator.inputs[0]], graph.tensors[operator.outputs[0]]
    found = kernel_for(graph, operator, profile)(np.full(x.shape, zero_point_of(x), np.int8))
    return np.asarray(found == zero_point_of(output))
