"""Slices are read where they lie, or copied; transpositions reorder the channels of a pixel."""

import pytest
from support.configs import ARRAYS
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.compiler.program_file import decode_program, encode_program
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError

CONFIG = PRESETS["npu8x8"]
SHAPE = (3, 5, 6, 20)


def check(model, *outputs, config=CONFIG):
    """Compile, compare; returns the operators of the layers."""
    graph = load_tflite(model.finish(*outputs))
    program = decode_program(encode_program(compile_model(graph, config)))
    assert_layers_match(graph, program, random_inputs(program, model.seed))
    assert not program.prologue.graph.operators
    assert not program.epilogue.graph.operators
    return [layer.op for layer in program.layers]


SLICES = [
    ((0, 1, 0, 0), (3, 2, 6, 20), None),
    ((1, 0, 0, 0), (2, 5, 6, 20), None),
    ((1, 1, 2, 0), (2, 4, 5, 20), None),
    ((0, 0, 0, 8), (3, 5, 6, 20), None),
    ((0, 0, 0, 3), (3, 5, 6, 14), None),
    ((0, 1, 1, 3), (3, 5, 6, 20), (1, 2, 3, 5)),
    ((0, 1, 1, 8), (2, 5, 6, 16), (1, 2, 2, 1)),
    ((2, 4, 0, 0), (3, 5, 6, 20), None),
    ((2, 4, 5, 0), (3, 5, 6, 20), None),
    ((2, 0, 0, 16), (3, 1, 3, 20), None),
]


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
@pytest.mark.parametrize(("begin", "end", "strides"), SLICES)
def test_slices(begin, end, strides, config):
    for user in ("conv", "tanh", "output", "all"):
        model = ModelBuilder(1)
        x = model.strided_slice(model.unary("TANH", model.input(SHAPE)), begin, end, strides)
        results = []
        if user in ("conv", "all"):
            results.append(model.conv(x, 4, (1, 1)))
        if user in ("tanh", "all"):
            results.append(model.unary("LOGISTIC", x))
        if user in ("output", "all"):
            results.append(x)
        check(model, *results, config=config)


def test_slices_in_place_are_no_layers():
    model = ModelBuilder(2)
    x = model.conv(model.input((1, 5, 6, 3)), 24)
    rows = model.slice(x, (0, 2, 0, 0), (1, -1, -1, -1))
    channels = model.slice(x, (0, 0, 0, 8), (-1, -1, -1, 16))
    kinds = check(model, model.unary("TANH", rows), model.conv(channels, 4), rows)
    assert kinds == ["CONV_2D", "TANH", "CONV_2D"]
    # Between the pixels there are other channels, which neither tables nor the host can skip.
    kinds = check(model, model.unary("TANH", channels))
    assert kinds == ["CONV_2D", "STRIDED_SLICE", "TANH"]


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_dimensions_that_a_slice_takes_away(config):
    model = ModelBuilder(3)
    x = model.unary("TANH", model.input(SHAPE))
    for axis in range(4):
        end = [1 if each == axis else size for each, size in enumerate(SHAPE)]
        y = model.strided_slice(x, (0, 0, 0, 0), end, shrink=1 << axis)
        check(model, y, model.unary("LOGISTIC", y), config=config)


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_states_of_streaming_networks(config):
    """The new state is the end of what was joined."""
    model = ModelBuilder(4)
    frame, state = (model.input((1, n, 1, 16), 0.1, 3) for n in (2, 3))
    joined = model.concatenation([state, frame], 1)
    kept = model.strided_slice(joined, (0, -3, 0, 0), (0, 0, 0, 0), begin_mask=13, end_mask=15)
    y = model.conv(joined, 8, (4, 1), padding="VALID")
    kinds = check(model, y, kept, config=config)
    assert "STRIDED_SLICE" not in kinds


def test_slices_that_are_joined_again():
    for axis in (1, 3):
        for config in ARRAYS:
            model = ModelBuilder(5)
            x = model.conv(model.input((1, 4, 6, 3)), 16)
            size = [-1, -1, -1, -1]
            size[axis] = model.shape(x)[axis] // 2
            second = [0, 0, 0, 0]
            second[axis] = size[axis]
            halves = [model.slice(x, begin, size) for begin in ((0, 0, 0, 0), second)]
            y = model.concatenation(halves[::-1], axis)
            check(model, model.conv(y, 4), config=config)


def test_slices_across_images_are_refused():
    model = ModelBuilder(6)
    x = model.unary("TANH", model.input(SHAPE))
    x = model.strided_slice(x, (0, 0, 0, 0), SHAPE, (2, 1, 1, 1))
    with pytest.raises(CelosiaError, match=r"STRIDED_SLICE.*the NPU has no such operator"):
        check(model, model.conv(x, 4))


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
@pytest.mark.parametrize("permutation", [(0, 1, 3, 2), (0, 3, 1, 2), (0, 2, 1, 3), (1, 0, 2, 3)])
def test_transpositions(permutation, config):
    model = ModelBuilder(7)
    x = model.transpose(model.unary("TANH", model.input((2, 3, 4, 5))), permutation)
    check(model, model.conv(x, 4, (1, 1)), x, config=config)


def test_transpositions_that_keep_the_order_are_no_layers():
    model = ModelBuilder(8)
    x = model.conv(model.input((1, 1, 6, 3)), 8)
    y = model.transpose(model.transpose(x, (1, 0, 2, 3)), (0, 1, 2, 3))
    assert check(model, model.conv(y, 4)) == ["CONV_2D", "CONV_2D"]


def test_channels_are_shuffled_by_the_array():
    for config in ARRAYS:
        model = ModelBuilder(9)
        x = model.conv(model.input((1, 4, 6, 3)), 24)
        x = model.transpose(model.reshape(x, (1, 4, 6, 3, 8)), (0, 1, 2, 4, 3))
        y = model.depthwise(model.reshape(x, (1, 4, 6, 24)))
        check(model, y, config=config)


def test_large_transpositions_are_refused():
    model = ModelBuilder(10)
    x = model.conv(model.input((1, 20, 20, 3)), 16)
    with pytest.raises(CelosiaError, match=r"TRANSPOSE.*the NPU has no such operator"):
        check(model, model.conv(model.transpose(x, (0, 3, 1, 2)), 4))
