"""Operators that the host runs, as a graph of their own."""

from collections.abc import Sequence
from dataclasses import replace

from celosia.compiler.partition import variable_inputs
from celosia.compiler.program import HostStage
from celosia.golden.graph import Graph
from celosia.golden.rounding import RoundingProfile


def host_stage(
    graph: Graph, operators: Sequence[int], wanted: Sequence[int], profile: RoundingProfile
) -> HostStage:
    """Some operators with the tensors that they touch; they give what of `wanted` they make."""
    made = {graph.operators[index].outputs[0] for index in operators}
    inputs = variable_inputs(graph, operators)
    outputs = [index for index in dict.fromkeys(wanted) if index in made]
    touched = sorted(
        {
            tensor
            for index in operators
            for tensor in (*graph.operators[index].inputs, *graph.operators[index].outputs)
            if tensor >= 0
        }
    )
    number = {tensor: position for position, tensor in enumerate(touched)} | {-1: -1}
    stage = Graph(
        name=graph.name,
        tensors=tuple(graph.tensors[tensor] for tensor in touched),
        operators=tuple(
            replace(
                node,
                inputs=tuple(number[tensor] for tensor in node.inputs),
                outputs=tuple(number[tensor] for tensor in node.outputs),
            )
            for node in (graph.operators[index] for index in operators)
        ),
        inputs=tuple(number[tensor] for tensor in inputs),
        outputs=tuple(number[tensor] for tensor in outputs),
    )
    return HostStage(stage, tuple(inputs), tuple(outputs), profile)
