"""Elementwise operators: functions of one tensor become one table, wherever they come from."""

from dataclasses import replace

import numpy as np
import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.isa import LoadTable
from celosia.golden.rounding import RoundingProfile

CONFIG = PRESETS["npu8x8"]


def odd(rows, columns, lanes):
    return NpuConfig(
        name=f"odd{rows}x{columns}",
        rows=rows,
        columns=columns,
        scratchpad_kib=64,
        weight_kib=128,
        accumulator_depth=64,
        requantizer_lanes=lanes,
        profiles=tuple(RoundingProfile),
    )


EVERY = np.arange(-128, 128, dtype=np.int8)


def check(model, *outputs, config=CONFIG, profile=RoundingProfile.TFLM, inputs=None):
    """Compile, compare, and return the layers' operators and the number of tables loaded."""
    graph = load_tflite(model.finish(*outputs))
    program = compile_model(graph, config, profile)
    assert_layers_match(graph, program, inputs or random_inputs(program, model.seed))
    listing = disassemble(config, program.image, program.start)
    tables = sum(isinstance(instruction, LoadTable) for _, instruction in listing)
    return [layer.op for layer in program.layers], tables


def number(model, value, scale, zero_point=0, shape=()):
    return model.constant(np.full(shape, value, np.int8), scale=scale, zero_point=zero_point)


@pytest.mark.parametrize("profile", list(RoundingProfile))
@pytest.mark.parametrize("kind", ["RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE"])
def test_unary_operators_on_every_byte(kind, profile):
    for seed in range(8):
        model = ModelBuilder(seed)
        x = model.input((1, 256))
        y = model.unary(kind, x, float(model.scale(x)) * model.rng.uniform(0.5, 2))
        assert check(model, y, profile=profile, inputs=[EVERY[None]]) == ([kind], 2)


@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1, 1)])
def test_a_number_as_operand(kind, shape):
    for seed in range(6):
        model = ModelBuilder(seed)
        x = model.input((1, 256), scale=0.05)
        pair = [x, number(model, -100, 0.02, 7, shape)]
        y = getattr(model, kind)(*pair[:: 1 if seed % 2 else -1], activation="RELU")
        assert check(model, y, inputs=[EVERY[None]]) == ([kind.upper()], 2)


def test_leaky_relu():
    model = ModelBuilder(6)
    x = model.input((1, 256))
    y = model.leaky_relu(x, 0.2, model.scale(x))
    assert check(model, y, inputs=[EVERY[None]]) == (["LEAKY_RELU"], 2)


def hard_swish(model, x):
    """x * relu6(x + 3) / 6 in the operators that exporters write."""
    shifted = model.add(x, number(model, 127, 3 / 127))
    gate = model.unary("RELU6", shifted, model.scale(shifted), model.zero_point(shifted))
    return model.mul(model.mul(gate, number(model, 127, 1 / 6 / 127)), x)


def test_a_chain_is_one_table():
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 6, 5, 3)), 9)
    y = model.conv(hard_swish(model, x), 4)
    assert check(model, y) == (["CONV_2D", "MUL", "CONV_2D"], 2)


def test_what_is_used_elsewhere_is_stored():
    model = ModelBuilder(2)
    x = model.input((1, 6, 5, 9))
    gate = model.unary("LOGISTIC", model.unary("TANH", x))
    y = model.mul(x, gate)
    operators, _ = check(model, y, gate)
    assert operators == ["LOGISTIC", "MUL"]
    model = ModelBuilder(2)
    x = model.input((1, 6, 5, 9))
    gate = model.unary("LOGISTIC", x)
    y = model.unary("TANH", gate)
    operators, _ = check(model, y, model.conv(gate, 4))
    assert operators == ["LOGISTIC", "TANH", "CONV_2D"]


def test_functions_of_operands_are_part_of_the_sum():
    model = ModelBuilder(3)
    x = model.input((1, 6, 5, 9))
    a, b = model.conv(x, 9), model.conv(x, 9, (1, 1))
    y = model.add(model.unary("LOGISTIC", a), hard_swish(model, b))
    assert check(model, y) == (["CONV_2D", "CONV_2D", "ADD"], 2)


def test_a_sum_of_a_tensor_and_its_function_is_one_function():
    model = ModelBuilder(4)
    x = model.input((1, 256))
    y = model.add(x, model.unary("TANH", x))
    assert check(model, y, inputs=[EVERY[None]]) == (["ADD"], 2)


def test_the_table_of_zeros_stays():
    model = ModelBuilder(5)
    x = model.input((1, 4, 4, 8))
    y = model.pool(model.unary("TANH", x), "MAX")
    assert check(model, model.unary("LOGISTIC", y)) == (["TANH", "MAX_POOL_2D", "LOGISTIC"], 3)


def test_clamps_are_part_of_the_layer_before():
    for kind in ("conv", "add", "average", "max", "pad"):
        model = ModelBuilder(7)
        x = model.input((1, 6, 5, 9))
        if kind == "conv":
            y = model.conv(x, 9, activation="RELU_N1_TO_1")
        elif kind == "add":
            y = model.add(x, model.pool(x, "MAX", (3, 3), stride=(1, 1), padding="SAME"))
        elif kind == "pad":
            y = model.pad(x, ((0, 0), (1, 1), (0, 0), (0, 0)))
        else:
            y = model.pool(x, kind.upper(), (3, 3), stride=(1, 1), padding="SAME")
        y = model.unary("RELU", y, model.scale(y), model.zero_point(y))
        y = model.unary("RELU6", y, model.scale(y), model.zero_point(y))
        operators, tables = check(model, model.conv(y, 4))
        assert not {"RELU", "RELU6"} & set(operators)
        assert tables == (2 if kind == "add" else 0)


def test_clamps_of_what_is_used_elsewhere_are_layers():
    def relu(x):
        return model.unary("RELU", x, model.scale(x), model.zero_point(x))

    model = ModelBuilder(8)
    x = model.conv(model.input((1, 6, 5, 3)), 9)
    assert check(model, relu(x), x)[0] == ["CONV_2D", "RELU"]
    model = ModelBuilder(8)
    x = model.conv(model.input((1, 6, 5, 3)), 9)
    y = relu(x)
    # The clamp isn't stored, but both that follow read it.
    kinds = check(model, model.unary("RELU6", y, 0.1, 3), model.unary("TANH", y))[0]
    assert kinds == ["CONV_2D", "RELU6", "TANH"]


KINDS = ["add", "sub", "mul"]
SHAPES = [
    ((2, 3, 4, 10), (1, 1, 1, 10)),
    ((2, 3, 4, 10), (2, 1, 1, 10)),
    ((2, 3, 4, 10), (1, 3, 4, 10)),
    ((2, 3, 4, 10), (10,)),
    ((2, 3, 4, 10), (4, 10)),
    ((2, 3, 4, 10), (3, 1, 10)),
    ((2, 3, 1, 10), (1, 1, 4, 10)),
    ((2, 1, 4, 10), (1, 3, 1, 10)),
    ((1, 3, 4, 10), (2, 3, 1, 10)),
    ((1, 1, 1, 1, 2, 3, 10), (2, 1, 3, 1, 3, 10)),
    ((5, 10), (10,)),
    ((5, 10), (5, 10)),
    ((7,), (7,)),
]


@pytest.mark.parametrize("swapped", [False, True])
@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shapes", SHAPES)
def test_operands_of_different_shapes(shapes, kind, constant, swapped):
    model = ModelBuilder(1)
    a = model.input(shapes[0], 0.05)
    if constant:
        values = model.rng.integers(-128, 128, shapes[1], np.int8)
        b = model.constant(values, scale=0.07, zero_point=-9)
    else:
        b = model.input(shapes[1], 0.07)
    y = getattr(model, kind)(*((b, a) if swapped else (a, b)))
    operators, _ = check(model, y)
    assert operators == [kind.upper()] * (1 + constant)


def test_runs_longer_than_an_instruction_holds():
    config = replace(CONFIG, scratchpad_kib=8192)
    for shape in ((1, 1, 1, 17), (1, 1, 300, 17), (1, 300, 300, 17)):
        model = ModelBuilder(1)
        y = model.mul(model.input((1, 300, 300, 17)), model.input(shape))
        check(model, y, config=config)


def test_a_constant_is_stored_once():
    model = ModelBuilder(2)
    x = model.input((1, 3, 4, 10))
    c = model.constant(np.arange(10, dtype=np.int8), scale=0.07, zero_point=3)
    y = model.mul(model.conv(model.add(x, c), 10), c)
    assert check(model, y)[0] == ["ADD", "ADD", "CONV_2D", "MUL"]


@pytest.mark.parametrize("profile", list(RoundingProfile))
@pytest.mark.parametrize("kind", KINDS)
def test_all_pairs_of_bytes(kind, profile):
    for seed in range(4):
        model = ModelBuilder(seed)
        a, b = model.input((256, 1)), model.input((256, 1))
        y = getattr(model, kind)(a, b)
        graph_inputs = [EVERY[:, None]]
        for shift in range(0, 256, 37):
            check(model, y, profile=profile, inputs=[*graph_inputs, np.roll(EVERY, shift)[:, None]])


def test_squeeze_and_excite():
    for config in (CONFIG, odd(6, 10, 3), odd(10, 4, 5)):
        model = ModelBuilder(3)
        x = model.conv(model.input((2, 5, 6, 3)), 18, activation="RELU6")
        s = model.mean(x, keep_dims=True)
        s = model.conv(s, 5, (1, 1), activation="RELU")
        s = model.unary("LOGISTIC", model.conv(s, 18, (1, 1)))
        y = model.conv(model.mul(x, s), 7, (1, 1))
        kinds = ["CONV_2D", "MEAN", "CONV_2D", "CONV_2D", "MUL", "CONV_2D"]
        assert check(model, y, config=config) == (kinds, 2)


CHANNEL_SHAPES = [
    ((2, 3, 4, 10), (2, 3, 4, 1)),
    ((2, 3, 4, 10), (1, 3, 1, 1)),
    ((2, 3, 4, 1), (1, 1, 1, 10)),
    ((2, 3, 4, 10), (1, 1, 1, 1)),
    ((5, 10), (5, 1)),
]


@pytest.mark.parametrize("constant", [False, True])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("shapes", CHANNEL_SHAPES)
def test_a_single_channel_for_all(shapes, kind, constant):
    for config in (CONFIG, odd(6, 10, 3), odd(10, 4, 5)):
        for swapped in (False, True):
            model = ModelBuilder(1)
            a = model.input(shapes[0], 0.05)
            if constant:
                values = model.rng.integers(-128, 128, shapes[1], np.int8)
                b = model.constant(values, scale=0.07, zero_point=-9)
            else:
                b = model.unary("TANH", model.input(shapes[1], 0.07))
            y = getattr(model, kind)(*((b, a) if swapped else (a, b)))
            check(model, y, config=config)


def test_spatial_attention():
    """A gate for each pixel: a function of the mean over its channels."""
    model = ModelBuilder(2)
    x = model.conv(model.input((1, 5, 6, 3)), 18)
    gate = model.unary("LOGISTIC", model.conv(model.mean(x, (3,), keep_dims=True), 1))
    operators, _ = check(model, model.conv(model.mul(x, gate), 4))
    assert operators == ["CONV_2D", "MEAN", "CONV_2D", "MUL", "MUL", "CONV_2D"]
