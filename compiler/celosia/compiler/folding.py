"""PAD in front of a convolution becomes the convolution's own padding."""

from dataclasses import replace
from typing import Any

from celosia.golden.graph import Graph, Operator, OpKind

_CONVOLUTIONS = (OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D)


def fold_padding(graph: Graph) -> Graph:
    """The graph with every PAD over height and width taken into the convolutions that use it.

    Both pad with the zero point. Pools keep theirs: what they pad with takes no part in a maximum
    or a mean. Operators keep their places; a PAD that nothing uses any more stays where it is.
    """
    pads = {
        operator.outputs[0]: operator
        for operator in graph.operators
        if operator.kind is OpKind.PAD and _is_spatial(operator)
    }
    operators = list(graph.operators)
    for index, operator in enumerate(operators):
        pad = pads.get(operator.inputs[0]) if operator.kind in _CONVOLUTIONS else None
        if pad is not None:
            operators[index] = _padded(operator, pad)
    return replace(graph, operators=tuple(operators))


def _is_spatial(operator: Operator) -> bool:
    pads: Any = operator.attributes["pads"]
    return len(pads) == 4 and sum(pads[0]) == sum(pads[3]) == 0


def _padded(operator: Operator, pad: Operator) -> Operator:
    pads: Any = pad.attributes["pads"]
    own: Any = operator.attributes["padding"]
    padding = tuple(
        (before + more, after + still)
        for (before, after), (more, still) in zip(own, pads[1:3], strict=True)
    )
    return replace(
        operator,
        inputs=(pad.inputs[0], *operator.inputs[1:]),
        attributes={**operator.attributes, "padding": padding},
    )
