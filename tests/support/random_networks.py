"""Small random networks and NPU configurations, drawn from seeds."""

import math
from dataclasses import replace

import numpy as np
from support.tflite_writer import ModelBuilder

from celosia.golden.config import NpuConfig
from celosia.golden.rounding import RoundingProfile

ACTIVATIONS = ("NONE", "RELU", "RELU6", "RELU_N1_TO_1")
UNARY = ("RELU", "RELU6", "LOGISTIC", "TANH", "HARD_SWISH", "QUANTIZE")
MAX_CONSTANT = 300  # values; each takes weight memory many times over
CHANNELS = (1, 2, 3, 5, 7, 8, 9, 12, 13, 16, 17, 20)


def random_network(seed, *, holes=False):
    """Bytes of a .tflite model of two to seven operators that the NPU has.

    With `holes` blocks of its weights are zeros.
    """
    model = ModelBuilder(seed, holes=holes)
    rng = model.rng
    height, width = (int(n) for n in rng.integers(1, 15, 2))
    x = model.input((1, height, width, int(rng.choice(CHANNELS))))
    made = []
    for _ in range(rng.integers(1, 6)):
        x = _image_operator(model, x)
        made.append(x)
    outputs = [_head(model, x) if rng.random() < 0.5 else x]
    if rng.random() < 0.4:
        outputs += [t for t in made if t not in outputs and rng.random() < 0.5]
    return model.finish(*outputs)


def _image_operator(model, x):
    rng = model.rng
    activation = str(rng.choice(ACTIVATIONS, p=(0.4, 0.3, 0.2, 0.1)))
    draw = rng.random()
    if draw < 0.35:
        return _convolution(model, x, int(rng.choice(CHANNELS)), activation)
    if draw < 0.5:
        return _depthwise(model, x, activation)
    if draw < 0.65:
        kernel = tuple(int(n) for n in rng.integers(1, 4, 2))
        branch = model.conv(x, model.shape(x)[3], kernel, activation=activation)
        return _binary(model, x, branch, activation)
    if draw < 0.8:
        return _function(model, x, activation)
    if draw < 0.85:
        return _excitation(model, x, activation)
    if draw < 0.9:
        return _pad(model, x)
    if draw < 0.95:
        return _concatenation(model, x)
    if draw < 0.97 and x not in model.inputs:
        return _reshape(model, x) if rng.random() < 0.5 else _slice(model, x)
    window = _window(model, x, 4)
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    kind = str(rng.choice(("AVERAGE", "MAX")))
    padding = str(rng.choice(("SAME", "VALID")))
    return model.pool(x, kind, window, stride=stride, padding=padding, activation=activation)


def _binary(model, a, b, activation):
    """A sum, difference or product of two tensors in either order."""
    operator = str(model.rng.choice(("add", "add", "sub", "mul")))
    pair = (a, b) if model.rng.random() < 0.5 else (b, a)
    return getattr(model, operator)(*pair, activation=activation)


def _excitation(model, x, activation):
    """A tensor and something smaller: means of its channels, its pixels' share, or constants."""
    rng = model.rng
    batch, height, width, channels = model.shape(x)
    draw = rng.random()
    if draw < 0.4:
        gate = model.conv(model.mean(x, keep_dims=True), channels, (1, 1))
        gate = _function(model, gate, "NONE") if rng.random() < 0.7 else gate
    elif draw < 0.55:
        gate = model.pool(x, "MAX", (height, 1))
    elif draw < 0.7:
        gate = model.mean(x, (3,), keep_dims=True)
    else:
        shape = [int(rng.choice((1, size))) for size in (batch, height, width)]
        shape = shape if math.prod(shape) * channels <= MAX_CONSTANT else (1, 1, 1)
        values = rng.integers(-128, 128, (*shape, channels)[int(rng.integers(0, 4)) :], np.int8)
        gate = model.constant(values, scale=0.1, zero_point=int(rng.integers(-128, 128)))
    return _binary(model, x, gate, activation)


def _pad(model, x):
    """PAD, in front of a convolution in half of the cases."""
    rng = model.rng
    pads = rng.integers(0, 3, (4, 2))
    pads[0] = 0
    pads[3] *= rng.random() < 0.3
    y = model.pad(x, pads.tolist())
    return _convolution(model, y, int(rng.choice(CHANNELS)), "NONE") if rng.random() < 0.5 else y


def _slice(model, x):
    """Some rows, columns and channels, with or without steps."""
    rng = model.rng
    _, *sizes = model.shape(x)
    begin = [0, *(int(rng.integers(0, size)) if rng.random() < 0.6 else 0 for size in sizes)]
    end = [1, *sizes]
    strides = [1, *rng.choice((1, 1, 1, 2), 3).tolist()]
    return model.strided_slice(x, begin, end, strides)


def _reshape(model, x):
    """Another number of channels, by taking factors from the width or giving them to it."""
    _, height, width, channels = model.shape(x)
    values = width * channels
    fitting = [n for n in range(1, min(values, 24) + 1) if values % n == 0]
    channels = int(model.rng.choice(fitting))
    return model.reshape(x, (1, height, values // channels, channels))


def _concatenation(model, x):
    """Parts made of one tensor, and sometimes itself, joined along rows, columns or channels."""
    rng = model.rng
    axis = int(rng.integers(1, 4))
    quantization = {"output_scale": model.scale(x), "output_zero_point": model.zero_point(x)}
    parts = []
    for _ in range(rng.integers(1, 4)):
        channels = int(rng.choice(CHANNELS)) if axis == 3 else model.shape(x)[3]
        part = model.conv(x, channels, (1, 1), **quantization)
        if rng.random() < 0.3:
            part = model.pool(part, "MAX", (2, 2), stride=(1, 1), padding="SAME")
        parts.append(part)
    if rng.random() < 0.3:
        parts.append(x)
    order = rng.permutation(len(parts))
    return model.concatenation([parts[int(n)] for n in order], axis)


def _function(model, x, activation):
    """One to three operators of one tensor."""
    rng = model.rng
    for _ in range(rng.integers(1, 4)):
        kind = str(rng.choice((*UNARY, "ADD", "MUL")))
        scale = float(model.scale(x))
        if kind in UNARY:
            x = model.unary(kind, x, scale * rng.uniform(0.5, 2))
            continue
        number = model.constant(
            rng.integers(-128, 128, (1,) * int(rng.integers(0, 5))).astype(np.int8),
            scale=scale * rng.uniform(0.3, 1) if kind == "ADD" else rng.uniform(0.005, 0.02),
            zero_point=int(rng.integers(-128, 128)),
        )
        pair = (x, number) if rng.random() < 0.5 else (number, x)
        operator = model.add if kind == "ADD" else model.mul
        x = operator(*pair, activation=activation)
    return x


def _convolution(model, x, channels, activation):
    rng = model.rng
    kernel = _window(model, x, 5)
    stride = tuple(int(n) for n in rng.integers(1, 4, 2))
    dilation = (1, 1)
    padding = str(rng.choice(("SAME", "VALID")))
    if rng.random() < 0.2 and padding == "SAME":
        stride, dilation = (1, 1), tuple(int(n) for n in rng.integers(1, 4, 2))
    return model.conv(
        x,
        channels,
        kernel,
        stride=stride,
        dilation=dilation,
        padding=padding,
        activation=activation,
        bias=bool(rng.random() < 0.8),
        per_channel=bool(rng.random() < 0.8),
    )


def _depthwise(model, x, activation):
    rng = model.rng
    dilated = rng.random() < 0.1
    return model.depthwise(
        x,
        _window(model, x, 9 if rng.random() < 0.3 else 4),
        multiplier=int(rng.integers(1, 4)) if model.shape(x)[3] <= 12 else 1,
        stride=(1, 1) if dilated else tuple(int(n) for n in rng.integers(1, 4, 2)),
        dilation=(2, 1) if dilated else (1, 1),
        padding="SAME" if dilated else str(rng.choice(("SAME", "VALID"))),
        activation=activation,
        per_channel=bool(rng.random() < 0.8),
    )


def _window(model, x, most):
    _, height, width, _ = model.shape(x)
    return tuple(int(model.rng.integers(1, min(size, most) + 1)) for size in (height, width))


def _head(model, x):
    rng = model.rng
    draw = rng.random()
    if draw < 0.3:
        axes = ((1, 2), (1,), (2,), (2, 3), (3,), (1, 2, 3))[int(rng.integers(0, 6))]
        x = model.mean(x, axes, keep_dims=bool(rng.random() < 0.5))
        x = model.reshape(x, (1, math.prod(model.shape(x))))
    elif draw < 0.7:
        x = model.reshape(x, (1, math.prod(model.shape(x))))
    for _ in range(rng.integers(1, 3)):
        x = model.fully_connected(
            x,
            int(rng.choice(CHANNELS)),
            activation=str(rng.choice(ACTIVATIONS)),
            per_channel=bool(rng.random() < 0.3),
            bias=bool(rng.random() < 0.8),
        )
    return model.softmax(x) if rng.random() < 0.4 else x


def random_config(seed):
    """A configuration of any geometry with room for small networks."""
    rng = np.random.default_rng(seed)
    rows, columns = (int(n) for n in rng.integers(4, 17, 2))
    lanes = [n for n in range(1, rows + 1) if rows % n == 0]
    return NpuConfig(
        name=f"random{seed}",
        rows=rows,
        columns=columns,
        scratchpad_kib=64,
        weight_kib=512,
        accumulator_depth=2 * int(rng.integers(4, 129)),
        requantizer_lanes=int(rng.choice(lanes)),
        profiles=tuple(RoundingProfile),
        depthwise_taps=int(rng.integers(0, 6)),
    )


def cramped(config, seed):
    """The configuration with memories that most random networks don't fit into."""
    rng = np.random.default_rng(seed)
    return replace(
        config,
        scratchpad_kib=int(rng.choice((1, 1, 2, 4))),
        weight_kib=int(rng.choice((3, 4, 8, 16))),
    )
