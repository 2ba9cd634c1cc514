"""`load_tflite`: a .tflite file becomes a checked `Graph`.

The importer is as lenient as interpreters are: metadata, bias quantisation, weight axes that
disagree with the operator and unused tensors are ignored. What can't run is refused here, with the
operator, the tensor and the reason; behind this edge a graph is trusted.
"""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.context import OperatorContext
from celosia.compiler.importer.files import read_model_file
from celosia.compiler.importer.flatbuffer import RawModel, RawTensor, read_flatbuffer
from celosia.compiler.importer.operators import IMPORTERS
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import (
    MAX_ELEMENTS,
    MAX_RANK,
    Graph,
    Operator,
    Quantization,
    Tensor,
)

_DTYPES: Mapping[str, np.dtype[Any]] = {
    "FLOAT32": np.dtype(np.float32),
    "INT8": np.dtype(np.int8),
    "UINT8": np.dtype(np.uint8),
    "INT16": np.dtype(np.int16),
    "INT32": np.dtype(np.int32),
    "INT64": np.dtype(np.int64),
    "BOOL": np.dtype(np.bool_),
}
_NO_DTYPE: np.dtype[Any] = np.dtype(np.void)


def load_tflite(source: str | os.PathLike[str] | bytes) -> Graph:
    """Import a .tflite model from a path or from the file's bytes.

    Tensor indices of the graph are those of the file. Raises `CelosiaError` for a file that can't
    be read, isn't a .tflite file, is damaged, or holds a network that can't run.
    """
    if isinstance(source, bytes):
        return build_graph(read_flatbuffer(source))
    path = Path(source)
    data = read_model_file(path)
    try:
        return build_graph(read_flatbuffer(data))
    except CelosiaError as error:
        raise CelosiaError(f"model '{path}': {error}") from error


def build_graph(raw: RawModel) -> Graph:
    """Check a decoded model and make a graph of it."""
    used = {index for operator in raw.operators for index in (*operator.inputs, *operator.outputs)}
    used |= {*raw.inputs, *raw.outputs}
    tensors = tuple(
        _tensor(index, tensor, index in used) for index, tensor in enumerate(raw.tensors)
    )
    _check_edges(raw, tensors)
    operators = []
    defined = {index for index, tensor in enumerate(tensors) if tensor.data is not None}
    defined |= set(raw.inputs)
    for position, operator in enumerate(raw.operators):
        context = OperatorContext(position, operator, raw.tensors, tensors)
        kind = operator.kind
        if kind not in IMPORTERS:
            supported = ", ".join(IMPORTERS)
            context.fail(f"the operator isn't supported; supported are {supported}")
        context.check_indices(defined)
        defined.update(operator.outputs)
        output = operator.outputs[0]
        imported, attributes = IMPORTERS[kind]
        operators.append(
            Operator(
                kind=imported,
                name=tensors[output].name,
                inputs=context.kept_inputs(),
                outputs=operator.outputs,
                attributes=attributes(context),
            )
        )
    for index in raw.outputs:
        if index not in defined or tensors[index].data is not None:
            raise CelosiaError(
                f"output '{tensors[index].name}' of the network must be written by an operator"
            )
    return Graph(raw.name, tensors, tuple(operators), raw.inputs, raw.outputs)


def _check_edges(raw: RawModel, tensors: Sequence[Tensor]) -> None:
    """The network's inputs and outputs exist, are distinct and have types that can be given."""
    if not tensors:
        raise CelosiaError("the network must have tensors")
    for role, indices in (("input", raw.inputs), ("output", raw.outputs)):
        if not indices:
            raise CelosiaError(f"the network must have at least one {role}")
        if len(set(indices)) != len(indices):
            raise CelosiaError(f"the network's {role}s must be different tensors")
        for index in indices:
            if not 0 <= index < len(tensors):
                raise CelosiaError(
                    f"{role} of the network must be a tensor from 0 to {len(tensors) - 1}, "
                    f"not {index}"
                )
            if raw.tensors[index].type not in ("INT8", "FLOAT32"):
                raise CelosiaError(
                    f"{role} '{tensors[index].name}' of the network must be INT8 or FLOAT32, "
                    f"not {raw.tensors[index].type}"
                )
    for index in raw.inputs:
        if tensors[index].data is not None:
            raise CelosiaError(f"input '{tensors[index].name}' of the network must not be constant")


def _tensor(index: int, raw: RawTensor, used: bool) -> Tensor:
    name = raw.name or f"tensor {index}"
    dtype = _DTYPES.get(raw.type, _NO_DTYPE)
    if not used:
        return Tensor(name, raw.shape[:MAX_RANK], dtype)
    if len(raw.shape) > MAX_RANK or any(size < 0 for size in raw.shape):
        raise CelosiaError(
            f"tensor '{name}' must have at most {MAX_RANK} dimensions of known size, "
            f"not {raw.shape[: MAX_RANK + 1]}"
        )
    # A batch of unknown size is fine: the shape says which one the file was made for.
    if any(size < 0 for size in raw.signature[1:]):
        raise CelosiaError(
            f"tensor '{name}' must have a fixed shape, not {raw.signature[: MAX_RANK + 1]}; "
            "export the model with the size it will run with"
        )
    if math.prod(raw.shape) > MAX_ELEMENTS:
        raise CelosiaError(
            f"tensor '{name}' must have at most {MAX_ELEMENTS} elements, not {math.prod(raw.shape)}"
        )
    if raw.is_variable:
        raise CelosiaError(f"tensor '{name}' must not be a variable: networks can't keep state")
    if raw.is_sparse:
        raise CelosiaError(f"tensor '{name}' must be dense: sparse tensors aren't supported")
    return Tensor(name, raw.shape, dtype, _quantization(name, raw), _data(name, raw, dtype))


def _quantization(name: str, raw: RawTensor) -> Quantization | None:
    if raw.scale.size == 0:
        return None
    if raw.type != "INT8":
        return None  # a bias gets its scale from input and weights
    scale = np.array(raw.scale, np.float32)
    # A dead channel of weights may have scale 0.
    if not (np.isfinite(scale).all() and (scale >= 0).all()):
        raise CelosiaError(f"scales of tensor '{name}' must be positive numbers")
    if raw.zero_point.size not in (0, 1, scale.size):
        raise CelosiaError(
            f"tensor '{name}' must have one zero point for each of its {scale.size} scales, "
            f"not {raw.zero_point.size}"
        )
    zero_point = np.array(raw.zero_point if raw.zero_point.size else [0], np.int64)
    limit = 1 << 31
    if not ((zero_point >= -limit) & (zero_point < limit)).all():
        raise CelosiaError(f"zero points of tensor '{name}' must be 32-bit numbers")
    return Quantization(scale, np.broadcast_to(zero_point, scale.shape).astype(np.int32), raw.axis)


def _data(name: str, raw: RawTensor, dtype: np.dtype[np.generic]) -> NDArray[np.generic] | None:
    if raw.data is None or dtype == _NO_DTYPE:
        return None
    expected = math.prod(raw.shape) * dtype.itemsize
    if len(raw.data) != expected:
        raise CelosiaError(
            f"constant tensor '{name}' of shape {raw.shape} must hold {expected} bytes, "
            f"not {len(raw.data)}"
        )
    return np.frombuffer(raw.data, dtype.newbyteorder("<")).astype(dtype).reshape(raw.shape)
