"""The header: a program without its image, as JSON."""

import base64
import binascii
from collections.abc import Mapping
from dataclasses import fields
from typing import Any

import numpy as np

from celosia.compiler.assembler import disassemble
from celosia.compiler.program import (
    CrossbarTile,
    LayerInfo,
    Port,
    Program,
    ProgrammingPlan,
    TensorPlacement,
)
from celosia.compiler.program_file.fields import MAX_INDEX, Field
from celosia.compiler.program_file.host import decode_stage, encode_stage
from celosia.compiler.program_file.tensors import (
    decode_layout,
    decode_tensor,
    encode_layout,
    encode_tensor,
)
from celosia.compiler.streaming.program import StreamedProgram
from celosia.golden.config import NpuConfig, config_from_mapping, config_to_mapping
from celosia.golden.crossbar.front_end import GAIN_BITS
from celosia.golden.crossbar.settings import VALUE_BITS, settings_from
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Tensor
from celosia.golden.isa import Product
from celosia.golden.rounding import RoundingProfile

MAX_COUNT = (1 << 53) - 1
"""Largest count of products or cycles."""


def encode_header(program: Program) -> dict[str, Any]:
    """A program as JSON, without its image."""
    return {
        "name": program.name,
        "config": config_to_mapping(program.config),
        "profile": str(program.profile),
        "batch": program.batch,
        "starts": list(program.starts),
        "signature_inputs": encode_signature(program.signature_inputs),
        "signature_outputs": encode_signature(program.signature_outputs),
        "inputs": [_encode_port(port) for port in program.inputs],
        "outputs": [_encode_port(port) for port in program.outputs],
        "prologue": encode_stage(program.prologue),
        "epilogue": encode_stage(program.epilogue),
        "layers": [
            {item.name: getattr(layer, item.name) for item in fields(LayerInfo)}
            for layer in program.layers
        ],
        "tensors": [
            {
                "value": place.value,
                "name": place.name,
                "shape": list(place.shape),
                "layout": encode_layout(place.layout),
                "address": place.address,
                "step": place.step,
                "within": place.within,
                "first": place.first,
                "last": place.last,
            }
            for place in program.tensors
        ],
        **encode_crossbar(program),
    }


def encode_crossbar(program: Program | StreamedProgram) -> dict[str, Any]:
    """What the crossbar's tiles are programmed with, and how."""
    plan = program.programming
    return {
        "crossbar": [
            {
                "weights": base64.b64encode(tile.weights[: tile.driven].tobytes()).decode("ascii"),
                "driven": tile.driven,
                "adc_gain": tile.adc_gain,
            }
            for tile in program.crossbar
        ],
        "programming": None
        if plan is None
        else {"device": plan.device, "settings": [list(pair) for pair in plan.settings.writes()]},
    }


def decode_header(
    header: Any, image: bytes, shared: tuple[CrossbarTile, ...] | None = None
) -> Program:
    """The program of a header and an image, every part of it checked.

    `shared` are the crossbar tiles of all pieces of a network, whose headers have none.
    """
    root = Field(header, "header")
    config = decode_config(root["config"])
    profile = root["profile"].choice(RoundingProfile)
    if profile not in config.profiles:
        root["profile"].fail("one of its configuration's")
    name = root["name"].text()
    layers = tuple(_decode_layer(item) for item in root["layers"].items())
    starts = root["starts"].integers(0, config.weight_depth)
    if len(starts) not in (1, 2):
        root["starts"].fail("a list of one or two elements")
    program = Program(
        name=name,
        config=config,
        profile=profile,
        batch=root["batch"].integer(1, MAX_INDEX),
        image=image,
        starts=starts,
        signature_inputs=decode_signature(root["signature_inputs"]),
        signature_outputs=decode_signature(root["signature_outputs"]),
        inputs=tuple(_decode_port(item, config, len(starts)) for item in root["inputs"].items()),
        outputs=tuple(_decode_port(item, config, len(starts)) for item in root["outputs"].items()),
        prologue=decode_stage(root["prologue"], name, profile),
        epilogue=decode_stage(root["epilogue"], name, profile),
        layers=layers,
        tensors=tuple(
            _decode_placement(item, config, len(layers)) for item in root["tensors"].items()
        ),
        crossbar=decode_tiles(root["crossbar"], config) if shared is None else shared,
        programming=decode_programming(root["programming"]) if shared is None else None,
    )
    check_batch(program)
    _check_image(program)
    _check_values(program)
    return program


def decode_config(field: Field) -> NpuConfig:
    """A configuration from JSON."""
    known = {item.name for item in fields(NpuConfig)}
    if not isinstance(field.value, dict) or set(field.value) != known:
        field.fail(f"an object with the keys {', '.join(sorted(known))}")
    return config_from_mapping(field.value, default_name="")


def encode_signature(signature: Mapping[int, Tensor]) -> list[dict[str, Any]]:
    """Tensors and their indices as JSON."""
    return [{"value": value, "tensor": encode_tensor(t)} for value, t in signature.items()]


def decode_signature(field: Field) -> dict[int, Tensor]:
    """Tensors by their indices from JSON."""
    return {
        item["value"].integer(0, MAX_INDEX): decode_tensor(item["tensor"]) for item in field.items()
    }


def _encode_port(port: Port) -> dict[str, Any]:
    return {
        "value": port.value,
        "tensor": encode_tensor(port.tensor),
        "addresses": list(port.addresses),
        "layout": encode_layout(port.layout),
    }


def _decode_port(field: Field, config: NpuConfig, entries: int) -> Port:
    tensor = decode_tensor(field["tensor"])
    layout = decode_layout(field["layout"], tensor.shape, config)
    most = config.scratchpad_depth - layout.vectors(config.rows)
    return Port(
        value=field["value"].integer(0, MAX_INDEX),
        tensor=tensor,
        addresses=field["addresses"].integers(0, most, count=entries),
        layout=layout,
    )


def _decode_layer(field: Field) -> LayerInfo:
    first = field["first"].integer(0, MAX_INDEX)
    return LayerInfo(
        name=field["name"].text(),
        op=field["op"].text(),
        engine=field["engine"].text(),
        operator=field["operator"].integer(0, MAX_INDEX),
        output=field["output"].integer(0, MAX_INDEX),
        macs=field["macs"].integer(0, MAX_COUNT),
        passes=field["passes"].integer(0, MAX_COUNT),
        estimated_cycles=field["estimated_cycles"].integer(0, MAX_COUNT),
        first=first,
        end=field["end"].integer(first, MAX_INDEX),
    )


def _decode_placement(field: Field, config: NpuConfig, layers: int) -> TensorPlacement:
    shape = field["shape"].integers(1, MAX_INDEX)
    layout = decode_layout(field["layout"], shape, config)
    own, depth = layout.pixel_vectors(config.rows), config.scratchpad_depth
    step = field["step"].integer(own, depth)
    vectors = layout.vectors(config.rows) + (layout.packed.pixels - 1) * (step - own)
    if vectors > depth:
        field["step"].fail(f"a step with which the tensor takes at most {depth} vectors")
    first = field["first"].integer(0, layers - 1)
    return TensorPlacement(
        value=field["value"].integer(0, MAX_INDEX),
        name=field["name"].text(),
        shape=shape,
        layout=layout,
        address=field["address"].integer(0, depth - vectors),
        step=step,
        vectors=vectors,
        within=field["within"].integer(0, MAX_INDEX),
        first=first,
        last=field["last"].integer(first, layers - 1),
    )


def decode_tiles(field: Field, config: NpuConfig) -> tuple[CrossbarTile, ...]:
    """Crossbar tiles from JSON."""
    tiles = tuple(_decode_tile(item, config) for item in field.items())
    if config.crossbar is not None and len(tiles) > config.crossbar.tiles:
        field.fail(f"a list of at most {config.crossbar.tiles} elements")
    return tiles


def _decode_tile(field: Field, config: NpuConfig) -> CrossbarTile:
    sizes = config.crossbar
    if sizes is None:
        field.fail("left out, as the configuration has no crossbar")
    driven = field["driven"].integer(1, sizes.rows)
    try:
        data = base64.b64decode(field["weights"].text(), validate=True)
    except binascii.Error:
        data = b""
    if len(data) != driven * sizes.outputs:
        field["weights"].fail(f"{driven * sizes.outputs} bytes in base64")
    weights = np.zeros((sizes.rows, sizes.outputs), np.int8)
    weights[:driven] = np.frombuffer(data, np.int8).reshape(driven, sizes.outputs)
    return CrossbarTile(
        weights=weights,
        driven=driven,
        adc_gain=field["adc_gain"].integer(1, (1 << GAIN_BITS) - 1),
    )


def decode_programming(field: Field) -> ProgrammingPlan | None:
    """The plan of their programming from JSON."""
    if field.value is None:
        return None
    values: dict[int, int] = {}
    for pair in field["settings"].items():
        address, value = pair.integers(0, (1 << VALUE_BITS) - 1, count=2)
        values[address] = value
    try:
        settings = settings_from(values)
    except CelosiaError as error:
        raise CelosiaError(f"program's programming must be possible: {error}") from error
    return ProgrammingPlan(field["device"].text(), settings)


def check_batch(program: Program | StreamedProgram) -> None:
    """Every tensor of the signature holds the inputs or outputs of `batch` inferences."""
    if program.batch == 1:
        return
    for tensor in (*program.signature_inputs.values(), *program.signature_outputs.values()):
        if not tensor.shape or tensor.shape[0] % program.batch:
            raise CelosiaError(
                f"program's tensor '{tensor.name}' must hold {program.batch} inferences along its "
                f"first dimension, not have shape {tensor.shape}"
            )


def _check_image(program: Program) -> None:
    config = program.config
    limit = config.weight_depth * config.columns
    if len(program.image) % config.columns or len(program.image) > limit:
        raise CelosiaError(
            f"program's image must be whole vectors of {config.columns} bytes, {limit} bytes at "
            f"most, not {len(program.image)} bytes"
        )
    ends = [layer.end for layer in program.layers]
    for start in program.starts:
        listing = disassemble(config, program.image, start)
        used = [item.tile for _, item in listing if isinstance(item, Product)]
        if max(used, default=-1) >= len(program.crossbar):
            raise CelosiaError(
                f"program's crossbar must have the {max(used) + 1} tiles that its instructions "
                f"use, not {len(program.crossbar)}"
            )
        marks = sum(instruction.mark for _, instruction in listing)
        if marks != len(program.layers) or any(end > len(listing) for end in ends):
            raise CelosiaError(
                f"program's layers must match its {marks} marks and {len(listing)} instructions"
            )


def _check_values(program: Program) -> None:
    """Every value that is used has been made, and has one shape and type."""
    known: dict[int, tuple[Any, ...]] = {}

    def make(value: int, tensor: Tensor) -> None:
        known[value] = (tensor.shape, tensor.dtype)

    def use(value: int, tensor: Tensor) -> None:
        if known.get(value) != (tensor.shape, tensor.dtype):
            raise CelosiaError(
                f"program's tensor '{tensor.name}' must be made before it is used, in one shape"
            )

    for value, tensor in program.signature_inputs.items():
        make(value, tensor)
    ports = {"prologue": program.inputs, "epilogue": ()}
    for stage, name in ((program.prologue, "prologue"), (program.epilogue, "epilogue")):
        tensors = stage.graph.tensors
        for value, index in zip(stage.inputs, stage.graph.inputs, strict=True):
            use(value, tensors[index])
        for value, index in zip(stage.outputs, stage.graph.outputs, strict=True):
            make(value, tensors[index])
        for port in ports[name]:
            use(port.value, port.tensor)
        if name == "prologue":
            for port in program.outputs:
                make(port.value, port.tensor)
    for port in (*program.inputs, *program.outputs):
        if port.tensor.dtype.name != "int8":
            raise CelosiaError(f"program's tensor '{port.tensor.name}' must be int8")
    for value, tensor in program.signature_outputs.items():
        use(value, tensor)
