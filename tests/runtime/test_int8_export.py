"""The int8 writer of `scripts/`: what the referee computes is what the float network computes."""

import numpy as np
import pytest
from support.scripts import load_script
from tflite_micro.python.tflite_micro import runtime

SEED = 20
COUNT = 8


@pytest.fixture(scope="module")
def export():
    return load_script("int8_export")


@pytest.fixture
def rng():
    print(f"seed {SEED}")
    return np.random.default_rng(SEED)


def conv_reference(x, weight, bias, stride, same):
    """Float convolution [h, w, in] to [h', w', out], padded as TFLite does for SAME."""
    kernel = weight.shape[1]
    if same:
        total = max((-(-x.shape[0] // stride) - 1) * stride + kernel - x.shape[0], 0)
        x = np.pad(x, ((total // 2, total - total // 2),) * 2 + ((0, 0),))
    windows = np.lib.stride_tricks.sliding_window_view(x, (kernel, kernel), axis=(0, 1))
    return np.einsum("hwcij,oijc->hwo", windows[::stride, ::stride], weight) + bias


def check(writer, output, inputs, reference):
    """Compare the referee's int8 result with the float reference, in steps of the output scale."""
    model = runtime.Interpreter.from_bytes(writer.finish(output), arena_size=1 << 20)
    x = writer.input
    for real in inputs:
        quantised = np.clip(np.rint(real / x.scale) + x.zero_point, -128, 127).astype(np.int8)
        model.set_input(quantised[None], 0)
        model.invoke()
        seen = model.get_output(0).astype(np.float64)
        assert seen.shape == output.shape
        expected = reference((quantised - float(x.zero_point)) * float(x.scale))
        steps = seen[0] - output.zero_point - expected / float(output.scale)
        assert np.abs(steps).max() <= 2.5
        assert np.abs(steps).mean() <= 0.6
        assert np.unique(seen).size > 8  # the comparison saw values, not one constant


def outputs_range(reference, inputs):
    """What calibration would see, and a little below: so RELU must clamp, the range doesn't."""
    values = np.stack([reference(real) for real in inputs])
    return float(values.min()) - 1, float(values.max())


@pytest.mark.parametrize(("stride", "same"), [(1, True), (1, False), (2, True), (2, False)])
@pytest.mark.parametrize("relu", [False, True])
def test_conv(export, rng, stride, same, relu):
    writer = export.Int8Writer((1, 8, 8, 3), -1.0, 2.0, "test")
    # Channels of very different sizes: only scales per channel keep the small ones exact.
    weight = rng.normal(size=(5, 3, 3, 3)) * np.array([1, 1, 0.5, 0.1, 1])[:, None, None, None]
    bias = rng.normal(size=5)

    def reference(x):
        y = conv_reference(x, weight, bias, stride, same)
        return np.maximum(y, 0) if relu else y

    inputs = rng.uniform(-1, 2, (COUNT, 8, 8, 3))
    out = outputs_range(reference, inputs)
    y = writer.conv("c", writer.input, weight, bias, out, stride=stride, same=same, relu=relu)
    assert writer.macs == np.prod(y.shape) * 27
    check(writer, y, inputs, reference)


def test_fully_connected(export, rng):
    writer = export.Int8Writer((1, 24), -1.0, 1.0, "test")
    weight, bias = rng.normal(size=(12, 24)), rng.normal(size=12)
    inputs = rng.uniform(-1, 1, (COUNT, 24))
    out = outputs_range(lambda x: weight @ x + bias, inputs)
    y = writer.fully_connected("f", writer.input, weight, bias, out)
    assert writer.macs == 12 * 24
    check(writer, y, inputs, lambda x: weight @ x + bias)


@pytest.mark.parametrize("relu", [False, True])
def test_add(export, rng, relu):
    writer = export.Int8Writer((1, 4, 4, 3), -1.0, 1.0, "test")
    weight, bias = rng.normal(size=(3, 3, 3, 3)), rng.normal(size=3)

    def branch(x):
        return conv_reference(x, weight, bias, 1, True)

    def reference(x):
        return np.maximum(x + branch(x), 0) if relu else x + branch(x)

    inputs = rng.uniform(-1, 1, (COUNT, 4, 4, 3))
    y = writer.conv(
        "c", writer.input, weight, bias, outputs_range(branch, inputs), same=True, relu=False
    )
    z = writer.add("a", writer.input, y, outputs_range(reference, inputs), relu=relu)
    check(writer, z, inputs, reference)


@pytest.mark.parametrize("op", ["MAX_POOL_2D", "AVERAGE_POOL_2D"])
def test_pool_and_reshape(export, rng, op):
    writer = export.Int8Writer((1, 7, 7, 4), -1.0, 1.0, "test")
    reduce = np.max if op == "MAX_POOL_2D" else np.mean

    def reference(x):
        return reduce(x[:6, :6].reshape(3, 2, 3, 2, 4), axis=(1, 3)).ravel()

    y = writer.reshape("r", writer.pool("p", op, writer.input, 2), (1, 36))
    check(writer, y, rng.uniform(-1, 1, (COUNT, 7, 7, 4)), reference)


def test_softmax(export, rng):
    writer = export.Int8Writer((1, 24), -4.0, 4.0, "test")

    def reference(x):
        return np.exp(x) / np.exp(x).sum()

    check(writer, writer.softmax("s", writer.input), rng.uniform(-1, 2, (COUNT, 24)), reference)


def test_range_always_holds_zero_exactly(export):
    for low, high in [(0.5, 2.0), (-3.0, -1.0), (-1.0, 1.0), (0.0, 6.0)]:
        scale, zero_point = export.affine(low, high)
        assert -128 <= zero_point <= 127
        assert (-128 - zero_point) * scale <= min(low, 0) + scale / 2
        assert (127 - zero_point) * scale >= max(high, 0) - scale / 2
