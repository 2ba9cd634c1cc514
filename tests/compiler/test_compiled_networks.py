"""Compiled networks on the golden machine equal the interpreter, layer by layer."""

from dataclasses import replace

import numpy as np
import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.random_networks import random_config, random_network

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.rounding import RoundingProfile

PROFILES = list(RoundingProfile)


@pytest.mark.parametrize("first", range(0, 160, 10))
def test_random_networks_on_random_configurations(first):
    for seed in range(first, first + 10):
        print(f"seed {seed}")
        graph = load_tflite(random_network(seed))
        config = random_config(seed)
        program = compile_model(graph, config, PROFILES[seed % len(PROFILES)])
        assert_layers_match(graph, program, random_inputs(program, seed))


def odd(rows, columns, lanes, depth=64):
    return NpuConfig(
        name=f"odd{rows}x{columns}",
        rows=rows,
        columns=columns,
        scratchpad_kib=128,
        weight_kib=768,
        accumulator_depth=depth,
        requantizer_lanes=lanes,
        profiles=tuple(PROFILES),
    )


CONFIGS = [
    replace(PRESETS["npu4x4"], scratchpad_kib=128, weight_kib=512, profiles=tuple(PROFILES)),
    PRESETS["npu8x8"],
    PRESETS["npu16x16"],
    odd(6, 10, 3),
    odd(10, 6, 5),
    odd(5, 4, 1, depth=8),
    odd(5, 13, 5),
    odd(13, 5, 13),
]


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize("model", ["ic_resnet8_int8", "ad_autoencoder_int8"])
def test_public_networks(models_dir, model, config, profile):
    graph = load_tflite(models_dir / f"{model}.tflite")
    program = compile_model(graph, config, profile)
    assert_layers_match(graph, program, random_inputs(program, 1))


def test_the_same_model_gives_the_same_program():
    data = random_network(11)
    first, second = (compile_model(data, PRESETS["npu8x8"]) for _ in range(2))
    assert first.image == second.image
    assert first.start == second.start


def test_cycle_targets_are_within_reach(models_dir):
    # Estimates leave out what overlaps badly, so they must stay well below the limits in hardware.
    for name, limit in (("npu8x8", 225_000), ("npu16x16", 65_000)):
        program = compile_model(models_dir / "ic_resnet8_int8.tflite", PRESETS[name])
        assert sum(layer.estimated_cycles for layer in program.layers) < limit
        assert program.macs == 12_501_632


def test_a_layer_that_differs_is_found():
    graph = load_tflite(random_network(3))
    program = compile_model(graph, PRESETS["npu8x8"])
    image = np.frombuffer(program.image, np.uint8).copy()
    image[:64] ^= 1  # the first weight tile
    with pytest.raises(AssertionError, match="bytes differ in layer"):
        assert_layers_match(
            graph, replace(program, image=image.tobytes()), random_inputs(program, 3)
        )
