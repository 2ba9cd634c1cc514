"""PAD is part of a convolution, or a copy; MEAN is a window over any neighbouring dimensions."""

import pytest
from support.layerwise import assert_layers_match, random_inputs
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.rounding import RoundingProfile


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


CONFIG = PRESETS["npu8x8"]
CONFIGS = [CONFIG, odd(6, 10, 3), odd(10, 4, 5)]


def check(model, *outputs, config=CONFIG, profile=RoundingProfile.TFLM):
    """Compile, compare; returns the operators of the layers and of the host's part."""
    graph = load_tflite(model.finish(*outputs))
    program = compile_model(graph, config, profile)
    assert_layers_match(graph, program, random_inputs(program, model.seed))
    hosted = [*program.prologue.graph.operators, *program.epilogue.graph.operators]
    return [layer.op for layer in program.layers], [node.kind.value for node in hosted]


SPATIAL = ((0, 0), (1, 2), (0, 3), (0, 0))


@pytest.mark.parametrize("padding", ["SAME", "VALID"])
def test_padding_is_taken_into_convolutions(padding):
    for config in CONFIGS:
        model = ModelBuilder(1)
        x = model.pad(model.input((2, 7, 6, 3)), SPATIAL)
        y = model.conv(x, 9, (3, 2), stride=(2, 2), padding=padding)
        y = model.depthwise(model.pad(y, SPATIAL), padding=padding)
        assert check(model, y, config=config) == (["CONV_2D", "DEPTHWISE_CONV_2D"], [])


def test_padding_that_is_used_otherwise_stays():
    model = ModelBuilder(2)
    x = model.pad(model.conv(model.input((1, 7, 6, 3)), 9), SPATIAL)
    y = model.add(model.conv(x, 9), x)
    kinds = ["CONV_2D", "PAD", "CONV_2D", "ADD"]
    assert check(model, y) == (kinds, [])
    model = ModelBuilder(2)
    x = model.pad(model.input((1, 7, 6, 3)), SPATIAL)
    assert check(model, model.conv(x, 9), x) == (["PAD", "CONV_2D"], [])


@pytest.mark.parametrize("kind", ["MAX", "AVERAGE"])
def test_pools_see_the_zero_point(kind):
    model = ModelBuilder(3)
    x = model.pad(model.input((1, 7, 6, 3)), SPATIAL)
    y = model.pool(x, kind, (3, 3), stride=(1, 1), padding="SAME")
    assert check(model, y) == (["PAD", f"{kind}_POOL_2D"], [])


PADS = [
    ((7, 9), ((2, 1), (0, 0))),
    ((7, 9), ((0, 0), (2, 1))),
    ((5,), ((1, 20),)),
    ((3, 4, 9), ((0, 1), (1, 0), (0, 0))),
    ((3, 4, 9), ((0, 1), (1, 0), (13, 5))),
    ((2, 3, 4, 8), ((0, 0), (1, 2), (0, 1), (0, 0))),
    ((2, 3, 4, 8), ((0, 0), (1, 2), (0, 1), (8, 24))),
    ((2, 3, 4, 8), ((0, 0), (0, 0), (0, 0), (3, 40))),
    ((1, 2, 1, 3, 4, 8), ((0, 0), (0, 0), (0, 0), (1, 2), (0, 1), (1, 0))),
]


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
@pytest.mark.parametrize(("shape", "pads"), PADS)
def test_every_padding(config, shape, pads):
    model = ModelBuilder(4)
    x = model.unary("TANH", model.input(shape))
    assert check(model, model.pad(x, pads), config=config) == (["TANH", "PAD"], [])


def test_padding_with_images_runs_on_the_host_or_is_refused():
    model = ModelBuilder(5)
    x = model.unary("TANH", model.input((1, 3, 4, 8)))
    x = model.pad(x, ((1, 1), (0, 0), (0, 0), (0, 0)))
    assert check(model, x) == (["TANH"], ["PAD"])
    with pytest.raises(CelosiaError, match=r"PAD.*the NPU has no such operator"):
        check(model, model.conv(x, 2))


MEANS = [
    ((2, 5, 6, 9), (1,)),
    ((2, 5, 6, 9), (2,)),
    ((2, 5, 6, 9), (1, 2)),
    ((2, 5, 6, 9), (0,)),
    ((2, 5, 6, 9), (0, 1)),
    ((2, 5, 6, 9), (0, 1, 2)),
    ((2, 5, 6, 9), (3,)),
    ((2, 5, 6, 9), (2, 3)),
    ((2, 5, 6, 9), (1, 2, 3)),
    ((2, 5, 6, 9), (0, 1, 2, 3)),
    ((5, 9), (0,)),
    ((5, 9), (1,)),
    ((7,), (0,)),
    ((2, 3, 2, 3, 2, 9), (1, 2, 3)),
]


@pytest.mark.parametrize("profile", list(RoundingProfile))
@pytest.mark.parametrize("keep_dims", [False, True])
@pytest.mark.parametrize(("shape", "axes"), MEANS)
def test_means(shape, axes, keep_dims, profile):
    for config in CONFIGS:
        model = ModelBuilder(6)
        y = model.mean(model.input(shape), axes, keep_dims=keep_dims)
        assert check(model, y, config=config, profile=profile) == (["MEAN"], [])


def test_means_over_dimensions_apart_run_on_the_host_or_are_refused():
    model = ModelBuilder(7)
    x = model.unary("TANH", model.input((2, 5, 6, 9)))
    x = model.mean(x, (0, 2), keep_dims=True)
    assert check(model, x) == (["TANH"], ["MEAN"])
    with pytest.raises(CelosiaError, match=r"MEAN.*the NPU has no such operator"):
        check(model, model.conv(x, 2))
