"""`celosia crossbar characterise`: sweeps, files, remedies, and what can't be."""

import csv
import json
import re

import numpy as np
import pytest
from support.tflite_writer import ModelBuilder

from celosia.compiler.importer import load_tflite
from celosia.runtime.crossbar.characterise import Characterisation
from celosia.runtime.crossbar.sweeps import Sweep, plans

SWEEPS = [str(sweep) for sweep in Sweep]


@pytest.fixture(scope="module")
def model(tmp_path_factory):
    """A small network: a convolution and a matrix product."""
    builder = ModelBuilder(5)
    x = builder.input((1, 6, 6, 3), zero_point=-128)
    a = builder.conv(x, 8, (3, 3), activation="RELU")
    path = tmp_path_factory.mktemp("model") / "small.tflite"
    path.write_bytes(builder.finish(builder.fully_connected(builder.pool(a, "MAX", (2, 2)), 10)))
    return path


def characterise(run, *arguments):
    status, out, err = run("crossbar", "characterise", *arguments, "--json")
    assert (status, err) == (0, "")
    return json.loads(out)


def means(sweep, curve):
    for found in sweep["curves"]:
        if found["name"] == curve:
            return {point["value"]: point["mean"] for point in found["points"]}
    raise AssertionError(f"no curve {curve}")


def test_every_sweep_has_points_with_errors(run, model):
    wanted = [part for name in SWEEPS for part in ("--sweep", name)]
    report = characterise(run, model, "--seeds", "2", "--samples", "8", *wanted)
    assert (report["model"], report["samples"], report["seeds"]) == ("small", 8, 2)
    assert (report["judged_by"], report["layers"]) == ("int8", 2)
    assert report["int8"] == {"plain": 1.0}
    assert [sweep["sweep"] for sweep in report["sweeps"]] == SWEEPS
    for sweep in report["sweeps"]:
        plan = plans()[Sweep(sweep["sweep"])]
        # There is no network of these that was trained noise-aware.
        assert [c["name"] for c in sweep["curves"]] == [
            line.name for line in plan.lines if line.network == "plain"
        ]
        for curve in sweep["curves"]:
            assert [point["value"] for point in curve["points"]] == list(plan.values)
            for point in curve["points"]:
                found = point["accuracies"]
                assert len(found) == point["seeds"] in (1, 2)
                assert point["mean"] == pytest.approx(np.mean(found))
                assert point["std"] == pytest.approx(np.std(found, ddof=1) if found[1:] else 0)
                assert (point["min"], point["max"]) == (min(found), max(found))
    by_name = {sweep["sweep"]: sweep for sweep in report["sweeps"]}
    raw = means(by_name["programming-error"], "as it is")
    assert raw[0.0] == 1.0 > raw[0.5]
    stuck = by_name["stuck-at"]
    assert means(stuck, "remapped")[0.05] > means(stuck, "as it is")[0.05]
    bits = by_name["adc-bits"]
    assert means(bits, "range of the sums that occur")[5] > means(bits, "range of any sum")[5]
    assert by_name["time"]["device"] == "pcm"
    assert by_name["devices"]["device"] == "presets"
    assert by_name["devices"]["names"][0] == "ideal"
    assert means(by_name["devices"], "as it is")[0] == 1.0


def test_the_same_seeds_give_the_same(run, model):
    arguments = [model, "--seeds", "2", "--samples", "8", "--sweep", "programming-error"]
    once = characterise(run, *arguments)
    assert characterise(run, *arguments, "--workers", "1") == once
    assert characterise(run, *arguments, "--preset", "sonos") != once


def test_a_noise_aware_network_labels_and_layers(run, model, tmp_path):
    rng = np.random.default_rng(1)
    np.save(tmp_path / "x.npy", rng.integers(-128, 128, (8, 6, 6, 3)).astype(np.int8))
    np.save(tmp_path / "y.npy", np.zeros(8, np.int64))
    graph = load_tflite(model.read_bytes())
    first = graph.tensors[graph.operators[0].outputs[0]].name
    report = characterise(
        run, model, "--noise-aware", model, "--inputs", tmp_path / "x.npy", "--labels",
        tmp_path / "y.npy", "--sweep", "programming-error", "--layer", first, "--seeds", "1",
    )  # fmt: skip
    assert (report["judged_by"], report["samples"], report["layers"]) == ("labels", 8, 1)
    assert report["int8"]["plain"] == report["int8"]["noise-aware"] < 1
    sweep = report["sweeps"][0]
    assert means(sweep, "noise-aware training") == means(sweep, "as it is")


def test_files_and_a_table(run, model, tmp_path, monkeypatch):
    pytest.importorskip("matplotlib", reason="draws curves: pip install 'celosia[plots]'")
    folder = tmp_path / "deep" / "folder"
    arguments = [model, "--seeds", "2", "--samples", "8", "--sweep", "programming-error", "-o"]
    status, out, err = run("crossbar", "characterise", *arguments, folder)
    assert (status, err) == (0, "")
    names = [f"programming-error.{suffix}" for suffix in ("csv", "json", "png")]
    assert sorted(path.name for path in folder.iterdir()) == names
    report = json.loads((folder / names[1]).read_text())
    assert report["sweep"] == "programming-error"
    assert (report["model"], report["samples"]) == ("small", 8)
    rows = list(csv.DictReader((folder / names[0]).read_text().splitlines()))
    points = [point for curve in report["curves"] for point in curve["points"]]
    assert [float(row["mean"]) for row in rows] == pytest.approx([p["mean"] for p in points])
    assert (folder / names[2]).read_bytes().startswith(b"\x89PNG")
    last = points[5]
    assert f"{100 * last['mean']:.1f}" in out
    assert "small: 2 layers on " in out

    def interrupted(self, sweep, device, on_done):
        raise KeyboardInterrupt

    monkeypatch.setattr(Characterisation, "run", interrupted)
    status, out, err = run("crossbar", "characterise", *arguments, tmp_path / "other")
    assert (status, err) == (130, "error: interrupted\n")
    assert not list((tmp_path / "other").iterdir())


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (
            ["--sweep", "heat"],
            "sweep must be one of programming-error, read-noise, levels, ",
        ),
        (["--seeds", "0"], "seeds must be from 1 to 1000, not 0"),
        (["--samples", "0"], "samples must be from 1 to 10000, not 0"),
        (["--workers", "0"], "workers must be from 1 to 256, not 0"),
        (["--preset", "spin"], "preset must be one of hfox-neurram, "),
        (["--preset", "pcm", "--device", "x.toml"], "device must be given by --preset or by --dev"),
        (["--device", "no.toml"], "can't read device 'no.toml': No such file or directory"),
        (["--layer", "nothing"], "layer must be one of "),
        (["--noise-aware", "no.tflite"], "model must be a .tflite, .onnx or .cel file or 'digits'"),
        (["--inputs", "no.npy"], "can't read inputs 'no.npy': No such file or directory"),
        (["--labels", "y.npy"], "labels must come with the inputs that they are of (--inputs)"),
        (["--config", "npu1x1"], "config"),
        (["-o", "/dev/null/x"], "can't make the folder '/dev/null/x': Not a directory"),
    ],
)
def test_mistakes_end_in_a_sentence(run, arguments, sentence):
    status, out, err = run("crossbar", "characterise", *arguments)
    assert (status, out) == (2, "")
    assert err.startswith(f"error: {sentence}")
    assert err.count("\n") == 1


def test_samples_and_networks_that_do_not_fit(run, model, tmp_path):
    def error(*arguments):
        status, out, err = run("crossbar", "characterise", *arguments)
        assert (status, out) == (2, "")
        return err

    np.save(tmp_path / "x.npy", np.zeros((3, 6, 6, 3), np.int8))
    np.save(tmp_path / "y.npy", np.zeros(2, np.int64))
    assert "must be one integer for each of the 3 samples, not int64 of shape (2,)" in error(
        model, "--inputs", tmp_path / "x.npy", "--labels", tmp_path / "y.npy"
    )
    builder = ModelBuilder(5)
    x = builder.input((1, 6, 6, 8))
    path = tmp_path / "pool.tflite"
    path.write_bytes(builder.finish(builder.pool(x, "MAX", (2, 2))))
    assert error(path) == (
        "error: network 'pool' must have a CONV_2D or FULLY_CONNECTED for the crossbar\n"
    )
    assert "model must be a .tflite, .onnx or .cel file" in error("missing.tflite")
    odd = tmp_path / "odd.tflite"
    builder = ModelBuilder(5)
    x = builder.conv(builder.input((1, 6, 6, 3)), 11, (3, 3))
    odd.write_bytes(builder.finish(builder.conv(x, 8, (3, 3))))
    small = tmp_path / "small.toml"
    small.write_text('base = "npu8x8"\nscratchpad_kib = 4\n')
    assert re.fullmatch(
        r"error: network 'digits' must fit in one piece on small to be characterised, and takes "
        r"\d+: --config must name a larger NPU\n",
        error("digits", "--config", small),
    )
    assert "must have a multiple of 8 input channels to run in crossbar batches, not 11" in error(
        odd, "--sweep", "programming-error", "--seeds", "1", "--samples", "2"
    )
