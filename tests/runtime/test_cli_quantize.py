"""`celosia quantize`: float ONNX networks to int8 ones, and every sentence that refuses one."""

import json
import sys

import numpy as np
import onnx
import pytest
from support.onnx_networks import (
    CLASSES,
    FloatNetwork,
    flat_network,
    mobile_network,
    newcomers_network,
    quantized,
    residual_network,
    samples_of,
)
from support.onnx_writer import OnnxRuntime

from celosia.compiler.importer import load_onnx
from celosia.golden.interpreter import Interpreter

NETWORKS = (residual_network, mobile_network, flat_network, newcomers_network)


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def network(tmp_path):
    """Writes a float network and samples of it; returns the network."""
    model = flat_network()
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", samples_of(model, 6))
    return model


@pytest.mark.parametrize("make", NETWORKS)
def test_networks_run_as_onnx_runtime_runs_them(run, tmp_path, make):
    model = make()
    onnx.save(model, tmp_path / "net.onnx")
    np.save(tmp_path / "x.npy", samples_of(model, 8))
    status, out, err = run("quantize", "net.onnx", "--calibration", "x.npy", "--json")
    assert (status, err) == (0, "")
    report = json.loads(out)
    assert report["differing_bytes"] == 0
    assert report["file"] == "net_int8.onnx"
    assert report["samples"] == 8
    assert report["output_db"] > 15
    assert all(layer["network_db"] > 5 for layer in report["layers"])
    data = (tmp_path / "net_int8.onnx").read_bytes()
    assert len(data) == report["bytes"]
    graph = load_onnx(data)
    for sample in samples_of(model, 4, seed=9):
        (got,), (want,) = (
            Interpreter(graph).run([sample[None]]),
            OnnxRuntime(data).run(sample[None]),
        )
        if make is newcomers_network:  # it ends in a float softmax
            np.testing.assert_allclose(got, want, rtol=1e-5)
        else:
            np.testing.assert_array_equal(got, want)
    assert run("run", "net_int8.onnx", "--inputs", "x.npy", "--json")[0] == 0


def test_labels_compare_accuracies(run, network, tmp_path):
    floats = OnnxRuntime(network.SerializeToString())
    best = [floats.run(x[None])[0].argmax() for x in samples_of(network, 6)]
    np.save(tmp_path / "y.npy", np.array(best))
    arguments = (
        "quantize",
        "net.onnx",
        "--calibration",
        "x.npy",
        "--labels",
        "y.npy",
        "-o",
        "q.onnx",
    )
    status, out, err = run(*arguments)
    assert (status, err) == (0, "")
    assert "accuracy 100.00% before, " in out
    report = json.loads(run(*arguments, "--json")[1])
    assert report["accuracy"]["float"] == 1
    assert report["accuracy"]["int8"] == report["accuracy"]["agreement"]


def test_errors_of_layers_are_shown(run, network):
    status, out, _ = run("quantize", "net.onnx", "--calibration", "x.npy")
    assert status == 0
    assert "rounded, dB" in out
    assert "every byte equals ONNX Runtime's" in out


def write_inputs(tmp_path, **arrays):
    for name, array in arrays.items():
        np.save(tmp_path / f"{name}.npy", array)


SHAPE = (6, 3, 8, 8)


@pytest.mark.parametrize(
    ("samples", "sentence"),
    [
        (np.zeros(SHAPE), "must be float32 as the network's input 'image' is"),
        (np.zeros((6, 8, 8, 3), np.float32), "must have shape (n, 3, 8, 8) for n samples of"),
        (np.zeros((0, 3, 8, 8), np.float32), "calibration samples must be at least one, not none"),
        (np.full(SHAPE, np.nan, np.float32), "must be finite numbers, without NaN"),
        (np.array(["a"]), "must be a whole .npy file of numbers"),
    ],
)
def test_samples_that_do_not_fit(run, network, tmp_path, samples, sentence):
    np.save(tmp_path / "x.npy", samples)
    status, out, err = run("quantize", "net.onnx", "--calibration", "x.npy")
    assert (status, out) == (2, "")
    assert sentence in err
    assert not (tmp_path / "net_int8.onnx").exists()


@pytest.mark.parametrize(
    ("labels", "sentence"),
    [
        (np.zeros(5, int), "labels must be 6 whole numbers, one for each sample, not int64 of"),
        (np.zeros(6), "labels must be 6 whole numbers, one for each sample, not float64"),
        (np.full(6, CLASSES), f"labels must be classes from 0 to {CLASSES - 1}"),
    ],
)
def test_labels_that_do_not_fit(run, network, tmp_path, labels, sentence):
    np.save(tmp_path / "y.npy", labels)
    status, out, err = run("quantize", "net.onnx", "--calibration", "x.npy", "--labels", "y.npy")
    assert (status, out) == (2, "")
    assert sentence in err
    assert not (tmp_path / "net_int8.onnx").exists()


def test_labels_need_rows_of_classes(run, tmp_path):
    net = FloatNetwork(size=8)
    onnx.save(net.float_model(net.conv(net.x, 4)), tmp_path / "net.onnx")
    write_inputs(tmp_path, x=np.ones(SHAPE, np.float32), y=np.zeros(6, int))
    status, _, err = run("quantize", "net.onnx", "--calibration", "x.npy", "--labels", "y.npy")
    assert status == 2
    assert "labels need a network with one row of classes to a sample, not (4, 8, 8)" in err


def of_operator(kind, dtype=np.float32, inputs=1, shape=(1, 3, 8, 8)):
    net = FloatNetwork(size=8)
    net._inputs.clear()
    names = [net.input(shape, dtype) for _ in range(inputs)]
    return net.float_model(net.node(kind, *names))


def of_two_inputs():
    return of_operator("Add", inputs=2)


@pytest.mark.parametrize(
    ("model", "sentence"),
    [
        (
            lambda: of_operator("TopK"),
            "node 0 (TopK, output 'TopK0') can't be quantised: supported",
        ),
        (of_two_inputs, "the network must have one input, not 2"),
        (lambda: of_operator("Identity", np.uint8), "of the network must be FLOAT, not UINT8"),
        (
            lambda: of_operator("Relu", shape=(1, 3, "h", 8)),
            "must have a fixed shape, not (1, 3, h",
        ),
    ],
)
def test_models_that_can_not_be_quantised(run, tmp_path, model, sentence):
    onnx.save(model(), tmp_path / "net.onnx")
    write_inputs(tmp_path, x=np.ones(SHAPE, np.float32))
    status, out, err = run("quantize", "net.onnx", "--calibration", "x.npy")
    assert (status, out) == (2, "")
    assert err.startswith("error: model 'net.onnx': ")
    assert sentence in err
    assert err.count("\n") == 1


def test_quantised_models_are_left_alone(run, network, tmp_path):
    (tmp_path / "int8.onnx").write_bytes(quantized(network, tmp_path, qdq=True))
    status, _, err = run("quantize", "int8.onnx", "--calibration", "x.npy")
    assert status == 2
    assert "the model must be a float one: it is quantised already, and runs so" in err


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (("net.tflite", "--calibration", "x.npy"), "model must be a float .onnx file, not 'net.tf"),
        (("none.onnx", "--calibration", "x.npy"), "model 'none.onnx' can't be read: No such file"),
        (("net.onnx", "--calibration", "none.npy"), "can't read calibration samples 'none.npy'"),
        (
            ("net.onnx", "--calibration", "x.npy", "-o", "net.onnx"),
            "output 'net.onnx' must be another file than the model",
        ),
        (("net.onnx", "--calibration", "x.npy", "-o", "no/q.onnx"), "can't write 'no/q.onnx'"),
    ],
)
def test_files_that_can_not_be_used(run, network, arguments, sentence):
    status, out, err = run("quantize", *arguments)
    assert (status, out) == (2, "")
    assert sentence in err


def test_without_the_extra(run, network, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    status, _, err = run("quantize", "net.onnx", "--calibration", "x.npy")
    assert status == 2
    assert 'an extra: pip install "celosia[onnx]"' in err


def test_float_models_are_sent_to_quantize(run, network):
    status, _, err = run("run", "net.onnx")
    assert status == 2
    assert "quantise it with 'celosia quantize MODEL.onnx --calibration X.npy'" in err
