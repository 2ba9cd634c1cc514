"""Reading .onnx files: the protobuf becomes plain Python values, checked for being whole.

Only this module knows the `onnx` package, which is an optional extra and imported late.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.golden.errors import CelosiaError
from celosia.golden.graph import MAX_ELEMENTS, MAX_RANK

CONTRIBUTED = "com.microsoft"
"""Domain of the quantised operators that ONNX itself doesn't have."""
_DOMAINS = ("", "ai.onnx", CONTRIBUTED)
_OPSETS = (10, 99)
_EDGE_TYPES = ("INT8", "UINT8", "FLOAT")


@dataclass(frozen=True)
class Node:
    """One node; an absent optional input or output has the name ''."""

    position: int
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    proto: Any

    def __str__(self) -> str:
        return f"node {self.position} ({self.kind}, output '{self.outputs[0]}')"


@dataclass(frozen=True)
class Edge:
    """An input or output of the network; `shape` is None where the file doesn't say."""

    name: str
    dtype: np.dtype[Any]
    shape: tuple[int, ...] | None


@dataclass(frozen=True)
class OnnxModel:
    """A whole file: nodes in execution order, constants by name, and the network's edges."""

    name: str
    opset: int
    nodes: tuple[Node, ...]
    constants: Mapping[str, NDArray[Any]]
    inputs: tuple[Edge, ...]
    outputs: tuple[Edge, ...]

    @cached_property
    def kinds(self) -> frozenset[str]:
        """The kinds of nodes."""
        return frozenset(node.kind for node in self.nodes)


def onnx_package() -> ModuleType:
    """The `onnx` package. Raises CelosiaError where it isn't installed."""
    try:
        import onnx
        import onnx.numpy_helper
    except ImportError as error:
        raise CelosiaError(
            'ONNX models need the onnx package, which is an extra: pip install "celosia[onnx]"'
        ) from error
    return onnx


def parse(data: bytes, folder: Path | None = None) -> Any:
    """The `ModelProto` of a file's bytes; `folder` is where weights of their own files are.

    Raises:
        CelosiaError: the package is missing, or the bytes aren't a whole model.
    """
    onnx = onnx_package()
    try:
        model = onnx.load_model_from_string(data)
    except Exception as error:  # protobuf's parsers have no common exception
        raise CelosiaError("the file must be a whole ONNX model") from error
    if not model.graph.node:
        raise CelosiaError("the file must be an ONNX model with nodes")
    _check_names(model.graph)
    external = [t for t in model.graph.initializer if t.data_location == onnx.TensorProto.EXTERNAL]
    if external:
        try:
            if folder is None:
                raise FileNotFoundError
            onnx.load_external_data_for_model(model, str(folder))
        except Exception as error:
            raise CelosiaError(
                f"constant '{external[0].name}' must be in the file, or in the file beside it that "
                "the model names"
            ) from error
    return model


def _check_names(graph: Any) -> None:
    """Names that aren't UTF-8, which a damaged file may have, are bytes."""
    names = [graph.name, *(t.name for t in graph.initializer)]
    names += [value.name for value in (*graph.input, *graph.output)]
    for node in graph.node:
        names += [node.op_type, node.domain, node.name, *node.input, *node.output]
        names += [attribute.name for attribute in node.attribute]
    for name in names:
        if not isinstance(name, str) or not (name.isprintable() or name == ""):
            raise CelosiaError(f"names in the file must be text, not {name!r:.60}")


def read_model(data: bytes, folder: Path | None = None) -> OnnxModel:
    """Parse and check a file. Raises CelosiaError for what can't be one network."""
    return decode(parse(data, folder))


def decode(model: Any) -> OnnxModel:
    """A `ModelProto` as plain values."""
    onnx = onnx_package()
    versions = {entry.domain: entry.version for entry in model.opset_import}
    opset = versions.get("", versions.get("ai.onnx", 0))
    low, high = _OPSETS
    if not low <= opset <= high:
        raise CelosiaError(f"the model's ONNX operator set must be {low} or newer, not {opset}")
    graph = model.graph
    if graph.sparse_initializer:
        raise CelosiaError("constants must be dense: sparse tensors aren't supported")
    constants = {tensor.name: _array(onnx, tensor) for tensor in graph.initializer}
    nodes = tuple(_node(onnx, position, node) for position, node in enumerate(graph.node))
    inputs = tuple(
        _edge(onnx, value, "input") for value in graph.input if value.name not in constants
    )
    outputs = tuple(_edge(onnx, value, "output") for value in graph.output)
    for role, edges in (("input", inputs), ("output", outputs)):
        if not edges:
            raise CelosiaError(f"the network must have at least one {role}")
        if len({edge.name for edge in edges}) != len(edges):
            raise CelosiaError(f"the network's {role}s must be different tensors")
    return OnnxModel(graph.name or "network", opset, nodes, constants, inputs, outputs)


def _array(onnx: ModuleType, tensor: Any) -> NDArray[Any]:
    if len(tensor.dims) > MAX_RANK or not 0 <= math.prod(tensor.dims) <= MAX_ELEMENTS:
        raise CelosiaError(
            f"constant '{tensor.name}' must have at most {MAX_RANK} dimensions and "
            f"{MAX_ELEMENTS} elements"
        )
    try:
        return np.asarray(onnx.numpy_helper.to_array(tensor))
    except Exception as error:  # whatever a damaged tensor leads to
        raise CelosiaError(f"constant '{tensor.name}' must hold whole data") from error


def _node(onnx: ModuleType, position: int, node: Any) -> Node:
    if node.domain not in _DOMAINS:
        raise CelosiaError(
            f"node {position} ({node.op_type}) can't run: its domain must be ONNX's own or "
            f"{CONTRIBUTED}, not '{node.domain}'"
        )
    if not node.output or not node.output[0]:
        raise CelosiaError(f"node {position} ({node.op_type}) must have an output")
    attributes = {}
    for attribute in node.attribute:
        if attribute.HasField("t"):
            attributes[attribute.name] = _array(onnx, attribute.t)
            continue
        try:
            attributes[attribute.name] = onnx.helper.get_attribute_value(attribute)
        except Exception as error:  # an attribute without a type
            raise CelosiaError(
                f"node {position} ({node.op_type}) must have whole attributes, "
                f"and '{attribute.name}' isn't"
            ) from error
    return Node(position, node.op_type, tuple(node.input), tuple(node.output), attributes, node)


def _edge(onnx: ModuleType, value: Any, role: str) -> Edge:
    if not value.type.HasField("tensor_type"):
        raise CelosiaError(f"{role} '{value.name}' of the network must be a tensor")
    tensor = value.type.tensor_type
    code = tensor.elem_type
    known = onnx.TensorProto.DataType
    name = known.Name(code) if code in known.values() else f"type {code}"
    if name not in _EDGE_TYPES:
        raise CelosiaError(
            f"{role} '{value.name}' of the network must be {', '.join(_EDGE_TYPES[:-1])} or "
            f"{_EDGE_TYPES[-1]}, not {name}"
        )
    dtype = np.dtype(onnx.helper.tensor_dtype_to_np_dtype(code))
    if role == "output":
        return Edge(value.name, dtype, None)
    if not tensor.HasField("shape"):
        raise CelosiaError(f"{role} '{value.name}' of the network must have a shape")
    return Edge(value.name, dtype, _input_shape(value.name, tensor.shape.dim))


def _input_shape(name: str, dimensions: Any) -> tuple[int, ...]:
    """The sizes; a batch of any size counts as one sample."""
    shape = []
    for axis, dimension in enumerate(dimensions):
        known = dimension.HasField("dim_value") and dimension.dim_value > 0
        if not known and axis > 0:
            given = [d.dim_value if d.HasField("dim_value") else d.dim_param for d in dimensions]
            raise CelosiaError(
                f"input '{name}' of the network must have a fixed shape, not "
                f"({', '.join(str(size or '?') for size in given)}); "
                "export the model with the size it will run with"
            )
        shape.append(int(dimension.dim_value) if known else 1)
    if len(shape) > MAX_RANK or math.prod(shape) > MAX_ELEMENTS:
        raise CelosiaError(
            f"input '{name}' of the network must have at most {MAX_RANK} dimensions and "
            f"{MAX_ELEMENTS} elements, not shape {tuple(shape[: MAX_RANK + 1])}"
        )
    return tuple(shape)
