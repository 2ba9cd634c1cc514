"""Float ONNX networks as PyTorch exports them, and their int8 forms by ONNX Runtime's quantiser."""

import logging

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)
from support.onnx_writer import OnnxWriter

CLASSES = 7


class FloatNetwork(OnnxWriter):
    """Layers with drawn weights on NCHW images; values know their channels."""

    def __init__(self, seed=0, size=16, channels=3):
        super().__init__(seed)
        self.channels = {}
        self.x = self.input([1, channels, size, size], np.float32, "image")
        self.channels[self.x] = channels

    def conv(self, x, out, kernel=1, *, stride=1, group=1, bias=True):
        """A convolution that keeps the size, or halves it."""
        inner = self.channels[x] // group
        scale = (2 / (inner * kernel * kernel)) ** 0.5
        weights = self.rng.normal(0, scale, (out, inner, kernel, kernel))
        inputs = [x, self.constant(weights, np.float32)]
        if bias:
            inputs.append(self.constant(self.rng.normal(0, 0.1, out), np.float32))
        y = self.node(
            "Conv",
            *inputs,
            kernel_shape=[kernel] * 2,
            strides=[stride] * 2,
            pads=[kernel // 2] * 4,
            group=group,
        )
        return self._like(y, out)

    def depthwise(self, x, kernel=3, *, stride=1, bias=True):
        """A depthwise convolution."""
        count = self.channels[x]
        return self.conv(x, count, kernel, stride=stride, group=count, bias=bias)

    def batch_norm(self, x):
        """BatchNormalization with drawn statistics."""
        count, rng = self.channels[x], self.rng
        numbers = [rng.uniform(0.5, 1.5, count), rng.normal(0, 0.2, count)]
        numbers += [rng.normal(0, 0.2, count), rng.uniform(0.5, 1.5, count)]
        constants = [self.constant(values, np.float32) for values in numbers]
        return self._like(self.node("BatchNormalization", x, *constants), count)

    def relu(self, x):
        """Relu."""
        return self._like(self.node("Relu", x), self.channels[x])

    def relu6(self, x):
        """Clip from 0 to 6."""
        bounds = [self.constant(bound, np.float32) for bound in (0, 6)]
        return self._like(self.node("Clip", x, *bounds), self.channels[x])

    def function(self, kind, x, **attributes):
        """Any function of one value."""
        return self._like(self.node(kind, x, **attributes), self.channels[x])

    def add(self, a, b):
        """A residual sum."""
        return self._like(self.node("Add", a, b), self.channels[a])

    def mul(self, a, b):
        """A product."""
        return self._like(self.node("Mul", a, b), self.channels[a])

    def max_pool(self, x):
        """Halves the size."""
        y = self.node("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
        return self._like(y, self.channels[x])

    def global_pool(self, x):
        """GlobalAveragePool."""
        return self._like(self.node("GlobalAveragePool", x), self.channels[x])

    def squeeze_and_excite(self, x, inner, gate="Sigmoid"):
        """Channels scaled by a function of their means."""
        y = self.relu(self.conv(self.global_pool(x), inner))
        return self.mul(x, self.function(gate, self.conv(y, self.channels[x])))

    def head(self, x, features=None):
        """Flatten and Gemm."""
        depth = features or self.channels[x]
        weights = self.constant(self.rng.normal(0, depth**-0.5, (CLASSES, depth)), np.float32)
        bias = self.constant(self.rng.normal(0, 0.1, CLASSES), np.float32)
        return self.node("Gemm", self.node("Flatten", x), weights, bias, transB=1)

    def float_model(self, *outputs):
        """The float model."""
        for name in outputs:
            self.output(name, np.float32)
        return self.model()

    def _like(self, name, channels):
        self.channels[name] = channels
        return name


def residual_network(seed=1):
    """Two residual blocks, a max pool between them."""
    net = FloatNetwork(seed)
    x = net.relu(net.conv(net.x, 8, 3))
    y = net.conv(net.relu(net.conv(x, 8, 3)), 8, 3)
    x = net.max_pool(net.relu(net.add(x, y)))
    y = net.conv(net.relu(net.conv(x, 12, 3, stride=2)), 12, 3)
    x = net.relu(net.add(net.conv(x, 12, stride=2), y))
    return net.float_model(net.head(net.global_pool(x)))


def mobile_network(seed=2):
    """Inverted residuals with depthwise convolutions and ReLU6."""
    net = FloatNetwork(seed)
    x = net.relu6(net.conv(net.x, 8, 3, stride=2))
    for out, stride, kernel in ((8, 1, 3), (12, 2, 5), (12, 1, 3)):
        y = net.relu6(net.conv(x, 2 * net.channels[x]))
        y = net.relu6(net.depthwise(y, kernel, stride=stride))
        y = net.conv(y, out)
        x = net.add(x, y) if stride == 1 and out == net.channels[x] else y
    return net.float_model(net.head(net.global_pool(net.relu6(net.conv(x, 24)))))


def flat_network(seed=3):
    """An image that is flattened in front of a Gemm."""
    net = FloatNetwork(seed, size=8)
    x = net.max_pool(net.relu(net.conv(net.x, 6, 3)))
    return net.float_model(net.head(x, 6 * 16))


class _Samples(CalibrationDataReader):
    def __init__(self, name, samples):
        self._samples = iter([{name: sample[None]} for sample in samples])

    def get_next(self):
        return next(self._samples, None)


def samples_of(model, count, seed=0):
    """Normally distributed inputs of a network of one input."""
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    return np.random.default_rng(seed).normal(0, 1, (count, *shape[1:])).astype(np.float32)


def quantized(model, folder, *, qdq, unsigned=False):
    """Bytes of the model quantised by ONNX Runtime, per channel."""
    source, target = folder / "float.onnx", folder / "int8.onnx"
    onnx.save(model, source)
    logging.disable(logging.WARNING)  # it recommends pre-processing
    try:
        quantize_static(
            source,
            target,
            _Samples(model.graph.input[0].name, samples_of(model, 8)),
            quant_format=QuantFormat.QDQ if qdq else QuantFormat.QOperator,
            per_channel=True,
            activation_type=QuantType.QUInt8 if unsigned else QuantType.QInt8,
            weight_type=QuantType.QInt8,
        )
    finally:
        logging.disable(logging.NOTSET)
    return target.read_bytes()


def newcomers_network(seed=4):
    """What PyTorch exports: normalisations, both kinds of gates, pools, a residual, a softmax."""
    net = FloatNetwork(seed)
    x = net.relu6(net.batch_norm(net.conv(net.x, 8, 3, stride=2, bias=False)))
    y = net.function("HardSwish", net.batch_norm(net.conv(x, 16, bias=False)))
    y = net.relu(net.batch_norm(net.depthwise(y, bias=False)))
    y = net.squeeze_and_excite(y, 4, "HardSigmoid")
    x = net.add(x, net.batch_norm(net.conv(y, 8, bias=False)))
    y = net.function("Sigmoid", net.conv(x, 8))
    x = net.max_pool(net.mul(x, y))
    x = net.squeeze_and_excite(x, 4)
    x = net.relu(net.batch_norm(x))
    x = net.conv(x, 12, 3)
    return net.float_model(net.node("Softmax", net.head(net.global_pool(x)), axis=1))
