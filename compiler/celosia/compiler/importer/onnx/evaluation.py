"""Nodes that `onnx`'s own reference computes: of constants, and functions of single values."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.onnx.context import NodeContext
from celosia.compiler.importer.onnx.reader import onnx_package


def evaluate(context: NodeContext, inputs: Sequence[NDArray[Any]]) -> NDArray[Any]:
    """The first output of the node at hand for `inputs`, which stand for its first inputs."""
    onnx = onnx_package()
    from onnx.reference import ReferenceEvaluator

    node = onnx.NodeProto()
    node.CopyFrom(context.node.proto)
    del node.input[len(inputs) :]
    node.domain = ""
    names = [name for name in node.input if name]
    try:
        graph = onnx.helper.make_graph(
            [node],
            "node",
            [onnx.helper.make_value_info(name, onnx.TypeProto()) for name in dict.fromkeys(names)],
            [onnx.helper.make_value_info(node.output[0], onnx.TypeProto())],
        )
        opset = onnx.helper.make_opsetid("", context.opset)
        model = onnx.helper.make_model(graph, opset_imports=[opset])
        given = zip(node.input, inputs, strict=True)
        feeds: Any = {name: value for name, value in given if name}
        with np.errstate(all="ignore"):
            result: Any = ReferenceEvaluator(model).run(None, feeds)
        return np.asarray(result[0])
    except Exception as error:  # the reference raises whatever its numpy code does
        context.fail(f"its inputs can't be computed with: {' '.join(str(error).split())[:200]}")
