"""What runs where, what is refused, and that means are exact."""

from dataclasses import replace

import numpy as np
import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.compiler.layout import PackedLayout, PixelLayout, Taps
from celosia.compiler.lowering.convolution import input_layouts
from celosia.compiler.lowering.pooling import average_constants, average_is_exact
from celosia.compiler.program_file import decode_program, encode_program
from celosia.golden.config import PRESETS, config_from_mapping
from celosia.golden.errors import CelosiaError, DoesNotFit
from celosia.golden.isa import Drain, LoadParameters, LoadTable, LoadWeights, Matmul, Semaphore
from celosia.golden.quantization import FixedPointScaler
from celosia.golden.rounding import RoundingMode, RoundingProfile

CONFIG = PRESETS["npu8x8"]


def listing(program):
    return [i for _, i in disassemble(program.config, program.image, program.start)]


def test_operators_at_the_ends_run_on_the_host():
    model = ModelBuilder(1)
    x = model.input((1, 8, 8, 3))
    x = model.pad(model.softmax(x), ((1, 1), (0, 0), (0, 0), (0, 0)))
    b = model.softmax(model.reshape(model.conv(x, 8), (1, 1536)))
    program = compile_model(model.finish(model.dequantize(b)), CONFIG)
    kinds = [
        [node.kind.value for node in stage.graph.operators]
        for stage in (program.prologue, program.epilogue)
    ]
    assert kinds == [["SOFTMAX", "PAD"], ["RESHAPE", "SOFTMAX", "DEQUANTIZE"]]
    assert [layer.op for layer in program.layers] == ["CONV_2D"]


def test_what_the_host_made_before_reaches_the_host_after():
    model = ModelBuilder(1)
    x = model.input((1, 4, 4, 8))
    y = model.softmax(x)
    z = model.mul(model.conv(x, 8), model.softmax(y))
    graph = load_tflite(model.finish(z))
    program = compile_model(graph, CONFIG)
    assert [node.kind.value for node in program.prologue.graph.operators] == ["SOFTMAX", "SOFTMAX"]
    assert_layers_match(graph, decode_program(encode_program(program)), random_inputs(program, 1))


def test_an_operator_between_layers_is_refused():
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 8, 8, 3)), 8)
    y = model.softmax(x)
    model.tensors[y].name = b"shares"
    with pytest.raises(
        CelosiaError,
        match=r"operator 1 \(SOFTMAX, output 'shares'\) can't run: the NPU has no such operator "
        r"and it stands between operators of the NPU; it must be replaced",
    ):
        compile_model(model.finish(model.conv(y, 8)), CONFIG)


def test_a_model_without_work_for_the_npu_is_refused():
    model = ModelBuilder(1)
    with pytest.raises(CelosiaError, match="must have at least one operator that the NPU runs"):
        compile_model(model.finish(model.softmax(model.input((1, 8)))), CONFIG)


def test_inputs_that_are_not_int8_are_refused():
    model = ModelBuilder(1)
    x = model.tensor((1, 8), "int8", scale=0.1)
    model.inputs.append(x)
    graph_bytes = model.finish(model.fully_connected(x, 4))
    graph = load_tflite(graph_bytes)
    tensors = tuple(
        replace(t, dtype=np.dtype(np.int16)) if i in graph.inputs else t
        for i, t in enumerate(graph.tensors)
    )
    with pytest.raises(CelosiaError, match="must be int8 to reach the NPU, not int16"):
        compile_model(replace(graph, tensors=tensors), CONFIG)


def test_a_constant_input_is_refused():
    model = ModelBuilder(1)
    x = model.constant(np.ones((1, 4, 4, 8), np.int8), scale=0.1)
    y = model.add(model.conv(model.input((1, 4, 4, 8)), 8), model.conv(x, 8))
    with pytest.raises(CelosiaError, match=r"input 't\d+' must not be a constant"):
        compile_model(model.finish(y), CONFIG)


def test_profiles_that_the_configuration_lacks_are_refused():
    model = ModelBuilder(1)
    data = model.finish(model.fully_connected(model.input((1, 8)), 4))
    with pytest.raises(
        CelosiaError,
        match=r"^rounding profile must be one that configuration 'npu4x4' is built for \(tflm\), "
        r"not float32: either another must be asked for \(--rounding tflm\), or a configuration "
        r"whose profiles have it \(--config FILE.toml\)$",
    ):
        compile_model(data, PRESETS["npu4x4"], RoundingProfile.FLOAT32)
    single = config_from_mapping({"base": "npu4x4", "profiles": ["float32"]}, default_name="own")
    assert compile_model(data, single, RoundingProfile.FLOAT32).profile is RoundingProfile.FLOAT32


def test_outputs_must_differ():
    model = ModelBuilder(1)
    y = model.fully_connected(model.input((1, 8)), 4)
    with pytest.raises(CelosiaError, match="must be different tensors"):
        compile_model(model.finish(y, y), CONFIG)


def test_a_layer_beyond_the_instruction_set_is_refused():
    model = ModelBuilder(1)
    x = model.input((1, 1, 40000, 1))
    y = model.pool(x, "MAX", (1, 4))
    model.tensors[y].name = b"long"
    with pytest.raises(
        CelosiaError, match=r"output 'long'\) is too large for one instruction: coordinates"
    ):
        compile_model(model.finish(y), replace(CONFIG, scratchpad_kib=1024))


@pytest.mark.parametrize(
    ("shape", "dilation", "message"),
    [
        ((1, 1, 130, 4), 1, "coordinates must be at most 127, not 131"),
        ((1, 1, 8, 4), 100, "coordinates must be at least -128, not -200"),
        ((1, 1, 300, 4), 1, "sides of its image must be below 256, not 300"),
        ((1, 1, 1, 1100), 1, "iterations must be below 256, not 275"),
    ],
)
def test_a_layer_beyond_the_coordinates_is_refused(shape, dilation, message):
    config = replace(PRESETS["npu4x4"], coordinate_bits=8)
    model = ModelBuilder(1)
    y = model.conv(model.input(shape), 2, (1, 5), dilation=(1, dilation))
    with pytest.raises(DoesNotFit, match=rf"is too large for one instruction: {message}$"):
        compile_model(model.finish(y), config)
    compile_model(model.finish(y), PRESETS["npu4x4"])


def test_means_are_exact_for_every_count():
    assert all(average_is_exact(taps) for taps in range(1, 2049))


@pytest.mark.parametrize("taps", [1, 2, 3, 6, 7, 16, 25, 48, 49, 64, 100])
def test_means_are_exact_for_every_sum(taps):
    mode, multiplier, exponent, bias, zero_point = average_constants(taps)
    sums = np.arange(-128 * taps, 127 * taps + 1, dtype=np.int64)
    magnitude = (2 * np.abs(sums) + taps) // (2 * taps)
    found = FixedPointScaler(multiplier, exponent, mode).scale(sums + bias) + zero_point
    np.testing.assert_array_equal(found, np.sign(sums) * magnitude)


def test_inexact_means_are_noticed(monkeypatch):
    monkeypatch.setattr(
        "celosia.compiler.lowering.pooling.average_constants",
        lambda taps: (RoundingMode.AVERAGE, 1 << 30, -2, 0, 0),
    )
    assert not average_is_exact(8)
    model = ModelBuilder(1)
    x = model.input((1, 4, 4, 8))
    with pytest.raises(CelosiaError, match="a mean of 8 values can't be exact"):
        compile_model(model.finish(model.pool(x, "AVERAGE", (4, 2))), CONFIG)


@pytest.mark.parametrize("shape", [(1, 1), (1, 700), (3, 50), (40, 7), (17, 129), (5, 300)])
@pytest.mark.parametrize("depth", [8, 26, 256])
def test_chunks_cover_every_pixel_once(shape, depth):
    model = ModelBuilder(1)
    height, width = shape
    x = model.input((1, height, width, 3))
    config = replace(CONFIG, accumulator_depth=depth, weight_kib=1024, scratchpad_kib=256)
    program = compile_model(model.finish(model.conv(x, 9, (1, 1))), config)
    covered = []
    for instruction in listing(program):
        if isinstance(instruction, Drain):
            pixels = instruction.rows * instruction.columns
            assert pixels <= depth // 2
            assert instruction.accumulator in (0, depth // 2)
            covered += [
                instruction.output + row * 2 * width + 2 * column
                for row in range(instruction.rows)
                for column in range(instruction.columns)
            ]
    start = min(covered)
    assert sorted(covered) == list(range(start, start + 2 * height * width))


def test_matmuls_use_the_halves_in_turn():
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 20, 20, 8)), 24)
    program = compile_model(model.finish(model.conv(x, 8)), CONFIG)
    matmuls = [i for i in listing(program) if isinstance(i, Matmul)]
    assert [i.accumulator for i in matmuls] == [n % 2 * 128 for n in range(len(matmuls))]
    waits = [bool(i.wait & Semaphore.DRAINED) for i in matmuls]
    assert waits == [False, False] + [True] * (len(matmuls) - 2)


def test_a_layer_begins_while_the_one_before_is_stored():
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 24, 24, 8)), 8)
    program = compile_model(model.finish(model.conv(x, 8)), CONFIG)
    instructions = listing(program)
    _, second = program.layers
    drains = [n for n in range(second.first) if isinstance(instructions[n], Drain)]
    stores = [n for n in drains if instructions[n].signal & Semaphore.STORED]
    # The first chunk needs the rows of the first few, and only the last one all of them.
    assert stores[0] < drains[-3]
    assert stores[-1] == drains[-1]
    matmuls = [i for i in instructions[second.first :] if isinstance(i, Matmul)]
    assert matmuls[0].wait & Semaphore.STORED
    assert sum(bool(i.wait & Semaphore.STORED) for i in matmuls) == len(stores)


def test_chunks_are_the_outer_loop_and_turn_at_the_last_tile():
    model = ModelBuilder(1)
    program = compile_model(model.finish(model.conv(model.input((1, 24, 24, 8)), 24)), CONFIG)
    instructions = listing(program)
    drains = [i for i in instructions if isinstance(i, Drain)]
    origin = min(i.output for i in drains)
    tiles = [(i.output - origin) % 3 for i in drains]
    assert tiles[:9] == [0, 1, 2, 2, 1, 0, 0, 1, 2]
    # The parameters of the tile at the turn stay.
    loads = [i for i in instructions if isinstance(i, LoadParameters)]
    assert len(loads) == len(drains) - (len(drains) // 3 - 1)


def test_tables_are_loaded_while_the_layer_before_computes():
    model = ModelBuilder(1)
    x = model.input((1, 8, 8, 8))
    y = model.add(x, model.conv(x, 8))
    kinds = [type(i) for i in listing(compile_model(model.finish(y), CONFIG))]
    assert kinds.index(Matmul) < kinds.index(LoadTable) < kinds.index(Drain)


def test_tables_are_loaded_in_the_longest_layer_since_those_before():
    model = ModelBuilder(1)
    x = model.input((1, 8, 8, 8))
    y = model.add(x, model.conv(model.conv(model.conv(x, 8, (1, 1)), 8, (3, 3)), 8, (1, 1)))
    program = compile_model(model.finish(model.add(y, model.conv(y, 8))), CONFIG)
    loads = [n for n, i in enumerate(listing(program)) if isinstance(i, LoadTable)]
    owners = [
        next(k for k, layer in enumerate(program.layers) if layer.first <= n < layer.end)
        for n in loads
    ]
    # Layers 3 and 5 add; 1 and 4 are the convolutions of 3 x 3.
    assert owners == [1, 1, 4, 4]


def test_weights_of_a_single_chunk_are_one_load():
    model = ModelBuilder(1)
    data = model.finish(model.fully_connected(model.input((1, 64)), 64))
    loads = [i for i in listing(compile_model(data, CONFIG)) if isinstance(i, LoadWeights)]
    assert [load.tiles for load in loads] == [64]


@pytest.mark.parametrize(
    ("profile", "per_channel", "planes", "uniform"),
    [
        (RoundingProfile.TFLM, False, 4, 1),
        (RoundingProfile.TFLM, True, 9, 0),
        (RoundingProfile.FLOAT32, False, 4, 1),
        (RoundingProfile.LITERT, False, 4, 1),
        (RoundingProfile.LITERT, True, 12, 0),
    ],
)
def test_parameter_records_are_as_short_as_can_be(profile, per_channel, planes, uniform):
    model = ModelBuilder(1)
    x = model.fully_connected(model.input((1, 20)), 20, per_channel=per_channel)
    instructions = listing(compile_model(model.finish(x), CONFIG, profile))
    loads = [i for i in instructions if isinstance(i, LoadParameters)]
    assert {i.planes for i in loads} == {planes}
    addresses = [i.address for i in loads]
    assert addresses == [addresses[0] + planes * n for n in range(3)]
    assert {i.uniform for i in instructions if isinstance(i, Drain)} == {uniform}


def test_packed_pixels_hold_what_is_under_the_kernel():
    layout = PackedLayout(
        images=1,
        height=2,
        width=5,
        channels=3,
        vertical=Taps(kernel=2, stride=1, dilation=1, before=1, outputs=2),
        horizontal=Taps(kernel=3, stride=2, dilation=1, before=1, outputs=3),
        padding=-7,
    )
    image = np.arange(30, dtype=np.int8)
    vectors = layout.pack(image, 4)
    assert vectors.shape == (layout.vectors(4), 4)
    pixels = vectors.reshape(2, 3, 20)[..., :18].reshape(2, 3, 2, 3, 3)
    padded = np.full((3, 7, 3), -7, np.int8)
    padded[1:, 1:6] = image.reshape(2, 5, 3)
    for row, column in np.ndindex(2, 3):
        window = padded[row : row + 2, 2 * column : 2 * column + 3]
        np.testing.assert_array_equal(pixels[row, column], window)


def test_layouts_of_an_input_trade_passes_for_memory():
    model = ModelBuilder(1)
    x = model.input((1, 49, 10, 1))
    graph = load_tflite(model.finish(model.conv(x, 8, (10, 4), stride=(2, 2))))
    layouts = input_layouts(graph, graph.operators[0], 16)
    # Whole windows take 3 passes, rows 10; pixels take 40 and more memory than rows.
    assert [layout.packed.channels for layout in layouts] == [40, 4]
    assert [layout.vectors(16) for layout in layouts] == [25 * 5 * 3, 49 * 5]


def test_layouts_pack_and_unpack():
    layout = PixelLayout(6, 5)
    values = np.arange(30, dtype=np.int8).reshape(1, 2, 3, 5)
    vectors = layout.pack(values, 4)
    assert vectors.shape == (12, 4)
    np.testing.assert_array_equal(layout.unpack(vectors, values.shape), values)
    assert PixelLayout(6, 8).with_channels(16, 8) == PixelLayout(3, 16)
    assert PixelLayout(6, 8).with_channels(32, 8) is None
    assert PixelLayout(6, 8).with_channels(4, 8) is None


def test_small_chunks_shorten_a_layers_tail():
    model = ModelBuilder(1)
    x = model.input((1, 16, 16, 8))
    program = compile_model(model.finish(model.conv(x, 8)), CONFIG)
    chunks = [i.rows * i.columns for i in listing(program) if isinstance(i, Matmul)]
    assert len(chunks) > 2
    assert min(chunks) >= CONFIG.rows
