"""Where a body is cut into segments, and each segment into parts.

Every run of consecutive operators is a candidate: as a whole where it fits, else in strips of rows
(and columns, where single rows are too large); a single operator also by output channels. A part of
several operators recomputes the rows that the next part needs too, and saves the host from moving
what lies between them. The cheapest sequence counts cycles of the NPU and words on the host's bus
alike: a word takes a cycle.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import product

from celosia.compiler.layout import ceil_div
from celosia.compiler.partition import describe
from celosia.compiler.streaming.boxes import CannotCut, Span
from celosia.compiler.streaming.measure import (
    Footprint,
    channel_unit,
    part_memory,
    weight_vectors,
)
from celosia.compiler.streaming.segment import Part, Segment, cut, segment_of
from celosia.golden.config import NpuConfig
from celosia.golden.errors import DoesNotFit
from celosia.golden.graph import Graph, OpKind
from celosia.golden.memory_map import WORD_BYTES

_LONGEST = 32  # operators of a candidate
_MOVES = {OpKind.STRIDED_SLICE, OpKind.TRANSPOSE, OpKind.CONCATENATION, OpKind.PAD, OpKind.RESHAPE}
_PATIENCE = 3  # candidates that may be worse than the best before a search ends


@dataclass(frozen=True, eq=False)
class Choice:
    """A segment and how it is cut: the size of a part along each axis that is cut.

    `on_host` where the host does it, in its own memory.
    """

    segment: Segment
    sizes: Mapping[int, int]
    cost: float
    on_host: bool = False

    def parts(self) -> Iterator[Part]:
        """All parts: channels outermost, then rows, then columns."""
        shape = self.segment.graph.tensors[self.segment.sinks[0]].shape
        axes = sorted(self.sizes, key=lambda axis: (axis != len(shape) - 1, axis))
        for spans in product(*(_spans(shape[axis], self.sizes[axis]) for axis in axes)):
            yield cut(self.segment, dict(zip(axes, spans, strict=True)))


def _spans(extent: int, size: int) -> list[Span]:
    return [(start, min(start + size, extent)) for start in range(0, extent, size)]


@dataclass
class Cutter:
    """Chooses segments of a body, of whose tensors `wanted` are taken outside.

    `margins` grow for segments that turned out not to fit.
    """

    graph: Graph
    body: Sequence[int]
    wanted: Sequence[int]
    config: NpuConfig
    footprints: Mapping[int, Footprint]
    margins: dict[tuple[int, ...], float] = field(default_factory=dict)
    _choices: dict[tuple[int, int], Choice | None] = field(default_factory=dict)

    def choose(self) -> list[Choice]:
        """The cheapest sequence of segments.

        Raises:
            DoesNotFit: an operator can't be cut small enough.
        """
        count = len(self.body)
        best: list[tuple[float, list[Choice]] | None] = [(0.0, []), *[None] * count]
        for first in range(count):
            reached = best[first]
            if reached is None:
                continue
            for end in range(first + 1, min(count, first + _LONGEST) + 1):
                choice = self._choice(first, end)
                if choice is None:
                    continue
                cost = reached[0] + choice.cost
                known = best[end]
                if known is None or cost < known[0]:
                    best[end] = (cost, [*reached[1], choice])
            if best[first + 1] is None and all(entry is None for entry in best[first + 1 :]):
                self._refuse(first)
        result = best[count]
        assert result is not None
        return result[1]

    def widen(self, choice: Choice) -> None:
        """Remember that a part of this segment needs more than was estimated."""
        operators = choice.segment.operators
        self.margins[operators] = self.margins.get(operators, 1.0) * 1.05
        first = self.body.index(operators[0])
        del self._choices[first, first + len(operators)]

    def _choice(self, first: int, end: int) -> Choice | None:
        if (first, end) not in self._choices:
            segment = segment_of(self.graph, self.body, first, end, self.wanted)
            self._choices[first, end] = self._cheapest(segment)
        return self._choices[first, end]

    def _cheapest(self, segment: Segment) -> Choice | None:
        kinds = {self.graph.operators[index].kind for index in segment.operators}
        if kinds == {OpKind.RESHAPE}:
            return Choice(segment, {}, 0.0, on_host=True)
        constants = sum(self.footprints[index].constants for index in segment.operators)
        if len(segment.operators) > 1 and constants > self.config.weight_depth:
            return None
        if self._fits(segment, {}):
            return Choice(segment, {}, self._cost(segment, {}))
        best: Choice | None = None
        worse = 0
        for sizes in self._cuts(segment):
            if not _complete(segment, sizes):
                continue
            choice = Choice(segment, sizes, self._cost(segment, sizes))
            if best is None or choice.cost < best.cost:
                best, worse = choice, 0
            else:
                worse += 1
                if worse == _PATIENCE:
                    break
        if best is None and kinds <= _MOVES:
            # It only moves bytes that are in the host's memory anyway.
            return Choice(segment, {}, self._cost(segment, {}), on_host=True)
        return best

    def _cuts(self, segment: Segment) -> Iterator[dict[int, int]]:
        """Sizes that fit: for every number of channel groups and of columns the most rows."""
        shapes = {self.graph.tensors[tensor].shape for tensor in segment.sinks}
        if len(shapes) > 1:
            return
        (shape,) = shapes
        last = len(shape) - 1
        groups: list[dict[int, int]] = [{}]
        if len(segment.operators) == 1 and last > 0:
            unit = channel_unit(self.config)
            groups += [{last: size * unit} for size in _sizes(ceil_div(shape[last], unit))]
        for group in groups:
            if group and group[last] >= shape[last]:
                continue
            if len(shape) != 4:
                if group and self._fits(segment, group):
                    yield group
                continue
            for columns in _sizes(shape[2]):
                base = group if columns == shape[2] else {**group, 2: columns}
                rows = self._most_rows(segment, base, shape[1])
                if rows == shape[1]:
                    yield base
                elif rows:
                    yield {**base, 1: rows}

    def _most_rows(self, segment: Segment, sizes: dict[int, int], height: int) -> int:
        """The most rows of a part that fit, in equal strips; 0 where one doesn't."""
        if sizes and self._fits(segment, sizes):
            return height
        fitting = 0
        options = _sizes(height)[1:]
        low, high = 0, len(options)
        while low < high:
            middle = (low + high) // 2
            if self._fits(segment, {**sizes, 1: options[middle]}):
                fitting, high = options[middle], middle
            else:
                low = middle + 1
        return fitting

    def _fits(self, segment: Segment, sizes: Mapping[int, int]) -> bool:
        """Whether a part from the middle, which has neighbours on all sides, fits."""
        shape = self.graph.tensors[segment.sinks[0]].shape
        spans = {}
        for axis, size in sizes.items():
            choices = _spans(shape[axis], size)
            spans[axis] = choices[(len(choices) - 1) // 2]
        try:
            part = cut(segment, spans)
        except CannotCut:
            return False
        margin = self.margins.get(segment.operators, 1.0)
        return part_memory(part, self.footprints, self.config).fits(self.config, margin)

    def _cost(self, segment: Segment, sizes: Mapping[int, int]) -> float:
        """Cycles and words of all parts: every axis multiplies them by a factor of its own."""
        shape = self.graph.tensors[segment.sinks[0]].shape
        whole = cut(segment, {})
        cycles = {index: float(self.footprints[index].cycles) for index in segment.operators}
        moved: dict[int, float] = dict.fromkeys((*segment.inputs, *segment.outputs), 0.0)
        for tensor, box in whole.taken:
            moved[tensor] += box.size
        for tensor in segment.outputs:
            moved[tensor] += whole.made[tensor].size
        constants, instructions = weight_vectors(whole, self.footprints, self.config)
        kinds = 1
        for axis, size in sizes.items():
            spans = _spans(shape[axis], size)
            kinds *= min(3, len(spans))
            made: dict[int, float] = dict.fromkeys(whole.made, 0.0)
            taken: dict[int, float] = dict.fromkeys(segment.inputs, 0.0)
            for span, times in _representatives(spans):
                part = cut(segment, {axis: span})
                for tensor, box in part.made.items():
                    made[tensor] += times * box.size / whole.made[tensor].size
                for tensor, box in part.taken:
                    taken[tensor] += times * box.size
            for index in cycles:
                cycles[index] *= made[self.graph.operators[index].outputs[0]]
            for tensor in moved:
                if tensor in taken:
                    total = sum(box.size for t, box in whole.taken if t == tensor)
                    moved[tensor] *= taken[tensor] / total
                else:
                    moved[tensor] *= made[tensor]
        weights = kinds * (constants + instructions)
        words = (sum(moved.values()) + weights * self.config.columns) / WORD_BYTES
        return sum(cycles.values()) + words

    def _refuse(self, position: int) -> None:
        index = self.body[position]
        segment = segment_of(self.graph, self.body, position, position + 1, self.wanted)
        shape = self.graph.tensors[segment.sinks[0]].shape
        last = len(shape) - 1
        smallest = {last: (0, min(shape[last], channel_unit(self.config)))} if last > 0 else {}
        pixel: dict[int, Span] = {1: (0, 1), 2: (0, 1)} if len(shape) == 4 else {}
        part: Part | None = None
        for spans in ({**smallest, **pixel}, smallest, {}):
            try:
                part = cut(segment, spans)
                break
            except CannotCut:
                continue
        assert part is not None
        config = self.config
        memory = part_memory(part, self.footprints, config)
        extents = " × ".join(map(str, part.made[segment.sinks[0]].shape))
        raise DoesNotFit(
            f"{describe(self.graph, index)} can't be cut small enough for configuration "
            f"'{config.name}': the smallest part of its output, {extents}, needs about "
            f"{memory.scratchpad * config.rows} bytes of scratchpad and "
            f"{memory.weights * config.columns} of weight memory, where there are "
            f"{config.scratchpad_depth * config.rows} and {config.weight_depth * config.columns}"
        )


def _complete(segment: Segment, sizes: Mapping[int, int]) -> bool:
    """Whether all parts can be made, and together make all of the outputs.

    Of a tensor that is taken inside too, a part makes what it takes, which may leave gaps.
    """
    tensors = segment.graph.tensors
    inner = set(segment.outputs) - set(segment.sinks)
    for axis, size in sizes.items():
        reached = {tensor: [0] * len(tensors[tensor].shape) for tensor in inner}
        for span in _spans(tensors[segment.sinks[0]].shape[axis], size):
            try:
                part = cut(segment, {axis: span})
            except CannotCut:
                return False
            for tensor, ends in reached.items():
                for place, (start, end) in enumerate(part.made[tensor].spans):
                    if start <= ends[place]:
                        ends[place] = max(ends[place], end)
        if any(tuple(ends) != tensors[tensor].shape for tensor, ends in reached.items()):
            return False
    return True


def _sizes(extent: int) -> list[int]:
    """Sizes of equal parts, from the whole down to one."""
    return sorted({ceil_div(extent, parts) for parts in range(1, extent + 1)}, reverse=True)


def _representatives(spans: Sequence[Span]) -> list[tuple[Span, int]]:
    """Spans at both ends, and one for all those between, each with how many it stands for."""
    if len(spans) <= 5:
        return [(span, 1) for span in spans]
    middle = spans[len(spans) // 2]
    ends = [spans[0], spans[1], spans[-2], spans[-1]]
    return [*((span, 1) for span in ends), (middle, len(spans) - 4)]
