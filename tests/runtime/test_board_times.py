"""Times of inferences on boards, from reports of made-up builds."""

import json
import re
from dataclasses import replace

import pytest
from support.tflite_writer import ModelBuilder

from celosia.boards.load import BOARDS, load_board
from celosia.boards.plan import bitstream_name
from celosia.golden.config import PRESETS, config_to_toml
from celosia.runtime.models import CATALOGUE
from celosia.runtime.references import GAP9_MS, published_ms

LOG = (
    "Info: Routing..\n"
    "Info: Max frequency for clock 'clk': {fmax:.2f} MHz (PASS at {constraint:.2f} MHz)\n"
)


@pytest.fixture
def builds(tmp_path):
    """Writes what a build of a board leaves: `builds(board, fmax, constraint)`."""
    folder = tmp_path / "builds"

    def write(name, fmax, constraint, config=None, used=()):
        board = load_board(name)
        build = folder / name
        build.mkdir(parents=True)
        report = {
            "fmax": {"clk": {"achieved": fmax, "constraint": constraint}},
            "utilization": {element: {"used": 1, "available": 9} for element in used},
            "critical_paths": [],
        }
        (build / "report.json").write_text(json.dumps(report))
        (build / "placement.log").write_text(LOG.format(fmax=fmax, constraint=constraint))
        (build / "npu.toml").write_text(config_to_toml(config or board.config))
        (build / bitstream_name(board)).write_text("bits")
        return build

    write.folder = folder
    return write


def timed(run, builds, *models):
    status, out, err = run("boards", *models, "--builds", builds.folder, "--json")
    assert status == 0, err
    return {time["board"]: time for time in json.loads(out)["times"]}


def test_times_are_cycles_by_what_the_builds_reached(run, builds):
    builds("ulx3s-85f", 94.5, 90.0)
    builds("icepi-zero", 69.25, 80.0)
    builds("tang-nano-20k", 33.5, 27.0, used=("BSRAM", "MULT9X9"))
    times = timed(run, builds, "digits")
    assert tuple(times) == BOARDS

    for name, fmax, constraint in (
        ("ulx3s-85f", 94.5, 90.0),
        ("icepi-zero", 69.25, 80.0),
        ("tang-nano-20k", 33.5, 27.0),
    ):
        time = times[name]
        assert (time["fmax_mhz"], time["constraint_mhz"]) == (fmax, constraint)
        assert time["ms"] == pytest.approx(time["cycles"] / fmax / 1000, abs=5e-5)
        if fmax >= constraint:
            built = time["cycles"] / constraint / 1000
            assert time["ms_as_built"] == pytest.approx(built, abs=5e-5)
        else:
            assert time["ms_as_built"] is None
        assert time["fmax_is_bound"] is (name == "tang-nano-20k")
        assert time["gap9_ms"] is None

    # The same cycles and bytes as a run on that configuration counts.
    for name in ("ulx3s-85f", "tang-nano-20k"):
        time = times[name]
        config = builds.folder / name / "npu.toml"
        report = json.loads(run("run", "digits", "--config", config, "--json")[1])
        assert time["config"] == report["config"]
        assert (time["cycles"], time["pieces"]) == (report["cycles"], report["pieces"])
        moved = report["host_bytes"]
        stays = name == "ulx3s-85f"
        assert (time["pieces"] == 1) is stays
        crossing = moved["inputs"] + moved["outputs"] + (0 if stays else moved["weights"])
        assert time["line_ms"] == pytest.approx(crossing * 10 / 1e3)  # 1,000,000 baud

    unbuilt = times["ulx3s-25f"]
    assert unbuilt["cycles"] == times["icepi-zero"]["cycles"]  # the same NPU under another name
    assert unbuilt["config"] == load_board("ulx3s-25f").config.name
    for key in ("fmax_mhz", "constraint_mhz", "ms", "ms_as_built"):
        assert unbuilt[key] is None


def test_the_configuration_is_the_builds(run, builds):
    small = replace(PRESETS["npu4x4"], name="small", weight_kib=1, scratchpad_kib=1)
    builds("icebreaker", 20.0, 18.0, config=small)
    time = timed(run, builds, "digits")["icebreaker"]
    assert time["config"] == "small"
    assert (time["cycles"], time["pieces"], time["ms"], time["line_ms"]) == (None,) * 4
    assert "weight" in time["reason"]


def test_a_board_that_leaves_out_what_a_network_needs_runs_the_others(run, builds, tmp_path):
    model = ModelBuilder(1)
    x = model.conv(model.input((1, 6, 6, 3)), 8, (1, 1))
    path = tmp_path / "maxima.tflite"
    path.write_bytes(model.finish(model.pool(x, "MAX", (2, 2), stride=(2, 2))))
    times = timed(run, builds, path)
    small = times["tang-nano-9k"]
    assert small["cycles"] is None
    assert "a maximum needs vector operations, which configuration " in small["reason"]
    assert times["tang-nano-20k"]["cycles"] > 0


def test_table_for_people(run, builds, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    builds("ulx3s-85f", 94.54, 90.0)
    builds("icepi-zero", 69.25, 80.0)
    builds("tang-nano-20k", 33.5, 27.0, used=("BSRAM", "MULT9X9"))
    small = replace(PRESETS["npu4x4"], name="small", weight_kib=1, scratchpad_kib=1)
    builds("icebreaker", 20.0, 18.0, config=small)
    status, out, _ = run("boards", "digits", "--builds", builds.folder)
    assert status == 0
    assert "ulx3s-85f with npu16x16-ulx3s-85f: 94.5 MHz, built for 90\n" in out
    assert "icepi-zero with npu8x8-icepi-zero: 69.2 MHz, built for 80, which it missed\n" in out
    assert "tang-nano-20k with npu8x8-tang-nano-20k: at most 33.5 MHz, built for 27\n" in out
    assert "ulx3s-25f with npu8x8-ulx3s-25f: unbuilt (celosia build --board ulx3s-25f)\n" in out
    assert "\ndigits can't run: " in out
    rows = {}
    for block in out.split("\n\n"):
        name, *lines = block.splitlines()
        rows[name.split()[0]] = next((line.split() for line in lines if "digits" in line), None)
    cycles = int(rows["ulx3s-85f"][1].replace(",", ""))
    assert rows["ulx3s-85f"][3:5] == [f"{cycles / 94540:.3f}", f"{cycles / 90000:.3f}"]
    assert rows["icepi-zero"][4] == "-"
    assert rows["ulx3s-25f"][3:5] == ["-", "-"]
    assert all(len(line) <= 80 for line in out.splitlines() if line.startswith("digits  "))


@pytest.mark.parametrize(
    ("file", "text", "sentence"),
    [
        ("report.json", "{", r"build '.*icepi-zero': report.json must be a report of nextpnr"),
        (
            "placement.log",
            LOG.format(fmax=70.0, constraint=40.0),
            r"build '.*icepi-zero': report.json must be the report of the routed design in the log",
        ),
        ("npu.toml", "rows = 3\n", r"build '.*icepi-zero': configuration '.*npu.toml': a value"),
        ("npu.toml", None, r"build '.*icepi-zero': can't read configuration '.*npu.toml'"),
        ("placement.log", None, r"build '.*icepi-zero': placement.log: No such file"),
        ("networks.json", "[1]", r"build '.*icepi-zero': networks.json must be what a build wrote"),
    ],
)
def test_builds_that_cant_be_read(file, text, sentence, run, builds):
    path = builds("icepi-zero", 69.25, 40.0) / file
    if text is None:
        path.unlink()
    else:
        path.write_text(text)
    status, out, err = run("boards", "digits", "--builds", builds.folder)
    assert (status, out) == (2, "")
    assert re.search(sentence, " ".join(err.split()))


def test_a_build_that_was_not_finished_is_none(run, builds):
    (builds("icepi-zero", 69.25, 40.0) / "icepi-zero.bit").unlink()
    assert timed(run, builds, "digits")["icepi-zero"]["fmax_mhz"] is None


def test_models_that_are_none(run, builds):
    status, out, err = run("boards", "nothing.tflite", "--builds", builds.folder)
    assert (status, out) == (2, "")
    assert "model must be a .tflite, .onnx or .cel file" in err


def test_published_times_are_of_exactly_these_networks(models_dir):
    assert set(GAP9_MS) == {model.name for model in CATALOGUE if model.path is not None}
    for name, ms in GAP9_MS.items():
        content = (models_dir / f"{name}.tflite").read_bytes()
        assert published_ms(content) == ms
        assert published_ms(content + b"\0") is None
