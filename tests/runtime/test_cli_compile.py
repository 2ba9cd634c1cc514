"""`celosia compile` and `celosia inspect`."""

import json

import numpy as np
import pytest
from support.random_networks import random_network
from support.tflite_writer import ModelBuilder

from celosia.golden.errors import CelosiaError
from celosia.golden.link.identity import Identity
from celosia.golden.memory_map import Register
from celosia.runtime.crossbar.tiles import TileOptions, program_tiles
from celosia.runtime.run import open_device
from celosia.runtime.session import Placement, open_session


@pytest.fixture
def model(tmp_path):
    path = tmp_path / "network.tflite"
    path.write_bytes(random_network(11))
    return path


@pytest.fixture
def program(run, model, tmp_path):
    path = tmp_path / "network.cel"
    assert run("compile", model, "-o", path, "--config", "npu4x4")[0] == 0
    return path


def test_compile_reports_what_it_wrote(run, model, tmp_path):
    output = tmp_path / "n.cel"
    status, out, err = run("compile", model, "-o", output, "--config", "npu16x16", "--json")
    report = json.loads(out)
    assert (status, err) == (0, "")
    assert report["bytes"] == output.stat().st_size
    assert report["config"] == "npu16x16"
    assert report["cycles"] == sum(x["cycles"] for x in report["layers"])
    status, out, err = run("compile", model, "-o", output)
    assert (status, err) == (0, "")
    assert "for npu8x8" in out
    assert "weight memory" in out


def test_compile_twice_gives_the_same_bytes(run, model, tmp_path):
    paths = tmp_path / "a.cel", tmp_path / "b.cel"
    for path in paths:
        run("compile", model, "-o", path, "--rounding", "single")
    assert paths[0].read_bytes() == paths[1].read_bytes()


def test_inspect_shows_every_section(run, program, monkeypatch):
    monkeypatch.setenv("COLUMNS", "100")
    status, out, err = run("inspect", program)
    assert (status, err) == (0, "")
    for text in ("Layers", "Scratchpad over time", "Instructions", "MATRIX_LOOP", "--disassembly"):
        assert text in out
    assert max(len(line.rstrip()) for line in out.splitlines() if "=" not in line) <= 100


def test_inspect_shows_one_section_in_full(run, program):
    listing = run("inspect", program, "--disassembly")[1]
    assert listing.rstrip().endswith("HALT")
    assert "Layers" not in listing
    assert "tensor" in run("inspect", program, "--memory")[1]
    assert "cycles" in run("inspect", program, "--layers")[1]


def test_inspect_json_holds_everything(run, program):
    report = json.loads(run("inspect", program, "--json")[1])
    assert len(report["listing"]) == report["instructions"]
    assert [x["layer"] for x in report["listing"] if "layer" in x] == list(
        range(len(report["layers"]))
    )
    used = report["memory"]["scratchpad"]["used_bytes"]
    assert used == 4 * max(x["address"] + x["vectors"] for x in report["tensors"])


def test_inspect_is_limited_for_long_programs(run, models_dir, tmp_path):
    path = tmp_path / "ic.cel"
    run("compile", models_dir / "ic_resnet8_int8.tflite", "-o", path)
    out = run("inspect", path)[1]
    assert "more instructions: --disassembly shows all" in out
    assert len(out.splitlines()) < 100


def test_a_program_is_not_compiled_again(run, program, tmp_path):
    status, _, err = run("compile", program, "-o", tmp_path / "again.cel")
    assert status == 2
    assert "is a program already" in err


def test_a_model_is_not_inspected(run, model):
    status, _, err = run("inspect", model)
    assert status == 2
    assert "must be a Celosia program" in err


def test_nothing_is_left_after_an_error(run, model, tmp_path):
    for arguments in (
        ("compile", model, "-o", tmp_path / "n.cel", "--config", "npu5x5"),
        ("compile", model, "-o", tmp_path / "n.cel", "--rounding", "up"),
        ("compile", tmp_path / "none.tflite", "-o", tmp_path / "n.cel"),
        ("compile", model, "-o", tmp_path / "none" / "n.cel"),
    ):
        status, out, err = run(*arguments)
        assert (status, out, err.count("\n")) == (2, "", 1)
    assert [path.name for path in tmp_path.iterdir()] == ["network.tflite"]


def damaged(rng, data):
    start = int(rng.integers(len(data)))
    length = int(rng.integers(0, 30))
    if rng.random() < 0.3:
        return data[:start]
    return data[:start] + rng.bytes(length) + data[start + length :]


@pytest.mark.parametrize("command", ["inspect", "compile"])
def test_damaged_files_end_in_one_sentence(run, model, program, tmp_path, command):
    source = program if command == "inspect" else model
    data = source.read_bytes()
    victim, output = tmp_path / "victim", tmp_path / "output.cel"
    for seed in range(200):
        print(f"seed {seed}")
        victim.write_bytes(damaged(np.random.default_rng(seed), data))
        if command == "inspect":
            status, _, err = run("inspect", victim)
        else:
            status, _, err = run("compile", victim, "-o", output)
            # Some damage only changes weights or names: then there is a program.
            assert output.exists() == (status == 0)
            output.unlink(missing_ok=True)
        if victim.read_bytes() != data and command == "inspect":
            assert status == 2
        if status:
            assert (status, err.count("\n")) == (2, 1), err
            assert err.startswith("error: ")


def test_many_layers_and_tensors_are_cut_short(run, tmp_path):
    model = ModelBuilder(1)
    x, y = model.input((1, 2, 2, 4)), model.input((1, 2, 2, 4))
    for _ in range(80):
        x = model.add(x, y)
    (tmp_path / "deep.tflite").write_bytes(model.finish(x))
    run("compile", tmp_path / "deep.tflite", "-o", tmp_path / "deep.cel")
    out = run("inspect", tmp_path / "deep.cel")[1]
    assert "a column is a layer, the first 72 are shown" in out
    assert "... and 40 more layers: --layers shows all" in out
    assert "... and 42 more tensors: --memory shows all" in out
    assert len(run("inspect", tmp_path / "deep.cel", "--layers")[1].splitlines()) > 80


def test_names_are_printed_as_they_are(run, model, tmp_path):
    named = tmp_path / "net[bold].tflite"
    named.write_bytes(model.read_bytes())
    config = tmp_path / "npu.toml"
    config.write_text('base = "npu8x8"\nname = "odd [/] [red]"\n')
    output = tmp_path / "p[bold].cel"
    status, out, _ = run("compile", named, "-o", output, "--config", config)
    assert status == 0
    assert "p[bold].cel: net[bold] for odd [/] [red], " in out
    status, out, _ = run("run", named, "--config", config)
    assert status == 0
    subject = "of net[bold] (golden device, odd [/] [red], rounding tflm)"
    assert subject in " ".join(out.split())
    assert "net[bold] " in run("bench", named, "--only", "golden")[1]
    verilog = tmp_path / "npu[bold].v"
    out = run("verilog", "-o", verilog, "--config", config)[1]
    assert "npu[bold].v: module celosia_npu for odd [/] [red], " in out


@pytest.fixture
def on_crossbar(run, tmp_path):
    path = tmp_path / "digits.cel"
    status, out, err = run("compile", "digits", "-o", path, "--place", "head=crossbar")
    assert (status, err) == (0, "")
    assert "2 of 64 crossbar tiles of 64 x 36 cells, in which 2,048 cells hold weights" in out
    return path


def test_columns_are_mapped_as_was_asked(run, tmp_path):
    path = tmp_path / "offset.cel"
    asked = ("compile", "digits", "-o", path, "--place", "head=crossbar", "--mapping", "offset")
    status, out, err = run(*asked)
    assert (status, err) == (0, "")
    assert "2 of 64 crossbar tiles of 64 x 20 cells" in out
    report = json.loads(run("inspect", path, "--json")[1])
    assert report["crossbar"]["mapping"] == "offset"
    status, out, err = run("run", path, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["outputs_match"]


def test_layers_on_the_crossbar_are_compiled_and_shown(run, on_crossbar):
    status, out, err = run("inspect", on_crossbar)
    assert (status, err) == (0, "")
    assert "Crossbar tiles" in out
    alone = run("inspect", on_crossbar, "--tiles")[1]
    assert "Layers" not in alone
    assert "2 of 64 crossbar tiles" in alone
    report = json.loads(run("inspect", on_crossbar, "--json")[1])
    tiles = report["crossbar"]["tiles"]
    assert [tile["layer"] for tile in tiles] == ["head", "head"]
    assert [(t["rows"], t["outputs"], t["cells"], t["spare_cells"]) for t in tiles] == [
        (32, 8, 1024, 1280)
    ] * 2
    assert all(sum(tile["levels"]) == tile["cells"] for tile in tiles)
    status, out, err = run("run", on_crossbar, "--json")
    assert (status, err) == (0, "")
    assert json.loads(out)["outputs_match"]


def test_engines_of_compile(run, tmp_path):
    path = tmp_path / "digits.cel"
    assert run("compile", "digits", "-o", path, "--engine", "crossbar")[0] == 0
    layers = json.loads(run("inspect", path, "--json")[1])["layers"]
    assert {layer["engine"] for layer in layers if layer["macs"]} == {"crossbar"}
    status, _, err = run("compile", "digits", "-o", path, "--engine", "magic")
    assert (status, err) == (2, "error: engine must be systolic or crossbar, not 'magic'\n")


def test_tiles_of_a_program_without_any(run, program):
    assert "crossbar" not in json.loads(run("inspect", program, "--json")[1])
    status, out, err = run("inspect", program, "--tiles")
    assert (status, out) == (2, "")
    assert err == ("error: --tiles must be left out: no layer of the program is on the crossbar\n")


def test_a_board_without_a_crossbar():
    """The identify registers tell, before anything else is compared."""

    class Link:
        def connect(self):
            return Identity(1, (0, 0, 0), b"", b"", 0)

        def read(self, address, count):
            assert (address, count) == (Register.CROSSBAR, 1)
            return np.zeros(1, np.uint32)

    placement = Placement(places=("head=crossbar",))
    program = open_session("digits", "npu8x8", None, placement=placement).program
    tiles = program_tiles(program, TileOptions())
    with pytest.raises(
        CelosiaError, match=r"^board must have a crossbar for the layers of 'digits' that are on"
    ):
        open_device("board", program, link=Link(), tiles=tiles)
