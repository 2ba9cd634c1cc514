"""Host operators in the header."""

from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from celosia.compiler.program import HostStage
from celosia.compiler.program_file.fields import MAX_INDEX, Field
from celosia.compiler.program_file.tensors import decode_tensor, encode_tensor
from celosia.golden.errors import CelosiaError
from celosia.golden.graph import MAX_RANK, Activation, Graph, Operator, OpKind
from celosia.golden.rounding import RoundingProfile


def _pair(field: Field) -> tuple[int, ...]:
    return field.integers(1, 0xFFFF, count=2)


def _pairs(field: Field) -> tuple[tuple[int, ...], ...]:
    return tuple(item.integers(0, 0xFFFF, count=2) for item in field.items(most=MAX_RANK))


_ATTRIBUTES: Mapping[str, Callable[[Field], Any]] = {
    "stride": _pair,
    "dilation": _pair,
    "window": _pair,
    "padding": _pairs,
    "pads": _pairs,
    "axes": lambda field: field.integers(0, 7),
    "axis": lambda field: field.integer(0, 7),
    "multiplier": lambda field: field.integer(1, 0xFFFF),
    "keep_dims": Field.flag,
    "count_padding": Field.flag,
    "unsigned": Field.flag,
    "begin": lambda field: field.integers(0, MAX_INDEX),
    "size": lambda field: field.integers(1, MAX_INDEX),
    "strides": lambda field: field.integers(1, MAX_INDEX),
    "permutation": lambda field: field.integers(0, 7),
    "beta": Field.number,
    "alpha": Field.number,
    "activation": lambda field: field.choice(Activation),
}


def encode_stage(stage: HostStage) -> dict[str, Any]:
    """A host stage as JSON."""
    graph = stage.graph
    return {
        "tensors": [encode_tensor(tensor) for tensor in graph.tensors],
        "operators": [
            {
                "kind": node.kind.value,
                "name": node.name,
                "inputs": list(node.inputs),
                "outputs": list(node.outputs),
                "attributes": {
                    key: value.value if isinstance(value, Activation) else value
                    for key, value in node.attributes.items()
                },
            }
            for node in graph.operators
        ],
        "graph_inputs": list(graph.inputs),
        "graph_outputs": list(graph.outputs),
        "inputs": list(stage.inputs),
        "outputs": list(stage.outputs),
    }


def decode_stage(field: Field, name: str, profile: RoundingProfile) -> HostStage:
    """A host stage from JSON. It has run once on zeros, so that it can run."""
    tensors = tuple(decode_tensor(item) for item in field["tensors"].items())
    last = len(tensors) - 1
    graph_inputs = field["graph_inputs"].integers(0, last)
    graph_outputs = field["graph_outputs"].integers(0, last)
    stage = HostStage(
        Graph(
            name,
            tensors,
            tuple(_decode_operator(item, last) for item in field["operators"].items()),
            graph_inputs,
            graph_outputs,
        ),
        field["inputs"].integers(0, MAX_INDEX, count=len(graph_inputs)),
        field["outputs"].integers(0, MAX_INDEX, count=len(graph_outputs)),
        profile,
    )
    _rehearse(field, stage)
    return stage


def _decode_operator(field: Field, last: int) -> Operator:
    attributes = field["attributes"]
    if not isinstance(attributes.value, dict):
        attributes.fail("an object")
    for key in attributes.value:
        if key not in _ATTRIBUTES:
            attributes.fail(f"attributes out of {', '.join(_ATTRIBUTES)}")
    return Operator(
        kind=field["kind"].choice(OpKind),
        name=field["name"].text(),
        inputs=field["inputs"].integers(-1, last),
        outputs=field["outputs"].integers(0, last, count=1),
        attributes={key: _ATTRIBUTES[key](attributes[key]) for key in attributes.value},
    )


def _rehearse(field: Field, stage: HostStage) -> None:
    graph = stage.graph
    for operator in graph.operators:
        # PAD alone can make a small tensor huge, so its sizes are compared before it runs.
        if operator.kind is OpKind.PAD and not _pads_fit(graph, operator):
            field.fail("operators whose shapes fit together")
    values: dict[int, Any] = {
        value: np.zeros(graph.tensors[index].shape, graph.tensors[index].dtype)
        for value, index in zip(stage.inputs, graph.inputs, strict=True)
    }
    try:
        stage.run(values)
        fitting = all(
            values[value].shape == graph.tensors[index].shape
            and values[value].dtype == graph.tensors[index].dtype
            for value, index in zip(stage.outputs, graph.outputs, strict=True)
        )
    except Exception as error:
        # The interpreter trusts graphs that the importer has checked; nobody has checked this one.
        raise CelosiaError(
            f"program's {field.path} must hold operators that can run: {error}"
        ) from error
    if not fitting:
        field.fail("operators whose shapes fit together")


def _pads_fit(graph: Graph, operator: Operator) -> bool:
    pads: Any = operator.attributes.get("pads", ())
    shape = graph.tensors[operator.inputs[0]].shape if operator.inputs else ()
    padded = tuple(size + sum(pair) for size, pair in zip(shape, pads, strict=False))
    return len(pads) == len(shape) and padded == graph.tensors[operator.outputs[0]].shape
