"""Compiled networks on the golden machine equal the interpreter, layer by layer."""

from dataclasses import replace

import numpy as np
import pytest
from support.configs import odd_config
from support.layerwise import assert_layers_match, random_inputs
from support.random_networks import random_config, random_network
from support.referee import Referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.importer import load_tflite
from celosia.compiler.layout import PackedLayout, PixelLayout
from celosia.golden.config import PRESETS
from celosia.golden.isa import Semaphore
from celosia.golden.memory_map import Counter
from celosia.golden.rounding import RoundingProfile

PROFILES = list(RoundingProfile)


@pytest.mark.parametrize("first", range(0, 400, 20))
def test_random_networks_on_random_configurations(first):
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        graph = load_tflite(random_network(seed))
        config = random_config(seed)
        program = compile_model(graph, config, PROFILES[seed % len(PROFILES)])
        assert_layers_match(graph, program, random_inputs(program, seed))


@pytest.mark.parametrize("first", range(0, 100, 20))
def test_sparse_random_networks(first):
    for seed in range(first, first + 20):
        print(f"seed {seed}")
        data = random_network(seed, holes=True)
        graph = load_tflite(data)
        program = compile_model(graph, random_config(seed))
        inputs = random_inputs(program, seed)
        assert_layers_match(graph, program, inputs)
        judged = Referee(data).run(inputs, len(graph.outputs))
        for found, expected in zip(run_on_machine(program, inputs), judged, strict=True):
            np.testing.assert_array_equal(found, expected)


CONFIGS = [
    replace(PRESETS["npu4x4"], scratchpad_kib=128, weight_kib=512, profiles=tuple(PROFILES)),
    PRESETS["npu8x8"],
    PRESETS["npu16x16"],
    odd_config(6, 10, 3),
    odd_config(10, 6, 5),
    odd_config(5, 4, 1, depth=32),
    odd_config(5, 13, 5),
    odd_config(13, 5, 13),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("model", ["ic_resnet8_int8", "ad_autoencoder_int8", "kws_dscnn_int8"])
def test_public_networks(models_dir, model, config, profile):
    graph = load_tflite(models_dir / f"{model}.tflite")
    program = compile_model(graph, config, profile)
    assert_layers_match(graph, program, random_inputs(program, 1))


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_mobilenet(models_dir, config):
    # An array of 4 columns takes more instructions, and an odd one more memory, than a preset has.
    graph = load_tflite(models_dir / "vww_mobilenetv1_025_96_int8.tflite")
    program = compile_model(graph, replace(config, weight_kib=2048, scratchpad_kib=192))
    assert_layers_match(graph, program, random_inputs(program, 1))


def check(model, *outputs, config=PRESETS["npu8x8"]):
    graph = load_tflite(model.finish(*outputs))
    program = compile_model(graph, config)
    assert_layers_match(graph, program, random_inputs(program, model.seed))
    return program


def test_several_images_at_once():
    model = ModelBuilder(1)
    x = model.input((3, 6, 5, 4))
    a = model.conv(x, 10, stride=(2, 1))
    b = model.depthwise(model.add(a, a))
    c = model.pool(b, "AVERAGE", (3, 3), stride=(1, 1), padding="SAME")
    check(model, model.fully_connected(c, 7), model.mean(c))


def test_rows_of_a_matrix():
    model = ModelBuilder(2)
    x = model.input((9, 21))
    check(model, model.fully_connected(model.fully_connected(x, 17), 5))


def test_reshapes_between_layers():
    model = ModelBuilder(3)
    x = model.input((1, 4, 6, 3))
    a = model.reshape(model.conv(x, 16), (1, 24, 1, 16))
    b = model.reshape(model.conv(a, 16, (3, 1)), (1, 4, 3, 32))
    c = model.reshape(model.conv(b, 24, (1, 1)), (6, 48))
    check(model, model.reshape(model.fully_connected(c, 8), (2, 24)))


@pytest.mark.parametrize("channels", [1, 3, 8, 12])
def test_an_image_made_by_a_matrix_product(channels):
    model = ModelBuilder(6)
    x = model.fully_connected(model.input((1, 10)), 30 * channels, per_channel=True)
    y = model.conv(model.reshape(x, (1, 5, 6, channels)), 4)
    check(model, y, x)


def test_a_product_of_one_number_reshaped_to_a_scalar():
    model = ModelBuilder(7)
    x = model.reshape(model.fully_connected(model.input((1, 9)), 1), ())
    check(model, model.fully_connected(model.reshape(x, (1, 1)), 3), x)


def test_more_layers_are_stored_ahead_than_a_semaphore_counts():
    model = ModelBuilder(8)
    x = model.input((1, 2, 2, 3))
    pooled = [model.pool(x, "MAX") for _ in range(260)]
    program = check(model, *[model.conv(y, 1, (1, 1)) for y in pooled])
    listing = disassemble(program.config, program.image, program.start)
    # The 256th convolution waits for all that is stored before it, so that the rest needn't.
    assert sum(bool(i.signal & Semaphore.STORED) for _, i in listing) == 256


def test_two_inputs_and_values_used_again_much_later():
    model = ModelBuilder(4)
    x, y = model.input((1, 8, 8, 5)), model.input((1, 8, 8, 5))
    a = model.add(x, y)
    b = model.conv(a, 5)
    c = model.conv(b, 5)
    d = model.add(model.conv(c, 5), a)
    check(model, model.add(d, b), c)


@pytest.mark.parametrize(
    ("kib", "kernel_rows", "passes"), [(120, 9, 11), (32, 1, 18), (20, None, 81)]
)
def test_packed_inputs_are_given_up_where_memory_is_short(kib, kernel_rows, passes):
    model = ModelBuilder(5)
    x = model.input((1, 32, 32, 1))
    y = model.conv(x, 4, (9, 9), stride=(1, 1))
    program = check(model, y, config=replace(PRESETS["npu8x8"], scratchpad_kib=kib))
    layout = program.inputs[0].layout
    assert isinstance(layout, PixelLayout if kernel_rows is None else PackedLayout)
    if kernel_rows is not None:
        assert layout.vertical.kernel == kernel_rows
    assert program.layers[0].passes == passes


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
@pytest.mark.parametrize(
    ("kernel", "stride", "dilation"),
    [
        ((3, 3), (2, 1), (1, 1)),
        ((1, 4), (2, 3), (1, 1)),
        ((4, 1), (1, 1), (1, 1)),
        ((3, 2), (1, 1), (2, 3)),
    ],
)
def test_packed_inputs_of_any_window(kernel, stride, dilation, padding):
    model = ModelBuilder(9)
    x = model.input((2, 11, 9, 2))
    y = model.conv(x, 5, kernel, stride=stride, dilation=dilation, padding=padding)
    program = check(model, y)
    assert isinstance(program.inputs[0].layout, PackedLayout)


def test_the_same_model_gives_the_same_program():
    data = random_network(11)
    first, second = (compile_model(data, PRESETS["npu8x8"]) for _ in range(2))
    assert first.image == second.image
    assert first.start == second.start


def test_cycle_targets_are_within_reach(models_dir):
    for name, limit in (("npu8x8", 215_000), ("npu16x16", 60_000)):
        program = compile_model(models_dir / "ic_resnet8_int8.tflite", PRESETS[name])
        assert program.modelled.counters[Counter.CYCLES] <= limit
        assert program.macs == 12_501_632


def test_a_layer_that_differs_is_found():
    model = ModelBuilder(3)
    graph = load_tflite(model.finish(model.conv(model.input((1, 6, 5, 8)), 8)))
    program = compile_model(graph, PRESETS["npu8x8"])
    image = np.frombuffer(program.image, np.uint8).copy()
    image[:64] ^= 1  # the first weight tile
    with pytest.raises(AssertionError, match="bytes differ in layer"):
        assert_layers_match(
            graph, replace(program, image=image.tobytes()), random_inputs(program, 3)
        )
