"""Other weights for an .onnx file: zeros in its constants where the imported graph has new ones.

Between a constant of the file and a weights tensor of the graph lie transpositions, reshapes, zero
points, batch normalisation, groups. What comes from where is found by importing the model again
with numbers in its constants that tell their places apart.
"""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from celosia.compiler.importer.onnx.load import build_graph
from celosia.compiler.importer.onnx.reader import decode, onnx_package, parse
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import Graph

_WEIGHT_INPUTS: Mapping[str, tuple[int, ...]] = {
    "Conv": (1,),
    "Gemm": (1,),
    "MatMul": (0, 1),
    "QLinearConv": (3,),
    "QLinearMatMul": (0, 3),
    "QGemm": (3,),
}
"""Which inputs of a node may be weights."""
_PASSED_ON = (
    "DequantizeLinear",
    "Transpose",
    "Reshape",
    "Identity",
    "Squeeze",
    "Unsqueeze",
    "Flatten",
)
"""Nodes that weights may pass on their way from the file; they are the first input."""
_DIGITS = 100
_LOWEST = {np.dtype(np.int8): -50, np.dtype(np.uint8): 78}
"""A byte such that neither it nor the hundred above it are far from usual zero points."""

Weights = Mapping[int, NDArray[Any]]


def replace_onnx_weights(
    content: bytes, folder: Path | None, graph: Graph, changed: Weights
) -> bytes:
    """An .onnx file in which weights are zero where those of the graph are to be, by their indices.

    `graph` is what the file is imported as; `folder` is where its weights in files of their own
    are, which the new file holds itself.

    Raises:
        CelosiaError: the package is missing, weights change to anything but zero, or can't be told
            from the file's constants.
    """
    model = parse(content, folder)
    sources = _Sources(model)
    places, signs, bases = _traced(model, sources, graph, changed)
    zeros: dict[int, bool] = {}
    for index, data in changed.items():
        name, before = graph.tensors[index].name, graph.tensors[index].data
        assert before is not None
        different = data != before
        if data[different].any() or (places[index][different] < 0).any():
            raise CelosiaError(f"weights '{name}' must change to zeros only, in an .onnx file")
    # A constant may be used more than once: it becomes zero only where all uses agree.
    for index, data in changed.items():
        for place, is_zero in zip(places[index].ravel(), (data == 0).ravel(), strict=True):
            if place >= 0:
                zeros[int(place)] = zeros.get(int(place), True) and bool(is_zero)
    sources.set_zero(
        np.array(sorted(place for place, is_zero in zeros.items() if is_zero), np.int64),
        signs,
        bases,
    )
    onnx = onnx_package()
    onnx.checker.check_model(model)
    written: bytes = model.SerializeToString()
    imported = build_graph(decode(parse(written, None)))
    for index, tensor in enumerate(imported.tensors):
        wanted = changed.get(index, graph.tensors[index].data)
        if wanted is None or tensor.data is None:
            continue
        if not np.array_equal(tensor.data, wanted):
            raise CelosiaError(
                f"weights '{graph.tensors[index].name}' must have a constant of their own in the "
                f"file to be pruned; export the model again"
            )
    return written


class _Sources:
    """The int8 and uint8 constants of a model that are weights, numbered through."""

    def __init__(self, model: Any) -> None:
        onnx = onnx_package()
        self._numpy = onnx.numpy_helper
        wanted = set(_weight_constants(model.graph))
        self._tensors = [t for t in _constants(model.graph) if t[0] in wanted]
        self._arrays = [self._numpy.to_array(tensor) for _, tensor in self._tensors]
        kept = [i for i, array in enumerate(self._arrays) if array.dtype in _LOWEST and array.size]
        self._tensors = [self._tensors[i] for i in kept]
        self._arrays = [self._arrays[i] for i in kept]
        self._firsts = np.cumsum([0, *(array.size for array in self._arrays)])

    @property
    def count(self) -> int:
        """Elements of all of them."""
        return int(self._firsts[-1])

    def fill(self, digits: NDArray[np.int64] | None) -> None:
        """The lowest byte in all of them, or as much above it as a digit [count] says."""
        for first, (_, tensor), array in zip(
            self._firsts, self._tensors, self._arrays, strict=False
        ):
            values = np.full(array.size, _LOWEST[array.dtype], np.int64)
            if digits is not None:
                values += digits[first : first + array.size]
            self._write(tensor, values.astype(array.dtype).reshape(array.shape))

    def set_zero(
        self, places: NDArray[np.int64], signs: NDArray[np.int64], bases: NDArray[np.int64]
    ) -> None:
        """The original bytes, but for those at some places, which become their zero points.

        `bases` [count] are the weights that the lowest byte gives, `signs` [count] their signs.
        """
        for first, (_, tensor), array in zip(
            self._firsts, self._tensors, self._arrays, strict=False
        ):
            flat = array.reshape(-1).copy()
            own = places[(places >= first) & (places < first + array.size)]
            flat[own - first] = _LOWEST[array.dtype] - bases[own] * signs[own]
            self._write(tensor, flat.reshape(array.shape))

    def _write(self, tensor: Any, array: NDArray[Any]) -> None:
        name = tensor.name
        tensor.CopyFrom(self._numpy.from_array(array, name))


def _constants(graph: Any) -> Iterator[tuple[str, Any]]:
    """Name and proto of every constant."""
    for tensor in graph.initializer:
        yield tensor.name, tensor
    for node in graph.node:
        for attribute in node.attribute:
            if node.op_type == "Constant" and attribute.HasField("t"):
                yield node.output[0], attribute.t


def _weight_constants(graph: Any) -> Iterator[str]:
    """Names of constants that reach the weights input of a node."""
    producers = {node.output[0]: node for node in graph.node if node.output}
    for node in graph.node:
        for place in _WEIGHT_INPUTS.get(node.op_type, ()):
            if place < len(node.input):
                name = node.input[place]
                while name in producers and producers[name].op_type in _PASSED_ON:
                    name = producers[name].input[0]
                yield name


def _traced(
    model: Any, sources: _Sources, graph: Graph, changed: Weights
) -> tuple[dict[int, NDArray[np.int64]], NDArray[np.int64], NDArray[np.int64]]:
    """Where the weights come from.

    Returns for each weights tensor the place of every element among the sources, -1 for none; and
    by place the sign on the way, and what the lowest byte becomes.
    """
    base = _imported(model, sources, None, graph)
    rounds = 1
    while _DIGITS**rounds < sources.count:
        rounds += 1
    number = np.arange(sources.count)
    places = {index: np.zeros(base[index].shape, np.int64) for index in changed}
    found: dict[int, NDArray[np.int64]] = {}
    for turn in range(rounds):
        digits = number // _DIGITS**turn % _DIGITS
        probe = _imported(model, sources, digits + 1, graph)
        for index in changed:
            difference = probe[index].astype(np.int64) - base[index]
            found[index] = difference
            places[index] += (abs(difference) - 1) * _DIGITS**turn
    signs, bases = np.ones(sources.count, np.int64), np.zeros(sources.count, np.int64)
    for index in changed:
        none = found[index] == 0
        places[index][none] = -1
        own = places[index][~none]
        signs[own] = np.sign(found[index][~none])
        bases[own] = base[index][~none]
    return places, signs, bases


def _imported(
    model: Any, sources: _Sources, digits: NDArray[np.int64] | None, graph: Graph
) -> list[Any]:
    """The constants of the graph that the model is with other numbers in its weights."""
    sources.fill(digits)
    try:
        other = build_graph(decode(model))
    except CelosiaError as error:
        raise CelosiaError(
            f"weights of an .onnx file must be free to take any small values to be pruned: {error}"
        ) from error
    shapes = [tensor.shape for tensor in graph.tensors]
    if [tensor.shape for tensor in other.tensors] != shapes:
        raise CelosiaError(
            "weights of an .onnx file must fit int8 without their zero points to be pruned"
        )
    return [tensor.data for tensor in other.tensors]
