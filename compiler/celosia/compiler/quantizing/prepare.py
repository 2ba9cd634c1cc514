"""The float model as it is quantised: batch of one, constants folded, normalisations in weights.

ONNX Runtime's basic optimisations fold constants and fuse BatchNormalization, Mul and Add into the
convolutions in front of them. What they leave is rewritten here into operators that quantise to
exact ones: a mean over the image to GlobalAveragePool, other average pools and normalisations to
depthwise convolutions.
"""

import math
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.onnx import IMPORTERS
from celosia.compiler.importer.onnx.reader import OnnxModel, decode, onnx_package
from celosia.compiler.quantizing.runtime import onnxruntime_package
from celosia.golden.errors import CelosiaError

_OPSET = 17
_OLDEST = 13
"""Older operator sets have no scales per channel."""


def prepare(model: Any) -> Any:
    """A model that computes the same for a batch of one, ready to be quantised.

    Raises:
        CelosiaError: it is quantised already, has several inputs, or has an operator that can't
            be quantised.
    """
    onnx = onnx_package()
    decoded = decode(model)
    _check(decoded)
    model = _copy(onnx, model)
    if decoded.opset < _OLDEST:
        try:
            model = onnx.version_converter.convert_version(model, _OPSET)
        except Exception as error:
            raise CelosiaError(
                f"the model's ONNX operator set must be {_OLDEST} or newer, not {decoded.opset}, "
                "and it can't be converted; export it again"
            ) from error
    _set_batch(model, decoded)
    model = _optimized(onnx, model)
    model = _Rewriter(onnx, model).rewrite()
    for position, node in enumerate(model.graph.node):
        node.name = f"{node.op_type}_{position}"
        if node.op_type not in IMPORTERS or node.op_type.startswith("Q"):
            raise CelosiaError(
                f"node {position} ({node.op_type}, output '{node.output[0]}') can't be quantised: "
                f"supported are {', '.join(SUPPORTED)}"
            )
    return model


SUPPORTED = tuple(
    sorted(
        kind
        for kind in IMPORTERS
        if not kind.startswith("Q") and kind not in ("DequantizeLinear", "BatchNormalization")
    )
)
"""Kinds of nodes that a float model may have, as error messages list them."""


def _check(model: OnnxModel) -> None:
    if any(kind.startswith(("QLinear", "Quantize", "Dequantize", "QGemm")) for kind in model.kinds):
        raise CelosiaError("the model must be a float one: it is quantised already, and runs so")
    if len(model.inputs) != 1:
        raise CelosiaError(f"the network must have one input, not {len(model.inputs)}")
    if model.inputs[0].dtype != np.float32:
        raise CelosiaError(
            f"input '{model.inputs[0].name}' of the network must be FLOAT, "
            f"not {model.inputs[0].dtype.name.upper()}"
        )
    known = {*SUPPORTED, "BatchNormalization", "Constant", "Gather", "Cast", "Slice"}
    known |= {"ConstantOfShape", "Range", "Equal", "Where", "Expand"}
    for node in model.nodes:
        if node.kind not in known:
            raise CelosiaError(f"{node} can't be quantised: supported are {', '.join(SUPPORTED)}")


def _copy(onnx: Any, model: Any) -> Any:
    copy = onnx.ModelProto()
    copy.CopyFrom(model)
    if copy.functions:
        import onnx.inliner

        copy = onnx.inliner.inline_local_functions(copy)
    return copy


def _set_batch(model: Any, decoded: OnnxModel) -> None:
    """One sample at a time; shapes of other values follow from it."""
    graph = model.graph
    shapes = {edge.name: edge.shape for edge in decoded.inputs}
    for value in graph.input:
        for dimension, size in zip(
            value.type.tensor_type.shape.dim, shapes.get(value.name) or (), strict=False
        ):
            dimension.dim_value = size
    del graph.value_info[:]
    for value in graph.output:
        value.type.tensor_type.ClearField("shape")


def _optimized(onnx: Any, model: Any) -> Any:
    runtime = onnxruntime_package()
    options = runtime.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = runtime.GraphOptimizationLevel.ORT_ENABLE_BASIC
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "optimized.onnx"
        options.optimized_model_filepath = str(path)
        try:
            runtime.InferenceSession(
                model.SerializeToString(), options, providers=["CPUExecutionProvider"]
            )
            optimized = onnx.load(str(path))
        except Exception as error:
            reason = " ".join(str(error).split())[:200]
            raise CelosiaError(
                f"the model must be one that ONNX Runtime can run: {reason}"
            ) from error
    return onnx.shape_inference.infer_shapes(optimized)


class _Rewriter:
    """Replaces nodes by others that give the same; shapes are those that were inferred."""

    def __init__(self, onnx: Any, model: Any) -> None:
        self._onnx = onnx
        self._model = model
        graph = model.graph
        self._shapes = {
            value.name: [dimension.dim_value for dimension in value.type.tensor_type.shape.dim]
            for value in (*graph.input, *graph.value_info, *graph.output)
        }
        self._constants = {
            tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in graph.initializer
        }

    def rewrite(self) -> Any:
        """The model with its nodes replaced."""
        graph = self._model.graph
        nodes = [new for node in graph.node for new in self._replaced(node, self._onnx.helper)]
        del graph.node[:]
        graph.node.extend(nodes)
        return self._model

    def _replaced(self, node: Any, helper: Any) -> list[Any]:
        shape = self._shapes.get(node.input[0], []) if node.input else []
        attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
        image = len(shape) == 4
        x, y = (node.input[0] if node.input else ""), node.output[0]
        if node.op_type == "ReduceMean" and image:
            axes = attributes.get("axes")
            if axes is None and len(node.input) > 1:
                axes = self._constants.get(node.input[1], np.zeros(0)).tolist()
            if axes is not None and sorted(axis % 4 for axis in axes) == [2, 3]:
                if attributes.get("keepdims", 1):
                    return [helper.make_node("GlobalAveragePool", [x], [y])]
                pooled = f"{y}/pooled"
                return [
                    helper.make_node("GlobalAveragePool", [x], [pooled]),
                    helper.make_node("Flatten", [pooled], [y]),
                ]
        if node.op_type == "AveragePool" and image:
            return [self._average(node, helper, attributes, shape)]
        if node.op_type == "BatchNormalization" and image:
            return [self._normalization(node, helper, attributes, shape)]
        return [node]

    def _average(self, node: Any, helper: Any, attributes: Any, shape: list[int]) -> Any:
        """A mean over the image, or a depthwise convolution where padding isn't left out."""
        kernel = list(attributes["kernel_shape"])
        pads = list(attributes.get("pads", [0] * 4))
        auto = attributes.get("auto_pad", b"NOTSET")
        plain = not any(pads) and auto in (b"NOTSET", b"VALID")
        if plain and kernel == shape[2:]:
            return helper.make_node("GlobalAveragePool", [node.input[0]], [node.output[0]])
        padded_alike = plain or (attributes.get("count_include_pad", 0) and auto == b"NOTSET")
        if not padded_alike or attributes.get("ceil_mode", 0):
            return node
        weights = np.full((shape[1], 1, *kernel), 1 / math.prod(kernel), np.float32)
        kept = {key: attributes[key] for key in ("strides", "dilations") if key in attributes}
        return helper.make_node(
            "Conv",
            [node.input[0], self._constant(f"{node.output[0]}/weights", weights)],
            [node.output[0]],
            kernel_shape=kernel,
            pads=pads,
            group=shape[1],
            **kept,
        )

    def _normalization(self, node: Any, helper: Any, attributes: Any, shape: list[int]) -> Any:
        """A depthwise convolution of one tap."""
        names = node.input[1:5]
        if any(name not in self._constants for name in names):
            return node
        gamma, beta, mean, variance = (self._constants[name].astype(np.float64) for name in names)
        factor = gamma / np.sqrt(variance + attributes.get("epsilon", 1e-5))
        y = node.output[0]
        weights = factor.reshape(-1, 1, 1, 1).astype(np.float32)
        bias = (beta - mean * factor).astype(np.float32)
        return helper.make_node(
            "Conv",
            [
                node.input[0],
                self._constant(f"{y}/weights", weights),
                self._constant(f"{y}/bias", bias),
            ],
            [y],
            kernel_shape=[1, 1],
            group=shape[1],
        )

    def _constant(self, name: str, data: NDArray[Any]) -> str:
        self._model.graph.initializer.append(self._onnx.numpy_helper.from_array(data, name))
        return name
