"""The compiler's passes in order: from a model to a program."""

import os
from collections.abc import Collection, Sequence
from contextlib import suppress

from celosia.compiler.assembler import ImageBuilder
from celosia.compiler.batch import batched
from celosia.compiler.codegen import Code, generate
from celosia.compiler.costs import layer_passes
from celosia.compiler.dead_channels import drop_dead_channels
from celosia.compiler.folding import fold_padding
from celosia.compiler.host_stage import host_stage
from celosia.compiler.importer import load_model, load_tflite
from celosia.compiler.layers import engine_of
from celosia.compiler.lowering import MOST_LAYOUTS, Body, lower_body
from celosia.compiler.memory_planner import MemoryPlan, plan_memory
from celosia.compiler.partition import Partition, partition, variable_inputs
from celosia.compiler.program import (
    LayerInfo,
    Port,
    Program,
    TensorPlacement,
)
from celosia.golden.config import NpuConfig
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.graph import Graph
from celosia.golden.isa import Instruction
from celosia.golden.rounding import RoundingProfile


def compile_model(
    model: str | os.PathLike[str] | bytes | Graph,
    config: NpuConfig,
    profile: RoundingProfile | None = None,
    *,
    batch: int = 1,
    overlap: bool = False,
    crossbar: Collection[str] = (),
) -> Program:
    """Compile a model (a graph, a .onnx or .tflite file, or the latter's bytes) for one NPU.

    `profile` is the graph's own where it is None. A run of the program makes `batch` inferences.
    Where `overlap` asks for it and memory allows it the program has a second entry, so that the
    host can write the inputs of the next run and read the outputs of the last one while a run is
    under way. `crossbar` names the outputs of convolutions and matrix products that go on crossbar
    tiles. The same arguments always give the same program.

    Raises:
        CelosiaError: the model can't be read, can't run on this NPU, or (`DoesNotFit`) is too large
            for its memories; where only the batch is too large the message names the largest that
            fits.
    """
    graph = graph_of(model)
    profile = profile or graph.profile
    if profile not in config.profiles:
        raise CelosiaError(
            f"rounding profile must be one that configuration '{config.name}' is built for "
            f"({', '.join(config.profiles)}), not {profile}: either another must be asked for "
            f"(--rounding {config.profiles[0]}), or a configuration whose profiles have it "
            f"(--config FILE.toml)"
        )
    if len(set(graph.outputs)) < len(graph.outputs):
        raise CelosiaError(f"outputs of model '{graph.name}' must be different tensors")
    stacked = batched(graph, batch)
    try:
        return _compile(stacked, config, profile, batch, overlap, crossbar)
    except CelosiaError as error:
        if batch == 1:
            raise
        largest = _largest_batch(graph, config, profile, batch, crossbar)
        raise DoesNotFit(
            f"batch of model '{graph.name}' must be at most {largest} on configuration "
            f"'{config.name}', not {batch}: {error}"
        ) from error


def graph_of(model: str | os.PathLike[str] | bytes | Graph) -> Graph:
    """The graph of a model: itself, or what a .onnx or .tflite file or the latter's bytes hold."""
    if isinstance(model, Graph):
        return model
    return load_tflite(model) if isinstance(model, bytes) else load_model(model)


def lower_model(
    graph: Graph,
    config: NpuConfig,
    profile: RoundingProfile = RoundingProfile.TFLM,
    crossbar: Collection[str] = (),
) -> Body:
    """What the NPU runs of a graph, in the layouts that its scratchpad has room for.

    Raises:
        CelosiaError: the graph can't run on this NPU, or doesn't fit its scratchpad.
    """
    graph = fold_padding(graph)
    return _place(graph, partition(graph), config, profile, crossbar)[0]


def simplified(graph: Graph, profile: RoundingProfile) -> Graph:
    """The graph that is lowered in the place of another, with the same outputs."""
    return drop_dead_channels(fold_padding(graph), profile)


def _largest_batch(
    graph: Graph,
    config: NpuConfig,
    profile: RoundingProfile,
    too_large: int,
    crossbar: Collection[str],
) -> int:
    """The largest batch that compiles. Raises CelosiaError where not even a single input does."""
    _compile(graph, config, profile, 1, overlap=False, crossbar=crossbar)
    # Every inference needs a vector of its own for its input.
    fits, fails = 1, min(too_large, config.scratchpad_depth + 1)
    while fails - fits > 1:
        middle = (fits + fails) // 2
        try:
            stacked = batched(graph, middle)
            _compile(stacked, config, profile, middle, overlap=False, crossbar=crossbar)
            fits = middle
        except CelosiaError:
            fails = middle
    return fits


def _compile(
    graph: Graph,
    config: NpuConfig,
    profile: RoundingProfile,
    batch: int,
    overlap: bool,
    crossbar: Collection[str] = (),
) -> Program:
    """The program of a graph that makes `batch` inferences."""
    graph = simplified(graph, profile)
    parts = partition(graph)
    body, plan = _place(graph, parts, config, profile, crossbar)

    def program(plan: MemoryPlan) -> Program:
        return _program(graph, parts, body, plan, config, profile, batch)

    if overlap:
        with suppress(DoesNotFit):
            return program(plan_memory(body, config, twice=True))
    return program(plan)


def _program(
    graph: Graph,
    parts: Partition,
    body: Body,
    plan: MemoryPlan,
    config: NpuConfig,
    profile: RoundingProfile,
    batch: int,
) -> Program:
    """Instructions for every placement, and all that stands around them."""
    taken = [*body.inputs, *variable_inputs(graph, parts.epilogue), *graph.outputs]
    image = ImageBuilder(config)
    codes = [generate(body.layers, addresses, config, image) for addresses in plan.placements]
    instructions: list[Instruction] = []
    starts = []
    for code in codes:
        starts.append(image.vectors + len(instructions) * config.instruction_vectors)
        instructions += code.instructions
    tensors = graph.tensors
    return Program(
        name=graph.name,
        config=config,
        profile=profile,
        batch=batch,
        image=image.finish(instructions),
        starts=tuple(starts),
        signature_inputs={index: tensors[index] for index in graph.inputs},
        signature_outputs={index: tensors[index] for index in graph.outputs},
        inputs=_ports(graph, body, plan, body.inputs),
        outputs=_ports(graph, body, plan, body.outputs),
        prologue=host_stage(graph, parts.prologue, taken, profile),
        epilogue=host_stage(graph, parts.epilogue, graph.outputs, profile),
        layers=_layers(codes[0]),
        tensors=_placements(body, plan, config),
        crossbar=codes[0].crossbar,
    )


def _place(
    graph: Graph,
    parts: Partition,
    config: NpuConfig,
    profile: RoundingProfile,
    crossbar: Collection[str] = (),
) -> tuple[Body, MemoryPlan]:
    """Lower and plan; packed inputs are given up where the scratchpad can't hold them."""
    most = MOST_LAYOUTS - 1
    for frugality in range(most):
        body = lower_body(graph, parts, config, profile, frugality=frugality, crossbar=crossbar)
        with suppress(DoesNotFit):
            return body, plan_memory(body, config)
    body = lower_body(graph, parts, config, profile, frugality=most, crossbar=crossbar)
    return body, plan_memory(body, config)


def _ports(graph: Graph, body: Body, plan: MemoryPlan, values: Sequence[int]) -> tuple[Port, ...]:
    return tuple(
        Port(
            value,
            graph.tensors[value],
            tuple(addresses[body.origin(value)] for addresses in plan.placements),
            body.layouts[body.origin(value)],
        )
        for value in values
    )


def _layers(code: Code) -> tuple[LayerInfo, ...]:
    return tuple(
        LayerInfo(
            name=item.layer.name,
            op=item.layer.kind.value,
            engine=engine_of(item.layer),
            operator=item.layer.operator,
            output=item.layer.output,
            macs=item.layer.macs,
            passes=layer_passes(item.layer),
            estimated_cycles=item.cycles,
            first=item.first,
            end=item.end,
        )
        for item in code.layers
    )


def _placements(body: Body, plan: MemoryPlan, config: NpuConfig) -> tuple[TensorPlacement, ...]:
    return tuple(
        TensorPlacement(
            value=item.tensor,
            name=body.tensors[item.tensor].name,
            shape=body.tensors[item.tensor].shape,
            layout=body.layouts[item.tensor],
            address=plan.placements[0][item.tensor],
            step=body.step(item.tensor, config.rows),
            vectors=item.vectors,
            within=body.views[item.tensor].owner if item.tensor in body.views else item.tensor,
            first=item.first,
            last=item.last,
        )
        for item in plan.intervals
    )
