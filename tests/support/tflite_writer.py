"""Writes small int8 .tflite models for tests: `ModelBuilder`, one method per operator.

Every method takes tensor indices and returns the index of the operator's output tensor. What isn't
given (weights, biases, scales, zero points) is drawn from the builder's seeded generator, so that
outputs spread over int8 without all saturating. `finish` returns the file's bytes.

    model = ModelBuilder(seed=7)
    x = model.input((1, 16, 16, 3))
    a = model.conv(x, 8, activation="RELU")
    b = model.conv(a, 8)
    data = model.finish(model.add(a, b))
"""

import math

import flatbuffers
import numpy as np
from tflite_micro.tensorflow.lite.micro.python import schema_py_generated as schema

TYPES = {
    "float32": schema.TensorType.FLOAT32,
    "int8": schema.TensorType.INT8,
    "int16": schema.TensorType.INT16,
    "int32": schema.TensorType.INT32,
    "int64": schema.TensorType.INT64,
}
INT8_DEVIATION = 73.9  # of a uniform int8


class ModelBuilder:
    """One graph under construction; `rng` is its seeded generator, free for the caller's use.

    `holes` makes blocks of the drawn weights zero.
    """

    def __init__(self, seed=0, *, holes=False):
        self.seed = seed
        self.holes = holes
        self.rng = np.random.default_rng(seed)
        self.tensors = []
        self.buffers = [schema.BufferT()]  # buffer 0 is the empty one by convention
        self.operators = []
        self.codes = []
        self.inputs = []

    # Tensors

    def tensor(
        self, shape, dtype="int8", *, scale=None, zero_point=None, axis=0, data=None, name=None
    ):
        """Any tensor; `scale` and `zero_point` are numbers, or arrays along `axis`."""
        tensor = schema.TensorT()
        tensor.shape = [int(size) for size in shape]
        tensor.type = TYPES[np.dtype(dtype).name]
        tensor.name = (name or f"t{len(self.tensors)}").encode()
        if scale is not None:
            tensor.quantization = schema.QuantizationParametersT()
            tensor.quantization.scale = np.atleast_1d(np.asarray(scale, np.float32))
            zeros = np.broadcast_to(zero_point or 0, tensor.quantization.scale.shape)
            tensor.quantization.zeroPoint = zeros.astype(np.int64)
            tensor.quantization.quantizedDimension = axis
        if data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(np.ascontiguousarray(data).tobytes(), np.uint8)
            tensor.buffer = len(self.buffers)
            self.buffers.append(buffer)
        self.tensors.append(tensor)
        return len(self.tensors) - 1

    def constant(self, data, *, scale=None, zero_point=None, axis=0, name=None):
        """A tensor with data."""
        data = np.asarray(data)
        quantization = {"scale": scale, "zero_point": zero_point, "axis": axis}
        return self.tensor(data.shape, data.dtype, data=data, name=name, **quantization)

    def activation_tensor(self, shape, scale=None, zero_point=None):
        """A per-tensor int8 tensor; scale and zero point are drawn where not given."""
        if scale is None:
            scale = math.exp(self.rng.uniform(math.log(0.005), math.log(0.5)))
        if zero_point is None:
            zero_point = int(self.rng.integers(-128, 128))
        return self.tensor(shape, scale=scale, zero_point=zero_point)

    def input(self, shape, scale=None, zero_point=None, dtype="int8"):
        """An input of the network."""
        if np.dtype(dtype) == np.int8:
            index = self.activation_tensor(shape, scale, zero_point)
        else:
            index = self.tensor(shape, dtype)
        self.inputs.append(index)
        return index

    def shape(self, tensor):
        """Shape of a tensor as a tuple."""
        return tuple(self.tensors[tensor].shape)

    def scale(self, tensor):
        """float32 scale of a per-tensor tensor."""
        return np.float32(self.tensors[tensor].quantization.scale[0])

    def zero_point(self, tensor):
        """Zero point of a per-tensor tensor."""
        return int(self.tensors[tensor].quantization.zeroPoint[0])

    def operator(self, kind, inputs, output, options=None, version=1):
        """Any operator; `options` is an options table of the schema's object API."""
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, kind)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = version
        self.codes.append(code)
        operator = schema.OperatorT()
        operator.opcodeIndex = len(self.codes) - 1
        operator.inputs = list(inputs)
        operator.outputs = [output]
        if options is not None:
            operator.builtinOptions = options
            kind_of_options = type(options).__name__.removesuffix("T")
            operator.builtinOptionsType = getattr(schema.BuiltinOptions, kind_of_options)
        self.operators.append(operator)
        return output

    # Matrix operators

    def _matrix(self, kind, x, weights, channels_axis, shape, options, drawn):
        """Common part of CONV_2D, DEPTHWISE_CONV_2D and FULLY_CONNECTED; see `conv`."""
        channels = weights.shape[channels_axis]
        depth = weights.size // channels
        count = channels if drawn["per_channel"] else 1
        spread = INT8_DEVIATION**2 * math.sqrt(depth)
        output_scale = drawn["output_scale"]
        if output_scale is None:
            output_scale = float(self.scale(x)) * self.rng.uniform(0.7, 1.4)
        weight_scale = drawn["weight_scale"]
        if weight_scale is None:
            gain = 40 / spread * np.exp(self.rng.uniform(-0.7, 0.7, count))
            weight_scale = gain * output_scale / float(self.scale(x))
        weight_scale = np.broadcast_to(np.asarray(weight_scale, np.float32), count)
        bias = drawn["bias"]
        if isinstance(bias, bool):
            drawn_bias = self.rng.normal(0, spread / 2, channels).astype(np.int32)
            bias = drawn_bias if bias else None
        inputs = [
            x,
            self.constant(
                weights,
                scale=weight_scale,
                axis=channels_axis if drawn["per_channel"] else 0,
                name=f"weights{len(self.operators)}",
            ),
        ]
        if bias is not None:
            inputs.append(
                self.constant(
                    np.asarray(bias, np.int32),
                    scale=self.scale(x) * weight_scale,
                    axis=drawn["bias_axis"],
                    name=f"bias{len(self.operators)}",
                )
            )
        output = self.activation_tensor(shape, output_scale, drawn["output_zero_point"])
        return self.operator(kind, inputs, output, options)

    def _weights(self, shape, weights):
        if weights is None:
            weights = self.rng.integers(-127, 128, shape)
            if self.holes:
                weights[self._blocks(shape) < self.rng.choice((0.5, 0.8, 0.95, 1))] = 0
        return np.asarray(weights, np.int8).reshape(shape)

    def _blocks(self, shape):
        """A number from 0 to 1 for every weight; the same for neighbouring channels."""
        size = int(self.rng.choice((4, 8, 16)))
        repeats = [1] * len(shape)
        repeats[-1] = size
        repeats[0] = shape[0] if self.rng.random() < 0.5 else size
        numbers = self.rng.random([-(-n // count) for n, count in zip(shape, repeats, strict=True)])
        for axis, (count, length) in enumerate(zip(repeats, shape, strict=True)):
            numbers = np.repeat(numbers, count, axis).take(range(length), axis)
        return numbers

    def conv(
        self,
        x,
        channels,
        kernel=(3, 3),
        *,
        stride=(1, 1),
        dilation=(1, 1),
        padding="SAME",
        activation="NONE",
        weights=None,
        bias=True,
        per_channel=True,
        weight_scale=None,
        output_scale=None,
        output_zero_point=None,
        bias_axis=0,
    ):
        """CONV_2D. `bias` is an array, True (drawn) or False (absent)."""
        batch, height, width, depth = self.shape(x)
        options = schema.Conv2DOptionsT()
        set_window(options, padding, stride, activation, dilation)
        shape = (
            batch,
            positions(height, kernel[0], stride[0], dilation[0], padding),
            positions(width, kernel[1], stride[1], dilation[1], padding),
            channels,
        )
        matrix = self._weights((channels, *kernel, depth), weights)
        drawn = {
            "bias": bias,
            "per_channel": per_channel,
            "weight_scale": weight_scale,
            "output_scale": output_scale,
            "output_zero_point": output_zero_point,
            "bias_axis": bias_axis,
        }
        return self._matrix("CONV_2D", x, matrix, 0, shape, options, drawn)

    def depthwise(
        self,
        x,
        kernel=(3, 3),
        *,
        multiplier=1,
        stride=(1, 1),
        dilation=(1, 1),
        padding="SAME",
        activation="NONE",
        weights=None,
        bias=True,
        per_channel=True,
        weight_scale=None,
        output_scale=None,
        output_zero_point=None,
        bias_axis=0,
    ):
        """DEPTHWISE_CONV_2D; the rest as in `conv`."""
        batch, height, width, depth = self.shape(x)
        options = schema.DepthwiseConv2DOptionsT()
        set_window(options, padding, stride, activation, dilation)
        options.depthMultiplier = multiplier
        shape = (
            batch,
            positions(height, kernel[0], stride[0], dilation[0], padding),
            positions(width, kernel[1], stride[1], dilation[1], padding),
            depth * multiplier,
        )
        matrix = self._weights((1, *kernel, depth * multiplier), weights)
        drawn = {
            "bias": bias,
            "per_channel": per_channel,
            "weight_scale": weight_scale,
            "output_scale": output_scale,
            "output_zero_point": output_zero_point,
            "bias_axis": bias_axis,
        }
        return self._matrix("DEPTHWISE_CONV_2D", x, matrix, 3, shape, options, drawn)

    def fully_connected(
        self,
        x,
        units,
        *,
        activation="NONE",
        weights=None,
        bias=True,
        per_channel=False,
        weight_scale=None,
        output_scale=None,
        output_zero_point=None,
        bias_axis=0,
    ):
        """FULLY_CONNECTED on the input flattened to [batch, rest]; the rest as in `conv`."""
        batch = self.shape(x)[0]
        depth = math.prod(self.shape(x)) // batch
        options = schema.FullyConnectedOptionsT()
        options.fusedActivationFunction = activation_code(activation)
        matrix = self._weights((units, depth), weights)
        drawn = {
            "bias": bias,
            "per_channel": per_channel,
            "weight_scale": weight_scale,
            "output_scale": output_scale,
            "output_zero_point": output_zero_point,
            "bias_axis": bias_axis,
        }
        return self._matrix("FULLY_CONNECTED", x, matrix, 0, (batch, units), options, drawn)

    # Element by element

    def _binary(self, kind, a, b, options, activation, output_scale, output_zero_point):
        options.fusedActivationFunction = activation_code(activation)
        shape = np.broadcast_shapes(self.shape(a), self.shape(b))
        output = self.activation_tensor(shape, output_scale, output_zero_point)
        return self.operator(kind, (a, b), output, options)

    def add(self, a, b, *, activation="NONE", output_scale=None, output_zero_point=None):
        """ADD."""
        output_scale = self._sum_scale(a, b, output_scale)
        options = schema.AddOptionsT()
        return self._binary("ADD", a, b, options, activation, output_scale, output_zero_point)

    def sub(self, a, b, *, activation="NONE", output_scale=None, output_zero_point=None):
        """SUB."""
        output_scale = self._sum_scale(a, b, output_scale)
        options = schema.SubOptionsT()
        return self._binary("SUB", a, b, options, activation, output_scale, output_zero_point)

    def _sum_scale(self, a, b, scale):
        wider = float(max(self.scale(a), self.scale(b)))
        return wider * self.rng.uniform(0.7, 2.0) if scale is None else scale

    def mul(self, a, b, *, activation="NONE", output_scale=None, output_zero_point=None):
        """MUL."""
        if output_scale is None:
            product = float(self.scale(a)) * float(self.scale(b))
            output_scale = product * INT8_DEVIATION * self.rng.uniform(0.7, 2.0)
        options = schema.MulOptionsT()
        return self._binary("MUL", a, b, options, activation, output_scale, output_zero_point)

    def unary(self, kind, x, scale=None, zero_point=None, options=None):
        """RELU, RELU6, LOGISTIC, TANH, HARD_SWISH, QUANTIZE: same shape, int8 out."""
        fixed = {"LOGISTIC": (1 / 256, -128), "TANH": (1 / 128, 0)}
        scale, zero_point = fixed.get(kind, (scale, zero_point))
        return self.operator(
            kind, (x,), self.activation_tensor(self.shape(x), scale, zero_point), options
        )

    def leaky_relu(self, x, alpha, scale=None, zero_point=None):
        """LEAKY_RELU."""
        options = schema.LeakyReluOptionsT()
        options.alpha = alpha
        return self.unary("LEAKY_RELU", x, scale, zero_point, options)

    def dequantize(self, x):
        """DEQUANTIZE to float32."""
        return self.operator("DEQUANTIZE", (x,), self.tensor(self.shape(x), "float32"))

    def softmax(self, x, beta=1.0):
        """SOFTMAX over the last dimension."""
        options = schema.SoftmaxOptionsT()
        options.beta = beta
        output = self.activation_tensor(self.shape(x), 1 / 256, -128)
        return self.operator("SOFTMAX", (x,), output, options)

    # Pools and means

    def pool(
        self, x, kind="AVERAGE", window=(2, 2), *, stride=None, padding="VALID", activation="NONE"
    ):
        """AVERAGE_POOL_2D or MAX_POOL_2D; the stride is the window where not given."""
        stride = stride or window
        batch, height, width, depth = self.shape(x)
        options = schema.Pool2DOptionsT()
        set_window(options, padding, stride, activation)
        options.filterHeight, options.filterWidth = window
        shape = (
            batch,
            positions(height, window[0], stride[0], 1, padding),
            positions(width, window[1], stride[1], 1, padding),
            depth,
        )
        output = self.activation_tensor(shape, self.scale(x), self.zero_point(x))
        return self.operator(f"{kind}_POOL_2D", (x,), output, options)

    def mean(self, x, axes=(1, 2), *, keep_dims=False, output_scale=None, output_zero_point=None):
        """MEAN over `axes`."""
        options = schema.ReducerOptionsT()
        options.keepDims = keep_dims
        reduced = {axis % len(self.shape(x)) for axis in axes}
        shape = [
            1 if axis in reduced else size
            for axis, size in enumerate(self.shape(x))
            if keep_dims or axis not in reduced
        ]
        if output_scale is None:
            output_scale = float(self.scale(x)) * self.rng.uniform(0.2, 1.5)
        output = self.activation_tensor(shape, output_scale, output_zero_point)
        return self.operator("MEAN", (x, self.constant(np.int32(axes))), output, options)

    # Layout

    def pad(self, x, pads):
        """PAD by ((before, after), ...)."""
        shape = [size + sum(pair) for size, pair in zip(self.shape(x), pads, strict=True)]
        output = self.activation_tensor(shape, self.scale(x), self.zero_point(x))
        inputs = (x, self.constant(np.int32(pads)))
        return self.operator("PAD", inputs, output, schema.PadOptionsT())

    def reshape(self, x, shape):
        """RESHAPE."""
        options = schema.ReshapeOptionsT()
        options.newShape = list(shape)
        output = self.activation_tensor(shape, self.scale(x), self.zero_point(x))
        return self.operator("RESHAPE", (x, self.constant(np.int32(shape))), output, options)

    def moved(self, kind, x, shape, *constants, options=None):
        """An operator whose result has its input's values and quantisation."""
        output = self.activation_tensor(shape, self.scale(x), self.zero_point(x))
        inputs = (x, *(self.constant(np.int32(each)) for each in constants))
        return self.operator(kind, inputs, output, options)

    def expand_dims(self, x, axis):
        """EXPAND_DIMS."""
        shape = np.expand_dims(np.empty(self.shape(x)), axis).shape
        return self.moved("EXPAND_DIMS", x, shape, axis, options=schema.ExpandDimsOptionsT())

    def squeeze(self, x, axes):
        """SQUEEZE."""
        options = schema.SqueezeOptionsT()
        options.squeezeDims = list(axes)
        return self.moved(
            "SQUEEZE", x, np.squeeze(np.empty(self.shape(x)), axes).shape, options=options
        )

    def transpose(self, x, permutation):
        """TRANSPOSE."""
        shape = [self.shape(x)[axis] for axis in permutation]
        return self.moved("TRANSPOSE", x, shape, permutation, options=schema.TransposeOptionsT())

    def slice(self, x, begin, size):
        """SLICE; a size of -1 is what is left."""
        left = zip(self.shape(x), begin, size, strict=True)
        shape = [total - first if count == -1 else count for total, first, count in left]
        return self.moved("SLICE", x, shape, begin, size, options=schema.SliceOptionsT())

    def strided_slice(self, x, begin, end, strides=None, *, begin_mask=0, end_mask=0, shrink=0):
        """STRIDED_SLICE with its masks."""
        strides = strides or [1] * len(begin)
        options = schema.StridedSliceOptionsT()
        options.beginMask, options.endMask = begin_mask, end_mask
        options.shrinkAxisMask = shrink
        taken = []
        for axis, (first, last, stride) in enumerate(zip(begin, end, strides, strict=True)):
            first = None if begin_mask >> axis & 1 else first
            last = None if end_mask >> axis & 1 else last
            taken.append(first if shrink >> axis & 1 else slice(first, last, stride))
        shape = np.empty(self.shape(x))[tuple(taken)].shape
        return self.moved("STRIDED_SLICE", x, shape, begin, end, strides, options=options)

    def concatenation(self, parts, axis=-1):
        """CONCATENATION of tensors of one quantisation."""
        options = schema.ConcatenationOptionsT()
        options.axis = axis
        shape = list(self.shape(parts[0]))
        shape[axis] = sum(self.shape(part)[axis] for part in parts)
        output = self.activation_tensor(shape, self.scale(parts[0]), self.zero_point(parts[0]))
        return self.operator("CONCATENATION", parts, output, options)

    def model(self, *outputs):
        """The model as the schema's object, for tests that damage it before writing."""
        graph = schema.SubGraphT()
        graph.tensors = self.tensors
        graph.inputs = self.inputs
        graph.outputs = list(outputs)
        graph.operators = self.operators
        graph.name = b"main"
        model = schema.ModelT()
        model.version = 3
        model.description = b"test"
        model.operatorCodes = self.codes
        model.subgraphs = [graph]
        model.buffers = self.buffers
        return model

    def finish(self, *outputs):
        """Bytes of the .tflite file whose outputs are the given tensors."""
        return serialise(self.model(*outputs))


def serialise(model):
    """Bytes of a .tflite file from the schema's model object."""
    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def activation_code(activation):
    """Code of a fused activation by name."""
    return getattr(schema.ActivationFunctionType, activation)


def set_window(options, padding, stride, activation, dilation=None):
    """Fields that the options of convolutions and pools share."""
    options.padding = getattr(schema.Padding, padding)
    options.strideH, options.strideW = stride
    options.fusedActivationFunction = activation_code(activation)
    if dilation is not None:
        options.dilationHFactor, options.dilationWFactor = dilation


def positions(size, window, stride, dilation, padding):
    """Output positions along one dimension, as TFLite counts them."""
    if padding == "SAME":
        return -(-size // stride)
    return (size - (window - 1) * dilation - 1) // stride + 1
