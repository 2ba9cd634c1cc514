"""Channels that always are their zero point: weights for them are zeros, and no byte changes."""

import numpy as np
import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.referee import Referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.dead_channels import drop_dead_channels
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS
from celosia.golden.graph import MATRIX_KINDS
from celosia.golden.rounding import RoundingProfile

CONFIG = PRESETS["npu8x8"]


def network(bias, activation="RELU", output_zero_point=None):
    """Four layers; channels 8 to 15 of the first have no weights and `bias`."""
    model = ModelBuilder(1)
    weights = model.rng.integers(-127, 128, (16, 3, 3, 8))
    weights[8:] = 0
    biases = np.where(np.arange(16) < 8, 40, bias)
    x = model.conv(
        model.input((1, 7, 6, 8)),
        16,
        weights=weights,
        bias=biases,
        activation=activation,
        output_zero_point=output_zero_point,
    )
    x = model.depthwise(x, bias=np.zeros(16), activation="RELU")
    x = model.conv(x, 8)
    return model.finish(model.fully_connected(model.reshape(x, (1, 336)), 5))


def weights_of(graph):
    return [
        graph.tensors[operator.inputs[1]].data
        for operator in graph.operators
        if operator.kind in MATRIX_KINDS
    ]


def check(data):
    """Every layer equals the interpreter, and the output the referee."""
    graph = load_tflite(data)
    program = compile_model(graph, CONFIG)
    inputs = random_inputs(program, 1)
    assert_layers_match(graph, program, inputs)
    np.testing.assert_array_equal(run_on_machine(program, inputs)[0], Referee(data).run(inputs)[0])
    return program


@pytest.mark.parametrize("bias", [0, -1000])
def test_weights_for_dead_channels_count_as_zeros(bias):
    data = network(bias)
    first, depthwise, third, last = weights_of(
        drop_dead_channels(load_tflite(data), RoundingProfile.TFLM)
    )
    before = weights_of(load_tflite(data))
    np.testing.assert_array_equal(first, before[0])
    np.testing.assert_array_equal(last, before[3])
    np.testing.assert_array_equal(depthwise[..., :8], before[1][..., :8])
    assert not depthwise[..., 8:].any()
    np.testing.assert_array_equal(third[..., :8], before[2][..., :8])
    assert not third[..., 8:].any()
    assert check(data).layers[2].passes == 9


@pytest.mark.parametrize(
    "data",
    [network(10_000_000), network(10_000_000, "NONE", 5)],
    ids=["saturated", "no activation"],
)
def test_other_constants_keep_their_weights(data):
    dropped = weights_of(drop_dead_channels(load_tflite(data), RoundingProfile.TFLM))
    for before, after in zip(weights_of(load_tflite(data)), dropped, strict=True):
        np.testing.assert_array_equal(before, after)
    assert check(data).layers[2].passes == 18


def test_flattened_images_have_dead_elements():
    model = ModelBuilder(2)
    weights = model.rng.integers(-127, 128, (16, 1, 1, 8))
    weights[8:] = 0
    x = model.conv(
        model.input((1, 3, 4, 8)), 16, (1, 1), weights=weights, bias=False, activation="RELU"
    )
    data = model.finish(model.fully_connected(model.reshape(x, (1, 192)), 6))
    dropped = weights_of(drop_dead_channels(load_tflite(data), RoundingProfile.TFLM))[1]
    assert not dropped.reshape(6, 12, 16)[..., 8:].any()
    assert dropped.reshape(6, 12, 16)[..., :8].any()
    check(data)
