"""ONNX models that can't run: one sentence each; damaged files among them."""

import sys
import time

import numpy as np
import onnx
import pytest
from support.damage import FOREIGN, mutated, truncated
from support.onnx_networks import flat_network, mobile_network, quantized
from support.onnx_writer import OnnxRuntime, OnnxWriter

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_onnx
from celosia.golden.config import load_config
from celosia.golden.errors import CelosiaError
from celosia.golden.interpreter import Interpreter

SEEDS = 200
LIMIT_S = 5.0


def network(build, dtype=np.int8, shape=(1, 4, 6, 6), **options):
    """A network of what `build(writer, x)` makes of an input."""
    writer = OnnxWriter(1, **options)
    return writer.finish(build(writer, writer.input(shape, dtype)), dtype=np.int8)


def real(writer, x):
    return writer.dequantized(x, 0.1, 3)


def conv(writer, x, weights=None, **attributes):
    weights = np.ones((2, 4, 3, 3), np.int8) if weights is None else weights
    kernel = writer.dequantized(writer.constant(weights), 0.1, np.zeros((), weights.dtype))
    return writer.quantized(writer.node("Conv", real(writer, x), kernel, **attributes), 0.1, 0)


def product(writer, x, weights, zero_point):
    names = [*writer.scale(0.1, 0), writer.constant(weights), *writer.scale(0.1, zero_point)]
    return writer.node("QLinearMatMul", x, *names, *writer.scale(0.1, 0))


CASES = {
    "float": (
        lambda w, x: w.node("Relu", x),
        "the model is a float one, and only int8 models run: quantise it with",
    ),
    "unknown": (
        lambda w, x: w.quantized(w.node("LRN", real(w, x), size=3), 0.1, 0),
        "node 1 (LRN, output 'LRN1') can't run: the operator isn't supported; supported are Abs",
    ),
    "domain": (
        lambda w, x: w.node("QuantizeLinear", x, domain="custom"),
        "its domain must be ONNX's own or com.microsoft, not 'custom'",
    ),
    "left in float": (
        lambda w, x: w.quantized(w.node("Sigmoid", w.node("Conv", real(w, x), kernel(w))), 0.1, 0),
        "must be quantised: a QuantizeLinear and DequantizeLinear must stand in front",
    ),
    "float weights": (
        lambda w, x: w.quantized(
            w.node("Conv", real(w, x), w.constant(np.ones((2, 4, 3, 3)), np.float32)), 0.1, 0
        ),
        "must be quantised: 'celosia quantize' makes an int8 model of a float one",
    ),
    "variable weights": (
        lambda w, x: w.quantized(w.node("MatMul", real(w, x), real(w, x)), 0.1, 0),
        "must be a constant: products of two computed tensors aren't supported",
    ),
    "weights that don't fit": (
        lambda w, x: product(w, x, np.ones((7, 5), np.int8), 0),
        "of shape (1, 4, 6, 6) must have 7 columns",
    ),
    "channels": (
        lambda w, x: conv(w, x, np.ones((2, 3, 3, 3), np.int8)),
        "weights of shape (2, 3, 3, 3) in 1 groups must fit an input of 4 channels",
    ),
    "window": (
        lambda w, x: conv(w, x, np.ones((2, 4, 9, 9), np.int8)),
        "its window of 9 must fit into its padded input of 6",
    ),
    "pads": (
        lambda w, x: conv(w, x, pads=[-1, 0, 0, 0]),
        "its padding must not be negative, not (-1, 0, 0, 0)",
    ),
    "auto_pad": (
        lambda w, x: conv(w, x, auto_pad="SOME"),
        "its auto_pad must be NOTSET, SAME_UPPER, SAME_LOWER or VALID",
    ),
    "scale": (
        lambda w, x: w.quantized(w.dequantized(x, 0.0, 0), 0.1, 0),
        "must be positive numbers",
    ),
    "scale type": (
        lambda w, x: w.node("DequantizeLinear", x, w.constant(0.1, np.float16)),
        "must be float32, not float16",
    ),
    "far scale": (
        lambda w, x: w.quantized(real(w, x), 1e-20, 0),
        "it would rescale by 1e+19, which must be below 1.07e+09",
    ),
    "two scales": (
        lambda w, x: w.quantized(w.node("Add", real(w, x), w.dequantized(x, 0.2, 3)), 0.1, 0),
        "must be read with the scale and zero point that it is written with (0.1 and 3)",
    ),
    "shapes": (
        lambda w, x: w.quantized(
            w.node("Add", real(w, x), real(w, w.input((5,), name="other"))), 0.1, 0
        ),
        "its inputs must have shapes that broadcast, not (1, 4, 6, 6) and (5,)",
    ),
    "two tensors": (
        lambda w, x: w.quantized(
            w.node("Div", real(w, x), real(w, w.input((1, 4, 6, 6), name="other"))), 0.1, 0
        ),
        "it must have one input that is a single constant number",
    ),
    "batch norm": (
        lambda w, x: w.quantized(
            w.node(
                "BatchNormalization",
                real(w, x),
                *[w.constant(np.ones(4), np.float32) for _ in range(4)],
            ),
            0.1,
            0,
        ),
        "it must follow a Conv or Gemm directly, into whose weights it is folded",
    ),
    "transA": (
        lambda w, x: w.quantized(w.node("Gemm", real(w, x), kernel(w, (6, 5)), transA=1), 0.1, 0),
        "its first input must not be transposed",
    ),
    "alpha": (
        lambda w, x: w.quantized(w.node("Gemm", real(w, x), kernel(w, (6, 5)), alpha=2.0), 0.1, 0),
        "its alpha must be 1, not 2",
    ),
    "reshape": (
        lambda w, x: w.node("Reshape", w.quantized(real(w, x), 0.2, 0), w.constant([5, 5])),
        "its output of shape (5, 5) must have as many elements as its input of shape",
    ),
    "permutation": (
        lambda w, x: w.node("Transpose", w.quantized(real(w, x), 0.2, 0), perm=[0, 1, 2, 2]),
        "its perm must order 4 axes, not (0, 1, 2, 2)",
    ),
    "axis": (
        lambda w, x: w.node("Concat", *[w.quantized(real(w, x), 0.2, 0)] * 2, axis=7),
        "its axis must be from -4 to 3, not 7",
    ),
    "mean": (
        lambda w, x: w.quantized(w.node("ReduceMean", real(w, x), axes=[1]), 0.1, 0),
        "it must be over the pixels of an image [batch, channels, height, width], not axes (1,)",
    ),
    "pad mode": (
        lambda w, x: w.node(
            "Pad", w.quantized(real(w, x), 0.2, 0), w.constant([0, 0, 1, 1] * 2), mode="reflect"
        ),
        "its mode must be constant, not reflect",
    ),
    "pad value": (
        lambda w, x: w.node(
            "Pad",
            w.quantized(real(w, x), 0.2, 7),
            w.constant([0, 0, 1, 1] * 2),
            w.constant(1, np.int8),
        ),
        "its constant value must be what stands for 0, 7, not 1",
    ),
    "indices": (
        lambda w, x: w.node(
            "MaxPool", w.quantized(real(w, x), 0.2, 0), kernel_shape=[2, 2], outputs=2
        )[0],
        "its second output isn't supported",
    ),
    "pool dilation": (
        lambda w, x: w.node(
            "MaxPool", w.quantized(real(w, x), 0.2, 0), kernel_shape=[2, 2], dilations=[2, 2]
        ),
        "its dilations must be 1, not (2, 2)",
    ),
    "not monotone": (
        lambda w, x: w.quantized(
            w.node("MaxPool", w.node("Neg", real(w, x)), kernel_shape=[2, 2]), 0.1, 0
        ),
        "must grow with the bytes that it comes from",
    ),
    "blocks": (
        lambda w, x: conv(
            w,
            w.node(
                "QuantizeLinear", real(w, x), w.constant(0.1, np.float32), w.constant(0, np.int16)
            ),
        ),
        "must be int8 or uint8, not int16",
    ),
}


def kernel(writer, shape=(2, 4, 3, 3)):
    return writer.dequantized(writer.constant(np.ones(shape, np.int8)), 0.1, 0)


@pytest.mark.parametrize("name", list(CASES))
def test_each_thing_gets_its_sentence(name):
    build, sentence = CASES[name]
    with pytest.raises(CelosiaError) as refused:
        load_onnx(network(build))
    assert sentence in str(refused.value)
    assert str(refused.value).isprintable()


@pytest.mark.parametrize(
    ("shape", "dtype", "sentence"),
    [
        (("n", 4, "h", 6), np.int8, "must have a fixed shape, not (n, 4, h, 6); export the model"),
        ((1, 4), np.int32, "must be INT8, UINT8 or FLOAT, not INT32"),
        ((1 << 20, 1 << 20), np.int8, "must have at most 8 dimensions and 67108864 elements"),
    ],
)
def test_inputs_that_can_not_be_given(shape, dtype, sentence):
    with pytest.raises(CelosiaError) as refused:
        load_onnx(network(lambda w, x: w.quantized(real(w, x), 0.1, 0), dtype, shape))
    assert sentence in str(refused.value)


def test_a_batch_of_any_size_is_one_sample():
    graph = load_onnx(network(lambda w, x: w.quantized(real(w, x), 0.2, 0), shape=("n", 3)))
    assert graph.tensors[graph.inputs[0]].shape == (1, 3)


def test_old_operator_sets_are_refused():
    with pytest.raises(CelosiaError, match="operator set must be 10 or newer, not 9"):
        load_onnx(network(lambda w, x: w.node("Relu", x), opset=9))


def test_weights_in_files_of_their_own(tmp_path):
    model = onnx.load_model_from_string(quantized(mobile_network(), tmp_path, qdq=True))
    onnx.save(model, tmp_path / "outside.onnx", save_as_external_data=True, size_threshold=0)
    assert load_onnx(tmp_path / "outside.onnx").operators
    with pytest.raises(CelosiaError, match="must be in the file, or in the file beside it"):
        load_onnx((tmp_path / "outside.onnx").read_bytes())


def test_without_the_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(CelosiaError, match=r'an extra: pip install "celosia\[onnx\]"'):
        load_onnx(b"")


def test_files_that_can_not_be_read(tmp_path):
    with pytest.raises(CelosiaError, match="can't be read: No such file"):
        load_onnx(tmp_path / "none.onnx")
    with pytest.raises(CelosiaError, match="must be a file"):
        load_onnx(tmp_path)


@pytest.mark.parametrize("name", list(FOREIGN))
def test_foreign_files(name):
    with pytest.raises(CelosiaError):
        load_onnx(FOREIGN[name])


@pytest.mark.parametrize("damage", [truncated, mutated])
@pytest.mark.parametrize("make", [flat_network, mobile_network])
@pytest.mark.parametrize("qdq", [False, True])
def test_damaged_files_end_in_one_sentence(tmp_path, make, qdq, damage):
    data = quantized(make(), tmp_path, qdq=qdq)
    for seed in range(SEEDS):
        print(f"seed {seed}")
        start = time.monotonic()
        try:
            load_onnx(damage(data, np.random.default_rng(seed)))
        except CelosiaError as error:
            message = str(error)
            assert 20 < len(message) < 2000
            assert "\n" not in message
        assert time.monotonic() - start < LIMIT_S


def test_channel_shuffles_and_transposes_cost_nothing():
    """Reshape, Transpose, Reshape between convolutions only reorders the next one's weights."""
    writer = OnnxWriter(4)
    rng = writer.rng
    x = writer.input((1, 8, 5, 5))

    def layer(value, seed):
        weights = writer.constant(rng.integers(-127, 128, (8, 8, 3, 3)), np.int8)
        w = writer.dequantized(weights, 0.011713, 0)
        y = writer.node("Conv", real(writer, value), w, pads=[1] * 4)
        return writer.quantized(y, 0.5 + seed, 3)

    y = layer(x, 0)
    y = writer.node("Reshape", writer.dequantized(y, 0.5, 3), writer.constant([1, 2, 4, 5, 5]))
    y = writer.node("Transpose", y, perm=[0, 2, 1, 3, 4])
    y = writer.node("Reshape", y, writer.constant([1, 8, 5, 5]))
    weights = writer.constant(rng.integers(-127, 128, (8, 8, 3, 3)), np.int8)
    w = writer.dequantized(weights, 0.011713, 0)
    y = writer.quantized(writer.node("Conv", y, w), 1.9357, 3)
    data = writer.finish(y)
    graph = load_onnx(data)
    kinds = [operator.kind.value for operator in graph.operators]
    assert kinds == ["TRANSPOSE", "CONV_2D", "CONV_2D", "TRANSPOSE"]
    sample = rng.integers(-128, 128, (1, 8, 5, 5)).astype(np.int8)
    (got,), (want,) = Interpreter(graph).run([sample]), OnnxRuntime(data).run(sample)
    # Float sums of the QDQ form may round a tie the other way.
    assert np.count_nonzero(got != want) == 0
    compile_model(graph, load_config("npu8x8"))
