"""Reshaped tensors lie as their origins do, or are regrouped by the array where they can't."""

import pytest
from support.configs import ARRAYS
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS

CONFIG = PRESETS["npu8x8"]


def check(model, *outputs, config=CONFIG):
    """Compile, compare; returns how often the array regroups channels."""
    graph = load_tflite(model.finish(*outputs))
    program = compile_model(graph, config)
    assert_layers_match(graph, program, random_inputs(program, model.seed))
    return [layer.op for layer in program.layers].count("RESHAPE")


SHAPES = [
    ((2, 4, 6, 10), (2, 8, 6, 5)),
    ((2, 4, 6, 5), (2, 4, 3, 10)),
    ((2, 4, 6, 10), (2, 4, 15, 4)),
    ((1, 4, 6, 10), (1, 1, 1, 240)),
    ((1, 1, 1, 60), (1, 3, 4, 5)),
    ((1, 4, 6, 10), (1, 15, 16, 1)),
]


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
@pytest.mark.parametrize(("before", "after"), SHAPES)
def test_pixels_of_other_sizes(before, after, config):
    model = ModelBuilder(1)
    x = model.reshape(model.unary("TANH", model.input(before)), after)
    # The first user's layer serves the others, and what is read at the end.
    users = [model.conv(x, 4, (1, 1)), model.pool(x, "MAX", (1, 1)), model.mul(x, x)]
    assert check(model, *users, model.add(x, users[1]), x, config=config) <= 2


def test_whole_vectors_stay_where_they_are():
    model = ModelBuilder(2)
    x = model.reshape(model.conv(model.input((1, 4, 6, 5)), 16), (1, 4, 3, 32))
    assert check(model, model.conv(x, 4)) == 0


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_sums_of_tensors_stored_differently(config):
    model = ModelBuilder(3)
    x = model.input((1, 4, 4, 5))
    a = model.reshape(model.conv(x, 5), (1, 80))
    b = model.fully_connected(x, 80)
    y = model.fully_connected(model.add(a, b), 3)
    assert check(model, y, config=config) == 1


@pytest.mark.parametrize("config", ARRAYS, ids=lambda config: config.name)
def test_products_reshaped_more_than_once(config):
    model = ModelBuilder(4)
    x = model.fully_connected(model.input((1, 10)), 60)
    x = model.reshape(model.reshape(x, (1, 12, 5)), (1, 4, 5, 3))
    check(model, model.conv(x, 4), config=config)


def test_means_without_their_dimensions():
    for config in ARRAYS:
        model = ModelBuilder(5)
        x = model.mean(model.input((1, 4, 6, 5)), (3,))
        assert check(model, model.fully_connected(x, 3), config=config) == 0
        model = ModelBuilder(5)
        x = model.mean(model.input((1, 4, 6, 5)), (3,))
        assert check(model, model.mul(x, model.input((1, 4, 6))), config=config) == 1


def test_windows_over_reshaped_tensors():
    for config in ARRAYS:
        model = ModelBuilder(6)
        x = model.reshape(model.conv(model.input((1, 4, 6, 5)), 10), (1, 8, 6, 5))
        y = model.depthwise(model.pad(x, ((0, 0), (1, 0), (0, 2), (0, 0))))
        same = {"output_scale": model.scale(x), "output_zero_point": model.zero_point(x)}
        z = model.concatenation([x, model.conv(x, 5, **same)], 1)
        assert check(model, y, z, model.mean(x), config=config) == 1
