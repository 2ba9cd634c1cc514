"""Networks in pieces as JSON: what holds the programs together, and the programs' headers."""

from collections.abc import Iterable
from typing import Any

from celosia.compiler.program import CrossbarTile, HostStage, Program
from celosia.compiler.program_file.fields import MAX_INDEX, Field
from celosia.compiler.program_file.header import (
    MAX_COUNT,
    check_batch,
    decode_config,
    decode_header,
    decode_programming,
    decode_signature,
    decode_tiles,
    encode_crossbar,
    encode_header,
    encode_signature,
)
from celosia.compiler.program_file.host import decode_stage, encode_stage
from celosia.compiler.streaming.boxes import Box, whole
from celosia.compiler.streaming.program import Piece, StreamedLayer, StreamedProgram
from celosia.golden.config import config_to_mapping
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import MAX_RANK, Tensor
from celosia.golden.rounding import RoundingProfile

_Places = tuple[tuple[int, Box], ...]


def encode_streamed(streamed: StreamedProgram) -> dict[str, Any]:
    """A network in pieces as JSON, without the images of its programs."""
    return {
        "name": streamed.name,
        "config": config_to_mapping(streamed.config),
        "profile": str(streamed.profile),
        "batch": streamed.batch,
        "signature_inputs": encode_signature(streamed.signature_inputs),
        "signature_outputs": encode_signature(streamed.signature_outputs),
        "tensors": encode_signature(streamed.tensors),
        "programs": [
            {"header": _without_tiles(encode_header(program)), "image_bytes": len(program.image)}
            for program in streamed.programs
        ],
        "steps": [
            {"host": encode_stage(step)} if isinstance(step, HostStage) else _encode_piece(step)
            for step in streamed.steps
        ],
        "layers": [
            {"name": layer.name, "op": layer.op, "engine": layer.engine, "macs": layer.macs}
            for layer in streamed.layers
        ],
        "layer_numbers": [list(numbers) for numbers in streamed.layer_numbers],
        **encode_crossbar(streamed),
    }


def _without_tiles(header: dict[str, Any]) -> dict[str, Any]:
    """The pieces' tiles are the network's, which has them once."""
    return {key: header[key] for key in header if key not in ("crossbar", "programming")}


def decode_streamed(header: Any, images: bytes) -> StreamedProgram:
    """The network of a header and the images of its programs, every part of it checked."""
    root = Field(header, "header")
    config = decode_config(root["config"])
    profile = root["profile"].choice(RoundingProfile)
    name = root["name"].text()
    tiles = decode_tiles(root["crossbar"], config)
    programs = _decode_programs(root["programs"], images, tiles)
    layers = tuple(_decode_layer(item) for item in root["layers"].items())
    numbers = tuple(
        item.integers(0, len(layers) - 1, count=len(program.layers))
        for item, program in zip(root["layer_numbers"].items(), programs, strict=False)
    )
    streamed = StreamedProgram(
        name=name,
        config=config,
        profile=profile,
        batch=root["batch"].integer(1, MAX_INDEX),
        signature_inputs=decode_signature(root["signature_inputs"]),
        signature_outputs=decode_signature(root["signature_outputs"]),
        tensors=decode_signature(root["tensors"]),
        programs=programs,
        steps=tuple(
            decode_stage(item["host"], name, profile)
            if isinstance(item.value, dict) and "host" in item.value
            else _decode_piece(item, len(programs))
            for item in root["steps"].items()
        ),
        layers=layers,
        layer_numbers=numbers,
        crossbar=tiles,
        programming=decode_programming(root["programming"]),
    )
    if len(numbers) != len(programs):
        root["layer_numbers"].fail(f"a list of {len(programs)} elements")
    if any(p.config != config or p.profile != profile for p in programs):
        root["programs"].fail("programs of one configuration and profile")
    if not streamed.pieces:
        root["steps"].fail("a list with at least one piece")
    check_batch(streamed)
    _check_steps(streamed)
    return streamed


def _decode_programs(
    field: Field, images: bytes, tiles: tuple[CrossbarTile, ...]
) -> tuple[Program, ...]:
    programs, start = [], 0
    for item in field.items():
        end = start + item["image_bytes"].integer(0, len(images) - start)
        programs.append(decode_header(item["header"].value, images[start:end], tiles))
        start = end
    if start != len(images):
        field.fail(f"programs whose images have {len(images)} bytes")
    return tuple(programs)


def _encode_piece(piece: Piece) -> dict[str, Any]:
    return {
        "program": piece.program,
        "inputs": _encode_places(piece.inputs),
        "outputs": _encode_places(piece.outputs),
    }


def _encode_places(places: _Places) -> list[dict[str, Any]]:
    return [{"value": value, "spans": [list(span) for span in box.spans]} for value, box in places]


def _decode_piece(field: Field, programs: int) -> Piece:
    return Piece(
        program=field["program"].integer(0, programs - 1),
        inputs=_decode_places(field["inputs"]),
        outputs=_decode_places(field["outputs"]),
    )


def _decode_places(field: Field) -> _Places:
    places = []
    for item in field.items():
        spans = []
        for span in item["spans"].items(most=MAX_RANK):
            start, end = span.integers(0, MAX_INDEX, count=2)
            spans.append((start, end))
        places.append((item["value"].integer(0, MAX_INDEX), Box(tuple(spans))))
    return tuple(places)


def _decode_layer(field: Field) -> StreamedLayer:
    return StreamedLayer(
        name=field["name"].text(),
        op=field["op"].text(),
        engine=field["engine"].text(),
        macs=field["macs"].integer(0, MAX_COUNT),
    )


def _check_steps(streamed: StreamedProgram) -> None:
    """Every tensor is made before it is used, and what steps take and make are parts of tensors."""
    tensors = {**streamed.tensors, **streamed.signature_outputs, **streamed.signature_inputs}
    known = set(streamed.signature_inputs)

    def check(places: Iterable[tuple[int, Box]], parts: Iterable[Tensor]) -> None:
        for (value, box), part in zip(places, parts, strict=True):
            tensor = tensors.get(value)
            if value not in known or tensor is None or not _is_part(part, box, tensor):
                raise CelosiaError(
                    f"program's tensor '{part.name}' must be a part of one that has been made"
                )

    for step in streamed.steps:
        inputs, outputs = _signature(streamed, step)
        if (len(inputs), len(outputs)) != (len(step.inputs), len(step.outputs)):
            raise CelosiaError("program's pieces must have their programs' inputs and outputs")
        taken, made = _boxes(step)
        check(taken, inputs)
        known.update(value for value, _ in made)
        check(made, outputs)
    results = streamed.signature_outputs
    check([(value, whole(tensor.shape)) for value, tensor in results.items()], results.values())


def _signature(
    streamed: StreamedProgram, step: Piece | HostStage
) -> tuple[list[Tensor], list[Tensor]]:
    if isinstance(step, HostStage):
        tensors = step.graph.tensors
        return (
            [tensors[index] for index in step.graph.inputs],
            [tensors[index] for index in step.graph.outputs],
        )
    program = streamed.programs[step.program]
    return list(program.signature_inputs.values()), list(program.signature_outputs.values())


def _boxes(step: Piece | HostStage) -> tuple[_Places, _Places]:
    """What a step takes and makes; the host's operators take and make whole tensors."""
    if isinstance(step, Piece):
        return step.inputs, step.outputs
    graph = step.graph
    return (
        tuple(zip(step.inputs, (whole(graph.tensors[i].shape) for i in graph.inputs), strict=True)),
        tuple(
            zip(step.outputs, (whole(graph.tensors[i].shape) for i in graph.outputs), strict=True)
        ),
    )


def _is_part(part: Tensor, box: Box, of: Tensor) -> bool:
    return (
        part.dtype == of.dtype
        and part.shape == box.shape
        and len(box.spans) == len(of.shape)
        and all(
            start < end <= extent for (start, end), extent in zip(box.spans, of.shape, strict=True)
        )
    )
