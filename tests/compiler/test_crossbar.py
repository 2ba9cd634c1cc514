"""Layers on crossbar tiles: exact where the tiles are, what a file keeps, and what is refused."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from support.configs import odd_config
from support.layerwise import random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.crossbar import chosen_layers, compile_placed, planned
from celosia.compiler.golden_run import load_machine, run_on_machine
from celosia.compiler.importer import load_tflite
from celosia.compiler.lowering.tiles import tile_boxes
from celosia.compiler.program_file import decode_program, encode_program
from celosia.compiler.program_file.header import decode_header
from celosia.golden.config import PRESETS, config_from_mapping, config_to_mapping
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import GAIN_ONE
from celosia.golden.errors import CelosiaError
from celosia.golden.interpreter import Interpreter
from celosia.golden.isa import MatrixInput, MatrixLoop, Product
from celosia.golden.machine import ExactTiles, Machine

CONFIG = PRESETS["npu8x8"]
PREFIX = struct.Struct("<8sIII")


def network(seed, zero_point=None):
    """Strides, padding, dilation, a residual, and rows that take several tiles."""
    model = ModelBuilder(seed)
    x = model.input((1, 9, 8, 3), zero_point=zero_point)
    a = model.conv(x, 11, (3, 3), stride=(2, 1), activation="RELU")
    b = model.add(a, model.conv(a, 11, (3, 2), dilation=(1, 2)))
    return load_tflite(model.finish(model.fully_connected(model.pool(b, "MAX", (2, 2)), 13)))


def placed(graph, config, engine="crossbar", places=(), samples=()):
    chosen = chosen_layers(graph, engine, places)
    return planned(compile_placed(graph, config, None, chosen, samples, {}), "ideal")


def assert_equals_golden(graph, program, tiles=None, seed=5):
    machine, golden = load_machine(program, tiles=tiles), Interpreter(graph)
    for inputs in (random_inputs(program, seed), random_inputs(program, seed + 1)):
        for got, want in zip(
            run_on_machine(program, inputs, machine), golden.run(inputs), strict=True
        ):
            np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    "config",
    [PRESETS["npu4x4"], CONFIG, PRESETS["npu16x16"], odd_config(8, 4, 2), odd_config(4, 12, 2)],
    ids=lambda config: config.name,
)
@pytest.mark.parametrize("zero_point", [-128, -20, 90])
def test_exact_tiles_give_the_golden_bytes(config, zero_point):
    graph = network(3, zero_point)
    program = placed(graph, config)
    engines = {layer.op: layer.engine for layer in program.layers}
    assert engines["CONV_2D"] == engines["FULLY_CONNECTED"] == "crossbar"
    # More than one for each of the three layers: rows, and on narrow arrays columns, are cut.
    assert len(program.crossbar) > 3
    assert_equals_golden(graph, program)


def test_wrong_weights_are_found():
    graph = network(3)
    program = placed(graph, CONFIG)
    weights = np.stack([tile.weights for tile in program.crossbar])
    weights[0, 0, 0] ^= 0x7F
    with pytest.raises(AssertionError, match="not equal"):
        assert_equals_golden(graph, program, ExactTiles(weights))


def test_layers_on_both_engines():
    graph = network(6)
    second = graph.tensors[graph.operators[1].outputs[0]].name
    for engine, other in (("systolic", "crossbar"), ("crossbar", "systolic")):
        program = placed(graph, CONFIG, engine, [f"{second}={other}"])
        engines = [layer.engine for layer in program.layers if layer.op == "CONV_2D"]
        assert engines == [engine, other]
        assert_equals_golden(graph, program)


def test_layers_are_named_by_any_part_that_no_other_has():
    graph = network(6)
    tensors = list(graph.tensors)
    first, second = (graph.operators[index].outputs[0] for index in (0, 1))
    for index, name in ((first, "a/conv;x"), (second, "a/conv_2;x")):
        tensors[index] = replace(tensors[index], name=name)
    renamed = replace(graph, tensors=tuple(tensors))
    # One name may be a part of another.
    for part, name in (("conv;", "a/conv;x"), ("_2", "a/conv_2;x"), ("a/conv;x", "a/conv;x")):
        assert chosen_layers(renamed, "systolic", [f"{part}=crossbar"]) == {name}
    for part in ("conv", ";x"):
        message = rf"layer must be one, and '{part}' is a part of a/conv;x, a/conv_2;x"
        with pytest.raises(CelosiaError, match=message):
            chosen_layers(renamed, "systolic", [f"{part}=crossbar"])
    with pytest.raises(CelosiaError, match=r"layer must be one of a/conv;x, a/conv_2;x, .* not ''"):
        chosen_layers(renamed, "systolic", ["=crossbar"])


def test_two_entries_share_the_tiles():
    graph = network(6)
    config = replace(CONFIG, crossbar=CrossbarConfig(tiles=64, outputs=8))
    chosen = chosen_layers(graph, "crossbar", ())
    program = compile_model(graph, config, overlap=True, crossbar=chosen)
    assert program.overlapping
    single = compile_model(graph, config, crossbar=chosen)
    assert len(program.crossbar) == len(single.crossbar)
    machine, golden = load_machine(program), Interpreter(graph)
    inputs = random_inputs(program, 8)
    values, writes = program.prepare(inputs)
    for entry, start in enumerate(program.starts):
        for address, vectors in program.writes_for(entry, writes):
            machine.scratchpad[address : address + len(vectors)] = vectors
        machine.run(start)
        reads = [
            machine.scratchpad[first : first + port.vectors(config)].copy()
            for port in program.outputs
            for first in [port.addresses[entry]]
        ]
        (got,), (want,) = program.finish(dict(values), reads), golden.run(inputs)
        np.testing.assert_array_equal(got, want)


def test_boxes_of_tiles_cover_every_pass_once():
    rng = np.random.default_rng(8)
    for _ in range(300):
        shape = tuple(int(n) for n in rng.integers(1, 8, 3))
        most = int(rng.integers(1, 20))
        times = np.zeros(shape, int)
        for box in tile_boxes(shape, most):
            assert box.passes <= most
            times[tuple(slice(f, f + s) for f, s in zip(box.first, box.size, strict=True))] += 1
        assert (times == 1).all(), (shape, most)


def test_ranges_are_those_of_the_samples():
    graph = network(9)
    wide = replace(CONFIG, crossbar=CrossbarConfig(tiles=64, rows=256, outputs=8, adc_bits=6))
    program = placed(graph, wide, samples=[random_inputs(placed(graph, wide), 5)])
    gains = [tile.adc_gain for tile in program.crossbar]
    assert min(gains) < GAIN_ONE
    assert max(gains) <= GAIN_ONE


def test_a_program_file_keeps_the_tiles():
    graph = network(3)
    program = placed(graph, CONFIG, samples=[random_inputs(placed(graph, CONFIG), 5)])
    again = decode_program(encode_program(program))
    assert again.config == program.config
    assert [tile.adc_gain for tile in again.crossbar] == [t.adc_gain for t in program.crossbar]
    for kept, tile in zip(again.crossbar, program.crossbar, strict=True):
        np.testing.assert_array_equal(kept.weights, tile.weights)
        assert kept.driven == tile.driven
        assert not kept.weights[kept.driven :].any()
    assert again.programming == program.programming
    assert again.programming.device == "ideal"
    assert_equals_golden(graph, again)


def damaged(program, damage):
    data = encode_program(program)
    _, _, header_bytes, _ = PREFIX.unpack_from(data)
    header = json.loads(data[PREFIX.size : PREFIX.size + header_bytes])
    damage(header["crossbar"])
    return header, data[PREFIX.size + header_bytes : -32]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"weights": "AAAA"}, r"weights must be 256 bytes in base64, not 'AAAA'$"),
        ({"weights": "?"}, r"weights must be 256 bytes in base64, not '\?'$"),
        ({"driven": 0}, r"driven must be an integer from 1 to 64, not 0$"),
        ({"driven": 65}, r"driven must be an integer from 1 to 64, not 65$"),
        ({"adc_gain": 0}, r"adc_gain must be an integer from 1 to \d+, not 0$"),
    ],
)
def test_damaged_tiles(change, message):
    header, image = damaged(placed(network(3), CONFIG), lambda tiles: tiles[0].update(change))
    with pytest.raises(CelosiaError, match=rf"^program's header.crossbar\[0\].{message}"):
        decode_header(header, image)


@pytest.mark.parametrize(
    ("plan", "message"),
    [
        ({"device": 1, "settings": []}, "header.programming.device must be a string, not 1$"),
        (
            {"device": "ideal", "settings": [[1, 2, 3]]},
            r"header.programming.settings\[0\] must be a list of 2 elements, not ",
        ),
        (
            {"device": "ideal", "settings": [[1, 7]]},
            "programming must be possible: read_shift must be an integer from 0 to 4, not 7$",
        ),
    ],
)
def test_damaged_plans(plan, message):
    data = encode_program(placed(network(3), CONFIG))
    _, _, header_bytes, _ = PREFIX.unpack_from(data)
    header = json.loads(data[PREFIX.size : PREFIX.size + header_bytes])
    header["programming"] = plan
    with pytest.raises(CelosiaError, match=f"^program's {message}"):
        decode_header(header, data[PREFIX.size + header_bytes : -32])


def test_a_file_that_leaves_tiles_out():
    header, image = damaged(placed(network(3), CONFIG), lambda tiles: tiles.pop())
    with pytest.raises(
        CelosiaError,
        match=r"^program's crossbar must have the (\d+) tiles that its instructions use, not \d+$",
    ):
        decode_header(header, image)


def test_a_file_with_more_tiles_than_there_are():
    program = placed(network(3), CONFIG)
    header, image = damaged(program, lambda tiles: tiles.extend(tiles[:1] * 64))
    with pytest.raises(
        CelosiaError,
        match=r"^program's header.crossbar must be a list of at most 64 elements, not ",
    ):
        decode_header(header, image)


def test_too_few_tiles():
    config = replace(CONFIG, crossbar=CrossbarConfig(tiles=2, outputs=8))
    with pytest.raises(
        CelosiaError,
        match=r"^operator 1 \(CONV_2D, output '\w+'\) doesn't fit on the crossbar: its tiles "
        r"must be more than 2$",
    ):
        placed(network(3), config)


def test_tiles_of_a_program_without_a_crossbar():
    header, image = damaged(
        compile_model(network(3), CONFIG), lambda tiles: tiles.append({"weights": ""})
    )
    with pytest.raises(
        CelosiaError,
        match=r"^program's header.crossbar\[0\] must be left out, as the configuration has no "
        r"crossbar, not ",
    ):
        decode_header(header, image)


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (
            {"outputs": 4},
            r"^outputs of the crossbar must be the array's columns \(8\), not 4$",
        ),
        (
            {"outputs": 8, "rows": 4},
            r"^rows of the crossbar must be a multiple of the array's \(8\), not 4$",
        ),
        (
            {"outputs": 8, "cols": 4},
            r"^key of the crossbar must be one of adc_bits, .*, not 'cols'$",
        ),
        ([], r"^crossbar must be a table of its sizes, not \[\]$"),
    ],
)
def test_crossbars_that_cannot_be(table, message):
    with pytest.raises(CelosiaError, match=message):
        config_from_mapping({"base": "npu8x8", "crossbar": table}, default_name="x")


def test_a_configuration_with_a_crossbar_is_read_back():
    config = replace(CONFIG, crossbar=CrossbarConfig(outputs=8))
    assert config_from_mapping(config_to_mapping(config), default_name="") == config


PRODUCT = Product(address=0, y=0, x=0, accumulator=0, vectors=1, kernel_columns=1, tile=0)
LEVELS = [MatrixLoop(level=level, count=1, address_step=0) for level in range(5)]
IMAGE = MatrixInput(height=1, width=1, padding=0)


@pytest.mark.parametrize(
    ("product", "message"),
    [
        (replace(PRODUCT, tile=1), "tile must be below 1, not 1"),
        (replace(PRODUCT, vectors=9), "vectors of a tile must be 1 to 8, not 9"),
        (
            replace(PRODUCT, accumulate=1),
            "the last sums before it must have been left in the same accumulators",
        ),
    ],
)
def test_products_that_cannot_be(product, message):
    tiles = CrossbarConfig(outputs=8)
    machine = Machine(
        replace(CONFIG, crossbar=tiles), tiles=ExactTiles(np.zeros((1, 64, 8), np.int8))
    )
    with pytest.raises(CelosiaError, match=rf"can't be executed: {message}$"):
        run_words(machine, [*LEVELS, IMAGE, product])


def test_a_machine_without_tiles():
    with pytest.raises(CelosiaError, match=r"configuration 'npu8x8' must have a crossbar$"):
        run_words(Machine(CONFIG), [PRODUCT])


def run_words(machine, instructions):
    image = b"".join(item.encode().to_bytes(16, "little") for item in instructions)
    machine.weights.reshape(-1)[: len(image)] = np.frombuffer(image, np.uint8)
    machine.run(0)
