"""From a network to one program, or to a sequence of programs where one can't hold it."""

import os
from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from math import prod

from celosia.compiler.assembler import renumber_tiles
from celosia.compiler.batch import batched
from celosia.compiler.compile import compile_model, graph_of
from celosia.compiler.folding import fold_padding
from celosia.compiler.host_stage import host_stage
from celosia.compiler.partition import partition, variable_inputs
from celosia.compiler.program import CrossbarTile, HostStage, Program
from celosia.compiler.streaming.cutting import Choice, Cutter
from celosia.compiler.streaming.measure import measure_operators
from celosia.compiler.streaming.program import Piece, StreamedLayer, StreamedProgram, touched
from celosia.compiler.streaming.segment import Part, part_graph
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.graph import Graph
from celosia.golden.rounding import RoundingProfile


def compile_network(
    model: str | os.PathLike[str] | bytes | Graph,
    config: NpuConfig,
    profile: RoundingProfile | None = None,
    *,
    batch: int = 1,
    overlap: bool = False,
    crossbar: Collection[str] = (),
) -> Program | StreamedProgram:
    """Compile a model as `compile_model` does, cut into pieces where it must be.

    Nothing overlaps with pieces. A batch that is too large is no reason to cut a model that fits.

    Raises:
        CelosiaError: the model can't be read, or can't run on this NPU; or one of its operators
            can't be cut small enough for the memories.
    """
    graph = graph_of(model)
    profile = profile or graph.profile
    try:
        return compile_model(
            graph, config, profile, batch=batch, overlap=overlap, crossbar=crossbar
        )
    except DoesNotFit:
        if batch > 1 and _fits(graph, config, profile, crossbar):
            raise
    return compile_streamed(graph, config, profile, batch=batch, crossbar=crossbar)


def _fits(
    graph: Graph, config: NpuConfig, profile: RoundingProfile, crossbar: Collection[str]
) -> bool:
    try:
        compile_model(graph, config, profile, crossbar=crossbar)
    except DoesNotFit:
        return False
    return True


def compile_streamed(
    graph: Graph,
    config: NpuConfig,
    profile: RoundingProfile | None = None,
    *,
    batch: int = 1,
    crossbar: Collection[str] = (),
) -> StreamedProgram:
    """Compile a network as a sequence of pieces; `crossbar` as in `compile_model`.

    Raises:
        CelosiaError: an operator can't run on this NPU or can't be cut small enough, or the pieces
            need more tiles than the crossbar has.
    """
    profile = profile or graph.profile
    graph = fold_padding(batched(graph, batch))
    parts = partition(graph)
    wanted = [*variable_inputs(graph, parts.epilogue), *graph.outputs]
    body = parts.body
    footprints = measure_operators(graph, body, config, profile, crossbar)
    cutter = Cutter(graph, body, wanted, config, footprints)
    compiled: dict[Choice, list[_Pieces] | HostStage] = {}
    while True:
        choices = cutter.choose()
        tight = False
        for choice in choices:
            try:
                if choice not in compiled:
                    compiled[choice] = _compile(choice, config, profile, crossbar)
            except DoesNotFit:
                cutter.widen(choice)
                tight = True
        if not tight:
            break
    steps: list[_Pieces | HostStage] = [
        host_stage(graph, parts.prologue, [*variable_inputs(graph, body), *wanted], profile)
    ]
    for found in (compiled[choice] for choice in choices):
        steps += [found] if isinstance(found, HostStage) else found
    steps.append(host_stage(graph, parts.epilogue, graph.outputs, profile))
    return _join(graph, config, profile, batch, steps)


@dataclass(frozen=True)
class _Pieces:
    """A program, and the parts of a segment that it computes."""

    program: Program
    graph: Graph
    parts: list[Part]


def _compile(
    choice: Choice, config: NpuConfig, profile: RoundingProfile, crossbar: Collection[str]
) -> list[_Pieces] | HostStage:
    """The programs of a segment, each with its parts in order."""
    segment = choice.segment
    if choice.on_host:
        return host_stage(segment.graph, segment.operators, segment.outputs, profile)
    found: dict[object, _Pieces] = {}
    for part in choice.parts():
        pieces = found.get(part.key)
        if pieces is None:
            graph = part_graph(part)
            program = compile_model(graph, config, profile, crossbar=crossbar)
            pieces = found[part.key] = _Pieces(program, graph, [])
        pieces.parts.append(part)
    return list(found.values())


def _join(
    graph: Graph,
    config: NpuConfig,
    profile: RoundingProfile,
    batch: int,
    found: Sequence[_Pieces | HostStage],
) -> StreamedProgram:
    programs: list[Program] = []
    owners: list[list[int]] = []
    steps: list[Piece | HostStage] = []
    layers: dict[int, StreamedLayer] = {}
    tiles: dict[object, CrossbarTile] = {}
    for item in found:
        if isinstance(item, HostStage):
            if item.graph.operators:
                steps.append(item)
            continue
        for part in item.parts:
            outputs = tuple((tensor, part.made[tensor]) for tensor in part.segment.outputs)
            steps.append(Piece(len(programs), part.taken, outputs))
        programs.append(_with_shared_tiles(item, tiles))
        owners.append(_owners(item, layers))
    if config.crossbar is not None and len(tiles) > config.crossbar.tiles:
        raise CelosiaError(
            f"pieces of '{graph.name}' need {len(tiles)} crossbar tiles, and configuration "
            f"'{config.name}' has {config.crossbar.tiles}"
        )
    numbers = {operator: number for number, operator in enumerate(sorted(layers))}
    inside = {tensor for step in steps for tensor in touched(step)} | set(graph.outputs)
    streamed = StreamedProgram(
        name=graph.name,
        config=config,
        profile=profile,
        batch=batch,
        signature_inputs={index: graph.tensors[index] for index in graph.inputs},
        signature_outputs={index: graph.tensors[index] for index in graph.outputs},
        tensors={index: graph.tensors[index] for index in sorted(inside - set(graph.inputs))},
        programs=tuple(programs),
        steps=tuple(steps),
        layers=tuple(layers[operator] for operator in numbers),
        layer_numbers=tuple(tuple(numbers[operator] for operator in own) for own in owners),
    )
    return streamed.with_tiles(tuple(tiles.values()))


def _with_shared_tiles(pieces: _Pieces, tiles: dict[object, CrossbarTile]) -> Program:
    """The program with its crossbar tiles numbered as all pieces do; `tiles` learns of new ones.

    Strips of a layer have programs of their own but the same weights, and so the same tiles.
    """
    program, segment = pieces.program, pieces.parts[0].segment
    if not program.crossbar:
        return program
    numbers = []
    for number, tile in enumerate(program.crossbar):
        operator = segment.operators[program.tile_layers[number].operator]
        key = operator, tile.driven, tile.weights.tobytes()
        tiles.setdefault(key, tile)
        numbers.append(list(tiles).index(key))
    image = renumber_tiles(program.config, program.image, program.start, numbers)
    return replace(program, image=image)


def _owners(pieces: _Pieces, layers: dict[int, StreamedLayer]) -> list[int]:
    """The operator that each layer of a program is a part of; `layers` learns of new ones."""
    part = pieces.parts[0]
    graph = part.segment.graph
    owners = []
    for layer in pieces.program.layers:
        index = part.segment.operators[layer.operator]
        owners.append(index)
        output = graph.operators[index].outputs[0]
        if layer.output in pieces.graph.operators[layer.operator].outputs:
            # Every value of an output takes as many products.
            macs = layer.macs * prod(graph.tensors[output].shape) // part.made[output].size
            layers[index] = StreamedLayer(layer.name, layer.op, layer.engine, macs)
        else:
            # It prepares something for the operator.
            name = graph.tensors[output].name
            layers.setdefault(index, StreamedLayer(name, layer.op, layer.engine, 0))
    return owners
