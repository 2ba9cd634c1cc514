"""ONNX networks in RTL: ONNX Runtime's bytes from a small array with float32 rounding."""

import numpy as np
import pytest
from support.onnx_networks import (
    mobile_network,
    newcomers_network,
    quantized,
    residual_network,
    samples_of,
)
from support.onnx_writer import OnnxRuntime

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_onnx
from celosia.compiler.quantizing import quantize_model
from celosia.golden.config import load_config
from celosia.runtime.rtl_device import RtlDevice
from celosia.runtime.run import run_graph

SMALL = """
base = "npu4x4"
weight_kib = 96
profiles = ["float32"]
"""


@pytest.fixture
def config(tmp_path):
    (tmp_path / "small.toml").write_text(SMALL)
    return load_config(str(tmp_path / "small.toml"))


@pytest.mark.parametrize("make", [residual_network, mobile_network])
def test_quantised_networks(tmp_path, config, make):
    data = quantized(make(), tmp_path, qdq=False)
    assert_rtl_equals_onnx_runtime(data, config, samples_of(make(), 2, seed=8))


def test_a_network_with_gates_that_celosia_quantised(config):
    """Squeeze-and-excite in RTL: products with a factor for each channel, and tables."""
    model = newcomers_network()
    samples = samples_of(model, 8)
    data = quantize_model(model.SerializeToString(), samples).data
    graph = load_onnx(data)
    program = compile_model(graph, config)
    inputs = [[sample[None]] for sample in samples[:2]]
    result = run_graph(graph, program, RtlDevice(program), "rtl", inputs)
    assert result.report.mismatches == 0


def assert_rtl_equals_onnx_runtime(data, config, samples):
    graph = load_onnx(data)
    program = compile_model(graph, config)
    inputs = [[sample[None]] for sample in samples]
    result = run_graph(graph, program, RtlDevice(program), "rtl", inputs)
    runtime = OnnxRuntime(data)
    want = np.concatenate([runtime.run(sample[None])[0] for sample in samples])
    np.testing.assert_array_equal(result.outputs[0], want)
    assert result.report.mismatches == 0
