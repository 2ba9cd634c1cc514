"""Writes small ONNX models for tests, and runs them in ONNX Runtime, the referee."""

import numpy as np
import onnx
import onnxruntime
from onnx import helper, numpy_helper

CONTRIBUTED = "com.microsoft"
_CONTRIBUTED_KINDS = {
    *("QGemm", "QLinearAdd", "QLinearMul", "QLinearSigmoid", "QLinearLeakyRelu", "QLinearConcat"),
    *("QLinearAveragePool", "QLinearGlobalAveragePool", "QLinearSoftmax"),
}


class OnnxWriter:
    """Collects nodes; names are made up. Random numbers come from `rng`."""

    def __init__(self, seed=0, opset=17):
        self.rng = np.random.default_rng(seed)
        self._opset = opset
        self._nodes, self._constants, self._inputs, self._outputs = [], [], [], []

    def input(self, shape, dtype=np.int8, name=None):
        """An input of the network; sizes may be names."""
        name = name or f"input{len(self._inputs)}"
        code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._inputs.append(helper.make_tensor_value_info(name, code, shape))
        return name

    def constant(self, values, dtype=None):
        """A constant."""
        name = f"constant{len(self._constants)}"
        self._constants.append(numpy_helper.from_array(np.asarray(values, dtype), name))
        return name

    def scale(self, scale, zero_point, dtype=np.int8):
        """Names of a scale and a zero point."""
        return self.constant(scale, np.float32), self.constant(zero_point, dtype)

    def node(self, kind, *inputs, domain=None, outputs=1, **attributes):
        """A node; returns its output, or a list where it has several."""
        names = [f"{kind}{len(self._nodes)}" + ("" if i == 0 else f"_{i}") for i in range(outputs)]
        if domain is None:
            domain = CONTRIBUTED if kind in _CONTRIBUTED_KINDS else ""
        self._nodes.append(helper.make_node(kind, inputs, names, domain=domain, **attributes))
        return names[0] if outputs == 1 else names

    def dequantized(self, value, scale, zero_point, dtype=np.int8, **attributes):
        """DequantizeLinear."""
        return self.node(
            "DequantizeLinear", value, *self.scale(scale, zero_point, dtype), **attributes
        )

    def quantized(self, value, scale, zero_point, dtype=np.int8, **attributes):
        """QuantizeLinear."""
        return self.node(
            "QuantizeLinear", value, *self.scale(scale, zero_point, dtype), **attributes
        )

    def output(self, name, dtype=np.int8, shape=None):
        """Make a value an output of the network."""
        code = helper.np_dtype_to_tensor_dtype(np.dtype(dtype))
        self._outputs.append(helper.make_tensor_value_info(name, code, shape))

    def model(self):
        """The model, as `onnx` has it."""
        graph = helper.make_graph(self._nodes, "test", self._inputs, self._outputs, self._constants)
        opsets = [helper.make_opsetid("", self._opset), helper.make_opsetid(CONTRIBUTED, 1)]
        model = helper.make_model(graph, opset_imports=opsets)
        model.ir_version = 8
        return model

    def finish(self, *outputs, dtype=np.int8):
        """Bytes of the model; `outputs` of one type are added."""
        for name in outputs:
            self.output(name, dtype)
        return self.model().SerializeToString()


class OnnxRuntime:
    """A model in ONNX Runtime, on one thread, without optimisations that change bytes."""

    def __init__(self, data):
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        options.log_severity_level = 3
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        self._session = onnxruntime.InferenceSession(
            data, options, providers=["CPUExecutionProvider"]
        )

    def run(self, *inputs):
        """Outputs for inputs in the model's order."""
        names = [value.name for value in self._session.get_inputs()]
        return self._session.run(None, dict(zip(names, inputs, strict=True)))


def draw_inputs(data, rng, spread=1.0):
    """Random inputs of a model: bytes over the whole range, floats normally distributed."""
    values = []
    for item in onnx.load_model_from_string(data).graph.input:
        tensor = item.type.tensor_type
        shape = [dim.dim_value or 1 for dim in tensor.shape.dim]
        dtype = helper.tensor_dtype_to_np_dtype(tensor.elem_type)
        if dtype == np.float32:
            values.append(rng.normal(0, spread, shape).astype(np.float32))
        else:
            limits = np.iinfo(dtype)
            values.append(rng.integers(limits.min, limits.max, shape, dtype, endpoint=True))
    return values
