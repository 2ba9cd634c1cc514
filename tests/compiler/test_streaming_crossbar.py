"""Networks in pieces with layers on crossbar tiles: exact tiles give the golden bytes."""

import json
import struct
from dataclasses import replace

import numpy as np
import pytest
from support.random_networks import cramped, random_network
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.crossbar import calibrated, chosen_layers, planned
from celosia.compiler.importer import load_tflite
from celosia.compiler.program_file import decode_program, encode_program
from celosia.compiler.program_file.streamed import decode_streamed
from celosia.compiler.streaming import compile_network, compile_streamed, run_pieces
from celosia.golden.config import PRESETS
from celosia.golden.crossbar.config import CrossbarConfig
from celosia.golden.crossbar.front_end import GAIN_ONE
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.interpreter import Interpreter
from celosia.golden.machine import ExactTiles
from celosia.golden.rounding import RoundingProfile

PREFIX = struct.Struct("<8sIII")
PROFILES = list(RoundingProfile)
ARRAYS = [
    replace(PRESETS[name], profiles=tuple(PROFILES)) for name in ("npu4x4", "npu8x8", "npu16x16")
]


def with_crossbar(config, tiles=256, adc_bits=8):
    rows = max(16, 1 << (config.rows - 1).bit_length())
    sizes = CrossbarConfig(
        tiles=tiles, rows=rows, outputs=config.columns, adcs=1, adc_bits=adc_bits
    )
    return replace(config, crossbar=sizes)


def random_inputs(streamed, seed):
    rng = np.random.default_rng(seed)
    return [
        rng.integers(-128, 128, tensor.shape, dtype=np.int8)
        for tensor in streamed.signature_inputs.values()
    ]


def assert_equals_interpreter(streamed, graph, seed, tiles=None):
    inputs = random_inputs(streamed, seed)
    found = run_pieces(streamed, inputs, tiles)
    for got, want in zip(found, Interpreter(graph, streamed.profile).run(inputs), strict=True):
        np.testing.assert_array_equal(got, want, strict=True)


def network():
    """Two convolutions of whose rows there are many, and a product."""
    model = ModelBuilder(3)
    x = model.conv(model.input((1, 26, 10, 4)), 8, (3, 3), activation="RELU")
    y = model.conv(x, 8, (3, 3), activation="RELU")
    return load_tflite(model.finish(model.fully_connected(model.pool(y, "MAX", (13, 5)), 7)))


TINY = with_crossbar(replace(PRESETS["npu4x4"], name="tiny", scratchpad_kib=1, weight_kib=4))


@pytest.fixture(scope="module")
def streamed():
    graph = network()
    return compile_network(graph, TINY, crossbar=chosen_layers(graph, "crossbar", ()))


@pytest.mark.parametrize("first", range(0, 24, 12))
def test_random_networks(first):
    """Of every third the layers take turns between the engines."""
    shared = 0
    for seed in range(first, first + 12):
        print(f"seed {seed}")
        graph = load_tflite(random_network(seed))
        config = with_crossbar(cramped(ARRAYS[seed % len(ARRAYS)], seed))
        chosen = sorted(chosen_layers(graph, "crossbar", ()))[:: 2 if seed % 3 == 0 else 1]
        try:
            profile = PROFILES[seed % len(PROFILES)]
            streamed = compile_streamed(graph, config, profile, crossbar=chosen)
        except DoesNotFit as error:
            assert "can't be cut small enough" in str(error)  # noqa: PT017
            continue
        for layer in streamed.layers:
            assert (layer.engine == "crossbar") == (layer.name in chosen)
        assert_equals_interpreter(streamed, graph, seed)
        users = [len(program.tile_layers) for program in streamed.programs]
        assert {n for p in streamed.programs for n in p.tile_layers} == set(
            range(len(streamed.crossbar))
        )
        shared += sum(users) > len(streamed.crossbar)
    assert shared >= 2


def test_batches_of_random_networks():
    ran = 0
    for seed in range(1, 9):
        print(f"seed {seed}")
        graph = load_tflite(random_network(seed))
        config = with_crossbar(replace(PRESETS["npu8x8"], scratchpad_kib=2, weight_kib=8))
        chosen = chosen_layers(graph, "crossbar", ())
        try:
            two = compile_streamed(graph, config, batch=2, crossbar=chosen)
        except DoesNotFit:
            continue
        inputs = random_inputs(two, seed)
        golden = Interpreter(graph, two.profile)
        halves = [golden.run([np.split(x, 2)[n] for x in inputs]) for n in (0, 1)]
        for got, *want in zip(run_pieces(two, inputs), *halves, strict=True):
            np.testing.assert_array_equal(got, np.concatenate(want), strict=True)
        ran += 1
    assert ran >= 4


def test_strips_share_the_tiles_of_their_layer(streamed):
    """There are as many as of the network in one piece, which would take larger memories."""
    graph = network()
    large = replace(TINY, scratchpad_kib=16, weight_kib=16)
    whole = compile_model(graph, large, crossbar=chosen_layers(graph, "crossbar", ()))
    assert len(streamed.pieces) > 4
    assert len(streamed.crossbar) == len(whole.crossbar)
    for mine, other in zip(streamed.crossbar, whole.crossbar, strict=True):
        np.testing.assert_array_equal(mine.weights, other.weights)
    users = [set(program.tile_layers) for program in streamed.programs]
    assert any(a & b for a in users for b in users if a is not b)


def test_wrong_weights_are_found(streamed):
    weights = np.stack([tile.weights for tile in streamed.crossbar])
    assert_equals_interpreter(streamed, network(), 1, ExactTiles(weights))
    weights[-1, 0, 0] ^= 0x7F
    with pytest.raises(AssertionError, match="not equal"):
        assert_equals_interpreter(streamed, network(), 1, ExactTiles(weights))


def test_ranges_are_those_of_all_pieces_together():
    graph = network()
    chosen = chosen_layers(graph, "crossbar", ())
    tiny = with_crossbar(TINY, adc_bits=4)
    streamed = compile_network(graph, tiny, crossbar=chosen)
    whole = compile_model(graph, replace(tiny, scratchpad_kib=16, weight_kib=16), crossbar=chosen)
    samples = [random_inputs(streamed, 4)]
    program = calibrated(streamed, samples)
    gains = [tile.adc_gain for tile in program.crossbar]
    assert gains == [tile.adc_gain for tile in calibrated(whole, samples).crossbar]
    assert min(gains) < GAIN_ONE
    assert all(piece.crossbar is program.crossbar for piece in program.programs)


def test_more_tiles_than_there_are():
    graph = network()
    chosen = chosen_layers(graph, "crossbar", ())
    needed = len(compile_network(graph, TINY, crossbar=chosen).crossbar)
    fits = with_crossbar(TINY, tiles=needed)
    assert len(compile_network(graph, fits, crossbar=chosen).crossbar) == needed
    with pytest.raises(CelosiaError, match=rf"need {needed} crossbar tiles, .* has {needed - 1}"):
        compile_streamed(graph, with_crossbar(TINY, tiles=needed - 1), crossbar=chosen)


def test_files_keep_the_tiles_once(streamed):
    program = planned(streamed, "ideal")
    data = encode_program(program)
    loaded = decode_program(data)
    assert encode_program(loaded) == data
    assert loaded.programming == program.programming
    for mine in (loaded, *loaded.programs):
        for tile, other in zip(mine.crossbar, program.crossbar, strict=True):
            np.testing.assert_array_equal(tile.weights, other.weights)
            assert (tile.driven, tile.adc_gain) == (other.driven, other.adc_gain)
    inputs = random_inputs(program, 2)
    for got, want in zip(run_pieces(loaded, inputs), run_pieces(program, inputs), strict=True):
        np.testing.assert_array_equal(got, want)
    assert data.count(b'"weights"') == len(program.crossbar)


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (("crossbar",), [], "crossbar must have the .* tiles that its instructions use, not 0"),
        (("crossbar", 0, "driven"), 99, "driven must be an integer from 1 to 16"),
        (("programming",), {"device": "x"}, "programming must be an object with the key"),
    ],
)
def test_damaged_tiles_are_refused(streamed, path, value, message):
    data = encode_program(planned(streamed, "ideal"))
    _, _, header_bytes, _ = PREFIX.unpack_from(data)
    header = json.loads(data[PREFIX.size :][:header_bytes])
    image = data[PREFIX.size + header_bytes : -32]
    *way, last = path
    place = header
    for key in way:
        place = place[key]
    place[last] = value
    with pytest.raises(CelosiaError, match=message):
        decode_streamed(header, image)
