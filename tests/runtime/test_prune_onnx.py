"""`celosia prune` on .onnx files: their own constants become zero where the NPU can skip tiles."""

import json

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from support.onnx_networks import (
    flat_network,
    mobile_network,
    newcomers_network,
    quantized,
    residual_network,
    samples_of,
)
from support.onnx_writer import OnnxRuntime

from celosia.compiler.importer import load_onnx
from celosia.compiler.importer.onnx.rewrite import replace_onnx_weights
from celosia.compiler.quantizing import quantize_model
from celosia.golden.errors import CelosiaError
from celosia.golden.interpreter import Interpreter
from celosia.golden.rounding import RoundingProfile


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def assert_pruned(run, data, samples, config, sparsity="0.5"):
    """Prune a file; its golden outputs equal ONNX Runtime's, and cycles fall."""
    with open("network.onnx", "wb") as file:
        file.write(data)
    arguments = ("prune", "network.onnx", "--sparsity", sparsity, "--config", config)
    status, out, err = run(*arguments, "--all-layers", "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["file"] == "network_pruned.onnx"
    assert report["skipped"] > 0
    assert report["cycles_after"] < report["cycles_before"]
    with open("network_pruned.onnx", "rb") as file:
        pruned = file.read()
    golden, runtime = Interpreter(load_onnx(pruned), RoundingProfile.FLOAT32), OnnxRuntime(pruned)
    for sample in samples:
        np.testing.assert_array_equal(golden.run([sample[None]])[0], runtime.run(sample[None])[0])
    return report, pruned


@pytest.mark.parametrize("unsigned", [False, True])
@pytest.mark.parametrize("make", [residual_network, mobile_network, flat_network])
def test_pruned_files_equal_onnx_runtime(run, tmp_path, make, unsigned):
    data = quantized(make(), tmp_path, qdq=False, unsigned=unsigned)
    assert_pruned(run, data, samples_of(make(), 2), "npu8x8")


def test_weights_between_quantise_and_dequantise(run, tmp_path):
    model = residual_network()
    data = quantized(model, tmp_path, qdq=True)
    with open("network.onnx", "wb") as file:
        file.write(data)
    status, out, _ = run(
        "prune", "network.onnx", "--sparsity", "0.5", "--config", "npu8x8", "--json"
    )
    assert status == 0
    assert json.loads(out)["skipped"] > 0
    # What isn't a weight stays as it is, byte by byte.
    before, after = onnx.load("network.onnx").graph, onnx.load("network_pruned.onnx").graph
    changed = [
        a.name
        for a, b in zip(before.initializer, after.initializer, strict=True)
        if not np.array_equal(numpy_helper.to_array(a), numpy_helper.to_array(b))
    ]
    assert changed
    for a, b in zip(before.initializer, after.initializer, strict=True):
        if a.name in changed:
            old, new = numpy_helper.to_array(a), numpy_helper.to_array(b)
            assert old.dtype == np.int8
            assert set(new[old != new].tolist()) == {0}


def test_folded_normalisations_and_flipped_signs(run):
    """Batch normalisation with negative factors turns signs on the way from the file."""
    model = newcomers_network()
    samples = samples_of(model, 4)
    data = quantize_model(model.SerializeToString(), samples).data
    with open("network.onnx", "wb") as file:
        file.write(data)
    status, out, err = run(
        "prune", "network.onnx", "--sparsity", "0.4", "--config", "npu8x8", "--json"
    )
    assert (status, err) == (0, "")
    assert json.loads(out)["skipped"] > 0


def test_a_mask_prunes_alike(run, tmp_path):
    with open("network.onnx", "wb") as file:
        file.write(quantized(residual_network(), tmp_path, qdq=False))
    run("prune", "network.onnx", "--sparsity", "0.5", "-o", "a.onnx", "--save-mask", "m.npz")
    status, _, err = run("prune", "network.onnx", "--mask", "m.npz", "-o", "b.onnx")
    assert (status, err) == (0, "")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()


def test_refitting_needs_tflite(run, tmp_path):
    with open("network.onnx", "wb") as file:
        file.write(quantized(residual_network(), tmp_path, qdq=False))
    status, _, err = run("prune", "network.onnx", "--sparsity", "0.5", "--calibration", "x.npy")
    assert status == 2
    assert err.startswith("error: --calibration needs a .tflite file: the biases of an .onnx file")
    assert not (tmp_path / "network_pruned.onnx").exists()


def weights_of(graph):
    return next(
        index
        for index, tensor in enumerate(graph.tensors)
        if tensor.data is not None and tensor.data.ndim == 4
    )


def test_only_zeros_can_be_written(tmp_path):
    data = quantized(residual_network(), tmp_path, qdq=False)
    graph = load_onnx(data)
    index = weights_of(graph)
    changed = graph.tensors[index].data.copy()
    changed[changed != 0] += 1
    with pytest.raises(
        CelosiaError, match=r"^weights '.*' must change to zeros only, in an \.onnx"
    ):
        replace_onnx_weights(data, None, graph, {index: changed})


def test_shared_weights_are_refused(tmp_path):
    model = onnx.load_model_from_string(quantized(residual_network(), tmp_path, qdq=False))
    convolutions = [node for node in model.graph.node if node.op_type == "QLinearConv"]
    shapes = {t.name: tuple(t.dims) for t in model.graph.initializer}
    first = convolutions[1]
    second = next(n for n in convolutions[2:] if shapes[n.input[3]] == shapes[first.input[3]])
    second.input[3] = first.input[3]
    data = model.SerializeToString()
    graph = load_onnx(data)
    index = next(
        i
        for i, t in enumerate(graph.tensors)
        if t.name.startswith(first.output[0]) and t.data is not None and t.data.ndim == 4
    )
    changed = graph.tensors[index].data.copy()
    changed[0] = 0
    with pytest.raises(CelosiaError, match="must have a constant of their own in the file"):
        replace_onnx_weights(data, None, graph, {index: changed})


def test_weights_beyond_int8_are_refused(tmp_path):
    """uint8 weights with a zero point of 0 take two int8 tensors, which no probe can tell apart."""
    model = onnx.load_model_from_string(quantized(residual_network(), tmp_path, qdq=False))
    node = next(node for node in model.graph.node if node.op_type == "QLinearConv")
    for name, zero in ((node.input[3], False), (node.input[5], True)):
        tensor = next(t for t in model.graph.initializer if t.name == name)
        array = numpy_helper.to_array(tensor)
        wide = np.zeros(array.shape, np.uint8) if zero else array.view(np.uint8)
        tensor.CopyFrom(numpy_helper.from_array(wide, name))
    data = model.SerializeToString()
    graph = load_onnx(data)
    index = weights_of(graph)
    changed = graph.tensors[index].data.copy()
    changed[0] = 0
    with pytest.raises(CelosiaError, match=r"^weights of an \.onnx file must "):
        replace_onnx_weights(data, None, graph, {index: changed})
