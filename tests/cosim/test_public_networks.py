"""Public networks in RTL: labelled samples and the referee's bytes, and the cycles they take."""

import json

import numpy as np
import pytest
from support.cycles import assert_layers_modelled
from support.referee import Referee
from support.tflite_writer import ModelBuilder

from celosia.compiler.compile import compile_model
from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS, load_config
from celosia.golden.rounding import RoundingProfile
from celosia.runtime.cli import main
from celosia.runtime.rtl_device import RtlDevice
from celosia.runtime.run import run_graph

FOUR = """
base = "npu4x4"
scratchpad_kib = 96
weight_kib = 384
"""
"""A 4 x 4 array with memory for every network here."""


def rtl(path, config, samples, profile=RoundingProfile.TFLM):
    """Outputs [n, ...] and the report of samples in RTL; cycles are held to the model's."""
    graph = load_tflite(path)
    program = compile_model(graph, config, profile)
    result = run_graph(graph, program, RtlDevice(program), "rtl", [[x[None]] for x in samples])
    assert_layers_modelled(program, result.report)
    return result.outputs[0], result.report


SIX_BY_TEN = """
base = "npu8x8"
rows = 6
columns = 10
scratchpad_kib = 120
weight_kib = 512
requantizer_lanes = 3
profiles = ["tflm"]
"""
"""An odd one: no side is a power of two, and columns stay unused."""
FILES = {"four": FOUR, "six-by-ten": SIX_BY_TEN}


@pytest.fixture(params=["npu8x8", "npu16x16", *FILES])
def config(request, tmp_path):
    if request.param not in FILES:
        return PRESETS[request.param]
    path = tmp_path / f"{request.param}.toml"
    path.write_text(FILES[request.param])
    return load_config(path)


MOST_CYCLES = {
    "ic_resnet8_int8": {"npu8x8": 215_000, "npu16x16": 60_000},
    "kws_dscnn_int8": {"npu8x8": 60_000, "npu16x16": 18_000},
    "vww_mobilenetv1_025_96_int8": {"npu8x8": 170_000, "npu16x16": 60_000},
    "ad_autoencoder_int8": {"npu8x8": 36_000, "npu16x16": 18_000},
}
"""What an inference may take, of the whole network."""


def check_cycles(model, report):
    assert report.cycles_per_inference <= MOST_CYCLES[model].get(report.config, 1_000_000)


def test_resnet8_gives_the_labelled_outputs_in_time(models_dir, samples_dir, config):
    labelled = np.load(samples_dir / "ic_labelled.npz")
    outputs, report = rtl(models_dir / "ic_resnet8_int8.tflite", config, labelled["x"])
    np.testing.assert_array_equal(outputs, labelled["y"])
    assert report.mismatches == 0
    assert sum(layer.cycles for layer in report.layers) == report.cycles_per_inference
    check_cycles("ic_resnet8_int8", report)


def referee_outputs(path, samples):
    referee = Referee(path.read_bytes(), preserve_all=False)
    return np.concatenate([referee.run([x[None]])[0] for x in samples])


def check_against_referee(path, config):
    """Random inputs give the referee's bytes in RTL; returns the report."""
    graph = load_tflite(path)
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    seed = 3
    print(f"seed {seed}")
    samples = np.random.default_rng(seed).integers(-128, 128, (3, *shape), dtype=np.int8)
    outputs, report = rtl(path, config, samples)
    np.testing.assert_array_equal(outputs, referee_outputs(path, samples))
    assert report.mismatches == 0
    return report


@pytest.mark.parametrize("model", [name for name in MOST_CYCLES if name != "ic_resnet8_int8"])
def test_networks_equal_the_referee_on_random_inputs_in_time(models_dir, config, model):
    check_cycles(model, check_against_referee(models_dir / f"{model}.tflite", config))


def test_dscnn_gives_the_labelled_outputs_on_the_smallest_preset(models_dir, samples_dir):
    labelled = np.load(samples_dir / "kws_labelled.npz")
    outputs, _ = rtl(models_dir / "kws_dscnn_int8.tflite", PRESETS["npu4x4"], labelled["x"][:4])
    np.testing.assert_array_equal(outputs, labelled["y"][:4])


@pytest.mark.parametrize("profile", [p for p in RoundingProfile if p is not RoundingProfile.TFLM])
def test_every_rounding_profile_runs_in_rtl(models_dir, samples_dir, profile):
    labelled = np.load(samples_dir / "ic_labelled.npz")
    path = models_dir / "ic_resnet8_int8.tflite"
    _, report = rtl(path, PRESETS["npu8x8"], labelled["x"][:2], profile)
    assert (report.rounding, report.mismatches) == (profile, 0)


def celosia(capsys, *arguments):
    """The JSON object that a command prints, and its exit status."""
    with pytest.raises(SystemExit) as end:
        main([*map(str, arguments), "--json"])
    return json.loads(capsys.readouterr().out), end.value.code


def test_the_demonstration_classifies_digits_and_draws_a_picture(capsys, tmp_path):
    picture = tmp_path / "demo.png"
    report, status = celosia(capsys, "demo", "--samples", "20", "--picture", picture)
    assert status == 0
    assert (report["samples"], report["mismatches"]) == (20, 0)
    assert report["accuracy"] >= 0.9
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_the_benchmark_counts_cycles_and_times_the_golden_model(capsys):
    parts = ("--only", "cycles", "--only", "golden")
    measured, status = celosia(capsys, "bench", "digits", "--config", "npu8x8", *parts)
    assert status == 0
    (row,) = measured["cycles"]
    assert row["outputs_match"]
    assert row["cycles"] < row["scale_sim_os"] < row["scale_sim_ws"]
    assert row["cycles"] < row["ethos_u55"]
    assert row["modelled_cycles"] == pytest.approx(row["cycles"], rel=0.02)
    assert row["modelled_worst_layer"] <= 0.05
    assert row["notes"] == []
    assert measured["golden"][0]["celosia_ms"] > 0


def test_batches_of_the_autoencoder_equal_the_referee_in_a_fraction_of_the_cycles(models_dir):
    path = models_dir / "ad_autoencoder_int8.tflite"
    graph = load_tflite(path)
    program = compile_model(graph, PRESETS["npu8x8"], batch=8, overlap=True)
    seed = 4
    print(f"seed {seed}")
    shape = graph.tensors[graph.inputs[0]].shape[1:]
    samples = np.random.default_rng(seed).integers(-128, 128, (27, *shape), dtype=np.int8)
    # Three full batches and a padded one; all but the first overlap with transfers.
    result = run_graph(graph, program, RtlDevice(program), "rtl", [[x[None]] for x in samples])
    np.testing.assert_array_equal(result.outputs[0], referee_outputs(path, samples))
    report = result.report
    assert (report.samples, report.batch, report.mismatches) == (27, 8, 0)
    assert report.cycles_per_inference <= 36_000 / 7
    assert report.cycles_per_inference_overlapping < report.cycles_per_inference_serial


def test_the_benchmark_measures_batches_as_far_as_they_fit(capsys, tmp_path):
    # A network of fully connected layers, in whose batches each weight tile is loaded once.
    model = ModelBuilder(1)
    x = model.input((1, 64))
    for _ in range(3):
        x = model.fully_connected(x, 64)
    (tmp_path / "m.tflite").write_bytes(model.finish(x))
    (tmp_path / "c.toml").write_text('base = "npu4x4"\nscratchpad_kib = 2\n')
    arguments = (tmp_path / "m.tflite", "--config", tmp_path / "c.toml", "--only", "batch")
    measured, status = celosia(capsys, "bench", *arguments)
    rows = {row["batch"]: row for row in measured["batch"]}
    assert status == 0
    assert all(row["outputs_match"] for row in rows.values())
    assert list(rows) == [1, 2, 4, 8, 16]
    assert rows[2]["cycles"] < 0.6 * rows[1]["cycles"]
    for row in rows.values():
        assert row["cycles"] < row["cycles_serial"]
        if row["batch"] < 8:
            assert row["cycles"] <= row["cycles_overlapping"] < row["cycles_serial"]
    assert rows[16]["cycles_overlapping"] is None  # 16 x (64 + 64) bytes are all there are


@pytest.mark.slow
def test_the_benchmark_times_three_ways_to_simulate(capsys):
    measured, status = celosia(
        capsys, "bench", "digits", "--config", "npu4x4", "--only", "simulation"
    )
    assert status == 0
    assert [row["ratio_to_bare_loop"] > 0 for row in measured["simulation"]] == [True] * 3


def test_the_command_line_runs_rtl_and_writes_waves(capsys, tmp_path):
    (tmp_path / "small.toml").write_text(
        'base = "npu4x4"\nscratchpad_kib = 32\nweight_kib = 48\nprofile_depth = 16\n'
    )
    waves = tmp_path / "run.fst"
    report, status = celosia(
        capsys,
        *("run", "digits", "--device", "rtl", "--config", tmp_path / "small.toml"),
        *("--waves", waves),
    )
    assert status == 0
    assert report["outputs_match"]
    assert sum(layer["cycles"] for layer in report["layers"]) == report["cycles_per_inference"]
    assert waves.stat().st_size > 10_000
