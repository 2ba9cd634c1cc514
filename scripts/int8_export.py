"""Writes a float network as an int8 .tflite file, layer by layer.

The scheme is TFLite's int8 quantisation (https://ai.google.dev/edge/litert/models/quantization_spec):
weights symmetric in [-127, 127], per output channel for convolutions and per tensor for fully
connected layers; biases int32 of scale `input scale * weight scale`; activations affine and per
tensor, from the range that calibration saw. Needs the `tflite-micro` wheel, for its flatbuffers
object API.
"""

from dataclasses import dataclass

import flatbuffers
import numpy as np
from numpy.typing import NDArray
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

Array = NDArray[np.float64]
Range = tuple[float, float]

_TYPES = {np.dtype(np.int8): schema.TensorType.INT8, np.dtype(np.int32): schema.TensorType.INT32}


@dataclass(frozen=True)
class Value:
    """An activation of the network under construction: its tensor, NHWC shape and quantisation."""

    index: int
    shape: tuple[int, ...]
    scale: np.float32
    zero_point: int


def affine(low: float, high: float) -> tuple[np.float32, int]:
    """Scale and zero point of an int8 activation that spans [low, high] and holds 0 exactly."""
    low, high = min(low, 0.0), max(high, 0.0)
    scale = np.float32((high - low) / 255)
    return scale, int(np.clip(round(-128 - low / float(scale)), -128, 127))


class Int8Writer:
    """Builds one int8 model; every method appends an operator and returns its output."""

    def __init__(self, shape: tuple[int, ...], low: float, high: float, description: str) -> None:
        self._buffers = [schema.BufferT()]  # buffer 0 is the empty one, by convention
        self._tensors: list[schema.TensorT] = []
        self._operators: list[schema.OperatorT] = []
        self._codes: list[int] = []
        self._description = description
        self.macs = 0
        scale, zero_point = affine(low, high)
        self.input = Value(
            self._tensor("input", shape, np.int8, scale, zero_point), shape, scale, zero_point
        )

    def conv(
        self,
        name: str,
        x: Value,
        weight: Array,
        bias: Array,
        out: Range,
        *,
        stride: int = 1,
        same: bool = True,
        relu: bool = True,
    ) -> Value:
        """CONV_2D; `weight` is [out, kh, kw, in], `out` the range of the (activated) result."""
        channels, kh, kw, _ = weight.shape
        scales = np.maximum(np.abs(weight).max(axis=(1, 2, 3)) / 127, 1e-8).astype(np.float32)
        steps = [
            -(-n // stride) if same else (n - k) // stride + 1
            for n, k in zip(x.shape[1:3], (kh, kw), strict=True)
        ]
        shape = (1, *steps, channels)
        self.macs += int(np.prod(shape)) * weight[0].size
        options = schema.Conv2DOptionsT()
        options.padding = schema.Padding.SAME if same else schema.Padding.VALID
        options.strideH = options.strideW = stride
        options.fusedActivationFunction = _activation(relu)
        inputs = [x.index, *self._weights(name, x, weight, bias, scales)]
        return self._append(name, "CONV_2D", "Conv2DOptions", options, inputs, shape, *affine(*out))

    def fully_connected(self, name: str, x: Value, weight: Array, bias: Array, out: Range) -> Value:
        """FULLY_CONNECTED; `weight` is [out, in], quantised per tensor."""
        scales = np.array([np.abs(weight).max() / 127], np.float32)
        self.macs += weight.size
        inputs = [x.index, *self._weights(name, x, weight, bias, scales)]
        options = schema.FullyConnectedOptionsT()
        shape = (1, weight.shape[0])
        return self._append(
            name, "FULLY_CONNECTED", "FullyConnectedOptions", options, inputs, shape, *affine(*out)
        )

    def add(self, name: str, a: Value, b: Value, out: Range, *, relu: bool = True) -> Value:
        """ADD of two activations of one shape, each with its own scale."""
        options = schema.AddOptionsT()
        options.fusedActivationFunction = _activation(relu)
        inputs = [a.index, b.index]
        return self._append(name, "ADD", "AddOptions", options, inputs, a.shape, *affine(*out))

    def pool(self, name: str, op: str, x: Value, size: int) -> Value:
        """MAX_POOL_2D or AVERAGE_POOL_2D over size x size windows that do not overlap."""
        options = schema.Pool2DOptionsT()
        options.padding = schema.Padding.VALID
        options.filterHeight = options.filterWidth = options.strideH = options.strideW = size
        _, height, width, channels = x.shape
        shape = (1, height // size, width // size, channels)
        return self._append(
            name, op, "Pool2DOptions", options, [x.index], shape, x.scale, x.zero_point
        )

    def reshape(self, name: str, x: Value, shape: tuple[int, ...]) -> Value:
        """RESHAPE, with the new shape as a constant tensor as well as in the options."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        target = self._constant(f"{name}/shape", np.array(shape, np.int32))
        inputs = [x.index, target]
        return self._append(
            name, "RESHAPE", "ReshapeOptions", options, inputs, shape, x.scale, x.zero_point
        )

    def softmax(self, name: str, x: Value) -> Value:
        """SOFTMAX; TFLite fixes its output to scale 1/256 and zero point -128."""
        options = schema.SoftmaxOptionsT()
        options.beta = 1.0
        scale = np.float32(1 / 256)
        return self._append(
            name, "SOFTMAX", "SoftmaxOptions", options, [x.index], x.shape, scale, -128
        )

    def finish(self, output: Value) -> bytes:
        """The bytes of the .tflite file, with `output` as the model's only result."""
        graph = schema.SubGraphT()
        graph.name = "main"
        graph.tensors = self._tensors
        graph.operators = self._operators
        graph.inputs = [self.input.index]
        graph.outputs = [output.index]
        model = schema.ModelT()
        model.version = 3
        model.description = self._description
        model.buffers = self._buffers
        model.subgraphs = [graph]
        model.operatorCodes = []
        for builtin in self._codes:
            code = schema.OperatorCodeT()
            # Readers take the larger of the two fields; old ones know the deprecated one only.
            code.builtinCode = code.deprecatedBuiltinCode = builtin
            code.version = 1
            model.operatorCodes.append(code)
        builder = flatbuffers.Builder(0)
        builder.Finish(model.Pack(builder), file_identifier=b"TFL3")
        return bytes(builder.Output())

    def _weights(
        self, name: str, x: Value, weight: Array, bias: Array, scales: NDArray[np.float32]
    ) -> tuple[int, int]:
        wide = scales.astype(np.float64)
        columns = wide.reshape(-1, *[1] * (weight.ndim - 1))
        quantised = np.clip(np.rint(weight / columns), -127, 127).astype(np.int8)
        bias_scales = x.scale * scales
        sums = np.rint(bias / bias_scales.astype(np.float64)).astype(np.int32)
        return (
            self._constant(f"{name}/weight", quantised, scales),
            self._constant(f"{name}/bias", sums, bias_scales),
        )

    def _append(
        self,
        name: str,
        op: str,
        options_name: str,
        options: object,
        inputs: list[int],
        shape: tuple[int, ...],
        scale: np.float32,
        zero_point: int,
    ) -> Value:
        builtin = getattr(schema.BuiltinOperator, op)
        if builtin not in self._codes:
            self._codes.append(builtin)
        operator = schema.OperatorT()
        operator.opcodeIndex = self._codes.index(builtin)
        operator.builtinOptionsType = getattr(schema.BuiltinOptions, options_name)
        operator.builtinOptions = options
        operator.inputs = inputs
        index = self._tensor(name, shape, np.int8, scale, zero_point)
        operator.outputs = [index]
        self._operators.append(operator)
        return Value(index, shape, scale, zero_point)

    def _constant(
        self, name: str, data: NDArray[np.generic], scales: NDArray[np.float32] | None = None
    ) -> int:
        buffer = schema.BufferT()
        buffer.data = np.frombuffer(data.tobytes(), np.uint8)
        self._buffers.append(buffer)
        index = self._tensor(name, data.shape, data.dtype)
        tensor = self._tensors[index]
        tensor.buffer = len(self._buffers) - 1
        if scales is not None:
            tensor.quantization = _quantization(scales, np.zeros(scales.size, np.int64))
        return index

    def _tensor(
        self,
        name: str,
        shape: tuple[int, ...],
        dtype: object,
        scale: np.float32 | None = None,
        zero_point: int = 0,
    ) -> int:
        tensor = schema.TensorT()
        tensor.name = name
        tensor.shape = list(shape)
        tensor.type = _TYPES[np.dtype(dtype)]
        tensor.buffer = 0
        if scale is not None:
            tensor.quantization = _quantization(
                np.array([scale], np.float32), np.array([zero_point], np.int64)
            )
        self._tensors.append(tensor)
        return len(self._tensors) - 1


def _activation(relu: bool) -> int:
    kind = schema.ActivationFunctionType
    return int(kind.RELU if relu else kind.NONE)


def _quantization(
    scales: NDArray[np.float32], zero_points: NDArray[np.int64]
) -> schema.QuantizationParametersT:
    quantization = schema.QuantizationParametersT()
    quantization.scale = scales
    quantization.zeroPoint = zero_points
    quantization.quantizedDimension = 0
    return quantization
