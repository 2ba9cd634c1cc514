"""Cycles that others give, and how `celosia bench` shows them beside ours."""

import json
import subprocess

import pytest
from support.tflite_writer import ModelBuilder

from celosia.compiler.importer import load_tflite
from celosia.golden.config import PRESETS, NpuConfig
from celosia.golden.errors import CelosiaError
from celosia.golden.rounding import RoundingProfile
from celosia.runtime import references
from celosia.runtime.cli import main
from celosia.runtime.models import embedded_data
from celosia.runtime.references import (
    VELA_MISSING,
    ClosedForms,
    ethos_u55_macs,
    scale_sim_cycles,
    vela_cycles,
)


def array(rows, columns):
    return NpuConfig(
        name="array",
        rows=rows,
        columns=columns,
        scratchpad_kib=64,
        weight_kib=64,
        accumulator_depth=64,
        requantizer_lanes=1,
        profiles=(RoundingProfile.TFLM,),
    )


def test_closed_forms_of_matrix_products():
    # scalesim 3.0.0 counts one cycle less for each of these products: 119, 10463 and 29439.
    model = ModelBuilder(1)
    small = load_tflite(model.finish(model.fully_connected(model.input((16, 16)), 16)))
    assert scale_sim_cycles(small, array(8, 8)).output_stationary == 120
    model = ModelBuilder(1)
    flat = load_tflite(model.finish(model.fully_connected(model.input((1, 640)), 128)))
    # 16 column tiles of 654 cycles; 80 x 16 tiles of 23 cycles.
    assert scale_sim_cycles(flat, array(8, 8)) == ClosedForms(10464, 29440)


def test_a_depthwise_convolution_is_a_product_for_each_channel():
    model = ModelBuilder(1)
    graph = load_tflite(model.finish(model.depthwise(model.input((1, 8, 8, 5)))))
    # 64 pixels, 9 taps, 1 column each: 8 row tiles of 23 cycles; 2 tiles of 86 cycles.
    assert scale_sim_cycles(graph, array(8, 8)) == ClosedForms(5 * 8 * 23, 5 * 2 * 86)


@pytest.mark.parametrize(
    ("rows", "columns", "macs"), [(4, 4, 32), (6, 10, 32), (8, 8, 64), (16, 16, 256), (64, 64, 256)]
)
def test_the_nearest_ethos_u55(rows, columns, macs):
    assert ethos_u55_macs(array(rows, columns)) == macs


def test_arms_estimate_falls_with_the_number_of_multipliers():
    pytest.importorskip("ethosu.vela")
    model = embedded_data("digits_int8.tflite")
    small, large = (vela_cycles(model, macs) for macs in (32, 256))
    assert 1_387_904 / 256 < large < small < 200_000


def test_a_model_that_arms_estimator_refuses():
    pytest.importorskip("ethosu.vela")
    with pytest.raises(CelosiaError, match=r"^Arm's estimator can't take the model: \w+"):
        vela_cycles(b"no model", 64)


def test_a_model_that_arms_estimator_splits(monkeypatch):
    report = "Original Operator,Target,NPU\nConv2D,NPU,7\nCustom,CPU,0\n"

    def run(command, **_):
        folder = command[command.index("--output-dir") + 1]
        with open(f"{folder}/model_per-layer.csv", "w") as file:
            file.write(report)
        return subprocess.CompletedProcess(command, 0, "", "")

    monkeypatch.setattr(references, "vela_is_installed", lambda: True)
    monkeypatch.setattr(subprocess, "run", run)
    with pytest.raises(
        CelosiaError,
        match=r"^Arm's estimator leaves Custom to a processor, and counts no cycles for it$",
    ):
        vela_cycles(b"", 64)
    report = report.replace("CPU", "NPU")
    assert vela_cycles(b"", 64) == 7


@pytest.fixture
def tiny(tmp_path):
    """A configuration that the embedded model doesn't fit, not even in pieces."""
    path = tmp_path / "tiny.toml"
    path.write_text('base = "npu4x4"\nweight_kib = 1\n')
    return str(path)


def bench(*arguments):
    with pytest.raises(SystemExit) as end:
        main(["bench", "digits", "--only", "cycles", *arguments])
    assert end.value.code == 0


def test_a_model_that_does_not_fit_has_its_reason(capsys, monkeypatch, tiny):
    monkeypatch.setattr(references, "vela_is_installed", lambda: False)
    bench("--config", tiny, "--json")
    (row,) = json.loads(capsys.readouterr().out)["cycles"]
    assert (row["cycles"], row["utilisation"], row["outputs_match"]) == (None, None, None)
    assert (row["ethos_u55"], row["ethos_u55_macs"]) == (None, 32)
    assert row["scale_sim_os"] == 93_918
    short, missing = row["notes"]
    assert "can't be cut small enough for configuration 'tiny'" in short
    assert missing == VELA_MISSING


def test_the_table_says_what_is_missing_and_fits_80_columns(capsys, monkeypatch, tiny):
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(references, "vela_is_installed", lambda: False)
    bench("--config", tiny)
    out = capsys.readouterr().out
    assert max(map(len, out.splitlines())) <= 80
    assert 'pip install "celosia[vela]"' in " ".join(out.split())
    assert "93,918" in out


def test_another_error_is_no_row(capsys):
    with pytest.raises(SystemExit) as end:
        main(["bench", "digits", "--only", "cycles", "--rounding", "up"])
    assert end.value.code == 2
    assert "rounding profile must be one of" in capsys.readouterr().err


def test_presets_have_an_ethos_u55_beside_them():
    assert [ethos_u55_macs(config) for config in PRESETS.values()] == [32, 64, 256]
