"""Elementwise operators: functions of one tensor become one table, wherever they come from."""

import numpy as np
import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS
from celosia.golden.isa import LoadTable
from celosia.golden.rounding import RoundingProfile

CONFIG = PRESETS["npu8x8"]
EVERY = np.arange(-128, 128, dtype=np.int8)


def check(model, *outputs, profile=RoundingProfile.TFLM, inputs=None):
    """Compile, compare, and return the layers' operators and the number of tables loaded."""
    graph = load_tflite(model.finish(*outputs))
    program = compile_model(graph, CONFIG, profile)
    assert_layers_match(graph, program, inputs or random_inputs(program, model.seed))
    listing = disassemble(CONFIG, program.image, program.start)
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


@pytest.mark.parametrize("kind", ["add", "mul"])
@pytest.mark.parametrize("shape", [(), (1,), (1, 1, 1, 1, 1)])
def test_a_number_as_operand(kind, shape):
    for seed in range(6):
        model = ModelBuilder(seed)
        x = model.input((1, 256), scale=0.05)
        pair = [x, number(model, -100, 0.02, 7, shape)]
        y = getattr(model, kind)(*pair[:: 1 if seed % 2 else -1], activation="RELU")
        assert check(model, y, inputs=[EVERY[None]]) == ([kind.upper()], 2)


def hard_sigmoid(model, x):
    """relu6(x + 3) / 6 in the operators that exporters write."""
    shifted = model.add(x, number(model, 127, 3 / 127))
    gate = model.unary("RELU6", shifted, model.scale(shifted), model.zero_point(shifted))
    return model.mul(gate, number(model, 127, 1 / 6 / 127))


def test_a_chain_is_one_table():
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 6, 5, 3)), 9)
    y = model.conv(hard_sigmoid(model, x), 4)
    assert check(model, y) == (["CONV_2D", "MUL", "CONV_2D"], 2)


def test_what_is_used_elsewhere_is_stored():
    model = ModelBuilder(2)
    x = model.input((1, 6, 5, 9))
    gate = model.unary("LOGISTIC", model.unary("TANH", x))
    y = model.add(x, gate)
    operators, _ = check(model, y, gate)
    assert operators == ["LOGISTIC", "ADD"]
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
    y = model.add(model.unary("LOGISTIC", a), hard_sigmoid(model, b))
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
