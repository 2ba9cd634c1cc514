"""`load_onnx`: a quantised .onnx file becomes a checked `Graph`."""

import os
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np

from celosia.compiler.importer.files import read_model_file
from celosia.compiler.importer.onnx.activation import lookup
from celosia.compiler.importer.onnx.builder import GraphBuilder
from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.elementwise import ELEMENTWISE
from celosia.compiler.importer.onnx.evaluation import evaluate
from celosia.compiler.importer.onnx.functions import FUNCTIONS
from celosia.compiler.importer.onnx.matrix import MATRIX
from celosia.compiler.importer.onnx.pooling import POOLING
from celosia.compiler.importer.onnx.quantisation import QUANTISATION
from celosia.compiler.importer.onnx.reader import CONTRIBUTED, Edge, OnnxModel, read_model
from celosia.compiler.importer.onnx.shapes import SHAPES
from celosia.compiler.importer.onnx.values import (
    Bytes,
    Constant,
    Floats,
    Pending,
    Reals,
    Value,
)
from celosia.compiler.importer.onnx.view import View
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph, OpKind

IMPORTERS: Mapping[str, Callable[[NodeContext], Value]] = {
    **MATRIX,
    **ELEMENTWISE,
    **FUNCTIONS,
    **POOLING,
    **SHAPES,
    **QUANTISATION,
}


def load_onnx(source: str | os.PathLike[str] | bytes, folder: Path | None = None) -> Graph:
    """Import a quantised .onnx model from a path or from the file's bytes.

    `folder` is where the bytes' file is, for weights that are in files of their own.

    Inputs and outputs of the graph have the shapes that they have in the file; between them,
    images are stored with their channels last. The graph's profile is `float32`.

    Raises:
        CelosiaError: the onnx package is missing, or the file can't be read, is damaged, or holds a
            network that can't run.
    """
    if isinstance(source, bytes):
        return build_graph(read_model(source, folder))
    path = Path(source)
    data = read_model_file(path)
    try:
        return build_graph(read_model(data, path.parent))
    except CelosiaError as error:
        raise CelosiaError(f"model '{path}': {error}") from error


def build_graph(model: OnnxModel) -> Graph:
    """Import the nodes of a decoded model."""
    if not is_quantised(model):
        raise CelosiaError(
            "the model is a float one, and only int8 models run: quantise it with "
            "'celosia quantize MODEL.onnx --calibration X.npy'"
        )
    builder = GraphBuilder()
    values: dict[str, Value] = {name: Constant(data) for name, data in model.constants.items()}
    inputs = [_add_input(builder, edge, values) for edge in model.inputs]
    for node in model.nodes:
        context = NodeContext(node, model.opset, values, builder)
        value = _import(context, values)
        for name in node.outputs:
            if name in values:
                context.fail(f"output '{name}' must not have a value before")
        values[node.outputs[0]] = value
    outputs = [_add_output(builder, edge, values) for edge in model.outputs]
    if len(set(outputs)) < len(outputs):
        raise CelosiaError("the network's outputs must be different tensors")
    return builder.build(model.name, inputs, outputs)


def is_quantised(model: OnnxModel) -> bool:
    """Whether a network has any quantised operator."""
    return any(
        kind in ("QuantizeLinear", "DequantizeLinear", "QGemm") or kind.startswith("QLinear")
        for kind in model.kinds
    )


def _import(context: NodeContext, values: Mapping[str, Value]) -> Value:
    kind = context.node.kind
    given = [context.value(i) for i in range(len(context.node.inputs)) if context.has(i)]
    constants = [value.data for value in given if isinstance(value, Constant)]
    if len(constants) == len(given) and kind not in QUANTISATION:
        if context.node.proto.domain == CONTRIBUTED:
            context.fail("it must have an input that isn't a constant")
        feeds = iter(constants)
        absent = np.zeros(0)
        count = len(context.node.inputs)
        return Constant(
            evaluate(context, [next(feeds) if context.has(i) else absent for i in range(count)])
        )
    if kind not in IMPORTERS:
        context.fail(f"the operator isn't supported; supported are {', '.join(sorted(IMPORTERS))}")
    return IMPORTERS[kind](context)


def _add_input(builder: GraphBuilder, edge: Edge, values: dict[str, Value]) -> int:
    """An input in the file's own shape; unsigned bytes are moved to signed ones first."""
    assert edge.shape is not None
    view = View.plain(edge.shape)
    tensor = builder.add_tensor(edge.name, edge.shape, edge.dtype)
    if edge.name in values:
        raise CelosiaError(f"input '{edge.name}' of the network must not have a value before")
    if edge.dtype == np.float32:
        values[edge.name] = Floats(tensor, view)
    elif edge.dtype == np.int8:
        values[edge.name] = Bytes(tensor, view, unsigned=False)
    else:
        signed = builder.add_tensor(f"{edge.name}/signed", edge.shape)
        builder.add_operator(OpKind.QUANTIZE, (tensor,), signed)
        values[edge.name] = Bytes(signed, view, unsigned=True)
    return tensor


def _add_output(builder: GraphBuilder, edge: Edge, values: Mapping[str, Value]) -> int:
    """An output in the file's own shape, under its own name."""
    value = values.get(edge.name)
    if isinstance(value, Pending) and value.floats is not None:
        value = value.floats()
    if value is None or isinstance(value, Constant):
        raise CelosiaError(f"output '{edge.name}' of the network must be written by a node")
    if isinstance(value, Pending):
        raise CelosiaError(
            f"output '{edge.name}' of the network must be quantised: a QuantizeLinear and "
            "DequantizeLinear must stand before it"
        )
    shape = value.view.shape
    if isinstance(value, Reals):
        value = _as_floats(builder, value)
    plain = builder.in_order(value, range(len(shape)))
    if isinstance(plain, Bytes) and plain.unsigned:
        tensor = builder.add_tensor(edge.name, shape, np.uint8)
        return builder.add_operator(OpKind.QUANTIZE, (plain.tensor,), tensor)
    return builder.named(plain.tensor, edge.name)


def _as_floats(builder: GraphBuilder, value: Reals) -> Floats:
    """The real numbers, on the host."""
    source = builder.tensor(value.tensor)
    output = builder.add_tensor(f"{source.name}/dequantised", source.shape, np.float32)
    if value.is_plain:
        builder.add_operator(OpKind.DEQUANTIZE, (value.tensor,), output)
    else:
        lookup(builder, value.tensor, value.values, output)
    return Floats(output, value.view)
