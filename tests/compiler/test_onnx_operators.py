"""Imported ONNX operators, one or two at a time, against ONNX Runtime: every byte."""

import numpy as np
import pytest
from support.onnx_writer import OnnxRuntime, OnnxWriter, draw_inputs

from celosia.compiler.importer import load_onnx
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import OpKind
from celosia.golden.interpreter import Interpreter

SEED = 20_261


def assert_equals_onnx_runtime(data, seed, *, count=3, referee=None):
    """Every byte of `count` random inferences equals; returns the graph."""
    graph = load_onnx(data)
    interpreter, runtime = Interpreter(graph), OnnxRuntime(referee or data)
    rng = np.random.default_rng(seed)
    for _ in range(count):
        inputs = draw_inputs(data, rng)
        for got, want in zip(interpreter.run(inputs), runtime.run(*inputs), strict=True):
            assert got.dtype == want.dtype
            assert got.shape == want.shape
            different = np.count_nonzero(got != want)
            assert different == 0, f"{different} of {want.size} bytes differ; seed {seed}"
    return graph


def kinds(graph):
    return [operator.kind for operator in graph.operators]


def draw_scale(rng, low=0.004, high=0.2):
    return np.float32(np.exp(rng.uniform(np.log(low), np.log(high)))), int(rng.integers(-128, 128))


def qlinear_conv(
    writer,
    x,
    channels,
    *,
    source,
    target,
    weights=None,
    kernel=(3, 3),
    group=1,
    out=8,
    per_channel=True,
    bias=True,
    **attributes,
):
    rng = writer.rng
    if weights is None:
        weights = rng.integers(-127, 128, (out, channels // group, *kernel)).astype(np.int8)
    count = out if per_channel else 1
    scales = rng.uniform(0.001, 0.01, count).astype(np.float32)
    if not per_channel:
        scales = scales[0]
    zeros = np.zeros_like(scales, weights.dtype)
    if weights.dtype == np.uint8:
        zeros = zeros + np.uint8(128)
    inputs = [x, *source, writer.constant(weights), writer.constant(scales)]
    inputs += [writer.constant(zeros), *target]
    if bias:
        inputs.append(writer.constant(rng.integers(-3000, 3000, out), np.int32))
    return writer.node("QLinearConv", *inputs, group=group, **attributes)


@pytest.mark.parametrize("zero_point", [-90, 3, 127])
@pytest.mark.parametrize("out", [1, 5])
def test_weights_with_a_zero_point_are_sums_of_int8_ones(zero_point, out):
    # ONNX Runtime's own s8s8 kernels are exact for any zero point of the weights.
    seed = SEED + zero_point
    writer = OnnxWriter(seed)
    rng = writer.rng
    x = writer.input([1, 3, 6, 5])
    weights = writer.constant(rng.integers(-128, 128, (out, 3, 3, 3)), np.int8)
    source, target = writer.scale(*draw_scale(rng)), writer.scale(*draw_scale(rng))
    y = writer.node("QLinearConv", x, *source, weights, *writer.scale(0.004, zero_point), *target)
    graph = assert_equals_onnx_runtime(writer.finish(y), seed)
    assert OpKind.CONCATENATION in kinds(graph)


def test_depthwise_weights_must_fit_bytes_without_their_zero_point():
    writer = OnnxWriter(SEED)
    x = writer.input([1, 3, 6, 5])
    weights = writer.constant(writer.rng.integers(-128, 128, (3, 1, 3, 3)), np.int8)
    scales = writer.scale(0.05, 3), writer.scale(0.004, 90), writer.scale(0.1, -20)
    y = writer.node("QLinearConv", x, *scales[0], weights, *scales[1], *scales[2], group=3)
    with pytest.raises(CelosiaError, match="weights of a depthwise convolution must fit int8"):
        load_onnx(writer.finish(y))


@pytest.mark.parametrize("number", range(24))
def test_convolutions(number):
    seed = SEED + number
    writer = OnnxWriter(seed)
    rng = writer.rng
    channels = int(rng.choice([1, 3, 4, 8]))
    height, width = (int(n) for n in rng.integers(5, 12, 2))
    x = writer.input([1, channels, height, width])
    group = (1, channels, 2)[number % 3] if channels % 2 == 0 else (1, channels)[number % 2]
    kernel = tuple(int(n) for n in rng.integers(1, 4, 2))
    stride = [int(n) for n in rng.integers(1, 3, 2)]
    attributes = {"strides": stride, "dilations": [int(n) for n in rng.integers(1, 3, 2)]}
    if number % 4 == 0:
        del attributes["dilations"]  # the referee refuses them here
        attributes["auto_pad"] = ("SAME_UPPER", "SAME_LOWER", "VALID")[number // 4 % 3]
    else:
        attributes["pads"] = [int(n) for n in rng.integers(0, 3, 4)]
    y = qlinear_conv(
        writer,
        x,
        channels,
        source=writer.scale(*draw_scale(rng)),
        target=writer.scale(*draw_scale(rng)),
        kernel=kernel,
        group=group,
        out=group * int(rng.integers(1, 4)),
        per_channel=number % 5 != 0,
        bias=number % 7 != 0,
        **attributes,
    )
    assert_equals_onnx_runtime(writer.finish(y), seed)


def test_convolution_of_a_row():
    writer = OnnxWriter(SEED)
    x = writer.input([1, 4, 30])
    y = qlinear_conv(
        writer,
        x,
        4,
        source=writer.scale(0.05, 3),
        target=writer.scale(0.1, -20),
        kernel=(5,),
        pads=[2, 2],
        strides=[2],
    )
    assert_equals_onnx_runtime(writer.finish(y), SEED)


@pytest.mark.parametrize("kind", ["QLinearMatMul", "QGemm"])
@pytest.mark.parametrize("number", range(6))
def test_matrix_products(kind, number):
    seed = SEED + number
    writer = OnnxWriter(seed)
    rng = writer.rng
    depth, out, rows = int(rng.integers(1, 80)), int(rng.integers(1, 40)), int(rng.integers(1, 4))
    per_channel = number % 2 == 0
    transposed = kind == "QGemm" and number % 3 == 0
    shape = (out, depth) if transposed else (depth, out)
    scales = rng.uniform(0.001, 0.01, out if per_channel else 1).astype(np.float32)
    scales = scales if per_channel else scales[0]
    weights = [
        writer.constant(rng.integers(-127, 128, shape), np.int8),
        writer.constant(scales),
        writer.constant(np.zeros_like(scales, np.int8)),
    ]
    x = writer.input([rows, depth])
    source, target = (writer.scale(*draw_scale(rng)) for _ in range(2))
    if kind == "QGemm":
        bias = writer.constant(rng.integers(-3000, 3000, out), np.int32)
        y = writer.node(kind, x, *source, *weights, bias, *target, transB=int(transposed))
    else:
        y = writer.node(kind, x, *source, *weights, *target)
    assert_equals_onnx_runtime(writer.finish(y), seed)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("kind", ["QLinearAdd", "QLinearMul"])
@pytest.mark.parametrize(
    "shapes",
    [
        ((1, 5, 6, 7), (1, 5, 6, 7)),
        ((1, 5, 6, 7), (1, 5, 1, 1)),
        ((1, 5, 1, 1), (1, 5, 6, 7)),
        ((2, 40), (40,)),
        ((1, 5, 6, 7), ()),
        ((), (1, 5, 6, 7)),
    ],
)
def test_sums_and_products(kind, shapes, dtype):
    for number in range(4):
        seed = SEED + number
        writer = OnnxWriter(seed)
        rng = writer.rng
        offset = 128 if dtype == np.uint8 else 0
        inputs = []
        for shape in shapes:
            scale, zero_point = draw_scale(rng, 0.02, 0.2)
            name = (
                writer.input(shape, dtype)
                if shape
                else writer.constant(rng.integers(0, 100), dtype)
            )
            inputs += [name, *writer.scale(scale, zero_point + offset, dtype)]
        scale, zero_point = draw_scale(rng, 0.05, 0.4)
        if kind == "QLinearMul":
            scale *= 3
        y = writer.node(kind, *inputs, *writer.scale(scale, zero_point + offset, dtype))
        assert_equals_onnx_runtime(writer.finish(y, dtype=dtype), seed)


@pytest.mark.parametrize("last", [0, 1])
@pytest.mark.parametrize("kind", ["QLinearGlobalAveragePool", "QLinearAveragePool"])
def test_average_pools(kind, last):
    for number in range(12):
        seed = SEED + number
        writer = OnnxWriter(seed)
        rng = writer.rng
        height, width = (int(n) for n in rng.integers(3, 9, 2))
        x = writer.input([1, height, width, 6] if last else [1, 6, height, width])
        source = draw_scale(rng)
        target = source if number % 3 == 0 else draw_scale(rng)
        attributes = {}
        if kind == "QLinearAveragePool":
            window = [int(n) for n in rng.integers(1, 4, 2)]
            if number % 4 == 3:
                window = [height, width]
            pads = [int(rng.integers(0, size)) for size in (*window, *window)]
            attributes = {
                "kernel_shape": window,
                "strides": [int(n) for n in rng.integers(1, 3, 2)],
                "pads": pads if number % 4 != 3 else [0] * 4,
                "count_include_pad": number % 2,
            }
        y = writer.node(
            kind,
            x,
            *writer.scale(*source),
            *writer.scale(*target),
            channels_last=last,
            **attributes,
        )
        assert_equals_onnx_runtime(writer.finish(y), seed)


@pytest.mark.parametrize("kind", ["QLinearSigmoid", "QLinearLeakyRelu"])
def test_functions_of_bytes(kind):
    for number in range(12):
        seed = SEED + number
        writer = OnnxWriter(seed)
        attributes = {"alpha": float(writer.rng.uniform(0, 0.5))} if "Leaky" in kind else {}
        x = writer.input([2, 300])
        source, target = (writer.scale(*draw_scale(writer.rng)) for _ in range(2))
        y = writer.node(kind, x, *source, *target, **attributes)
        assert_equals_onnx_runtime(writer.finish(y), seed)


def test_concatenation_requantises_what_differs():
    writer = OnnxWriter(SEED)
    a, b = writer.input([1, 3, 4, 5]), writer.input([1, 6, 4, 5])
    target = writer.scale(0.05, 3)
    parts = [a, *writer.scale(0.02, -100), b, *writer.scale(0.05, 3)]
    y = writer.node("QLinearConcat", *target, *parts, axis=1)
    graph = assert_equals_onnx_runtime(writer.finish(y), SEED)
    assert kinds(graph) == [OpKind.LOOKUP, OpKind.CONCATENATION]


def test_softmax_of_bytes():
    for number in range(10):
        seed = SEED + number
        writer = OnnxWriter(seed)
        x = writer.input([2, int(writer.rng.integers(2, 300))])
        scale, zero_point = draw_scale(writer.rng, 0.02, 0.5)
        target = (1 / 256, -128) if number % 2 else draw_scale(writer.rng, 0.003, 0.02)
        y = writer.node(
            "QLinearSoftmax",
            x,
            *writer.scale(scale, zero_point),
            *writer.scale(*target),
            axis=-1,
            opset=13,
        )
        assert_equals_onnx_runtime(writer.finish(y), seed)


def test_softmax_of_dequantised_bytes():
    writer = OnnxWriter(SEED)
    x = writer.dequantized(writer.input([3, 50]), 0.1, 7)
    y = writer.quantized(writer.node("Softmax", x, axis=1), 1 / 255, -128)
    assert_equals_onnx_runtime(writer.finish(y), SEED)


def test_softmax_at_the_end_is_left_in_float():
    writer = OnnxWriter(SEED)
    x = writer.dequantized(writer.input([3, 4, 50]), 0.1, 7)
    data = writer.finish(writer.node("Softmax", x, axis=1), dtype=np.float32)
    (values,) = draw_inputs(data, writer.rng)
    (got,), (want,) = Interpreter(load_onnx(data)).run([values]), OnnxRuntime(data).run(values)
    # The exponential is each library's own.
    np.testing.assert_allclose(got, want, rtol=1e-5)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_quantising_at_the_ends(dtype):
    writer = OnnxWriter(SEED)
    x = writer.input([4, 500], np.float32)
    offset = 128 if dtype == np.uint8 else 0
    q = writer.quantized(x, 0.03, offset - 7, dtype)
    y = writer.dequantized(q, 0.03, offset - 7, dtype)
    data = writer.finish(y, dtype=np.float32)
    assert_equals_onnx_runtime(data, SEED)
    halves = ((np.arange(2000).reshape(4, 500) - 1000) * np.float32(0.015)).astype(np.float32)
    (got,), (want,) = Interpreter(load_onnx(data)).run([halves]), OnnxRuntime(data).run(halves)
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize(
    ("kind", "attributes"),
    [
        ("Relu", {}),
        ("Sigmoid", {}),
        ("Tanh", {}),
        ("HardSwish", {}),
        ("HardSigmoid", {"alpha": 0.17, "beta": 0.4}),
        ("LeakyRelu", {"alpha": 0.1}),
        ("Elu", {}),
        ("Softplus", {}),
        ("Abs", {}),
        ("Neg", {}),
    ],
)
def test_functions_between_dequantize_and_quantize(kind, attributes):
    for number in range(4):
        seed = SEED + number
        writer = OnnxWriter(seed)
        x = writer.dequantized(writer.input([1, 256]), *draw_scale(writer.rng, 0.01, 0.1))
        y = writer.quantized(writer.node(kind, x, **attributes), *draw_scale(writer.rng))
        graph = assert_equals_onnx_runtime(writer.finish(y), seed)
        assert kinds(graph) == [OpKind.LOOKUP]


def test_a_chain_of_functions_is_one_table():
    writer = OnnxWriter(SEED)
    x = writer.dequantized(writer.input([1, 4, 6, 6]), 0.05, -10)
    shifted = writer.node("Add", x, writer.constant(3, np.float32))
    gate = writer.node(
        "Clip", shifted, writer.constant(0, np.float32), writer.constant(6, np.float32)
    )
    product = writer.node("Mul", writer.node("Div", gate, writer.constant(6, np.float32)), x)
    y = writer.quantized(product, 0.04, -20)
    assert kinds(assert_equals_onnx_runtime(writer.finish(y), SEED)) == [OpKind.LOOKUP]


def test_unsigned_networks_are_held_lower():
    writer = OnnxWriter(SEED)
    x = writer.input([1, 4, 7, 7], np.uint8)
    # Weights small enough for the referee's kernels of unsigned bytes, which saturate.
    weights = writer.rng.integers(118, 139, (6, 4, 3, 3)).astype(np.uint8)
    y = qlinear_conv(
        writer,
        x,
        4,
        source=writer.scale(0.05, 100, np.uint8),
        target=writer.scale(0.01, 130, np.uint8),
        weights=weights,
        out=6,
        per_channel=False,
    )
    y = writer.node("MaxPool", y, kernel_shape=[2, 2])
    assert_equals_onnx_runtime(writer.finish(y, dtype=np.uint8), SEED)


def test_clamps_of_bytes():
    writer = OnnxWriter(SEED)
    x = writer.input([1, 300])
    y = writer.node("Clip", x, writer.constant(-20, np.int8), writer.constant(90, np.int8))
    z = writer.dequantized(writer.node("Relu", y), 0.1, 3)
    assert_equals_onnx_runtime(writer.finish(z, dtype=np.float32), SEED)


def test_a_spread_number_is_added_second_whichever_it_is():
    """The order in which float32 sums round: all pairs of two inputs, of which one is spread."""
    every = np.arange(-128, 128).astype(np.int8)
    for seed in range(SEED, SEED + 40):
        rng = np.random.default_rng(seed)
        scales = [
            (np.float32(np.exp(rng.uniform(-3, 1))), int(rng.integers(-128, 128))) for _ in "abc"
        ]
        for first, second in (((256, 1), (1, 256)), ((1, 256), (256, 1))):
            writer = OnnxWriter()
            a, b, y = (writer.scale(*scale) for scale in scales)
            x = [writer.input(first), *a, writer.input(second), *b]
            data = writer.finish(writer.node("QLinearAdd", *x, *y))
            inputs = [every.reshape(first), every.reshape(second)]
            (got,), (want,) = (
                Interpreter(load_onnx(data)).run(inputs),
                OnnxRuntime(data).run(*inputs),
            )
            assert np.count_nonzero(got != want) == 0, f"seed {seed}"
