"""What becomes of a network on an NPU without ADD, MUL and POOL."""

from dataclasses import replace

import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.assembler import disassemble
from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError
from celosia.golden.isa import VECTOR_INSTRUCTIONS

CONFIG = replace(PRESETS["npu4x4"], vector_operations=False)


def compiled(model, output, config=CONFIG):
    """The program, which computes what the golden interpreter does, layer by layer."""
    graph = load_tflite(model.finish(output))
    program = compile_model(graph, config)
    assert_layers_match(graph, program, random_inputs(program, 1))
    kinds = {
        type(instruction) for _, instruction in disassemble(config, program.image, program.start)
    }
    assert kinds.isdisjoint(VECTOR_INSTRUCTIONS)
    return program


@pytest.mark.parametrize("taps", [(2, 2), (3, 3), (5, 1), (1, 1)])
@pytest.mark.parametrize("sizes", [(4, 4), (6, 10), (10, 6)])
def test_averages_of_windows_are_exact(taps, sizes):
    config = replace(CONFIG, rows=sizes[0], columns=sizes[1], requantizer_lanes=2)
    model = ModelBuilder(2)
    x = model.conv(model.input((1, 7, 6, 3)), 11, (1, 1))
    program = compiled(model, model.pool(x, "AVERAGE", taps, stride=(2, 1)), config)
    assert [layer.engine for layer in program.layers] == ["systolic"] * 2


def test_the_ones_of_a_window_are_stored_once():
    model = ModelBuilder(2)
    x = model.input((1, 20, 5, 16))
    program = compiled(model, model.pool(x, "AVERAGE", (20, 5), stride=(1, 1)))
    # Four column tiles of 100 passes of 4 x 4 weights.
    assert len(program.image) < 2 * 100 * 16


def test_pixels_are_copied_padded_and_averaged_by_the_array():
    model = ModelBuilder(4)
    x = model.conv(model.input((1, 4, 5, 3)), 6, (1, 1), activation="RELU6")
    x = model.pad(x, ((0, 0), (1, 0), (2, 1), (0, 0)))
    x = model.concatenation([x, x], axis=1)
    compiled(model, model.mean(x))


def refused(output):
    """What the compiler says of a model that ends in `output` of an 8-channel convolution."""
    model = ModelBuilder(1)
    last = output(model, model.conv(model.input((1, 6, 6, 3)), 8, (1, 1)))
    model.tensors[last].name = b"result"
    with pytest.raises(CelosiaError) as caught:
        compile_model(model.finish(last), replace(CONFIG, name="small"))
    return str(caught.value)


@pytest.mark.parametrize(
    ("output", "operator", "what"),
    [
        (lambda m, x: m.add(x, m.conv(x, 8)), "ADD", "arithmetic of two tensors"),
        (lambda m, x: m.mul(x, m.conv(x, 8)), "MUL", "arithmetic of two tensors"),
        (lambda m, x: m.unary("LOGISTIC", x), "LOGISTIC", "a function of single values"),
        (lambda m, x: m.pool(x, "MAX", (2, 2), stride=(2, 2)), "MAX_POOL_2D", "a maximum"),
        (
            lambda m, x: m.pool(x, "AVERAGE", (3, 3), stride=(1, 1), padding="SAME"),
            "AVERAGE_POOL_2D",
            "windows with a different number of taps",
        ),
    ],
)
def test_what_needs_vector_operations_is_refused(output, operator, what):
    assert refused(output).endswith(
        f" ({operator}, output 'result') can't run: {what} needs vector operations, "
        f"which configuration 'small' doesn't have (vector_operations = false)"
    )
