"""What is in a network in pieces, as plain data for `--json` and for tables."""

from dataclasses import asdict
from typing import Any

from celosia.compiler.program import HostStage
from celosia.compiler.streaming import Box, Piece, StreamedProgram
from celosia.golden.graph import Tensor
from celosia.golden.memory_map import Counter
from celosia.runtime.program_report import describe_crossbar, scratchpad_vectors
from celosia.runtime.traffic import host_bytes


def describe_streamed(streamed: StreamedProgram) -> dict[str, Any]:
    """Ports, layers, steps, memory in use at most, and bytes between host and NPU."""
    config, programs = streamed.config, streamed.programs
    layers = _layers(streamed)
    return {
        "model": streamed.name,
        "config": config.name,
        "rounding": str(streamed.profile),
        "batch": streamed.batch,
        "macs": streamed.macs,
        "cycles": sum(layer["cycles"] for layer in layers),
        "cycles_source": "model",
        "pieces": len(streamed.pieces),
        "programs": len(programs),
        "host_bytes": asdict(host_bytes(streamed)),
        "memory": {
            "scratchpad": {
                "used_bytes": max(scratchpad_vectors(part) for part in programs) * config.rows,
                "available_bytes": config.scratchpad_depth * config.rows,
            },
            "weights": {
                "used_bytes": max(len(part.image) for part in programs),
                "available_bytes": config.weight_depth * config.columns,
            },
        },
        "inputs": [_named(tensor) for tensor in streamed.signature_inputs.values()],
        "outputs": [_named(tensor) for tensor in streamed.signature_outputs.values()],
        "layers": layers,
        **({} if not streamed.crossbar else {"crossbar": _crossbar(streamed)}),
        "steps": [_step(streamed, step) for step in streamed.steps],
    }


def _named(tensor: Tensor) -> dict[str, Any]:
    return {"name": tensor.name, "shape": list(tensor.shape), "dtype": tensor.dtype.name}


def _layers(streamed: StreamedProgram) -> list[dict[str, Any]]:
    cycles, pieces = [0] * len(streamed.layers), [0] * len(streamed.layers)
    for piece in streamed.pieces:
        numbers = streamed.layer_numbers[piece.program]
        spent = streamed.programs[piece.program].modelled.layers(len(numbers))
        for number, counters in zip(numbers, spent, strict=True):
            cycles[number] += counters[Counter.CYCLES]
        for number in set(numbers):
            pieces[number] += 1
    return [
        {
            **asdict(layer),
            "cycles": spent,
            "utilisation": round(layer.macs / (spent * streamed.config.macs), 4),
            "pieces": count,
        }
        for layer, spent, count in zip(streamed.layers, cycles, pieces, strict=True)
    ]


def _crossbar(streamed: StreamedProgram) -> dict[str, Any]:
    """The crossbar's tiles, which pieces share."""
    users = {
        number: streamed.layers[numbers[program.layers.index(layer)]].name
        for program, numbers in zip(streamed.programs, streamed.layer_numbers, strict=True)
        for number, layer in program.tile_layers.items()
    }
    return describe_crossbar(streamed.config.crossbar, streamed.crossbar, users)


def _step(streamed: StreamedProgram, step: Piece | HostStage) -> dict[str, Any]:
    if isinstance(step, HostStage):
        return {"host": [operator.kind.value for operator in step.graph.operators]}
    program = streamed.programs[step.program]
    return {
        "program": step.program,
        "layers": sorted(set(streamed.layer_numbers[step.program])),
        "cycles": program.modelled.counters[Counter.CYCLES],
        "inputs": [_place(streamed, *place) for place in step.inputs],
        "outputs": [_place(streamed, *place) for place in step.outputs],
    }


def _place(streamed: StreamedProgram, value: int, box: Box) -> dict[str, Any]:
    tensors = {**streamed.tensors, **streamed.signature_outputs, **streamed.signature_inputs}
    return {"name": tensors[value].name, "spans": [list(span) for span in box.spans]}
