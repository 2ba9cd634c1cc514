"""Whole ONNX networks: golden operators against ONNX Runtime, golden machine against these."""

import numpy as np
import pytest
from support.onnx_networks import (
    flat_network,
    mobile_network,
    quantized,
    residual_network,
    samples_of,
)
from support.onnx_writer import OnnxRuntime

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.importer import load_onnx
from celosia.golden.config import load_config
from celosia.golden.graph import OpKind
from celosia.golden.interpreter import Interpreter
from celosia.golden.rounding import RoundingProfile

NETWORKS = {"residual": residual_network, "mobile": mobile_network, "flat": flat_network}
MOVES = {OpKind.TRANSPOSE, OpKind.RESHAPE}


@pytest.mark.parametrize("qdq", [False, True], ids=["qoperator", "qdq"])
@pytest.mark.parametrize("name", list(NETWORKS))
def test_networks(tmp_path, name, qdq):
    """QDQ networks are held to the QOperator form of the same float network."""
    model = NETWORKS[name]()
    graph = load_onnx(quantized(model, tmp_path, qdq=qdq))
    assert graph.profile is RoundingProfile.FLOAT32
    assert graph.tensors[graph.inputs[0]].name == "image"
    referee = OnnxRuntime(quantized(model, tmp_path, qdq=False))
    interpreter = Interpreter(graph)
    program = compile_model(graph, load_config("npu8x8"))
    for sample in samples_of(model, 10, seed=5):
        (want,) = referee.run(sample[None])
        (got,) = interpreter.run([sample[None]])
        np.testing.assert_array_equal(got, want)
        (on_machine,) = run_on_machine(program, [sample[None]])
        np.testing.assert_array_equal(on_machine, got)


@pytest.mark.parametrize("name", list(NETWORKS))
def test_only_the_image_is_moved(tmp_path, name):
    graph = load_onnx(quantized(NETWORKS[name](), tmp_path, qdq=True))
    moves = [operator for operator in graph.operators if operator.kind in MOVES]
    assert [operator.attributes for operator in moves] == [{"permutation": (0, 2, 3, 1)}]
    assert moves[0].inputs == graph.operators[0].outputs
