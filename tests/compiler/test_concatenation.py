"""CONCATENATION by placement where it can be, by copies elsewhere."""

import numpy as np
import pytest
from support.configs import ARRAYS
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.compiler.program_file import decode_program, encode_program
from celosia.golden.config import PRESETS

SCALE = {"output_scale": 0.1, "output_zero_point": 3}

CONFIG = PRESETS["npu8x8"]


def check(model, *outputs, config=CONFIG):
    """Compile, compare; returns the layers' operators."""
    graph = load_tflite(model.finish(*outputs))
    program = compile_model(graph, config)
    assert_layers_match(graph, decode_program(encode_program(program)), random_inputs(program, 1))
    assert not program.epilogue.graph.operators
    return [layer.op for layer in program.layers]


def branches(model, x, *channels):
    """A convolution, a pool, a depthwise convolution ... of a tensor, of one quantisation."""
    parts = []
    for number, count in enumerate(channels):
        part = model.conv(x, count, (1 + number % 2 * 2,) * 2, **SCALE)
        if number % 3 == 1:
            part = model.pool(part, "MAX", (3, 3), stride=(1, 1), padding="SAME")
        if number % 3 == 2:
            part = model.depthwise(part, (3, 3), **SCALE)
        parts.append(part)
    return parts


def test_channels_in_whole_vectors_cost_nothing():
    model = ModelBuilder(1)
    x = model.input((2, 5, 6, 3))
    y = model.concatenation(branches(model, x, 8, 24, 16, 5))
    y = model.conv(model.pool(y, "AVERAGE", (2, 2), stride=(1, 1)), 7)
    kinds = ["CONV_2D", "CONV_2D", "MAX_POOL_2D", "CONV_2D", "DEPTHWISE_CONV_2D", "CONV_2D"]
    assert check(model, y) == [*kinds, "AVERAGE_POOL_2D", "CONV_2D"]


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_channels_of_any_number(config):
    model = ModelBuilder(2)
    x = model.input((2, 5, 6, 3))
    y = model.concatenation(branches(model, x, 5, 17, 1, 12))
    kinds = check(model, model.conv(y, 7), config=config)
    assert kinds[-2:] == ["CONCATENATION", "CONV_2D"]
    assert kinds.count("CONCATENATION") == 1


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_every_kind_of_part(axis, config):
    """Parts made in place, inputs, constants, one tensor twice, one that is used elsewhere."""
    model = ModelBuilder(3)
    x = model.input((2, 4, 3, 8), 0.1, 3)
    made = model.conv(x, 8, **SCALE)
    constant = model.rng.integers(-128, 128, (2, 4, 3, 8), np.int8)
    gate = model.operator("TANH", (made,), model.tensor((2, 4, 3, 8), scale=1 / 128, zero_point=0))
    quantized = model.unary("QUANTIZE", gate, 0.1, 3)
    parts = [
        made,
        x,
        model.constant(constant, scale=0.1, zero_point=3),
        model.pool(made, "MAX", (2, 2), stride=(1, 1), padding="SAME"),
        made,
        quantized,
        model.reshape(model.conv(x, 8, **SCALE), (2, 4, 3, 8)),
    ]
    y = model.concatenation(parts, axis)
    check(model, model.conv(y, 5), model.conv(made, 3), config=config)


def test_time_as_in_streaming_networks():
    """States go in and out, new frames are joined to them."""
    model = ModelBuilder(4)
    frame, *states = (model.input((1, 2, 1, 8), 0.1, 3) for _ in range(3))
    x, new_states = frame, []
    for state in states:
        joined = model.concatenation([state, x], 1)
        new_states.append(model.pool(joined, "MAX", (2, 1), stride=(2, 1)))
        x = model.conv(joined, 8, (3, 1), padding="VALID", **SCALE)
    kinds = check(model, x, *new_states)
    # The input frame is copied, and the states; what the network makes is not.
    assert kinds.count("CONCATENATION") == 3


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_dense_blocks(config):
    """Each layer sees all before it: concatenations of concatenations."""
    model = ModelBuilder(5)
    x = model.conv(model.input((1, 6, 5, 3)), 16, **SCALE)
    for _ in range(3):
        x = model.concatenation([x, model.conv(x, 16, **SCALE)])
    kinds = check(model, model.mean(x, keep_dims=True), config=config)
    if config.rows in (8, 16):
        assert kinds == ["CONV_2D"] * 4 + ["MEAN"]


def test_concatenations_in_concatenations_along_other_axes():
    for axes in ((1, 3), (3, 1), (2, 3), (3, 2), (1, 2)):
        for config in ARRAYS:
            model = ModelBuilder(6)
            x = model.input((1, 4, 4, 3))
            inner = model.concatenation([model.conv(x, 8, **SCALE) for _ in range(2)], axes[0])
            size = list(model.shape(inner))
            branch = model.conv(x, size[3], **SCALE)
            while model.shape(branch)[1:3] != model.shape(inner)[1:3]:
                axis = 1 if model.shape(branch)[1] != size[1] else 2
                branch = model.concatenation([branch, branch], axis)
            check(
                model, model.conv(model.concatenation([inner, branch], axes[1]), 5), config=config
            )


def test_vectors_and_matrices():
    for config in ARRAYS:
        for shape, axis in (((7,), 0), ((1, 8), 1), ((3, 8), 0), ((3, 8), 1), ((2, 3, 8), 1)):
            model = ModelBuilder(7)
            x = model.input(shape, 0.1, 3)
            parts = [x, model.unary("QUANTIZE", model.unary("TANH", x), 0.1, 3)]
            check(model, model.concatenation(parts, axis), config=config)


def test_parts_that_are_outputs_or_added_to():
    model = ModelBuilder(8)
    x = model.input((1, 4, 4, 8))
    a, b, c = (model.conv(x, 8, **SCALE) for _ in range(3))
    y = model.concatenation([a, b, c])
    kinds = check(model, model.add(a, c), b, model.conv(y, 8))
    # Neither sums nor outputs can have something between their pixels.
    assert kinds.count("CONCATENATION") == 3
    model = ModelBuilder(8)
    x = model.input((1, 4, 4, 8))
    a, b, c = (model.conv(x, 8, **SCALE) for _ in range(3))
    y = model.concatenation([a, b, c], 1)
    assert "CONCATENATION" not in check(model, model.add(a, c), b, model.add(y, y))


def test_functions_of_reshaped_tensors_are_copied():
    """They lie as their origin does."""
    model = ModelBuilder(9)
    x = model.reshape(model.conv(model.input((1, 4, 4, 3)), 8, **SCALE), (1, 1, 1, 128))
    a, b = (model.unary("QUANTIZE", model.unary(kind, x), 0.1, 3) for kind in ("TANH", "LOGISTIC"))
    assert check(model, model.concatenation([a, b], 1)).count("CONCATENATION") == 2
