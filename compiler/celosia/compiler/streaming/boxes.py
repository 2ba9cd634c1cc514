"""Parts of tensors, and which part of its inputs an operator needs for a part of its output."""

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from typing import Any

from celosia.golden.graph import ELEMENTWISE_KINDS, Graph, Operator, OpKind

Span = tuple[int, int]
"""Positions along an axis: first and end (excluded)."""

_WINDOWED = {OpKind.CONV_2D, OpKind.DEPTHWISE_CONV_2D, OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D}
_POOLS = {OpKind.AVERAGE_POOL_2D, OpKind.MAX_POOL_2D}


class CannotCut(Exception):
    """An operator's output can't be computed in such parts."""


@dataclass(frozen=True)
class Box:
    """A part of a tensor: a span of positions on each axis."""

    spans: tuple[Span, ...]

    @property
    def shape(self) -> tuple[int, ...]:
        """Extents."""
        return tuple(end - start for start, end in self.spans)

    @property
    def size(self) -> int:
        """Elements."""
        return prod(self.shape)

    @property
    def slices(self) -> tuple[slice, ...]:
        """The part as numpy indexes it."""
        return tuple(slice(start, end) for start, end in self.spans)

    def with_span(self, axis: int, span: Span) -> "Box":
        """The same on all axes but one."""
        spans = list(self.spans)
        spans[axis] = span
        return Box(tuple(spans))


def whole(shape: tuple[int, ...]) -> Box:
    """All of a tensor."""
    return Box(tuple((0, extent) for extent in shape))


@dataclass(frozen=True)
class Need:
    """What an operator needs: a box of each input (None where absent), and its attributes there."""

    boxes: tuple[Box | None, ...]
    attributes: Mapping[str, object]


def needed(graph: Graph, operator: Operator, box: Box) -> Need:
    """What an operator needs to compute a part of its output.

    Padding is left only at the edges of the whole image.

    Raises:
        CannotCut: the output can't be computed in such parts.
    """
    inputs = [graph.tensors[index] if index >= 0 else None for index in operator.inputs]
    shapes = [None if tensor is None else tensor.shape for tensor in inputs]
    output = graph.tensors[operator.outputs[0]].shape
    if box == whole(output):
        boxes = tuple(None if shape is None else whole(shape) for shape in shapes)
        return Need(boxes, operator.attributes)
    if operator.kind in ELEMENTWISE_KINDS:
        return Need(
            tuple(None if shape is None else _broadcast(shape, box) for shape in shapes),
            operator.attributes,
        )
    if operator.kind in _WINDOWED:
        return _windowed(operator, shapes, box)
    match operator.kind:
        case OpKind.FULLY_CONNECTED:
            return _fully_connected(operator, shapes, box, output)
        case OpKind.MEAN:
            return _mean(operator, shapes, box, output)
        case OpKind.PAD:
            return _pad(operator, shapes, box)
        case OpKind.CONCATENATION:
            return _concatenation(operator, shapes, box, output)
    raise CannotCut


def _broadcast(shape: tuple[int, ...], box: Box) -> Box:
    """The part of an operand: extents of one and missing leading axes are repeated."""
    spans = box.spans[len(box.spans) - len(shape) :]
    return Box(
        tuple((0, 1) if extent == 1 else span for extent, span in zip(shape, spans, strict=True))
    )


def _windowed(operator: Operator, shapes: list[Any], box: Box) -> Need:
    attributes: Any = dict(operator.attributes)
    x = shapes[0]
    window = attributes["window"] if operator.kind in _POOLS else shapes[1][1:3]
    dilation = attributes.get("dilation", (1, 1))
    spans, padding = [], []
    for axis in range(2):
        first, end = box.spans[1 + axis]
        stride = attributes["stride"][axis]
        before, _ = attributes["padding"][axis]
        low = first * stride - before
        high = (end - 1) * stride - before + (window[axis] - 1) * dilation[axis] + 1
        extent = x[1 + axis]
        span = (max(low, 0), min(high, extent))
        if span[0] >= span[1]:
            raise CannotCut  # all taps lie in the padding
        spans.append(span)
        padding.append((span[0] - low, high - span[1]))
    attributes["padding"] = tuple(padding)
    channels, batch = box.spans[3], box.spans[0]
    if operator.kind is OpKind.CONV_2D:
        inside: Span = (0, x[3])
        constants = [Box((channels, *whole(shapes[1]).spans[1:]))]
    elif operator.kind is OpKind.DEPTHWISE_CONV_2D:
        multiplier = attributes["multiplier"]
        if channels[0] % multiplier or channels[1] % multiplier:
            raise CannotCut
        inside = (channels[0] // multiplier, channels[1] // multiplier)
        constants = [whole(shapes[1]).with_span(3, channels)]
    else:
        inside, constants = channels, []
    return Need((Box((batch, *spans, inside)), *constants, *_bias(shapes, channels)), attributes)


def _bias(shapes: list[Any], channels: Span) -> list[Box | None]:
    return [None if shape is None else Box((channels,)) for shape in shapes[2:]]


def _fully_connected(
    operator: Operator, shapes: list[Any], box: Box, output: tuple[int, ...]
) -> Need:
    if box.shape[:-1] != output[:-1]:
        raise CannotCut  # rows of the product needn't be rows of the input
    units = box.spans[-1]
    weights = Box((units, (0, shapes[1][1])))
    return Need((whole(shapes[0]), weights, *_bias(shapes, units)), operator.attributes)


def _mean(operator: Operator, shapes: list[Any], box: Box, output: tuple[int, ...]) -> Need:
    attributes: Any = operator.attributes
    source = whole(shapes[0])
    kept = [axis for axis in range(len(shapes[0])) if axis not in attributes["axes"]]
    for place, axis in enumerate(kept):
        source = source.with_span(axis, box.spans[axis if attributes["keep_dims"] else place])
    return Need((source, *_all(shapes[1:])), attributes)


def _pad(operator: Operator, shapes: list[Any], box: Box) -> Need:
    attributes: Any = operator.attributes
    spans, pads = [], []
    for (first, end), (before, _), extent in zip(
        box.spans, attributes["pads"], shapes[0], strict=True
    ):
        low, high = first - before, end - before
        span = (max(low, 0), min(high, extent))
        if span[0] >= span[1]:
            raise CannotCut  # nothing but padding
        spans.append(span)
        pads.append((span[0] - low, high - span[1]))
    return Need((Box(tuple(spans)), *_all(shapes[1:])), {**attributes, "pads": tuple(pads)})


def _concatenation(
    operator: Operator, shapes: list[Any], box: Box, output: tuple[int, ...]
) -> Need:
    attributes: Any = operator.attributes
    axis = attributes["axis"]
    if box.shape[axis] != output[axis]:
        raise CannotCut
    return Need(
        tuple(box.with_span(axis, (0, shape[axis])) for shape in shapes), operator.attributes
    )


def _all(shapes: list[Any]) -> list[Box | None]:
    return [None if shape is None else whole(shape) for shape in shapes]
