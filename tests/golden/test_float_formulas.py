"""The float32 profile's formulas against ONNX Runtime's kernels, on all pairs of bytes.

Two ways of rounding differ in one pair of a hundred thousand: only all pairs, for many scales, tell
them apart.
"""

import numpy as np
import pytest
from support.onnx_writer import OnnxRuntime, OnnxWriter

from celosia.golden.graph import Activation, Quantization, Tensor
from celosia.golden.ops import elementwise
from celosia.golden.ops.float_formulas import logistic
from celosia.golden.quantization import RoundingMode, RoundingProfile

SEED = 20_263
DRAWS = 60


def tensor(scale, zero_point):
    quantization = Quantization(np.array([scale], np.float32), np.array([zero_point], np.int32))
    return Tensor("t", (1,), np.dtype(np.int8), quantization)


def draws(product):
    """Scales and zero points of two operands and the output; some tie, some overflow."""
    rng = np.random.default_rng(SEED)
    for number in range(DRAWS):
        a, b, output = (np.float32(s) for s in np.exp(rng.uniform(-3, 1, 3)))
        if number % 3 == 0:
            b = a
        if number % 5 == 0:
            output = np.float32(a * 2)
        if product:
            output = np.float32(a * b * 2 if number % 4 == 0 else output * 20)
        if number % 7 == 0:
            a, b, output = np.float32(0.5), np.float32(0.25), np.float32(32 if product else 0.5)
        yield list(zip((a, b, output), (int(z) for z in rng.integers(-128, 128, 3)), strict=True))


def runtime_of(kind, scales, shapes, dtype):
    """A QLinear node of two inputs in ONNX Runtime; bytes go in and come out signed."""
    offset = 128 if dtype == np.uint8 else 0
    writer = OnnxWriter()
    names = [
        [writer.input(shape, dtype), *writer.scale(scale, zero + offset, dtype)]
        for shape, (scale, zero) in zip(shapes, scales[:2], strict=True)
    ]
    scale, zero = scales[2]
    y = writer.node(kind, *names[0], *names[1], *writer.scale(scale, zero + offset, dtype))
    session = OnnxRuntime(writer.finish(y, dtype=dtype))

    def run(a, b):
        moved = [(value.astype(np.int16) + offset).astype(dtype) for value in (a, b)]
        return (session.run(*moved)[0].astype(np.int16) - offset).astype(np.int8)

    return run


def kernel_of(kind, scales, dtype):
    tensors = [tensor(*item) for item in scales]
    common = {"activation": Activation.NONE, "mode": RoundingMode.FLOAT32}
    common["unsigned"] = dtype == np.uint8
    if kind == "QLinearMul":
        return elementwise.mul(*tensors, profile=RoundingProfile.FLOAT32, **common)
    return elementwise.add(*tensors, **common)


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
@pytest.mark.parametrize("kind", ["QLinearAdd", "QLinearMul"])
def test_all_pairs(kind, dtype):
    every = np.arange(-128, 128).astype(np.int8)
    a, b = (pairs.reshape(-1) for pairs in np.meshgrid(every, every, indexing="ij"))
    for scales in draws(kind == "QLinearMul"):
        run = runtime_of(kind, scales, [(a.size,), (b.size,)], dtype)
        different = np.count_nonzero(kernel_of(kind, scales, dtype)(a, b) != run(a, b))
        assert different == 0, f"{different} of {a.size} pairs differ for {scales}; seed {SEED}"


@pytest.mark.parametrize("dtype", [np.int8, np.uint8])
def test_a_spread_number_is_added_second(dtype):
    """[256, 1] + [1, 256]: each number of the first meets a run of the second."""
    every = np.arange(-128, 128).astype(np.int8)
    first, second = every[:, None], every[None]
    for scales in draws(False):
        want = runtime_of("QLinearAdd", scales, [(256, 1), (1, 256)], dtype)(first, second)
        swapped = kernel_of("QLinearAdd", [scales[1], scales[0], scales[2]], dtype)
        assert np.count_nonzero(swapped(second, first) != want) == 0, f"{scales}; seed {SEED}"


def test_logistic_equals_the_float_operator():
    writer = OnnxWriter()
    x = writer.input((1, 100_000), np.float32)
    session = OnnxRuntime(writer.finish(writer.node("Sigmoid", x), dtype=np.float32))
    values = np.random.default_rng(SEED).normal(0, 6, (1, 100_000)).astype(np.float32)
    np.testing.assert_array_equal(logistic(values), session.run(values)[0])
