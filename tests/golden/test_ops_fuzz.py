"""Every operator against the referee on seeded random one-operator models: no byte may differ."""

import math

import numpy as np
import pytest
from support.comparison import assert_equals_referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.importer import load_tflite
from celosia.golden.interpreter import Interpreter

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
MODELS = 120


def log_uniform(rng, low, high):
    return float(np.exp(rng.uniform(math.log(low), math.log(high))))


def window_arguments(rng, *, strides=3, dilations=True):
    """Random stride, dilation (never both above 1), padding and activation."""
    stride = tuple(rng.integers(1, strides + 1, 2).tolist())
    dilation = (1, 1)
    if dilations and rng.random() < 0.3:
        stride, dilation = (1, 1), tuple(rng.integers(1, 4, 2).tolist())
    return {
        "stride": stride,
        "dilation": dilation,
        "padding": str(rng.choice(["SAME", "VALID"])),
        "activation": str(rng.choice(ACTIVATIONS)),
    }


def matrix_arguments(model, x, channels, depth, *, per_channel):
    """Random weights, bias and scales for an operator with `channels` outputs of `depth` terms."""
    rng = model.rng
    arguments = {"per_channel": per_channel, "bias_axis": int(rng.choice([0, 3]))}
    count = channels if per_channel else 1
    style = rng.integers(0, 5)
    if style == 1:  # any effective scale
        arguments["output_scale"] = log_uniform(rng, 0.001, 1.0)
        effective = np.exp2(rng.uniform(-33, 2, count))
        arguments["weight_scale"] = effective * arguments["output_scale"] / model.scale(x)
    elif style == 2:  # dead channels: huge biases, the largest shifts
        arguments["output_scale"] = log_uniform(rng, 0.001, 1.0)
        effective = np.exp2(rng.uniform(-31, -22, count))
        arguments["weight_scale"] = effective * arguments["output_scale"] / model.scale(x)
        arguments["bias"] = rng.integers(-(1 << 30) - 200, (1 << 30) + 200, channels)
    elif style == 3:
        arguments["bias"] = False
    elif style == 4:  # sums that leave int32
        arguments["bias"] = rng.choice([(1 << 31) - 1, -(1 << 31), (1 << 31) - 5000], channels)
    if style != 3 and rng.random() < 0.2:
        arguments["weights"] = rng.choice([-127, 127], channels * depth)
    return arguments


def test_conv_2d():
    compared = 0
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        depth, channels = (int(rng.integers(1, 21)) for _ in range(2))
        kernel = tuple(rng.integers(1, 5, 2).tolist())
        size = rng.integers(12, 17, 2).tolist()
        x = model.input((int(rng.choice([1, 1, 2])), *size, depth))
        per_channel = bool(rng.random() < 0.8)
        terms = math.prod(kernel) * depth
        arguments = matrix_arguments(model, x, channels, terms, per_channel=per_channel)
        y = model.conv(x, channels, kernel, **window_arguments(rng), **arguments)
        compared += assert_equals_referee(model.finish(y), seed)
    assert compared > 100_000


def test_conv_2d_deeper_than_one_exact_chunk():
    for seed in range(8):
        model = ModelBuilder(seed)
        x = model.input((1, 5, 4, 131))
        weights = model.rng.choice([-127, 127], 7 * 9 * 131) if seed % 2 else None
        y = model.conv(x, 7, weights=weights)
        assert_equals_referee(model.finish(y), seed)


def test_depthwise_conv_2d():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        depth, multiplier = int(rng.integers(1, 21)), int(rng.choice([1, 1, 2, 3]))
        kernel = tuple(rng.integers(1, 5, 2).tolist())
        x = model.input((1, *rng.integers(12, 17, 2).tolist(), depth))
        per_channel = bool(rng.random() < 0.8)
        arguments = matrix_arguments(
            model, x, depth * multiplier, math.prod(kernel), per_channel=per_channel
        )
        y = model.depthwise(x, kernel, multiplier=multiplier, **window_arguments(rng), **arguments)
        assert_equals_referee(model.finish(y), seed)


def test_fully_connected():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        depth, units = int(rng.integers(1, 1500)), int(rng.integers(1, 40))
        batch = int(rng.choice([1, 1, 3]))
        x = model.input((batch, depth))
        per_channel = bool(rng.random() < 0.4)
        arguments = matrix_arguments(model, x, units, depth, per_channel=per_channel)
        y = model.fully_connected(x, units, activation=str(rng.choice(ACTIVATIONS)), **arguments)
        assert_equals_referee(model.finish(y), seed)


def random_shape(rng):
    return (1, *rng.integers(1, 9, int(rng.integers(1, 4))).tolist())


@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_binary(kind):
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        shape = random_shape(rng)
        scales = [log_uniform(rng, 1e-4, 10) for _ in range(2)]
        a = model.input(shape, scales[0])
        if seed % 3 == 0:  # broadcast
            shape = tuple(1 if rng.random() < 0.5 else size for size in shape)
        b = model.input(shape, scales[1])
        if seed % 5 == 0:
            constant = rng.integers(-128, 128, shape).astype(np.int8)
            model.inputs.pop()
            b = model.constant(constant, scale=scales[1], zero_point=int(rng.integers(-128, 128)))
        unit = scales[0] * scales[1] if kind == "mul" else max(scales)
        y = getattr(model, kind)(
            *((b, a) if seed % 7 == 0 else (a, b)),
            activation=str(rng.choice(ACTIVATIONS)),
            output_scale=unit * log_uniform(rng, 0.01, 100),
        )
        assert_equals_referee(model.finish(y), seed)


@pytest.mark.parametrize("kind", ["add", "sub", "mul"])
def test_binary_on_all_pairs(kind):
    every = np.arange(-128, 128).astype(np.int8)
    for seed in range(40):
        model = ModelBuilder(seed)
        scales = [log_uniform(model.rng, 1e-3, 1) for _ in range(2)]
        a, b = model.input((256, 1), scales[0]), model.input((1, 256), scales[1])
        unit = scales[0] * scales[1] * 127 if kind == "mul" else max(scales)
        y = getattr(model, kind)(a, b, output_scale=unit * log_uniform(model.rng, 0.5, 4))
        assert_equals_referee(model.finish(y), seed, inputs=[[every[:, None], every[None]]])


def test_add_of_a_tensor_to_itself():
    model = ModelBuilder(1)
    x = model.input((1, 3, 5, 7))
    assert_equals_referee(model.finish(model.add(x, x)), 1)


@pytest.mark.parametrize("kind", ["AVERAGE", "MAX"])
def test_pools(kind):
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        size = rng.integers(8, 14, 2).tolist()
        x = model.input((1, *size, int(rng.integers(1, 20))))
        arguments = window_arguments(rng, strides=4, dilations=False)
        arguments.pop("dilation")
        window = size if seed % 6 == 0 else rng.integers(1, 8, 2).tolist()
        assert_equals_referee(model.finish(model.pool(x, kind, tuple(window), **arguments)), seed)


def test_mean():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        x = model.input((1, *rng.integers(1, 12, 3).tolist()), log_uniform(rng, 1e-3, 10))
        axes = [(1, 2), (1, 2), (2, 1), (3,), (1,), (-1,), (1, 2, 3), (0, 1)][seed % 8]
        y = model.mean(
            x,
            axes,
            keep_dims=bool(rng.random() < 0.5),
            output_scale=float(model.scale(x)) * log_uniform(rng, 0.05, 5),
        )
        assert_equals_referee(model.finish(y), seed)


def test_pad():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        x = model.input((1, *rng.integers(1, 8, 3).tolist()))
        pads = [(0, 0), *rng.integers(0, 4, (3, 2)).tolist()]
        assert_equals_referee(model.finish(model.pad(x, pads)), seed, count=1)


def test_reshape():
    for seed in range(20):
        model = ModelBuilder(seed)
        x = model.input((1, 4, 6, 5))
        shape = [(1, 120), (1, 24, 5), (1, 4, 30), (1, 2, 12, 5), (120,)][seed % 5]
        assert_equals_referee(model.finish(model.reshape(x, shape)), seed, count=1)


def test_concatenation():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        axis = int(rng.integers(-3, 4))
        shape = [1, *rng.integers(1, 8, 3).tolist()]
        parts = []
        for _ in range(int(rng.integers(1, 5))):
            shape[axis] = int(rng.integers(1, 6))
            parts.append(model.input(shape, 0.1, 3))
        assert_equals_referee(model.finish(model.concatenation(parts, axis)), seed, count=1)


def test_expand_dims_and_squeeze():
    for seed in range(20):
        model = ModelBuilder(seed)
        x = model.input((1, 4, 1, 5))
        y = model.expand_dims(model.squeeze(x, (2,)), seed % 4)
        assert_equals_referee(model.finish(y), seed, count=1)


def test_transpose():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        x = model.input(random_shape(rng))
        permutation = rng.permutation(len(model.shape(x))).tolist()
        assert_equals_referee(model.finish(model.transpose(x, permutation)), seed, count=1)


def test_slice():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        x = model.input((1, *rng.integers(1, 9, 3).tolist()))
        begin = [int(rng.integers(0, size)) for size in model.shape(x)]
        size = [
            int(rng.choice([-1, rng.integers(1, total - first + 1)]))
            for total, first in zip(model.shape(x), begin, strict=True)
        ]
        assert_equals_referee(model.finish(model.slice(x, begin, size)), seed, count=1)


def test_strided_slice():
    for seed in range(2 * MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        shape = (1, *rng.integers(2, 9, 3).tolist())
        x = model.input(shape)
        begin = [int(rng.integers(0, size)) for size in shape]
        end = [
            int(rng.integers(first + 1, size + 1)) for first, size in zip(begin, shape, strict=True)
        ]
        strides = rng.integers(1, 4, 4).tolist()
        masks = {"begin_mask": int(rng.integers(0, 16)), "end_mask": int(rng.integers(0, 16))}
        if seed % 3 == 0:  # from the end
            begin = [first - size for first, size in zip(begin, shape, strict=True)]
            end = [last - size or size + 3 for last, size in zip(end, shape, strict=True)]
        if seed % 4 == 0:
            masks = {"shrink": int(rng.integers(0, 8)) << 1}
            strides = [1, 1, 1, 1]
        y = model.strided_slice(x, begin, end, strides, **masks)
        assert_equals_referee(model.finish(y), seed, count=1)


@pytest.mark.parametrize("kind", ["RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE"])
def test_tables(kind):
    """All 256 inputs at once."""
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    for seed in range(3 * MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        x = model.input((1, 256), log_uniform(rng, 1e-6, 40.0))
        scale = float(model.scale(x)) * log_uniform(rng, 0.02, 50)
        y = model.unary(kind, x, scale)
        assert_equals_referee(model.finish(y), seed, inputs=[[every]], note=f"{model.scale(x)}")


def test_leaky_relu():
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    for seed in range(3 * MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        x = model.input((1, 256), log_uniform(rng, 1e-6, 40.0))
        scale = float(model.scale(x)) * log_uniform(rng, 0.02, 50)
        y = model.leaky_relu(x, rng.choice([0, 0.01, 0.2, 1, rng.uniform(0, 3)]), scale)
        assert_equals_referee(model.finish(y), seed, inputs=[[every]])


def test_quantize_from_float():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        x = model.input((1, 500), dtype="float32")
        y = model.unary("QUANTIZE", x, log_uniform(model.rng, 1e-3, 1.0))
        values = model.rng.normal(0, 20 * model.scale(y), (1, 500)).astype(np.float32)
        halves = (np.arange(500, dtype=np.float32)[None] - 250) * np.float32(0.5) * model.scale(y)
        assert_equals_referee(model.finish(y), seed, inputs=[[values], [halves]])


def test_quantize_saturates_floats_beyond_every_step():
    model = ModelBuilder(1)
    x = model.input((1, 4), dtype="float32")
    y = model.unary("QUANTIZE", x, 1e-3, 5)
    largest = float(np.finfo(np.float32).max)
    values = np.array([[largest, -largest, np.inf, -np.inf]], np.float32)
    (found,) = Interpreter(load_tflite(model.finish(y))).run([values])
    np.testing.assert_array_equal(found, [[127, -128, 127, -128]])


def test_dequantize():
    every = np.arange(-128, 128).astype(np.int8).reshape(1, 256)
    for seed in range(20):
        model = ModelBuilder(seed)
        y = model.dequantize(model.input((1, 256)))
        assert_equals_referee(model.finish(y), seed, inputs=[[every]])


def test_softmax():
    for seed in range(MODELS):
        model = ModelBuilder(seed)
        rng = model.rng
        shape = (int(rng.integers(1, 4)), int(rng.integers(1, 40)))
        x = model.input(shape if seed % 4 else (1, 2, *shape), log_uniform(rng, 1e-6, 60.0))
        y = model.softmax(x, beta=float(rng.choice([1.0, 0.5, 2.0])))
        assert_equals_referee(model.finish(y), seed, count=6)


def test_scales_are_divided_in_double():
    """Found by fuzzing: with these scales one byte tells a float32 quotient from a float64 one."""
    every = np.arange(-128, 128).astype(np.int8)
    cases = [
        ("RELU", (0.102488235, 17), (0.1886509, 50)),
        ("RELU", (0.0015259385, -11), (0.0013672409, -40)),
        ("HARD_SWISH", (0.00011082607, -119), (0.00023932311, -68)),
    ]
    for kind, source, target in cases:
        model = ModelBuilder()
        y = model.unary(kind, model.input((1, 256), *source), *target)
        assert_equals_referee(model.finish(y), kind, inputs=[[every[None]]])
    model = ModelBuilder()
    a, b = model.input((256, 1), 0.02866046, -29), model.input((1, 256), 0.005613162, 56)
    y = model.mul(a, b, output_scale=0.038227685, output_zero_point=-103)
    assert_equals_referee(model.finish(y), "MUL", inputs=[[every[:, None], every[None]]])
