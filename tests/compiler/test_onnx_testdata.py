"""ONNX's own operator test data (Debian's libonnx-testdata) through the importer."""

from pathlib import Path

import numpy as np
import pytest

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.importer import load_onnx
from celosia.golden.config import PRESETS
from celosia.golden.errors import CelosiaError
from celosia.golden.interpreter import Interpreter
from celosia.golden.rounding import RoundingProfile

onnx = pytest.importorskip("onnx")

NODES = Path("/usr/share/libonnx-testdata/data/node")


def load_case(name):
    """A case as a network: (bytes, its input, its output).

    The data feed scales and weights as inputs; a network holds them as constants, which is how the
    importer takes them.
    """
    if not NODES.is_dir():
        pytest.skip("ONNX's test data aren't there: apt install libonnx-testdata")
    model = onnx.load(NODES / name / "model.onnx")
    data = NODES / name / "test_data_set_0"

    def read(kind, index):
        return onnx.numpy_helper.to_array(onnx.load_tensor(data / f"{kind}_{index}.pb"))

    values = [read("input", index) for index in range(len(model.graph.input))]
    for edge, value in zip(model.graph.input[1:], values[1:], strict=True):
        model.graph.initializer.append(onnx.numpy_helper.from_array(value, edge.name))
    del model.graph.input[1:]
    return model.SerializeToString(), values[0], read("output", 0)


@pytest.mark.parametrize(
    "name",
    ["test_quantizelinear", "test_dequantizelinear", "test_qlinearconv", "test_qlinearmatmul_2D"],
)
def test_operators_give_the_recorded_outputs(name):
    data, x, wanted = load_case(name)
    (got,) = Interpreter(load_onnx(data), RoundingProfile.FLOAT32).run([x])
    assert got.dtype == wanted.dtype
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize("name", ["test_qlinearconv", "test_qlinearmatmul_2D"])
def test_matrix_products_give_the_recorded_outputs_on_the_machine(name):
    data, x, wanted = load_case(name)
    program = compile_model(load_onnx(data), PRESETS["npu8x8"], RoundingProfile.FLOAT32)
    (got,) = run_on_machine(program, [x])
    np.testing.assert_array_equal(got, wanted)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("test_quantizelinear_axis", "scale 'y_scale' must be one number, not 3"),
        ("test_dequantizelinear_axis", "scale 'x_scale' must be one number, not 3"),
        ("test_qlinearmatmul_3D", "its weights must be a matrix"),
        ("test_convinteger_without_padding", "must be INT8, UINT8 or FLOAT, not INT32"),
        ("test_matmulinteger", "must be INT8, UINT8 or FLOAT, not INT32"),
        ("test_dynamicquantizelinear", "quantise it with"),
    ],
)
def test_what_does_not_run_is_refused_with_a_reason(name, sentence):
    data, _, _ = load_case(name)
    with pytest.raises(CelosiaError, match=sentence):
        load_onnx(data)
