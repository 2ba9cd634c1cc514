"""What operators and parts of them take on an NPU.

Each operator is compiled once, alone, for an NPU with large memories: that gives its constants,
instructions and cycles, whatever the compiler makes of it. Parts take shares of these.
"""

import math
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.layout import ceil_div
from celosia.compiler.streaming.boxes import Box
from celosia.compiler.streaming.segment import Part, Segment, cut, part_graph, segment_of
from celosia.golden.config import NpuConfig
from celosia.golden.errors import DoesNotFit
from celosia.golden.graph import MATRIX_KINDS, Graph, OpKind
from celosia.golden.rounding import RoundingProfile

_LARGE_KIB = 16384
_FIXED_INSTRUCTIONS = 16
"""Settings and ends of an operator, which small parts need too."""


@dataclass(frozen=True)
class Footprint:
    """A whole operator: vectors of constants, instructions, and estimated cycles."""

    constants: int
    instructions: int
    cycles: int


@dataclass(frozen=True)
class Memory:
    """Vectors that a part needs of each memory."""

    scratchpad: int
    weights: int

    def fits(self, config: NpuConfig, margin: float = 1.0) -> bool:
        """Whether an NPU has as much, and a margin on top."""
        return (
            self.scratchpad * margin <= config.scratchpad_depth
            and self.weights * margin <= config.weight_depth
        )


def channel_unit(config: NpuConfig) -> int:
    """Output channels that share weight tiles: cutting between them wastes columns."""
    return config.tile_vectors * config.rows


def measure_operators(
    graph: Graph,
    body: Sequence[int],
    config: NpuConfig,
    profile: RoundingProfile,
    crossbar: Collection[str] = (),
) -> Mapping[int, Footprint]:
    """The footprint of every operator of a body whose results are all used.

    `crossbar` as in `compile_model`.

    Raises:
        CelosiaError: an operator can't run on this NPU, however large its memories.
    """
    large = replace(config, scratchpad_kib=_LARGE_KIB, weight_kib=_LARGE_KIB)
    footprints = {}
    for position, index in enumerate(body):
        if graph.operators[index].kind is OpKind.RESHAPE:
            footprints[index] = Footprint(0, 0, 0)
        else:
            outputs = graph.operators[index].outputs
            segment = segment_of(graph, body, position, position + 1, outputs)
            footprints[index] = _footprint(segment, large, profile, crossbar)
    return footprints


def _footprint(
    segment: Segment, config: NpuConfig, profile: RoundingProfile, crossbar: Collection[str]
) -> Footprint:
    """Compile the operator, or as large a part of it as compiles."""
    shape = segment.graph.tensors[segment.sinks[0]].shape
    parts = {axis: 1 for axis in range(len(shape)) if axis}
    while True:
        spans = {axis: (0, ceil_div(shape[axis], parts[axis])) for axis in parts}
        try:
            part = part_graph(cut(segment, spans))
            program = compile_model(part, config, profile, crossbar=crossbar)
            break
        except DoesNotFit:
            axis = max(parts, key=lambda axis: spans[axis][1])
            if spans[axis][1] == 1:
                raise
            parts[axis] *= 2
    times = math.prod(parts.values())
    instructions = len(disassemble(config, program.image, program.start))
    return Footprint(
        constants=program.start * parts.get(len(shape) - 1, 1),
        instructions=instructions * times,
        cycles=sum(layer.estimated_cycles for layer in program.layers) * times,
    )


def vectors(box: Box, config: NpuConfig) -> int:
    """Scratchpad vectors of a part of a tensor."""
    channels = box.shape[-1] if box.shape else 1
    return box.size // channels * ceil_div(channels, config.rows)


def part_memory(part: Part, footprints: Mapping[int, Footprint], config: NpuConfig) -> Memory:
    """What a part needs: its tensors at the busiest time, its constants and instructions."""
    return Memory(_scratchpad(part, config), sum(weight_vectors(part, footprints, config)))


def weight_vectors(
    part: Part, footprints: Mapping[int, Footprint], config: NpuConfig
) -> tuple[int, int]:
    """Vectors of constants and of instructions."""
    segment = part.segment
    constants, instructions = 0, 0
    for index in segment.operators:
        node, footprint = segment.graph.operators[index], footprints[index]
        output = node.outputs[0]
        shape, box = segment.graph.tensors[output].shape, part.made[output]
        channels = 1.0
        if node.kind in MATRIX_KINDS:
            unit = channel_unit(config)
            channels = ceil_div(box.shape[-1], unit) / ceil_div(shape[-1], unit)
        constants += math.ceil(footprint.constants * channels)
        share = box.size / math.prod(shape)
        instructions += min(
            footprint.instructions, int(footprint.instructions * share) + _FIXED_INSTRUCTIONS
        )
    return constants, instructions * config.instruction_vectors


def _scratchpad(part: Part, config: NpuConfig) -> int:
    """Vectors of all tensors that are needed at once, at most."""
    segment, graph = part.segment, part.segment.graph
    sizes: dict[object, int] = {pair: vectors(pair[1], config) for pair in part.taken}
    first: dict[object, int] = dict.fromkeys(sizes, 0)
    last: dict[object, int] = dict.fromkeys(sizes, 0)
    owners: dict[object, object] = {}
    count = len(segment.operators)
    for position, (index, need) in enumerate(zip(segment.operators, part.needs, strict=True)):
        node = graph.operators[index]
        output = node.outputs[0]
        sources = []
        for tensor, box in zip(node.inputs, need.boxes, strict=True):
            if box is None or graph.tensors[tensor].data is not None:
                continue
            key: object = tensor if tensor in part.made else (tensor, box)
            sources.append(owners.get(key, key))
        for source in sources:
            last[source] = position
        if node.kind is OpKind.RESHAPE:
            owners[output] = sources[0]
            continue
        sizes[output] = vectors(part.made[output], config)
        first[output] = last[output] = position
    for tensor in segment.outputs:
        last[owners.get(tensor, tensor)] = count - 1
    return max(
        sum(size for key, size in sizes.items() if first[key] <= position <= last[key])
        for position in range(count)
    )
