"""`celosia prune`."""

import json

import numpy as np
import pytest
from support.referee import Referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.golden_run import run_on_machine
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS


@pytest.fixture(autouse=True)
def in_its_own_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def model(tmp_path):
    builder = ModelBuilder(1)
    x = builder.conv(builder.input((1, 12, 10, 3)), 16, activation="RELU")
    x = builder.conv(builder.conv(x, 16, activation="RELU"), 24, activation="RELU")
    path = tmp_path / "network.tflite"
    path.write_bytes(builder.finish(builder.fully_connected(builder.mean(x), 10)))
    return path


@pytest.mark.parametrize("config", ["npu4x4", "npu8x8", "npu16x16"])
def test_pruned_models_take_fewer_cycles_and_equal_the_referee(run, model, tmp_path, config):
    output = tmp_path / "p.tflite"
    status, out, err = run(
        "prune", model, "--sparsity", "0.5", "--config", config, "-o", output, "--json"
    )
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert report["file"] == str(output)
    assert [layer["pruned"] for layer in report["layers"]] == [False, True, True, False]
    for layer in report["layers"][1:3]:
        assert layer["skipped"] == int(layer["tiles"] / 2 + 0.5)
        assert layer["cycles_after"] < 0.75 * layer["cycles_before"]
    assert report["cycles_after"] < report["cycles_before"]
    data = output.read_bytes()
    program = compile_model(data, PRESETS[config])
    x = np.random.default_rng(1).integers(-128, 128, (1, 12, 10, 3), np.int8)
    np.testing.assert_array_equal(run_on_machine(program, [x])[0], Referee(data).run([x])[0])


def test_the_table_and_the_usual_name(run, model, tmp_path):
    status, out, err = run("prune", model, "--sparsity", "0.25")
    assert (status, err) == (0, "")
    assert "network_pruned.tflite: network pruned for npu8x8" in out
    assert "whole network" in out
    assert len((tmp_path / "network_pruned.tflite").read_bytes()) == len(model.read_bytes())
    assert run("prune", "digits", "--sparsity", "0.25")[0] == 0
    assert (tmp_path / "digits_pruned.tflite").exists()


def test_masks_that_were_written_prune_alike(run, model, tmp_path):
    files = [tmp_path / "a.tflite", tmp_path / "b.tflite"]
    run("prune", model, "--sparsity", "0.5", "-o", files[0], "--save-mask", "m.npz", "--all-layers")
    status, out, err = run("prune", model, "--mask", "m.npz", "-o", files[1], "--json")
    assert (status, err) == (0, "")
    assert all(layer["pruned"] for layer in json.loads(out)["layers"])
    assert files[0].read_bytes() == files[1].read_bytes()


def test_a_mask_and_a_sparsity_come_together(run, model, tmp_path):
    mask = np.ones((16, 3, 3, 16), bool)
    mask[:, 1, 1] = False
    np.savez(tmp_path / "m.npz", weights1=mask)
    run("prune", model, "--mask", "m.npz", "--sparsity", "0.5", "-o", "p.tflite")
    graph = load_tflite(tmp_path / "p.tflite")
    weights = next(tensor.data for tensor in graph.tensors if tensor.name == "weights1")
    assert not weights[:, 1, 1].any()
    assert 0.45 < (weights == 0).mean() < 0.6


def test_calibration_refits_what_is_left(run, model, tmp_path):
    np.save(
        tmp_path / "x.npy", np.random.default_rng(2).integers(-128, 128, (6, 12, 10, 3), np.int8)
    )
    plain, fitted = tmp_path / "a.tflite", tmp_path / "b.tflite"
    skipped = []
    for path, more in ((plain, []), (fitted, ["--calibration", "x.npy"])):
        status, out, _ = run("prune", model, "--sparsity", "0.5", "-o", path, "--json", *more)
        assert status == 0
        skipped.append([layer["skipped"] for layer in json.loads(out)["layers"]])
    assert plain.read_bytes() != fitted.read_bytes()
    assert skipped[0] == skipped[1]


def test_a_network_that_fits_only_when_it_is_pruned(run, model, tmp_path):
    (tmp_path / "small.toml").write_text('base = "npu8x8"\nweight_kib = 8\n')
    status, out, _ = run("prune", model, "--sparsity", "0.7", "--config", "small.toml", "--json")
    report = json.loads(out)
    assert status == 0
    assert report["cycles_before"] is None
    assert report["cycles_after"] > 0
    assert "doesn't fit" in run("prune", model, "--sparsity", "0.7", "--config", "small.toml")[1]


@pytest.mark.parametrize("sparsity", ["-0.1", "1.5", "nan", "inf"])
def test_sparsities_that_are_none(run, model, tmp_path, sparsity):
    status, out, err = run("prune", model, "--sparsity", sparsity)
    assert (status, out) == (2, "")
    assert err == f"error: sparsity must be from 0 to 1, not {float(sparsity):g}\n"
    assert not (tmp_path / "network_pruned.tflite").exists()


def test_what_cannot_be_pruned(run, model, tmp_path):
    status, _, err = run("prune", model)
    assert (status, err) == (
        2,
        "error: what to prune must be given: --sparsity S, --mask M.npz, or both\n",
    )
    builder = ModelBuilder(2)
    pooled = tmp_path / "pooled.tflite"
    pooled.write_bytes(builder.finish(builder.pool(builder.input((1, 6, 6, 4)), "MAX")))
    status, _, err = run("prune", pooled, "--sparsity", "0.5")
    assert (status, err) == (
        2,
        "error: model 'pooled' must have convolutions or matrix products with weights of their own "
        "on the NPU to be pruned\n",
    )
    builder = ModelBuilder(3)
    short = tmp_path / "short.tflite"
    short.write_bytes(builder.finish(builder.conv(builder.input((1, 6, 6, 8)), 8)))
    status, _, err = run("prune", short, "--sparsity", "0.5")
    assert (status, err) == (
        2,
        "error: model 'short' must have layers between its first and its last one to be pruned; "
        "--all-layers prunes these too\n",
    )
    assert run("prune", short, "--sparsity", "0.5", "--all-layers")[0] == 0


def test_masks_and_folders_that_are_wrong(run, model, tmp_path):
    np.savez(tmp_path / "m.npz", weights1=np.ones((3, 3), bool))
    status, _, err = run("prune", model, "--mask", "m.npz")
    assert (status, err) == (
        2,
        "error: mask of 'weights1' must have shape (16, 3, 3, 16), not (3, 3)\n",
    )
    status, _, err = run("prune", model, "--sparsity", "0.5", "-o", tmp_path / "no" / "p.tflite")
    assert status == 2
    assert "can't write" in err
