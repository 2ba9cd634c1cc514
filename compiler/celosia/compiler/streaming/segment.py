"""Runs of operators, and what they need to compute a part of their outputs."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from celosia.compiler.partition import variable_inputs
from celosia.compiler.streaming.boxes import Box, CannotCut, Need, Span, needed, whole
from celosia.golden.graph import Graph, Quantization, Tensor


@dataclass(frozen=True)
class Segment:
    """Consecutive operators of a graph.

    Attributes:
        operators: their indices, in execution order.
        inputs: tensors that they take from outside.
        outputs: tensors that they make and that are taken outside.
        sinks: outputs that none of them takes.
    """

    graph: Graph
    operators: tuple[int, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    sinks: tuple[int, ...]


@dataclass(frozen=True)
class Part:
    """What it takes to compute a box of each sink of a segment.

    Attributes:
        made: the box of every tensor that is made.
        taken: tensors and boxes that come from outside, each pair once.
        needs: of every operator, in the segment's order.
    """

    segment: Segment
    made: Mapping[int, Box]
    taken: tuple[tuple[int, Box], ...]
    needs: tuple[Need, ...]

    @property
    def key(self) -> object:
        """Equal for parts that one program computes."""
        graph = self.segment.graph
        constants = tuple(
            box
            for index, need in zip(self.segment.operators, self.needs, strict=True)
            for tensor, box in zip(graph.operators[index].inputs, need.boxes, strict=True)
            if tensor >= 0 and graph.tensors[tensor].data is not None
        )
        paddings = tuple(str(need.attributes.get("padding")) for need in self.needs)
        shapes = tuple(box.shape for box in self.made.values())
        sources = tuple((tensor, box.shape) for tensor, box in self.taken)
        return constants, paddings, shapes, sources


def segment_of(
    graph: Graph, body: Sequence[int], first: int, end: int, wanted: Collection[int]
) -> Segment:
    """The operators `first` up to `end` of a body; `wanted` are the graph's outputs."""
    operators = tuple(body[first:end])
    inside = {tensor for index in operators for tensor in graph.operators[index].inputs}
    outside = {tensor for index in body[end:] for tensor in graph.operators[index].inputs}
    made = [graph.operators[index].outputs[0] for index in operators]
    outputs = tuple(tensor for tensor in made if tensor in outside or tensor in wanted)
    return Segment(
        graph=graph,
        operators=operators,
        inputs=tuple(variable_inputs(graph, operators)),
        outputs=outputs,
        sinks=tuple(tensor for tensor in outputs if tensor not in inside),
    )


def cut(segment: Segment, spans: Mapping[int, Span]) -> Part:
    """The part that computes each sink's `spans` (by axis); axes without one are whole.

    Raises:
        CannotCut: two operators need different boxes of a tensor that is made here, or one can't
            be computed in such parts.
    """
    graph = segment.graph
    boxes: dict[int, Box] = {}
    for tensor in segment.sinks:
        box = whole(graph.tensors[tensor].shape)
        for axis, span in spans.items():
            box = box.with_span(axis, span)
        boxes[tensor] = box
    made = {graph.operators[index].outputs[0] for index in segment.operators}
    taken: dict[tuple[int, Box], None] = {}
    needs = []
    for index in reversed(segment.operators):
        operator = graph.operators[index]
        need = needed(graph, operator, boxes[operator.outputs[0]])
        for tensor, part in zip(operator.inputs, need.boxes, strict=True):
            if part is None or graph.tensors[tensor].data is not None:
                continue
            if tensor not in made:
                taken[tensor, part] = None
            elif boxes.setdefault(tensor, part) != part:
                raise CannotCut
        needs.append(need)
    order = {tensor: position for position, tensor in enumerate(segment.inputs)}
    return Part(
        segment=segment,
        made={tensor: boxes[tensor] for tensor in sorted(boxes)},
        taken=tuple(sorted(taken, key=lambda pair: (order[pair[0]], pair[1].spans))),
        needs=tuple(reversed(needs)),
    )


def part_graph(part: Part) -> Graph:
    """A part as a network of its own: its inputs are `taken`, its outputs the segment's."""
    segment, graph = part.segment, part.segment.graph
    tensors: list[Tensor] = []
    number: dict[tuple[int, Box], int] = {}

    def place(tensor: int, box: Box) -> int:
        if (tensor, box) not in number:
            number[tensor, box] = len(tensors)
            tensors.append(_part_of(graph.tensors[tensor], box))
        return number[tensor, box]

    inputs = tuple(place(*pair) for pair in part.taken)
    operators = []
    for index, need in zip(segment.operators, part.needs, strict=True):
        node = graph.operators[index]
        sources = tuple(
            -1 if box is None else place(tensor, box)
            for tensor, box in zip(node.inputs, need.boxes, strict=True)
        )
        output = node.outputs[0]
        operators.append(
            replace(
                node,
                inputs=sources,
                outputs=(place(output, part.made[output]),),
                attributes=need.attributes,
            )
        )
    outputs = tuple(place(tensor, part.made[tensor]) for tensor in segment.outputs)
    return replace(
        graph,
        tensors=tuple(tensors),
        operators=tuple(operators),
        inputs=inputs,
        outputs=outputs,
    )


def _part_of(tensor: Tensor, box: Box) -> Tensor:
    if box.shape == tensor.shape:
        return tensor
    data = None if tensor.data is None else np.ascontiguousarray(tensor.data[box.slices])
    quantization = tensor.quantization
    if quantization is not None and quantization.scale.size > 1:
        start, end = box.spans[quantization.axis]
        quantization = Quantization(
            quantization.scale[start:end], quantization.zero_point[start:end], quantization.axis
        )
    return replace(tensor, shape=box.shape, data=data, quantization=quantization)
