"""Holds the golden interpreter to the referee: every tensor, every byte."""

import numpy as np
from support.referee import Referee

from celosia.compiler.importer import load_tflite
from celosia.golden.graph import Graph
from celosia.golden.interpreter import Interpreter


def random_inputs(graph: Graph, rng, count):
    """`count` sets of inputs: uniform noise, the ends of int8, and values near the zero points."""
    for number in range(count):
        values = []
        for index in graph.inputs:
            tensor = graph.tensors[index]
            if tensor.dtype == np.float32:
                values.append(rng.normal(0, 3, tensor.shape).astype(np.float32))
            elif number == 1:
                values.append(rng.choice(np.array([-128, 127], np.int8), tensor.shape))
            elif number == 2:
                near = rng.normal(tensor.quantization.zero_point[0], 4, tensor.shape)
                values.append(np.clip(near, -128, 127).astype(np.int8))
            else:
                values.append(rng.integers(-128, 128, tensor.shape).astype(np.int8))
        yield values


def assert_equals_referee(data, seed, *, inputs=None, count=3, note="", arena=4_000_000):
    """Run a model on both; `inputs` are input lists, or `count` random ones are drawn.

    Returns the number of values compared; a difference fails with the seed in its message.
    """
    graph = load_tflite(data)
    interpreter = Interpreter(graph)
    referee = Referee(data, arena=arena)
    compared = 0
    for values in inputs or random_inputs(graph, np.random.default_rng(seed), count):
        actual = interpreter.run_all(values)
        referee.run(values, len(graph.outputs))
        for operator in graph.operators:
            index = operator.outputs[0]
            expected = np.asarray(referee.tensor(index))
            assert actual[index].dtype == expected.dtype
            assert actual[index].shape == graph.tensors[index].shape
            different = np.count_nonzero(actual[index] != expected.reshape(actual[index].shape))
            assert different == 0, (
                f"{different} of {expected.size} bytes of '{operator.name}' "
                f"({operator.kind.value}) differ; seed {seed} {note}"
            )
            compared += expected.size
    return compared
