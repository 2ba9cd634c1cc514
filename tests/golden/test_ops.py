"""Operators apart from the referee: exactness at the float bounds, and the other profiles."""

import numpy as np
import pytest
from support.tflite_writer import ModelBuilder

from celosia.compiler.importer import load_tflite
from celosia.golden.graph import Activation, OpKind, Quantization, Tensor
from celosia.golden.interpreter import Interpreter
from celosia.golden.ops.matrix import Accumulators
from celosia.golden.ops.pooling import tap_counts
from celosia.golden.ops.stage import OutputStage
from celosia.golden.quantization import RoundingMode, RoundingProfile, mode_for, wrap_int32

SEED = 5


@pytest.mark.parametrize("depth", [1, 1023, 1024, 1025, 1099, 2049, 5000])
def test_accumulators_are_exact_at_any_depth(depth):
    rng = np.random.default_rng(SEED)
    weights = rng.choice(np.array([-127, 126, 127], np.int8), (depth, 6))
    weights[:, 0], weights[:, 1] = 127, -127  # one sign: the largest sums, odd ones among them
    weights[:, 2] = -128
    bias = rng.integers(-1000, 1000, 6).astype(np.int32)
    x = rng.integers(-128, 128, (8, depth)).astype(np.int8)
    x[0], x[1], x[2, ::2] = 127, -128, 127
    expected = (x.astype(np.int64) - 7) @ weights.astype(np.int64) + bias
    actual = Accumulators(weights, bias, 7).compute(x.astype(np.float32))
    np.testing.assert_array_equal(actual, expected)


def test_accumulators_wrap_as_int32():
    weights = np.full((4, 2), 127, np.int8)
    bias = np.array([(1 << 31) - 10, -(1 << 31) + 10], np.int32)
    x = np.array([[127] * 4, [-128] * 4], np.float32)
    exact = x.astype(np.int64) @ weights.astype(np.int64) + bias
    assert (wrap_int32(exact) != exact).any()
    np.testing.assert_array_equal(Accumulators(weights, bias, 0).compute(x), wrap_int32(exact))


def test_tap_counts_shrink_at_the_borders():
    counts = tap_counts((4, 5), (3, 3), (1, 1), ((1, 1), (1, 1)))
    assert counts.tolist() == [[4, 6, 6, 6, 4], [6, 9, 9, 9, 6], [6, 9, 9, 9, 6], [4, 6, 6, 6, 4]]


def tensor(scale, zero_point):
    quantization = Quantization(np.array([scale], np.float32), np.array([zero_point], np.int32))
    return Tensor("t", (1,), np.dtype(np.int8), quantization)


@pytest.mark.parametrize(
    ("mode", "expected"),
    [
        # effective scale 1/4: 2 -> 0.5, 6 -> 1.5, -2 -> -0.5, -6 -> -1.5
        (RoundingMode.DOUBLE, [1, 2, -1, -2]),
        (RoundingMode.SINGLE, [1, 2, 0, -1]),
        (RoundingMode.FLOAT32, [0, 2, 0, -2]),
        (RoundingMode.FLOAT64, [1, 2, -1, -2]),
    ],
)
def test_modes_differ_on_halves(mode, expected):
    output = tensor(1.0, 3)
    stage = OutputStage(np.float32(0.5), [0.5], output, Activation.NONE, mode)
    halves = stage.finish(np.array([2, 6, -2, -6], np.int64))
    assert (halves.astype(int) - 3).tolist() == expected


def test_large_results_clamp_before_the_zero_point():
    for mode in (RoundingMode.DOUBLE, RoundingMode.FLOAT32, RoundingMode.FLOAT64):
        stage = OutputStage(np.float32(1), [0.5], tensor(1.0, 100), Activation.NONE, mode)
        ends = stage.finish(np.array([(1 << 31) - 1, -(1 << 31)], np.int64))
        assert ends.tolist() == [127, -128]


def matrix_model(kind):
    model = ModelBuilder(SEED)
    x = model.input((1, 9, 9, 5), 0.05, -3)
    if kind == "conv":
        y = model.conv(x, 9)
    elif kind == "depthwise":
        y = model.depthwise(x)
    else:
        y = model.fully_connected(x, 300, per_channel=True)
    return load_tflite(model.finish(y))


@pytest.mark.parametrize("kind", ["conv", "depthwise", "fully_connected"])
def test_profiles_stay_within_one_of_each_other(kind):
    graph = matrix_model(kind)
    x = np.random.default_rng(SEED).integers(-128, 128, (1, 9, 9, 5)).astype(np.int8)
    float32 = Interpreter(graph, RoundingProfile.FLOAT32).run([x])[0].astype(int)
    double = Interpreter(graph, RoundingProfile.TFLM).run([x])[0].astype(int)
    single = Interpreter(graph, RoundingProfile.SINGLE).run([x])[0].astype(int)
    assert np.abs(float32 - double).max() <= 1
    assert np.abs(float32 - single).max() <= 1
    assert float32.std() > 10


def test_litert_differs_in_fully_connected_only():
    x = np.random.default_rng(SEED).integers(-128, 128, (1, 9, 9, 5)).astype(np.int8)
    for kind in ("conv", "depthwise"):
        graph = matrix_model(kind)
        results = [Interpreter(graph, profile).run([x])[0] for profile in ("tflm", "litert")]
        np.testing.assert_array_equal(*results)


def test_relu6_of_litert_rescales_while_tflm_only_clamps():
    model = ModelBuilder(SEED)
    x = model.input((1, 256), 0.1, 0)
    graph = load_tflite(model.finish(model.unary("RELU6", x, 0.05, -128)))
    assert graph.operators[0].kind is OpKind.RELU6
    every = np.arange(-128, 128).astype(np.int8)[None]
    tflm = Interpreter(graph, RoundingProfile.TFLM).run([every])[0]
    litert = Interpreter(graph, RoundingProfile.LITERT).run([every])[0]
    np.testing.assert_array_equal(tflm, np.clip(every, 0, 60))
    real = np.clip(every.astype(float) * 0.1, 0, 6)
    np.testing.assert_array_equal(litert, np.round(real / 0.05) - 128)


def test_kernels_leave_their_inputs_alone():
    model = ModelBuilder(SEED)
    x = model.input((1, 6, 6, 3))
    y = model.add(model.conv(x, 3), x)
    graph = load_tflite(model.finish(model.pool(y)))
    values = np.random.default_rng(SEED).integers(-128, 128, (1, 6, 6, 3)).astype(np.int8)
    before = values.copy()
    first = Interpreter(graph).run([values])[0].copy()
    np.testing.assert_array_equal(values, before)
    interpreter = Interpreter(graph)
    interpreter.run([np.flip(values).copy()])
    np.testing.assert_array_equal(interpreter.run([values])[0], first)


def naive_conv(graph, x):
    """int64 accumulators of a SAME 3x3 convolution with stride 1, straight from the definition."""
    operator = graph.operators[0]
    source, weights, bias = (graph.tensors[index] for index in operator.inputs)
    kernel = weights.data.astype(np.int64)
    centred = x[0].astype(np.int64) - source.quantization.zero_point[0]
    padded = np.pad(centred, ((1, 1), (1, 1), (0, 0)))
    height, width, _ = centred.shape
    acc = np.zeros((height, width, kernel.shape[0]), np.int64)
    for row, column in np.ndindex(height, width):
        patch = padded[row : row + 3, column : column + 3]
        acc[row, column] = np.tensordot(kernel, patch, axes=3) + bias.data
    return acc


def test_float32_profile_follows_the_float_formula():
    graph = matrix_model("conv")
    operator = graph.operators[0]
    x = np.random.default_rng(SEED).integers(-128, 128, (1, 9, 9, 5)).astype(np.int8)
    source, weights = (graph.tensors[index].quantization.scale for index in operator.inputs[:2])
    output = graph.tensors[operator.outputs[0]].quantization
    scale = (np.float32(source[0]) * weights) / np.float32(output.scale[0])
    real = naive_conv(graph, x).astype(np.float32) * scale
    expected = np.clip(np.rint(real) + output.zero_point[0], -128, 127)
    actual = Interpreter(graph, RoundingProfile.FLOAT32).run([x])[0][0]
    np.testing.assert_array_equal(actual, expected)


def test_litert_fully_connected_follows_the_double_formula():
    model = ModelBuilder(SEED)
    source = model.input((1, 40), 0.05, -3)
    # Effective scale 1/4 exactly, so that a quarter of the sums are halves.
    graph = load_tflite(
        model.finish(
            model.fully_connected(
                source,
                200,
                weights=model.rng.integers(-2, 3, 8000),
                weight_scale=5.0,
                output_scale=1.0,
                output_zero_point=0,
                bias=False,
            )
        )
    )
    x = model.rng.integers(-10, 10, (1, 40)).astype(np.int8)
    acc = (x.astype(int) + 3) @ graph.tensors[graph.operators[0].inputs[1]].data.T.astype(int)
    scale = float(np.float32(0.05)) * 5.0
    real = acc * scale
    expected = np.clip(np.sign(real) * np.floor(np.abs(real) + 0.5), -128, 127)
    actual = Interpreter(graph, RoundingProfile.LITERT).run([x])[0]
    np.testing.assert_array_equal(actual, expected)
    assert (np.abs(real) < 127).any()


def test_litert_divides_scales_in_float32():
    """Bytes that tell a float32 quotient from a float64 one; LiteRT 2.3.0 agrees with float32."""
    every = np.arange(-128, 128).astype(np.int8)[None]
    cases = [
        ("RELU", (0.102488235, 17), (0.1886509, 50), 121),
        ("RELU", (0.0015259385, -11), (0.0013672409, -40), 45),
        ("HARD_SWISH", (0.00011082607, -119), (0.00023932311, -68), 42),
    ]
    for kind, source, target, where in cases:
        model = ModelBuilder()
        graph = load_tflite(
            model.finish(model.unary(kind, model.input((1, 256), *source), *target))
        )
        tflm, litert = (
            Interpreter(graph, profile).run([every])[0][0].astype(int)
            for profile in (RoundingProfile.TFLM, RoundingProfile.LITERT)
        )
        assert np.flatnonzero(tflm != litert).tolist() == [where + 128]


def test_profiles_may_be_given_by_name():
    graph = matrix_model("fully_connected")
    x = np.random.default_rng(SEED).integers(-128, 128, (1, 9, 9, 5)).astype(np.int8)
    for profile in RoundingProfile:
        by_name = Interpreter(graph, RoundingProfile(profile.value)).run([x])[0]
        np.testing.assert_array_equal(by_name, Interpreter(graph, profile).run([x])[0])
        assert mode_for(profile.value, OpKind.CONV_2D) is mode_for(profile, OpKind.CONV_2D)
